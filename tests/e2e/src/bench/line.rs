//! Many runs of one pipeline, in a line for one lock.

use std::time::Duration;

use futures_util::future::try_join_all;
use local_cloud::{Cloud, Error, Usage};
use tokio::time::{Instant, interval};

use super::sheet::{count, millis, number};
use super::side::pause;
use super::timing::{Order, Run, hand_overs, most_at_once, order, order_of_arrival, order_of_places, percentile};
use super::{Kind, Report, Sheet, Side, Target, prices, tell};

/// How long each run works.
const WORK_SECONDS: u32 = 2;

/// How often it is said how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(20);

/// Most that the lock may take beyond the work itself.
const SLOWER: f64 = 1.1;

/// Longest that the lock may lie idle while somebody waits, in milliseconds: half of the times, and ever.
const MEDIAN_MILLIS: i64 = 100;
const LONGEST_MILLIS: i64 = 1_000;

/// What is done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The name of the scenario.
    pub name: &'static str,
    /// How many runs.
    pub runs: usize,
    /// How long after one the next is started; zero starts them at once.
    pub apart: Duration,
    /// How long they are given.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    runs: Vec<Run>,
    usage: Usage,
    took: Duration,
}

impl Plan {
    fn title(&self) -> String {
        let started = match self.apart {
            Duration::ZERO => "at once".to_owned(),
            apart => format!("started {} s apart", number(apart.as_secs_f64())),
        };
        format!(
            "{} runs {started}, {WORK_SECONDS} s of work each: {} s at best",
            self.runs,
            number(self.ideal())
        )
    }

    /// One after the other, without a gap.
    #[allow(clippy::cast_precision_loss, reason = "as many as one can wait for")]
    fn ideal(&self) -> f64 {
        self.runs as f64 * f64::from(WORK_SECONDS)
    }

    /// Runs it on both sides, at the same time: they share nothing but the machine.
    pub async fn compare(&self, cloud: &Cloud) -> Result<Report, Error> {
        tell(&self.title());
        let (lock, polling) = tokio::try_join!(
            Side::deploy(cloud, self.name, Kind::Lock),
            Side::deploy(cloud, self.name, Kind::Polling)
        )?;
        lock.warm_up(self.runs).await?;
        let (lock, polling) = tokio::try_join!(self.run(&lock), self.run(&polling))?;
        let mut sheet = Sheet::new(self.title(), ["", Kind::Lock.name(), Kind::Polling.name()]);
        let sides = [&lock, &polling];
        for (name, cell) in ROWS {
            sheet.row(name, sides.map(|side| cell(self, side)));
        }
        let late = self.runs - polling.done();
        if late > 0 {
            sheet.note(format!(
                "The {late} polling runs that had not ended after {} s were stopped; all that is said of polling is from \
                 before.",
                self.patience.as_secs()
            ));
        }
        Ok(Report {
            sheets: vec![sheet],
            targets: self.targets(&lock),
        })
    }

    async fn run(&self, side: &Side) -> Result<Outcome, Error> {
        side.account.reset_usage().await?;
        let began = Instant::now();
        let arns = self.start(side).await?;
        let mut told = began;
        let left = loop {
            let left = side.running().await?;
            let told_now = told.elapsed() >= TOLD_EVERY;
            if told_now || left.is_empty() {
                told = Instant::now();
                tell(&format!(
                    "{:>5.0} s  {:<8}{:>4} of {} done",
                    began.elapsed().as_secs_f64(),
                    side.kind.name(),
                    self.runs - left.len(),
                    self.runs
                ));
            }
            if left.is_empty() || began.elapsed() > self.patience {
                break left;
            }
            pause(Duration::from_millis(500)).await;
        };
        let took = began.elapsed();
        // Who is still there goes on polling: then it never settles.
        let usage = match left.is_empty() {
            true => side.settled_usage().await?,
            false => side.account.usage().await?,
        };
        let mut runs = Vec::with_capacity(arns.len());
        for arn in &arns {
            let mut run = side.run(arn).await?;
            if side.kind == Kind::Lock {
                run.place = side.place(arn).await?;
            }
            runs.push(run);
        }
        for arn in &left {
            side.account
                .stop_execution(arn, "Bench.Over", "it took too long")
                .await?;
        }
        Ok(Outcome { runs, usage, took })
    }

    async fn start(&self, side: &Side) -> Result<Vec<String>, Error> {
        let names: Vec<String> = (1..=self.runs).map(|number| format!("run-{number}")).collect();
        if self.apart.is_zero() {
            return try_join_all(names.iter().map(|name| side.start(name, WORK_SECONDS))).await;
        }
        let mut turns = interval(self.apart);
        let mut arns = Vec::with_capacity(names.len());
        for name in &names {
            turns.tick().await;
            arns.push(side.start(name, WORK_SECONDS).await?);
        }
        Ok(arns)
    }

