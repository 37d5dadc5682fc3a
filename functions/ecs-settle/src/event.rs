//! The state changes of ECS tasks, read leniently: an end that is understood in part beats one that is not.

use serde_json::Value;
use signalbox::clock::Timestamp;
use signalbox::ecs::task::{Container, Task};
use signalbox::request::BadRequest;

/// Reads an `ECS Task State Change`. Only which task it is about must be there.
///
/// Source of the shape: ECS developer guide, "Amazon ECS task state change events"; recorded events.
pub fn task_in(event: &Value) -> Result<Task, BadRequest> {
    let detail = &event["detail"];
    let task_arn = task_arn(&detail["taskArn"])?;
    let cluster_arn = match text(&detail["clusterArn"]) {
        Some(arn) => arn,
        None => cluster_of(&task_arn).ok_or_else(|| {
            BadRequest::new(
                "detail.clusterArn",
                "is missing, and the task's ARN is one of the old ones, which do not name the cluster",
            )
        })?,
    };
    Ok(Task {
        task_arn,
        cluster_arn,
        last_status: text(&detail["lastStatus"]).unwrap_or_default(),
        stop_code: text(&detail["stopCode"]),
        stopped_reason: text(&detail["stoppedReason"]),
        started_by: text(&detail["startedBy"]),
        started_at: time(&detail["startedAt"]),
        stopping_at: time(&detail["stoppingAt"]),
        execution_stopped_at: time(&detail["executionStoppedAt"]),
        stopped_at: time(&detail["stoppedAt"]),
        containers: containers(&detail["containers"]),
    })
}

fn task_arn(value: &Value) -> Result<String, BadRequest> {
    let problem = match value {
        Value::String(arn) if arn.starts_with("arn:") && arn.contains(":task/") => return Ok(arn.clone()),
        Value::Null => "is missing; it is required".to_owned(),
        Value::String(_) => "is not the ARN of a task".to_owned(),
        _ => "is no text; it is the ARN of a task".to_owned(),
    };
    Err(BadRequest::new("detail.taskArn", problem))
}

/// The cluster's ARN, of a task's `arn:aws:ecs:eu-west-1:123456789012:task/cluster/id`.
fn cluster_of(task_arn: &str) -> Option<String> {
    let (before, task) = task_arn.split_once(":task/")?;
    let (cluster, id) = task.split_once('/')?;
    let good = !cluster.is_empty() && !id.is_empty();
    good.then(|| format!("{before}:cluster/{cluster}"))
}

fn containers(value: &Value) -> Vec<Container> {
    let read = |container: &Value| {
        Some(Container {
            // Without a name nobody knows which one it is.
            name: text(&container["name"])?,
            last_status: text(&container["lastStatus"]).unwrap_or_default(),
            exit_code: container["exitCode"].as_i64().and_then(|code| i32::try_from(code).ok()),
            reason: text(&container["reason"]),
        })
    };
    let containers = value.as_array().map_or(&[][..], Vec::as_slice);
    containers.iter().filter_map(read).collect()
}

