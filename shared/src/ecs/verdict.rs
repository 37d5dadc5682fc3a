//! What the end of a task means: by the task as it is told of, and by what was planned.
//!
//! Only the main container counts ([`Plan::container`]): what others exit with fails nothing. The first that holds decides:
//!
//! 1. Signalbox had it stopped: `Ecs.TimedOut`, or `Ecs.Stopped`.
//! 2. A container ran out of memory and was killed for it: `Ecs.OutOfMemory`.
//! 3. It was not started: `Ecs.StartFailed.*`.
//! 4. It was ended from outside: `Ecs.Interrupted` by AWS, `Ecs.Stopped` by people. Where it exited with 0 all the same, and
//!    was to leave a result, the result tells whether it had finished.
//! 5. It ended by itself: its exit code decides, and what [`Plan::on_exit`] makes of it.

use std::fmt;

use super::plan::{OnExit, Plan, ResultFrom};
use super::record::Why;
use super::start_failure::StartFailure;
use super::task::{Container, Task};

/// What the end of a task means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has not ended, or how is not known yet.
    Pending,
    /// It ended as it should.
    Finished {
        /// What the main container exited with.
        exit_code: i32,
        /// What is to be made of its result.
        result: Expects,
    },
    /// It failed.
    Failed(Failure),
}

/// What is to be made of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expects {
    /// Without its declared result it failed.
    Required,
    /// An exit code that was declared a success: a result if there is one.
    Optional,
    /// It was ended from outside, with exit code 0: it succeeded only if its declared result is there; else this.
    Decides(Failure),
}

/// How a task failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The name that an ASL `ErrorEquals` matches.
    pub name: String,
    /// What happened.
    pub sentence: String,
    /// What to do.
    pub advice: String,
    /// What the main container exited with, if it did.
    pub exit_code: Option<i32>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sentence, self.advice)
    }
}

/// What `SIGKILL` makes of an exit code.
const KILLED: i32 = 137;

/// What `SIGTERM` makes of one.
const TERMINATED: i32 = 143;

/// Longest reason that is quoted, in characters.
const REASON_CHARS: usize = 2_000;

/// What a container's reason begins with that was killed for its memory, whatever it exited with.
///
/// Source: ECS developer guide, "Stopped tasks error codes" (`OutOfMemoryError`); the agent sets it by Docker's `OOMKilled`.
const OUT_OF_MEMORY: &str = "OutOfMemoryError";

/// What the reason of a container begins with that was never started, whatever became of the others.
///
/// Source: ECS developer guide, "Stopped tasks error codes".
const NEVER_STARTED: [&str; 4] = [
    "CannotStartContainerError",
    "CannotPull",
    "CannotCreate",
    "ResourceInitializationError",
];

/// Who ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// A container of its own did, by exiting.
    Itself,
    /// Nobody: it did not come to that.
    NotStarted,
    /// A person, or somebody else with `StopTask`.
    Stopped,
    /// AWS did: Spot, the host, the infrastructure, and whatever codes are still to come.
    Interrupted,
}

impl Ended {
    /// The stop code is an open list: what is not known was not the container's own doing.
    ///
    /// Source: ECS API reference, `Task` (`stopCode`). That a host was terminated may be told by the reason alone.
    fn of(task: &Task) -> Self {
        let reason = task.stopped_reason.as_deref().unwrap_or_default();
        if reason.starts_with("Host EC2 (instance") {
            return Self::Interrupted;
        }
        match task.stop_code.as_deref() {
            None | Some("" | "EssentialContainerExited") => Self::Itself,
            Some("TaskFailedToStart") => Self::NotStarted,
            Some("UserInitiated") => Self::Stopped,
            Some(_) => Self::Interrupted,
        }
    }
}

/// What the end of `task` means; `stop`: why Signalbox had it stopped, if it did.
#[must_use]
pub fn verdict(task: &Task, plan: &Plan, stop: Option<Why>) -> Verdict {
    let case = Case {
        task,
        plan,
        main: task.container(&plan.container),
    };
    match case.has_ended() {
        true => case.decide(stop),
        false => Verdict::Pending,
    }
}

/// What is decided on.
struct Case<'a> {
    task: &'a Task,
    plan: &'a Plan,
    main: Option<&'a Container>,
}

