//! What is found out about a failure. Nothing of it is needed for an alert to go out: what cannot be had is named in it.

mod past;
mod sfn;

use std::future::Future;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::history::Failure;
use signalbox::lock::DynamoLocks;
use signalbox::lock::record::Wish;
use signalbox::lock::store::{Heads, Owners, Queue};

use crate::alert::{Alert, Child, End, Lock, Redrive, Status};

use past::Earlier;
pub use past::REFUSED_MOST;
pub use sfn::{PAGES_MOST, SfnSource};

/// An execution as `ListExecutions` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The execution.
    pub execution: ExecutionArn,
    /// `None`: it runs, or succeeded.
    pub status: Option<Status>,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// How often it was redriven.
    pub redrive: u32,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub entries: Vec<T>,
    /// Where the next one begins, if there is one.
    pub next: Option<String>,
}

/// What `DescribeExecution` tells beyond the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// How it ended, with its error and cause; `None` if it runs or has succeeded.
    pub end: Option<End>,
    /// Whether it may be redriven.
    pub redrive: Redrive,
}

/// Step Functions.
pub trait Source {
    /// Where and why an execution failed, by the end of its history.
    fn failure(&self, execution: &ExecutionArn) -> impl Future<Output = Result<Option<Failure>, CallError>>;

    /// The execution; `None` if it is not known.
    fn describe(&self, execution: &ExecutionArn) -> impl Future<Output = Result<Option<Described>, CallError>>;

    /// A page of the executions of a pipeline, the latest started first; those with this status only, or all.
    fn list(
        &self,
        machine: &StateMachineArn,
        status: Option<&'static str>,
        most: i32,
        from: Option<String>,
    ) -> impl Future<Output = Result<Page<Listed>, CallError>>;

    /// A page of the standard state machines.
    fn machines(&self, from: Option<String>) -> impl Future<Output = Result<Page<StateMachineArn>, CallError>>;
}

/// The locks of the fleet.
pub trait Locks {
    /// Those that the execution has, or had when it failed.
    fn of(&self, execution: &ExecutionArn) -> impl Future<Output = Result<Vec<Lock>, CallError>>;
}

/// Executions of the past that are looked at: one page of `ListExecutions`.
pub const LOOKED_BACK: i32 = 100;

/// Nested executions that are followed.
pub const CHILDREN_MOST: usize = 3;

/// Waiters of a lock that are counted.
const WAITERS_COUNTED: u32 = 1_000;

/// Where and why an execution failed, as far as that can be found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Located {
    /// Where and why.
    pub failure: Option<Failure>,
    /// Why that is not known.
    pub missing: Option<String>,
}

impl Located {
    /// The state that failed.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        let place = self.failure.as_ref()?.places.first()?;
        place.path.last().map(|step| step.state.as_str())
    }
}

/// Finds out where the execution failed: all that grouping needs.
pub async fn locate(source: &impl Source, end: &End) -> Located {
    match source.failure(&end.execution).await {
        Ok(failure) => Located { failure, missing: None },
        Err(error) => Located {
            failure: None,
            missing: Some(missing("where it failed", &error)),
        },
    }
}

/// What an end is an end of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Of {
    /// The pipeline.
    pub pipeline: StateMachineArn,
    /// When the last run of it succeeded in a clone.
    pub resumed: Result<Option<Timestamp>, CallError>,
}

/// Finds out all that an alert says.
pub async fn gather(
    source: &impl Source,
    locks: &impl Locks,
    of: Of,
    mut end: End,
    located: Located,
    input: Option<String>,
) -> Alert {
    let mut unknown: Vec<String> = located.missing.into_iter().collect();
    let mut note = |what: &str, error: &CallError| unknown.push(missing(what, error));
    let redrive = match source.describe(&end.execution).await {
        Ok(Some(described)) => {
            // What an event lacks. If it was redriven since, this is another end.
            if let Some(full) = described.end.filter(|full| full.is_same(&end)) {
                end.error = end.error.or(full.error);
                end.cause = end.cause.or(full.cause);
                end.started = end.started.or(full.started);
            }
            described.redrive
        }
        Ok(None) => Redrive::Unknown,
        Err(error) => {
            note("whether it can be redriven", &error);
            Redrive::Unknown
        }
    };
    let resumed = of.resumed.unwrap_or_else(|error| {
        note("whether a resumed run has succeeded", &error);
        None
    });
    let past = match source.list(&of.pipeline, None, LOOKED_BACK, None).await {
        Ok(page) => {
            let past = Earlier::of(&end, resumed, &page);
            let refused = past.refused(source, &end).await.unwrap_or_else(|error| {
                note("whether those before were refused", &error);
                0
            });
            Some(past.told(refused))
        }
        Err(error) => {
            note("how it fared before", &error);
            None
        }
    };
    let held = match locks.of(&end.execution).await {
        Ok(held) => held,
        Err(error) => {
            note("which locks it has", &error);
            Vec::new()
        }
    };
    let mut children = Vec::new();
    let mut cause = cause_of(located.failure.as_ref(), end.cause.as_deref());
    while children.len() < CHILDREN_MOST {
        let Some(child) = cause.as_deref().and_then(nested) else {
            break;
        };
        if child == end.execution || children.iter().any(|known: &Child| known.execution == child) {
            break;
        }
        let failure = match source.failure(&child).await {
            Ok(failure) => failure,
            Err(error) => {
                note("where the nested execution failed", &error);
                None
            }
        };
        cause = cause_of(failure.as_ref(), None);
        children.push(Child {
            execution: child,
            failure,
        });
    }
    Alert {
        end,
        pipeline: of.pipeline,
        failure: located.failure,
        children,
        past,
        locks: held,
        redrive,
        input,
        missing: unknown,
    }
}

fn missing(what: &str, error: &CallError) -> String {
    tracing::warn!(what, %error, "could not be found out");
    format!("{what}: {error}")
}

/// The cause that the failing state has, else the execution's.
fn cause_of(failure: Option<&Failure>, of_end: Option<&str>) -> Option<String> {
    let place = failure.and_then(|failure| failure.places.first());
    let own = place.and_then(|place| place.cause.clone());
    own.or_else(|| failure.and_then(|failure| failure.cause.clone()))
        .or_else(|| of_end.map(str::to_owned))
}

/// The execution that a state waited for (`startExecution.sync`): its cause is that one's description.
///
/// Source: recorded histories; the cause of `States.TaskFailed` has `ExecutionArn`.
fn nested(cause: &str) -> Option<ExecutionArn> {
    let description: serde_json::Value = serde_json::from_str(cause).ok()?;
    ExecutionArn::parse_with_children(description["ExecutionArn"].as_str()?).ok()
}

impl Locks for DynamoLocks {
    async fn of(&self, execution: &ExecutionArn) -> Result<Vec<Lock>, CallError> {
        let mut locks: Vec<Lock> = Vec::new();
        for owner in self.owned_by(execution).await? {
            let lock = &owner.hold.lock;
            // The guard's own are no locks to people.
            if lock.is_the_guards() || locks.iter().any(|known| known.lock == *lock) {
                continue;
            }
            let Some(head) = self.head(lock).await? else { continue };
            let held = head.holders.contains_key(&owner.ticket);
            // One that was released in time has nothing to do with the failure.
            if held || owner.wish == Wish::Lost {
                let waiting = match head.contended {
                    true => self.count(lock, None, WAITERS_COUNTED).await?,
                    false => 0,
                };
                locks.push(Lock {
                    lock: lock.clone(),
                    held,
                    waiting,
                });
            }
        }
        Ok(locks)
    }
}
