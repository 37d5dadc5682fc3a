//! Every recorded run that did not succeed, and of which the definition is known: how it is resumed.
//!
//! With `SIGNALBOX_RESUME_OUT` set to a folder, the clones' definitions are written there, for a validator.

use std::collections::BTreeMap;
use std::path::Path;

use corpus::{files, load};
use resume::clone::DEFINITION_BYTES;
use resume::past::{Data, Past, PastReader};
use resume::plan::{Ask, Facts, Fleets, Mode, Origin, Plan, Status, Strategy, plan};
use resume::refusal::Refusal;
use resume::{clone, cut};
use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::asl::Definition;
use signalbox::clock::Timestamp;
use signalbox::history::Event;

/// A recorded run.
struct Run {
    file: String,
    recorded: Value,
    definition: Definition,
}

impl Run {
    fn status(&self) -> Status {
        match self.recorded["execution"]["status"].as_str() {
            Some("FAILED") => Status::Failed,
            Some("TIMED_OUT") => Status::TimedOut,
            Some("ABORTED") => Status::Aborted,
            Some("SUCCEEDED") => Status::Succeeded,
            Some("RUNNING") => Status::Running,
            other => panic!("{}: status {other:?}", self.file),
        }
    }

    fn events(&self) -> &[Value] {
        self.recorded["history"]["events"].as_array().expect("events")
    }

    fn past(&self, events: &[Value]) -> Past {
        let mut reader = PastReader::new(&self.definition, None);
        for event in events {
            let parsed: Event = serde_json::from_value(event.clone()).expect("an event");
            reader.push(parsed, Data::of_json(event));
        }
        reader.finish()
    }

    fn plan(&self, mode: Mode) -> Result<Plan, Refusal> {
        self.plan_of(self.status(), self.events(), mode)
    }

    fn plan_of(&self, status: Status, events: &[Value], mode: Mode) -> Result<Plan, Refusal> {
        let past = self.past(events);
        let origin = Origin {
            execution: ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:recorded:run-1").unwrap(),
            status,
            express: false,
            started: "2026-01-31T04:00:00.000Z".to_owned(),
            stopped: Some(Timestamp::from_millis(0)),
            not_redrivable: None,
            has_kms_key: false,
        };
        let facts = Facts {
            origin: &origin,
            executed: &self.definition,
            goes_on_with: &self.definition,
            document: &self.recorded["definition"],
            differs: false,
            past: &past,
            fleets: &Fleets::default(),
            now: Timestamp::from_millis(1_000),
            most_bytes: DEFINITION_BYTES,
        };
        let ask = Ask { mode, ..Ask::default() };
        plan(&facts, &ask)
    }
}

fn runs() -> impl Iterator<Item = Run> {
    files(["histories"]).into_iter().filter_map(|file| {
        let recorded = load(&file);
        if recorded["definition"].is_null() {
            return None;
        }
        let definition =
            Definition::parse(&recorded["definition"].to_string()).unwrap_or_else(|e| panic!("{file}: {e}"));
        Some(Run {
            file,
            recorded,
            definition,
        })
    })
}

fn failed() -> impl Iterator<Item = Run> {
    runs().filter(|run| !matches!(run.status(), Status::Succeeded | Status::Running))
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_run_that_failed_has_a_plan_or_a_refusal() {
    let out = std::env::var_os("SIGNALBOX_RESUME_OUT");
    let (mut told, mut wrong) = (BTreeMap::new(), Vec::new());
    for run in failed() {
        let line = match (run.plan(Mode::Auto), run.plan(Mode::Clone)) {
            (Ok(auto), Ok(clone)) => {
                wrong.extend(problems(&run, &clone));
                if let (Some(folder), Some(built)) = (&out, &clone.built) {
                    let name = run.file.replace('/', "--");
                    std::fs::write(Path::new(folder).join(name), &built.text).expect("a folder to write to");
                }
                assert_eq!(clone.strategy, Strategy::Clone);
                format!("{:<8} {}", auto.strategy.name(), auto.lists.resumes_at.join(" + "))
            }
            (Err(one), Err(other)) => {
                assert_eq!(one, other, "{}", run.file);
                format!("{:<8} {one}", one.name())
            }
            (auto, clone) => panic!("{}: {auto:?} {clone:?}", run.file),
        };
        told.insert(run.file.clone(), line);
    }
    for (file, line) in &told {
        println!("{file} {line}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In what the clone is not as the plan has it.
fn problems(run: &Run, plan: &Plan) -> Vec<String> {
    let built = plan.built.as_ref().expect("a clone was asked for");
    assert!(
        built.maps_run_whole.is_empty(),
        "{}: nothing recorded is that large",
        run.file
    );
    let found = clone::check::check(&run.recorded["definition"], &built.definition, &plan.cut);
    found
        .into_iter()
        .map(|problem| format!("{}: {problem}", run.file))
        .collect()
}

/// The state at which the innermost region goes on that holds `name`: what it is given.
fn given<'c>(at: &'c cut::At, name: &str) -> Vec<&'c Value> {
    let inner = |region: &'c cut::Region| match region {
        cut::Region::At(at) => given(at, name),
        cut::Region::Fresh | cut::Region::Done { .. } => Vec::new(),
    };
    match &at.run {
        _ if at.state == name => vec![&at.input],
        cut::Run::Parallel(branches) => branches.iter().flat_map(inner).collect(),
        cut::Run::Map(iterations) => iterations.values().flat_map(inner).collect(),
        _ => Vec::new(),
    }
}

/// Every recorded run, stopped right after it came to each of its states.
#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn a_run_that_is_stopped_anywhere_goes_on_there() {
    let (mut definitions, mut states, mut kept, mut wrong) = (0, 0, 0, Vec::new());
    for run in runs() {
        // Ids that the recorder has lost place nothing.
        if run.recorded["threading"] != "intact" || run.recorded["history"]["events"][0]["type"] != "ExecutionStarted" {
            continue;
        }
        definitions += 1;
        for (at, event) in run.events().iter().enumerate() {
            let entered = &event["stateEnteredEventDetails"];
            let (Some(name), Some(input)) = (entered["name"].as_str(), entered["input"].as_str()) else {
                continue;
            };
            let mut events = run.events()[..=at].to_vec();
            events.push(serde_json::json!({
                "id": events.len() + 1, "previousEventId": 0, "type": "ExecutionAborted", "timestamp": event["timestamp"],
                "executionAbortedEventDetails": {}
            }));
            let plan = match run.plan_of(Status::Aborted, &events, Mode::Clone) {
                Ok(plan) => plan,
                Err(refusal) => panic!("{} at {name}: {refusal}", run.file),
            };
            states += 1;
            kept += plan.lists.kept.len();
            wrong.extend(
                problems(&run, &plan)
                    .into_iter()
                    .map(|problem| format!("{name}: {problem}")),
            );
            let input: Value = serde_json::from_str(input).expect("JSON");
            if !given(&plan.cut, name).contains(&&input) {
                wrong.push(format!("{}: {name} is not given what it was", run.file));
            }
        }
    }
    println!("{definitions} definitions, {states} states, {kept} states and regions kept");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        definitions > 100 && states > 500,
        "{definitions} definitions, {states} states"
    );
}
