//! `cargo demo`: runs that must not overlap, runs that take turns, containers that hand a value back, a failure that is
//! mailed, and one that goes on from where it failed, on the local cloud.

mod alert;
mod container;
mod resume;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use local_cloud::{
    Account, Cloud, Deployed, Error, Execution, Mail, Options, Progress,
    container::Stage,
    page::{self, Chart, Part},
    progress::seconds,
    queue::{self, HandOver, Turn},
    seed,
    terminal::{self, Paint, say},
    timeline::{self, Ink, Line, Outcome, Span, Tone},
    wait,
    workspace::Workspace,
};
use serde_json::json;

use crate::resume::Story;

const HELP: &str = "\
cargo demo

Runs the fleet on an AWS emulator on this machine. Three runs of one pipeline start at once, and the overlap guard lets
one through; eight runs of two pipelines ask for one lock, and take turns; three runs get a value from a container that
knows nothing of them, and one of the containers is interrupted; one run of another pipeline fails, and the mail that says
where is shown; one more fails by a slip in its input, and goes on with that corrected. Exits with 1 if it is not so.
The same is then in target/demo/report.html, for a browser.
No AWS account, no docker; the first time it installs the emulator under target/.";

/// What it is about.
const TITLE: &str = "Signalbox: runs kept apart, runs in turn, a container's value, a failure in words, and its resume";

/// How long a run may take to ask for the lock, or to be given it.
const NEXT_WITHIN: Duration = Duration::from_secs(30);

/// How long the run that is stopped has the lock before.
const STOPPED_AFTER: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> ExitCode {
    if env::args().len() > 1 {
        say(HELP);
        return if env::args().any(|argument| argument == "--help") {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        };
    }
    tokio::select! {
        // First: a Ctrl-C also ends cargo and pip, and their failure is not the news.
        biased;
        () = terminal::interrupted() => {
            say("\nstopped");
            ExitCode::from(130)
        }
        shown = demo() => match shown {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                terminal::complain(&error);
                ExitCode::FAILURE
            }
        },
    }
}

/// Whether the fleet did what it is for.
async fn demo() -> Result<bool, Error> {
    let begun = Instant::now();
    let paint = Paint::for_stdout();
    let progress = Progress::steps();
    say("");
    say(&paint.bold(TITLE));
    say("");
    let cloud = Cloud::start(Options {
        port: None,
        progress: progress.clone(),
    })
    .await?;
    let account = cloud.account("demo");
    let all = all(&account, &progress).await.inspect_err(|_| cloud.keep_state());
    let Shown {
        runs,
        turns,
        stages,
        mail,
        story,
    } = all?;
    let told = [
        tell_of_guard(&runs),
        tell_of_lock(&turns),
        container::tell(&stages),
        alert::tell(&mail),
        resume::tell(&story),
    ];
    let parts: Vec<Part> = told.iter().flat_map(|told| told.parts.clone()).collect();
    for part in &parts {
        part.say(paint);
    }
    let good = told.iter().all(|told| told.good);
    if !good {
        cloud.keep_state();
    }
    let report = write_report(&parts).await?;
    show_ways_on(&report, begun.elapsed(), paint);
    Ok(good)
}

/// Writes the same as a page: where it is.
async fn write_report(parts: &[Part]) -> Result<PathBuf, Error> {
    let folder = Workspace::find().await?.target.join("demo");
    let file = folder.join("report.html");
    let write = || {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(&file, page::html(TITLE, parts))
    };
    write().map_err(|error| Error::Unexpected {
        from: file.display().to_string(),
        reason: error.to_string(),
    })?;
    Ok(file)
}

/// What is told of one thing that the fleet does, and whether it did it.
struct Told {
    parts: Vec<Part>,
    good: bool,
}

impl Told {
    fn about(heading: &str) -> Self {
        Self {
            parts: vec![Part::Heading(heading.to_owned())],
            good: true,
        }
    }

    fn add(&mut self, part: Part) {
        self.parts.push(part);
    }

    fn say(&mut self, text: &str) {
        self.add(Part::Text(text.to_owned()));
    }

    fn fault(&mut self, text: &str) {
        self.say(text);
        self.good = false;
    }
}

/// What is shown.
struct Shown {
    runs: Vec<Execution>,
    turns: Vec<Turn>,
    stages: Vec<Stage>,
    mail: Mail,
    story: Story,
}

