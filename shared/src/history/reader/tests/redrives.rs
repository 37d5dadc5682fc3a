//! Redriven executions: several ends in one history.

use super::{LINE, ORDERS, failure, place, shown, shown_blindly};

const REDRIVEN: &str = "
        2 0 ParallelStateEntered Fan
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack
        5 4 TaskScheduled
        6 3 TaskStateEntered Charge
        7 6 TaskScheduled
        8 7 TaskFailed Card.Declined
        9 8 TaskScheduled
        10 9 TaskFailed Card.Declined
        11 10 TaskStateAborted
        12 10 ParallelStateFailed
        13 12 ExecutionFailed Card.Declined
        14 0 ExecutionRedriven
";

#[test]
fn a_redriven_execution_runs_again() {
    assert!(failure(None, REDRIVEN.trim_end().rsplit_once('\n').unwrap().0).is_some());
    assert_eq!(failure(None, REDRIVEN), None);
}

#[test]
fn new_attempts_belong_to_the_original_entry_and_are_counted_anew() {
    let history = format!(
        "{REDRIVEN}
        15 4 TaskScheduled
        16 15 TaskFailed Ship.Sunk
        17 16 ParallelStateFailed
        18 17 ExecutionFailed Ship.Sunk"
    );
    assert_eq!(
        shown(ORDERS, &history),
        r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 4"##
    );
    let again = format!(
        "{REDRIVEN}
        15 6 TaskScheduled
        16 15 TaskFailed Card.Declined
        17 16 ParallelStateFailed
        18 17 ExecutionFailed Card.Declined"
    );
    let expected = r##"Map "Orders" / Parallel "Fan"#1 / Task "Charge" (attempt 1 of 4) <- 6"##;
    assert_eq!(shown(ORDERS, &again), expected);
}

#[test]
fn failures_from_before_the_redrive_do_not_count() {
    // The same error again, from a state that left no event of its failure: the old one is not it.
    let history = format!(
        "{REDRIVEN}
        15 4 TaskScheduled
        16 15 ExecutionFailed Card.Declined"
    );
    assert_eq!(
        shown_blindly(&history),
        r#"Parallel "Fan" / Task "Pack" (attempt 1) <- 4"#
    );
}

#[test]
fn states_that_were_open_before_the_redrive_still_are() {
    let history = format!("{REDRIVEN} 15 0 ExecutionAborted");
    let shown = shown_blindly(&history);
    assert!(
        shown.contains(r#"Task "Pack""#) && shown.contains(r#"Task "Charge""#),
        "{shown}"
    );
}

#[test]
fn an_execution_that_succeeded_after_a_redrive_has_no_failure() {
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskFailed Broken
        4 3 ExecutionFailed Broken
        5 0 ExecutionRedriven
        6 2 TaskScheduled
        7 6 TaskSucceeded
        8 7 TaskStateExited First
        9 8 ExecutionSucceeded";
    assert_eq!(failure(None, history), None);
}

#[test]
fn a_top_level_state_that_is_entered_again_stands_once() {
    // What the developer guide calls the state being rescheduled; an emulator may enter it again.
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskFailed Broken
        4 3 ExecutionFailed Broken
        5 0 ExecutionRedriven
        6 5 TaskStateEntered First
        7 6 TaskScheduled
        8 0 ExecutionAborted";
    assert_eq!(place(LINE, history).entered_event, Some(6));
}

#[test]
fn what_a_redrive_has_overcome_was_not_caught() {
    // A Parallel goes on without beginning anew: no event says that its failure is over.
    let history = format!(
        "{REDRIVEN}
        15 4 TaskScheduled
        16 6 TaskScheduled
        17 15 TaskSucceeded
        18 17 TaskStateExited Pack
        19 16 TaskSucceeded
        20 19 TaskStateExited Charge
        21 20 ParallelStateSucceeded
        22 20 ParallelStateExited Fan
        23 22 FailStateEntered Bad
        24 23 ExecutionFailed Bad.Luck"
    );
    let failed = failure(None, &history).unwrap().places.remove(0);
    assert_eq!((failed.path[0].state.as_str(), failed.handled), ("Bad", None));
}
