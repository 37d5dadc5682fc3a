//! `cargo ecs-simulation`: many schedules of the ECS relay, or one again.

use std::process::ExitCode;

use simulation::ecs::{Scenario, run};
use simulation::schedules::command;

fn main() -> ExitCode {
    command("ecs-simulation", &Scenario::ALL, 20_000, run)
}
