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
        shown = demo() => match shown {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(&format!("\n{} {error}", Paint::for_stdout().red("error:")));
                ExitCode::FAILURE
            }
        },
        () = local_cloud::terminal::interrupted() => {
            say("\nstopped");
            ExitCode::from(130)
        }
    }
}

async fn demo() -> Result<(), Error> {
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
    show(&runs, begun.elapsed(), paint);
    Ok(())
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

fn show(runs: &[Execution], took: Duration, paint: Paint) {
    let width = terminal::width();
    let rows = timeline::rows(runs);
    say(&timeline::render(&rows, width, paint));

    if let Some((run, error)) = runs.iter().find_map(|run| Some((run, run.error.as_deref()?))) {
        say(&format!(
            "  {}",
            paint.bold(&format!("What the Step Functions console shows for {}", run.name))
        ));
        fact("Error", error, width);
        fact("Cause", &run.cause_message().unwrap_or_default(), width);
        say("");
    }

    for line in terminal::wrap(&summary(&rows, took), width.min(100) - 2) {
        say(&format!("  {line}"));
    }
    say("");
    for (command, what) in [
        (
            "cargo cloud",
            "keeps this cloud running: for the AWS CLI, for cargo lambda, for a pipeline of your own",
        ),
        ("cargo test", "the unit tests, and the end-to-end tests on this cloud"),
        (
            "README.md",
            "how to put the guard into your own pipeline, and how to deploy it to AWS",
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

fn summary(rows: &[Row], took: Duration) -> String {
    let through: Vec<_> = rows.iter().filter(|row| row.outcome == Outcome::WentThrough).collect();
    let refused = rows
        .iter()
        .filter(|row| matches!(row.outcome, Outcome::Refused { .. }))
        .count();
    let told = match (through.as_slice(), refused) {
        ([one], refused) if refused + 1 == rows.len() => format!(
            "The pipeline's first state asks the guard. It let {} through and refused the {refused} that would have \
             overlapped it: they failed with an error that a Retry or a Catch can name.",
            one.name
        ),
        _ => "This is not what the guard is for: one run should have gone through, and the others been refused.".into(),
    };
    format!("{told} Total time: {}.", seconds(took))
}
