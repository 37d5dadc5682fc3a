//! Single cases of the overlap guard that random schedules meet too rarely.

mod clones;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use overlap_guard::answer::Answer;
use overlap_guard::error::Error;
use overlap_guard::guard::Guard;
use overlap_guard::request::{Ask, Policy};
use overlap_guard::store::{Claim, ClaimState, Claims, Holder, Question, Records, Ruling, Verdict};
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::Status;
use signalbox::simulation::World;
use simulation::{MemoryStore, StepFunctions, Trouble};

/// A world without trouble, and what happens in it.
struct Case {
    world: World,
    store: MemoryStore,
    sfn: StepFunctions,
}

fn arn(name: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!("arn:aws:states:us-east-1:123456789012:execution:m:{name}")).expect("a good ARN")
}

/// The run with the only question that the cases' other runs ask.
fn holder(name: &str) -> Holder {
    Holder {
        run: arn(name),
        question: Question {
            redrive: 0,
            entered: Timestamp::from_millis(1_000),
        },
    }
}

fn case() -> Case {
    let world = World::new(1, Timestamp::from_millis(1_800_000_000_000), Duration::from_millis(10));
    Case {
        store: MemoryStore::new(world.clone(), Trouble::NONE),
        sfn: StepFunctions::new(world.clone(), Duration::ZERO, Trouble::NONE),
        world,
    }
}

impl Case {
    /// Runs `script`, and then the question of a run named `asks`, for as long as an invocation has.
    fn ask<F: Future<Output = ()> + 'static>(
        self,
        script: impl FnOnce(World, MemoryStore, StepFunctions) -> F,
    ) -> (Result<Answer, Error>, Duration) {
        self.ask_so(|_| (), script)
    }

    /// The same with a changed question.
    fn ask_so<F: Future<Output = ()> + 'static>(
        self,
        change: impl FnOnce(&mut Ask) + 'static,
        script: impl FnOnce(World, MemoryStore, StepFunctions) -> F,
    ) -> (Result<Answer, Error>, Duration) {
        let slot = Rc::new(RefCell::new(None));
        let (world, result) = (self.world.clone(), Rc::clone(&slot));
        let script = script(world.clone(), self.store.clone(), self.sfn.clone());
        let (store, sfn) = (self.store.clone(), self.sfn.clone());
        self.world.spawn(async move {
            script.await;
            let began = world.now();
            let guard = Guard {
                records: store.clone(),
                claims: store.clone(),
                clones: store,
                executions: sfn.clone(),
                clock: world.clone(),
                may_stop: true,
            };
            let mut ask = Ask {
                run: arn("asks"),
                entered: began,
                retry: 0,
                redrive: None,
                policy: Policy::FailNewer,
                also_check: vec![],
                ignore_ancestors: vec![arn("ancestor")],
            };
            change(&mut ask);
            sfn.start(&ask.run);
            let answer = guard.decide(&ask, world.now().after(Duration::from_secs(30))).await;
            result.replace(Some((answer, world.now().since(began))));
        });
        assert!(self.world.run(100_000), "it ends");
        slot.take().expect("an answer")
    }
}

/// A run of another pipeline.
fn neighbour() -> ExecutionArn {
    ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:neighbour:run").expect("a good ARN")
}

async fn claimed_by_neighbour(store: &MemoryStore, state: ClaimState, at: Timestamp) {
    let run = neighbour();
    let holder = Holder {
        run: run.clone(),
        ..holder("any")
    };
    let pending = store.claim(run.machine(), &holder, at).await.expect("no trouble");
    let claim = Claim {
        state,
        ..pending.clone()
    };
    assert!(
        store
            .replace(run.machine(), &pending, &claim)
            .await
            .expect("no trouble")
    );
}

async fn claimed(store: &MemoryStore, name: &str, state: ClaimState, at: Timestamp) -> Claim {
    let machine = arn(name).machine().clone();
    let pending = store.claim(&machine, &holder(name), at).await.expect("no trouble");
    let claim = Claim {
        state,
        ..pending.clone()
    };
    assert!(store.replace(&machine, &pending, &claim).await.expect("no trouble"));
    claim
}

#[test]
fn a_pending_claim_is_waited_for_and_refuses_nobody() {
    let (answer, waited) = case().ask(|world, store, sfn| async move {
        sfn.start(&arn("deciding"));
        let claim = claimed(&store, "deciding", ClaimState::Pending, world.now()).await;
        world.clone().spawn(async move {
            world.sleep(Duration::from_secs(4)).await;
            store.remove(arn("deciding").machine(), &claim).await.unwrap();
            sfn.fail(&arn("deciding"));
        });
    });
    assert!(answer.unwrap().proceed);
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
}

#[test]
fn a_claim_that_was_left_pending_by_a_run_that_lives_on_is_taken() {
    let (answer, _) = case().ask(|world, store, sfn| async move {
        sfn.start(&arn("lives-on"));
        claimed(&store, "lives-on", ClaimState::Pending, world.now()).await;
        // It crashed, and its pipeline went another way. Its record is there.
        let question = holder("X").question;
        store.arrive(&arn("lives-on"), question, world.now()).await.unwrap();
        world.sleep(Duration::from_secs(20)).await;
    });
    assert!(answer.unwrap().proceed);
}

