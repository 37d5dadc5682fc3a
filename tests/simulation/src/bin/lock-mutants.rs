//! `cargo lock-mutants`: breaks the lock protocol in each of a list of ways, and shows that the simulation notices.

use std::process::ExitCode;

use simulation::lock::Scenario;
use simulation::mutants::LOCK;
use simulation::mutants::command::{Protocol, command};

fn main() -> ExitCode {
    command(&Protocol {
        mutants: LOCK,
        simulation: "lock-simulation",
        scenarios: &Scenario::ALL,
        schedules: "60000",
        exhaustive: Some(("lock-exhaustive", &["three-runs", "crash", "doubled", "redrive"])),
    })
}
