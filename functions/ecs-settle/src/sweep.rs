//! Each minute: tasks whose end nobody heard of are settled, those that run are vouched for, those that nobody wants are
//! stopped, and launches that got lost are gone on with.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::cluster::{DESCRIBE_MOST, WatchTasks};
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::Queue;
use signalbox::ecs::plan::ResultFrom;
use signalbox::ecs::record::{Record, Stage, Why};
use signalbox::ecs::store::Records;
use signalbox::ecs::task::Task;
use signalbox::ecs::verdict::{Failure, Verdict, verdict};
use signalbox::tasks::{Sent, Tasks};

use crate::logs::Logs;
use crate::results::Results;
use crate::settle::{Told, why};
use crate::{Outcome, Settles};

/// How long a launch may take before somebody asks what became of it: longer than any invocation lives.
pub const LAUNCHED_WITHIN: Duration = Duration::from_mins(2);

/// How often a launch that waits in the queue is put into it again, in case it got lost.
pub const RELAUNCHED_EVERY: Duration = Duration::from_mins(5);

/// How long the sweep waits before it looks again: the schedule of `template.yaml`.
pub const EVERY: Duration = Duration::from_mins(1);

/// How long ECS may not know a task until it is taken for lost: as long as it knows a task that has stopped.
///
/// Source: ECS API reference, `DescribeTasks` ("stopped tasks appear in the returned results for at least one hour").
pub const LOST_AFTER: Duration = Duration::from_hours(1);

/// How long a task may take to stop until its state is told that its time was up, without it.
pub const STOPS_WITHIN: Duration = Duration::from_mins(10);

/// How many tasks are looked after at the same time.
const AT_ONCE: usize = 20;

/// Time that is left for the answer when the sweep ends; the next one begins elsewhere.
const MARGIN: Duration = Duration::from_secs(4);

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Tasks that are to be looked after.
    pub open: u64,
    /// Those that run, and whose states were sent a heartbeat.
    pub beating: u64,
    /// Those that had ended, and whose states were answered.
    pub settled: u64,
    /// Those that were told to stop.
    pub stopped: u64,
    /// Launches that were put into the queue again.
    pub relaunched: u64,
    /// Those that ECS has not known for an hour.
    pub lost: u64,
    /// Those with which something went wrong: the next sweep looks again.
    pub failed: u64,
    /// Those for which there was no time.
    pub left: u64,
}

