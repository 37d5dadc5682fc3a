//! Starts the task of a record. Whoever starts it, and however often: it is the same task.

use std::time::Duration;

use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::cluster::{Run, StartTasks, WatchTasks};
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::Queue;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::record::{Record, Stage, Why};
use signalbox::ecs::start_failure::StartFailure;
use signalbox::ecs::store::Records;
use signalbox::ecs::task::Task;
use signalbox::failure::Failure;
use signalbox::tasks::{Sent, Tasks};

use crate::places::Places;
use crate::{Launches, Outcome};

/// How long an invocation tries while ECS starts no more tasks. Then the queue goes on with it.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Before a throttled call is made again: twice as long each time, up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// How often a call is made whose answer was lost.
const TRIES: u32 = 3;

/// How often a state is told that its task was not started, at most.
const TELLS: u32 = 5;

/// Time that is left for the answer when trying ends.
const MARGIN: Duration = Duration::from_secs(5);

impl<R, E, T, P, Q, C> Launches<R, E, T, P, Q, C>
where
    R: Records,
    E: StartTasks + WatchTasks,
    T: Tasks,
    P: Places,
    Q: Queue,
    C: Clock,
{
    /// Goes on with a launch that was handed over.
    pub async fn handed_over(&self, key: &TaskKey, deadline: Timestamp) -> Result<Outcome, Error> {
        // The record is written before anything is handed over, and kept for a month after the end.
        let Some(record) = self.records.get(key).await? else {
            return Ok(Outcome::Gone);
        };
        match self.go_on(&record, deadline).await {
            Err(denied @ Error::AccessDenied(_)) => self.deny(&record, denied).await,
            done => done,
        }
    }

    /// Tells the state what it would have heard if it had called the function: the queue hears of an error and tells nobody,
    /// and trying again does not help.
    async fn deny(&self, record: &Record, denied: Error) -> Result<Outcome, Error> {
        let is_claimed = self.records.refused(&record.key, self.clock.now()).await?;
        if !is_claimed {
            // Another invocation was quicker: what it did is seen when the message comes again.
            return Err(denied);
        }
        tracing::error!(executionArn = %record.execution, state = record.state, error = %denied,
            "a launch that was handed over is denied");
        self.tell(record, denied.name(), &denied.to_string()).await
    }

    /// Starts the task of a record that is launching.
    pub(crate) async fn start(&self, record: &Record, deadline: Timestamp) -> Result<Outcome, Error> {
        if !self.is_alone(record, deadline).await? {
            return Ok(Outcome::Gone);
        }
        let until = self.clock.now().after(PATIENCE).min(deadline.before(MARGIN));
        let (mut pause, longest) = PAUSES;
        let mut lost = 0;
        loop {
            // Whoever decides against it says so in the record before it looks for a task: what is left to chance is a call
            // that is under way.
            match self.records.get(&record.key).await?.map(|now| now.stage) {
                Some(Stage::Launching) => {}
                Some(Stage::Running) => return Ok(Outcome::Launched),
                _ => return Ok(Outcome::Gone),
            }
            match self.cluster.run(&record.plan, &record.origin).await {
                Ok(Run::Started(task)) => return self.note_started(record, &task).await,
                Ok(Run::Refused(failure)) => return self.fail(record, &failure).await,
                Ok(Run::Throttled(_)) => {
                    let next = pause / 2 + self.clock.jitter(pause);
                    if self.clock.now().after(next) > until {
                        self.queue.hand_over(&record.key).await?;
                        return Ok(Outcome::Queued);
                    }
                    self.clock.sleep(next).await;
                    pause = (pause * 2).min(longest);
                }
                Err(error) if error.is_access_denied() => return Err(error.into()),
                Err(error) => {
                    lost += 1;
                    if lost >= TRIES || self.clock.now().after(pause) > until {
                        return Err(error.into());
                    }
                    self.clock.sleep(pause / 2 + self.clock.jitter(pause)).await;
                }
            }
        }
    }

    async fn note_started(&self, record: &Record, task: &Task) -> Result<Outcome, Error> {
        if self.records.started(&record.key, &task.task_arn).await? {
            return Ok(Outcome::Launched);
        }
        let Some(now) = self.records.get(&record.key).await? else {
            return Ok(Outcome::Gone);
        };
        match now.stage {
            // Another invocation has noted it.
            Stage::Launching | Stage::Running => Ok(Outcome::Launched),
            // Whoever decided that did not know the task.
            Stage::Stopping(stop) => {
                let reason = stop.why.for_people();
                self.cluster.stop(&record.plan.cluster, &task.task_arn, reason).await?;
                Ok(Outcome::Gone)
            }
            // It was quicker than this invocation; or nobody waited any more.
            Stage::Done { .. } => {
                if !task.has_stopped() && !self.is_awaited(&record.token).await? {
                    self.cluster
                        .stop(&record.plan.cluster, &task.task_arn, Why::Unwanted.for_people())
                        .await?;
                }
                Ok(Outcome::Settled)
            }
            Stage::Adopted(_) => Ok(Outcome::Gone),
        }
    }

    /// Tells the state that its task was not started. The record stays open for a while: another invocation of the same
    /// attempt may have started it at this moment, and then the sweep stops it.
    async fn fail(&self, record: &Record, failure: &StartFailure) -> Result<Outcome, Error> {
        if !self.records.refused(&record.key, self.clock.now()).await? {
            // Another invocation was quicker, and what it did counts.
            return Ok(Outcome::Launched);
        }
        tracing::warn!(executionArn = %record.execution, state = record.state, error = failure.kind.name(),
            reason = failure.reason, "the task was not started");
        self.tell(record, failure.kind.name(), &failure.cause()).await
    }

    /// Fails the state. Where that is throttled, or its answer lost, once more: if the first one arrived, the second finds the
    /// token closed. Whoever comes after this invocation does not know why the task was not started.
    async fn tell(&self, record: &Record, error: &str, cause: &str) -> Result<Outcome, Error> {
        let (pause, _) = PAUSES;
        let mut tries = 1;
        loop {
            match self.tasks.fail(&record.token, error, cause).await {
                Ok(Sent::Accepted | Sent::Closed) => return Ok(Outcome::Failed),
                Ok(Sent::Unknown(failed)) | Err(failed) => {
                    if failed.is_access_denied() || tries == TELLS {
                        return Err(failed.into());
                    }
                }
            }
            tries += 1;
            self.clock.sleep(pause + self.clock.jitter(pause)).await;
        }
    }
}
