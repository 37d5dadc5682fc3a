//! What to know before a plan is applied. What concerns the clone's definition alone is told by whoever builds it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use signalbox::asl::Kind;
use signalbox::history::Failed;

use super::facts::{Called, Facts};
use super::holds::INVOKE;
use super::seen::{is_unfinished, may_have_run, unfinished_inside};
use super::strategy::{Strategy, child_of, is_nested};
use super::told::Told;
use super::written::{Written, regions_of};
use crate::clone::Built;
use crate::cut::{At, Region, Run};
use crate::past::{Inside, Left, Scope, Task, Visit};
use crate::warning::{Code, Warning};

/// What a Map's items may be worked out from that is another the next time.
const UNSTEADY: [&str; 7] = [
    "$$.",
    "$states.context",
    "$random",
    "$now",
    "$millis",
    "$uuid",
    "States.UUID",
];

/// What of that is the same each time: the original's input, and the item that a selector asks for.
const STEADY: [&str; 4] = [
    "$$.Execution.Input",
    "$states.context.Execution.Input",
    "$$.Map.",
    "$states.context.Map",
];

/// Makes the warnings. `built`: the clone, if it goes on by one.
pub(super) fn of(
    facts: &Facts<'_>,
    written: &Written<'_>,
    cut: &At,
    strategy: Strategy,
    built: Option<&Built>,
) -> Vec<Warning> {
    let places = facts.past.failure.iter().flat_map(|failure| &failure.places);
    let mut found = Found {
        facts,
        written,
        strategy,
        ended_at: places.filter_map(|place| Some((place.entered_event?, place))).collect(),
        looked_at: HashSet::new(),
        told: Told::default(),
    };
    if let Some(built) = built {
        found.of_a_clone(cut, built);
    }
    found.at(cut, Some(&facts.past.top));
    found.told.warnings()
}

struct Found<'f> {
    facts: &'f Facts<'f>,
    written: &'f Written<'f>,
    strategy: Strategy,
    /// The states that the run ended in, by the event of their entry.
    ended_at: HashMap<i64, &'f Failed>,
    /// Parallels and Maps, with their branches, that were looked at for what was taken in them.
    looked_at: HashSet<(String, Option<u32>)>,
    told: Told,
}

