//! Who calls, and for what.

use aws_lambda_events::sqs::SqsEvent;
use serde::Deserialize;
use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::delivery::Delivery;
use signalbox::lock::key::{HoldName, LockKey};
use signalbox::lock::record::Hold;
use signalbox::request::{BadRequest, parse};

/// What a Task state, or a person, sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    lock: String,
    #[serde(default)]
    hold: String,
    execution_arn: String,
    entered_time: Option<String>,
}

/// A release.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    /// What is given back.
    pub hold: Hold,
    /// When the state that releases was entered.
    pub entered: Option<Timestamp>,
}

/// Any call of the function.
#[derive(Debug)]
pub enum Call {
    /// A Task state, or a person.
    Release(Release),
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
        Ok(match Delivery::read(payload)? {
            Ok(Delivery::Batch(batch)) => Self::Batch(batch),
            Ok(Delivery::Event(event)) => Self::Event(event),
            Ok(Delivery::Sweep) => Self::Sweep,
            Err(payload) => Self::Release(parse::<Request>(payload)?.try_into()?),
        })
    }
}

impl TryFrom<Request> for Release {
    type Error = BadRequest;

    fn try_from(request: Request) -> Result<Self, BadRequest> {
        let execution = ExecutionArn::parse_with_children(&request.execution_arn)
            .map_err(|error| BadRequest::new("executionArn", error.to_string()))?;
        let lock = LockKey::parse(&request.lock).map_err(|error| BadRequest::new("lock", error.to_string()))?;
        let name = HoldName::parse(&request.hold).map_err(|error| BadRequest::new("hold", error.to_string()))?;
        let entered = request.entered_time.as_deref().map(|text| {
            Timestamp::parse(text).ok_or_else(|| {
                let problem = format!("\"{text}\" is not an RFC 3339 time; in ASL it is $$.State.EnteredTime");
                BadRequest::new("enteredTime", problem)
            })
        });
        Ok(Self {
            hold: Hold { execution, lock, name },
            entered: entered.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = "arn:aws:states:us-east-1:123456789012:execution:orders:run-1";

    #[test]
    fn the_callers_are_told_apart() {
        let release = json!({"lock": "warehouse", "executionArn": RUN, "enteredTime": "2026-01-31T04:00:12Z"});
        assert!(matches!(Call::read(release), Ok(Call::Release(_))));
        assert!(matches!(Call::read(json!({"Records": []})), Ok(Call::Batch(_))));
        let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        assert!(matches!(Call::read(schedule), Ok(Call::Sweep)));
        let event = json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change"});
        assert!(matches!(Call::read(event), Ok(Call::Event(_))));
        assert!(matches!(Call::read(json!({"sweep": true})), Ok(Call::Sweep)));
    }

    #[test]
    fn every_refusal_names_its_field() {
        for (payload, says) in [
            (json!({}), "lock: is missing; it is required"),
            (json!({"lock": "w"}), "executionArn: is missing; it is required"),
            (json!({"lock": "", "executionArn": RUN}), "lock: is empty"),
            (
                json!({"lock": "w", "executionArn": RUN, "hold": "#"}),
                "hold: \"#\" has a #",
            ),
            (
                json!({"lock": "w", "executionArn": "r"}),
                "executionArn: \"r\" is not an ARN",
            ),
            (
                json!({"lock": "w", "executionArn": RUN, "enteredTime": "x"}),
                "enteredTime: \"x\" is not",
            ),
            (
                json!({"lock": "w", "executionArn": RUN, "taskToken": "t"}),
                "taskToken: unknown field",
            ),
            (json!({"sweep": false}), "sweep: is false; to sweep now it must be true"),
            (json!({"sweep": true, "lock": "w"}), "lock: unknown field"),
            (json!({"Records": 7}), "Records: "),
        ] {
            let error = Call::read(payload.clone()).unwrap_err().to_string();
            assert!(error.starts_with(says), "{payload}: {error}\n  should say: {says}");
        }
    }
}
