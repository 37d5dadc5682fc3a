//! What the documents say is held to what the code does.

use std::collections::BTreeSet;
use std::time::Duration;

use overlap_guard::error::Error;
use overlap_guard::guard::PENDING_LIFE;
use overlap_guard::request::{Ask, Request};
use serde_json::{Value, json};
use signalbox::request::parse;

const README: &str = include_str!("../README.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
const TEMPLATE: &str = include_str!("../../../template.yaml");
const EXAMPLE: &str = include_str!("../../../examples/orders-nightly/statemachine.asl.json");

/// The names in the first column of the tables of a document.
fn first_column(document: &str) -> BTreeSet<&str> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

fn code_blocks(document: &str) -> Vec<Value> {
    let blocks = document
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    blocks
        .map(|block| serde_json::from_str(block).expect("a block of JSON"))
        .collect()
}

#[test]
fn every_error_is_listed_and_every_listed_one_exists() {
    let names = BTreeSet::from(Error::NAMES);
    for (document, text) in [("README.md", README), ("docs/errors.md", ERRORS)] {
        let listed: BTreeSet<&str> = first_column(text)
            .into_iter()
            .filter(|name| name.starts_with("OverlapGuard."))
            .collect();
        let listed: BTreeSet<&str> = listed
            .difference(&BTreeSet::from(["OverlapGuard.Cancelled"]))
            .copied()
            .collect();
        assert_eq!(listed, names, "{document}");
    }
}

#[test]
fn the_state_to_paste_is_the_examples_own() {
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    let states: Vec<Value> = code_blocks(README)
        .into_iter()
        .filter_map(|block| block.get("One run at a time").cloned())
        .collect();
    let [json_path, jsonata] = states.as_slice() else {
        panic!("two states to paste: {states:?}")
    };
    assert_eq!(*json_path, example["States"]["One run at a time"]);
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
    for block in code_blocks(README) {
        let Some(state) = block.get("One run at a time") else {
            continue;
        };
        let arguments = state.get("Parameters").or(state.get("Arguments")).expect("arguments");
        let payload = arguments["Payload"].as_object().expect("an object");
        let request: serde_json::Map<String, Value> = payload
            .keys()
            .map(|key| key.trim_end_matches(".$"))
            .map(|field| (field.to_owned(), values[field].clone()))
            .collect();
        Ask::try_from(parse::<Request>(Value::Object(request)).expect("known fields")).expect("a good request");
    }
}

#[test]
fn every_sample_event_is_listed_and_is_a_request() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/overlap-guard");
    let mut files = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
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
        files.insert(name);
    }
    let listed: BTreeSet<String> = first_column(README)
        .into_iter()
        .filter(|name| name.contains(".json"))
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, files);
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
