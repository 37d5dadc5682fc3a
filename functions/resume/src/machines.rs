//! Step Functions, as far as a resume needs it: a narrow trait, and its adapter.

mod sfn;

use std::future::Future;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::asl::Definition;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;

use crate::past::Past;
use crate::plan::Status;

pub use sfn::{Setup, SfnMachines};

/// An execution, as `DescribeExecution` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// How it stands.
    pub status: Status,
    /// When it started: ISO 8601 with milliseconds, as `$$.Execution.StartTime` has it.
    pub started: String,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// Its input, JSON.
    pub input: Option<String>,
    /// Its error, if it did not succeed.
    pub error: Option<String>,
    /// The cause of that.
    pub cause: Option<String>,
    /// How often it was redriven.
    pub redrives: u32,
    /// Why Step Functions does not redrive it, if it does not.
    pub not_redrivable: Option<String>,
}

/// What an execution really ran, or what a state machine runs now.
#[derive(Debug, Clone)]
pub struct Ran<S> {
    /// The definition, JSON.
    pub definition: String,
    /// The role's ARN.
    pub role: String,
    /// Whether the machine has a KMS key of its own.
    pub has_kms_key: bool,
    /// All else that a clone of it is given: logging, tracing, encryption.
    pub setup: S,
}

/// A state machine that is to be made.
#[derive(Debug, Clone)]
pub struct NewMachine<'m, S> {
    /// Its name.
    pub name: &'m str,
    /// Its definition, JSON.
    pub definition: &'m str,
    /// Its role's ARN.
    pub role: &'m str,
    /// All else.
    pub setup: &'m S,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// What came of making a state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Making {
    /// It is there now, or was already.
    Made,
    /// One of the same name is being deleted.
    Deleting,
    /// Its definition, or something else of it, is not taken: why.
    Refused(String),
}

/// What came of starting an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starting {
    /// It runs.
    Started,
    /// It ran already, and has ended.
    Ended,
    /// There is no such state machine (yet).
    NoSuchMachine,
}

/// What came of a redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriving {
    /// It runs again.
    Redriven,
    /// Step Functions does not redrive it: why.
    Refused(String),
}

/// Step Functions.
pub trait Machines {
    /// What a state machine has beside definition and role.
    type Setup: Clone + std::fmt::Debug;

    /// The execution; `None` if there is none. Eventually consistent.
    fn describe(&self, execution: &ExecutionArn) -> impl Future<Output = Result<Option<Described>, CallError>>;

    /// What the execution ran. `None`: it is of an EXPRESS state machine, or there is none.
    fn ran(&self, execution: &ExecutionArn) -> impl Future<Output = Result<Option<Ran<Self::Setup>>, CallError>>;

    /// What the state machine runs now; `None` if there is none.
    fn present(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Option<Ran<Self::Setup>>, CallError>>;

    /// The state machine's tags; none if there is none.
    fn tags(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Vec<(String, String)>, CallError>>;

    /// All that an execution has done, and what happened at `keep` in particular.
    fn past(
        &self,
        execution: &ExecutionArn,
        definition: &Definition,
        keep: Option<&str>,
    ) -> impl Future<Output = Result<Past, CallError>>;

    /// What is wrong with a definition, if anything is.
    fn faults(&self, definition: &str) -> impl Future<Output = Result<Option<String>, CallError>>;

    /// Makes a state machine. The same again changes nothing.
    fn make(&self, machine: &NewMachine<'_, Self::Setup>) -> impl Future<Output = Result<Making, CallError>>;

    /// Starts an execution. The same again, also after its end, starts nothing.
    fn start(
        &self,
        machine: &StateMachineArn,
        name: &str,
        input: &str,
    ) -> impl Future<Output = Result<Starting, CallError>>;

    /// Redrives an execution. The same `token` again, for 15 minutes, does nothing.
    fn redrive(&self, execution: &ExecutionArn, token: &str) -> impl Future<Output = Result<Redriving, CallError>>;
}
