//! The history, event by event.
//!
//! Where an event belongs is found out by [`signalbox::history::Reader`]; here is kept what it carries, as long as a plan
//! may need it.
//!
//! A failure that was caught may leave no event of its own: then the state that is entered next tells that a state was left
//! by its Catch. What stands in a state that has one is therefore kept until that is known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use signalbox::asl::{Definition, Kind};
use signalbox::clock::Timestamp;
use signalbox::history::event::What;
use signalbox::history::{Event, Reader, ScopeId, VisitId};

use super::{Data, Inside, Left, Past, Scope, Task, Text, Variables, Visit};

/// Reads a history, oldest event first, in memory for what did not succeed: a Parallel or a Map that succeeded keeps its
/// output alone, and so does a branch or an iteration of one that did not; of a state that is entered again only the last
/// visit is kept.
#[derive(Debug)]
pub struct PastReader<'d> {
    reader: Reader<'d>,
    definition: &'d Definition,
    /// The Parallels and Maps around the state whose data is kept wherever it stands, and it itself.
    keep: HashSet<&'d str>,
    /// The regions that these stand in: their Parallel or Map, and of a Parallel which branch.
    keep_regions: HashSet<(&'d str, Option<u32>)>,
    visits: HashMap<VisitId, Seen>,
    scopes: HashMap<ScopeId, SeenScope>,
    input: Option<Text>,
    events: u64,
    last_event: i64,
    redrives: u32,
}

#[derive(Debug)]
struct Seen {
    name: String,
    kind: Kind,
    entered_event: i64,
    entered: Option<Timestamp>,
    order: u64,
    input: Option<Text>,
    variables: Variables,
    left: bool,
    output: Option<Text>,
    task: Option<Task>,
    result: Option<Text>,
    length: Option<u32>,
    inside: Vec<ScopeId>,
}

#[derive(Debug, Default)]
struct SeenScope {
    latest: BTreeMap<String, VisitId>,
    current: Option<VisitId>,
    variables: Variables,
    /// It has come to its end, as far as is known.
    is_over: bool,
    output: Option<Text>,
}

impl<'d> PastReader<'d> {
    /// A reader that has seen nothing, of an execution that ran `definition`. `keep`: a state of which everything is kept,
    /// also if it stands in a Parallel or a Map that succeeded.
    #[must_use]
    pub fn new(definition: &'d Definition, keep: Option<&str>) -> Self {
        let kept = keep.and_then(|name| definition.state(name));
        let around = kept.map(|state| definition.containers_of(state)).unwrap_or_default();
        let names = around.iter().map(|container| container.state.name.as_str());
        let keep = names.chain(kept.map(|state| state.name.as_str())).collect();
        let regions = around.iter().map(|around| (around.state.name.as_str(), around.branch));
        Self {
            reader: Reader::new(Some(definition)),
            definition,
            keep,
            keep_regions: regions.collect(),
            visits: HashMap::new(),
            scopes: HashMap::new(),
            input: None,
            events: 0,
            last_event: 0,
            redrives: 0,
        }
    }

