//! A task has ended: its state is answered.
//!
//! The answer is sent, and then noted. Whoever dies in between leaves a record that is open and a token that is closed;
//! the next who comes by sends again, hears that nobody waits, and notes it.

use std::time::Duration;

use signalbox::aws::CallError;
use signalbox::clock::Clock;
use signalbox::ecs::cluster::WatchTasks;
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::Queue;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::plan::ResultFrom;
use signalbox::ecs::record::{Record, Stage, Why};
use signalbox::ecs::store::Records;
use signalbox::ecs::task::Task;
use signalbox::ecs::upload::{result_key, token_key};
use signalbox::ecs::verdict::{Expects, Failure, Verdict, verdict};
use signalbox::tasks::{Sent, Tasks};

use crate::answer::{Found, Json, LINES, answer, cause};
use crate::logs::{Logs, find_result};
use crate::results::Results;
use crate::{Outcome, Settles};

/// How often a call is made that was throttled.
const TRIES: u32 = 5;

/// Before it is made again, and as much again at random.
const PAUSE: Duration = Duration::from_millis(200);

/// How often the last lines of a container are looked for that has none yet,
const LOOKS: u32 = 3;

/// and how long is waited in between.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How long a result is tried to be read until its state is told that it cannot be, unless the state has more time than
/// that: longer than services throttle, and as long as a state waits for a task that does not stop
/// ([`crate::sweep::STOPS_WITHIN`]). ECS knows the task all that time.
pub const READ_WITHIN: Duration = Duration::from_mins(10);

/// Attempts that took over one another's task, one after the other: more than any Retry has.
const CHAIN_MOST: usize = 1_000;

/// What a state is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// It succeeds with this output, a JSON text.
    Success(String),
    /// It fails.
    Failure {
        /// The error.
        error: String,
        /// The cause.
        cause: String,
    },
}

