//! One readable alert for each failure of a pipeline.

pub mod alert;
pub mod chat;
pub mod dynamo;
pub mod error;
pub mod events;
pub mod evidence;
pub mod group;
pub mod mail;
pub mod outbox;
pub mod redact;
pub mod store;
pub mod subject;
pub mod sweep;

mod announce;
mod handler;

use std::time::Duration;

pub use announce::Outcome;
pub use announce::REFUSALS;
pub use handler::{Answer, FailureAlert, PATIENCE};

/// How alerts are made: the stack's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long failures of one kind are counted after the first was announced.
    pub window: Duration,
    /// What the names of the pipelines begin with that the sweep watches.
    pub prefix: String,
    /// Whether inputs are shown.
    pub show_input: bool,
    /// Whether Signalbox's own refusals are announced.
    pub announce_refusals: bool,
    /// How people resume runs; none if the stack has no `resume`.
    pub resume: Option<mail::Resume>,
}

/// Alerts: what is remembered of them, where they go, where their evidence comes from.
#[derive(Debug, Clone)]
pub struct Alerts<S, O, E, L, K, C> {
    /// What is remembered.
    pub store: S,
    /// Where they go.
    pub outbox: O,
    /// Step Functions.
    pub source: E,
    /// The locks of the fleet.
    pub locks: L,
    /// Which state machines are clones of others.
    pub clones: K,
    /// Time.
    pub clock: C,
    /// How they are made.
    pub settings: Settings,
}
