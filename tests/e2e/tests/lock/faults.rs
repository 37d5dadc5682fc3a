//! What AWS does on a bad day, and functions that die at a bad moment.

use std::time::Duration;

use e2e::lock::{BRIEFLY, Does, FOR_EVER, Locks, STEP_WITHIN};
use e2e::lock_history::{History, most_at_once};
use futures_util::future::try_join_all;
use local_cloud::{Fault, wait};
use serde_json::{Value, json};

use crate::{LOCK, Tested, ask, plain};

/// After this a grant of which nobody knows whether it arrived is looked into.
const SETTLED: Duration = Duration::from_secs(61);

/// Runs at once, until all are served; sweeps each second.
async fn all_are_served(name: &str, fault: Fault, runs: usize) -> Tested {
    let locks = Locks::deploy(name).await?;
    let fault = locks.account.fault(fault).await?;
    let works = Does {
        seconds: 0.1,
        ..BRIEFLY
    };
    let names: Vec<String> = (0..runs).map(|n| format!("run-{n}")).collect();
    let runs = try_join_all(names.iter().map(|name| locks.run(name, plain(), works))).await?;
    wait::until("every run to be served", Duration::from_mins(3), async || {
        let running = locks.account.wait_for_executions(&runs);
        let (ended, swept) = tokio::join!(tokio::time::timeout(Duration::from_secs(1), running), locks.sweep());
        match ended {
            Ok(ended) => ended.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err(format!("still running; the sweep: {swept:?}")),
        }
    })
    .await?;
    for run in &runs {
        locks.succeeds(run).await?;
    }
    assert!(fault.hits().await? > 0, "the fault struck");
    let histories = History::of_all(&locks.account, &runs).await?;
    let work: Vec<_> = histories.iter().flat_map(|history| history.visits("Work")).collect();
    assert_eq!((work.len(), most_at_once(&work)), (runs.len(), 1));
    Ok(())
}

#[tokio::test]
async fn a_throttled_table_keeps_nobody_from_being_served() -> Tested {
    all_are_served(
        "throttled table",
        Fault::throttle("DynamoDB.*").rate(0.3).from_functions(),
        20,
    )
    .await
}

#[tokio::test]
async fn writes_whose_answers_are_lost_do_no_harm() -> Tested {
    let fault = Fault::drop_after_effect("DynamoDB.*").rate(0.2).from_functions();
    all_are_served("lost answers", fault, 12).await
}

#[tokio::test]
async fn throttled_answers_to_tasks_are_sent_again() -> Tested {
    let fault = Fault::throttle("States.SendTaskSuccess").rate(0.5).from_functions();
    all_are_served("throttled answers", fault, 20).await
}

/// The run was told, and `lock-acquire` does not know.
#[tokio::test]
async fn an_answer_that_arrived_unnoticed_is_found_out_by_the_sweep_and_frees_nobody() -> Tested {
    let locks = Locks::deploy("arrived unnoticed").await?;
    locks
        .account
        .fault(Fault::apply_then_fail("States.SendTaskSuccess").times(1))
        .await?;
    locks.holder("holder", plain()).await?;
    let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
    let confirmed = async || {
        let entries = locks.entries_of(LOCK).await?;
        Ok::<_, local_cloud::Error>(entries[0]["confirmed"].as_bool().copied().ok())
    };
    locks.sweep().await?;
    assert_eq!(confirmed().await?, Some(false), "too young to be looked into");
    locks.age(LOCK, SETTLED).await?;
    locks.sweep().await?;
    assert_eq!(confirmed().await?, Some(true));
    locks.sweep().await?;
    assert_eq!(
        (locks.holders(LOCK).await?, locks.entries(&waiter, "Work").await?),
        (vec!["holder".to_owned()], 0)
    );
    Ok(())
}

/// `lock-acquire` died after the grant: the run waits, and does not know that it has the lock.
#[tokio::test]
async fn a_grant_that_never_arrived_is_delivered_by_the_sweep() -> Tested {
    let locks = Locks::deploy("never arrived").await?;
    locks
        .account
        .fault(Fault::drop_connection("States.SendTaskSuccess").times(1))
        .await?;
    let run = locks.waiter("run", plain(), FOR_EVER).await?;
    assert_eq!(locks.holders(LOCK).await?, ["run"]);
    locks.sweep().await?;
    assert_eq!(locks.entries(&run, "Work").await?, 0, "too young to be looked into");
    locks.age(LOCK, SETTLED).await?;
    locks.sweep().await?;
    locks.enters(&run, "Work").await?;
    Ok(())
}

