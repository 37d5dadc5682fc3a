//! What AWS really sends: recorded histories, events and definitions of state machines from public projects.
//!
//! The corpus is not part of this repository. It is used where it lies, which the environment variable
//! `SIGNALBOX_CORPUS` says; its own `README.md` describes it. Where the variable is not set, the tests are ignored:
//!
//! ```text
//! #[test]
//! #[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
//! fn every_history_is_understood() {}
//! ```
//!
//! Every function panics, with the name of the file, where the corpus is not as it should be.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of the corpus.
///
/// # Panics
///
/// If `SIGNALBOX_CORPUS` was not set when this was compiled.
#[must_use]
pub fn root() -> &'static Path {
    let folder = option_env!("SIGNALBOX_CORPUS");
    Path::new(folder.expect("SIGNALBOX_CORPUS names the folder of the corpus"))
}

/// Every JSON file of these folders and the folders in them, relative to [`root`], in order: `histories/public/x.json`.
///
/// # Panics
///
/// If a folder cannot be read, or has no such file.
#[must_use]
pub fn files<const N: usize>(folders: [&str; N]) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        let before = found.len();
        let mut open = vec![root().join(folder)];
        while let Some(folder) = open.pop() {
            for path in entries(&folder) {
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "json") {
                    let relative = path.strip_prefix(root()).expect("it lies in the corpus");
                    found.push(relative.to_str().expect("a name in UTF-8").to_owned());
                }
            }
        }
        assert!(found.len() > before, "{folder} has no JSON file");
    }
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("an entry of a folder").path())
        .collect()
}

/// What is in `file`, a path relative to [`root`].
///
/// # Panics
///
/// If it is not there, or no JSON.
#[must_use]
pub fn load(file: &str) -> Value {
    let text = fs::read(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every text in `value` with the name of the field that it stands in, also in JSON that is itself a text: inputs,
/// outputs, parameters.
#[must_use]
pub fn texts(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect("", value, &mut found);
    found
}

fn collect(field: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(field, value)| collect(field, value, found)),
        Value::Array(values) => values.iter().for_each(|value| collect(field, value, found)),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => collect(field, &inner, found),
            _ => found.push((field.to_owned(), text.clone())),
        },
        _ => {}
    }
}
