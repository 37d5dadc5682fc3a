#![doc = include_str!("../README.md")]

pub mod answer;
pub mod event;
pub mod logs;
pub mod results;
pub mod settle;
pub mod stops;
pub mod sweep;

mod handler;

pub use handler::{Answer, EcsSettle};

/// How tasks are settled: what is remembered, ECS, the tokens, results, logs, the queue of launches, and the clock.
#[derive(Debug, Clone)]
pub struct Settles<R, E, T, S, L, Q, C> {
    /// Records.
    pub records: R,
    /// Amazon ECS.
    pub cluster: E,
    /// Task tokens.
    pub tasks: T,
    /// What containers have put into the bucket.
    pub results: S,
    /// What containers have written to their logs.
    pub logs: L,
    /// Launches that are to be gone on with.
    pub queue: Q,
    /// Time.
    pub clock: C,
    /// The bucket's name.
    pub bucket: String,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The state was answered.
    Settled,
    /// Nobody waited for the answer.
    Unheard,
    /// The task has not ended.
    Pending,
    /// The attempt was answered before.
    Known,
    /// So many tasks of an execution that has ended were told to stop, or none of them was left.
    Stopped,
    /// It says nothing about tasks of the relay.
    Ignored,
}

impl Outcome {
    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Unheard => "unheard",
            Self::Pending => "pending",
            Self::Known => "known",
            Self::Stopped => "stopped",
            Self::Ignored => "ignored",
        }
    }
}
