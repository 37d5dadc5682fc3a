//! The lock beside a polling semaphore, on the local cloud: what they cost, how quick they are, and how fair.
//!
//! The semaphore follows the pattern that AWS published; see `bench/polling.asl.json`.

pub mod deep;
pub mod free;
pub mod line;
pub mod prices;
pub mod sheet;
pub mod side;
pub mod target;
pub mod timing;
pub mod waiting;

pub use sheet::Sheet;
pub use side::{Kind, Side};
pub use target::Target;

/// What a scenario found out.
#[derive(Debug)]
pub struct Report {
    /// The tables.
    pub sheets: Vec<Sheet>,
    /// What was to be reached.
    pub targets: Vec<Target>,
}

/// Says on standard error what goes on: standard output is for the tables.
#[allow(clippy::print_stderr, reason = "a command that speaks to people")]
pub fn tell(what: &str) {
    eprintln!("  {what}");
}
