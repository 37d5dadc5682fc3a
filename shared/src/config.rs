//! Every environment variable that a function reads, and the one place that reads them.
//!
//! | variable | set by `template.yaml` to | read by |
//! |---|---|---|
//! | [`TABLE_NAME`] | the fleet's table | all but those of the ECS relay |
//! | [`ALLOW_STOP_EXECUTION`] | the stack's parameter `AllowStopExecution` | `overlap-guard`, `lock-acquire` |
//! | [`PIPELINE_NAME_PREFIX`] | the stack's parameter of that name; may be empty | `lock-acquire`, `failure-alert` |
//! | [`ALERT_TOPIC_ARN`] | the topic of the alerts | `failure-alert` |
//! | [`ALERT_WINDOW_MINUTES`] | the stack's parameter of that name | `failure-alert` |
//! | [`ALERT_CHAT`], [`ALERT_INPUT`], [`ALERT_REFUSALS`] | the stack's parameters `AlertChat`, `AlertInput`, `AlertRefusals` | `failure-alert` |
//! | [`RESUME_STACK_NAME`] | the stack's name; may be empty | `failure-alert` |
//! | [`RESUME_CLONES`] | whether the stack's parameter `ResumeRoleArns` names any | `failure-alert` |
//! | [`STOP_WITHOUT_LOCK`] | the stack's parameter `StopRedrivenWithoutLock` | `lock-release` |
//! | [`ECS_TABLE_NAME`] | the ECS relay's table | `ecs-launch`, `ecs-settle`, `ecs-result` |
//! | [`ECS_BUCKET`] | the bucket for results | `ecs-launch`, `ecs-settle`, `ecs-result` |
//! | [`ECS_STACK`] | a part of the stack's id | `ecs-launch`, `ecs-settle` |
//! | [`ECS_LAUNCH_QUEUE_URL`] | the queue of launches that were throttled | `ecs-launch`, `ecs-settle` |
//! | [`ECS_RESULT_URL`] | the URL of `ecs-result`; may be empty | `ecs-launch` |
//! | [`ECS_PRESIGNED_MINUTES`] | the stack's parameter `EcsPresignedMinutes` | `ecs-launch` |
//! | [`ECS_CLUSTER`], [`ECS_SUBNETS`], [`ECS_SECURITY_GROUPS`], [`ECS_LAUNCH_TYPE`], [`ECS_CAPACITY_PROVIDER`] | the stack's parameters `EcsCluster` and so on; may be empty | `ecs-launch` |
//! | [`ECS_ASSIGN_PUBLIC_IP`] | the stack's parameter `EcsAssignPublicIp` | `ecs-launch` |
//! | [`RESUME_ROLE_ARNS`] | the stack's parameter `ResumeRoleArns`; may be empty | `resume` |
//! | [`RESUME_RETENTION_DAYS`], [`RESUME_BUCKET`] | the stack's parameter `ResumeRetentionDays`, and the bucket for histories | `resume` |
//! | [`LOCK_ACQUIRE_ARN`], [`LOCK_RELEASE_ARN`], [`OVERLAP_GUARD_ARN`], [`ECS_LAUNCH_ARN`] | the functions that pipelines call | `resume` |
//!
//! [`aws`](crate::aws) takes the SDK's own from it: `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_USE_FIPS_ENDPOINT` and
//! `AWS_USE_DUALSTACK_ENDPOINT`. Credentials and `AWS_LAMBDA_*` are read by the SDK and the Lambda runtime.
//! A variable that is missing or wrong ends the function at its start, not at an invocation.

use std::collections::HashMap;

/// Name of the fleet's DynamoDB table.
pub const TABLE_NAME: &str = "SIGNALBOX_TABLE_NAME";

/// Whether the function may stop executions: `true` or `false`.
pub const ALLOW_STOP_EXECUTION: &str = "SIGNALBOX_ALLOW_STOP_EXECUTION";

/// What the names of the state machines begin with that the fleet sees.
pub const PIPELINE_NAME_PREFIX: &str = "SIGNALBOX_PIPELINE_NAME_PREFIX";

/// Whether a redriven run may be stopped that lost its lock to another: `true` or `false`.
pub const STOP_WITHOUT_LOCK: &str = "SIGNALBOX_STOP_WITHOUT_LOCK";

/// The SNS topic that alerts are published to.
pub const ALERT_TOPIC_ARN: &str = "SIGNALBOX_ALERT_TOPIC_ARN";

/// How long failures of one kind are counted after the first was announced, in minutes.
pub const ALERT_WINDOW_MINUTES: &str = "SIGNALBOX_ALERT_WINDOW_MINUTES";

/// Whether alerts have a notification for Amazon Q in chat applications: `true` or `false`.
pub const ALERT_CHAT: &str = "SIGNALBOX_ALERT_CHAT";

/// Whether alerts show the execution's input: `true` or `false`.
pub const ALERT_INPUT: &str = "SIGNALBOX_ALERT_INPUT";

/// Whether Signalbox's own refusals are announced: `true` or `false`.
pub const ALERT_REFUSALS: &str = "SIGNALBOX_ALERT_REFUSALS";

