//! Hands a grant over, by the task token.

use std::time::Duration;

use serde::Serialize;

use super::Session;
use super::acquire::{Acquired, fence_of};
use super::error::Error;
use super::key::Fence;
use super::record::{Head, Hold, Owner, Wish};
use super::store::{FreeIf, Freed, Store};
use crate::aws::CallError;
use crate::clock::{Clock, Timestamp};
use crate::executions::Executions;
use crate::tasks::TaskToken;
use crate::tasks::{Sent, Tasks};

/// What the task that waited for a lock is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    lock: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    hold: &'a str,
    acquired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fence: Option<Fence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_ms: Option<u64>,
}

/// The output of a task that goes on without the lock.
pub(super) fn skipped(hold: &Hold) -> String {
    text(&Output {
        lock: hold.lock.as_str(),
        hold: hold.name.as_str(),
        acquired: false,
        fence: None,
        waited_ms: None,
    })
}

fn text(output: &Output<'_>) -> String {
    serde_json::to_string(output).expect("strings and numbers")
}

/// Before a throttled call is made again, and as much again at random.
const PAUSE: Duration = Duration::from_millis(300);

/// Time that is left when a throttled call is given up.
const MARGIN: Duration = Duration::from_secs(4);

/// How delivering a grant ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The run has the lock.
    Told,
    /// Nobody waits for it: the slot is free again. HEAD as it is then.
    Returned(Head),
    /// Whether the run was told is not known, or another invocation has the grant now.
    Unsettled,
}

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// Delivers a grant that this invocation made for its own caller.
    pub(super) async fn deliver_own(&self, owner: &Owner, head: &Head) -> Result<Acquired, Error> {
        Ok(match self.deliver(owner, head).await? {
            Delivered::Told => Acquired::Granted,
            Delivered::Unsettled => Acquired::Unsettled,
            Delivered::Returned(head) => {
                if head.contended {
                    self.promote(&owner.hold.lock, Some(head)).await?;
                }
                Acquired::Gone
            }
        })
    }

    /// Delivers a grant that this invocation made.
    pub(super) async fn deliver(&self, owner: &Owner, head: &Head) -> Result<Delivered, Error> {
        let fence = fence_of(head, &owner.ticket);
        let mut owner = owner.clone();
        loop {
            let Some(token) = owner.token.clone() else {
                return Ok(Delivered::Told);
            };
            match self.tell(&token, &owner, fence, self.now()).await? {
                Sent::Accepted => return Ok(Delivered::Told),
                Sent::Unknown(error) => {
                    tracing::warn!(executionArn = %owner.hold.execution, lock = %owner.hold.lock, %error,
                        "whether the grant arrived is not known; the sweep finds out");
                    return Ok(Delivered::Unsettled);
                }
                Sent::Closed => {}
            }
            // A retry may have asked meanwhile, with a token of its own.
            match self.locks.store.owner(&owner.hold).await? {
                Some(now) if now.ticket == owner.ticket && now.wish == Wish::Open && now.token != owner.token => {
                    owner = now;
                }
                _ => break,
            }
        }
        let freed = self
            .locks
            .store
            .free(&owner.hold.lock, &owner.ticket, FreeIf::By(&self.me), self.now())
            .await?;
        Ok(match freed {
            Freed::Freed(head) => Delivered::Returned(head),
            // The slot is free all the same: the SDK makes a call again whose answer was lost.
            Freed::Kept(Some(head)) if !head.holders.contains_key(&owner.ticket) => Delivered::Returned(head),
            Freed::Kept(_) => Delivered::Unsettled,
        })
    }

    /// Tells the task with this token that its run has the lock. A call that was throttled was certainly not accepted,
    /// and is made again.
    pub(super) async fn tell(
        &self,
        token: &TaskToken,
        owner: &Owner,
        fence: Fence,
        granted: Timestamp,
    ) -> Result<Sent, CallError> {
        let output = text(&Output {
            lock: owner.hold.lock.as_str(),
            hold: owner.hold.name.as_str(),
            acquired: true,
            fence: Some(fence),
            waited_ms: u64::try_from(granted.since(owner.since).as_millis()).ok(),
        });
        loop {
            match self.locks.tasks.succeed(token, &output).await {
                Err(error) if error.is_throttling() && self.has_time(MARGIN) => {
                    self.locks.clock.sleep(PAUSE + self.locks.clock.jitter(PAUSE)).await;
                }
                other => return other,
            }
        }
    }
}
