//! The request: as it is sent, and as it is understood.

use std::time::Duration;

use serde::Deserialize;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::lock::acquire::{Acquire, OnBusy};
use signalbox::lock::key::{HoldName, LockKey, Priority};
use signalbox::lock::record::{Attempt, Hold};
use signalbox::request::BadRequest;
use signalbox::tasks::TaskToken;

/// Most that `maxQueue` may be: so many waiters are counted when a run asks.
pub const QUEUE_MOST: u32 = 1_000;

/// Longest that a run may wait, in seconds: as long as an execution may last.
pub const WAIT_SECONDS_MOST: u64 = 366 * 24 * 60 * 60;

/// What a Task state sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    lock: String,
    #[serde(default)]
    hold: String,
    execution_arn: String,
    task_token: String,
    entered_time: String,
    retry_count: u32,
    redrive_count: Option<u32>,
    priority: Option<u8>,
    on_busy: Option<Busy>,
    max_queue: Option<u32>,
    max_wait_seconds: Option<u64>,
    #[serde(default)]
    assert: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Busy {
    Wait,
    Fail,
    Skip,
    ReplaceWaiting,
    CancelHolder,
}

/// What is asked.
#[derive(Debug)]
pub enum Ask {
    /// To have the lock.
    Acquire(Box<Acquire>),
    /// To have it still, after a redrive.
    Assert {
        /// What is to be held.
        hold: Hold,
        /// The token of the task that asserts.
        token: TaskToken,
        /// How often the run was redriven.
        redrive: u32,
        /// When it entered the state that asserts.
        entered: Timestamp,
    },
}

impl Ask {
    /// What is to be held.
    #[must_use]
    pub fn hold(&self) -> &Hold {
        match self {
            Self::Acquire(ask) => &ask.hold,
            Self::Assert { hold, .. } => hold,
        }
    }

    /// Checks a request. `may_stop`: whether the stack lets the function stop executions.
    pub fn read(request: &Request, may_stop: bool) -> Result<Self, BadRequest> {
        let execution = ExecutionArn::parse_with_children(&request.execution_arn)
            .map_err(|error| BadRequest::new("executionArn", error.to_string()))?;
        let lock = LockKey::parse(&request.lock).map_err(|error| BadRequest::new("lock", error.to_string()))?;
        let name = HoldName::parse(&request.hold).map_err(|error| BadRequest::new("hold", error.to_string()))?;
        let token =
            TaskToken::parse(&request.task_token).map_err(|error| BadRequest::new("taskToken", error.to_string()))?;
        let entered = Timestamp::parse(&request.entered_time).ok_or_else(|| {
            BadRequest::new(
                "enteredTime",
                format!(
                    "\"{}\" is not an RFC 3339 time; in ASL it is $$.State.EnteredTime",
                    request.entered_time
                ),
            )
        })?;
        let hold = Hold { execution, lock, name };
        if request.assert {
            return Self::asserting(request, hold, token, entered);
        }
        let on_busy = on_busy(request, may_stop)?;
        let priority = request.priority.map(Priority::new).transpose();
        Ok(Self::Acquire(Box::new(Acquire {
            hold,
            token,
            redrive_known: request.redrive_count.is_some(),
            attempt: Attempt {
                redrive: request.redrive_count.unwrap_or(0),
                entered,
                retry: request.retry_count,
            },
            priority: priority
                .map_err(|error| BadRequest::new("priority", error.to_string()))?
                .unwrap_or_default(),
            on_busy,
            max_queue: request.max_queue,
            max_wait: request.max_wait_seconds.map(Duration::from_secs),
        })))
    }

    fn asserting(request: &Request, hold: Hold, token: TaskToken, entered: Timestamp) -> Result<Self, BadRequest> {
        let wrong = [
            ("priority", request.priority.is_some()),
            ("onBusy", request.on_busy.is_some()),
            ("maxQueue", request.max_queue.is_some()),
            ("maxWaitSeconds", request.max_wait_seconds.is_some()),
        ];
        if let Some((field, _)) = wrong.into_iter().find(|(_, given)| *given) {
            return Err(BadRequest::new(
                field,
                "has no meaning with assert: a run that asserts its hold neither waits nor queues; leave it out",
            ));
        }
        let redrive = request.redrive_count.ok_or_else(|| {
            BadRequest::new(
                "redriveCount",
                "is missing; with assert it is required, in ASL $$.Execution.RedriveCount",
            )
        })?;
        Ok(Self::Assert {
            hold,
            token,
            redrive,
            entered,
        })
    }
}

