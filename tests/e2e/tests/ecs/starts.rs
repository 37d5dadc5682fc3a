//! Tasks that cannot be started: their state hears of it in seconds, and why.

use std::time::Duration;

use e2e::ecs::{Relay, STEP_WITHIN, Tested, output, puts, tested};
use local_cloud::{Error, Fault, Stack, wait};
use serde_json::json;
use signalbox::clock::{Clock, SystemClock};

/// How long a state may take to hear that its task was not started, on a busy machine. Nobody sweeps here: without the event
/// it would never hear of it.
const SAID_WITHIN: Duration = Duration::from_secs(30);

async fn fails_with(relay: &Relay, name: &str, error: &str, says: &str) -> Tested {
    let begun = SystemClock.now();
    let run = relay.run(name, "exit 0", json!({})).await?;
    assert_eq!(run.error.as_deref(), Some(error), "{name}: {run:?}");
    let cause = run.cause.unwrap_or_default();
    assert!(cause.contains(says), "{name}: {cause}");
    let took = SystemClock.now().since(begun);
    assert!(took < SAID_WITHIN, "{name}: {took:?}");
    Ok(())
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled() -> Tested {
    tested("no image", Stack::fleet(), async |relay| {
        let run = relay.run("no-image", "exit 0", json!({"task": "nowhere"})).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.StartFailed.Image"), "{run:?}");
        assert!(run.cause.unwrap_or_default().contains("CannotPullContainerError"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_task_that_is_refused_or_does_not_start() -> Tested {
    tested("no start", Stack::fleet(), async |relay| {
        for (name, fault, error, says) in [
            (
                "no-memory",
                Fault::task_failures("RESOURCE:MEMORY"),
                "Ecs.StartFailed.Capacity",
                "RESOURCE:MEMORY",
            ),
            (
                "no-capacity",
                Fault::task_failures("Capacity is unavailable at this time. Please try again later or in a different availability zone"),
                "Ecs.StartFailed.Capacity",
                "Capacity is unavailable",
            ),
            (
                "no-network",
                Fault::task_start("Timeout waiting for network interface provisioning to complete.", false),
                "Ecs.StartFailed.Network",
                "network interface",
            ),
            (
                "no-secret",
                Fault::task_start(
                    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm",
                    true,
                ),
                "Ecs.StartFailed.Resources",
                "secret",
            ),
            (
                "refused",
                Fault::error("ECS.RunTask", "PlatformUnknownException", 400, "The specified platform version doesn't exist."),
                "Ecs.StartFailed.Other",
                "platform version",
            ),
        ] {
            let fault = relay.account.fault(fault.times(1)).await?;
            fails_with(relay, name, error, says).await?;
            assert_eq!(fault.hits().await?, 1, "{name}");
            fault.clear().await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_throttled_launch_is_not_the_pipelines_concern() -> Tested {
    tested("throttled launch", Stack::fleet(), async |relay| {
        for (name, fault) in [
            ("throttled", Fault::throttle("ECS.RunTask").times(6)),
            (
                "in-other-words",
                Fault::error("ECS.RunTask", "InvalidParameterException", 400, "Rate exceeded").times(6),
            ),
            (
                "server",
                Fault::error(
                    "ECS.RunTask",
                    "ServerException",
                    500,
                    "Service Unavailable. Please try again later.",
                )
                .times(2),
            ),
        ] {
            let fault = relay.account.fault(fault).await?;
            let run = relay.run(name, &puts("{}"), json!({})).await?;
            assert_eq!(output(&run)?["result"], json!({}), "{name}");
            assert!(fault.hits().await? > 1, "{name}");
            fault.clear().await?;
        }
        Ok(())
    })
    .await
}

/// Waits until the queue is used.
async fn until_handed_over(relay: &Relay) -> Result<(), Error> {
    wait::until("the queue to be used", STEP_WITHIN, async || {
        let calls = relay.account.calls().await.map_err(|error| error.to_string())?;
        match calls.get("SQS.SendMessage") {
            Some(calls) if calls.functions > 0 => Ok(()),
            calls => Err(format!("{calls:?}")),
        }
    })
    .await
}

/// Longer than an invocation tries: the queue goes on with it.
#[tokio::test]
async fn a_launch_that_waits_for_long_is_handed_over() -> Tested {
    tested("handed over", Stack::fleet(), async |relay| {
        let fault = relay.account.fault(Fault::throttle("ECS.RunTask")).await?;
        let run = relay.stage("patient", &puts("{}"), json!({})).await?;
        until_handed_over(relay).await?;
        fault.clear().await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(output(&run)?["result"], json!({}));
        Ok(())
    })
    .await
}

/// While ECS is too busy to look at it, nobody knows that it is not allowed: the queue finds out.
#[tokio::test]
async fn a_launch_that_is_denied_once_it_was_handed_over_is_told() -> Tested {
    tested("denied in the queue", Stack::fleet(), async |relay| {
        let fault = relay.account.fault(Fault::throttle("ECS.RunTask")).await?;
        let run = relay.stage("denied", &puts("{}"), json!({})).await?;
        until_handed_over(relay).await?;
        let says = "not authorized to perform: iam:PassRole";
        relay
            .account
            .fault(Fault::error("ECS.RunTask", "AccessDeniedException", 400, says))
            .await?;
        // Not before: in between it would be started.
        fault.clear().await?;
        let run = relay.account.wait_for_execution(&run).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.AccessDenied"), "{run:?}");
        let cause = run.cause.unwrap_or_default();
        assert!(cause.contains(says), "{cause}");
        assert!(cause.contains("EcsRoleNamePrefix"), "{cause}");
        assert!(relay.tasks().await?.is_empty(), "nothing was started");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_bad_request_names_its_field() -> Tested {
    tested("bad requests", Stack::fleet(), async |relay| {
        for (name, ask, says) in [
            ("unknown", json!({"tsk": 1}), "tsk: unknown field"),
            (
                "no-definition",
                json!({"task": "no-such-task"}),
                "task: is \"no-such-task\"",
            ),
            ("container", json!({"container": "main"}), "container: is \"main\""),
            (
                "large",
                json!({"env": {"A": "x".repeat(9000)}}),
                "env: and command make overrides of",
            ),
        ] {
            let run = relay.run(name, "exit 0", ask).await?;
            assert_eq!(run.error.as_deref(), Some("Ecs.BadRequest"), "{name}: {run:?}");
            let cause = run.cause_message().unwrap_or_default();
            assert!(cause.starts_with(says), "{name}: {cause}");
        }
        assert!(relay.tasks().await?.is_empty(), "nothing was started");
        Ok(())
    })
    .await
}
