//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;
#[path = "../../../shared/tests/documents/states.rs"]
mod states;

use std::collections::BTreeSet;

use lock_release::events::Change;
use lock_release::request::Call;
use serde_json::{Value, json};
use signalbox::lock::Error;
use signalbox::lock::sweep::Swept;

use documents::{code_blocks, first_column, listed_errors, sample_events};
use states::{request_of, states_of, states_to_paste};

const README: &str = include_str!("../README.md");
const IMPORT: &str = include_str!("../../../examples/warehouse/stock-import.asl.json");
const REPORT: &str = include_str!("../../../examples/warehouse/stock-report.asl.json");

const GIVES_BACK: &str = "Give the warehouse back";

#[test]
fn every_listed_error_exists() {
    let listed = listed_errors(README, "Lock.");
    let expected = BTreeSet::from(["Lock.AccessDenied", "Lock.BadRequest", "Lock.Unavailable"]);
    assert_eq!(listed, expected);
    assert!(listed.is_subset(&BTreeSet::from(Error::NAMES)));
}

#[test]
fn the_states_to_paste_are_the_examples_own() {
    let expected = [IMPORT, REPORT].map(|example| states_of(example)[GIVES_BACK].clone());
    assert!(expected.iter().all(Value::is_object));
    assert_eq!(states_to_paste(README, GIVES_BACK), expected);
}

#[test]
fn both_states_ask_what_the_function_understands() {
    let values = json!({
        "lock": "warehouse",
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:run-1",
        "enteredTime": "2026-01-31T04:00:12.345Z",
    });
    for state in states_to_paste(README, GIVES_BACK) {
        let call = Call::read(request_of(&state, &values)).expect("a good request");
        assert!(matches!(call, Call::Release(_)), "{call:?}");
    }
}

/// A failure of the work ends in a Fail, after the release: redriven it fails again, without any work.
#[test]
fn the_examples_work_cannot_be_redriven_without_the_lock() {
    let states = states_of(IMPORT);
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
    for (name, event) in sample_events("lock-release", README) {
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
    }
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
