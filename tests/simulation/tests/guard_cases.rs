//! Single cases of the overlap guard that random schedules meet too rarely.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use overlap_guard::answer::Answer;
use overlap_guard::error::Error;
use overlap_guard::executions::Status;
use overlap_guard::guard::Guard;
use overlap_guard::request::{Ask, Policy};
use overlap_guard::store::{Claim, ClaimState, Claims, Holder, Question, Records, Ruling, Verdict};
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::simulation::World;
use simulation::{MemoryStore, StepFunctions};

/// A world without trouble, and what happens in it.
struct Case {
    world: World,
    store: MemoryStore,
    sfn: StepFunctions,
}

fn arn(name: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!("arn:aws:states:us-east-1:123456789012:execution:m:{name}")).expect("a good ARN")
}

fn holder(name: &str) -> Holder {
    Holder {
        run: arn(name),
        redrive: 0,
    }
}

fn case() -> Case {
    let world = World::new(1, Timestamp::from_millis(1_800_000_000_000), Duration::from_millis(10));
    Case {
        store: MemoryStore::new(world.clone(), 0.0),
        sfn: StepFunctions::new(world.clone(), Duration::ZERO, 0.0),
        world,
    }
}

impl Case {
    /// Runs `script`, and then the question of a run named `asks`, for as long as an invocation has.
    fn ask<F: Future<Output = ()> + 'static>(
        self,
        script: impl FnOnce(World, MemoryStore, StepFunctions) -> F,
    ) -> (Result<Answer, Error>, Duration) {
        let slot = Rc::new(RefCell::new(None));
        let (world, result) = (self.world.clone(), Rc::clone(&slot));
        let script = script(world.clone(), self.store.clone(), self.sfn.clone());
        self.world.spawn(async move {
            script.await;
            self.sfn.start(&arn("asks"));
            let began = world.now();
            let guard = Guard {
                store: self.store,
                executions: self.sfn,
                clock: world.clone(),
                may_stop: false,
            };
            let ask = Ask {
                run: arn("asks"),
                entered: began,
                retry: 0,
                redrive: None,
                policy: Policy::FailNewer,
                also_check: vec![],
                ignore_ancestors: vec![arn("ancestor")],
            };
            let answer = guard.decide(&ask, world.now().after(Duration::from_secs(30))).await;
            result.replace(Some((answer, world.now().since(began))));
        });
        assert!(self.world.run(100_000), "it ends");
        slot.take().expect("an answer")
    }
}

async fn claimed(store: &MemoryStore, name: &str, state: ClaimState, at: Timestamp) -> Claim {
    let claim = store
        .claim(arn(name).machine(), &holder(name), at)
        .await
        .expect("no trouble");
    if state == ClaimState::Confirmed {
        store
            .confirm(arn(name).machine(), &holder(name))
            .await
            .expect("no trouble");
    }
    claim
}

#[test]
fn a_pending_claim_is_waited_for_and_refuses_nobody() {
    let (answer, waited) = case().ask(|world, store, sfn| async move {
        sfn.start(&arn("deciding"));
        claimed(&store, "deciding", ClaimState::Pending, world.now()).await;
        world.clone().spawn(async move {
            world.sleep(Duration::from_secs(4)).await;
            store
                .give_back(arn("deciding").machine(), &holder("deciding"), ClaimState::Pending)
                .await
                .unwrap();
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
        let question = Question {
            redrive: 0,
            entered: world.now(),
        };
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
        let question = Question {
            redrive: 0,
            entered: world.now(),
        };
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
                full.members.push(member);
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
