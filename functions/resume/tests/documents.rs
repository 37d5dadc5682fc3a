//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;

use std::collections::BTreeSet;

use resume::answer::Answer;
use resume::clone::CLONE_BYTES;
use resume::error::Error;
use resume::machines::{Described, Ran};
use resume::past::{Data, PastReader};
use resume::plan::{Facts, Fleets, Origin, Status, plan};
use resume::planning::Planned;
use resume::request::{Asked, Request};
use serde_json::{Value, json};
use signalbox::asl::Definition;
use signalbox::clock::Timestamp;
use signalbox::delivery::Delivery;
use signalbox::failure::Failure;
use signalbox::request::parse;

use documents::{code_blocks, first_column, listed_errors, sample_events};

const README: &str = include_str!("../README.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");

fn read(payload: Value) -> Result<Asked, Error> {
    Ok(Asked::try_from(parse::<Request>(payload)?)?)
}

#[test]
fn every_error_is_listed_and_every_listed_one_exists() {
    for (document, text) in [("README.md", README), ("docs/errors.md", ERRORS)] {
        assert_eq!(
            listed_errors(text, "Resume."),
            BTreeSet::from(Error::NAMES),
            "{document}"
        );
    }
}

/// The commands for the shell.
fn commands() -> Vec<Value> {
    let requests = README
        .lines()
        .filter_map(|line| line.strip_prefix("resume '")?.strip_suffix('\''));
    requests
        .map(|request| serde_json::from_str(request).expect("JSON"))
        .collect()
}

#[test]
fn the_commands_are_understood_and_every_field_is_listed() {
    assert_eq!(commands().len(), 3);
    for request in commands() {
        read(request.clone()).unwrap_or_else(|error| panic!("{request}: {error}"));
    }
    let listed = first_column(README);
    let refusal = read(json!({"executionArn": "", "form": 1})).unwrap_err().to_string();
    // "unknown field `form`, expected one of `executionArn`, `from`, …"
    let known: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
    assert_eq!(known.len(), 14, "{refusal}");
    for field in known {
        assert!(
            listed.contains(field) || README.contains(&format!("| `reason`, `{field}` |")),
            "{field}"
        );
    }
}

#[test]
fn every_sample_event_is_listed() {
    for (name, event) in sample_events("resume", README) {
        if ["schedule.json", "sweep.json"].contains(&name.as_str()) {
            assert!(matches!(Delivery::read(event), Ok(Ok(Delivery::Sweep))));
            continue;
        }
        let refused = read(event).err().map(|error| error.name());
        let expected = ["bad-request.json", "express.json"]
            .contains(&name.as_str())
            .then_some("Resume.BadRequest");
        assert_eq!(refused, expected, "{name}");
    }
}

const DEFINITION: &str = r#"{"StartAt": "Orders", "States": {"Orders": {"Type": "Map", "End": true, "ItemProcessor": {
    "StartAt": "Charge", "States": {"Charge": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}}}}}"#;

/// A run of it that failed at its first item.
fn history() -> Vec<Value> {
    let entered = |name: &str, input: &str| json!({"name": name, "input": input});
    let iteration = json!({"name": "Orders", "index": 0});
    let failed = json!({"error": "Payment.NoCurrency", "cause": "order 4 has no currency"});
    [
        ("ExecutionStarted", 0, "executionStartedEventDetails", json!({"input": "[4]"})),
        ("MapStateEntered", 0, "stateEnteredEventDetails", entered("Orders", "[4]")),
        ("MapStateStarted", 2, "mapStateStartedEventDetails", json!({"length": 1})),
        ("MapIterationStarted", 3, "mapIterationStartedEventDetails", iteration.clone()),
        ("TaskStateEntered", 4, "stateEnteredEventDetails", entered("Charge", "4")),
        ("TaskScheduled", 5, "taskScheduledEventDetails", json!({"resourceType": "sqs", "resource": "sendMessage"})),
        ("TaskFailed", 6, "taskFailedEventDetails", failed.clone()),
        ("MapIterationFailed", 7, "mapIterationFailedEventDetails", iteration),
        ("MapStateFailed", 7, "none", json!({})),
        ("ExecutionFailed", 9, "executionFailedEventDetails", failed),
    ]
    .into_iter()
    .zip(1..)
    .map(|((kind, previous, details, fields), id)| {
        json!({"id": id, "previousEventId": previous, "type": kind, "timestamp": 1_769_832_000 + id, details: fields})
    })
    .collect()
}

#[test]
fn the_answer_that_is_shown_has_the_fields_of_a_real_one() {
    let definition = Definition::parse(DEFINITION).unwrap();
    let document: Value = serde_json::from_str(DEFINITION).unwrap();
    let mut reader = PastReader::new(&definition, None);
    for event in history() {
        reader.push(serde_json::from_value(event.clone()).unwrap(), Data::of_json(&event));
    }
    let request = json!({"executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:run-1", "input": 5});
    let asked = read(request.clone()).unwrap();
    let origin = Described {
        status: Status::Failed,
        started: "2026-01-31T04:00:00.000Z".to_owned(),
        stopped: None,
        input: Some("[4]".to_owned()),
        error: None,
        cause: None,
        redrives: 0,
        not_redrivable: None,
    };
    let facts = Facts {
        origin: &Origin {
            execution: asked.execution.clone(),
            status: origin.status,
            express: false,
            started: origin.started.clone(),
            stopped: origin.stopped,
            not_redrivable: None,
            has_kms_key: false,
        },
        executed: &definition,
        goes_on_with: &definition,
        document: &document,
        differs: false,
        past: &reader.finish(),
        fleets: &Fleets::default(),
        now: Timestamp::from_millis(0),
        most_bytes: CLONE_BYTES,
    };
    let planned = Planned {
        plan: plan(&facts, &asked.ask).unwrap(),
        origin,
        ran: Ran {
            definition: DEFINITION.to_owned(),
            role: String::new(),
            has_kms_key: false,
            setup: (),
        },
        document: document.clone(),
        plan_hash: "1b4f".to_owned(),
        clone_name: Some("orders--r-60303ae22b99".to_owned()),
        execution_name: "run-1-r-1b4f0e985197".to_owned(),
    };
    let answer = serde_json::to_value(Answer::planned(&asked, &planned, &request, "signalbox-resume")).unwrap();
    let [shown] = code_blocks(README).try_into().expect("one block");
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(fields(&shown), fields(&answer));
    assert_eq!(fields(&shown["origin"]), fields(&answer["origin"]));
    assert_eq!(answer["why"], shown["why"]);
    assert_eq!(answer["resumesAt"], json!([r#"Map "Orders"[0] / Task "Charge""#]));
    // What does it is what was asked, and the plan.
    let apply = json!({"executionArn": request["executionArn"], "input": 5, "apply": true, "planHash": "1b4f"});
    assert_eq!(answer["apply"], apply);
    let command = answer["command"].as_str().unwrap();
    let quoted = command.split('\'').nth(1).expect("a payload in quotes");
    assert_eq!(serde_json::from_str::<Value>(quoted).unwrap(), apply);
}
