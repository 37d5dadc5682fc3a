//! Runs that go on in a clone of their state machine.

use std::time::Duration;

use overlap_guard::answer::Answer;
use overlap_guard::error::Error;
use overlap_guard::guard::CLONES_LISTED;
use overlap_guard::request::{Ask, Policy};
use overlap_guard::store::{Claim, ClaimState, Claims, Holder};
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::pipeline::CloneOf;
use simulation::MemoryStore;

use crate::{arn, case, claimed, holder, neighbour};

/// A run of the machine `m--r-…`, which is named like a clone of `m`.
fn in_clone(number: usize, name: &str) -> ExecutionArn {
    let arn = format!("arn:aws:states:us-east-1:123456789012:execution:m--r-{number:012}:{name}");
    ExecutionArn::parse(&arn).expect("a good ARN")
}

/// The machine of that run is a clone of `m`.
fn cloned(store: &MemoryStore, number: usize) {
    store.make_clone(CloneOf {
        machine: in_clone(number, "any").machine().clone(),
        pipeline: arn("any").machine().clone(),
        made: Timestamp::from_millis(1_000),
    });
}

fn asked_by(run: ExecutionArn, policy: Policy) -> impl FnOnce(&mut Ask) + 'static {
    move |ask| (ask.run, ask.policy) = (run, policy)
}

/// Whether this run is the one in the way.
fn is_refused_for(answer: &Result<Answer, Error>, run: &ExecutionArn) -> bool {
    let Err(Error::Overlapping { overlapping, .. }) = answer else {
        return false;
    };
    overlapping
        .iter()
        .map(|overlap| overlap.execution_arn.as_str())
        .eq([run.as_str()])
}

/// In both directions: the claim is the pipeline's, whichever of its machines a run is of.
#[test]
fn a_run_in_a_clone_is_a_run_of_the_pipeline() {
    for (older, newer) in [
        (in_clone(1, "resumed"), arn("asks")),
        (arn("nightly"), in_clone(1, "asks")),
        (in_clone(1, "resumed"), in_clone(2, "asks")),
    ] {
        for policy in [Policy::FailNewer, Policy::Skip, Policy::CancelOlder] {
            let (case, run) = (case(), older.clone());
            let sfn = case.sfn.clone();
            let (answer, _) = case.ask_so(asked_by(newer.clone(), policy), |world, store, sfn| async move {
                cloned(&store, 1);
                cloned(&store, 2);
                sfn.start(&run);
                let holder = Holder { run, ..holder("any") };
                let pipeline = arn("any").machine().clone();
                let pending = store.claim(&pipeline, &holder, world.now()).await.expect("no trouble");
                let confirmed = Claim {
                    state: ClaimState::Confirmed,
                    ..pending.clone()
                };
                assert!(
                    store
                        .replace(&pipeline, &pending, &confirmed)
                        .await
                        .expect("no trouble")
                );
                world.sleep(Duration::from_secs(1)).await;
            });
            let case = format!("{older} {newer} {policy:?}: {answer:?}");
            match policy {
                Policy::FailNewer => assert!(is_refused_for(&answer, &older), "{case}"),
                Policy::Skip => assert!(!answer.expect("an answer").proceed, "{case}"),
                Policy::CancelOlder => assert!(answer.expect("an answer").proceed, "{case}"),
            }
            assert_eq!(sfn.runs(&older), policy != Policy::CancelOlder, "{case}");
        }
    }
}

#[test]
fn a_machine_that_is_only_named_like_a_clone_is_a_pipeline_of_its_own() {
    let run = in_clone(1, "asks");
    let (answer, _) = case().ask_so(
        asked_by(run.clone(), Policy::FailNewer),
        |world, store, sfn| async move {
            sfn.start(&arn("nightly"));
            claimed(&store, "nightly", ClaimState::Confirmed, world.now()).await;
        },
    );
    assert!(answer.expect("an answer").proceed);
    // And its claim is its own: a second run is in the way of the first.
    let (answer, _) = case().ask_so(
        asked_by(run.clone(), Policy::FailNewer),
        |world, store, sfn| async move {
            let older = in_clone(1, "older");
            sfn.start(&older);
            let holder = Holder {
                run: older.clone(),
                ..holder("any")
            };
            let pending = store.claim(older.machine(), &holder, world.now()).await;
            let pending = pending.expect("no trouble");
            let confirmed = Claim {
                state: ClaimState::Confirmed,
                ..pending.clone()
            };
            let replaced = store.replace(older.machine(), &pending, &confirmed).await;
            assert!(replaced.expect("no trouble"));
        },
    );
    assert!(is_refused_for(&answer, &in_clone(1, "older")), "{answer:?}");
}

