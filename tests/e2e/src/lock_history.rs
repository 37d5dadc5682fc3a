//! What the history of an execution says: which states were visited, when, and with what.

use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type};
use futures_util::future::try_join_all;
use local_cloud::{Account, Error};
use serde_json::Value;

use crate::lock::failed;

/// Histories that are read at a time.
const AT_ONCE: usize = 20;

/// The history of one execution. Times are Unix milliseconds.
#[derive(Debug)]
pub struct History {
    /// Oldest first: the event with the id 1 is the first.
    events: Vec<HistoryEvent>,
}

/// A state from its entry to its exit.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// When it was entered.
    pub entered: i64,
    /// When it was left; if never, when the execution ended, if it has.
    pub left: Option<i64>,
    /// What it was entered with.
    pub input: Value,
}

impl History {
    /// Reads all of it.
    pub async fn of(account: &Account, run: &str) -> Result<Self, Error> {
        let mut pages = account
            .sfn()
            .get_execution_history()
            .execution_arn(run)
            .include_execution_data(true)
            .max_results(1_000)
            .into_paginator()
            .items()
            .send();
        let mut events = Vec::new();
        while let Some(event) = pages.next().await {
            events.push(event.map_err(failed("States.GetExecutionHistory"))?);
        }
        Ok(Self { events })
    }

    /// The same for many.
    pub async fn of_all(account: &Account, runs: &[String]) -> Result<Vec<Self>, Error> {
        let mut histories = Vec::new();
        for some in runs.chunks(AT_ONCE) {
            histories.extend(try_join_all(some.iter().map(|run| Self::of(account, run))).await?);
        }
        Ok(histories)
    }

    /// The names of the states, in the order in which they were entered.
    #[must_use]
    pub fn states(&self) -> Vec<&str> {
        let entered = self.events.iter().filter_map(entered);
        entered.map(|(name, _)| name).collect()
    }

    /// The visits of a state, in the order in which they began.
    #[must_use]
    pub fn visits(&self, state: &str) -> Vec<Visit> {
        let mut visits = Vec::new();
        for event in &self.events {
            let Some((_, input)) = entered(event).filter(|(name, _)| *name == state) else {
                continue;
            };
            let exit = self.events.iter().find(|exit| {
                let exited = exit.state_exited_event_details.as_ref();
                exited.is_some_and(|details| plain(&details.name) == state)
                    && self.state_of(exit).is_some_and(|entry| entry.id == event.id)
            });
            visits.push(Visit {
                entered: millis(&event.timestamp),
                left: exit
                    .map(|exit| millis(&exit.timestamp))
                    .or_else(|| self.ended_after(event)),
                input: serde_json::from_str(input.unwrap_or("null")).unwrap_or_default(),
            });
        }
        visits
    }

    /// When events of this type happened in a state.
    #[must_use]
    pub fn times(&self, state: &str, kind: &Type) -> Vec<i64> {
        let found = self.events.iter().filter(|event| event.r#type == *kind);
        let here = found.filter(|event| {
            let at = self.state_of(event).and_then(entered);
            at.is_some_and(|(name, _)| name == state)
        });
        here.map(|event| millis(&event.timestamp)).collect()
    }

    /// The errors of tasks that failed, with their causes, and of those that timed out.
    #[must_use]
    pub fn failures(&self) -> Vec<(&str, &str)> {
        let failed = self.events.iter().filter_map(|event| {
            let failed = event.task_failed_event_details.as_ref();
            let failed = failed.map(|details| (details.error.as_deref(), details.cause.as_deref()));
            let timed_out = event.task_timed_out_event_details.as_ref();
            failed.or(timed_out.map(|details| (details.error.as_deref(), details.cause.as_deref())))
        });
        failed
            .map(|(error, cause)| (error.unwrap_or_default(), cause.unwrap_or_default()))
            .collect()
    }

    /// When the execution ended for the last time, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<i64> {
        let last = self.events.last()?;
        is_end(last).then(|| millis(&last.timestamp))
    }

    /// When it ended for the first time after an event: it may have been redriven since.
    fn ended_after(&self, event: &HistoryEvent) -> Option<i64> {
        let mut after = self.events.iter().filter(|end| end.id > event.id);
        after.find(|end| is_end(end)).map(|end| millis(&end.timestamp))
    }

    /// The entry of the state that an event belongs to.
    fn state_of<'a>(&'a self, event: &'a HistoryEvent) -> Option<&'a HistoryEvent> {
        let mut at = event;
        while entered(at).is_none() {
            let before = usize::try_from(at.previous_event_id).ok()?.checked_sub(1)?;
            at = self.events.get(before)?;
        }
        Some(at)
    }
}

fn entered(event: &HistoryEvent) -> Option<(&str, Option<&str>)> {
    let details = event.state_entered_event_details.as_ref()?;
    Some((plain(&details.name), details.input.as_deref()))
}

/// A state's name without the branch: names are unique in a definition, and the same state of several branches has one each.
fn plain(name: &str) -> &str {
    name.split_once(" in branch ").map_or(name, |(plain, _)| plain)
}

fn is_end(event: &HistoryEvent) -> bool {
    matches!(
        event.r#type,
        Type::ExecutionSucceeded | Type::ExecutionFailed | Type::ExecutionAborted | Type::ExecutionTimedOut
    )
}

fn millis(time: &DateTime) -> i64 {
    time.to_millis().unwrap_or_default()
}

/// How many of these visits there were at a time at most. One that begins when another ends is after it.
#[must_use]
pub fn most_at_once(visits: &[Visit]) -> usize {
    let ends = visits.iter().filter_map(|visit| visit.left).map(|at| (at, -1_i64));
    let mut changes: Vec<(i64, i64)> = visits.iter().map(|visit| (visit.entered, 1)).chain(ends).collect();
    changes.sort_unstable();
    let (mut inside, mut most) = (0, 0);
    for (_, change) in changes {
        inside += change;
        most = most.max(inside);
    }
    usize::try_from(most).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(entered: i64, left: Option<i64>) -> Visit {
        Visit {
            entered,
            left,
            input: Value::Null,
        }
    }

    #[test]
    fn visits_that_touch_do_not_overlap_and_one_without_an_end_overlaps_with_all_that_follow() {
        let touching = [visit(1, Some(3)), visit(3, Some(4)), visit(4, None)];
        assert_eq!(most_at_once(&touching), 1);
        let overlapping = [visit(1, Some(4)), visit(2, Some(5)), visit(3, None), visit(6, Some(7))];
        assert_eq!(most_at_once(&overlapping), 3);
        assert_eq!(most_at_once(&[]), 0);
    }
}
