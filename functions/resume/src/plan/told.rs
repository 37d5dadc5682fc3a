//! Warnings, each once for each state, however many iterations of a Map it is true of.

use std::collections::BTreeMap;

use crate::warning::{Code, Warning};

/// How many things a warning names.
const NAMED: usize = 20;

/// What was warned of.
#[derive(Debug, Default)]
pub(super) struct Told {
    told: BTreeMap<(Code, Option<String>, &'static str), Named>,
}

/// What a warning names.
#[derive(Debug, Default)]
struct Named {
    names: Vec<String>,
    /// How much more there is.
    more: usize,
}

impl Told {
    pub(super) fn say(&mut self, code: Code, state: Option<&str>, text: &'static str) {
        self.told.entry((code, state.map(str::to_owned), text)).or_default();
    }

    /// A warning of a state that names something: a job, an execution.
    pub(super) fn say_of(&mut self, code: Code, state: &str, text: &'static str, name: Option<String>) {
        let named = self.told.entry((code, Some(state.to_owned()), text)).or_default();
        match name {
            Some(_) if named.names.len() == NAMED => named.more += 1,
            name => named.names.extend(name),
        }
    }

    pub(super) fn warnings(self) -> Vec<Warning> {
        let told = self.told.into_iter();
        told.map(|((code, state, text), Named { mut names, more })| {
            if more > 0 {
                names.push(format!("and {more} more"));
            }
            let text = match names.is_empty() {
                true => text.to_owned(),
                false => format!("{text} {}", names.join("; ")),
            };
            Warning { code, state, text }
        })
        .collect()
    }
}
