//! A redriven run goes on where it failed, in the midst of what the lock protects.

use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use e2e::lock::{BRIEFLY, Does, FOR_EVER, Locks, STEP_WITHIN, number};
use futures_util::future::try_join_all;
use local_cloud::{Execution, Fault, Stack, wait};
use serde_json::json;

use crate::{LOCK, Tested, ask, plain};

/// Fails while it holds; redriven it works for ever.
const FAILS_ONCE: Does = Does {
    seconds: 0.0,
    failures: 1,
    more: 100_000.0,
    and_then: "release",
};

/// Longer than any status event takes in these tests.
const A_WHILE: Duration = Duration::from_secs(3);

async fn pause(time: Duration) {
    #[allow(clippy::disallowed_methods, reason = "nothing is to happen")]
    tokio::time::sleep(time).await;
}

/// A run that has failed while it held, and has lost its lock; with the fence that it had.
async fn failed(locks: &Locks, name: &str) -> Result<(String, i64), Box<dyn std::error::Error>> {
    let run = locks.run(name, plain(), FAILS_ONCE).await?;
    locks.fails(&run, "States.QueryEvaluationError").await?;
    locks.held_by(LOCK, &[]).await?;
    let work = locks.history(&run).await?.visits("Work");
    let fence = work[0].input["grant"]["fence"].as_i64().expect("a fence");
    Ok((run, fence))
}

fn was_stopped(ended: &Execution, holder: &str) {
    let stopped = (ended.status.clone(), ended.error.as_deref());
    assert_eq!(
        stopped,
        (ExecutionStatus::Aborted, Some("Lock.LostOnRedrive")),
        "{ended:?}"
    );
    let says = ended.cause.as_deref().unwrap_or_default();
    assert!(says.contains(&format!("held the lock {LOCK} when it failed")), "{says}");
    assert!(says.contains(&format!("held by {holder} of locked since 20")), "{says}");
}

#[tokio::test]
async fn a_redriven_run_is_given_its_lock_again_with_a_new_fence() -> Tested {
    let locks = Locks::deploy("regains").await?;
    let (run, fence) = failed(&locks, "run").await?;
    locks.redrive(&run).await?;
    locks.held_by(LOCK, &[&run]).await?;
    assert!(locks.fence(LOCK).await? > fence);
    locks.enters(&run, "More").await?;
    let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
    locks.stop(&run).await?;
    locks.succeeds(&waiter).await?;
    Ok(())
}

#[tokio::test]
async fn a_redriven_run_is_stopped_if_somebody_else_has_its_lock() -> Tested {
    let locks = Locks::deploy("lost").await?;
    let (run, _) = failed(&locks, "run").await?;
    locks.holder("other", plain()).await?;
    locks.redrive(&run).await?;
    was_stopped(&locks.ends(&run).await?, "other");
    assert_eq!(locks.holders(LOCK).await?, ["other"]);
    Ok(())
}

/// The status event of the redrive is lost.
#[tokio::test]
async fn the_sweep_finds_redriven_runs_whose_event_got_lost() -> Tested {
    let locks = Locks::deploy("found by the sweep").await?;
    locks.account.fault(Fault::drop_events().matching("RUNNING")).await?;
    let (run, fence) = failed(&locks, "run").await?;
    locks.redrive(&run).await?;
    locks.enters(&run, "More").await?;
    pause(A_WHILE).await;
    assert_eq!(locks.holders(LOCK).await?, [""; 0]);
    assert_eq!(locks.sweep().await?["redriven"], 1);
    assert_eq!(locks.holders(LOCK).await?, ["run"]);
    assert!(locks.fence(LOCK).await? > fence);
    assert_eq!(locks.sweep().await?["redriven"], 0);
    locks.stop(&run).await?;
    locks.held_by(LOCK, &[]).await?;

    // And again, when somebody else has it.
    locks.holder("other", plain()).await?;
    locks.redrive(&run).await?;
    assert_eq!(locks.sweep().await?["redriven"], 1);
    was_stopped(&locks.ends(&run).await?, "other");
    Ok(())
}

#[tokio::test]
async fn a_redriven_run_without_its_lock_is_left_alone_if_the_stack_says_so() -> Tested {
    let fleet = Stack::fleet().parameter("StopRedrivenWithoutLock", "false");
    let locks = Locks::of("not stopped", fleet).await?;
    let (run, _) = failed(&locks, "run").await?;
    let other = locks.holder("other", plain()).await?;
    locks.redrive(&run).await?;
    locks.enters(&run, "More").await?;
    pause(A_WHILE).await;
    locks.sweep().await?;
    assert_eq!(locks.account.execution(&run).await?.status, ExecutionStatus::Running);
    assert_eq!(locks.holders(LOCK).await?, ["other"]);
    // It has the lock as soon as it can be had.
    assert_eq!(locks.release_for(LOCK, &other).await?["released"], true);
    locks.sweep().await?;
    assert_eq!(locks.holders(LOCK).await?, ["run"]);
    Ok(())
}

