//! Applies, in memory: every schedule of small worlds, in which several invocations are at it at the same time, and one of
//! them dies at any point.

#![allow(clippy::unwrap_used, reason = "what the tests share is a test too")]

mod cloud;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use resume::apply::Applied;
use resume::error::Error;
use resume::lineage::TURN;
use resume::plan::Status;
use resume::request::{Asked, Request};
use resume::sweep::{CONDEMNED, Stage};
use serde_json::{Value, json};
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::failure::Failure;
use signalbox::pipeline::CloneOf;
use signalbox::request::parse;
use signalbox::simulation::{Explored, World, explore};

use cloud::{Cloud, Recorded, pipeline, run};

const STATES: usize = 3_000_000;

fn start() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// A request to apply, with these fields.
fn asked(fields: &Value) -> Asked {
    let mut request = json!({"executionArn": run("run-1").as_str(), "apply": true});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    Asked::try_from(parse::<Request>(request).unwrap()).unwrap()
}

/// An invocation: its answer.
async fn apply(cloud: &Cloud, asked: &Asked) -> Result<Applied, Error> {
    let deadline = cloud.world.now().after(Duration::from_mins(2));
    cloud.resumes().apply(asked, deadline).await.map(|(_, applied)| applied)
}

/// An invocation whose answer is kept.
async fn tell(cloud: &Cloud, asked: &Asked) {
    let answer = apply(cloud, asked).await;
    let told = answer
        .map(|applied| applied.resume.execution)
        .map_err(|error| error.name());
    cloud.state.borrow_mut().told.push(told);
}

