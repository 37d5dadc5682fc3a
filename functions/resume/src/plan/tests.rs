//! Plans of composed runs.

#![allow(clippy::needless_pass_by_value, reason = "what `json!` makes is given as it is made")]

mod catches;
mod costs;
mod finished;
mod holds;
mod paths;
mod regions;
mod shapes;
mod strategies;
mod targets;
mod warnings;

use serde_json::{Value, json};
use signalbox::arn::ExecutionArn;
use signalbox::asl::Definition;
use signalbox::clock::Timestamp;
use signalbox::history::Event;

use super::{Ask, Facts, Fleets, From, Mode, Origin, Plan, Status, plan};
use crate::clone::{CLONE_BYTES, Fleet, check};
use crate::cut::{At, Region, Run};
use crate::past::{Data, Past, PastReader};
use crate::refusal::Refusal;

/// When every run ended.
const ENDED: i64 = 1_769_832_000_000;

/// A history that is being composed.
#[derive(Debug, Default, Clone)]
struct Told {
    events: Vec<Value>,
}

impl Told {
    /// Begins with `ExecutionStarted`.
    fn of(input: Value) -> Self {
        let mut told = Self::default();
        told.add(
            "ExecutionStarted",
            0,
            "executionStartedEventDetails",
            json!({"input": input.to_string()}),
        );
        told
    }

    fn add(&mut self, kind: &str, previous: usize, details: &str, fields: Value) -> usize {
        let id = self.events.len() + 1;
        self.events.push(json!({
            "id": id, "previousEventId": previous, "type": kind, "timestamp": 1_769_830_000 + id, details: fields,
        }));
        id
    }

    fn enter(&mut self, kind: &str, name: &str, input: &Value, previous: usize) -> usize {
        let fields = json!({"name": name, "input": input.to_string()});
        self.add(
            &format!("{kind}StateEntered"),
            previous,
            "stateEnteredEventDetails",
            fields,
        )
    }

    fn exit(&mut self, kind: &str, name: &str, output: &Value, previous: usize) -> usize {
        self.exit_with(kind, name, output, json!({}), previous)
    }

    fn exit_with(&mut self, kind: &str, name: &str, output: &Value, assigned: Value, previous: usize) -> usize {
        let assigned: serde_json::Map<String, Value> = assigned
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.clone(), json!(v.to_string())))
            .collect();
        let fields = json!({"name": name, "output": output.to_string(), "assignedVariables": assigned});
        self.add(
            &format!("{kind}StateExited"),
            previous,
            "stateExitedEventDetails",
            fields,
        )
    }

    /// A Task that called something, up to its start.
    fn task(&mut self, name: &str, input: &Value, previous: usize) -> usize {
        self.calling(name, input, "sqs", "sendMessage", &json!({}), previous)
    }

    fn calling(
        &mut self,
        name: &str,
        input: &Value,
        service: &str,
        action: &str,
        parameters: &Value,
        previous: usize,
    ) -> usize {
        let entered = self.enter("Task", name, input, previous);
        let call = json!({"resourceType": service, "resource": action, "parameters": parameters.to_string()});
        let scheduled = self.add("TaskScheduled", entered, "taskScheduledEventDetails", call);
        self.add("TaskStarted", scheduled, "taskStartedEventDetails", json!({}))
    }

    /// A Task that did what it was to do.
    fn done(&mut self, name: &str, input: &Value, output: &Value, previous: usize) -> usize {
        let started = self.task(name, input, previous);
        self.succeeded(name, output, started)
    }

    fn succeeded(&mut self, name: &str, output: &Value, started: usize) -> usize {
        let answer = json!({"output": output.to_string()});
        let succeeded = self.add("TaskSucceeded", started, "taskSucceededEventDetails", answer);
        self.exit("Task", name, output, succeeded)
    }

    fn failed(&mut self, started: usize) -> usize {
        self.add(
            "TaskFailed",
            started,
            "taskFailedEventDetails",
            json!({"error": "E", "cause": "c"}),
        )
    }

    fn iteration(&mut self, what: &str, map: &str, index: u32, previous: usize) -> usize {
        let kind = format!("MapIteration{what}");
        let details = format!("mapIteration{what}EventDetails");
        self.add(&kind, previous, &details, json!({"name": map, "index": index}))
    }

    /// Ends as `FAILED`.
    fn fails(mut self, previous: usize) -> Self {
        self.add(
            "ExecutionFailed",
            previous,
            "executionFailedEventDetails",
            json!({"error": "E", "cause": "c"}),
        );
        self
    }

    /// Ends in another way.
    fn ends(mut self, kind: &str) -> Self {
        self.add(kind, 0, "none", json!({}));
        self
    }
}

/// A run, and what is asked of it.
struct Trial {
    definition: Value,
    goes_on_with: Option<Value>,
    told: Told,
    status: Status,
    ask: Ask,
    days: i64,
    not_redrivable: Option<String>,
}

