//! The fleet's protocols, as they are, in a world that interleaves, crashes, lags and forgets.
//!
//! One seed is one schedule. `cargo test` runs some thousands; `cargo guard-simulation --schedules 1000000` as many
//! as you like, `--seed 42 --scenario simultaneous` one again.

pub mod guard;
mod step_functions;
mod store;

pub use step_functions::StepFunctions;
pub use store::MemoryStore;
