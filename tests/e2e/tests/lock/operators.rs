//! What operators do with `lock-admin`, and what it does to the pipelines.

use aws_sdk_sfn::types::ExecutionStatus;
use e2e::lock::{BRIEFLY, Does, FOR_EVER, Locks};
use serde_json::{Value, json};

use crate::{LOCK, Tested, plain};

fn order(action: &str, run: &str) -> Value {
    json!({"action": action, "lock": LOCK, "executionArn": run})
}

fn moved(run: &str, to: &str) -> Value {
    json!({"action": "move", "lock": LOCK, "executionArn": run, "to": to})
}

fn slots(slots: u32) -> Value {
    json!({"action": "setSlots", "lock": LOCK, "slots": slots})
}

#[tokio::test]
async fn a_run_that_is_removed_fails_and_is_told_by_whom_and_why() -> Tested {
    let locks = Locks::deploy("remove").await?;
    let holder = locks.holder("holder", plain()).await?;
    let removed = locks.waiter("removed", plain(), BRIEFLY).await?;
    let next = locks.waiter("next", plain(), BRIEFLY).await?;
    let mut remove = order("remove", &removed);
    remove["by"] = json!("ada");
    remove["reason"] = json!("yesterday's file is broken");
    assert_eq!(locks.operate(remove.clone()).await?, json!({"done": true}));
    let says = locks.fails(&removed, "Lock.Removed").await?;
    assert!(
        says.starts_with("ada took removed out of the queue of the lock warehouse"),
        "{says}"
    );
    assert!(says.ends_with("yesterday's file is broken"), "{says}");
    assert_eq!(locks.waiters(LOCK).await?, ["next"]);
    let nothing = json!({"done": false, "why": "notWaiting"});
    assert_eq!(locks.operate(remove).await?, nothing);
    assert_eq!(locks.operate(order("remove", &holder)).await?, nothing);
    locks.stop(&holder).await?;
    locks.succeeds(&next).await?;
    Ok(())
}

#[tokio::test]
async fn a_slot_that_is_taken_from_its_holder_goes_to_the_next_with_a_higher_fence() -> Tested {
    let locks = Locks::deploy("force release").await?;
    // Longer than it takes on a busy machine until somebody waits behind it, and it is taken from it.
    let works = Does {
        seconds: 8.0,
        ..BRIEFLY
    };
    let holder = locks.run("holder", plain(), works).await?;
    locks.enters(&holder, "Work").await?;
    let next = locks.waiter("next", plain(), FOR_EVER).await?;
    let before = locks.fence(LOCK).await?;
    let taken = locks.operate(order("forceRelease", &holder)).await?;
    assert_eq!(taken, json!({"done": true, "fence": before}));
    locks.enters(&next, "Work").await?;
    assert!(locks.fence(LOCK).await? > before);
    // It works on, and its own release is nobody's.
    let ended = locks.succeeds(&holder).await?;
    assert_eq!(
        ended.output.expect("an output")["released"],
        json!({"lock": LOCK, "released": false})
    );
    assert_eq!(locks.holders(LOCK).await?, ["next"]);
    let again = locks.operate(order("forceRelease", &holder)).await?;
    assert_eq!(again, json!({"done": false, "why": "notHolding"}));
    Ok(())
}

#[tokio::test]
async fn a_waiter_is_moved_to_the_front_and_to_the_back() -> Tested {
    let locks = Locks::deploy("move").await?;
    let holder = locks.holder("holder", plain()).await?;
    let mut runs = Vec::new();
    for name in ["one", "two", "three", "four"] {
        runs.push(locks.waiter(name, plain(), BRIEFLY).await?);
    }
    for (run, to, order) in [
        (2, "front", ["three", "one", "two", "four"]),
        (3, "front", ["four", "three", "one", "two"]),
        (2, "back", ["four", "one", "two", "three"]),
        (0, "back", ["four", "two", "three", "one"]),
    ] {
        assert_eq!(locks.operate(moved(&runs[run], to)).await?, json!({"done": true}));
        assert_eq!(locks.waiters(LOCK).await?, order);
    }
    let nothing = json!({"done": false, "why": "notWaiting"});
    assert_eq!(locks.operate(moved(&holder, "front")).await?, nothing);
    locks.stop(&holder).await?;
    let mut served = Vec::new();
    for run in &runs {
        let ended = locks.succeeds(run).await?;
        served.push((ended.output.expect("an output")["grant"]["fence"].as_i64(), ended.name));
    }
    served.sort();
    let served: Vec<&str> = served.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(served, ["four", "two", "three", "one"]);
    Ok(())
}

