//! `cargo ecs-storm`: many ECS stages at once on the local cloud, while ECS starts 20 tasks a second.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;

use e2e::ecs_storm::{TASKS_A_SECOND, storm};

const USAGE: &str = "usage: cargo ecs-storm [--stages N]";

#[tokio::main]
async fn main() -> ExitCode {
    let mut stages = 500;
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number: Option<usize> = arguments.next().and_then(|value| value.parse().ok());
        let Some(number @ 1..) = number.filter(|_| option == "--stages") else {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        };
        stages = number;
    }
    println!("{stages} stages at once, {TASKS_A_SECOND} tasks a second: a minute or so for 500");
    match storm("ecs storm", stages).await {
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