/// What was done with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Beat,
    Settled,
    Stopped,
    Relaunched,
    Lost,
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
    /// Looks after every open record.
    pub async fn sweep(&self, deadline: Timestamp) -> Result<Swept, Error> {
        let open = turned(self.records.open().await?, self.clock.nonce());
        let swept = RefCell::new(Swept {
            open: u64::try_from(open.len()).unwrap_or(u64::MAX),
            ..Swept::default()
        });
        let until = deadline.before(MARGIN);
        // Those that ECS has to be asked about are asked about together.
        let clusters: Vec<_> = by_cluster(&open).into_iter().collect();
        for (cluster, records) in turned(clusters, self.clock.nonce()) {
            for records in records.chunks(DESCRIBE_MOST) {
                if self.clock.now() > until {
                    swept.borrow_mut().left += u64::try_from(records.len()).unwrap_or(0);
                    continue;
                }
                let seen = self.describe(cluster, records).await;
                let look = records
                    .iter()
                    .copied()
                    .map(|record| self.look_after_one(record, seen.as_ref(), until, &swept));
                futures_util::stream::iter(look)
                    .buffer_unordered(AT_ONCE)
                    .collect::<()>()
                    .await;
            }
        }
        Ok(swept.into_inner())
    }

    /// The tasks of these records that ECS knows, by their ARNs. `None`: it could not be asked.
    async fn describe(&self, cluster: &str, records: &[&Record]) -> Option<HashMap<String, Task>> {
        let arns: Vec<String> = records.iter().filter_map(|record| record.task.clone()).collect();
        if arns.is_empty() {
            return Some(HashMap::new());
        }
        match self.cluster.describe(cluster, &arns).await {
            Ok(tasks) => Some(tasks.into_iter().map(|task| (task.task_arn.clone(), task)).collect()),
            Err(error) => {
                // Their states wait on: they are vouched for all the same.
                tracing::error!(cluster, %error, "tasks cannot be looked at");
                None
            }
        }
    }

    async fn look_after_one(
        &self,
        record: &Record,
        seen: Option<&HashMap<String, Task>>,
        until: Timestamp,
        swept: &RefCell<Swept>,
    ) {
        if self.clock.now() > until {
            swept.borrow_mut().left += 1;
            return;
        }
        let task = record.task.as_ref().and_then(|arn| seen?.get(arn));
        let was_asked = seen.is_some() || record.task.is_none();
        let done = self.look_after(record, task, was_asked).await;
        let mut swept = swept.borrow_mut();
        match done {
            Ok(Did::Beat) => swept.beating += 1,
            Ok(Did::Settled) => swept.settled += 1,
            Ok(Did::Stopped) => swept.stopped += 1,
            Ok(Did::Relaunched) => swept.relaunched += 1,
            Ok(Did::Lost) => swept.lost += 1,
            Err(error) => {
                swept.failed += 1;
                tracing::error!(executionArn = %record.execution, state = record.state, %error, "a task cannot be looked after");
            }
        }
    }

    /// `was_asked`: without it nothing is known of the task, not even that ECS does not know it.
    async fn look_after(&self, record: &Record, task: Option<&Task>, was_asked: bool) -> Result<Did, Error> {
        let ended = [task, record.ended.as_ref()].into_iter().flatten();
        let mut ended = ended.filter(|task| verdict(task, &record.plan, why(record)) != Verdict::Pending);
        if let Some(task) = ended.next() {
            return match self.settle(record, task).await {
                Ok(_) => Ok(Did::Settled),
                Err(error) => self.put_off(record, task, error).await,
            };
        }
        let now = self.clock.now();
        if was_asked && record.task.is_some() && task.is_none() {
            if record.missing.is_some_and(|since| now.since(since) >= LOST_AFTER) {
                return self.lost(record).await;
            }
            if record.missing.is_none() && now.since(record.at) >= LAUNCHED_WITHIN {
                self.records.missing(&record.key, Some(now)).await?;
            }
        } else if was_asked && record.missing.is_some() {
            self.records.missing(&record.key, None).await?;
        }
        if let Stage::Stopping(stop) = record.stage {
            return self.stop_again(record, stop.why, stop.since, now).await;
        }
        if record.deadline.is_some_and(|deadline| now >= deadline) {
            self.stop(record, Why::TimedOut).await?;
            return Ok(Did::Stopped);
        }
        if record.stage == Stage::Launching && now.since(record.at) >= LAUNCHED_WITHIN {
            self.find_launched(record, now).await?;
        }
        let done = self.vouch(record, now).await?;
        match was_asked {
            true => Ok(done),
            false => Err(Error::Unavailable("its task could not be looked at".to_owned())),
        }
    }

    /// A task has ended, and an `error` keeps its state from being told how: it hears that it is worked on, and its end is
    /// kept for when ECS has forgotten it. An end that nobody waits for is noted.
    async fn put_off(&self, record: &Record, task: &Task, error: Error) -> Result<Did, Error> {
        if record.ended.is_none() {
            self.keep(record, task).await;
        }
        match self.tasks.beat(&record.token).await {
            // A later attempt may take it over. A token in the bucket goes only with an answer.
            Ok(Sent::Closed) if record.plan.result != ResultFrom::Token => {
                let now = self.clock.now();
                self.records.done(&record.key, false, Some(task), now).await?;
                Ok(Did::Settled)
            }
            Ok(_) => Err(error),
            Err(silent) => {
                tracing::warn!(executionArn = %record.execution, error = %silent, "a state is not vouched for");
                Err(error)
            }
        }
    }

    /// Tells the state that its task runs, on its behalf. A task that nobody waits for is stopped.
    async fn vouch(&self, record: &Record, now: Timestamp) -> Result<Did, Error> {
        match self.tasks.beat(&record.token).await? {
            Sent::Accepted if is_due(record, now) => {
                self.queue.hand_over(&record.key).await?;
                Ok(Did::Relaunched)
            }
            Sent::Accepted => Ok(Did::Beat),
            Sent::Closed => {
                self.stop(record, Why::Unwanted).await?;
                Ok(Did::Stopped)
            }
            Sent::Unknown(error) => Err(error.into()),
        }
    }

    /// A launch of which nothing was noted: the task may have been started all the same.
    async fn find_launched(&self, record: &Record, now: Timestamp) -> Result<(), Error> {
        // Those that wait for their turn in a long queue are many, and ECS is not asked about each of them each minute.
        if now.since(record.at) >= LAUNCHED_WITHIN + EVERY && !is_due(record, now) {
            return Ok(());
        }
        if let Some(task) = self.cluster.find(&record.plan.cluster, &record.origin).await? {
            self.records.started(&record.key, &task).await?;
        }
        Ok(())
    }

    /// A task that was told to stop, and has not ended.
    async fn stop_again(&self, record: &Record, why: Why, since: Timestamp, now: Timestamp) -> Result<Did, Error> {
        let task = self.task_of(record).await?;
        let late = now.since(since);
        let mut failed = None;
        match &task {
            Some(task) => match self.cluster.stop(&record.plan.cluster, task, why.for_people()).await {
                Ok(()) if record.task.is_none() => self.settle_found(record, task).await?,
                Ok(()) => {}
                // Its state is told all the same, once it is late.
                Err(error) => failed = Some(Error::from(error)),
            },
            // It was never started, and nobody starts it any more.
            None if late >= LAUNCHED_WITHIN => {
                let told = match why {
                    Why::NotStarted => self.not_started(record).await,
                    _ => self.timed_out(record).await,
                };
                self.tell(record, None, &told).await?;
                return Ok(Did::Settled);
            }
            None => {}
        }
        if late >= STOPS_WITHIN {
            tracing::error!(executionArn = %record.execution, state = record.state, task, "a task does not stop");
            if why == Why::TimedOut {
                // The record stays open: the task is still to be stopped.
                let told = self.timed_out(record).await;
                self.send(record, &told).await?;
            }
        }
        failed.map_or(Ok(Did::Stopped), Err)
    }

    /// A task that was started by an invocation that died before it noted it, and that has to be stopped.
    async fn settle_found(&self, record: &Record, task: &str) -> Result<(), Error> {
        let seen = self.cluster.describe(&record.plan.cluster, &[task.to_owned()]).await?;
        match seen.first() {
            Some(task) => self.settle(record, task).await.map(drop),
            None => Ok(()),
        }
    }

    async fn timed_out(&self, record: &Record) -> Told {
        let failure = Failure {
            name: "Ecs.TimedOut".to_owned(),
            sentence: match &record.task {
                Some(task) => format!("The time of {task} was up, and it has not stopped since."),
                None => "The time was up before the task could be started.".to_owned(),
            },
            advice: match record.task {
                Some(_) => "Look at the task in the ECS console: it may have to be stopped by hand.".to_owned(),
                None => {
                    "More tasks were launched than ECS starts: launch fewer at once, or give them more time.".to_owned()
                }
            },
            exit_code: None,
        };
        self.failed(record, &known(record), &failure).await
    }

    /// Its state was told, mostly: this is heard only if whoever was to say it died before.
    async fn not_started(&self, record: &Record) -> Told {
        let failure = Failure {
            name: "Ecs.StartFailed.Other".to_owned(),
            sentence: "ECS refused to start the task, and the invocation that was to say why died before it did."
                .to_owned(),
            advice: "The log of ecs-launch may have the reason; a retry asks ECS again.".to_owned(),
            exit_code: None,
        };
        self.failed(record, &known(record), &failure).await
    }

    async fn lost(&self, record: &Record) -> Result<Did, Error> {
        let failure = Failure {
            name: "Ecs.Lost".to_owned(),
            sentence: format!(
                "ECS has not known {} for an hour, and no event told how it ended.",
                record.task.as_deref().unwrap_or("the task")
            ),
            advice: "See in its log whether it did its work; a retry runs it again.".to_owned(),
            exit_code: None,
        };
        let told = self.failed(record, &known(record), &failure).await;
        Ok(match self.tell(record, None, &told).await? {
            Some(Outcome::Settled | Outcome::Unheard) => Did::Lost,
            _ => Did::Settled,
        })
    }
}

