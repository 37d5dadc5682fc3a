//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;

use std::collections::{BTreeMap, BTreeSet};

use ecs_settle::Outcome;
use ecs_settle::answer::{Found, Json, LINES, OUTPUT_BYTES, answer};
use ecs_settle::event::task_in;
use ecs_settle::logs::{LOOKED_BACK, WAIT};
use ecs_settle::settle::READ_WITHIN;
use ecs_settle::stops::end_in;
use ecs_settle::sweep::{EVERY, LAUNCHED_WITHIN, LOST_AFTER, RELAUNCHED_EVERY, STOPS_WITHIN, Swept};
use serde_json::Value;
use signalbox::clock::Timestamp;
use signalbox::delivery::Delivery;
use signalbox::ecs::error::Error;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::plan::{LOG_MARKER, Launch, LogStream, Overrides, Plan, ResultFrom};
use signalbox::ecs::task::Task;
use signalbox::ecs::verdict::{Expects, Verdict, verdict};
use signalbox::quotas::CAUSE_CHARS;

use documents::{code_blocks, first_column, listed_errors, sample_events};

const README: &str = include_str!("../README.md");
const LAUNCH: &str = include_str!("../../ecs-launch/README.md");
const SEMANTICS: &str = include_str!("../../../docs/ecs-relay.md");
const TEMPLATE: &str = include_str!("../../../template.yaml");

/// How the tasks of the sample events are run.
fn plan() -> Plan {
    Plan {
        cluster: "tasks".to_owned(),
        task_definition: "arn:aws:ecs:us-east-1:000000000000:task-definition/nightly-report:1".to_owned(),
        container: "report".to_owned(),
        launch: Launch::Type("FARGATE".to_owned()),
        network: None,
        overrides: Overrides::default(),
        platform_version: None,
        group: None,
        enable_execute_command: false,
        tags: BTreeMap::new(),
        result: ResultFrom::S3,
        result_key: Some("results/a/b/0-0-c.json".to_owned()),
        upload: None,
        on_exit: BTreeMap::new(),
        logs: Some(LogStream {
            group: "/ecs/nightly-report".to_owned(),
            prefix: "report".to_owned(),
            container: "report".to_owned(),
            region: "us-east-1".to_owned(),
        }),
    }
}

/// The part of a document under this heading.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("\n## {heading}\n")).expect(heading);
    rest.split("\n## ").next().unwrap_or_default()
}

/// A resource of the template.
fn resource(name: &str) -> &'static str {
    let (_, rest) = TEMPLATE.split_once(&format!("\n  {name}:\n")).expect(name);
    rest.split("\n\n").next().unwrap_or_default()
}

/// Whether a document says this.
fn says(document: &str, what: impl AsRef<str>) {
    let what = what.as_ref();
    assert!(document.contains(what), "not said: {what}");
}

