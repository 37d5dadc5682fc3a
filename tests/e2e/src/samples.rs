//! The sample events of `events/`, and what the functions' READMEs say that they are answered.

use std::collections::BTreeMap;
use std::path::PathBuf;

use local_cloud::FunctionError;
use local_cloud::workspace::root;
use serde_json::Value;

/// A function, and the output of the fleet's stack with its name.
pub type Function = (&'static str, &'static str);

/// The functions whose events have nothing to do with those of the others.
pub const GUARD: [Function; 1] = [("overlap-guard", "OverlapGuardFunctionName")];
/// The same.
pub const LOCK: [Function; 3] = [
    ("lock-acquire", "LockAcquireFunctionName"),
    ("lock-release", "LockReleaseFunctionName"),
    ("lock-admin", "LockAdminFunctionName"),
];
/// The same.
pub const ALERTS: [Function; 1] = [("failure-alert", "FailureAlertFunctionName")];
/// The same.
pub const ECS: [Function; 3] = [
    ("ecs-launch", "EcsLaunchFunctionName"),
    ("ecs-settle", "EcsSettleFunctionName"),
    ("ecs-result", "EcsResultFunctionName"),
];
/// The same.
pub const RESUME: [Function; 1] = [("resume", "ResumeFunctionName")];

/// What a README says that an event is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// `Lock.Busy`
    Error(String),
    /// `"outcome": "queued"`
    Value(String, Value),
    /// `locks`
    Field(String),
}

impl Says {
    fn read(text: &str) -> Self {
        if text.starts_with('"') {
            let fields: BTreeMap<String, Value> = serde_json::from_str(&format!("{{{text}}}")).expect(text);
            let (field, value) = fields.into_iter().next().expect(text);
            return Self::Value(field, value);
        }
        match text.contains('.') {
            true => Self::Error(text.to_owned()),
            false => Self::Field(text.to_owned()),
        }
    }

    /// Whether an answer is like that.
    #[must_use]
    pub fn is(&self, answer: &Result<Value, FunctionError>) -> bool {
        self.is_said(answer.as_ref().map_err(|error| error.error_type.as_str()))
    }

    /// Whether an answer, or an error's name, is like that.
    #[must_use]
    pub fn is_said(&self, answer: Result<&Value, &str>) -> bool {
        match (self, answer) {
            (Self::Error(name), Err(error)) => error == name,
            (Self::Value(field, value), Ok(answer)) => answer[field] == *value,
            (Self::Field(field), Ok(answer)) => answer.get(field).is_some(),
            _ => false,
        }
    }
}

/// What the README of a function says that its sample events are answered, the first time and after that.
///
/// # Panics
///
/// If it says so in no way that is known here.
#[must_use]
pub fn documented(function: &str) -> BTreeMap<String, (Says, Says)> {
    let readme = root().join("functions").join(function).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("a README");
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(".json` | "));
    let mut documented = BTreeMap::new();
    let mut above = None;
    for (name, cell) in rows {
        let says = if cell.starts_with("the same") {
            above.clone().expect("an answer in the row above")
        } else {
            let first = Says::read(cell.split('`').nth(1).expect("an answer"));
            let again = cell.split_once("sent again `").map(|(_, rest)| rest);
            let again = again.and_then(|rest| rest.split('`').next()).map(Says::read);
            (first.clone(), again.unwrap_or(first))
        };
        above = Some(says.clone());
        documented.insert(name.to_owned(), says);
    }
    documented
}

/// Where a sample event is.
#[must_use]
pub fn file(folder: &str, name: &str) -> PathBuf {
    root().join("events").join(folder).join(format!("{name}.json"))
}

/// A sample event.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn event(folder: &str, name: &str) -> Value {
    let event = std::fs::read(file(folder, name)).expect("a sample event");
    serde_json::from_slice(&event).expect("JSON")
}

/// The names of all sample events of a function, sorted.
///
/// # Panics
///
/// If there are none.
#[must_use]
pub fn names(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(root().join("events").join(folder)).expect("the folder of sample events");
    let paths = files.map(|file| file.expect("a file").path());
    let mut names: Vec<String> = paths
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
