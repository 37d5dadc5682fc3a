//! The adapter to Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::create_state_machine::CreateStateMachineError;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::describe_state_machine::DescribeStateMachineError;
use aws_sdk_sfn::operation::describe_state_machine_for_execution::DescribeStateMachineForExecutionError;
use aws_sdk_sfn::operation::list_tags_for_resource::ListTagsForResourceError;
use aws_sdk_sfn::operation::redrive_execution::RedriveExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::{
    EncryptionConfiguration, EncryptionType, ExecutionRedriveStatus, ExecutionStatus, LoggingConfiguration,
    StateMachineType, Tag, TracingConfiguration, ValidateStateMachineDefinitionResultCode,
    ValidateStateMachineDefinitionSeverity,
};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::asl::Definition;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::history::Event;
use signalbox::quotas::HISTORY_PAGE;

use super::{Described, Machines, Making, NewMachine, Ran, Redriving, Starting};
use crate::past::{Data, Past, PastReader};
use crate::plan::Status;

const CREATE: &str = "states:CreateStateMachine";
const DESCRIBE: &str = "states:DescribeExecution";
const HISTORY: &str = "states:GetExecutionHistory";
const MACHINE: &str = "states:DescribeStateMachine";
const RAN: &str = "states:DescribeStateMachineForExecution";
const REDRIVE: &str = "states:RedriveExecution";
const START: &str = "states:StartExecution";
const TAGS: &str = "states:ListTagsForResource";
const VALIDATE: &str = "states:ValidateStateMachineDefinition";

/// Most faults of a definition that are told.
const FAULTS: usize = 5;

/// Step Functions through the SDK.
#[derive(Debug, Clone)]
pub struct SfnMachines {
    client: Client,
}

/// What a state machine has beside definition and role.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Setup {
    logging: Option<LoggingConfiguration>,
    tracing: Option<TracingConfiguration>,
    encryption: Option<EncryptionConfiguration>,
}

impl Setup {
    fn has_kms_key(&self) -> bool {
        let encryption = self.encryption.as_ref();
        encryption.is_some_and(|encryption| encryption.r#type == EncryptionType::CustomerManagedKmsKey)
    }
}

impl SfnMachines {
    /// Uses `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Machines for SfnMachines {
    type Setup = Setup;

    async fn describe(&self, execution: &ExecutionArn) -> Result<Option<Described>, CallError> {
        let found = match self
            .client
            .describe_execution()
            .execution_arn(execution.as_str())
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
        let redrivable = found.redrive_status == Some(ExecutionRedriveStatus::Redrivable);
        let status = match found.status {
            ExecutionStatus::Succeeded => Status::Succeeded,
            ExecutionStatus::Failed => Status::Failed,
            ExecutionStatus::TimedOut => Status::TimedOut,
            ExecutionStatus::Aborted => Status::Aborted,
            _ => Status::Running,
        };
        let reason = found
            .redrive_status_reason
            .unwrap_or_else(|| "it is not redrivable".to_owned());
        Ok(Some(Described {
            status,
            started: Timestamp::from(found.start_date).to_string(),
            stopped: found.stop_date.map(Timestamp::from),
            input: found.input,
            error: found.error,
            cause: found.cause,
            redrives: found
                .redrive_count
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
            not_redrivable: (!redrivable).then_some(reason),
        }))
    }

    async fn ran(&self, execution: &ExecutionArn) -> Result<Option<Ran<Setup>>, CallError> {
        let call = self
            .client
            .describe_state_machine_for_execution()
            .execution_arn(execution.as_str());
        let found = match call.send().await {
            Ok(found) => found,
            Err(error) => {
                return match error.as_service_error() {
                    Some(DescribeStateMachineForExecutionError::ExecutionDoesNotExist(_)) => Ok(None),
                    _ => Err(CallError::new(RAN, &error)),
                };
            }
        };
        let setup = Setup {
            logging: found.logging_configuration,
            tracing: found.tracing_configuration,
            encryption: found.encryption_configuration,
        };
        Ok(Some(Ran {
            definition: found.definition,
            role: found.role_arn,
            has_kms_key: setup.has_kms_key(),
            setup,
        }))
    }

    async fn present(&self, machine: &StateMachineArn) -> Result<Option<Ran<Setup>>, CallError> {
        let call = self.client.describe_state_machine().state_machine_arn(machine.as_str());
        let found = match call.send().await {
            Ok(found) => found,
            Err(error) => {
                return match error.as_service_error() {
                    Some(DescribeStateMachineError::StateMachineDoesNotExist(_)) => Ok(None),
                    _ => Err(CallError::new(MACHINE, &error)),
                };
            }
        };
        let setup = Setup {
            logging: found.logging_configuration,
            tracing: found.tracing_configuration,
            encryption: found.encryption_configuration,
        };
        Ok(Some(Ran {
            definition: found.definition,
            role: found.role_arn,
            has_kms_key: setup.has_kms_key(),
            setup,
        }))
    }

