//! What is known of the run, and what is asked.

use std::collections::BTreeMap;

use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::asl::{Definition, Kind};
use signalbox::clock::Timestamp;

use crate::clone::{Fleet, Pinned};
use crate::past::Past;
use crate::refusal::Refusal;

/// What is known of a run.
#[derive(Debug)]
pub struct Facts<'f> {
    /// The execution.
    pub origin: &'f Origin,
    /// The definition that it ran.
    pub executed: &'f Definition,
    /// The definition to go on with.
    pub goes_on_with: &'f Definition,
    /// The same as JSON.
    pub document: &'f Value,
    /// Whether it is another one than that which ran.
    pub differs: bool,
    /// What the run has done. Read with the state of [`Ask::from`] kept.
    pub past: &'f Past,
    /// The fleet's functions.
    pub fleets: &'f Fleets,
    /// The time.
    pub now: Timestamp,
    /// Most bytes of a clone's definition in a request.
    pub most_bytes: usize,
}

/// The execution that is to go on.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its ARN.
    pub execution: ExecutionArn,
    /// How it stands.
    pub status: Status,
    /// Whether its state machine is EXPRESS.
    pub express: bool,
    /// When it started: `$$.Execution.StartTime`, ISO 8601.
    pub started: String,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// `redriveStatusReason`, if Step Functions does not redrive it.
    pub not_redrivable: Option<String>,
    /// Whether its state machine has a KMS key of its own.
    pub has_kms_key: bool,
}

/// How an execution stands: AWS's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `RUNNING`, or `PENDING_REDRIVE`.
    Running,
    /// `SUCCEEDED`.
    Succeeded,
    /// `FAILED`.
    Failed,
    /// `TIMED_OUT`.
    TimedOut,
    /// `ABORTED`.
    Aborted,
}

/// The functions of the fleet that a pipeline's states call, each by its names and ARNs.
#[derive(Debug, Clone, Default)]
pub struct Fleets {
    /// `lock-acquire`.
    pub lock_acquire: Fleet,
    /// `lock-release`.
    pub lock_release: Fleet,
    /// `overlap-guard`.
    pub overlap_guard: Fleet,
    /// The others that must know which execution calls them: `ecs-launch`.
    pub others: Fleet,
}

/// A function of the fleet that matters for what a run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// `lock-acquire`.
    LockAcquire,
    /// `lock-release`.
    LockRelease,
    /// `overlap-guard`.
    OverlapGuard,
}

impl Fleets {
    /// Which of them a name or an ARN is.
    #[must_use]
    pub fn called(&self, function: &str) -> Option<Called> {
        [
            (&self.lock_acquire, Called::LockAcquire),
            (&self.lock_release, Called::LockRelease),
            (&self.overlap_guard, Called::OverlapGuard),
        ]
        .into_iter()
        .find_map(|(fleet, called)| fleet.has(function).then_some(called))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Fleet {
        let each = [
            &self.lock_acquire,
            &self.lock_release,
            &self.overlap_guard,
            &self.others,
        ];
        Fleet::new(each.into_iter().flat_map(Fleet::names).map(str::to_owned))
    }
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Where to go on; at what failed, if nothing is said.
    pub from: Option<From>,
    /// What the state is given in place of what is recorded.
    pub input: Option<Value>,
    /// Variables that are laid over those that are restored.
    pub variables: BTreeMap<String, Value>,
    /// The state is not run: this is its output.
    pub skip_with_output: Option<Value>,
    /// In which way.
    pub mode: Mode,
    /// How Waits go on that were open.
    pub waits: Waits,
    /// Whether the context object's values of the original are written into the clone.
    pub pin: bool,
}

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// The state.
    pub state: String,
    /// Which iteration of the Maps around it, by their names.
    pub iterations: BTreeMap<String, u32>,
}

/// In which way a run goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// By a redrive where that does the same, else by a clone.
    #[default]
    Auto,
    /// By a redrive, or not at all.
    Redrive,
    /// By a clone.
    Clone,
}

/// How Waits go on that were open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Waits {
    /// They wait their whole time again, as with a redrive.
    #[default]
    Full,
    /// They wait until they would have ended.
    Remaining,
    /// They do not wait.
    Skip,
}

impl Ask {
    /// What is asked of the target that its record has otherwise: the request's field.
    pub(super) fn overrides(&self) -> Option<&'static str> {
        [
            ("input", self.input.is_some()),
            ("variables", !self.variables.is_empty()),
            ("skipWithOutput", self.skip_with_output.is_some()),
        ]
        .into_iter()
        .find_map(|(field, given)| given.then_some(field))
    }
}

impl Facts<'_> {
    /// What can be seen without looking at what was done.
    pub(super) fn check(&self, ask: &Ask) -> Result<(), Refusal> {
        if self.origin.express {
            return Err(Refusal::Express(self.origin.execution.to_string()));
        }
        match self.origin.status {
            Status::Running => return Err(Refusal::StillRunning(self.origin.execution.to_string())),
            Status::Succeeded if ask.from.is_none() => return Err(Refusal::NothingFailed),
            _ => {}
        }
        if ask.input.is_some() && ask.skip_with_output.is_some() {
            return Err(Refusal::Ambiguous {
                field: "skipWithOutput",
                why: "a state that is skipped is given no input; leave out input or skipWithOutput".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether a state, which was a Fail in the run, is one in the definition to go on with.
    pub(super) fn still_fails(&self, state: &str) -> bool {
        let state = self.goes_on_with.state(state);
        state.is_none_or(|state| state.kind == Kind::Fail)
    }

    /// The original's values of the context object.
    pub(super) fn pinned(&self) -> Pinned {
        let execution = &self.origin.execution;
        Pinned {
            execution_id: execution.to_string(),
            execution_name: execution.name().to_owned(),
            execution_start_time: self.origin.started.clone(),
            machine_id: execution.machine().to_string(),
            machine_name: execution.machine().name().to_owned(),
        }
    }
}
