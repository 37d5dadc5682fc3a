//! What a run held it holds again, with a new fence, before it goes on with what the lock protects.

use std::time::Duration;

use e2e::resume::Resumes;
use local_cloud::stubs::ActiveStub;
use local_cloud::{Fault, Outcome, StubbedCall, wait};
use serde_json::{Value, json};

use crate::{Tested, called, fails};

/// The lock.
const LOCK: &str = "warehouse";

/// What the lock's functions are asked again after.
fn retry() -> Value {
    json!([{"ErrorEquals": ["Lock.Unavailable"], "IntervalSeconds": 1, "MaxAttempts": 8}])
}

/// A state that takes a lock.
fn acquire(resumes: &Resumes, lock: &str, next: &str) -> Result<Value, local_cloud::Error> {
    Ok(json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": resumes.fleet.output("LockAcquireFunctionArn")?, "Payload": {
            "lock": lock,
            "executionArn.$": "$$.Execution.Id",
            "taskToken.$": "$$.Task.Token",
            "enteredTime.$": "$$.State.EnteredTime",
            "retryCount.$": "$$.State.RetryCount",
            "redriveCount.$": "$$.Execution.RedriveCount",
        }},
        "ResultPath": "$.lock",
        "Retry": retry(),
        "Next": next,
    }))
}

/// Takes the lock, works in two steps, gives it back.
fn locked(resumes: &Resumes) -> Result<Value, local_cloud::Error> {
    let mut work = crate::task(Some("More work"));
    work["ResultPath"] = json!("$.work");
    Ok(json!({"StartAt": "Acquire", "States": {
        "Acquire": acquire(resumes, LOCK, "Work")?,
        "Work": work,
        "More work": crate::task(Some("Release")),
        "Release": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": resumes.fleet.output("LockReleaseFunctionArn")?, "Payload": {
                "lock": LOCK,
                "executionArn.$": "$$.Execution.Id",
                "enteredTime.$": "$$.State.EnteredTime",
            }},
            "ResultPath": null,
            "Retry": retry(),
            "End": true,
        },
    }}))
}

/// What happens to the tasks of such a machine: the lock's are real.
fn with(work: Option<Outcome>) -> Vec<Outcome> {
    let real = ["Acquire", "Release"].map(|state| Outcome::of(state).real());
    work.into_iter().chain(real).collect()
}

/// A run that has failed at its second step, and whose lock is free again.
pub(crate) struct Failed {
    pub(crate) resumes: Resumes,
    machine: String,
    pub(crate) run: String,
    fence: i64,
}

impl Failed {
    async fn of(test: &str) -> Result<Self, Box<dyn std::error::Error>> {
        Self::with(Resumes::deploy(test).await?).await
    }

    pub(crate) async fn with(resumes: Resumes) -> Result<Self, Box<dyn std::error::Error>> {
        let outcomes = with(Some(fails("More work")));
        let (machine, stub) = resumes.stubbed("locked", &locked(&resumes)?, outcomes).await?;
        let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
        assert_eq!(run.error.as_deref(), Some("Stub.Failed"), "{run:?}");
        let calls = stub.calls().await?;
        let failed = Self {
            fence: fence_in(calls.iter().find(|call| call.original == "More work").ok_or("a call")?)?,
            run: run.arn,
            resumes,
            machine,
        };
        failed.held_by(&[]).await?;
        Ok(failed)
    }

    async fn held_by(&self, runs: &[&str]) -> Tested {
        held_by(&self.resumes, LOCK, runs).await
    }

    /// A run of another pipeline that has the lock, and works until its stub lets it go.
    async fn other(&self) -> Result<(String, ActiveStub), Box<dyn std::error::Error>> {
        let outcomes = with(Some(Outcome::of("Work").held()));
        let definition = locked(&self.resumes)?;
        let (machine, stub) = self.resumes.stubbed("neighbour", &definition, outcomes).await?;
        let run = self
            .resumes
            .account
            .start_execution(&machine, "other", &json!({}))
            .await?;
        self.resumes.comes_to(&stub, "Work").await?;
        Ok((run, stub))
    }

