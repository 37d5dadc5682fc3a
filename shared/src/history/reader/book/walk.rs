//! Ways through the book: outwards from an event.

use super::{Book, DEPTH, Mark, ScopeId, TOP, Visit, VisitId};
use crate::history::event::Iteration;

impl Book {
    pub(in crate::history::reader) fn is_alive(&self, visit: VisitId) -> bool {
        let mut inner = visit;
        for _ in 0..DEPTH {
            if !self.visits[inner].open {
                return false;
            }
            let scope = &self.scopes[self.visits[inner].scope];
            match scope.parent {
                Some(parent) if self.visits[parent].generation == scope.generation => inner = parent,
                Some(_) => return false,
                None => return true,
            }
        }
        false
    }

    /// The state that an event is of, or that was entered last in the scope that it is of.
    pub(in crate::history::reader) fn visit_of(&self, mark: Option<Mark>) -> Option<VisitId> {
        match mark? {
            Mark::Visit(visit) | Mark::Started(visit) => Some(visit),
            Mark::Scope(scope) => self.scopes[scope].current.or(self.scopes[scope].parent),
        }
    }

    /// The scope in which the event's state follows others.
    pub(in crate::history::reader) fn scope_of(&self, mark: Option<Mark>) -> Option<ScopeId> {
        match mark? {
            Mark::Visit(visit) | Mark::Started(visit) => Some(self.visits[visit].scope),
            Mark::Scope(scope) => Some(scope),
        }
    }

    /// Outwards from an event: the scopes that it stands in, innermost first.
    pub(in crate::history::reader) fn scopes_around(&self, mark: Option<Mark>) -> impl Iterator<Item = ScopeId> + '_ {
        let outer = |scope: &ScopeId| {
            let parent = self.scopes[*scope].parent?;
            Some(self.visits[parent].scope)
        };
        std::iter::successors(self.scope_of(mark), outer).take(DEPTH)
    }

    /// Outwards from an event: its own state, and those around it.
    pub(in crate::history::reader) fn visits_around(&self, mark: Option<Mark>) -> impl Iterator<Item = VisitId> + '_ {
        let own = match mark {
            Some(Mark::Visit(visit) | Mark::Started(visit)) => Some(visit),
            Some(Mark::Scope(_)) | None => None,
        };
        let outer = self.scopes_around(mark).filter_map(|scope| self.scopes[scope].parent);
        own.into_iter().chain(outer)
    }

    /// The first of [`Book::visits_around`] that is wanted.
    pub(in crate::history::reader) fn around(
        &self,
        mark: Option<Mark>,
        wanted: impl Fn(&Visit) -> bool,
    ) -> Option<VisitId> {
        self.visits_around(mark).find(|visit| wanted(&self.visits[*visit]))
    }

    /// The iteration that an event stands in, if that may be `iteration`.
    pub(in crate::history::reader) fn iteration_around(
        &self,
        mark: Option<Mark>,
        iteration: &Iteration,
    ) -> Option<ScopeId> {
        let map = *self.names.get(iteration.map.as_str())?;
        self.scopes_around(mark).find(|scope| {
            let scope = &self.scopes[*scope];
            let same = scope.index.is_none_or(|index| index == iteration.index);
            same && scope.parent.is_some_and(|parent| self.visits[parent].name == Some(map))
        })
    }

    /// The event's state, if its name is not known yet.
    pub(in crate::history::reader) fn nameless(&self, mark: Option<Mark>) -> Option<VisitId> {
        let visit = self.visit_of(mark)?;
        self.visits[visit].name.is_none().then_some(visit)
    }

    /// The outermost scope that an event stands in, if it is not known where that is.
    pub(in crate::history::reader) fn outermost_detached(&self, mark: Option<Mark>) -> Option<ScopeId> {
        let outermost = self.scopes_around(mark).last()?;
        (outermost != TOP && self.scopes[outermost].parent.is_none()).then_some(outermost)
    }
}
