//! Branches and iterations: finished, failed, open, and never begun.

use signalbox::history::Ended;

use super::ORDERS;
use super::notation::{chain, outline, read};
use crate::past::Inside;

#[test]
fn a_finished_branch_has_its_output_and_the_others_stand_where_they_stood() {
    let past = read(
        ORDERS,
        r#"1 0 ExecutionStarted [7]
           2 0 PassStateEntered Prepare <- [7]
           3 2 PassStateExited Prepare -> [7]
           4 3 MapStateEntered Orders <- [7]
           5 4 MapStateStarted 1
           6 5 MapIterationStarted Orders 0
           7 6 ParallelStateEntered Fan <- 7
           8 7 ParallelStateStarted
           9 8 TaskStateEntered Pack <- 7
           10 8 TaskStateEntered Charge <- 7
           11 9 TaskStateExited Pack -> "box"
           12 11 PassStateEntered Label <- "box"
           13 12 PassStateExited Label -> "parcel"
           14 10 TaskFailed Card.Declined
           15 14 ParallelStateFailed
           16 15 MapIterationFailed Orders 0
           17 15 MapStateFailed
           18 17 ExecutionFailed Card.Declined"#,
    );
    let expected = r#"
  Prepare <- [7] done [7]
  Orders <- [7] open
    of 1
    #0
      Fan <- 7 open
        #0 -> "parcel"
        #1
          Charge <- 7 open
"#;
    assert_eq!(outline(&past), expected);
    let Inside::Map { iterations, .. } = &past.top.visits["Orders"].inside else {
        panic!("a Map");
    };
    let Inside::Parallel(branches) = &iterations[&0].visits["Fan"].inside else {
        panic!("a Parallel");
    };
    assert_eq!(branches[&1].current.as_deref(), Some("Charge"));
    assert!(branches[&0].visits.is_empty());
}

/// With two at a time, the third follows the one that made room for it.
pub(super) const THREE: &str = r#"1 0 ExecutionStarted [0,1,2,3]
    2 0 PassStateEntered Prepare <- [0,1,2,3]
    3 2 PassStateExited Prepare -> [0,1,2,3]
    4 3 MapStateEntered Orders <- [0,1,2,3]
    5 4 MapStateStarted 4
    6 5 MapIterationStarted Orders 0
    7 5 MapIterationStarted Orders 1
    8 6 ParallelStateEntered Fan <- 0
    9 7 ParallelStateEntered Fan <- 1
    10 9 ParallelStateExited Fan -> "fan 1"
    11 10 WaitStateEntered HandOver <- "fan 1"
    12 11 WaitStateExited HandOver -> "order 1"
    13 12 MapIterationSucceeded Orders 1
    14 12 MapIterationStarted Orders 2
    15 14 ParallelStateEntered Fan <- 2
    16 15 ParallelStateStarted
    17 16 TaskStateEntered Pack <- 2
    18 16 TaskStateEntered Charge <- 2"#;

