//! Which states are meant: what failed or was open, or what was named.

use signalbox::asl::{Container, Kind};
use signalbox::history::{Ended, Failed};

use super::facts::{Ask, Facts, From};
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
    for map in from.iterations.keys() {
        if !around
            .iter()
            .any(|container| container.state.name == *map && container.branch.is_none())
        {
            return Err(Refusal::NoSuchState {
                field: "from.iterations",
                state: map.clone(),
                known: format!(
                    "these Maps around \"{}\": {}",
                    from.state,
                    list(
                        around
                            .iter()
                            .filter(|container| container.branch.is_none())
                            .map(|container| container.state.name.as_str())
                    )
                ),
            });
        }
    }
    let mut found = Found { from, aims: Vec::new() };
    found.within(&facts.past.top, &around, &mut Vec::new())?;
    Ok(Aims {
        list: found.aims,
        named: true,
        handled: false,
    })
}

struct Found<'f> {
    from: &'f From,
    aims: Vec<Aim>,
}

impl Found<'_> {
    fn within(&mut self, scope: &Scope, around: &[Container<'_>], way: &mut Vec<(String, u32)>) -> Result<(), Refusal> {
        let Some((container, inner)) = around.split_first() else {
            self.aims.push(Aim {
                around: way.clone(),
                state: self.from.state.clone(),
            });
            return Ok(());
        };
        let name = &container.state.name;
        let not_entered = || Refusal::NotEntered {
            state: self.from.state.clone(),
            container: name.clone(),
        };
        let visit = scope.visits.get(name).ok_or_else(not_entered)?;
        let nothing = Scope::default();
        match (&visit.inside, container.branch) {
            (Inside::Parallel(branches), Some(branch)) => {
                way.push((name.clone(), branch));
                self.within(branches.get(&branch).unwrap_or(&nothing), inner, way)?;
                way.pop();
                Ok(())
            }
            (Inside::Map { length, iterations }, None) => {
                let chosen = self.iterations(name, *length, iterations, inner)?;
                for index in chosen {
                    way.push((name.clone(), index));
                    self.within(iterations.get(&index).unwrap_or(&nothing), inner, way)?;
                    way.pop();
                }
                Ok(())
            }
            _ => Err(not_entered()),
        }
    }

    /// The iterations that are meant: the one that was named, or those that did not finish and came to the state.
    fn iterations(
        &self,
        map: &str,
        length: Option<u32>,
        iterations: &std::collections::BTreeMap<u32, Scope>,
        inner: &[Container<'_>],
    ) -> Result<Vec<u32>, Refusal> {
        if let Some(index) = self.from.iterations.get(map) {
            let most = length
                .or_else(|| iterations.keys().max().map(|last| last + 1))
                .unwrap_or(0);
            return match *index < most {
                true => Ok(vec![*index]),
                false => Err(Refusal::Ambiguous {
                    field: "from.iterations",
                    why: format!("\"{map}\" has {most} iterations, numbered from 0, and {index} is none of them"),
                }),
            };
        }
        let first = inner
            .first()
            .map_or(self.from.state.as_str(), |container| container.state.name.as_str());
        let came = iterations
            .iter()
            .filter(|(_, scope)| scope.output.is_none() && scope.visits.contains_key(first));
        let came: Vec<u32> = came.map(|(index, _)| *index).collect();
        match came.is_empty() {
            false => Ok(came),
            true => Err(Refusal::Ambiguous {
                field: "from",
                why: format!(
                    "\"{}\" stands in the Map \"{map}\", and no unfinished iteration came to it; say which one is meant: \
                     {{\"state\": \"{}\", \"iterations\": {{\"{map}\": 0}}}}",
                    self.from.state, self.from.state
                ),
            }),
        }
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
        if let (Ended::Failed, Some(leaf)) = (failure.ended, place.path.last())
            && leaf.kind == Kind::Fail
        {
            return Err(Refusal::WouldFailAgain {
                state: leaf.state.clone(),
                candidates: candidates(facts, place),
            });
        }
        aims.list.extend(aim(place));
    }
    Ok(aims)
}

/// None if it is not known which branch or iteration it stands in.
fn aim(place: &Failed) -> Option<Aim> {
    let (leaf, around) = place.path.split_last()?;
    let around = around.iter().map(|step| Some((step.state.clone(), step.index?)));
    Some(Aim {
        around: around.collect::<Option<_>>()?,
        state: leaf.state.clone(),
    })
}

/// The states that the run came through before it failed, in the same region, the last one first.
fn candidates(facts: &Facts<'_>, place: &Failed) -> String {
    let Some(aim) = aim(place) else {
        return "a state before it".to_owned();
    };
    let mut scope = Some(&facts.past.top);
    for (container, index) in &aim.around {
        scope = scope.and_then(|scope| match &scope.visits.get(container)?.inside {
            Inside::Parallel(regions)
            | Inside::Map {
                iterations: regions, ..
            } => regions.get(index),
            Inside::Nothing => None,
        });
    }
    let visits = scope.into_iter().flat_map(|scope| &scope.visits);
    let mut before: Vec<_> = visits.filter(|(name, _)| **name != aim.state).collect();
    before.sort_by_key(|(_, visit)| std::cmp::Reverse(visit.order));
    match before.is_empty() {
        true => "a state before the one that it stands in".to_owned(),
        false => list(before.into_iter().map(|(name, _)| name.as_str())),
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
