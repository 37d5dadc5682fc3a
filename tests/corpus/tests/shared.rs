//! The shared crate against the corpus: its ARNs, its times, its links.

use std::collections::BTreeSet;

use corpus::{files, load, texts};
use serde_json::Value;
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::Timestamp;
use signalbox::console::execution_url;

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn the_corpus_is_what_its_index_says() {
    let index = load("index.json");
    let listed = index
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["file"].as_str().unwrap().to_owned());
    let listed: BTreeSet<String> = listed.collect();
    let there = files(["asl", "events", "histories"])
        .into_iter()
        .filter(|file| file != "events/index.json");
    assert_eq!(listed, there.collect());
    for file in listed {
        assert!(load(&file).is_object(), "{file}");
    }
}

/// What is no ARN of a standard execution or of a state machine: how it begins, and what the refusal must say.
const REFUSED: [(&str, &str); 8] = [
    // Accounts that somebody shortened for a document or a test.
    (
        "arn:aws:states:us-east-1:1234:",
        "lacks its Region or its 12-digit account",
    ),
    (
        "arn:aws:states:us-west-2:123:",
        "lacks its Region or its 12-digit account",
    ),
    // What a test has in place of an ARN that it does not care for.
    ("execution-arn", "is not an ARN"),
    ("state-machine-arn", "is not an ARN"),
    // A reference in a definition, by JSONPath and by JSONata.
    ("$.", "is not an ARN"),
    ("{%", "is not an ARN"),
    // Map Runs.
    (
        "arn:aws:states:us-east-1:111122223333:mapRun:",
        "is not an execution's ARN",
    ),
    // Activities.
    (
        "arn:aws:states:us-east-1:111122223333:activity:",
        "is not an execution's ARN",
    ),
];

/// The fields that hold ARNs, apart from texts that look like one of Step Functions wherever they stand.
const FIELDS: [&str; 4] = ["executionarn", "executionarn.$", "statemachinearn", "statemachinearn.$"];

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_arn_is_read_or_rightly_refused() {
    let mut met = BTreeSet::new();
    let (mut executions, mut machines) = (BTreeSet::new(), BTreeSet::new());
    for file in files(["histories", "events/sfn"]) {
        for (field, text) in texts(&load(&file)) {
            // The ARNs of service integrations have neither Region nor account: arn:aws:states:::lambda:invoke.
            let is_arn = text.starts_with("arn:") && text.contains(":states:") && !text.contains(":states:::");
            if !is_arn && !FIELDS.contains(&field.to_lowercase().as_str()) {
                continue;
            }
            let (execution, machine) = (ExecutionArn::parse(&text), StateMachineArn::parse(&text));
            match REFUSED.iter().find(|(start, _)| text.starts_with(start)) {
                Some((start, says)) => {
                    let refusal = execution.expect_err(&text).to_string();
                    assert!(refusal.contains(says), "{file}: {refusal}");
                    assert!(machine.is_err(), "{file}: {text}");
                    met.insert(start);
                }
                None if text.contains(":stateMachine:") => {
                    assert_eq!(machine.unwrap().as_str(), text, "{file}");
                    assert!(execution.unwrap_err().to_string().contains("is a state machine"));
                    machines.insert(text);
                }
                None => {
                    let execution = execution.unwrap_or_else(|error| panic!("{file}: {field}: {error}"));
                    assert_eq!(execution.as_str(), text, "{file}");
                    assert!(machine.unwrap_err().to_string().contains("is an execution"));
                    let region = execution.machine().region();
                    let page = format!("https://{region}.console.aws.amazon.com/states/home?region={region}#/v2");
                    assert_eq!(execution_url(&execution), format!("{page}/executions/details/{text}"));
                    executions.insert(text);
                }
            }
        }
    }
    assert_eq!(met.len(), REFUSED.len(), "each of these occurs, no other does: {met:?}");
    assert!(
        executions.len() > 1 && machines.len() > 1,
        "{executions:?} {machines:?}"
    );
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn a_status_event_names_an_execution_of_its_machine_and_good_times() {
    let in_the_past =
        Timestamp::parse("2009-01-01T00:00:00Z").unwrap()..Timestamp::parse("2030-01-01T00:00:00Z").unwrap();
    let mut named = 0;
    for file in files(["events/sfn"]) {
        let event = load(&file);
        let detail = &event["detail"];

        let time = |field: &str| detail[field].as_i64().map(Timestamp::from_millis);
        let start = time("startDate").unwrap_or_else(|| panic!("{file}: no startDate"));
        for at in [Some(start), time("stopDate"), time("redriveDate")]
            .into_iter()
            .flatten()
        {
            assert!(at >= start && in_the_past.contains(&at), "{file}: {at}");
            assert_eq!(Timestamp::parse(&at.to_string()), Some(at), "{file}");
        }
        if let Value::String(sent) = &event["time"] {
            assert!(
                Timestamp::parse(sent).is_some_and(|at| in_the_past.contains(&at)),
                "{file}: {sent}"
            );
        }

        let text = |field: &str| detail[field].as_str().unwrap_or_else(|| panic!("{file}: no {field}"));
        if let Ok(execution) = ExecutionArn::parse(text("executionArn")) {
            // AWS's own examples give the machine two names.
            let machine = execution
                .machine()
                .as_str()
                .replace("state-machine-name", "state-machine");
            assert_eq!(machine, text("stateMachineArn"), "{file}");
            assert_eq!(execution.name(), text("name"), "{file}");
            assert_eq!(event["resources"][0], text("executionArn"), "{file}");
            named += 1;
        }
    }
    assert!(named > 0, "no event names an execution");
}

/// The services send seconds with a fraction, which is no exact binary fraction.
#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn no_event_of_a_history_loses_a_millisecond() {
    for file in files(["histories"]) {
        for event in load(&file)["history"]["events"].as_array().unwrap() {
            let sent = &event["timestamp"];
            let Some(seconds) = sent.as_f64() else {
                assert!(Timestamp::parse(sent.as_str().unwrap()).is_some(), "{file}: {sent}");
                continue;
            };
            let at = Timestamp::from(aws_smithy_types::DateTime::from_secs_f64(seconds));
            assert_eq!(at.to_string(), rounded(sent), "{file}: {sent}");
        }
    }
}

/// The time as it is written, to the millisecond.
fn rounded(seconds: &Value) -> String {
    let written = seconds.to_string();
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let digits = format!("{fraction:0<4}");
    let millis: i64 = format!("{whole}{}", &digits[..3]).parse().expect("digits");
    let up = i64::from(digits.as_bytes()[3] >= b'5');
    Timestamp::from_millis(millis + up).to_string()
}