/// Counts an invocation that has come to its end, whatever that was.
struct Ends(Rc<Cell<usize>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Every schedule in which so many invocations do this at once, of which so many crash, and then another one does.
/// `prepare` changes what there is, `end` looks at what it has become.
fn all_of(
    (at_once, crashes): (usize, u32),
    fields: &Value,
    prepare: impl Fn(&Cloud),
    end: impl Fn(&Cloud, &Applied) -> Result<(), String> + Clone + 'static,
) -> Result<Explored, String> {
    explore(start(), crashes, STATES, |world| {
        let cloud = Cloud::new(world);
        prepare(&cloud);
        let (over, last) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
        for _ in 0..at_once {
            let (cloud, asked, ends) = (cloud.clone(), asked(fields), Ends(Rc::clone(&over)));
            world.spawn_crashing(1.0, async move {
                tell(&cloud, &asked).await;
                drop(ends);
            });
        }
        let (third, asked, answered) = (cloud.clone(), asked(fields), Rc::clone(&last));
        world.spawn(async move {
            third.world.until(move || over.get() == at_once).await;
            answered.set(Some(apply(&third, &asked).await));
        });
        let (looked, end) = (cloud.clone(), end.clone());
        let check = move |pruned: bool| {
            if let Some(broken) = cloud.state.borrow().broken.clone() {
                return Err(broken);
            }
            match last.take() {
                _ if pruned => Ok(()),
                Some(Ok(applied)) => {
                    let others = cloud.state.borrow().told.clone();
                    // Another one may have been quicker; an error tells its caller to ask again.
                    let fits = |told: &Result<ExecutionArn, &str>| match told {
                        Ok(execution) => *execution == applied.resume.execution,
                        Err(name) => ["Resume.Unavailable", "Resume.LockTaken"].contains(name),
                    };
                    match others.iter().all(fits) {
                        true => end(&cloud, &applied),
                        false => Err(format!("told {others:?}, then {applied:?}")),
                    }
                }
                Some(Err(error)) => Err(format!("it is never done: {error}")),
                None => Err("the last one hangs".to_owned()),
            }
        };
        (move || looked.digest(), check)
    })
}

fn one<T: std::fmt::Debug>(what: &str, all: &[T]) -> Result<(), String> {
    match all {
        [_] => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    }
}

fn ok(explored: Result<Explored, String>) {
    let explored = explored.unwrap_or_else(|broken| panic!("{broken}"));
    // A world that shrinks has lost what it was there for.
    assert!(explored.states > 200, "{explored:?}");
}

#[test]
fn a_clone_is_started_once() {
    ok(all_of(
        (2, 1),
        &json!({"input": [6]}),
        |_| {},
        |cloud, applied| {
            let state = cloud.state.borrow();
            one("started", &state.started)?;
            match state.started[0] == applied.resume.execution && state.resumes.values().all(|resume| resume.done) {
                true => Ok(()),
                false => Err(format!("{applied:?}")),
            }
        },
    ));
}

#[test]
fn a_run_is_redriven_once() {
    ok(all_of(
        (2, 1),
        &json!({}),
        |_| {},
        |cloud, applied| {
            let state = cloud.state.borrow();
            one("redriven", &state.redriven)?;
            match applied.resume.execution == run("run-1") && state.started.is_empty() {
                true => Ok(()),
                false => Err(format!("{applied:?}")),
            }
        },
    ));
}

/// Nobody who asks for the same at the same time is sent away.
#[test]
fn all_who_ask_for_the_same_are_told_the_same() {
    for fields in [json!({}), json!({"input": [6]})] {
        ok(all_of(
            (2, 0),
            &fields,
            |_| {},
            |cloud, _| {
                let state = cloud.state.borrow();
                match state.told.iter().all(Result::is_ok) {
                    true => Ok(()),
                    false => Err(format!("told {:?}", state.told)),
                }
            },
        ));
    }
}

#[test]
fn a_run_whose_lock_is_taken_goes_on_by_one_clone() {
    let taken = |cloud: &Cloud| cloud.state.borrow_mut().taken = true;
    ok(all_of((2, 1), &json!({}), taken, |cloud, applied| {
        let state = cloud.state.borrow();
        one("started", &state.started)?;
        match state.redriven.is_empty() && applied.resume.execution == state.started[0] {
            true => Ok(()),
            false => Err(format!("{applied:?}: {state:?}")),
        }
    }));
}

#[test]
fn a_run_whose_lock_comes_free_is_redriven_or_goes_on_by_a_clone_and_never_both() {
    let changes = |cloud: &Cloud| {
        cloud.state.borrow_mut().taken = true;
        let changed = cloud.clone();
        cloud.world.spawn(async move {
            changed.world.step().await;
            changed.state.borrow_mut().taken = false;
        });
    };
    for (at_once, crashes) in [(2, 0), (1, 1)] {
        ok(all_of((at_once, crashes), &json!({}), changes, |cloud, applied| {
            let state = cloud.state.borrow();
            let all: Vec<_> = state.started.iter().chain(&state.redriven).collect();
            one("went on", &all)?;
            match applied.resume.execution == *all[0] {
                true => Ok(()),
                false => Err(format!("{applied:?}: {state:?}")),
            }
        }));
    }
}

/// Requests for one run that want different things, at once: one of them is done, and the others are told.
///
/// `meddles`: what somebody else does meanwhile. If nobody does, and nobody crashes, one of them goes on.
fn differ(crashes: u32, requests: &[Value], meddles: Option<&dyn Fn(&Cloud)>) -> Result<Explored, String> {
    explore(start(), crashes, STATES, |world| {
        let cloud = Cloud::new(world);
        meddles.inspect(|meddles| meddles(&cloud));
        for fields in requests {
            let (cloud, asked) = (cloud.clone(), asked(fields));
            world.spawn_crashing(1.0, async move {
                tell(&cloud, &asked).await;
            });
        }
        let looked = cloud.clone();
        let somebody = crashes == 0 && meddles.is_none();
        let check = move |pruned: bool| {
            let state = cloud.state.borrow();
            let went_on: Vec<_> = state.started.iter().chain(&state.redriven).collect();
            let fits = |told: &Result<ExecutionArn, &str>| match told {
                Ok(execution) => went_on.first() == Some(&execution),
                Err(name) => [
                    "Resume.LockTaken",
                    "Resume.Overlapping",
                    "Resume.StillRunning",
                    "Resume.Unavailable",
                ]
                .contains(name),
            };
            let enough = usize::from(somebody && !pruned);
            match (enough..=1).contains(&went_on.len()) && state.told.iter().all(fits) {
                true => Ok(()),
                false => Err(format!("{state:?}")),
            }
        };
        (move || looked.digest(), check)
    })
}

#[test]
fn two_requests_that_differ_do_not_both_go_on() {
    for (one, other) in [
        (json!({"input": [6]}), json!({"input": [7]})),
        (json!({"input": [6]}), json!({})),
    ] {
        for crashes in [0, 1] {
            ok(differ(crashes, &[one.clone(), other.clone()], None));
        }
    }
}

/// Who asks for the same has the turn too, and may give it back: its lock was taken, which is free again.
#[test]
fn a_turn_that_somebody_else_gives_back_is_lost() {
    let requests = [json!({"mode": "redrive"}), json!({"input": [6]})];
    let gives_back = |cloud: &Cloud| {
        let twin = cloud.clone();
        cloud.world.spawn(async move {
            twin.world.step().await;
            twin.state.borrow_mut().turns.clear();
        });
    };
    ok(differ(0, &requests, Some(&gives_back)));
}

/// A world that takes its course.
fn in_turn<T: 'static>(work: impl AsyncFnOnce(Cloud) -> T + 'static) -> T {
    let world = World::new(7, start(), Duration::from_millis(5));
    let (cloud, answer) = (Cloud::new(&world), Rc::new(Cell::new(None)));
    let slot = Rc::clone(&answer);
    world.spawn(async move {
        slot.set(Some(work(cloud).await));
    });
    assert!(world.run(1_000_000), "it hangs");
    answer.take().expect("an answer")
}

