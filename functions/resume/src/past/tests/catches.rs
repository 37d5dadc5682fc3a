//! States that were left by a Catch.

use super::GUARDED;
use super::notation::{outline, read};

const FAILED: &str = r#"1 0 ExecutionStarted 7
    2 0 ParallelStateEntered Fan <- 7
    3 2 ParallelStateStarted
    4 3 TaskStateEntered Pack <- 7
    5 3 TaskStateEntered Charge <- 7
    6 4 TaskStateExited Pack -> "parcel"
    7 5 TaskFailed Card.Declined"#;

const INSIDE: &str = r#"
    #0 -> "parcel"
    #1
      Charge <- 7 open
"#;

#[test]
fn what_stands_in_a_parallel_that_was_caught_is_kept() {
    let past = read(
        GUARDED,
        &format!(
            r#"{FAILED}
            8 7 ParallelStateFailed
            9 8 ParallelStateExited Fan -> {{"Error":"Card.Declined"}}
            10 9 TaskStateEntered Tell <- {{"Error":"Card.Declined"}}
            11 10 TaskStateExited Tell -> {{}}
            12 11 ChoiceStateEntered Judge <- {{}}
            13 12 ChoiceStateExited Judge -> {{}}
            14 13 FailStateEntered Bad <- {{}}
            15 14 ExecutionFailed Bad"#
        ),
    );
    let expected = format!(
        r#"
  Fan <- 7 caught {{"Error":"Card.Declined"}}{INSIDE}  Tell <- {{"Error":"Card.Declined"}} done {{}}
  Judge <- {{}} done {{}}
  Bad <- {{}} open
"#
    );
    assert_eq!(outline(&past), expected);
    assert_eq!(past.top.output, None);
    let place = &past.failure.as_ref().unwrap().places[0];
    assert_eq!(place.to_string(), r##"Parallel "Fan"#1 / Task "Charge""##);
    assert_eq!(place.handled.as_ref().unwrap().by, "Tell");
}

#[test]
fn a_catch_that_left_no_event_of_the_failure_is_told_by_where_it_led() {
    let exited = format!("{FAILED}\n9 7 ParallelStateExited Fan -> {{}}");
    let past = read(
        GUARDED,
        &format!("{exited}\n10 9 TaskStateEntered Tell <- {{}}\n11 0 ExecutionAborted"),
    );
    let expected = format!("\n  Fan <- 7 caught {{}}{INSIDE}  Tell <- {{}} open\n");
    assert_eq!(outline(&past), expected);
    // And by nothing else.
    let past = read(
        GUARDED,
        &format!("{exited}\n10 9 SucceedStateEntered Good <- {{}}\n11 0 ExecutionAborted"),
    );
    assert_eq!(outline(&past), "\n  Fan <- 7 done {}\n  Good <- {} open\n");
}

#[test]
fn a_parallel_that_is_entered_again_after_its_catch_begins_anew() {
    let past = read(
        GUARDED,
        &format!(
            r#"{FAILED}
            8 7 ParallelStateFailed
            9 8 ParallelStateExited Fan -> {{}}
            10 9 TaskStateEntered Tell <- {{}}
            11 10 TaskStateExited Tell -> {{"again":true}}
            12 11 ChoiceStateEntered Judge <- {{"again":true}}
            13 12 ChoiceStateExited Judge -> 8
            14 13 ParallelStateEntered Fan <- 8
            15 14 ParallelStateStarted
            16 15 TaskStateEntered Pack <- 8
            17 0 ExecutionAborted"#
        ),
    );
    let expected = r#"
  Tell <- {} done {"again":true}
  Judge <- {"again":true} done 8
  Fan <- 8 open
    #0
      Pack <- 8 open
"#;
    assert_eq!(outline(&past), expected);
}

#[test]
fn a_last_state_that_was_caught_ends_nothing() {
    let caught = r"1 0 ExecutionStarted 7
        2 0 ParallelStateEntered Fan <- 7
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack <- 7
        5 3 TaskStateEntered Charge <- 7";
    for failed in ["6 4 TaskFailed Box.Gone", ""] {
        let history = format!(
            r#"{caught}
            {failed}
            7 4 TaskStateExited Pack -> {{"Error":"Box.Gone"}} ; why = "gone"
            8 7 PassStateEntered Unpack <- {{"Error":"Box.Gone"}}"#
        );
        let past = read(GUARDED, &format!("{history}\n10 0 ExecutionAborted"));
        let expected = r#"
  Fan <- 7 open
    #0 why="gone"
      Pack <- 7 caught {"Error":"Box.Gone"}
      Unpack <- {"Error":"Box.Gone"} why="gone" open
    #1
      Charge <- 7 open
"#;
        assert_eq!(outline(&past), expected, "{failed}");
        // What the Catch led to does.
        let past = read(
            GUARDED,
            &format!("{history}\n9 8 PassStateExited Unpack -> \"flat\"\n10 0 ExecutionAborted"),
        );
        let expected = r#"
  Fan <- 7 open
    #0 -> "flat"
    #1
      Charge <- 7 open
"#;
        assert_eq!(outline(&past), expected, "{failed}");
    }
}

#[test]
fn a_last_state_that_was_just_caught_has_ended_nothing_yet() {
    let past = read(
        GUARDED,
        "2 0 ParallelStateEntered Fan <- 7
         3 2 ParallelStateStarted
         4 3 TaskStateEntered Pack <- 7
         5 4 TaskFailed Box.Gone
         6 5 TaskStateExited Pack -> {}
         7 0 ExecutionAborted",
    );
    let expected = "\n  Fan <- 7 open\n    #0\n      Pack <- 7 caught {}\n";
    assert_eq!(outline(&past), expected);
}
