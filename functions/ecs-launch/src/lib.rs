#![doc = include_str!("../README.md")]

pub mod earlier;
pub mod launch;
pub mod places;
pub mod request;
pub mod settings;
pub mod start;

mod handler;

pub use handler::{Answer, EcsLaunch};

use crate::settings::Defaults;

/// How tasks are launched: what is remembered, ECS, the tokens, where results go, the queue of launches, and the clock.
#[derive(Debug, Clone)]
pub struct Launches<R, E, T, P, Q, C> {
    /// Records.
    pub records: R,
    /// Amazon ECS.
    pub cluster: E,
    /// Task tokens.
    pub tasks: T,
    /// Where results go.
    pub places: P,
    /// Launches that somebody else goes on with.
    pub queue: Q,
    /// Time.
    pub clock: C,
    /// The stack's parameters for tasks.
    pub defaults: Defaults,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its task was started, by this call or by another one, and may have been told to stop since; or another call has
    /// told the state that it could not be.
    Launched,
    /// ECS starts no more tasks for now: the queue goes on with it.
    Queued,
    /// It has taken over the task of an earlier attempt.
    Adopted,
    /// Its task could not be started, and the state was told.
    Failed,
    /// It was answered before.
    Settled,
    /// Nobody waits for it.
    Gone,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Launched,
        Self::Queued,
        Self::Adopted,
        Self::Failed,
        Self::Settled,
        Self::Gone,
    ];

    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Launched => "launched",
            Self::Queued => "queued",
            Self::Adopted => "adopted",
            Self::Failed => "failed",
            Self::Settled => "settled",
            Self::Gone => "gone",
        }
    }
}
