//! Tables for each rule, and random definitions held against the checker.

use serde_json::json;

use super::check::check;
use super::*;
use crate::cut::{Region, Run};
use crate::warning::Code;

mod containers;
mod generations;
pub(crate) mod random;
mod size;
mod top;

pub(crate) fn options() -> Options {
    Options {
        pin: None,
        fleet: Fleet::default(),
        most_bytes: CLONE_BYTES,
    }
}

/// A region that goes on at a state as it is written.
fn at(state: &str, input: Value) -> At {
    At {
        state: state.to_owned(),
        input,
        variables: BTreeMap::new(),
        run: Run::Whole,
        holds: Vec::new(),
    }
}

fn run(state: &str, run: Run) -> At {
    At {
        run,
        ..at(state, json!({}))
    }
}

fn with(at: At, variables: &[(&str, Value)]) -> At {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    At {
        variables: variables.collect(),
        ..at
    }
}

fn region(at: At) -> Region {
    Region::At(Box::new(at))
}

fn done(output: Value) -> Region {
    Region::Done { output }
}

/// A clone that the checker has nothing to say of.
fn good(definition: &Value, top: &At) -> Built {
    let built = build(definition, top, &options()).unwrap();
    assert_eq!(check(definition, &built.definition, top), [""; 0], "{}", built.text);
    built
}

fn refused(definition: &Value, top: &At) -> String {
    build(definition, top, &options()).unwrap_err().to_string()
}

fn codes(built: &Built) -> Vec<(Code, &str)> {
    let warnings = built.warnings.iter();
    warnings
        .map(|warning| (warning.code, warning.state.as_deref().unwrap_or_default()))
        .collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
