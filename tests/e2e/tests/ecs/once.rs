//! Of one step one task lives, whatever is repeated.

use std::time::Duration;

use e2e::ecs::{Relay, STEP_WITHIN, Tested, asked, output, puts, swept_until_it_ends, tested};
#[cfg(target_os = "linux")]
use e2e::processes;
use local_cloud::{Fault, Stack, wait};
use serde_json::{Value, json};

/// Seconds since the epoch of a time of a task.
fn time(task: &Value, field: &str) -> f64 {
    task[field].as_f64().unwrap_or(f64::NAN)
}

/// No two of these tasks had running containers at the same time.
fn never_two(tasks: &[Value]) {
    let mut spans: Vec<(f64, f64)> = tasks
        .iter()
        .map(|task| (time(task, "startedAt"), time(task, "executionStoppedAt")))
        .collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    for pair in spans.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two tasks at once: {spans:?}");
    }
}

/// How often `ecs-launch` was invoked.
async fn launches(relay: &Relay) -> Result<u64, local_cloud::Error> {
    let usage = relay.account.usage().await?;
    Ok(usage
        .lambda
        .get(relay.fleet.output("EcsLaunchFunctionName")?)
        .copied()
        .unwrap_or(0))
}

/// Waits until `ecs-launch` was invoked so often.
async fn launched(relay: &Relay, times: u64) -> Result<(), local_cloud::Error> {
    let what = format!("launch {times}");
    wait::until(&what, STEP_WITHIN, async || {
        match launches(relay).await.map_err(|error| error.to_string())? {
            seen if seen < times => Err(format!("{seen}")),
            _ => Ok(()),
        }
    })
    .await
}

/// Kills the process of a function that is at work, as a sandbox that dies.
#[cfg(target_os = "linux")]
fn kill_function(relay: &Relay, name: &str) -> usize {
    let function = format!("AWS_LAMBDA_FUNCTION_NAME={name}");
    // Functions of other tests have the same name, and queues of their own.
    let is_queue =
        |entry: &&str| entry.starts_with("SIGNALBOX_ECS_LAUNCH_QUEUE_URL=") && entry.contains(relay.account.id());
    let found = processes::with(|entries| entries.contains(&&*function) && entries.iter().any(is_queue));
    found.iter().filter(|process| processes::kill(process)).count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_function_that_dies_after_run_task_and_is_tried_again_has_one_task() -> Tested {
    tested("dies after RunTask", Stack::fleet(), async |relay| {
        let launch = relay.fleet.output("EcsLaunchFunctionName")?;
        let fault = relay
            .account
            .fault(Fault::delay("DynamoDB.UpdateItem", Duration::from_secs(4)).times(1))
            .await?;
        let command = format!("sleep 6; {}", puts("{\"n\": 1}"));
        let run = relay.start("Stubborn", "killed", &asked(&command, json!({}))).await?;
        relay.running(1).await?;
        assert!(kill_function(relay, launch) > 0, "its process was found");
        fault.clear().await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}), "{run:?}");
        assert_eq!(relay.all_stopped().await?.len(), 1, "one task");
        assert!(launches(relay).await? > 1, "it was tried again");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn answers_of_run_task_that_are_lost_start_no_second_task() -> Tested {
    tested("RunTask unheard", Stack::fleet(), async |relay| {
        for (name, fault) in [
            ("dropped", Fault::drop_after_effect("ECS.RunTask").times(1)),
            ("failed", Fault::apply_then_fail("ECS.RunTask").times(1)),
        ] {
            let fault = relay.account.fault(fault).await?;
            let run = relay.run(name, &puts("{}"), json!({})).await?;
            assert_eq!(output(&run)?["result"], json!({}), "{run:?}");
            assert_eq!(fault.hits().await?, 1);
        }
        assert_eq!(relay.all_stopped().await?.len(), 2, "one for each run");
        Ok(())
    })
    .await
}

/// The state did not wait long enough; the next attempt has the task that still works.
#[tokio::test]
async fn a_later_attempt_takes_the_task_over() -> Tested {
    tested("taken over", Stack::fleet(), async |relay| {
        let may_end =
            std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("impatient-{}", relay.account.id()));
        let command = format!(
            "until [ -e '{}' ]; do sleep 0.2; done; {}",
            may_end.display(),
            puts("{\"n\": 1}")
        );
        let input = json!({"ask": asked(&command, json!({})), "later": {}, "patience": 6});
        let run = relay.start("Timed", "impatient", &input).await?;
        launched(relay, 2).await?;
        std::fs::write(&may_end, "")?;
        // On a busy machine it may end between two attempts.
        let run = swept_until_it_ends(relay, &run).await?;
        std::fs::remove_file(&may_end)?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}), "{run:?}");
        assert_eq!(relay.all_stopped().await?.len(), 1, "one task");
        Ok(())
    })
    .await
}

/// The next attempt asks for something else: the first task ends before the second one begins.
#[tokio::test]
async fn a_later_attempt_that_asks_for_something_else_waits_for_the_end() -> Tested {
    tested("replaced", Stack::fleet(), async |relay| {
        let input = json!({
            "ask": asked("trap 'sleep 1; exit 0' TERM; sleep 1000 & wait", json!({})),
            "later": {"command": [puts("{\"n\": 2}")]}, "patience": 6,
        });
        let times = local_cloud::EcsTimes {
            stop_timeout: Some(Duration::from_secs(5)),
            ..local_cloud::EcsTimes::default()
        };
        relay.account.ecs_times(times).await?;
        let run = relay.start("Timed", "changes-its-mind", &input).await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(output(&run)?["result"], json!({"n": 2}), "{run:?}");
        let tasks = relay.all_stopped().await?;
        assert_eq!(tasks.len(), 2);
        never_two(&tasks);
        Ok(())
    })
    .await
}

/// It has done its work, and the state that waited was gone: the next attempt has what it did.
#[tokio::test]
async fn work_that_nobody_heard_of_is_not_done_again() -> Tested {
    tested("unheard", Stack::fleet(), async |relay| {
        relay.account.fault(Fault::drop_events()).await?;
        let command = format!("sleep 1; {}", puts("{\"n\": 1}"));
        let input = json!({"ask": asked(&command, json!({})), "later": {}, "patience": 6});
        let run = relay.start("Timed", "unheard", &input).await?;
        launched(relay, 2).await?;
        let run = swept_until_it_ends(relay, &run).await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}), "{run:?}");
        assert_eq!(relay.all_stopped().await?.len(), 1, "one task");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn ten_stages_of_a_map_at_once_have_a_task_each() -> Tested {
    for named in [true, false] {
        let name = format!("map, {}", if named { "with items" } else { "without" });
        tested(&name, Stack::fleet(), async |relay| {
            let items: Vec<Value> = (0..10)
                .map(|n| asked(&puts(&format!("{{\"n\": {n}}}")), json!({})))
                .collect();
            let run = relay
                .start("Fan", "ten", &json!({"items": items, "named": named}))
                .await?;
            let run = relay.account.wait_for_execution(&run).await?;
            let expected: Vec<Value> = (0..10).map(|n| json!({"n": n})).collect();
            assert_eq!(output(&run)?, Value::Array(expected), "{run:?}");
            assert_eq!(relay.all_stopped().await?.len(), 10);
            Ok(())
        })
        .await?;
    }
    Ok(())
}
