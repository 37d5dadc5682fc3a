//! A definition's states as they are written.

use std::collections::HashMap;

use serde_json::Value;

/// The states of a definition by their names, wherever they stand.
#[derive(Debug)]
pub(super) struct Written<'w> {
    states: HashMap<&'w str, &'w Value>,
}

impl<'w> Written<'w> {
    pub(super) fn of(document: &'w Value) -> Self {
        let mut written = Self { states: HashMap::new() };
        written.region(document);
        written
    }

    pub(super) fn get(&self, state: &str) -> Option<&'w Value> {
        self.states.get(state).copied()
    }

    /// A state, with its name as the definition has it.
    pub(super) fn named(&self, state: &str) -> Option<(&'w str, &'w Value)> {
        self.states.get_key_value(state).map(|(name, state)| (*name, *state))
    }

    fn region(&mut self, region: &'w Value) {
        for (name, state) in region.get("States").and_then(Value::as_object).into_iter().flatten() {
            self.states.insert(name, state);
            regions_of(state).for_each(|region| self.region(region));
        }
    }
}

/// The branches of a Parallel, or the processor of a Map.
pub(super) fn regions_of(state: &Value) -> impl Iterator<Item = &Value> {
    let processor = state.get("ItemProcessor").or_else(|| state.get("Iterator"));
    let branches = state.get("Branches").and_then(Value::as_array);
    processor.into_iter().chain(branches.into_iter().flatten())
}
