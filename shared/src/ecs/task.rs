//! A task as its events and `DescribeTasks` tell.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// A task, at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    /// Its ARN.
    pub task_arn: String,
    /// The ARN of its cluster.
    pub cluster_arn: String,
    /// `PROVISIONING`, `PENDING`, `RUNNING`, `DEPROVISIONING`, `STOPPED` and others. An open list.
    pub last_status: String,
    /// Who or what ended it: `EssentialContainerExited`, `TaskFailedToStart`, `SpotInterruption` and others. An open list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// Who started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// When its containers were started,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// when it began to stop,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopping_at: Option<Timestamp>,
    /// when its containers had ended,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_stopped_at: Option<Timestamp>,
    /// and when all was cleared away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// Its containers: possibly none, if it could not be started.
    pub containers: Vec<Container>,
}

/// A container of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// `PENDING`, `RUNNING`, `STOPPED`.
    pub last_status: String,
    /// What it exited with, if it ran and has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it ended, if that is not the exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Task {
    /// The container with this name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// Whether it is over for good.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        matches!(self.last_status.as_str(), "STOPPED" | "DELETED")
    }

    /// When its containers had ended, as far as it is known: the relay settles before all is cleared away.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.execution_stopped_at.or(self.stopping_at).or(self.stopped_at)
    }
}