#[tokio::test]
async fn more_slots_let_those_who_wait_in_at_once() -> Tested {
    let locks = Locks::deploy("more slots").await?;
    locks.holder("holder", plain()).await?;
    let mut runs = Vec::new();
    for name in ["one", "two", "three"] {
        runs.push(locks.waiter(name, plain(), FOR_EVER).await?);
    }
    let done = locks.operate(slots(3)).await?;
    assert_eq!(done, json!({"done": true, "slots": 3, "paused": false}));
    for run in &runs[..2] {
        locks.enters(run, "Work").await?;
    }
    assert_eq!(locks.waiters(LOCK).await?, ["three"]);
    assert_eq!(locks.entries(&runs[2], "Work").await?, 0);
    Ok(())
}

#[tokio::test]
async fn fewer_slots_count_from_the_next_grant_on() -> Tested {
    let locks = Locks::deploy("fewer slots").await?;
    locks.operate(slots(3)).await?;
    let mut holders = Vec::new();
    for name in ["one", "two", "three"] {
        holders.push(locks.holder(name, plain()).await?);
    }
    let waiter = locks.waiter("waiter", plain(), FOR_EVER).await?;
    locks.operate(slots(1)).await?;
    for run in &holders[..2] {
        assert_eq!(locks.release_for(LOCK, run).await?["released"], true);
        locks.sweep().await?;
        assert_eq!(locks.waiters(LOCK).await?, ["waiter"]);
    }
    assert_eq!(locks.holders(LOCK).await?, ["three"]);
    assert_eq!(locks.release_for(LOCK, &holders[2]).await?["released"], true);
    locks.enters(&waiter, "Work").await?;
    assert_eq!(locks.holders(LOCK).await?, ["waiter"]);
    Ok(())
}

