//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;
#[path = "../../../shared/tests/documents/states.rs"]
mod states;

use std::collections::BTreeSet;

use lock_acquire::request::{Ask, QUEUE_MOST, Request, WAIT_SECONDS_MOST};
use serde_json::{Value, json};
use signalbox::lock::Error;
use signalbox::request::{BadRequest, parse};

use documents::{listed_errors, sample_events};
use states::{arguments, request_of, states_of, states_to_paste};

const README: &str = include_str!("../README.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
const IMPORT: &str = include_str!("../../../examples/warehouse/stock-import.asl.json");
const REPORT: &str = include_str!("../../../examples/warehouse/stock-report.asl.json");
const COUNT: &str = include_str!("../../../examples/warehouse/stock-count.asl.json");

fn read(payload: Value) -> Result<Ask, BadRequest> {
    parse::<Request>(payload).and_then(|request| Ask::read(&request, true))
}

#[test]
fn every_error_is_listed_and_every_listed_one_exists() {
    let (failed, sent) = (BTreeSet::from(Error::NAMES), BTreeSet::from(Error::SENT));
    assert_eq!(listed_errors(README, "Lock."), &failed | &sent, "README.md");
    let (functions, others) = ERRORS.split_once("| error | on |").expect("two tables");
    assert_eq!(listed_errors(functions, "Lock."), failed, "docs/errors.md, functions");
    assert_eq!(
        listed_errors(others, "Lock."),
        sent,
        "docs/errors.md, tasks and executions"
    );
}

#[test]
fn the_states_to_paste_are_the_examples_own() {
    for (name, examples) in [
        ("Take the warehouse", vec![IMPORT, REPORT]),
        ("Is the warehouse ours?", vec![COUNT]),
    ] {
        let expected: Vec<Value> = examples
            .iter()
            .map(|example| states_of(example)[name].clone())
            .collect();
        assert!(expected.iter().all(Value::is_object), "{name}");
        assert_eq!(states_to_paste(README, name), expected, "{name}");
    }
}

#[test]
fn the_states_ask_what_the_function_understands() {
    let values = json!({
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:run-1",
        "taskToken": "AQC8AAAA",
        "enteredTime": "2026-01-31T04:00:12.345Z",
        "retryCount": 0,
        "redriveCount": 0,
    });
    for (name, asserts) in [("Take the warehouse", false), ("Is the warehouse ours?", true)] {
        for state in states_to_paste(README, name) {
            // As the fields of the context object go by the same name everywhere, an example cannot mix them up unseen.
            let text = arguments(&state).to_string();
            for path in ["Task.Token", "State.EnteredTime", "State.RetryCount"] {
                assert!(text.contains(path), "{path}: {text}");
            }
            let ask = read(request_of(&state, &values)).expect("a good request");
            assert_eq!(matches!(ask, Ask::Assert { .. }), asserts, "{ask:?}");
        }
    }
}

#[test]
fn every_sample_event_is_listed_and_is_a_request() {
    for (name, event) in sample_events("lock-acquire", README) {
        let refusal = read(event).err().map(|error| error.path().to_owned());
        let expected = match name.as_str() {
            "bad-priority.json" => Some("priority"),
            "unknown-field.json" => Some("maxWait"),
            _ => None,
        };
        assert_eq!(refusal.as_deref(), expected, "{name}");
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    for says in [
        format!("| `maxQueue` | | 0 to {QUEUE_MOST}:"),
        format!("| `maxWaitSeconds` | | 1 to {WAIT_SECONDS_MOST}:"),
    ] {
        assert!(README.contains(&says), "{says}");
    }
}
