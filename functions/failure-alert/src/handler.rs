//! The function as it runs on Lambda.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde::Serialize;
use serde_json::Value;
use signalbox::aws;
use signalbox::clock::{Clock, SystemClock};
use signalbox::config::{
    ALERT_CHAT, ALERT_INPUT, ALERT_REFUSALS, ALERT_TOPIC_ARN, ALERT_WINDOW_MINUTES, ConfigError, Environment,
    PIPELINE_NAME_PREFIX, RESUME_CLONES, RESUME_STACK_NAME, TABLE_NAME,
};
use signalbox::delivery::{self, Delivery};
use signalbox::lock::DynamoLocks;
use signalbox::pipeline::DynamoClones;
use signalbox::runtime::{Handler, Invocation, SWEPT, within};

use crate::announce::Outcome;
use crate::dynamo::DynamoStore;
use crate::error::Error;
use crate::events::Change;
use crate::evidence::SfnSource;
use crate::mail::Resume;
use crate::outbox::Topic;
use crate::sweep::Swept;
use crate::{Alerts, Settings};

/// Deliveries of an event after which it is announced without the table: the first ones wait for that to work again.
pub const PATIENCE: u32 = 2;

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct FailureAlert(pub Alerts<DynamoStore, Topic, SfnSource, DynamoLocks, DynamoClones, SystemClock>);

/// What is answered, depending on who asked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To the queue of status events: which of them are to be delivered again.
    Batch(SqsBatchResponse),
    /// To the schedule: what the sweep did.
    Swept(Swept),
    /// To a single status event.
    Event {
        /// What was made of it.
        outcome: &'static str,
    },
}

impl Handler for FailureAlert {
    type Request = Value;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Value, invocation: &Invocation) -> Result<Answer, Error> {
        match Delivery::read_strictly(request)? {
            Delivery::Batch(batch) => {
                invocation.outcome("events");
                Ok(Answer::Batch(self.batch(&batch, invocation).await))
            }
            Delivery::Event(event) => {
                let done = within(invocation, self.event(&event, 1, Some(invocation))).await;
                let outcome = done.unwrap_or_else(|| Err(Error::slow()))?.name();
                invocation.outcome(outcome);
                Ok(Answer::Event { outcome })
            }
            Delivery::Sweep => {
                invocation.outcome(SWEPT);
                let swept = within(invocation, self.0.sweep(invocation.deadline)).await;
                swept.unwrap_or_else(|| Err(Error::slow())).map(Answer::Swept)
            }
        }
    }
}

impl FailureAlert {
    /// On AWS, as `template.yaml` sets it up.
    #[allow(clippy::disallowed_methods, reason = "the one place that builds a client of SNS")]
    pub fn on_aws(environment: &Environment) -> Result<Self, ConfigError> {
        let config = aws::shared_config(environment);
        let (dynamodb, table) = (aws::dynamodb(&config), environment.required(TABLE_NAME)?);
        let topic = environment.required(ALERT_TOPIC_ARN)?;
        let sns = aws_sdk_sns::Client::new(&config);
        let prefix = environment.get(PIPELINE_NAME_PREFIX).unwrap_or_default().to_owned();
        let resume = match environment.get(RESUME_STACK_NAME) {
            None => None,
            Some(stack) => Some(Resume {
                stack: stack.to_owned(),
                prefix: prefix.clone(),
                clones: environment.flag(RESUME_CLONES)?,
            }),
        };
        Ok(Self(Alerts {
            store: DynamoStore::new(dynamodb.clone(), table.clone()),
            outbox: Topic::new(sns, topic, environment.flag(ALERT_CHAT)?),
            source: SfnSource::new(aws::sfn(&config)),
            locks: DynamoLocks::new(dynamodb.clone(), table.clone()),
            clones: DynamoClones::new(dynamodb, table),
            clock: SystemClock,
            settings: Settings {
                window: Duration::from_mins(environment.number(ALERT_WINDOW_MINUTES)?),
                prefix,
                show_input: environment.flag(ALERT_INPUT)?,
                announce_refusals: environment.flag(ALERT_REFUSALS)?,
                resume,
            },
        }))
    }

    async fn batch(&self, batch: &SqsEvent, invocation: &Invocation) -> SqsBatchResponse {
        delivery::each(batch, invocation, Error::slow, async |message| {
            let received = message.attributes.get("ApproximateReceiveCount");
            let received = received.and_then(|count| count.parse().ok()).unwrap_or(1);
            let event = delivery::event_in(message)?;
            self.event(&event, received, None).await.map(Outcome::name)
        })
        .await
    }

    async fn event(&self, event: &Value, received: u32, invocation: Option<&Invocation>) -> Result<Outcome, Error> {
        let Some(change) = Change::read(event, SystemClock.now())? else {
            return Ok(Outcome::Ignored);
        };
        match change {
            Change::Succeeded(success) => {
                if let Some(invocation) = invocation {
                    invocation.about(success.execution.as_str());
                }
                self.0.succeeded(&success).await
            }
            Change::Failed { end, input } => {
                if let Some(invocation) = invocation {
                    invocation.about(end.execution.as_str());
                }
                self.0.failed(end, input, received >= PATIENCE).await
            }
        }
    }
}
