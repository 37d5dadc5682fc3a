//! What the documents say is held to what the code does.

use std::collections::BTreeSet;

use lock_release::events::Change;
use lock_release::request::Call;
use serde_json::{Map, Value, json};
use signalbox::lock::Error;
use signalbox::lock::sweep::Swept;

const README: &str = include_str!("../README.md");
const IMPORT: &str = include_str!("../../../examples/warehouse/stock-import.asl.json");
const REPORT: &str = include_str!("../../../examples/warehouse/stock-report.asl.json");

const GIVES_BACK: &str = "Give the warehouse back";

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

fn states(definition: &str) -> Value {
    let definition: Value = serde_json::from_str(definition).expect("JSON");
    definition["States"].clone()
}

fn states_to_paste() -> Vec<Value> {
    code_blocks(README)
        .iter()
        .filter_map(|block| block.get(GIVES_BACK).cloned())
        .collect()
}

#[test]
fn every_listed_error_exists() {
    let listed: BTreeSet<&str> = first_column(README)
        .into_iter()
        .filter(|name| name.starts_with("Lock."))
        .collect();
    let expected = BTreeSet::from(["Lock.AccessDenied", "Lock.BadRequest", "Lock.Unavailable"]);
    assert_eq!(listed, expected);
    assert!(listed.is_subset(&BTreeSet::from(Error::NAMES)));
}

#[test]
fn the_states_to_paste_are_the_examples_own() {
    let expected = [IMPORT, REPORT].map(|example| states(example)[GIVES_BACK].clone());
    assert!(expected.iter().all(Value::is_object));
    assert_eq!(states_to_paste(), expected);
}

#[test]
fn both_states_ask_what_the_function_understands() {
    let values = json!({
        "lock": "warehouse",
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:run-1",
        "enteredTime": "2026-01-31T04:00:12.345Z",
    });
    for state in states_to_paste() {
        let arguments = state.get("Parameters").or(state.get("Arguments")).expect("arguments");
        let payload = arguments["Payload"].as_object().expect("an object");
        let request: Map<String, Value> = payload
            .keys()
            .map(|key| key.trim_end_matches(".$"))
            .map(|field| (field.to_owned(), values[field].clone()))
            .collect();
        let call = Call::read(Value::Object(request)).expect("a good request");
        assert!(matches!(call, Call::Release(_)), "{call:?}");
    }
}

/// A failure of the work ends in a Fail, after the release: redriven it fails again, without any work.
#[test]
fn the_examples_work_cannot_be_redriven_without_the_lock() {
    let states = states(IMPORT);
    let work = &states["With the warehouse"];
    assert_eq!(work["Type"], "Parallel");
    let caught = &work["Catch"][0];
    assert_eq!(caught["ErrorEquals"], json!(["States.ALL"]));
    let release = &states[caught["Next"].as_str().expect("a state")];
    for field in ["Resource", "Parameters", "Retry", "TimeoutSeconds"] {
        assert_eq!(release[field], states[GIVES_BACK][field], "{field}");
    }
    for next in [&release["Next"], &release["Catch"][0]["Next"]] {
        assert_eq!(states[next.as_str().expect("a state")]["Type"], "Fail");
    }
}

#[test]
fn every_sample_event_is_listed_and_is_a_call() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/lock-release");
    let mut files = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let call = match Call::read(event) {
            Ok(Call::Release(_)) => "a release",
            Ok(Call::Sweep) => "a sweep",
            Ok(Call::Event(event)) => {
                let change = Change::read(&event).expect("an event");
                change.map_or("nothing", |change| change.kind.name())
            }
            Ok(Call::Batch(batch)) => {
                let bodies = batch.records.iter().filter_map(|record| record.body.as_deref());
                let read = bodies.map(|body| serde_json::from_str(body).map(|event: Value| Change::read(&event)));
                let good: Vec<bool> = read.map(|event| matches!(event, Ok(Ok(_)))).collect();
                assert_eq!(good, [true, true, false], "{name}");
                "a batch"
            }
            Err(error) => {
                assert_eq!(error.path(), "taskToken", "{name}");
                "a mistake"
            }
        };
        let expected = match name.as_str() {
            "release.json" | "late-release.json" | "not-holding.json" => "a release",
            "ended.json" => "ended",
            "redriven.json" => "redriven",
            "started.json" => "nothing",
            "batch.json" => "a batch",
            "schedule.json" | "sweep.json" => "a sweep",
            "unknown-field.json" => "a mistake",
            _ => "listed here",
        };
        assert_eq!(call, expected, "{name}");
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
fn what_a_sweep_answers_is_what_it_says() {
    let swept = serde_json::to_value(Swept::default()).unwrap();
    let fields: BTreeSet<&str> = swept.as_object().unwrap().keys().map(String::as_str).collect();
    let shown = code_blocks(README)
        .into_iter()
        .find(|block| block.get("overdue").is_some())
        .expect("a sweep's answer");
    let shown: BTreeSet<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(shown, fields);
    assert!(first_column(README).is_superset(&fields), "{fields:?}");
}
