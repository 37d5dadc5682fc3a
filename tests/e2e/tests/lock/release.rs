//! How a lock is given back: by the pipeline, or by the end of the run in whatever way, on the way of its status event.

use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use e2e::lock::{BRIEFLY, Does, FOR_EVER, Locks};
use e2e::lock_history::{History, most_at_once};
use futures_util::future::try_join_all;
use local_cloud::Fault;
use serde_json::json;

use crate::{LOCK, Tested, plain};

#[tokio::test]
async fn a_pipeline_gives_the_lock_back_and_the_next_one_has_it() -> Tested {
    let locks = Locks::deploy("by the pipeline").await?;
    locks.account.fault(Fault::drop_events()).await?;
    let first = locks
        .run(
            "first",
            plain(),
            Does {
                seconds: 6.0,
                ..BRIEFLY
            },
        )
        .await?;
    locks.enters(&first, "Work").await?;
    let second = locks.waiter("second", plain(), BRIEFLY).await?;
    for run in [&first, &second] {
        let ended = locks.succeeds(run).await?;
        assert_eq!(
            ended.output.expect("an output")["released"],
            json!({"lock": LOCK, "released": true})
        );
    }
    assert_eq!(locks.holders(LOCK).await?, [""; 0]);
    Ok(())
}

/// Each run ends in another way, and the one that waits behind it has the lock by its status event.
#[tokio::test]
async fn the_end_of_a_run_in_any_way_gives_the_lock_back() -> Tested {
    let locks = Locks::deploy("by the end").await?;
    // Longer than it takes on a busy machine until somebody waits behind it.
    let for_a_while = |and_then| Does {
        seconds: 6.0,
        and_then,
        ..BRIEFLY
    };
    for (machine, does, status) in [
        ("Locked", for_a_while("end"), ExecutionStatus::Succeeded),
        ("Locked", for_a_while("fail"), ExecutionStatus::Failed),
        ("Timed", FOR_EVER, ExecutionStatus::TimedOut),
        ("Locked", FOR_EVER, ExecutionStatus::Aborted),
    ] {
        let run = locks.start(machine, &format!("ends-{status}"), plain(), does).await?;
        locks.enters(&run, "Work").await?;
        let next = locks.waiter(&format!("after-{status}"), plain(), FOR_EVER).await?;
        let ended = match status {
            ExecutionStatus::Aborted => locks.stop(&run).await?,
            _ => locks.ends(&run).await?,
        };
        assert_eq!(ended.status, status);
        locks.enters(&next, "Work").await?;
        assert_eq!(locks.holders(LOCK).await?, [format!("after-{status}")]);
        locks.stop(&next).await?;
        locks.held_by(LOCK, &[]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_ends_while_it_waits_is_passed_over() -> Tested {
    let locks = Locks::deploy("dead waiters").await?;
    let holder = locks.holder("holder", plain()).await?;
    let heard = locks.waiter("heard", plain(), BRIEFLY).await?;
    let unheard = locks.waiter("unheard", plain(), BRIEFLY).await?;
    let next = locks.waiter("next", plain(), BRIEFLY).await?;
    locks.stop(&heard).await?;
    local_cloud::wait::until("its place to be given up", e2e::lock::STEP_WITHIN, async || {
        locks
            .waiters(LOCK)
            .await
            .is_ok_and(|waiters| waiters == ["unheard", "next"])
    })
    .await?;
    // The other one's event is lost: its token tells.
    locks.account.fault(Fault::drop_events()).await?;
    locks.stop(&unheard).await?;
    assert_eq!(locks.release_for(LOCK, &holder).await?["released"], true);
    locks.succeeds(&next).await?;
    assert_eq!(locks.waiters(LOCK).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_release_by_somebody_who_does_not_hold_changes_nothing() -> Tested {
    let locks = Locks::deploy("not the holder").await?;
    let holder = locks.holder("holder", plain()).await?;
    let waiter = locks.waiter("waiter", plain(), FOR_EVER).await?;
    let stranger = locks.run("stranger", json!({"lock": "another"}), FOR_EVER).await?;
    locks.enters(&stranger, "Work").await?;
    let nothing = json!({"lock": LOCK, "released": false});
    assert_eq!(locks.release_for(LOCK, &stranger).await?, nothing);
    let never = format!("{stranger}-of-nobody");
    assert_eq!(locks.release_for(LOCK, &never).await?, nothing);
    assert_eq!(locks.release_for("never-used", &holder).await?["released"], false);
    let other_hold = json!({"lock": LOCK, "executionArn": holder, "hold": "other"});
    let answer = locks.account.invoke(&locks.release, &other_hold).await?;
    assert_eq!(answer, json!({"lock": LOCK, "hold": "other", "released": false}));
    assert_eq!(
        (locks.holders(LOCK).await?, locks.waiters(LOCK).await?),
        (vec!["holder".to_owned()], vec!["waiter".to_owned()])
    );
    // Twice.
    assert_eq!(locks.release_for(LOCK, &holder).await?["released"], true);
    assert_eq!(locks.release_for(LOCK, &holder).await?, nothing);
    locks.enters(&waiter, "Work").await?;
    assert_eq!(locks.holders(LOCK).await?, ["waiter"]);
    Ok(())
}

/// Runs that end without a release of their own, one after the other, while their events come as they please.
async fn are_served_whatever_the_events_do(name: &str, fault: Fault) -> Tested {
    let locks = Locks::deploy(name).await?;
    let fault = locks.account.fault(fault).await?;
    let ends = Does {
        seconds: 0.2,
        and_then: "end",
        ..BRIEFLY
    };
    let names: Vec<String> = (0..8).map(|n| format!("run-{n}")).collect();
    let runs = try_join_all(names.iter().map(|name| locks.run(name, plain(), ends))).await?;
    for run in &runs {
        locks.succeeds(run).await?;
    }
    let histories = History::of_all(&locks.account, &runs).await?;
    let work: Vec<_> = histories.iter().flat_map(|history| history.visits("Work")).collect();
    assert_eq!((work.len(), most_at_once(&work)), (8, 1));
    locks.held_by(LOCK, &[]).await?;
    assert!(fault.hits().await? > 0, "{name}: the fault struck");
    Ok(())
}

#[tokio::test]
async fn events_that_come_twice_change_nothing() -> Tested {
    are_served_whatever_the_events_do("double events", Fault::double_events()).await
}

#[tokio::test]
async fn events_that_come_late_change_nothing() -> Tested {
    are_served_whatever_the_events_do("late events", Fault::delay_events(Duration::from_secs(1))).await
}

#[tokio::test]
async fn events_that_come_in_another_order_change_nothing() -> Tested {
    are_served_whatever_the_events_do("reordered events", Fault::reorder_events(Duration::from_secs(2))).await
}