/// The same where the one that died had released, and was handing over.
#[tokio::test]
async fn a_hand_over_that_never_arrived_is_delivered_by_the_sweep() -> Tested {
    let locks = Locks::deploy("hand-over never arrived").await?;
    let holder = locks.holder("holder", plain()).await?;
    let next = locks.waiter("next", plain(), FOR_EVER).await?;
    locks
        .account
        .fault(Fault::drop_connection("States.SendTaskSuccess").times(1))
        .await?;
    assert_eq!(locks.release_for(LOCK, &holder).await?["released"], true);
    assert_eq!(locks.holders(LOCK).await?, ["next"]);
    locks.age(LOCK, SETTLED).await?;
    locks.sweep().await?;
    locks.enters(&next, "Work").await?;
    Ok(())
}

/// The answer is refused for a reason that nobody knows: `lock-acquire` fails with the grant in the table.
#[tokio::test]
async fn the_retry_of_an_acquire_that_failed_after_the_grant_has_the_lock() -> Tested {
    let locks = Locks::deploy("retry after the grant").await?;
    let odd = Fault::error("States.SendTaskSuccess", "SomethingException", 400, "odd").times(1);
    locks.account.fault(odd).await?;
    let run = locks.run("run", plain(), BRIEFLY).await?;
    locks.succeeds(&run).await?;
    let history = locks.history(&run).await?;
    assert_eq!(history.failures().len(), 1, "{:?}", history.failures());
    assert_eq!(history.failures()[0].0, "Lock.Unavailable");
    assert_eq!(locks.holders(LOCK).await?, [""; 0]);
    Ok(())
}

fn patient(release_first: bool) -> Value {
    json!({"ask": plain(), "seconds": 0.5, "patience": 2, "releaseFirst": release_first})
}

/// The state that acquires times out, is caught, gives back what it may have been given, and asks again.
async fn asks_again_after_its_timeout(name: &str, release_first: bool) -> Tested {
    let locks = Locks::deploy(name).await?;
    let holder = locks.holder("holder", plain()).await?;
    let input = patient(release_first);
    let run = locks
        .account
        .start_execution(locks.machine("Patient")?, "patient", &input)
        .await?;
    wait::until("it to ask again", STEP_WITHIN, async || {
        let history = locks.history(&run).await.map_err(|error| error.to_string())?;
        let again = history.times("Acquire again", &aws_sdk_sfn::types::HistoryEventType::TaskSubmitted);
        match again.is_empty() {
            false => Ok(()),
            true => Err(format!("{:?}", history.states())),
        }
    })
    .await?;
    let behind = locks.waiter("behind", plain(), BRIEFLY).await?;
    // Nobody sweeps here: a place that is left over is passed.
    locks.stop(&holder).await?;
    locks.succeeds(&run).await?;
    locks.succeeds(&behind).await?;
    assert_eq!(locks.entries(&run, "Work").await?, 1);
    assert_eq!(
        (locks.holders(LOCK).await?, locks.waiters(LOCK).await?),
        (vec![], vec![])
    );
    Ok(())
}

#[tokio::test]
async fn a_run_whose_patience_ends_releases_and_asks_again() -> Tested {
    asks_again_after_its_timeout("patience, release", true).await
}

#[tokio::test]
async fn a_run_whose_patience_ends_may_ask_again_without_a_release() -> Tested {
    asks_again_after_its_timeout("patience, no release", false).await
}

