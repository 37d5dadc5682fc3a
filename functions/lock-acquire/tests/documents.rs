//! What the documents say is held to what the code does.

use std::collections::BTreeSet;

use lock_acquire::request::{Ask, QUEUE_MOST, Request, WAIT_SECONDS_MOST};
use serde_json::{Map, Value, json};
use signalbox::lock::Error;
use signalbox::request::{BadRequest, parse};

const README: &str = include_str!("../README.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
const IMPORT: &str = include_str!("../../../examples/warehouse/stock-import.asl.json");
const REPORT: &str = include_str!("../../../examples/warehouse/stock-report.asl.json");
const COUNT: &str = include_str!("../../../examples/warehouse/stock-count.asl.json");

/// The names in the first column of the tables of a document.
fn first_column(document: &str) -> BTreeSet<&str> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

/// The states of this name that a document has for pasting.
fn states_to_paste(document: &str, name: &str) -> Vec<Value> {
    let blocks = document
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    blocks
        .filter_map(|block| {
            let block: Value = serde_json::from_str(block).expect("a block of JSON");
            block.get(name).cloned()
        })
        .collect()
}

fn state(definition: &str, name: &str) -> Value {
    let definition: Value = serde_json::from_str(definition).expect("JSON");
    definition["States"][name].clone()
}

fn read(payload: Value) -> Result<Ask, BadRequest> {
    parse::<Request>(payload).and_then(|request| Ask::read(&request, true))
}

#[test]
fn every_error_is_listed_and_every_listed_one_exists() {
    let of_the_lock = |names: BTreeSet<&'static str>| -> BTreeSet<&str> {
        names.into_iter().filter(|name| name.starts_with("Lock.")).collect()
    };
    let (failed, sent) = (BTreeSet::from(Error::NAMES), BTreeSet::from(Error::SENT));
    assert_eq!(of_the_lock(first_column(README)), &failed | &sent, "README.md");
    let (functions, others) = ERRORS.split_once("| error | on |").expect("two tables");
    assert_eq!(
        of_the_lock(first_column(functions)),
        failed,
        "docs/errors.md, functions"
    );
    assert_eq!(
        of_the_lock(first_column(others)),
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
        let expected: Vec<Value> = examples.iter().map(|example| state(example, name)).collect();
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
            let arguments = state.get("Parameters").or(state.get("Arguments")).expect("arguments");
            let payload = arguments["Payload"].as_object().expect("an object");
            let request: Map<String, Value> = payload
                .iter()
                .map(|(key, literal)| {
                    let field = key.trim_end_matches(".$");
                    (field.to_owned(), values.get(field).unwrap_or(literal).clone())
                })
                .collect();
            // As the fields of the context object go by the same name everywhere, an example cannot mix them up unseen.
            let text = arguments.to_string();
            for path in ["Task.Token", "State.EnteredTime", "State.RetryCount"] {
                assert!(text.contains(path), "{path}: {text}");
            }
            let ask = read(Value::Object(request)).expect("a good request");
            assert_eq!(matches!(ask, Ask::Assert { .. }), asserts, "{ask:?}");
        }
    }
}

#[test]
fn every_sample_event_is_listed_and_is_a_request() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/lock-acquire");
    let mut files = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let refusal = read(event).err().map(|error| error.path().to_owned());
        let expected = match name.as_str() {
            "bad-priority.json" => Some("priority"),
            "unknown-field.json" => Some("maxWait"),
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

#[test]
fn the_limits_are_those_of_the_code() {
    for says in [
        format!("| `maxQueue` | | 0 to {QUEUE_MOST}:"),
        format!("| `maxWaitSeconds` | | 1 to {WAIT_SECONDS_MOST}:"),
    ] {
        assert!(README.contains(&says), "{says}");
    }
}
