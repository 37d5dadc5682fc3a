//! Resumes a failed run from any state, keeping all that was done.

pub mod clone;
pub mod cut;
pub mod past;
pub mod plan;
pub mod refusal;
pub mod warning;