/// It was granted the lock, never told, and its time ran out: the grant is its own, and is in nobody's way.
async fn a_grant_unheard(name: &str, release_first: bool) -> Tested {
    let locks = Locks::deploy(name).await?;
    locks
        .account
        .fault(Fault::drop_connection("States.SendTaskSuccess").times(1))
        .await?;
    let input = patient(release_first);
    let run = locks
        .account
        .start_execution(locks.machine("Patient")?, "patient", &input)
        .await?;
    locks.succeeds(&run).await?;
    let history = locks.history(&run).await?;
    assert_eq!(
        (history.visits("Acquire again").len(), history.visits("Work").len()),
        (1, 1)
    );
    assert_eq!(locks.holders(LOCK).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_grant_that_timed_out_unheard_is_released_and_acquired_again() -> Tested {
    a_grant_unheard("unheard, release", true).await
}

#[tokio::test]
async fn a_grant_that_timed_out_unheard_may_be_acquired_again_without_a_release() -> Tested {
    a_grant_unheard("unheard, no release", false).await
}

/// One call of a hand-over fails for good after the grant: the one that is next must not wait for a minute and a sweep.
#[tokio::test]
async fn a_place_that_cannot_be_deleted_does_not_hold_up_the_hand_over() -> Tested {
    let locks = Locks::deploy("place not deleted").await?;
    let holder = locks.holder("holder", plain()).await?;
    let next = locks.waiter("next", plain(), FOR_EVER).await?;
    let throttled = locks
        .account
        .fault(Fault::throttle("DynamoDB.DeleteItem").from_functions())
        .await?;
    // Whether the release itself fails is of no account.
    let _ = locks.release_for(LOCK, &holder).await;
    assert!(throttled.hits().await? > 0);
    throttled.clear().await?;
    let _ = locks.release_for(LOCK, &holder).await;
    // Nobody sweeps here.
    wait::until("the next one to have the lock", STEP_WITHIN, async || {
        locks.entries(&next, "Work").await.is_ok_and(|entries| entries == 1)
    })
    .await?;
    Ok(())
}

/// Of all that a sweep does, what fails must not keep it from the rest.
#[tokio::test]
async fn a_sweep_that_cannot_list_executions_frees_dead_holders_all_the_same() -> Tested {
    let locks = Locks::deploy("half a sweep").await?;
    // A run that lost its lock: whether it was redriven is asked of ListExecutions.
    let fails = Does {
        and_then: "fail",
        ..BRIEFLY
    };
    let lost = locks.run("lost", json!({"lock": "another"}), fails).await?;
    locks.ends(&lost).await?;
    locks.held_by("another", &[]).await?;
    locks.account.fault(Fault::drop_events()).await?;
    locks
        .account
        .fault(Fault::throttle("States.ListExecutions").from_functions())
        .await?;
    let holder = locks.holder("holder", plain()).await?;
    let next = locks.waiter("next", plain(), FOR_EVER).await?;
    locks.stop(&holder).await?;
    locks.age(LOCK, SETTLED).await?;
    // It waits until the end of the holder can be believed.
    let swept = locks.sweep().await;
    locks
        .enters(&next, "Work")
        .await
        .map_err(|error| format!("{error}; the sweep: {swept:?}"))?;
    Ok(())
}

/// By hand, or by a branch that has nothing to release: whoever takes a run out of the queue tells it so.
#[tokio::test]
async fn a_run_whose_place_is_given_back_by_somebody_else_does_not_wait_for_ever() -> Tested {
    let locks = Locks::deploy("place given back").await?;
    let holder = locks.holder("holder", plain()).await?;
    let waiter = locks.waiter("waiter", plain(), BRIEFLY).await?;
    locks.release_for(LOCK, &waiter).await?;
    locks.stop(&holder).await?;
    locks.held_by(LOCK, &[]).await?;
    locks.sweep().await?;
    locks.ends(&waiter).await?;
    Ok(())
}

/// DescribeExecution lags: the run seems not to have been redriven yet.
#[tokio::test]
async fn a_redriven_run_that_does_not_say_so_queues_again_when_its_redrive_becomes_visible() -> Tested {
    let locks = Locks::deploy("unsaid redrive").await?;
    let holder = locks.holder("holder", plain()).await?;
    let run = locks
        .waiter("run", ask(&json!({"redriveCount": null})), BRIEFLY)
        .await?;
    locks.stop(&run).await?;
    wait::until("its place to be given up", STEP_WITHIN, async || {
        locks.waiters(LOCK).await.is_ok_and(|waiters| waiters.is_empty())
    })
    .await?;
    locks
        .account
        .fault(Fault::stale("States.DescribeExecution", Duration::from_secs(3)).from_functions())
        .await?;
    locks.redrive(&run).await?;
    wait::until("it to wait again", STEP_WITHIN, async || {
        let history = locks.history(&run).await.map_err(|error| error.to_string())?;
        let waiters = locks.waiters(LOCK).await.map_err(|error| error.to_string())?;
        match waiters == ["run"] {
            true => Ok(()),
            false => Err(format!("{:?}", history.failures())),
        }
    })
    .await?;
    locks.stop(&holder).await?;
    locks.succeeds(&run).await?;
    Ok(())
}
