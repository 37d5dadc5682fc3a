//! Which states are meant: what failed or was open, or what was named.

use std::collections::BTreeMap;

use serde_json::json;
use signalbox::asl::{Container, Kind};
use signalbox::history::{Ended, Failed};

use super::facts::{Ask, Facts, From};
use super::seen::region_at;
use crate::past::{Inside, Scope};
use crate::refusal::Refusal;

/// The way to a state: the Parallels and Maps around it, each with its branch or iteration, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) around: Vec<(String, u32)>,
    pub(super) state: String,
}

/// The states that are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Aims {
    pub(super) list: Vec<Aim>,
    /// They were named, and are not what the run ended in.
    pub(super) named: bool,
    /// What failed was caught, and the run went on from there to its end.
    pub(super) handled: bool,
}

/// How many states a refusal names.
const NAMED: usize = 20;

/// Finds out which states are meant.
pub(super) fn aims(facts: &Facts<'_>, ask: &Ask) -> Result<Aims, Refusal> {
    let aims = match &ask.from {
        Some(from) => named(facts, from)?,
        None => ended_in(facts)?,
    };
    match (ask.overrides(), aims.list.as_slice()) {
        (None, _) | (Some(_), [_]) => Ok(aims),
        (Some(field), []) => Err(Refusal::Ambiguous {
            field,
            why: "the history does not tell where the run ended; say with from where to go on".to_owned(),
        }),
        (Some(field), several) => Err(Refusal::Ambiguous {
            field,
            why: format!(
                "it would be for {} states, {}; say with from which one is meant, with iterations in a Map",
                several.len(),
                list(several.iter().map(|aim| aim.state.as_str()))
            ),
        }),
    }
}

fn named(facts: &Facts<'_>, from: &From) -> Result<Aims, Refusal> {
    let known = facts.goes_on_with;
    let Some(state) = known.state(&from.state) else {
        return Err(Refusal::NoSuchState {
            field: "from",
            state: from.state.clone(),
            known: list(known.states().map(|state| state.name.as_str())),
        });
    };
    let around = known.containers_of(state);
    let maps = || around.iter().filter(|container| container.branch.is_none());
    if let Some(map) = maps().find(|container| container.state.distributed) {
        return Err(Refusal::InChildren {
            state: from.state.clone(),
            map: map.state.name.clone(),
        });
    }
    for map in from.iterations.keys() {
        if !maps().any(|container| container.state.name == *map) {
            let names = list(maps().map(|container| container.state.name.as_str()));
            return Err(Refusal::NoSuchState {
                field: "from.iterations",
                state: map.clone(),
                known: format!("these Maps around \"{}\": {names}", from.state),
            });
        }
    }
    let mut found = Found {
        from,
        aims: Vec::new(),
        missed: None,
    };
    found.within(&facts.past.top, &around, &mut Vec::new());
    match found.missed {
        Some(refusal) if found.aims.is_empty() => return Err(refusal),
        _ => {}
    }
    if let (Kind::Fail, Some(aim)) = (state.kind, found.aims.first()) {
        return Err(would_fail_again(
            facts,
            &aim.state,
            region_at(&facts.past.top, &aim.around),
        ));
    }
    Ok(Aims {
        list: found.aims,
        named: true,
        handled: false,
    })
}

struct Found<'f> {
    from: &'f From,
    aims: Vec<Aim>,
    /// Why a way led nowhere, the first that did.
    missed: Option<Refusal>,
}

