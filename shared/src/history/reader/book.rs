//! What is known of each state that was entered, and of the way there.

mod walk;

use std::collections::HashMap;

use crate::asl::Kind;
use crate::clock::Timestamp;
use crate::history::event::Reason;

/// A state that was entered, each time anew: a number of one reader.
pub type VisitId = usize;
/// A region of one reader: the top level, a branch, an iteration, each time that it is tried anew.
pub type ScopeId = usize;
pub(super) type NameId = u32;

/// The top level.
pub(super) const TOP: ScopeId = 0;
/// Deeper than any definition: links that go round in a circle end here.
pub(super) const DEPTH: usize = 128;

#[derive(Debug)]
pub(super) struct Book {
    names: HashMap<Box<str>, NameId>,
    texts: Vec<Box<str>>,
    pub(super) visits: Vec<Visit>,
    pub(super) scopes: Vec<Scope>,
    /// Where each event belongs, by its id.
    marks: HashMap<i64, Mark>,
    /// Branches and iterations: by their container, its generation, and which they are.
    inside: HashMap<(VisitId, u32, u32), ScopeId>,
    /// The visits of a name, in order; those at the end that are over are taken off when somebody asks.
    by_name: HashMap<NameId, Vec<VisitId>>,
    /// How often the execution was redriven.
    pub(super) epoch: u32,
}

/// A state that was entered: each time anew.
#[derive(Debug)]
pub(super) struct Visit {
    /// None if the history was read from later on, and no event has told yet.
    pub(super) name: Option<NameId>,
    pub(super) kind: Kind,
    pub(super) scope: ScopeId,
    /// The state before it in its scope.
    pub(super) before: Option<VisitId>,
    pub(super) entered_event: Option<i64>,
    pub(super) entered: Option<Timestamp>,
    /// Entered, not left.
    pub(super) open: bool,
    /// Left by a Catch.
    pub(super) caught: bool,
    /// Its last failure, until it is tried again.
    pub(super) fault: Option<Box<Fault>>,
    /// Since it was entered, or since the execution was redriven.
    pub(super) attempts: u32,
    attempts_epoch: u32,
    /// For each failure that was retried: by which entry of `Retry`.
    pub(super) retried: Vec<usize>,
    pub(super) resource: Option<String>,
    /// How often a Parallel or a Map has begun: what is in it of earlier generations is void.
    generation: u32,
    /// What stands in its present generation.
    pub(super) inside: Vec<ScopeId>,
}

/// Where states follow one another: the top level, a branch, an iteration.
#[derive(Debug)]
pub(super) struct Scope {
    /// None at the top level, and where it is not known.
    pub(super) parent: Option<VisitId>,
    generation: u32,
    pub(super) index: Option<u32>,
    /// The last state that was entered in it: the only one that may be open.
    pub(super) current: Option<VisitId>,
}

#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) epoch: u32,
    /// The failure inside of it that made a Parallel or a Map fail.
    pub(super) inside: Option<VisitId>,
    /// The event said that a Parallel or a Map failed as a whole.
    pub(super) of_container: bool,
}

/// What an event is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    Visit(VisitId),
    /// The beginning of a Parallel or a Map.
    Started(VisitId),
    /// The beginning of an iteration.
    Scope(ScopeId),
}

impl Default for Book {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
            texts: Vec::new(),
            visits: Vec::new(),
            scopes: vec![Scope::new(None, 0, None)],
            marks: HashMap::new(),
            inside: HashMap::new(),
            by_name: HashMap::new(),
            epoch: 0,
        }
    }
}

impl Scope {
    fn new(parent: Option<VisitId>, generation: u32, index: Option<u32>) -> Self {
        Self {
            parent,
            generation,
            index,
            current: None,
        }
    }
}

impl Visit {
    /// Its failure, if that came since the execution was redriven last.
    pub(super) fn fault_in(&self, epoch: u32) -> Option<&Fault> {
        self.fault.as_deref().filter(|fault| fault.epoch == epoch)
    }
}

impl Book {
    pub(super) fn name(&mut self, text: &str) -> NameId {
        if let Some(name) = self.names.get(text) {
            return *name;
        }
        let name = NameId::try_from(self.texts.len()).expect("fewer names than events");
        self.texts.push(text.into());
        self.names.insert(text.into(), name);
        name
    }

    pub(super) fn name_of(&self, visit: VisitId) -> Option<&str> {
        Some(&self.texts[self.visits[visit].name? as usize])
    }

    pub(super) fn mark(&self, event: i64) -> Option<Mark> {
        self.marks.get(&event).copied()
    }

    pub(super) fn set_mark(&mut self, event: i64, mark: Option<Mark>) {
        if let Some(mark) = mark.filter(|_| event > 0) {
            self.marks.insert(event, mark);
        }
    }

    /// Begins a state in `scope`; what was open there is over.
    pub(super) fn open(&mut self, kind: Kind, name: Option<NameId>, scope: ScopeId) -> VisitId {
        let visit = self.visits.len();
        let before = self.scopes[scope].current.replace(visit);
        if let Some(before) = before {
            self.visits[before].open = false;
        }
        self.visits.push(Visit {
            name,
            kind,
            scope,
            before,
            entered_event: None,
            entered: None,
            open: true,
            caught: false,
            fault: None,
            attempts: 0,
            attempts_epoch: self.epoch,
            retried: Vec::new(),
            resource: None,
            generation: 0,
            inside: Vec::new(),
        });
        if let Some(name) = name {
            self.by_name.entry(name).or_default().push(visit);
        }
        visit
    }

