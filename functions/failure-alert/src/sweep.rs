//! What events have missed, announcements that were not finished, and windows that have closed.

use std::time::Duration;

use serde::Serialize;
use signalbox::arn::StateMachineArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::pipeline::{Clones, recorded};
use signalbox::quotas::LIST_PAGE;

use crate::Alerts;
use crate::alert::{End, Status};
use crate::announce::Outcome;
use crate::error::Error;
use crate::events::Success;
use crate::evidence::{Listed, Locks, Source};
use crate::outbox::Outbox;
use crate::store::{Incident, Store, Watch};

/// Calls of `ListExecutions` in one sweep, which comes every minute: 0.2 a second. The overlap guard needs the rest of the
/// account's quota.
pub const LISTS_MOST: u32 = 12;

/// How far a sweep looks back behind the one before it: `ListExecutions` is eventually consistent, and so is whoever is
/// late.
pub const OVERLAP: Duration = Duration::from_mins(10);

/// Executions that started so long before the last sweep are looked for on later pages of a list, which is in the order of
/// their starts.
pub const LONG_RUNS: Duration = Duration::from_hours(24);

/// Successes that are looked at, the latest started ones, to see whether a pipeline works again.
const LATEST: i32 = 10;

/// Time that is left when a sweep ends; what it did not come to is the next one's.
const MARGIN: Duration = Duration::from_secs(5);

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Pipelines whose executions were listed.
    pub pipelines: usize,
    /// Pipelines whose turn is in a later sweep.
    pub left: usize,
    /// Ends that no event had told.
    pub missed: usize,
    /// Announcements that an invocation had begun and not finished.
    pub resumed: usize,
    /// Windows that were closed.
    pub closed: usize,
    /// Parts that failed; the next sweep tries again.
    pub failed: usize,
}

/// Whether a pipeline had its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Now,
    /// Those before it had used up the calls: the next sweep begins with it.
    NextTime,
}

impl Swept {
    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        self.keep(result, &mut None)
    }

    /// The same, of a whole kind of work: its error is kept, if it is the first one.
    fn keep<T>(&mut self, result: Result<T, Error>, first: &mut Option<Error>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                self.failed += 1;
                tracing::error!(%error, "a part of the sweep failed");
                first.get_or_insert(error);
                None
            }
        }
    }
}

