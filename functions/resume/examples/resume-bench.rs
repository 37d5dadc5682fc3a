//! `cargo resume-bench`: what it costs to plan a resume, from the JSON of a history's pages to the clone and its diff.
//!
//! Each kind of run is planned in a process of its own, so that the peak is its own. Linux alone tells CPU time and peak:
//! what is not told is shown as `?`.

#![allow(clippy::print_stdout, reason = "it is a command")]

use std::process::{Command, ExitCode};

use resume::clone::CLONE_BYTES;
use resume::diff::unified;
use resume::past::{Data, PastReader};
use resume::plan::{Ask, Facts, Fleets, Mode, Origin, Status, plan};
use serde_json::{Value, json};
use signalbox::arn::ExecutionArn;
use signalbox::asl::Definition;
use signalbox::clock::Timestamp;
use signalbox::history::Event;
use signalbox::quotas::HISTORY_PAGE;

/// The kinds of runs: what repeats, how many events, how long an output is in bytes.
const KINDS: [(&str, usize, usize); 5] = [
    ("loop", 25_000, 1_000),
    ("map", 6_250, 100),
    ("map", 12_500, 100),
    ("map", 25_000, 100),
    ("map", 25_000, 1_000),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, events, bytes] = &arguments[..] {
        let (Ok(events), Ok(bytes)) = (events.parse(), bytes.parse()) else {
            println!("how many events, and how many bytes each? {events:?} and {bytes:?} are no numbers");
            return ExitCode::FAILURE;
        };
        measure(kind, events, bytes);
        return ExitCode::SUCCESS;
    }
    println!(
        "{:<6} {:>8} {:>8} {:>10} {:>10} {:>10}  resumes at",
        "kind", "events", "bytes", "CPU ms", "peak MiB", "clone KiB"
    );
    let this = std::env::current_exe().expect("the program's own path");
    for (kind, events, bytes) in KINDS {
        let ended = Command::new(&this)
            .args([kind, &events.to_string(), &bytes.to_string()])
            .status();
        if !ended.is_ok_and(|status| status.success()) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn definition(kind: &str) -> Value {
    let task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage"});
    let with = |fields: Value| {
        let mut state = task.clone();
        state
            .as_object_mut()
            .expect("a state")
            .extend(fields.as_object().expect("fields").clone());
        state
    };
    match kind {
        "map" => json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "ItemProcessor": {
            "StartAt": "Work", "States": {"Work": with(json!({"End": true}))}}}}}),
        _ => json!({"StartAt": "Work", "States": {"Work": with(json!({"Next": "More"})), "More": {
            "Type": "Choice", "Choices": [{"Variable": "$.more", "BooleanEquals": true, "Next": "Work"}], "Default": "Done"},
            "Done": {"Type": "Succeed"}}}),
    }
}

/// Reads the pages as they come, and forgets them.
struct Pages<'p, 'd> {
    reader: &'p mut PastReader<'d>,
    page: Vec<String>,
    id: usize,
    nanos: Option<u64>,
}

impl Pages<'_, '_> {
    fn add(&mut self, kind: &str, previous: usize, details: &str, fields: &Value) -> usize {
        self.id += 1;
        let event = json!({"id": self.id, "previousEventId": previous, "type": kind, "timestamp": 1_769_832_000, details: fields});
        self.page.push(event.to_string());
        if self.page.len() == HISTORY_PAGE as usize {
            self.read();
        }
        self.id
    }

    fn read(&mut self) {
        let text = format!("[{}]", self.page.join(","));
        self.page.clear();
        let before = cpu_nanos();
        let events: Vec<Value> = serde_json::from_str(&text).expect("a page of events");
        for event in events {
            let data = Data::of_json(&event);
            let event: Event = serde_json::from_value(event).expect("an event");
            self.reader.push(event, data);
        }
        self.nanos = self.nanos.and_then(|nanos| Some(nanos + (cpu_nanos()? - before?)));
    }
}

