//! `cargo ecs-bench`: a stage by the ECS relay beside Step Functions' own integration, on the local cloud.
#![allow(clippy::print_stdout, reason = "a command that speaks to people")]

use std::process::ExitCode;

use e2e::ecs_bench::measure;
use local_cloud::terminal::{self, say};

const HELP: &str = "\
cargo ecs-bench [--runs N]

Measures a stage by the ECS relay beside the same container by ecs:runTask.sync, on an AWS emulator on this machine: what
is billed, and how long a state takes to hear that its container has ended. N runs of each at once; 10 if not said. About
two minutes.

Exit status 1 if the relay missed a goal.";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runs = match arguments.as_slice() {
        [] => Some(10),
        [option, value] if option == "--runs" => value.parse().ok().filter(|runs| *runs > 0),
        _ => None,
    };
    let Some(runs) = runs else {
        say(HELP);
        return ExitCode::from(if arguments == ["--help"] { 0 } else { 2 });
    };
    match measure(runs).await {
        Ok(measured) => {
            for sheet in &measured.sheets {
                say(&format!("\n{sheet}"));
            }
            for goal in &measured.missed {
                say(&format!("MISSED: {goal}"));
            }
            ExitCode::from(u8::from(!measured.missed.is_empty()))
        }
        Err(error) => {
            terminal::complain(&error);
            ExitCode::FAILURE
        }
    }
}
