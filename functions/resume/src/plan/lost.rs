//! What was taken in a branch or in an iteration that has ended: it cannot be taken again there.

use std::collections::HashSet;

use serde_json::Value;

use super::facts::{Called, Facts};
use super::holds::INVOKE;
use super::told::Told;
use super::written::{Written, regions_of};
use crate::warning::Code;

pub(super) struct Lost<'l> {
    facts: &'l Facts<'l>,
    written: &'l Written<'l>,
    /// Parallels and Maps, with their branches, that were looked at.
    looked_at: HashSet<(String, Option<u32>)>,
}

impl<'l> Lost<'l> {
    pub(super) fn new(facts: &'l Facts<'l>, written: &'l Written<'l>) -> Self {
        Self {
            facts,
            written,
            looked_at: HashSet::new(),
        }
    }

    /// Warns of the states that take something in a branch of a Parallel, or in the processor of a Map or all of a
    /// Parallel, where no state gives something back.
    pub(super) fn warn(&mut self, container: &str, branch: Option<u32>, told: &mut Told) {
        let Some(written) = self.written.get(container) else {
            return;
        };
        if !self.looked_at.insert((container.to_owned(), branch)) {
            return;
        }
        let regions = (0..).zip(regions_of(written));
        let mut calls = Vec::new();
        for (_, region) in regions.filter(|(index, _)| branch.is_none_or(|branch| branch == *index)) {
            self.calls(region, &mut calls);
        }
        if calls.iter().any(|(called, _)| *called == Called::LockRelease) {
            return;
        }
        for (_, state) in calls {
            told.say(
                Code::HoldLost,
                Some(state),
                "It stands in a branch or an iteration that has ended: what it took, and did not give back, is not taken again.",
            );
        }
    }

    /// The states in a region that call the fleet.
    fn calls<'w>(&self, region: &'w Value, calls: &mut Vec<(Called, &'w str)>) {
        for (name, state) in region.get("States").and_then(Value::as_object).into_iter().flatten() {
            let resource = state.get("Resource").and_then(Value::as_str).unwrap_or_default();
            let arguments = ["Parameters", "Arguments"]
                .into_iter()
                .find_map(|field| state.get(field));
            let function = match resource.contains(INVOKE) {
                true => arguments.and_then(|arguments| arguments.get("FunctionName")?.as_str()),
                false => Some(resource),
            };
            calls.extend(function.and_then(|function| Some((self.facts.fleets.called(function)?, name.as_str()))));
            for inner in regions_of(state) {
                self.calls(inner, calls);
            }
        }
    }
}
