//! Invocations that die between any two calls, and calls that fail after they took effect: nothing is lost, and what is
//! said twice is said twice at most.

mod memory;
#[path = "crashes/resumed.rs"]
mod resumed;
mod store_cases;

use std::time::Duration;

use failure_alert::Outcome;
use failure_alert::alert::{End, Status};
use failure_alert::events::Success;
use failure_alert::store::Store;
use failure_alert::sweep::OVERLAP;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Clock;

use memory::{CALLS_MOST, Dies, Fleet, end, run};

/// After this a claim is taken for given up.
const GIVEN_UP: Duration = Duration::from_secs(61);

/// Every moment at which an invocation may die, and whether what it did last took effect.
fn moments() -> impl Iterator<Item = Dies> {
    (0..CALLS_MOST).flat_map(|call| [Dies::Before(call), Dies::After(call)])
}

#[tokio::test]
async fn an_alert_whose_invocation_died_is_made_by_the_next_sweep() {
    for dies in moments() {
        let fleet = Fleet::default();
        fleet.dies(dies);
        // As the queue would do: again a minute later.
        if fleet.alerts.failed(end("run-1", 1), None, false).await.is_err() {
            fleet.lives();
            fleet.passes(GIVEN_UP);
            let swept = fleet.sweep().await;
            assert_eq!(swept.failed, 0, "{dies:?}");
            fleet.alerts.failed(end("run-1", 1), None, false).await.unwrap();
        }
        fleet.lives();
        fleet.passes(GIVEN_UP);
        fleet.sweep().await;
        let told = fleet.subjects();
        assert!((1..=2).contains(&told.len()), "{dies:?}: {told:?}");
        let again = fleet.alerts.failed(end("run-1", 1), None, false).await.unwrap();
        assert_eq!(
            (again, fleet.subjects().len()),
            (Outcome::Known, told.len()),
            "{dies:?}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_counted_once_wherever_its_invocation_died() {
    for dies in moments() {
        let fleet = Fleet::default();
        fleet.alerts.failed(end("first", 1), None, false).await.unwrap();
        fleet.dies(dies);
        let died = fleet.alerts.failed(end("second", 2), None, false).await.is_err();
        fleet.lives();
        if died {
            fleet.passes(GIVEN_UP);
            fleet.sweep().await;
            fleet.alerts.failed(end("second", 2), None, false).await.unwrap();
        }
        assert_eq!(fleet.counted(), 1, "{dies:?}");
        assert_eq!(fleet.subjects().len(), 1, "{dies:?}");
        fleet.passes(Duration::from_mins(20));
        assert_eq!(fleet.sweep().await.closed, 1, "{dies:?}");
        assert_eq!(fleet.subjects().len(), 2, "{dies:?}");
    }
}

#[tokio::test]
async fn a_window_whose_closing_died_is_closed() {
    for dies in moments() {
        let fleet = Fleet::default();
        for (n, name) in ["first", "second"].into_iter().enumerate() {
            fleet.alerts.failed(end(name, n), None, false).await.unwrap();
        }
        fleet.passes(Duration::from_mins(20));
        fleet.dies(dies);
        fleet.sweep_that_dies().await;
        fleet.lives();
        fleet.sweep().await;
        let told = fleet.subjects();
        assert!((2..=3).contains(&told.len()), "{dies:?}: {told:?}");
        assert_eq!(
            fleet.alerts.store.closed(fleet.clock.now()).await.unwrap(),
            [],
            "{dies:?}"
        );
    }
}

#[tokio::test]
async fn a_recovery_whose_invocation_died_is_announced() {
    for dies in moments() {
        let fleet = Fleet::default();
        fleet.alerts.failed(end("bad", 1), None, false).await.unwrap();
        fleet.passes(Duration::from_secs(5));
        let success = Success {
            execution: run("good"),
            redrive: 0,
            stopped: fleet.clock.now(),
        };
        fleet.dies(dies);
        let died = fleet.alerts.succeeded(&success).await.is_err();
        fleet.lives();
        if died {
            fleet.passes(GIVEN_UP);
            fleet.alerts.succeeded(&success).await.unwrap();
        }
        let told = fleet.subjects();
        assert!((2..=3).contains(&told.len()), "{dies:?}: {told:?}");
        assert_eq!(fleet.alerts.store.incidents().await.unwrap(), [], "{dies:?}");
    }
}

#[tokio::test]
async fn a_success_from_before_the_failure_ends_nothing() {
    let fleet = Fleet::default();
    let early = Success {
        execution: run("early"),
        redrive: 0,
        stopped: fleet.clock.now(),
    };
    fleet.passes(Duration::from_secs(5));
    fleet.alerts.failed(end("bad", 5_000), None, false).await.unwrap();
    assert_eq!(fleet.alerts.succeeded(&early).await.unwrap(), Outcome::Ignored);
    assert_eq!(fleet.subjects().len(), 1);
}

/// Whoever stops runs by hand while a pipeline fails adds nothing to its failures.
#[tokio::test]
async fn what_somebody_stopped_is_no_failure_of_the_pipeline() {
    let fleet = Fleet::default();
    fleet.alerts.failed(end("bad", 1), None, false).await.unwrap();
    let mut outcomes = Vec::new();
    for (n, name) in ["one", "two", "three"].into_iter().enumerate() {
        let stopped = End {
            status: Status::Aborted,
            error: None,
            cause: None,
            ..end(name, n + 2)
        };
        outcomes.push(fleet.alerts.failed(stopped, None, false).await.unwrap());
    }
    assert_eq!(outcomes, [Outcome::Announced, Outcome::Counted, Outcome::Counted]);
    let incidents = fleet.alerts.store.incidents().await.unwrap();
    let failures: Vec<u32> = incidents.iter().map(|incident| incident.failures).collect();
    assert_eq!(failures, [1]);
}

/// It may be a refusal, which is not announced: a list does not tell, and its error does.
#[tokio::test]
async fn what_a_sweep_cannot_look_at_is_the_next_ones() {
    let fleet = Fleet::default();
    fleet.sweep().await;
    fleet.passes(Duration::from_mins(1));
    let source = &fleet.alerts.source;
    source.ended(&run("missed"), Some(Status::Failed), fleet.clock.now());
    source.is_busy.set(true);
    let swept = fleet.sweep().await;
    assert_eq!((swept.failed, swept.missed), (1, 0), "{swept:?}");
    assert_eq!(fleet.subjects().len(), 0);
    source.is_busy.set(false);
    assert_eq!(fleet.sweep().await.missed, 1);
    assert_eq!(fleet.subjects().len(), 1);
}

/// Where there are many pipelines, a new one's first turn in the sweep comes late, and its failures may have been without
/// events until then.
#[tokio::test]
async fn what_fails_before_a_new_pipelines_first_turn_is_no_old_news() {
    let fleet = Fleet::default();
    fleet.sweep().await;
    fleet.passes(Duration::from_mins(1));
    let new = ExecutionArn::parse(&run("bad").as_str().replace(":orders:", ":returns:")).expect("a good ARN");
    let source = &fleet.alerts.source;
    source.created(new.machine());
    source.ended(&new, Some(Status::Failed), fleet.clock.now());
    fleet.passes(Duration::from_mins(90));
    assert_eq!(fleet.sweep().await.missed, 1);
    assert_eq!(fleet.subjects(), ["[FAILED] returns"]);
    assert_eq!(fleet.sweep().await.missed, 0);
}

#[tokio::test]
async fn what_failed_before_it_was_watched_is_old_news() {
    let mut fleet = Fleet::default();
    let source = fleet.alerts.source.clone();
    source.ended(&run("before-the-fleet"), Some(Status::Failed), fleet.clock.now());
    fleet.passes(OVERLAP + Duration::from_secs(1));
    assert_eq!(fleet.sweep().await.missed, 0);
    // Another prefix: of whatever it does not watch yet, the past is old news too.
    let old = ExecutionArn::parse(&run("bad").as_str().replace(":orders:", ":returns:")).expect("a good ARN");
    fleet.alerts.settings.prefix = "ord".to_owned();
    fleet.sweep().await;
    source.created(old.machine());
    source.ended(&old, Some(Status::Failed), fleet.clock.now());
    fleet.passes(Duration::from_mins(90));
    assert_eq!(fleet.sweep().await.missed, 0);
    fleet.alerts.settings.prefix = String::new();
    assert_eq!(fleet.sweep().await.missed, 0);
    fleet.passes(Duration::from_secs(1));
    let new = ExecutionArn::parse(&old.as_str().replace(":bad", ":worse")).expect("a good ARN");
    source.ended(&new, Some(Status::Failed), fleet.clock.now());
    assert_eq!(fleet.sweep().await.missed, 1);
    assert_eq!(fleet.subjects(), ["[FAILED] returns"]);
}

/// Those before it have used up the calls of this sweep: it is the next one's first, with all of its calls.
#[tokio::test]
async fn a_pipeline_with_many_failures_is_not_cut_short_for_the_others() {
    let fleet = Fleet::default();
    let source = &fleet.alerts.source;
    for other in ["a", "b", "c"] {
        let run = ExecutionArn::parse(&run("any").as_str().replace(":orders:", &format!(":{other}:")));
        source.created(run.expect("a good ARN").machine());
    }
    fleet.sweep().await;
    fleet.passes(Duration::from_secs(1));
    for number in 0..10 {
        source.ended(&run(&format!("bad-{number}")), Some(Status::Failed), fleet.clock.now());
    }
    fleet.passes(Duration::from_mins(30));
    // Three calls are left for it, and it takes seven.
    source.page.set(Some(2));
    let swept = fleet.sweep().await;
    assert_eq!(
        (swept.pipelines, swept.left, swept.missed, swept.failed),
        (3, 1, 6, 0),
        "{swept:?}"
    );
    let swept = fleet.sweep().await;
    assert_eq!((swept.missed, swept.failed), (4, 0), "{swept:?}");
    assert_eq!(fleet.sweep().await.missed, 0);
    assert_eq!(fleet.counted(), 9);
}

#[tokio::test]
async fn another_invocation_that_is_at_it_is_waited_for() {
    let fleet = Fleet::default();
    fleet
        .alerts
        .store
        .begin(&end("run-1", 1), fleet.clock.now())
        .await
        .unwrap();
    assert!(fleet.alerts.failed(end("run-1", 1), None, true).await.is_err());
    assert_eq!(fleet.subjects().len(), 0);
}

#[tokio::test]
async fn the_store_in_memory_is_what_the_adapter_is() {
    store_cases::all(&Fleet::default().alerts.store).await.unwrap();
}
