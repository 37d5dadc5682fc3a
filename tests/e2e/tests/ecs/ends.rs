//! Tasks that end in other ways than by themselves.

use e2e::ecs::{STEP_WITHIN, Tested, asked, output, puts, tested};
use local_cloud::{Fault, Stack, wait};
use serde_json::{Value, json};

/// Works for longer than any test runs.
const FOR_EVER: &str = "exec sleep 1000";

fn arn(task: &Value) -> &str {
    task["taskArn"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_container_that_is_killed() -> Tested {
    tested("killed", Stack::fleet(), async |relay| {
        for (name, reason, error) in [
            ("killed", None, "Ecs.ExitCode.137"),
            (
                "memory",
                Some("OutOfMemoryError: Container killed due to memory usage"),
                "Ecs.OutOfMemory",
            ),
        ] {
            let run = relay.stage(name, FOR_EVER, json!({})).await?;
            let tasks = relay.running(1).await?;
            relay.account.kill_container(arn(&tasks[0]), "app", 9, reason).await?;
            let run = relay.account.wait_for_execution(&run).await?;
            assert_eq!(run.error.as_deref(), Some(error), "{run:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_interruption_is_tried_again() -> Tested {
    tested("interrupted", Stack::fleet(), async |relay| {
        // The first time it waits to be interrupted.
        let command = format!(
            "if [ -n \"$FIRST\" ]; then {FOR_EVER}; else {}; fi",
            puts("{\"try\": 2}")
        );
        let input = json!({"ask": asked(&command, json!({"env": {"FIRST": "yes"}})),
            "later": {"env": {"FIRST": ""}}, "patience": 600});
        let run = relay.start("Interrupted", "spot", &input).await?;
        let tasks = relay.running(1).await?;
        relay
            .account
            .interrupt_task(arn(&tasks[0]), "SpotInterruption", "Your Spot Task was interrupted.")
            .await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(output(&run)?["result"], json!({"try": 2}), "{run:?}");
        assert_eq!(relay.all_stopped().await?.len(), 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_person_stops_a_task() -> Tested {
    tested("stopped by a person", Stack::fleet(), async |relay| {
        let run = relay.stage("stopped", FOR_EVER, json!({})).await?;
        let tasks = relay.running(1).await?;
        relay
            .account
            .interrupt_task(arn(&tasks[0]), "UserInitiated", "Enough of it")
            .await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.Stopped"), "{run:?}");
        assert!(run.cause.unwrap_or_default().contains("Enough of it"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_aborted_run_leaves_nothing_running() -> Tested {
    tested("aborted", Stack::fleet(), async |relay| {
        let run = relay.stage("aborted", FOR_EVER, json!({})).await?;
        relay.running(1).await?;
        relay.account.stop_execution(&run, "Test.Aborted", "a test").await?;
        let tasks = relay.all_stopped().await?;
        let reason = tasks[0]["stoppedReason"].as_str().unwrap_or_default();
        assert!(reason.contains("the execution that started it has ended"), "{reason}");
        Ok(())
    })
    .await
}

/// The event of the execution's end is lost: the token is closed, and the sweep finds it so.
#[tokio::test]
async fn an_aborted_run_leaves_nothing_running_even_if_nobody_hears_of_it() -> Tested {
    tested("aborted unheard", Stack::fleet(), async |relay| {
        relay.account.fault(Fault::drop_events().matching("aws.states")).await?;
        let run = relay.stage("aborted", FOR_EVER, json!({})).await?;
        relay.running(1).await?;
        relay.account.stop_execution(&run, "Test.Aborted", "a test").await?;
        relay.account.wait_for_execution(&run).await?;
        let swept = relay.sweep().await?;
        assert_eq!(swept["stopped"], 1, "{swept}");
        let tasks = relay.all_stopped().await?;
        let reason = tasks[0]["stoppedReason"].as_str().unwrap_or_default();
        assert!(reason.contains("does not wait for it any more"), "{reason}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_task_has_its_time() -> Tested {
    tested("timed out", Stack::fleet(), async |relay| {
        let run = relay.stage("long", FOR_EVER, json!({"timeoutSeconds": 1})).await?;
        relay.running(1).await?;
        wait::until("its time to be up", STEP_WITHIN, async || {
            let swept = relay.sweep().await.map_err(|error| error.to_string())?;
            match swept["stopped"].as_u64() {
                Some(0) | None => Err(swept.to_string()),
                Some(_) => Ok(()),
            }
        })
        .await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.TimedOut"), "{run:?}");
        relay.all_stopped().await?;
        Ok(())
    })
    .await
}

/// An end that is told late must not stop what a redrive has started since.
#[tokio::test]
async fn a_late_end_does_not_stop_a_redriven_run() -> Tested {
    tested("late end", Stack::fleet(), async |relay| {
        // It is killed the first time; the redrive has it work.
        let run = relay.stage("redriven", FOR_EVER, json!({})).await?;
        let tasks = relay.running(1).await?;
        let late = relay.account.fault(Fault::drop_events().matching("aws.states")).await?;
        relay.account.kill_container(arn(&tasks[0]), "app", 9, None).await?;
        let ended = relay.account.wait_for_execution(&run).await?;
        assert_eq!(ended.error.as_deref(), Some("Ecs.ExitCode.137"));
        relay.account.redrive_execution(&run).await?;
        relay.running(1).await?;
        late.clear().await?;
        let event = json!({
            "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": run, "status": "FAILED", "redriveCount": 0},
        });
        let settle = relay.fleet.output("EcsSettleFunctionName")?;
        relay.account.invoke(settle, &event).await?;
        let swept = relay.sweep().await?;
        assert_eq!(
            (&swept["beating"], &swept["stopped"]),
            (&json!(1), &json!(0)),
            "{swept}"
        );
        relay.running(1).await?;
        relay.account.stop_execution(&run, "Test.Over", "a test").await?;
        relay.all_stopped().await?;
        Ok(())
    })
    .await
}
