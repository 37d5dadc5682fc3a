//! `cargo ecs-mutants`: breaks the ECS relay in each of a list of ways, and shows that the simulation notices.

use std::process::ExitCode;

use simulation::ecs::Scenario;
use simulation::mutants::ECS;
use simulation::mutants::command::{Protocol, command};

fn main() -> ExitCode {
    command(&Protocol {
        mutants: ECS,
        simulation: "ecs-simulation",
        scenarios: &Scenario::ALL,
        schedules: "20000",
        exhaustive: None,
    })
}
