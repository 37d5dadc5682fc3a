//! Many runs want one lock at the same moment: all are served, in order, and never more at once than it has slots.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEventType};
use futures_util::future::try_join_all;
use local_cloud::{Error, Fault, wait};
use serde_json::json;

use crate::lock::{BRIEFLY, Does, FOR_EVER, Locks, name};
use crate::lock_history::{History, Visit, most_at_once};

/// The lock that all of them want.
const LOCK: &str = "storm";

/// Of so many runs, one is killed in a storm that kills.
const KILLED_OF: usize = 10;

/// What a storm is like.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// How many runs there are: the first half starts at once, the second half, at once too, when the first has asked.
    pub runs: usize,
    /// How many slots the lock has.
    pub slots: usize,
    /// How long each of them works.
    pub work: f64,
    /// Whether one of ten is killed while it holds, and no status event arrives: the sweep, each second, is all there is.
    pub kills: bool,
}

/// How a storm ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What should not have been: nothing, if all is well.
    pub broken: Vec<String>,
    /// Runs that had the lock and ended well.
    pub served: usize,
    /// Runs that were killed while they held it.
    pub killed: usize,
    /// Most runs that worked at the same time.
    pub most_at_once: usize,
    /// Pairs of runs of which one had asked before the other began to: these have an order.
    pub ordered: usize,
    /// From the end of one's work to the begin of the next one's, in milliseconds, sorted; only with a single slot.
    pub hand_offs: Vec<i64>,
    /// DynamoDB's write units, for each run.
    pub writes: f64,
    /// From the first start to the end of the last run.
    pub took: Duration,
}

/// A run that had the lock.
struct Served<'a> {
    name: &'a str,
    fence: i64,
    /// When its question began, and
    asks: i64,
    /// when it was answered: with a place in the queue, or the lock.
    asked: i64,
    work: Visit,
}

/// Lets a storm loose, in an account of its own.
pub async fn storm(test: &str, storm: Storm) -> Result<Outcome, Error> {
    let locks = Locks::deploy(test).await?;
    if storm.slots > 1 {
        let set = json!({"action": "setSlots", "lock": LOCK, "slots": storm.slots});
        locks.operate(set).await.map_err(|error| refused(&error))?;
    }
    if storm.kills {
        locks.account.fault(Fault::drop_events()).await?;
    }
    #[allow(clippy::disallowed_methods, reason = "says how long it took, decides nothing")]
    let began = Instant::now();
    let names: Vec<String> = (0..storm.runs).map(|n| format!("run-{n}")).collect();
    let works = Does {
        seconds: storm.work,
        ..BRIEFLY
    };
    let start = async |n: usize| {
        // One that is to be killed while it holds does nothing else.
        let does = if dies(storm, n) { FOR_EVER } else { works };
        locks.start("Lean", &names[n], json!({"lock": LOCK}), does).await
    };
    locks.account.reset_usage().await?;
    let half = storm.runs / 2;
    let mut runs = try_join_all((0..half).map(&start)).await?;
    asked(&locks, &runs).await?;
    runs.extend(try_join_all((half..storm.runs).map(&start)).await?);
    let victims: HashSet<&str> = (0..storm.runs)
        .filter(|n| dies(storm, *n))
        .map(|n| runs[n].as_str())
        .collect();
    let sweeps = storm.kills.then(|| tokio::spawn(sweep_each_second(locks.clone())));
    let settled = settle(&locks, victims.clone()).await;
    let took = began.elapsed();
    // Also of those who died last.
    let freed = locks.held_by(LOCK, &[]).await;
    if let Some(sweeps) = sweeps {
        sweeps.abort();
    }
    settled?;
    freed?;
    let usage = locks.account.usage().await?;
    let mut outcome = judge(&locks, storm, &runs, &victims).await?;
    outcome.writes = usage.all_tables().write_units / f64::from(u32::try_from(storm.runs).unwrap_or(u32::MAX));
    outcome.took = took;
    Ok(outcome)
}

/// Waits until each of these has been given the lock, or a place in the queue.
async fn asked(locks: &Locks, runs: &[String]) -> Result<(), Error> {
    let mut left: Vec<String> = runs.to_vec();
    wait::until("the first half to ask", Duration::from_mins(4), async || {
        // From the last one on: who started first has mostly asked first.
        while let Some(run) = left.last() {
            let history = locks.history(run).await.map_err(|error| error.to_string())?;
            let submitted = history.times("Acquire", &HistoryEventType::TaskSubmitted);
            if submitted.is_empty() && history.visits("Work").is_empty() {
                return Err(format!("{} of them have not", left.len()));
            }
            left.pop();
        }
        Ok(())
    })
    .await
}

fn dies(storm: Storm, n: usize) -> bool {
    storm.kills && n % KILLED_OF == KILLED_OF / 2
}

fn refused(error: &local_cloud::FunctionError) -> Error {
    Error::Unexpected {
        from: "lock-admin".to_owned(),
        reason: error.to_string(),
    }
}

