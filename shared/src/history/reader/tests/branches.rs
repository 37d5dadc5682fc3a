//! Parallel, Map, and which event belongs to which branch or iteration.

use super::{ORDERS, definition, places, shown, shown_blindly};

#[test]
fn the_first_state_of_an_execution_follows_nothing_and_that_of_a_branch_follows_its_parallel() {
    let history = "
        1 0 ExecutionStarted
        2 0 ParallelStateEntered Both
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Left
        5 4 TaskScheduled
        6 3 TaskStateEntered Right
        7 6 TaskScheduled
        8 7 TaskFailed Broken
        9 8 ParallelStateFailed
        10 9 ExecutionFailed Broken";
    assert_eq!(
        shown_blindly(history),
        r#"Parallel "Both" / Task "Right" (attempt 1) <- 6"#
    );
}

#[test]
fn an_iteration_that_takes_over_a_slot_is_another_than_the_one_that_freed_it() {
    // MaxConcurrency 1: the second iteration follows the last event of the first.
    let history = "
        2 0 MapStateEntered Orders
        3 2 MapStateStarted
        4 3 MapIterationStarted Orders 0
        5 4 WaitStateEntered HandOver
        6 5 WaitStateExited HandOver
        7 6 MapIterationSucceeded Orders 0
        8 6 MapIterationStarted Orders 7
        9 8 WaitStateEntered HandOver
        10 9 ExecutionFailed Broken";
    assert_eq!(shown(ORDERS, history), r#"Map "Orders"[7] / Wait "HandOver" <- 9"#);
    assert_eq!(shown_blindly(history), r#"Map "Orders"[7] / Wait "HandOver" <- 9"#);
}

#[test]
fn a_parallel_is_left_by_the_event_of_whichever_branch_ended_last() {
    // ParallelStateSucceeded does not advance the chain.
    let history = "
        2 0 ParallelStateEntered Both
        3 2 ParallelStateStarted
        4 3 PassStateEntered Left
        5 3 PassStateEntered Right
        6 5 PassStateExited Right
        7 4 PassStateExited Left
        8 7 ParallelStateSucceeded
        9 7 ParallelStateExited Both
        10 9 TaskStateEntered Next
        11 10 TaskScheduled
        12 11 TaskFailed Broken
        13 12 ExecutionFailed Broken";
    assert_eq!(shown_blindly(history), r#"Task "Next" (attempt 1) <- 10"#);
}

#[test]
fn states_that_are_aborted_with_a_failure_are_not_taken_for_it() {
    // As recorded: each TaskStateAborted follows the failure of another branch.
    let history = "
        2 0 ParallelStateEntered Fan
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack
        5 4 TaskScheduled
        6 3 TaskStateEntered Charge
        7 6 TaskScheduled
        8 7 TaskFailed Card.Declined
        9 8 TaskStateAborted
        10 8 TaskStateAborted
        11 8 ParallelStateFailed
        12 11 ExecutionFailed Card.Declined";
    let expected = r##"Map "Orders" / Parallel "Fan"#1 / Task "Charge" (attempt 1 of 4) <- 6"##;
    assert_eq!(shown(ORDERS, history), expected);
}

#[test]
fn of_iterations_that_failed_with_the_same_error_the_one_that_the_map_follows_counts() {
    let history = "
        2 0 MapStateEntered Wait
        3 2 MapStateStarted
        4 3 MapIterationStarted Wait 0
        5 3 MapIterationStarted Wait 1
        6 4 TaskStateEntered Call
        7 5 TaskStateEntered Call
        8 6 TaskScheduled
        9 7 TaskScheduled
        10 9 TaskTimedOut States.Timeout
        11 8 TaskTimedOut States.Timeout
        12 10 MapIterationAborted Wait 0
        13 10 TaskStateAborted
        14 10 MapIterationFailed Wait 1
        15 10 MapStateFailed
        16 15 ExecutionFailed States.Timeout";
    assert_eq!(
        shown_blindly(history),
        r#"Map "Wait"[1] / Task "Call" (attempt 1) <- 7"#
    );
}

#[test]
fn a_name_tells_the_branch_whatever_the_chain_says() {
    // Charge is entered after an event of the other branch.
    let history = "
        2 0 PassStateEntered Prepare
        3 2 PassStateExited Prepare
        4 3 MapStateEntered Orders
        5 4 MapStateStarted
        6 5 MapIterationStarted Orders 2
        7 6 ParallelStateEntered Fan
        8 7 ParallelStateStarted
        9 8 TaskStateEntered Pack
        10 9 TaskScheduled
        11 10 TaskStateEntered Charge
        12 11 TaskScheduled
        13 12 TaskFailed Card.Declined
        14 13 ParallelStateFailed
        15 14 MapIterationFailed Orders 2
        16 14 MapStateFailed
        17 16 ExecutionFailed Card.Declined";
    let expected = r##"Map "Orders"[2] / Parallel "Fan"#1 / Task "Charge" (attempt 1 of 4) <- 11"##;
    assert_eq!(shown(ORDERS, history), expected);
}

#[test]
fn a_map_in_a_parallel_is_told_with_its_branch_and_its_iteration() {
    let text = r#"{"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "Other", "States": {"Other": {"Type": "Wait", "End": true}}},
        {"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "Iterator":
            {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}}}}}]}}}"#;
    let history = "
        2 0 ParallelStateEntered Both
        3 2 ParallelStateStarted
        4 3 WaitStateEntered Other
        5 3 MapStateEntered Each
        6 5 MapStateStarted
        7 6 MapIterationStarted Each 0
        8 6 MapIterationStarted Each 1
        9 7 TaskStateEntered Work
        10 9 TaskScheduled
        11 8 TaskStateEntered Work
        12 11 TaskScheduled
        13 12 TaskFailed Broken | {}
        14 13 MapIterationFailed Each 1
        15 13 MapIterationAborted Each 0
        16 13 MapStateFailed
        17 16 ParallelStateFailed
        18 17 ExecutionFailed Broken | {}";
    let expected = r##"Parallel "Both"#1 / Map "Each"[1] / Task "Work" <- 11"##;
    assert_eq!(shown(text, history), expected);
    let blind = r#"Parallel "Both" / Map "Each"[1] / Task "Work" (attempt 1) <- 11"#;
    assert_eq!(shown_blindly(history), blind);
}

