//! Every permission that the template gives the lock's functions is needed: without any one of them something fails for
//! want of it.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use e2e::lock::{BRIEFLY, Does, FOR_EVER, Locks};
use e2e::policies::{Permission, Seen, each_is_needed};
use local_cloud::{Cloud, Fault, FunctionError, Stack};
use serde_json::{Value, json};

use crate::{LOCK, Tested, plain};

/// The fleet without a permission.
async fn deploy(permission: Permission) -> Result<Locks, local_cloud::Error> {
    let fleet = permission
        .taken_away(env!("CARGO_TARGET_TMPDIR"))
        .expect("written")
        .parameter("AllowStopExecution", "true");
    Locks::into(Cloud::shared().await?.account(&permission.test()), fleet).await
}

fn is_denied<T: std::fmt::Debug>(permission: Permission, answer: Result<T, FunctionError>) {
    let error = answer.expect_err("a permission is missing");
    assert_eq!(error.error_type, "Lock.AccessDenied", "{}: {error}", permission.test());
    assert!(
        error.error_message.contains(permission.action()),
        "{}: {error}",
        permission.test()
    );
}

/// A run that was granted the lock, and does not hear of it.
async fn is_not_told(locks: &Locks, waiter: &str) -> Seen {
    assert!(locks.holders(LOCK).await?.contains(&"waiter".to_owned()));
    pause(Duration::from_secs(2)).await;
    assert_eq!(locks.entries(waiter, "Work").await?, 0);
    Ok(())
}

/// A sweep that failed as a whole, or in part.
fn fell_short(permission: Permission, answer: Result<Value, FunctionError>) {
    match answer {
        Ok(swept) => assert!(swept["failed"].as_u64() > Some(0), "{}: {swept}", permission.test()),
        denied => is_denied(permission, denied),
    }
}

/// Asks for the lock as a run that never started, with a token of nobody's.
async fn acquire(locks: &Locks, more: Value) -> Result<Value, FunctionError> {
    let machine = locks.machine("Locked").unwrap_or_default();
    let mut request = json!({
        "lock": LOCK,
        "executionArn": machine.replace(":stateMachine:", ":execution:") + ":nobody",
        "taskToken": "AQC8nobodys",
        "enteredTime": "2026-01-31T04:00:12.345Z",
        "retryCount": 0,
    });
    if let (Some(request), Some(more)) = (request.as_object_mut(), more.as_object()) {
        request.extend(more.clone());
    }
    locks.account.invoke(&locks.acquire, &request).await
}

/// A status event, as it comes out of the queue.
fn event(run: &str, mut detail: Value) -> Value {
    detail["executionArn"] = json!(run);
    json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail})
}

fn far_future() -> i64 {
    4_000_000_000_000
}

#[tokio::test]
async fn of_lock_acquire() -> Tested {
    each_is_needed("LockAcquire", async |permission| {
        let locks = deploy(permission).await?;
        match permission.action() {
            "dynamodb:GetItem" | "dynamodb:PutItem" | "dynamodb:UpdateItem" | "states:SendTaskSuccess" => {
                is_denied(permission, acquire(&locks, json!({})).await);
                return Ok(());
            }
            "states:GetExecutionHistory" => return never_told(&locks).await,
            _ => {}
        }
        let holder = locks.holder("holder", plain()).await?;
        let denied = match permission.action() {
            "dynamodb:Query" => acquire(&locks, json!({"maxQueue": 1})).await,
            "states:DescribeExecution" => acquire(&locks, json!({"onBusy": "fail"})).await,
            "states:StopExecution" => acquire(&locks, json!({"onBusy": "cancelHolder"})).await,
            // Another branch of the run that holds: is it a retry?
            "states:SendTaskHeartbeat" => {
                let later = json!({"executionArn": holder, "enteredTime": "2999-01-01T00:00:00Z"});
                acquire(&locks, later).await
            }
            "states:SendTaskFailure" | "dynamodb:DeleteItem" => {
                locks.waiter("waiter", plain(), BRIEFLY).await?;
                acquire(&locks, json!({"onBusy": "replaceWaiting"})).await
            }
            _ => return Err("what is it for?".into()),
        };
        is_denied(permission, denied);
        Ok(())
    })
    .await
}

/// A run that was granted the lock, never told, and asks again: it cannot be seen that it was not told.
async fn never_told(locks: &Locks) -> Seen {
    locks
        .account
        .fault(Fault::drop_connection("States.SendTaskSuccess").times(1))
        .await?;
    let input = json!({"ask": plain(), "seconds": 0.0, "patience": 2, "releaseFirst": false});
    let run = locks
        .account
        .start_execution(locks.machine("Patient")?, "patient", &input)
        .await?;
    locks.fails(&run, "Lock.HoldInUse").await?;
    Ok(())
}

