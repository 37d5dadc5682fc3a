//! The status events of executions, read leniently: an alert with little in it beats none.

use std::time::Duration;

use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::request::BadRequest;

use crate::alert::{End, Status};

/// An end of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It did not succeed.
    Failed {
        /// How.
        end: End,
        /// Its input, if the event has it: Step Functions leaves out what is longer than 248 KiB.
        input: Option<String>,
    },
    /// It succeeded.
    Succeeded(Success),
}

/// An execution that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// The execution.
    pub execution: ExecutionArn,
    /// How often it had been redriven.
    pub redrive: u32,
    /// When it ended.
    pub stopped: Timestamp,
}

/// How far clocks may differ. What is said to have ended later than that from now has no time that can be used: no success
/// would ever come after it.
const CLOCKS_DIFFER: Duration = Duration::from_hours(1);

/// Longest text that is shown of a status that is none, in characters.
const STATUS_SHOWN: usize = 40;

impl Change {
    /// Reads a `Step Functions Execution Status Change`; `now` stands for an end whose time is missing, or cannot be right.
    /// `None`: it is not about an end.
    ///
    /// Source of the shape: Step Functions developer guide, "Automating Step Functions event delivery with EventBridge".
    pub fn read(event: &Value, now: Timestamp) -> Result<Option<Self>, BadRequest> {
        let detail = &event["detail"];
        let name = detail["status"].as_str().unwrap_or_default();
        let status = Status::named(name);
        if status.is_none() && name != "SUCCEEDED" {
            return match name {
                "RUNNING" | "PENDING_REDRIVE" => Ok(None),
                _ => Err(BadRequest::new(
                    "detail.status",
                    format!(
                        "{}; a status event of Step Functions has RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or \
                         PENDING_REDRIVE",
                        found(&detail["status"])
                    ),
                )),
            };
        }
        let arn = detail["executionArn"].as_str().unwrap_or_default();
        let execution = ExecutionArn::parse_with_children(arn)
            .map_err(|error| BadRequest::new("detail.executionArn", error.to_string()))?;
        let redrive = detail["redriveCount"]
            .as_u64()
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0);
        let latest = now.after(CLOCKS_DIFFER);
        let is_right = |at: &Timestamp| at.as_millis() > 0 && *at <= latest;
        let millis = |name: &str| detail[name].as_i64().map(Timestamp::from_millis).filter(is_right);
        let of_event = || event["time"].as_str().and_then(Timestamp::parse).filter(is_right);
        let stopped = millis("stopDate").or_else(of_event).unwrap_or(now);
        let text = |name: &str| detail[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Some(match status {
            None => Self::Succeeded(Success {
                execution,
                redrive,
                stopped,
            }),
            Some(status) => Self::Failed {
                end: End {
                    execution,
                    status,
                    redrive,
                    started: millis("startDate"),
                    stopped,
                    error: text("error"),
                    cause: text("cause"),
                },
                input: text("input"),
            },
        }))
    }
}

/// What is there in place of a status.
fn found(status: &Value) -> String {
    match status {
        Value::Null => "is missing".to_owned(),
        Value::String(text) => match text.char_indices().nth(STATUS_SHOWN) {
            Some((end, _)) => format!("begins with {:?}", &text[..end]),
            None => format!("is {text:?}"),
        },
        _ => "is no text".to_owned(),
    }
}
