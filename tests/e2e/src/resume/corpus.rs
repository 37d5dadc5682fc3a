//! Definitions of public projects, with inputs and answers that are guessed from what their states ask for.
//!
//! What a definition reads, it is given: every path in it leads somewhere, in the execution's input and in what each task
//! answers. Where a Choice compares, several guesses are made, and the one is taken with which the run comes through most
//! states and succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use local_cloud::Outcome;
use serde_json::{Map, Value, json};

use super::case::{Case, each_state, hurried, substituted};

/// How many guesses are made of each definition.
pub const GUESSES: usize = 6;

/// The folder of the corpus, if there is one.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SIGNALBOX_CORPUS").filter(|folder| !folder.is_empty())?;
    Some(PathBuf::from(folder))
}

/// The definitions of the corpus, by short names. Those with a distributed Map are left out: what it keeps is in other
/// executions.
pub fn definitions() -> Result<Vec<(String, Value)>, String> {
    let Some(folder) = folder() else {
        return Ok(Vec::new());
    };
    let folder = folder.join("asl");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut found = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let text = substituted(&text, |_| None);
        let definition: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut distributed = false;
        each_state(&mut definition.clone(), &mut |_, state| {
            let config = |field| {
                state
                    .get(field)
                    .and_then(|processor: &Value| processor.get("ProcessorConfig"))
            };
            let config = config("ItemProcessor").or(config("Iterator"));
            distributed |= config.is_some_and(|config| config["Mode"] == "DISTRIBUTED");
        });
        if !distributed {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let name = name.trim_end_matches(".json").trim_end_matches(".asl");
            let end: String = name.chars().skip(name.chars().count().saturating_sub(20)).collect();
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
            found.push((
                format!("c{number:02}-{}", end.chars().map(plain).collect::<String>()),
                at_once(definition),
            ));
        }
    }
    Ok(found)
}

/// The same definition with waits of a second.
#[must_use]
pub fn with_waits_of_a_second(definition: &Value) -> Value {
    let mut definition = definition.clone();
    each_state(&mut definition, &mut |_, state| {
        if state.get("Type").is_some_and(|kind| kind == "Wait") {
            state.insert("Seconds".to_owned(), 1.into());
        }
    });
    definition
}

/// Without waits, also where the data says how long.
fn at_once(definition: Value) -> Value {
    let mut definition = hurried(definition);
    each_state(&mut definition, &mut |_, state| {
        if state.get("Type").is_some_and(|kind| kind == "Wait") {
            state.remove("SecondsPath");
            state.insert("Seconds".to_owned(), 0.into());
        }
        for field in [
            "TimeoutSecondsPath",
            "HeartbeatSecondsPath",
            "TimeoutSeconds",
            "HeartbeatSeconds",
        ] {
            state.remove(field);
        }
    });
    definition
}

/// A guess of what a definition needs.
#[must_use]
pub fn guess(name: &str, definition: &Value, number: usize) -> Case {
    let mut needs = Needs {
        number,
        ..Needs::default()
    };
    needs.read(definition, "");
    let all = needs.value(2);
    let mut answers = Vec::new();
    each_state(&mut definition.clone(), &mut |state, fields| {
        if fields.get("Type").is_some_and(|kind| kind == "Task") {
            let mut answer = all.clone();
            let inner = fields.get("ResultPath").and_then(Value::as_str).map(steps);
            let inner = inner.and_then(|steps| steps.iter().try_fold(&all, |value, step| value.get(step)));
            if let Some(inner) = inner {
                merge(&mut answer, inner);
            }
            answers.push(Outcome::of(state).succeeds(answer));
        }
    });
    let mut case = Case::of(name, definition.clone(), vec![all], answers);
    case.anything = true;
    case
}

/// What is read of data: paths, and what is done with what they lead to.
#[derive(Debug, Default)]
struct Needs {
    number: usize,
    paths: BTreeSet<Vec<String>>,
    lists: BTreeSet<Vec<String>>,
    compared: BTreeMap<Vec<String>, Vec<Value>>,
}

impl Needs {
    fn read(&mut self, value: &Value, field: &str) {
        match value {
            Value::Object(fields) => {
                self.compare(fields);
                fields.iter().for_each(|(field, value)| self.read(value, field));
            }
            Value::Array(values) => values.iter().for_each(|value| self.read(value, field)),
            Value::String(text) if field != "ResultPath" => {
                for path in paths(text) {
                    let is_list = field == "ItemsPath" || field == "Items" || text.contains("[*]");
                    if is_list {
                        self.lists.insert(path.clone());
                    }
                    self.paths.insert(path);
                }
            }
            _ => {}
        }
    }

