//! Runs that ask for one lock, and take turns.

use std::time::Duration;

use local_cloud::page::{Chart, Part};
use local_cloud::progress::seconds;
use local_cloud::queue::{self, HandOver, Turn};
use local_cloud::timeline::{Ink, Line, Span, Tone};
use local_cloud::{Account, Deployed, Error, Execution, Progress, seed, wait};
use serde_json::json;

use crate::Told;

/// How long a run may take to ask for the lock, or to be given it.
const NEXT_WITHIN: Duration = Duration::from_secs(30);

/// How long the run that is stopped has the lock before.
const STOPPED_AFTER: Duration = Duration::from_millis(500);

/// Starts eight runs of two pipelines one after the other, each when the one before it has asked for the lock; stops one
/// of them while it has it; and waits for all of them.
pub(crate) async fn eight_runs(account: &Account, example: &Deployed, progress: &Progress) -> Result<Vec<Turn>, Error> {
    let step = progress.step("eight runs", "eight runs of stock-import and stock-report take turns");
    let (import, report) = (
        seed::stock_import_machine(example)?,
        seed::stock_report_machine(example)?,
    );
    let runs = [
        (import, "import-1"),
        (report, "report-1"),
        (import, STOPPED),
        (report, "report-2"),
        (import, "import-3"),
        (report, "report-3"),
        (import, "import-4"),
        (report, "report-4"),
    ];
    let mut started = Vec::new();
    let mut stopped = None;
    for (machine, name) in runs {
        // The one that is stopped would work for a minute.
        let input = json!({"seconds": if name == STOPPED { 60 } else { 1 }});
        let run = account.start_execution(machine, name, &input).await?;
        let run = account.execution(&run).await?;
        turn_until(account, &run, "ask for the lock", |turn| turn.queued.is_some()).await?;
        if name == STOPPED {
            stopped = Some(run.clone());
        }
        started.push(run);
    }
    if let Some(run) = stopped {
        turn_until(account, &run, "have the lock", |turn| turn.granted.is_some()).await?;
        tokio::time::sleep(STOPPED_AFTER).await;
        account
            .stop_execution(&run.arn, "Demo.Stopped", "A person stopped it.")
            .await?;
    }
    let arns: Vec<_> = started.iter().map(|run| run.arn.as_str()).collect();
    let mut turns = Vec::new();
    for run in account.wait_for_executions(&arns).await? {
        turns.push(Turn::of(account, &run).await?);
    }
    step.done("stock-import and stock-report, one after the other");
    Ok(turns)
}

/// The run that is stopped while it has the lock.
const STOPPED: &str = "import-2";

async fn turn_until(
    account: &Account,
    run: &Execution,
    what: &str,
    so_far: impl Fn(&Turn) -> bool,
) -> Result<(), Error> {
    wait::until(&format!("{} to {what}", run.name), NEXT_WITHIN, async || {
        let turn = Turn::of(account, run).await.map_err(|error| error.to_string())?;
        match so_far(&turn) {
            true => Ok(()),
            false => Err(format!("{turn:?}")),
        }
    })
    .await
}

/// Tells of the eight runs: whether they took turns, in order.
pub(crate) fn tell(turns: &[Turn]) -> Told {
    let mut told = Told::about("In order: eight runs of two pipelines ask for the lock \"warehouse\"");
    told.add(Part::Chart(Chart {
        heading: "waited  fence".to_owned(),
        lines: lines(turns),
        legend: vec![
            (Ink::Light, Tone::Held, "waits"),
            (Ink::Solid, Tone::Good, "has the lock"),
            (Ink::Solid, Tone::Bad, "is stopped with it"),
        ],
    }));
    let fault = queue::fault(turns).or_else(|| {
        let stopped = turns.iter().find(|turn| turn.stopped);
        (stopped.map(|turn| turn.name.as_str()) != Some(STOPPED)).then(|| format!("{STOPPED} was not stopped"))
    });
    if let Some(fault) = fault {
        told.fault(&format!("This is not what a lock is for: {fault}."));
        return told;
    }
    let mut overs = queue::hand_overs(turns);
    let by_event: Vec<HandOver> = overs.extract_if(.., |over| over.from.stopped).collect();
    overs.sort_by_key(|over| over.took);
    let millis = |over: Option<&HandOver>| over.map_or(0, |over| over.took.as_millis());
    told.say(&format!(
        "They were served in the order in which they had asked, never two at once. Whoever gives the lock back hands it to \
         the next one: that took {} ms in the middle, and {} ms at most.",
        millis(overs.get(overs.len() / 2)),
        millis(overs.last())
    ));
    for over in &by_event {
        told.say(&format!(
            "{} was stopped while it had the lock, and gave nothing back. The event of its end did: {} had the lock {} ms \
             later. The fence, which is higher with every turn, tells what a stopped run may still write from what its \
             successor writes.",
            over.from.name,
            over.to.name,
            over.took.as_millis()
        ));
    }
    told.say("A run that waits does nothing: no polling, no state transitions, for up to a year.");
    told
}

fn lines(turns: &[Turn]) -> Vec<Line> {
    let zero = turns.iter().filter_map(|turn| turn.asked).min().unwrap_or_default();
    let since = |at: Option<i64>| Duration::from_millis(u64::try_from(at.unwrap_or(zero) - zero).unwrap_or_default());
    let line = |turn: &Turn| {
        let tone = if turn.stopped { Tone::Bad } else { Tone::Good };
        let span = |from, to, ink, tone| Span {
            from: since(from),
            to: since(to),
            ink,
            tone,
        };
        let waited = turn.waited().map_or_else(|| "?".to_owned(), seconds);
        let fence = turn.fence.map_or_else(|| "none".to_owned(), |fence| fence.to_string());
        let note = if turn.stopped { "  stopped" } else { "" };
        Line {
            name: turn.name.clone(),
            spans: vec![
                span(turn.asked, turn.granted.or(turn.left), Ink::Light, Tone::Held),
                span(turn.granted.or(turn.left), turn.left, Ink::Solid, tone),
            ],
            text: format!("{waited:>6}  {fence}{note}"),
            tone,
        }
    };
    queue::in_order(turns).into_iter().map(line).collect()
}