fn on_busy(request: &Request, may_stop: bool) -> Result<OnBusy, BadRequest> {
    let busy = request.on_busy.unwrap_or(Busy::Wait);
    if matches!(busy, Busy::Fail | Busy::Skip) {
        let given = [
            ("maxQueue", request.max_queue.is_some()),
            ("maxWaitSeconds", request.max_wait_seconds.is_some()),
            ("priority", request.priority.is_some()),
        ];
        if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(BadRequest::new(
                field,
                "has no meaning with onBusy \"fail\" or \"skip\": such a run never queues; leave it out",
            ));
        }
    }
    if let Some(most) = request.max_queue.filter(|most| *most > QUEUE_MOST) {
        return Err(BadRequest::new(
            "maxQueue",
            format!("is {most}; it may be 0 to {QUEUE_MOST}, and without it the queue has no limit"),
        ));
    }
    if let Some(seconds) = request.max_wait_seconds
        && !(1..=WAIT_SECONDS_MOST).contains(&seconds)
    {
        return Err(BadRequest::new(
            "maxWaitSeconds",
            format!("is {seconds}; it may be 1 to {WAIT_SECONDS_MOST}, and without it a run waits as long as it lives"),
        ));
    }
    match busy {
        Busy::CancelHolder if !may_stop => Err(BadRequest::new(
            "onBusy",
            "cancelHolder is off in this stack, as it takes the permission to stop executions; \
             deploy with AllowStopExecution=true",
        )),
        Busy::CancelHolder => Ok(OnBusy::CancelHolder),
        Busy::Wait => Ok(OnBusy::Wait),
        Busy::Fail => Ok(OnBusy::Fail),
        Busy::Skip => Ok(OnBusy::Skip),
        Busy::ReplaceWaiting => Ok(OnBusy::ReplaceWaiting),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signalbox::request::parse;

    use super::*;

    fn ask(change: impl FnOnce(&mut Value)) -> Result<Ask, String> {
        let mut payload = json!({
            "lock": "warehouse",
            "executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:run-1",
            "taskToken": "AQC8AAAA",
            "enteredTime": "2026-01-31T04:00:12.345Z",
            "retryCount": 0,
        });
        change(&mut payload);
        parse::<Request>(payload)
            .and_then(|request| Ask::read(&request, false))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_smallest_request_waits_in_the_middle_of_the_priorities() {
        let Ok(Ask::Acquire(ask)) = ask(|_| ()) else {
            panic!("it acquires")
        };
        assert_eq!((ask.on_busy, ask.priority), (OnBusy::Wait, Priority::default()));
        assert!(ask.hold.name.is_empty() && !ask.redrive_known);
        assert_eq!((ask.max_queue, ask.max_wait), (None, None));
    }

    #[test]
    fn an_assertion_knows_how_often_it_was_redriven() {
        let asserting = ask(|r| {
            r["assert"] = json!(true);
            r["redriveCount"] = json!(2);
        });
        assert!(matches!(asserting, Ok(Ask::Assert { redrive: 2, .. })), "{asserting:?}");
    }

    #[test]
    fn every_refusal_names_its_field() {
        let set = |fields: Value| {
            ask(move |r| {
                r.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            })
            .unwrap_err()
        };
        for (fields, says) in [
            (json!({"lock": ""}), "lock: is empty"),
            (json!({"lock": "overlap:x"}), "lock: begins with \"overlap:\""),
            (json!({"lock": "é"}), "lock: \"é\" has the character 'é'"),
            (json!({"hold": "a#b"}), "hold: \"a#b\" has a #"),
            (
                json!({"executionArn": "run-1"}),
                "executionArn: \"run-1\" is not an ARN",
            ),
            (
                json!({"taskToken": ""}),
                "taskToken: is empty; in ASL it is $$.Task.Token",
            ),
            (
                json!({"enteredTime": "now"}),
                "enteredTime: \"now\" is not an RFC 3339 time",
            ),
            (json!({"retryCount": "0"}), "retryCount: invalid type"),
            (
                json!({"priority": 10}),
                "priority: is 10; a priority is 0 (last) to 9 (first)",
            ),
            (json!({"priority": -1}), "priority: invalid value"),
            (json!({"onBusy": "queue"}), "onBusy: unknown variant `queue`"),
            (
                json!({"onBusy": "cancelHolder"}),
                "onBusy: cancelHolder is off in this stack",
            ),
            (
                json!({"onBusy": "fail", "maxQueue": 1}),
                "maxQueue: has no meaning with onBusy",
            ),
            (
                json!({"onBusy": "skip", "maxWaitSeconds": 1}),
                "maxWaitSeconds: has no meaning",
            ),
            (json!({"onBusy": "fail", "priority": 1}), "priority: has no meaning"),
            (json!({"maxQueue": 1001}), "maxQueue: is 1001; it may be 0 to 1000"),
            (json!({"maxWaitSeconds": 0}), "maxWaitSeconds: is 0; it may be 1 to"),
            (
                json!({"assert": true}),
                "redriveCount: is missing; with assert it is required",
            ),
            (
                json!({"assert": true, "redriveCount": 0, "onBusy": "wait"}),
                "onBusy: has no meaning with assert",
            ),
            (json!({"slots": 2}), "slots: unknown field `slots`"),
        ] {
            let error = set(fields.clone());
            assert!(error.contains(says), "{fields}: {error}\n  should say: {says}");
        }
        let missing = ask(|r| {
            r.as_object_mut().unwrap().remove("taskToken");
        });
        assert_eq!(missing.unwrap_err(), "taskToken: is missing; it is required");
    }
}
