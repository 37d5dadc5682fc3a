//! What to know before a plan is applied. What concerns the clone's definition alone is told by whoever builds it.

use std::collections::HashMap;

use serde_json::Value;
use signalbox::asl::Kind;
use signalbox::history::Failed;

use super::cloned;
use super::facts::Facts;
use super::lost::Lost;
use super::seen::{is_unfinished, may_have_run, unfinished_inside};
use super::strategy::{Strategy, child_of, is_nested};
use super::told::Told;
use super::written::Written;
use crate::clone::Built;
use crate::clone::numbers::rounded;
use crate::cut::{At, Region, Run};
use crate::past::{Inside, Left, Scope, Task, Text, Visit};
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
        lost: (strategy == Strategy::Clone).then(|| Lost::new(facts, written)),
        told: Told::default(),
    };
    if let Some(built) = built {
        cloned::warn(facts, cut, built, &mut found.told);
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
    /// None for a redrive, for which all that the run held is taken back.
    lost: Option<Lost<'f>>,
    told: Told,
}

impl Found<'_> {
    fn at(&mut self, at: &At, scope: Option<&Scope>) {
        let visit = scope.and_then(|scope| scope.visits.get(&at.state));
        if let Some(scope) = scope {
            self.passed_over(at, scope, visit);
            self.finished_before(scope, visit);
            self.numbers(at, scope, visit);
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
                        Region::Done { .. } => {
                            let output = within.and_then(|within| within.get(&index)?.output.as_ref());
                            self.ended(&at.state, Some(index), output);
                        }
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
                        Region::Done { .. } => {
                            let output = within.and_then(|within| within.get(index)?.output.as_ref());
                            self.ended(&at.state, None, output);
                        }
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

    /// Parallels and Maps that the run had come to before.
    fn finished_before(&mut self, scope: &Scope, target: Option<&Visit>) {
        let before = scope
            .visits
            .iter()
            .filter(|(_, visit)| visit.kind.is_container() && target.is_none_or(|target| visit.order < target.order));
        for (name, _) in before {
            self.ended(name, None, None);
        }
    }

    /// A branch or an iteration of which the output is kept.
    fn ended(&mut self, container: &str, branch: Option<u32>, output: Option<&Text>) {
        if let Some(lost) = &mut self.lost {
            lost.warn(container, branch, &mut self.told);
        }
        self.number(container, output);
    }

    /// Numbers of what stands in the clone, as it is recorded: of its own data, not of what was asked for.
    fn numbers(&mut self, at: &At, scope: &Scope, visit: Option<&Visit>) {
        let last = scope.current.as_ref().and_then(|current| scope.visits.get(current));
        let (input, variables) = match (visit, last) {
            (Some(visit), _) => (visit.input.as_ref(), &visit.variables),
            (None, Some(last)) => match &last.left {
                Left::Done(output) => (output.as_ref(), &scope.variables),
                _ => (None, &scope.variables),
            },
            (None, None) => (None, &scope.variables),
        };
        let holds = at.holds.iter().filter_map(|hold| scope.visits.get(&hold.state));
        let holds = holds.filter_map(|visit| visit.input.as_ref());
        for text in input.into_iter().chain(variables.values()).chain(holds) {
            self.number(&at.state, Some(text));
        }
    }

    fn number(&mut self, state: &str, text: Option<&Text>) {
        let text = text.filter(|_| self.strategy == Strategy::Clone);
        for number in text.map(|text| rounded(text)).into_iter().flatten() {
            self.told.say_of(
                Code::NumberRounded,
                state,
                "Numbers of its data are not kept to their last digit:",
                Some(number.to_owned()),
            );
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
