//! The ASL model and the history reader: from any bytes to the words of a failure, without a panic.
//!
//! The first byte says what the rest is: JSON as it comes, a definition with its events, or a way to change a history
//! that is good.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signalbox::asl::Definition;
use signalbox::history::{Event, Reader};

#[path = "../../shared/tests/history/generated.rs"]
mod generated;

#[derive(Debug, Arbitrary)]
enum Change {
    Drop(u8),
    Repeat(u8, u8),
    Swap(u8, u8),
    Previous(u8, i16),
    Id(u8, i16),
    Type(u8, u8),
    Details(u8, u8),
    Cut(u8),
}

const TYPES: [&str; 12] = [
    "ExecutionFailed",
    "ExecutionAborted",
    "ExecutionRedriven",
    "EvaluationFailed",
    "MapStateStarted",
    "MapStateFailed",
    "ParallelStateStarted",
    "ParallelStateFailed",
    "MapIterationStarted",
    "MapIterationFailed",
    "TaskStateExited",
    "FailStateEntered",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => {
            let events: Vec<Event> = serde_json::from_slice(rest).unwrap_or_default();
            read(None, &events);
        }
        1 => {
            let text = String::from_utf8_lossy(rest);
            let (definition, events) = text.split_once('\n').unwrap_or((&text, ""));
            let events: Vec<Event> = events.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            read(Definition::parse(definition).ok().as_ref(), &events);
        }
        _ => {
            let definition = Definition::parse(generated::DEFINITION).expect("a definition");
            let mut history = history();
            let mut changes = Unstructured::new(rest);
            while !changes.is_empty() && !history.is_empty() {
                let Ok(next) = changes.arbitrary() else { break };
                change(&mut history, next);
            }
            let events = history.into_iter().map(|event| serde_json::from_value(event).expect("an event"));
            let events: Vec<Event> = events.collect();
            read(Some(&definition), &events);
            read(None, &events);
        }
    }
});

fn read(definition: Option<&Definition>, events: &[Event]) {
    let mut reader = Reader::new(definition);
    for event in events {
        reader.push(event);
    }
    for place in reader.failure().into_iter().flat_map(|failure| failure.places) {
        assert!(!place.to_string().contains('\n'));
    }
}

fn history() -> Vec<Value> {
    let mut history = Vec::new();
    generated::orders(100, |_| 0, |event| history.push(serde_json::from_str(&event).expect("JSON")));
    history
}

fn change(history: &mut Vec<Value>, change: Change) {
    let count = history.len();
    let at = |position: u8| usize::from(position) % count;
    match change {
        Change::Drop(one) => _ = history.remove(at(one)),
        Change::Repeat(one, other) => history.insert(at(one), history[at(other)].clone()),
        Change::Swap(one, other) => history.swap(at(one), at(other)),
        Change::Previous(one, id) => history[at(one)]["previousEventId"] = id.into(),
        Change::Id(one, id) => history[at(one)]["id"] = id.into(),
        Change::Type(one, kind) => history[at(one)]["type"] = TYPES[usize::from(kind) % TYPES.len()].into(),
        Change::Details(one, other) => {
            let details = history[at(other)].as_object().into_iter().flatten();
            let details = details.filter(|(field, _)| field.ends_with("EventDetails"));
            let details: Vec<(String, Value)> = details.map(|(field, value)| (field.clone(), value.clone())).collect();
            for (field, value) in details {
                history[at(one)][field] = value;
            }
        }
        Change::Cut(first) => _ = history.drain(..at(first)),
    }
}