#[tokio::test]
async fn the_late_end_of_the_first_attempt_does_not_free_what_the_redriven_run_holds() -> Tested {
    let locks = Locks::deploy("late end").await?;
    let late = locks
        .account
        .fault(Fault::delay_events(A_WHILE).matching("FAILED"))
        .await?;
    let run = locks.run("run", plain(), FAILS_ONCE).await?;
    locks.fails(&run, "States.QueryEvaluationError").await?;
    locks.redrive(&run).await?;
    locks.enters(&run, "More").await?;
    let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
    pause(A_WHILE + Duration::from_secs(2)).await;
    assert!(late.hits().await? > 0);
    assert_eq!(
        (locks.holders(LOCK).await?, locks.entries(&waiter, "Work").await?),
        (vec!["run".to_owned()], 0)
    );
    let holder = locks.entries_of(LOCK).await?;
    assert_eq!(number(&holder[0], "redrive"), 1);
    locks.stop(&run).await?;
    locks.succeeds(&waiter).await?;
    Ok(())
}

/// Both events of the first end and of the redrive are lost: the run never stops holding.
#[tokio::test]
async fn a_run_that_is_redriven_before_anybody_noticed_its_failure_holds_on() -> Tested {
    let locks = Locks::deploy("unnoticed").await?;
    locks.account.fault(Fault::drop_events()).await?;
    let run = locks.run("run", plain(), FAILS_ONCE).await?;
    locks.fails(&run, "States.QueryEvaluationError").await?;
    locks.redrive(&run).await?;
    locks.enters(&run, "More").await?;
    let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
    // Old enough for every end to be believed.
    locks.age(LOCK, Duration::from_secs(61)).await?;
    locks.sweep().await?;
    locks.sweep().await?;
    assert_eq!(
        (locks.holders(LOCK).await?, locks.entries(&waiter, "Work").await?),
        (vec!["run".to_owned()], 0)
    );
    assert_eq!(number(&locks.entries_of(LOCK).await?[0], "redrive"), 1);
    Ok(())
}

#[tokio::test]
async fn assert_gives_the_lock_again_before_the_work_begins() -> Tested {
    let locks = Locks::deploy("assert").await?;
    locks.account.fault(Fault::drop_events().matching("RUNNING")).await?;
    let works = Does {
        seconds: 100_000.0,
        failures: 1,
        ..BRIEFLY
    };
    let run = locks.start("Asserting", "run", plain(), works).await?;
    locks.fails(&run, "States.QueryEvaluationError").await?;
    locks.held_by(LOCK, &[]).await?;
    locks.redrive(&run).await?;
    locks.enters(&run, "Work").await?;
    assert_eq!(locks.holders(LOCK).await?, ["run"]);
    let visits = locks.history(&run).await?.visits("Work");
    assert_eq!(
        visits[0].input["grant"]["fence"].as_i64(),
        Some(locks.fence(LOCK).await?)
    );
    Ok(())
}

#[tokio::test]
async fn assert_fails_before_the_work_begins_if_somebody_else_has_the_lock() -> Tested {
    let locks = Locks::deploy("assert lost").await?;
    locks.account.fault(Fault::drop_events().matching("RUNNING")).await?;
    let works = Does {
        failures: 1,
        ..FOR_EVER
    };
    let run = locks.start("Asserting", "run", plain(), works).await?;
    locks.fails(&run, "States.QueryEvaluationError").await?;
    locks.held_by(LOCK, &[]).await?;
    let other = locks.holder("other", plain()).await?;
    locks.redrive(&run).await?;
    let says = locks.fails(&run, "Lock.LostOnRedrive").await?;
    assert!(says.contains("held by other of locked since 20"), "{says}");
    assert_eq!(locks.entries(&run, "Work").await?, 0);
    // Redriven once more when the lock is free, it works with it.
    locks.stop(&other).await?;
    locks.held_by(LOCK, &[]).await?;
    locks.redrive(&run).await?;
    locks.enters(&run, "Work").await?;
    assert_eq!(locks.holders(LOCK).await?, ["run"]);
    Ok(())
}

#[tokio::test]
async fn assert_says_nothing_new_to_a_run_that_holds_and_refuses_one_that_never_did() -> Tested {
    let locks = Locks::deploy("assert at first").await?;
    let run = locks.start("Asserting", "run", plain(), BRIEFLY).await?;
    let ended = locks.succeeds(&run).await?;
    let history = locks.history(&run).await?;
    let fence = |state: &str| history.visits(state)[0].input["grant"]["fence"].as_i64();
    assert!(fence("Assert").is_some(), "{ended:?}");
    assert_eq!(fence("Assert"), fence("Work"), "{ended:?}");
    let never = ask(&json!({"assert": true}));
    let stranger = locks.run("stranger", never, BRIEFLY).await?;
    let says = locks.fails(&stranger, "Lock.NotHeld").await?;
    assert!(says.contains("does not hold the lock warehouse"), "{says}");
    Ok(())
}