    /// Looks at the run that goes on while it works, and lets it end: the fence in its data, and that of the lock.
    async fn works(&self, stub: &ActiveStub, run: &str) -> Result<(i64, i64), Box<dyn std::error::Error>> {
        let call = self.resumes.comes_to(stub, "More work").await?;
        // It works already: there is nothing to wait for.
        let (holders, _) = self.resumes.lock(LOCK).await?;
        assert_eq!(holders.len(), 1, "{holders:?}");
        assert_eq!(holders[0]["executionArn"], run, "{holders:?}");
        let fences = (fence_in(&call)?, holders[0]["fence"].as_i64().ok_or("a fence")?);
        stub.release("More work").await?;
        let ended = self.resumes.ends(run).await?;
        assert!(ended.succeeded(), "{ended:?}");
        self.held_by(&[]).await?;
        Ok(fences)
    }
}

/// Waits until exactly these hold a lock.
pub(crate) async fn held_by(resumes: &Resumes, lock: &str, runs: &[&str]) -> Tested {
    let what = format!("the lock {lock} to be held by {runs:?}");
    wait::until(&what, e2e::lock::STEP_WITHIN, async || {
        let (holders, _) = resumes.lock(lock).await.map_err(|error| error.to_string())?;
        match runs_in(&holders) == runs {
            true => Ok(()),
            false => Err(format!("{holders:?}")),
        }
    })
    .await?;
    Ok(())
}

/// The runs in a list of `lock-admin`.
pub(crate) fn runs_in(list: &[Value]) -> Vec<&str> {
    list.iter().filter_map(|entry| entry["executionArn"].as_str()).collect()
}

/// A run that held two locks is to be redriven, and is refused, as somebody has the second one by now. Meanwhile another
/// run has come to wait for the first one. That run, and what is seen of its work.
pub(crate) async fn reserved_in_vain(resumes: &Resumes) -> Result<(String, ActiveStub), Box<dyn std::error::Error>> {
    let both = json!({"StartAt": "Alpha", "States": {
        "Alpha": acquire(resumes, "alpha", "Beta")?, "Beta": acquire(resumes, "beta", "Work")?, "Work": crate::task(None)}});
    let one = |lock| -> Result<Value, local_cloud::Error> {
        let acquire = acquire(resumes, lock, "Work")?;
        Ok(json!({"StartAt": "Acquire", "States": {"Acquire": acquire, "Work": crate::task(None)}}))
    };
    let real = || ["Alpha", "Beta", "Acquire"].map(|state| Outcome::of(state).real());
    let outcomes = [fails("Work")].into_iter().chain(real());
    let (machine, _) = resumes.stubbed("both", &both, outcomes).await?;
    let run = resumes.run(&machine, "run", &json!({})).await?;
    assert_eq!(run.error.as_deref(), Some("Stub.Failed"), "{run:?}");
    for lock in ["alpha", "beta"] {
        held_by(resumes, lock, &[]).await?;
    }
    let held = [Outcome::of("Work").held()].into_iter().chain(real());
    let (machine, stub) = resumes.stubbed("beta", &one("beta")?, held).await?;
    resumes.account.start_execution(&machine, "other", &json!({})).await?;
    resumes.comes_to(&stub, "Work").await?;
    // Time for somebody to come between the one lock and the other.
    let slow = Fault::delay("DynamoDB.GetItem", Duration::from_secs(5)).matching("##beta");
    let slow = resumes.account.fault(slow.from_functions().times(1)).await?;
    let request = json!({"executionArn": run.arn, "mode": "redrive", "apply": true});
    let waiter = async {
        held_by(resumes, "alpha", &[&run.arn]).await?;
        let held = [Outcome::of("Work").held()].into_iter().chain(real());
        let (machine, stub) = resumes.stubbed("alpha", &one("alpha")?, held).await?;
        let waiter = resumes.account.start_execution(&machine, "waiter", &json!({})).await?;
        Ok::<_, Box<dyn std::error::Error>>((waiter, stub))
    };
    let (refusal, waiter) = futures_util::join!(resumes.refusal(&request), waiter);
    let (waiter, stub) = waiter?;
    assert_eq!(refusal.error_type, "Resume.LockTaken", "{refusal}");
    assert_eq!(slow.hits().await?, 1);
    held_by(resumes, "alpha", &[&waiter]).await?;
    Ok((waiter, stub))
}

