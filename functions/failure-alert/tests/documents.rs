//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;

use std::collections::{BTreeMap, BTreeSet};

use failure_alert::alert::Status;
use failure_alert::error::Error;
use failure_alert::events::Change;
use failure_alert::sweep::{LISTS_MOST, LONG_RUNS, OVERLAP, Swept};
use failure_alert::{Answer, PATIENCE, REFUSALS, dynamo, evidence, redact};
use serde_json::Value;
use signalbox::clock::Timestamp;
use signalbox::delivery::Delivery;
use signalbox::quotas::{HISTORY_PAGE, LIST_PAGE};

use documents::{code_blocks, first_column, listed_errors, sample_events};

const README: &str = include_str!("../README.md");
const SEMANTICS: &str = include_str!("../../../docs/alerts.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
const DEPLOYING: &str = include_str!("../../../docs/deploying.md");
const FLEET: &str = include_str!("../../../README.md");
const TEMPLATE: &str = include_str!("../../../template.yaml");

/// When the sample events are read: after all of them.
const NOW: Timestamp = Timestamp::from_millis(1_771_000_000_000);

/// What a sample event is about.
#[derive(Debug, PartialEq)]
enum About {
    /// Status, pipeline, how often it was redriven, error, whether it has its input.
    Failure(&'static str, &'static str, u32, Option<&'static str>, bool),
    Success(&'static str),
    Nothing,
    Batch,
    Sweep,
    Mistake(&'static str),
}

/// The part of a document under this heading.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("\n## {heading}\n")).expect(heading);
    rest.split("\n## ").next().unwrap_or_default()
}

/// The rows of a part's tables: their cells.
fn rows(part: &str) -> Vec<Vec<&str>> {
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect()
}

/// The parameters of the template, with their lines.
fn parameters() -> BTreeMap<&'static str, Vec<&'static str>> {
    let (_, rest) = TEMPLATE.split_once("\nParameters:\n").expect("parameters");
    let part = rest.split_once("\n\n").map_or(rest, |(part, _)| part);
    let mut parameters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut last = None;
    for line in part.lines() {
        match line.strip_prefix("  ").and_then(|name| name.strip_suffix(':')) {
            Some(name) if !name.starts_with(' ') => last = Some(name),
            _ => parameters.entry(last.expect("a name")).or_default().push(line.trim()),
        }
    }
    parameters
}

/// The value of a property of a parameter.
fn property<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    let value = lines
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().trim_matches('"'))
}

/// Whether a document says this.
fn says(document: &str, what: impl AsRef<str>) {
    let what = what.as_ref();
    assert!(document.contains(what), "not said: {what}");
}

#[test]
fn every_error_is_listed_and_every_listed_error_exists() {
    for (document, text) in [("README.md", README), ("docs/errors.md", ERRORS)] {
        let listed = listed_errors(text, "FailureAlert.");
        assert_eq!(listed, BTreeSet::from(Error::NAMES), "{document}");
    }
}

#[test]
fn the_refusals_are_those_that_are_not_announced() {
    let part = section(README, "What is announced");
    assert_eq!(
        listed_errors(part, "").len(),
        REFUSALS.len() + 3,
        "and the three kinds of ends"
    );
    let listed: BTreeSet<&str> = first_column(part)
        .into_iter()
        .filter(|name| name.contains('.'))
        .collect();
    assert_eq!(listed, BTreeSet::from(REFUSALS));
    let parameters = parameters();
    let description = property(&parameters["AlertRefusals"], "Description").expect("a description");
    for name in REFUSALS {
        says(description, name);
        says(ERRORS, format!("| `{name}` |"));
    }
}

#[test]
fn every_sample_event_is_listed_and_is_what_it_says() {
    let failure = |pipeline, error| About::Failure("FAILED", pipeline, 0, error, true);
    let expected = BTreeMap::from([
        ("failed.json", failure("orders-nightly", Some("Card.Declined"))),
        (
            "redriven-failed.json",
            About::Failure("FAILED", "orders-nightly", 1, Some("Card.Declined"), true),
        ),
        ("succeeded.json", About::Success("orders-nightly")),
        (
            "timed-out.json",
            About::Failure("TIMED_OUT", "stock-import", 0, None, true),
        ),
        (
            "aborted.json",
            About::Failure("ABORTED", "stock-report", 0, Some("Operator"), true),
        ),
        (
            "aborted-lost-on-redrive.json",
            About::Failure("ABORTED", "dock-shift", 1, Some("Lock.LostOnRedrive"), true),
        ),
        (
            "over-long.json",
            About::Failure("FAILED", "orders-import", 0, Some("States.DataLimitExceeded"), false),
        ),
        ("encrypted.json", About::Failure("FAILED", "payroll", 0, None, false)),
        ("nulls.json", About::Failure("FAILED", "orders-audit", 0, None, false)),
        (
            "refused.json",
            failure("orders-nightly", Some("OverlapGuard.Overlapping")),
        ),
        ("running.json", About::Nothing),
        ("batch.json", About::Batch),
        ("schedule.json", About::Sweep),
        ("sweep.json", About::Sweep),
        ("unknown-field.json", About::Mistake("pipeline")),
    ]);
    let events = sample_events("failure-alert", README);
    assert!(events.keys().eq(expected.keys()), "{:?}", events.keys());
    for (name, event) in &events {
        assert!(
            about(event).is(&expected[name.as_str()]),
            "{name}: {:?}",
            expected[name.as_str()]
        );
    }
    // What they say of each other.
    let detail = |name: &str| events[name]["detail"].clone();
    let (first, again, later) = (
        detail("failed.json"),
        detail("redriven-failed.json"),
        detail("succeeded.json"),
    );
    assert_eq!(first["executionArn"], again["executionArn"]);
    assert_eq!((&first["error"], &first["cause"]), (&again["error"], &again["cause"]));
    assert_ne!(first["executionArn"], later["executionArn"]);
    assert!(later["stopDate"].as_i64() > again["stopDate"].as_i64());
    assert_eq!(detail("over-long.json")["inputDetails"]["included"], false);
    let refused = detail("refused.json")["error"].as_str().map(str::to_owned);
    assert!(REFUSALS.contains(&refused.as_deref().expect("an error")));
}

/// What an event is about, as the function reads it.
enum Seen {
    Change(Change),
    Nothing,
    Batch,
    Sweep,
    Mistake(String),
}

fn about(event: &Value) -> Seen {
    match Delivery::read_strictly(event.clone()) {
        Ok(Delivery::Event(event)) => match Change::read(&event, NOW).expect("an event") {
            Some(change) => Seen::Change(change),
            None => Seen::Nothing,
        },
        Ok(Delivery::Batch(batch)) => {
            let bodies: Vec<&str> = batch
                .records
                .iter()
                .filter_map(|record| record.body.as_deref())
                .collect();
            assert_eq!(bodies.len(), 3);
            assert_eq!(bodies[0], bodies[1], "delivered twice");
            let read = serde_json::from_str(bodies[0]).map(|event: Value| Change::read(&event, NOW));
            assert!(matches!(read, Ok(Ok(Some(Change::Failed { .. })))), "{read:?}");
            assert!(serde_json::from_str::<Value>(bodies[2]).is_err());
            Seen::Batch
        }
        Ok(Delivery::Sweep) => Seen::Sweep,
        Err(error) => Seen::Mistake(error.path().to_owned()),
    }
}

impl Seen {
    fn is(&self, expected: &About) -> bool {
        match (self, expected) {
            (
                Self::Change(Change::Failed { end, input }),
                About::Failure(status, pipeline, redrive, error, has_input),
            ) => {
                Status::named(status) == Some(end.status)
                    && end.execution.machine().name() == *pipeline
                    && end.redrive == *redrive
                    && end.error.as_deref() == *error
                    && input.is_some() == *has_input
            }
            (Self::Change(Change::Succeeded(success)), About::Success(pipeline)) => {
                success.execution.machine().name() == *pipeline
            }
            (Self::Nothing, About::Nothing) | (Self::Batch, About::Batch) | (Self::Sweep, About::Sweep) => true,
            (Self::Mistake(path), About::Mistake(field)) => path == field,
            _ => false,
        }
    }
}

#[test]
fn the_parameters_are_the_templates() {
    let all = parameters();
    let of_alerts: BTreeSet<&str> = all.keys().copied().filter(|name| name.starts_with("Alert")).collect();
    assert_eq!(of_alerts.len(), 6, "{of_alerts:?}");
    for (document, part, names) in [
        ("README.md of failure-alert", section(README, "Parameters"), &of_alerts),
        ("docs/deploying.md", section(DEPLOYING, "Parameters"), &of_alerts),
        // Only those to think about.
        ("README.md", FLEET, &BTreeSet::from(["AlertEmail"])),
    ] {
        let listed = rows(part);
        let listed = listed.iter().filter(|row| all.contains_key(row[0]));
        let defaults: BTreeMap<&str, &str> = listed.map(|row| (row[0], row[1])).collect();
        for name in names {
            assert!(defaults.contains_key(name), "{document}: {name}");
        }
        for (name, default) in defaults {
            let value = property(&all[name], "Default").expect("a default");
            let value = if value.is_empty() { "empty" } else { value };
            assert_eq!(default, value, "{document}: {name}");
        }
    }
    let window = &all["AlertWindowMinutes"];
    let [least, most] = ["MinValue", "MaxValue"].map(|limit| property(window, limit).expect("a limit"));
    says(section(README, "Parameters"), format!("{least} to {most}."));
}

#[test]
fn the_answers_are_the_codes() {
    let fields = |value: &Value| -> BTreeSet<String> {
        let object = value.as_object().expect("an object");
        object.keys().cloned().collect()
    };
    let real = [
        serde_json::to_value(Answer::Event { outcome: "announced" }),
        serde_json::to_value(Swept::default()),
    ];
    let shown = code_blocks(section(README, "Answer"));
    assert_eq!(shown.len(), real.len());
    for (shown, real) in shown.iter().zip(real.map(Result::unwrap)) {
        assert_eq!(fields(shown), fields(&real));
        if real.get("outcome").is_none() {
            let listed = first_column(section(README, "Answer"));
            assert!(fields(&real).iter().all(|field| listed.contains(field.as_str())));
        }
    }
}

/// The whole mail, as another test holds it to the code.
#[test]
fn the_mail_that_is_shown_is_a_real_one() {
    let mail = include_str!("mails/lambda-with-retries.txt");
    let (text, _chat) = mail.split_once("\n==== chat ====").expect("the chat's part");
    says(
        section(README, "What is sent"),
        format!("```text\n{}\n```", text.trim_end()),
    );
}

#[test]
fn the_limits_are_the_codes() {
    let sent = section(README, "What is sent");
    says(sent, format!("{} pages of {HISTORY_PAGE} events", evidence::PAGES_MOST));
    says(sent, format!("up to {} |", evidence::CHILDREN_MOST));
    says(sent, format!("the last {} executions", evidence::LOOKED_BACK));
    says(sent, format!("`{}`", redact::REDACTED));

    // Each status takes a call.
    let (most, least) = (LISTS_MOST / 3, LISTS_MOST / 2 / 3);
    let promised = section(README, "What is promised, and what is not");
    says(promised, format!("up to {most} pipelines a minute"));
    assert_eq!(PATIENCE, 2);
    says(promised, "the second delivery of an event is announced all the same");
    let costs = section(README, "Permissions");
    says(costs, format!("up to {LISTS_MOST} `ListExecutions`"));
    says(costs, format!("for {} days", dynamo::REMEMBERED_DAYS));
    says(costs, format!("the first {} characters", dynamo::CAUSE_STORED));

    let promised = section(SEMANTICS, "Promised");
    says(promised, format!("At most {LISTS_MOST} `ListExecutions` a minute"));
    says(
        promised,
        format!("the failures of {most} pipelines, or of {least} while"),
    );
    says(promised, format!("within a minute for each {most} pipelines"));
    says(
        promised,
        format!("after 10 minutes with {}, 2 hours with {}", 10 * most, 120 * most),
    );
    says(promised, format!("{} minutes behind", OVERLAP.as_secs() / 60));
    // Half of the calls, one of them for the pipeline itself.
    says(promised, format!("up to {} of them", LISTS_MOST / 2 - 1));
    says(
        promised,
        format!("more than {LIST_PAGE} failures of one status in a day"),
    );
    says(promised, format!("remembered for {} days", dynamo::REMEMBERED_DAYS));
    says(promised, format!("up to {} days back", dynamo::REMEMBERED_DAYS));
    says(promised, format!("the first {} characters", dynamo::CAUSE_STORED));
    assert_eq!(dynamo::CLAIM_LIFE.as_secs(), 60);
    says(promised, "what was begun a minute ago");
    let not = section(SEMANTICS, "Not promised");
    says(not, format!("more than {} hours", LONG_RUNS.as_secs() / 3_600));
    says(not, format!("the {LIST_PAGE} of its pipeline and status"));
    says(
        not,
        format!("{} pages of {HISTORY_PAGE} events", words(evidence::PAGES_MOST)),
    );
    says(not, format!("its last {} executions", evidence::LOOKED_BACK));
}

fn words(number: usize) -> &'static str {
    ["No", "One", "Two", "Three"][number]
}

