//! A redriven run goes on where it failed, without acquiring again: it is given its lock back, or it is stopped.

use super::acquire::{fence_of, longest};
use super::error::{Error, LOST_ON_REDRIVE, lost_on_redrive};
use super::key::Fence;
use super::record::{Head, Holder, Owner, Wish};
use super::store::{FreeIf, Gate, Granting, Store};
use super::{MARGIN, Session};
use crate::arn::ExecutionArn;
use crate::clock::{Clock, Timestamp};
use crate::executions::{Executions, Status};
use crate::tasks::{Outcome, Tasks};

/// What came of giving a lost hold back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Regained {
    /// The run holds it again.
    Holds(Fence),
    /// Somebody else does, or the lock is paused. HEAD as it is.
    Taken(Head),
    /// The run has released it meanwhile, or acquired it anew.
    Gone,
}

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// The execution runs again, redriven `redrive` times, the last time at `since`.
    pub async fn redriven(&self, execution: &ExecutionArn, redrive: u32, since: Timestamp) -> Result<(), Error> {
        // One that cannot be decided does not keep the others from being: the first error is answered in the end.
        let mut first = Ok(());
        for owner in self.locks.store.owned_by(execution).await? {
            first = first.and(self.redriven_owner(&owner, redrive, since).await);
        }
        first
    }

    pub(super) async fn redriven_owner(&self, owner: &Owner, redrive: u32, since: Timestamp) -> Result<(), Error> {
        let mut owner = owner.clone();
        while self.has_time(MARGIN) {
            if self.try_redriven(&owner, redrive, since).await? {
                return Ok(());
            }
            match self.locks.store.owner(&owner.hold).await? {
                Some(now) => owner = now,
                None => return Ok(()),
            }
        }
        Err(Error::Undecided(
            "a redriven run's hold changed again and again".to_owned(),
        ))
    }

    /// `false`: something changed at this moment.
    async fn try_redriven(&self, owner: &Owner, redrive: u32, since: Timestamp) -> Result<bool, Error> {
        match owner.wish {
            Wish::Lost if owner.attempt.redrive >= redrive => Ok(true),
            Wish::Released => Ok(true),
            Wish::Open => {
                let head = self.head_of(&owner.hold.lock).await?;
                let held = head.as_ref().and_then(|head| head.holders.get(&owner.ticket));
                // What was reserved for this redrive, before it, is its own from now on.
                let is_older = |held: &&Holder| (held.redrive, held.entered) < (redrive, since);
                match held.filter(is_older) {
                    Some(held) => self.keep(owner, held, redrive, since).await,
                    None => Ok(true),
                }
            }
            Wish::Lost => self.regain_or_stop(owner, redrive, since).await.map(|()| true),
        }
    }

    /// The run was redriven before anybody saw that it had failed: it holds on, and what is known of its end is old.
    /// `false`: something changed at this moment.
    pub(super) async fn keep(
        &self,
        owner: &Owner,
        held: &Holder,
        redrive: u32,
        since: Timestamp,
    ) -> Result<bool, Error> {
        let kept = owner.redriven(redrive);
        let recorded = owner.attempt.redrive >= redrive || self.locks.store.reown(owner, &kept, self.now()).await?;
        Ok(recorded && self.raise(owner, held, redrive, since).await?)
    }

    /// The holder's entry says from now on that the run was redriven: an end from before does not free it.
    pub(super) async fn raise(
        &self,
        owner: &Owner,
        seen: &Holder,
        redrive: u32,
        since: Timestamp,
    ) -> Result<bool, Error> {
        let raised = Holder {
            redrive,
            entered: since.max(seen.entered),
            ..self.signed(seen)
        };
        let (store, lock) = (&self.locks.store, &owner.hold.lock);
        Ok(store.amend(lock, &owner.ticket, seen, &raised).await?)
    }

    async fn regain_or_stop(&self, owner: &Owner, redrive: u32, since: Timestamp) -> Result<(), Error> {
        let execution = &owner.hold.execution;
        let now = self.locks.executions.describe(execution).await?;
        // The event is late: the run has ended again, or was redriven once more, and has an event for that.
        if now.is_some_and(|now| now.redrive > redrive || (now.redrive == redrive && now.status != Status::Running)) {
            return Ok(());
        }
        let head = match self.regain(owner, redrive, since).await? {
            Regained::Holds(fence) => {
                tracing::info!(executionArn = %execution, lock = %owner.hold.lock, fence = fence.0, "redriven, and holds again");
                return Ok(());
            }
            Regained::Gone => return Ok(()),
            Regained::Taken(head) => head,
        };
        // Granted, but never told: it failed while it waited, and now asks again by itself.
        if let Some(token) = &owner.token {
            match self.locks.tasks.outcome(execution, token).await? {
                Outcome::Failed => return Ok(()),
                Outcome::Succeeded | Outcome::Unreadable => {}
                Outcome::Unclear => {
                    return Err(Error::Undecided(
                        "Step Functions does not show yet whether the run ever had the lock".to_owned(),
                    ));
                }
            }
        }
        let lock = &owner.hold.lock;
        if !self.locks.may_stop {
            tracing::error!(executionArn = %execution, %lock, "redriven without the lock that it held, and may not be stopped");
            return Ok(());
        }
        let cause = lost_on_redrive(execution, lock, longest(&head).as_ref());
        self.locks.executions.stop(execution, LOST_ON_REDRIVE, &cause).await?;
        tracing::warn!(executionArn = %execution, %lock, "stopped: redriven, and somebody else has its lock");
        let known = owner.redriven(redrive);
        self.locks.store.reown(owner, &known, self.now()).await?;
        Ok(())
    }

    /// Gives a run that is redriven for the `redrive`th time the slot that it lost, if there is one.
    pub(super) async fn regain(&self, owner: &Owner, redrive: u32, since: Timestamp) -> Result<Regained, Error> {
        let store = &self.locks.store;
        let holder = Holder {
            redrive,
            entered: since,
            // It is inside: nobody waits to be told.
            confirmed: true,
            ..self.holder(owner)
        };
        let head = loop {
            if !self.has_time(MARGIN) {
                return Err(Error::Undecided("the lock changed again and again".to_owned()));
            }
            let granting = store
                .grant(&owner.hold.lock, &owner.ticket, &holder, Gate::Regain)
                .await?;
            let head = match granting {
                Granting::Granted(head) => break head,
                Granting::Refused(head) => head,
            };
            match head.holders.get(&owner.ticket) {
                None => return Ok(Regained::Taken(head)),
                // Another call of this kind was quicker.
                Some(held) if held.redrive >= redrive => break head,
                // Its slot was not freed yet.
                Some(held) if self.raise(owner, held, redrive, since).await? => break head,
                Some(_) => {}
            }
        };
        let open = owner.redriven(redrive).wishing(Wish::Open);
        if owner.wish == Wish::Open || store.reown(owner, &open, self.now()).await? {
            return Ok(Regained::Holds(fence_of(&head, &owner.ticket)));
        }
        let now = store.owner(&owner.hold).await?;
        if now.is_some_and(|now| now.ticket == owner.ticket && now.wish == Wish::Open) {
            return Ok(Regained::Holds(fence_of(&head, &owner.ticket)));
        }
        // Released, or acquired anew, between the look and the grant.
        self.give_back(owner, FreeIf::By(&self.me)).await?;
        Ok(Regained::Gone)
    }
}
