//! What `docs/resume.md` and the example say is held to what the code does.

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;

use std::collections::BTreeSet;

use resume::clone::{CLONE_BYTES, DEFINITION_BYTES};
use resume::error::Error;
use resume::request::{Asked, Request, WORDS_CHARS};
use resume::warning::Code;
use serde_json::{Value, json};
use signalbox::asl::Definition;
use signalbox::quotas::{NAME_CHARS, PAYLOAD_BYTES};
use signalbox::request::parse;

use documents::{code_blocks, first_column};

const GUIDE: &str = include_str!("../../../docs/resume.md");
const EXAMPLE: &str = include_str!("../../../examples/month-end/README.md");
const DEFINITION: &str = include_str!("../../../examples/month-end/statemachine.asl.json");

fn section(title: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(&format!("\n## {title}\n")).expect("a section");
    rest.split("\n## ").next().unwrap_or_default()
}

fn read(request: &Value) -> Asked {
    let asked = parse::<Request>(request.clone()).and_then(Asked::try_from);
    asked.unwrap_or_else(|error| panic!("{request}: {error}"))
}

#[test]
fn every_warning_is_listed_and_every_listed_one_exists() {
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(first_column(section("Warnings")), codes);
    // Elsewhere on the page they go by the same names: words of two parts, but for those of AWS and of the stack.
    let others = [
        "InputPath",
        "PipelineNamePrefix",
        "RedriveExecution",
        "ResultPath",
        "ResumeRetentionDays",
        "ResumeRoleArns",
        "StartTime",
    ];
    for name in GUIDE.split('`').skip(1).step_by(2) {
        let is_word = name.starts_with(char::is_uppercase) && name.chars().all(char::is_alphabetic);
        let parts = name.chars().filter(|letter| letter.is_uppercase()).count();
        let is_code = is_word && parts > 1 && name.contains(char::is_lowercase) && !others.contains(&name);
        assert!(!is_code || codes.contains(name), "{name}");
    }
}

#[test]
fn every_error_has_a_way_on() {
    assert_eq!(first_column(section("What is refused")), BTreeSet::from(Error::NAMES));
}

#[test]
fn the_requests_are_understood_and_every_field_is_shown() {
    let requests = code_blocks(section("Asking for something else"));
    let mut shown = BTreeSet::new();
    for request in &requests {
        read(request);
        shown.extend(request.as_object().expect("an object").keys().cloned());
    }
    let refusal = parse::<Request>(json!({"executionArn": "", "form": 1}))
        .unwrap_err()
        .to_string();
    // "unknown field `form`, expected one of `executionArn`, `from`, …"
    let known: BTreeSet<String> = refusal.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    // The hash is in what a plan answers.
    shown.insert("planHash".to_owned());
    assert_eq!(shown, known);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let grouped = |number: usize| {
        let digits = number.to_string();
        let (head, tail) = digits.split_at(digits.len() % 3);
        let groups = tail
            .as_bytes()
            .chunks(3)
            .map(|group| String::from_utf8_lossy(group).into_owned());
        let head = Some(head.to_owned()).filter(|head| !head.is_empty());
        head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
    };
    let limits = section("Limits");
    for says in [
        format!("| a clone's definition in a request | {} bytes |", grouped(CLONE_BYTES)),
        format!(
            "| an input, an output or a variable in it | {} bytes each |",
            grouped(PAYLOAD_BYTES)
        ),
        format!("| names of state machines, executions, states | {NAME_CHARS} characters |"),
        format!(
            "| a request with a `definition` | {} bytes of definition |",
            grouped(DEFINITION_BYTES)
        ),
        format!("| `reason`, `by` | {WORDS_CHARS} characters |"),
    ] {
        assert!(limits.contains(&says), "{says}");
    }
}

/// The requests of the example's README, with an ARN for `"$run"`.
fn requests() -> Vec<Value> {
    let commands = EXAMPLE
        .lines()
        .filter_map(|line| line.strip_prefix("resume '")?.strip_suffix('\''));
    let arn = "arn:aws:states:eu-west-1:123456789012:execution:month-end:january";
    commands
        .map(|request| serde_json::from_str(&request.replace("'\"$run\"'", arn)).expect("JSON"))
        .collect()
}

#[test]
fn the_example_asks_what_is_understood_and_names_what_is_there() {
    let requests = requests();
    assert_eq!(requests.len(), 2);
    let asked: Vec<Asked> = requests.iter().map(read).collect();
    assert_eq!(asked.iter().map(|asked| asked.apply).collect::<Vec<_>>(), [false, true]);
    // They are for the same invoice, and so is the one that the guide shows.
    assert_eq!(requests[0]["input"], requests[1]["input"]);
    let shown = code_blocks(section("Asking for something else"));
    assert!(shown.iter().any(|shown| shown["input"] == requests[0]["input"]));
    let definition = Definition::parse(DEFINITION).expect("a definition");
    for name in [
        "Close the books",
        "Invoices",
        "Post",
        "Ask the bank",
        "Write off the assets",
    ] {
        assert!(definition.state(name).is_some(), "{name}");
    }
    for request in &shown {
        let from = &request["from"];
        let named = from.as_str().or_else(|| from["state"].as_str());
        assert!(named.is_none_or(|name| definition.state(name).is_some()), "{from}");
        let maps = from["iterations"].as_object().into_iter().flatten();
        maps.for_each(|(map, _)| assert!(definition.state(map).is_some(), "{map}"));
    }
}
