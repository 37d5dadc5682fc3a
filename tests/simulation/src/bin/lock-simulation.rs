//! `cargo lock-simulation`: many schedules of the FIFO lock, or one again.

use std::process::ExitCode;

use simulation::lock::{Scenario, run};
use simulation::schedules::command;

fn main() -> ExitCode {
    command("lock-simulation", &Scenario::ALL, 20_000, run)
}
