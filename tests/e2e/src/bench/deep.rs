//! A short queue beside a long one: to join it and to be served from it must cost the same.
//!
//! Those in the middle are written by the fleet's own adapter, and have no executions. Those whose turn comes in the
//! measurement are real runs, at the head of the queue; those who join it are real runs, too.

use std::time::Duration;

use futures_util::future::try_join_all;
use local_cloud::{Account, Cloud, Error, Fault, Usage};
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, SystemClock};
use signalbox::lock::key::{HoldName, LockKey, Nonce, Place, Priority, Ticket};
use signalbox::lock::record::{Attempt, Hold, Owner, Waiter, Wish};
use signalbox::lock::store::{Owners, Queue};
use signalbox::tasks::TaskToken;

use super::sheet::{count, millis, number};
use super::side::{LOCK, failed, unexpected};
use super::timing::{Run, percentile};
use super::{Kind, Report, Sheet, Side, Target, tell};
use crate::FOR_EVER;

/// How many join, and how many are served.
const MEASURED: u64 = 5;

/// How long the first holder works: until everything is in place.
const PREPARED_WITHIN: u32 = 20;

/// How long each of those works that are served.
const WORK_SECONDS: u32 = 1;

/// Waiters that are written at a time.
const BATCH: usize = 50;

/// As long as AWS's tokens are.
const TOKEN_CHARS: usize = 600;

/// What one step took.
#[derive(Debug)]
struct Step {
    usage: Usage,
    calls: Vec<(String, u64)>,
    millis: i64,
}

/// Measures both queues.
pub async fn compare(cloud: &Cloud, short: u64, long: u64) -> Result<Report, Error> {
    let mut sheet = Sheet::new(
        format!(
            "A queue of {} and one of {}: each step, of {MEASURED}",
            count(short),
            count(long)
        ),
        ["", "waiters", "calls", "write units", "read units", "median"],
    );
    let mut units = Vec::new();
    let mut said = Vec::new();
    for waiters in [short, long] {
        let (joined, served) = measure(cloud, waiters).await?;
        for (name, step) in [("to join at the tail", &joined), ("to hand over to the head", &served)] {
            #[allow(clippy::cast_precision_loss, reason = "a handful")]
            let each = |amount: f64| amount / MEASURED as f64;
            let tables = step.usage.all_tables();
            let calls: u64 = step.calls.iter().map(|(_, times)| times).sum();
            #[allow(clippy::cast_precision_loss, reason = "a handful")]
            let row = [
                count(waiters),
                number(each(calls as f64)),
                number(each(tables.write_units)),
                number(each(tables.read_units)),
                millis(step.millis),
            ];
            sheet.row(name, row);
            let apis = step.calls.iter().map(|(api, times)| format!("{times} {api}"));
            let apis = apis.collect::<Vec<_>>().join(", ");
            said.push(format!("Calls {name}, {MEASURED} times: {apis}."));
            units.push((calls, tables.write_units.to_bits(), tables.read_units.to_bits()));
        }
    }
    if said[..2] == said[2..] {
        // Once is enough.
        said.truncate(2);
    }
    for calls in said {
        sheet.note(calls);
    }
    let same = units[..2] == units[2..];
    Ok(Report {
        sheets: vec![sheet],
        targets: vec![Target::new(
            format!("deep: calls and units at {} as at {}", count(long), count(short)),
            "the same",
            if same { "the same" } else { "others" },
            same,
        )],
    })
}

