//! Some thousand schedules of each kind; `cargo guard-simulation` runs as many as you like.

use simulation::guard::{Scenario, run};
use simulation::schedules::broken;

const SCHEDULES: u64 = 1_500;

fn nothing_breaks(scenario: Scenario) {
    let broken = broken(scenario, 0..SCHEDULES, run);
    assert!(broken.is_empty(), "{scenario}: {broken:#?}");
}

#[test]
fn of_simultaneous_runs_exactly_one_survives() {
    nothing_breaks(Scenario::Simultaneous);
}

#[test]
fn in_a_churn_of_runs_never_two_are_inside() {
    nothing_breaks(Scenario::Churn);
}

#[test]
fn of_pipelines_that_check_each_other_exactly_one_run_survives() {
    nothing_breaks(Scenario::Neighbours);
}

#[test]
fn with_cancel_older_the_newest_is_left() {
    nothing_breaks(Scenario::CancelOlder);
}

#[test]
fn a_family_and_strangers_are_never_inside_at_once() {
    nothing_breaks(Scenario::Family);
}
