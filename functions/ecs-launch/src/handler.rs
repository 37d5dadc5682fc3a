//! The function as it runs on Lambda.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde::Serialize;
use serde_json::Value;
use signalbox::clock::SystemClock;
use signalbox::config::{
    ConfigError, ECS_BUCKET, ECS_LAUNCH_QUEUE_URL, ECS_PRESIGNED_MINUTES, ECS_RESULT_URL, ECS_STACK, ECS_TABLE_NAME,
    Environment,
};
use signalbox::ecs::DynamoRecords;
use signalbox::ecs::cluster::EcsCluster;
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::{Handover, SqsQueue};
use signalbox::ecs::upload::{self, Uploads};
use signalbox::request::BadRequest;
use signalbox::runtime::{Handler, Invocation, within};
use signalbox::tasks::SfnTasks;
use signalbox::{aws, delivery};

use crate::Launches;
use crate::places::Bucket;
use crate::request::Ask;
use crate::settings::Defaults;

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct EcsLaunch(pub Launches<DynamoRecords, EcsCluster, SfnTasks, Bucket, SqsQueue, SystemClock>);

/// What is answered, depending on who asked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a Task state, which does not hear it: for people and logs.
    Launch {
        /// What became of the attempt.
        outcome: &'static str,
    },
    /// To the queue of launches: which of them are to be delivered again.
    Batch(SqsBatchResponse),
}

impl Handler for EcsLaunch {
    type Request = Value;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Value, invocation: &Invocation) -> Result<Answer, Error> {
        if request.get("Records").is_some() {
            let batch: SqsEvent =
                serde_json::from_value(request).map_err(|error| BadRequest::new("Records", error.to_string()))?;
            invocation.outcome("launches");
            return Ok(Answer::Batch(self.batch(&batch, invocation).await));
        }
        let ask = Ask::read(request)?;
        invocation.about(ask.step.execution.as_str());
        let launched = within(invocation, self.0.launch(&ask, invocation.deadline)).await;
        let outcome = launched.unwrap_or_else(|| Err(Error::slow()))?.name();
        invocation.outcome(outcome);
        Ok(Answer::Launch { outcome })
    }
}

impl EcsLaunch {
    /// On AWS, as `template.yaml` sets it up.
    pub fn on_aws(environment: &Environment) -> Result<Self, ConfigError> {
        let config = aws::shared_config(environment);
        let bucket = environment.required(ECS_BUCKET)?;
        Ok(Self(Launches {
            records: DynamoRecords::new(aws::dynamodb(&config), environment.required(ECS_TABLE_NAME)?),
            cluster: EcsCluster::new(
                aws::ecs(&config),
                environment.required("AWS_REGION")?,
                environment.required(ECS_STACK)?,
            ),
            tasks: SfnTasks::new(aws::sfn(&config)),
            places: Bucket {
                uploads: Uploads::new(upload::client(&config), bucket),
                redirect: environment.get(ECS_RESULT_URL).map(str::to_owned),
                presigned_most: Duration::from_mins(environment.number(ECS_PRESIGNED_MINUTES)?),
            },
            queue: SqsQueue {
                client: aws::sqs(&config),
                url: environment.required(ECS_LAUNCH_QUEUE_URL)?,
            },
            clock: SystemClock,
            defaults: Defaults::read(environment)?,
        }))
    }

    async fn batch(&self, batch: &SqsEvent, invocation: &Invocation) -> SqsBatchResponse {
        delivery::at_once(batch, invocation, Error::slow, async |message| {
            let key = Handover::read(delivery::event_in(message)?)?;
            self.0
                .handed_over(&key, invocation.deadline)
                .await
                .map(crate::Outcome::name)
        })
        .await
    }
}
