//! The status events of executions, read leniently: what they have beside is nobody's business here.

use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::lock::release::End;
use signalbox::request::BadRequest;

/// A change of an execution that matters to its locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The execution.
    pub execution: ExecutionArn,
    /// What has happened to it.
    pub kind: Kind,
}

/// What has happened to an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has ended.
    Ended(End),
    /// It was redriven.
    Redriven {
        /// How often.
        redrive: u32,
        /// When, if the event tells.
        since: Option<Timestamp>,
    },
}

impl Kind {
    /// In one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ended(_) => "ended",
            Self::Redriven { .. } => "redriven",
        }
    }
}

impl Change {
    /// Reads a `Step Functions Execution Status Change`. `None`: it says nothing about locks.
    ///
    /// Source of the shape: Step Functions developer guide, "Automating Step Functions event delivery with EventBridge".
    pub fn read(event: &Value) -> Result<Option<Self>, BadRequest> {
        let detail = &event["detail"];
        let status = detail["status"].as_str().unwrap_or_default();
        let redrive = detail["redriveCount"]
            .as_u64()
            .and_then(|count| u32::try_from(count).ok());
        let redrive = redrive.unwrap_or(0);
        let millis = |name: &str| detail[name].as_i64().map(Timestamp::from_millis);
        let kind = match status {
            "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED" => Kind::Ended(End {
                redrive,
                stopped: Some(millis("stopDate").ok_or_else(|| {
                    BadRequest::new(
                        "detail.stopDate",
                        "is missing; the event of an end has it, in milliseconds",
                    )
                })?),
                redrivable: status != "SUCCEEDED",
            }),
            "RUNNING" if redrive > 0 => Kind::Redriven {
                redrive,
                since: millis("redriveDate"),
            },
            _ => return Ok(None),
        };
        let arn = detail["executionArn"].as_str().unwrap_or_default();
        match ExecutionArn::parse_with_children(arn) {
            Ok(execution) => Ok(Some(Self { execution, kind })),
            // An execution that cannot hold a lock.
            Err(error) if arn.starts_with("arn:") => {
                tracing::info!(executionArn = arn, %error, "ignored");
                Ok(None)
            }
            Err(error) => Err(BadRequest::new("detail.executionArn", error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = "arn:aws:states:us-east-1:123456789012:execution:orders:run-1";

    #[allow(clippy::needless_pass_by_value, reason = "written in place")]
    fn read(detail: Value) -> Result<Option<Change>, String> {
        Change::read(&json!({"source": "aws.states", "detail": detail, "later": {"added": [1]}}))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_end_carries_its_redrives_its_time_and_whether_it_may_be_redriven() {
        for (status, redrivable) in [
            ("SUCCEEDED", false),
            ("FAILED", true),
            ("TIMED_OUT", true),
            ("ABORTED", true),
        ] {
            let change = read(
                json!({"executionArn": RUN, "status": status, "stopDate": 7, "redriveCount": 2,
                                     "redriveDate": 5, "input": null}),
            );
            let end = End {
                redrive: 2,
                stopped: Some(Timestamp::from_millis(7)),
                redrivable,
            };
            assert_eq!(
                change.unwrap().map(|change| change.kind),
                Some(Kind::Ended(end)),
                "{status}"
            );
        }
    }

    #[test]
    fn only_a_redriven_run_is_news_when_it_runs() {
        let running = |count: Value| read(json!({"executionArn": RUN, "status": "RUNNING", "redriveCount": count}));
        assert_eq!(running(json!(0)), Ok(None));
        assert_eq!(running(json!(null)), Ok(None));
        let redriven = Kind::Redriven {
            redrive: 1,
            since: None,
        };
        assert_eq!(running(json!(1)).unwrap().map(|change| change.kind), Some(redriven));
    }

    #[test]
    fn what_is_not_about_locks_is_ignored_and_what_cannot_be_read_is_an_error() {
        assert_eq!(
            read(json!({"status": "PENDING_REDRIVE", "executionArn": RUN})),
            Ok(None)
        );
        assert_eq!(read(json!({})), Ok(None));
        let express = "arn:aws:states:us-east-1:123456789012:express:m:r:0f";
        assert_eq!(
            read(json!({"status": "FAILED", "executionArn": express, "stopDate": 1})),
            Ok(None)
        );
        let child = "arn:aws:states:us-east-1:123456789012:execution:m/map:r";
        assert_eq!(
            read(json!({"status": "FAILED", "executionArn": child, "stopDate": 1})).map(|change| change.is_some()),
            Ok(true)
        );
        assert!(
            read(json!({"status": "FAILED", "executionArn": RUN}))
                .unwrap_err()
                .starts_with("detail.stopDate: ")
        );
        assert!(
            read(json!({"status": "FAILED", "stopDate": 1}))
                .unwrap_err()
                .starts_with("detail.executionArn: ")
        );
    }
}