    fn targets(&self, lock: &Outcome) -> Vec<Target> {
        let name = |what: &str| format!("{}: {what}", self.name);
        let orders = [order(&lock.runs), order_of_places(&lock.runs)];
        let inverted: usize = orders.iter().map(|order| order.inverted).sum();
        let idle = hand_overs(&lock.runs);
        let (median, longest) = (percentile(&idle, 50), percentile(&idle, 100));
        let ratio = lock.wall().map(|wall| wall / self.ideal());
        let at_once = most_at_once(&lock.runs);
        let shown = |millis_: Option<i64>| millis_.map_or_else(|| "none".to_owned(), millis);
        vec![
            Target::new(name("at work at once"), "1", at_once.to_string(), at_once == 1),
            Target::new(
                name("wall time to the ideal"),
                format!("≤ {SLOWER}"),
                ratio.map_or_else(|| "not done".to_owned(), |ratio| format!("{ratio:.3}")),
                ratio.is_some_and(|ratio| ratio <= SLOWER),
            ),
            Target::new(name("order inversions"), "0", inverted.to_string(), inverted == 0),
            Target::new(
                name("hand-over, median"),
                format!("< {MEDIAN_MILLIS} ms"),
                shown(median),
                median.is_some_and(|median| median < MEDIAN_MILLIS),
            ),
            Target::new(
                name("hand-over, longest"),
                format!("< {} ms", count(1_000)),
                shown(longest),
                longest.is_some_and(|longest| longest < LONGEST_MILLIS),
            ),
        ]
    }
}

impl Outcome {
    fn done(&self) -> usize {
        self.runs.iter().filter(|run| run.succeeded.is_some()).count()
    }

    /// From the first start to the last end, in seconds; none if some have not ended.
    fn wall(&self) -> Option<f64> {
        let first = self.runs.iter().map(|run| run.started).min()??;
        let ends: Option<Vec<i64>> = self.runs.iter().map(|run| run.succeeded).collect();
        let millis = ends?.into_iter().max()? - first;
        Some(f64::from(i32::try_from(millis).ok()?) / 1_000.0)
    }
}

/// What is shown, and how it is had.
type Row = (&'static str, fn(&Plan, &Outcome) -> String);

const ROWS: [Row; 18] = [
    ("runs done", |plan, side| format!("{} of {}", side.done(), plan.runs)),
    ("at work at once", |_, side| most_at_once(&side.runs).to_string()),
    ("wall time", |_, side| match side.wall() {
        Some(wall) => format!("{wall:.1} s"),
        None => format!("> {:.0} s", side.took.as_secs_f64()),
    }),
    ("wall time to the ideal", |plan, side| match side.wall() {
        Some(wall) => format!("{:.2}", wall / plan.ideal()),
        None => format!("> {:.2}", side.took.as_secs_f64() / plan.ideal()),
    }),
    ("order inversions", |_, side| of_pairs(order(&side.runs))),
    ("… by place drawn", |_, side| match order_of_places(&side.runs) {
        Order { pairs: 0, .. } => "none drawn".to_owned(),
        order => of_pairs(order),
    }),
    ("… by moment of arrival", |_, side| {
        of_pairs(order_of_arrival(&side.runs))
    }),
    ("hand-over, median", |_, side| idle(side, 50)),
    ("hand-over, p99", |_, side| idle(side, 99)),
    ("hand-over, longest", |_, side| idle(side, 100)),
    ("state transitions", |_, side| count(side.usage.all_transitions())),
    ("DynamoDB writes", |_, side| count(side.usage.all_tables().writes)),
    ("write units", |_, side| number(side.usage.all_tables().write_units)),
    ("DynamoDB reads", |_, side| count(side.usage.all_tables().reads)),
    ("read units", |_, side| number(side.usage.all_tables().read_units)),
    ("Lambda invocations", |_, side| count(side.usage.all_invocations())),
    ("events in the histories", |_, side| {
        count(side.runs.iter().map(|run| run.events as u64).sum())
    }),
    ("dollars", |_, side| format!("{:.4}", prices::dollars(&side.usage))),
];

fn of_pairs(order: Order) -> String {
    format!("{} of {}", order.inverted, count(order.pairs as u64))
}

fn idle(side: &Outcome, percent: usize) -> String {
    percentile(&hand_overs(&side.runs), percent).map_or_else(|| "none".to_owned(), millis)
}
