//! What may be done to the stored items: each call is one atomic, conditional write or one consistent read of DynamoDB.
//!
//! A call that fails may have taken effect. Calls that are repeated do no harm.

use std::future::Future;

use super::key::{Fence, HoldName, LockKey, Place, Ticket};
use super::record::{Head, Hold, Holder, Owner, Waiter};
use crate::arn::ExecutionArn;
use crate::aws::CallError;
use crate::clock::Timestamp;

/// Which condition a grant is under, beside a free slot and no pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// A newcomer: nobody may be waiting.
    Newcomer,
    /// The first in the queue: no other grant since HEAD was read with this fence.
    Promotion(Fence),
    /// A run that lost its hold, and is working in it: before all others.
    Regain,
}

/// What came of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Granting {
    /// The ticket holds now.
    Granted(Head),
    /// It does not, or did before; HEAD as it is.
    Refused(Head),
}

/// Under which condition a holder is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FreeIf<'a> {
    /// Whatever its entry says.
    Any,
    /// Its entry is still as it was read.
    Seen(&'a Holder),
    /// Its entry was still written by this invocation.
    By(&'a super::key::Nonce),
    /// It came to hold before the end of its run that is known: not after a later redrive.
    Ended {
        /// How often the run that ended had been redriven.
        redrive: u32,
        /// When it ended.
        stopped: Timestamp,
    },
}

/// What came of freeing a slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Freed {
    /// The slot is free; HEAD as it is now.
    Freed(Head),
    /// The condition was not met, or nobody held with that ticket; HEAD as it is.
    Kept(Option<Head>),
}

/// What an operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// How many may hold at once.
    Slots(u32),
    /// Whether grants are paused.
    Paused(bool),
}

/// HEAD alone: all that a lock without a queue needs.
pub trait Heads {
    /// HEAD, consistent.
    fn head(&self, lock: &LockKey) -> impl Future<Output = Result<Option<Head>, CallError>>;

    /// Makes `ticket` a holder, if a slot is free, the lock is not paused and `gate` is met. Creates HEAD if there is none.
    ///
    /// A grant that took effect before, with this very `holder`, is answered as granted.
    fn grant(
        &self,
        lock: &LockKey,
        ticket: &Ticket,
        holder: &Holder,
        gate: Gate,
    ) -> impl Future<Output = Result<Granting, CallError>>;

    /// Puts `holder` in the place of `seen`, if the entry is still as it was seen.
    fn amend(
        &self,
        lock: &LockKey,
        ticket: &Ticket,
        seen: &Holder,
        holder: &Holder,
    ) -> impl Future<Output = Result<bool, CallError>>;

    /// Removes a holder.
    fn free(
        &self,
        lock: &LockKey,
        ticket: &Ticket,
        condition: FreeIf<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Freed, CallError>>;
}

/// The queue of a lock.
pub trait Queue {
    /// Draws the next number.
    fn arrive(&self, lock: &LockKey, now: Timestamp) -> impl Future<Output = Result<u64, CallError>>;

    /// Puts a waiter into its place, unless somebody else waits there.
    fn enqueue(&self, waiter: &Waiter) -> impl Future<Output = Result<(), CallError>>;

    /// Takes a waiter out of its place, unless it was put there anew since.
    fn dequeue(&self, waiter: &Waiter) -> impl Future<Output = Result<(), CallError>>;

    /// Takes whoever waits out of a place: for a run that does not want it any more.
    fn vacate(&self, lock: &LockKey, place: &Place) -> impl Future<Output = Result<(), CallError>>;

    /// Says that there are waiters: sets `contended`, and raises the generation.
    fn contend(&self, lock: &LockKey, now: Timestamp) -> impl Future<Output = Result<(), CallError>>;

    /// Says that there are none, if the generation is still this one.
    fn calm(&self, lock: &LockKey, generation: u64) -> impl Future<Output = Result<bool, CallError>>;

    /// Up to `most` waiters behind the place `after`, in order, consistent.
    fn waiters(
        &self,
        lock: &LockKey,
        after: Option<&Place>,
        most: u32,
    ) -> impl Future<Output = Result<Vec<Waiter>, CallError>>;

