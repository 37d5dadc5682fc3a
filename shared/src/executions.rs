//! What is to be known of executions: a narrow trait, its Step Functions adapter, and the order of runs.

#[cfg(feature = "sfn")]
mod sfn;

use std::future::Future;

use crate::arn::{ExecutionArn, StateMachineArn};
use crate::aws::CallError;
use crate::clock::Timestamp;

#[cfg(feature = "sfn")]
pub use sfn::SfnExecutions;

/// An execution, as Step Functions describes or lists it: possibly as it was some seconds ago.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Execution {
    /// Its ARN.
    pub arn: ExecutionArn,
    /// When it was redriven last, else when it started.
    pub since: Timestamp,
    /// How often it was redriven.
    pub redrive: u32,
    /// Whether it runs.
    pub status: Status,
    /// The `error` that it was stopped with, if it was aborted and Step Functions tells.
    pub aborted_with: Option<String>,
}

/// Whether an execution runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It runs, or has a status that this version does not know: taken for running, so that nothing is let past it.
    Running,
    /// It succeeded, and cannot be redriven.
    Over,
    /// It failed, timed out or was aborted at this time; it may be running again by a redrive that is not visible yet.
    Stopped(Timestamp),
}

impl Execution {
    /// Whether `self` came before `other`. Equal times are told apart by the ARN, so that of two runs one is older.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        (self.since, &self.arn) < (other.since, &other.arn)
    }
}

/// The executions of Step Functions.
pub trait Executions {
    /// The execution, or `None` if Step Functions does not know it. Eventually consistent (API reference,
    /// `DescribeExecution`).
    fn describe(&self, run: &ExecutionArn) -> impl Future<Output = Result<Option<Execution>, CallError>>;

    /// Every execution of the machine that is listed as running, all pages. Eventually consistent, and "the results are
    /// best effort" (API reference, `ListExecutions`).
    fn running(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Listed, CallError>>;

    /// Stops the execution with `error` and `cause`. One that has ended stays as it is.
    fn stop(&self, run: &ExecutionArn, error: &str, cause: &str) -> impl Future<Output = Result<(), CallError>>;
}

/// What `ListExecutions` says of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listed {
    /// Its running executions.
    Running(Vec<Execution>),
    /// There is no such state machine.
    NoSuchMachine,
    /// It is EXPRESS: its executions are not listed.
    Express,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_runs_exactly_one_is_older() {
        let run = |name: &str, since| Execution {
            arn: ExecutionArn::parse(&format!("arn:aws:states:us-east-1:123456789012:execution:m:{name}")).unwrap(),
            since: Timestamp::from_millis(since),
            redrive: 0,
            status: Status::Running,
            aborted_with: None,
        };
        for (a, b) in [(run("z", 1), run("a", 2)), (run("a", 1), run("b", 1))] {
            assert!(a.is_older_than(&b) && !b.is_older_than(&a));
        }
        let one = run("a", 1);
        assert!(!one.is_older_than(&one));
    }
}
