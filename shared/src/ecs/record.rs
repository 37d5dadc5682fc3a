//! What is remembered of a task: from before it is started until long after it has ended.

use super::key::{Attempt, TaskKey};
use super::plan::Plan;
use super::task::Task;
use crate::arn::ExecutionArn;
use crate::clock::Timestamp;
use crate::tasks::TaskToken;

/// How long a record is kept after the end, in days.
pub const KEPT_DAYS: u32 = 30;

/// An attempt, and its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which attempt.
    pub key: TaskKey,
    /// The execution.
    pub execution: ExecutionArn,
    /// The state's name.
    pub state: String,
    /// What the state waits with.
    pub token: TaskToken,
    /// A hash of the request, without what differs between attempts.
    pub request: String,
    /// How the task is run.
    pub plan: Plan,
    /// Whose task it is: this attempt's, or an earlier one's that it took over.
    pub origin: TaskKey,
    /// When it was written.
    pub at: Timestamp,
    /// When the task is stopped, if it has not ended by then.
    pub deadline: Option<Timestamp>,
    /// How it stands.
    pub stage: Stage,
    /// The task's ARN, once it is known.
    pub task: Option<String>,
    /// Since when ECS does not know the task; or, once it has ended, since when its result cannot be read.
    pub missing: Option<Timestamp>,
    /// The task as it ended, if that is known.
    pub ended: Option<Task>,
}

/// How an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It is to be started, or was a moment ago.
    Launching,
    /// Its task was started.
    Running,
    /// Its task is to be stopped.
    Stopping(Stop),
    /// It has been answered, or nobody waited for the answer.
    Done {
        /// Whether the answer was accepted.
        delivered: bool,
    },
    /// A later attempt took its task over.
    Adopted(TaskKey),
}

/// Why, and since when, a task is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub why: Why,
    /// Since when.
    pub since: Timestamp,
}

/// Why a task is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its time was up.
    TimedOut,
    /// Nobody waits for it any more: its attempt is over.
    Unwanted,
    /// Its execution has ended.
    ExecutionEnded,
    /// A later attempt of the same step asks for something else.
    Replaced,
    /// ECS refused to start it, and its state was told: if another invocation has started it all the same, it is nobody's.
    NotStarted,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::TimedOut,
        Self::Unwanted,
        Self::ExecutionEnded,
        Self::Replaced,
        Self::NotStarted,
    ];

    /// In one word, as it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TimedOut => "timedOut",
            Self::Unwanted => "unwanted",
            Self::ExecutionEnded => "executionEnded",
            Self::Replaced => "replaced",
            Self::NotStarted => "notStarted",
        }
    }

    /// What ECS is told, and shows as the `stoppedReason`.
    #[must_use]
    pub fn for_people(self) -> &'static str {
        match self {
            Self::TimedOut => "Signalbox: timeoutSeconds were over",
            Self::Unwanted => "Signalbox: the state that started it does not wait for it any more",
            Self::ExecutionEnded => "Signalbox: the execution that started it has ended",
            Self::Replaced => "Signalbox: a later attempt of the state asks for something else",
            Self::NotStarted => "Signalbox: the state that started it was told that it could not be started",
        }
    }
}

impl Stage {
    /// Whether something is still to be done.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Launching | Self::Running | Self::Stopping(_))
    }
}

impl Record {
    /// Which attempt.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.key.attempt()
    }
}