fn measure(kind: &str, events: usize, bytes: usize) {
    let document = definition(kind);
    let executed = Definition::parse(&document.to_string()).expect("the definition is one");
    let mut reader = PastReader::new(&executed, None);
    let mut pages = Pages {
        reader: &mut reader,
        page: Vec::new(),
        id: 0,
        nanos: Some(0),
    };
    write(&mut pages, kind, events, bytes);
    pages.read();
    let (count, read) = (pages.id, pages.nanos);
    let before = cpu_nanos();
    let past = reader.finish();
    let origin = Origin {
        execution: ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:orders:run-1").expect("an ARN"),
        status: Status::Failed,
        express: false,
        started: "2026-01-31T04:00:00.000Z".to_owned(),
        stopped: None,
        not_redrivable: None,
        has_kms_key: false,
    };
    let facts = Facts {
        origin: &origin,
        executed: &executed,
        goes_on_with: &executed,
        document: &document,
        differs: false,
        past: &past,
        fleets: &Fleets::default(),
        now: Timestamp::from_millis(0),
        most_bytes: CLONE_BYTES,
    };
    let ask = Ask {
        mode: Mode::Clone,
        ..Ask::default()
    };
    let plan = plan(&facts, &ask).expect("a plan");
    let built = plan.built.expect("a clone");
    let diff = unified(&document, &built.definition, 64 * 1024);
    assert!(!diff.is_empty());
    let nanos = read.and_then(|nanos| Some(nanos + (cpu_nanos()? - before?)));
    let millis = nanos.map(|nanos: u64| format!("{}.{}", nanos / 1_000_000, nanos / 100_000 % 10));
    let shown = |figure: Option<String>| figure.unwrap_or_else(|| "?".to_owned());
    println!(
        "{kind:<6} {count:>8} {bytes:>8} {:>10} {:>10} {:>10}  {}",
        shown(millis),
        shown(peak_mib()),
        built.text.len() / 1024,
        plan.lists.resumes_at.join(", ")
    );
}

/// A history of so many events, of which the last attempt failed.
fn write(pages: &mut Pages<'_, '_>, kind: &str, events: usize, bytes: usize) {
    let data = |n: usize| json!({"n": n, "text": "x".repeat(bytes)}).to_string();
    pages.add(
        "ExecutionStarted",
        0,
        "executionStartedEventDetails",
        &json!({"input": "{}"}),
    );
    let started = match kind {
        "map" => {
            let entered = pages.add(
                "MapStateEntered",
                0,
                "stateEnteredEventDetails",
                &json!({"name": "Each", "input": "[]"}),
            );
            pages.add(
                "MapStateStarted",
                entered,
                "mapStateStartedEventDetails",
                &json!({"length": events}),
            )
        }
        _ => 0,
    };
    let (mut index, mut last) = (0, started);
    loop {
        let iteration = json!({"name": "Each", "index": index});
        if kind == "map" {
            last = pages.add(
                "MapIterationStarted",
                last,
                "mapIterationStartedEventDetails",
                &iteration,
            );
        }
        let task = json!({"name": "Work", "input": data(index)});
        let entered = pages.add("TaskStateEntered", last, "stateEnteredEventDetails", &task);
        let call = json!({"resourceType": "sqs", "resource": "sendMessage", "parameters": data(index)});
        let scheduled = pages.add("TaskScheduled", entered, "taskScheduledEventDetails", &call);
        if pages.id + 12 > events {
            let failed = json!({"error": "E", "cause": "c"});
            last = pages.add("TaskFailed", scheduled, "taskFailedEventDetails", &failed);
            pages.add("ExecutionFailed", last, "executionFailedEventDetails", &failed);
            return;
        }
        let succeeded = pages.add(
            "TaskSucceeded",
            scheduled,
            "taskSucceededEventDetails",
            &json!({"output": data(index)}),
        );
        last = pages.add(
            "TaskStateExited",
            succeeded,
            "stateExitedEventDetails",
            &json!({"name": "Work", "output": data(index)}),
        );
        if kind == "map" {
            pages.add(
                "MapIterationSucceeded",
                last,
                "mapIterationSucceededEventDetails",
                &iteration,
            );
        } else {
            let choice = json!({"name": "More", "input": data(index), "output": data(index)});
            let entered = pages.add("ChoiceStateEntered", last, "stateEnteredEventDetails", &choice);
            last = pages.add("ChoiceStateExited", entered, "stateExitedEventDetails", &choice);
        }
        index += 1;
    }
}

/// CPU time of this process, which has one thread: the first figure of `schedstat`.
fn cpu_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The most memory that this process has had.
fn peak_mib() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024))
}
