//! Locks and claims that have to be taken again: what a run held, it lost when it ended.

use serde_json::Value;

use super::facts::{Called, Facts};
use super::regions::json;
use crate::cut::{At, Hold, Region, Run};
use crate::past::{Left, Scope, Text, Visit};
use crate::refusal::Refusal;

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
    let parameters: Value = serde_json::from_str(task.parameters.as_ref()?).ok()?;
    let resource = task.resource.as_deref().unwrap_or_default();
    let (called, payload) = match parameters.get("FunctionName").and_then(Value::as_str) {
        Some(function) if resource.contains(":states:::lambda:invoke") => {
            (facts.fleets.called(function)?, parameters.get("Payload")?.clone())
        }
        // The function's ARN is the resource: what it is given is the input.
        _ => (facts.fleets.called(resource)?, parameters),
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
    let name = |payload: &Value, field: &str| {
        payload
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    ["lock", "hold"]
        .into_iter()
        .all(|field| name(&hold.payload, field) == name(payload, field))
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

/// What is taken again, with the state that took it.
pub(super) fn named(at: &At) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(at, &mut found);
    found
}

fn collect(at: &At, found: &mut Vec<(String, String)>) {
    for hold in &at.holds {
        let lock = hold.payload.get("lock").and_then(Value::as_str).unwrap_or("overlap");
        let entry = (lock.to_owned(), hold.state.clone());
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    let inner = |region: &Region, found: &mut Vec<(String, String)>| {
        if let Region::At(at) = region {
            collect(at, found);
        }
    };
    match &at.run {
        Run::Parallel(branches) => branches.iter().for_each(|region| inner(region, found)),
        Run::Map(iterations) => iterations.values().for_each(|region| inner(region, found)),
        Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => {}
    }
}
