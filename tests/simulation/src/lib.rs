//! The fleet's protocols, as they are, in a world that interleaves, crashes, lags and forgets.
//!
//! One seed is one schedule. `cargo test` runs some thousands; `cargo guard-simulation --schedules 1000000` and
//! `cargo lock-simulation` as many as you like, `--seed 42 --scenario simultaneous` one again.

pub mod ecs;
pub mod guard;
pub mod lock;
pub mod mutants;
mod records;
pub mod schedules;
mod step_functions;
mod table;
pub mod tokens;
pub mod trace;
mod trouble;

pub use records::MemoryStore;
pub use step_functions::StepFunctions;
pub use table::{Items, MemoryTable};
pub use trouble::Trouble;
