//! One event of an execution's history.

use std::collections::BTreeMap;

use crate::asl::Kind;
use crate::clock::Timestamp;
use crate::history::Ended;

mod details;
mod json;
#[cfg(feature = "sfn")]
mod sdk;

/// An event of `GetExecutionHistory`: what the reader needs of it. An event whose type or details are not known, or not
/// there, is [`What::Other`], never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `id`: 1 for the first event of an execution.
    pub id: i64,
    /// `previousEventId`: 0 if there is none.
    pub previous: i64,
    /// `timestamp`.
    pub at: Option<Timestamp>,
    /// What has happened.
    pub what: What,
}

/// What an event says has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A state was entered: `TaskStateEntered`, ….
    Entered {
        /// Its kind, from the event's type.
        kind: Kind,
        /// Its name.
        state: String,
        /// Its input, JSON; none if the history was read without data.
        input: Option<String>,
    },
    /// A state was left, with its result or by a Catch: `TaskStateExited`, ….
    Exited {
        /// Its kind, from the event's type.
        kind: Kind,
        /// Its name.
        state: String,
        /// Its output, JSON; none if the history was read without data.
        output: Option<String>,
        /// The variables that it assigned, each value JSON.
        assigned: BTreeMap<String, String>,
    },
    /// A Parallel or a Map begins, once for each time that it is tried: `ParallelStateStarted`, `MapStateStarted`.
    Started(Kind),
    /// `MapIterationStarted`: an iteration of an inline Map.
    IterationStarted(Iteration),
    /// `MapIterationSucceeded`.
    IterationSucceeded(Iteration),
    /// `MapIterationFailed`.
    IterationFailed(Iteration),
    /// An attempt of a Task: `TaskScheduled`, `LambdaFunctionScheduled`, `ActivityScheduled`.
    Scheduled {
        /// What it calls: `arn:aws:states:::lambda:invoke`, or the ARN of a function or an activity.
        resource: Option<String>,
    },
    /// An attempt goes on: `TaskStarted`, `TaskSubmitted`, `MapRunStarted`, ….
    Progress,
    /// An attempt did what it was to do: `TaskSucceeded`, `MapRunSucceeded`, ….
    AttemptSucceeded,
    /// An attempt failed: `TaskFailed`, `TaskTimedOut`, `LambdaFunctionFailed`, `MapRunFailed`, ….
    AttemptFailed {
        /// What it called, as in `Scheduled`; a function or an activity is not named here.
        resource: Option<String>,
        /// Why.
        reason: Reason,
    },
    /// `EvaluationFailed`: the JSONata of a state failed.
    EvaluationFailed {
        /// The state's name.
        state: String,
        /// Why.
        reason: Reason,
    },
    /// `ParallelStateFailed` or `MapStateFailed`.
    ContainerFailed(Kind),
    /// `ExecutionStarted`.
    ExecutionStarted,
    /// `ExecutionSucceeded`.
    ExecutionSucceeded,
    /// `ExecutionFailed`, `ExecutionTimedOut` or `ExecutionAborted`.
    ExecutionEnded(Ended, Reason),
    /// `ExecutionRedriven`.
    ExecutionRedriven,
    /// Anything else.
    Other,
}

/// An iteration of an inline Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iteration {
    /// The Map's name.
    pub map: String,
    /// Which, from 0.
    pub index: u32,
}

/// An error and its cause, either of which may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// The error's name.
    pub error: Option<String>,
    /// What is known of it: text, or JSON, or JSON in a string of JSON.
    pub cause: Option<String>,
}

#[cfg(test)]
mod tests;