#[tokio::test]
async fn of_lock_release() -> Tested {
    each_is_needed("LockRelease", async |permission| {
        if permission.action().starts_with("sqs:") {
            return without_events(permission).await;
        }
        let locks = deploy(permission).await?;
        // What is seen is seen in direct calls alone.
        locks.account.fault(Fault::drop_events()).await?;
        if permission.line == "Action: dynamodb:Query" {
            fell_short(permission, locks.sweep().await);
            return Ok(());
        }
        let fails = permission.action() == "states:StopExecution";
        let does = Does {
            seconds: 1.0,
            failures: 1,
            more: FOR_EVER.seconds,
            ..BRIEFLY
        };
        let holder = locks
            .run("holder", plain(), if fails { does } else { FOR_EVER })
            .await?;
        locks.enters(&holder, "Work").await?;
        let ended = json!({"status": "FAILED", "redriveCount": 0, "stopDate": far_future()});
        let hear = async |detail| locks.account.invoke(&locks.release, &event(&holder, detail)).await;
        match permission.action() {
            "dynamodb:UpdateItem" => is_denied(permission, locks.release_for(LOCK, &holder).await),
            "dynamodb:DeleteItem" => {
                let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
                is_denied(permission, locks.release_for(LOCK, &waiter).await);
            }
            "states:SendTaskSuccess" => {
                let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
                locks.release_for(LOCK, &holder).await?;
                is_not_told(&locks, &waiter).await?;
            }
            "dynamodb:GetItem" | "dynamodb:PutItem" | "dynamodb:Query" => is_denied(permission, hear(ended).await),
            "states:SendTaskFailure" => {
                locks
                    .waiter("waiter", json!({"lock": LOCK, "maxWaitSeconds": 1}), BRIEFLY)
                    .await?;
                pause(Duration::from_millis(1_500)).await;
                fell_short(permission, locks.sweep().await);
            }
            "states:DescribeExecution" => fell_short(permission, locks.sweep().await),
            "states:GetExecutionHistory" => {
                locks.age(LOCK, Duration::from_secs(61)).await?;
                locks.sweep().await?;
                let entries = locks.entries_of(LOCK).await?;
                assert_eq!(
                    entries[0]["confirmed"],
                    AttributeValue::Bool(false),
                    "{}",
                    permission.test()
                );
            }
            "states:ListExecutions" => {
                hear(ended).await?;
                fell_short(permission, locks.sweep().await);
            }
            "states:StopExecution" => {
                locks.fails(&holder, "States.QueryEvaluationError").await?;
                hear(ended).await?;
                locks.holder("other", plain()).await?;
                locks.redrive(&holder).await?;
                is_denied(permission, hear(json!({"status": "RUNNING", "redriveCount": 1})).await);
                assert_eq!(locks.account.execution(&holder).await?.status, ExecutionStatus::Running);
            }
            _ => return Err("what is it for?".into()),
        }
        Ok(())
    })
    .await
}

/// Lambda does not read the queue of status events.
async fn without_events(permission: Permission) -> Seen {
    let locks = match deploy(permission).await {
        Ok(locks) => locks,
        Err(error) if error.to_string().contains(permission.action()) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let ends = Does {
        and_then: "end",
        ..BRIEFLY
    };
    let run = locks.run("run", plain(), ends).await?;
    locks.succeeds(&run).await?;
    pause(Duration::from_secs(4)).await;
    assert_eq!(locks.holders(LOCK).await?, ["run"], "{}", permission.test());
    Ok(())
}

async fn pause(time: Duration) {
    #[allow(
        clippy::disallowed_methods,
        reason = "a patience that ends, or something that is not to happen"
    )]
    tokio::time::sleep(time).await;
}

#[tokio::test]
async fn of_lock_admin() -> Tested {
    each_is_needed("LockAdmin", async |permission| {
        let locks = deploy(permission).await?;
        let two_slots = json!({"action": "setSlots", "lock": LOCK, "slots": 2});
        let denied = match permission.line {
            "- dynamodb:GetItem" | "- dynamodb:Query" => locks.list(LOCK).await,
            "Action: dynamodb:Query" => locks.operate(json!({"action": "list"})).await,
            "- dynamodb:PutItem" | "- dynamodb:UpdateItem" => locks.operate(two_slots).await,
            _ => {
                locks.holder("holder", plain()).await?;
                let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
                match permission.line {
                    "- states:SendTaskSuccess" => {
                        locks.operate(two_slots).await?;
                        return is_not_told(&locks, &waiter).await;
                    }
                    "- states:SendTaskFailure" | "- dynamodb:DeleteItem" => {
                        locks
                            .operate(json!({"action": "remove", "lock": LOCK, "executionArn": waiter}))
                            .await
                    }
                    _ => return Err("what is it for?".into()),
                }
            }
        };
        is_denied(permission, denied);
        Ok(())
    })
    .await
}

/// Nobody would see the end of such a run: it has no lock.
#[tokio::test]
async fn pipelines_outside_the_prefix_have_no_lock() -> Tested {
    let fleet = Stack::fleet().parameter("PipelineNamePrefix", "lean");
    let locks = Locks::of("lock prefix", fleet).await?;
    let inside = locks.start("Lean", "inside", plain(), FOR_EVER).await?;
    locks.enters(&inside, "Work").await?;
    let outside = locks.run("outside", json!({"lock": "another"}), BRIEFLY).await?;
    let says = locks.fails(&outside, "Lock.AccessDenied").await?;
    assert!(says.contains("PipelineNamePrefix"), "{says}");
    assert_eq!(locks.holders("another").await?, [""; 0]);
    // The end of the one inside is heard.
    locks.stop(&inside).await?;
    locks.held_by(LOCK, &[]).await?;
    Ok(())
}