/// The stack whose function `resume` alerts tell people to call; none if it has none.
pub const RESUME_STACK_NAME: &str = "SIGNALBOX_RESUME_STACK_NAME";

/// Whether `resume` may make clones: `true` or `false`.
pub const RESUME_CLONES: &str = "SIGNALBOX_RESUME_CLONES";

/// The ECS relay's table.
pub const ECS_TABLE_NAME: &str = "SIGNALBOX_ECS_TABLE_NAME";

/// The ECS relay's bucket.
pub const ECS_BUCKET: &str = "SIGNALBOX_ECS_BUCKET";

/// Which of the account's stacks this is, in a few characters: its tasks say so.
pub const ECS_STACK: &str = "SIGNALBOX_ECS_STACK";

/// The queue of launches that were throttled.
pub const ECS_LAUNCH_QUEUE_URL: &str = "SIGNALBOX_ECS_LAUNCH_QUEUE_URL";

/// The URL at which `ecs-result` is; none if the stack has no such function.
pub const ECS_RESULT_URL: &str = "SIGNALBOX_ECS_RESULT_URL";

/// How long a task may take at most whose container is given a presigned URL, in minutes.
pub const ECS_PRESIGNED_MINUTES: &str = "SIGNALBOX_ECS_PRESIGNED_MINUTES";

/// The cluster of tasks that say nothing of it.
pub const ECS_CLUSTER: &str = "SIGNALBOX_ECS_CLUSTER";

/// Their subnets, with spaces between them.
pub const ECS_SUBNETS: &str = "SIGNALBOX_ECS_SUBNETS";

/// Their security groups, with spaces between them.
pub const ECS_SECURITY_GROUPS: &str = "SIGNALBOX_ECS_SECURITY_GROUPS";

/// Whether they have a public address: `true` or `false`.
pub const ECS_ASSIGN_PUBLIC_IP: &str = "SIGNALBOX_ECS_ASSIGN_PUBLIC_IP";

/// Their launch type.
pub const ECS_LAUNCH_TYPE: &str = "SIGNALBOX_ECS_LAUNCH_TYPE";

/// Their capacity provider, which goes with no launch type.
pub const ECS_CAPACITY_PROVIDER: &str = "SIGNALBOX_ECS_CAPACITY_PROVIDER";

/// The roles that clones may be given: ARNs with commas between them.
pub const RESUME_ROLE_ARNS: &str = "SIGNALBOX_RESUME_ROLE_ARNS";

/// How long a clone is kept that nobody uses, in days.
pub const RESUME_RETENTION_DAYS: &str = "SIGNALBOX_RESUME_RETENTION_DAYS";

/// The bucket for the histories of clones that are deleted.
pub const RESUME_BUCKET: &str = "SIGNALBOX_RESUME_BUCKET";

/// The ARN of the function `lock-acquire`.
pub const LOCK_ACQUIRE_ARN: &str = "SIGNALBOX_LOCK_ACQUIRE_ARN";

/// The ARN of the function `lock-release`.
pub const LOCK_RELEASE_ARN: &str = "SIGNALBOX_LOCK_RELEASE_ARN";

/// The ARN of the function `overlap-guard`.
pub const OVERLAP_GUARD_ARN: &str = "SIGNALBOX_OVERLAP_GUARD_ARN";

/// The ARN of the function `ecs-launch`.
pub const ECS_LAUNCH_ARN: &str = "SIGNALBOX_ECS_LAUNCH_ARN";

/// A variable that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name} {problem}")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
}

/// The environment of the function, as an argument.
#[derive(Debug, Clone)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// An environment made of `pairs`.
    #[must_use]
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    /// The value of `name`, if it is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `name`, which must be there and not empty.
    pub fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        match self.get(name) {
            Some(value) => Ok(value.to_owned()),
            None => Err(ConfigError {
                name,
                problem: "is not set; template.yaml sets it".to_owned(),
            }),
        }
    }

    /// The value of `name`, which must be a whole number.
    pub fn number(&self, name: &'static str) -> Result<u64, ConfigError> {
        let value = self.required(name)?;
        value.parse().map_err(|_| ConfigError {
            name,
            problem: format!("is \"{value}\"; it must be a whole number"),
        })
    }

    /// The value of `name`, which must be `true` or `false`.
    pub fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.required(name)?.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(ConfigError {
                name,
                problem: format!("is \"{other}\"; it must be \"true\" or \"false\""),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let environment = Environment::of([(TABLE_NAME, ""), (ALLOW_STOP_EXECUTION, "yes")]);
        assert_eq!(
            environment.required(TABLE_NAME).unwrap_err().to_string(),
            "environment variable SIGNALBOX_TABLE_NAME is not set; template.yaml sets it"
        );
        assert_eq!(
            environment.flag(ALLOW_STOP_EXECUTION).unwrap_err().to_string(),
            "environment variable SIGNALBOX_ALLOW_STOP_EXECUTION is \"yes\"; it must be \"true\" or \"false\""
        );
        let good = Environment::of([(TABLE_NAME, "t"), (ALLOW_STOP_EXECUTION, "true")]);
        assert_eq!(good.required(TABLE_NAME).as_deref(), Ok("t"));
        assert_eq!(good.flag(ALLOW_STOP_EXECUTION), Ok(true));
    }
}
