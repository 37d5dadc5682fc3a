//! Everything that the lock's functions fail with. The names are listed in `docs/errors.md`.

use crate::arn::ExecutionArn;
use crate::aws::CallError;
use crate::clock::Timestamp;
use crate::console;
use crate::failure::Failure;
use crate::lock::key::LockKey;
use crate::request::BadRequest;

/// The error of a waiter that a newer one took the place of (`onBusy: replaceWaiting`).
pub const SUPERSEDED: &str = "Lock.Superseded";

/// The error of a waiter whose `maxWaitSeconds` are over.
pub const WAIT_TIMEOUT: &str = "Lock.WaitTimeout";

/// The error of a waiter that an operator took out of the queue.
pub const REMOVED: &str = "Lock.Removed";

/// The error of a run that was stopped, or refused, as it was redriven and somebody else has its slot.
pub const LOST_ON_REDRIVE: &str = "Lock.LostOnRedrive";

/// The error of a holder that was stopped for a newer run (`onBusy: cancelHolder`).
pub const CANCELLED: &str = "Lock.Cancelled";

/// Why a lock was not given, or a request not carried out. Whatever it is, the caller does not hold by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is wrong; nothing was done.
    #[error("{0}")]
    BadRequest(#[from] BadRequest),
    /// The lock is held, and `onBusy` is `fail`.
    #[error("{}", busy(lock, *slots, holder.as_deref()))]
    Busy {
        /// The lock.
        lock: LockKey,
        /// Its slots.
        slots: u32,
        /// Who has held it longest, and since when.
        holder: Option<Box<(ExecutionArn, Timestamp)>>,
    },
    /// The lock is paused, and `onBusy` is `fail`.
    #[error("the lock {lock} is paused by an operator; lock-admin with the action \"resume\" ends that")]
    Paused {
        /// The lock.
        lock: LockKey,
    },
    /// The queue is as long as `maxQueue` allows.
    #[error("{waiting} or more runs wait for the lock {lock} already, as many as maxQueue allows")]
    QueueFull {
        /// The lock.
        lock: LockKey,
        /// How many may wait.
        waiting: u32,
    },
    /// Another branch of the same run has this hold.
    #[error(
        "hold: {} has the hold {name:?} on the lock {lock} already, by another state, branch or iteration, which has \
         not released it. Give each its own hold, in a Map for example $$.Map.Item.Index; after a Catch, release \
         before you acquire again",
        run.name()
    )]
    HoldInUse {
        /// The run.
        run: ExecutionArn,
        /// The lock.
        lock: LockKey,
        /// The hold.
        name: String,
    },
    /// This attempt to acquire is over: it was refused, or has been released since.
    #[error(
        "hold: {} had this hold on the lock {lock} in this visit of the state before, and has released it, or was refused. \
         If it was another branch or iteration: Give each its own hold, in a Map for example $$.Map.Item.Index. If not, \
         only a retry, or another visit, asks anew",
        run.name()
    )]
    Over {
        /// The run.
        run: ExecutionArn,
        /// The lock.
        lock: LockKey,
    },
    /// A run that asserts its hold lost it when it failed, and somebody else has the slot.
    #[error("{}", lost(run, lock, holder.as_deref()))]
    LostOnRedrive {
        /// The run.
        run: ExecutionArn,
        /// The lock.
        lock: LockKey,
        /// Who has its slot.
        holder: Option<Box<(ExecutionArn, Timestamp)>>,
    },
    /// A run asserts a hold that it never had, or has released.
    #[error("{} does not hold the lock {lock}, and did not hold it when it failed: assert follows an acquire", run.name())]
    NotHeld {
        /// The run.
        run: ExecutionArn,
        /// The lock.
        lock: LockKey,
    },
    /// The role lacks a permission.
    #[error("{0}; the fleet may only see and stop pipelines whose name begins with the stack's PipelineNamePrefix")]
    AccessDenied(CallError),
    /// The run's pipeline is none that the fleet sees.
    #[error(
        "executionArn: {run} is of a pipeline whose name does not begin with \"{prefix}\", the stack's \
         PipelineNamePrefix: nobody would see when it ends, and free its lock"
    )]
    Unseen {
        /// The run.
        run: ExecutionArn,
        /// The prefix.
        prefix: String,
    },
    /// A call did not succeed in time. The caller does not hold by it; asking again is safe.
    #[error("{0}; asking again is safe")]
    Unavailable(CallError),
    /// The time ran out.
    #[error("{0}; asking again is safe")]
    Undecided(String),
}

