//! Uses of the context object, which is another one in the clone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use signalbox::asl::QueryLanguage;

use super::region::language_of;
use super::{Fields, Options, copy, expression};
use crate::warning::{Code, Warning};

/// What of the context object is another in the clone, whoever asks. `Execution.Input` and `Execution.RoleArn` are the
/// original's.
const DIFFERS: [&str; 10] = [
    "",
    "Execution",
    "Execution.Id",
    "Execution.Name",
    "Execution.RedriveCount",
    "Execution.RedriveTime",
    "Execution.StartTime",
    "StateMachine",
    "StateMachine.Id",
    "StateMachine.Name",
];

/// A warning for each state of the clone that asks for what is another. What is injected asks for nothing: its data are
/// literals.
pub(super) fn warnings(definition: &Value, copies: &BTreeMap<String, String>, options: &Options) -> Vec<Warning> {
    let mut found = Found {
        copies,
        options,
        uses: BTreeMap::new(),
    };
    if let Some(region) = definition.as_object() {
        found.region(region, language_of(region, QueryLanguage::JsonPath));
    }
    let warnings = found.uses.into_iter();
    warnings
        .map(|(state, uses)| Warning {
            code: Code::ContextDiffers,
            text: text(&uses, options.pin.is_some()),
            state: Some(state),
        })
        .collect()
}

struct Found<'f> {
    copies: &'f BTreeMap<String, String>,
    options: &'f Options,
    /// By the original's names: copies ask for the same.
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Found<'_> {
    fn region(&mut self, region: &Fields, language: QueryLanguage) {
        for (name, state) in copy::states(region) {
            let own = language_of(state, language);
            if !self.options.fleet.is_called_by(state) {
                self.state(name, state, own);
            }
            for inner in copy::regions(state) {
                self.region(inner, language_of(inner, language));
            }
        }
    }

    fn state(&mut self, name: &str, state: &Fields, language: QueryLanguage) {
        let original = self.copies.get(name);
        let uses = expression::of_state(state, language).into_iter();
        let uses = uses.flat_map(|expression| expression::context(expression, language));
        let uses: BTreeSet<String> = uses
            .map(|found| found.path)
            .filter(|path| {
                DIFFERS.contains(&path.as_str())
                    || (original.is_some() && matches!(path.as_str(), "State" | "State.Name"))
            })
            .map(|path| if path.is_empty() { "all of it".to_owned() } else { path })
            .collect();
        if !uses.is_empty() {
            let original = original.map_or(name, String::as_str).to_owned();
            self.uses.entry(original).or_default().extend(uses);
        }
    }
}

fn text(uses: &BTreeSet<String>, pinned: bool) -> String {
    let uses = uses.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let rest = match pinned {
        false => "pin has the clone use the original's instead.",
        true => "that could not be pinned.",
    };
    format!("It asks the context object for {uses}, which is another in the clone: {rest}")
}
