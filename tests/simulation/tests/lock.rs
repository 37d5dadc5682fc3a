//! Some thousand schedules of each kind, and every schedule of the smallest worlds; `cargo lock-simulation` and
//! `cargo lock-exhaustive` run as many as you like.

use simulation::lock::small::{Small, run_all};
use simulation::lock::{Scenario, run};
use simulation::schedules::broken;

const SCHEDULES: u64 = 3_000;

fn nothing_breaks(scenario: Scenario) {
    let broken = broken(scenario, 0..SCHEDULES, run);
    assert!(broken.is_empty(), "{scenario}: {broken:#?}");
}

#[test]
fn handing_over_alone_serves_everybody() {
    nothing_breaks(Scenario::NoSweep);
}

#[test]
fn in_a_storm_never_too_many_hold_and_all_who_live_are_served() {
    nothing_breaks(Scenario::Storm);
}

#[test]
fn a_redriven_run_holds_again_or_is_stopped() {
    nothing_breaks(Scenario::Redrive);
}

#[test]
fn operators_may_do_what_they_like() {
    nothing_breaks(Scenario::Operators);
}

#[test]
fn branches_hold_for_themselves() {
    nothing_breaks(Scenario::Branches);
}

#[test]
fn no_schedule_of_a_small_world_breaks_anything() {
    for small in [Small::ThreeRuns, Small::TwoSlots, Small::Crash, Small::Redrive] {
        let explored = run_all(small).unwrap_or_else(|broken| panic!("{small}: {broken}"));
        // A world that shrinks has lost what it was there for.
        assert!(explored.states > 1_000, "{small}: {explored:?}");
    }
}
