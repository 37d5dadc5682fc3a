//! How executions end, and which state that was.

use super::{LINE, ORDERS, definition, failure, place, shown, shown_blindly};
use crate::clock::Timestamp;
use crate::history::Ended;

#[test]
fn what_runs_or_succeeded_has_no_failure() {
    let running = "
        1 0 ExecutionStarted
        2 0 TaskStateEntered First
        3 2 TaskScheduled
        4 3 TaskFailed Broken";
    assert_eq!(failure(None, running), None);
    let succeeded = "
        2 0 SucceedStateEntered Good
        3 2 SucceedStateExited Good
        4 3 ExecutionSucceeded";
    assert_eq!(failure(None, succeeded), None);
    assert_eq!(failure(None, ""), None);
}

#[test]
fn an_execution_that_was_stopped_names_every_open_leaf_with_its_time() {
    // ExecutionAborted follows nothing, and open states get no event of their own.
    let history = "
        2 0 PassStateEntered Prepare
        3 2 PassStateExited Prepare
        4 3 MapStateEntered Orders
        5 4 MapStateStarted
        6 5 MapIterationStarted Orders 0
        7 5 MapIterationStarted Orders 1
        8 6 ParallelStateEntered Fan
        9 8 ParallelStateStarted
        10 9 TaskStateEntered Pack
        11 9 TaskStateEntered Charge
        12 10 TaskStateExited Pack
        13 12 PassStateEntered Label
        14 11 TaskStateExited Charge
        15 7 ParallelStateEntered Fan
        16 15 ParallelStateExited Fan
        17 16 WaitStateEntered HandOver";
    let aborted = format!("{history}\n18 0 ExecutionAborted Stopped | by hand");
    let failure = failure(Some(&definition(ORDERS)), &aborted).unwrap();
    assert_eq!(failure.ended, Ended::Aborted);
    assert_eq!(
        (failure.error.as_deref(), failure.cause.as_deref()),
        (Some("Stopped"), Some("by hand"))
    );
    assert_eq!(
        failure.places[0].entered,
        Some(Timestamp::from_millis(1_700_000_013_000))
    );
    let expected =
        r##"Map "Orders"[0] / Parallel "Fan"#0 / Pass "Label" <- 13; Map "Orders"[1] / Wait "HandOver" <- 17"##;
    assert_eq!(shown(ORDERS, &aborted), expected);
    let timed_out = format!("{history}\n18 0 ExecutionTimedOut States.Timeout");
    assert_eq!(shown(ORDERS, &timed_out), expected);
}

#[test]
fn an_evaluation_that_failed_names_its_state_wherever_it_points() {
    let cause = "An error occurred while executing the state 'Pack' (entered at the event id #4). Nothing.";
    let history = format!(
        "2 0 ParallelStateEntered Fan
         3 2 ParallelStateStarted
         4 3 TaskStateEntered Pack
         5 3 TaskStateEntered Charge
         6 5 TaskScheduled
         7 6 EvaluationFailed Pack | States.QueryEvaluationError | {cause}
         8 7 ParallelStateFailed
         9 8 ExecutionFailed States.QueryEvaluationError | {cause}"
    );
    assert_eq!(
        shown(ORDERS, &history),
        r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 4"##
    );
    let bare = history.replace(cause, "nothing");
    assert_eq!(
        shown(ORDERS, &bare),
        r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 4"##
    );
    // Of two that are open, the cause names the entry; without it, the one in the same iteration is it.
    let in_a_map = |cause: &str| {
        format!(
            "2 0 MapStateEntered Orders
             3 2 MapStateStarted
             4 3 MapIterationStarted Orders 0
             5 3 MapIterationStarted Orders 1
             6 4 WaitStateEntered HandOver
             7 5 WaitStateEntered HandOver
             8 4 EvaluationFailed HandOver | States.QueryEvaluationError | {cause}
             9 8 MapStateFailed
             10 9 ExecutionFailed States.QueryEvaluationError | {cause}"
        )
    };
    let other = cause.replace(
        "'Pack' (entered at the event id #4)",
        "'HandOver' (entered at the event id #7)",
    );
    assert_eq!(
        shown_blindly(&in_a_map(&other)),
        r#"Map "Orders"[1] / Wait "HandOver" <- 7"#
    );
    assert_eq!(
        shown_blindly(&in_a_map("nothing")),
        r#"Map "Orders"[0] / Wait "HandOver" <- 6"#
    );
}