#[test]
fn iterations_are_told_apart_whatever_they_follow() {
    let past = read(ORDERS, &format!("{THREE}\n19 0 ExecutionTimedOut States.Timeout"));
    let expected = r#"
  Prepare <- [0,1,2,3] done [0,1,2,3]
  Orders <- [0,1,2,3] open
    of 4
    #0
      Fan <- 0 open
    #1 -> "order 1"
    #2
      Fan <- 2 open
        #0
          Pack <- 2 open
        #1
          Charge <- 2 open
"#;
    assert_eq!(outline(&past), expected);
    let failure = past.failure.unwrap();
    assert_eq!(failure.ended, Ended::TimedOut);
    let places: Vec<String> = failure.places.iter().map(ToString::to_string).collect();
    let expected = [
        r#"Map "Orders"[0] / Parallel "Fan""#,
        r##"Map "Orders"[2] / Parallel "Fan"#0 / Task "Pack""##,
        r##"Map "Orders"[2] / Parallel "Fan"#1 / Task "Charge""##,
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_map_that_succeeded_keeps_its_output_alone() {
    let past = read(
        ORDERS,
        &format!(
            "{THREE}
            19 17 TaskStateExited Pack -> 1
            20 18 TaskStateExited Charge -> 2
            21 20 MapStateExited Orders -> [\"all\"]
            22 21 SucceedStateEntered Report <- [\"all\"]
            23 0 ExecutionAborted"
        ),
    );
    let expected = r#"
  Prepare <- [0,1,2,3] done [0,1,2,3]
  Orders <- [0,1,2,3] done ["all"]
  Report <- ["all"] open
"#;
    assert_eq!(outline(&past), expected);
}

#[test]
fn an_iteration_that_began_and_entered_nothing_is_as_one_that_did_not_begin() {
    let past = read(
        ORDERS,
        "4 0 MapStateEntered Orders <- [0]
         5 4 MapStateStarted 1
         6 5 MapIterationStarted Orders 0
         7 0 ExecutionAborted",
    );
    assert_eq!(outline(&past), "\n  Orders <- [0] open\n    of 1\n");
}

const RETRIED: &str = r#"1 0 ExecutionStarted [7]
    4 0 MapStateEntered Orders <- [7]
    5 4 MapStateStarted 1
    6 5 MapIterationStarted Orders 0
    7 6 ParallelStateEntered Fan <- 7
    8 7 ParallelStateStarted
    9 8 TaskStateEntered Pack <- 7
    10 8 TaskStateEntered Charge <- 7
    11 9 TaskStateExited Pack -> "box"
    12 11 PassStateEntered Label <- "box"
    13 12 PassStateExited Label -> "parcel"
    14 10 TaskFailed Card.Declined"#;

#[test]
fn what_a_container_did_before_it_was_retried_is_void() {
    let parallel = format!(
        "{RETRIED}
        15 14 ParallelStateStarted
        16 15 TaskStateEntered Pack <- 7
        17 0 ExecutionAborted"
    );
    let expected = r"
  Orders <- [7] open
    of 1
    #0
      Fan <- 7 open
        #0
          Pack <- 7 open
";
    assert_eq!(outline(&read(ORDERS, &parallel)), expected);
    let map = format!(
        "{RETRIED}
        15 14 ParallelStateFailed
        16 15 MapIterationFailed Orders 0
        17 15 MapStateStarted 2
        18 17 MapIterationStarted Orders 1
        19 18 ParallelStateEntered Fan <- 8
        20 0 ExecutionAborted"
    );
    let expected = r"
  Orders <- [7] open
    of 2
    #1
      Fan <- 8 open
";
    assert_eq!(outline(&read(ORDERS, &map)), expected);
}

#[test]
fn a_container_that_is_tried_again_and_has_not_begun_yet_has_nothing_in_it() {
    let past = read(
        ORDERS,
        &format!("{RETRIED}\n15 14 ParallelStateStarted\n16 0 ExecutionAborted"),
    );
    let expected = "
  Orders <- [7] open
    of 1
    #0
      Fan <- 7 open
";
    assert_eq!(outline(&past), expected);
}

const NESTED: &str = r#"{
  "StartAt": "Outer",
  "States": {"Outer": {"Type": "Parallel", "End": true, "Branches": [
    {"StartAt": "Days", "States": {"Days": {"Type": "Map", "End": true, "ItemProcessor": {
      "StartAt": "Hours", "States": {"Hours": {"Type": "Map", "Next": "Sum", "Iterator": {
        "StartAt": "Hour", "States": {"Hour": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}}},
        "Sum": {"Type": "Pass", "End": true}}}}}},
    {"StartAt": "Note", "States": {"Note": {"Type": "Succeed"}}}]}}
}"#;

#[test]
fn maps_in_maps_in_a_parallel_are_told_apart() {
    let past = read(
        NESTED,
        r#"1 0 ExecutionStarted {}
           2 0 ParallelStateEntered Outer <- {}
           3 2 ParallelStateStarted
           4 3 MapStateEntered Days <- {}
           5 3 SucceedStateEntered Note <- {}
           6 5 SucceedStateExited Note -> "noted"
           7 4 MapStateStarted 2
           8 7 MapIterationStarted Days 0
           9 7 MapIterationStarted Days 1
           10 8 MapStateEntered Hours <- "mon"
           11 9 MapStateEntered Hours <- "tue"
           12 10 MapStateStarted 2
           13 11 MapStateStarted 3
           14 12 MapIterationStarted Hours 0
           15 13 MapIterationStarted Hours 1
           16 14 TaskStateEntered Hour <- "mon 0"
           17 15 TaskStateEntered Hour <- "tue 1"
           18 17 TaskStateExited Hour -> "done: tue 1"
           19 18 MapIterationSucceeded Hours 1
           20 18 MapIterationStarted Hours 2
           21 20 TaskStateEntered Hour <- "tue 2"
           22 16 TaskStateExited Hour -> "done: mon 0"
           23 22 MapIterationSucceeded Hours 0
           24 22 MapStateSucceeded
           25 22 MapStateExited Hours -> ["mon"]
           26 25 PassStateEntered Sum <- ["mon"]
           27 21 TaskFailed Hour.Lost
           28 27 MapIterationFailed Hours 2
           29 27 MapStateFailed
           30 29 MapIterationFailed Days 1
           31 29 MapStateFailed
           32 31 ParallelStateFailed
           33 32 ExecutionFailed Hour.Lost"#,
    );
    let expected = r#"
  Outer <- {} open
    #0
      Days <- {} open
        of 2
        #0
          Hours <- "mon" done ["mon"]
          Sum <- ["mon"] open
        #1
          Hours <- "tue" open
            of 3
            #1 -> "done: tue 1"
            #2
              Hour <- "tue 2" open
    #1 -> "noted"
"#;
    assert_eq!(outline(&past), expected);
    let place = past.failure.unwrap().places[0].to_string();
    assert_eq!(
        place,
        r##"Parallel "Outer"#0 / Map "Days"[1] / Map "Hours"[2] / Task "Hour""##
    );
}

#[test]
fn a_loop_around_a_map_keeps_its_last_turn() {
    let text = ORDERS.replace(r#""Next": "Report""#, r#""Next": "Prepare""#);
    let first = [
        r#"MapStateEntered Orders <- "first""#,
        "MapStateStarted 1",
        "MapIterationStarted Orders 0",
        r#"ParallelStateEntered Fan <- "first""#,
        "ParallelStateExited Fan -> 0",
        "WaitStateEntered HandOver <- 0",
        "WaitStateExited HandOver -> 0",
        "MapIterationSucceeded Orders 0",
    ];
    let second = [
        "MapStateExited Orders -> [0]",
        "PassStateEntered Prepare <- [0]",
        "PassStateExited Prepare -> [0]",
        r#"MapStateEntered Orders <- "second""#,
        "MapStateStarted 1",
        "MapIterationStarted Orders 0",
        r#"ParallelStateEntered Fan <- "second""#,
    ];
    let history = chain(4, 0, &first) + &chain(12, 10, &second) + "19 0 ExecutionAborted";
    let expected = r#"
  Prepare <- [0] done [0]
  Orders <- "second" open
    of 1
    #0
      Fan <- "second" open
"#;
    assert_eq!(outline(&read(&text, &history)), expected);
}

#[test]
fn children_of_a_distributed_map_are_elsewhere() {
    let text = ORDERS.replace(
        r#""ItemProcessor": {"#,
        r#""ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "#,
    );
    let past = read(
        &text,
        "4 0 MapStateEntered Orders <- []
         5 4 MapStateStarted 1000
         6 5 MapRunStarted
         7 6 MapRunFailed Too.Many
         8 7 MapStateFailed
         9 8 ExecutionFailed Too.Many",
    );
    assert_eq!(outline(&past), "\n  Orders <- [] open\n    of 1000\n");
    assert_eq!(past.top.visits["Orders"].task, None);
}
