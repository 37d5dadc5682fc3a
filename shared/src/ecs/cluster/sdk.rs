//! The adapter to the ECS API.

use std::collections::BTreeMap;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::run_task::RunTaskError;
use aws_sdk_ecs::operation::stop_task::StopTaskError;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerDefinition, ContainerOverride,
    DesiredStatus, EphemeralStorage, KeyValuePair, LaunchType, LogDriver, NetworkConfiguration, NetworkMode,
    PropagateTags, Tag, TaskDefinitionField, TaskDefinitionStatus, TaskOverride,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{DefinedContainer, Definition, Run, StartTasks, WatchTasks};
use crate::aws::CallError;
use crate::ecs::key::TaskKey;
use crate::ecs::plan::{Launch, LogStream, Network, Plan};
use crate::ecs::start_failure::{StartFailure, is_rate_limit};
use crate::ecs::task::{Container, Task};

const DEFINITION: &str = "ecs:DescribeTaskDefinition";
const RUN: &str = "ecs:RunTask";
const DESCRIBE: &str = "ecs:DescribeTasks";
const LIST: &str = "ecs:ListTasks";
const STOP: &str = "ecs:StopTask";

/// Longest reason of a `StopTask`, in characters.
///
/// Source: ECS API reference, `StopTask` (`reason`: "up to 1024 characters").
const REASON_CHARS: usize = 1_024;

/// [`StartTasks`] and [`WatchTasks`] over the ECS API.
#[derive(Debug, Clone)]
pub struct EcsCluster {
    client: Client,
    /// What log groups are in that do not say in which Region they are.
    region: String,
    /// Which of the account's stacks this is.
    stack: String,
}

impl EcsCluster {
    /// Uses `client`, which is one of `region`, for `stack`: its part of a `startedBy`.
    #[must_use]
    pub fn new(client: Client, region: String, stack: String) -> Self {
        Self { client, region, stack }
    }

    fn container(&self, container: &ContainerDefinition) -> DefinedContainer {
        let name = container.name().unwrap_or_default();
        let options = container
            .log_configuration()
            .filter(|logs| *logs.log_driver() == LogDriver::Awslogs);
        let logs = options.and_then(|logs| {
            let option = |name: &str| logs.options()?.get(name).cloned();
            Some(LogStream {
                group: option("awslogs-group")?,
                // Without it, the stream has the id that Docker gives the container, which nobody here knows.
                prefix: option("awslogs-stream-prefix")?,
                container: name.to_owned(),
                region: option("awslogs-region").unwrap_or_else(|| self.region.clone()),
            })
        });
        DefinedContainer {
            name: name.to_owned(),
            // Source: ECS API reference, `ContainerDefinition` (`essential`: "If this parameter is omitted, a container
            // is assumed to be essential").
            essential: container.essential().unwrap_or(true),
            logs,
        }
    }
}

impl StartTasks for EcsCluster {
    async fn definition(&self, task: &str) -> Result<Option<Definition>, CallError> {
        let described = self
            .client
            .describe_task_definition()
            .task_definition(task)
            .include(TaskDefinitionField::Tags)
            .send()
            .await;
        let described = match described {
            Ok(described) => described,
            // "Unable to describe task definition", as a ClientException.
            Err(error) if error.code() == Some("ClientException") && !is_throttled(&error) => return Ok(None),
            Err(error) => return Err(CallError::new(DEFINITION, &error)),
        };
        let tags = tags_of(described.tags());
        let Some(definition) = described.task_definition else {
            return Err(CallError::malformed(DEFINITION, "the answer has no task definition"));
        };
        // One that is inactive, or is being deleted, can be described, and not be run.
        if definition
            .status()
            .is_some_and(|status| *status != TaskDefinitionStatus::Active)
        {
            return Ok(None);
        }
        let Some(arn) = definition.task_definition_arn() else {
            return Err(CallError::malformed(DEFINITION, "the task definition has no ARN"));
        };
        Ok(Some(Definition {
            arn: arn.to_owned(),
            containers: definition
                .container_definitions()
                .iter()
                .map(|container| self.container(container))
                .collect(),
            is_awsvpc: definition.network_mode() == Some(&NetworkMode::Awsvpc),
            tags,
        }))
    }