    /// Takes the next event, with its data.
    pub fn push(&mut self, event: Event, data: Data) {
        self.events += 1;
        self.last_event = event.id;
        let visit = self.reader.place(&event);
        match (event.what, visit) {
            (What::ExecutionStarted, _) => {
                if let Data::Input(input) = data {
                    self.input = Some(input.into());
                }
            }
            (What::ExecutionRedriven, _) => self.redrives += 1,
            (What::Entered { kind, state, input }, Some(visit)) => {
                let entered = Seen {
                    name: state,
                    kind,
                    entered_event: event.id,
                    entered: event.at,
                    order: self.events,
                    input: input.map(Text::from),
                    variables: Variables::default(),
                    left: false,
                    output: None,
                    task: None,
                    result: None,
                    length: None,
                    inside: Vec::new(),
                };
                self.enter(visit, entered);
            }
            (What::Exited { output, assigned, .. }, Some(visit)) => self.exit(visit, output.map(Text::from), assigned),
            (What::Started(_), Some(visit)) => {
                if let Some(container) = self.visits.get_mut(&visit) {
                    container.length = match data {
                        Data::Length(length) => Some(length),
                        _ => None,
                    };
                    let void = std::mem::take(&mut container.inside);
                    self.forget(void);
                }
            }
            (What::Scheduled { resource }, Some(visit)) => {
                if let Some(seen) = self.visits.get_mut(&visit) {
                    let parameters = match data {
                        Data::Parameters(parameters) => Some(parameters.into()),
                        _ => None,
                    };
                    seen.result = None;
                    seen.task = Some(Task {
                        resource,
                        parameters,
                        started: false,
                        submitted: None,
                    });
                }
            }
            (What::Progress, Some(visit)) => {
                if let Some(task) = self.visits.get_mut(&visit).and_then(|seen| seen.task.as_mut()) {
                    task.started = true;
                    if let Data::Submitted(answer) = data {
                        task.submitted = Some(answer.into());
                    }
                }
            }
            (What::AttemptSucceeded, Some(visit)) => {
                if let (Some(seen), Data::Result(result)) = (self.visits.get_mut(&visit), data) {
                    seen.result = Some(result.into());
                }
            }
            // It follows what the iteration was left with.
            (What::IterationSucceeded(_), Some(visit)) => self.end(self.reader.scope_of(visit)),
            _ => {}
        }
    }

    /// What the execution has done.
    #[must_use]
    pub fn finish(self) -> Past {
        Past {
            top: self.scope(Reader::TOP),
            failure: self.reader.failure(),
            input: self.input,
            events: self.events,
            last_event: self.last_event,
            redrives: self.redrives,
        }
    }

