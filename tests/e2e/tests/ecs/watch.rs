//! Events that are lost, doubled, late or out of order, and a table that cannot be read for a while.

use std::time::Duration;

use e2e::ecs::{STEP_WITHIN, Tested, asked, output, puts, swept_until_it_ends, tested};
use futures_util::future::try_join_all;
use local_cloud::{Fault, Stack, wait};
use serde_json::json;

#[tokio::test]
async fn the_sweep_settles_what_no_event_told_of_and_vouches_for_it_meanwhile() -> Tested {
    tested("events lost", Stack::fleet(), async |relay| {
        let lost = relay.account.fault(Fault::drop_events()).await?;
        // The state waits four seconds for a heartbeat, and the container works for ten.
        let command = format!("sleep 10; {}", puts("{\"n\": 1}"));
        let run = relay.start("Hasty", "vouched-for", &asked(&command, json!({}))).await?;
        let run = swept_until_it_ends(relay, &run).await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}), "{run:?}");
        assert!(lost.hits().await? > 0);
        Ok(())
    })
    .await
}

/// Without the sweep that state fails: the test above would notice if nobody vouched for it.
#[tokio::test]
async fn nobody_else_vouches_for_a_container() -> Tested {
    tested("nobody vouches", Stack::fleet(), async |relay| {
        let run = relay
            .start("Hasty", "unvouched-for", &asked("sleep 10", json!({})))
            .await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(run.error.as_deref(), Some("States.Timeout"), "{run:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn doubled_and_reordered_events_answer_once() -> Tested {
    for (name, fault) in [
        ("doubled", Fault::double_events()),
        ("reordered", Fault::reorder_events(Duration::from_secs(2))),
    ] {
        tested(name, Stack::fleet(), async |relay| {
            let fault = relay.account.fault(fault).await?;
            let runs = try_join_all((0..6).map(|n| async move {
                let command = if n % 2 == 0 {
                    puts(&format!("{{\"n\": {n}}}"))
                } else {
                    format!("exit {n}")
                };
                relay.stage(&format!("run-{n}"), &command, json!({})).await
            }))
            .await?;
            for (n, run) in relay.account.wait_for_executions(&runs).await?.iter().enumerate() {
                match n % 2 {
                    0 => assert_eq!(output(run)?["result"], json!({"n": n})),
                    _ => assert_eq!(run.error, Some(format!("Ecs.ExitCode.{n}"))),
                }
            }
            assert!(fault.hits().await? > 0, "{name}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The events are not lost: they are in the queue, and the sweep has its own way.
#[tokio::test]
async fn a_table_that_cannot_be_read_for_a_while_loses_nothing() -> Tested {
    tested("table unreadable", Stack::fleet(), async |relay| {
        let run = relay
            .stage(
                "patient",
                &format!("sleep 1; {}", puts("{\"n\": 1}")),
                json!({"timeoutSeconds": 600}),
            )
            .await?;
        relay.running(1).await?;
        let fault = relay
            .account
            .fault(Fault::throttle("DynamoDB.*").from_functions())
            .await?;
        relay.all_stopped().await?;
        wait::until("an event to meet the fault", STEP_WITHIN, async || {
            let hits = fault.hits().await.map_err(|error| error.to_string())?;
            if hits >= 4 { Ok(()) } else { Err(hits.to_string()) }
        })
        .await?;
        assert_eq!(relay.sweep().await.unwrap_err().error_type, "Ecs.Unavailable");
        fault.clear().await?;
        let run = swept_until_it_ends(relay, &run).await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}));
        Ok(())
    })
    .await
}

/// It was given the URL of a function, which signs when the result is there: it is good for as long as the state waits.
#[tokio::test]
async fn a_task_that_outlives_what_can_be_signed_hands_its_result_back() -> Tested {
    let fleet = Stack::fleet().parameter("EcsPresignedMinutes", "1");
    tested("long task", fleet, async |relay| {
        let command = "case $RESULT_URL in *X-Amz-*) echo \"signed already\"; exit 1;; esac; begun=$(date -u +%Y%m%dT%H%M%SZ); \
                       sleep 3; echo '{\"n\": 1}' > result.json; \
                       location=$(curl -fsS -o /dev/null -w '%{redirect_url}' -T result.json \"$RESULT_URL\"); \
                       signed=${location##*X-Amz-Date=}; signed=${signed%%&*}; \
                       if ! [ \"$signed\" \\> \"$begun\" ]; then echo \"signed at $signed, before $begun\"; exit 2; fi; \
                       curl -fsS -L -T result.json \"$RESULT_URL\"";
        let run = relay.run("long", command, json!({"timeoutSeconds": 120})).await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}), "{run:?}");
        let short = "case $RESULT_URL in *X-Amz-Expires=*) exit 0;; esac; exit 1";
        let run = relay.run("short", short, json!({"timeoutSeconds": 60, "result": {"from": "s3"}, "onExit": {"1": "Not.Signed"}})).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ResultMissing"), "{run:?}");
        Ok(())
    })
    .await
}
