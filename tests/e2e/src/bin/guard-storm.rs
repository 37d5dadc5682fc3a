//! `cargo guard-storm`: storms of simultaneous guarded runs on the local cloud, round after round.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;

use e2e::storm::{Weather, storm};

const USAGE: &str = "usage: cargo guard-storm [--rounds N] [--runs N]";

/// Of four rounds, one has a stale list and one a throttled table.
const WEATHER: [Weather; 4] = [
    Weather::Fair,
    Weather::StaleList,
    Weather::Fair,
    Weather::ThrottledTable,
];

#[tokio::main]
async fn main() -> ExitCode {
    let (mut rounds, mut runs) = (20, 50);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number = arguments.next().and_then(|value| value.parse().ok());
        match (option.as_str(), number) {
            ("--rounds", Some(number)) => rounds = number,
            ("--runs", Some(number)) => runs = number,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    println!(
        "{:>5}  {:<15} {:>5} {:>9} {:>8} {:>10} {:>8}",
        "round", "weather", "runs", "survived", "refused", "undecided", "seconds"
    );
    let mut good = true;
    for round in 1..=rounds {
        let weather = WEATHER[(round - 1) % WEATHER.len()];
        let name = format!("storm {round}");
        match storm(&name, runs, weather).await {
            Ok(outcome) => {
                println!(
                    "{round:>5}  {:<15} {runs:>5} {:>9} {:>8} {:>10} {:>8.1}",
                    format!("{weather:?}"),
                    outcome.survived.len(),
                    outcome.refused,
                    outcome.undecided.len(),
                    outcome.took.as_secs_f64(),
                );
                let undecided_allowed = weather == Weather::ThrottledTable;
                if outcome.survived.len() != 1 || !(outcome.undecided.is_empty() || undecided_allowed) {
                    good = false;
                    println!("       {:?} {:?}", outcome.survived, outcome.undecided);
                }
            }
            Err(error) => {
                good = false;
                println!("{round:>5}  {weather:?}: {error}");
            }
        }
    }
    println!(
        "{}",
        if good {
            "exactly one survived, every time"
        } else {
            "BROKEN"
        }
    );
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
