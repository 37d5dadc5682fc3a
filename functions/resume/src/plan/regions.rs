//! Where each region goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use signalbox::asl::{Kind, State};
use signalbox::clock::Timestamp;

use super::aim::{Aim, Aims, would_fail_again};
use super::facts::{Ask, Facts, Waits};
use super::holds;
use super::seen::{branches, stood_at};
use super::written::Written;
use crate::cut::{At, Region, Run, Waiting};
use crate::past::{Inside, Left, Scope, Text, Variables, Visit};
use crate::refusal::Refusal;

/// Finds out where each region goes on.
pub(super) struct Cutter<'c> {
    facts: &'c Facts<'c>,
    ask: &'c Ask,
    aims: &'c Aims,
    written: &'c Written<'c>,
    /// How many branches each Parallel had.
    branches: HashMap<&'c str, u32>,
}

/// What is meant in a region: the rest of each way.
type Rest<'a> = (&'a [(String, u32)], &'a str);

impl<'c> Cutter<'c> {
    pub(super) fn new(facts: &'c Facts<'c>, ask: &'c Ask, aims: &'c Aims, written: &'c Written<'c>) -> Self {
        Self {
            facts,
            ask,
            aims,
            written,
            branches: branches(facts.executed),
        }
    }

    /// Where the top level goes on.
    pub(super) fn top(&self) -> Result<At, Refusal> {
        let rest = self
            .aims
            .list
            .iter()
            .map(|Aim { around, state }| (around.as_slice(), state.as_str()));
        let top = &self.facts.past.top;
        let mut at = match self.region(top, &rest.collect::<Vec<_>>())? {
            Region::At(at) => *at,
            // Nothing was entered: it failed at its very beginning.
            Region::Fresh => return self.start_anew(),
            Region::Done { .. } => return Err(Refusal::NothingFailed),
        };
        if let [aim] = self.aims.list.as_slice() {
            lay_over(&mut at, &aim.around, self.ask.variables.clone());
        }
        Ok(at)
    }

    fn start_anew(&self) -> Result<At, Refusal> {
        let definition = self.facts.goes_on_with;
        let first = definition.states().next().map(|state| definition.start_of(state));
        let state = first.ok_or_else(|| Refusal::BadDefinition("has no states".to_owned()))?;
        Ok(At {
            state: state.to_owned(),
            input: json(self.facts.past.input.as_ref(), || "input of the execution".to_owned())?,
            variables: BTreeMap::new(),
            run: Run::Whole,
            holds: Vec::new(),
        })
    }

