//! Redriven executions go on with what was open; what had finished stays.

use super::notation::{outline, read};
use super::{GUARDED, ORDERS};
use crate::past::Left;

#[test]
fn a_task_goes_on_from_its_first_entry() {
    let past = read(
        r#"{"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Bad"}, "Bad": {"Type": "Fail"}}}"#,
        r#"1 0 ExecutionStarted 7
           2 0 TaskStateEntered Work <- 7
           3 2 TaskScheduled lambda:invoke {"try":1}
           4 3 TaskFailed Broken
           5 4 ExecutionFailed Broken
           6 0 ExecutionRedriven
           7 2 TaskScheduled lambda:invoke {"try":2}
           8 7 TaskFailed Broken
           9 8 ExecutionFailed Broken
           10 0 ExecutionRedriven
           11 2 TaskScheduled lambda:invoke {"try":3}
           12 11 TaskSucceeded 8
           13 12 TaskStateExited Work -> 8
           14 13 FailStateEntered Bad <- 8
           15 14 ExecutionFailed"#,
    );
    assert_eq!(outline(&past), "\n  Work <- 7 done 8\n  Bad <- 8 open\n");
    assert_eq!((past.redrives, past.events, past.last_event), (2, 15, 15));
    let work = &past.top.visits["Work"];
    assert_eq!((work.entered_event, work.attempts), (Some(2), 1));
    let parameters = work.task.as_ref().unwrap().parameters.as_deref();
    assert_eq!(parameters, Some(r#"{"try":3}"#));
    // What was caught is what the Fail is blamed on, and nothing was.
    let place = &past.failure.unwrap().places[0];
    assert_eq!((place.path[0].state.as_str(), &place.handled), ("Bad", &None));
}

/// Branch 0 has finished, branch 1 failed, and is redriven.
const FAN: &str = r#"1 0 ExecutionStarted 7
    2 0 ParallelStateEntered Fan <- 7
    3 2 ParallelStateStarted
    4 3 TaskStateEntered Pack <- 7
    5 3 TaskStateEntered Charge <- 7
    6 4 TaskStateExited Pack -> "parcel"
    7 5 TaskFailed Card.Declined
    8 7 ParallelStateFailed
    9 8 ExecutionFailed Card.Declined
    10 0 ExecutionRedriven
    11 5 TaskScheduled lambda:invoke {}"#;

#[test]
fn a_finished_branch_stays_and_the_failed_one_goes_on() {
    let expected = r#"
  Fan <- 7 open
    #0 -> "parcel"
    #1
      Charge <- 7 open
"#;
    assert_eq!(outline(&read(GUARDED, FAN)), expected);
    let again = format!(
        "{FAN}
        12 11 TaskFailed Card.Declined
        13 12 ParallelStateFailed
        14 13 ExecutionFailed Card.Declined"
    );
    let past = read(GUARDED, &again);
    assert_eq!(outline(&past), expected);
    let place = past.failure.unwrap().places[0].to_string();
    assert_eq!(place, r##"Parallel "Fan"#1 / Task "Charge""##);
}

#[test]
fn a_parallel_that_was_redriven_and_succeeded_was_not_caught() {
    let past = read(
        GUARDED,
        &format!(
            "{FAN}
            12 11 TaskSucceeded 1
            13 12 TaskStateExited Charge -> \"paid\"
            14 13 ParallelStateSucceeded
            15 13 ParallelStateExited Fan -> [\"parcel\",\"paid\"]
            16 15 SucceedStateEntered Good <- []
            17 0 ExecutionAborted"
        ),
    );
    let expected = "\n  Fan <- 7 done [\"parcel\",\"paid\"]\n  Good <- [] open\n";
    assert_eq!(outline(&past), expected);
}

#[test]
fn a_parallel_that_was_redriven_may_be_caught_then() {
    let past = read(
        GUARDED,
        &format!(
            "{FAN}
            12 11 TaskFailed Card.Declined
            13 12 ParallelStateFailed
            14 13 ParallelStateExited Fan -> {{}}
            15 14 TaskStateEntered Tell <- {{}}
            16 0 ExecutionAborted"
        ),
    );
    assert_eq!(past.top.visits["Fan"].left, Left::Caught(Some("{}".into())));
}

/// Of three orders the first is done, the second failed, and the third has not begun.
const MAP: &str = r#"1 0 ExecutionStarted [0,1,2]
    4 0 MapStateEntered Orders <- [0,1,2]
    5 4 MapStateStarted 3
    6 5 MapIterationStarted Orders 0
    7 6 ParallelStateEntered Fan <- 0
    8 7 ParallelStateExited Fan -> 0
    9 8 WaitStateEntered HandOver <- 0
    10 9 WaitStateExited HandOver -> "order 0"
    11 10 MapIterationSucceeded Orders 0
    12 10 MapIterationStarted Orders 1
    13 12 ParallelStateEntered Fan <- 1
    14 13 ParallelStateStarted
    15 14 TaskStateEntered Pack <- 1
    16 14 TaskStateEntered Charge <- 1
    17 15 TaskStateExited Pack -> 1
    18 17 PassStateEntered Label <- 1
    19 18 PassStateExited Label -> "parcel 1"
    20 16 TaskFailed Card.Declined
    21 20 ParallelStateFailed
    22 21 MapIterationFailed Orders 1
    23 21 MapStateFailed
    24 23 ExecutionFailed Card.Declined
    25 0 ExecutionRedriven
    26 16 TaskScheduled lambda:invoke {}"#;

#[test]
fn finished_iterations_stay_the_failed_one_goes_on_and_others_begin() {
    let expected = r#"
  Orders <- [0,1,2] open
    of 3
    #0 -> "order 0"
    #1
      Fan <- 1 open
        #0 -> "parcel 1"
        #1
          Charge <- 1 open
"#;
    assert_eq!(outline(&read(ORDERS, MAP)), expected);
    let on = format!(
        "{MAP}
        27 26 TaskSucceeded 1
        28 27 TaskStateExited Charge -> \"paid 1\"
        29 28 ParallelStateSucceeded
        30 28 ParallelStateExited Fan -> 1
        31 30 WaitStateEntered HandOver <- 1
        32 31 WaitStateExited HandOver -> \"order 1\"
        33 32 MapIterationSucceeded Orders 1
        34 32 MapIterationStarted Orders 2
        35 34 ParallelStateEntered Fan <- 2"
    );
    let past = read(ORDERS, &format!("{on}\n36 0 ExecutionAborted"));
    let expected = r#"
  Orders <- [0,1,2] open
    of 3
    #0 -> "order 0"
    #1 -> "order 1"
    #2
      Fan <- 2 open
"#;
    assert_eq!(outline(&past), expected);
    let past = read(
        ORDERS,
        &format!(
            "{on}
            36 35 ParallelStateExited Fan -> 2
            37 36 WaitStateEntered HandOver <- 2
            38 37 WaitStateExited HandOver -> 2
            39 38 MapIterationSucceeded Orders 2
            40 38 MapStateSucceeded
            41 38 MapStateExited Orders -> [0,1,2]
            42 41 SucceedStateEntered Report <- []
            43 0 ExecutionAborted"
        ),
    );
    assert_eq!(
        outline(&past),
        "\n  Orders <- [0,1,2] done [0,1,2]\n  Report <- [] open\n"
    );
}

#[test]
fn a_parallel_whose_output_was_too_large_is_run_again_as_a_whole() {
    // AWS: "the Parallel state is rerun, including the branches that were successful".
    let past = read(
        GUARDED,
        r#"1 0 ExecutionStarted 7
           2 0 ParallelStateEntered Fan <- 7
           3 2 ParallelStateStarted
           4 3 TaskStateEntered Pack <- 7
           5 3 TaskStateEntered Charge <- 7
           6 4 TaskStateExited Pack -> "parcel"
           7 5 TaskStateExited Charge -> "paid"
           8 7 ParallelStateFailed States.DataLimitExceeded
           9 8 ExecutionFailed States.DataLimitExceeded
           10 0 ExecutionRedriven
           11 2 ParallelStateStarted
           12 11 TaskStateEntered Charge <- 7
           13 0 ExecutionAborted"#,
    );
    let expected = r"
  Fan <- 7 open
    #1
      Charge <- 7 open
";
    assert_eq!(outline(&past), expected);
}

#[test]
fn a_fail_that_is_redriven_stands_where_it_stood() {
    let past = read(
        GUARDED,
        r"1 0 ExecutionStarted 7
           2 0 FailStateEntered Bad <- 7
           3 2 ExecutionFailed
           4 0 ExecutionRedriven
           5 2 ExecutionFailed",
    );
    assert_eq!(outline(&past), "\n  Bad <- 7 open\n");
    assert_eq!(past.failure.unwrap().places[0].path[0].state, "Bad");
}

#[test]
fn a_state_that_failed_without_an_attempt_was_not_caught_when_it_succeeds() {
    let past = read(
        GUARDED,
        r"1 0 ExecutionStarted 7
           2 0 ChoiceStateEntered Judge <- 7
           3 2 EvaluationFailed Judge
           4 3 ExecutionFailed States.QueryEvaluationError | no
           5 0 ExecutionRedriven
           6 2 ChoiceStateExited Judge -> 8
           7 6 FailStateEntered Bad <- 8
           8 7 ExecutionFailed",
    );
    assert_eq!(outline(&past), "\n  Judge <- 7 done 8\n  Bad <- 8 open\n");
    assert_eq!(past.failure.unwrap().places[0].handled, None);
}