impl Found<'_> {
    fn within(&mut self, scope: &Scope, around: &[Container<'_>], way: &mut Vec<(String, u32)>) {
        let Some((container, inner)) = around.split_first() else {
            self.aims.push(Aim {
                around: way.clone(),
                state: self.from.state.clone(),
            });
            return;
        };
        let name = &container.state.name;
        let nothing = Scope::default();
        let inside = scope.visits.get(name).map(|visit| &visit.inside);
        match (inside, container.branch) {
            (Some(Inside::Parallel(branches)), Some(branch)) => {
                way.push((name.clone(), branch));
                self.within(branches.get(&branch).unwrap_or(&nothing), inner, way);
                way.pop();
            }
            (Some(Inside::Map { length, iterations }), None) => {
                for index in self.iterations(name, *length, iterations, inner) {
                    way.push((name.clone(), index));
                    self.within(iterations.get(&index).unwrap_or(&nothing), inner, way);
                    way.pop();
                }
            }
            _ => self.miss(Refusal::NotEntered {
                state: self.from.state.clone(),
                container: name.clone(),
            }),
        }
    }

    fn miss(&mut self, refusal: Refusal) {
        self.missed.get_or_insert(refusal);
    }

    /// The iterations that are meant: the one that was named, or those that did not finish and came to the state.
    fn iterations(
        &mut self,
        map: &str,
        length: Option<u32>,
        iterations: &BTreeMap<u32, Scope>,
        inner: &[Container<'_>],
    ) -> Vec<u32> {
        if let Some(index) = self.from.iterations.get(map) {
            let most = length.or_else(|| iterations.keys().max().map(|last| last + 1));
            let most = most.unwrap_or_default();
            if *index < most {
                return vec![*index];
            }
            self.miss(Refusal::Ambiguous {
                field: "from.iterations",
                why: format!("\"{map}\" has {most} iterations, numbered from 0, and {index} is none of them"),
            });
            return Vec::new();
        }
        let first = inner
            .first()
            .map_or(self.from.state.as_str(), |container| container.state.name.as_str());
        let came = iterations
            .iter()
            .filter(|(_, scope)| scope.output.is_none() && scope.visits.contains_key(first));
        let came: Vec<u32> = came.map(|(index, _)| *index).collect();
        if came.is_empty() {
            let state = &self.from.state;
            let which = format!("{{\"state\": {}, \"iterations\": {{{}: 0}}}}", json!(state), json!(map));
            self.miss(Refusal::Ambiguous {
                field: "from",
                why: format!(
                    "\"{state}\" stands in the Map \"{map}\", and no unfinished iteration came to it; say which one is \
                     meant, for example {which}"
                ),
            });
        }
        came
    }
}

/// What failed, or was open at the end.
fn ended_in(facts: &Facts<'_>) -> Result<Aims, Refusal> {
    let Some(failure) = &facts.past.failure else {
        return Err(Refusal::NoData {
            what: "end: the execution ended, and its history does not say so".to_owned(),
        });
    };
    let mut aims = Aims {
        handled: failure.places.iter().any(|place| place.handled.is_some()),
        ..Aims::default()
    };
    for place in &failure.places {
        let aim = aim(place);
        if let (Ended::Failed, Some(leaf)) = (failure.ended, place.path.last())
            && leaf.kind == Kind::Fail
            && facts.still_fails(&leaf.state)
        {
            let scope = aim.as_ref().and_then(|aim| region_at(&facts.past.top, &aim.around));
            return Err(would_fail_again(facts, &leaf.state, scope));
        }
        aims.list.extend(aim);
    }
    Ok(aims)
}

/// None if it is not known which branch or iteration it stands in.
pub(super) fn aim(place: &Failed) -> Option<Aim> {
    let (leaf, around) = place.path.split_last()?;
    let around = around.iter().map(|step| Some((step.state.clone(), step.index?)));
    Some(Aim {
        around: around.collect::<Option<_>>()?,
        state: leaf.state.clone(),
    })
}

/// To go on at a Fail is to fail. What can be gone on at instead: the states that the run came through in the region, the
/// last one first, and the Parallels and Maps around it.
pub(super) fn would_fail_again(facts: &Facts<'_>, fail: &str, scope: Option<&Scope>) -> Refusal {
    let visits = scope.into_iter().flat_map(|scope| &scope.visits);
    let mut before: Vec<_> = visits.filter(|(name, _)| name.as_str() != fail).collect();
    before.sort_by_key(|(_, visit)| std::cmp::Reverse(visit.order));
    let definition = facts.goes_on_with;
    let around = definition.state(fail).map(|state| definition.containers_of(state));
    let around = around.into_iter().flatten().rev();
    let names: Vec<&str> = before
        .into_iter()
        .map(|(name, _)| name.as_str())
        .chain(around.map(|container| container.state.name.as_str()))
        .collect();
    Refusal::WouldFailAgain {
        state: fail.to_owned(),
        instead: match names.is_empty() {
            true => "nothing came before it, so start a new execution, or go on with another definition".to_owned(),
            false => format!("say with from where to go on, for example {}", list(names.into_iter())),
        },
    }
}

/// Names in quotes, with a limit that is told.
pub(super) fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let mut text = names.join(", ");
    if more > 0 {
        text += " and ";
        text += &more.to_string();
        text += " more";
    }
    if text.is_empty() {
        text.push_str("none");
    }
    text
}
