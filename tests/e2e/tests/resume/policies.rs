//! Every permission that the template gives the function is needed: without any one of them something fails for want of it.

use std::time::Duration;

use e2e::policies::{Permission, each_is_needed};
use e2e::resume::Resumes;
use local_cloud::FunctionError;
use serde_json::{Value, json};

use crate::locks::{Failed, reserved_in_vain, runs_in};
use crate::sweep::{impatient, later, resumed, sweep};
use crate::{Tested, fails, tasks};

/// How long is waited for what must not come.
const QUIET: Duration = Duration::from_secs(2);

/// The fleet without a permission.
async fn deploy(permission: Permission) -> Result<Resumes, Box<dyn std::error::Error>> {
    let fleet = permission.taken_away(env!("CARGO_TARGET_TMPDIR"))?;
    Ok(Resumes::of(&permission.test(), impatient(&fleet)?).await?)
}

fn is_denied<T: std::fmt::Debug>(permission: Permission, answer: Result<T, FunctionError>) {
    let error = answer.expect_err("a permission is missing");
    assert_eq!(
        error.error_type,
        "Resume.AccessDenied",
        "{}: {error}",
        permission.test()
    );
    assert!(
        error.error_message.contains(permission.action()),
        "{}: {error}",
        permission.test()
    );
}

/// A run that has failed, and would succeed now.
async fn failed(resumes: &Resumes) -> Result<String, Box<dyn std::error::Error>> {
    let definition = tasks(&["First", "Second"]);
    let (machine, _) = resumes.stubbed("orders", &definition, [fails("Second")]).await?;
    let run = resumes.run(&machine, "run", &json!({})).await?;
    resumes.restub(&machine, []).await?;
    Ok(run.arn)
}

#[tokio::test]
async fn of_resume() -> Tested {
    each_is_needed("ResumeFunction", async |permission| {
        let resumes = deploy(permission).await?;
        let ask = async |more: Value| {
            let mut request = json!({"executionArn": failed(&resumes).await.unwrap_or_default()});
            for (field, value) in more.as_object().into_iter().flatten() {
                request[field] = value.clone();
            }
            resumes.ask(&request).await
        };
        match permission.action() {
            "states:DescribeExecution" | "states:DescribeStateMachineForExecution" | "states:GetExecutionHistory" => {
                is_denied(permission, ask(json!({})).await);
            }
            "states:DescribeStateMachine" => is_denied(permission, ask(json!({"definition": "latest"})).await),
            "states:ListExecutions"
            | "states:RedriveExecution"
            | "dynamodb:PutItem"
            | "dynamodb:Query"
            | "dynamodb:UpdateItem" => is_denied(permission, ask(json!({"apply": true})).await),
            "dynamodb:GetItem" => {
                let held = Failed::with(resumes).await?;
                let request = json!({"executionArn": held.run, "apply": true});
                is_denied(permission, held.resumes.ask(&request).await);
            }
            "states:ListTagsForResource" => is_denied(permission, ask(json!({"mode": "clone", "apply": true})).await),
            "states:DeleteStateMachine" | "s3:PutObject" => {
                let (stub, told) = resumed(&resumes, "orders").await?;
                stub.release("Second").await?;
                resumes.ends(told.execution()?).await?;
                sweep(&resumes).await?;
                later(&resumes, &told.machine().ok_or("a clone")?).await?;
                let swept = sweep(&resumes).await?;
                let counts = [&swept["failed"], &swept["deleted"]];
                assert_eq!(counts, [&json!(1), &json!(0)], "{}: {swept}", permission.test());
            }
            "dynamodb:DeleteItem" => {
                let (waiter, _) = reserved_in_vain(&resumes).await?;
                // Its place outlives its wait.
                let (_, waiters) = resumes.lock("alpha").await?;
                assert_eq!(runs_in(&waiters), [waiter.as_str()], "{}", permission.test());
            }
            "states:SendTaskSuccess" => {
                let (_, stub) = reserved_in_vain(&resumes).await?;
                #[allow(clippy::disallowed_methods, reason = "something that is not to happen")]
                tokio::time::sleep(QUIET).await;
                let calls = stub.calls().await?;
                let works = calls.iter().any(|call| call.original == "Work");
                assert!(
                    !works,
                    "{}: it has the lock, and was told: {calls:?}",
                    permission.test()
                );
            }
            _ => return Err("what is it for?".into()),
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_the_clones_of_resume() -> Tested {
    each_is_needed("ResumeClonePolicy", async |permission| {
        let resumes = deploy(permission).await?;
        let run = failed(&resumes).await?;
        let clone = json!({"executionArn": run, "mode": "clone"});
        let plan = resumes.ask(&clone).await?;
        is_denied(permission, resumes.ask(&plan.0["apply"]).await);
        Ok(())
    })
    .await
}

/// A run of a pipeline whose name does not begin with the prefix cannot even be looked at.
#[tokio::test]
async fn pipelines_outside_the_prefix_are_not_resumed() -> Tested {
    let fleet = local_cloud::Stack::fleet().parameter("Alerts", "false");
    let resumes = Resumes::of("resume prefix", fleet.parameter("PipelineNamePrefix", "invoices")).await?;
    let run = failed(&resumes).await?;
    let refusal = resumes.refusal(&json!({"executionArn": run})).await;
    assert_eq!(refusal.error_type, "Resume.AccessDenied", "{refusal}");
    Ok(())
}
