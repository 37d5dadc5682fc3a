//! What is kept, what runs again, what may have run: as paths.

use std::collections::BTreeMap;

use signalbox::asl::{Definition, Kind};
use signalbox::history::Step;

use super::facts::Facts;
use super::strategy::Strategy;
use crate::cut::{At, Region, Run};
use crate::past::{Inside, Scope, Visit};

/// What becomes of the states that the run came to: paths such as `Map "Orders"[3] / Task "Charge"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// Where it goes on.
    pub resumes_at: Vec<String>,
    /// What keeps its output.
    pub kept: Vec<String>,
    /// What was done, and is done again.
    pub run_again: Vec<String>,
    /// What was open or had failed: it may have done its work, or a part of it, before it is done again.
    pub may_have_run: Vec<String>,
}

/// Makes the lists.
pub(super) fn of(facts: &Facts<'_>, cut: &At) -> Lists {
    let mut maker = Maker {
        definition: facts.executed,
        lists: Lists::default(),
    };
    maker.at(cut, Some(&facts.past.top), "");
    maker.lists
}

struct Maker<'m> {
    definition: &'m Definition,
    lists: Lists,
}

impl Maker<'_> {
    fn at(&mut self, at: &At, scope: Option<&Scope>, way: &str) {
        let nothing = Scope::default();
        let scope = scope.unwrap_or(&nothing);
        let target = scope.visits.get(&at.state);
        let mut others: Vec<(&String, &Visit)> = scope.visits.iter().filter(|(name, _)| **name != at.state).collect();
        others.sort_by_key(|(_, visit)| visit.order);
        for (name, visit) in others {
            let path = format!("{way}{}", step(visit.kind, name, None));
            match target.is_none_or(|target| visit.order < target.order) {
                true => self.lists.kept.push(path),
                false => self.lists.run_again.push(path),
            }
        }
        let kind = target
            .map(|visit| visit.kind)
            .or_else(|| self.definition.state(&at.state).map(|state| state.kind));
        let own = step(kind.unwrap_or(Kind::Pass), &at.state, None);
        let inner = |index: u32| {
            format!(
                "{way}{} / ",
                step(kind.unwrap_or(Kind::Parallel), &at.state, Some(index))
            )
        };
        let regions = target.map(|visit| &visit.inside);
        match &at.run {
            Run::Parallel(branches) => {
                let within = match regions {
                    Some(Inside::Parallel(within)) => Some(within),
                    _ => None,
                };
                for (index, region) in (0..).zip(branches) {
                    let scope = within.and_then(|within| within.get(&index));
                    match region {
                        Region::Done { .. } => {
                            self.lists
                                .kept
                                .push(format!("{way}{}", step(Kind::Parallel, &at.state, Some(index))));
                        }
                        Region::At(at) => self.at(at, scope, &inner(index)),
                        Region::Fresh => {}
                    }
                }
            }
            Run::Map(iterations) => {
                let within = match regions {
                    Some(Inside::Map { iterations, .. }) => Some(iterations),
                    _ => None,
                };
                let done = iterations
                    .iter()
                    .filter(|(_, region)| matches!(region, Region::Done { .. }));
                let done = ranges(done.map(|(index, _)| *index));
                if !done.is_empty() {
                    self.lists.kept.push(format!("{way}{own}[{done}]"));
                }
                for (index, region) in iterations {
                    if let Region::At(at) = region {
                        self.at(at, within.and_then(|within| within.get(index)), &inner(*index));
                    }
                }
            }
            Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => {
                let path = format!("{way}{own}");
                if let Some(visit) = target.filter(|_| !matches!(at.run, Run::Skipped { .. })) {
                    match visit.kind == Kind::Task && visit.is_open() && visit.task.is_some() {
                        true => self.lists.may_have_run.push(path.clone()),
                        false => self.lists.run_again.push(path.clone()),
                    }
                }
                self.lists.resumes_at.push(path);
            }
        }
    }
}

fn step(kind: Kind, state: &str, index: Option<u32>) -> String {
    let step = Step {
        kind,
        state: state.to_owned(),
        index,
    };
    step.to_string()
}

/// Numbers that rise, in short: `0-2,5`.
fn ranges(numbers: impl Iterator<Item = u32>) -> String {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let spans = spans.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    spans.collect::<Vec<_>>().join(",")
}

/// The names of the variables that are restored, by region.
pub(super) fn variables(cut: &At) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    names(cut, "", &mut found);
    found
}

fn names(at: &At, region: &str, found: &mut BTreeMap<String, Vec<String>>) {
    if !at.variables.is_empty() {
        found.insert(region.to_owned(), at.variables.keys().cloned().collect());
    }
    let inner = |kind, index| match region.is_empty() {
        true => step(kind, &at.state, Some(index)),
        false => format!("{region} / {}", step(kind, &at.state, Some(index))),
    };
    match &at.run {
        Run::Parallel(branches) => {
            for (index, region) in (0..).zip(branches) {
                if let Region::At(at) = region {
                    names(at, &inner(Kind::Parallel, index), found);
                }
            }
        }
        Run::Map(iterations) => {
            for (index, region) in iterations {
                if let Region::At(at) = region {
                    names(at, &inner(Kind::Map, *index), found);
                }
            }
        }
        Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => {}
    }
}

/// Fewest transitions that it costs: what is injected, what goes on, and what surely follows, up to the next Choice.
pub(super) fn transitions(facts: &Facts<'_>, cut: &At, strategy: Strategy) -> u64 {
    let clone = strategy == Strategy::Clone;
    // A redrive is one by itself.
    at_transitions(facts.goes_on_with, cut, clone) + u64::from(!clone)
}

fn at_transitions(definition: &Definition, at: &At, clone: bool) -> u64 {
    let injected = match clone {
        true => 1 + u64::from(!at.variables.is_empty()) + at.holds.len() as u64,
        false => 0,
    };
    let region = |region: &Region, kept: u64, fresh: u64| match region {
        Region::Done { .. } => kept,
        Region::At(at) => at_transitions(definition, at, clone) + fresh,
        Region::Fresh => 0,
    };
    let inside: u64 = match &at.run {
        Run::Parallel(branches) => branches.iter().map(|each| region(each, u64::from(clone), 0)).sum(),
        // A Choice on the index, and a Pass.
        Run::Map(iterations) => iterations
            .values()
            .map(|each| region(each, 2 * u64::from(clone), u64::from(clone)))
            .sum(),
        Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => 0,
    };
    let skipped = u64::from(matches!(at.run, Run::Skipped { .. }));
    injected + inside + follows(definition, &at.state).saturating_sub(skipped)
}

/// How many states surely run from this one on, itself included.
fn follows(definition: &Definition, state: &str) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut next = definition.state(state);
    while let Some(state) = next.filter(|state| seen.insert(state.name.as_str())) {
        next = state.next.as_ref().and_then(|next| definition.state(next));
    }
    seen.len() as u64
}