/// What is known of a task that cannot be looked at.
fn known(record: &Record) -> Task {
    Task {
        task_arn: record.task.clone().unwrap_or_default(),
        ..Task::default()
    }
}

/// Whether a launch that waits in the queue is put into it again in this sweep: now and then, for as long as no two sweeps
/// can step over. Once more than needed does no harm.
fn is_due(record: &Record, now: Timestamp) -> bool {
    let age = now.since(record.at);
    record.stage == Stage::Launching
        && age >= RELAUNCHED_EVERY
        && age.as_secs() % RELAUNCHED_EVERY.as_secs() < 2 * EVERY.as_secs()
}

/// The same, from somewhere else each time: if there is no time for all, none of them is left out again and again.
fn turned<T>(mut all: Vec<T>, nonce: u64) -> Vec<T> {
    let len = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
    all.rotate_left(usize::try_from(nonce % len).unwrap_or(0));
    all
}

fn by_cluster(records: &[Record]) -> BTreeMap<&str, Vec<&Record>> {
    let mut clusters: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        clusters.entry(&record.plan.cluster).or_default().push(record);
    }
    clusters
}

#[cfg(test)]
mod tests {
    use super::turned;

    #[test]
    fn each_of_them_comes_first_at_some_time() {
        let first: Vec<u64> = (0..3).map(|nonce| turned(vec![0, 1, 2], nonce)[0]).collect();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(turned(vec![1, 2], u64::MAX), [2, 1]);
        assert!(turned(Vec::<u64>::new(), 7).is_empty());
    }
}
