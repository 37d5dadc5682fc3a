//! How a task is run: what the request says, else the tags of the task definition, else the stack's parameters.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use signalbox::config::{
    ConfigError, ECS_ASSIGN_PUBLIC_IP, ECS_CAPACITY_PROVIDER, ECS_CLUSTER, ECS_LAUNCH_TYPE, ECS_SECURITY_GROUPS,
    ECS_SUBNETS, Environment,
};
use signalbox::ecs::cluster::{DefinedContainer, Definition};
use signalbox::ecs::plan::{Launch, Network, Overrides, Plan, Provider, ResultFrom};
use signalbox::request::BadRequest;

use crate::request::{Ask, TIMEOUT_SECONDS, Wishes, timeout_problem};

/// What the tags of a task definition begin with that say how its tasks are run.
pub const TAG: &str = "signalbox:";

/// The tags, without [`TAG`].
pub const TAGS: [&str; 10] = [
    CLUSTER,
    SUBNETS,
    SECURITY_GROUPS,
    ASSIGN_PUBLIC_IP,
    LAUNCH_TYPE,
    CAPACITY_PROVIDER,
    PLATFORM_VERSION,
    CONTAINER,
    RESULT,
    TIMEOUT_SECONDS_TAG,
];

const CLUSTER: &str = "cluster";
const SUBNETS: &str = "subnets";
const SECURITY_GROUPS: &str = "security-groups";
const ASSIGN_PUBLIC_IP: &str = "assign-public-ip";
const LAUNCH_TYPE: &str = "launch-type";
const CAPACITY_PROVIDER: &str = "capacity-provider";
const PLATFORM_VERSION: &str = "platform-version";
const CONTAINER: &str = "container";
const RESULT: &str = "result";
const TIMEOUT_SECONDS_TAG: &str = "timeout-seconds";

/// The cluster that ECS takes where none is named.
const DEFAULT_CLUSTER: &str = "default";

/// The stack's parameters for tasks. What is empty is left to ECS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// `EcsCluster`.
    pub cluster: Option<String>,
    /// `EcsSubnets`.
    pub subnets: Vec<String>,
    /// `EcsSecurityGroups`.
    pub security_groups: Vec<String>,
    /// `EcsAssignPublicIp`.
    pub assign_public_ip: bool,
    /// `EcsLaunchType` or `EcsCapacityProvider`.
    pub launch: Launch,
}

impl Defaults {
    /// Reads them.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let text = |name| environment.get(name).map(str::to_owned);
        let list = |name| environment.get(name).map(words).unwrap_or_default();
        Ok(Self {
            cluster: text(ECS_CLUSTER),
            subnets: list(ECS_SUBNETS),
            security_groups: list(ECS_SECURITY_GROUPS),
            assign_public_ip: environment.flag(ECS_ASSIGN_PUBLIC_IP)?,
            launch: match (text(ECS_CAPACITY_PROVIDER), text(ECS_LAUNCH_TYPE)) {
                (Some(provider), _) => provided_by(&provider),
                (None, Some(launch_type)) => Launch::Type(launch_type),
                (None, None) => Launch::Cluster,
            },
        })
    }
}

/// How the task that is asked for is run, without what the relay adds to its environment; and how long it may take.
pub fn plan(ask: &Ask, definition: &Definition, defaults: &Defaults) -> Result<(Plan, Option<Duration>), BadRequest> {
    let wishes = &ask.wishes;
    let tags = Tags::of(definition)?;
    let container = main_container(wishes, &tags, definition)?;
    let result = match wishes.result {
        Some(result) => result,
        None => tags
            .parsed(RESULT, "s3, log, token or none", channel)?
            .unwrap_or(ResultFrom::S3),
    };
    if result == ResultFrom::Log && container.logs.is_none() {
        let problem = format!(
            "is \"log\", but the container {} has no log driver awslogs with awslogs-group and awslogs-stream-prefix",
            container.name
        );
        return Err(BadRequest::new("result.from", problem));
    }
    let timeout = match wishes.timeout {
        Some(timeout) => Some(timeout),
        None => tagged_timeout(&tags)?,
    };
    let cluster = wishes
        .cluster
        .clone()
        .or_else(|| tags.text(CLUSTER))
        .or_else(|| defaults.cluster.clone());
    let plan = Plan {
        cluster: cluster.unwrap_or_else(|| DEFAULT_CLUSTER.to_owned()),
        task_definition: definition.arn.clone(),
        container: container.name.clone(),
        launch: launch(wishes, &tags, defaults),
        network: network(wishes, &tags, definition, defaults)?,
        overrides: Overrides {
            command: wishes.command.clone(),
            env: wishes.env.clone(),
            cpu: wishes.cpu.clone(),
            memory: wishes.memory.clone(),
            ephemeral_storage_gib: wishes.ephemeral_storage_gib,
            task_role_arn: wishes.task_role_arn.clone(),
            execution_role_arn: wishes.execution_role_arn.clone(),
        },
        platform_version: wishes.platform_version.clone().or_else(|| tags.text(PLATFORM_VERSION)),
        group: wishes.group.clone(),
        enable_execute_command: wishes.enable_execute_command,
        tags: wishes.tags.clone(),
        result,
        result_key: None,
        upload: None,
        on_exit: wishes.on_exit.clone(),
        logs: container.logs.clone(),
    };
    Ok((plan, timeout))
}