/// `262,144`.
fn thousands(number: usize) -> String {
    format!("{},{:03}", number / 1_000, number % 1_000)
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn every_error_is_listed_and_every_listed_one_exists() {
    assert_eq!(listed_errors(README, "Ecs."), BTreeSet::from(Error::NAMES));
    // What it tells states is in the table of what an end means.
    let part = section(README, "What an end means");
    for name in listed_errors(LAUNCH, "Ecs.") {
        let kind = name.strip_prefix("Ecs.StartFailed").filter(|kind| *kind != ".Capacity");
        if !Error::NAMES.contains(&name) {
            says(part, format!("`{}`", kind.unwrap_or(name)));
        }
    }
}

#[test]
fn every_sample_event_is_listed_and_is_what_it_says() {
    for (name, event) in sample_events("ecs-settle", README) {
        let seen = match Delivery::read_strictly(event) {
            Ok(Delivery::Event(event)) => about(&event),
            Ok(Delivery::Batch(batch)) => {
                let bodies = batch.records.iter().filter_map(|record| record.body.as_deref());
                let read = bodies.map(|body| serde_json::from_str(body).map(|event: Value| about(&event)));
                let read: Vec<Option<String>> = read.map(Result::ok).collect();
                assert_eq!(read, [Some("an execution has ended".to_owned()), None]);
                "a batch".to_owned()
            }
            Ok(Delivery::Sweep) => "a sweep".to_owned(),
            Err(error) => format!("a mistake: {}", error.path()),
        };
        let expected = match name.as_str() {
            "deprovisioning.json" | "stopped.json" => "finished with 0",
            "start-failed.json" => "Ecs.StartFailed.Image",
            "running.json" | "spot-warning.json" => "has not ended",
            "somebody-elses.json" => "somebody else's",
            "execution-ended.json" => "an execution has ended",
            "batch.json" => "a batch",
            "schedule.json" | "sweep.json" => "a sweep",
            "unknown-field.json" => "a mistake: cluster",
            _ => "listed here",
        };
        assert_eq!(seen, expected, "{name}");
    }
}

fn about(event: &Value) -> String {
    if event["source"] == "aws.states" {
        let end = end_in(event).expect("an event");
        return end.map_or("nothing", |_| "an execution has ended").to_owned();
    }
    let task = task_in(event).expect("a task");
    if task.started_by.as_deref().and_then(TaskKey::of_started_by).is_none() {
        return "somebody else's".to_owned();
    }
    match verdict(&task, &plan(), None) {
        Verdict::Pending => "has not ended".to_owned(),
        Verdict::Finished { exit_code, .. } => format!("finished with {exit_code}"),
        Verdict::Failed(failure) => failure.name,
    }
}

#[test]
fn the_answers_are_the_codes() {
    let part = section(README, "Answer");
    let outcomes = [
        Outcome::Settled,
        Outcome::Unheard,
        Outcome::Known,
        Outcome::Pending,
        Outcome::Stopped,
        Outcome::Ignored,
    ];
    let swept = serde_json::to_value(Swept::default()).unwrap();
    let blocks = code_blocks(part);
    assert_eq!(blocks[0]["outcome"], Outcome::Settled.name());
    assert_eq!(fields(&blocks[1]), fields(&swept));
    let mut expected = &BTreeSet::from(outcomes.map(Outcome::name)) | &fields(&swept);
    expected.extend(
        ["field", "outcome"]
            .iter()
            .filter(|heading| part.contains(&format!("| `{heading}` |"))),
    );
    assert_eq!(first_column(part), expected);
}

/// What a state is told has the fields that are shown.
#[test]
fn the_output_of_a_state_is_the_one_that_is_shown() {
    let at = |millis| Some(Timestamp::from_millis(millis));
    let task = Task {
        task_arn: "arn:aws:ecs:us-east-1:000000000000:task/tasks/0123456789abcdef0123456789abcdef".to_owned(),
        started_at: at(1_769_832_031_512),
        execution_stopped_at: at(1_769_832_422_048),
        ..Task::default()
    };
    let output = |found| -> Value {
        let output = answer(&task, &plan(), "bucket", 0, Expects::Required, found).expect("a success");
        serde_json::from_str(&output).expect("JSON")
    };
    let shown = code_blocks(section(LAUNCH, "Answer"));
    let good = output(Found::Value(Json::read(b"{\"rows\": 4711}").unwrap()));
    assert_eq!(fields(&shown[0]), fields(&good));
    assert_eq!(fields(&shown[0]["logs"]), fields(&good["logs"]));
    for field in ["result", "exitCode", "startedAt", "stoppedAt", "durationMs"] {
        assert_eq!(shown[0][field], good[field], "{field}");
    }
    let beside = output(Found::TooLarge { bytes: 5_242_880 });
    assert_eq!(shown[1]["result"], beside["result"]);
    assert_eq!(fields(&shown[1]["resultRef"]), fields(&beside["resultRef"]));
    assert_eq!(shown[1]["resultRef"]["bytes"], beside["resultRef"]["bytes"]);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let bytes = thousands(OUTPUT_BYTES);
    let ends = section(README, "What an end means");
    says(ends, format!("read if it has at most {bytes} bytes"));
    says(LAUNCH, format!("A state's result has at most {bytes} bytes"));
    says(
        SEMANTICS,
        format!("larger than {bytes} bytes is not in the state's result"),
    );
    says(ends, format!("A cause has at most {} bytes", thousands(CAUSE_CHARS)));
    says(LAUNCH, format!("the last {LINES} lines of the container's log"));
    says(
        ends,
        format!(
            "the last `{LOG_MARKER}` among the last {} lines",
            thousands(LOOKED_BACK)
        ),
    );
    says(ends, format!("up to {} seconds", WAIT.as_secs()));

    let minutes = |duration: std::time::Duration| duration.as_secs() / 60;
    assert_eq!((minutes(EVERY), minutes(LOST_AFTER)), (1, 60));
    says(ends, "is not known to ECS for an hour");
    says(resource("EcsSettleFunction"), "rate(1 minute)");
    let queued = format!(
        "the sweep puts the launch into the queue again | {} minutes |",
        minutes(RELAUNCHED_EVERY)
    );
    says(SEMANTICS, queued);
    // It is seen after so long, told to stop, and given up after so long again.
    says(SEMANTICS, format!("1 to {} minutes", 2 * minutes(LAUNCHED_WITHIN)));
    assert_eq!(minutes(STOPS_WITHIN), 10);
    says(
        SEMANTICS,
        "after 10 minutes a state whose time is up is told so all the same",
    );
    let promised = section(README, "What is promised, and what is not");
    says(promised, "does not stop within ten minutes");
    assert_eq!(minutes(READ_WITHIN), 10);
    says(ends, "its result cannot be read for ten minutes");
    says(promised, "is tried for ten minutes");
    says(LAUNCH, "its result could not be read for 10 minutes");
    says(SEMANTICS, "10 minutes after that was seen");
}

/// What the queue does is set in the template.
#[test]
fn the_queue_is_the_templates() {
    let queue = resource("EcsEventsQueue");
    says(queue, "VisibilityTimeout: 180\n");
    says(queue, "maxReceiveCount: 5");
    says(
        section(README, "Errors"),
        "which delivers it after 3 minutes, 5 times in all",
    );
    let dead = format!("MessageRetentionPeriod: {}\n", 14 * 24 * 3_600);
    says(resource("EcsDeadLetterQueue"), dead);
    says(section(README, "Errors"), "in the dead-letter queue for 14 days");
    says(SEMANTICS, "5 times | it is in the dead-letter queue for 14 days");
    let mapping = resource("EcsEventsMapping");
    says(mapping, "BatchSize: 10\n");
    says(mapping, "MaximumConcurrency: 10}");
    let alarm = resource("EcsSweepAlarm");
    says(alarm, "Period: 300");
    says(alarm, "EvaluationPeriods: 2");
    says(alarm, "MetricName: Sweeps");
    says(alarm, "{Name: FunctionName, Value: !Ref EcsSettleFunction}");
    says(SEMANTICS, "an alarm after 10 minutes without a sweep");
}
