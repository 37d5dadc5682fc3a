//! The adapter to Step Functions.

use std::collections::HashMap;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::operation::send_task_failure::SendTaskFailureError;
use aws_sdk_sfn::operation::send_task_heartbeat::SendTaskHeartbeatError;
use aws_sdk_sfn::operation::send_task_success::SendTaskSuccessError;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{Outcome, Sent, TaskToken, Tasks};
use crate::arn::ExecutionArn;
use crate::aws::CallError;
use crate::quotas::{CAUSE_CHARS, ERROR_CHARS, HISTORY_PAGE};

const SUCCEED: &str = "states:SendTaskSuccess";
const FAIL: &str = "states:SendTaskFailure";
const BEAT: &str = "states:SendTaskHeartbeat";
const HISTORY: &str = "states:GetExecutionHistory";

/// [`Tasks`] over the Step Functions API.
#[derive(Debug, Clone)]
pub struct SfnTasks {
    client: Client,
}

impl SfnTasks {
    /// Uses `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Without the SDK's retries: where the first answer was lost, the second attempt would find the token closed by the
    /// first, and a run that was told would be taken for one that was not.
    fn once() -> aws_sdk_sfn::config::Builder {
        aws_sdk_sfn::config::Builder::default().retry_config(RetryConfig::disabled())
    }
}

impl Tasks for SfnTasks {
    async fn succeed(&self, token: &TaskToken, output: &str) -> Result<Sent, CallError> {
        let call = self
            .client
            .send_task_success()
            .task_token(token.secret())
            .output(output);
        let sent = call.customize().config_override(Self::once()).send().await;
        sent_or(SUCCEED, sent.map(drop), |error| {
            matches!(
                error,
                SendTaskSuccessError::TaskTimedOut(_)
                    | SendTaskSuccessError::TaskDoesNotExist(_)
                    | SendTaskSuccessError::InvalidToken(_)
            )
        })
    }

    async fn fail(&self, token: &TaskToken, error: &str, cause: &str) -> Result<Sent, CallError> {
        let call = self
            .client
            .send_task_failure()
            .task_token(token.secret())
            .error(error.chars().take(ERROR_CHARS).collect::<String>())
            .cause(cause.chars().take(CAUSE_CHARS).collect::<String>());
        let sent = call.customize().config_override(Self::once()).send().await;
        sent_or(FAIL, sent.map(drop), |error| {
            matches!(
                error,
                SendTaskFailureError::TaskTimedOut(_)
                    | SendTaskFailureError::TaskDoesNotExist(_)
                    | SendTaskFailureError::InvalidToken(_)
            )
        })
    }

    async fn beat(&self, token: &TaskToken) -> Result<Sent, CallError> {
        // A beat may be repeated: with the SDK's retries.
        let sent = self
            .client
            .send_task_heartbeat()
            .task_token(token.secret())
            .send()
            .await;
        sent_or(BEAT, sent.map(drop), |error| {
            matches!(
                error,
                SendTaskHeartbeatError::TaskTimedOut(_)
                    | SendTaskHeartbeatError::TaskDoesNotExist(_)
                    | SendTaskHeartbeatError::InvalidToken(_)
            )
        })
    }

    async fn outcome(&self, run: &ExecutionArn, token: &TaskToken) -> Result<Outcome, CallError> {
        let mut pages = self
            .client
            .get_execution_history()
            .execution_arn(run.as_str())
            .reverse_order(true)
            // The token stands in the task's parameters.
            .include_execution_data(true)
            .max_results(HISTORY_PAGE)
            .into_paginator()
            .send();
        let mut seen = History::default();
        let mut found = None;
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let error = CallError::new(HISTORY, &error);
                    tracing::warn!(executionArn = %run, %error, "the history cannot be read");
                    return match error.is_access_denied() {
                        true => Ok(Outcome::Unreadable),
                        false => Err(error),
                    };
                }
            };
            for event in page.events {
                if found.is_none() && scheduled_with(&event, token) {
                    match seen.outcome_of(event.id) {
                        // With which states it was aborted, if it was, the events before it tell.
                        Outcome::Unclear if !seen.aborted.is_empty() => found = Some(event.id),
                        outcome => return Ok(outcome),
                    }
                }
                seen.note(&event);
            }
        }
        Ok(match found.is_some_and(|scheduled| seen.was_aborted(scheduled)) {
            true => Outcome::Failed,
            false => Outcome::Unclear,
        })
    }
}

