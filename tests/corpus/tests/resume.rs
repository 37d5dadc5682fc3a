//! Every recorded run that did not succeed, and of which the definition is known: how it is resumed.
//!
//! With `SIGNALBOX_RESUME_OUT` set to a folder, the clones' definitions are written there, for a validator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use corpus::{files, load};
use resume::clone::CLONE_BYTES;
use resume::past::{Data, Past, PastReader};
use resume::plan::{Ask, Facts, Fleets, From, Mode, Origin, Plan, Status, Strategy, plan};
use resume::refusal::Refusal;
use resume::{clone, cut};
use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::asl::{Definition, Kind};
use signalbox::clock::Timestamp;
use signalbox::history::Event;

/// What has to come out for each of them, read case by case: the strategy, and where the run goes on; or the refusal, and
/// the state that it is for.
const EXPECTED: &str = include_str!("resume/expected.txt");

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

    fn past(&self, events: &[Value], keep: Option<&str>) -> Past {
        let mut reader = PastReader::new(&self.definition, keep);
        for event in events {
            let parsed: Event = serde_json::from_value(event.clone()).expect("an event");
            reader.push(parsed, Data::of_json(event));
        }
        reader.finish()
    }

    fn plan(&self, mode: Mode) -> Result<Plan, Refusal> {
        self.plan_of(self.status(), self.events(), &Ask { mode, ..Ask::default() })
    }

    fn plan_from(&self, state: &str, iterations: &BTreeMap<String, u32>) -> Result<Plan, Refusal> {
        let from = From {
            state: state.to_owned(),
            iterations: iterations.clone(),
        };
        let ask = Ask {
            from: Some(from),
            mode: Mode::Clone,
            ..Ask::default()
        };
        self.plan_of(self.status(), self.events(), &ask)
    }

    /// The names of the states that were entered.
    fn entered(&self) -> BTreeSet<String> {
        let names = self.events().iter();
        let names = names.filter_map(|event| event["stateEnteredEventDetails"]["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Iterations of the Maps around a state, each with each.
    fn ways_to(&self, state: &str) -> Vec<BTreeMap<String, u32>> {
        let state = self.definition.state(state).expect("a state");
        let mut ways = vec![BTreeMap::new()];
        for container in self.definition.containers_of(state) {
            if container.branch.is_none() {
                let each = ways
                    .iter()
                    .flat_map(|way| (0..5).map(move |index| (way.clone(), index)));
                ways = each
                    .map(|(mut way, index)| {
                        way.insert(container.state.name.clone(), index);
                        way
                    })
                    .collect();
            }
        }
        ways
    }

    /// Whether it is told from its beginning, by ids that the recorder has kept: others place nothing.
    fn is_intact(&self) -> bool {
        self.recorded["threading"] == "intact" && self.events()[0]["type"] == "ExecutionStarted"
    }

    fn plan_of(&self, status: Status, events: &[Value], ask: &Ask) -> Result<Plan, Refusal> {
        let past = self.past(events, ask.from.as_ref().map(|from| from.state.as_str()));
        let origin = Origin {
            execution: ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:recorded:run-1")
                .expect("an ARN"),
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
            most_bytes: CLONE_BYTES,
        };
        plan(&facts, ask)
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

/// How it is resumed, in a line: the strategy and where it goes on, or the refusal and the state that it is for.
fn line(planned: &Result<Plan, Refusal>) -> String {
    match planned {
        Ok(plan) => format!("{} {}", plan.strategy.name(), plan.lists.resumes_at.join(" + ")),
        Err(refusal) => {
            let state = match refusal {
                Refusal::WouldFailAgain { state, .. } | Refusal::ChildFirst { state, .. } => state,
                other => panic!("{other}"),
            };
            format!("{} {state:?}", refusal.name())
        }
    }
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_run_that_failed_has_a_plan_or_a_refusal() {
    let out = std::env::var_os("SIGNALBOX_RESUME_OUT");
    let (mut told, mut wrong) = (Vec::new(), Vec::new());
    for run in failed() {
        let (auto, clone) = (run.plan(Mode::Auto), run.plan(Mode::Clone));
        told.push(format!("{}: {}", run.file, line(&auto)));
        let clone = match (auto, clone) {
            (Ok(_), Ok(clone)) => clone,
            (Err(one), Err(other)) if one == other => continue,
            (auto, clone) => panic!("{}: {auto:?} {clone:?}", run.file),
        };
        assert_eq!(clone.strategy, Strategy::Clone);
        wrong.extend(problems(&run, &clone));
        if let (Some(folder), Some(built)) = (&out, &clone.built) {
            let name = run.file.replace('/', "--");
            std::fs::write(Path::new(folder).join(name), &built.text).expect("a folder to write to");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let expected: Vec<&str> = EXPECTED.lines().collect();
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.len(), expected.len());
}

/// Every state that a recorded run came to can be named, whether the run failed or not.
#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn a_run_goes_on_at_any_state_that_it_came_to() {
    let (mut plans, mut refused, mut wrong) = (0, 0, Vec::new());
    for run in runs().filter(Run::is_intact) {
        if run.status() == Status::Running {
            continue;
        }
        for name in run.entered() {
            let planned = match run.plan_from(&name, &BTreeMap::new()) {
                // The iterations that came to it have finished: of each Map the first that leads there is named.
                Err(Refusal::Ambiguous { .. }) => run
                    .ways_to(&name)
                    .iter()
                    .map(|way| run.plan_from(&name, way))
                    .find(|planned| !matches!(planned, Err(Refusal::NeedsInput { .. })))
                    .unwrap_or_else(|| panic!("{}: no iteration came to {name}", run.file)),
                planned => planned,
            };
            match planned {
                Ok(plan) => {
                    plans += 1;
                    wrong.extend(problems(&run, &plan));
                    if given(&plan.cut, &name).is_empty() {
                        wrong.push(format!("{}: it does not go on at {name}", run.file));
                    }
                }
                Err(refusal) => {
                    // It is a Fail itself, or another iteration stands at one.
                    let Refusal::WouldFailAgain { state, .. } = &refusal else {
                        panic!("{} at {name}: {refusal}", run.file)
                    };
                    let state = run.definition.state(state).expect("a state");
                    assert_eq!(state.kind, Kind::Fail, "{}: {refusal}", run.file);
                    refused += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(plans > 500 && refused < 50, "{plans} plans, {refused} refusals");
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
    let ask = Ask {
        mode: Mode::Clone,
        ..Ask::default()
    };
    for run in runs().filter(Run::is_intact) {
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
            let plan = match run.plan_of(Status::Aborted, &events, &ask) {
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
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        definitions > 300 && states > 600 && kept > 400,
        "{definitions} definitions, {states} states, {kept} states and regions kept"
    );
}