/// The run ends now.
fn ends(cloud: &Cloud, execution: &ExecutionArn, status: Status) {
    let mut state = cloud.state.borrow_mut();
    let found = state.executions.get_mut(execution).expect("a run");
    found.status = status;
    found.at = cloud.world.now();
}

#[test]
fn the_same_request_is_the_same_run_also_after_its_end() {
    in_turn(async |cloud| {
        let request = asked(&json!({"input": [6], "reason": "first"}));
        let first = apply(&cloud, &request).await.unwrap();
        assert!(!first.before && first.status == Some(Status::Running));
        let again = apply(&cloud, &request).await.unwrap();
        assert!(again.before && again.resume.execution == first.resume.execution);
        ends(&cloud, &first.resume.execution, Status::Succeeded);
        let later = apply(&cloud, &asked(&json!({"input": [6], "reason": "second"})))
            .await
            .unwrap();
        assert_eq!((later.before, later.status), (true, Some(Status::Succeeded)));
        assert_eq!(later.resume.execution, first.resume.execution);
        assert_eq!(later.resume.reason.as_deref(), Some("first"));
        assert_eq!(cloud.state.borrow().started.len(), 1);
    });
}

#[test]
fn a_redriven_run_that_fails_again_is_redriven_again_if_that_is_asked() {
    in_turn(async |cloud| {
        let request = json!({});
        let first = apply(&cloud, &asked(&request)).await.unwrap();
        let with_hash = asked(&json!({"planHash": first.resume.plan_hash}));
        assert!(apply(&cloud, &asked(&request)).await.unwrap().before);
        ends(&cloud, &run("run-1"), Status::Failed);
        // Who applies a plan means that one,
        let before = apply(&cloud, &with_hash).await.unwrap();
        assert_eq!((before.before, before.status), (true, Some(Status::Failed)));
        // and who does not, the run as it stands.
        assert!(!apply(&cloud, &asked(&request)).await.unwrap().before);
        assert_eq!(cloud.state.borrow().redriven.len(), 2);
    });
}

#[test]
fn another_plan_than_the_one_that_was_looked_at_is_not_applied() {
    in_turn(async |cloud| {
        let error = apply(&cloud, &asked(&json!({"input": [6], "planHash": "0".repeat(64)})))
            .await
            .unwrap_err();
        assert_eq!(error.name(), "Resume.PlanChanged");
        assert!(cloud.state.borrow().resumes.is_empty(), "nothing is noted");
    });
}

