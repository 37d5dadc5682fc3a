//! What a run does that finds the lock taken: `onBusy`, `maxQueue`, `maxWaitSeconds`, `priority`, and a paused lock.

use std::time::Duration;

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEventType};
use e2e::lock::{BRIEFLY, FOR_EVER, Locks, STEP_WITHIN};
use local_cloud::{Fault, Stack, wait};
use serde_json::json;

use crate::{LOCK, Tested, ask, plain};

#[tokio::test]
async fn a_refusal_names_the_holder_since_when_it_holds_and_its_page_in_the_console() -> Tested {
    let locks = Locks::deploy("refusal").await?;
    let fails = ask(&json!({"onBusy": "fail"}));
    let holder = locks.holder("nightly-1", fails.clone()).await?;
    let refused = locks.run("nightly-2", fails.clone(), BRIEFLY).await?;
    let says = locks.fails(&refused, "Lock.Busy").await?;
    assert!(
        says.contains("the lock warehouse") && says.contains("nightly-1 of locked since 20"),
        "{says}"
    );
    assert!(says.ends_with(&format!("#/v2/executions/details/{holder}")), "{says}");
    assert_eq!(locks.entries(&refused, "Work").await?, 0);

    // Of several slots, it is who has held for the longest time.
    locks
        .operate(json!({"action": "setSlots", "lock": LOCK, "slots": 2}))
        .await?;
    locks.holder("nightly-3", fails.clone()).await?;
    let refused = locks.run("nightly-4", fails, BRIEFLY).await?;
    let says = locks.fails(&refused, "Lock.Busy").await?;
    assert!(
        says.starts_with("all slots of the lock warehouse") && says.contains("nightly-1 of locked"),
        "{says}"
    );
    Ok(())
}

#[tokio::test]
async fn a_refused_run_leaves_nothing_behind_and_may_ask_again() -> Tested {
    let locks = Locks::deploy("refused").await?;
    let holder = locks.holder("holder", plain()).await?;
    for on_busy in ["fail", "skip"] {
        let run = locks.run(on_busy, ask(&json!({"onBusy": on_busy})), BRIEFLY).await?;
        locks.ends(&run).await?;
    }
    assert_eq!(locks.waiters(LOCK).await?, [""; 0]);
    assert_eq!(locks.release_for(LOCK, &holder).await?["released"], true);
    assert_eq!(locks.holders(LOCK).await?, [""; 0]);
    let next = locks.run("next", ask(&json!({"onBusy": "fail"})), BRIEFLY).await?;
    locks.succeeds(&next).await?;
    Ok(())
}

