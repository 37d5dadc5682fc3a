//! What a store does, for the one in memory and for the adapter alike: what the first is tested with holds for the other.

use std::time::Duration;

use failure_alert::alert::{End, Status};
use failure_alert::events::Success;
use failure_alert::store::{Begun, Group, Incident, Joined, Store, Watch};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;

const START: i64 = 1_800_000_000_000;

fn after(seconds: u64) -> Timestamp {
    Timestamp::from_millis(START).after(Duration::from_secs(seconds))
}

fn run(machine: &str, name: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!(
        "arn:aws:states:us-east-1:123456789012:execution:{machine}:{name}"
    ))
    .expect("a good ARN")
}

fn machine(name: &str) -> StateMachineArn {
    run(name, "any").machine().clone()
}

fn end(machine: &str, name: &str, stopped: u64) -> End {
    End {
        execution: run(machine, name),
        status: Status::Failed,
        redrive: 0,
        started: Some(after(0)),
        stopped: after(stopped),
        error: Some("Card.Declined".to_owned()),
        cause: None,
    }
}

fn group(first: &End, opened: u64) -> Group {
    Group {
        machine: first.execution.machine().clone(),
        key: "k".to_owned(),
        state: Some("Charge".to_owned()),
        error: first.error.clone(),
        first: first.clone(),
        opened: after(opened),
        until: after(opened + 900),
        count: 0,
        last: None,
    }
}

/// All cases, each on a pipeline of its own.
pub(crate) async fn all(store: &impl Store) -> Result<(), CallError> {
    ends(store).await?;
    groups(store).await?;
    counting_is_repeatable(store).await?;
    incidents(store).await?;
    resumed(store).await?;
    recoveries(store).await?;
    marks(store).await
}

/// An end is claimed once; a claim of a minute ago is taken; what is announced stays so.
async fn ends(store: &impl Store) -> Result<(), CallError> {
    let one = end("ends", "one", 1);
    assert_eq!(store.is_known(&one).await, Ok(false));
    assert_eq!(store.begin(&one, after(10)).await, Ok(Begun::Mine));
    assert_eq!(store.is_known(&one).await, Ok(true));
    assert_eq!(store.begin(&one, after(69)).await, Ok(Begun::Busy));
    assert_eq!(store.pending(after(69)).await, Ok(vec![]));
    assert_eq!(store.pending(after(70)).await, Ok(vec![one.clone()]));
    assert_eq!(store.begin(&one, after(70)).await, Ok(Begun::Mine));
    store.sent(&one, after(71)).await?;
    assert_eq!(store.begin(&one, after(500)).await, Ok(Begun::Done));
    assert_eq!(store.pending(after(500)).await, Ok(vec![]));
    // Another redrive, another status: another end.
    for other in [
        End {
            redrive: 1,
            ..one.clone()
        },
        End {
            status: Status::Aborted,
            ..one.clone()
        },
    ] {
        assert_eq!(store.begin(&other, after(500)).await, Ok(Begun::Mine));
        store.sent(&other, after(500)).await?;
    }
    Ok(())
}

/// The first opens the window, others are counted in it; when it has closed it is told before the next one opens.
async fn groups(store: &impl Store) -> Result<(), CallError> {
    let [one, two, three, four] = ["one", "two", "three", "four"].map(|name| end("groups", name, 1));
    for each in [&one, &two, &three, &four] {
        store.begin(each, after(0)).await?;
    }
    assert_eq!(store.join(&group(&one, 0), after(0)).await, Ok(Joined::First));
    assert_eq!(store.join(&group(&one, 5), after(5)).await, Ok(Joined::First), "again");
    assert_eq!(store.join(&group(&two, 10), after(10)).await, Ok(Joined::Counted));
    assert_eq!(store.join(&group(&three, 899), after(899)).await, Ok(Joined::Counted));
    assert_eq!(
        store.begin(&three, after(899)).await,
        Ok(Begun::Done),
        "counted is settled"
    );
    assert_eq!(store.closed(after(899)).await, Ok(vec![]));
    let closed = store.closed(after(900)).await?;
    let [closed] = closed.as_slice() else {
        panic!("{closed:?}")
    };
    assert_eq!(
        (closed.count, &closed.first, &closed.last),
        (2, &one, &Some(three.clone()))
    );
    assert_eq!((closed.opened, closed.until), (after(0), after(900)));
    let joined = store.join(&group(&four, 900), after(900)).await?;
    assert_eq!(joined, Joined::Closed(Box::new(closed.clone())));
    // One that was read before another was counted is not what is there.
    let older = Group {
        count: 1,
        ..closed.clone()
    };
    store.close(&older).await?;
    assert_eq!(store.closed(after(900)).await?.len(), 1);
    store.close(closed).await?;
    assert_eq!(store.closed(after(900)).await, Ok(vec![]));
    assert_eq!(store.join(&group(&four, 901), after(901)).await, Ok(Joined::First));
    // A window that counted nothing gives way.
    let five = end("groups", "five", 1);
    store.begin(&five, after(3000)).await?;
    assert_eq!(store.join(&group(&five, 3000), after(3000)).await, Ok(Joined::First));
    for each in [&one, &four, &five] {
        store.sent(each, after(3000)).await?;
    }
    store.close(&group(&five, 3000)).await?;
    Ok(())
}

