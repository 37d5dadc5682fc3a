//! Failures that were caught: failed at X, handled by Y, ended at Z.

use super::{LINE, failure, place, shown_blindly};
use crate::history::{Failed, Handled};

fn handled(by: &str, ended_at: &str, ended_event: i64) -> Handled {
    Handled {
        by: by.to_owned(),
        ended_at: ended_at.to_owned(),
        ended_event: Some(ended_event),
    }
}

fn blind(history: &str) -> Failed {
    failure(None, history).unwrap().places.remove(0)
}

const CAUGHT: &str = "
        2 0 TaskStateEntered First
        3 2 TaskScheduled
        4 3 TaskFailed Queue.Gone | for good
        5 4 TaskStateExited First
        6 5 TaskStateEntered Tell
        7 6 TaskScheduled
";

#[test]
fn leaving_a_state_by_a_catch_is_no_success() {
    let history = format!(
        "{CAUGHT}
        8 7 TaskSucceeded
        9 8 TaskStateExited Tell
        10 9 FailStateEntered Bad
        11 10 ExecutionFailed Bad.Luck"
    );
    for failed in [place(LINE, &history), blind(&history)] {
        assert_eq!(failed.path[0].state, "First");
        assert_eq!(
            (failed.error.as_deref(), failed.cause.as_deref()),
            (Some("Queue.Gone"), Some("for good"))
        );
        assert_eq!((failed.entered_event, failed.attempts), (Some(2), 1));
        assert_eq!(failed.handled, Some(handled("Tell", "Bad", 10)));
    }
}

#[test]
fn a_handler_that_fails_is_where_it_ended() {
    let history = format!(
        "{CAUGHT}
        8 7 TaskFailed Nobody.Listens
        9 8 ExecutionFailed Nobody.Listens"
    );
    for failed in [place(LINE, &history), blind(&history)] {
        assert_eq!(
            (failed.path[0].state.as_str(), failed.error.as_deref()),
            ("First", Some("Queue.Gone"))
        );
        assert_eq!(failed.handled, Some(handled("Tell", "Tell", 6)));
    }
}

