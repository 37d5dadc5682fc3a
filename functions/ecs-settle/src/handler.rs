//! The function as it runs on Lambda.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde::Serialize;
use serde_json::Value;
use signalbox::clock::SystemClock;
use signalbox::config::{ConfigError, ECS_BUCKET, ECS_LAUNCH_QUEUE_URL, ECS_STACK, ECS_TABLE_NAME, Environment};
use signalbox::delivery::Delivery;
use signalbox::ecs::cluster::EcsCluster;
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::SqsQueue;
use signalbox::ecs::{DynamoRecords, upload};
use signalbox::runtime::{Handler, Invocation, SWEPT, within};
use signalbox::tasks::SfnTasks;
use signalbox::{aws, delivery};

use crate::event::task_in;
use crate::logs::CloudWatchLogs;
use crate::results::S3Results;
use crate::stops::end_in;
use crate::sweep::Swept;
use crate::{Outcome, Settles};

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct EcsSettle(
    pub Settles<DynamoRecords, EcsCluster, SfnTasks, S3Results, CloudWatchLogs, SqsQueue, SystemClock>,
);

/// What is answered, depending on who asked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To the queue of events: which of them are to be delivered again.
    Batch(SqsBatchResponse),
    /// To the schedule: what the sweep did.
    Swept(Swept),
    /// To a single event.
    Event {
        /// What was made of it.
        outcome: &'static str,
    },
}

impl Handler for EcsSettle {
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
                let done = within(invocation, self.event(&event)).await;
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

impl EcsSettle {
    /// On AWS, as `template.yaml` sets it up.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that builds a client of CloudWatch Logs"
    )]
    pub fn on_aws(environment: &Environment) -> Result<Self, ConfigError> {
        let config = aws::shared_config(environment);
        let bucket = environment.required(ECS_BUCKET)?;
        Ok(Self(Settles {
            records: DynamoRecords::new(aws::dynamodb(&config), environment.required(ECS_TABLE_NAME)?),
            cluster: EcsCluster::new(
                aws::ecs(&config),
                environment.required("AWS_REGION")?,
                environment.required(ECS_STACK)?,
            ),
            tasks: SfnTasks::new(aws::sfn(&config)),
            results: S3Results {
                client: upload::client(&config),
                bucket: bucket.clone(),
            },
            logs: CloudWatchLogs {
                client: aws_sdk_cloudwatchlogs::Client::new(&config),
            },
            queue: SqsQueue {
                client: aws::sqs(&config),
                url: environment.required(ECS_LAUNCH_QUEUE_URL)?,
            },
            clock: SystemClock,
            bucket,
        }))
    }

    async fn batch(&self, batch: &SqsEvent, invocation: &Invocation) -> SqsBatchResponse {
        delivery::at_once(batch, invocation, Error::slow, async |message| {
            self.event(&delivery::event_in(message)?).await.map(Outcome::name)
        })
        .await
    }

    async fn event(&self, event: &Value) -> Result<Outcome, Error> {
        match event["detail-type"].as_str() {
            Some("ECS Task State Change") => self.0.task(&task_in(event)?).await,
            Some("Step Functions Execution Status Change") => match end_in(event)? {
                Some(end) => self.0.execution_ended(&end).await,
                None => Ok(Outcome::Ignored),
            },
            _ => Ok(Outcome::Ignored),
        }
    }
}