    async fn run(&self, plan: &Plan, key: &TaskKey) -> Result<Run, CallError> {
        let mut run = self
            .client
            .run_task()
            .cluster(&plan.cluster)
            .task_definition(&plan.task_definition)
            .count(1)
            .client_token(key.client_token())
            .started_by(key.started_by(&self.stack))
            .propagate_tags(PropagateTags::TaskDefinition)
            .set_platform_version(plan.platform_version.clone())
            .set_group(plan.group.clone())
            .enable_execute_command(plan.enable_execute_command)
            .set_network_configuration(plan.network.as_ref().map(network).transpose().map_err(malformed)?)
            .overrides(overrides(plan));
        run = match &plan.launch {
            Launch::Cluster => run,
            Launch::Type(name) => run.launch_type(LaunchType::from(name.as_str())),
            Launch::Providers(providers) => {
                let mut items = Vec::with_capacity(providers.len());
                for provider in providers {
                    let item = CapacityProviderStrategyItem::builder()
                        .capacity_provider(&provider.capacity_provider)
                        .weight(provider.weight.unwrap_or(0))
                        .base(provider.base.unwrap_or(0))
                        .build()
                        .map_err(malformed)?;
                    items.push(item);
                }
                run.set_capacity_provider_strategy(Some(items))
            }
        };
        for (name, value) in &plan.tags {
            run = run.tags(Tag::builder().key(name).value(value).build());
        }
        let answer = match run.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match error.as_service_error() {
                    // The token has a task, which was asked for in other words.
                    Some(RunTaskError::ConflictException(conflict)) => {
                        let tasks = self.describe(&plan.cluster, conflict.resource_ids()).await?;
                        let task = tasks.into_iter().next().map(Run::Started);
                        task.ok_or_else(|| CallError::new(RUN, &error))
                    }
                    _ => refused(&error),
                };
            }
        };
        if let Some(task) = answer.tasks().first() {
            return Ok(Run::Started(Task::from(task)));
        }
        let failure = answer.failures().first();
        let reason = failure.map(|failure| match (failure.reason(), failure.detail()) {
            (Some(reason), Some(detail)) => format!("{reason}: {detail}"),
            (reason, detail) => reason.or(detail).unwrap_or("ECS gives no reason").to_owned(),
        });
        match reason {
            Some(reason) if is_rate_limit(None, &reason) => Ok(Run::Throttled(CallError::malformed(RUN, reason))),
            Some(reason) => Ok(Run::Refused(StartFailure::of_reason(&reason))),
            None => Err(CallError::malformed(RUN, "the answer has neither a task nor a failure")),
        }
    }
}

/// Errors that say nothing about the task: of the service itself, of the credentials, of the way.
const NOT_OF_THE_TASK: [&str; 9] = [
    "ServerException",
    "RequestExpired",
    "RequestTimeout",
    "RequestTimeoutException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
];

/// What an exception of `RunTask` means. The service's own word, but for its failures on the way, is that it did nothing.
fn refused(error: &SdkError<RunTaskError>) -> Result<Run, CallError> {
    let failed = CallError::new(RUN, error);
    if is_throttled(error) {
        return Ok(Run::Throttled(failed));
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let service = error
        .as_service_error()
        .filter(|_| status.is_some_and(|status| status < 500));
    let Some(service) = service.filter(|service| service.code().is_some()) else {
        return Err(failed);
    };
    // The function's own role lacks something; that the request is sent again after its signature's time is no answer.
    if failed.is_access_denied() || service.code().is_some_and(|code| NOT_OF_THE_TASK.contains(&code)) {
        return Err(failed);
    }
    let message = service.message().unwrap_or_default();
    Ok(Run::Refused(StartFailure::of_exception(service.code(), message)))
}

/// Whether the cluster is not there any more: then nothing is in it.
fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let service = error.as_service_error();
    service.and_then(ProvideErrorMetadata::code) == Some("ClusterNotFoundException")
}

fn is_throttled<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error
        .as_service_error()
        .is_some_and(|service| is_rate_limit(service.code(), service.message().unwrap_or_default()))
}

