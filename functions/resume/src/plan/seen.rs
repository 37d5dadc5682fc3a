//! What was done, looked up.

use std::collections::{BTreeMap, HashMap, HashSet};

use signalbox::asl::{Definition, Kind};

use crate::past::{Inside, Left, Scope, Visit};

/// The branches or iterations of a Parallel or a Map, by their index.
pub(super) const fn regions(inside: &Inside) -> Option<&BTreeMap<u32, Scope>> {
    match inside {
        Inside::Nothing => None,
        Inside::Parallel(regions)
        | Inside::Map {
            iterations: regions, ..
        } => Some(regions),
    }
}

/// What was done in a region, on the way to which these branches and iterations lie.
pub(super) fn region_at<'p>(top: &'p Scope, way: &[(String, u32)]) -> Option<&'p Scope> {
    way.iter().try_fold(top, |scope, (container, index)| {
        regions(&scope.visits.get(container)?.inside)?.get(index)
    })
}

/// Whether a state did not come to its end: it was open, or failed.
pub(super) fn is_unfinished(visit: &Visit) -> bool {
    !matches!(visit.left, Left::Done(_))
}

/// Whether a Task had begun to do something, and nobody knows how far it came.
pub(super) fn may_have_run(visit: &Visit) -> bool {
    visit.kind == Kind::Task && is_unfinished(visit) && visit.task.is_some()
}

/// The states that did not come to their end in these regions, and in those inside of them.
pub(super) fn unfinished_inside<'p>(inside: &'p Inside, each: &mut impl FnMut(&'p str, &'p Visit)) {
    for (name, visit) in regions(inside)
        .into_iter()
        .flatten()
        .flat_map(|(_, scope)| &scope.visits)
    {
        if is_unfinished(visit) {
            each(name, visit);
        }
        unfinished_inside(&visit.inside, each);
    }
}

/// Where a region stood in which nothing is meant. A Catch may have led from the state that failed to handlers that lead to
/// a Fail and nowhere else, and the end of the run came before that: then the region stood at the state that failed.
pub(super) fn stood_at<'p>(definition: &Definition, scope: &'p Scope) -> Option<(&'p str, &'p Visit)> {
    let (name, visit) = scope.visits.get_key_value(scope.current.as_ref()?)?;
    let caught = scope
        .visits
        .iter()
        .filter(|(_, before)| matches!(before.left, Left::Caught(_)) && before.order < visit.order)
        .max_by_key(|(_, before)| before.order);
    match caught {
        Some((caught, before)) if only_fails(definition, name) && is_handler(definition, scope, before, visit) => {
            Some((caught, before))
        }
        _ => Some((name, visit)),
    }
}

/// Whether all that was entered after the failure is there for failures alone.
fn is_handler(definition: &Definition, scope: &Scope, failed: &Visit, last: &Visit) -> bool {
    let mut after = scope
        .visits
        .iter()
        .filter(|(_, visit)| failed.order < visit.order && visit.order <= last.order);
    after.all(|(name, visit)| {
        let planned = definition.state(name).is_some_and(|state| definition.is_planned(state));
        !planned || visit.kind == Kind::Fail
    })
}

/// Whether a state leads to a Fail and to nothing else, as long as nothing fails on the way.
fn only_fails(definition: &Definition, state: &str) -> bool {
    let mut open = vec![state];
    let mut seen = HashSet::new();
    while let Some(name) = open.pop() {
        let Some(state) = definition.state(name).filter(|_| seen.insert(name)) else {
            continue;
        };
        if state.end || state.kind == Kind::Succeed {
            return false;
        }
        open.extend(state.successors());
    }
    true
}

/// How many branches each Parallel has.
pub(super) fn branches(definition: &Definition) -> HashMap<&str, u32> {
    let mut counts = HashMap::new();
    for around in definition.states().filter_map(|state| definition.container_of(state)) {
        if let Some(branch) = around.branch {
            let count = counts.entry(around.state.name.as_str()).or_insert(0);
            *count = branch.saturating_add(1).max(*count);
        }
    }
    counts
}
