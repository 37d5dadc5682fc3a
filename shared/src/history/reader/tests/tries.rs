//! Retries: attempts of a Task, generations of a Parallel or a Map.

use super::{ORDERS, failure, place, shown, shown_blindly};

#[test]
fn a_task_that_is_retried_is_scheduled_again_without_being_entered_again() {
    let history = "
        2 0 TaskStateEntered Call
        3 2 LambdaFunctionScheduled
        4 3 LambdaFunctionStarted
        5 4 LambdaFunctionFailed Broken | first
        6 5 LambdaFunctionScheduled
        7 6 LambdaFunctionStarted
        8 7 LambdaFunctionTimedOut States.Timeout
        9 8 ExecutionFailed States.Timeout";
    assert_eq!(shown_blindly(history), r#"Task "Call" (attempt 2) <- 2"#);
    let text = r#"{"StartAt": "Call", "States": {"Call": {"Type": "Task", "Resource": "f", "End": true,
        "Retry": [{"ErrorEquals": ["Broken"], "MaxAttempts": 9}, {"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1}]}}}"#;
    // Once more for the timeout, after the one attempt that the other entry allowed.
    assert_eq!(shown(text, history), r#"Task "Call" (attempt 2 of 3) <- 2"#);
    let place = place(text, history);
    assert_eq!((place.attempts, place.attempts_most), (2, Some(3)));
    assert_eq!((place.error.as_deref(), place.cause), (Some("States.Timeout"), None));
}

#[test]
fn an_activity_and_an_integration_are_counted_alike() {
    for kind in ["Activity", "Task"] {
        let history = format!(
            "2 0 TaskStateEntered Call
             3 2 {kind}Scheduled
             4 3 {kind}Started
             5 4 {kind}Failed Broken
             6 5 {kind}Scheduled
             7 6 {kind}TimedOut States.Timeout
             8 7 {kind}Scheduled
             9 8 {kind}Started
             10 9 {kind}Failed Broken
             11 10 ExecutionFailed Broken"
        );
        assert_eq!(shown_blindly(&history), r#"Task "Call" (attempt 3) <- 2"#);
    }
}

#[test]
fn an_error_that_nothing_retries_has_one_attempt() {
    let history = "
        2 0 TaskStateEntered Charge
        3 2 TaskScheduled lambda:invoke
        4 3 TaskFailed States.Timeout
        5 4 ExecutionFailed States.Timeout";
    // States.TaskFailed matches everything but a timeout.
    assert_eq!(place(ORDERS, history).attempts_most, Some(1));
    let declined = history.replace("States.Timeout", "Card.Declined");
    assert_eq!(place(ORDERS, &declined).attempts_most, Some(4));
    let busy = history.replace("States.Timeout", "Card.Busy");
    assert_eq!(place(ORDERS, &busy).attempts_most, Some(2));
}

/// A Parallel that is tried twice: in its first generation both branches failed or were aborted.
const TWICE: &str = "
        2 0 ParallelStateEntered Fan
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack
        5 3 TaskStateEntered Charge
        6 5 TaskScheduled
        7 6 TaskFailed Card.Declined
        8 7 TaskStateAborted
        9 7 ParallelStateStarted
        10 9 TaskStateEntered Pack
        11 9 TaskStateEntered Charge
        12 11 TaskScheduled
";

#[test]
fn only_the_last_generation_of_a_parallel_counts() {
    let aborted = format!("{TWICE} 13 0 ExecutionAborted");
    let expected = r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 10; Map "Orders" / Parallel "Fan"#1 / Task "Charge" (attempt 1) <- 11"##;
    assert_eq!(shown(ORDERS, &aborted), expected);
    let blind = r#"Parallel "Fan" / Task "Pack" <- 10; Parallel "Fan" / Task "Charge" (attempt 1) <- 11"#;
    assert_eq!(shown_blindly(&aborted), blind);

    // The error of the first generation, in the second: the one that is open has not failed yet.
    let failed = format!("{TWICE} 13 0 ExecutionFailed Card.Declined");
    assert_eq!(failure(None, &failed).unwrap().places, []);
    let failed = format!(
        "{TWICE} 13 12 TaskFailed Card.Declined
                 14 0 ExecutionFailed Card.Declined"
    );
    assert_eq!(
        shown_blindly(&failed),
        r#"Parallel "Fan" / Task "Charge" (attempt 1) <- 11"#
    );
}

#[test]
fn a_map_that_is_retried_begins_its_iterations_anew() {
    let history = "
        2 0 MapStateEntered Orders
        3 2 MapStateStarted
        4 3 MapIterationStarted Orders 0
        5 4 WaitStateEntered HandOver
        6 3 MapIterationStarted Orders 1
        7 6 FailStateEntered Broken
        8 7 MapIterationFailed Orders 1
        9 7 MapStateStarted
        10 9 MapIterationStarted Orders 0
        11 10 WaitStateEntered HandOver
        12 0 ExecutionTimedOut States.Timeout";
    assert_eq!(shown_blindly(history), r#"Map "Orders"[0] / Wait "HandOver" <- 11"#);
}

#[test]
fn an_outer_map_is_tried_again_after_the_inner_one_failed() {
    let history = "
        2 0 MapStateEntered Outer
        3 2 MapStateStarted
        4 3 MapIterationStarted Outer 0
        5 4 MapStateEntered Inner
        6 5 MapStateStarted
        7 6 MapIterationStarted Inner 0
        8 7 FailStateEntered Broken
        9 8 MapIterationFailed Inner 0
        10 8 MapStateFailed
        11 10 MapIterationFailed Outer 0
        12 10 MapStateStarted
        13 12 MapIterationStarted Outer 0
        14 13 MapStateEntered Inner
        15 0 ExecutionAborted";
    assert_eq!(shown_blindly(history), r#"Map "Outer"[0] / Map "Inner" <- 14"#);
}