impl Error {
    /// Every name that the functions fail with.
    pub const NAMES: [&str; 9] = [
        "Lock.BadRequest",
        "Lock.Busy",
        "Lock.Paused",
        "Lock.QueueFull",
        "Lock.HoldInUse",
        LOST_ON_REDRIVE,
        "Lock.NotHeld",
        "Lock.AccessDenied",
        "Lock.Unavailable",
    ];

    /// A call to AWS took so long that the invocation ended.
    #[must_use]
    pub fn slow() -> Self {
        Self::Undecided("a call to AWS took too long".to_owned())
    }

    /// The names that a waiting task, or an execution, is ended with.
    pub const SENT: [&str; 5] = [SUPERSEDED, WAIT_TIMEOUT, REMOVED, LOST_ON_REDRIVE, CANCELLED];
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        if error.is_access_denied() {
            Self::AccessDenied(error)
        } else {
            Self::Unavailable(error)
        }
    }
}

impl Failure for Error {
    fn name(&self) -> &'static str {
        let [bad, busy, paused, full, in_use, lost, not_held, denied, unavailable] = Self::NAMES;
        match self {
            Self::BadRequest(_) => bad,
            Self::Busy { .. } => busy,
            Self::Paused { .. } => paused,
            Self::QueueFull { .. } => full,
            Self::HoldInUse { .. } | Self::Over { .. } => in_use,
            Self::LostOnRedrive { .. } => lost,
            Self::NotHeld { .. } => not_held,
            Self::AccessDenied(_) | Self::Unseen { .. } => denied,
            Self::Unavailable(_) | Self::Undecided(_) => unavailable,
        }
    }
}

fn busy(lock: &LockKey, slots: u32, holder: Option<&(ExecutionArn, Timestamp)>) -> String {
    let taken = if slots == 1 { "" } else { "all slots of " };
    match holder {
        Some(holder) => format!("{taken}the lock {lock}: held, longest by {}", for_people(holder)),
        None => format!("the lock {lock} has runs waiting for it"),
    }
}

fn lost(run: &ExecutionArn, lock: &LockKey, holder: Option<&(ExecutionArn, Timestamp)>) -> String {
    format!(
        "{} held the lock {lock} when it failed; now that it was redriven the lock is {}",
        run.name(),
        by_whom(holder)
    )
}

fn by_whom(holder: Option<&(ExecutionArn, Timestamp)>) -> String {
    match holder {
        Some(holder) => format!("held by {}", for_people(holder)),
        None => "paused by an operator".to_owned(),
    }
}

/// `nightly-1 of orders-nightly since 2026-01-31 04:00:12 UTC. See https://…`
fn for_people((run, since): &(ExecutionArn, Timestamp)) -> String {
    format!(
        "{} of {} since {}. See {}",
        run.name(),
        run.machine().name(),
        since.for_people(),
        console::execution_url(run)
    )
}

/// What a run is told that was stopped by the redrive rule.
pub(super) fn lost_on_redrive(
    run: &ExecutionArn,
    lock: &LockKey,
    holder: Option<&(ExecutionArn, Timestamp)>,
) -> String {
    lost(run, lock, holder)
}

/// Why a run that is to be redriven cannot be.
pub(super) fn taken_since(run: &ExecutionArn, lock: &LockKey, holder: Option<&(ExecutionArn, Timestamp)>) -> String {
    format!(
        "{} held the lock {lock} when it failed, which is now {}",
        run.name(),
        by_whom(holder)
    )
}