#[test]
fn a_failure_long_after_one_that_was_overcome_stands_for_itself() {
    let text = LINE.replace(r#""Next": "Bad"},"#, r#""Next": "Second"},"#);
    let overcome = format!(
        "{CAUGHT}
        8 7 TaskSucceeded
        9 8 TaskStateExited Tell
        10 9 TaskStateEntered Second
        11 10 TaskScheduled"
    );
    let own = format!(
        "{overcome}
        12 11 TaskFailed Topic.Gone
        13 12 ExecutionFailed Topic.Gone"
    );
    let failed = place(&text, &own);
    assert_eq!((failed.path[0].state.as_str(), failed.handled), ("Second", None));
    let judged = format!(
        "{overcome}
        12 11 TaskSucceeded
        13 12 TaskStateExited Second
        14 13 ChoiceStateEntered Judge
        15 14 ChoiceStateExited Judge
        16 15 FailStateEntered Bad
        17 16 ExecutionFailed Bad.Luck"
    );
    let failed = place(&text, &judged);
    assert_eq!((failed.path[0].state.as_str(), failed.handled), ("Bad", None));
}

#[test]
fn a_catch_that_only_goes_on_does_not_take_the_blame() {
    let text = LINE.replace(r#""Next": "Tell"}]"#, r#""Next": "Second"}]"#);
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskScheduled
        4 3 TaskFailed Queue.Gone
        5 4 TaskStateExited First
        6 5 TaskStateEntered Second
        7 6 TaskScheduled
        8 7 TaskFailed Topic.Gone
        9 8 ExecutionFailed Topic.Gone";
    // Tell cannot be reached then, which AWS would refuse; nobody minds here.
    let failed = place(&text, history);
    assert_eq!((failed.path[0].state.as_str(), failed.handled), ("Second", None));
}

#[test]
fn clean_up_that_success_and_failure_share_leads_back_to_the_failure() {
    let text = LINE.replace(r#""Next": "Tell"}]"#, r#""Next": "Second"}]"#);
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskScheduled
        4 3 TaskFailed Queue.Gone
        5 4 TaskStateExited First
        6 5 TaskStateEntered Second
        7 6 TaskSucceeded
        8 7 TaskStateExited Second
        9 8 ChoiceStateEntered Judge
        10 9 ChoiceStateExited Judge
        11 10 FailStateEntered Bad
        12 11 ExecutionFailed Bad.Luck";
    let failed = place(&text, history);
    assert_eq!(
        (failed.path[0].state.as_str(), failed.handled),
        ("First", Some(handled("Second", "Bad", 11)))
    );
}

#[test]
fn of_attempts_in_a_loop_of_the_definition_the_last_counts() {
    let text = r#"{"StartAt": "Work", "States": {
        "Work": {"Type": "Task", "Resource": "f", "End": true, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Again"}]},
        "Again": {"Type": "Choice", "Choices": [{"Next": "Pause"}], "Default": "Bad"},
        "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Work"},
        "Bad": {"Type": "Fail"}}}"#;
    let history = "
        2 0 TaskStateEntered Work
        3 2 TaskFailed First.One
        4 3 TaskStateExited Work
        5 4 ChoiceStateEntered Again
        6 5 ChoiceStateExited Again
        7 6 WaitStateEntered Pause
        8 7 WaitStateExited Pause
        9 8 TaskStateEntered Work
        10 9 TaskFailed Second.One
        11 10 TaskStateExited Work
        12 11 ChoiceStateEntered Again
        13 12 ChoiceStateExited Again
        14 13 FailStateEntered Bad
        15 14 ExecutionFailed Bad.Luck";
    let failed = place(text, history);
    assert_eq!(
        (failed.entered_event, failed.error.as_deref()),
        (Some(9), Some("Second.One"))
    );
    assert_eq!(failed.handled, Some(handled("Again", "Bad", 14)));
}

#[test]
fn a_parallel_that_was_caught_failed_at_the_state_inside() {
    let history = "
        2 0 ParallelStateEntered Both
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Left
        5 3 TaskStateEntered Right
        6 5 TaskFailed Broken | inside
        7 6 TaskStateAborted
        8 6 ParallelStateFailed
        9 8 ParallelStateExited Both
        10 9 FailStateEntered Bad
        11 10 ExecutionFailed";
    let failed = blind(history);
    assert_eq!(failed.to_string(), r#"Parallel "Both" / Task "Right""#);
    assert_eq!(failed.cause.as_deref(), Some("inside"));
    assert_eq!(failed.handled, Some(handled("Bad", "Bad", 10)));
}

#[test]
fn a_failure_in_a_parallel_that_is_itself_a_handler_leads_back_to_what_it_handled() {
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskFailed Queue.Gone
        4 3 TaskStateExited First
        5 4 ParallelStateEntered Both
        6 5 ParallelStateStarted
        7 6 TaskStateEntered Left
        8 7 TaskFailed Broken
        9 8 ParallelStateFailed
        10 9 ExecutionFailed Broken";
    let failed = blind(history);
    assert_eq!(failed.path[0].state, "First");
    assert_eq!(failed.handled, Some(handled("Both", "Left", 7)));
}

#[test]
fn a_catch_is_seen_by_the_way_on_where_no_event_tells_of_the_failure() {
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskStateExited First
        4 3 TaskStateEntered Tell
        5 4 TaskStateExited Tell
        6 5 FailStateEntered Bad
        7 6 ExecutionFailed";
    let failed = place(LINE, history);
    assert_eq!(
        (failed.path[0].state.as_str(), failed.handled),
        ("First", Some(handled("Tell", "Bad", 6)))
    );
}

#[test]
fn a_fail_that_nothing_was_caught_before_is_the_failure() {
    let history = "
        2 0 TaskStateEntered First
        3 2 TaskScheduled
        4 3 TaskFailed Queue.Slow
        5 4 TaskScheduled
        6 5 TaskSucceeded
        7 6 TaskStateExited First
        8 7 FailStateEntered Bad
        9 8 ExecutionFailed";
    assert_eq!(shown_blindly(history), r#"Fail "Bad" <- 8"#);
    assert_eq!(blind(history).handled, None);
}
