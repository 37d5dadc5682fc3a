//! What is kept, what runs again, what may have run: as paths.

use std::collections::{BTreeMap, HashMap, HashSet};

use signalbox::asl::{Definition, Kind};

use super::facts::Facts;
use super::paths::{Alike, ranges, step};
use super::seen::{is_unfinished, may_have_run};
use crate::cut::{At, Region, Run};
use crate::past::{Inside, Left, Scope, Visit};

/// What becomes of the states that the run came to: paths such as `Map "Orders"[3] / Task "Charge"`; where it is the same
/// of several iterations `Map "Orders"[0-2,5] / Task "Charge"`. A Parallel or a Map that runs as a whole stands for what is
/// in it, but for what may have run there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// Where it goes on.
    pub resumes_at: Vec<String>,
    /// What keeps its output.
    pub kept: Vec<String>,
    /// What was done, and is done again unless a Choice leads elsewhere this time.
    pub run_again: Vec<String>,
    /// What was open or had failed: it may have done its work, or a part of it, before it is done again.
    pub may_have_run: Vec<String>,
}

/// Makes the lists.
pub(super) fn of(facts: &Facts<'_>, cut: &At) -> Lists {
    let mut maker = Maker {
        executed: facts.executed,
        goes_on_with: facts.goes_on_with,
        follows: HashMap::new(),
    };
    maker.at(cut, Some(&facts.past.top))
}

struct Maker<'m> {
    executed: &'m Definition,
    goes_on_with: &'m Definition,
    /// The states that a state leads to if nothing fails.
    follows: HashMap<String, HashSet<&'m str>>,
}

impl Maker<'_> {
    /// The lists of a region, whose paths begin there.
    fn at(&mut self, at: &At, scope: Option<&Scope>) -> Lists {
        let mut lists = Lists::default();
        let target = scope.and_then(|scope| scope.visits.get(&at.state));
        let mut others: Vec<(&String, &Visit)> = scope
            .into_iter()
            .flat_map(|scope| &scope.visits)
            .filter(|(name, _)| **name != at.state)
            .collect();
        others.sort_by_key(|(_, visit)| visit.order);
        for (name, visit) in others {
            let is_before = target.is_none_or(|target| visit.order < target.order);
            if is_before && visit.left != Left::Open {
                lists.kept.push(step(visit.kind, name, None));
            } else if self.follows(&at.state).contains(name.as_str()) {
                lists.again(name, visit);
            }
        }
        let kind = target.map(|visit| visit.kind).or_else(|| self.kind(&at.state));
        let kind = kind.unwrap_or(Kind::Pass);
        match (&at.run, target.map(|visit| &visit.inside)) {
            (Run::Parallel(branches), inside) => {
                let within = match inside {
                    Some(Inside::Parallel(within)) => Some(within),
                    _ => None,
                };
                for (index, region) in (0..).zip(branches) {
                    let own = step(Kind::Parallel, &at.state, Some(index));
                    match region {
                        Region::Done { .. } => lists.kept.push(own),
                        Region::At(at) => {
                            let inner = self.at(at, within.and_then(|within| within.get(&index)));
                            lists.extend(inner, |path| format!("{own} / {path}"));
                        }
                        Region::Fresh => {}
                    }
                }
            }
            (Run::Map(iterations), inside) => {
                let within = match inside {
                    Some(Inside::Map { iterations, .. }) => Some(iterations),
                    _ => None,
                };
                self.iterations(&step(kind, &at.state, None), iterations, within, &mut lists);
            }
            (Run::Whole | Run::Waiting(_), _) => {
                if let Some(visit) = target {
                    lists.again(&at.state, visit);
                }
            }
            (Run::Skipped { .. }, _) => {}
        }
        if lists.resumes_at.is_empty() {
            // Nothing in it goes on.
            lists.resumes_at.push(step(kind, &at.state, None));
        }
        lists
    }

    fn iterations(
        &mut self,
        map: &str,
        iterations: &BTreeMap<u32, Region>,
        within: Option<&BTreeMap<u32, Scope>>,
        lists: &mut Lists,
    ) {
        let done = iterations
            .iter()
            .filter(|(_, region)| matches!(region, Region::Done { .. }));
        let done = ranges(done.map(|(index, _)| *index));
        if !done.is_empty() {
            lists.kept.push(format!("{map}[{done}]"));
        }
        let mut alike: [Alike; 4] = Default::default();
        for (index, region) in iterations {
            if let Region::At(at) = region {
                let inner = self.at(at, within.and_then(|within| within.get(index)));
                for (alike, paths) in alike.iter_mut().zip(inner.into_each()) {
                    for path in paths {
                        alike.add(path, *index);
                    }
                }
            }
        }
        let [resumes_at, kept, run_again, may_have_run] = alike.map(|alike| alike.paths(map));
        let all = Lists {
            resumes_at,
            kept,
            run_again,
            may_have_run,
        };
        lists.extend(all, |path| path);
    }

    fn kind(&self, state: &str) -> Option<Kind> {
        let state = self.goes_on_with.state(state).or_else(|| self.executed.state(state))?;
        Some(state.kind)
    }

    fn follows(&mut self, state: &str) -> &HashSet<&str> {
        if !self.follows.contains_key(state) {
            let mut open: Vec<&str> = self.successors(state);
            let mut seen = HashSet::new();
            while let Some(name) = open.pop() {
                if seen.insert(name) {
                    open.extend(self.successors(name));
                }
            }
            self.follows.insert(state.to_owned(), seen);
        }
        &self.follows[state]
    }
}

