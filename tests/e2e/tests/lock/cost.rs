//! What it costs, as AWS bills it.

use std::time::Duration;

use e2e::lock::{BRIEFLY, FOR_EVER, Locks, text};
use local_cloud::account::Calls;
use local_cloud::usage::TableUsage;
use local_cloud::{Fault, Usage};
use serde_json::json;

use crate::{LOCK, Tested, plain};

/// What a run of `Bare` costs, which takes the lock and gives it back.
async fn bare(locks: &Locks, name: &str) -> Result<Usage, local_cloud::Error> {
    locks.account.reset_usage().await?;
    let run = locks.start("Bare", name, plain(), BRIEFLY).await?;
    locks.succeeds(&run).await?;
    locks.account.usage().await
}

#[tokio::test]
async fn a_free_lock_costs_two_transitions_and_at_most_six_write_units_and_no_read() -> Tested {
    let locks = Locks::deploy("free lock").await?;
    // The end of the run is an event, which is looked at: that belongs to every run, with a lock or without.
    locks.account.fault(Fault::drop_events()).await?;
    for name in ["first-ever", "second", "third"] {
        let usage = bare(&locks, name).await?;
        let table = usage.all_tables();
        assert_eq!(usage.all_transitions(), 2, "{name}: {usage:?}");
        assert_eq!(usage.all_invocations(), 2, "{name}: {usage:?}");
        assert!(table.write_units <= 6.0, "{name}: {usage:?}");
        assert_eq!(
            (table.reads, table.read_units.to_bits()),
            (0, 0.0_f64.to_bits()),
            "{name}: {usage:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_waits_costs_nothing() -> Tested {
    let locks = Locks::deploy("waiting").await?;
    locks.holder("holder", plain()).await?;
    for name in ["first", "second"] {
        locks.waiter(name, plain(), BRIEFLY).await?;
    }
    locks.account.reset_usage().await?;
    locks.account.reset_calls().await?;
    #[allow(clippy::disallowed_methods, reason = "nothing is to happen for a minute")]
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(locks.account.usage().await?, Usage::default());
    let calls = locks.account.calls().await?;
    assert!(calls.values().all(|calls| calls.functions == 0), "{calls:?}");
    assert_eq!(locks.waiters(LOCK).await?, ["first", "second"]);
    Ok(())
}

/// What the functions did to the table and to Step Functions since the last reset.
async fn work_of_functions(locks: &Locks) -> Result<(TableUsage, Vec<(String, u64)>), local_cloud::Error> {
    let calls = locks.account.calls().await?;
    let made = |calls: &Calls| calls.functions;
    let calls = calls.iter().filter(|(_, calls)| made(calls) > 0);
    let calls = calls.map(|(api, calls)| (api.clone(), made(calls))).collect();
    Ok((locks.account.usage().await?.all_tables(), calls))
}

/// What an acquire at the tail of a queue of so many costs, and a hand-off at its head.
async fn behind(waiters: u32) -> Result<[(TableUsage, Vec<(String, u64)>); 2], Box<dyn std::error::Error>> {
    let locks = Locks::deploy(&format!("queue of {waiters}")).await?;
    locks.account.fault(Fault::drop_events()).await?;
    let holder = locks.holder("holder", plain()).await?;
    let first = locks.waiter("first", plain(), FOR_EVER).await?;
    // All the others are copies of the first waiter.
    let owner = locks.owner(LOCK, &first).await?;
    let place = owner["place"].as_s().map_err(|_| "a place")?;
    let wait = locks.item(&format!("LOCK#{LOCK}"), place).await?;
    assert!(!wait.is_empty(), "the first waiter's item");
    let arrived: u64 = place.strip_prefix("WAIT#14#").ok_or("the usual priority")?.parse()?;
    let place_of = |n: u32| format!("WAIT#14#{:012}", arrived + u64::from(n) - 1);
    let mut items = Vec::new();
    for n in 2..=waiters {
        let run = format!("{first}-{n}");
        let place = place_of(n);
        let ticket = format!("t{n:016x}");
        let (mut wait, mut owner) = (wait.clone(), owner.clone());
        wait.extend(
            [("sk", &place), ("execution", &run), ("ticket", &ticket)]
                .map(|(field, value)| (field.to_owned(), text(value))),
        );
        owner.extend(
            [("pk", &format!("RUN#{run}")), ("place", &place), ("ticket", &ticket)]
                .map(|(field, value)| (field.to_owned(), text(value))),
        );
        items.extend([wait, owner]);
    }
    let mut head = locks.head(LOCK).await?;
    head.insert(
        "arrivals".to_owned(),
        aws_sdk_dynamodb::types::AttributeValue::N((arrived + u64::from(waiters) - 1).to_string()),
    );
    items.push(head);
    locks.put(items).await?;
    assert_eq!(locks.list(LOCK).await?["waiting"], waiters);

    let reset = async || {
        locks.account.reset_usage().await?;
        locks.account.reset_calls().await
    };
    reset().await?;
    let last = locks.waiter("last", plain(), FOR_EVER).await?;
    let acquire = work_of_functions(&locks).await?;
    reset().await?;
    locks.release_for(LOCK, &holder).await?;
    let hand_off = work_of_functions(&locks).await?;
    locks.enters(&first, "Work").await?;
    let list = locks
        .operate(json!({"action": "list", "lock": LOCK, "limit": 1}))
        .await?;
    assert_eq!(list["waiting"], waiters, "{list}");
    assert_eq!(locks.owner(LOCK, &last).await?["place"], text(&place_of(waiters + 1)));
    Ok([acquire, hand_off])
}

#[tokio::test]
async fn a_queue_of_five_thousand_costs_the_same_as_one_of_five() -> Tested {
    let (short, long) = (behind(5).await?, behind(5_000).await?);
    assert_eq!(short, long);
    Ok(())
}
