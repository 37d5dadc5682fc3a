//! What operators may do: look, and intervene. Every change is noted with who did it and why.

use serde::Serialize;

use super::Session;
use super::error::{Error, REMOVED};
use super::key::{Fence, LockKey, Place};
use super::record::{Head, Hold, Owner, Waiter, Wish};
use super::store::{Audit, FreeIf, Setting, Store};
use crate::clock::Clock;
use crate::executions::Executions;
use crate::tasks::{Sent, Tasks};

/// Where a waiter is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Before everybody who waits.
    Front,
    /// Behind everybody who waits.
    Back,
}

/// Who intervenes, and why: self-declared, and written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The request's action, for the audit trail.
    pub action: &'static str,
}

/// Why nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Idle {
    /// The run does not hold the lock.
    NotHolding,
    /// The run does not wait for the lock.
    NotWaiting,
}

/// A lock as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// HEAD; none if the lock was never used, or was forgotten.
    pub head: Option<Head>,
    /// The first waiters, in order.
    pub waiters: Vec<Waiter>,
    /// How many wait before them.
    pub before: usize,
    /// How many wait in all.
    pub waiting: u32,
    /// The latest changes, newest first.
    pub audits: Vec<Audit>,
}

/// Most waiters that are counted: one partition of 300-byte items is read at 1 MB a page.
const COUNTED: u32 = u32::MAX;

/// Audit entries that a view has.
const AUDITS: u32 = 10;

