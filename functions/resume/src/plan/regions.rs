//! Where each region goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use signalbox::asl::{Kind, State};
use signalbox::clock::Timestamp;

use super::aim::{Aim, Aims};
use super::facts::{Ask, Facts, Waits};
use super::holds;
use crate::cut::{At, Region, Run, Waiting};
use crate::past::{Inside, Left, Scope, Text, Variables, Visit};
use crate::refusal::Refusal;

/// Finds out where each region goes on.
pub(super) struct Cutter<'c> {
    facts: &'c Facts<'c>,
    ask: &'c Ask,
    aims: &'c Aims,
    /// How many branches each Parallel had.
    branches: HashMap<&'c str, u32>,
}

/// What is meant in a region: the rest of each way.
type Rest<'a> = (&'a [(String, u32)], &'a str);

impl<'c> Cutter<'c> {
    pub(super) fn new(facts: &'c Facts<'c>, ask: &'c Ask, aims: &'c Aims) -> Self {
        let definition = facts.executed;
        let mut branches = HashMap::new();
        for around in definition.states().filter_map(|state| definition.container_of(state)) {
            if let Some(branch) = around.branch {
                let count = branches.entry(around.state.name.as_str()).or_insert(0);
                *count = branch.saturating_add(1).max(*count);
            }
        }
        Self {
            facts,
            ask,
            aims,
            branches,
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
        match self.region(top, &rest.collect::<Vec<_>>())? {
            Region::At(at) => Ok(*at),
            // Nothing was entered: it failed at its very beginning.
            Region::Fresh => self.start_anew(),
            Region::Done { .. } => Err(Refusal::NothingFailed),
        }
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
        let current = scope
            .current
            .as_ref()
            .and_then(|name| Some((name, scope.visits.get(name)?)));
        let Some((name, visit)) = current else {
            return Ok(Region::Fresh);
        };
        if let (Left::Done(output), Some(next)) =
            (&visit.left, self.executed(name).and_then(|state| state.next.as_ref()))
        {
            // It ended between two states.
            return Ok(Region::At(Box::new(At {
                state: next.clone(),
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
        at.variables.extend(self.ask.variables.clone());
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
        let written = find_state(self.facts.document, name).ok_or_else(|| cannot("it is not in the definition"))?;
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

    fn branches(&self, container: &str) -> u32 {
        self.branches.get(container).copied().unwrap_or_default()
    }
}

/// The state of this name, wherever it stands in a definition.
pub(super) fn find_state<'v>(region: &'v Value, name: &str) -> Option<&'v Value> {
    let states = region.get("States")?.as_object()?;
    if let Some(state) = states.get(name) {
        return Some(state);
    }
    states.values().find_map(|state| {
        let processor = state.get("ItemProcessor").or_else(|| state.get("Iterator"));
        let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten();
        processor
            .into_iter()
            .chain(branches)
            .find_map(|region| find_state(region, name))
    })
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
