//! What is refused, by which name, and what can be done then.

use aws_sdk_sfn::types::{ExecutionStatus, StateMachineType};
use e2e::resume::Resumes;
use local_cloud::{Outcome, Stack};
use serde_json::{Value, json};

use crate::{Tested, called, fails, task, tasks};

/// A run whose second task fails, of a machine of its own.
async fn failed(resumes: &Resumes, name: &str) -> Result<(String, String), Box<dyn std::error::Error>> {
    let definition = tasks(&["First", "Second", "Third"]);
    let (machine, _) = resumes.stubbed(name, &definition, [fails("Second")]).await?;
    let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
    assert_eq!(run.error.as_deref(), Some("Stub.Failed"), "{run:?}");
    resumes.restub(&machine, []).await?;
    Ok((machine, run.arn))
}

#[tokio::test]
async fn what_cannot_be_understood_or_does_not_exist_is_refused_by_name() -> Tested {
    let resumes = Resumes::deploy("bad requests").await?;
    let (machine, run) = failed(&resumes, "orders").await?;
    let with = |field: &str, value: Value| {
        let mut request = json!({"executionArn": run});
        request[field] = value;
        request
    };
    let hash = "0".repeat(64);
    for (request, name, says) in [
        (json!({}), "BadRequest", "executionArn"),
        (with("executionArn", json!(machine)), "BadRequest", "executionArn: "),
        (with("form", json!("Second")), "BadRequest", "form"),
        (with("mode", json!("new")), "BadRequest", "mode"),
        (with("planHash", json!(hash)), "BadRequest", "planHash"),
        (with("definition", json!("newest")), "BadRequest", "definition: "),
        (
            with("executionArn", json!(format!("{run}-never"))),
            "NotFound",
            "has no execution",
        ),
        (with("from", json!("Fourth")), "NoSuchState", "\"Fourth\""),
        (with("from", json!("Third")), "NeedsInput", "did not come to \"Third\""),
        (
            json!({"executionArn": run, "apply": true, "planHash": hash}),
            "PlanChanged",
            "planHash: the plan is",
        ),
    ] {
        let refusal = resumes.refusal(&request).await;
        assert_eq!(refusal.error_type, format!("Resume.{name}"), "{request}: {refusal}");
        assert!(refusal.error_message.contains(says), "{request}: {refusal}");
    }
    // Nothing of it has changed anything.
    let (told, ended) = resumes.resume(&json!({"executionArn": run})).await?;
    assert_eq!((told.strategy(), ended.status), ("redrive", ExecutionStatus::Succeeded));
    Ok(())
}

#[tokio::test]
async fn a_run_that_has_not_ended_is_waited_for() -> Tested {
    let resumes = Resumes::deploy("still running").await?;
    let definition = tasks(&["First", "Second"]);
    let held = Outcome::of("Second").held();
    let (machine, stub) = resumes.stubbed("orders", &definition, [held]).await?;
    let run = resumes.account.start_execution(&machine, "run", &json!({})).await?;
    resumes.comes_to(&stub, "Second").await?;
    let request = json!({"executionArn": run});
    assert_eq!(resumes.refusal(&request).await.error_type, "Resume.StillRunning");
    stub.release("Second").await?;
    assert!(resumes.ends(&run).await?.succeeded());
    let refusal = resumes.refusal(&request).await;
    assert_eq!(refusal.error_type, "Resume.NothingFailed", "{refusal}");
    Ok(())
}

#[tokio::test]
async fn a_run_that_succeeded_goes_on_from_a_state_that_is_named() -> Tested {
    let resumes = Resumes::deploy("succeeded").await?;
    let definition = tasks(&["First", "Second", "Third"]);
    let (machine, _) = resumes.stubbed("orders", &definition, []).await?;
    let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
    let stub = resumes.restub(&machine, []).await?;
    let request = json!({"executionArn": run.arn, "from": "Second"});
    let (told, ended) = resumes.resume(&request).await?;
    assert_eq!((told.strategy(), &ended.output), ("clone", &run.output), "{ended:?}");
    assert_eq!(called(&stub.calls().await?), ["Second", "Third"]);
    Ok(())
}

#[tokio::test]
async fn an_express_execution_leaves_nothing_to_go_on_from() -> Tested {
    let resumes = Resumes::deploy("express").await?;
    let (machine, _) = resumes.stubbed("orders", &tasks(&["First"]), []).await?;
    let described = resumes
        .account
        .sfn()
        .describe_state_machine()
        .state_machine_arn(&machine);
    let described = described.send().await?;
    let express = resumes.account.sfn().create_state_machine().name("quick");
    let express = express
        .r#type(StateMachineType::Express)
        .definition(described.definition)
        .role_arn(described.role_arn);
    let express = express.send().await?.state_machine_arn;
    let run = resumes.account.start_execution(&express, "run", &json!({})).await?;
    let refusal = resumes.refusal(&json!({"executionArn": run})).await;
    assert_eq!(refusal.error_type, "Resume.BadRequest", "{refusal}");
    assert!(refusal.error_message.contains("EXPRESS"), "{refusal}");
    Ok(())
}

/// A definition whose failure ends in a Fail: by a Catch, or by a Choice.
fn ends_in_a_fail() -> Value {
    let mut definition = tasks(&["First", "Second", "Third"]);
    let states = &mut definition["States"];
    states["Second"]["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Tell"}]);
    states["Tell"] = task(Some("Failed"));
    states["Failed"] = json!({"Type": "Fail", "Error": "Orders.Failed", "Cause": "somebody was told"});
    states["Second"]["Next"] = json!("Good?");
    states["Good?"] = json!({
        "Type": "Choice",
        "Choices": [{"And": [
            {"Variable": "$.result.good", "IsPresent": true},
            {"Variable": "$.result.good", "BooleanEquals": false},
        ], "Next": "Bad"}],
        "Default": "Third",
    });
    states["Bad"] = json!({"Type": "Fail", "Error": "Orders.Bad"});
    states["Third"]["Parameters"] = json!({"n.$": "$.n"});
    definition
}

