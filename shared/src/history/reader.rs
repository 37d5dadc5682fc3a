//! What has happened so far: open states, branches, iterations, attempts, generations.
//!
//! | module | holds |
//! |---|---|
//! | `book` | what is known of each state that was entered, and of the way there |
//! | `place` | where in the definition an event belongs |
//! | `handled` | which failure a Catch led away from |
//! | `verdict` | why the execution did not succeed |

mod book;
mod handled;
mod place;
mod verdict;

#[cfg(test)]
mod tests;

use super::event::{Iteration, Reason, What};
use super::{Ended, Event, Failure};
use crate::asl::{Definition, Kind};
use book::{Book, Fault, Mark};
use place::Before;

pub use book::{ScopeId, VisitId};

/// Reads a history, event by event, oldest first; in one pass, in memory for the states that were entered.
///
/// It also reads the end of a history alone: what began before is taken from the definition, as far as that tells.
/// Events that contradict each other, or come in another order, make the answer worse, never an error.
#[derive(Debug)]
pub struct Reader<'d> {
    definition: Option<&'d Definition>,
    book: Book,
    /// The first event that was read.
    first: Option<i64>,
    /// How the execution ended, with the event before that; none while it runs, or if it succeeded.
    ended: Option<(Ended, Reason, i64)>,
}

impl<'d> Reader<'d> {
    /// The top level.
    pub const TOP: ScopeId = book::TOP;

    /// A reader that has seen nothing. Without the definition that ran it cannot tell branches from each other, nor how
    /// often a state might be tried.
    #[must_use]
    pub fn new(definition: Option<&'d Definition>) -> Self {
        Self {
            definition,
            book: Book::default(),
            first: None,
            ended: None,
        }
    }

    /// Takes the next event.
    pub fn push(&mut self, event: &Event) {
        self.place(event);
    }

    /// Takes the next event, and tells which state it is of: whoever keeps data of states needs to know. None if it is of
    /// none, or that is not known.
    pub fn place(&mut self, event: &Event) -> Option<VisitId> {
        self.first.get_or_insert(event.id);
        let before = self.book.mark(event.previous);
        let mark = match &event.what {
            What::Entered { kind, state, .. } => Some(Mark::Visit(self.enter(event, *kind, state))),
            What::Exited { kind, state, .. } => Some(Mark::Visit(self.exit(event, *kind, state))),
            What::Started(kind) => self.start(event, *kind).map(Mark::Started),
            What::IterationStarted(iteration) => Some(self.start_iteration(event, iteration)),
            What::IterationSucceeded(iteration) => {
                if let Some(scope) = self.book.iteration_around(before, iteration) {
                    self.book.release(scope);
                }
                before
            }
            What::IterationFailed(iteration) => {
                self.fail_iteration(before, iteration);
                before
            }
            What::Scheduled { resource } => {
                let visit = self.working(event);
                if let Some(visit) = visit {
                    self.begin_attempt(visit);
                    self.book.visits[visit].resource.clone_from(resource);
                }
                visit.map(Mark::Visit)
            }
            What::Progress => self.working(event).map(Mark::Visit),
            What::AttemptSucceeded => {
                let visit = self.working(event);
                if let Some(visit) = visit {
                    self.book.visits[visit].fault = None;
                }
                visit.map(Mark::Visit)
            }
            What::AttemptFailed { resource, reason } => {
                let visit = self.working(event);
                if let Some(visit) = visit {
                    self.book.fail(visit, reason.clone());
                    if resource.is_some() {
                        self.book.visits[visit].resource.clone_from(resource);
                    }
                }
                visit.map(Mark::Visit)
            }
            What::EvaluationFailed { state, reason } => {
                let visit = self.evaluated(event, state, reason);
                self.book.fail(visit, reason.clone());
                Some(Mark::Visit(visit))
            }
            What::ContainerFailed(kind) => self.fail_container(before, *kind),
            What::ExecutionEnded(ended, reason) => {
                self.note_unread(reason);
                self.ended = Some((*ended, reason.clone(), event.previous));
                None
            }
            What::ExecutionRedriven => {
                self.ended = None;
                self.book.redrive();
                None
            }
            What::ExecutionSucceeded => {
                self.ended = None;
                None
            }
            What::ExecutionStarted => None,
            // What is not known, and aborts, which follow the failure that caused them.
            What::Other => before,
        };
        self.book.set_mark(event.id, mark);
        match mark {
            Some(Mark::Visit(visit) | Mark::Started(visit)) => Some(visit),
            Some(Mark::Scope(_)) | None => None,
        }
    }

