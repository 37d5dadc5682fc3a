//! Runs that go on in a clone: they are their pipeline's.

use std::time::Duration;

use failure_alert::Outcome;
use failure_alert::alert::{End, Status};
use failure_alert::events::Success;
use failure_alert::store::Store;
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};

use crate::memory::{Fleet, end, pipeline, run};
use crate::{GIVEN_UP, moments};

fn resumed(name: &str) -> ExecutionArn {
    let arn = run(name).as_str().replace(":orders:", ":orders--r-0123456789ab:");
    ExecutionArn::parse(&arn).expect("a good ARN")
}

fn failure_of(execution: ExecutionArn, after: usize) -> End {
    End {
        execution,
        ..end("any", after)
    }
}

fn success_of(execution: ExecutionArn, stopped: Timestamp) -> Success {
    Success {
        execution,
        redrive: 0,
        stopped,
    }
}

/// A fleet in which `orders` has a clone.
fn fleet() -> Fleet {
    let fleet = Fleet::default();
    let made = fleet.clock.now();
    fleet.alerts.clones.cloned(resumed("any").machine(), made);
    fleet
}

#[tokio::test]
async fn a_run_of_a_clone_is_announced_under_its_pipelines_name_and_is_of_the_same_kind() {
    let fleet = fleet();
    fleet.alerts.failed(end("first", 1), None, false).await.unwrap();
    let again = fleet.alerts.failed(failure_of(resumed("again"), 2), None, false).await;
    assert_eq!(again.unwrap(), Outcome::Counted);
    fleet.passes(Duration::from_mins(20));
    fleet.sweep().await;
    let later = failure_of(resumed("later"), 3);
    assert_eq!(
        fleet.alerts.failed(later, None, false).await.unwrap(),
        Outcome::Announced
    );
    assert_eq!(
        fleet.subjects(),
        ["[FAILED] orders", "[FAILED] orders: 1 more", "[FAILED] orders, resumed"]
    );
    assert!(
        fleet.last_text().starts_with("orders, resumed, failed.\n"),
        "{}",
        fleet.last_text()
    );
}

#[tokio::test]
async fn a_machine_that_is_only_named_like_a_clone_is_announced_by_its_own_name() {
    let fleet = Fleet::default();
    fleet.alerts.failed(end("first", 1), None, false).await.unwrap();
    let other = failure_of(resumed("other"), 2);
    assert_eq!(
        fleet.alerts.failed(other, None, false).await.unwrap(),
        Outcome::Announced
    );
    assert_eq!(fleet.subjects()[1], "[FAILED] orders--r-0123456789ab");
}

#[tokio::test]
async fn the_success_of_a_run_in_a_clone_ends_the_trouble_and_is_the_last_one() {
    let fleet = fleet();
    let known = &fleet.alerts.source;
    known.ended(&run("bad"), Some(Status::Failed), end("bad", 1).stopped);
    fleet.alerts.failed(end("bad", 1), None, false).await.unwrap();
    fleet.passes(Duration::from_hours(2));
    let success = success_of(resumed("bad-r-1"), fleet.clock.now());
    assert_eq!(fleet.alerts.succeeded(&success).await.unwrap(), Outcome::Announced);
    assert!(
        fleet
            .last_text()
            .starts_with("orders works again: bad-r-1, resumed, succeeded at "),
        "{}",
        fleet.last_text()
    );
    assert_eq!(fleet.alerts.store.incident(&pipeline()).await, Ok(None));
    // The next failure is the first after it.
    fleet.passes(Duration::from_hours(2));
    fleet
        .alerts
        .failed(end("worse", 20_000_000), None, false)
        .await
        .unwrap();
    let text = fleet.last_text();
    assert!(
        text.contains("First failure; last success 2027-01-15 10:00 UTC."),
        "{text}"
    );
}

