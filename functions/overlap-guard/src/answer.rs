//! What a caller is answered.

use serde::{Deserialize, Serialize};
use signalbox::clock::Timestamp;
use signalbox::console;

use signalbox::executions::Execution;

/// Most overlapping runs that an answer or a refusal lists.
pub const LISTED_MOST: usize = 10;

/// The answer to a run: whether it may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Whether the run may go on. `false` only under the policy `skip`.
    pub proceed: bool,
    /// The runs that it overlaps with, oldest first, at most [`LISTED_MOST`]: for `proceed: true`, those that it stopped.
    pub overlapping: Vec<Overlap>,
}

/// A run that overlaps with the one that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// Its ARN.
    pub execution_arn: String,
    /// When it started, or was last redriven: RFC 3339, UTC.
    pub started_at: String,
    /// Its page in the AWS console.
    pub console_url: String,
    /// Whether it was stopped for the run that asked (policy `cancelOlder`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
}

impl Overlap {
    /// What is to be said of `execution`.
    #[must_use]
    pub fn with(execution: &Execution) -> Self {
        Self {
            execution_arn: execution.arn.to_string(),
            started_at: execution.since.to_string(),
            console_url: console::execution_url(&execution.arn),
            cancelled: false,
        }
    }

    /// `nightly-1 of orders-nightly, running since 2026-01-31 04:00:12 UTC`
    pub(crate) fn for_people(&self) -> String {
        let mut parts = self.execution_arn.rsplit(':');
        let (name, machine) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let since = Timestamp::parse(&self.started_at).map_or_else(|| self.started_at.clone(), Timestamp::for_people);
        format!("{name} of {machine}, running since {since}")
    }
}
