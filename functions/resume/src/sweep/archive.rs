//! The adapter to Step Functions and S3: what AWS answers is archived as it is, so that nothing of it is lost.
//!
//! | object | holds |
//! |---|---|
//! | `<clone>/state-machine.json` | what `DescribeStateMachine` answers |
//! | `<clone>/<execution>/execution.json` | what `DescribeExecution` answers |
//! | `<clone>/<execution>/events-<page>.jsonl` | the history, one event a line |

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client as S3;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_sfn::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sfn::error::BoxError;
use aws_sdk_sfn::operation::list_executions::ListExecutionsError;
use aws_sdk_sfn::types::ExecutionStatus;
use serde::Deserialize;
use serde_json::Value;
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::quotas::{HISTORY_PAGE, LIST_PAGE};

use super::{Machines, Run};

const DELETE: &str = "states:DeleteStateMachine";
const DESCRIBE: &str = "states:DescribeExecution";
const HISTORY: &str = "states:GetExecutionHistory";
const LIST: &str = "states:ListExecutions";
const MACHINE: &str = "states:DescribeStateMachine";
const PUT: &str = "s3:PutObject";

/// Step Functions, and a bucket.
#[derive(Debug, Clone)]
pub struct Archive {
    client: Client,
    s3: S3,
    bucket: String,
}

/// The body of a call's answer.
#[derive(Debug, Clone, Default)]
struct Body(Arc<Mutex<Vec<u8>>>);

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().ok_or("the answer was streamed")?;
        *self.0.lock().map_err(|_| "the answer cannot be kept")? = bytes.to_vec();
        Ok(())
    }
}

impl Body {
    fn take(&self) -> Vec<u8> {
        self.0
            .lock()
            .map(|mut body| std::mem::take(&mut *body))
            .unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Value>,
}

/// The events of a page, one a line.
fn lines(page: &[u8]) -> Result<Vec<u8>, CallError> {
    let malformed = |error: serde_json::Error| CallError::malformed(HISTORY, error.to_string());
    let page: Page = serde_json::from_slice(page).map_err(malformed)?;
    let mut lines = Vec::new();
    for event in page.events {
        serde_json::to_writer(&mut lines, &event).map_err(malformed)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

impl Archive {
    /// Uses `bucket` through `s3`, and Step Functions through `client`.
    #[must_use]
    pub fn new(client: Client, s3: S3, bucket: String) -> Self {
        Self { client, s3, bucket }
    }

    async fn write(&self, key: String, body: Vec<u8>) -> Result<(), CallError> {
        let put = self.s3.put_object().bucket(&self.bucket).key(key).body(body.into());
        put.send().await.map(drop).map_err(|error| CallError::new(PUT, &error))
    }
}

impl Machines for Archive {
    async fn runs(&self, machine: &StateMachineArn) -> Result<Option<Vec<Run>>, CallError> {
        let list = self.client.list_executions().state_machine_arn(machine.as_str());
        let mut pages = list.max_results(LIST_PAGE).into_paginator().send();
        let mut runs = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    return match error.as_service_error() {
                        Some(ListExecutionsError::StateMachineDoesNotExist(_)) => Ok(None),
                        _ => Err(CallError::new(LIST, &error)),
                    };
                }
            };
            for run in page.executions {
                let execution = ExecutionArn::parse(&run.execution_arn)
                    .map_err(|error| CallError::malformed(LIST, error.to_string()))?;
                let started = Timestamp::from(run.start_date);
                let others = [run.redrive_date, run.stop_date].into_iter().flatten();
                let latest = others.map(Timestamp::from).fold(started, Timestamp::max);
                runs.push(Run {
                    started,
                    execution,
                    // A status of a later day is one that may run.
                    runs: !matches!(
                        run.status,
                        ExecutionStatus::Succeeded
                            | ExecutionStatus::Failed
                            | ExecutionStatus::TimedOut
                            | ExecutionStatus::Aborted
                    ),
                    latest,
                });
            }
        }
        Ok(Some(runs))
    }

    async fn archive(&self, machine: &StateMachineArn) -> Result<(), CallError> {
        let body = Body::default();
        let call = self.client.describe_state_machine().state_machine_arn(machine.as_str());
        let sent = call.customize().interceptor(body.clone()).send().await;
        sent.map_err(|error| CallError::new(MACHINE, &error))?;
        self.write(format!("{}/state-machine.json", machine.name()), body.take())
            .await
    }

    async fn archive_run(&self, execution: &ExecutionArn) -> Result<(), CallError> {
        let folder = format!("{}/{}", execution.machine().name(), execution.name());
        let body = Body::default();
        let mut next = None;
        for page in 0.. {
            let call = self
                .client
                .get_execution_history()
                .execution_arn(execution.as_str())
                .include_execution_data(true)
                .max_results(HISTORY_PAGE)
                .set_next_token(next);
            let sent = call.customize().interceptor(body.clone()).send().await;
            let answer = sent.map_err(|error| CallError::new(HISTORY, &error))?;
            self.write(format!("{folder}/events-{page:03}.jsonl"), lines(&body.take())?)
                .await?;
            next = answer.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        let call = self.client.describe_execution().execution_arn(execution.as_str());
        let sent = call.customize().interceptor(body.clone()).send().await;
        sent.map_err(|error| CallError::new(DESCRIBE, &error))?;
        self.write(format!("{folder}/execution.json"), body.take()).await
    }

    async fn delete(&self, machine: &StateMachineArn) -> Result<(), CallError> {
        let call = self.client.delete_state_machine().state_machine_arn(machine.as_str());
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallError::new(DELETE, &error))
    }
}