#[tokio::test]
async fn a_list_has_everything_about_a_lock() -> Tested {
    let locks = Locks::deploy("list").await?;
    // A hold of some length, that the estimates go by.
    let before = locks
        .run(
            "before",
            plain(),
            Does {
                seconds: 2.0,
                ..BRIEFLY
            },
        )
        .await?;
    locks.succeeds(&before).await?;
    locks.operate(slots(2)).await?;
    let mut order = slots(2);
    order["by"] = json!(" ada ");
    order["reason"] = json!("two loading docks");
    locks.operate(order).await?;
    let mut holders = Vec::new();
    for name in ["holder-1", "holder-2"] {
        holders.push(locks.holder(name, plain()).await?);
    }
    let patient = json!({"lock": LOCK, "maxWaitSeconds": 3600});
    let mut waiters = vec![locks.waiter("waiter-1", patient, BRIEFLY).await?];
    for n in 2..=5 {
        waiters.push(locks.waiter(&format!("waiter-{n}"), plain(), BRIEFLY).await?);
    }

    let list = locks.list(LOCK).await?;
    assert_eq!(
        (&list["lock"], &list["slots"], &list["paused"], &list["waiting"]),
        (&json!(LOCK), &json!(2), &json!(false), &json!(5))
    );
    let last = list["lastHoldSeconds"].as_f64().expect("the last hold");
    assert!((2.0..20.0).contains(&last), "{list}");
    let fences: Vec<i64> = (0..2).filter_map(|n| list["holders"][n]["fence"].as_i64()).collect();
    assert!(fences.len() == 2 && fences[0] < fences[1], "{list}");
    for (n, run) in holders.iter().enumerate() {
        let holder = &list["holders"][n];
        assert_eq!(holder["executionArn"], run.as_str(), "{list}");
        assert!(
            holder["consoleUrl"]
                .as_str()
                .is_some_and(|url| url.ends_with(run.as_str())),
            "{list}"
        );
        assert!(holder["heldSeconds"].as_f64().is_some_and(|held| held >= 0.0), "{list}");
        assert!(
            holder["since"].as_str().is_some_and(|since| since.starts_with("20")),
            "{list}"
        );
    }
    for (n, run) in waiters.iter().enumerate() {
        let waiter = &list["waiters"][n];
        assert_eq!(
            (&waiter["position"], &waiter["executionArn"]),
            (&json!(n + 1), &json!(run)),
            "{list}"
        );
        // Two at a time: the first two in one round, the next two in two.
        let rounds = [1.0, 1.0, 2.0, 2.0, 3.0][n];
        let estimate = waiter["estimatedWaitSeconds"].as_f64().expect("an estimate");
        assert!((estimate - rounds * last).abs() < 0.01, "{list}");
        assert_eq!(waiter["until"].is_string(), n == 0, "{list}");
    }
    let audit = &list["audit"][0];
    assert_eq!(
        (&audit["by"], &audit["reason"], &audit["action"], &audit["details"]),
        (
            &json!("ada"),
            &json!("two loading docks"),
            &json!("setSlots"),
            &json!("slots: 2")
        ),
        "{list}"
    );
    assert_eq!(list["audit"].as_array().map(Vec::len), Some(2));

    // Page by page.
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut request = json!({"action": "list", "lock": LOCK, "limit": 2});
        if let Some(after) = after.as_str() {
            request["after"] = json!(after);
        }
        let page = locks.operate(request).await?;
        let waiters = page["waiters"].as_array().expect("waiters");
        seen.extend(
            waiters
                .iter()
                .map(|waiter| (waiter["position"].as_u64(), waiter["executionArn"].clone())),
        );
        assert_eq!(page["waiting"], 5, "{page}");
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    let expected: Vec<_> = (1..).map(Some).zip(waiters.iter().map(|run| json!(run))).collect();
    assert_eq!(seen, expected);
    Ok(())
}

#[tokio::test]
async fn all_locks_in_use_are_listed_page_by_page() -> Tested {
    let locks = Locks::deploy("list all").await?;
    for lock in ["b", "a", "c"] {
        locks.holder(&format!("holder-{lock}"), json!({"lock": lock})).await?;
    }
    locks.waiter("waiter", json!({"lock": "b"}), BRIEFLY).await?;
    locks.operate(json!({"action": "pause", "lock": "c"})).await?;
    let all = locks.operate(json!({"action": "list"})).await?;
    let line = |lock: &str, contended: bool, paused: bool| json!({"lock": lock, "slots": 1, "held": 1, "contended": contended, "paused": paused});
    let (a, b, c) = (line("a", false, false), line("b", true, false), line("c", false, true));
    assert_eq!(all, json!({"locks": [a, b, c]}));
    let first = locks.operate(json!({"action": "list", "limit": 2})).await?;
    assert_eq!(first, json!({"locks": [a, b], "next": "b"}));
    let rest = locks
        .operate(json!({"action": "list", "limit": 2, "after": "b"}))
        .await?;
    assert_eq!(rest, json!({"locks": [c]}));
    Ok(())
}

#[tokio::test]
async fn nothing_is_changed_by_somebody_who_does_not_say_who_and_why() -> Tested {
    let locks = Locks::deploy("unsigned").await?;
    let holder = locks.holder("holder", plain()).await?;
    for (field, value) in [("by", json!(" ")), ("reason", json!(""))] {
        let mut order = order("forceRelease", &holder);
        order[field] = value;
        let error = locks.operate(order).await.expect_err("unsigned");
        assert_eq!(error.error_type, "Lock.BadRequest");
        assert!(
            error
                .error_message
                .starts_with(&format!("{field}: is missing; it is required")),
            "{error}"
        );
    }
    let list = locks.list(LOCK).await?;
    assert_eq!(
        (
            list["audit"].as_array().map(Vec::len),
            list["holders"].as_array().map(Vec::len)
        ),
        (Some(0), Some(1))
    );
    assert_eq!(locks.account.execution(&holder).await?.status, ExecutionStatus::Running);
    Ok(())
}
