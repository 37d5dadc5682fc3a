//! `cargo soak`: everything at once on the local cloud for a long time, and whether anything is left over.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;
use std::time::Duration;

use e2e::soak::{Told, soak};
use local_cloud::{Cloud, Options, Progress};

const USAGE: &str = "usage: cargo soak [--minutes N] [--pipelines N] [--seed N]";

#[tokio::main]
async fn main() -> ExitCode {
    let (mut minutes, mut pipelines, mut seed) = (30, 20, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number: Option<u64> = arguments.next().and_then(|value| value.parse().ok());
        match (option.as_str(), number) {
            ("--minutes", Some(number)) => minutes = number,
            ("--pipelines", Some(number)) => pipelines = number,
            ("--seed", Some(number)) => seed = number,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match run(minutes, usize::try_from(pipelines).unwrap_or(usize::MAX), seed).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(minutes: u64, pipelines: usize, seed: u64) -> Result<bool, Box<dyn std::error::Error>> {
    let options = Options {
        port: None,
        progress: Progress::steps(),
    };
    let cloud = Cloud::start_with_schedules(options).await?;
    println!("{pipelines} pipelines for {minutes} minutes, seed {seed}");
    let say = |line: &str| println!("  {line}");
    let told = soak(&cloud, pipelines, Duration::from_mins(minutes), seed, say)
        .await
        .inspect_err(|_| cloud.keep_state())?;
    show(&told);
    if !told.broken.is_empty() {
        cloud.keep_state();
    }
    Ok(told.broken.is_empty())
}

fn show(told: &Told) {
    println!();
    for (what, count) in &told.counts {
        println!("{what:<32} {count:>6}");
    }
    println!("\nfailed by");
    for (error, count) in &told.errors {
        println!("  {error:<30} {count:>6}");
    }
    println!();
    for broken in told.broken.iter().take(20) {
        println!("BROKEN {broken}");
    }
    if told.broken.is_empty() {
        println!("nothing left over, and nothing untold");
    }
}