impl Case<'_> {
    fn exit_code(&self) -> Option<i32> {
        self.main?.exit_code
    }

    fn reason(&self) -> Option<&str> {
        self.main?.reason.as_deref().filter(|reason| !reason.trim().is_empty())
    }

    /// A stop that was only announced is no end: `lastStatus` is then `RUNNING`. The exit code is there some ten seconds
    /// before all is cleared away, and does not change any more; without one, `STOPPED` is waited for.
    ///
    /// Source: ECS developer guide, "Amazon ECS task lifecycle"; recorded events.
    fn has_ended(&self) -> bool {
        match self.task.last_status.as_str() {
            "STOPPED" | "DELETED" => true,
            "DEPROVISIONING" => self.exit_code().is_some(),
            "STOPPING" | "DEACTIVATING" => self.exit_code().is_some() && self.stop_code().is_some(),
            _ => false,
        }
    }

    fn stop_code(&self) -> Option<&str> {
        self.task.stop_code.as_deref().filter(|code| !code.is_empty())
    }

    fn decide(&self, stop: Option<Why>) -> Verdict {
        if let Some(why) = stop {
            return Verdict::Failed(self.stopped_by_signalbox(why));
        }
        let (ended, code) = (Ended::of(self.task), self.exit_code());
        if self.is_out_of_memory(ended) {
            return Verdict::Failed(self.out_of_memory());
        }
        match (ended, code) {
            (Ended::Itself, Some(0)) => Verdict::Finished {
                exit_code: 0,
                result: Expects::Required,
            },
            (Ended::Itself, Some(code)) => self.exited(code),
            (_, Some(0)) => self.doubtful(self.ended_from_outside(ended)),
            (Ended::NotStarted, _) => Verdict::Failed(self.not_started()),
            (_, None) if self.was_never_started() => Verdict::Failed(self.not_started()),
            (Ended::Itself, None) => Verdict::Failed(self.no_exit_code()),
            (Ended::Interrupted | Ended::Stopped, _) => Verdict::Failed(self.ended_from_outside(ended)),
        }
    }

    /// Killed for its memory. A container may exit in another way after that has befallen one of its processes: if that is
    /// mapped, or a success, that counts.
    fn is_out_of_memory(&self, ended: Ended) -> bool {
        let says_so = self.reason().is_some_and(|reason| reason.starts_with(OUT_OF_MEMORY));
        says_so
            && match self.exit_code() {
                None | Some(KILLED) => true,
                Some(0) => false,
                Some(code) => ended == Ended::Itself && !self.plan.on_exit.contains_key(&code),
            }
    }

    /// Whether the main container's reason tells that it was not started.
    fn was_never_started(&self) -> bool {
        self.reason().is_some_and(|reason| {
            NEVER_STARTED.iter().any(|start| reason.starts_with(start))
                || (Ended::of(self.task) == Ended::Itself && self.task.started_at.is_none())
        })
    }

    /// It ended by itself, and not with 0.
    fn exited(&self, code: i32) -> Verdict {
        let culprit = self.culprit(code);
        // Whoever was taken along did not choose its exit code.
        let mapped = match culprit {
            Some(Culprit::Certain(_)) => None,
            _ => self.plan.on_exit.get(&code),
        };
        let name = match mapped {
            Some(OnExit::Succeed) => {
                return Verdict::Finished {
                    exit_code: code,
                    result: Expects::Optional,
                };
            }
            Some(OnExit::Fail(name)) => name.clone(),
            None => format!("Ecs.ExitCode.{code}"),
        };
        let mut sentence = format!("{}{}.", self.exited_with(code), because(self.reason()));
        if let Some(Culprit::Certain(other) | Culprit::Possible(other)) = culprit {
            sentence = format!(
                "{sentence} The container {} exited with {}{}: if it is an essential one and ended first, ECS then stopped \
                 this one.",
                other.name,
                other.exit_code.unwrap_or_default(),
                because(other.reason.as_deref()),
            );
        }
        let advice = match culprit {
            Some(Culprit::Certain(_)) => {
                "See why the other container ended; one that the task can do without should not be essential."
            }
            _ => advice_on(code),
        };
        Verdict::Failed(self.failure(name, sentence, advice))
    }

    /// The container whose end may have been the reason for that of the main one, which was stopped by a signal.
    fn culprit(&self, code: i32) -> Option<Culprit<'_>> {
        if code != KILLED && code != TERMINATED {
            return None;
        }
        let others = || {
            let is_main = |container: &&Container| container.name == self.plan.container;
            self.task.containers.iter().filter(move |other| !is_main(other))
        };
        let failed = |other: &&Container| {
            let memory = other
                .reason
                .as_deref()
                .is_some_and(|reason| reason.starts_with(OUT_OF_MEMORY));
            memory || !matches!(other.exit_code, None | Some(0 | KILLED | TERMINATED))
        };
        if let Some(other) = others().find(failed) {
            return Some(Culprit::Certain(other));
        }
        // Whoever sends SIGTERM is ECS, mostly.
        match code == TERMINATED {
            true => others().find(|other| other.exit_code == Some(0)).map(Culprit::Possible),
            false => None,
        }
    }

    /// It exited with 0, though it was ended from outside: only a result proves that it had finished.
    fn doubtful(&self, failure: Failure) -> Verdict {
        match self.plan.result {
            ResultFrom::S3 | ResultFrom::Log => Verdict::Finished {
                exit_code: 0,
                result: Expects::Decides(failure),
            },
            ResultFrom::Token | ResultFrom::None => Verdict::Failed(failure),
        }
    }

    fn stopped_by_signalbox(&self, why: Why) -> Failure {
        let state = self.state();
        match why {
            Why::TimedOut => self.failure(
                "Ecs.TimedOut",
                format!("The task was stopped because its timeoutSeconds were over: {state}."),
                "See in its log where the time went, or raise timeoutSeconds.",
            ),
            Why::NotStarted => self.failure(
                "Ecs.StartFailed.Other",
                format!("ECS refused to start the task, and another call had started it all the same, so that it was stopped: {state}."),
                "The log of ecs-launch has the reason of the refusal; a retry asks ECS again.",
            ),
            Why::Unwanted | Why::ExecutionEnded | Why::Replaced => {
                let why = why.for_people();
                let why = why.strip_prefix("Signalbox: ").unwrap_or(why);
                self.failure(
                    "Ecs.Stopped",
                    format!("The task was stopped by Signalbox ({why}): {state}."),
                    "Nothing is to be done: nobody waits for it.",
                )
            }
        }
    }

    fn ended_from_outside(&self, ended: Ended) -> Failure {
        let reason = because(self.task.stopped_reason.as_deref());
        let code = self.stop_code().unwrap_or("no stop code");
        let state = self.state();
        match ended {
            Ended::Stopped => self.failure(
                "Ecs.Stopped",
                format!("Somebody stopped the task ({code}{reason}): {state}."),
                "See in CloudTrail who called StopTask; retry it if that was not meant.",
            ),
            Ended::NotStarted => self.not_started(),
            Ended::Interrupted | Ended::Itself => self.failure(
                "Ecs.Interrupted",
                format!("The task was ended from outside ({code}{reason}): {state}."),
                "Retry it; what must not be interrupted should not run on Spot capacity.",
            ),
        }
    }

    fn out_of_memory(&self) -> Failure {
        self.failure(
            "Ecs.OutOfMemory",
            format!(
                "{} was killed because it ran out of memory{}{}.",
                self.who(),
                self.exit_code()
                    .map_or_else(String::new, |code| format!(" (exit code {code})")),
                because(self.reason()),
            ),
            "Give the task and the container more memory, or let it use less.",
        )
    }

    /// By the reason of the main container, else another's, else the task's.
    fn not_started(&self) -> Failure {
        let task = self.task;
        let given = |container: &Container| container.reason.clone().filter(|reason| !reason.trim().is_empty());
        let other = || {
            let found = |other: &Container| given(other).map(|reason| (other.name.clone(), reason));
            task.containers.iter().find_map(found)
        };
        let (of, reason) = match (self.reason(), other()) {
            (Some(reason), _) => (String::new(), reason.to_owned()),
            (None, Some((name, reason))) => (format!(", because of its container {name}"), reason),
            (None, None) => (String::new(), task.stopped_reason.clone().unwrap_or_default()),
        };
        let StartFailure { kind, reason } = StartFailure::of_reason(&reason);
        let state = match self.exit_code() {
            Some(code) => format!("; its container {} exited with {code}", self.plan.container),
            None => String::new(),
        };
        self.failure(
            kind.name(),
            format!(
                "A task of {} was not started{of}{}{state}.",
                self.definition(),
                because(Some(&reason))
            ),
            kind.advice(),
        )
    }

    fn no_exit_code(&self) -> Failure {
        let task = self.task;
        let reason = self.reason().or(task.stopped_reason.as_deref());
        let others: Vec<String> = task.containers.iter().map(told).collect();
        let others = others.join(", ");
        let sentence = match (self.main, others.is_empty()) {
            (Some(_), _) => format!(
                "The task ended, and ECS gives no exit code of {}{}; its containers: {others}.",
                lower(&self.who()),
                because(reason)
            ),
            (None, false) => format!(
                "The task ended, and ECS knows no container {} of {}{}; there are: {others}.",
                self.plan.container,
                self.definition(),
                because(reason)
            ),
            (None, true) => format!(
                "The task ended, and ECS tells nothing of its containers: {} never ran, as far as is known{}.",
                lower(&self.who()),
                because(reason)
            ),
        };
        self.failure(
            "Ecs.NoExitCode",
            sentence,
            "Whether it did its work is not known: see its log, then retry.",
        )
    }

    fn failure(&self, name: impl Into<String>, sentence: String, advice: &str) -> Failure {
        Failure {
            name: name.into(),
            sentence,
            advice: advice.to_owned(),
            exit_code: self.exit_code(),
        }
    }

    fn who(&self) -> String {
        who(self.plan)
    }

    fn definition(&self) -> &str {
        definition(self.plan)
    }

    fn exited_with(&self, code: i32) -> String {
        format!("{} exited with {code}", self.who())
    }

    /// How the main container stood at the end, within a sentence.
    fn state(&self) -> String {
        match (self.exit_code(), self.reason()) {
            (Some(code), reason) => format!("{}{}", lower(&self.exited_with(code)), because(reason)),
            (None, Some(reason)) => format!("{} has no exit code{}", lower(&self.who()), because(Some(reason))),
            (None, None) => format!("{} has no exit code", lower(&self.who())),
        }
    }
}

