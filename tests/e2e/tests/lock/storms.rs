//! Many runs at once; with more of them and as often as wanted: `cargo lock-storm`.

use e2e::lock_storm::{Storm, storm};

use crate::Tested;

/// Write units for each run, on a lock that nobody gets without waiting.
const WRITES_MOST: f64 = 25.0;

async fn all_are_served(name: &str, kind: Storm) -> Tested {
    let outcome = storm(name, kind).await?;
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert_eq!(outcome.served + outcome.killed, kind.runs, "{outcome:?}");
    assert_eq!(outcome.most_at_once.max(kind.slots), kind.slots, "{outcome:?}");
    assert!(outcome.ordered > kind.runs, "{outcome:?}");
    // Whoever asks at the same time must not pay for all the others.
    assert!(outcome.writes < WRITES_MOST, "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn many_at_once_are_served_one_after_the_other() -> Tested {
    let kind = Storm {
        runs: 60,
        slots: 1,
        work: 0.05,
        kills: false,
    };
    all_are_served("one slot", kind).await
}

#[tokio::test]
async fn of_many_at_once_five_work_at_a_time() -> Tested {
    let kind = Storm {
        runs: 60,
        slots: 5,
        work: 0.2,
        kills: false,
    };
    all_are_served("five slots", kind).await
}

#[tokio::test]
async fn those_who_die_with_the_lock_and_unheard_keep_nobody_from_being_served() -> Tested {
    let kind = Storm {
        runs: 60,
        slots: 5,
        work: 0.2,
        kills: true,
    };
    all_are_served("killed", kind).await
}
