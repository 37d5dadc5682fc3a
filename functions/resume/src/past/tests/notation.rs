//! Histories, an event a line: `ID PREVIOUS TYPE REST`. What REST is depends on the type:
//!
//! | type | REST |
//! |---|---|
//! | a state's Entered | `NAME <- INPUT` |
//! | a state's Exited | `NAME -> OUTPUT ; VARIABLE = VALUE ; …` |
//! | `TaskScheduled` | `SERVICE:ACTION PARAMETERS` |
//! | `LambdaFunctionScheduled`, `ActivityScheduled` | `ARN INPUT` |
//! | `…Submitted`, `…Succeeded` of an attempt | its output |
//! | `ExecutionStarted` | the input |
//! | `MapStateStarted` | how many iterations |
//! | `MapIteration…` | the Map's name and an index |
//! | `EvaluationFailed` | a state's name |
//! | any other | `ERROR | CAUSE` |

use serde_json::{Value, json};
use signalbox::asl::Definition;
use signalbox::history::Event;

use crate::past::{Data, Inside, Left, Past, PastReader, Scope, Text, Variables, Visit};

pub(super) fn definition(text: &str) -> Definition {
    Definition::parse(text).unwrap()
}

pub(super) fn read(text: &str, history: &str) -> Past {
    read_keeping(text, None, history)
}

pub(super) fn read_keeping(text: &str, keep: Option<&str>, history: &str) -> Past {
    let definition = definition(text);
    let mut reader = PastReader::new(&definition, keep);
    push(&mut reader, history);
    reader.finish()
}

pub(super) fn push(reader: &mut PastReader<'_>, history: &str) {
    for json in events(history) {
        let event: Event = serde_json::from_value(json.clone()).unwrap();
        reader.push(event, Data::of_json(&json));
    }
}

/// What an execution has done at its top level, a line for each visit, in the order of their entries.
pub(super) fn outline(past: &Past) -> String {
    let mut text = String::from("\n");
    lines(&past.top, 1, &mut text);
    text
}

fn lines(scope: &Scope, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let mut visits: Vec<(&String, &Visit)> = scope.visits.iter().collect();
    visits.sort_by_key(|(_, visit)| visit.order);
    for (name, visit) in visits {
        let left = match &visit.left {
            Left::Open => "open".to_owned(),
            Left::Done(output) => format!("done {}", shown(output.as_ref())),
            Left::Caught(output) => format!("caught {}", shown(output.as_ref())),
        };
        let (input, variables) = (shown(visit.input.as_ref()), named(&visit.variables));
        *text += &format!("{indent}{name} <- {input}{variables} {left}\n");
        let regions = match &visit.inside {
            Inside::Nothing => continue,
            Inside::Parallel(regions) => regions,
            Inside::Map { length, iterations } => {
                let length = length.map_or("?".to_owned(), |length| length.to_string());
                *text += &format!("{indent}  of {length}\n");
                iterations
            }
        };
        for (index, region) in regions {
            let output = region.output.as_ref().map(|output| format!(" -> {output}"));
            *text += &format!(
                "{indent}  #{index}{}{}\n",
                output.unwrap_or_default(),
                named(&region.variables)
            );
            lines(region, depth + 2, text);
        }
    }
}

fn shown(text: Option<&Text>) -> &str {
    text.map_or("?", |text| &**text)
}

fn named(variables: &Variables) -> String {
    let each = variables.iter().map(|(name, value)| format!(" {name}={value}"));
    each.collect()
}

/// Events that follow each other, from `first` on; the first follows `previous`.
pub(super) fn chain(first: usize, previous: usize, events: &[&str]) -> String {
    let ids = std::iter::once(previous).chain(first..);
    let lines = (first..).zip(ids).zip(events);
    lines
        .map(|((id, previous), event)| format!("{id} {previous} {event}\n"))
        .collect()
}

/// The history's events, as `GetExecutionHistory` has them.
pub(super) fn events(history: &str) -> Vec<Value> {
    let lines = history.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(event).collect()
}

fn event(line: &str) -> Value {
    let mut parts = line.splitn(4, char::is_whitespace);
    let mut number = || parts.next().unwrap().parse::<i64>().unwrap();
    let (id, previous) = (number(), number());
    let name = parts.next().unwrap();
    let rest = parts.next().unwrap_or_default().trim();
    let details = match name {
        _ if name.ends_with("StateEntered") => {
            let (state, input) = rest.split_once(" <- ").map_or((rest, None), |(s, i)| (s, Some(i)));
            json!({"name": state, "input": input})
        }
        _ if name.ends_with("StateExited") => exited(rest),
        _ if name.starts_with("MapIteration") => {
            let (map, index) = rest.rsplit_once(' ').unwrap();
            json!({"name": map, "index": index.parse::<u32>().unwrap()})
        }
        "ExecutionStarted" => json!({"input": rest}),
        "MapStateStarted" => json!({"length": rest.parse::<u32>().unwrap()}),
        "TaskScheduled" => {
            let (resource, parameters) = rest.split_once(' ').unwrap();
            let (service, action) = resource.split_once(':').unwrap();
            json!({"resourceType": service, "resource": action, "parameters": parameters})
        }
        "LambdaFunctionScheduled" | "ActivityScheduled" => {
            let (resource, input) = rest.split_once(' ').unwrap();
            json!({"resource": resource, "input": input})
        }
        "TaskSubmitted" | "TaskSucceeded" | "LambdaFunctionSucceeded" | "ActivitySucceeded" => json!({"output": rest}),
        "EvaluationFailed" => json!({"state": rest, "error": "States.QueryEvaluationError", "cause": "no"}),
        _ => {
            let mut words = rest.split('|').map(str::trim);
            let mut word = || words.next().filter(|word| !word.is_empty());
            json!({"error": word(), "cause": word()})
        }
    };
    let mut field = match name {
        _ if name.ends_with("StateEntered") => "stateEntered".to_owned(),
        _ if name.ends_with("StateExited") => "stateExited".to_owned(),
        _ => name[..1].to_lowercase() + &name[1..],
    };
    field.push_str("EventDetails");
    let mut event = json!({"id": id, "previousEventId": previous, "type": name, "timestamp": 1_700_000_000 + id});
    event[field] = details;
    event
}

fn exited(rest: &str) -> Value {
    let mut parts = rest.split(" ; ");
    let first = parts.next().unwrap();
    let (state, output) = first.split_once(" -> ").map_or((first, None), |(s, o)| (s, Some(o)));
    let assigned = parts.map(|part| part.split_once(" = ").unwrap());
    let assigned = assigned.map(|(name, value)| (name.to_owned(), Value::from(value)));
    json!({"name": state, "output": output, "assignedVariables": assigned.collect::<serde_json::Map<_, _>>()})
}
