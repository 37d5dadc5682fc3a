//! `cargo guard-simulation`: many schedules of the overlap guard, or one again.

use std::process::ExitCode;

use simulation::guard::{Scenario, run};
use simulation::schedules::command;

fn main() -> ExitCode {
    command("guard-simulation", &Scenario::ALL, 20_000, run)
}