#[test]
fn a_runtime_error_in_a_branch_is_found_by_its_cause() {
    // The execution ends at once, after an event of another branch.
    let history = "
        2 0 ParallelStateEntered Fan
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack
        5 3 TaskStateEntered Charge
        6 5 TaskScheduled
        7 6 ExecutionFailed States.Runtime | An error occurred while executing the state 'Pack' (entered at the event id #4). The JSONPath '$.x' could not be found.";
    assert_eq!(
        shown(ORDERS, history),
        r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 4"##
    );
    assert_eq!(shown_blindly(history), r#"Parallel "Fan" / Task "Pack" <- 4"#);
}

#[test]
fn what_the_cause_of_a_nested_execution_names_is_not_taken_for_a_state_of_this_one() {
    let cause =
        "{\"Cause\": \"An error occurred while executing the state 'Charge' (entered at the event id #5). Nothing.\"}";
    let history = format!(
        "2 0 ParallelStateEntered Fan
         3 2 ParallelStateStarted
         4 3 TaskStateEntered Pack
         5 3 TaskStateEntered Charge
         6 4 TaskScheduled states:startExecution.sync
         7 6 TaskFailed States.TaskFailed | {cause}
         8 0 ExecutionFailed States.TaskFailed | {cause}"
    );
    assert_eq!(
        shown(ORDERS, &history),
        r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 4"##
    );
}

#[test]
fn a_fail_that_passes_a_cause_of_aws_on_is_still_where_it_ended() {
    let cause = "An error occurred while executing the state 'First' (entered at the event id #2). Nothing.";
    let history = format!(
        "2 0 TaskStateEntered First
         3 2 EvaluationFailed First | States.QueryEvaluationError | {cause}
         4 3 TaskStateExited First
         5 4 FailStateEntered Bad
         6 5 ExecutionFailed Bad.Luck | {cause}"
    );
    let handled = place(LINE, &history).handled.unwrap();
    assert_eq!((handled.by.as_str(), handled.ended_event), ("Bad", Some(5)));
}

#[test]
fn where_the_chain_says_nothing_the_first_failure_with_the_same_error_is_it() {
    let history = "
        2 0 ParallelStateEntered Fan
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack
        5 3 TaskStateEntered Charge
        6 4 TaskFailed Broken | once
        7 5 TaskFailed Broken | once
        8 0 ExecutionFailed Broken | once";
    assert_eq!(
        shown(ORDERS, history),
        r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 4"##
    );
}

#[test]
fn a_fail_state_is_entered_and_never_left() {
    let history = "
        2 0 ChoiceStateEntered Judge
        3 2 ChoiceStateExited Judge
        4 3 FailStateEntered Bad
        5 4 ExecutionFailed Bad.Luck | really";
    let place = place(LINE, history);
    assert_eq!(place.to_string(), r#"Fail "Bad""#);
    assert_eq!(
        (place.error.as_deref(), place.cause.as_deref()),
        (Some("Bad.Luck"), Some("really"))
    );
    assert_eq!((place.attempts, place.attempts_most, place.handled), (0, None, None));
    let good = "
        2 0 SucceedStateEntered Good
        3 2 SucceedStateExited Good
        4 0 ExecutionTimedOut";
    assert_eq!(failure(None, good).unwrap().places, []);
}

#[test]
fn a_state_that_is_entered_again_is_another_one() {
    let history = "
        2 0 TaskStateEntered Work
        3 2 TaskScheduled
        4 3 TaskFailed Broken
        5 4 TaskScheduled
        6 5 TaskSucceeded
        7 6 TaskStateExited Work
        8 7 TaskStateEntered Work
        9 8 TaskScheduled
        10 9 TaskFailed Broken
        11 10 ExecutionFailed Broken";
    assert_eq!(shown_blindly(history), r#"Task "Work" (attempt 1) <- 8"#);
    let aborted = history.replace("11 10 ExecutionFailed Broken", "11 0 ExecutionAborted");
    assert_eq!(shown_blindly(&aborted), r#"Task "Work" (attempt 1) <- 8"#);
}

#[test]
fn error_and_cause_may_be_missing() {
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskScheduled
        4 3 TaskFailed
        5 4 ExecutionFailed";
    let failure = failure(None, history).unwrap();
    assert_eq!((failure.error, failure.cause), (None, None));
    let place = place(LINE, history);
    assert_eq!((place.error.clone(), place.cause.clone()), (None, None));
    assert_eq!(
        (place.to_string().as_str(), place.entered_event),
        (r#"Task "First""#, Some(2))
    );
    // States.ALL catches what has no name.
    let failed = "
        2 0 FailStateEntered Bad
        3 2 ExecutionFailed";
    assert_eq!(shown_blindly(failed), r#"Fail "Bad" <- 2"#);
}

#[test]
fn a_state_that_is_too_large_is_named_in_the_cause() {
    let history = "
        2 0 ParallelStateEntered Fan
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack
        5 3 TaskStateEntered Charge
        6 0 ExecutionFailed States.DataLimitExceeded | The state/task 'Charge' returned a result with a size exceeding the maximum.";
    assert_eq!(
        shown(ORDERS, history),
        r##"Map "Orders" / Parallel "Fan"#1 / Task "Charge" <- 5"##
    );
}
