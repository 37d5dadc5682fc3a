//! Amazon ECS: starts tasks, stops them, looks at them.

#[cfg(feature = "ecs")]
mod sdk;

use std::collections::BTreeMap;
use std::future::Future;

use super::key::TaskKey;
use super::plan::{LogStream, Plan};
use super::start_failure::StartFailure;
use super::task::Task;
use crate::aws::CallError;

#[cfg(feature = "ecs")]
pub use sdk::EcsCluster;

/// Most tasks that one `DescribeTasks` takes.
///
/// Source: ECS API reference, `DescribeTasks` (`tasks`).
pub const DESCRIBE_MOST: usize = 100;

/// A task definition, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its ARN, with the revision.
    pub arn: String,
    /// Its containers.
    pub containers: Vec<DefinedContainer>,
    /// Whether its network mode is `awsvpc`: then a task has to be given its subnets.
    pub is_awsvpc: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A container of a task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinedContainer {
    /// Its name.
    pub name: String,
    /// Whether the task ends with it.
    pub essential: bool,
    /// Where its output goes, if that is CloudWatch Logs, in streams of its own.
    pub logs: Option<LogStream>,
}

/// What came of starting a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// It was started; or it had been, and may have ended since.
    Started(Task),
    /// It was not, for now: as many are started as ECS lets the account start at once.
    Throttled(CallError),
    /// It was not.
    Refused(StartFailure),
}

/// Starts tasks.
pub trait StartTasks {
    /// A task definition by its name, `name:revision` or ARN; `None` if there is no such one that is active.
    fn definition(&self, task: &str) -> impl Future<Output = Result<Option<Definition>, CallError>>;

    /// Starts a task for the attempt `key`. Whoever asks again gets the same task. An error: it may have been started.
    fn run(&self, plan: &Plan, key: &TaskKey) -> impl Future<Output = Result<Run, CallError>>;
}

/// Looks after tasks.
pub trait WatchTasks {
    /// The tasks of a cluster, those that ECS knows. Eventually consistent: one that was started a moment ago may be missing.
    fn describe(&self, cluster: &str, tasks: &[String]) -> impl Future<Output = Result<Vec<Task>, CallError>>;

    /// The ARN of the task that was started for the attempt `key`, running or stopped, if ECS knows one.
    fn find(&self, cluster: &str, key: &TaskKey) -> impl Future<Output = Result<Option<String>, CallError>>;

    /// Stops a task. One that has ended, or that ECS does not know, stays as it is.
    fn stop(&self, cluster: &str, task: &str, reason: &str) -> impl Future<Output = Result<(), CallError>>;
}
