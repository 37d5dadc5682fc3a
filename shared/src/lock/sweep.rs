//! Repairs what crashes and lost events left: every minute, for all locks that have holders or waiters.

use std::collections::HashMap;
use std::time::Duration;

use super::error::{Error, WAIT_TIMEOUT};
use super::key::{LockKey, Ticket};
use super::record::{Head, Hold, Holder, Owner, Waiter, Wish};
use super::release::{End, end_of, end_seen};
use super::store::{FreeIf, Store};
use super::{END_SETTLES, GRANT_SETTLES, Session};
use crate::arn::{ExecutionArn, StateMachineArn};
use crate::clock::{Clock, Timestamp};
use crate::executions::{Execution, Executions, Listed, Status};
use crate::tasks::Tasks;

/// Waiters whose runs are looked at, from the head of each queue; and as many again as long as all of them were dead.
const WAITERS_LOOKED_AT: u32 = 10;

/// Time that is left when a sweep ends; what it did not come to is the next one's.
const MARGIN: Duration = Duration::from_secs(5);

/// Time that is left, when the locks are swept, for waiters whose patience has ended and for runs that were redriven.
const REST: Duration = Duration::from_secs(10);

/// How long a lock stays in the directory after it was last used.
const IDLE: Duration = Duration::from_mins(2);

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Locks that were looked at.
    pub locks: usize,
    /// Locks that there was no time for, or no time to wait until the end of a run can be believed.
    pub left: usize,
    /// Parts that could not be swept, as a call failed.
    pub failed: usize,
    /// Ends that were too young to be believed, and were waited for.
    pub awaited: usize,
    /// Runs that were redriven, and were found to have lost their lock.
    pub redriven: usize,
    /// Waiters whose patience had ended.
    pub overdue: usize,
}

