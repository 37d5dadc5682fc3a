//! What it costs, at least.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::facts::Facts;
use super::strategy::Strategy;
use super::written::{Written, regions_of};
use crate::cut::{At, Region, Run};
use crate::past::{Inside, Scope};

/// Fewest transitions that it costs: what is injected, what goes on, and what surely follows, up to the next Choice. Of a
/// Map that begins anew nobody knows how many iterations it has.
pub(super) fn least(facts: &Facts<'_>, written: &Written<'_>, cut: &At, strategy: Strategy) -> u64 {
    let clone = strategy == Strategy::Clone;
    let mut counter = Counter {
        written,
        clone: u64::from(clone),
        follow: HashMap::new(),
    };
    // A redrive is one by itself.
    counter.at(cut, Some(&facts.past.top)) + u64::from(!clone)
}

struct Counter<'w> {
    written: &'w Written<'w>,
    /// 1 for a clone, in which states are injected; 0 for a redrive.
    clone: u64,
    /// How many states surely run from one on, itself included.
    follow: HashMap<&'w str, u64>,
}

impl<'w> Counter<'w> {
    fn at(&mut self, at: &At, scope: Option<&Scope>) -> u64 {
        // The data is given by a Pass, variables by at least one more.
        let injected = self.clone * (1 + u64::from(!at.variables.is_empty()) + at.holds.len() as u64);
        let Some(written) = self.written.get(&at.state) else {
            return injected;
        };
        let next = written.get("Next").and_then(Value::as_str);
        let inside = scope.and_then(|scope| scope.visits.get(&at.state));
        let inside = inside.map(|visit| &visit.inside);
        let own = match &at.run {
            Run::Whole | Run::Waiting(_) => self.state(written),
            // It does not run; what was taken for it is not taken if nothing follows.
            Run::Skipped { .. } if next.is_none() => return self.clone * (1 + u64::from(!at.variables.is_empty())),
            Run::Skipped { .. } => 0,
            Run::Parallel(branches) => {
                let within = match inside {
                    Some(Inside::Parallel(within)) => Some(within),
                    _ => None,
                };
                let regions = (0..).zip(branches).zip(regions_of(written));
                1 + regions
                    .map(|((index, branch), written)| match branch {
                        Region::Fresh => self.region(written),
                        Region::Done { .. } => self.clone,
                        Region::At(at) => self.at(at, within.and_then(|within| within.get(&index))),
                    })
                    .sum::<u64>()
            }
            Run::Map(iterations) => 1 + self.iterations(written, iterations, inside),
        };
        injected + own + next.map_or(0, |next| self.follow(next))
    }

    fn iterations(&mut self, map: &'w Value, iterations: &BTreeMap<u32, Region>, inside: Option<&Inside>) -> u64 {
        let (length, within) = match inside {
            Some(Inside::Map { length, iterations }) => (*length, Some(iterations)),
            _ => (None, None),
        };
        // In a clone each begins with a Choice, and one that begins anew is given its item by a Pass.
        let anew = regions_of(map).next().map_or(0, |processor| self.region(processor));
        let mut fresh = u64::from(length.unwrap_or_default()).saturating_sub(iterations.len() as u64);
        let mut others = 0;
        for (index, region) in iterations {
            match region {
                Region::Fresh => fresh += 1,
                Region::Done { .. } => others += 2 * self.clone,
                Region::At(at) => {
                    others += self.clone + self.at(at, within.and_then(|within| within.get(index)));
                }
            }
        }
        others + fresh * (2 * self.clone + anew)
    }

    /// How many states of a region surely run, from its start on.
    fn region(&mut self, region: &'w Value) -> u64 {
        let start = region.get("StartAt").and_then(Value::as_str);
        start.map_or(0, |start| self.follow(start))
    }

    /// A state, and what surely runs in it.
    fn state(&mut self, written: &'w Value) -> u64 {
        match written.get("Type").and_then(Value::as_str) {
            Some("Parallel") => 1 + regions_of(written).map(|branch| self.region(branch)).sum::<u64>(),
            _ => 1,
        }
    }

    fn follow(&mut self, state: &str) -> u64 {
        let mut way: Vec<(&'w str, u64)> = Vec::new();
        let mut seen = HashSet::new();
        let mut rest = 0;
        let mut next = self.written.named(state);
        while let Some((name, written)) = next.filter(|(name, _)| seen.insert(*name)) {
            if let Some(known) = self.follow.get(name) {
                rest = *known;
                break;
            }
            way.push((name, self.state(written)));
            next = written
                .get("Next")
                .and_then(Value::as_str)
                .and_then(|next| self.written.named(next));
        }
        for (name, own) in way.into_iter().rev() {
            rest += own;
            self.follow.insert(name, rest);
        }
        rest
    }
}