impl Found<'_> {
    fn of_a_clone(&mut self, cut: &At, built: &Built) {
        self.told.say(
            Code::TrustPolicy,
            None,
            "If the role's trust policy names the state machine by aws:SourceArn, the clone cannot assume it: allow the clone's name too.",
        );
        self.told.say(
            Code::OthersDoNotSee,
            None,
            "Rules, alarms and dashboards that name the state machine do not see the clone's run; those that match the beginning of its name do.",
        );
        if has_data(cut) {
            self.told.say(
                Code::DataInDefinition,
                None,
                "Data of the run stands in the clone's definition: whoever may call states:DescribeStateMachine on it can read it.",
            );
        }
        if self.facts.origin.has_kms_key {
            self.told.say(
                Code::KmsEncryptionContext,
                None,
                "If the KMS key's policy names the state machine in its encryption context, the clone cannot use the key: allow the clone's name too.",
            );
        }
        if let Some(map) = distributed_map(&built.definition) {
            self.told.say(
                Code::DistributedMapRole,
                Some(built.copies.get(map).map_or(map, String::as_str)),
                "The role may be allowed to start child executions of the original state machine alone: allow states:StartExecution on the clone's name too.",
            );
        }
        if self.facts.differs {
            self.told.say(
                Code::DefinitionDiffers,
                None,
                "It goes on with another definition than the one that ran: states are found by their names.",
            );
        }
    }

    fn at(&mut self, at: &At, scope: Option<&Scope>) {
        let visit = scope.and_then(|scope| scope.visits.get(&at.state));
        if let Some(scope) = scope {
            self.passed_over(at, scope, visit);
            self.held_inside(scope, visit);
        }
        let inside = visit.map(|visit| &visit.inside);
        match (&at.run, inside) {
            (Run::Parallel(branches), inside) => {
                let within = match inside {
                    Some(Inside::Parallel(within)) => Some(within),
                    _ => None,
                };
                for (index, region) in (0..).zip(branches) {
                    match region {
                        Region::At(at) => self.at(at, within.and_then(|within| within.get(&index))),
                        Region::Done { .. } => self.hold_of(&at.state, Some(index)),
                        Region::Fresh => {}
                    }
                }
            }
            (Run::Map(iterations), inside) => {
                let within = match inside {
                    Some(Inside::Map { iterations, .. }) => Some(iterations),
                    _ => None,
                };
                self.items(&at.state);
                for (index, region) in iterations {
                    match region {
                        Region::At(at) => self.at(at, within.and_then(|within| within.get(index))),
                        Region::Done { .. } => self.hold_of(&at.state, None),
                        Region::Fresh => {}
                    }
                }
            }
            (Run::Skipped { .. } | Run::Waiting(_), _) => {
                if let Some(visit) = visit {
                    self.left_behind(&at.state, visit);
                }
            }
            (Run::Whole, _) => {
                if let Some(visit) = visit {
                    self.again(&at.state, visit);
                    self.distributed(&at.state);
                }
            }
        }
    }

    /// States after the one at which the region goes on, or besides it, that did not come to their end.
    fn passed_over(&mut self, at: &At, scope: &Scope, target: Option<&Visit>) {
        for (name, visit) in scope.visits.iter().filter(|(name, _)| **name != at.state) {
            let is_later = target.is_some_and(|target| target.order < visit.order);
            if visit.is_open() || (is_later && is_unfinished(visit)) {
                self.left_behind(name, visit);
            }
        }
    }

    /// A state that did not come to its end, and does not go on here: what it started may still run.
    fn left_behind(&mut self, state: &str, visit: &Visit) {
        let mut tasks = Vec::new();
        if is_unfinished(visit) {
            tasks.push((state, visit));
        }
        unfinished_inside(&visit.inside, &mut |name, visit| tasks.push((name, visit)));
        for (name, visit) in tasks {
            if let Some(task) = visit.task.as_ref() {
                self.token(name, task);
                self.job(name, visit, task);
            }
        }
    }

    /// A state that was open, or had failed, runs again; a Parallel or a Map as a whole.
    fn again(&mut self, state: &str, visit: &Visit) {
        let mut open = vec![(state, visit)];
        unfinished_inside(&visit.inside, &mut |name, visit| open.push((name, visit)));
        for (name, visit) in open {
            if visit.kind == Kind::Wait && visit.is_open() {
                self.told.say(
                    Code::WaitsInFull,
                    Some(name),
                    "It waits its whole time again; waits: remaining or skip shortens that, by a clone.",
                );
            }
            let Some(task) = visit.task.as_ref().filter(|_| may_have_run(visit)) else {
                continue;
            };
            if task.resource.as_deref().is_some_and(is_nested) {
                let child = task.submitted.as_deref().and_then(child_of);
                self.told.say_of(
                    Code::NestedStartsAgain,
                    name,
                    "It starts its nested execution anew, from the beginning; one before it may still run, and a name that it gave is taken.",
                    child,
                );
            } else {
                self.job(name, visit, task);
            }
            if task.started || task.submitted.is_some() {
                self.told.say(
                    Code::MayHaveRun,
                    Some(name),
                    "It was under way, or had failed: what it had done by then is done again.",
                );
            }
            self.token(name, task);
        }
    }

    fn job(&mut self, state: &str, visit: &Visit, task: &Task) {
        let resource = task.resource.as_deref().unwrap_or_default();
        let Some(job) = task.submitted.as_deref().filter(|_| resource.contains(".sync")) else {
            return;
        };
        if !self.has_ended(visit) {
            self.told.say_of(
                Code::JobMayRun,
                state,
                "The job that it has started may still be running: look before it starts another.",
                ids(job),
            );
        }
    }

    /// Whether the job of a `.sync` Task failed: its description is the cause.
    fn has_ended(&self, visit: &Visit) -> bool {
        let place = visit.entered_event.and_then(|entered| self.ended_at.get(&entered));
        place.is_some_and(|place| {
            let cause = place.cause.as_deref().map(serde_json::from_str::<Value>);
            place.error.as_deref() == Some("States.TaskFailed") && matches!(cause, Some(Ok(Value::Object(_))))
        })
    }

    fn token(&mut self, state: &str, task: &Task) {
        let resource = task.resource.as_deref().unwrap_or_default();
        if resource.contains("waitForTaskToken") || resource.contains(":activity:") {
            self.told.say(
                Code::DeadToken,
                Some(state),
                "Its task token is dead: whoever has it, and answers, is not heard.",
            );
        }
    }

    fn items(&mut self, map: &str) {
        if self.strategy != Strategy::Clone {
            return;
        }
        let written = self.written.get(map);
        let mut items = ["Items", "ItemsPath", "InputPath", "ItemSelector", "Parameters"].into_iter();
        let unsteady = items.any(|field| {
            let text = written.and_then(|map| map.get(field)).map(Value::to_string);
            let text = STEADY
                .iter()
                .fold(text.unwrap_or_default(), |text, steady| text.replace(steady, ""));
            UNSTEADY.iter().any(|asks| text.contains(asks))
        });
        if unsteady || self.facts.differs {
            self.told.say(
                Code::ItemsMayDiffer,
                Some(map),
                "Its items are worked out again, and may be others this time: what is kept is kept by the item's place.",
            );
        }
    }

    fn distributed(&mut self, state: &str) {
        let state = self.facts.goes_on_with.state(state);
        if let Some(map) = state.filter(|state| state.distributed && self.strategy == Strategy::Clone) {
            self.told.say(
                Code::DistributedMapRunsAgain,
                Some(&map.name),
                "It begins again as a whole: its children are executions of their own, of which only a redrive keeps those that succeeded.",
            );
        }
    }

    /// Parallels and Maps that had finished before.
    fn held_inside(&mut self, scope: &Scope, target: Option<&Visit>) {
        let before = scope.visits.iter().filter(|(_, visit)| {
            visit.kind.is_container()
                && matches!(visit.left, Left::Done(_))
                && target.is_none_or(|target| visit.order < target.order)
        });
        for (name, _) in before {
            self.hold_of(name, None);
        }
    }

    /// What was taken in a branch or in an iteration that has ended cannot be taken again there.
    fn hold_of(&mut self, container: &str, branch: Option<u32>) {
        let Some(written) = self.written.get(container).filter(|_| self.strategy == Strategy::Clone) else {
            return;
        };
        if !self.looked_at.insert((container.to_owned(), branch)) {
            return;
        }
        let regions = (0..).zip(regions_of(written));
        let regions = regions.filter(|(index, _)| branch.is_none_or(|branch| branch == *index));
        let mut calls = Vec::new();
        regions.for_each(|(_, region)| self.calls(region, &mut calls));
        if calls.iter().any(|(called, _)| *called == Called::LockRelease) {
            return;
        }
        for (_, state) in calls {
            self.told.say(
                Code::HoldLost,
                Some(state),
                "It stands in a branch or an iteration that has ended: what it took, and did not give back, is not taken again.",
            );
        }
    }

    /// The states in a region that call the fleet.
    fn calls<'w>(&self, region: &'w Value, calls: &mut Vec<(Called, &'w str)>) {
        for (name, state) in region.get("States").and_then(Value::as_object).into_iter().flatten() {
            let resource = state.get("Resource").and_then(Value::as_str).unwrap_or_default();
            let arguments = ["Parameters", "Arguments"]
                .into_iter()
                .find_map(|field| state.get(field));
            let function = match resource.contains(INVOKE) {
                true => arguments.and_then(|arguments| arguments.get("FunctionName")?.as_str()),
                false => Some(resource),
            };
            calls.extend(function.and_then(|function| Some((self.facts.fleets.called(function)?, name.as_str()))));
            regions_of(state).for_each(|region| self.calls(region, calls));
        }
    }
}

