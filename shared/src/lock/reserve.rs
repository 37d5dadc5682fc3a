//! Before a run is redriven, it is given again what it held: a redriven run works at once where it failed, and Step
//! Functions tells of it only afterwards.
//!
//! What is reserved is held for a redrive that has not come yet, so that no end of the run as it was frees it. It is worth
//! something for [`RESERVED`] only: the redrive is asked for by then, or not at all. The sweep takes back what was reserved
//! for a redrive that never came, once it is [`GRANT_SETTLES`](super::GRANT_SETTLES) old.

use std::time::Duration;

use super::acquire::longest;
use super::error::{Error, taken_since};
use super::key::{LockKey, Ticket};
use super::record::{Head, Hold, Holder, Owner, Wish};
use super::redrive::Regained;
use super::release::End;
use super::store::{FreeIf, Store};
use super::{Locks, MARGIN, Session};
use crate::arn::ExecutionArn;
use crate::clock::{Clock, Timestamp};
use crate::executions::Executions;
use crate::tasks::Tasks;

/// How long after it asked for the reservation a caller may ask for the redrive. With the time that the call takes, and
/// the lag with which it is seen, this is less than the sweep waits.
pub const RESERVED: Duration = Duration::from_secs(20);

/// How long a reservation may take: it leaves time of [`RESERVED`] for the redrive. No more than half of
/// [`GRANT_SETTLES`](super::GRANT_SETTLES), as every invocation that hands over: its caller may live longer.
pub const RESERVING: Duration = Duration::from_secs(12);

/// What came of reserving one hold.
enum One {
    /// It is the run's, for the redrive. `new`: it was not before.
    Held { new: bool },
    /// The run did not have it when it ended: it waited, or had released.
    NotHeld,
    /// Somebody else has it. HEAD as it is.
    Taken(Head),
}

impl<S, T, E, C> Locks<S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// [`Session::reserve`] for a caller that may live longer than sessions do: nothing of it goes on after [`RESERVING`], or
    /// `deadline`.
    pub async fn reserve(
        &self,
        execution: &ExecutionArn,
        redrive: u32,
        deadline: Timestamp,
    ) -> Result<Option<String>, Error> {
        let now = self.clock.now();
        let ends = deadline.min(now.after(RESERVING));
        let session = self.session(ends);
        let reserved = tokio::time::timeout(ends.since(now), session.reserve(execution, redrive)).await;
        reserved.unwrap_or_else(|_| Err(Error::slow()))
    }
}

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// Gives a run that has ended what it held, for its `redrive`th redrive: the next one. `Some`: what it cannot have, and
    /// who has it, in words; nothing is reserved then. An error: what was reserved by then stays so until the sweep takes it
    /// back. It may be repeated.
    pub async fn reserve(&self, execution: &ExecutionArn, redrive: u32) -> Result<Option<String>, Error> {
        let mut new = Vec::new();
        for owner in self.locks.store.owned_by(execution).await? {
            let hold = owner.hold;
            match self.reserve_one(&hold, redrive).await? {
                One::NotHeld | One::Held { new: false } => {}
                One::Held { new: true } => new.push(hold),
                One::Taken(head) => {
                    for hold in new {
                        self.unreserve_own(&hold, redrive).await?;
                    }
                    return Ok(Some(taken_since(execution, &hold.lock, longest(&head).as_ref())));
                }
            }
        }
        Ok(None)
    }

    async fn reserve_one(&self, hold: &Hold, redrive: u32) -> Result<One, Error> {
        let mut new = false;
        while self.has_time(MARGIN) {
            let Some(owner) = self.locks.store.owner(hold).await? else {
                return Ok(One::NotHeld);
            };
            match owner.wish {
                Wish::Released => return Ok(One::NotHeld),
                Wish::Lost => match self.regain(&owner, redrive, self.now()).await? {
                    Regained::Taken(head) => return Ok(One::Taken(head)),
                    Regained::Holds(_) | Regained::Gone => {}
                },
                Wish::Open => {
                    let head = self.head_of(&hold.lock).await?;
                    let Some(seen) = head.as_ref().and_then(|head| head.holders.get(&owner.ticket)) else {
                        // An end says that it is lost before it frees it.
                        if self.locks.store.owner(hold).await?.as_ref() == Some(&owner) {
                            return Ok(One::NotHeld);
                        }
                        continue;
                    };
                    new |= seen.redrive < redrive || seen.by == self.me;
                    // In this order: what was reserved and never came is known by the holder's entry. It is signed in any
                    // case: whoever looked at it before, and means to take it back, finds another one.
                    let raised = self.raise(&owner, seen, redrive.max(seen.redrive), self.now()).await?;
                    if raised && self.record_redrive(&owner, redrive).await? {
                        return Ok(One::Held { new });
                    }
                }
            }
        }
        Err(Error::Undecided(format!(
            "the lock {} changed hands again and again",
            hold.lock
        )))
    }

    async fn record_redrive(&self, owner: &Owner, redrive: u32) -> Result<bool, Error> {
        if owner.attempt.redrive >= redrive {
            return Ok(true);
        }
        let next = owner.redriven(redrive);
        Ok(self.locks.store.reown(owner, &next, self.now()).await?)
    }

    /// Takes back what this invocation has reserved, unless another one has reserved it since.
    async fn unreserve_own(&self, hold: &Hold, redrive: u32) -> Result<(), Error> {
        let Some(owner) = self.locks.store.owner(hold).await? else {
            return Ok(());
        };
        let end = End {
            redrive: redrive.saturating_sub(1),
            stopped: None,
            redrivable: true,
        };
        self.take_back(&owner, end, FreeIf::By(&self.me)).await
    }

    /// The redrive that a holder's entry was reserved for never came.
    pub(super) async fn unreserve(
        &self,
        owner: Option<&Owner>,
        lock: &LockKey,
        ticket: &Ticket,
        holder: &Holder,
        end: End,
    ) -> Result<(), Error> {
        tracing::warn!(executionArn = %holder.execution, %lock, "freed: it was reserved for a redrive that never came");
        if let Some(owner) = owner.filter(|owner| owner.ticket == *ticket) {
            self.take_back(owner, end, FreeIf::Seen(holder)).await
        } else {
            let now = self.now();
            self.locks.store.free(lock, ticket, FreeIf::Seen(holder), now).await?;
            Ok(())
        }
    }

    /// As it was before it was reserved: lost.
    async fn take_back(&self, owner: &Owner, end: End, condition: FreeIf<'_>) -> Result<(), Error> {
        let wish = if end.redrivable { Wish::Lost } else { Wish::Released };
        let lost = owner.redriven(end.redrive).wishing(wish);
        // Before the slot is freed: a redrive must find what the run held. If it has changed, somebody has use for it.
        let recorded = lost == *owner || self.locks.store.reown(owner, &lost, self.now()).await?;
        if recorded {
            self.give_back(&lost, condition).await?;
        }
        Ok(())
    }
}
