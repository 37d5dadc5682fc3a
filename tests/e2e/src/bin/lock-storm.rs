//! `cargo lock-storm`: many runs at once on one lock of the local cloud, round after round.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;

use e2e::bench::timing::percentile;
use e2e::lock_storm::{Storm, storm};

const USAGE: &str = "usage: cargo lock-storm [--rounds N] [--runs N] [--work MILLISECONDS] [--slots N [--kills 0|1]]";

/// Slots, and whether runs are killed while they hold: one round of each, over and over, unless one is asked for.
const KINDS: [(usize, bool); 3] = [(1, false), (5, false), (5, true)];

#[tokio::main]
async fn main() -> ExitCode {
    let (mut rounds, mut runs, mut work) = (KINDS.len(), 200, 200);
    let (mut slots_asked, mut kills_asked) = (None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number = arguments.next().and_then(|value| value.parse().ok());
        match (option.as_str(), number) {
            ("--rounds", Some(number)) => rounds = number,
            ("--runs", Some(number)) => runs = number,
            ("--work", Some(number)) => work = number,
            ("--slots", Some(number)) => slots_asked = Some(number),
            ("--kills", Some(number)) => kills_asked = number > 0,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    println!(
        "{:>5} {:>5} {:>5} {:>6} {:>6} {:>8} {:>13} {:>16} {:>10} {:>8}",
        "round",
        "slots",
        "runs",
        "served",
        "killed",
        "at once",
        "ordered pairs",
        "hand-off p50 max",
        "writes/run",
        "seconds"
    );
    let mut good = true;
    for round in 1..=rounds {
        let (slots, kills) = match slots_asked {
            Some(slots) => (slots, kills_asked),
            None => KINDS[(round - 1) % KINDS.len()],
        };
        let kind = Storm {
            runs,
            slots,
            work: f64::from(u32::try_from(work).unwrap_or(u32::MAX)) / 1_000.0,
            kills,
        };
        match storm(&format!("lock storm {round}"), kind).await {
            Ok(outcome) => {
                let hand_offs = match (percentile(&outcome.hand_offs, 50), outcome.hand_offs.last()) {
                    (Some(median), Some(longest)) => format!("{median} {longest} ms"),
                    _ => "-".to_owned(),
                };
                println!(
                    "{round:>5} {slots:>5} {runs:>5} {:>6} {:>6} {:>8} {:>13} {hand_offs:>16} {:>10.1} {:>8.1}",
                    outcome.served,
                    outcome.killed,
                    outcome.most_at_once,
                    outcome.ordered,
                    outcome.writes,
                    outcome.took.as_secs_f64(),
                );
                good &= outcome.broken.is_empty();
                for problem in outcome.broken.iter().take(20) {
                    println!("      {problem}");
                }
            }
            Err(error) => {
                good = false;
                println!("{round:>5} {slots:>5} {runs:>5} {error}");
            }
        }
    }
    let verdict = match good {
        true => "all were served, in order, in the slots there were",
        false => "BROKEN",
    };
    println!("{verdict}");
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