/// Waiters that are searched at a time.
const SEARCHED: u32 = 500;

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// The lock with up to `most` waiters behind the place `after`.
    pub async fn view(&self, lock: &LockKey, after: Option<&Place>, most: u32) -> Result<View, Error> {
        let store = &self.locks.store;
        Ok(View {
            head: store.head(lock).await?,
            waiters: store.waiters(lock, after, most).await?,
            before: match after {
                Some(after) => usize::try_from(store.count(lock, Some(after), COUNTED).await?).unwrap_or(usize::MAX),
                None => 0,
            },
            waiting: store.count(lock, None, COUNTED).await?,
            audits: store.noted(lock, AUDITS).await?,
        })
    }

    /// All locks in use.
    pub async fn in_use(&self) -> Result<Vec<LockKey>, Error> {
        let mut locks = Vec::new();
        let mut from = None;
        loop {
            let page = self.locks.store.active(from).await?;
            locks.extend(page.entries);
            from = page.next;
            if from.is_none() {
                locks.sort();
                return Ok(locks);
            }
        }
    }

    /// Takes the slot from a run that may still be working in it: only its fence tells its writes from the next holder's.
    pub async fn force_release(&self, hold: &Hold, order: &Order) -> Result<Result<Fence, Idle>, Error> {
        let store = &self.locks.store;
        let head = self.head_of(&hold.lock).await?;
        let held = head.as_ref().and_then(|head| {
            let mut holders = head.holders.iter();
            holders.find(|(_, holder)| holder.is_of(hold))
        });
        let (Some(head), Some((ticket, holder))) = (&head, held) else {
            return Ok(Err(Idle::NotHolding));
        };
        let fence = super::acquire::fence_of(head, ticket);
        self.note(&hold.lock, order, &format!("{} with fence {}", person(hold), fence.0))
            .await?;
        if hold.lock.is_the_guards() {
            store.free(&hold.lock, ticket, FreeIf::Seen(holder), self.now()).await?;
            return Ok(Ok(fence));
        }
        let owner = store.owner(hold).await?.filter(|owner| owner.ticket == *ticket);
        let Some(owner) = owner else {
            store.free(&hold.lock, ticket, FreeIf::Seen(holder), self.now()).await?;
            self.promote(&hold.lock, None).await?;
            return Ok(Ok(fence));
        };
        // If it was never told that it has the lock, it must not wait for that for ever.
        if let Some(token) = &owner.token {
            let cause = format!(
                "{} took the lock {} from {}: {}",
                order.by,
                hold.lock,
                hold.execution.name(),
                order.reason
            );
            if let Sent::Unknown(error) = self.locks.tasks.fail(token, REMOVED, &cause).await? {
                return Err(error.into());
            }
        }
        let released = owner.wishing(Wish::Released);
        store.reown(&owner, &released, self.now()).await?;
        self.give_back(&released, FreeIf::Any).await?;
        Ok(Ok(fence))
    }

    /// Takes a run out of the queue: its task fails with `Lock.Removed`.
    pub async fn remove(&self, hold: &Hold, order: &Order) -> Result<Result<(), Idle>, Error> {
        let Some(waiter) = self.find_waiter(hold).await? else {
            return Ok(Err(Idle::NotWaiting));
        };
        self.note(&hold.lock, order, &person(hold)).await?;
        let cause = format!(
            "{} took {} out of the queue of the lock {}: {}",
            order.by,
            hold.execution.name(),
            hold.lock,
            order.reason
        );
        Ok(match self.fail_waiter(&waiter, REMOVED, &cause).await? {
            true => Ok(()),
            false => Err(Idle::NotWaiting),
        })
    }

    /// Moves a run to the front, or to the back, of the queue.
    pub async fn move_waiter(&self, hold: &Hold, to: Edge, order: &Order) -> Result<Result<(), Idle>, Error> {
        let store = &self.locks.store;
        let Some(waiter) = self.find_waiter(hold).await? else {
            return Ok(Err(Idle::NotWaiting));
        };
        let Some(owner) = store.owner(hold).await?.filter(|owner| owner.ticket == waiter.ticket) else {
            return Ok(Err(Idle::NotWaiting));
        };
        let edge = match to {
            Edge::Front => "front",
            Edge::Back => "back",
        };
        self.note(&hold.lock, order, &format!("{} to the {edge}", person(hold)))
            .await?;
        let arrival = store.arrive(&hold.lock, self.now()).await?;
        let place = match to {
            Edge::Front => Place::at_front(arrival),
            Edge::Back => Place::at_back(arrival),
        };
        let moved = Owner {
            place: Some(place.clone()),
            ..owner.clone()
        };
        // First the new place, then the old one: a run in two places is served once, one in none never.
        let there = Waiter {
            place: place.clone(),
            by: self.me.clone(),
            ..waiter.clone()
        };
        store.enqueue(&there).await?;
        if !store.reown(&owner, &moved, self.now()).await? {
            store.dequeue(&there).await?;
            return Ok(Err(Idle::NotWaiting));
        }
        store.dequeue(&waiter).await?;
        store.contend(&hold.lock, self.now()).await?;
        self.promote(&hold.lock, None).await?;
        Ok(Ok(()))
    }

    /// Sets the slots, or pauses or resumes grants. What became free is handed over at once.
    pub async fn configure(&self, lock: &LockKey, setting: Setting, order: &Order) -> Result<Head, Error> {
        let what = match setting {
            Setting::Slots(slots) => format!("slots: {slots}"),
            Setting::Paused(paused) => format!("paused: {paused}"),
        };
        self.note(lock, order, &what).await?;
        let head = self.locks.store.configure(lock, setting, self.now()).await?;
        if head.contended && !head.paused {
            self.promote(lock, Some(head.clone())).await?;
        }
        Ok(head)
    }

    /// Before the change: one that cannot be noted is not made.
    async fn note(&self, lock: &LockKey, order: &Order, details: &str) -> Result<(), Error> {
        let audit = Audit {
            at: self.now(),
            by: order.by.clone(),
            reason: order.reason.clone(),
            action: order.action.to_owned(),
            details: details.to_owned(),
        };
        tracing::warn!(%lock, by = audit.by, reason = audit.reason, action = audit.action, details, "an operator intervenes");
        Ok(self.locks.store.note(lock, &audit, &self.me).await?)
    }

    async fn find_waiter(&self, hold: &Hold) -> Result<Option<Waiter>, Error> {
        // By OWNER if it knows its place, which it does unless it was moved at this moment.
        if let Some(owner) = self.locks.store.owner(hold).await?
            && let Some(place) = &owner.place
            && let Some(waiter) = self.locks.store.waiter(&hold.lock, place).await?
        {
            return Ok(Some(waiter).filter(|waiter| waiter.hold == *hold));
        }
        let mut after = None;
        loop {
            let batch = self.locks.store.waiters(&hold.lock, after.as_ref(), SEARCHED).await?;
            let Some(last) = batch.last() else { return Ok(None) };
            after = Some(last.place.clone());
            if let Some(waiter) = batch.into_iter().find(|waiter| waiter.hold == *hold) {
                return Ok(Some(waiter));
            }
        }
    }
}

fn person(hold: &Hold) -> String {
    match hold.name.is_empty() {
        true => hold.execution.to_string(),
        false => format!("{} hold {}", hold.execution, hold.name.as_str()),
    }
}