/// It had no lock yet that it could have lost.
#[tokio::test]
async fn a_run_that_is_redriven_while_it_waited_queues_again() -> Tested {
    let locks = Locks::deploy("waits again").await?;
    let holder = locks.holder("holder", plain()).await?;
    let run = locks.waiter("run", plain(), FOR_EVER).await?;
    let other = locks.waiter("other", plain(), BRIEFLY).await?;
    locks.stop(&run).await?;
    wait::until("its place to be given up", STEP_WITHIN, async || {
        locks.waiters(LOCK).await.is_ok_and(|waiters| waiters == ["other"])
    })
    .await?;
    locks.redrive(&run).await?;
    wait::until("it to wait again", STEP_WITHIN, async || {
        locks
            .waiters(LOCK)
            .await
            .is_ok_and(|waiters| waiters == ["other", "run"])
    })
    .await?;
    locks.stop(&holder).await?;
    locks.succeeds(&other).await?;
    locks.enters(&run, "Work").await?;
    assert_eq!(locks.holders(LOCK).await?, ["run"]);
    Ok(())
}

/// What fails in the protected section ends in a Fail state, where a redrive fails again.
#[tokio::test]
async fn what_failed_by_the_safe_template_cannot_be_redriven_into_the_protected_work() -> Tested {
    let locks = Locks::deploy("safe").await?;
    let fails = Does { failures: 1, ..BRIEFLY };
    let run = locks.start("Safe", "run", plain(), fails).await?;
    locks.fails(&run, "Pipeline.Failed").await?;
    let other = locks.holder("other", plain()).await?;
    locks.redrive(&run).await?;
    locks.fails(&run, "Pipeline.Failed").await?;
    let history = locks.history(&run).await?;
    assert_eq!((history.visits("Work").len(), history.visits("More").len()), (1, 0));
    assert_eq!(history.states().last(), Some(&"Failed"));
    assert_eq!(locks.account.execution(&other).await?.status, ExecutionStatus::Running);
    assert_eq!(locks.holders(LOCK).await?, ["other"]);
    let fine = locks.start("Safe", "fine", json!({"lock": "another"}), BRIEFLY).await?;
    locks.succeeds(&fine).await?;
    Ok(())
}

/// No Catch catches a stop: such a run is in the midst of its work again, and is stopped as any other is.
#[tokio::test]
async fn what_was_stopped_in_the_safe_template_is_stopped_again_if_it_is_redriven_without_the_lock() -> Tested {
    let locks = Locks::deploy("safe, stopped").await?;
    let run = locks.start("Safe", "run", plain(), FOR_EVER).await?;
    locks.enters(&run, "Work").await?;
    locks.stop(&run).await?;
    locks.held_by(LOCK, &[]).await?;
    locks.holder("other", plain()).await?;
    locks.redrive(&run).await?;
    was_stopped(&locks.ends(&run).await?, "other");
    assert_eq!(locks.holders(LOCK).await?, ["other"]);
    Ok(())
}

/// Every run fails while it holds, and is redriven at once, again and again, while its events come late, and in any
/// order: in the end each has done its work, and nothing is left behind.
#[tokio::test]
async fn redrives_and_their_events_in_any_order_leave_nothing_behind() -> Tested {
    let locks = Locks::deploy("redrive storm").await?;
    locks
        .account
        .fault(Fault::reorder_events(Duration::from_secs(2)))
        .await?;
    let does = Does {
        seconds: 0.1,
        failures: 1,
        more: 0.5,
        and_then: "release",
    };
    let names: Vec<String> = (0..10).map(|n| format!("run-{n}")).collect();
    try_join_all(names.iter().map(async |name| {
        let run = locks.run(name, plain(), does).await?;
        for _ in 0..40 {
            let ended = locks.account.wait_for_execution_within(&run, STEP_WITHIN).await?;
            let lost = ended.error.as_deref() == Some("Lock.LostOnRedrive");
            match ended.status {
                ExecutionStatus::Succeeded => return Ok(()),
                ExecutionStatus::Failed => {}
                _ => assert!(lost, "{ended:?}"),
            }
            // One that has lost its lock tries again a little later.
            pause(Duration::from_millis(if lost { 1_000 } else { 0 })).await;
            locks.redrive(&run).await?;
        }
        Err::<(), Box<dyn std::error::Error>>(format!("{name} never got through").into())
    }))
    .await?;
    locks.held_by(LOCK, &[]).await?;
    pause(A_WHILE).await;
    let list = locks.list(LOCK).await?;
    assert_eq!((&list["holders"], &list["waiters"]), (&json!([]), &json!([])));
    let next = locks.run("next", ask(&json!({"onBusy": "fail"})), BRIEFLY).await?;
    locks.succeeds(&next).await?;
    Ok(())
}