impl<'m> Maker<'m> {
    fn successors(&self, state: &str) -> Vec<&'m str> {
        let state = self.goes_on_with.state(state);
        state.into_iter().flat_map(signalbox::asl::State::successors).collect()
    }
}

impl Lists {
    /// A state that was entered runs again.
    fn again(&mut self, name: &str, visit: &Visit) {
        let path = step(visit.kind, name, None);
        if may_have_run(visit) {
            self.may_have_run.push(path);
            return;
        }
        self.may_have_run.extend(may_have_run_inside(name, &visit.inside));
        self.run_again.push(path);
    }

    fn into_each(self) -> [Vec<String>; 4] {
        [self.resumes_at, self.kept, self.run_again, self.may_have_run]
    }

    fn extend(&mut self, other: Self, path: impl Fn(String) -> String) {
        self.resumes_at.extend(other.resumes_at.into_iter().map(&path));
        self.kept.extend(other.kept.into_iter().map(&path));
        self.run_again.extend(other.run_again.into_iter().map(&path));
        self.may_have_run.extend(other.may_have_run.into_iter().map(&path));
    }
}

/// Tasks in a Parallel or a Map that may have run.
fn may_have_run_inside(container: &str, inside: &Inside) -> Vec<String> {
    match inside {
        Inside::Nothing => Vec::new(),
        Inside::Parallel(branches) => {
            let each = branches.iter().flat_map(|(index, scope)| {
                let own = step(Kind::Parallel, container, Some(*index));
                let inner = may_have_run_in(scope).into_iter();
                inner.map(move |path| format!("{own} / {path}"))
            });
            each.collect()
        }
        Inside::Map { iterations, .. } => {
            let mut alike = Alike::default();
            for (index, scope) in iterations {
                for path in may_have_run_in(scope) {
                    alike.add(path, *index);
                }
            }
            alike.paths(&step(Kind::Map, container, None))
        }
    }
}

fn may_have_run_in(scope: &Scope) -> Vec<String> {
    let mut visits: Vec<_> = scope.visits.iter().filter(|(_, visit)| is_unfinished(visit)).collect();
    visits.sort_by_key(|(_, visit)| visit.order);
    let paths = visits.into_iter().flat_map(|(name, visit)| match may_have_run(visit) {
        true => vec![step(visit.kind, name, None)],
        false => may_have_run_inside(name, &visit.inside),
    });
    paths.collect()
}