#[test]
fn a_claim_of_a_run_that_was_refused_is_worth_nothing() {
    let (answer, waited) = case().ask(|world, store, sfn| async move {
        sfn.start(&arn("refused"));
        claimed(&store, "refused", ClaimState::Confirmed, world.now()).await;
        let question = holder("X").question;
        store.arrive(&arn("refused"), question, world.now()).await.unwrap();
        let refusal = Verdict {
            ruling: Ruling::Refuse,
            overlapping: vec![],
        };
        store.decide(&arn("refused"), question, &refusal).await.unwrap();
    });
    assert!(answer.unwrap().proceed);
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

#[test]
fn no_more_than_a_hundred_runs_go_on_under_one_claim_and_ended_ones_make_room() {
    for (running, proceeds) in [(100, false), (99, true)] {
        let (answer, _) = case().ask(move |world, store, sfn| async move {
            sfn.start(&arn("ancestor"));
            let seen = claimed(&store, "ancestor", ClaimState::Confirmed, world.now()).await;
            let mut full = Claim {
                state: ClaimState::Confirmed,
                ..seen
            };
            let seen = full.clone();
            for n in 0..100 {
                let member = arn(&format!("child-{n:03}"));
                sfn.start(&member);
                if n >= running {
                    sfn.end(&member, Status::Over);
                }
                full.members.push(holder(&format!("child-{n:03}")));
            }
            assert!(store.replace(arn("ancestor").machine(), &seen, &full).await.unwrap());
        });
        match answer {
            Ok(answer) => assert!(answer.proceed && proceeds),
            Err(error) => {
                assert!(
                    !proceeds
                        && error
                            .to_string()
                            .starts_with("ignoreAncestors: names ancestor, which has 100"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn out_of_time_means_no_verdict() {
    let (answer, waited) = case().ask(|world, store, sfn| async move {
        sfn.start(&arn("deciding"));
        claimed(&store, "deciding", ClaimState::Pending, world.now()).await;
    });
    let error = answer.unwrap_err();
    assert!(
        matches!(&error, Error::Undecided(why) if why == "deciding is being decided"),
        "{error}"
    );
    assert!(waited < Duration::from_secs(28), "{waited:?}");
}

/// The holder has ended; a run that it started goes on under its claim, and started the one that asks.
#[test]
fn a_run_that_a_member_started_goes_on_and_stops_nobody() {
    for policy in [Policy::FailNewer, Policy::CancelOlder] {
        let case = case();
        let sfn = case.sfn.clone();
        let (answer, _) = case.ask_so(
            move |ask| {
                ask.policy = policy;
                ask.ignore_ancestors = vec![arn("parent")];
            },
            |world, store, sfn| async move {
                sfn.start(&arn("grandparent"));
                sfn.start(&arn("parent"));
                let seen = claimed(&store, "grandparent", ClaimState::Confirmed, world.now()).await;
                let mut claim = seen.clone();
                claim.members.push(holder("parent"));
                assert!(store.replace(arn("parent").machine(), &seen, &claim).await.unwrap());
                sfn.end(&arn("grandparent"), Status::Over);
            },
        );
        assert!(answer.unwrap().proceed, "{policy:?}");
        assert!(sfn.runs(&arn("parent")), "{policy:?}");
    }
}

#[test]
fn a_run_that_is_refused_for_a_neighbour_has_stopped_nobody() {
    let case = case();
    let sfn = case.sfn.clone();
    let (answer, _) = case.ask_so(
        |ask| {
            ask.policy = Policy::CancelOlder;
            ask.also_check = vec![neighbour().machine().clone()];
        },
        |world, store, sfn| async move {
            sfn.start(&arn("older"));
            sfn.start(&neighbour());
            claimed(&store, "older", ClaimState::Confirmed, world.now()).await;
            claimed_by_neighbour(&store, ClaimState::Confirmed, world.now()).await;
        },
    );
    assert!(matches!(answer, Err(Error::Overlapping { .. })), "{answer:?}");
    assert!(sfn.runs(&arn("older")));
}

#[test]
fn a_run_under_its_ancestors_claim_still_gives_way_to_neighbours() {
    let (answer, _) = case().ask_so(
        |ask| ask.also_check = vec![neighbour().machine().clone()],
        |world, store, sfn| async move {
            sfn.start(&arn("ancestor"));
            sfn.start(&neighbour());
            claimed(&store, "ancestor", ClaimState::Confirmed, world.now()).await;
            claimed_by_neighbour(&store, ClaimState::Confirmed, world.now()).await;
        },
    );
    assert!(matches!(answer, Err(Error::Overlapping { .. })), "{answer:?}");
}

#[test]
fn a_neighbours_claim_that_was_left_pending_does_not_block_for_ever() {
    let (answer, _) = case().ask_so(
        |ask| ask.also_check = vec![neighbour().machine().clone()],
        |world, store, sfn| async move {
            sfn.start(&neighbour());
            claimed_by_neighbour(&store, ClaimState::Pending, world.now()).await;
            store
                .arrive(&neighbour(), holder("any").question, world.now())
                .await
                .unwrap();
            world.sleep(Duration::from_secs(20)).await;
        },
    );
    assert!(answer.unwrap().proceed);
}

/// Entering the state again is a new question, also for the run that has the claim: it is looked at anew.
#[test]
fn a_run_that_asks_anew_is_looked_at_anew() {
    let (answer, _) = case().ask(|world, store, sfn| async move {
        sfn.start(&arn("never-asked"));
        world.sleep(Duration::from_secs(90)).await;
        claimed(&store, "asks", ClaimState::Confirmed, world.now()).await;
    });
    assert!(matches!(answer, Err(Error::Overlapping { .. })), "{answer:?}");
}
