//! What is known of a failure: plain data, gathered by [`gather`](crate::evidence::gather), put into words by
//! [`mail`](crate::mail) and [`chat`](crate::chat).

use std::time::Duration;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::Timestamp;
use signalbox::history::Failure;
use signalbox::lock::key::LockKey;

/// How an execution ended, if it did not succeed: AWS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `FAILED`.
    Failed,
    /// `TIMED_OUT`.
    TimedOut,
    /// `ABORTED`: somebody stopped it.
    Aborted,
}

impl Status {
    /// AWS's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Failed, Self::TimedOut, Self::Aborted]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// An end of an execution that did not succeed. A redriven execution has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The execution.
    pub execution: ExecutionArn,
    /// How it ended.
    pub status: Status,
    /// How often it had been redriven.
    pub redrive: u32,
    /// When it started, if that is known.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub stopped: Timestamp,
    /// The error that it ended with.
    pub error: Option<String>,
    /// The cause that it ended with.
    pub cause: Option<String>,
}

impl End {
    /// Whether it is the same end of the same execution, whatever else is known of either.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.execution, self.status, self.redrive) == (&other.execution, other.status, other.redrive)
    }
}

/// An alert: an end, and everything that helps to act on it. What could not be found out is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The end.
    pub end: End,
    /// The pipeline that it is a run of: its state machine or, of a clone, the original.
    pub pipeline: StateMachineArn,
    /// Where and why it failed, by its history.
    pub failure: Option<Failure>,
    /// The execution that it waited for and that failed in its stead (`startExecution.sync`), and that one's own, outermost
    /// first.
    pub children: Vec<Child>,
    /// How the pipeline fared before.
    pub past: Option<Past>,
    /// The locks that the execution has, or had when it failed.
    pub locks: Vec<Lock>,
    /// Whether a redrive may help.
    pub redrive: Redrive,
    /// The execution's input, if it is to be shown.
    pub input: Option<String>,
    /// What could not be found out, and why: `the history: ThrottlingException: Rate exceeded`.
    pub missing: Vec<String>,
}

impl Alert {
    /// Whether it is a run that `resume` let go on in a clone of its pipeline's state machine.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.pipeline != *self.end.execution.machine()
    }
}

/// A nested execution that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The execution.
    pub execution: ExecutionArn,
    /// Where and why it failed; none if its history could not be read.
    pub failure: Option<Failure>,
}

/// How the executions before this one fared, newest first, as far as one page of `ListExecutions` goes: those of the
/// pipeline's own state machine, and the last success of a resumed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// How many in a row have failed, with this one.
    pub in_a_row: u32,
    /// Whether there may be more: the page has no success.
    pub or_more: bool,
    /// When the last one succeeded.
    pub last_success: Option<Timestamp>,
    /// How long those that succeeded usually take: the median.
    pub usual: Option<Duration>,
}

/// A lock of the execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The lock.
    pub lock: LockKey,
    /// Whether the execution still holds it.
    pub held: bool,
    /// How many wait for it.
    pub waiting: u32,
}

/// Whether the execution can be redriven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redrive {
    /// It can, until then.
    Until(Timestamp),
    /// It cannot, as Step Functions says why.
    Not(String),
    /// That is not known.
    Unknown,
}
