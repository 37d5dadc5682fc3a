//! Other attempts of a step: of one step one task lives.
//!
//! An attempt may be over while its task lives: the function that launched it died before it could answer, or the state
//! did not wait for it any longer. The next attempt takes that task over if it asks for the same. Otherwise the task has to
//! have ended before another one is started.

use std::time::Duration;

use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::cluster::{StartTasks, WatchTasks};
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::Queue;
use signalbox::ecs::plan::ResultFrom;
use signalbox::ecs::record::{Record, Stage, Stop, Why};
use signalbox::ecs::store::Records;
use signalbox::ecs::task::Task;
use signalbox::ecs::verdict::{Expects, Verdict, verdict};
use signalbox::tasks::Tasks;

use crate::places::Places;
use crate::request::Ask;
use crate::{Launches, Outcome};

/// How long an attempt waits for the task of an earlier one to end, which it has stopped. Containers have 30 seconds to do
/// so unless their task definition says otherwise; the pipeline's Retry waits for the rest.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// How often it looks.
const LOOKS: Duration = Duration::from_millis(500);

/// How long ECS may not know a task that it has started: counted from when nobody starts it any more,
const KNOWN_WITHIN: Duration = Duration::from_mins(1);

/// and after a refusal, where there is a task only if two invocations of one attempt met. A Retry waits as long anyway.
const REFUSED_KNOWN_WITHIN: Duration = Duration::from_secs(20);

/// Time that is left for the launch after that.
const MARGIN: Duration = Duration::from_secs(8);

/// Whether the task of an earlier attempt of the same step is taken over, which nobody waits for any more. `task`: as it
/// stands, if it was looked at.
fn is_taken_over(ask: &Ask, earlier: &Record, task: Option<&Task>) -> bool {
    // A container that answers by itself has read a token that is closed.
    if earlier.request != ask.hash || earlier.plan.result == ResultFrom::Token {
        return false;
    }
    let verdict = task
        .or(earlier.ended.as_ref())
        .map(|task| verdict(task, &earlier.plan, None));
    match earlier.stage {
        Stage::Launching | Stage::Running => !matches!(verdict, Some(Verdict::Failed(_))),
        // It has done its work, by itself, and nobody heard of it.
        Stage::Done { delivered: false } => matches!(
            verdict,
            Some(Verdict::Finished {
                result: Expects::Required | Expects::Optional,
                ..
            })
        ),
        Stage::Done { delivered: true } | Stage::Stopping(_) | Stage::Adopted(_) => false,
    }
}

