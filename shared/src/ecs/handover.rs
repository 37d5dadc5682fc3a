//! The queue of launches: those that ECS had no room for at once are gone on with from there, a few at a time.

use std::future::Future;

use super::key::TaskKey;
use crate::aws::CallError;
use crate::request::{BadRequest, parse};
#[cfg(feature = "sqs")]
use aws_sdk_sqs::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(feature = "sqs")]
const SEND: &str = "sqs:SendMessage";

/// A launch to go on with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    launch: String,
}

impl Handover {
    /// Goes on with the launch of an attempt.
    #[must_use]
    pub fn of(key: &TaskKey) -> Self {
        Self { launch: key.name() }
    }

    /// The attempt that a message is about.
    pub fn read(message: Value) -> Result<TaskKey, BadRequest> {
        let launch = parse::<Self>(message)?.launch;
        TaskKey::parse(&launch).ok_or_else(|| {
            let problem = format!("is \"{launch}\"; it must be the name of a record: RUN/STEP/REDRIVE-RETRY-TOKEN");
            BadRequest::new("launch", problem)
        })
    }
}

/// Launches that somebody else goes on with.
pub trait Queue {
    /// Puts a launch into the queue.
    fn hand_over(&self, key: &TaskKey) -> impl Future<Output = Result<(), CallError>>;
}

/// A queue of SQS.
#[cfg(feature = "sqs")]
#[derive(Debug, Clone)]
pub struct SqsQueue {
    /// The client.
    pub client: Client,
    /// The queue's URL.
    pub url: String,
}

#[cfg(feature = "sqs")]
impl Queue for SqsQueue {
    async fn hand_over(&self, key: &TaskKey) -> Result<(), CallError> {
        let body =
            serde_json::to_string(&Handover::of(key)).map_err(|error| CallError::malformed(SEND, error.to_string()))?;
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        send.send()
            .await
            .map(drop)
            .map_err(|error| CallError::new(SEND, &error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_handover_is_read_back() {
        let name = format!("{}/{}/0-1-{}", "a".repeat(32), "b".repeat(32), "c".repeat(16));
        let key = TaskKey::parse(&name).unwrap();
        let sent = serde_json::to_value(Handover::of(&key)).unwrap();
        assert_eq!(sent, json!({"launch": name}));
        assert_eq!(Handover::read(sent), Ok(key));
        assert_eq!(Handover::read(json!({"launch": "x"})).unwrap_err().path(), "launch");
        assert_eq!(Handover::read(json!({})).unwrap_err().path(), "launch");
    }
}