#[test]
fn another_run_of_the_pipeline_is_not_overlapped() {
    in_turn(async |cloud| {
        let first = apply(&cloud, &asked(&json!({"input": [6]}))).await.unwrap();
        // A clone's run is the pipeline's.
        let other = json!({"input": [7]});
        let error = apply(&cloud, &asked(&other)).await.unwrap_err();
        assert_eq!(error.name(), "Resume.Overlapping");
        assert!(error.to_string().contains(first.resume.execution.as_str()), "{error}");
        let allowed = json!({"input": [7], "allowOverlap": true});
        assert!(!apply(&cloud, &asked(&allowed)).await.unwrap().before);
        assert_eq!(cloud.state.borrow().started.len(), 2);
    });
}

#[test]
fn the_turn_of_somebody_who_died_is_over_by_itself() {
    in_turn(async |cloud| {
        let theirs = ("another plan".to_owned(), cloud.world.now());
        cloud.state.borrow_mut().turns.insert(run("run-1"), theirs);
        let request = asked(&json!({"input": [6]}));
        let error = apply(&cloud, &request).await.unwrap_err();
        assert!(
            error.name() == "Resume.Unavailable" && error.to_string().contains("in 3 minutes"),
            "{error}"
        );
        assert!(cloud.state.borrow().resumes.is_empty(), "nothing is noted");
        cloud.world.sleep(TURN + Duration::from_secs(1)).await;
        assert!(!apply(&cloud, &request).await.unwrap().before);
    });
}

#[test]
fn without_a_role_there_are_no_clones_and_a_taken_lock_is_the_end() {
    in_turn(async |cloud| {
        let mut resumes = cloud.resumes();
        resumes.settings.roles.clear();
        let deadline = cloud.world.now().after(Duration::from_mins(2));
        let error = resumes
            .apply(&asked(&json!({"input": [6]})), deadline)
            .await
            .unwrap_err();
        assert_eq!(error.name(), "Resume.ClonesOff");
        cloud.state.borrow_mut().taken = true;
        let error = resumes.apply(&asked(&json!({})), deadline).await.unwrap_err();
        assert_eq!(error.name(), "Resume.LockTaken");
        let state = cloud.state.borrow();
        assert!(state.machines.len() == 1 && state.started.is_empty() && state.redriven.is_empty());
    });
}

/// The clone that a request is resumed by, as a sweep has found it long unused: with a run that has ended, or with none.
fn condemned(cloud: &Cloud, since: Timestamp, with_run: bool) {
    let name = in_turn(async |cloud| {
        let applied = apply(&cloud, &asked(&json!({"input": [6]}))).await.unwrap();
        applied.resume.clone.unwrap().name().to_owned()
    });
    let old = start().before(Duration::from_hours(24 * 30));
    let machine = format!("{}:stateMachine:{name}", pipeline().home());
    let machine = signalbox::arn::StateMachineArn::parse(&machine).unwrap();
    let ended = cloud::Execution {
        status: Status::Succeeded,
        at: old,
        redrives: 0,
    };
    let execution = format!("{}:execution:{name}:earlier", pipeline().home());
    let mut state = cloud.state.borrow_mut();
    if with_run {
        state.executions.insert(ExecutionArn::parse(&execution).unwrap(), ended);
    }
    state.machines.insert(machine.clone());
    let recorded = Recorded {
        of: CloneOf {
            machine: machine.clone(),
            pipeline: pipeline(),
            made: old,
        },
        stage: Stage::Condemned(since),
        archived: 0,
        deleted: false,
    };
    state.clones.insert(machine, recorded);
}

#[test]
fn a_clone_that_is_resumed_by_is_not_deleted_under_its_run() {
    for with_run in [true, false] {
        ok(while_swept(with_run));
    }
}