impl<R, E, T, P, Q, C> Launches<R, E, T, P, Q, C>
where
    R: Records,
    E: StartTasks + WatchTasks,
    T: Tasks,
    P: Places,
    Q: Queue,
    C: Clock,
{
    /// Takes over the task of an earlier attempt, if there is one to take over; then this attempt has its task.
    pub(crate) async fn take_over(
        &self,
        ask: &Ask,
        known: Vec<Record>,
        deadline: Timestamp,
    ) -> Result<Option<Outcome>, Error> {
        let mut earlier: Vec<Record> = known
            .into_iter()
            .filter(|record| record.attempt() < ask.attempt)
            .collect();
        // The latest first: it has the task, if any of them has.
        earlier.sort_by_key(|record| std::cmp::Reverse(record.attempt()));
        for record in &earlier {
            let task = match record.stage.is_open() {
                // A token that is open is another iteration's, which says nothing of its item: its task is its own.
                true if self.is_awaited(&record.token).await? => continue,
                true => self.look(record).await?,
                false => None,
            };
            if !is_taken_over(ask, record, task.as_ref()) {
                continue;
            }
            let Some(taken) = self.adopt(ask, record, task).await? else {
                return Err(changed());
            };
            tracing::info!(executionArn = %taken.execution, state = taken.state, task = taken.task, "took over a task");
            return Ok(Some(match taken.stage {
                Stage::Launching => self.start(&taken, deadline).await?,
                _ if self.is_alone(&taken, deadline).await? => Outcome::Adopted,
                _ => Outcome::Gone,
            }));
        }
        Ok(None)
    }

    /// Whether an attempt that has its record may have its task: `false` if a later one has come meanwhile, and nobody waits
    /// for this one. Sees to it that no task of an earlier attempt lives.
    ///
    /// Every attempt writes its record before it looks: of two at the same moment, at least one sees the other.
    pub(crate) async fn is_alone(&self, own: &Record, deadline: Timestamp) -> Result<bool, Error> {
        let others = self.records.of_step(&own.key).await?;
        let others = others.into_iter().filter(|record| record.key != own.key);
        let (later, earlier): (Vec<Record>, Vec<Record>) = others
            .filter(|record| record.attempt() != own.attempt())
            .partition(|record| record.attempt() > own.attempt());
        // Otherwise this is another iteration of a Map, with the same time.
        if !later.is_empty() && !self.is_awaited(&own.token).await? {
            // The record stays open: another invocation of this attempt may be starting its task, and the later attempt, or
            // the sweep, sees to its end.
            return Ok(false);
        }
        for record in earlier.iter().filter(|record| record.stage.is_open()) {
            if !self.is_awaited(&record.token).await? {
                self.end(record, deadline).await?;
            }
        }
        Ok(true)
    }

    /// The task of a record as it stands, if it was started and ECS knows it.
    async fn look(&self, record: &Record) -> Result<Option<Task>, Error> {
        let Some(task) = &record.task else { return Ok(None) };
        let found = self
            .cluster
            .describe(&record.plan.cluster, std::slice::from_ref(task))
            .await?;
        Ok(found.into_iter().next())
    }

    /// `None`: the earlier attempt is not as it was any more.
    async fn adopt(&self, ask: &Ask, earlier: &Record, task: Option<Task>) -> Result<Option<Record>, Error> {
        let was_done = matches!(earlier.stage, Stage::Done { .. });
        let record = Record {
            key: ask.key(),
            token: ask.token.clone(),
            at: self.clock.now(),
            stage: match was_done {
                // The sweep sees that it has ended, and answers.
                true => Stage::Running,
                false => earlier.stage.clone(),
            },
            missing: None,
            ended: earlier.ended.clone().or(task.filter(Task::has_stopped)),
            ..earlier.clone()
        };
        Ok(self.records.adopt(&record, earlier).await?.then_some(record))
    }

    /// Stops the task of an earlier attempt, and waits until it has ended.
    async fn end(&self, record: &Record, deadline: Timestamp) -> Result<(), Error> {
        let now = self.clock.now();
        let stop = Stop {
            why: Why::Replaced,
            since: now,
        };
        if !self.records.stopping(&record.key, stop).await? {
            let now = self.records.get(&record.key).await?;
            return match now.map(|now| now.stage) {
                // By an attempt that came meanwhile, and whose task has to end first.
                Some(Stage::Adopted(_)) => Err(changed()),
                _ => Ok(()),
            };
        }
        // Nobody starts it any more: since then, if that was decided before.
        let (since, known_within) = match record.stage {
            Stage::Stopping(stop) if stop.why == Why::NotStarted => (stop.since, REFUSED_KNOWN_WITHIN),
            Stage::Stopping(stop) => (stop.since, KNOWN_WITHIN),
            _ => (now, KNOWN_WITHIN),
        };
        let until = now.after(ENDS_WITHIN).min(deadline.before(MARGIN));
        let cluster = &record.plan.cluster;
        let (mut task, mut told) = (record.task.clone(), false);
        loop {
            if task.is_none() {
                task = self.cluster.find(cluster, &record.origin).await?;
            }
            let mut seen = None;
            if let Some(task) = &task {
                if !told {
                    self.cluster.stop(cluster, task, Why::Replaced.for_people()).await?;
                    told = true;
                }
                let found = self.cluster.describe(cluster, std::slice::from_ref(task)).await?;
                seen = found.into_iter().next();
            }
            let has_ended = match &seen {
                Some(task) => verdict(task, &record.plan, None) != Verdict::Pending,
                // It was never started; or ECS does not know it yet.
                None => self.clock.now().since(since) >= known_within,
            };
            if has_ended {
                return Ok(());
            }
            if self.clock.now().after(LOOKS) > until {
                return Err(still_there(record));
            }
            self.clock.sleep(LOOKS).await;
        }
    }
}

fn still_there(record: &Record) -> Error {
    let task = record.task.as_deref().unwrap_or("a task that was being started");
    Error::Unavailable(format!(
        "an earlier attempt of the state {} has not ended yet ({task} is being stopped)",
        record.state
    ))
}

fn changed() -> Error {
    Error::Unavailable("an earlier attempt of the state has changed at this moment".to_owned())
}
