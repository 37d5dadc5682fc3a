//! Grants free slots to the first in the queue.

use std::time::Duration;

use super::deliver::Delivered;
use super::error::Error;
use super::key::{LockKey, Ticket};
use super::record::{Head, Wish};
use super::store::{Gate, Granting, Store};
use super::{MARGIN, Session};
use crate::clock::Clock;
use crate::executions::Executions;
use crate::tasks::Tasks;

/// Most places in a row that come to nothing: dead waiters beyond that are left to the sweep.
pub const PLACES_MOST: usize = 50;

/// At most so long before a lost race is run again.
const PAUSE: Duration = Duration::from_millis(100);

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// Grants slots until none is free or nobody waits. `head` is HEAD as it was a moment ago, if the caller knows.
    ///
    /// Answers the tickets that were told.
    pub async fn promote(&self, lock: &LockKey, head: Option<Head>) -> Result<Vec<Ticket>, Error> {
        let store = &self.locks.store;
        let mut known = head;
        let mut told = Vec::new();
        let mut fruitless = 0;
        while fruitless < PLACES_MOST && self.has_time(MARGIN) {
            fruitless += 1;
            let head = match known.take() {
                Some(head) => head,
                None => match store.head(lock).await? {
                    Some(head) => head,
                    None => return Ok(told),
                },
            };
            if !head.has_room() || head.paused {
                return Ok(told);
            }
            let Some(waiter) = store.waiters(lock, None, 1).await?.pop() else {
                if !head.contended || store.calm(lock, head.generation).await? {
                    return Ok(told);
                }
                continue;
            };
            if head.holders.contains_key(&waiter.ticket) {
                // HEAD is older than the place, which may have been taken again since the slot was freed.
                known = store.head(lock).await?;
                if known
                    .as_ref()
                    .is_some_and(|now| now.holders.contains_key(&waiter.ticket))
                {
                    store.dequeue(&waiter).await?;
                }
                continue;
            }
            // What the run wants now: it may have released, or ended, and its place be left over.
            let owner = store.owner(&waiter.hold).await?;
            let Some(owner) = owner.filter(|owner| owner.ticket == waiter.ticket && owner.wish == Wish::Open) else {
                store.dequeue(&waiter).await?;
                continue;
            };
            let head = match self.try_grant(&owner, Gate::Promotion(head.fence)).await? {
                Granting::Granted(head) => head,
                // Whoever was quicker looks at the queue again after its grant: of two, only one goes on, or each place
                // that follows would be raced for by all who asked meanwhile.
                Granting::Refused(now) if now.holders.contains_key(&waiter.ticket) => return Ok(told),
                // Something else was granted, or this one is over already.
                Granting::Refused(now) => {
                    known = Some(now);
                    self.locks.clock.sleep(self.locks.clock.jitter(PAUSE)).await;
                    continue;
                }
            };
            // A place that is left over is found by the next one who looks; the grant must not wait for that.
            if let Err(error) = store.dequeue(&waiter).await {
                tracing::warn!(%lock, %error, "a place could not be cleared");
            }
            match self.deliver(&owner, &head).await {
                Ok(Delivered::Told) => {
                    fruitless = 0;
                    tracing::info!(executionArn = %owner.hold.execution, %lock, "handed over");
                    told.push(owner.ticket);
                    known = Some(head);
                }
                Ok(Delivered::Returned(head)) => known = Some(head),
                Ok(Delivered::Unsettled) => {}
                // Its own trouble, and not that of whoever hands over: the sweep tries again.
                Err(error) => {
                    tracing::error!(executionArn = %owner.hold.execution, %lock, %error, "a grant could not be delivered");
                }
            }
        }
        Ok(told)
    }
}
