//! What a Task called, and how far that came.

use super::notation::read;
use crate::past::{Task, Visit};

const TASKS: &str = r#"{
  "StartAt": "Work",
  "States": {
    "Work": {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Next": "Rest", "Retry": [{"ErrorEquals": ["States.ALL"]}]},
    "Rest": {"Type": "Wait", "Seconds": 1, "End": true}
  }
}"#;

fn work(history: &str) -> Visit {
    let history = format!(
        "1 0 ExecutionStarted {{}}
         2 0 TaskStateEntered Work <- {{}}
         {history}"
    );
    read(TASKS, &history).top.visits.remove("Work").unwrap()
}

fn task(resource: &str, parameters: &str, started: bool, submitted: Option<&str>) -> Task {
    Task {
        resource: Some(resource.to_owned()),
        parameters: Some(parameters.into()),
        started,
        submitted: submitted.map(Into::into),
    }
}

const ECS: &str = "arn:aws:states:::ecs:runTask.sync";

#[test]
fn an_attempt_is_scheduled_started_and_submitted() {
    let scheduled = r#"3 2 TaskScheduled ecs:runTask.sync {"Cluster":"c"}"#;
    assert_eq!(work("").task, None);
    assert_eq!(work(scheduled).task, Some(task(ECS, r#"{"Cluster":"c"}"#, false, None)));
    let started = format!("{scheduled}\n4 3 TaskStarted");
    assert_eq!(work(&started).task, Some(task(ECS, r#"{"Cluster":"c"}"#, true, None)));
    let submitted = format!("{started}\n5 4 TaskSubmitted {{\"Tasks\":[1]}}");
    let found = work(&submitted);
    let expected = task(ECS, r#"{"Cluster":"c"}"#, true, Some(r#"{"Tasks":[1]}"#));
    assert_eq!((found.task, found.result), (Some(expected), None));
}

#[test]
fn only_the_last_attempt_is_kept() {
    let retried = r#"3 2 TaskScheduled ecs:runTask.sync {"try":1}
        4 3 TaskStarted
        5 4 TaskSubmitted {"job":1}
        6 5 TaskFailed Job.Lost
        7 6 TaskScheduled ecs:runTask.sync {"try":2}"#;
    let found = work(retried);
    assert_eq!(found.task, Some(task(ECS, r#"{"try":2}"#, false, None)));
    assert_eq!((found.attempts, found.is_open()), (2, true));
    let done = format!(
        r#"{retried}
        8 7 TaskSubmitted {{"job":2}}
        9 8 TaskSucceeded {{"exit":0}}
        10 9 TaskStateExited Work -> 0"#
    );
    let found = work(&done);
    assert_eq!(found.result.as_deref(), Some(r#"{"exit":0}"#));
    let submitted = found.task.and_then(|task| task.submitted);
    assert_eq!(submitted.as_deref(), Some(r#"{"job":2}"#));
}

#[test]
fn an_answer_that_the_state_could_not_use_is_not_the_next_attempts() {
    let found = work(
        r#"3 2 TaskScheduled ecs:runTask.sync {"try":1}
           4 3 TaskSucceeded {"exit":0}
           5 4 EvaluationFailed Work
           6 5 TaskScheduled ecs:runTask.sync {"try":2}"#,
    );
    assert_eq!((found.result, found.attempts), (None, 2));
}

#[test]
fn functions_and_activities_are_called_by_their_arn() {
    let function = work(
        r#"3 2 LambdaFunctionScheduled arn:aws:lambda:r:1:function:f {"n":1}
           4 3 LambdaFunctionStarted
           5 4 LambdaFunctionSucceeded {"n":2}"#,
    );
    let arn = "arn:aws:lambda:r:1:function:f";
    assert_eq!(function.task, Some(task(arn, r#"{"n":1}"#, true, None)));
    assert_eq!(function.result.as_deref(), Some(r#"{"n":2}"#));
    let activity = work(
        r#"3 2 ActivityScheduled arn:aws:states:r:1:activity:a {"n":1}
           4 3 ActivityStarted
           5 4 ActivitySucceeded {"n":2}"#,
    );
    let arn = "arn:aws:states:r:1:activity:a";
    assert_eq!(activity.task, Some(task(arn, r#"{"n":1}"#, true, None)));
    assert_eq!(activity.result.as_deref(), Some(r#"{"n":2}"#));
}