/// What the queue does is set in the template.
#[test]
fn the_queue_is_the_templates() {
    let resource = |name: &str| {
        let (_, rest) = TEMPLATE.split_once(&format!("\n  {name}:\n")).expect(name);
        rest.split("\n\n").next().unwrap_or_default()
    };
    let queue = resource("AlertEventsQueue");
    says(queue, "VisibilityTimeout: 180\n");
    says(queue, "maxReceiveCount: 5");
    says(
        section(README, "Errors"),
        "which delivers it after 3 minutes, 5 times in all",
    );
    says(
        resource("AlertEventsDeadLetterQueue"),
        format!("MessageRetentionPeriod: {}\n", 14 * 24 * 3_600),
    );
    says(
        section(SEMANTICS, "Promised"),
        "5 times | it is in the dead-letter queue for 14 days",
    );
    let mapping = resource("AlertEventsMapping");
    says(mapping, "MaximumConcurrency: 2}");
    says(mapping, "BatchSize: 5");
    says(
        section(README, "Permissions"),
        "Two events are handled at a time, 5 in a batch",
    );
    let alarm = resource("AlertSweepAlarm");
    says(alarm, "Period: 300");
    says(alarm, "EvaluationPeriods: 2");
    says(
        section(SEMANTICS, "Promised"),
        "an alarm after 10 minutes without a sweep",
    );
    says(resource("FailureAlertFunction"), "rate(1 minute)");
}
