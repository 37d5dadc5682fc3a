//! Histories, an event a line: `ID PREVIOUS TYPE REST`. What REST is depends on the type: a state's name; a Map's name and
//! an index; `ERROR | CAUSE`; `STATE | ERROR | CAUSE`.

use serde_json::{Map, Value, json};

use crate::history::Event;

pub(super) fn events(history: &str) -> Vec<Event> {
    let lines = history.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_value(event(line)).unwrap()).collect()
}

fn event(line: &str) -> Value {
    let mut parts = line.splitn(4, char::is_whitespace);
    let mut number = || parts.next().unwrap().parse::<i64>().unwrap();
    let (id, previous) = (number(), number());
    let name = parts.next().unwrap();
    let rest = parts.next().unwrap_or_default().trim();
    let mut words = rest.split('|').map(str::trim);
    let mut word = || words.next().filter(|word| !word.is_empty());
    let details = if name.ends_with("StateEntered") || name.ends_with("StateExited") {
        json!({"name": rest})
    } else if name.starts_with("MapIteration") {
        let (map, index) = rest.rsplit_once(' ').unwrap();
        json!({"name": map, "index": index.parse::<u32>().unwrap()})
    } else if name == "EvaluationFailed" {
        json!({"state": word(), "error": word(), "cause": word()})
    } else if name == "TaskScheduled" {
        match rest.split_once(':') {
            Some((service, action)) => json!({"resourceType": service, "resource": action}),
            None => json!({}),
        }
    } else {
        json!({"error": word(), "cause": word()})
    };
    let mut event = json!({"id": id, "previousEventId": previous, "type": name, "timestamp": 1_700_000_000 + id});
    // The details' name is the type's, except for states.
    let mut field = match name {
        name if name.ends_with("StateEntered") => "stateEntered".to_owned(),
        name if name.ends_with("StateExited") => "stateExited".to_owned(),
        name => name[..1].to_lowercase() + &name[1..],
    };
    field.push_str("EventDetails");
    event[field] = without_nulls(details);
    event
}

fn without_nulls(details: Value) -> Value {
    let Value::Object(fields) = details else {
        unreachable!("details are an object")
    };
    Value::Object(
        fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect::<Map<_, _>>(),
    )
}