/// Its event is lost, and nobody sweeps: the next run finds out by itself, as soon as the end can be believed.
#[tokio::test]
async fn a_dead_holder_does_not_refuse_anybody() -> Tested {
    let locks = Locks::deploy("dead holder").await?;
    locks.account.fault(Fault::drop_events()).await?;
    let holder = locks.holder("holder", plain()).await?;
    locks.stop(&holder).await?;
    // A moment after its end it may have been redriven already, for all that anybody knows.
    let at_once = locks.run("at-once", ask(&json!({"onBusy": "fail"})), BRIEFLY).await?;
    locks.fails(&at_once, "Lock.Busy").await?;
    let mut tries = 0;
    wait::until("the lock of the dead holder", Duration::from_secs(30), async || {
        tries += 1;
        let run = locks
            .run(&format!("try-{tries}"), ask(&json!({"onBusy": "fail"})), BRIEFLY)
            .await;
        let run = run.map_err(|error| error.to_string())?;
        let ended = locks.ends(&run).await.map_err(|error| error.to_string())?;
        match ended.status {
            ExecutionStatus::Succeeded => Ok(()),
            _ => Err(format!("{ended:?}")),
        }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_dead_holder_makes_room_for_those_who_wait_and_not_for_the_one_that_would_not() -> Tested {
    let locks = Locks::deploy("dead holder, waiter").await?;
    let holder = locks.holder("holder", plain()).await?;
    let waiter = locks.waiter("waiter", plain(), FOR_EVER).await?;
    locks.account.fault(Fault::drop_events()).await?;
    locks.stop(&holder).await?;
    let mut tries = 0;
    wait::until("the waiter's turn", Duration::from_secs(30), async || {
        tries += 1;
        let run = locks
            .run(&format!("try-{tries}"), ask(&json!({"onBusy": "fail"})), BRIEFLY)
            .await;
        let run = run.map_err(|error| error.to_string())?;
        let says = locks
            .fails(&run, "Lock.Busy")
            .await
            .map_err(|error| error.to_string())?;
        match says.contains("waiter of locked") {
            true => Ok(()),
            false => Err(says),
        }
    })
    .await?;
    locks.enters(&waiter, "Work").await?;
    Ok(())
}

#[tokio::test]
async fn skip_goes_on_without_the_lock_and_says_so() -> Tested {
    let locks = Locks::deploy("skip").await?;
    locks.holder("holder", plain()).await?;
    let skips = locks.run("skips", ask(&json!({"onBusy": "skip"})), BRIEFLY).await?;
    let ended = locks.succeeds(&skips).await?;
    assert_eq!(
        ended.output.expect("an output")["grant"],
        json!({"lock": LOCK, "acquired": false})
    );
    assert_eq!(locks.history(&skips).await?.states(), ["Acquire", "Has it?", "Skipped"]);
    assert_eq!(locks.holders(LOCK).await?, ["holder"]);
    Ok(())
}

#[tokio::test]
async fn replace_waiting_fails_those_who_came_earlier_and_have_no_higher_priority() -> Tested {
    let locks = Locks::deploy("replace waiting").await?;
    let holder = locks.holder("holder", plain()).await?;
    let low = locks.waiter("low", ask(&json!({"priority": 1})), BRIEFLY).await?;
    let equal = locks.waiter("equal", plain(), BRIEFLY).await?;
    let high = locks.waiter("high", ask(&json!({"priority": 7})), BRIEFLY).await?;
    let newest = ask(&json!({"onBusy": "replaceWaiting"}));
    let newest = locks.waiter("newest", newest, BRIEFLY).await?;
    for run in [&low, &equal] {
        let says = locks.fails(run, "Lock.Superseded").await?;
        assert!(
            says.contains("newest took its place in the queue of the lock warehouse"),
            "{says}"
        );
    }
    assert_eq!(locks.waiters(LOCK).await?, ["high", "newest"]);
    locks.stop(&holder).await?;
    locks.succeeds(&high).await?;
    locks.succeeds(&newest).await?;
    Ok(())
}

#[tokio::test]
async fn replace_waiting_spares_the_runs_own_branches() -> Tested {
    let locks = Locks::deploy("replace waiting, own").await?;
    let holder = locks.holder("holder", plain()).await?;
    let before = locks.waiter("before", plain(), BRIEFLY).await?;
    let input = json!({"ask": ask(&json!({"onBusy": "replaceWaiting"})), "seconds": 0.0, "ownHolds": true});
    let run = locks
        .account
        .start_execution(locks.machine("Branches")?, "branches", &input)
        .await?;
    locks.fails(&before, "Lock.Superseded").await?;
    wait::until("three branches to wait", STEP_WITHIN, async || {
        let waiters = locks.waiters(LOCK).await.map_err(|error| error.to_string())?;
        match waiters == ["branches"; 3] {
            true => Ok(()),
            false => Err(format!("{waiters:?}")),
        }
    })
    .await?;
    locks.stop(&holder).await?;
    locks.succeeds(&run).await?;
    assert_eq!(locks.entries(&run, "Work").await?, 3);
    Ok(())
}

#[tokio::test]
async fn cancel_holder_is_off_unless_the_stack_allows_it() -> Tested {
    let locks = Locks::deploy("cancel off").await?;
    let holder = locks.holder("holder", plain()).await?;
    let run = locks
        .run("newer", ask(&json!({"onBusy": "cancelHolder"})), BRIEFLY)
        .await?;
    let says = locks.fails(&run, "Lock.BadRequest").await?;
    assert!(says.contains("AllowStopExecution=true"), "{says}");
    assert!(!locks.account.execution(&holder).await?.ended());
    Ok(())
}

#[tokio::test]
async fn cancel_holder_stops_the_holder_and_goes_before_all_who_wait() -> Tested {
    let locks = Locks::of("cancel", Stack::fleet().parameter("AllowStopExecution", "true")).await?;
    let holder = locks.holder("holder", plain()).await?;
    let patient = locks.waiter("patient", ask(&json!({"priority": 9})), BRIEFLY).await?;
    let newer = locks
        .run("newer", ask(&json!({"onBusy": "cancelHolder"})), FOR_EVER)
        .await?;
    let ended = locks.ends(&holder).await?;
    assert_eq!(
        (ended.status, ended.error.as_deref()),
        (ExecutionStatus::Aborted, Some("Lock.Cancelled"))
    );
    let says = ended.cause.unwrap_or_default();
    assert!(says.contains("newer of locked took the lock warehouse"), "{says}");
    locks.enters(&newer, "Work").await?;
    assert_eq!(locks.waiters(LOCK).await?, ["patient"]);
    // And is itself stopped by the next one: whose turn it is then.
    let newest = locks
        .run("newest", ask(&json!({"onBusy": "cancelHolder"})), BRIEFLY)
        .await?;
    assert_eq!(locks.ends(&newer).await?.error.as_deref(), Some("Lock.Cancelled"));
    let fences = [locks.succeeds(&newest).await?, locks.succeeds(&patient).await?];
    let fences = fences.map(|run| run.output.expect("an output")["grant"]["fence"].as_i64());
    assert!(fences[0].is_some() && fences[0] < fences[1], "{fences:?}");
    Ok(())
}

#[tokio::test]
async fn a_queue_is_full_when_as_many_wait_as_a_run_will_wait_behind() -> Tested {
    let locks = Locks::deploy("max queue").await?;
    let none = ask(&json!({"maxQueue": 0}));
    let holder = locks.holder("holder", none.clone()).await?;
    let refused = locks.run("refused", none, BRIEFLY).await?;
    locks.fails(&refused, "Lock.QueueFull").await?;
    let two = ask(&json!({"maxQueue": 2}));
    let first = locks.waiter("first", two.clone(), BRIEFLY).await?;
    let second = locks.waiter("second", two.clone(), BRIEFLY).await?;
    let third = locks.run("third", two, BRIEFLY).await?;
    let says = locks.fails(&third, "Lock.QueueFull").await?;
    assert!(
        says.contains("2 or more runs wait for the lock warehouse already"),
        "{says}"
    );
    let more = locks.waiter("more", ask(&json!({"maxQueue": 3})), BRIEFLY).await?;
    assert_eq!(locks.waiters(LOCK).await?, ["first", "second", "more"]);
    locks.stop(&holder).await?;
    for run in [first, second, more] {
        locks.succeeds(&run).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_run_waits_no_longer_than_it_says() -> Tested {
    let locks = Locks::deploy("max wait").await?;
    let holder = locks.holder("holder", plain()).await?;
    let short = locks
        .waiter("short", ask(&json!({"maxWaitSeconds": 2})), BRIEFLY)
        .await?;
    let long = locks
        .waiter("long", ask(&json!({"maxWaitSeconds": 3600})), BRIEFLY)
        .await?;
    let mut overdue = 0;
    wait::until("the short one's end", STEP_WITHIN, async || {
        let swept = locks.sweep().await.map_err(|error| error.to_string())?;
        overdue += swept["overdue"].as_u64().unwrap_or_default();
        match overdue {
            0 => Err(swept.to_string()),
            _ => Ok(()),
        }
    })
    .await?;
    assert_eq!(overdue, 1);
    let says = locks.fails(&short, "Lock.WaitTimeout").await?;
    assert!(says.contains("maxWaitSeconds"), "{says}");
    let history = locks.history(&short).await?;
    let waited = history.ended().unwrap_or_default() - history.times("Acquire", &HistoryEventType::TaskScheduled)[0];
    assert!(waited >= 2_000, "{waited} ms");
    locks.stop(&holder).await?;
    locks.succeeds(&long).await?;
    Ok(())
}

#[tokio::test]
async fn higher_priorities_come_first_and_equal_ones_in_the_order_of_their_arrival() -> Tested {
    let locks = Locks::deploy("priorities").await?;
    let holder = locks.holder("holder", plain()).await?;
    let mut runs = Vec::new();
    for (name, priority) in [("low", 0), ("middle-1", 5), ("high", 9), ("middle-2", 5), ("higher", 6)] {
        runs.push(locks.waiter(name, ask(&json!({"priority": priority})), BRIEFLY).await?);
    }
    let order = ["high", "higher", "middle-1", "middle-2", "low"];
    assert_eq!(locks.waiters(LOCK).await?, order);
    locks.stop(&holder).await?;
    let mut served = Vec::new();
    for run in &runs {
        let ended = locks.succeeds(run).await?;
        served.push((ended.output.expect("an output")["grant"]["fence"].as_i64(), ended.name));
    }
    served.sort();
    let served: Vec<String> = served.into_iter().map(|(_, name)| name).collect();
    assert_eq!(served, order);
    Ok(())
}

#[tokio::test]
async fn a_paused_lock_is_given_to_nobody_until_it_is_resumed() -> Tested {
    let locks = Locks::deploy("pause").await?;
    assert_eq!(
        locks.operate(json!({"action": "pause", "lock": LOCK})).await?["paused"],
        true
    );
    let fails = locks.run("fails", ask(&json!({"onBusy": "fail"})), BRIEFLY).await?;
    let says = locks.fails(&fails, "Lock.Paused").await?;
    assert!(says.contains("resume"), "{says}");
    let skips = locks.run("skips", ask(&json!({"onBusy": "skip"})), BRIEFLY).await?;
    locks.succeeds(&skips).await?;
    assert_eq!(locks.entries(&skips, "Skipped").await?, 1);
    let waits = locks.waiter("waits", plain(), FOR_EVER).await?;
    let behind = locks.waiter("behind", plain(), BRIEFLY).await?;
    locks.sweep().await?;
    assert_eq!(locks.waiters(LOCK).await?, ["waits", "behind"]);
    assert_eq!(
        locks.operate(json!({"action": "resume", "lock": LOCK})).await?["paused"],
        false
    );
    locks.enters(&waits, "Work").await?;
    // Who holds when it is paused goes on, and releases as ever.
    locks.operate(json!({"action": "pause", "lock": LOCK})).await?;
    assert_eq!(locks.release_for(LOCK, &waits).await?["released"], true);
    assert_eq!(locks.waiters(LOCK).await?, ["behind"]);
    assert_eq!(locks.entries(&behind, "Work").await?, 0);
    locks.operate(json!({"action": "resume", "lock": LOCK})).await?;
    locks.succeeds(&behind).await?;
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() -> Tested {
    let locks = Locks::deploy("bad requests").await?;
    for (n, (wrong, says)) in [
        (json!({"lock": ""}), "lock: is empty"),
        (json!({"lock": "overlap:x"}), "lock: begins with \"overlap:\""),
        (json!({"hold": "a#b"}), "hold: \"a#b\" has a #"),
        (json!({"onBusy": "queue"}), "onBusy: unknown variant"),
        (json!({"priority": 10}), "priority: is 10"),
        (json!({"onBusy": "skip", "maxQueue": 1}), "maxQueue: has no meaning"),
        (json!({"slots": 2}), "slots: unknown field"),
    ]
    .into_iter()
    .enumerate()
    {
        let run = locks.run(&format!("wrong-{n}"), ask(&wrong), BRIEFLY).await?;
        let said = locks.fails(&run, "Lock.BadRequest").await?;
        assert!(said.contains(says), "{wrong}: {said}");
    }
    assert_eq!(locks.operate(json!({"action": "list"})).await?["locks"], json!([]));
    Ok(())
}

/// Nobody could have the slot that it would make free.
#[tokio::test]
async fn cancel_holder_stops_nobody_while_the_lock_is_paused() -> Tested {
    let fleet = Stack::fleet().parameter("AllowStopExecution", "true");
    let locks = Locks::of("cancel, paused", fleet).await?;
    let holder = locks.holder("holder", plain()).await?;
    locks.operate(json!({"action": "pause", "lock": LOCK})).await?;
    let newer = ask(&json!({"onBusy": "cancelHolder"}));
    locks.waiter("newer", newer, BRIEFLY).await?;
    assert_eq!(locks.account.execution(&holder).await?.status, ExecutionStatus::Running);
    Ok(())
}

/// Everything that a name may have, in every place where it is used.
#[tokio::test]
async fn a_lock_may_have_any_printable_name() -> Tested {
    let locks = Locks::deploy("odd names").await?;
    let odd = format!("{:x<256}", "a#b:c/d \"e\\ ${f} {% g %}");
    let hold = format!("{:y<64}", "1/2: \"x\" ");
    let wants = json!({"lock": odd, "hold": hold, "maxWaitSeconds": 60});
    let holder = locks.holder("holder", wants.clone()).await?;
    let waiter = locks.waiter("waiter", wants, BRIEFLY).await?;
    assert_eq!(
        locks.operate(json!({"action": "list"})).await?["locks"][0]["lock"],
        odd.as_str()
    );
    assert_eq!(
        (locks.holders(&odd).await?, locks.waiters(&odd).await?),
        (vec!["holder".to_owned()], vec!["waiter".to_owned()])
    );
    assert_eq!(locks.sweep().await?["failed"], 0);
    locks.stop(&holder).await?;
    let ended = locks.succeeds(&waiter).await?;
    assert_eq!(ended.output.expect("an output")["released"]["released"], true);
    Ok(())
}
