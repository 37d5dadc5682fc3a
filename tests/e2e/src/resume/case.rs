//! Definitions that are run, failed and resumed, with what they are given and what their tasks answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use local_cloud::{Deployed, Outcome, StubbedCall, workspace};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the definitions are that were written for this.
const FOLDER: &str = "tests/e2e/pipelines/resume";

/// Stands for an ARN that a definition names and that no stubbed task calls.
const SOMETHING: &str = "arn:aws:lambda:us-east-1:123456789012:function:something";

/// A definition, and how it is run.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The definition. Its waits and its Retries are short.
    pub definition: Value,
    /// Execution inputs: each makes a run of its own.
    pub inputs: Vec<Value>,
    /// What its tasks answer, where it is not the default answer.
    pub answers: Vec<Outcome>,
    /// Whether the default answer has the input in it.
    pub echo: bool,
    /// States that a resume does again although they had finished: they take what the run held.
    pub again: Vec<String>,
    /// Fields of tasks' inputs that differ from run to run.
    pub volatile: Vec<String>,
    /// Whether all of them may.
    pub anything: bool,
    /// Whether the context object's values are pinned.
    pub pin: bool,
    /// Parallels and Maps of several regions that states stand in, by the states' names.
    within: BTreeMap<String, Vec<String>>,
}

/// A case as its file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "about")]
    _about: String,
    inputs: Vec<Value>,
    #[serde(default)]
    definition: Option<Value>,
    /// Of the project, in place of a definition.
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    answers: Vec<Outcome>,
    #[serde(default = "yes")]
    echo: bool,
    #[serde(default)]
    again: Vec<String>,
    #[serde(default)]
    volatile: Vec<String>,
    #[serde(default)]
    pin: bool,
}

fn yes() -> bool {
    true
}

/// A call that a run makes: of which state, in which iteration, with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The state.
    pub state: String,
    /// The index of the innermost iteration.
    pub iteration: Option<u32>,
    /// The effective input, as text, without what differs from run to run.
    pub input: String,
}

impl Case {
    /// All that were written for this, by their names.
    pub fn all(fleet: &Deployed) -> Result<Vec<Self>, String> {
        let folder = workspace::root().join(FOLDER);
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        let cases = files.iter().map(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            Self::read(&name, file, fleet).map_err(|error| format!("{}: {error}", file.display()))
        });
        cases.collect()
    }

    fn read(name: &str, file: &Path, fleet: &Deployed) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
        let written: Written = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let definition = match (written.definition, written.file) {
            (Some(definition), None) => definition,
            (None, Some(file)) => {
                let text = fs::read_to_string(workspace::root().join(&file)).map_err(|error| error.to_string())?;
                let text = substituted(&text, |name| fleet.output(name).ok().map(str::to_owned));
                hurried(serde_json::from_str(&text).map_err(|error| error.to_string())?)
            }
            _ => return Err("a definition or a file, one of both".to_owned()),
        };
        Ok(Self {
            echo: written.echo,
            again: written.again,
            volatile: written.volatile,
            pin: written.pin,
            ..Self::of(name, definition, written.inputs, written.answers)
        })
    }

    /// A case of this definition.
    #[must_use]
    pub fn of(name: &str, definition: Value, inputs: Vec<Value>, answers: Vec<Outcome>) -> Self {
        let mut within = BTreeMap::new();
        containers(&definition, &mut Vec::new(), &mut within);
        Self {
            name: name.to_owned(),
            definition,
            inputs,
            answers,
            echo: true,
            again: Vec::new(),
            volatile: Vec::new(),
            anything: false,
            pin: false,
            within,
        }
    }

    /// Whether other states may be at work while this one is.
    #[must_use]
    pub fn is_among_others(&self, state: &str) -> bool {
        self.within.get(state).is_some_and(|within| !within.is_empty())
    }

    /// The tasks of a clone that the original does not have, and the original's that each is a copy of.
    #[must_use]
    pub fn copies_in(&self, clone: &Value) -> BTreeMap<String, String> {
        let tasks = |definition: &Value| {
            let mut tasks = BTreeMap::new();
            each_state(&mut definition.clone(), &mut |name, state| {
                if state.get("Type").is_some_and(|kind| kind == "Task") {
                    tasks.insert(name.to_owned(), state.clone());
                }
            });
            tasks
        };
        let known = tasks(&self.definition);
        let copies = tasks(clone).into_iter().filter(|(name, _)| !known.contains_key(name));
        copies
            .filter_map(|(copy, state)| {
                // What stands before ` (resumed)`, which is cut where the name would be too long.
                let (root, _) = copy.rsplit_once(" (")?;
                let alike = |original: &Map<String, Value>| {
                    let fields = ["Resource", "Parameters", "Arguments", "InputPath"];
                    fields.iter().all(|field| original.get(*field) == state.get(*field))
                };
                let mut originals = known.iter().filter(|(name, _)| name.starts_with(root));
                let first = originals.clone().next();
                let (original, _) = originals.find(|(_, state)| alike(state)).or(first)?;
                Some((copy.clone(), original.clone()))
            })
            .collect()
    }

    /// What a call was, to compare it with those of other runs.
    #[must_use]
    pub fn key(&self, call: &StubbedCall) -> Key {
        Key {
            state: call.original.clone(),
            iteration: call.iteration,
            input: match self.anything {
                true => String::new(),
                false => self.steady(call.input.clone()).to_string(),
            },
        }
    }

    /// Whether calls can be told apart by what they are given.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.volatile.is_empty() && !self.anything
    }

    fn steady(&self, value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                let fields = fields.into_iter().filter(|(name, _)| !self.volatile.contains(name));
                Value::Object(fields.map(|(name, value)| (name, self.steady(value))).collect())
            }
            Value::Array(values) => values.into_iter().map(|value| self.steady(value)).collect(),
            scalar => scalar,
        }
    }
}

