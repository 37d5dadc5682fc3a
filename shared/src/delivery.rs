//! How AWS calls the functions that events and schedules call: a queue's batch, a single event, a schedule.

use std::fmt::Display;
use std::future::Future;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use serde::Deserialize;
use serde_json::Value;

use crate::request::{BadRequest, parse};
use crate::runtime::{Invocation, within};

/// A call of a function that consumes events.
#[derive(Debug)]
pub enum Delivery {
    /// The queue of events.
    Batch(SqsEvent),
    /// A single event of EventBridge.
    Event(Value),
    /// The schedule, or a person who does not want to wait for it.
    Sweep,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SweepRequest {
    sweep: bool,
}

impl Delivery {
    /// Tells the callers apart, by what only they send. What nobody of them sends is given back: the function itself has to
    /// make sense of it.
    pub fn read(payload: Value) -> Result<Result<Self, Value>, BadRequest> {
        if payload.get("Records").is_some() {
            let batch = serde_json::from_value(payload);
            return batch
                .map(|batch| Ok(Self::Batch(batch)))
                .map_err(|error| BadRequest::new("Records", error.to_string()));
        }
        if payload.get("detail-type").is_some() {
            return Ok(Ok(match payload["detail-type"].as_str() {
                Some("Scheduled Event") => Self::Sweep,
                _ => Self::Event(payload),
            }));
        }
        if payload.get("sweep").is_none() {
            return Ok(Err(payload));
        }
        match parse::<SweepRequest>(payload)?.sweep {
            true => Ok(Ok(Self::Sweep)),
            false => Err(BadRequest::new("sweep", "is false; to sweep now it must be true")),
        }
    }

    /// The same for a function that nobody else calls: what else there is has its mistake named.
    pub fn read_strictly(payload: Value) -> Result<Self, BadRequest> {
        Self::read(payload)?.or_else(|payload| parse::<SweepRequest>(payload).map(|_| Self::Sweep))
    }
}

/// The event that a message of the queue carries.
pub fn event_in(message: &SqsMessage) -> Result<Value, BadRequest> {
    let body = message.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|error| BadRequest::new("body", format!("is no JSON: {error}")))
}

/// Handles each message of a batch by itself: one that fails, or for which `slow` says that there was no time, is delivered
/// again, the others are done. `handle` answers what became of it, in one word.
pub async fn each<'a, E, F>(
    batch: &'a SqsEvent,
    invocation: &Invocation,
    slow: impl Fn() -> E,
    handle: impl Fn(&'a SqsMessage) -> F,
) -> SqsBatchResponse
where
    E: Display,
    F: Future<Output = Result<&'static str, E>>,
{
    let mut response = SqsBatchResponse::default();
    for message in &batch.records {
        let handled = within(invocation, handle(message)).await;
        note(message, handled.unwrap_or_else(|| Err(slow())), &mut response);
    }
    response
}

/// The same, all messages at the same time: for what waits more than it works.
pub async fn at_once<'a, E, F>(
    batch: &'a SqsEvent,
    invocation: &Invocation,
    slow: impl Fn() -> E,
    handle: impl Fn(&'a SqsMessage) -> F,
) -> SqsBatchResponse
where
    E: Display,
    F: Future<Output = Result<&'static str, E>>,
{
    let handled = batch.records.iter().map(|message| within(invocation, handle(message)));
    let handled = futures_util::future::join_all(handled).await;
    let mut response = SqsBatchResponse::default();
    for (message, handled) in batch.records.iter().zip(handled) {
        note(message, handled.unwrap_or_else(|| Err(slow())), &mut response);
    }
    response
}

fn note<E: Display>(message: &SqsMessage, handled: Result<&'static str, E>, response: &mut SqsBatchResponse) {
    let id = message.message_id.as_deref().unwrap_or_default();
    match handled {
        Ok(outcome) => tracing::info!(messageId = id, outcome, "an event"),
        Err(error) => {
            tracing::error!(messageId = id, %error, "an event could not be handled; it is delivered again");
            response.add_failure(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    #[test]
    fn the_callers_are_told_apart() {
        let read = |payload: Value| match Delivery::read(payload) {
            Ok(Ok(Delivery::Batch(_))) => "batch".to_owned(),
            Ok(Ok(Delivery::Event(_))) => "event".to_owned(),
            Ok(Ok(Delivery::Sweep)) => "sweep".to_owned(),
            Ok(Err(_)) => "other".to_owned(),
            Err(error) => error.path().to_owned(),
        };
        for (payload, expected) in [
            (json!({"Records": []}), "batch"),
            (json!({"Records": 7}), "Records"),
            (json!({"detail-type": "Scheduled Event"}), "sweep"),
            (
                json!({"detail-type": "Step Functions Execution Status Change"}),
                "event",
            ),
            (json!({"detail-type": null}), "event"),
            (json!({"sweep": true}), "sweep"),
            (json!({"sweep": false}), "sweep"),
            (json!({"sweep": true, "now": 1}), "now"),
            (json!({"lock": "warehouse"}), "other"),
            (Value::Null, "other"),
        ] {
            assert_eq!(read(payload.clone()), expected, "{payload}");
        }
        assert!(Delivery::read(json!({"sweep": false})).is_err());
        let strictly = |payload| Delivery::read_strictly(payload).unwrap_err().path().to_owned();
        assert_eq!(strictly(json!({"swep": true})), "swep");
        assert!(Delivery::read_strictly(Value::Null).is_err());
    }

    #[tokio::test]
    async fn a_message_that_fails_is_delivered_again_and_no_other() {
        let record = |id: &str, body: &str| json!({"messageId": id, "body": body});
        let batch = json!({"Records": [record("good", "{}"), record("bad", "{"), record("fine", "[]")]});
        let batch: SqsEvent = serde_json::from_value(batch).unwrap();
        let invocation = Invocation::until(SystemClock.now().after(std::time::Duration::from_secs(30)));
        let slow = || BadRequest::new("", "slow");
        let response = each(&batch, &invocation, slow, async |message| {
            event_in(message).map(|_| "done")
        })
        .await;
        let failed: Vec<_> = response
            .batch_item_failures
            .iter()
            .map(|item| item.item_identifier.as_str())
            .collect();
        assert_eq!(failed, ["bad"]);
    }

    #[tokio::test]
    async fn messages_that_wait_for_one_another_are_handled_at_once() {
        let batch = json!({"Records": [{"messageId": "a", "body": "1"}, {"messageId": "b", "body": "{"}, {"messageId": "c", "body": "3"}]});
        let batch: SqsEvent = serde_json::from_value(batch).unwrap();
        let invocation = Invocation::until(SystemClock.now().after(std::time::Duration::from_secs(30)));
        let together = tokio::sync::Barrier::new(3);
        let slow = || BadRequest::new("", "slow");
        let response = at_once(&batch, &invocation, slow, async |message| {
            together.wait().await;
            event_in(message).map(|_| "done")
        })
        .await;
        let failed: Vec<_> = response
            .batch_item_failures
            .iter()
            .map(|item| item.item_identifier.as_str())
            .collect();
        assert_eq!(failed, ["b"]);
    }

    #[tokio::test]
    async fn what_there_is_no_time_for_is_delivered_again() {
        let batch = json!({"Records": [{"messageId": "late", "body": "{}"}]});
        let batch: SqsEvent = serde_json::from_value(batch).unwrap();
        let slow = || BadRequest::new("", "slow");
        let invocation = Invocation::until(SystemClock.now());
        let response = each(&batch, &invocation, slow, async |_| std::future::pending().await).await;
        assert_eq!(response.batch_item_failures.len(), 1);
    }
}
