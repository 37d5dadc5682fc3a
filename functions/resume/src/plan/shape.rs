//! Whether another definition fits what was done: states are found by their names.

use std::collections::{HashMap, HashSet};

use signalbox::asl::{Container, Definition};

use super::seen::branches;
use crate::cut::{At, Region, Run};
use crate::refusal::Refusal;

/// Holds `new` to what is kept of a run of `old`.
pub(super) fn check(old: &Definition, new: &Definition, top: &At) -> Result<(), Refusal> {
    let mut shape = Shape {
        had: inside(old),
        had_branches: branches(old),
        has_branches: branches(new),
        old,
        new,
        fits: HashSet::new(),
    };
    shape.at(top)
}

/// The branches of a Parallel, by their place, or the processor of a Map: the states that stand in it directly.
type Inside<'d> = HashMap<(&'d str, Option<u32>), Vec<&'d str>>;

struct Shape<'d> {
    old: &'d Definition,
    new: &'d Definition,
    had: Inside<'d>,
    had_branches: HashMap<&'d str, u32>,
    has_branches: HashMap<&'d str, u32>,
    /// Branches and processors that were found to be what they were.
    fits: HashSet<(String, Option<u32>)>,
}

impl<'d> Shape<'d> {
    fn at(&mut self, at: &At) -> Result<(), Refusal> {
        let changed = |wrong: String| changed(&at.state, wrong);
        let Some(state) = self.new.state(&at.state) else {
            return Err(changed("is not there any more".to_owned()));
        };
        if let Some(was) = self.old.state(&at.state) {
            if !self.stands_where_it_stood(&at.state) {
                return Err(changed(
                    "stands elsewhere: in other Parallels or Maps, or in another branch".to_owned(),
                ));
            }
            let must_be_alike = matches!(at.run, Run::Parallel(_) | Run::Map(_));
            if must_be_alike && (was.kind, was.distributed) != (state.kind, state.distributed) {
                let named = |kind, distributed| format!("{}{kind}", if distributed { "Distributed " } else { "" });
                return Err(changed(format!(
                    "is a {}, where the run had a {}",
                    named(state.kind, state.distributed),
                    named(was.kind, was.distributed)
                )));
            }
        }
        for hold in &at.holds {
            if self.new.state(&hold.state).is_none() {
                return Err(Refusal::CannotHold {
                    state: hold.state.clone(),
                    why: "it is not there any more".to_owned(),
                });
            }
        }
        match &at.run {
            Run::Parallel(branches) => {
                let count =
                    |branches: &HashMap<&str, u32>| branches.get(at.state.as_str()).copied().unwrap_or_default();
                let (had, has) = (count(&self.had_branches), count(&self.has_branches));
                if had != has {
                    return Err(changed(format!(
                        "has {has} {}, where the run had {had}",
                        if has == 1 { "branch" } else { "branches" }
                    )));
                }
                for (index, region) in (0..).zip(branches) {
                    self.region(&at.state, Some(index), region)?;
                }
            }
            Run::Map(iterations) => {
                for region in iterations.values() {
                    self.region(&at.state, None, region)?;
                }
            }
            Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => {}
        }
        Ok(())
    }

    /// What is kept of a branch or of an iteration has to be of what stands there now.
    fn region(&mut self, container: &str, branch: Option<u32>, region: &Region) -> Result<(), Refusal> {
        match region {
            Region::Fresh => Ok(()),
            Region::Done { .. } => self.is_what_it_was(container, branch),
            Region::At(at) => {
                self.at(at)?;
                match self.old.state(&at.state) {
                    Some(_) => Ok(()),
                    // What it is given is of the branch that stood there.
                    None => self.is_what_it_was(container, branch),
                }
            }
        }
    }

    fn is_what_it_was(&mut self, container: &str, branch: Option<u32>) -> Result<(), Refusal> {
        let place = (container.to_owned(), branch);
        let had = self
            .had
            .get(&(container, branch))
            .filter(|_| !self.fits.contains(&place));
        let Some(had) = had else {
            return Ok(());
        };
        let there: Vec<&str> = had
            .iter()
            .copied()
            .filter(|state| self.new.state(state).is_some())
            .collect();
        let moved = there.iter().find(|state| !self.stands_where_it_stood(state));
        let what = branch.map_or("its processor".to_owned(), |branch| format!("its branch {branch}"));
        match (moved, there.is_empty()) {
            (Some(moved), _) => Err(changed(
                container,
                format!("is another one: \"{moved}\" of {what} stands elsewhere, in another branch, Parallel or Map"),
            )),
            (None, true) => Err(changed(
                container,
                format!("is another one: {what} has none of the states that it had"),
            )),
            (None, false) => {
                self.fits.insert(place);
                Ok(())
            }
        }
    }

    fn stands_where_it_stood(&self, state: &str) -> bool {
        let place = |definition: &'d Definition| -> Option<Vec<_>> {
            let around = definition.containers_of(definition.state(state)?).into_iter();
            Some(around.map(place_of).collect())
        };
        place(self.old) == place(self.new)
    }
}

fn changed(state: &str, wrong: String) -> Refusal {
    Refusal::ShapeChanged {
        state: state.to_owned(),
        wrong,
    }
}

fn place_of(container: Container<'_>) -> (&str, Option<u32>) {
    (container.state.name.as_str(), container.branch)
}

fn inside(definition: &Definition) -> Inside<'_> {
    let mut inside = Inside::new();
    for state in definition.states() {
        if let Some(container) = definition.container_of(state) {
            inside.entry(place_of(container)).or_default().push(&state.name);
        }
    }
    inside
}