#[tokio::test]
async fn what_was_reserved_in_vain_is_handed_over() -> Tested {
    let resumes = Resumes::deploy("reserved in vain").await?;
    let (_, stub) = reserved_in_vain(&resumes).await?;
    resumes.comes_to(&stub, "Work").await?;
    let (_, waiters) = resumes.lock("alpha").await?;
    assert_eq!(runs_in(&waiters), [""; 0]);
    Ok(())
}

fn fence_in(call: &StubbedCall) -> Result<i64, String> {
    let fence = call.input["lock"]["fence"].as_i64();
    fence.ok_or_else(|| format!("no fence in {}", call.input))
}

#[tokio::test]
async fn a_clone_takes_the_lock_again_before_it_goes_on() -> Tested {
    let failed = Failed::of("clone holds").await?;
    let resumes = &failed.resumes;
    let request = json!({"executionArn": failed.run, "mode": "clone"});
    let plan = resumes.ask(&request).await?;
    assert_eq!(
        plan.0["holds"],
        json!([{"lock": LOCK, "state": "Acquire"}]),
        "{}",
        plan.0
    );
    let stub = resumes
        .restub(&failed.machine, with(Some(Outcome::of("More work").held())))
        .await?;
    let told = resumes.ask(&plan.0["apply"]).await?;
    let (told_fence, fence) = failed.works(&stub, told.execution()?).await?;
    assert!(
        told_fence == fence && fence > failed.fence,
        "{told_fence}, {fence}, {}",
        failed.fence
    );
    assert_eq!(called(&stub.calls().await?), ["Acquire", "More work", "Release"]);
    Ok(())
}

#[tokio::test]
async fn a_clone_waits_its_turn() -> Tested {
    let failed = Failed::of("clone waits").await?;
    let resumes = &failed.resumes;
    let (other, neighbours) = failed.other().await?;
    let stub = resumes
        .restub(&failed.machine, with(Some(Outcome::of("More work").held())))
        .await?;
    let told = resumes
        .ask(&json!({"executionArn": failed.run, "mode": "clone", "apply": true}))
        .await?;
    let run = told.execution()?;
    wait::until("the clone to queue", e2e::lock::STEP_WITHIN, async || {
        let (_, waiters) = resumes.lock(LOCK).await.map_err(|error| error.to_string())?;
        match waiters.as_slice() {
            [waiter] if waiter["executionArn"] == run => Ok(()),
            _ => Err(format!("{waiters:?}")),
        }
    })
    .await?;
    assert_eq!(called(&stub.calls().await?), ["Acquire"]);
    neighbours.release("Work").await?;
    assert!(resumes.ends(&other).await?.succeeded());
    let (told_fence, fence) = failed.works(&stub, run).await?;
    assert!(told_fence == fence && fence > failed.fence + 1, "{told_fence}, {fence}");
    Ok(())
}

/// Step Functions tells of a redrive when the run works already, and here it never does.
#[tokio::test]
async fn a_redriven_run_has_the_lock_when_it_begins_to_work() -> Tested {
    let failed = Failed::of("redrive holds").await?;
    let resumes = &failed.resumes;
    resumes.account.fault(Fault::drop_events().matching("RUNNING")).await?;
    let stub = resumes
        .restub(&failed.machine, with(Some(Outcome::of("More work").held())))
        .await?;
    let told = resumes.ask(&json!({"executionArn": failed.run, "apply": true})).await?;
    assert_eq!(
        (told.strategy(), told.execution()?),
        ("redrive", failed.run.as_str()),
        "{}",
        told.0
    );
    let (_, fence) = failed.works(&stub, &failed.run).await?;
    assert!(fence > failed.fence, "{fence}, {}", failed.fence);
    assert_eq!(called(&stub.calls().await?), ["More work", "Release"]);
    Ok(())
}

