//! A region that goes on at a state, and one that has ended.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};
use signalbox::asl::{Definition, QueryLanguage};

use super::bootstrap::{assigning, giving};
use super::copy::Renamed;
use super::names::{For, Names};
use super::size::{Partial, Path, Why};
use super::{CloneError, Fields, reach};
use crate::cut::{At, Region, Run};
use crate::warning::{Code, Warning};

/// What a clone is built with, and what is known of it so far.
pub(super) struct Builder<'b> {
    /// What the top level is written in, and every injected state.
    pub(super) language: QueryLanguage,
    names: Names,
    /// Injected and copied states, each with the definition's state that it is for.
    pub(super) copies: BTreeMap<String, String>,
    /// Those of them that are injected.
    injected: HashSet<String>,
    /// The Maps that run again as a whole.
    pub(super) whole: &'b BTreeMap<Path, Why>,
    /// The Maps of which some is kept.
    pub(super) partial: Vec<Partial>,
    /// How many bytes fewer the definition would be if the Maps that are finished so far ran again as a whole.
    pub(super) saved: usize,
    pub(super) maps_run_whole: BTreeSet<String>,
    /// The same by where they stand.
    pub(super) run_whole: BTreeSet<Path>,
    pub(super) warnings: BTreeSet<Warning>,
}

/// The region that is being built.
#[derive(Debug, Clone)]
pub(super) struct Scope<'s> {
    /// The branches and iterations that it stands in, outermost first.
    pub(super) path: Path,
    /// The container that it stands in.
    pub(super) container: Option<&'s str>,
    /// What its states are called, where that is not what the definition calls them.
    pub(super) renamed: &'s Renamed,
    /// Whether others run its states too: it is the processor of a Map.
    pub(super) shared: bool,
    /// What its states are written in, unless they say something else.
    pub(super) language: QueryLanguage,
}

/// What follows an injected state.
enum Then {
    Next(String),
    End,
}

impl<'b> Builder<'b> {
    pub(super) fn new(definition: &Definition, whole: &'b BTreeMap<Path, Why>) -> Self {
        Self {
            language: definition.language(),
            names: Names::of(definition),
            copies: BTreeMap::new(),
            injected: HashSet::new(),
            whole,
            partial: Vec::new(),
            saved: 0,
            maps_run_whole: BTreeSet::new(),
            run_whole: BTreeSet::new(),
            warnings: BTreeSet::new(),
        }
    }

    /// A name that nobody has, for a state that is injected for `state` or is a copy of it.
    pub(super) fn free(&mut self, state: &str, is_for: For) -> String {
        let name = self.names.free(state, is_for);
        let original = self.copies.get(state).map_or(state, String::as_str).to_owned();
        self.copies.insert(name.clone(), original);
        name
    }

    /// A name for a state that is injected.
    pub(super) fn injected(&mut self, state: &str, is_for: For) -> String {
        let name = self.free(state, is_for);
        self.injected.insert(name.clone());
        name
    }

    pub(super) fn warn(&mut self, code: Code, state: &str, text: impl Into<String>) {
        self.warnings.insert(Warning {
            code,
            state: Some(state.to_owned()),
            text: text.into(),
        });
    }

    /// The region that goes on at a state.
    pub(super) fn going_on(&mut self, mut region: Fields, at: &At, scope: &Scope) -> Result<Fields, CloneError> {
        let mut states = take_states(&mut region);
        let could_end = reach::has_end(&states);
        let start = self.enter(&mut states, at, scope)?;
        reach::prune(&mut states, &start);
        if could_end && !reach::has_end(&states) {
            return Err(CloneError::NoEnd {
                state: at.state.clone(),
            });
        }
        region.insert("StartAt".to_owned(), Value::String(start));
        region.insert("States".to_owned(), Value::Object(states));
        Ok(region)
    }

    /// The region that has ended; `container` is the Parallel that it is a branch of.
    pub(super) fn ended(
        &mut self,
        mut region: Fields,
        output: &Value,
        container: &str,
        scope: &Scope,
    ) -> Result<Fields, CloneError> {
        let mut states = Fields::new();
        let start = self.kept(&mut states, output, container, scope)?;
        region.insert("StartAt".to_owned(), Value::String(start));
        region.insert("States".to_owned(), Value::Object(states));
        Ok(region)
    }