    /// How many visits and variables it holds by now.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let variables = self.scopes.values().map(|scope| scope.variables.len());
        (self.visits.len(), variables.sum())
    }

    fn enter(&mut self, visit: VisitId, mut entered: Seen) {
        let place = self.reader.scope_of(visit);
        if !self.scopes.contains_key(&place) {
            let container = self.reader.container_of(place).0;
            if let Some(container) = container.and_then(|container| self.visits.get_mut(&container)) {
                container.inside.push(place);
            }
        }
        let scope = self.scopes.entry(place).or_default();
        entered.variables = Rc::clone(&scope.variables);
        (scope.is_over, scope.output) = (false, None);
        let left = scope.current.replace(visit);
        let before = scope.latest.insert(entered.name.clone(), visit);
        self.visits.insert(visit, entered);
        // Whether a Catch led here, is known by now.
        if let Some(left) = left {
            self.drop_inside(left);
        }
        if let Some(before) = before {
            self.forget_visit(before);
        }
    }

    fn exit(&mut self, visit: VisitId, output: Option<Text>, assigned: BTreeMap<String, String>) {
        let Some(seen) = self.visits.get_mut(&visit) else {
            return;
        };
        seen.left = true;
        seen.output.clone_from(&output);
        let caught = self.reader.is_caught(visit);
        let state = self.definition.state(&seen.name);
        let may_be_caught = state.is_some_and(|state| !state.catch.is_empty());
        let ends = state.is_some_and(|state| state.end || state.kind == Kind::Succeed);
        let place = self.reader.scope_of(visit);
        if !may_be_caught {
            self.drop_inside(visit);
        }
        let Some(scope) = self.scopes.get_mut(&place) else {
            return;
        };
        if !assigned.is_empty() {
            let variables = Rc::make_mut(&mut scope.variables);
            variables.extend(assigned.into_iter().map(|(name, value)| (name, value.into())));
        }
        if ends && !caught {
            (scope.is_over, scope.output) = (true, output);
            if !may_be_caught {
                self.end(place);
            }
        }
    }

    /// What stands in a Parallel or a Map is not needed any more, if it succeeded.
    fn drop_inside(&mut self, visit: VisitId) {
        let Some(seen) = self.visits.get_mut(&visit) else {
            return;
        };
        if seen.left && !self.reader.is_caught(visit) && !self.keep.contains(seen.name.as_str()) {
            let over = std::mem::take(&mut seen.inside);
            self.forget(over);
        }
    }

    /// A branch or an iteration that has come to its end: only its output is needed any more.
    fn end(&mut self, place: ScopeId) {
        if place == Reader::TOP || self.is_kept(place) {
            return;
        }
        let Some(scope) = self.scopes.get_mut(&place).filter(|scope| scope.is_over) else {
            return;
        };
        scope.current = None;
        scope.variables = Variables::default();
        let over = std::mem::take(&mut scope.latest);
        for visit in over.into_values() {
            self.forget_visit(visit);
        }
    }

    /// Whether the state whose data is kept stands in this region, or in one in it.
    fn is_kept(&self, place: ScopeId) -> bool {
        let (container, index) = self.reader.container_of(place);
        let container = container.and_then(|container| self.visits.get(&container));
        container.is_some_and(|container| {
            let of = |branch| self.keep_regions.contains(&(container.name.as_str(), branch));
            of(None) || of(index)
        })
    }

    fn forget_visit(&mut self, visit: VisitId) {
        if let Some(seen) = self.visits.remove(&visit) {
            self.forget(seen.inside);
        }
    }

    fn forget(&mut self, scopes: Vec<ScopeId>) {
        let mut over = scopes;
        while let Some(scope) = over.pop() {
            let visits = self.scopes.remove(&scope).map(|scope| scope.latest).unwrap_or_default();
            for visit in visits.into_values() {
                over.extend(self.visits.remove(&visit).map(|seen| seen.inside).unwrap_or_default());
            }
        }
    }

    fn scope(&self, place: ScopeId) -> Scope {
        let Some(seen) = self.scopes.get(&place) else {
            return Scope::default();
        };
        if seen.is_over && place != Reader::TOP && !self.is_kept(place) {
            return Scope {
                output: seen.output.clone(),
                ..Scope::default()
            };
        }
        let visits = seen.latest.iter().filter_map(|(name, visit)| {
            let visit = self.visit(*visit)?;
            Some((name.clone(), visit))
        });
        let current = seen.current.and_then(|visit| self.visits.get(&visit));
        Scope {
            visits: visits.collect(),
            current: current.map(|visit| visit.name.clone()),
            variables: Rc::clone(&seen.variables),
            output: seen.output.clone(),
        }
    }

    fn visit(&self, id: VisitId) -> Option<Visit> {
        let seen = self.visits.get(&id)?;
        let regions = || {
            let scopes = seen.inside.iter().filter_map(|place| {
                let index = self.reader.container_of(*place).1?;
                Some((index, self.scope(*place)))
            });
            scopes.collect()
        };
        let output = seen.output.clone();
        let left = match seen.left {
            false => Left::Open,
            true if self.reader.is_caught(id) => Left::Caught(output),
            true => Left::Done(output),
        };
        let shows_inside = !matches!(left, Left::Done(_)) || self.keep.contains(seen.name.as_str());
        Some(Visit {
            kind: seen.kind,
            entered_event: Some(seen.entered_event).filter(|id| *id > 0),
            entered: seen.entered,
            order: seen.order,
            input: seen.input.clone(),
            variables: Rc::clone(&seen.variables),
            left,
            attempts: self.reader.attempts_of(id),
            task: seen.task.clone(),
            result: seen.result.clone(),
            inside: match seen.kind {
                _ if !shows_inside => Inside::Nothing,
                Kind::Parallel if !seen.inside.is_empty() => Inside::Parallel(regions()),
                Kind::Map if !seen.inside.is_empty() || seen.length.is_some() => Inside::Map {
                    length: seen.length,
                    iterations: regions(),
                },
                _ => Inside::Nothing,
            },
        })
    }
}