#[test]
fn iterations_that_never_began_leave_no_trace() {
    let history = "
        2 0 MapStateEntered Orders
        3 2 MapStateStarted
        4 3 MapIterationStarted Orders 0
        5 4 WaitStateEntered HandOver
        6 0 ExecutionAborted";
    assert_eq!(shown(ORDERS, history), r#"Map "Orders"[0] / Wait "HandOver" <- 5"#);
}

#[test]
fn a_distributed_map_is_itself_where_it_fails() {
    let history = "
        2 0 MapStateEntered Files
        3 2 MapStateStarted
        4 3 MapRunStarted
        5 4 MapRunFailed States.ItemReaderFailed | no such file
        6 5 MapStateFailed
        7 6 ExecutionFailed States.ItemReaderFailed | no such file";
    let text = r#"{"StartAt": "Files", "States": {"Files": {"Type": "Map", "End": true, "ItemProcessor":
        {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
         "StartAt": "Work", "States": {"Work": {"Type": "Pass", "End": true}}}}}}"#;
    assert_eq!(shown(text, history), r#"Map "Files" <- 2"#);
    let aborted = "
        2 0 MapStateEntered Files
        3 2 MapStateStarted
        4 3 MapRunStarted
        5 0 ExecutionAborted";
    assert_eq!(shown(text, aborted), r#"Map "Files" <- 2"#);
    // The history of one of its executions, with the whole definition.
    let child = "
        2 0 PassStateEntered Work
        3 2 ExecutionFailed States.DataLimitExceeded";
    assert_eq!(shown(text, child), r#"Map "Files" / Pass "Work" <- 2"#);
}

#[test]
fn events_without_ids_are_placed_by_their_names() {
    // Some recorders write 0 for every id inside of a Parallel.
    let history = "
        2 0 ParallelStateEntered Fan
        3 2 ParallelStateStarted
        0 0 TaskStateEntered Pack
        0 0 TaskStateEntered Charge
        0 0 TaskStateExited Charge
        9 0 ExecutionTimedOut";
    let shown = places(Some(&definition(ORDERS)), history);
    assert_eq!(shown, [r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- ?"##]);
}
