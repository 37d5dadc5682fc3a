//! A run gives its slot back, or its end does.

use super::error::{Error, REMOVED};
use super::record::{Hold, Holder, Owner, Waiter, Wish};
use super::store::{FreeIf, Freed, Store};
use super::{END_SETTLES, Session};
use crate::arn::ExecutionArn;
use crate::clock::{Clock, Timestamp};
use crate::executions::{Execution, Executions, Status};
use crate::tasks::{Sent, Tasks};

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// How often it had been redriven.
    pub redrive: u32,
    /// When it ended, if that is known: an end that is only observed counts for everything that was granted before it was
    /// observed.
    pub stopped: Option<Timestamp>,
    /// Whether it may be redriven.
    pub redrivable: bool,
}

impl End {
    /// The end of an execution that Step Functions does not know.
    const GONE: Self = Self {
        redrive: u32::MAX,
        stopped: None,
        redrivable: false,
    };

    /// Whether it is known how often the execution had been redriven.
    fn is_known(self) -> bool {
        self.redrive != u32::MAX
    }
}

/// What a release did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// The run held a slot, and has given it back.
    Slot,
    /// It waited, and is out of the queue; or it had released before.
    Nothing,
}

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// A run gives back what it has. `entered` is when it entered the state that releases: what it acquired later is not
    /// meant, the release comes late.
    ///
    /// It may be repeated: it completes what an attempt before it left undone.
    pub async fn release(&self, hold: &Hold, entered: Option<Timestamp>) -> Result<Released, Error> {
        let Some(owner) = self.locks.store.close(hold, entered, self.now()).await? else {
            return Ok(Released::Nothing);
        };
        if self.give_back(&owner.wishing(Wish::Released), FreeIf::Any).await? {
            return Ok(Released::Slot);
        }
        // Released by somebody else, by hand say, while it waits: it must not wait for ever. Also where an attempt before
        // this one has closed it, and died before it told; a token that was answered is closed, and nothing comes of it.
        if let Some(token) = &owner.token {
            let cause = format!(
                "{} was released from the queue of the lock {}",
                hold.execution.name(),
                hold.lock
            );
            if let Sent::Unknown(error) = self.locks.tasks.fail(token, REMOVED, &cause).await? {
                return Err(error.into());
            }
        }
        Ok(Released::Nothing)
    }

    /// Leaves the queue, frees the slot, and hands over. Whether there was a slot to free.
    pub(super) async fn give_back(&self, owner: &Owner, condition: FreeIf<'_>) -> Result<bool, Error> {
        let (store, lock) = (&self.locks.store, &owner.hold.lock);
        let freed = store.free(lock, &owner.ticket, condition, self.now()).await?;
        let (was_held, head) = match freed {
            Freed::Freed(head) => (true, Some(head)),
            Freed::Kept(head) => (false, head),
        };
        // Also if the slot was free already: whoever freed it may have crashed before it handed over.
        if let Some(head) = head
            && head.contended
        {
            self.promote(lock, Some(head)).await?;
        }
        // A place that outlives its hold is passed over. It is cleared at the grant; this is for those who had none.
        if let Some(place) = owner.place.as_ref().filter(|_| owner.wish != Wish::Open && !was_held) {
            store.vacate(lock, place).await?;
        }
        Ok(was_held)
    }

    /// Gives back everything that a run has, as it has ended.
    pub async fn ended(&self, execution: &ExecutionArn, end: End) -> Result<(), Error> {
        // One that cannot be given back does not keep the others from being: the first error is answered in the end.
        let mut first = Ok(());
        for owner in self.locks.store.owned_by(execution).await? {
            first = first.and(self.end_owner(owner, end).await.map(drop));
        }
        first
    }

    /// The same for one of its holds. Whether the run does not want it any more.
    pub(super) async fn end_hold(&self, hold: &Hold, end: End) -> Result<bool, Error> {
        match self.locks.store.owner(hold).await? {
            Some(owner) => self.end_owner(owner, end).await,
            None => Ok(true),
        }
    }

    async fn end_owner(&self, owner: Owner, end: End) -> Result<bool, Error> {
        let store = &self.locks.store;
        // An end before the redrive that it belongs to.
        if owner.attempt.redrive > end.redrive || end.stopped.is_some_and(|at| owner.attempt.entered > at) {
            return Ok(false);
        }
        let head = self.head_of(&owner.hold.lock).await?;
        let held = head.as_ref().and_then(|head| head.holders.get(&owner.ticket));
        let too_young = |held: &Holder| end.stopped.is_none() && self.now().since(held.at) < END_SETTLES;
        if held.is_some_and(|held| held.redrive > end.redrive || too_young(held)) {
            return Ok(false);
        }
        // If its release crashed on the way, there is still a slot to free.
        if owner.wish == Wish::Released && held.is_none() {
            return Ok(true);
        }
        let lost = owner.wish == Wish::Lost || (owner.wish == Wish::Open && held.is_some() && end.redrivable);
        let closed = match lost {
            true if end.is_known() => owner.redriven(end.redrive).wishing(Wish::Lost),
            true => owner.wishing(Wish::Lost),
            false => owner.wishing(Wish::Released),
        };
        // Before the slot is freed: a redrive must find what the run held, whatever crashes in between.
        if closed != owner && !store.reown(&owner, &closed, self.now()).await? {
            let now = store.owner(&owner.hold).await?;
            let same = |now: Owner| {
                (now.ticket, now.attempt, now.wish) == (closed.ticket.clone(), closed.attempt, closed.wish)
            };
            // It asks again, or was redriven, at this moment; if not, the SDK has made a call again whose answer was lost.
            if !now.is_some_and(same) {
                return Ok(false);
            }
        }
        let condition = match (end.stopped, held) {
            (None, Some(held)) => FreeIf::Seen(held),
            (stopped, _) => FreeIf::Ended {
                redrive: end.redrive,
                stopped: stopped.unwrap_or(Timestamp::from_millis(i64::MAX)),
            },
        };
        if self.give_back(&closed, condition).await? {
            tracing::info!(executionArn = %owner.hold.execution, lock = %owner.hold.lock, "released, as the run has ended");
        }
        Ok(true)
    }

    /// Fails the task of a run that waits. Whether it was failed; if not, it has been granted the lock, or is over.
    pub(super) async fn fail_waiter(&self, waiter: &Waiter, error: &str, cause: &str) -> Result<bool, Error> {
        let store = &self.locks.store;
        let owner = store.owner(&waiter.hold).await?;
        let owner = owner.filter(|owner| owner.ticket == waiter.ticket && owner.wish == Wish::Open);
        let Some(owner) = owner else {
            store.dequeue(waiter).await?;
            return Ok(false);
        };
        let Some(token) = &owner.token else { return Ok(false) };
        let failed = match self.locks.tasks.fail(token, error, cause).await? {
            Sent::Accepted => true,
            Sent::Closed => {
                let head = self.head_of(&waiter.hold.lock).await?;
                if head.is_some_and(|head| head.holders.contains_key(&owner.ticket)) {
                    return Ok(false);
                }
                false
            }
            Sent::Unknown(error) => return Err(error.into()),
        };
        let released = owner.wishing(Wish::Released);
        // Not if a retry has asked meanwhile: the place is its own now.
        if store.reown(&owner, &released, self.now()).await? {
            store.dequeue(waiter).await?;
        }
        Ok(failed)
    }
}

/// Whether the run of a holder has ended, as far as one look can tell.
///
/// `DescribeExecution` is eventually consistent: an end that is younger than it may lag may have been followed by a redrive
/// already, and an execution that is not known may only just have started. And what was granted a moment ago may have been
/// granted to the run as it is now, while the look shows it as it was.
#[must_use]
pub fn end_of(seen: Option<&Execution>, holder: &Holder, now: Timestamp) -> Option<End> {
    if now.since(holder.at) < END_SETTLES {
        return None;
    }
    end_seen(seen, now)
}

/// The same for a run that does not hold.
#[must_use]
pub fn end_seen(seen: Option<&Execution>, now: Timestamp) -> Option<End> {
    let Some(run) = seen else {
        return Some(End::GONE);
    };
    let end = |redrivable| End {
        redrive: run.redrive,
        stopped: None,
        redrivable,
    };
    match run.status {
        Status::Running => None,
        Status::Over => Some(end(false)),
        Status::Stopped(at) if now.since(at) < END_SETTLES => None,
        Status::Stopped(_) => Some(end(true)),
    }
}