/// The container that counts: the one that is named, else the only one that is essential.
fn main_container<'a>(
    wishes: &Wishes,
    tags: &Tags<'_>,
    definition: &'a Definition,
) -> Result<&'a DefinedContainer, BadRequest> {
    let named = wishes.container.clone().or_else(|| tags.text(CONTAINER));
    let all = || {
        let names: Vec<&str> = definition
            .containers
            .iter()
            .map(|container| container.name.as_str())
            .collect();
        names.join(", ")
    };
    if let Some(name) = named {
        let found = definition.containers.iter().find(|container| container.name == name);
        return found.ok_or_else(|| {
            let problem = format!(
                "is \"{name}\", which {} does not have; it has {}",
                definition.arn,
                all()
            );
            BadRequest::new("container", problem)
        });
    }
    let essential: Vec<_> = definition
        .containers
        .iter()
        .filter(|container| container.essential)
        .collect();
    match essential.as_slice() {
        [one] => Ok(one),
        _ => Err(BadRequest::new(
            "container",
            format!(
                "is missing, and {} has {} essential containers; say which one counts: {}",
                definition.arn,
                essential.len(),
                all()
            ),
        )),
    }
}

/// A launch type goes with no capacity provider: whoever says one of them says both.
fn launch(wishes: &Wishes, tags: &Tags<'_>, defaults: &Defaults) -> Launch {
    if let Some(providers) = &wishes.providers {
        return Launch::Providers(providers.clone());
    }
    if let Some(launch_type) = &wishes.launch_type {
        return Launch::Type(launch_type.clone());
    }
    if let Some(provider) = tags.text(CAPACITY_PROVIDER) {
        return provided_by(&provider);
    }
    match tags.text(LAUNCH_TYPE) {
        Some(launch_type) => Launch::Type(launch_type),
        None => defaults.launch.clone(),
    }
}

fn provided_by(provider: &str) -> Launch {
    Launch::Providers(vec![Provider {
        capacity_provider: provider.to_owned(),
        weight: Some(1),
        base: None,
    }])
}

fn network(
    wishes: &Wishes,
    tags: &Tags<'_>,
    definition: &Definition,
    defaults: &Defaults,
) -> Result<Option<Network>, BadRequest> {
    if !definition.is_awsvpc {
        let given = [
            ("subnets", wishes.subnets.is_some()),
            ("securityGroups", wishes.security_groups.is_some()),
            ("assignPublicIp", wishes.assign_public_ip.is_some()),
        ];
        return match given.into_iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(BadRequest::new(
                field,
                format!(
                    "has no meaning: the network mode of {} is not awsvpc; leave it out",
                    definition.arn
                ),
            )),
            None => Ok(None),
        };
    }
    let list = |wish: &Option<Vec<String>>, tag, default: &Vec<String>| {
        wish.clone()
            .or_else(|| tags.text(tag).map(|text| words(&text)))
            .unwrap_or_else(|| default.clone())
    };
    let subnets = list(&wishes.subnets, SUBNETS, &defaults.subnets);
    if subnets.is_empty() {
        return Err(BadRequest::new(
            "subnets",
            format!(
                "is missing, and the network mode of {} is awsvpc: name some here, in the task definition's tag \
                 {TAG}{SUBNETS}, or in the stack's parameter EcsSubnets",
                definition.arn
            ),
        ));
    }
    let public = match wishes.assign_public_ip {
        Some(public) => public,
        None => tags
            .parsed(ASSIGN_PUBLIC_IP, "true or false", |text| bool::from_str(text).ok())?
            .unwrap_or(defaults.assign_public_ip),
    };
    Ok(Some(Network {
        subnets,
        security_groups: list(&wishes.security_groups, SECURITY_GROUPS, &defaults.security_groups),
        assign_public_ip: public,
    }))
}

fn tagged_timeout(tags: &Tags<'_>) -> Result<Option<Duration>, BadRequest> {
    let seconds = tags.parsed(TIMEOUT_SECONDS_TAG, "a whole number of seconds", |text| {
        u64::from_str(text).ok()
    })?;
    match seconds {
        Some(seconds) if !TIMEOUT_SECONDS.contains(&seconds) => {
            Err(tags.wrong(TIMEOUT_SECONDS_TAG, &timeout_problem(seconds)))
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

fn channel(text: &str) -> Option<ResultFrom> {
    Some(match text {
        "s3" => ResultFrom::S3,
        "log" => ResultFrom::Log,
        "token" => ResultFrom::Token,
        "none" => ResultFrom::None,
        _ => return None,
    })
}

/// The value of a tag takes no comma.
///
/// Source: ECS API reference, `Tag` (letters, numbers, spaces and `+ - = . _ : / @`).
fn words(text: &str) -> Vec<String> {
    let separators = |c: char| c.is_whitespace() || c == ',';
    text.split(separators)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The task definition's tags that are the relay's.
struct Tags<'a> {
    definition: &'a Definition,
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Tags<'a> {
    fn of(definition: &'a Definition) -> Result<Self, BadRequest> {
        let ours = definition
            .tags
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(TAG)?, value.trim())));
        let tags = Self {
            definition,
            values: ours.collect(),
        };
        match tags.values.keys().find(|name| !TAGS.contains(name)) {
            Some(name) => Err(tags.wrong(name, &format!("is unknown; there are {}", TAGS.join(", ")))),
            None => Ok(tags),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.values
            .get(name)
            .filter(|value| !value.is_empty())
            .map(|value| (*value).to_owned())
    }

    fn parsed<T>(&self, name: &str, says: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, BadRequest> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match read(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong(name, &format!("is \"{text}\"; it must be {says}"))),
        }
    }

    fn wrong(&self, name: &str, problem: &str) -> BadRequest {
        let definition = &self.definition.arn;
        BadRequest::new("task", format!("the tag {TAG}{name} of {definition} {problem}"))
    }
}

#[cfg(test)]
#[path = "settings/tests.rs"]
mod tests;
