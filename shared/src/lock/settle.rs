//! Finds out about grants of which nobody knows whether they arrived.

use super::Session;
use super::acquire::fence_of;
use super::error::Error;
use super::record::{Head, Holder, Owner};
use super::store::{FreeIf, Store};
use crate::clock::Clock;
use crate::executions::Executions;
use crate::tasks::{Outcome, Sent, Tasks};

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// The grant is so old that whoever made it is not about to deliver it, its run runs, and nobody knows whether it was
    /// told. From the take-over on, a closed token proves nothing by itself: the run may be working in the slot.
    pub(super) async fn settle(&self, owner: &Owner, head: &Head, seen: &Holder) -> Result<(), Error> {
        let (store, lock) = (&self.locks.store, &owner.hold.lock);
        let mine = self.signed(seen);
        if !store.amend(lock, &owner.ticket, seen, &mine).await? {
            return Ok(());
        }
        let told = match &owner.token {
            None => Outcome::Succeeded,
            Some(token) => {
                let fence = fence_of(head, &owner.ticket);
                match self.tell(token, owner, fence, mine.since).await? {
                    Sent::Accepted => Outcome::Succeeded,
                    Sent::Closed => self.locks.tasks.outcome(&owner.hold.execution, token).await?,
                    Sent::Unknown(_) => Outcome::Unclear,
                }
            }
        };
        match told {
            Outcome::Succeeded => {
                let confirmed = Holder {
                    confirmed: true,
                    ..mine.clone()
                };
                store.amend(lock, &owner.ticket, &mine, &confirmed).await?;
            }
            Outcome::Failed => {
                tracing::info!(executionArn = %owner.hold.execution, %lock, "freed: the run did not wait for it any more");
                self.give_back(owner, FreeIf::Seen(&mine)).await?;
            }
            // It counts as holding; the next sweep asks again.
            Outcome::Unclear | Outcome::Unreadable => {}
        }
        Ok(())
    }
}
