//! Why the execution did not succeed.

use super::Reader;
use super::book::{DEPTH, Mark, TOP, Visit, VisitId};
use crate::asl::{Container, Kind, State};
use crate::history::event::Reason;
use crate::history::{Failed, Handled, Step};

impl Reader<'_> {
    /// The state that a failed execution failed at. `last` is the event before its end.
    pub(super) fn failed_at(&self, reason: &Reason, last: i64) -> Option<Failed> {
        let ended_at = self.ended_at(reason, last)?;
        let root = self.root_of(ended_at);
        let mut failed = self.failed(root.visit)?;
        if root.visit == ended_at && failed.error.is_none() && failed.cause.is_none() {
            failed.error.clone_from(&reason.error);
            failed.cause.clone_from(&reason.cause);
        }
        failed.handled = root.handler.and_then(|handler| {
            Some(Handled {
                by: self.book.name_of(handler)?.to_owned(),
                ended_at: self.name_of(ended_at)?.to_owned(),
                ended_event: self.book.visits[ended_at].entered_event,
            })
        });
        Some(failed)
    }

    /// The state in which the execution ended, whether or not a Catch had led there.
    fn ended_at(&self, reason: &Reason, last: i64) -> Option<VisitId> {
        let chained = self
            .book
            .visit_of(self.book.mark(last))
            .map(|visit| self.innermost_now(visit));
        chained
            .filter(|visit| self.is_end(*visit, reason))
            .or_else(|| self.named_by(reason))
            .or_else(|| self.first_with(reason))
            .or_else(|| chained.filter(|visit| self.book.visits[*visit].open))
            .or_else(|| self.only_leaf())
    }

    /// A Fail, which has no event of its own that it failed; else a failure with the execution's error and cause.
    fn is_end(&self, visit: VisitId, reason: &Reason) -> bool {
        let visit = &self.book.visits[visit];
        match visit.fault_in(self.book.epoch) {
            Some(fault) => fault.reason == *reason,
            None => visit.kind == Kind::Fail && visit.open,
        }
    }

    /// What the cause of the execution's end names: a state, and mostly the event of its entry.
    fn named_by(&self, reason: &Reason) -> Option<VisitId> {
        let cause = reason.cause.as_deref()?;
        if let Some((name, entered)) = named_in(cause) {
            let Some(Mark::Visit(visit)) = self.book.mark(entered) else {
                return None;
            };
            let is_entry = self.book.visits[visit].entered_event == Some(entered);
            return (is_entry && self.book.name_of(visit) == Some(name)).then_some(visit);
        }
        let (name, _) = cause.strip_prefix("The state/task '")?.split_once('\'')?;
        let mut named = self
            .open_visits()
            .filter(|visit| self.book.name_of(*visit) == Some(name));
        let found = named.next()?;
        named.next().is_none().then_some(found)
    }

    /// Of the open states that failed with the same error and cause, the first: it made the others end.
    fn first_with(&self, reason: &Reason) -> Option<VisitId> {
        if *reason == Reason::default() {
            return None;
        }
        let epoch = self.book.epoch;
        let failed = |visit: &VisitId| {
            let fault = self.book.visits[*visit].fault_in(epoch);
            fault.is_some_and(|fault| fault.reason == *reason && fault.inside.is_none())
        };
        self.open_visits().find(failed)
    }

    fn only_leaf(&self) -> Option<VisitId> {
        match self.leaves().as_slice() {
            [leaf] => Some(*leaf),
            _ => None,
        }
    }

    /// The failure inside of a Parallel or a Map, since the execution was redriven last.
    fn innermost_now(&self, visit: VisitId) -> VisitId {
        match self.book.visits[visit].fault_in(self.book.epoch) {
            Some(_) => self.innermost(visit),
            None => visit,
        }
    }

    fn open_visits(&self) -> impl Iterator<Item = VisitId> + '_ {
        (0..self.book.visits.len()).filter(|visit| self.book.is_alive(*visit))
    }

    /// The open states in which no other is open, in the order of their entry.
    fn leaves(&self) -> Vec<VisitId> {
        let mut open: Vec<bool> = vec![false; self.book.visits.len()];
        let mut around = open.clone();
        for visit in self.open_visits() {
            open[visit] = true;
            if let Some(parent) = self.parent_of(visit) {
                around[parent] = true;
            }
        }
        // Of a Parallel or a Map that began before the tail of a history, it is not known what else is open inside.
        let is_whole = |visit: &Visit| visit.entered_event.is_some() || visit.inside.is_empty();
        (0..open.len())
            .filter(|visit| open[*visit] && !around[*visit] && is_whole(&self.book.visits[*visit]))
            .collect()
    }

    pub(super) fn open_leaves(&self) -> Vec<Failed> {
        self.leaves().into_iter().filter_map(|leaf| self.failed(leaf)).collect()
    }

    fn parent_of(&self, visit: VisitId) -> Option<VisitId> {
        self.book.scopes[self.book.visits[visit].scope].parent
    }

    /// None if nobody knows its name.
    fn failed(&self, visit: VisitId) -> Option<Failed> {
        let entry = &self.book.visits[visit];
        let state = self.name_of(visit).and_then(|name| self.state(name));
        let fault = entry.fault.as_deref();
        let reason = match fault {
            Some(fault) => fault.reason.clone(),
            None => Reason {
                error: state.and_then(|state| state.error.clone()),
                cause: state.and_then(|state| state.cause.clone()),
            },
        };
        let attempts_most = state.and_then(|state| self.attempts_most(visit, state));
        Some(Failed {
            path: self.path_of(visit)?,
            entered_event: entry.entered_event,
            entered: entry.entered,
            error: reason.error,
            cause: reason.cause,
            attempts: entry.attempts,
            attempts_most,
            handled: None,
        })
    }

    /// As far as the first retry entry that matches allows, after what others have allowed before.
    fn attempts_most(&self, visit: VisitId, state: &State) -> Option<u32> {
        let visit = &self.book.visits[visit];
        if visit.attempts == 0 {
            return None;
        }
        let Some(fault) = visit.fault.as_deref() else {
            return state.retry.is_empty().then_some(1);
        };
        let answering = state.retrier_of(fault.reason.error.as_deref());
        let by_others = visit
            .retried
            .iter()
            .filter(|answered| Some(**answered) != answering)
            .count();
        let own = answering.map_or(0, |answering| state.retry[answering].max_attempts);
        let most = u32::try_from(by_others).ok()?.checked_add(own)?.checked_add(1)?;
        Some(most.max(visit.attempts))
    }

    fn path_of(&self, visit: VisitId) -> Option<Vec<Step>> {
        let mut path = vec![Step {
            kind: self.book.visits[visit].kind,
            state: self.name_of(visit)?.to_owned(),
            index: None,
        }];
        let mut inner = visit;
        for _ in 0..DEPTH {
            let scope = self.book.visits[inner].scope;
            let parent = self.book.scopes[scope].parent;
            if scope != TOP {
                path.extend(self.unread_between(&path[path.len() - 1].state, parent));
            }
            let Some(parent) = parent else { break };
            path.push(Step {
                kind: self.book.visits[parent].kind,
                state: self.name_of(parent)?.to_owned(),
                index: self.book.scopes[scope].index,
            });
            inner = parent;
        }
        path.reverse();
        Some(path)
    }

    /// What stands around a state up to `outer`, innermost first, where the tail of a history does not reach back to it.
    fn unread_between(&self, state: &str, outer: Option<VisitId>) -> Vec<Step> {
        let Some((definition, state)) = self.definition.zip(self.state(state)) else {
            return Vec::new();
        };
        let outer = outer.and_then(|outer| self.book.name_of(outer));
        let mut around = definition.containers_of(state);
        if let Some(outer) = outer {
            let known = around.iter().position(|container| container.state.name == outer);
            around.drain(..known.map_or(around.len(), |known| known + 1));
        }
        let step = |container: &Container<'_>| Step {
            kind: container.state.kind,
            state: container.state.name.clone(),
            index: container.branch,
        };
        around.iter().rev().map(step).collect()
    }

    /// The state's name; if no event told it, the only one in the definition that it can be.
    fn name_of(&self, visit: VisitId) -> Option<&str> {
        if let Some(name) = self.book.name_of(visit) {
            return Some(name);
        }
        let around = self.parent_of(visit).and_then(|parent| self.book.name_of(parent));
        let visit = &self.book.visits[visit];
        let definition = self.definition?;
        let mut fitting = definition.states().filter(|state| {
            let mut containers = definition.containers_of(state).into_iter();
            state.kind == visit.kind
                && (visit.resource.is_none() || visit.resource == state.resource)
                && around.is_none_or(|around| containers.any(|container| container.state.name == around))
        });
        let found = fitting.next()?;
        fitting.next().is_none().then_some(found.name.as_str())
    }
}

/// The state that a cause of AWS's own names, and the event of its entry: `An error occurred while executing the state
/// 'Charge' (entered at the event id #7). …`
pub(super) fn named_in(cause: &str) -> Option<(&str, i64)> {
    let rest = cause.strip_prefix("An error occurred while executing the state '")?;
    let (name, rest) = rest.split_once("' (entered at the event id #")?;
    let (event, _) = rest.split_once(')')?;
    let event = event.parse().ok().filter(|event| *event > 0)?;
    Some((name, event))
}
