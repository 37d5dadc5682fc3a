//! The history, event by event.
//!
//! Where an event belongs is found out by [`signalbox::history::Reader`]; here is kept what it carries, as long as a plan
//! may need it.

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
    /// The state whose data is kept wherever it stands, and the Parallels and Maps around it.
    keep: HashSet<&'d str>,
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
    index: Option<u32>,
    latest: BTreeMap<String, VisitId>,
    current: Option<VisitId>,
    variables: Variables,
    output: Option<Text>,
}

impl<'d> PastReader<'d> {
    /// A reader that has seen nothing, of an execution that ran `definition`. `keep`: a state of which everything is kept,
    /// also if it stands in a Parallel or a Map that succeeded.
    #[must_use]
    pub fn new(definition: &'d Definition, keep: Option<&str>) -> Self {
        let kept = keep.and_then(|name| definition.state(name));
        let around = kept.into_iter().flat_map(|state| definition.containers_of(state));
        let keep = around
            .map(|container| container.state.name.as_str())
            .chain(kept.map(|state| state.name.as_str()))
            .collect();
        Self {
            reader: Reader::new(Some(definition)),
            definition,
            keep,
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

    fn enter(&mut self, visit: VisitId, mut entered: Seen) {
        let place = self.reader.scope_of(visit);
        if !self.scopes.contains_key(&place) {
            let (parent, index) = self.reader.container_of(place);
            if let Some(container) = parent.and_then(|parent| self.visits.get_mut(&parent)) {
                container.inside.push(place);
            }
            let scope = SeenScope {
                index,
                ..SeenScope::default()
            };
            self.scopes.insert(place, scope);
        }
        let scope = self.scopes.entry(place).or_default();
        entered.variables = Rc::clone(&scope.variables);
        scope.output = None;
        scope.current = Some(visit);
        let before = scope.latest.insert(entered.name.clone(), visit);
        if let Some(before) = before.filter(|before| *before != visit) {
            self.forget_visit(before);
        }
        self.visits.insert(visit, entered);
    }

    fn exit(&mut self, visit: VisitId, output: Option<Text>, assigned: BTreeMap<String, String>) {
        let caught = self.reader.is_caught(visit);
        let Some(seen) = self.visits.get_mut(&visit) else {
            return;
        };
        seen.left = true;
        seen.output.clone_from(&output);
        let kept = self.keep.contains(seen.name.as_str());
        let ends = self
            .definition
            .state(&seen.name)
            .is_some_and(|state| state.end || state.kind == Kind::Succeed);
        let void = match caught || kept {
            true => Vec::new(),
            false => std::mem::take(&mut seen.inside),
        };
        self.forget(void);
        let place = self.reader.scope_of(visit);
        let Some(scope) = self.scopes.get_mut(&place) else {
            return;
        };
        if !assigned.is_empty() {
            let variables = Rc::make_mut(&mut scope.variables);
            variables.extend(assigned.into_iter().map(|(name, value)| (name, value.into())));
        }
        if ends && !caught {
            scope.output = output;
            if place != Reader::TOP && !scope.latest.keys().any(|name| self.keep.contains(name.as_str())) {
                let over = std::mem::take(&mut scope.latest);
                for visit in over.into_values() {
                    self.forget_visit(visit);
                }
            }
        }
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
                let index = self.scopes.get(place)?.index?;
                Some((index, self.scope(*place)))
            });
            scopes.collect()
        };
        // Whether a Catch led away from it, a later state may have told.
        let output = seen.output.clone();
        let left = match seen.left {
            false => Left::Open,
            true if self.reader.is_caught(id) => Left::Caught(output),
            true => Left::Done(output),
        };
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