/// Whether anything of the run stands in the clone: an empty object tells nothing.
fn has_data(at: &At) -> bool {
    let tells =
        |value: &Value| !matches!(value, Value::Null) && value.as_object().is_none_or(|fields| !fields.is_empty());
    let inner = |region: &Region| match region {
        Region::Fresh => false,
        Region::Done { output } => tells(output),
        Region::At(at) => has_data(at),
    };
    let inside = match &at.run {
        Run::Parallel(branches) => branches.iter().any(inner),
        Run::Map(iterations) => iterations.values().any(inner),
        Run::Skipped { output } => tells(output),
        Run::Whole | Run::Waiting(_) => false,
    };
    inside || tells(&at.input) || !at.variables.is_empty() || !at.holds.is_empty()
}

/// A Distributed Map in a definition.
fn distributed_map(region: &Value) -> Option<&str> {
    let states = region.get("States")?.as_object()?;
    states.iter().find_map(|(name, state)| {
        let mut regions = regions_of(state);
        regions.find_map(|region| {
            let mode = region.get("ProcessorConfig").and_then(|config| config.get("Mode"));
            match mode.and_then(Value::as_str) {
                Some("DISTRIBUTED") => Some(name.as_str()),
                _ => distributed_map(region),
            }
        })
    })
}

/// What names a job in the answer that took it, cut short.
fn ids(answer: &str) -> Option<String> {
    const MOST: usize = 300;
    let answer: Value = serde_json::from_str(answer).ok()?;
    let named = answer.as_object().into_iter().flatten();
    let named = named.filter(|(field, _)| {
        let field = field.to_ascii_lowercase();
        field.ends_with("id") || field.ends_with("arn") || field.ends_with("name")
    });
    let named = named.map(|(field, value)| format!("{field}: {value}"));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if let Some((cut, _)) = text.char_indices().nth(MOST) {
        text.truncate(cut);
        text.push('…');
    }
    Some(text).filter(|text| !text.is_empty())
}