/// Joins at the tail of so many waiters, then serves from their head.
async fn measure(cloud: &Cloud, waiters: u64) -> Result<(Step, Step), Error> {
    tell(&format!("a queue of {}", count(waiters)));
    let side = Side::deploy(cloud, &format!("a queue of {waiters}"), Kind::Lock).await?;
    // Only what the runs themselves cause: the events of their ends come when they like.
    side.account.fault(Fault::drop_events()).await?;
    // Behind those who are served, before those who join.
    seed(&side, FAR, waiters).await?;

    let holder = side.start("holder", PREPARED_WITHIN).await?;
    side.until_at_work(&holder).await?;
    let mut head = Vec::new();
    for turn in 1..=MEASURED {
        // The last one keeps the lock: those behind it are not real.
        let seconds = if turn == MEASURED { FOR_EVER } else { WORK_SECONDS };
        let run = side.start(&format!("head-{turn}"), seconds).await?;
        side.until_queued(&run).await?;
        head.push(run);
    }
    let store = side.store()?;
    let lock = lock_key()?;
    // The arrivals that the seeds stand for.
    side.tamper("ADD arrivals :by", FAR + waiters).await?;

    let joined = measured(&side.account, async || {
        let mut took = Vec::new();
        for turn in 1..=MEASURED {
            let run = side.start(&format!("tail-{turn}"), FOR_EVER).await?;
            let run = side.until_queued(&run).await?;
            took.extend(run.answered.zip(run.asked).map(|(answered, asked)| answered - asked));
        }
        side.settled_usage().await?;
        Ok(took)
    })
    .await?;
    let last = store.waiters(&lock, None, u32::MAX).await;
    let last = last.map_err(|error| failed("DynamoDB.Query", &error))?;
    if last.len() as u64 != waiters + 2 * MEASURED || side.run(&head[0]).await?.entered.is_some() {
        return Err(Error::Unexpected {
            from: "the queue".to_owned(),
            reason: format!(
                "{} wait, and the first of them was served before all was in place: the machine is too slow for this",
                last.len()
            ),
        });
    }

    let served = measured(&side.account, async || {
        let mut before = side
            .until(&holder, "the end of the holder's work", SERVED_WITHIN, has_left)
            .await?;
        let mut took = Vec::new();
        for run in &head {
            let next = side
                .until(run, "its turn", SERVED_WITHIN, |run| run.entered.is_some())
                .await?;
            took.extend(next.entered.zip(before.left).map(|(entered, left)| entered - left));
            before = match run == &head[head.len() - 1] {
                true => next,
                false => side.until(run, "the end of its work", SERVED_WITHIN, has_left).await?,
            };
        }
        side.settled_usage().await?;
        Ok(took)
    })
    .await?;
    Ok((joined, served))
}

/// How long a turn may take to come.
const SERVED_WITHIN: Duration = Duration::from_mins(1);

fn has_left(run: &Run) -> bool {
    run.left.is_some()
}

/// What is used and called while something is done, and the median of the times that it took.
async fn measured(account: &Account, act: impl AsyncFnOnce() -> Result<Vec<i64>, Error>) -> Result<Step, Error> {
    account.reset_usage().await?;
    account.reset_calls().await?;
    let mut took = act().await?;
    took.sort_unstable();
    let calls = account.calls().await?.into_iter();
    Ok(Step {
        usage: account.usage().await?,
        calls: calls
            .filter(|(_, calls)| calls.functions > 0)
            .map(|(api, calls)| (api, calls.functions))
            .collect(),
        millis: percentile(&took, 50).unwrap_or_default(),
    })
}

fn lock_key() -> Result<LockKey, Error> {
    LockKey::parse(LOCK).map_err(|error| unexpected(&error))
}

/// Further than those who are served come, whose places begin at the time in seconds.
const FAR: u64 = 500_000_000_000;

/// Writes waiters with the places from `first` on.
async fn seed(side: &Side, first: u64, waiters: u64) -> Result<(), Error> {
    let store = side.store()?;
    let lock = lock_key()?;
    let token = TaskToken::parse(&"x".repeat(TOKEN_CHARS)).map_err(|error| unexpected(&error))?;
    let places: Vec<u64> = (first..first + waiters).collect();
    for (batch, places) in places.chunks(BATCH).enumerate() {
        if batch > 0 && batch % 20 == 0 {
            tell(&format!(
                "{} of {} waiters are written",
                count((batch * BATCH) as u64),
                count(waiters)
            ));
        }
        let write = async |number: u64| -> Result<(), Error> {
            let arn = format!(
                "arn:aws:states:us-east-1:{}:execution:pipeline:seed-{number:06}",
                side.account.id()
            );
            let hold = Hold {
                execution: ExecutionArn::parse(&arn).map_err(|error| unexpected(&error))?,
                lock: lock.clone(),
                name: HoldName::default(),
            };
            let now = SystemClock.now();
            let ticket = Ticket::draw(&SystemClock);
            let place = Place::by_arrival(Priority::default(), number);
            let owner = Owner {
                hold: hold.clone(),
                ticket: ticket.clone(),
                attempt: Attempt {
                    redrive: 0,
                    entered: now,
                    retry: 0,
                },
                wish: Wish::Open,
                token: Some(token.clone()),
                place: Some(place.clone()),
                since: now,
            };
            let waiter = Waiter {
                hold,
                ticket,
                place,
                since: now,
                until: None,
                by: Nonce::of("seeded"),
            };
            let opened = store.open(&owner, now).await;
            opened.map_err(|error| failed("DynamoDB.PutItem", &error))?;
            store
                .enqueue(&waiter)
                .await
                .map_err(|error| failed("DynamoDB.PutItem", &error))
        };
        try_join_all(places.iter().map(|number| write(*number))).await?;
    }
    Ok(())
}