/// The container that counts, as sentences begin with it: `The container app of etl-transform:7`.
#[must_use]
pub fn who(plan: &Plan) -> String {
    format!("The container {} of {}", plan.container, definition(plan))
}

/// The task definition: `etl-transform:7`.
fn definition(plan: &Plan) -> &str {
    let arn = &plan.task_definition;
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Whose end may have been the reason for another's.
enum Culprit<'a> {
    /// It failed.
    Certain(&'a Container),
    /// It ended well, perhaps first.
    Possible(&'a Container),
}

fn lower(sentence: &str) -> String {
    sentence.replacen("The", "the", 1)
}

/// `: this and that`, if a reason is given.
fn because(reason: Option<&str>) -> String {
    let reason = reason.unwrap_or_default().trim().trim_end_matches('.');
    match reason.char_indices().nth(REASON_CHARS) {
        _ if reason.is_empty() => String::new(),
        Some((at, _)) => format!(": {}…", &reason[..at]),
        None => format!(": {reason}"),
    }
}

/// `log_router (exit code 0)`.
fn told(container: &Container) -> String {
    let Container { name, exit_code, .. } = container;
    match exit_code {
        Some(code) => format!("{name} (exit code {code})"),
        None => format!("{name} (no exit code{})", because(container.reason.as_deref())),
    }
}

fn advice_on(code: i32) -> &'static str {
    match code {
        126 => {
            "Its command was found but cannot be executed: check the file's mode, and that it is built for the task's \
             architecture."
        }
        127 => "Its command was not found: check the command, and what is in the image.",
        KILLED => {
            "It was killed (SIGKILL): by too little memory, mostly, or because it did not end within its stopTimeout after \
             a SIGTERM."
        }
        139 => "It crashed (SIGSEGV): look at its native libraries, and at the architecture of its image.",
        TERMINATED => {
            "It was told to end (SIGTERM): by another of its task's containers ending, or by a process in it."
        }
        _ => "See its log; onExit can give the exit code a name of its own, or make it a success.",
    }
}

#[cfg(test)]
mod tests;
