//! The FIFO lock: runs wait their turn, at no cost, and never more of them hold a lock than it has slots.
//!
//! Three kinds of items, in [`record`]:
//!
//! * **HEAD**, one for each lock: who holds it. Every grant and every release is one conditional write to it, so it is
//!   the one place where ties are decided. Occupancy is the number of its holders, never a counter of its own.
//! * **WAIT**, one for each run in the queue, in the order in which they will be served.
//! * **OWNER**, one for each hold of a run: what the run wants (it asks, or it has released), and its task token.
//!
//! What may happen to them is in [`store`], a narrow trait with DynamoDB's semantics; what is done with them:
//!
//! | module | does |
//! |---|---|
//! | [`acquire`] | a run asks: OWNER, then the free lock in one write, or the queue |
//! | [`promote`] | grants free slots to the first in the queue |
//! | [`deliver`] | hands a grant over, by the task token |
//! | [`release`] | a run gives its slot back; the end of a run gives back what it has |
//! | [`redrive`] | a redriven run is given its lock again, or is stopped |
//! | [`reserve`] | a run that is about to be redriven is given its lock again before |
//! | [`sweep`] | repairs what crashes and lost events left |
//! | [`settle`] | finds out about grants of which nobody knows whether they arrived |
//! | [`admin`] | what operators may do |
//!
//! Four rules carry the rest:
//!
//! 1. **A token that is closed proves little.** It frees the slot only in the invocation that made the grant, and only
//!    while the grant is still that invocation's own ([`Holder::by`](record::Holder)). Everybody else who finds a closed
//!    token leaves the slot alone, as the run may be working in it.
//! 2. **A waiter is in the queue before the lock says that there are waiters** (`contended`): the other way round, somebody
//!    who looks in between finds an empty queue, says so, and nobody ever wakes the waiter.
//! 3. **Whoever frees a slot hands over**, in the same call.
//! 4. **A run holds until it has ended**, by its status and not by a timer. An end is believed when it is a status event,
//!    or when it is older than `DescribeExecution` may lag.

pub mod acquire;
pub mod admin;
pub mod deliver;
#[cfg(feature = "dynamodb")]
mod dynamo;
pub mod error;
pub mod key;
pub mod promote;
pub mod record;
pub mod redrive;
pub mod release;
pub mod reserve;
pub mod settle;
pub mod store;
pub mod sweep;

use std::time::Duration;

use crate::clock::{Clock, Timestamp};

#[cfg(feature = "dynamodb")]
pub use dynamo::DynamoLocks;
pub use error::Error;

use self::key::{LockKey, Nonce};
use self::record::{Head, Holder};
use self::store::Heads;

/// Longer than an invocation of any function that sends tokens lives, with a margin for clocks that differ: whoever made
/// a grant this long ago is not about to deliver it. A test holds the template's `Timeout`s, and
/// [`RESERVING`](reserve::RESERVING), to half of it at most.
pub const GRANT_SETTLES: Duration = Duration::from_mins(1);

/// How long `DescribeExecution` may lag: an end that is younger may have been followed by a redrive already, and an
/// execution that is not known may only just have started.
pub const END_SETTLES: Duration = Duration::from_secs(10);

/// The lock protocol of one sandbox.
#[derive(Debug, Clone)]
pub struct Locks<S, T, E, C> {
    /// HEAD, WAIT and OWNER.
    pub store: S,
    /// Task tokens.
    pub tasks: T,
    /// Step Functions' executions.
    pub executions: E,
    /// Time and randomness.
    pub clock: C,
    /// Whether executions may be stopped.
    pub may_stop: bool,
}

/// The protocol in one invocation: what it writes is signed by it.
#[derive(Debug)]
pub struct Session<'a, S, T, E, C> {
    locks: &'a Locks<S, T, E, C>,
    me: Nonce,
    deadline: Timestamp,
}

impl<S, T, E, C: Clock> Locks<S, T, E, C> {
    /// The protocol for one invocation, which Lambda ends at `deadline`.
    pub fn session(&self, deadline: Timestamp) -> Session<'_, S, T, E, C> {
        Session {
            locks: self,
            me: Nonce::draw(&self.clock),
            deadline,
        }
    }
}

/// Time that is left for the answer when trying ends: what is left undone then is the retry's, or the sweep's.
const MARGIN: Duration = Duration::from_secs(3);

impl<S, T, E, C: Clock> Session<'_, S, T, E, C> {
    fn now(&self) -> Timestamp {
        self.locks.clock.now()
    }

    /// Whether `margin` is left for the answer.
    fn has_time(&self, margin: Duration) -> bool {
        self.now().after(margin) < self.deadline
    }

    /// The entry of a holder as this invocation rewrites it now.
    fn signed(&self, seen: &Holder) -> Holder {
        Holder {
            by: self.me.clone(),
            at: self.now(),
            ..seen.clone()
        }
    }
}

impl<S: Heads, T, E, C> Session<'_, S, T, E, C> {
    /// HEAD of a lock.
    async fn head_of(&self, lock: &LockKey) -> Result<Option<Head>, Error> {
        Ok(self.locks.store.head(lock).await?)
    }
}

/// The lock protocol as it runs on Lambda.
#[cfg(all(feature = "dynamodb", feature = "sfn"))]
pub type AwsLocks =
    Locks<DynamoLocks, crate::tasks::SfnTasks, crate::executions::SfnExecutions, crate::clock::SystemClock>;

/// The lock protocol on AWS. `may_stop`: whether executions may be stopped.
#[cfg(all(feature = "dynamodb", feature = "sfn"))]
pub fn on_aws(
    environment: &crate::config::Environment,
    may_stop: bool,
) -> Result<AwsLocks, crate::config::ConfigError> {
    let config = crate::aws::shared_config(environment);
    let sfn = crate::aws::sfn(&config);
    Ok(Locks {
        store: DynamoLocks::new(
            crate::aws::dynamodb(&config),
            environment.required(crate::config::TABLE_NAME)?,
        ),
        tasks: crate::tasks::SfnTasks::new(sfn.clone()),
        executions: crate::executions::SfnExecutions::new(sfn),
        clock: crate::clock::SystemClock,
        may_stop,
    })
}