#[tokio::test]
async fn a_recovery_in_a_clone_whose_invocation_died_is_announced() {
    for dies in moments() {
        let fleet = fleet();
        fleet.alerts.failed(end("bad", 1), None, false).await.unwrap();
        fleet.passes(Duration::from_secs(5));
        let success = success_of(resumed("good"), fleet.clock.now());
        fleet.dies(dies);
        let died = fleet.alerts.succeeded(&success).await.is_err();
        fleet.lives();
        if died {
            fleet.passes(GIVEN_UP);
            fleet.alerts.succeeded(&success).await.unwrap();
        }
        let told = fleet.subjects();
        assert!((2..=3).contains(&told.len()), "{dies:?}: {told:?}");
        assert_eq!(fleet.alerts.store.incidents().await, Ok(vec![]), "{dies:?}");
    }
}

#[tokio::test]
async fn a_failure_in_a_clone_is_announced_whatever_dies_and_without_the_table() {
    for dies in moments() {
        let fleet = fleet();
        fleet.dies(dies);
        let failure = failure_of(resumed("bad"), 1);
        if fleet.alerts.failed(failure.clone(), None, false).await.is_err() {
            fleet.lives();
            fleet.passes(GIVEN_UP);
            assert_eq!(fleet.sweep().await.failed, 0, "{dies:?}");
            fleet.alerts.failed(failure, None, false).await.unwrap();
        }
        let told = fleet.subjects();
        assert!((1..=2).contains(&told.len()), "{dies:?}: {told:?}");
        assert!(
            told.iter().all(|subject| subject == "[FAILED] orders, resumed"),
            "{told:?}"
        );
    }
    // It cannot be found out what it is a run of: the second delivery says it all the same, by what is known.
    let fleet = fleet();
    let failure = failure_of(resumed("bad"), 1);
    fleet.fails_once(1);
    assert!(fleet.alerts.failed(failure.clone(), None, false).await.is_err());
    fleet.passes(GIVEN_UP);
    fleet.fails_once(1);
    let outcome = fleet.alerts.failed(failure, None, true).await;
    assert_eq!(outcome.unwrap(), Outcome::Announced);
    assert_eq!(fleet.subjects(), ["[FAILED] orders--r-0123456789ab"]);
    assert!(
        fleet.last_text().contains("Whether this was announced before"),
        "{}",
        fleet.last_text()
    );
}

/// Events of clones are lost like all others.
#[tokio::test]
async fn what_events_missed_in_clones_is_swept_from_when_they_were_made() {
    let fleet = Fleet::default();
    fleet.sweep().await;
    fleet.passes(Duration::from_mins(30));
    let known = &fleet.alerts.source;
    known.cloned(resumed("any").machine(), fleet.clock.now());
    fleet.passes(Duration::from_secs(1));
    known.ended(&resumed("bad"), Some(Status::Failed), fleet.clock.now());
    fleet.passes(Duration::from_mins(50));
    assert_eq!(fleet.sweep().await.missed, 1);
    assert_eq!(fleet.subjects(), ["[FAILED] orders, resumed"]);
    assert_eq!(fleet.sweep().await.missed, 0);
    // And the clone's success.
    known.ended(&resumed("good"), None, fleet.clock.now());
    fleet.sweep().await;
    assert_eq!(fleet.subjects()[1..], ["[RECOVERED] orders"]);
    assert_eq!(
        fleet.alerts.store.last_resumed(&pipeline()).await,
        Ok(Some(fleet.clock.now()))
    );
}

/// The failure of one is no failure, and the success of one no success, of its pipeline.
#[tokio::test]
async fn the_success_of_a_maps_child_ends_no_trouble() {
    let fleet = Fleet::default();
    fleet.alerts.failed(end("bad", 1), None, false).await.unwrap();
    fleet.passes(Duration::from_secs(5));
    let child = run("child").as_str().replace(":orders:", ":orders/each-order:");
    let child = ExecutionArn::parse_with_children(&child).expect("a good ARN");
    let success = success_of(child, fleet.clock.now());
    assert_eq!(fleet.alerts.succeeded(&success).await.unwrap(), Outcome::Ignored);
    assert_eq!(fleet.subjects().len(), 1);
}