    fn region(&self, scope: &Scope, aims: &[Rest<'_>]) -> Result<Region, Refusal> {
        let Some((way, state)) = aims.first() else {
            return self.stand(scope);
        };
        match way.first() {
            None => self.aimed(scope, state),
            Some((container, _)) => self.around(scope, container, aims),
        }
    }

    /// A region in which nothing is meant goes on where it stood.
    fn stand(&self, scope: &Scope) -> Result<Region, Refusal> {
        if let Some(output) = &scope.output {
            return Ok(Region::Done {
                output: json(Some(output), || "output of a branch".to_owned())?,
            });
        }
        let Some((name, visit)) = stood_at(self.facts.executed, scope) else {
            return Ok(Region::Fresh);
        };
        if visit.kind == Kind::Fail && self.facts.still_fails(name) {
            return Err(would_fail_again(self.facts, name, Some(scope)));
        }
        if let (Left::Done(output), Some(next)) = (&visit.left, self.next(name)) {
            // It ended between two states.
            return Ok(Region::At(Box::new(At {
                state: next.to_owned(),
                input: json(output.as_ref(), || format!("output of \"{name}\""))?,
                variables: variables(&scope.variables)?,
                run: Run::Whole,
                holds: holds::before(self.facts, scope, None, output.as_ref())?,
            })));
        }
        self.at(scope, name, visit, self.inside(name, visit)?)
            .map(|at| Region::At(Box::new(at)))
    }

    /// A Parallel or a Map in which something is meant.
    fn around(&self, scope: &Scope, container: &str, aims: &[Rest<'_>]) -> Result<Region, Refusal> {
        let visit = scope.visits.get(container).ok_or_else(|| Refusal::NotEntered {
            state: aims[0].1.to_owned(),
            container: container.to_owned(),
        })?;
        let mut inside: BTreeMap<u32, Vec<Rest<'_>>> = BTreeMap::new();
        for (way, state) in aims {
            if let Some(((_, index), rest)) = way.split_first() {
                inside.entry(*index).or_default().push((rest, state));
            }
        }
        let nothing = Scope::default();
        let of = |regions: &BTreeMap<u32, Scope>, index: u32| {
            let aims = inside.get(&index).map_or(&[][..], Vec::as_slice);
            self.region(regions.get(&index).unwrap_or(&nothing), aims)
        };
        let run = match &visit.inside {
            Inside::Parallel(branches) => {
                let count = self.branches(container);
                Run::Parallel((0..count).map(|index| of(branches, index)).collect::<Result<_, _>>()?)
            }
            Inside::Map { iterations, .. } => {
                let indexes: BTreeSet<u32> = iterations.keys().chain(inside.keys()).copied().collect();
                let regions = indexes.into_iter().map(|index| Ok((index, of(iterations, index)?)));
                Run::Map(regions.collect::<Result<_, Refusal>>()?)
            }
            Inside::Nothing => Run::Whole,
        };
        self.at(scope, container, visit, run).map(|at| Region::At(Box::new(at)))
    }

    /// What is run of a state that stood where it is: of a Parallel or a Map what has not finished.
    fn inside(&self, name: &str, visit: &Visit) -> Result<Run, Refusal> {
        match &visit.inside {
            Inside::Nothing => Ok(Run::Whole),
            // Its iterations are executions of their own.
            Inside::Map { .. } if self.executed(name).is_some_and(|state| state.distributed) => Ok(Run::Whole),
            _ if self.was_too_large(visit) => Ok(Run::Whole),
            Inside::Parallel(branches) => {
                let nothing = Scope::default();
                let regions =
                    (0..self.branches(name)).map(|index| self.stand(branches.get(&index).unwrap_or(&nothing)));
                Ok(Run::Parallel(regions.collect::<Result<_, _>>()?))
            }
            Inside::Map { iterations, .. } => {
                let regions = iterations.iter().map(|(index, scope)| Ok((*index, self.stand(scope)?)));
                Ok(Run::Map(regions.collect::<Result<_, Refusal>>()?))
            }
        }
    }

    /// Whether all branches or iterations had finished, with outputs that were too large together.
    ///
    /// Source: Step Functions developer guide, "Redriving executions", on Parallel: "rerun, including the branches that were
    /// successful in the original execution attempt".
    fn was_too_large(&self, visit: &Visit) -> bool {
        let failure = self.facts.past.failure.as_ref();
        failure
            .filter(|failure| failure.error.as_deref() == Some("States.DataLimitExceeded"))
            .is_some_and(|failure| {
                let mut places = failure.places.iter();
                places.any(|place| place.entered_event.is_some() && place.entered_event == visit.entered_event)
            })
    }

    /// The state that is meant.
    fn aimed(&self, scope: &Scope, name: &str) -> Result<Region, Refusal> {
        let state = self.facts.goes_on_with.state(name).or_else(|| self.executed(name));
        let Some(visit) = scope.visits.get(name) else {
            return self
                .never_entered(scope, name, state)
                .map(|at| Region::At(Box::new(at)));
        };
        let run = match self.aims.named {
            // Who names a Parallel or a Map means all of it.
            true => Run::Whole,
            false => self.inside(name, visit)?,
        };
        let mut at = self.at(scope, name, visit, run)?;
        self.override_target(&mut at, name, state)?;
        Ok(Region::At(Box::new(at)))
    }

    fn never_entered(&self, scope: &Scope, name: &str, state: Option<&State>) -> Result<At, Refusal> {
        if self.ask.input.is_none() && self.ask.skip_with_output.is_none() {
            return Err(Refusal::NeedsInput { state: name.to_owned() });
        }
        let mut at = At {
            state: name.to_owned(),
            input: Value::Null,
            variables: variables(&scope.variables)?,
            run: Run::Whole,
            holds: holds::before(self.facts, scope, None, None)?,
        };
        self.override_target(&mut at, name, state)?;
        Ok(at)
    }

    fn override_target(&self, at: &mut At, name: &str, state: Option<&State>) -> Result<(), Refusal> {
        if let Some(input) = &self.ask.input {
            at.input = input.clone();
            for hold in &mut at.holds {
                hold.feeds = false;
            }
        }
        if let Some(output) = &self.ask.skip_with_output {
            if let Some(kind) = state
                .map(|state| state.kind)
                .filter(|kind| matches!(kind, Kind::Choice | Kind::Fail))
            {
                return Err(Refusal::CannotSkip {
                    state: name.to_owned(),
                    kind: kind.name().to_owned(),
                });
            }
            at.run = Run::Skipped { output: output.clone() };
        }
        Ok(())
    }

    fn at(&self, scope: &Scope, name: &str, visit: &Visit, run: Run) -> Result<At, Refusal> {
        let run = match (visit.kind, self.ask.waits) {
            (Kind::Wait, Waits::Remaining) if visit.is_open() => Run::Waiting(Waiting::Until(self.ends(name, visit)?)),
            (Kind::Wait, Waits::Skip) if visit.is_open() => Run::Waiting(Waiting::Over),
            _ => run,
        };
        Ok(At {
            state: name.to_owned(),
            input: json(visit.input.as_ref(), || format!("input of \"{name}\""))?,
            variables: variables(&visit.variables)?,
            run,
            holds: holds::before(self.facts, scope, Some(visit.order), visit.input.as_ref())?,
        })
    }

    /// When an open Wait would have ended.
    fn ends(&self, name: &str, visit: &Visit) -> Result<String, Refusal> {
        let cannot = |why: &str| Refusal::CannotWait {
            state: name.to_owned(),
            why: why.to_owned(),
        };
        let written = self
            .written
            .get(name)
            .ok_or_else(|| cannot("it is not in the definition"))?;
        let input = json(visit.input.as_ref(), || format!("input of \"{name}\""))?;
        let input = match written.get("InputPath") {
            None => &input,
            Some(path) => at_path(&input, path).ok_or_else(|| cannot("its InputPath is no plain path"))?,
        };
        let found = |field: &str, path: &str| {
            let literal = written
                .get(field)
                .filter(|value| !value.as_str().is_some_and(|text| text.starts_with("{%")));
            literal.cloned().or_else(|| at_path(input, written.get(path)?).cloned())
        };
        if let Some(Value::String(until)) = found("Timestamp", "TimestampPath") {
            return Ok(until);
        }
        let seconds = found("Seconds", "SecondsPath").as_ref().and_then(Value::as_u64);
        let seconds = seconds.ok_or_else(|| cannot("its time is neither a number nor a plain path to one"))?;
        let entered: Timestamp = visit
            .entered
            .ok_or_else(|| cannot("when it was entered is not known"))?;
        Ok(entered.after(std::time::Duration::from_secs(seconds)).to_string())
    }

    fn executed(&self, name: &str) -> Option<&State> {
        self.facts.executed.state(name)
    }

    /// What follows a state, in the definition to go on with if it is there.
    fn next(&self, name: &str) -> Option<&str> {
        let state = self.facts.goes_on_with.state(name).or_else(|| self.executed(name))?;
        state.next.as_deref()
    }

    fn branches(&self, container: &str) -> u32 {
        self.branches.get(container).copied().unwrap_or_default()
    }
}

/// Notes the Maps that run again as a whole, as the clone would have been too large: by the branches and iterations
/// around each.
pub(super) fn run_whole(at: &mut At, maps: &BTreeSet<Vec<u32>>, way: &mut Vec<u32>) {
    if matches!(at.run, Run::Map(_)) && maps.contains(way) {
        at.run = Run::Whole;
    }
    let inside: &mut dyn Iterator<Item = (u32, &mut Region)> = match &mut at.run {
        Run::Parallel(branches) => &mut (0..).zip(branches),
        Run::Map(iterations) => &mut iterations.iter_mut().map(|(index, region)| (*index, region)),
        Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => return,
    };
    for (index, region) in inside {
        if let Region::At(at) = region {
            way.push(index);
            run_whole(at, maps, way);
            way.pop();
        }
    }
}

/// Lays variables over those that are restored: each where the region around has it, as no region may have a variable of
/// a region around it; one that is new, in the region of the state that is meant.
///
/// Source: Step Functions developer guide, "Passing data between states with variables", variable scope.
fn lay_over(at: &mut At, way: &[(String, u32)], mut given: BTreeMap<String, Value>) {
    let Some(((_, index), rest)) = way.split_first() else {
        at.variables.extend(given);
        return;
    };
    for (name, value) in &mut at.variables {
        if let Some(given) = given.remove(name) {
            *value = given;
        }
    }
    let inner = match &mut at.run {
        Run::Parallel(branches) => usize::try_from(*index).ok().and_then(|index| branches.get_mut(index)),
        Run::Map(iterations) => iterations.get_mut(index),
        Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => None,
    };
    if let Some(Region::At(inner)) = inner {
        lay_over(inner, rest, given);
    }
}

/// What a path of plain names finds: `$.when.seconds`.
fn at_path<'v>(value: &'v Value, path: &Value) -> Option<&'v Value> {
    let names = path.as_str()?.strip_prefix('$')?;
    let mut found = value;
    for name in names.split('.').skip(1) {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
            return None;
        }
        found = found.as_object()?.get(name)?;
    }
    (names.is_empty() || names.starts_with('.')).then_some(found)
}

fn variables(texts: &Variables) -> Result<BTreeMap<String, Value>, Refusal> {
    let each = texts.iter();
    each.map(|(name, text)| Ok((name.clone(), json(Some(text), || format!("variable {name}"))?)))
        .collect()
}

/// A recorded text as JSON.
pub(super) fn json(text: Option<&Text>, what: impl Fn() -> String) -> Result<Value, Refusal> {
    let parsed = text.and_then(|text| serde_json::from_str(text).ok());
    parsed.ok_or_else(|| Refusal::NoData { what: what() })
}
