//! The adapter to Step Functions.

use crate::arn::{ExecutionArn, StateMachineArn};
use crate::aws::CallError;
use crate::clock::Timestamp;
use crate::quotas::{CAUSE_CHARS, ERROR_CHARS, LIST_PAGE};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::list_executions::ListExecutionsError;
use aws_sdk_sfn::operation::stop_execution::StopExecutionError;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus, IncludedData};

use super::{Execution, Executions, Listed, Status};

const DESCRIBE: &str = "states:DescribeExecution";
const LIST: &str = "states:ListExecutions";
const STOP: &str = "states:StopExecution";

/// [`Executions`] over the Step Functions API.
#[derive(Debug, Clone)]
pub struct SfnExecutions {
    client: Client,
}

impl SfnExecutions {
    /// Uses `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Executions for SfnExecutions {
    async fn describe(&self, run: &ExecutionArn) -> Result<Option<Execution>, CallError> {
        let found = match self
            .client
            .describe_execution()
            .execution_arn(run.as_str())
            // Without it, an encrypted state machine's execution takes permission to use its key.
            .included_data(IncludedData::MetadataOnly)
            .send()
            .await
        {
            Ok(found) => found,
            Err(error) => {
                return match error.as_service_error() {
                    Some(DescribeExecutionError::ExecutionDoesNotExist(_)) => Ok(None),
                    _ => Err(CallError::new(DESCRIBE, &error)),
                };
            }
        };
        Ok(Some(Execution {
            arn: run.clone(),
            since: found.redrive_date.unwrap_or(found.start_date).into(),
            redrive: count(found.redrive_count),
            aborted_with: found.error.filter(|_| found.status == ExecutionStatus::Aborted),
            status: status(&found.status, found.stop_date.map(Timestamp::from)),
        }))
    }

    async fn running(&self, machine: &StateMachineArn) -> Result<Listed, CallError> {
        let mut pages = self
            .client
            .list_executions()
            .state_machine_arn(machine.as_str())
            .status_filter(ExecutionStatus::Running)
            .max_results(LIST_PAGE)
            .into_paginator()
            .send();
        let mut running = Vec::new();
        let mut more = false;
        // A page may be short, or empty, with more to come: only the missing token ends the list.
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => {
                    more = page.next_token.is_some_and(|token| !token.is_empty());
                    for item in page.executions {
                        running.push(listed(&item)?);
                    }
                }
                Err(error) => {
                    return match error.as_service_error() {
                        Some(ListExecutionsError::StateMachineDoesNotExist(_)) => Ok(Listed::NoSuchMachine),
                        Some(ListExecutionsError::StateMachineTypeNotSupported(_)) => Ok(Listed::Express),
                        _ => Err(CallError::new(LIST, &error)),
                    };
                }
            }
        }
        if more {
            // The SDK ends the list, without an error, where a page's token is the one that asked for it.
            return Err(CallError::malformed(LIST, "the token of the next page did not change"));
        }
        Ok(Listed::Running(running))
    }

    async fn stop(&self, run: &ExecutionArn, error: &str, cause: &str) -> Result<(), CallError> {
        let call = self
            .client
            .stop_execution()
            .execution_arn(run.as_str())
            .error(cut(error, ERROR_CHARS))
            .cause(cut(cause, CAUSE_CHARS));
        match call.send().await {
            // Also for one that has ended: none of the errors that the API reference lists is for that.
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(StopExecutionError::ExecutionDoesNotExist(_)) => Ok(()),
                _ => Err(CallError::new(STOP, &error)),
            },
        }
    }
}

fn listed(item: &ExecutionListItem) -> Result<Execution, CallError> {
    let arn =
        ExecutionArn::parse(&item.execution_arn).map_err(|error| CallError::malformed(LIST, error.to_string()))?;
    Ok(Execution {
        arn,
        since: item.redrive_date.unwrap_or(item.start_date).into(),
        redrive: count(item.redrive_count),
        status: Status::Running,
        aborted_with: None,
    })
}

fn count(redrives: Option<i32>) -> u32 {
    redrives.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

fn status(status: &ExecutionStatus, stopped: Option<Timestamp>) -> Status {
    match status {
        ExecutionStatus::Succeeded => Status::Over,
        ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => {
            stopped.map_or(Status::Running, Status::Stopped)
        }
        _ => Status::Running,
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