    /// Begins a state of which neither name nor place is known.
    pub(super) fn detached(&mut self, kind: Kind) -> VisitId {
        let scope = self.new_scope(None, None);
        self.open(kind, None, scope)
    }

    /// The state was left: by a Catch, if it had failed.
    pub(super) fn close(&mut self, visit: VisitId) {
        let epoch = self.epoch;
        let left = &mut self.visits[visit];
        left.open = false;
        // One that was redriven has overcome what it had failed with: a Parallel does not begin anew for that.
        left.caught = left.fault_in(epoch).is_some();
        if !left.caught {
            self.void(visit);
        }
    }

    pub(super) fn set_name(&mut self, visit: VisitId, name: NameId) {
        self.visits[visit].name = Some(name);
        self.by_name.entry(name).or_default().push(visit);
    }

    pub(super) fn fail(&mut self, visit: VisitId, reason: Reason) {
        self.visits[visit].fault = Some(Box::new(Fault {
            reason,
            epoch: self.epoch,
            inside: None,
            of_container: false,
        }));
    }

    /// What the state failed with, as far as events told.
    pub(super) fn reason_of(&self, visit: VisitId) -> Reason {
        let fault = self.visits[visit].fault_in(self.epoch);
        fault.map(|fault| fault.reason.clone()).unwrap_or_default()
    }

    pub(super) fn redrive(&mut self) {
        self.epoch += 1;
    }

    /// `answered`: which Retry entry answers the failure before.
    pub(super) fn begin_attempt(&mut self, visit: VisitId, answered: Option<usize>) {
        let epoch = self.epoch;
        let visit = &mut self.visits[visit];
        if visit.attempts_epoch == epoch {
            visit.retried.extend(answered);
        } else {
            visit.attempts_epoch = epoch;
            visit.attempts = 0;
            visit.retried.clear();
        }
        visit.attempts = visit.attempts.saturating_add(1);
        visit.fault = None;
    }

    pub(super) fn begin_generation(&mut self, container: VisitId) {
        self.void(container);
        self.visits[container].generation += 1;
    }

    /// The branch or iteration `index` of the container, in its present generation.
    pub(super) fn scope(&mut self, container: VisitId, index: Option<u32>) -> ScopeId {
        let generation = self.visits[container].generation;
        let key = index.map(|index| (container, generation, index));
        if let Some(scope) = key.and_then(|key| self.inside.get(&key)) {
            return *scope;
        }
        let scope = self.new_scope(Some(container), index);
        if let Some(key) = key {
            self.inside.insert(key, scope);
        }
        scope
    }

    pub(super) fn new_scope(&mut self, parent: Option<VisitId>, index: Option<u32>) -> ScopeId {
        let scope = self.scopes.len();
        let generation = parent.map_or(0, |parent| self.visits[parent].generation);
        self.scopes.push(Scope::new(parent, generation, index));
        if let Some(parent) = parent {
            self.visits[parent].inside.push(scope);
        }
        scope
    }

    /// Puts a scope of which the place was not known into its container.
    pub(super) fn adopt(&mut self, scope: ScopeId, container: VisitId, index: Option<u32>) {
        if self
            .scopes_around(Some(Mark::Visit(container)))
            .any(|around| around == scope)
        {
            return;
        }
        let generation = self.visits[container].generation;
        self.scopes[scope].parent = Some(container);
        self.scopes[scope].generation = generation;
        self.visits[container].inside.push(scope);
        if let Some(index) = index {
            self.set_index(scope, index);
        }
    }

    pub(super) fn set_index(&mut self, scope: ScopeId, index: u32) {
        let found = &mut self.scopes[scope];
        if let (None, Some(container)) = (found.index, found.parent) {
            found.index = Some(index);
            self.inside.entry((container, found.generation, index)).or_insert(scope);
        }
    }

    /// Forgets why states inside of `container` failed.
    fn void(&mut self, container: VisitId) {
        for scope in std::mem::take(&mut self.visits[container].inside) {
            self.release(scope);
        }
    }

    /// Forgets why states in `scope` failed: it is over. Failures are what takes room: a cause has up to 32 KiB.
    pub(super) fn release(&mut self, scope: ScopeId) {
        let mut over = vec![scope];
        while let Some(scope) = over.pop() {
            let mut last = self.scopes[scope].current;
            while let Some(visit) = last {
                let visit = &mut self.visits[visit];
                visit.fault = None;
                visit.retried = Vec::new();
                over.append(&mut visit.inside);
                last = visit.before.take();
            }
        }
    }

    /// The last visit of this name that is open.
    pub(super) fn latest(&mut self, name: NameId) -> Option<VisitId> {
        let mut visits = self.by_name.remove(&name)?;
        while visits.last().is_some_and(|visit| !self.is_alive(*visit)) {
            visits.pop();
        }
        let found = visits.last().copied();
        self.by_name.insert(name, visits);
        found
    }
}
