//! How a task is run, and what is expected of it. It is made once, and kept in the record: whoever starts the task, and
//! however often, asks ECS for exactly this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a task is run, and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The cluster's name or ARN.
    pub cluster: String,
    /// The ARN of the task definition, with its revision.
    pub task_definition: String,
    /// The container that counts.
    pub container: String,
    /// What the task runs on, if that is not left to the cluster.
    pub launch: Launch,
    /// The network, where the task definition's network mode is `awsvpc`.
    pub network: Option<Network>,
    /// What is different from the task definition.
    pub overrides: Overrides,
    /// The Fargate platform's version.
    pub platform_version: Option<String>,
    /// The task's group.
    pub group: Option<String>,
    /// Whether ECS Exec is on.
    pub enable_execute_command: bool,
    /// Tags of the task, beside those of its task definition.
    pub tags: BTreeMap<String, String>,
    /// How the result comes back.
    pub result: ResultFrom,
    /// The key of the result's object in the fleet's bucket, if there is one.
    pub result_key: Option<String>,
    /// The SHA-256, in hex, of the secret in the URL that a result may be put to, if there is one.
    pub upload: Option<String>,
    /// What exit codes other than 0 mean.
    pub on_exit: BTreeMap<i32, OnExit>,
    /// Where the container's output goes, if that is CloudWatch Logs.
    pub logs: Option<LogStream>,
}

/// What a task runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Launch {
    /// What the cluster has as its default.
    #[default]
    Cluster,
    /// A launch type: `FARGATE`, `EC2`, `EXTERNAL`.
    Type(String),
    /// Capacity providers.
    Providers(Vec<Provider>),
}

/// A capacity provider, and its share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// Its name: `FARGATE_SPOT`.
    pub capacity_provider: String,
    /// Its share of the tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    /// How many tasks it has at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<i32>,
}

/// Subnets and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// The subnets' ids.
    pub subnets: Vec<String>,
    /// The security groups' ids.
    pub security_groups: Vec<String>,
    /// Whether the task has a public address.
    pub assign_public_ip: bool,
}

/// What is different from the task definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overrides {
    /// The container's command.
    pub command: Option<Vec<String>>,
    /// Variables of the container's environment, the relay's among them.
    pub env: BTreeMap<String, String>,
    /// CPU units of the task.
    pub cpu: Option<String>,
    /// Memory of the task, in MiB.
    pub memory: Option<String>,
    /// Ephemeral storage of the task, in GiB.
    pub ephemeral_storage_gib: Option<i32>,
    /// The role that the containers have.
    pub task_role_arn: Option<String>,
    /// The role that ECS starts the task with.
    pub execution_role_arn: Option<String>,
}

/// How the result comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResultFrom {
    /// An object in S3.
    S3,
    /// The last line of the container's output that begins with [`LOG_MARKER`].
    Log,
    /// The container answers the task token itself.
    Token,
    /// There is none: only the exit code counts.
    None,
}

/// What the line of a result in a container's output begins with.
pub const LOG_MARKER: &str = "::result ";

/// What an exit code other than 0 means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnExit {
    /// The state succeeds.
    Succeed,
    /// The state fails with this error.
    Fail(String),
}

/// A container's place in CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogStream {
    /// The log group.
    pub group: String,
    /// What the stream's name begins with.
    pub prefix: String,
    /// The container's name in the stream's name.
    pub container: String,
    /// The Region.
    pub region: String,
}

impl LogStream {
    /// The stream of the container in a task, by the task's ARN or id: `prefix/container/id`.
    ///
    /// Source: ECS developer guide, "Send Amazon ECS logs to CloudWatch" (`awslogs-stream-prefix`).
    #[must_use]
    pub fn stream(&self, task: &str) -> String {
        let id = task.rsplit('/').next().unwrap_or(task);
        format!("{}/{}/{id}", self.prefix, self.container)
    }
}