impl<R, E, T, S, L, Q, C> Settles<R, E, T, S, L, Q, C>
where
    R: Records,
    E: WatchTasks,
    T: Tasks,
    S: Results,
    L: Logs,
    Q: Queue,
    C: Clock,
{
    /// A task is as an event says.
    pub async fn task(&self, task: &Task) -> Result<Outcome, Error> {
        let key = task.started_by.as_deref().and_then(TaskKey::of_started_by);
        let Some(key) = key else { return Ok(Outcome::Ignored) };
        loop {
            let record = self.owner(&key).await?;
            if let Some(known) = record.task.as_ref().filter(|known| **known != task.task_arn) {
                // ECS starts one task for a client token.
                tracing::error!(known, task = task.task_arn, "a second task for the same attempt");
                return Ok(Outcome::Ignored);
            }
            if !record.stage.is_open() {
                return Ok(Outcome::Known);
            }
            match self.settle(&record, task).await {
                // A later attempt has taken the task over at this moment: it is the one to be answered.
                Ok(None) => {}
                Ok(Some(outcome)) => return Ok(outcome),
                Err(error) => {
                    self.keep(&record, task).await;
                    return Err(error);
                }
            }
        }
    }

    /// The record that a task belongs to now: of the attempt that started it, or of the last one that took it over.
    async fn owner(&self, key: &TaskKey) -> Result<Record, Error> {
        let mut key = key.clone();
        for _ in 0..CHAIN_MOST {
            match self.records.get(&key).await? {
                Some(Record {
                    stage: Stage::Adopted(by),
                    ..
                }) => key = by,
                Some(record) => return Ok(record),
                // Records are written before their tasks are started: one that is not there yet is a thing of this moment.
                None => break,
            }
        }
        Err(Error::Unavailable(format!("there is no record of the attempt {key}")))
    }

    /// Answers the state, if the task has ended. `None`: a later attempt has taken it over meanwhile.
    pub(crate) async fn settle(&self, record: &Record, task: &Task) -> Result<Option<Outcome>, Error> {
        let told = match verdict(task, &record.plan, why(record)) {
            Verdict::Pending => return Ok(Some(Outcome::Pending)),
            Verdict::Finished { exit_code, result } => self.finished(record, task, exit_code, result).await?,
            Verdict::Failed(failure) => self.failed(record, task, &failure).await,
        };
        self.tell(record, Some(task), &told).await
    }

    async fn finished(&self, record: &Record, task: &Task, exit_code: i32, expects: Expects) -> Result<Told, Error> {
        let found = match self.read_result(record, task).await {
            Ok(found) => found,
            Err(error) if self.is_given_up(record, task) => {
                tracing::error!(executionArn = %record.execution, state = record.state, task = task.task_arn, %error,
                    "a result cannot be read, and its state is told so");
                Found::Unreadable(error)
            }
            Err(error) => {
                self.unread(record).await;
                return Err(error.into());
            }
        };
        match answer(task, &record.plan, &self.bucket, exit_code, expects, found) {
            Ok(output) => Ok(Told::Success(output)),
            Err(failure) => Ok(self.failed(record, task, &failure).await),
        }
    }

    async fn read_result(&self, record: &Record, task: &Task) -> Result<Found, CallError> {
        let plan = &record.plan;
        Ok(match plan.result {
            ResultFrom::S3 => self.results.get(&result_key(&record.origin)).await?.read(),
            ResultFrom::Log => match &plan.logs {
                Some(stream) => match find_result(&self.logs, &self.clock, stream, &task.task_arn).await? {
                    Some(text) => Json::read(text.as_bytes()).map_or_else(Found::Invalid, Found::Value),
                    None => Found::Missing,
                },
                None => Found::Missing,
            },
            // If it did, nobody hears what follows.
            ResultFrom::Token => Found::Missing,
            ResultFrom::None => Found::Nothing,
        })
    }

    /// Whether a result that cannot be read is not tried any longer: it was for long enough, and the time of its state, if
    /// that has one, is up. Counted from the first failure and not from the end, as nobody may have looked since.
    fn is_given_up(&self, record: &Record, task: &Task) -> bool {
        let now = self.clock.now();
        // What was noted before the end is of a task that ECS did not know.
        let since = record
            .missing
            .map(|since| task.ended_at().map_or(since, |ended| since.max(ended)));
        since.is_some_and(|since| now.since(since) >= READ_WITHIN)
            && record.deadline.is_none_or(|deadline| now >= deadline)
    }

    /// Notes since when a result cannot be read. Where that fails too, it is tried for longer.
    async fn unread(&self, record: &Record) {
        if record.missing.is_some() {
            return;
        }
        if let Err(error) = self.records.missing(&record.key, Some(self.clock.now())).await {
            tracing::warn!(executionArn = %record.execution, %error, "since when a result cannot be read is not noted");
        }
    }

    /// What a state is told of a failure: with the last lines of its container, if they can be had.
    pub(crate) async fn failed(&self, record: &Record, task: &Task, failure: &Failure) -> Told {
        Told::Failure {
            error: failure.name.clone(),
            cause: cause(failure, task, &record.plan, &self.last_lines(record, task).await),
        }
    }

    /// The last lines of a container, which come some seconds after it has ended. Without them its state is told all the
    /// same.
    async fn last_lines(&self, record: &Record, task: &Task) -> Vec<String> {
        let Some(stream) = &record.plan.logs else {
            return Vec::new();
        };
        let has_run = task
            .container(&record.plan.container)
            .is_some_and(|container| container.exit_code.is_some());
        for look in 0..LOOKS {
            match self.logs.last_lines(stream, &task.task_arn, LINES).await {
                Ok(lines) if lines.is_empty() && has_run && look + 1 < LOOKS => self.clock.sleep(BETWEEN_LOOKS).await,
                Ok(lines) => return lines,
                Err(error) => {
                    tracing::warn!(executionArn = %record.execution, %error, "the last lines cannot be read");
                    break;
                }
            }
        }
        Vec::new()
    }

    /// Tells the state, and notes it. `None`: a later attempt has taken the task over meanwhile.
    pub(crate) async fn tell(
        &self,
        record: &Record,
        task: Option<&Task>,
        told: &Told,
    ) -> Result<Option<Outcome>, Error> {
        let delivered = self.send(record, told).await?;
        if !self
            .records
            .done(&record.key, delivered, task, self.clock.now())
            .await?
        {
            let now = self.records.get(&record.key).await?;
            return Ok(match now.map(|now| now.stage) {
                Some(Stage::Adopted(_)) => None,
                _ => Some(Outcome::Known),
            });
        }
        if record.plan.result == ResultFrom::Token {
            self.forget_token(record).await;
        }
        let outcome = match delivered {
            true => Outcome::Settled,
            false => Outcome::Unheard,
        };
        let error = match told {
            Told::Success(_) => None,
            Told::Failure { error, .. } => Some(error),
        };
        tracing::info!(executionArn = %record.execution, state = record.state, task = record.task, error,
            outcome = outcome.name(), "a task has ended");
        Ok(Some(outcome))
    }

    /// Whether somebody waited for it.
    pub(crate) async fn send(&self, record: &Record, told: &Told) -> Result<bool, Error> {
        let mut instead = None;
        for again in 0.. {
            let told = instead.as_ref().unwrap_or(told);
            let sent = match told {
                Told::Success(output) => self.tasks.succeed(&record.token, output).await,
                Told::Failure { error, cause } => self.tasks.fail(&record.token, error, cause).await,
            };
            match sent {
                Ok(Sent::Accepted) => return Ok(true),
                Ok(Sent::Closed) => return Ok(false),
                // JSON to us, and not to Step Functions: nor will it be the next time, and the state must not wait for that.
                Err(error) if matches!(told, Told::Success(_)) && error.code.as_deref() == Some("InvalidOutput") => {
                    instead = Some(Told::Failure {
                        error: "Ecs.ResultInvalid".to_owned(),
                        cause: format!("Step Functions does not take what the container left as an output: {error}."),
                    });
                }
                Err(error) if error.is_throttling() && again < TRIES => {
                    self.clock.sleep(PAUSE + self.clock.jitter(PAUSE)).await;
                }
                // If its answer was lost, whether it arrived is seen the next time.
                Ok(Sent::Unknown(error)) | Err(error) => return Err(error.into()),
            }
        }
        unreachable!("it returns")
    }

    /// The end is kept for the sweep: ECS forgets a task an hour after its end, and the queue an event after some tries.
    pub(crate) async fn keep(&self, record: &Record, task: &Task) {
        if verdict(task, &record.plan, why(record)) == Verdict::Pending {
            return;
        }
        if let Err(error) = self.records.ended(&record.key, task).await {
            tracing::warn!(executionArn = %record.execution, %error, "the end of a task could not be kept");
        }
    }

    async fn forget_token(&self, record: &Record) {
        if let Err(error) = self.results.forget_token(&token_key(&record.origin)).await {
            // It is closed, and the bucket's lifecycle removes it.
            warn(record, &error);
        }
    }
}

fn warn(record: &Record, error: &CallError) {
    tracing::warn!(executionArn = %record.execution, %error, "a token that is closed could not be removed");
}

/// Why the task was told to stop, if it was.
pub(crate) fn why(record: &Record) -> Option<Why> {
    match record.stage {
        Stage::Stopping(stop) => Some(stop.why),
        _ => None,
    }
}
