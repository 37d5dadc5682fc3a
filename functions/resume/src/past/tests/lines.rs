//! States that follow each other, once and again.

use signalbox::clock::Timestamp;
use signalbox::history::Ended;

use super::notation::{outline, read};
use crate::past::Left;

pub(super) const POLL: &str = r#"{
  "StartAt": "Poll",
  "States": {
    "Poll": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Ready"},
    "Ready": {"Type": "Choice", "Choices": [{"Variable": "$.ready", "BooleanEquals": true, "Next": "Done"}], "Default": "Rest"},
    "Rest": {"Type": "Wait", "Seconds": 60, "Next": "Poll"},
    "Done": {"Type": "Pass", "End": true}
  }
}"#;

#[test]
fn texts_are_kept_to_the_last_character() {
    let odd = r#"{ "a": -0.0,"b":1e400,  "key.$":"{% 'x' %}","é":"\u00e9\ud83d\ude00","n":18446744073709551615 }"#;
    let history = format!(
        "1 0 ExecutionStarted {odd}
         2 0 TaskStateEntered Poll <- {odd}
         3 2 TaskScheduled lambda:invoke {odd}
         4 3 TaskSubmitted {odd}
         5 4 TaskSucceeded {odd}
         6 5 TaskStateExited Poll -> {odd} ; x = {odd}
         7 6 ChoiceStateEntered Ready <- {odd}
         8 0 ExecutionAborted"
    );
    let past = read(POLL, &history);
    let poll = &past.top.visits["Poll"];
    let task = poll.task.as_ref().unwrap();
    for text in [
        past.input.as_ref(),
        poll.input.as_ref(),
        poll.result.as_ref(),
        task.parameters.as_ref(),
        task.submitted.as_ref(),
        past.top.visits["Ready"].variables.get("x"),
    ] {
        assert_eq!(text.map(|text| &**text), Some(odd));
    }
    assert_eq!(poll.left, Left::Done(Some(odd.into())));
}

#[test]
fn a_visit_knows_its_entry_and_the_execution_its_end() {
    let past = read(
        POLL,
        "1 0 ExecutionStarted {}
         2 0 TaskStateEntered Poll <- {}
         3 2 TaskScheduled lambda:invoke {}
         4 3 TaskFailed Poll.Broken | out of order
         5 4 ExecutionFailed Poll.Broken | out of order",
    );
    let poll = &past.top.visits["Poll"];
    assert_eq!(
        (poll.entered_event, poll.entered, poll.attempts),
        (Some(2), Some(Timestamp::from_millis(1_700_000_002_000)), 1)
    );
    assert!(poll.is_open());
    assert_eq!(past.top.current.as_deref(), Some("Poll"));
    assert_eq!((past.events, past.last_event, past.redrives), (5, 5, 0));
    let failure = past.failure.unwrap();
    assert_eq!(
        (failure.ended, failure.places[0].path[0].state.as_str()),
        (Ended::Failed, "Poll")
    );
}

#[test]
fn the_last_visit_of_a_state_stands_for_it() {
    let past = read(
        POLL,
        r#"1 0 ExecutionStarted {}
           2 0 TaskStateEntered Poll <- {"n":0}
           3 2 TaskScheduled lambda:invoke {"n":0}
           4 3 TaskSucceeded {"n":1}
           5 4 TaskStateExited Poll -> {"n":1}
           6 5 ChoiceStateEntered Ready <- {"n":1}
           7 6 ChoiceStateExited Ready -> {"n":1}
           8 7 WaitStateEntered Rest <- {"n":1}
           9 8 WaitStateExited Rest -> {"n":1}
           10 9 TaskStateEntered Poll <- {"n":1}
           11 10 TaskScheduled lambda:invoke {"n":1}
           12 0 ExecutionTimedOut States.Timeout"#,
    );
    let expected = r#"
  Ready <- {"n":1} done {"n":1}
  Rest <- {"n":1} done {"n":1}
  Poll <- {"n":1} open
"#;
    assert_eq!(outline(&past), expected);
    let poll = &past.top.visits["Poll"];
    assert_eq!((poll.entered_event, &poll.result), (Some(10), &None));
    let parameters = poll.task.as_ref().unwrap().parameters.as_deref();
    assert_eq!(parameters, Some(r#"{"n":1}"#));
}

#[test]
fn only_the_last_state_gives_the_output() {
    let before = r#"1 0 ExecutionStarted {}
         2 0 TaskStateEntered Poll <- {}
         3 2 TaskStateExited Poll -> {"ready":true}
         4 3 ChoiceStateEntered Ready <- {"ready":true}
         5 4 ChoiceStateExited Ready -> {"ready":true}
         6 5 PassStateEntered Done <- {"ready":true}"#;
    assert_eq!(read(POLL, before).top.output, None);
    let whole = format!(
        "{before}
         7 6 PassStateExited Done -> [1]
         8 7 ExecutionSucceeded"
    );
    let past = read(POLL, &whole);
    assert_eq!((past.top.output.as_deref(), past.failure), (Some("[1]"), None));
    assert_eq!(past.top.visits.len(), 3);
}

#[test]
fn a_history_without_data_tells_what_was_entered() {
    let past = read(
        POLL,
        "1 0 ExecutionStarted {}
         2 0 TaskStateEntered Poll
         3 2 TaskStateExited Poll
         4 3 ChoiceStateEntered Ready
         5 0 ExecutionAborted",
    );
    assert_eq!(outline(&past), "\n  Poll <- ? done ?\n  Ready <- ? open\n");
}
