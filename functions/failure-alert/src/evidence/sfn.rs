//! Step Functions, asked with the budget of its quotas in mind.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::list_executions::ListExecutionsError;
use aws_sdk_sfn::types::{
    ExecutionListItem, ExecutionRedriveStatus, ExecutionStatus, HistoryEvent, IncludedData, StateMachineType,
};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::asl::Definition;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, SystemClock, Timestamp};
use signalbox::history::{Event, Failure, Reader};
use signalbox::quotas::{HISTORY_PAGE, LIST_PAGE};

use super::{Described, Listed, Page, Source};
use crate::alert::{End, Redrive, Status};

const HISTORY: &str = "states:GetExecutionHistory";
const DEFINITION: &str = "states:DescribeStateMachineForExecution";
const DESCRIBE: &str = "states:DescribeExecution";
const LIST: &str = "states:ListExecutions";
const MACHINES: &str = "states:ListStateMachines";

/// Pages of a history that are read, from its end: `GetExecutionHistory` is good for 20 calls a second in an account.
pub const PAGES_MOST: usize = 2;

/// How long a definition serves for other executions of the same pipeline: `DescribeStateMachineForExecution` is good for
/// one call a second.
const DEFINITION_LIVES: Duration = Duration::from_mins(5);

/// How long after its end an execution may be redriven.
///
/// Source: Step Functions API reference, `RedriveExecution` (14 days).
const REDRIVABLE: Duration = Duration::from_hours(14 * 24);

/// The definitions that are known, and since when.
type Definitions = Rc<RefCell<HashMap<StateMachineArn, (Timestamp, Rc<Definition>)>>>;

/// Step Functions through the SDK.
#[derive(Debug, Clone)]
pub struct SfnSource {
    client: Client,
    definitions: Definitions,
}

impl SfnSource {
    /// Asks through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            definitions: Rc::default(),
        }
    }

    /// The last events of a history, oldest first.
    async fn tail(&self, execution: &ExecutionArn) -> Result<Vec<HistoryEvent>, CallError> {
        let mut pages = self
            .client
            .get_execution_history()
            .execution_arn(execution.as_str())
            .reverse_order(true)
            .include_execution_data(false)
            .max_results(HISTORY_PAGE)
            .into_paginator()
            .send();
        let mut events = Vec::new();
        for _ in 0..PAGES_MOST {
            let Some(page) = pages.next().await else { break };
            match page {
                Ok(page) => events.extend(page.events),
                // What is there is the end, and that tells most.
                Err(error) if !events.is_empty() => {
                    tracing::warn!(executionArn = %execution, error = %CallError::new(HISTORY, &error), "a page of the history is missing");
                    break;
                }
                Err(error) => return Err(CallError::new(HISTORY, &error)),
            }
        }
        events.reverse();
        Ok(events)
    }

    /// The definition that the execution runs by; `None` if it cannot be had or read. `fresh`: not one that is known from
    /// another execution.
    async fn definition(&self, execution: &ExecutionArn, fresh: bool) -> Option<Rc<Definition>> {
        let machine = execution.machine();
        let now = SystemClock.now();
        if !fresh
            && let Some((at, definition)) = self.definitions.borrow().get(machine)
            && now.since(*at) < DEFINITION_LIVES
        {
            return Some(Rc::clone(definition));
        }
        let describe = self.client.describe_state_machine_for_execution();
        let described = match describe.execution_arn(execution.as_str()).send().await {
            Ok(described) => described,
            Err(error) => {
                let error = CallError::new(DEFINITION, &error);
                tracing::warn!(executionArn = %execution, %error, "the definition cannot be read");
                return None;
            }
        };
        match Definition::parse(described.definition()) {
            Ok(definition) => {
                let definition = Rc::new(definition);
                let known = (now, Rc::clone(&definition));
                self.definitions.borrow_mut().insert(machine.clone(), known);
                Some(definition)
            }
            Err(error) => {
                tracing::warn!(executionArn = %execution, %error, "the definition cannot be understood");
                None
            }
        }
    }
}

fn read(events: &[HistoryEvent], definition: Option<&Definition>) -> Option<Failure> {
    let mut reader = Reader::new(definition);
    for event in events {
        reader.push(&Event::from(event));
    }
    reader.failure()
}

