//! Where in the definition an event belongs.
//!
//! `previousEventId` is no tree of branches: names are unique over the whole definition, so a state's name says which
//! branch it is. The chain says only which iteration, and where there is no definition.

use super::Reader;
use super::book::{Mark, NameId, ScopeId, TOP, VisitId};
use crate::asl::{Kind, State};
use crate::history::Event;

/// What is known of the event before one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before {
    Read(Mark),
    /// There is none.
    Nothing,
    /// It lies before the tail of a history that is read.
    Unread,
}

impl Before {
    pub(super) fn mark(self) -> Option<Mark> {
        match self {
            Self::Read(mark) => Some(mark),
            Self::Nothing | Self::Unread => None,
        }
    }

    fn without_mark(self) -> Self {
        match self {
            Self::Read(_) | Self::Nothing => Self::Nothing,
            Self::Unread => Self::Unread,
        }
    }
}

impl<'d> Reader<'d> {
    pub(super) fn state(&self, name: &str) -> Option<&'d State> {
        self.definition?.state(name)
    }

    pub(super) fn kind_of(&self, name: &str) -> Option<Kind> {
        Some(self.state(name)?.kind)
    }

    /// What the event before says, or why it says nothing.
    pub(super) fn before(&self, event: &Event) -> Before {
        match self.book.mark(event.previous) {
            Some(mark) => Before::Read(mark),
            None if event.previous == 0 => Before::Nothing,
            None => Before::Unread,
        }
    }

    /// The scope that the state `name` is entered in.
    pub(super) fn scope_for(&mut self, name: &str, before: Before) -> ScopeId {
        let placed = self.definition.zip(self.state(name));
        let Some((definition, state)) = placed else {
            return match before {
                // A branch begins: which of them, only the definition tells.
                Before::Read(Mark::Started(container)) => self.book.new_scope(Some(container), None),
                Before::Read(Mark::Visit(visit)) => self.book.visits[visit].scope,
                Before::Read(Mark::Scope(scope)) => scope,
                Before::Nothing => TOP,
                Before::Unread => self.book.new_scope(None, None),
            };
        };
        let Some(around) = definition.container_of(state) else {
            return TOP;
        };
        let container_name = self.book.name(&around.state.name);
        let container = self.container_around(before, container_name, around.state);
        if let Some(branch) = around.branch {
            return self.book.scope(container, Some(branch));
        }
        // Which iteration: the one that the event before stands in.
        let iteration = self
            .book
            .scopes_around(before.mark())
            .find(|scope| self.book.scopes[*scope].parent == Some(container));
        iteration.unwrap_or_else(|| self.book.scope(container, None))
    }

    fn container_around(&mut self, before: Before, name: NameId, state: &State) -> VisitId {
        if let Some(found) = self
            .book
            .around(before.mark(), |visit| visit.name == Some(name) && visit.open)
        {
            return found;
        }
        if let Some(begun) = self
            .book
            .nameless(before.mark())
            .filter(|visit| self.book.visits[*visit].kind == state.kind)
        {
            self.identify(begun, &state.name);
            return begun;
        }
        self.container(&state.name, state.kind, before)
    }

    /// The Parallel or Map of this name that is open; if there is none, its beginning was not read.
    pub(super) fn container(&mut self, name: &str, kind: Kind, before: Before) -> VisitId {
        let id = self.book.name(name);
        // In an iteration that began before the tail of a history it is none of those that were read.
        let is_another = matches!(before, Before::Unread) && self.is_in_a_map(name);
        if let Some(container) = self.book.latest(id).filter(|_| !is_another) {
            return container;
        }
        let scope = self.scope_for(name, before.without_mark());
        self.book.open(kind, Some(id), scope)
    }

    /// The state of this name that is open, and is left by an event that follows none that was read.
    pub(super) fn left_blindly(&mut self, name: &str, before: Before) -> Option<VisitId> {
        let id = self.book.name(name);
        let is_another = matches!(before, Before::Unread);
        let found = self.book.latest(id)?;
        let was_read = self.book.visits[found].entered_event.is_some() || self.is_in_a_map(name);
        (!is_another || !was_read).then_some(found)
    }

    fn is_in_a_map(&self, name: &str) -> bool {
        let placed = self.definition.zip(self.state(name));
        placed.is_some_and(|(definition, state)| {
            let mut around = definition.containers_of(state).into_iter();
            around.any(|container| container.state.kind == Kind::Map)
        })
    }

    /// Tells the name of a state whose entry was not read.
    pub(super) fn identify(&mut self, visit: VisitId, name: &str) {
        let id = self.book.name(name);
        self.book.set_name(visit, id);
        if let Some(kind) = self.kind_of(name) {
            self.book.visits[visit].kind = kind;
        }
        let detached = self.book.visits[visit].scope;
        let is_detached = detached != TOP && self.book.scopes[detached].parent.is_none();
        let placed = self.definition.zip(self.state(name));
        let Some((definition, state)) = placed.filter(|_| is_detached) else {
            return;
        };
        if let Some(around) = definition.container_of(state) {
            let container = self.container(&around.state.name, around.state.kind, Before::Unread);
            self.book.adopt(detached, container, around.branch);
        } else {
            self.book.visits[visit].scope = TOP;
            self.book.visits[visit].before = self.book.scopes[TOP].current.replace(visit);
        }
    }
}