#[tokio::test]
async fn a_failure_that_was_caught_is_resumed_where_it_was_caught() -> Tested {
    let resumes = Resumes::deploy("caught").await?;
    let (machine, _) = resumes.stubbed("orders", &ends_in_a_fail(), [fails("Second")]).await?;
    let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
    assert_eq!(run.error.as_deref(), Some("Orders.Failed"), "{run:?}");
    let redrive = resumes
        .refusal(&json!({"executionArn": run.arn, "mode": "redrive"}))
        .await;
    assert_eq!(redrive.error_type, "Resume.NotRedrivable", "{redrive}");
    let stub = resumes.restub(&machine, []).await?;
    let plan = resumes.ask(&json!({"executionArn": run.arn})).await?.0;
    assert!(
        plan["failedAt"].as_str().unwrap_or_default().contains("\"Second\""),
        "{plan}"
    );
    assert_eq!(plan["handledBy"], "Tell", "{plan}");
    let (told, ended) = resumes.resume(&json!({"executionArn": run.arn})).await?;
    assert_eq!(told.strategy(), "clone");
    assert!(ended.succeeded(), "{ended:?}");
    assert_eq!(called(&stub.calls().await?), ["Second", "Third"]);
    Ok(())
}

#[tokio::test]
async fn a_fail_state_that_nothing_was_caught_before_would_fail_again() -> Tested {
    let resumes = Resumes::deploy("would fail again").await?;
    let bad = Outcome::of("Second").succeeds(json!({"good": false}));
    let (machine, _) = resumes.stubbed("orders", &ends_in_a_fail(), [bad]).await?;
    let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
    assert_eq!(run.error.as_deref(), Some("Orders.Bad"), "{run:?}");
    let refusal = resumes.refusal(&json!({"executionArn": run.arn})).await;
    assert_eq!(refusal.error_type, "Resume.WouldFailAgain", "{refusal}");
    for candidate in ["Second", "Good?"] {
        assert!(refusal.error_message.contains(&format!("\"{candidate}\"")), "{refusal}");
    }
    let stub = resumes.restub(&machine, []).await?;
    let (_, ended) = resumes
        .resume(&json!({"executionArn": run.arn, "from": "Second"}))
        .await?;
    assert!(ended.succeeded(), "{ended:?}");
    assert_eq!(called(&stub.calls().await?), ["Second", "Third"]);
    Ok(())
}

#[tokio::test]
async fn without_roles_that_may_be_passed_there_are_redrives_alone() -> Tested {
    let roles = "arn:aws:iam::123456789012:role/another";
    let resumes = Resumes::with_roles("clones off", Stack::fleet().parameter("Alerts", "false"), roles).await?;
    let (_, run) = failed(&resumes, "orders").await?;
    let clone = json!({"executionArn": run, "mode": "clone"});
    let plan = resumes.ask(&clone).await?;
    assert_eq!(plan.strategy(), "clone");
    let refusal = resumes.refusal(&plan.0["apply"]).await;
    assert_eq!(refusal.error_type, "Resume.ClonesOff", "{refusal}");
    assert!(refusal.error_message.contains(":role/pipeline"), "{refusal}");
    assert!(refusal.error_message.contains("ResumeRoleArns"), "{refusal}");
    let (told, ended) = resumes.resume(&json!({"executionArn": run})).await?;
    assert_eq!((told.strategy(), ended.succeeded()), ("redrive", true), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn another_run_of_the_pipeline_is_in_the_way() -> Tested {
    let resumes = Resumes::deploy("overlapping").await?;
    let (machine, run) = failed(&resumes, "orders").await?;
    let stub = resumes.restub(&machine, [Outcome::of("Third").held()]).await?;
    let other = resumes.account.start_execution(&machine, "other", &json!({})).await?;
    resumes.comes_to(&stub, "Third").await?;
    for mode in ["clone", "redrive"] {
        let refusal = resumes
            .refusal(&json!({"executionArn": run, "mode": mode, "apply": true}))
            .await;
        assert_eq!(refusal.error_type, "Resume.Overlapping", "{refusal}");
        assert!(refusal.error_message.contains(&other), "{refusal}");
    }
    let allowed = json!({"executionArn": run, "mode": "clone", "apply": true, "allowOverlap": true});
    let told = resumes.ask(&allowed).await?;
    let clone = told.execution()?.to_owned();
    resumes
        .account
        .stop_execution(&other, "Test.Stopped", "by the test")
        .await?;
    resumes.ends(&other).await?;
    // A run of a clone is a run of the pipeline: another run is not resumed beside it.
    let refusal = resumes.refusal(&json!({"executionArn": other, "apply": true})).await;
    assert_eq!(refusal.error_type, "Resume.Overlapping", "{refusal}");
    assert!(refusal.error_message.contains(&clone), "{refusal}");
    resumes.comes_to(&stub, "Third").await?;
    stub.release("Third").await?;
    assert!(resumes.ends(&clone).await?.succeeded());
    resumes.restub(&machine, []).await?;
    let (told, ended) = resumes.resume(&json!({"executionArn": other})).await?;
    assert_eq!((told.strategy(), ended.succeeded()), ("redrive", true), "{ended:?}");
    Ok(())
}