impl Source for SfnSource {
    async fn failure(&self, execution: &ExecutionArn) -> Result<Option<Failure>, CallError> {
        let events = self.tail(execution).await?;
        let definition = self.definition(execution, false).await;
        let failure = read(&events, definition.as_deref());
        // It may be another version's: then the state that failed need not be in it.
        let states = failure.iter().flat_map(|failure| &failure.places);
        let mut names = states.filter_map(|place| Some(&place.path.last()?.state));
        let is_other = definition.is_some_and(|known| !names.all(|name| known.state(name).is_some()));
        if !is_other {
            return Ok(failure);
        }
        let definition = self.definition(execution, true).await;
        Ok(read(&events, definition.as_deref()))
    }

    async fn describe(&self, execution: &ExecutionArn) -> Result<Option<Described>, CallError> {
        let ask = |included: IncludedData| {
            let describe = self.client.describe_execution().execution_arn(execution.as_str());
            describe.included_data(included).send()
        };
        let mut answer = ask(IncludedData::AllData).await;
        // An encrypted pipeline, whose key this role may not use.
        if let Err(error) = &answer
            && CallError::new(DESCRIBE, error).is_access_denied()
        {
            answer = ask(IncludedData::MetadataOnly).await;
        }
        let found = match answer {
            Ok(found) => found,
            Err(error) => {
                return match error.as_service_error() {
                    Some(DescribeExecutionError::ExecutionDoesNotExist(_)) => Ok(None),
                    _ => Err(CallError::new(DESCRIBE, &error)),
                };
            }
        };
        let stopped = found.stop_date.map(Timestamp::from);
        let redrive = match (&found.redrive_status, stopped) {
            (Some(ExecutionRedriveStatus::Redrivable), Some(stopped)) => Redrive::Until(stopped.after(REDRIVABLE)),
            (Some(ExecutionRedriveStatus::NotRedrivable), _) => Redrive::Not(
                found
                    .redrive_status_reason
                    .unwrap_or_else(|| "Step Functions does not say why".to_owned()),
            ),
            _ => Redrive::Unknown,
        };
        let status = Status::named(found.status.as_str());
        let end = status.zip(stopped).map(|(status, stopped)| End {
            execution: execution.clone(),
            status,
            redrive: count(found.redrive_count),
            started: Some(found.start_date.into()),
            stopped,
            error: found.error,
            cause: found.cause,
        });
        Ok(Some(Described { end, redrive }))
    }

    async fn list(
        &self,
        machine: &StateMachineArn,
        status: Option<&'static str>,
        most: i32,
        from: Option<String>,
    ) -> Result<Page<Listed>, CallError> {
        let list = self
            .client
            .list_executions()
            .state_machine_arn(machine.as_str())
            .set_status_filter(status.map(ExecutionStatus::from))
            .max_results(most)
            .set_next_token(from);
        let page = match list.send().await {
            Ok(page) => page,
            Err(error) => {
                return match error.as_service_error() {
                    // It was deleted, and its executions with it.
                    Some(ListExecutionsError::StateMachineDoesNotExist(_)) => Ok(Page {
                        entries: Vec::new(),
                        next: None,
                    }),
                    _ => Err(CallError::new(LIST, &error)),
                };
            }
        };
        Ok(Page {
            entries: page.executions.iter().filter_map(listed).collect(),
            next: page.next_token,
        })
    }

    async fn machines(&self, from: Option<String>) -> Result<Page<StateMachineArn>, CallError> {
        let list = self
            .client
            .list_state_machines()
            .max_results(LIST_PAGE)
            .set_next_token(from);
        let page = list.send().await.map_err(|error| CallError::new(MACHINES, &error))?;
        // Executions of the others are not listed, and have no status events.
        let standard = page
            .state_machines
            .iter()
            .filter(|machine| machine.r#type == StateMachineType::Standard);
        Ok(Page {
            entries: standard
                .filter_map(|machine| StateMachineArn::parse(&machine.state_machine_arn).ok())
                .collect(),
            next: page.next_token,
        })
    }
}

fn listed(item: &ExecutionListItem) -> Option<Listed> {
    Some(Listed {
        execution: ExecutionArn::parse_with_children(&item.execution_arn).ok()?,
        status: Status::named(item.status.as_str()),
        succeeded: item.status == ExecutionStatus::Succeeded,
        started: item.start_date.into(),
        stopped: item.stop_date.map(Timestamp::from),
        redrive: count(item.redrive_count),
    })
}

fn count(redrives: Option<i32>) -> u32 {
    redrives.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}
