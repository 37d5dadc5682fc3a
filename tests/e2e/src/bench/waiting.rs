//! What it costs to wait: one run behind another that works on and on.

use std::time::Duration;

use local_cloud::{Cloud, Error, Usage};

use super::sheet::number;
use super::side::pause;
use super::timing::Run;
use super::{Kind, Report, Sheet, Side, Target, prices, tell};
use crate::FOR_EVER;

/// Failed polls from the first of one round to the first of the next: an attempt and six retries.
const POLLS: usize = 7;

/// How long a round of polls may take: 66 seconds on an idle machine.
const ROUND_WITHIN: Duration = Duration::from_mins(2);

/// How long the lock's waiter is watched: as long as a round.
const WATCHED: Duration = Duration::from_secs(66);

/// AWS: the 25,001st event ends an execution (Step Functions developer guide, "Quotas").
const EVENTS_MOST: f64 = 25_000.0;

/// How long a standard execution may last, in hours: a year.
const LONGEST_HOURS: f64 = 365.0 * 24.0;

/// What waiting took.
#[derive(Debug)]
struct Waited {
    usage: Usage,
    events: usize,
    over: Duration,
}

/// What is shown, and how much of it there was.
type Row = (&'static str, fn(&Waited) -> f64);

/// Watches a waiter of each kind, at the same time.
pub async fn compare(cloud: &Cloud) -> Result<Report, Error> {
    tell("one waits behind another for a minute");
    let (lock, polling) = tokio::try_join!(
        Side::deploy(cloud, "waiting", Kind::Lock),
        Side::deploy(cloud, "waiting", Kind::Polling)
    )?;
    let (on_lock, on_polling) = tokio::try_join!(on_lock(&lock), on_polling(&polling))?;
    let swept = sweep(&lock).await?;

    let mut sheet = Sheet::new(
        "Waiting for an hour, behind one holder",
        ["", Kind::Lock.name(), Kind::Polling.name(), "the sweep"],
    );
    let all = [&on_lock, &on_polling, &swept];
    let per_hour = |waited: &Waited, amount: f64| number(amount * waited.hours_to_one());
    #[allow(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
    let rows: [Row; 6] = [
        ("state transitions", |waited| waited.usage.all_transitions() as f64),
        ("DynamoDB writes", |waited| waited.usage.all_tables().writes as f64),
        ("write units", |waited| waited.usage.all_tables().write_units),
        ("DynamoDB reads", |waited| waited.usage.all_tables().reads as f64),
        ("read units", |waited| waited.usage.all_tables().read_units),
        ("Lambda invocations", |waited| waited.usage.all_invocations() as f64),
    ];
    for (name, amount) in rows {
        sheet.row(name, all.map(|waited| per_hour(waited, amount(waited))));
    }
    let waiters = [&on_lock, &on_polling];
    #[allow(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
    sheet.row(
        "events in the history",
        waiters.map(|waited| per_hour(waited, waited.events as f64)),
    );
    sheet.row(
        "dollars",
        all.map(|waited| format!("{:.6}", prices::dollars(&waited.usage) * waited.hours_to_one())),
    );
    sheet.row("longest wait", waiters.map(Waited::longest));
    let cost = prices::dollars(&on_lock.usage);
    Ok(Report {
        sheets: vec![sheet],
        targets: vec![Target::new(
            "waiting: dollars per waiter and hour",
            "0",
            format!("{cost:.6}"),
            on_lock.usage == Usage::default() && on_lock.events == 0,
        )],
    })
}

impl Waited {
    fn hours_to_one(&self) -> f64 {
        3_600.0 / self.over.as_secs_f64()
    }

    #[allow(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
    fn longest(&self) -> String {
        match self.events {
            0 => format!("{} h", number(LONGEST_HOURS)),
            events => format!("{:.1} h", EVENTS_MOST / (events as f64 * self.hours_to_one())),
        }
    }
}

async fn on_lock(side: &Side) -> Result<Waited, Error> {
    let waiter = queue_up(side).await?;
    let before = side.until_queued(&waiter).await?;
    // What led to here is not waiting.
    side.settled_usage().await?;
    side.account.reset_usage().await?;
    pause(WATCHED).await;
    Ok(Waited {
        usage: side.account.usage().await?,
        events: side.run(&waiter).await?.events - before.events,
        over: WATCHED,
    })
}

/// From just after the first failed poll of one round to just after that of the next: each is a second before what
/// follows.
async fn on_polling(side: &Side) -> Result<Waited, Error> {
    let waiter = queue_up(side).await?;
    let polled = async |times: usize| -> Result<Run, Error> {
        let what = format!("{times} polls in vain");
        side.until(&waiter, &what, ROUND_WITHIN, |run| run.failed.len() >= times)
            .await
    };
    let before = polled(1).await?;
    side.account.reset_usage().await?;
    let after = polled(POLLS + 1).await?;
    let usage = side.account.usage().await?;
    let millis = after.failed[POLLS] - before.failed[0];
    Ok(Waited {
        usage,
        events: after.events - before.events,
        over: Duration::from_millis(u64::try_from(millis).unwrap_or_default()),
    })
}

/// Starts a run that has the lock and keeps it, and one that waits.
async fn queue_up(side: &Side) -> Result<String, Error> {
    let holder = side.start("holder", FOR_EVER).await?;
    side.until_at_work(&holder).await?;
    side.start("waiter", FOR_EVER).await
}

/// What the sweep adds each minute, with this one lock in use: for the whole fleet, however many wait. The second sweep,
/// as the first one confirms the holder, once.
async fn sweep(side: &Side) -> Result<Waited, Error> {
    for _ in 0..2 {
        side.account.reset_usage().await?;
        side.sweep().await?;
    }
    Ok(Waited {
        usage: side.account.usage().await?,
        events: 0,
        over: Duration::from_mins(1),
    })
}
