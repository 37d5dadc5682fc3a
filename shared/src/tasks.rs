//! Tasks that wait for a callback: their tokens, how an answer reaches them, and what is known of it afterwards.

#[cfg(feature = "sfn")]
mod sfn;
mod token;

use std::future::Future;

use crate::arn::ExecutionArn;
use crate::aws::CallError;

#[cfg(feature = "sfn")]
pub use sfn::SfnTasks;
pub use token::{TOKEN_CHARS, TaskToken, TokenError};

/// What came of sending to a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sent {
    /// It was accepted.
    Accepted,
    /// Nobody waits for this token: it was answered, its attempt is over, or the execution has ended.
    Closed,
    /// The answer was lost: it may have been accepted.
    Unknown(CallError),
}

/// How the task with a token stands, as the execution's history tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It succeeded: the run went on with what it was sent.
    Succeeded,
    /// It ended in another way: the run did not get what it was sent.
    Failed,
    /// It has not ended, or the history does not show it yet.
    Unclear,
    /// The history cannot be read: its pipeline has a key of its own.
    Unreadable,
}

/// Task tokens.
pub trait Tasks {
    /// Ends the task with `output`, a JSON text. An error: it was refused, and certainly not accepted.
    fn succeed(&self, token: &TaskToken, output: &str) -> impl Future<Output = Result<Sent, CallError>>;

    /// Fails the task.
    fn fail(&self, token: &TaskToken, error: &str, cause: &str) -> impl Future<Output = Result<Sent, CallError>>;

    /// Whether somebody waits for the token ([`Sent::Accepted`]); the task goes on as before.
    fn beat(&self, token: &TaskToken) -> impl Future<Output = Result<Sent, CallError>>;

    /// How the task with this token ended. Eventually consistent.
    fn outcome(&self, run: &ExecutionArn, token: &TaskToken) -> impl Future<Output = Result<Outcome, CallError>>;
}