/// Runs that no claim speaks for: a clone was made before its pipeline had a guard, or its run was redriven past it.
#[test]
fn a_run_in_a_clone_that_never_asked_is_in_the_way() {
    for (mine, stray) in [
        (arn("asks"), in_clone(1, "never-asked")),
        (in_clone(2, "asks"), in_clone(1, "never-asked")),
        (in_clone(1, "asks"), arn("never-asked")),
    ] {
        let run = stray.clone();
        let (answer, _) = case().ask_so(asked_by(mine, Policy::FailNewer), |world, store, sfn| async move {
            cloned(&store, 1);
            cloned(&store, 2);
            sfn.start(&run);
            world.sleep(Duration::from_secs(90)).await;
        });
        assert!(is_refused_for(&answer, &stray), "{stray}: {answer:?}");
    }
}

#[test]
fn as_many_clones_are_looked_at_as_it_says_those_made_last_first() {
    for (clone, is_seen) in [(0, false), (1, true), (CLONES_LISTED, true)] {
        let stray = in_clone(clone, "never-asked");
        let run = stray.clone();
        let (answer, _) = case().ask(|world, store, sfn| async move {
            for number in 0..=CLONES_LISTED {
                cloned(&store, number);
            }
            sfn.start(&run);
            world.sleep(Duration::from_secs(90)).await;
        });
        assert_eq!(is_refused_for(&answer, &stray), is_seen, "{clone}: {answer:?}");
    }
}

#[test]
fn who_checks_a_pipeline_checks_its_clones_and_never_its_own_pipeline() {
    let other = |ask: &mut Ask| ask.also_check = vec![arn("any").machine().clone()];
    // Asks for another pipeline, which has a run in a clone.
    let (answer, _) = case().ask_so(
        move |ask| {
            ask.run = neighbour();
            other(ask);
        },
        |world, store, sfn| async move {
            cloned(&store, 1);
            sfn.start(&in_clone(1, "never-asked"));
            world.sleep(Duration::from_secs(90)).await;
        },
    );
    assert!(is_refused_for(&answer, &in_clone(1, "never-asked")), "{answer:?}");
    // Named by a clone, the pipeline is meant.
    let (answer, _) = case().ask_so(
        |ask| {
            ask.run = neighbour();
            ask.also_check = vec![in_clone(1, "any").machine().clone()];
        },
        |world, store, sfn| async move {
            cloned(&store, 1);
            sfn.start(&arn("nightly"));
            claimed(&store, "nightly", ClaimState::Confirmed, world.now()).await;
        },
    );
    assert!(is_refused_for(&answer, &arn("nightly")), "{answer:?}");
    // Its own original: it would wait for its own claim.
    let (answer, _) = case().ask_so(
        move |ask| {
            ask.run = in_clone(1, "asks");
            other(ask);
        },
        |_, store, _| async move { cloned(&store, 1) },
    );
    assert!(answer.expect("an answer").proceed);
}

#[test]
fn a_machine_that_was_deleted_is_missed_by_its_own_runs_alone() {
    let (one, two) = (in_clone(1, "asks"), in_clone(2, "any"));
    for (mine, gone, proceeds) in [
        (one.clone(), arn("any"), true),
        (one.clone(), two.clone(), true),
        (arn("asks"), two, true),
        (one.clone(), one, false),
        (arn("asks"), arn("any"), false),
    ] {
        let (answer, _) = case().ask_so(asked_by(mine.clone(), Policy::FailNewer), |_, store, sfn| async move {
            cloned(&store, 1);
            cloned(&store, 2);
            sfn.delete(gone.machine());
        });
        match proceeds {
            true => assert!(answer.expect("an answer").proceed, "{mine}"),
            false => assert!(matches!(answer, Err(Error::Unavailable(_))), "{mine}: {answer:?}"),
        }
    }
}
