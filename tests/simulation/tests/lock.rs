//! Some thousand schedules of each kind, and every schedule of the smallest worlds; `cargo lock-simulation` and
//! `cargo lock-exhaustive` run as many as you like. And single cases that are in none of them.

use std::time::Duration;

use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::lock::acquire::{Acquire, Acquired, OnBusy};
use signalbox::lock::key::{HoldName, LockKey, Priority};
use signalbox::lock::record::{Attempt, Hold};
use signalbox::lock::release::{End, Released};
use signalbox::lock::store::{Queue, Setting};
use signalbox::lock::{Error, Locks, Session};
use signalbox::simulation::World;
use simulation::lock::small::{Small, run_all};
use simulation::lock::{Scenario, run};
use simulation::schedules::broken;
use simulation::tokens::{Standing, Tokens};
use simulation::{MemoryTable, StepFunctions, Trouble};

const SCHEDULES: u64 = 3_000;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn nothing_breaks(scenario: Scenario) {
    let broken = broken(scenario, 0..SCHEDULES, run);
    assert!(broken.is_empty(), "{scenario}: {broken:#?}");
}

#[test]
fn handing_over_alone_serves_everybody() {
    nothing_breaks(Scenario::NoSweep);
}

#[test]
fn in_a_storm_never_too_many_hold_and_all_who_live_are_served() {
    nothing_breaks(Scenario::Storm);
}

#[test]
fn a_redriven_run_holds_again_or_is_stopped() {
    nothing_breaks(Scenario::Redrive);
}

#[test]
fn operators_may_do_what_they_like() {
    nothing_breaks(Scenario::Operators);
}

#[test]
fn branches_hold_for_themselves() {
    nothing_breaks(Scenario::Branches);
}

#[test]
fn no_schedule_of_a_small_world_breaks_anything() {
    // A world that shrinks has lost what it was there for.
    for (small, states) in [
        (Small::ThreeRuns, 1_000),
        (Small::TwoSlots, 1_000),
        (Small::Crash, 1_000),
        (Small::Redrive, 1_000),
        (Small::Released, 100),
    ] {
        let explored = run_all(small).unwrap_or_else(|broken| panic!("{small}: {broken}"));
        assert!(explored.states > states, "{small}: {explored:?}");
    }
}

type Protocol = Locks<MemoryTable, Tokens, StepFunctions, World>;

/// Runs `script` in a world in which nothing fails but what is sent to tokens, as `sending` says.
fn case<F: Future<Output = ()> + 'static>(seed: u64, sending: Trouble, script: impl FnOnce(Protocol) -> F) {
    let world = World::new(seed, START, Duration::from_millis(10));
    let sfn = StepFunctions::new(world.clone(), Duration::ZERO, Trouble::NONE);
    let locks = Locks {
        store: MemoryTable::new(world.clone(), Trouble::NONE),
        tasks: Tokens::new(world.clone(), sfn.clone(), Duration::ZERO, sending),
        executions: sfn,
        clock: world.clone(),
        may_stop: true,
    };
    world.spawn(script(locks));
    assert!(world.run(100_000), "it ends");
}

/// An invocation that begins now.
fn session(locks: &Protocol) -> Session<'_, MemoryTable, Tokens, StepFunctions, World> {
    locks.session(locks.clock.now().after(Duration::from_secs(30)))
}

fn arn() -> ExecutionArn {
    ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:m:run").expect("a good ARN")
}

fn lock(name: &str) -> LockKey {
    LockKey::parse(name).expect("a good name")
}

/// The run's first attempt to acquire this lock.
fn ask(locks: &Protocol, name: &str) -> Acquire {
    Acquire {
        hold: Hold {
            execution: arn(),
            lock: lock(name),
            name: HoldName::default(),
        },
        token: locks.tasks.issue(&arn()),
        redrive_known: true,
        attempt: Attempt {
            redrive: 0,
            entered: locks.clock.now(),
            retry: 0,
        },
        priority: Priority::default(),
        on_busy: OnBusy::Wait,
        max_queue: None,
        max_wait: None,
    }
}

#[test]
fn a_run_that_waits_and_could_not_be_told_of_its_release_is_told_by_the_next_one() {
    // In some of these worlds the call is throttled, in the others nobody knows.
    for seed in 0..20 {
        let sending = Trouble {
            chance: 1.0,
            ends: START.after(Duration::from_mins(1)),
        };
        case(seed, sending, |locks| async move {
            locks.executions.start(&arn());
            let ask = ask(&locks, "paused");
            let paused = locks.store.configure(&ask.hold.lock, Setting::Paused(true), START);
            assert!(paused.await.is_ok());
            assert_eq!(session(&locks).acquire(&ask).await, Ok(Acquired::Queued));

            let untold = session(&locks).release(&ask.hold, None).await;
            assert!(matches!(untold, Err(Error::Unavailable(_))), "{untold:?}");
            assert_eq!(locks.tasks.standing(&ask.token), Standing::Waiting);

            locks.clock.sleep(Duration::from_mins(1)).await;
            let told = session(&locks).release(&ask.hold, None).await;
            assert_eq!(told, Ok(Released::Nothing));
            let removed = Standing::Failed("Lock.Removed".to_owned());
            assert_eq!(locks.tasks.standing(&ask.token), removed);
        });
    }
}

/// The run holds these locks, and fails. Its end.
async fn fails_holding(locks: &Protocol, names: [&str; 2]) -> End {
    locks.executions.start(&arn());
    for name in names {
        let ask = ask(locks, name);
        assert_eq!(session(locks).acquire(&ask).await, Ok(Acquired::Granted));
    }
    locks.executions.fail(&arn());
    End {
        redrive: 0,
        stopped: Some(locks.clock.now()),
        redrivable: true,
    }
}

/// The locks that are held.
fn held(locks: &Protocol) -> Vec<String> {
    locks.store.peek(|items| {
        let held = items.heads.iter().filter(|(_, head)| !head.holders.is_empty());
        held.map(|(lock, _)| lock.to_string()).collect()
    })
}

#[test]
fn a_hold_that_cannot_be_given_back_does_not_keep_the_others() {
    case(1, Trouble::NONE, |locks| async move {
        let end = fails_holding(&locks, ["a", "b"]).await;
        assert_eq!(held(&locks), ["a", "b"]);
        // The first one that is tried.
        locks.store.refuse(&lock("a"));
        let ended = session(&locks).ended(&arn(), end).await;
        assert!(matches!(ended, Err(Error::Unavailable(_))), "{ended:?}");
        assert_eq!(held(&locks), ["a"]);
    });
}

#[test]
fn a_hold_that_cannot_be_regained_does_not_keep_the_others() {
    case(1, Trouble::NONE, |locks| async move {
        let end = fails_holding(&locks, ["a", "b"]).await;
        assert_eq!(session(&locks).ended(&arn(), end).await, Ok(()));
        assert!(held(&locks).is_empty());
        locks.executions.redrive(&arn());
        locks.store.refuse(&lock("a"));
        let redriven = session(&locks).redriven(&arn(), 1, locks.clock.now()).await;
        assert!(matches!(redriven, Err(Error::Unavailable(_))), "{redriven:?}");
        assert_eq!(held(&locks), ["b"]);
    });
}