/// A sweep may last for longer than a second: then there are several at a time.
async fn sweep_each_second(locks: Locks) {
    loop {
        let locks = locks.clone();
        tokio::spawn(async move { locks.sweep().await });
        #[allow(clippy::disallowed_methods, reason = "as often as the schedule, on a shorter scale")]
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Kills whoever of the victims holds the lock, until no run is left.
async fn settle(locks: &Locks, victims: HashSet<&str>) -> Result<(), Error> {
    let machine = locks.machine("Lean")?;
    let mut left = victims;
    wait::until("every run to be served", Duration::from_mins(10), async || {
        if !left.is_empty() {
            let list = locks.list(LOCK).await.map_err(|error| error.to_string())?;
            let holders = list["holders"].as_array().cloned().unwrap_or_default();
            for holder in holders {
                let run = holder["executionArn"].as_str().unwrap_or_default();
                if left.contains(run) && locks.entries(run, "Work").await.is_ok_and(|entries| entries > 0) {
                    let killed = locks.account.stop_execution(run, "Test.Killed", "while it held").await;
                    killed.map_err(|error| error.to_string())?;
                    left.remove(run);
                }
            }
        }
        let running = locks
            .account
            .sfn()
            .list_executions()
            .state_machine_arn(machine)
            .status_filter(ExecutionStatus::Running)
            .max_results(1_000)
            .send()
            .await
            .map_err(|error| format!("{error:?}"))?;
        match running.executions.len() {
            0 => Ok(()),
            runs => Err(format!("{runs} still run")),
        }
    })
    .await
}

async fn judge(locks: &Locks, storm: Storm, runs: &[String], victims: &HashSet<&str>) -> Result<Outcome, Error> {
    let histories = History::of_all(&locks.account, runs).await?;
    let mut outcome = Outcome::default();
    let mut served = Vec::new();
    for (run, history) in runs.iter().zip(&histories) {
        let (execution, run) = (locks.account.execution(run).await?, run.as_str());
        let expected = match victims.contains(run) {
            true => ExecutionStatus::Aborted,
            false => ExecutionStatus::Succeeded,
        };
        if execution.status != expected {
            let (error, cause) = (execution.error, execution.cause);
            let problem = format!("{} is {}: {error:?} {cause:?}", name(run), execution.status);
            outcome.broken.push(problem);
        }
        match of_history(name(run), history) {
            Some(one) => served.push(one),
            None => outcome
                .broken
                .push(format!("{} never had the lock: {:?}", name(run), history.states())),
        }
    }
    outcome.killed = served
        .iter()
        .filter(|one| victims.iter().any(|run| name(run) == one.name))
        .count();
    outcome.served = served.len() - outcome.killed;
    let work: Vec<Visit> = served.iter().map(|one| one.work.clone()).collect();
    outcome.most_at_once = most_at_once(&work);
    if outcome.most_at_once > storm.slots {
        let problem = format!(
            "{} worked at the same time in {} slots",
            outcome.most_at_once, storm.slots
        );
        outcome.broken.push(problem);
    }
    served.sort_by_key(|one| one.fence);
    order(&served, storm.slots, &mut outcome);
    if storm.slots == 1 {
        let pairs = served
            .windows(2)
            .filter(|pair| !victims.iter().any(|run| name(run) == pair[0].name));
        let gaps = pairs.filter_map(|pair| Some(pair[1].work.entered - pair[0].work.left?));
        outcome.hand_offs = gaps.collect();
        outcome.hand_offs.sort_unstable();
    }
    Ok(outcome)
}

fn of_history<'a>(name: &'a str, history: &History) -> Option<Served<'a>> {
    let work = history.visits("Work").into_iter().next()?;
    let asks = *history.times("Acquire", &HistoryEventType::TaskScheduled).first()?;
    let granted = history.times("Acquire", &HistoryEventType::TaskSucceeded);
    // Missing where the lock was granted before the function had returned.
    let asked = history.times("Acquire", &HistoryEventType::TaskSubmitted);
    Some(Served {
        name,
        fence: work.input["grant"]["fence"].as_i64()?,
        asks,
        asked: *asked.last().or(granted.last())?,
        work,
    })
}

/// `served` is in the order of the grants.
fn order(served: &[Served<'_>], slots: usize, outcome: &mut Outcome) {
    for pair in served.windows(2) {
        if pair[0].fence == pair[1].fence {
            let problem = format!("{} and {} have the same fence", pair[0].name, pair[1].name);
            outcome.broken.push(problem);
        }
    }
    for (at, later) in served.iter().enumerate() {
        for earlier in &served[..at] {
            if later.asked < earlier.asks {
                let problem = format!(
                    "{} was granted the lock before {}, which asked first",
                    earlier.name, later.name
                );
                outcome.broken.push(problem);
            }
            // Of several slots, who was granted one first may well hear of it later.
            let left = later.work.left.filter(|_| slots == 1);
            if left.is_some_and(|left| left < earlier.work.entered) {
                let problem = format!("{} worked before {}, with a higher fence", later.name, earlier.name);
                outcome.broken.push(problem);
            }
            outcome.ordered += usize::from(earlier.asked < later.asks);
        }
    }
}
