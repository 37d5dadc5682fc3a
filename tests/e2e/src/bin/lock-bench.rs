//! `cargo lock-bench`: the lock beside a polling semaphore, on the local cloud.
#![allow(clippy::print_stdout, reason = "a command that speaks to people")]

use std::process::ExitCode;
use std::time::Duration;

use e2e::bench::line::Plan;
use e2e::bench::{Report, Target, deep, free, waiting};
use local_cloud::terminal::{self, say};
use local_cloud::{Cloud, Error, Options, Progress};

const HELP: &str = "\
cargo lock-bench [--scenario NAME]... [--runs N] [--waiters N] [--patience SECONDS]

Measures the lock beside a semaphore that is polled, on an AWS emulator on this machine. About nine minutes for all:

  free       a lock that nobody else wants
  staggered  20 runs, started half a second apart, 2 s of work each
  at-once    60 runs at once, 2 s of work each
  waiting    one run waits behind another
  deep       a queue of 5 and one of 5,000

  --scenario NAME      only this one; may be given again
  --runs N             so many runs in staggered and at-once
  --waiters N          so many waiters in the long queue of deep
  --patience SECONDS   how long the runs of staggered and at-once are given; 240 if not said

Exit status 1 if the lock missed a target.";

const SCENARIOS: [&str; 5] = ["free", "staggered", "at-once", "waiting", "deep"];

#[derive(Debug)]
struct Choice {
    scenarios: Vec<String>,
    runs: Option<usize>,
    waiters: u64,
    patience: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(choice) = Choice::read(std::env::args().skip(1)) else {
        say(HELP);
        return match std::env::args().any(|argument| argument == "--help") {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(2),
        };
    };
    tokio::select! {
        // First: a Ctrl-C also ends cargo, and its failure is not the news.
        biased;
        () = terminal::interrupted() => ExitCode::from(130),
        done = measure(&choice) => match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                terminal::complain(&error);
                ExitCode::FAILURE
            }
        },
    }
}

impl Choice {
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut choice = Self {
            scenarios: Vec::new(),
            runs: None,
            waiters: 5_000,
            patience: Duration::from_mins(4),
        };
        while let Some(option) = arguments.next() {
            let value = arguments.next()?;
            match option.as_str() {
                "--scenario" if SCENARIOS.contains(&value.as_str()) => choice.scenarios.push(value),
                "--runs" => choice.runs = Some(value.parse().ok().filter(|runs| *runs > 1)?),
                "--waiters" => choice.waiters = value.parse().ok()?,
                "--patience" => choice.patience = Duration::from_secs(value.parse().ok()?),
                _ => return None,
            }
        }
        Some(choice)
    }

    fn wants(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|wanted| wanted == scenario)
    }
}

/// Whether all targets were met.
async fn measure(choice: &Choice) -> Result<bool, Error> {
    let options = Options {
        port: None,
        progress: Progress::slow_only(),
    };
    let cloud = Cloud::start(options).await?;
    measure_on(&cloud, choice).await.inspect_err(|_| cloud.keep_state())
}

async fn measure_on(cloud: &Cloud, choice: &Choice) -> Result<bool, Error> {
    let plan = |name, runs, apart| Plan {
        name,
        runs: choice.runs.unwrap_or(runs),
        apart,
        patience: choice.patience,
    };
    let mut targets = Vec::new();
    for scenario in SCENARIOS.into_iter().filter(|scenario| choice.wants(scenario)) {
        let report = match scenario {
            "free" => free::compare(cloud).await?,
            "staggered" => plan("staggered", 20, Duration::from_millis(500)).compare(cloud).await?,
            "at-once" => plan("at-once", 60, Duration::ZERO).compare(cloud).await?,
            "waiting" => waiting::compare(cloud).await?,
            _ => deep::compare(cloud, 5, choice.waiters).await?,
        };
        let Report { sheets, targets: own } = report;
        for sheet in sheets {
            println!("{sheet}");
        }
        targets.extend(own);
    }
    println!("{}", Target::sheet(&targets));
    Ok(targets.iter().all(|target| target.met))
}
