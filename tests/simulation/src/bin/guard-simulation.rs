//! `cargo guard-simulation`: many schedules of the overlap guard, or one again.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;

use simulation::guard::{Scenario, run};

const USAGE: &str = "usage: cargo guard-simulation [-- [--schedules N] [--scenario NAME] [--seed N]]";

fn main() -> ExitCode {
    match simulate() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn simulate() -> Result<bool, String> {
    let (mut schedules, mut scenarios, mut first) = (20_000, Scenario::ALL.to_vec(), 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} takes a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{option} takes a number, not {value}"))
        };
        match option.as_str() {
            "--schedules" => schedules = number()?,
            "--seed" => (first, schedules) = (number()?, 1),
            "--scenario" => scenarios = vec![value.parse()?],
            _ => return Err(format!("unknown option {option}")),
        }
    }
    let mut good = true;
    for scenario in scenarios {
        let broken: Vec<(u64, String)> = (first..first + schedules)
            .filter_map(|seed| Some((seed, run(scenario, seed).err()?)))
            .take(5)
            .collect();
        match broken.is_empty() {
            true => println!("{scenario:<14}{schedules:>10} schedules: nothing broken"),
            false => println!("{scenario:<14}broken:"),
        }
        for (seed, what) in broken {
            good = false;
            println!("  seed {seed}: {what}");
        }
    }
    Ok(good)
}
