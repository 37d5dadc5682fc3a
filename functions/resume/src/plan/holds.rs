//! Locks and claims that have to be taken again: what a run held, it lost when it ended.

use std::collections::HashSet;

use serde_json::Value;

use super::facts::{Called, Facts};
use super::regions::json;
use crate::cut::{At, Hold, Region, Run};
use crate::past::{Left, Scope, Text, Visit};
use crate::refusal::Refusal;

/// How the resource goes on by which a state has Lambda invoke a function, also one that waits for a task token.
pub(super) const INVOKE: &str = ":states:::lambda:invoke";

/// A call of one of the fleet's functions by a state.
struct Call<'v> {
    state: &'v str,
    visit: &'v Visit,
    called: Called,
    payload: Value,
}

/// What the region had taken, and not given back, before the entry of number `order`: in the order in which it took it.
/// `None`: by now. `input`: what the state is given that is entered then.
pub(super) fn before(
    facts: &Facts<'_>,
    scope: &Scope,
    order: Option<u64>,
    input: Option<&Text>,
) -> Result<Vec<Hold>, Refusal> {
    let earlier = |visit: &Visit| order.is_none_or(|order| visit.order < order);
    let mut calls: Vec<Call<'_>> = scope
        .visits
        .iter()
        .filter(|(_, visit)| earlier(visit) && matches!(visit.left, Left::Done(_)))
        .filter_map(|(state, visit)| call(facts, state, visit))
        .collect();
    calls.sort_by_key(|call| call.visit.order);
    let mut held: Vec<Call<'_>> = Vec::new();
    for call in calls {
        match call.called {
            Called::LockRelease => {
                held.retain(|hold| hold.called != Called::LockAcquire || !is_of(hold, &call.payload));
            }
            Called::LockAcquire if call.payload.get("assert").and_then(Value::as_bool) == Some(true) => {}
            Called::LockAcquire | Called::OverlapGuard if was_refused(call.visit) => {}
            Called::LockAcquire => {
                held.retain(|hold| hold.called != Called::LockAcquire || !is_of(hold, &call.payload));
                held.push(call);
            }
            Called::OverlapGuard => {
                held.retain(|hold| hold.called != Called::OverlapGuard);
                held.push(call);
            }
        }
    }
    let last = scope
        .visits
        .iter()
        .filter(|(_, visit)| earlier(visit))
        .max_by_key(|(_, visit)| visit.order);
    let last = last.map(|(state, _)| state.as_str());
    held.into_iter()
        .map(|call| {
            let Left::Done(output) = &call.visit.left else {
                return Err(Refusal::NoData {
                    what: format!("output of \"{}\"", call.state),
                });
            };
            let feeds = last == Some(call.state) && output.is_some() && output.as_ref() == input;
            Ok(Hold {
                state: call.state.to_owned(),
                input: json(call.visit.input.as_ref(), || format!("input of \"{}\"", call.state))?,
                payload: call.payload,
                feeds,
            })
        })
        .collect()
}

fn call<'v>(facts: &Facts<'_>, state: &'v str, visit: &'v Visit) -> Option<Call<'v>> {
    let task = visit.task.as_ref()?;
    let resource = task.resource.as_deref()?;
    let invokes = resource.contains(INVOKE);
    // The function's ARN may be the resource: what it is given is the input.
    let direct = facts.fleets.called(resource);
    if !invokes && direct.is_none() {
        return None;
    }
    let mut parameters: Value = serde_json::from_str(task.parameters.as_ref()?).ok()?;
    let called = match invokes {
        true => facts.fleets.called(parameters.get("FunctionName")?.as_str()?)?,
        false => direct?,
    };
    let payload = match invokes {
        true => parameters.get_mut("Payload")?.take(),
        false => parameters,
    };
    Some(Call {
        state,
        visit,
        called,
        payload,
    })
}

/// Whether an acquisition is of the lock, and of the hold, that another payload is for.
fn is_of(hold: &Call<'_>, payload: &Value) -> bool {
    let field = |field: &str| (text(&hold.payload, field), text(payload, field));
    let same = |(one, other)| one == other;
    let run = field("executionArn");
    same(field("lock")) && same(field("hold")) && (same(run) || run.0.is_empty() || run.1.is_empty())
}

fn text<'p>(payload: &'p Value, field: &str) -> &'p str {
    payload.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the answer was that the run goes on without it: `"acquired": false`, `"proceed": false`.
fn was_refused(visit: &Visit) -> bool {
    let answer: Option<Value> = visit
        .result
        .as_ref()
        .and_then(|result| serde_json::from_str(result).ok());
    let Some(answer) = answer else { return false };
    let answer = answer.get("Payload").unwrap_or(&answer);
    let refused = |field: &str| answer.get(field).and_then(Value::as_bool) == Some(false);
    refused("acquired") || refused("proceed")
}

/// What is taken again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lock's name; none for the overlap guard's claim.
    pub lock: Option<String>,
    /// Which of the run's holds on it, if it has a name.
    pub hold: Option<String>,
    /// The state that took it.
    pub state: String,
}

/// What is taken again, each once.
pub(super) fn named(at: &At) -> Vec<Held> {
    let mut names = Names {
        known: HashSet::new(),
        found: Vec::new(),
    };
    names.at(at);
    names.found
}

struct Names<'h> {
    known: HashSet<[&'h str; 3]>,
    found: Vec<Held>,
}

impl<'h> Names<'h> {
    fn at(&mut self, at: &'h At) {
        for Hold { state, payload, .. } in &at.holds {
            let (lock, hold) = (text(payload, "lock"), text(payload, "hold"));
            if self.known.insert([lock, hold, state]) {
                let there = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
                self.found.push(Held {
                    lock: there(lock),
                    hold: there(hold),
                    state: state.clone(),
                });
            }
        }
        let inside: &mut dyn Iterator<Item = &'h Region> = match &at.run {
            Run::Parallel(branches) => &mut branches.iter(),
            Run::Map(iterations) => &mut iterations.values(),
            Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => &mut std::iter::empty(),
        };
        for region in inside {
            if let Region::At(at) = region {
                self.at(at);
            }
        }
    }
}
