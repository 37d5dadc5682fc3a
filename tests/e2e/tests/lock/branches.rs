//! Branches of one run that want the same lock.

use aws_sdk_sfn::types::HistoryEventType;
use e2e::lock::{FOR_EVER, Locks};
use e2e::lock_history::{History, most_at_once};
use serde_json::{Value, json};

use crate::{LOCK, Tested, plain};

/// Runs a Map of six iterations, or a Parallel of three branches, of which each works for `seconds`.
async fn start(
    locks: &Locks,
    machine: &str,
    map: bool,
    own_holds: bool,
    seconds: f64,
) -> Result<String, local_cloud::Error> {
    let mut input = json!({"ask": plain(), "seconds": seconds, "ownHolds": own_holds});
    if map {
        input["items"] = json!([0, 1, 2, 3, 4, 5]);
    }
    let name = format!("{}-{own_holds}", if map { "map" } else { "parallel" });
    locks
        .account
        .start_execution(locks.machine(machine)?, &name, &input)
        .await
}

/// The answers of the branches that were refused, of a run that has ended.
fn refused(output: &Value) -> Vec<&str> {
    let branches = output.as_array().map(Vec::as_slice).unwrap_or_default();
    branches
        .iter()
        .filter_map(|branch| branch["refused"].as_str())
        .collect()
}

async fn own_holds_share_the_slots(map: bool, branches: usize) -> Tested {
    let locks = Locks::deploy(&format!("own holds, map: {map}")).await?;
    locks
        .operate(json!({"action": "setSlots", "lock": LOCK, "slots": 2}))
        .await?;
    let run = start(&locks, "Branches", map, true, 1.0).await?;
    locks.succeeds(&run).await?;
    let work = locks.history(&run).await?.visits("Work");
    assert_eq!(work.len(), branches);
    assert_eq!(most_at_once(&work), 2, "{work:?}");
    let mut holds: Vec<&str> = work
        .iter()
        .filter_map(|visit| visit.input["grant"]["hold"].as_str())
        .collect();
    holds.sort_unstable();
    holds.dedup();
    assert_eq!(holds.len(), branches, "{work:?}");
    assert_eq!(locks.holders(LOCK).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn iterations_with_a_hold_each_share_the_slots() -> Tested {
    own_holds_share_the_slots(true, 6).await
}

#[tokio::test]
async fn branches_with_a_hold_each_share_the_slots() -> Tested {
    own_holds_share_the_slots(false, 3).await
}

/// The one that has the hold works for two seconds: the others are refused while it does.
async fn one_has_the_hold(machine: &str, map: bool, branches: usize) -> Tested {
    let locks = Locks::deploy(&format!("{machine}, one hold, map: {map}")).await?;
    let run = start(&locks, machine, map, false, 2.0).await?;
    let ended = locks.succeeds(&run).await?;
    let output = ended.output.as_ref().expect("an output");
    assert_eq!(refused(output), vec!["Lock.HoldInUse"; branches - 1], "{output}");
    let history = locks.history(&run).await?;
    let work = history.visits("Work");
    assert_eq!(work.len(), 1, "{work:?}");
    let at_once = history
        .visits("Refused")
        .iter()
        .all(|refused| Some(refused.entered) < work[0].left);
    assert!(at_once || machine == "StubbornBranches", "{output}");
    let told = history.failures();
    assert!(
        !told.is_empty()
            && told
                .iter()
                .all(|(_, cause)| cause.contains("Give each its own hold, in a Map for example $$.Map.Item.Index")),
        "{told:?}"
    );
    assert_eq!(locks.holders(LOCK).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn of_iterations_with_the_same_hold_one_has_it_and_the_others_fail_at_once() -> Tested {
    one_has_the_hold("Branches", true, 6).await
}

#[tokio::test]
async fn of_branches_with_the_same_hold_one_has_it_and_the_others_fail_at_once() -> Tested {
    one_has_the_hold("Branches", false, 3).await
}

/// Retries are told apart from retries of the one that has the hold, also after it has released.
#[tokio::test]
async fn retrying_everything_does_not_bring_a_second_iteration_in() -> Tested {
    one_has_the_hold("StubbornBranches", true, 6).await
}

#[tokio::test]
async fn retrying_everything_does_not_bring_a_second_branch_in() -> Tested {
    one_has_the_hold("StubbornBranches", false, 3).await
}

#[tokio::test]
async fn while_one_branch_waits_its_siblings_fail_and_it_is_served() -> Tested {
    let locks = Locks::deploy("siblings of a waiter").await?;
    let holder = locks.holder("holder", plain()).await?;
    let run = start(&locks, "StubbornBranches", false, false, 0.0).await?;
    locks.enters(&run, "Refused").await?;
    local_cloud::wait::until("both siblings to be refused", e2e::lock::STEP_WITHIN, async || {
        locks.entries(&run, "Refused").await.is_ok_and(|entries| entries == 2)
    })
    .await?;
    assert_eq!(locks.waiters(LOCK).await?.len(), 1);
    locks.stop(&holder).await?;
    let ended = locks.succeeds(&run).await?;
    assert_eq!(refused(ended.output.as_ref().expect("an output")).len(), 2, "{ended:?}");
    Ok(())
}

/// The holds of one run are told apart by their names in everything that is done for one of them.
#[tokio::test]
async fn an_operator_takes_one_hold_of_a_run_from_it_and_leaves_the_others() -> Tested {
    let locks = Locks::deploy("one of its holds").await?;
    locks
        .operate(json!({"action": "setSlots", "lock": LOCK, "slots": 2}))
        .await?;
    let run = start(&locks, "Branches", false, true, FOR_EVER.seconds).await?;
    locks.held_by(LOCK, &[&run, &run]).await?;
    // The third branch may come a moment after the others.
    local_cloud::wait::until("the third hold to wait", e2e::lock::STEP_WITHIN, async || {
        locks.waiters(LOCK).await.is_ok_and(|waiters| waiters.len() == 1)
    })
    .await?;
    let list = locks.list(LOCK).await?;
    let waiting = list["waiters"][0]["hold"].as_str().expect("a hold").to_owned();
    let taken = list["holders"][0]["hold"].as_str().expect("a hold").to_owned();
    let order = json!({"action": "forceRelease", "lock": LOCK, "executionArn": run, "hold": taken});
    assert_eq!(locks.operate(order).await?["done"], true);
    let mut holds: Vec<String> = Vec::new();
    for holder in locks.list(LOCK).await?["holders"].as_array().expect("holders") {
        holds.push(holder["hold"].as_str().unwrap_or_default().to_owned());
    }
    assert!(
        holds.contains(&waiting) && !holds.contains(&taken) && holds.len() == 2,
        "{holds:?}"
    );
    Ok(())
}

/// A hold that was given back can be taken again by a later state of the same run.
#[tokio::test]
async fn a_run_takes_the_lock_again_after_it_has_given_it_back() -> Tested {
    let locks = Locks::deploy("again").await?;
    let holder = locks.holder("holder", plain()).await?;
    let input = json!({"ask": plain(), "seconds": 0.0, "patience": 1, "releaseFirst": true});
    let run = locks
        .account
        .start_execution(locks.machine("Patient")?, "patient", &input)
        .await?;
    locks.enters(&run, "Acquire again").await?;
    locks.stop(&holder).await?;
    locks.succeeds(&run).await?;
    let history: History = locks.history(&run).await?;
    assert_eq!(history.times("Acquire", &HistoryEventType::TaskTimedOut).len(), 1);
    assert_eq!(history.visits("Work").len(), 1);
    Ok(())
}
