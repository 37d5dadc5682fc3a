//! Runs of the example `nightly-etl`: its state that waits for a container, as the run's history and ECS tell.

use std::time::Duration;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use serde_json::Value;

use crate::{Account, Error, Execution, account::aws};

/// The state in which the container works.
const WORKS: &str = "Transform";

/// A run's state that waits for a container. Times are Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// The run's name.
    pub name: String,
    /// When the state was entered.
    pub entered: Option<i64>,
    /// When it was left, by success.
    pub left: Option<i64>,
    /// The errors that it was told, in order: each of them was retried but for the last one of a run that failed.
    pub errors: Vec<String>,
    /// The cause of the last one.
    pub cause: Option<String>,
    /// What the container handed back.
    pub result: Option<Value>,
    /// When each of its containers worked, in order.
    pub work: Vec<Work>,
    /// The ARN of the task that had the result.
    pub task: Option<String>,
}

/// A container at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// When it was started.
    pub from: i64,
    /// When it had ended.
    pub to: i64,
}

impl Stage {
    /// What is known of a run that has ended.
    pub async fn of(account: &Account, execution: &Execution) -> Result<Self, Error> {
        let pages = account
            .sfn()
            .get_execution_history()
            .execution_arn(&execution.arn)
            .include_execution_data(true)
            .into_paginator();
        let mut events = pages.items().send();
        let mut stage = Self {
            name: execution.name.clone(),
            ..Self::default()
        };
        while let Some(event) = events.next().await {
            stage.note(&event.map_err(aws("States.GetExecutionHistory"))?);
        }
        stage.find_work(&account.ecs_tasks().await?);
        Ok(stage)
    }

    fn note(&mut self, event: &HistoryEvent) {
        let at = event.timestamp.to_millis().ok();
        let entered = event.state_entered_event_details.as_ref();
        let exited = event.state_exited_event_details.as_ref();
        if entered.is_some_and(|details| details.name == WORKS) {
            self.entered = at;
        }
        if exited.is_some_and(|details| details.name == WORKS) {
            self.left = at;
        }
        match event.r#type {
            HistoryEventType::TaskFailed => {
                let details = event.task_failed_event_details.as_ref();
                let error = details.and_then(|details| details.error.clone());
                self.errors.push(error.unwrap_or_default());
                self.cause = details.and_then(|details| details.cause.clone());
            }
            HistoryEventType::TaskSucceeded => {
                let details = event.task_succeeded_event_details.as_ref();
                let output = details.and_then(|details| serde_json::from_str::<Value>(details.output.as_deref()?).ok());
                let Some(output) = output else { return };
                self.task = output["taskArn"].as_str().map(str::to_owned);
                self.result = Some(output["result"].clone());
            }
            _ => {}
        }
    }

    /// The tasks of all attempts: their `startedBy` begins alike.
    fn find_work(&mut self, tasks: &[Value]) {
        let started_by = |task: &Value| Some(task["startedBy"].as_str()?.rsplit_once('/')?.0.to_owned());
        let step = tasks
            .iter()
            .find(|task| task["taskArn"].as_str() == self.task.as_deref())
            .and_then(started_by);
        let ours = tasks.iter().filter(|task| step.is_some() && started_by(task) == step);
        self.work = ours
            .filter_map(|task| {
                let (from, to) = (millis(&task["startedAt"])?, millis(&task["executionStoppedAt"])?);
                Some(Work { from, to })
            })
            .collect();
        self.work.sort_by_key(|work| work.from);
    }

    /// From the end of the last container to the state's.
    #[must_use]
    pub fn told_in(&self) -> Option<Duration> {
        u64::try_from(self.left? - self.work.last()?.to)
            .ok()
            .map(Duration::from_millis)
    }
}

/// A time of ECS: seconds since the epoch.
fn millis(seconds: &Value) -> Option<i64> {
    let seconds = Duration::try_from_secs_f64(seconds.as_f64()?).ok()?;
    i64::try_from(seconds.as_millis()).ok()
}

/// What the container of `nightly-etl` makes of so many orders.
#[must_use]
pub fn total(orders: u64) -> u64 {
    (1..=orders).map(|number| number * 37 % 100 + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{
        StateEnteredEventDetails, StateExitedEventDetails, TaskFailedEventDetails, TaskSucceededEventDetails,
    };
    use serde_json::json;

    #[test]
    fn a_run_that_was_interrupted_is_read() {
        let event = |at, kind: &str| {
            HistoryEvent::builder()
                .timestamp(DateTime::from_millis(at))
                .id(at)
                .r#type(kind.into())
        };
        let entered = |at, name: &str| {
            let details = StateEnteredEventDetails::builder().name(name).build().unwrap();
            event(at, "TaskStateEntered").state_entered_event_details(details)
        };
        let exited = |at, name: &str| {
            let details = StateExitedEventDetails::builder().name(name).build().unwrap();
            event(at, "TaskStateExited").state_exited_event_details(details)
        };
        let failed = TaskFailedEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke.waitForTaskToken")
            .error("Ecs.Interrupted")
            .cause("Spot took it away.");
        let succeeded = TaskSucceededEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke.waitForTaskToken")
            .output(json!({"result": {"orders": 3}, "taskArn": "task/2"}).to_string());
        let mut stage = Stage::default();
        for event in [
            entered(1, "Extract"),
            exited(2, "Extract"),
            entered(3, WORKS),
            event(1200, "TaskFailed").task_failed_event_details(failed.build().unwrap()),
            event(9100, "TaskSucceeded").task_succeeded_event_details(succeeded.build().unwrap()),
            exited(9101, WORKS),
        ] {
            stage.note(&event.build().unwrap());
        }
        let task = |arn: &str, started_by: &str, from: f64, to: f64| json!({"taskArn": arn, "startedBy": started_by, "startedAt": from, "executionStoppedAt": to});
        stage.find_work(&[
            task("task/2", "signalbox/run/step/0-1-b", 6.25, 9.0),
            task("task/1", "signalbox/run/step/0-0-a", 0.1, 1.1),
            task("task/3", "signalbox/other/step/0-0-c", 0.1, 1.1),
            json!({"taskArn": "task/4"}),
        ]);
        let expected = Stage {
            entered: Some(3),
            left: Some(9101),
            errors: vec!["Ecs.Interrupted".to_owned()],
            cause: Some("Spot took it away.".to_owned()),
            result: Some(json!({"orders": 3})),
            work: vec![Work { from: 100, to: 1100 }, Work { from: 6250, to: 9000 }],
            task: Some("task/2".to_owned()),
            ..Stage::default()
        };
        assert_eq!(stage, expected);
        assert_eq!(stage.told_in(), Some(Duration::from_millis(101)));
    }

    #[test]
    fn a_run_without_a_task_has_no_work() {
        let mut stage = Stage::default();
        stage.find_work(&[json!({"startedBy": "somebody"}), json!({"taskArn": "task/1"})]);
        assert_eq!((stage.told_in(), stage.work), (None, Vec::new()));
    }

    #[test]
    fn the_total_is_what_the_script_sums_up() {
        assert_eq!(total(0), 0);
        assert_eq!(total(3), 38 + 75 + 12);
    }
}
