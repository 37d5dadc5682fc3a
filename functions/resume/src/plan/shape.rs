//! Whether another definition fits what was done: states are found by their names.

use signalbox::asl::Definition;

use crate::cut::{At, Region, Run};
use crate::refusal::Refusal;

/// Holds `new` to what is kept of a run of `old`.
pub(super) fn check(old: &Definition, new: &Definition, at: &At) -> Result<(), Refusal> {
    let changed = |wrong: String| Refusal::ShapeChanged {
        state: at.state.clone(),
        wrong,
    };
    let Some(state) = new.state(&at.state) else {
        return Err(changed("is not there any more".to_owned()));
    };
    let place = |definition: &Definition| {
        let around = definition.state(&at.state).map(|state| definition.containers_of(state));
        let around = around.unwrap_or_default().into_iter();
        around
            .map(|container| (container.state.name.clone(), container.branch))
            .collect::<Vec<_>>()
    };
    if let Some(was) = old.state(&at.state) {
        if place(old) != place(new) {
            return Err(changed(
                "stands elsewhere: in other Parallels or Maps, or in another branch".to_owned(),
            ));
        }
        let is_kept_in_part = matches!(at.run, Run::Parallel(_) | Run::Map(_));
        if is_kept_in_part && (was.kind, was.distributed) != (state.kind, state.distributed) {
            return Err(changed(format!(
                "is a {}, where the run had a {}",
                state.kind, was.kind
            )));
        }
    }
    let regions: Vec<&Region> = match &at.run {
        Run::Parallel(branches) => {
            let count = |definition: &Definition| {
                let inside = definition.states().filter_map(|state| definition.container_of(state));
                let branches = inside
                    .filter(|around| around.state.name == at.state)
                    .filter_map(|around| around.branch);
                branches.max().map_or(0, |last| last + 1)
            };
            let (had, has) = (count(old), count(new));
            if had != has {
                return Err(changed(format!("has {has} branches, where the run had {had}")));
            }
            branches.iter().collect()
        }
        Run::Map(iterations) => iterations.values().collect(),
        Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => Vec::new(),
    };
    for hold in &at.holds {
        if new.state(&hold.state).is_none() {
            return Err(Refusal::CannotHold {
                state: hold.state.clone(),
                why: "it is not there any more".to_owned(),
            });
        }
    }
    regions.into_iter().try_for_each(|region| match region {
        Region::At(at) => check(old, new, at),
        Region::Fresh | Region::Done { .. } => Ok(()),
    })
}
