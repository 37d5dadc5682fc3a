//! Who calls, and for what.

use aws_lambda_events::sqs::SqsEvent;
use serde::Deserialize;
use serde_json::Value;
use signalbox::request::{BadRequest, parse};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SweepRequest {
    sweep: bool,
}

/// Any call of the function.
#[derive(Debug)]
pub enum Call {
    /// The queue of status events.
    Batch(SqsEvent),
    /// A single event of EventBridge.
    Event(Value),
    /// The schedule, or a person.
    Sweep,
}

impl Call {
    /// Tells the callers apart, by what only they send.
    pub fn read(payload: Value) -> Result<Self, BadRequest> {
        if payload.get("Records").is_some() {
            let batch = serde_json::from_value(payload);
            return batch
                .map(Self::Batch)
                .map_err(|error| BadRequest::new("Records", error.to_string()));
        }
        if payload.get("detail-type").is_some() {
            return Ok(match payload["detail-type"].as_str() {
                Some("Scheduled Event") => Self::Sweep,
                _ => Self::Event(payload),
            });
        }
        match parse::<SweepRequest>(payload)?.sweep {
            true => Ok(Self::Sweep),
            false => Err(BadRequest::new("sweep", "is false; to sweep now it must be true")),
        }
    }
}
