//! Copies of regions: every state in them gets a name of its own.

use std::collections::HashMap;

use serde_json::Value;

use super::Fields;
use super::names::For;
use super::region::Builder;

/// The names that the states of a copy have, by those that they have in the definition.
pub(super) type Renamed = HashMap<String, String>;

impl Builder<'_> {
    /// A copy of a region with all that stands in it.
    pub(super) fn copy_of(&mut self, region: &Fields) -> (Fields, Renamed) {
        let mut present = Renamed::new();
        self.rename(region, &mut present);
        let copy = renamed(region, &present);
        // What is copied may be a copy already: the cut knows the names of the definition alone.
        let by_original = present.into_iter().map(|(name, copy)| {
            let original = self.copies.get(&copy).cloned().unwrap_or(name);
            (original, copy)
        });
        (copy, by_original.collect())
    }

    fn rename(&mut self, region: &Fields, present: &mut Renamed) {
        for (name, state) in states(region) {
            let copy = self.free(name, For::Resumed);
            present.insert(name.clone(), copy);
            for inner in regions(state) {
                self.rename(inner, present);
            }
        }
    }
}

/// The region with the names that its states and their targets have in `present`.
fn renamed(region: &Fields, present: &Renamed) -> Fields {
    let mut copy = region.clone();
    if let Some(start) = copy.get_mut("StartAt") {
        follow(start, present);
    }
    let states = states(region).map(|(name, state)| {
        let name = present.get(name).unwrap_or(name).clone();
        (name, Value::Object(renamed_state(state, present)))
    });
    copy.insert("States".to_owned(), Value::Object(states.collect()));
    copy
}

fn renamed_state(state: &Fields, present: &Renamed) -> Fields {
    let mut copy = state.clone();
    for (field, value) in &mut copy {
        match (field.as_str(), value) {
            ("Next" | "Default", target) => follow(target, present),
            ("Choices" | "Catch", Value::Array(entries)) => {
                let targets = entries.iter_mut().filter_map(|entry| entry.get_mut("Next"));
                targets.for_each(|target| follow(target, present));
            }
            ("Branches", Value::Array(branches)) => {
                for branch in branches.iter_mut().filter_map(Value::as_object_mut) {
                    *branch = renamed(branch, present);
                }
            }
            ("ItemProcessor" | "Iterator", Value::Object(processor)) => *processor = renamed(processor, present),
            _ => {}
        }
    }
    copy
}

fn follow(target: &mut Value, present: &Renamed) {
    if let Some(copy) = target.as_str().and_then(|name| present.get(name)) {
        *target = Value::String(copy.clone());
    }
}

/// The states of a region.
pub(super) fn states(region: &Fields) -> impl Iterator<Item = (&String, &Fields)> {
    let states = region.get("States").and_then(Value::as_object);
    states
        .into_iter()
        .flatten()
        .filter_map(|(name, state)| Some((name, state.as_object()?)))
}

/// The regions that stand in a state: the branches of a Parallel, the processor of a Map.
pub(super) fn regions(state: &Fields) -> impl Iterator<Item = &Fields> {
    let branches = state.get("Branches").and_then(Value::as_array);
    let processor = ["ItemProcessor", "Iterator"].into_iter();
    let processor = processor.filter_map(|field| state.get(field));
    branches
        .into_iter()
        .flatten()
        .chain(processor)
        .filter_map(Value::as_object)
}
