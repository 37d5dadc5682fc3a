//! A resume happens once, however often it is asked for, and whatever the function dies of.

use e2e::resume::{Resumes, Told};
use local_cloud::stubs::ActiveStub;
use local_cloud::{Fault, Outcome};
use serde_json::{Value, json};

use crate::{Tested, called, fails, tasks};

/// A run that has failed at its second task, and waits at its third one when it is resumed.
struct Failed {
    resumes: Resumes,
    machine: String,
    run: String,
    stub: ActiveStub,
}

impl Failed {
    async fn of(test: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let resumes = Resumes::deploy(test).await?;
        let definition = tasks(&["First", "Second", "Third"]);
        let (machine, _) = resumes.stubbed("orders", &definition, [fails("Second")]).await?;
        let run = resumes.run(&machine, "run", &json!({"n": 1})).await?.arn;
        let stub = resumes.restub(&machine, [Outcome::of("Third").held()]).await?;
        Ok(Self {
            resumes,
            machine,
            run,
            stub,
        })
    }

    fn request(&self, mode: &str) -> Value {
        json!({"executionArn": self.run, "mode": mode, "apply": true, "reason": "a test", "by": "sam"})
    }

    async fn apply(&self, mode: &str) -> Result<Told, local_cloud::FunctionError> {
        self.resumes.ask(&self.request(mode)).await
    }

    /// Lets the run that goes on end, and looks at all that has happened.
    async fn ends_once(&self, told: &Told) -> Tested {
        let run = told.execution()?;
        self.resumes.comes_to(&self.stub, "Third").await?;
        self.stub.release("Third").await?;
        let ended = self.resumes.ends(run).await?;
        assert!(ended.succeeded(), "{ended:?}");
        assert_eq!(called(&self.stub.calls().await?), ["Second", "Third"]);
        let machines = self.resumes.account.state_machines().await?;
        let names = machines.iter().map(|machine| machine.name.as_str());
        let clones: Vec<&str> = names.filter(|name| name.contains("--r-")).collect();
        assert_eq!(clones.len(), usize::from(told.strategy() == "clone"), "{clones:?}");
        for machine in told.machine().iter().chain([&self.machine]) {
            let runs = self.resumes.account.sfn().list_executions().state_machine_arn(machine);
            assert_eq!(runs.send().await?.executions.len(), 1, "{machine}");
        }
        Ok(())
    }
}

/// That it was this resume, done before.
fn was_before(told: &Told, first: &Told) {
    assert_eq!(told.0["appliedBefore"], true, "{}", told.0);
    for field in ["executionArn", "planHash", "stateMachineArn", "strategy"] {
        assert_eq!(told.0[field], first.0[field], "{field} of {}", told.0);
    }
}

#[tokio::test]
async fn the_same_request_again_is_answered_with_the_same_run_also_after_its_end() -> Tested {
    for mode in ["clone", "redrive"] {
        let failed = Failed::of(&format!("again, {mode}")).await?;
        let first = failed.apply(mode).await?;
        assert_eq!(
            (first.strategy(), &first.0["appliedBefore"]),
            (mode, &json!(false)),
            "{}",
            first.0
        );
        was_before(&failed.apply(mode).await?, &first);
        failed.ends_once(&first).await?;
        let told = failed.apply(mode).await?;
        was_before(&told, &first);
        assert_eq!(told.0["status"], "SUCCEEDED", "{}", told.0);
    }
    Ok(())
}

#[tokio::test]
async fn of_several_applies_at_once_one_is_done() -> Tested {
    for mode in ["clone", "redrive"] {
        let failed = Failed::of(&format!("at once, {mode}")).await?;
        let asks = [failed.apply(mode), failed.apply(mode), failed.apply(mode)];
        let told = futures_util::future::join_all(asks).await;
        let told: Vec<Told> = told.into_iter().collect::<Result<_, _>>()?;
        for other in &told[1..] {
            assert_eq!(other.execution()?, told[0].execution()?);
            assert_eq!(other.0["planHash"], told[0].0["planHash"]);
        }
        failed.ends_once(&told[0]).await?;
    }
    Ok(())
}

/// The call takes effect, and the function never hears of it: as if it had been killed just then.
async fn killed_after(mode: &str, call: &str, kills: u32) -> Tested {
    let failed = Failed::of(&format!("killed after {call}")).await?;
    let account = &failed.resumes.account;
    // As often as the SDK tries.
    let fault = Fault::apply_then_fail(call).from_functions().times(kills);
    let fault = account.fault(fault).await?;
    let error = failed.apply(mode).await.expect_err("the call failed");
    assert_eq!(error.error_type, "Resume.Unavailable", "{call}: {error}");
    assert!(fault.hits().await? > 0, "{call}");
    fault.clear().await?;
    let told = failed.apply(mode).await?;
    assert_eq!(told.strategy(), mode);
    failed.ends_once(&told).await?;
    was_before(&failed.apply(mode).await?, &told);
    Ok(())
}

#[tokio::test]
async fn a_function_that_died_after_it_made_the_clone_goes_on_there() -> Tested {
    killed_after("clone", "States.CreateStateMachine", 100).await
}

#[tokio::test]
async fn a_function_that_died_after_it_started_the_run_finds_it() -> Tested {
    killed_after("clone", "States.StartExecution", 100).await
}

#[tokio::test]
async fn a_function_that_died_after_the_redrive_finds_it() -> Tested {
    killed_after("redrive", "States.RedriveExecution", 100).await
}

#[tokio::test]
async fn a_function_that_died_at_any_note_goes_on_there() -> Tested {
    for mode in ["clone", "redrive"] {
        let mut deaths = 0;
        for call in ["DynamoDB.PutItem", "DynamoDB.UpdateItem", "DynamoDB.TransactWriteItems"] {
            let failed = Failed::of(&format!("{mode}, killed after {call}")).await?;
            let account = &failed.resumes.account;
            let fault = Fault::apply_then_fail(call).from_functions().times(100);
            let fault = account.fault(fault).await?;
            let told = failed.apply(mode).await;
            let hits = fault.hits().await?;
            deaths += usize::from(hits > 0);
            fault.clear().await?;
            // Of some calls there is none in this mode.
            assert_eq!(told.is_err(), hits > 0, "{mode} {call}: {told:?}");
            let told = failed.apply(mode).await?;
            failed.ends_once(&told).await?;
        }
        assert!(deaths > 0, "{mode} notes nothing");
    }
    Ok(())
}

#[tokio::test]
async fn who_asks_again_after_a_second_failure_means_that() -> Tested {
    let failed = Failed::of("fails again").await?;
    let resumes = &failed.resumes;
    let request = json!({"executionArn": failed.run, "apply": true});
    for turn in 1..=2 {
        resumes.restub(&failed.machine, [fails("Second")]).await?;
        let told = resumes.ask(&request).await?;
        assert_eq!(
            (told.strategy(), &told.0["appliedBefore"]),
            ("redrive", &json!(false)),
            "{}",
            told.0
        );
        let ended = resumes.ends(&failed.run).await?;
        assert_eq!(ended.error.as_deref(), Some("Stub.Failed"), "{turn}: {ended:?}");
    }
    resumes.restub(&failed.machine, []).await?;
    let told = resumes.ask(&request).await?;
    assert_eq!(told.0["origin"]["redriveCount"], 2, "{}", told.0);
    assert!(resumes.ends(&failed.run).await?.succeeded());
    Ok(())
}
