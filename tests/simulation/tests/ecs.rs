//! Some hundred schedules of each kind, and every moment at which an invocation may die; `cargo ecs-simulation` runs as
//! many schedules as you like.

use std::time::Duration;

use ecs_settle::settle::READ_WITHIN;
use ecs_settle::sweep::STOPS_WITHIN;
use simulation::ecs::cases::{
    Lived, Told, denied, dies, not_taken, told_again, unreadable, unreadable_for_a_while, unseen, unstoppable,
};
use simulation::ecs::{Dies, Part, Scenario, run};
use simulation::schedules::broken;

const SCHEDULES: u64 = 600;

fn nothing_breaks(scenario: Scenario) {
    let broken = broken(scenario, 0..SCHEDULES, run);
    assert!(broken.is_empty(), "{scenario}: {broken:#?}");
}

#[test]
fn events_alone_tell_every_state() {
    nothing_breaks(Scenario::NoSweep);
}

#[test]
fn in_a_storm_of_one_step_one_task_lives_and_every_state_is_told() {
    nothing_breaks(Scenario::Storm);
}

#[test]
fn a_redrive_takes_over_what_still_runs() {
    nothing_breaks(Scenario::Redrive);
}

#[test]
fn iterations_leave_one_another_alone() {
    nothing_breaks(Scenario::Maps);
}

#[test]
fn a_retry_that_asks_for_something_else_waits_for_the_task_before_it() {
    nothing_breaks(Scenario::Changes);
}

#[test]
fn hours_in_which_nothing_works_leave_nothing_behind() {
    nothing_breaks(Scenario::Outage);
}

/// Lets the first invocation of `part` die before and after each of its calls. How many calls it makes.
fn dies_everywhere(part: Part, with_events: bool, good: impl Fn(Lived) -> bool) -> usize {
    for call in 0.. {
        for moment in [Dies::Before(call), Dies::After(call)] {
            let lived =
                dies(part, moment, with_events).unwrap_or_else(|broken| panic!("{part:?} {moment:?}: {broken}"));
            assert_eq!(lived.succeeded, 1, "{part:?} {moment:?}: {lived:?}");
            assert!(good(lived), "{part:?} {moment:?}: {lived:?}");
            if !lived.died {
                return call;
            }
        }
    }
    unreachable!("no invocation makes calls for ever")
}

#[test]
fn a_launch_that_dies_anywhere_is_retried_with_one_task() {
    let one = |lived: Lived| lived.tasks == 1 && lived.attempts == 1 + usize::from(lived.died);
    // The records of the step, the task definition, the record, RunTask, and that it was started.
    assert!(dies_everywhere(Part::Launch, true, one) >= 5);
}

#[test]
fn an_event_whose_handling_dies_anywhere_is_handled_all_the_same() {
    let first = |lived: Lived| lived.tasks == 1 && lived.attempts == 1;
    // The record, the result, the answer, and that it is done.
    assert!(dies_everywhere(Part::Event, true, first) >= 4);
}

#[test]
fn a_sweep_that_dies_anywhere_is_made_up_for_by_the_next() {
    let first = |lived: Lived| lived.tasks == 1 && lived.attempts == 1;
    // The open records by the index and themselves, the task, the result, the answer, and that it is done.
    assert!(dies_everywhere(Part::Sweep, false, first) >= 4);
}

/// Somebody was told something, and nobody anything else than this.
fn all_are_told(told: Result<Vec<Told>, String>, error: &str) -> Vec<Told> {
    let told = told.unwrap_or_else(|broken| panic!("{broken}"));
    assert!(!told.is_empty(), "nobody was told anything");
    assert!(told.iter().all(|told| told.error == error), "{told:?}");
    told
}

/// The queue tells nobody of an error: without that the state would be vouched for, each minute, for ever.
#[test]
fn a_launch_that_is_denied_in_the_queue_is_told_to_its_state() {
    all_are_told(denied(), "Ecs.AccessDenied");
}

/// Retries match the name: whoever comes later, and does not know the reason, says `Ecs.StartFailed.Other`.
#[test]
fn a_refusal_is_told_with_its_reason_although_telling_it_is_throttled() {
    all_are_told(told_again(), "Ecs.StartFailed.Capacity");
}

/// The time is up within seconds, but only a sweep sees it, and the task may take its time to stop.
fn are_told_once_it_is_late(told: Result<Vec<Told>, String>) {
    let told = all_are_told(told, "Ecs.TimedOut");
    let late = STOPS_WITHIN..STOPS_WITHIN + Duration::from_mins(5);
    assert!(told.iter().all(|told| late.contains(&told.after)), "{told:?}");
}

#[test]
fn a_state_whose_task_cannot_be_looked_at_is_told_that_its_time_is_up() {
    are_told_once_it_is_late(unseen());
}

#[test]
fn a_state_whose_task_cannot_be_stopped_is_told_that_its_time_is_up() {
    are_told_once_it_is_late(unstoppable());
}

#[test]
fn a_state_whose_result_is_not_taken_is_told_so() {
    all_are_told(not_taken(), "Ecs.ResultInvalid");
}

/// When the first attempt was told, whose task ends within a minute or so.
fn first(told: &[Told]) -> Duration {
    told.iter().map(|told| told.after).min().expect("somebody was told")
}

/// Without that the state would wait for as long as the permission is missing.
#[test]
fn a_state_whose_result_can_never_be_read_is_told_so() {
    let told = all_are_told(unreadable(None), "Ecs.ResultUnreadable");
    let late = READ_WITHIN..READ_WITHIN + Duration::from_mins(5);
    assert!(late.contains(&first(&told)), "{told:?}");
}

#[test]
fn a_state_with_more_time_is_told_once_it_is_up() {
    let time = READ_WITHIN * 3;
    let told = all_are_told(unreadable(Some(time.as_secs())), "Ecs.ResultUnreadable");
    let late = time..time + Duration::from_mins(5);
    assert!(late.contains(&first(&told)), "{told:?}");
}

#[test]
fn a_state_whose_time_is_up_sooner_has_its_result_tried_all_the_same() {
    let told = all_are_told(unreadable(Some(120)), "Ecs.ResultUnreadable");
    assert!(first(&told) >= READ_WITHIN, "{told:?}");
}

#[test]
fn a_result_that_cannot_be_read_for_a_while_is_not_lost() {
    assert_eq!(unreadable_for_a_while(), Ok(Vec::new()));
}
