//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;
#[path = "../../../shared/tests/documents/states.rs"]
mod states;

use std::collections::BTreeSet;
use std::time::Duration;

use overlap_guard::error::Error;
use overlap_guard::guard::{CLONES_LISTED, PENDING_LIFE};
use overlap_guard::request::{Ask, Request};
use serde_json::json;
use signalbox::request::parse;

use documents::{listed_errors, sample_events};
use states::{request_of, states_of, states_to_paste};

const README: &str = include_str!("../README.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
const TEMPLATE: &str = include_str!("../../../template.yaml");
const EXAMPLE: &str = include_str!("../../../examples/orders-nightly/statemachine.asl.json");

const GUARD: &str = "One run at a time";

#[test]
fn every_error_is_listed_and_every_listed_one_exists() {
    let names = BTreeSet::from(Error::NAMES);
    for (document, text) in [("README.md", README), ("docs/errors.md", ERRORS)] {
        let mut listed = listed_errors(text, "OverlapGuard.");
        // What executions are stopped with is no answer.
        listed.remove("OverlapGuard.Cancelled");
        assert_eq!(listed, names, "{document}");
    }
}

#[test]
fn the_state_to_paste_is_the_examples_own() {
    let states = states_to_paste(README, GUARD);
    let [json_path, jsonata] = states.as_slice() else {
        panic!("two states to paste: {states:?}")
    };
    assert_eq!(*json_path, states_of(EXAMPLE)[GUARD]);
    for shared in ["Resource", "Retry", "TimeoutSeconds", "Next"] {
        assert_eq!(jsonata[shared], json_path[shared], "{shared}");
    }
}

#[test]
fn both_states_ask_what_the_function_understands() {
    let values = json!({
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:run-1",
        "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:orders",
        "enteredTime": "2026-01-31T04:00:12.345Z",
        "retryCount": 0,
        "redriveCount": 0,
    });
    for state in states_to_paste(README, GUARD) {
        let request = request_of(&state, &values);
        Ask::try_from(parse::<Request>(request).expect("known fields")).expect("a good request");
    }
}

#[test]
fn every_sample_event_is_listed_and_is_a_request() {
    for (name, event) in sample_events("overlap-guard", README) {
        let refusal = parse::<Request>(event)
            .and_then(Ask::try_from)
            .err()
            .map(|error| error.path().to_owned());
        let expected = match name.as_str() {
            "express.json" => Some("executionArn"),
            "unknown-field.json" => Some("polcy"),
            _ => None,
        };
        assert_eq!(refusal.as_deref(), expected, "{name}");
    }
}

#[test]
fn as_many_clones_are_listed_as_it_says() {
    let says = format!("one of the {CLONES_LISTED} clones of the pipeline");
    assert!(README.contains(&says), "{says}");
}

/// A pending claim is taken from its holder when no invocation of it can live any more.
#[test]
fn no_invocation_outlives_the_patience_with_its_claim() {
    let timeout = TEMPLATE.split("Timeout: ").nth(1).and_then(|rest| rest.lines().next());
    let timeout = Duration::from_secs(timeout.expect("a Timeout").parse().expect("seconds"));
    assert!(timeout < PENDING_LIFE, "{timeout:?}");
    let says = format!("is in the way for {} seconds", PENDING_LIFE.as_secs());
    assert!(README.contains(&says), "{says}");
}