#[tokio::test]
async fn a_redrive_whose_lock_somebody_has_becomes_a_clone_or_is_refused() -> Tested {
    let failed = Failed::of("redrive taken").await?;
    let resumes = &failed.resumes;
    let (other, neighbours) = failed.other().await?;
    let only = json!({"executionArn": failed.run, "mode": "redrive", "apply": true});
    let refusal = resumes.refusal(&only).await;
    assert_eq!(refusal.error_type, "Resume.LockTaken", "{refusal}");
    assert!(refusal.error_message.contains("other of neighbour"), "{refusal}");
    let stub = resumes
        .restub(&failed.machine, with(Some(Outcome::of("More work").held())))
        .await?;
    let plan = resumes.ask(&json!({"executionArn": failed.run})).await?;
    assert_eq!(plan.strategy(), "redrive");
    let told = resumes.ask(&plan.0["apply"]).await?;
    assert_eq!(told.strategy(), "clone", "{}", told.0);
    // Asked again, as it was planned, it is the same.
    let again = resumes.ask(&plan.0["apply"]).await?;
    assert_eq!(
        (again.execution()?, &again.0["appliedBefore"]),
        (told.execution()?, &json!(true))
    );
    neighbours.release("Work").await?;
    assert!(resumes.ends(&other).await?.succeeded());
    let (told_fence, fence) = failed.works(&stub, told.execution()?).await?;
    assert!(told_fence == fence && fence > failed.fence + 1, "{told_fence}, {fence}");
    Ok(())
}

#[tokio::test]
async fn what_was_given_back_is_not_taken_again() -> Tested {
    let resumes = Resumes::deploy("given back").await?;
    let mut definition = locked(&resumes)?;
    definition["States"]["Release"]["Next"] = json!("After");
    definition["States"]["Release"]
        .as_object_mut()
        .map(|release| release.remove("End"));
    definition["States"]["After"] = crate::task(None);
    let outcomes = with(Some(fails("After")));
    let (machine, _) = resumes.stubbed("locked", &definition, outcomes).await?;
    let run = resumes.run(&machine, "run", &json!({})).await?;
    let stub = resumes.restub(&machine, with(None)).await?;
    let plan = resumes.ask(&json!({"executionArn": run.arn, "mode": "clone"})).await?;
    assert_eq!(plan.0["holds"], json!([]), "{}", plan.0);
    let told = resumes.ask(&plan.0["apply"]).await?;
    assert!(resumes.ends(told.execution()?).await?.succeeded());
    assert_eq!(called(&stub.calls().await?), ["After"]);
    Ok(())
}

/// The overlap guard's claim is one of the run that asked: the clone asks for itself, and whoever comes then sees it.
#[tokio::test]
async fn a_clone_asks_the_guard_for_itself() -> Tested {
    let resumes = Resumes::deploy("guarded").await?;
    let guard = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": resumes.fleet.output("OverlapGuardFunctionArn")?, "Payload": {
            "executionArn.$": "$$.Execution.Id",
            "stateMachineArn.$": "$$.StateMachine.Id",
            "enteredTime.$": "$$.State.EnteredTime",
            "retryCount.$": "$$.State.RetryCount",
            "redriveCount.$": "$$.Execution.RedriveCount",
        }},
        "ResultPath": null,
        "Next": "First",
    });
    let mut definition = crate::tasks(&["First", "Second"]);
    definition["StartAt"] = json!("Guard");
    definition["States"]["Guard"] = guard;
    let real = || Outcome::of("Guard").real();
    let (machine, _) = resumes
        .stubbed("guarded", &definition, [fails("Second"), real()])
        .await?;
    let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
    assert_eq!(run.error.as_deref(), Some("Stub.Failed"), "{run:?}");
    let stub = resumes.restub(&machine, [Outcome::of("Second").held(), real()]).await?;
    let plan = resumes.ask(&json!({"executionArn": run.arn, "mode": "clone"})).await?;
    assert_eq!(
        plan.0["holds"],
        json!([{"lock": "overlap", "state": "Guard"}]),
        "{}",
        plan.0
    );
    let told = resumes.ask(&plan.0["apply"]).await?;
    resumes.comes_to(&stub, "Second").await?;
    let next = resumes.run(&machine, "next", &json!({"n": 2})).await?;
    assert_eq!(next.error.as_deref(), Some("OverlapGuard.Overlapping"), "{next:?}");
    stub.release("Second").await?;
    let ended = resumes.ends(told.execution()?).await?;
    assert!(ended.succeeded(), "{ended:?}");
    let states: Vec<_> = stub.calls().await?.iter().map(|call| call.original.clone()).collect();
    assert_eq!(states, ["Guard", "Second", "Guard"]);
    Ok(())
}
