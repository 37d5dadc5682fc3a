//! Which failure a Catch led away from.
//!
//! Leaving a state is no success: a caught failure leaves it too. An execution that then ends in a Fail, or in the handler,
//! failed at the state that the Catch belongs to.

use super::Reader;
use super::book::{DEPTH, ScopeId, VisitId};
use crate::asl::{Kind, State};

/// The failure that everything else followed from.
pub(super) struct Root {
    pub(super) visit: VisitId,
    /// The state that the Catch led to; none if nothing caught the failure.
    pub(super) handler: Option<VisitId>,
}

impl<'d> Reader<'d> {
    /// Back from the state in which the execution ended, to where it began to fail.
    pub(super) fn root_of(&self, ended_at: VisitId) -> Root {
        let mut root = Root {
            visit: ended_at,
            handler: None,
        };
        // A handler may itself have been caught: each round goes back by a visit at least.
        for _ in 0..self.book.visits.len() {
            let Some((caught, handler)) = self.caught_before(root.visit) else {
                break;
            };
            let visit = self.innermost(caught);
            if visit >= root.visit {
                break;
            }
            root = Root {
                visit,
                handler: Some(handler),
            };
        }
        root
    }

    /// The failure that made a Parallel or a Map fail.
    pub(super) fn innermost(&self, visit: VisitId) -> VisitId {
        let mut inner = visit;
        for _ in 0..DEPTH {
            match self.book.visits[inner].fault.as_deref().and_then(|fault| fault.inside) {
                Some(inside) => inner = inside,
                None => break,
            }
        }
        inner
    }

    /// The state that failed and was caught before `visit`, or before a Parallel or a Map around it; and the state that
    /// the Catch led to.
    fn caught_before(&self, visit: VisitId) -> Option<(VisitId, VisitId)> {
        let mut level = visit;
        for _ in 0..DEPTH {
            if let Some(found) = self.caught_in_scope(level) {
                return Some(found);
            }
            level = self.book.scopes[self.book.visits[level].scope].parent?;
        }
        None
    }

    fn caught_in_scope(&self, visit: VisitId) -> Option<(VisitId, VisitId)> {
        let is_fail = self.book.visits[visit].kind == Kind::Fail;
        let mut handler = visit;
        while let Some(before) = self.book.visits[handler].before {
            if before >= handler {
                return None;
            }
            if self.book.visits[before].caught {
                let goes_on = handler == visit && !is_fail && self.leads_anyway(before, handler);
                return (!goes_on).then_some((before, handler));
            }
            // Further back, the handler is a state on the way here.
            let is_handling = is_fail || self.is_unplanned(visit);
            if self.book.visits[before].open || !is_handling || self.is_planned_work(before) {
                return None;
            }
            handler = before;
        }
        None
    }

    /// Whether the state is followed by the other without a failure too. Then its Catch only goes on.
    fn leads_anyway(&self, from: VisitId, to: VisitId) -> bool {
        let to = self.book.name_of(to);
        self.book.name_of(from) == to
            || self
                .definition_of(from)
                .is_some_and(|state| state.successors().any(|next| Some(next) == to))
    }

    /// Whether the execution went back to its work after the Catch: then what failed later failed by itself. What the
    /// Catch leads to directly is not counted, it may be the clean-up of both ways.
    fn is_planned_work(&self, visit: VisitId) -> bool {
        let kind = self.book.visits[visit].kind;
        let directly = self.book.visits[visit]
            .before
            .is_some_and(|before| self.book.visits[before].caught);
        let is_work = matches!(kind, Kind::Task | Kind::Parallel | Kind::Map);
        is_work && !directly && self.definition_of(visit).is_some_and(|state| self.is_planned(state))
    }

    fn is_unplanned(&self, visit: VisitId) -> bool {
        self.definition_of(visit).is_some_and(|state| !self.is_planned(state))
    }

    fn is_planned(&self, state: &State) -> bool {
        self.definition.is_some_and(|definition| definition.is_planned(state))
    }

    pub(super) fn definition_of(&self, visit: VisitId) -> Option<&'d State> {
        self.state(self.book.name_of(visit)?)
    }

    /// An error need not leave an event, in a Parallel say: then it is the way on that tells of a Catch.
    pub(super) fn note_catch(&mut self, scope: ScopeId, to: &str) {
        let Some(before) = self.book.scopes[scope].current else {
            return;
        };
        if self.book.visits[before].open || self.book.visits[before].caught {
            return;
        }
        if let Some(state) = self.definition_of(before)
            && state.catch.iter().any(|catcher| catcher.next == to)
            && state.successors().all(|next| next != to)
        {
            self.book.visits[before].caught = true;
        }
    }
}
