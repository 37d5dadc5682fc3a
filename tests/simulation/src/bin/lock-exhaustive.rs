//! `cargo lock-exhaustive`: every schedule of small worlds.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;
use std::time::Instant;

use simulation::lock::small::{Small, run_all};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut good = true;
    for small in Small::ALL {
        if !wanted.is_empty() && !wanted.contains(&small.to_string()) {
            continue;
        }
        let began = Instant::now();
        match run_all(small) {
            Ok(explored) => println!(
                "{small:<12}{:>10} schedules, {:>9} states: nothing broken ({:.1} s)",
                explored.schedules,
                explored.states,
                began.elapsed().as_secs_f64()
            ),
            Err(broken) => {
                good = false;
                println!("{small:<12}broken: {broken}");
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
