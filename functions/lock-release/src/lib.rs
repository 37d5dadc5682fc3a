#![doc = include_str!("../README.md")]

pub mod events;
pub mod request;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde::Serialize;
use serde_json::Value;
use signalbox::clock::Timestamp;
use signalbox::delivery;
use signalbox::lock::release::Released;
use signalbox::lock::sweep::Swept;
use signalbox::lock::{AwsLocks, Error};
use signalbox::runtime::{Handler, Invocation, SWEPT, within};

use crate::events::Change;
use crate::request::{Call, Release};

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct LockRelease(pub AwsLocks);

/// What is answered, depending on who asked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a Task state or a person.
    #[serde(rename_all = "camelCase")]
    Released {
        /// The lock.
        lock: String,
        /// The hold.
        #[serde(skip_serializing_if = "String::is_empty")]
        hold: String,
        /// Whether there was a slot to give back.
        released: bool,
    },
    /// To the queue of status events: which of them are to be delivered again.
    Batch(SqsBatchResponse),
    /// To the schedule: what the sweep did.
    Swept(Swept),
    /// To a single status event.
    #[serde(rename_all = "camelCase")]
    Event {
        /// What was made of it.
        outcome: &'static str,
    },
}

impl Handler for LockRelease {
    type Request = Value;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Value, invocation: &Invocation) -> Result<Answer, Error> {
        match Call::read(request)? {
            Call::Release(release) => {
                invocation.about(release.hold.execution.as_str());
                let released = within(invocation, self.release(&release, invocation)).await;
                released.unwrap_or_else(|| Err(Error::slow()))
            }
            Call::Batch(batch) => {
                invocation.outcome("events");
                Ok(Answer::Batch(self.batch(&batch, invocation).await))
            }
            Call::Event(event) => {
                let Some(change) = Change::read(&event)? else {
                    return Ok(Answer::Event { outcome: "ignored" });
                };
                invocation.about(change.execution.as_str());
                let done = within(invocation, self.change(&change, invocation)).await;
                done.unwrap_or_else(|| Err(Error::slow()))?;
                invocation.outcome(change.kind.name());
                Ok(Answer::Event {
                    outcome: change.kind.name(),
                })
            }
            Call::Sweep => {
                invocation.outcome(SWEPT);
                let swept = within(invocation, self.0.session(invocation.deadline).sweep()).await;
                swept.unwrap_or_else(|| Err(Error::slow())).map(Answer::Swept)
            }
        }
    }
}

impl LockRelease {
    async fn release(&self, release: &Release, invocation: &Invocation) -> Result<Answer, Error> {
        let session = self.0.session(invocation.deadline);
        let released = session.release(&release.hold, release.entered).await? == Released::Slot;
        invocation.outcome(if released { "released" } else { "nothing" });
        Ok(Answer::Released {
            lock: release.hold.lock.as_str().to_owned(),
            hold: release.hold.name.as_str().to_owned(),
            released,
        })
    }

    async fn batch(&self, batch: &SqsEvent, invocation: &Invocation) -> SqsBatchResponse {
        delivery::each(batch, invocation, Error::slow, async |message| {
            match Change::read(&delivery::event_in(message)?)? {
                Some(change) => {
                    self.change(&change, invocation).await?;
                    Ok(change.kind.name())
                }
                None => Ok("ignored"),
            }
        })
        .await
    }

    async fn change(&self, change: &Change, invocation: &Invocation) -> Result<(), Error> {
        let session = self.0.session(invocation.deadline);
        match change.kind {
            events::Kind::Ended(end) => session.ended(&change.execution, end).await,
            events::Kind::Redriven { redrive, since } => {
                // Without it the hold keeps the time that it has.
                let since = since.unwrap_or(Timestamp::from_millis(0));
                session.redriven(&change.execution, redrive, since).await
            }
        }
    }
}