impl WatchTasks for EcsCluster {
    async fn describe(&self, cluster: &str, tasks: &[String]) -> Result<Vec<Task>, CallError> {
        let describe = self
            .client
            .describe_tasks()
            .cluster(cluster)
            .set_tasks(Some(tasks.to_vec()));
        match describe.send().await {
            Ok(answer) => Ok(answer.tasks().iter().map(Task::from).collect()),
            Err(error) if is_gone(&error) => Ok(Vec::new()),
            Err(error) => Err(CallError::new(DESCRIBE, &error)),
        }
    }

    async fn find(&self, cluster: &str, key: &TaskKey) -> Result<Option<String>, CallError> {
        // One that has ended is listed only where it is asked for. The API reference says of `startedBy` that it must be the
        // only filter; ECS takes it together with `desiredStatus`, as others do who look for their tasks again (Airflow's
        // operator for ECS).
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let list = self
                .client
                .list_tasks()
                .cluster(cluster)
                .started_by(key.started_by(&self.stack))
                .desired_status(status);
            // A page may be empty, and another one follow.
            match list.into_paginator().items().send().next().await {
                Some(Ok(arn)) => return Ok(Some(arn)),
                Some(Err(error)) if is_gone(&error) => return Ok(None),
                Some(Err(error)) => return Err(CallError::new(LIST, &error)),
                None => {}
            }
        }
        Ok(None)
    }

    async fn stop(&self, cluster: &str, task: &str, reason: &str) -> Result<(), CallError> {
        let reason: String = reason.chars().take(REASON_CHARS).collect();
        let stop = self.client.stop_task().cluster(cluster).task(task).reason(reason);
        match stop.send().await {
            Ok(_) => Ok(()),
            // "The referenced task was not found."
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(StopTaskError::is_invalid_parameter_exception) =>
            {
                Ok(())
            }
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(CallError::new(STOP, &error)),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(error: aws_sdk_ecs::error::BuildError) -> CallError {
    CallError::malformed(RUN, error.to_string())
}

fn tags_of(tags: &[Tag]) -> BTreeMap<String, String> {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

fn network(network: &Network) -> Result<NetworkConfiguration, aws_sdk_ecs::error::BuildError> {
    let public = match network.assign_public_ip {
        true => AssignPublicIp::Enabled,
        false => AssignPublicIp::Disabled,
    };
    let groups = Some(network.security_groups.clone()).filter(|groups| !groups.is_empty());
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(network.subnets.clone()))
        .set_security_groups(groups)
        .assign_public_ip(public)
        .build()?;
    Ok(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
}

fn overrides(plan: &Plan) -> TaskOverride {
    let given = &plan.overrides;
    let pair = |(name, value): (&String, &String)| KeyValuePair::builder().name(name).value(value).build();
    let container = ContainerOverride::builder()
        .name(&plan.container)
        .set_command(given.command.clone())
        .set_environment(Some(given.env.iter().map(pair).collect()))
        .build();
    let storage = given
        .ephemeral_storage_gib
        .map(|gib| EphemeralStorage::builder().size_in_gib(gib).build());
    TaskOverride::builder()
        .container_overrides(container)
        .set_cpu(given.cpu.clone())
        .set_memory(given.memory.clone())
        .set_ephemeral_storage(storage)
        .set_task_role_arn(given.task_role_arn.clone())
        .set_execution_role_arn(given.execution_role_arn.clone())
        .build()
}

impl From<&aws_sdk_ecs::types::Task> for Task {
    fn from(task: &aws_sdk_ecs::types::Task) -> Self {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            task_arn: task.task_arn().unwrap_or_default().to_owned(),
            cluster_arn: task.cluster_arn().unwrap_or_default().to_owned(),
            last_status: task.last_status().unwrap_or_default().to_owned(),
            stop_code: text(task.stop_code().map(aws_sdk_ecs::types::TaskStopCode::as_str)),
            stopped_reason: text(task.stopped_reason()),
            started_by: text(task.started_by()),
            started_at: task.started_at.map(Into::into),
            stopping_at: task.stopping_at.map(Into::into),
            execution_stopped_at: task.execution_stopped_at.map(Into::into),
            stopped_at: task.stopped_at.map(Into::into),
            containers: task
                .containers()
                .iter()
                .map(|container| Container {
                    name: container.name().unwrap_or_default().to_owned(),
                    last_status: container.last_status().unwrap_or_default().to_owned(),
                    exit_code: container.exit_code(),
                    reason: text(container.reason()),
                })
                .collect(),
        }
    }
}
