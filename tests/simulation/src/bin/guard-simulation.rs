//! `cargo guard-simulation`: many schedules of the overlap guard, or one again.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::num::NonZero;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use simulation::guard::{Scenario, run};

const USAGE: &str = "usage: cargo guard-simulation [--schedules N] [--scenario NAME] [--seed N]";

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
        let broken = broken(scenario, first..first + schedules);
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

/// The first few schedules that break something, from all of `seeds`, on all processors.
fn broken(scenario: Scenario, seeds: Range<u64>) -> Vec<(u64, String)> {
    const MOST: usize = 5;
    let (next, broken) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(what) = run(scenario, seed) {
                        let mut broken = broken.lock().expect("no thread panics with it");
                        broken.push((seed, what));
                        if broken.len() >= MOST {
                            next.store(seeds.end, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().expect("no thread panics with it");
    broken.sort();
    broken
}