impl<S, O, E, L, K, C> Alerts<S, O, E, L, K, C>
where
    S: Store,
    O: Outbox,
    E: Source,
    L: Locks,
    K: Clones,
    C: Clock,
{
    /// Sweeps until `deadline`. What fails does not keep the rest from being swept: it is counted, and logged. Where a whole
    /// kind of work could not be begun, its error is the answer: such a sweep has not come to its end.
    pub async fn sweep(&self, deadline: Timestamp) -> Result<Swept, Error> {
        let mut first = None;
        let swept = self.sweep_each(deadline, &mut first).await;
        match first {
            Some(error) => Err(error),
            None => Ok(swept),
        }
    }

    async fn sweep_each(&self, deadline: Timestamp, first: &mut Option<Error>) -> Swept {
        let mut swept = Swept::default();
        let pending = self.store.pending(self.clock.now()).await.map_err(Error::from);
        for end in swept.keep(pending, first).unwrap_or_default() {
            if !self.has_time(deadline) {
                return swept;
            }
            let failed = self.failed(end, None, false).await;
            swept.resumed += usize::from(swept.note(failed).is_some());
        }
        let closed = self.store.closed(self.clock.now()).await.map_err(Error::from);
        for group in swept.keep(closed, first).unwrap_or_default() {
            if !self.has_time(deadline) {
                return swept;
            }
            let closed = self.close(&group).await;
            swept.closed += usize::from(swept.note(closed).is_some());
        }
        let mut lists = LISTS_MOST;
        let recoveries = self.sweep_incidents(&mut lists, deadline, &mut swept).await;
        swept.keep(recoveries, first);
        let missed = self.sweep_pipelines(&mut lists, deadline, &mut swept).await;
        swept.keep(missed, first);
        swept
    }

    fn has_time(&self, deadline: Timestamp) -> bool {
        self.clock.now().after(MARGIN) < deadline
    }

    /// Recoveries that no event has told.
    async fn sweep_incidents(&self, lists: &mut u32, deadline: Timestamp, swept: &mut Swept) -> Result<(), Error> {
        let mut incidents = self.store.incidents().await?;
        // Each sweep begins somewhere else: where there are calls for some only, all have their turn.
        if !incidents.is_empty() {
            let first = usize::try_from(self.clock.nonce() % incidents.len() as u64).unwrap_or(0);
            incidents.rotate_left(first);
        }
        for incident in incidents {
            // Half of the calls, at most: the others are for failures.
            if *lists <= LISTS_MOST / 2 || !self.has_time(deadline) {
                return Ok(());
            }
            let looked = self.sweep_incident(&incident, lists).await;
            swept.note(looked);
        }
        Ok(())
    }

    /// Whether the pipeline works again: its last success, or that of a clone.
    async fn sweep_incident(&self, incident: &Incident, lists: &mut u32) -> Result<(), Error> {
        let clones = self.clones.of(&incident.machine).await?;
        let mut last: Option<Success> = None;
        for machine in std::iter::once(&incident.machine).chain(clones.iter().map(|clone| &clone.machine)) {
            if *lists <= LISTS_MOST / 2 {
                break;
            }
            *lists -= 1;
            let page = self.source.list(machine, Some("SUCCEEDED"), LATEST, None).await?;
            let successes = page.entries.into_iter().filter_map(|listed| {
                Some(Success {
                    stopped: listed.stopped?,
                    execution: listed.execution,
                    redrive: listed.redrive,
                })
            });
            last = successes.chain(last).max_by_key(|success| success.stopped);
        }
        if let Some(success) = last.filter(|success| success.stopped > incident.last) {
            self.succeeded(&success).await?;
        }
        Ok(())
    }

    /// Failures that no event has told, of some pipelines; the next sweep goes on with others.
    async fn sweep_pipelines(&self, lists: &mut u32, deadline: Timestamp, swept: &mut Swept) -> Result<(), Error> {
        let mut machines = Vec::new();
        let mut from = None;
        loop {
            let page = self.source.machines(from).await?;
            let watched = |machine: &StateMachineArn| machine.name().starts_with(&self.settings.prefix);
            machines.extend(page.entries.into_iter().filter(watched));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        machines.sort();
        let mut watch = self.watch().await?;
        let first = machines.partition_point(|machine| machine.as_str() <= watch.last.as_str());
        let count = machines.len();
        if first < count {
            machines.rotate_left(first);
        }
        for (at, machine) in machines.iter().enumerate() {
            if *lists < 3 || !self.has_time(deadline) {
                swept.left = count - at;
                return Ok(());
            }
            let pipeline = self.sweep_pipeline(machine, watch.since, lists, deadline, swept).await;
            if swept.note(pipeline) == Some(Done::NextTime) {
                // It is the next sweep's first.
                swept.left = count - at;
                return Ok(());
            }
            swept.pipelines += 1;
            machine.as_str().clone_into(&mut watch.last);
            self.store.set_watch(&watch, self.clock.now()).await?;
        }
        Ok(())
    }

    /// What is watched: since now, if it is not what was watched before.
    async fn watch(&self) -> Result<Watch, Error> {
        let (now, prefix) = (self.clock.now(), &self.settings.prefix);
        let last = match self.store.watch().await? {
            Some(watch) if watch.prefix == *prefix => return Ok(watch),
            other => other.map(|watch| watch.last),
        };
        let watch = Watch {
            prefix: prefix.clone(),
            since: now,
            last: last.unwrap_or_default(),
        };
        self.store.set_watch(&watch, now).await?;
        Ok(watch)
    }

    /// Announces those of its failures that no event had told. `watched`: since when it is watched, if it was never swept.
    async fn sweep_pipeline(
        &self,
        machine: &StateMachineArn,
        watched: Timestamp,
        lists: &mut u32,
        deadline: Timestamp,
        swept: &mut Swept,
    ) -> Result<Done, Error> {
        let (now, budget) = (self.clock.now(), *lists);
        let since = match self.store.swept(machine).await? {
            Some(mark) => mark.before(OVERLAP),
            // Its first turn may come late, where there are many. Of a clone nothing is old.
            None => recorded(&self.clones, machine)
                .await?
                .map_or(watched, |clone| clone.made.before(OVERLAP)),
        };
        let failed = swept.failed;
        for status in [Status::Failed, Status::TimedOut, Status::Aborted] {
            let mut from = None;
            loop {
                *lists = lists.saturating_sub(1);
                let page = self.source.list(machine, Some(status.name()), LIST_PAGE, from).await?;
                let last = page.entries.last();
                let reaches = last.is_some_and(|last| last.started.after(LONG_RUNS) > since);
                for listed in page.entries {
                    let Some(stopped) = listed.stopped.filter(|at| *at >= since) else {
                        continue;
                    };
                    if !self.has_time(deadline) {
                        // The mark stays: the next sweep of this pipeline begins where this one did.
                        return Ok(Done::Now);
                    }
                    let found = self.found(listed, status, stopped).await;
                    swept.missed += usize::from(swept.note(found) == Some(true));
                }
                from = page.next.filter(|_| reaches);
                if from.is_none() {
                    break;
                }
                if *lists == 0 && budget < LISTS_MOST / 2 {
                    return Ok(Done::NextTime);
                }
                if *lists == 0 {
                    let status = status.name();
                    tracing::error!(stateMachineArn = %machine, status, "more failures than a sweep may list; those before them only their events tell");
                    swept.failed += 1;
                    self.store.sweeps(machine, now).await?;
                    return Ok(Done::Now);
                }
            }
        }
        // Else it is done again from the same mark on.
        if swept.failed == failed {
            self.store.sweeps(machine, now).await?;
        }
        Ok(Done::Now)
    }

    /// Whether it was news.
    async fn found(&self, listed: Listed, status: Status, stopped: Timestamp) -> Result<bool, Error> {
        let mut end = End {
            execution: listed.execution,
            status,
            redrive: listed.redrive,
            started: Some(listed.started),
            stopped,
            error: None,
            cause: None,
        };
        if self.store.is_known(&end).await? {
            return Ok(false);
        }
        // The list has no errors. If it was redriven since, that end is what it was.
        let described = match self.source.describe(&end.execution).await {
            // Nobody will ever know more of it.
            Err(error) if error.is_access_denied() => None,
            described => described?,
        };
        if let Some(full) = described
            .and_then(|described| described.end)
            .filter(|full| full.is_same(&end))
        {
            end = full;
        }
        let outcome = self.failed(end, None, false).await?;
        Ok(matches!(outcome, Outcome::Announced | Outcome::Counted))
    }
}