    /// Who waits in this place, consistent.
    fn waiter(&self, lock: &LockKey, place: &Place) -> impl Future<Output = Result<Option<Waiter>, CallError>>;

    /// How many wait, up to the place `until` and in it; no more than `most` are counted.
    fn count(&self, lock: &LockKey, until: Option<&Place>, most: u32) -> impl Future<Output = Result<u32, CallError>>;

    /// Sets what an operator says; creates HEAD if there is none. Answers HEAD as it is then.
    fn configure(
        &self,
        lock: &LockKey,
        setting: Setting,
        now: Timestamp,
    ) -> impl Future<Output = Result<Head, CallError>>;

    /// Takes an idle lock out of the directory, if it is still as it was seen. One that an operator has not configured
    /// is forgotten after 30 days.
    fn retire(&self, lock: &LockKey, seen: &Head, now: Timestamp) -> impl Future<Output = Result<(), CallError>>;
}

/// What came of recording an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recorded {
    /// It is recorded.
    Done,
    /// Something else is there, and was left as it is.
    Found(Box<Owner>),
}

/// What runs want.
pub trait Owners {
    /// Records an acquisition, if there is none for this hold, or one that was released with an older attempt.
    fn open(&self, owner: &Owner, now: Timestamp) -> impl Future<Output = Result<Recorded, CallError>>;

    /// OWNER, consistent.
    fn owner(&self, hold: &Hold) -> impl Future<Output = Result<Option<Owner>, CallError>>;

    /// Everything that a run has, consistent.
    fn owned_by(&self, execution: &ExecutionArn) -> impl Future<Output = Result<Vec<Owner>, CallError>>;

    /// Puts `owner` in the place of `seen`, if that is still as it was seen: its ticket, attempt, wish and place
    /// (a token belongs to its attempt).
    fn reown(&self, seen: &Owner, owner: &Owner, now: Timestamp) -> impl Future<Output = Result<bool, CallError>>;

    /// Marks it released and answers it as it was, unless it was acquired after `entered`: attempts from before that do not
    /// open it again. `None` if there is none.
    fn close(
        &self,
        hold: &Hold,
        entered: Option<Timestamp>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Owner>, CallError>>;
}

/// A page of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page<T> {
    /// What is on it.
    pub entries: Vec<T>,
    /// Where the next one begins, if there is one.
    pub next: Option<String>,
}

/// The directory: what the sweep has to look at. Eventually consistent; what is missing now is there in the next minute.
pub trait Directory {
    /// The locks that have holders or waiters, or had them a short while ago.
    fn active(&self, from: Option<String>) -> impl Future<Output = Result<Page<LockKey>, CallError>>;

    /// The holds that were lost.
    fn lost(&self, from: Option<String>) -> impl Future<Output = Result<Page<Hold>, CallError>>;

    /// The places whose waiter's patience has ended.
    fn overdue(
        &self,
        now: Timestamp,
        from: Option<String>,
    ) -> impl Future<Output = Result<Page<(LockKey, Place)>, CallError>>;
}

/// A change that an operator made, for the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// Who, as they say themselves.
    pub by: String,
    /// Why, as they say.
    pub reason: String,
    /// What was asked: the request's action.
    pub action: String,
    /// What it was done to, and what came of it.
    pub details: String,
}

/// The audit trail of a lock.
pub trait Audits {
    /// Writes an entry.
    fn note(
        &self,
        lock: &LockKey,
        audit: &Audit,
        id: &super::key::Nonce,
    ) -> impl Future<Output = Result<(), CallError>>;

    /// The latest entries, newest first.
    fn noted(&self, lock: &LockKey, most: u32) -> impl Future<Output = Result<Vec<Audit>, CallError>>;
}

/// All of it.
pub trait Store: Heads + Queue + Owners + Directory + Audits {}

impl<S: Heads + Queue + Owners + Directory + Audits> Store for S {}

/// The sort key of an OWNER.
#[must_use]
pub fn owner_sk(lock: &LockKey, name: &HoldName) -> String {
    format!("HOLD#{}#{lock}", name.as_str())
}
