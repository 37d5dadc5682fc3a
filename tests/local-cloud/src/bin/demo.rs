//! `cargo demo`: three runs of one pipeline start at once, and the guard lets one through.

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use local_cloud::{
    Account, Cloud, Error, Execution, Options, Progress,
    progress::seconds,
    seed,
    terminal::{self, Paint, say},
    timeline::{self, Outcome, Row},
};

const HELP: &str = "\
cargo demo

Runs the fleet on an AWS emulator on this machine, starts three runs of one pipeline at once, and shows what the
overlap guard does about it. No AWS account, no docker; the first time it installs the emulator under target/.";

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

/// Whether the guard did what it is for.
async fn demo() -> Result<bool, Error> {
    let begun = Instant::now();
    let paint = Paint::for_stdout();
    let progress = Progress::steps();
    say("");
    say(&paint.bold("Signalbox: three runs of one pipeline start at once; one may run"));
    say("");
    let cloud = Cloud::start(Options {
        port: None,
        progress: progress.clone(),
    })
    .await?;
    let account = cloud.account("demo");
    let runs = three_runs(&account, &progress)
        .await
        .inspect_err(|_| cloud.keep_state())?;
    say("");
    let rows = timeline::rows(&runs);
    let guarded = guarded(&rows);
    if guarded.is_none() {
        cloud.keep_state();
    }
    show(&runs, &rows, guarded, begun.elapsed(), paint);
    Ok(guarded.is_some())
}

/// Deploys, starts the pipeline three times at once, and waits for all three.
async fn three_runs(account: &Account, progress: &Progress) -> Result<Vec<Execution>, Error> {
    let step = progress.step("fleet", "deploying template.yaml");
    let fleet = seed::fleet(account).await?;
    step.done(&format!("stack {}, {} resources", fleet.stack, fleet.resources.len()));

    let step = progress.step("pipeline", "deploying examples/orders-nightly");
    let example = seed::orders_nightly(account, &fleet).await?;
    step.done(&format!(
        "stack {}, {} resources",
        example.stack,
        example.resources.len()
    ));

    let step = progress.step("three runs", "running orders-nightly three times at once");
    let machine = seed::orders_nightly_machine(&example)?;
    let input = seed::orders_nightly_input();
    let start = |name| account.start_execution(machine, name, &input);
    let (first, second, third) = tokio::join!(start("nightly-1"), start("nightly-2"), start("nightly-3"));
    let runs = account.wait_for_executions(&[first?, second?, third?]).await?;
    step.done("orders-nightly, started at once, all ended");
    Ok(runs)
}

/// The one run that went through, if the guard refused all the others.
fn guarded(rows: &[Row]) -> Option<&Row> {
    let (through, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.outcome == Outcome::WentThrough);
    let refused = others.iter().all(|row| matches!(row.outcome, Outcome::Refused { .. }));
    through.first().copied().filter(|_| through.len() == 1 && refused)
}

fn show(runs: &[Execution], rows: &[Row], guarded: Option<&Row>, took: Duration, paint: Paint) {
    let width = terminal::width();
    say(&timeline::render(rows, width, paint));

    if let Some((run, error)) = runs.iter().find_map(|run| Some((run, run.error.as_deref()?))) {
        say(&format!(
            "  {}",
            paint.bold(&format!("What the Step Functions console shows for {}", run.name))
        ));
        fact("Error", error, width);
        fact("Cause", &run.cause_message().unwrap_or_default(), width);
        say("");
    }

    let told = match guarded {
        Some(one) => format!(
            "The pipeline's first state asks the guard. It let {} through, and refused the {} that would have \
             overlapped: they failed before any of their work began, with an error that a Catch can match.",
            one.name,
            rows.len() - 1
        ),
        None => "This is not what the guard is for: one run should have gone through, the others been refused.".into(),
    };
    let told = format!("{told} Total time: {}.", seconds(took));
    for line in terminal::wrap(&told, width.min(100) - 2) {
        say(&format!("  {line}"));
    }
    say("");
    for (command, what) in [
        ("cargo cloud", "keeps this cloud up, for the AWS CLI and cargo lambda"),
        ("cargo test", "the unit tests, and the end-to-end tests on this cloud"),
        (
            "README.md",
            "the guard in a pipeline of your own, and the deployment to AWS",
        ),
    ] {
        say(&format!("  {}{what}", paint.bold(&format!("{command:<14}"))));
    }
    say("");
}

/// A named text, wrapped beside its name.
fn fact(name: &str, text: &str, width: usize) {
    for (at, line) in terminal::wrap(text, width - 11).iter().enumerate() {
        say(&format!("    {:<7}{line}", if at == 0 { name } else { "" }));
    }
}