/// Deploys the fleet and the examples, and runs all of them at the same time: the second lasts longest.
async fn all(account: &Account, progress: &Progress) -> Result<Shown, Error> {
    let step = progress.step("fleet", "deploying template.yaml");
    let fleet = seed::fleet(account).await?;
    step.done(&format!("stack {}, {} resources", fleet.stack, fleet.resources.len()));

    let step = progress.step("pipelines", "deploying the examples");
    let nightly = seed::orders_nightly(account, &fleet).await?;
    let warehouse = seed::warehouse(account, &fleet).await?;
    let booking = seed::orders_booking(account).await?;
    let etl = seed::nightly_etl(account, &fleet).await?;
    let month_end = seed::month_end(account, &fleet).await?;
    step.done("orders-nightly, warehouse, nightly-etl, orders-booking, month-end");

    let (runs, turns, stages, mail, story) = tokio::try_join!(
        three_runs(account, &nightly, progress),
        eight_runs(account, &warehouse, progress),
        container::three_containers(account, &etl, progress),
        alert::one_failure(account, &booking, progress),
        resume::one_slip(account, &fleet, &month_end, progress)
    )?;
    Ok(Shown {
        runs,
        turns,
        stages,
        mail,
        story,
    })
}

/// Starts the pipeline three times at once, and waits for all three.
async fn three_runs(account: &Account, example: &Deployed, progress: &Progress) -> Result<Vec<Execution>, Error> {
    let step = progress.step("three runs", "running orders-nightly three times at once");
    let machine = seed::orders_nightly_machine(example)?;
    let input = seed::orders_nightly_input();
    let start = |name| account.start_execution(machine, name, &input);
    let (first, second, third) = tokio::join!(start("nightly-1"), start("nightly-2"), start("nightly-3"));
    let runs = account.wait_for_executions(&[first?, second?, third?]).await?;
    step.done("orders-nightly, started at once, all ended");
    Ok(runs)
}

/// Starts eight runs of two pipelines one after the other, each when the one before it has asked for the lock; stops one
/// of them while it has it; and waits for all of them.
async fn eight_runs(account: &Account, example: &Deployed, progress: &Progress) -> Result<Vec<Turn>, Error> {
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

/// Tells what became of the three runs: whether the guard let one through, and refused all the others.
fn tell_of_guard(runs: &[Execution]) -> Told {
    let rows = timeline::rows(runs);
    let mut told = Told::about("One run at a time: three runs of orders-nightly start at once");
    told.add(Part::Chart(Chart {
        heading: String::new(),
        lines: timeline::lines(&rows),
        legend: Vec::new(),
    }));
    let (through, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.outcome == Outcome::WentThrough);
    let refused = others.iter().all(|row| matches!(row.outcome, Outcome::Refused { .. }));
    match through.first().filter(|_| through.len() == 1 && refused) {
        Some(one) => told.say(&format!(
            "The pipeline's first state asks the guard. It let {} through, and refused the {} that would have \
             overlapped, before any of their work began. What the console shows for one of them:",
            one.name,
            others.len()
        )),
        None => {
            told.fault("This is not what the guard is for: one run should have gone through, the others been refused.");
        }
    }
    if let Some((run, error)) = runs.iter().find_map(|run| Some((run, run.error.clone()?))) {
        let cause = run.cause_message().unwrap_or_default();
        let rows = [("Error", error), ("Cause", cause)];
        told.add(Part::Rows(
            rows.map(|(name, text)| (name.to_owned(), vec![text])).into(),
        ));
    }
    told
}

/// Tells of the eight runs: whether they took turns, in order.
fn tell_of_lock(turns: &[Turn]) -> Told {
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

fn show_ways_on(report: &Path, took: Duration, paint: Paint) {
    say("");
    for (command, what) in [
        ("cargo cloud", "keeps such a cloud up, for the AWS CLI and cargo lambda"),
        ("cargo test", "the unit tests, and the end-to-end tests on this cloud"),
        (
            "README.md",
            "the fleet in pipelines of your own, and its deployment to AWS",
        ),
    ] {
        say(&format!("  {}{what}", paint.bold(&format!("{command:<14}"))));
    }
    say(&format!("\n  The same as a page: {}", report.display()));
    say(&format!("  Total time: {}.\n", seconds(took)));
}