    /// Adds a Pass that ends the region with `output`: its name.
    pub(super) fn kept(
        &mut self,
        states: &mut Fields,
        output: &Value,
        container: &str,
        scope: &Scope,
    ) -> Result<String, CloneError> {
        let mut pass = giving(self.language, output, container, "an output that is kept")?;
        pass.insert("End".to_owned(), json!(true));
        let name = self.injected(container, For::Kept);
        self.put(states, &name, pass, scope);
        Ok(name)
    }

    /// Adds what a region goes on with to its states: where it starts.
    pub(super) fn enter(&mut self, states: &mut Fields, at: &At, scope: &Scope) -> Result<String, CloneError> {
        let (target, state) = scope.state(states, &at.state)?;
        let (then, data, is_for) = match &at.run {
            Run::Skipped { output } => (after(state, &at.state)?, output, For::Output),
            _ => (Then::Next(target.to_owned()), &at.input, For::Input),
        };
        let skipped = matches!(is_for, For::Output);
        let holds = match then {
            // Nothing is left that they would protect.
            Then::End => &[][..],
            Then::Next(_) => &at.holds,
        };
        let feeder = holds.iter().rposition(|hold| hold.feeds && !skipped);
        let first = feeder.map_or(data, |feeder| &holds[feeder].input);

        let mut chain = Vec::new();
        for pass in assigning(self.language, &at.variables, &at.state)? {
            chain.push((self.injected(&at.state, For::Variables), pass));
        }
        let what = match is_for {
            For::Output => "the output",
            _ => "the input",
        };
        let pass = giving(self.language, first, &at.state, what)?;
        chain.push((self.injected(&at.state, is_for), pass));
        let start = chain[0].0.clone();
        let mut handlers: Vec<String> = Vec::new();
        for (number, hold) in holds.iter().enumerate() {
            let (name, taker) = scope.state(states, &hold.state)?;
            handlers.extend(reach::handlers(taker).map(str::to_owned));
            let given = match feeder {
                Some(feeder) if number <= feeder => first,
                _ => data,
            };
            let copy = self.taken_again(taker, hold, feeder == Some(number), given, scope)?;
            chain.push((self.free(name, For::Again), copy));
        }

        let then = match (then, &at.run) {
            (Then::Next(target), Run::Whole | Run::Skipped { .. }) => Then::Next(target),
            (Then::End, _) => Then::End,
            (Then::Next(target), _) => {
                let state = scope.state(states, &at.state)?.1.clone();
                let again = scope.shared || {
                    let later = reach::successors(&state).chain(handlers.iter().map(String::as_str));
                    reach::from(states, later).contains(target.as_str())
                };
                match self.changed(&state, at, scope, again)? {
                    None => Then::Next(target),
                    Some(changed) => {
                        let name = if again {
                            self.free(&target, For::Resumed)
                        } else {
                            target
                        };
                        states.insert(name.clone(), Value::Object(changed));
                        Then::Next(name)
                    }
                }
            }
        };
        self.link(states, chain, then, scope);
        Ok(start)
    }

    /// What becomes of the state at which a region goes on; `None` if it runs as it is written. As a copy, the states in it
    /// have names of their own.
    fn changed(&mut self, state: &Fields, at: &At, scope: &Scope, copy: bool) -> Result<Option<Fields>, CloneError> {
        let is_fresh = |region: &Region| *region == Region::Fresh;
        let changed = match &at.run {
            Run::Whole | Run::Skipped { .. } => None,
            Run::Waiting(waiting) => Some(super::wait::waiting(state, waiting, &at.state)?),
            Run::Parallel(branches) => {
                let inner = super::parallel::branches(state, branches, &at.state)?;
                match branches.iter().all(is_fresh) {
                    true => None,
                    false => Some(self.parallel(state, inner, branches, &at.state, scope, copy)?),
                }
            }
            Run::Map(iterations) => {
                let processor = super::map::processor(state, &at.state)?;
                match iterations.values().all(is_fresh) || self.runs_whole(&at.state, scope) {
                    true => None,
                    false => Some(self.map(state, processor, iterations, &at.state, scope, copy)?),
                }
            }
        };
        if changed.is_some() && at.run.is_container() && has_entries(state, "Retry") {
            let text = "Its Retry goes on from what is kept: branches and iterations that had finished give their \
                        recorded output in each attempt, and those that go on begin where they went on.";
            self.warn(Code::RetryKeeps, &at.state, text);
        }
        Ok(changed)
    }

