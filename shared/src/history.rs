//! Execution histories, read once from the first event to the last: which state failed, where it stands, and why.
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | one event, as `GetExecutionHistory` has it; read leniently |
//! | [`reader`] | what has happened so far: open states, branches, iterations, attempts, generations |
//! | [`failure`] | where an execution failed, in words |

pub mod event;
pub mod failure;
pub mod reader;

pub use event::Event;
pub use failure::{Ended, Failed, Failure, Handled, Kind, Step};
pub use reader::{Reader, ScopeId, VisitId};
