//! The history reader on histories that are made up: it names what failed, and whatever is done to the events, it answers.

mod generated;

use fastrand::Rng;
use serde::Deserialize;
use serde_json::Value;
use signalbox::asl::Definition;
use signalbox::history::{Event, Failure, Reader};

fn definition() -> Definition {
    Definition::parse(generated::DEFINITION).expect("a definition")
}

/// A history in an order that `rng` chooses, and where it failed.
fn history(events: usize, rng: &mut Rng) -> (Vec<Value>, String) {
    let mut history = Vec::new();
    let place = generated::orders(
        events,
        |iterations| rng.usize(..iterations),
        |event| history.push(serde_json::from_str(&event).expect("JSON")),
    );
    (history, place)
}

fn events(history: &[Value]) -> Vec<Event> {
    let event = |event: &Value| Event::deserialize(event).expect("an event");
    history.iter().map(event).collect()
}

fn read(definition: Option<&Definition>, events: &[Event]) -> Option<Failure> {
    let mut reader = Reader::new(definition);
    for event in events {
        reader.push(event);
    }
    reader.failure()
}

#[test]
fn the_state_that_failed_is_found_whatever_the_order_of_events() {
    let definition = definition();
    for seed in 0..200 {
        let (history, expected) = history(400, &mut Rng::with_seed(seed));
        let events = events(&history);
        let failure = read(Some(&definition), &events).unwrap();
        assert_eq!(failure.places[0].to_string(), expected, "seed {seed}");
        let entered = failure.places[0].entered_event.unwrap();
        // Without the definition: all but the branch and how often it might have been tried.
        let blind = read(None, &events).unwrap();
        let less = expected.replace(" of 4", "").replace("#1", "");
        assert_eq!(
            (blind.places[0].to_string(), blind.places[0].entered_event),
            (less, Some(entered))
        );
    }
}

#[test]
fn every_tail_that_reaches_back_to_an_attempt_names_the_state_that_failed() {
    let definition = definition();
    for seed in 0..20 {
        let (history, expected) = history(400, &mut Rng::with_seed(seed));
        let events = events(&history);
        let entered = read(Some(&definition), &events).unwrap().places[0]
            .entered_event
            .unwrap();
        let entry = events.iter().position(|event| event.id == entered).unwrap();
        for first in 0..=entry {
            let failure = read(Some(&definition), &events[first..]).unwrap();
            assert_eq!(failure.places[0].to_string(), expected, "seed {seed} from {first} on");
        }
        // The entry itself is cut off: fewer attempts are seen, the state is still known.
        let place = expected.split(" (").next().unwrap();
        for first in entry + 1..events.len() - 10 {
            let failure = read(Some(&definition), &events[first..]).unwrap();
            let found = failure.places.first().map(ToString::to_string).unwrap_or_default();
            assert!(found.starts_with(place), "seed {seed} from {first} on: {found:?}");
        }
    }
}

#[test]
fn whatever_is_done_to_the_events_there_is_an_answer_on_one_line() {
    let definition = definition();
    let rng = &mut Rng::with_seed(7);
    let (whole, _) = history(160, rng);
    let mut failures = 0;
    for round in 0..20_000 {
        let mut changed = whole.clone();
        for _ in 0..rng.usize(1..12) {
            change(&mut changed, rng);
        }
        let from = rng.usize(..changed.len()) / 2;
        let events = events(&changed[from..]);
        let known = rng.bool().then_some(&definition);
        let Some(failure) = read(known, &events) else { continue };
        failures += 1;
        for place in failure.places {
            let shown = place.to_string();
            assert!(!shown.is_empty() && !shown.contains('\n'), "round {round}: {shown}");
            assert!(!place.path.is_empty(), "round {round}");
            let entered = place.entered_event;
            assert!(entered.is_none_or(|id| id > 0), "round {round}: {entered:?}");
        }
    }
    assert!(
        failures > 1_000,
        "only {failures} of these histories say that the execution failed"
    );
}

const TYPES: [&str; 12] = [
    "ExecutionFailed",
    "ExecutionAborted",
    "ExecutionTimedOut",
    "ExecutionRedriven",
    "ExecutionSucceeded",
    "EvaluationFailed",
    "MapStateFailed",
    "ParallelStateStarted",
    "FailStateEntered",
    "MapIterationFailed",
    "TaskStateExited",
    "SomethingNew",
];

fn change(history: &mut Vec<Value>, rng: &mut Rng) {
    let (one, other) = (rng.usize(..history.len()), rng.usize(..history.len()));
    let id = i64::try_from(history.len()).expect("a short history") + 2;
    match rng.u8(..9) {
        0 if history.len() > 2 => _ = history.remove(one),
        1 => history.insert(one, history[other].clone()),
        2 => history.swap(one, other),
        3 => history[one]["previousEventId"] = rng.i64(-1..id).into(),
        4 => history[one]["id"] = rng.i64(-1..id).into(),
        5 => history[one]["type"] = TYPES[rng.usize(..TYPES.len())].into(),
        6 => {
            let details = history[other].as_object().and_then(|fields| fields.iter().next_back());
            let details = details.expect("an event has fields");
            let (field, details) = (details.0.clone(), details.1.clone());
            history[one][field] = details;
        }
        7 => {
            let cause =
                format!("An error occurred while executing the state 'Pack' (entered at the event id #{other}).");
            let reason =
                serde_json::json!({"error": "States.Runtime", "cause": cause, "state": "Pack\n", "name": "Fan"});
            for field in [
                "executionFailedEventDetails",
                "evaluationFailedEventDetails",
                "stateEnteredEventDetails",
            ] {
                history[one][field] = reason.clone();
            }
        }
        _ => history.truncate(one.max(1)),
    }
    if rng.u8(..4) == 0 {
        let end = serde_json::json!({"id": 10_000, "previousEventId": other, "type": TYPES[rng.usize(..3)]});
        history.push(end);
    }
}