impl Swept {
    fn failed(&mut self, error: &Error) {
        self.failed += 1;
        tracing::error!(%error, "a part of the sweep failed");
    }
}

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// Sweeps all locks.
    ///
    /// What fails does not keep the rest from being swept: it is counted, and logged.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let mut locks = self.in_use().await?;
        // Each sweep begins somewhere else: where there is time for some only, all have their turn.
        if !locks.is_empty() {
            let first = usize::try_from(self.locks.clock.nonce() % locks.len() as u64).unwrap_or(0);
            locks.rotate_left(first);
        }
        let mut again = Vec::new();
        for (at, lock) in locks.iter().enumerate() {
            if !self.has_time(REST) {
                swept.left = locks.len() - at;
                tracing::warn!(left = swept.left, "no time for all locks");
                break;
            }
            swept.locks += 1;
            match self.sweep_lock(lock).await {
                Ok(None) => {}
                Ok(Some(settles)) => again.push((settles, lock)),
                Err(error) => swept.failed(&error),
            }
        }
        again.sort();
        for (settles, lock) in again {
            let now = self.now();
            if settles.after(REST) >= self.deadline {
                swept.left += 1;
                continue;
            }
            if settles > now {
                self.locks.clock.sleep(settles.since(now)).await;
            }
            swept.awaited += 1;
            if let Err(error) = self.sweep_lock(lock).await {
                swept.failed(&error);
            }
        }
        if let Err(error) = self.sweep_overdue(&mut swept).await {
            swept.failed(&error);
        }
        // Last: it lists the executions of whole state machines.
        if let Err(error) = self.sweep_lost(&mut swept).await {
            swept.failed(&error);
        }
        Ok(swept)
    }

    /// Sweeps one lock. If one of its runs ended so lately that nothing can be concluded from it: when it can.
    ///
    /// A run that cannot be looked at does not keep the others from being: the first error is answered in the end.
    pub async fn sweep_lock(&self, lock: &LockKey) -> Result<Option<Timestamp>, Error> {
        let Some(head) = self.head_of(lock).await? else {
            return Ok(None);
        };
        let (mut settles, mut first_error) = (None, None);
        for (ticket, holder) in &head.holders {
            if !self.has_time(MARGIN) {
                break;
            }
            match self.sweep_holder(lock, &head, ticket, holder).await {
                Ok(later) => settles = settles.into_iter().chain(later).min(),
                Err(error) => {
                    tracing::error!(%lock, executionArn = %holder.execution, %error, "a holder could not be swept");
                    first_error.get_or_insert(error);
                }
            }
        }
        let waits = self.sweep_queue(lock, &mut first_error).await?;
        if waits && !head.contended {
            self.locks.store.contend(lock, self.now()).await?;
        }
        if waits || head.contended {
            self.promote(lock, None).await?;
        } else if head.holders.is_empty() && self.now().since(head.changed) > IDLE {
            self.locks.store.retire(lock, &head, self.now()).await?;
        }
        match first_error {
            None => Ok(settles),
            Some(error) => Err(error),
        }
    }

    async fn sweep_holder(
        &self,
        lock: &LockKey,
        head: &Head,
        ticket: &Ticket,
        holder: &Holder,
    ) -> Result<Option<Timestamp>, Error> {
        let now = self.now();
        let hold = holder.hold(lock);
        let owner = self.locks.store.owner(&hold).await?;
        let settled = now.since(holder.at) > GRANT_SETTLES;
        if let Some(owner) = owner.as_ref().filter(|owner| owner.ticket == *ticket) {
            let given_up = match owner.wish {
                Wish::Released => true,
                Wish::Lost => owner.attempt.redrive >= holder.redrive,
                Wish::Open => false,
            };
            // Whoever wrote that crashed before the slot was freed.
            if given_up && settled {
                self.give_back(owner, FreeIf::Seen(holder)).await?;
                return Ok(None);
            }
        } else if owner.is_some() && settled {
            // An earlier acquisition's, of a run that has acquired again since.
            self.locks.store.free(lock, ticket, FreeIf::Seen(holder), now).await?;
            return Ok(None);
        }
        let run = self.locks.executions.describe(&holder.execution).await?;
        if let Some(end) = end_of(run.as_ref(), holder, now) {
            match end.redrive < holder.redrive && settled {
                true => self.unreserve(owner.as_ref(), lock, ticket, holder, end).await?,
                false => self.end_holder(owner.as_ref(), &hold, ticket, holder, end).await?,
            }
            return Ok(None);
        }
        match (run, owner) {
            (Some(run), Some(owner)) if run.status == Status::Running => {
                if run.redrive > holder.redrive {
                    self.redriven_owner(&owner, run.redrive, run.since).await?;
                } else if !holder.confirmed && settled && owner.ticket == *ticket && owner.wish == Wish::Open {
                    self.settle(&owner, head, holder).await?;
                }
                Ok(None)
            }
            (run, _) => Ok(settles(run.as_ref(), holder)),
        }
    }

    /// The run of a holder has ended.
    async fn end_holder(
        &self,
        owner: Option<&Owner>,
        hold: &Hold,
        ticket: &Ticket,
        holder: &Holder,
        end: End,
    ) -> Result<(), Error> {
        if owner.is_some_and(|owner| owner.ticket == *ticket) {
            self.end_hold(hold, end).await?;
            return Ok(());
        }
        // Nobody wants it: its record has expired, or is another acquisition's.
        self.locks
            .store
            .free(&hold.lock, ticket, FreeIf::Seen(holder), self.now())
            .await?;
        Ok(())
    }

    /// Takes those out of the queue whose runs have ended, from its head on. Whether anybody waits.
    async fn sweep_queue(&self, lock: &LockKey, first_error: &mut Option<Error>) -> Result<bool, Error> {
        let mut after = None;
        loop {
            let waiters = self
                .locks
                .store
                .waiters(lock, after.as_ref(), WAITERS_LOOKED_AT)
                .await?;
            let Some(last) = waiters.last() else {
                return Ok(false);
            };
            after = Some(last.place.clone());
            let mut alive = false;
            for waiter in &waiters {
                alive |= match self.is_dead(waiter).await {
                    Ok(dead) => !dead,
                    Err(error) => {
                        let run = &waiter.hold.execution;
                        tracing::error!(%lock, executionArn = %run, %error, "a waiter could not be swept");
                        first_error.get_or_insert(error);
                        true
                    }
                };
            }
            if alive || !self.has_time(MARGIN) {
                return Ok(true);
            }
        }
    }

    async fn is_dead(&self, waiter: &Waiter) -> Result<bool, Error> {
        let run = self.locks.executions.describe(&waiter.hold.execution).await?;
        let now = self.now();
        // As it was before it was redriven, and asked.
        if now.since(waiter.since) < END_SETTLES {
            return Ok(false);
        }
        let Some(end) = end_seen(run.as_ref(), now) else {
            return Ok(false);
        };
        let dead = self.end_hold(&waiter.hold, end).await?;
        if dead {
            self.locks.store.dequeue(waiter).await?;
        }
        Ok(dead)
    }

    /// Fails those whose patience has ended.
    async fn sweep_overdue(&self, swept: &mut Swept) -> Result<(), Error> {
        let mut from = None;
        loop {
            let page = self.locks.store.overdue(self.now(), from).await?;
            for (lock, place) in page.entries {
                if !self.has_time(MARGIN) {
                    tracing::warn!("no time for all waits that are over; the next sweep goes on");
                    return Ok(());
                }
                let Some(waiter) = self.locks.store.waiter(&lock, &place).await? else {
                    continue;
                };
                let cause = format!(
                    "{} waited for the lock {lock} for longer than its maxWaitSeconds",
                    waiter.hold.execution.name()
                );
                match self.fail_waiter(&waiter, WAIT_TIMEOUT, &cause).await {
                    Ok(failed) => swept.overdue += usize::from(failed),
                    Err(error) => swept.failed(&error),
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Looks for runs that were redriven after they had lost their lock, and whose event got lost too.
    async fn sweep_lost(&self, swept: &mut Swept) -> Result<(), Error> {
        let mut by_machine: HashMap<StateMachineArn, Vec<Hold>> = HashMap::new();
        let mut from = None;
        loop {
            let page = self.locks.store.lost(from).await?;
            for hold in page.entries {
                by_machine
                    .entry(hold.execution.machine().clone())
                    .or_default()
                    .push(hold);
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let machines = by_machine.len();
        // In an order that differs each time: where there is time for some only, all have their turn.
        for (at, (machine, holds)) in by_machine.into_iter().enumerate() {
            if !self.has_time(MARGIN) {
                tracing::warn!(
                    left = machines - at,
                    "no time for all pipelines with holds that were lost"
                );
                return Ok(());
            }
            if let Err(error) = self.sweep_lost_of(&machine, &holds, swept).await {
                swept.failed(&error);
            }
        }
        Ok(())
    }

    async fn sweep_lost_of(&self, machine: &StateMachineArn, holds: &[Hold], swept: &mut Swept) -> Result<(), Error> {
        let Listed::Running(running) = self.locks.executions.running(machine).await? else {
            return Ok(());
        };
        let running: HashMap<ExecutionArn, Execution> = running.into_iter().map(|run| (run.arn.clone(), run)).collect();
        for hold in holds {
            let Some(run) = running.get(&hold.execution) else {
                continue;
            };
            let owner = self.locks.store.owner(hold).await?;
            let Some(owner) = owner.filter(|owner| run.redrive > owner.attempt.redrive) else {
                continue;
            };
            swept.redriven += 1;
            if let Err(error) = self.redriven_owner(&owner, run.redrive, run.since).await {
                swept.failed(&error);
            }
        }
        Ok(())
    }
}

/// When the end of a holder's run can be believed, if it seems to have ended.
fn settles(run: Option<&Execution>, holder: &Holder) -> Option<Timestamp> {
    let granted = holder.at.after(END_SETTLES);
    match run.map(|run| run.status) {
        Some(Status::Running) => None,
        Some(Status::Stopped(at)) => Some(granted.max(at.after(END_SETTLES))),
        Some(Status::Over) | None => Some(granted),
    }
}