/// A template's text with what stands for `${Name}`.
#[must_use]
pub fn substituted(text: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some((name, rest)) = part.split_once('}') {
            filled.push_str(&known(name).unwrap_or_else(|| SOMETHING.to_owned()));
            filled.push_str(rest);
        } else {
            filled.push_str("${");
            filled.push_str(part);
        }
    }
    filled
}

/// The same definition with Waits that end at once, and Retries that try once more, after a second.
#[must_use]
pub fn hurried(mut definition: Value) -> Value {
    each_state(&mut definition, &mut |_, state| {
        if state.get("Type").is_some_and(|kind| kind == "Wait") && state.get("SecondsPath").is_none() {
            for field in ["Timestamp", "TimestampPath"] {
                state.remove(field);
            }
            if state.get("Seconds").is_none_or(Value::is_number) {
                state.insert("Seconds".to_owned(), 0.into());
            }
        }
        let retries = state.get_mut("Retry").and_then(Value::as_array_mut);
        for retry in retries.into_iter().flatten().filter_map(Value::as_object_mut) {
            for field in ["BackoffRate", "JitterStrategy", "MaxDelaySeconds"] {
                retry.remove(field);
            }
            let attempts = retry.get("MaxAttempts").and_then(Value::as_u64).unwrap_or(1);
            retry.insert("IntervalSeconds".to_owned(), 1.into());
            retry.insert("MaxAttempts".to_owned(), attempts.min(1).into());
        }
    });
    definition
}

/// Visits every state of a definition, at any depth.
pub fn each_state(scope: &mut Value, visit: &mut impl FnMut(&str, &mut Map<String, Value>)) {
    let states = scope.get_mut("States").and_then(Value::as_object_mut);
    for (name, state) in states.into_iter().flatten() {
        if let Some(state) = state.as_object_mut() {
            visit(name, state);
            for (field, within) in state.iter_mut() {
                match field.as_str() {
                    "Branches" => within
                        .as_array_mut()
                        .into_iter()
                        .flatten()
                        .for_each(|branch| each_state(branch, visit)),
                    "ItemProcessor" | "Iterator" => each_state(within, visit),
                    _ => {}
                }
            }
        }
    }
}

fn containers(scope: &Value, around: &mut Vec<String>, within: &mut BTreeMap<String, Vec<String>>) {
    let states = scope.get("States").and_then(Value::as_object);
    for (name, state) in states.into_iter().flatten() {
        within.insert(name.clone(), around.clone());
        around.push(name.clone());
        let branches = state.get("Branches").and_then(Value::as_array);
        let processors = ["ItemProcessor", "Iterator"]
            .into_iter()
            .filter_map(|field| state.get(field));
        for region in branches.into_iter().flatten().chain(processors) {
            containers(region, around, within);
        }
        around.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_stands_for_a_name_is_filled_in() {
        let known = |name: &str| (name == "A").then(|| "x".to_owned());
        assert_eq!(
            substituted("${A} and ${B}, ${open", known),
            format!("x and {SOMETHING}, ${{open")
        );
    }

    #[test]
    fn a_hurried_definition_waits_for_nothing() {
        let wait = |more: Value| {
            let mut state = json!({"Type": "Wait", "Next": "B"});
            state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            state
        };
        let definition = json!({"StartAt": "A", "States": {
            "A": wait(json!({"Seconds": 300})), "B": wait(json!({"SecondsPath": "$.x"})),
            "C": {"Type": "Map", "Iterator": {"States": {"D": wait(json!({"TimestampPath": "$.x"}))}},
                  "Retry": [{"ErrorEquals": ["States.ALL"], "BackoffRate": 2, "MaxAttempts": 6}, {"ErrorEquals": ["X"], "MaxAttempts": 0}]},
            "E": wait(json!({"Seconds": "{% $x %}"})),
        }});
        let expected = json!({"StartAt": "A", "States": {
            "A": wait(json!({"Seconds": 0})), "B": wait(json!({"SecondsPath": "$.x"})),
            "C": {"Type": "Map", "Iterator": {"States": {"D": wait(json!({"Seconds": 0}))}},
                  "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1},
                            {"ErrorEquals": ["X"], "IntervalSeconds": 1, "MaxAttempts": 0}]},
            "E": wait(json!({"Seconds": "{% $x %}"})),
        }});
        assert_eq!(hurried(definition), expected);
    }

    #[test]
    fn states_know_what_they_stand_in() {
        let inner = json!({"StartAt": "C", "States": {"C": {"Type": "Task"}}});
        let definition = json!({"StartAt": "A", "States": {
            "A": {"Type": "Task"}, "B": {"Type": "Parallel", "Branches": [inner]},
        }});
        let case = Case::of("case", definition, Vec::new(), Vec::new());
        assert_eq!(
            ["A", "B", "C"].map(|state| case.is_among_others(state)),
            [false, false, true]
        );
    }
}
