//! What the commands have in common: many schedules on all processors, or one again.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "for commands that speak to people"
)]

use std::fmt::Display;
use std::num::NonZero;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Runs one schedule; an error says what was broken.
pub type Run<S> = fn(S, u64) -> Result<(), String>;

/// A command with `--schedules N`, `--scenario NAME` and `--seed N`, which runs schedules of each of `all` scenarios.
pub fn command<S: Copy + Display + Sync>(name: &str, all: &[S], schedules: u64, run: Run<S>) -> ExitCode {
    match simulate(all, schedules, run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}\nusage: cargo {name} [--schedules N] [--scenario NAME] [--seed N]");
            ExitCode::from(2)
        }
    }
}

fn simulate<S: Copy + Display + Sync>(all: &[S], mut schedules: u64, run: Run<S>) -> Result<bool, String> {
    let (mut scenarios, mut first) = (all.to_vec(), 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} takes a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{option} takes a number, not {value}"))
        };
        match option.as_str() {
            "--schedules" => {
                schedules = number()?;
                if schedules == 0 {
                    return Err(format!("{option} takes a number of at least 1"));
                }
            }
            "--seed" => {
                (first, schedules) = (number()?, 1);
                crate::trace::tell();
            }
            "--scenario" => scenarios = vec![named(all, &value)?],
            _ => return Err(format!("unknown option {option}")),
        }
    }
    let mut good = true;
    for scenario in scenarios {
        let began = Instant::now();
        let broken = broken(scenario, first..first + schedules, run);
        let took = began.elapsed().as_secs_f64();
        match broken.is_empty() {
            true => println!("{scenario:<14}{schedules:>10} schedules: nothing broken ({took:.1} s)"),
            false => println!("{scenario:<14}broken:"),
        }
        for (seed, what) in broken {
            good = false;
            println!("  seed {seed}: {what}");
        }
    }
    Ok(good)
}

fn named<S: Copy + Display>(all: &[S], name: &str) -> Result<S, String> {
    let found = all.iter().find(|scenario| scenario.to_string() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(S::to_string).collect();
        format!("no scenario {name}; there are {}", names.join(", "))
    })
}

/// The first few schedules that break something, from all of `seeds`, on all processors.
///
/// # Panics
///
/// If a schedule does.
pub fn broken<S: Copy + Sync>(scenario: S, seeds: Range<u64>, run: Run<S>) -> Vec<(u64, String)> {
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