    /// The region that a state follows others in.
    #[must_use]
    pub fn scope_of(&self, visit: VisitId) -> ScopeId {
        self.book.visits[visit].scope
    }

    /// The Parallel or Map that a region stands in, and which of its branches or iterations it is.
    #[must_use]
    pub fn container_of(&self, scope: ScopeId) -> (Option<VisitId>, Option<u32>) {
        let scope = &self.book.scopes[scope];
        (scope.parent, scope.index)
    }

    /// Whether a state was left by a Catch.
    #[must_use]
    pub fn is_caught(&self, visit: VisitId) -> bool {
        self.book.visits[visit].caught
    }

    /// How often a state was tried, since it was entered or the execution was redriven.
    #[must_use]
    pub fn attempts_of(&self, visit: VisitId) -> u32 {
        self.book.visits[visit].attempts
    }

    /// Why the execution did not succeed; `None` if it runs or succeeded.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let (ended, reason, last) = self.ended.as_ref()?;
        let places = match ended {
            Ended::Failed => self.failed_at(reason, *last).into_iter().collect(),
            Ended::TimedOut | Ended::Aborted => self.open_leaves(),
        };
        Some(Failure {
            ended: *ended,
            error: reason.error.clone(),
            cause: reason.cause.clone(),
            places,
        })
    }

    fn enter(&mut self, event: &Event, kind: Kind, state: &str) -> VisitId {
        let name = self.book.name(state);
        let scope = self.scope_for(state, self.before(event));
        self.note_catch(scope, state);
        let visit = self.book.open(kind, Some(name), scope);
        self.book.visits[visit].entered_event = Some(event.id).filter(|id| *id > 0);
        self.book.visits[visit].entered = event.at;
        visit
    }

    fn exit(&mut self, event: &Event, kind: Kind, state: &str) -> VisitId {
        let name = self.book.name(state);
        let before = self.before(event);
        let visit = self
            .book
            .around(before.mark(), |visit| visit.name == Some(name) && visit.open);
        let visit = visit.unwrap_or_else(|| {
            let begun = self
                .book
                .nameless(before.mark())
                .filter(|visit| self.book.visits[*visit].kind == kind);
            if let Some(visit) = begun {
                self.identify(visit, state);
                return visit;
            }
            self.left_blindly(state, before).unwrap_or_else(|| {
                let scope = self.scope_for(state, before);
                self.book.open(kind, Some(name), scope)
            })
        });
        self.book.visits[visit].kind = kind;
        self.book.close(visit);
        visit
    }

    /// A Parallel or a Map begins, for the first time or again.
    fn start(&mut self, event: &Event, kind: Kind) -> Option<VisitId> {
        let before = self.book.mark(event.previous);
        let epoch = self.book.epoch;
        let container = self.book.around(before, |visit| {
            // One that has failed is over; the one around it is tried again.
            visit.kind == kind && visit.open && !visit.fault_in(epoch).is_some_and(|fault| fault.of_container)
        });
        let container = container.or_else(|| (event.previous != 0).then(|| self.book.detached(kind)))?;
        self.begin_attempt(container);
        self.book.begin_generation(container);
        Some(container)
    }

    fn start_iteration(&mut self, event: &Event, iteration: &Iteration) -> Mark {
        let map = self.map_of(self.before(event), iteration);
        Mark::Scope(self.book.scope(map, Some(iteration.index)))
    }

    fn fail_iteration(&mut self, before: Option<Mark>, iteration: &Iteration) {
        if let Some(scope) = self.book.iteration_around(before, iteration) {
            self.book.set_index(scope, iteration.index);
            return;
        }
        // The tail of a history begins inside the iteration: that is where its first events belong.
        if let Some(scope) = self.book.outermost_detached(before) {
            let map = self.map_of(Before::Unread, iteration);
            self.book.adopt(scope, map, Some(iteration.index));
        }
    }

    fn map_of(&mut self, before: Before, iteration: &Iteration) -> VisitId {
        let name = self.book.name(&iteration.map);
        if let Some(map) = self
            .book
            .around(before.mark(), |visit| visit.name == Some(name) && visit.open)
        {
            return map;
        }
        if let Some(map) = self
            .book
            .nameless(before.mark())
            .filter(|map| self.book.visits[*map].kind == Kind::Map)
        {
            self.identify(map, &iteration.map);
            return map;
        }
        self.container(&iteration.map, Kind::Map, before)
    }

    fn begin_attempt(&mut self, visit: VisitId) {
        let answered = self.book.visits[visit].fault.as_ref().and_then(|fault| {
            let state = self.definition?.state(self.book.name_of(visit)?)?;
            state.retrier_of(fault.reason.error.as_deref())
        });
        self.book.begin_attempt(visit, answered);
    }

    /// The state whose attempt an event is of.
    fn working(&mut self, event: &Event) -> Option<VisitId> {
        match self.book.mark(event.previous) {
            Some(Mark::Visit(visit) | Mark::Started(visit)) => Some(visit),
            Some(Mark::Scope(scope)) => self.book.scopes[scope].current,
            // Its beginning is not in this tail of a history.
            None if event.previous != 0 => Some(self.book.detached(Kind::Task)),
            None => None,
        }
    }

    /// The state whose expressions failed: `previousEventId` may point anywhere, but the event names it, and its cause
    /// names the event of its entry.
    fn evaluated(&mut self, event: &Event, state: &str, reason: &Reason) -> VisitId {
        let name = self.book.name(state);
        let named = |visit: &book::Visit| visit.name == Some(name);
        if let Some((_, entered)) = reason.cause.as_deref().and_then(verdict::named_in) {
            match self.book.mark(entered) {
                Some(Mark::Visit(visit)) if named(&self.book.visits[visit]) => return visit,
                _ => {}
            }
        }
        let before = self.book.mark(event.previous);
        let beside = self
            .book
            .scope_of(before)
            .and_then(|scope| self.book.scopes[scope].current);
        let beside = beside.filter(|visit| named(&self.book.visits[*visit]));
        let found = beside
            .or_else(|| self.book.around(before, named))
            .or_else(|| self.book.latest(name));
        found.unwrap_or_else(|| {
            let kind = self.kind_of(state).unwrap_or(Kind::Pass);
            let scope = self.scope_for(state, self.before(event));
            self.book.open(kind, Some(name), scope)
        })
    }

    /// The tail of a history may not reach back to the entry of the state that a cause names.
    fn note_unread(&mut self, reason: &Reason) {
        let Some((state, entered)) = reason.cause.as_deref().and_then(verdict::named_in) else {
            return;
        };
        if self.book.mark(entered).is_none() && self.first.is_some_and(|first| entered < first) {
            let visit = self.book.detached(self.kind_of(state).unwrap_or(Kind::Task));
            self.book.visits[visit].entered_event = Some(entered);
            let name = self.book.name(state);
            self.book.set_name(visit, name);
            self.book.set_mark(entered, Some(Mark::Visit(visit)));
        }
    }

    fn fail_container(&mut self, before: Option<Mark>, kind: Kind) -> Option<Mark> {
        let epoch = self.book.epoch;
        let container = self.book.around(before, |visit| {
            visit.kind == kind && visit.open && !visit.fault_in(epoch).is_some_and(|fault| fault.of_container)
        });
        let Some(container) = container else { return before };
        let inside = self.book.visit_of(before).filter(|visit| *visit != container);
        let own = self.book.visits[container]
            .fault
            .take()
            .filter(|fault| fault.epoch == epoch);
        let reason = match (inside, own) {
            (None, Some(own)) => own.reason,
            (Some(inside), _) => self.book.reason_of(inside),
            (None, None) => Reason::default(),
        };
        self.book.visits[container].fault = Some(Box::new(Fault {
            reason,
            epoch,
            inside,
            of_container: true,
        }));
        Some(Mark::Visit(container))
    }
}