    async fn tags(&self, machine: &StateMachineArn) -> Result<Vec<(String, String)>, CallError> {
        match self
            .client
            .list_tags_for_resource()
            .resource_arn(machine.as_str())
            .send()
            .await
        {
            Ok(found) => Ok(found
                .tags
                .unwrap_or_default()
                .into_iter()
                .filter_map(|tag| Some((tag.key?, tag.value?)))
                // Nobody but AWS may set these.
                .filter(|(key, _)| !key.to_ascii_lowercase().starts_with("aws:"))
                .collect()),
            Err(error) => match error.as_service_error() {
                Some(ListTagsForResourceError::ResourceNotFound(_)) => Ok(Vec::new()),
                _ => Err(CallError::new(TAGS, &error)),
            },
        }
    }

    async fn past(
        &self,
        execution: &ExecutionArn,
        definition: &Definition,
        keep: Option<&str>,
    ) -> Result<Past, CallError> {
        let mut pages = self
            .client
            .get_execution_history()
            .execution_arn(execution.as_str())
            .include_execution_data(true)
            .max_results(HISTORY_PAGE)
            .into_paginator()
            .send();
        let mut reader = PastReader::new(definition, keep);
        while let Some(page) = pages.next().await {
            for event in page.map_err(|error| CallError::new(HISTORY, &error))?.events {
                reader.push(Event::from(&event), Data::of_sdk(event));
            }
        }
        Ok(reader.finish())
    }

    async fn faults(&self, definition: &str) -> Result<Option<String>, CallError> {
        let call = self
            .client
            .validate_state_machine_definition()
            .definition(definition)
            .r#type(StateMachineType::Standard)
            .severity(ValidateStateMachineDefinitionSeverity::Error);
        let found = call.send().await.map_err(|error| CallError::new(VALIDATE, &error))?;
        if found.result == ValidateStateMachineDefinitionResultCode::Ok {
            return Ok(None);
        }
        let each = found
            .diagnostics
            .iter()
            .take(FAULTS)
            .map(|fault| match &fault.location {
                Some(place) => format!("{place}: {} ({})", fault.message, fault.code),
                None => format!("{} ({})", fault.message, fault.code),
            });
        let mut text = each.collect::<Vec<_>>().join("; ");
        let more = found.diagnostics.len().saturating_sub(FAULTS);
        if more > 0 {
            text += "; and ";
            text += &more.to_string();
            text += " more";
        }
        Ok(Some(text))
    }

    async fn make(&self, machine: &NewMachine<'_, Setup>) -> Result<Making, CallError> {
        let mut tags = Vec::new();
        for (key, value) in &machine.tags {
            tags.push(Tag::builder().key(key).value(value).build());
        }
        let call = self
            .client
            .create_state_machine()
            .name(machine.name)
            .definition(machine.definition)
            .role_arn(machine.role)
            .r#type(StateMachineType::Standard)
            .set_logging_configuration(machine.setup.logging.clone())
            .set_tracing_configuration(machine.setup.tracing.clone())
            .set_encryption_configuration(machine.setup.encryption.clone())
            .set_tags(Some(tags));
        match call.send().await {
            Ok(_) => Ok(Making::Made),
            Err(error) => match error.as_service_error() {
                // The name has a hash of all that is in it: it is the same one.
                Some(CreateStateMachineError::StateMachineAlreadyExists(_)) => Ok(Making::Made),
                Some(CreateStateMachineError::StateMachineDeleting(_)) => Ok(Making::Deleting),
                Some(
                    CreateStateMachineError::InvalidDefinition(_)
                    | CreateStateMachineError::InvalidLoggingConfiguration(_)
                    | CreateStateMachineError::InvalidEncryptionConfiguration(_)
                    | CreateStateMachineError::StateMachineLimitExceeded(_)
                    | CreateStateMachineError::TooManyTags(_)
                    | CreateStateMachineError::ValidationException(_),
                ) => Ok(Making::Refused(CallError::new(CREATE, &error).to_string())),
                _ => Err(CallError::new(CREATE, &error)),
            },
        }
    }

    async fn start(&self, machine: &StateMachineArn, name: &str, input: &str) -> Result<Starting, CallError> {
        let call = self
            .client
            .start_execution()
            .state_machine_arn(machine.as_str())
            .name(name)
            .input(input);
        match call.send().await {
            Ok(_) => Ok(Starting::Started),
            Err(error) => match error.as_service_error() {
                Some(StartExecutionError::ExecutionAlreadyExists(_)) => Ok(Starting::Ended),
                Some(StartExecutionError::StateMachineDoesNotExist(_)) => Ok(Starting::NoSuchMachine),
                _ => Err(CallError::new(START, &error)),
            },
        }
    }

    async fn redrive(&self, execution: &ExecutionArn, token: &str) -> Result<Redriving, CallError> {
        let call = self
            .client
            .redrive_execution()
            .execution_arn(execution.as_str())
            .client_token(token);
        match call.send().await {
            Ok(_) => Ok(Redriving::Redriven),
            Err(error) => match error.as_service_error() {
                Some(RedriveExecutionError::ExecutionNotRedrivable(refused)) => {
                    let why = refused
                        .message
                        .clone()
                        .unwrap_or_else(|| "it is not redrivable".to_owned());
                    Ok(Redriving::Refused(why))
                }
                _ => Err(CallError::new(REDRIVE, &error)),
            },
        }
    }
}
