//! `cargo ecs-storm`: many ECS stages at once on the local cloud, while ECS starts 20 tasks a second.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;

use e2e::ecs_storm::{TASKS_A_SECOND, storm};

const USAGE: &str = "usage: cargo ecs-storm [--stages N] [--tasks-a-second N]";

#[tokio::main]
async fn main() -> ExitCode {
    let (mut stages, mut a_second) = (500, TASKS_A_SECOND);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number: Option<u32> = arguments.next().and_then(|value| value.parse().ok());
        match (option.as_str(), number) {
            ("--stages", Some(number @ 1..)) => stages = number,
            ("--tasks-a-second", Some(number @ 1..)) => a_second = f64::from(number),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    println!("{stages} stages at once, {a_second} tasks a second: two minutes or so for 500 at 20");
    match storm("ecs storm", usize::try_from(stages).unwrap_or(usize::MAX), a_second).await {
        Ok(outcome) => {
            println!(
                "all ended after {:.1} s: RunTask was throttled {} times, the queue went on with {} launches",
                outcome.took.as_secs_f64(),
                outcome.throttled,
                outcome.handed_over,
            );
            for problem in outcome.broken.iter().take(20) {
                println!("BROKEN: {problem}");
            }
            match outcome.broken.len() {
                0 => ExitCode::SUCCESS,
                count => {
                    println!("{count} things were not as they should be");
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