/// The same end is not counted twice.
async fn counting_is_repeatable(store: &impl Store) -> Result<(), CallError> {
    let [one, two] = ["one", "two"].map(|name| end("twice", name, 1));
    for each in [&one, &two] {
        store.begin(each, after(0)).await?;
    }
    store.join(&group(&one, 0), after(0)).await?;
    for _ in 0..3 {
        assert_eq!(store.join(&group(&two, 1), after(1)).await, Ok(Joined::Counted));
    }
    let closed = store.closed(after(900)).await?;
    assert_eq!(closed.iter().map(|group| group.count).collect::<Vec<_>>(), [1]);
    store.close(&closed[0]).await?;
    store.sent(&one, after(900)).await?;
    Ok(())
}

/// Only what is announced opens an incident; its times do not depend on the order of the events.
async fn incidents(store: &impl Store) -> Result<(), CallError> {
    let name = "incidents";
    store.fails(&machine(name), &end(name, "counted", 5), false).await?;
    assert_eq!(store.incident(&machine(name)).await, Ok(None));
    store.fails(&machine(name), &end(name, "announced", 10), true).await?;
    store.fails(&machine(name), &end(name, "later", 30), false).await?;
    store.fails(&machine(name), &end(name, "late", 20), false).await?;
    store.fails(&machine(name), &end(name, "latest", 40), true).await?;
    let expected = Incident {
        machine: machine(name),
        since: after(10),
        last: after(40),
        failures: 4,
    };
    assert_eq!(store.incident(&machine(name)).await, Ok(Some(expected.clone())));
    assert_eq!(store.incidents().await, Ok(vec![expected]));
    let success = Success {
        execution: run(name, "good"),
        redrive: 0,
        stopped: after(50),
    };
    store.recovers(&machine(name), &success, after(50)).await?;
    store.recovered(&machine(name), &success).await?;
    Ok(())
}

/// A success ends what failed before it, once, and nothing that failed since.
async fn recoveries(store: &impl Store) -> Result<(), CallError> {
    let name = "recoveries";
    let success = |stopped| Success {
        execution: run(name, "good"),
        redrive: 0,
        stopped: after(stopped),
    };
    assert_eq!(
        store.recovers(&machine(name), &success(1), after(1)).await,
        Ok(Begun::Done),
        "nothing failed"
    );
    store.fails(&machine(name), &end(name, "bad", 10), true).await?;
    assert_eq!(
        store.recovers(&machine(name), &success(10), after(20)).await,
        Ok(Begun::Done),
        "it ended before"
    );
    assert_eq!(
        store.recovers(&machine(name), &success(11), after(20)).await,
        Ok(Begun::Mine)
    );
    assert_eq!(
        store.recovers(&machine(name), &success(12), after(79)).await,
        Ok(Begun::Busy)
    );
    assert_eq!(
        store.recovers(&machine(name), &success(12), after(80)).await,
        Ok(Begun::Mine),
        "whoever claimed it died"
    );
    store.fails(&machine(name), &end(name, "worse", 15), false).await?;
    store.recovered(&machine(name), &success(12)).await?;
    assert!(store.incident(&machine(name)).await?.is_some(), "it failed since");
    assert_eq!(
        store.recovers(&machine(name), &success(16), after(200)).await,
        Ok(Begun::Mine)
    );
    store.recovered(&machine(name), &success(16)).await?;
    assert_eq!(store.incident(&machine(name)).await, Ok(None));
    assert_eq!(
        store.recovers(&machine(name), &success(16), after(300)).await,
        Ok(Begun::Done)
    );
    Ok(())
}

/// The last success in a clone, in whichever order they are told.
async fn resumed(store: &impl Store) -> Result<(), CallError> {
    let name = "resumed";
    let success = |stopped| Success {
        execution: run("resumed--r-0123456789ab", "good"),
        redrive: 0,
        stopped: after(stopped),
    };
    assert_eq!(store.last_resumed(&machine(name)).await, Ok(None));
    for (stopped, last) in [(20, 20), (10, 20), (20, 20), (30, 30)] {
        store.resumed(&machine(name), &success(stopped)).await?;
        assert_eq!(store.last_resumed(&machine(name)).await, Ok(Some(after(last))));
    }
    // A run of a clone is in the incident of its pipeline.
    let bad = end("resumed--r-0123456789ab", "bad", 40);
    store.fails(&machine(name), &bad, true).await?;
    let incident = store.incident(&machine(name)).await?;
    assert_eq!(incident.map(|incident| incident.machine), Some(machine(name)));
    assert_eq!(store.incident(bad.execution.machine()).await, Ok(None));
    assert_eq!(
        store.recovers(&machine(name), &success(50), after(50)).await,
        Ok(Begun::Mine)
    );
    store.recovered(&machine(name), &success(50)).await?;
    assert_eq!(store.incident(&machine(name)).await, Ok(None));
    Ok(())
}

/// What the sweep remembers.
async fn marks(store: &impl Store) -> Result<(), CallError> {
    let (one, two) = (machine("marks-1"), machine("marks-2"));
    assert_eq!(store.swept(&one).await, Ok(None));
    store.sweeps(&one, after(7)).await?;
    store.sweeps(&one, after(8)).await?;
    assert_eq!(
        (store.swept(&one).await, store.swept(&two).await),
        (Ok(Some(after(8))), Ok(None))
    );
    assert_eq!(store.watch().await, Ok(None));
    for (prefix, last) in [("", ""), ("marks-", two.as_str())] {
        let watch = Watch {
            prefix: prefix.to_owned(),
            since: after(9),
            last: last.to_owned(),
        };
        store.set_watch(&watch, after(10)).await?;
        assert_eq!(store.watch().await, Ok(Some(watch)));
    }
    Ok(())
}