impl Trial {
    fn of(definition: &Value, told: Told) -> Self {
        let last = told.events.last().unwrap()["type"].as_str().unwrap().to_owned();
        Self {
            definition: definition.clone(),
            goes_on_with: None,
            status: match last.as_str() {
                "ExecutionFailed" => Status::Failed,
                "ExecutionTimedOut" => Status::TimedOut,
                "ExecutionAborted" => Status::Aborted,
                "ExecutionSucceeded" => Status::Succeeded,
                _ => Status::Running,
            },
            told,
            ask: Ask::default(),
            days: 1,
            not_redrivable: None,
        }
    }

    fn from(mut self, state: &str) -> Self {
        self.ask.from = Some(From {
            state: state.to_owned(),
            iterations: std::collections::BTreeMap::new(),
        });
        self
    }

    fn iteration(mut self, map: &str, index: u32) -> Self {
        self.ask
            .from
            .as_mut()
            .expect("a state")
            .iterations
            .insert(map.to_owned(), index);
        self
    }

    fn mode(mut self, mode: Mode) -> Self {
        self.ask.mode = mode;
        self
    }

    fn input(mut self, input: Value) -> Self {
        self.ask.input = Some(input);
        self
    }

    fn past(&self, definition: &Definition) -> Past {
        let keep = self.ask.from.as_ref().map(|from| from.state.as_str());
        let mut reader = PastReader::new(definition, keep);
        for event in &self.told.events {
            let parsed: Event = serde_json::from_value(event.clone()).unwrap();
            reader.push(parsed, Data::of_json(event));
        }
        reader.finish()
    }

    /// The plan; its clone, if it is one, is what the plan says.
    fn plan(&self) -> Result<Plan, Refusal> {
        let executed = Definition::parse(&self.definition.to_string()).unwrap();
        let document = self.goes_on_with.as_ref().unwrap_or(&self.definition);
        let goes_on_with = Definition::parse(&document.to_string()).unwrap();
        let past = self.past(&executed);
        let origin = Origin {
            execution: ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:orders:run-1").unwrap(),
            status: self.status,
            express: false,
            started: "2026-01-31T04:00:00.000Z".to_owned(),
            stopped: Some(Timestamp::from_millis(ENDED)),
            not_redrivable: self.not_redrivable.clone(),
            has_kms_key: false,
        };
        let fleet = |name: &str| {
            Fleet::new([
                format!("arn:aws:lambda:us-east-1:123456789012:function:{name}"),
                name.to_owned(),
            ])
        };
        let facts = Facts {
            origin: &origin,
            executed: &executed,
            goes_on_with: &goes_on_with,
            document,
            differs: self.goes_on_with.is_some(),
            past: &past,
            fleets: &Fleets {
                lock_acquire: fleet("lock-acquire"),
                lock_release: fleet("lock-release"),
                overlap_guard: fleet("overlap-guard"),
                others: Fleet::default(),
            },
            now: Timestamp::from_millis(ENDED + self.days * 86_400_000),
            most_bytes: CLONE_BYTES,
        };
        let plan = plan(&facts, &self.ask)?;
        // What is pinned is not as the original has it.
        if let Some(built) = plan.built.as_ref().filter(|_| !self.ask.pin) {
            let problems = check::check(document, &built.definition, &plan.cut);
            assert!(problems.is_empty(), "{problems:#?}");
        }
        Ok(plan)
    }

    fn clone(self) -> Plan {
        self.mode(Mode::Clone)
            .plan()
            .unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    fn refused(&self) -> (&'static str, String) {
        let refusal = self.plan().expect_err("a refusal");
        (refusal.name(), refusal.to_string())
    }
}

fn task(next: Option<&str>) -> Value {
    state(
        "Task",
        next,
        json!({"Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}}),
    )
}

fn state(kind: &str, next: Option<&str>, mut fields: Value) -> Value {
    fields["Type"] = json!(kind);
    match next {
        Some(next) => fields["Next"] = json!(next),
        None if matches!(kind, "Choice" | "Fail" | "Succeed") => {}
        None => fields["End"] = json!(true),
    }
    fields
}

/// The branches of a Parallel, or the iterations of a Map, at which a cut goes on.
fn inside(at: &At) -> Vec<(u32, &Region)> {
    match &at.run {
        Run::Parallel(branches) => (0..).zip(branches).collect(),
        Run::Map(iterations) => iterations.iter().map(|(index, region)| (*index, region)).collect(),
        _ => Vec::new(),
    }
}

/// Where a region goes on: the state and what it is given; `None` if it has ended or never began.
fn going_on(region: &Region) -> Option<(&str, &Value)> {
    match region {
        Region::At(at) => Some((&at.state, &at.input)),
        Region::Done { .. } | Region::Fresh => None,
    }
}

/// The codes of what is warned of.
fn codes(plan: &Plan) -> Vec<&'static str> {
    plan.warnings.iter().map(|warning| warning.code.name()).collect()
}