fn while_swept(with_run: bool) -> Result<Explored, String> {
    explore(start(), 1, STATES, |world| {
        let cloud = Cloud::new(world);
        condemned(&cloud, start().before(CONDEMNED), with_run);
        let over = Rc::new(Cell::new(0));
        let (swept, ends) = (cloud.clone(), Ends(Rc::clone(&over)));
        world.spawn_crashing(1.0, async move {
            let deadline = swept.world.now().after(Duration::from_mins(2));
            swept.sweeps().sweep(deadline).await.unwrap();
            drop(ends);
        });
        let (applied, ends) = (cloud.clone(), Ends(Rc::clone(&over)));
        world.spawn_crashing(1.0, async move {
            let _ = apply(&applied, &asked(&json!({"input": [6]}))).await;
            drop(ends);
        });
        // Whatever came of it: the same request does it, at the latest when what a crash left is known as such.
        let (later, done) = (cloud.clone(), Rc::new(Cell::new(false)));
        let flag = Rc::clone(&done);
        world.spawn(async move {
            later.world.until(move || over.get() == 2).await;
            for _ in 0..2 {
                match apply(&later, &asked(&json!({"input": [6]}))).await {
                    Ok(_) => flag.set(true),
                    Err(_) => later.world.sleep(Duration::from_mins(6)).await,
                }
            }
            // The hours after: two sweeps at once, of a clone that is in use.
            later.world.sleep(Duration::from_hours(30)).await;
            for _ in 0..3 {
                let deadline = later.world.now().after(Duration::from_mins(2));
                later.sweeps().sweep(deadline).await.unwrap();
                later.world.sleep(Duration::from_hours(1)).await;
            }
        });
        let looked = cloud.clone();
        let check = move |pruned: bool| {
            let state = cloud.state.borrow();
            if let Some(broken) = state.broken.clone() {
                return Err(broken);
            }
            if pruned {
                return Ok(());
            }
            one("started", &state.started)?;
            let running = state
                .executions
                .values()
                .filter(|found| found.status == Status::Running);
            match done.get() && running.count() == 1 {
                true => Ok(()),
                false => Err(format!("done {}: {state:?}", done.get())),
            }
        };
        (move || looked.digest(), check)
    })
}

#[test]
fn a_clone_that_nobody_uses_is_condemned_archived_and_deleted() {
    in_turn(async |cloud| {
        let world = cloud.world.clone();
        let sweep = async || {
            let deadline = world.now().after(Duration::from_mins(2));
            cloud.sweeps().sweep(deadline).await.unwrap()
        };
        let applied = apply(&cloud, &asked(&json!({"input": [6]}))).await.unwrap();
        assert_eq!(sweep().await.condemned, 0, "it is new");
        world.sleep(Duration::from_hours(48)).await;
        assert_eq!(sweep().await.condemned, 0, "it runs");
        ends(&cloud, &applied.resume.execution, Status::Failed);
        world.sleep(Duration::from_hours(23)).await;
        assert_eq!(sweep().await.condemned, 0, "it may be resumed");
        world.sleep(Duration::from_hours(2)).await;
        assert_eq!(sweep().await.condemned, 1);
        let soon = sweep().await;
        assert_eq!((soon.pardoned, soon.deleted), (0, 0), "not in the same hour");
        // Redriven by hand, and failed again.
        ends(&cloud, &applied.resume.execution, Status::Running);
        world.sleep(Duration::from_hours(1)).await;
        assert_eq!(sweep().await.pardoned, 1);
        ends(&cloud, &applied.resume.execution, Status::Failed);
        world.sleep(Duration::from_hours(25)).await;
        assert_eq!(sweep().await.condemned, 1);
        world.sleep(Duration::from_hours(1)).await;
        let swept = sweep().await;
        assert_eq!((swept.archived, swept.deleted, swept.failed), (1, 1, 0));
        assert!(cloud.state.borrow().archive.contains(&applied.resume.execution));
        assert_eq!(sweep().await.clones, 0, "it is forgotten");
        // The same request does not make it again.
        let again = apply(&cloud, &asked(&json!({"input": [6]}))).await.unwrap();
        assert_eq!((again.before, again.status), (true, None));
        assert_eq!(cloud.state.borrow().started.len(), 1);
    });
}