fn sent_or<E>(
    api: &'static str,
    sent: Result<(), SdkError<E>>,
    is_closed: impl FnOnce(&E) -> bool,
) -> Result<Sent, CallError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Err(error) = sent else { return Ok(Sent::Accepted) };
    if error.as_service_error().is_some_and(is_closed) {
        return Ok(Sent::Closed);
    }
    // The service's own word, except for its failures on the way, is that it did nothing.
    let refused = error
        .raw_response()
        .is_some_and(|response| (400..500).contains(&response.status().as_u16()))
        && error.as_service_error().is_some_and(|service| service.code().is_some());
    let error = CallError::new(api, &error);
    match refused {
        true => Err(error),
        false => Ok(Sent::Unknown(error)),
    }
}

fn scheduled_with(event: &HistoryEvent, token: &TaskToken) -> bool {
    let details = event.task_scheduled_event_details.as_ref();
    details.is_some_and(|details| details.parameters.contains(token.secret()))
}

/// The events after the one that is looked for, and in the end all of them.
#[derive(Debug, Default)]
struct History {
    /// The events of tasks, by the event before them.
    followers: HashMap<i64, Vec<(i64, Option<Outcome>)>>,
    /// Every event: the one before it, and what it means to the states around it.
    events: HashMap<i64, (i64, Around)>,
    /// The aborts of open tasks in a Parallel or a Map state that failed: the event, and the failure that it follows,
    /// which is another branch's.
    aborted: Vec<(i64, i64)>,
    /// Whether the execution has ended since, or was redriven: then a task that has no end of its own ended with it. Its
    /// history need not say so.
    over: bool,
}

/// What an event means to a Parallel or a Map state.
#[derive(Debug, Clone, Copy)]
enum Around {
    Entered,
    Exited,
    Failed,
    Nothing,
}

impl History {
    fn note(&mut self, event: &HistoryEvent) {
        let around = match event.r#type {
            HistoryEventType::ParallelStateEntered | HistoryEventType::MapStateEntered => Around::Entered,
            HistoryEventType::ParallelStateExited | HistoryEventType::MapStateExited => Around::Exited,
            HistoryEventType::ParallelStateFailed | HistoryEventType::MapStateFailed => Around::Failed,
            _ => Around::Nothing,
        };
        self.events.insert(event.id, (event.previous_event_id, around));
        let outcome = match event.r#type {
            HistoryEventType::TaskStarted | HistoryEventType::TaskSubmitted => None,
            HistoryEventType::TaskSucceeded => Some(Outcome::Succeeded),
            HistoryEventType::TaskStateAborted => {
                self.aborted.push((event.id, event.previous_event_id));
                Some(Outcome::Failed)
            }
            HistoryEventType::TaskFailed
            | HistoryEventType::TaskTimedOut
            | HistoryEventType::TaskStartFailed
            | HistoryEventType::TaskSubmitFailed => Some(Outcome::Failed),
            HistoryEventType::ExecutionAborted
            | HistoryEventType::ExecutionFailed
            | HistoryEventType::ExecutionRedriven
            | HistoryEventType::ExecutionSucceeded
            | HistoryEventType::ExecutionTimedOut => {
                self.over = true;
                return;
            }
            _ => return,
        };
        let followers = self.followers.entry(event.previous_event_id).or_default();
        followers.push((event.id, outcome));
    }

    fn outcome_of(&self, scheduled: i64) -> Outcome {
        let mut look = vec![scheduled];
        while let Some(id) = look.pop() {
            for (follower, outcome) in self.followers.get(&id).into_iter().flatten() {
                match outcome {
                    Some(outcome) => return *outcome,
                    None => look.push(*follower),
                }
            }
        }
        match self.over {
            true => Outcome::Failed,
            false => Outcome::Unclear,
        }
    }

    /// Whether one of the states around the task failed after the task had begun.
    fn was_aborted(&self, scheduled: i64) -> bool {
        let later = self.aborted.iter().filter(|(aborted, _)| *aborted > scheduled);
        let failed: Vec<i64> = later.filter_map(|(_, failure)| self.around(*failure)).collect();
        let mut around = self.around(scheduled);
        while let Some(entered) = around {
            if failed.contains(&entered) {
                return true;
            }
            around = self.events.get(&entered).and_then(|(before, _)| self.around(*before));
        }
        false
    }

    /// The Parallel or Map state that an event stands in, by the event of its beginning.
    fn around(&self, event: i64) -> Option<i64> {
        // States that are over lie on the way back, from their end to their beginning.
        let mut over = 0;
        let mut id = event;
        while let Some((before, around)) = self.events.get(&id) {
            match around {
                Around::Entered if over == 0 => return Some(id),
                Around::Entered => over -= 1,
                Around::Exited => over += 1,
                // One that is left behind was caught, and its exit counts.
                Around::Failed if id == event => over += 1,
                Around::Failed | Around::Nothing => {}
            }
            id = *before;
        }
        None
    }
}
