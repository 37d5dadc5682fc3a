//! `cargo alert-storm`: many failures in a short time on the local cloud, and what people are told of them.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;

use e2e::alert_storm::{KINDS, storm};

const USAGE: &str = "usage: cargo alert-storm [--failures N] [--kinds 1..5]";

#[tokio::main]
async fn main() -> ExitCode {
    let (mut failures, mut kinds) = (500, KINDS.len());
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number: Option<usize> = arguments.next().and_then(|value| value.parse().ok());
        match (option.as_str(), number) {
            ("--failures", Some(number @ 1..)) => failures = number,
            ("--kinds", Some(number)) if (1..=KINDS.len()).contains(&number) => kinds = number,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match storm("alert storm", failures, kinds).await {
        Ok(outcome) => {
            println!(
                "{failures} failures of {kinds} kinds in {:.1} s, handled after {:.1} s: {} alerts, {} summaries, {} failures told",
                outcome.failing.as_secs_f64(),
                outcome.took.as_secs_f64(),
                outcome.alerts,
                outcome.summaries,
                outcome.told,
            );
            for problem in &outcome.broken {
                println!("BROKEN: {problem}");
            }
            match outcome.broken.is_empty() {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
