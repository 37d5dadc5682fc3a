//! What an operator is answered.

use serde::Serialize;
use signalbox::clock::Timestamp;
use signalbox::console;
use signalbox::lock::admin::View;
use signalbox::lock::key::{Fence, LockKey};
use signalbox::lock::record::Head;

/// The answer, depending on the action.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To `list` without a lock.
    All(All),
    /// To `list` with a lock.
    One(Box<One>),
    /// To everything else.
    Done(Done),
}

/// The locks in use.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct All {
    /// In order of their names.
    pub locks: Vec<Summary>,
    /// To be given as `after`, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A lock in a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its name.
    pub lock: String,
    /// Its slots.
    pub slots: u32,
    /// How many of them are taken.
    pub held: usize,
    /// Whether there may be runs that wait.
    pub contended: bool,
    /// Whether grants are paused.
    pub paused: bool,
}

impl Summary {
    /// What is to be said of `head`.
    #[must_use]
    pub fn of(lock: &LockKey, head: &Head) -> Self {
        Self {
            lock: lock.to_string(),
            slots: head.slots,
            held: head.holders.len(),
            contended: head.contended,
            paused: head.paused,
        }
    }
}

/// A lock.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct One {
    /// Its name.
    pub lock: String,
    /// Its slots.
    pub slots: u32,
    /// Whether grants are paused.
    pub paused: bool,
    /// How long the last hold lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_hold_seconds: Option<f64>,
    /// Who holds it, longest first.
    pub holders: Vec<HolderView>,
    /// How many wait in all.
    pub waiting: u32,
    /// Who waits, in order.
    pub waiters: Vec<WaiterView>,
    /// To be given as `after`, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What operators did, newest first, the last ten.
    pub audit: Vec<AuditView>,
}

/// A holder.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HolderView {
    /// The run.
    pub execution_arn: String,
    /// Which of its holds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hold: String,
    /// Its fence.
    pub fence: Option<Fence>,
    /// Since when it holds.
    pub since: String,
    /// For how long.
    pub held_seconds: f64,
    /// The run's page in the AWS console.
    pub console_url: String,
}

/// A waiter.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaiterView {
    /// Its position in the list that this page is of, from 1.
    pub position: usize,
    /// The run.
    pub execution_arn: String,
    /// Which of its holds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hold: String,
    /// Since when it waits.
    pub since: String,
    /// For how long.
    pub waited_seconds: f64,
    /// When its `maxWaitSeconds` are over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How long it will wait yet, if each hold takes as long as the last one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_wait_seconds: Option<f64>,
}

/// What an operator did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What.
    pub action: String,
    /// To whom, and how.
    pub details: String,
}

/// A change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Whether anything was changed.
    pub done: bool,
    /// If not: `notHolding` or `notWaiting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<signalbox::lock::admin::Idle>,
    /// Of a slot that was taken from its holder: the fence that is to be refused from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The lock's slots, where they or the pause were set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// Whether grants are paused, where that or the slots were set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

impl One {
    /// What is to be said of a lock. `before`: how many waiters were on the pages before this one.
    #[must_use]
    pub fn of(lock: &LockKey, view: View, limit: u32, now: Timestamp) -> Self {
        let head = view.head.unwrap_or_else(|| Head::new(now));
        let holders = head.by_age().into_iter().map(|(ticket, holder)| HolderView {
            execution_arn: holder.execution.to_string(),
            hold: holder.name.as_str().to_owned(),
            fence: head.fences.get(ticket).copied(),
            since: holder.since.to_string(),
            held_seconds: now.since(holder.since).as_secs_f64(),
            console_url: console::execution_url(&holder.execution),
        });
        let holders = holders.collect();
        let last_hold = head.last_hold_ms.map(seconds);
        let full = view.waiters.len() == limit as usize;
        let next = view
            .waiters
            .last()
            .filter(|_| full)
            .map(|waiter| waiter.place.as_str().to_owned());
        let waiters = view.waiters.iter().enumerate().map(|(at, waiter)| WaiterView {
            position: view.before + at + 1,
            execution_arn: waiter.hold.execution.to_string(),
            hold: waiter.hold.name.as_str().to_owned(),
            since: waiter.since.to_string(),
            waited_seconds: now.since(waiter.since).as_secs_f64(),
            until: waiter.until.map(|until| until.to_string()),
            estimated_wait_seconds: last_hold.map(|last| estimate(view.before + at, head.slots, last)),
        });
        let waiters = waiters.collect();
        let audit = view.audits.into_iter().map(|audit| AuditView {
            at: audit.at.to_string(),
            by: audit.by,
            reason: audit.reason,
            action: audit.action,
            details: audit.details,
        });
        Self {
            lock: lock.to_string(),
            slots: head.slots,
            paused: head.paused,
            last_hold_seconds: last_hold,
            holders,
            waiting: view.waiting,
            waiters,
            next,
            audit: audit.collect(),
        }
    }
}

/// `at` runs are before it: it is served in that many rounds of `slots`, and the one that is going on.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn estimate(at: usize, slots: u32, last_hold: f64) -> f64 {
    (at / slots as usize + 1) as f64 * last_hold
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of a hold")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_counts_rounds() {
        for (at, slots, rounds) in [(0, 1, 1.0), (4, 1, 5.0), (0, 3, 1.0), (2, 3, 1.0), (3, 3, 2.0)] {
            let estimated = estimate(at, slots, 10.0);
            assert!((estimated - rounds * 10.0).abs() < 1e-9, "{at} of {slots}: {estimated}");
        }
    }
}