    /// Adds the states, each leading to the next one and the last to `then`.
    fn link(&self, states: &mut Fields, chain: Vec<(String, Fields)>, mut then: Then, scope: &Scope) {
        for (name, mut state) in chain.into_iter().rev() {
            match then {
                Then::Next(next) => state.insert("Next".to_owned(), Value::String(next)),
                Then::End => state.insert("End".to_owned(), json!(true)),
            };
            self.put(states, &name, state, scope);
            then = Then::Next(name);
        }
    }

    /// Adds a state. An injected one is written in the language of the top level.
    pub(super) fn put(&self, states: &mut Fields, name: &str, mut state: Fields, scope: &Scope) {
        if self.injected.contains(name) && scope.language != self.language {
            state.insert("QueryLanguage".to_owned(), json!(language_name(self.language)));
        }
        states.insert(name.to_owned(), Value::Object(state));
    }
}

impl Scope<'_> {
    /// The state that the definition calls `name`, and what it is called here.
    fn state<'n>(&'n self, states: &'n Fields, name: &'n str) -> Result<(&'n str, &'n Fields), CloneError> {
        let present = self.renamed.get(name).map_or(name, String::as_str);
        let state = states.get(present).and_then(Value::as_object);
        let state = state.ok_or_else(|| CloneError::NoSuchState {
            state: name.to_owned(),
            region: match (self.container, self.shared) {
                (None, _) => "at its top level".to_owned(),
                (Some(map), true) => format!("in the processor of \"{map}\""),
                (Some(parallel), false) => format!(
                    "in branch {} of \"{parallel}\"",
                    self.path.last().copied().unwrap_or_default()
                ),
            },
        })?;
        Ok((present, state))
    }
}

/// Where a region goes on after a state that is skipped.
fn after(state: &Fields, name: &str) -> Result<Then, CloneError> {
    let kind = state.get("Type").and_then(Value::as_str).unwrap_or_default();
    match state.get("Next").and_then(Value::as_str) {
        _ if matches!(kind, "Choice" | "Fail") => Err(CloneError::CannotSkip {
            state: name.to_owned(),
            kind: kind.to_owned(),
        }),
        Some(next) => Ok(Then::Next(next.to_owned())),
        None => Ok(Then::End),
    }
}

fn has_entries(state: &Fields, field: &str) -> bool {
    state
        .get(field)
        .and_then(Value::as_array)
        .is_some_and(|entries| !entries.is_empty())
}

/// Holds a state to its type: the run went through one of this type.
pub(super) fn expect(state: &Fields, kind: &str, name: &str) -> Result<(), CloneError> {
    match state.get("Type").and_then(Value::as_str).unwrap_or_default() {
        found if found == kind => Ok(()),
        found => Err(CloneError::ShapeChanged {
            state: name.to_owned(),
            wrong: format!("is a {found}, where the run had a {kind}"),
        }),
    }
}

/// Takes the states out of a region.
pub(super) fn take_states(region: &mut Fields) -> Fields {
    match region.remove("States") {
        Some(Value::Object(states)) => states,
        _ => Fields::new(),
    }
}

/// What the states of a region or the fields of a state are written in, where `outer` is said around it.
pub(super) fn language_of(fields: &Fields, outer: QueryLanguage) -> QueryLanguage {
    match fields.get("QueryLanguage").and_then(Value::as_str) {
        Some("JSONata") => QueryLanguage::Jsonata,
        Some(_) => QueryLanguage::JsonPath,
        None => outer,
    }
}

const fn language_name(language: QueryLanguage) -> &'static str {
    match language {
        QueryLanguage::JsonPath => "JSONPath",
        QueryLanguage::Jsonata => "JSONata",
    }
}

impl Run {
    const fn is_container(&self) -> bool {
        matches!(self, Self::Parallel(_) | Self::Map(_))
    }
}