    /// What a Choice compares a path with.
    fn compare(&mut self, rule: &Map<String, Value>) {
        let path = rule.get("Variable").and_then(Value::as_str).map(steps);
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return;
        };
        for (operator, with) in rule {
            let value = match operator.as_str() {
                "StringEquals"
                | "NumericEquals"
                | "BooleanEquals"
                | "StringMatches"
                | "NumericLessThanEquals"
                | "NumericGreaterThanEquals"
                | "TimestampEquals" => with.clone(),
                "NumericGreaterThan" => json!(with.as_i64().unwrap_or_default() + 1),
                "NumericLessThan" => json!(with.as_i64().unwrap_or_default() - 1),
                "IsNull" => Value::Null,
                _ => continue,
            };
            self.compared.entry(path.clone()).or_default().push(value);
        }
    }

    fn value(&self, depth: usize) -> Value {
        let mut value = json!({});
        for path in &self.paths {
            let leaf = match self.compared.get(path) {
                Some(values) => values[self.number % values.len()].clone(),
                None if self.lists.contains(path) => match depth {
                    0 => json!([]),
                    _ => json!([self.value(depth - 1), self.value(depth - 1)]),
                },
                None => json!("text"),
            };
            put(&mut value, path, leaf);
        }
        value
    }
}

/// Puts a value at a path, unless something with parts of its own is there already.
fn put(value: &mut Value, path: &[String], leaf: Value) {
    let Some((step, rest)) = path.split_first() else {
        if !value.is_object() && !value.is_array() {
            *value = leaf;
        }
        return;
    };
    if let Ok(index) = step.parse::<usize>() {
        if !value.is_array() {
            *value = json!([]);
        }
        if let Some(values) = value.as_array_mut() {
            values.resize(values.len().max(index + 1), Value::Null);
            put(&mut values[index], rest, leaf);
        }
    } else {
        if !value.is_object() {
            *value = json!({});
        }
        if let Some(fields) = value.as_object_mut() {
            put(fields.entry(step.clone()).or_insert(Value::Null), rest, leaf);
        }
    }
}

fn merge(value: &mut Value, other: &Value) {
    match (value, other) {
        (Value::Object(fields), Value::Object(others)) => {
            for (name, other) in others {
                merge(fields.entry(name.clone()).or_insert(Value::Null), other);
            }
        }
        (value, other) => *value = other.clone(),
    }
}

/// Where the context object has the execution's input, and the item of an iteration: both are given all that is read.
const GIVEN: [&str; 2] = ["Execution.Input", "Map.Item.Value"];

/// The paths in a text: `$.a.b` and `$$.Execution.Input.a.b` of `JSONPath`, `$states.input.a.b` or `$x.a` of `JSONata`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('$').filter(|(at, _)| !text[..*at].ends_with('$')) {
        let path = &text[at + 1..];
        let context = path.strip_prefix("$.").or_else(|| path.strip_prefix("states.context."));
        let rest = match (context, path.strip_prefix("states.")) {
            (Some(context), _) => GIVEN.iter().find_map(|given| context.strip_prefix(given)),
            (None, Some(states)) => states.find(['.', '[']).map(|end| &states[end..]),
            (None, None) => Some(path.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')),
        };
        let path = rest.map(steps).unwrap_or_default();
        if !path.is_empty() {
            found.push(path);
        }
    }
    found
}

/// The steps of `$.a['b'][0]`, up to the first that is none.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = path.trim_start_matches('$');
    loop {
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            let (name, after) = named.split_at(end.unwrap_or(named.len()));
            if name.is_empty() {
                return steps;
            }
            steps.push(name.to_owned());
            rest = after;
        } else if let Some((inner, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let name = inner.trim_matches(|c| c == '\'' || c == '"');
            match inner.parse::<usize>() {
                Ok(index) if index < 10 => steps.push(index.to_string()),
                Err(_) if name != inner => steps.push(name.to_owned()),
                _ => return steps,
            }
            rest = after;
        } else {
            return steps;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_texts() {
        let found = |text: &str| paths(text).iter().map(|path| path.join("/")).collect::<Vec<_>>();
        assert_eq!(found("$.a.b-c['d e'][0].x[*].y"), ["a/b-c/d e/0/x"]);
        assert_eq!(found("States.Format('{} {}', $.a, $$.Execution.Id)"), ["a"]);
        assert_eq!(
            found("{% $states.input.a.b + $x.c & $states.context.Execution.Name %}"),
            ["a/b", "c"]
        );
    }

    #[test]
    fn what_is_read_is_given() {
        let definition = json!({"StartAt": "A", "States": {
            "A": {"Type": "Task", "Parameters": {"x.$": "$.deep.x"}, "ResultPath": "$.deep", "Next": "B"},
            "B": {"Type": "Choice", "Choices": [{"Variable": "$.deep.status", "StringEquals": "ok", "Next": "C"},
                                                {"Variable": "$.deep.status", "StringEquals": "no", "Next": "C"}]},
            "C": {"Type": "Map", "ItemsPath": "$.list", "Iterator": {"States": {}}},
        }});
        let case = guess("a", &definition, 1);
        let item = json!({"deep": {"x": "text", "status": "no"}, "list": []});
        let inner = json!({"deep": {"x": "text", "status": "no"}, "list": [item, item]});
        let expected = json!({"deep": {"x": "text", "status": "no"}, "list": [inner, inner]});
        assert_eq!(case.inputs, [expected]);
        let answer = serde_json::to_value(&case.answers[0]).unwrap();
        assert_eq!(answer["succeed"]["status"], "no");
    }
}