/// A text that says something.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn time(value: &Value) -> Option<Timestamp> {
    Timestamp::parse(value.as_str()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TASK: &str = "arn:aws:ecs:eu-west-1:123456789012:task/main/0123456789abcdef0123456789abcdef";

    #[test]
    fn everything_that_matters_is_read() {
        let event = json!({
            "detail-type": "ECS Task State Change",
            "detail": {
                "taskArn": TASK,
                "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/main",
                "lastStatus": "DEPROVISIONING",
                "desiredStatus": "STOPPED",
                "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited",
                "startedBy": "signalbox/x",
                "startedAt": "2026-01-31T04:00:12.345Z",
                "stoppingAt": "2026-01-31T04:01:12Z",
                "executionStoppedAt": "2026-01-31T05:01:10.5+01:00",
                "stoppedAt": "2026-01-31T04:01:30.01Z",
                "containers": [
                    {"name": "app", "lastStatus": "STOPPED", "exitCode": 0, "networkInterfaces": []},
                    {"name": "side", "lastStatus": "STOPPED", "exitCode": 137, "reason": "OutOfMemoryError: too much"},
                ],
                "somethingNew": {"a": [1]},
            },
        });
        let at = |text| Timestamp::parse(text);
        assert_eq!(
            task_in(&event),
            Ok(Task {
                task_arn: TASK.to_owned(),
                cluster_arn: "arn:aws:ecs:eu-west-1:123456789012:cluster/main".to_owned(),
                last_status: "DEPROVISIONING".to_owned(),
                stop_code: Some("EssentialContainerExited".to_owned()),
                stopped_reason: Some("Essential container in task exited".to_owned()),
                started_by: Some("signalbox/x".to_owned()),
                started_at: at("2026-01-31T04:00:12.345Z"),
                stopping_at: at("2026-01-31T04:01:12Z"),
                execution_stopped_at: at("2026-01-31T04:01:10.5Z"),
                stopped_at: at("2026-01-31T04:01:30.01Z"),
                containers: vec![
                    Container {
                        name: "app".to_owned(),
                        last_status: "STOPPED".to_owned(),
                        exit_code: Some(0),
                        reason: None,
                    },
                    Container {
                        name: "side".to_owned(),
                        last_status: "STOPPED".to_owned(),
                        exit_code: Some(137),
                        reason: Some("OutOfMemoryError: too much".to_owned()),
                    },
                ],
            })
        );
    }

    #[test]
    fn whatever_else_is_missing_or_odd_is_not_known() {
        let bare = Task {
            task_arn: TASK.to_owned(),
            cluster_arn: "arn:aws:ecs:eu-west-1:123456789012:cluster/main".to_owned(),
            ..Task::default()
        };
        for detail in [
            json!({"taskArn": TASK}),
            json!({"taskArn": TASK, "containers": null, "stopCode": null, "stoppedAt": null, "clusterArn": null}),
            json!({"taskArn": TASK, "containers": {}, "stopCode": 7, "stoppedAt": 1.5, "lastStatus": []}),
            json!({"taskArn": TASK, "containers": [null, 3, {"exitCode": 0}], "stopCode": "", "stoppedReason": ""}),
            json!({"taskArn": TASK, "startedAt": "yesterday", "startedBy": ""}),
        ] {
            assert_eq!(task_in(&json!({"detail": detail})).as_ref(), Ok(&bare), "{detail}");
        }
        let odd =
            json!({"taskArn": TASK, "containers": [{"name": "app", "exitCode": "0"}, {"name": "b", "exitCode": 1e12}]});
        let task = task_in(&json!({"detail": odd})).unwrap();
        assert_eq!(task.containers.len(), 2);
        assert!(task.containers.iter().all(|container| container.exit_code.is_none()));
    }

    #[test]
    fn without_the_task_or_its_cluster_the_refusal_names_the_field() {
        let old = "arn:aws:ecs:us-east-1:111122223333:task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef";
        for (event, says) in [
            (json!({}), "detail.taskArn: is missing; it is required"),
            (json!({"detail": null}), "detail.taskArn: is missing; it is required"),
            (json!([]), "detail.taskArn: is missing; it is required"),
            (
                json!({"detail": {"taskArn": 7}}),
                "detail.taskArn: is no text; it is the ARN of a task",
            ),
            (
                json!({"detail": {"taskArn": "0123"}}),
                "detail.taskArn: is not the ARN of a task",
            ),
            (
                json!({"detail": {"taskArn": old}}),
                "detail.clusterArn: is missing, and the task's ARN is one of the old ones, which do not name the cluster",
            ),
        ] {
            assert_eq!(task_in(&event).unwrap_err().to_string(), says);
        }
        let with =
            json!({"detail": {"taskArn": old, "clusterArn": "arn:aws:ecs:us-east-1:111122223333:cluster/default"}});
        let cluster = task_in(&with).unwrap().cluster_arn;
        assert_eq!(cluster, "arn:aws:ecs:us-east-1:111122223333:cluster/default");
    }
}
