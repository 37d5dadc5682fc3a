//! A run goes on with something changed: its input, its variables, its definition, its waits.

use aws_sdk_sfn::types::ExecutionStatus;
use e2e::resume::Resumes;
use local_cloud::Outcome;
use serde_json::{Value, json};

use crate::{Tested, called, codes, fails, task, tasks};

/// The second task, as it is written, cannot work out what it is given.
fn broken() -> Value {
    let mut definition = tasks(&["First", "Second", "Third"]);
    definition["States"]["Second"]["Parameters"] = json!({"currency.$": "$.order.currency"});
    definition
}

#[tokio::test]
async fn a_corrected_input_ends_as_if_it_had_been_right() -> Tested {
    let resumes = Resumes::deploy("corrected input").await?;
    let right = json!({"order": {"n": 4, "currency": "EUR"}});
    let (machine, _) = resumes.stubbed("orders", &broken(), []).await?;
    let expected = resumes.run(&machine, "right", &right).await?;
    let run = resumes.run(&machine, "run", &json!({"order": {"n": 4}})).await?;
    assert_eq!(run.error.as_deref(), Some("States.Runtime"), "{run:?}");
    let plan = resumes.ask(&json!({"executionArn": run.arn})).await?;
    assert_eq!(plan.0["resumesAt"], json!(["Task \"Second\""]), "{}", plan.0);
    let mut corrected = right.clone();
    corrected["result"] = json!("what the first task has made of it");
    let stub = resumes.restub(&machine, []).await?;
    let (told, ended) = resumes
        .resume(&json!({"executionArn": run.arn, "input": corrected}))
        .await?;
    assert_eq!(told.strategy(), "clone", "{}", told.0);
    assert!(
        told.0["why"].as_str().is_some_and(|why| why.contains("input")),
        "{}",
        told.0
    );
    assert_eq!(called(&stub.calls().await?), ["Second", "Third"]);
    assert_eq!(ended.output, expected.output, "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_definition_that_was_repaired_goes_on_with_what_was_done() -> Tested {
    let resumes = Resumes::deploy("repaired").await?;
    let (machine, _) = resumes.stubbed("orders", &broken(), []).await?;
    let input = json!({"order": {"n": 4}});
    let repaired = tasks(&["First", "Second", "Third"]);
    for (name, definition) in [("given", repaired.clone()), ("latest", json!("latest"))] {
        let run = resumes.run(&machine, name, &input).await?;
        if name == "latest" {
            let update = resumes.account.sfn().update_state_machine().state_machine_arn(&machine);
            update.definition(repaired.to_string()).send().await?;
        }
        let stub = resumes.restub(&machine, []).await?;
        let request = json!({"executionArn": run.arn, "definition": definition});
        let plan = resumes.ask(&request).await?;
        assert!(codes(&plan.0).contains(&"DefinitionDiffers"), "{}", plan.0);
        let redrive = json!({"executionArn": run.arn, "definition": definition, "mode": "redrive"});
        assert_eq!(resumes.refusal(&redrive).await.error_type, "Resume.NotRedrivable");
        let (told, ended) = resumes.resume(&request).await?;
        assert_eq!((told.strategy(), ended.succeeded()), ("clone", true), "{ended:?}");
        assert_eq!(called(&stub.calls().await?), ["Second", "Third"], "{name}");
    }
    // What ran is what it goes on with, unless somebody says otherwise, and that fails again.
    let run = format!("{}:given", machine.replace(":stateMachine:", ":execution:"));
    let (_, ended) = resumes
        .resume(&json!({"executionArn": run, "mode": "clone", "reason": "the old definition"}))
        .await?;
    assert_eq!(ended.error.as_deref(), Some("States.Runtime"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_definition_that_does_not_fit_what_was_done_is_refused() -> Tested {
    let resumes = Resumes::deploy("shape").await?;
    let both = |branches: &[&str]| {
        let branches: Vec<Value> = branches.iter().map(|name| tasks(&[name])).collect();
        json!({"StartAt": "Both", "States": {
            "Both": {"Type": "Parallel", "Branches": branches, "ResultPath": "$.both", "Next": "Last"},
            "Last": task(None),
        }})
    };
    let (machine, stub) = resumes
        .stubbed("orders", &both(&["Left", "Right"]), [fails("Right").held()])
        .await?;
    let run = resumes.account.start_execution(&machine, "run", &json!({})).await?;
    resumes.comes_to(&stub, "Right").await?;
    stub.release("Right").await?;
    assert_eq!(resumes.ends(&run).await?.status, ExecutionStatus::Failed);
    let mut elsewhere = both(&["Left", "Right"]);
    elsewhere["States"]["Both"]["Branches"][1] = tasks(&["Other"]);
    let nothing = json!({"StartAt": "Both", "States": {}});
    for (definition, name) in [
        (both(&["Left"]), "ShapeChanged"),
        (both(&["Left", "Right", "Third"]), "ShapeChanged"),
        (elsewhere, "ShapeChanged"),
        (tasks(&["Both", "Last"]), "ShapeChanged"),
        (nothing, "BadDefinition"),
    ] {
        let request = json!({"executionArn": run, "definition": definition});
        let refusal = resumes.refusal(&request).await;
        assert_eq!(refusal.error_type, format!("Resume.{name}"), "{definition}: {refusal}");
    }
    // What is not reached any more may look as it likes.
    let mut longer = both(&["Left", "Right"]);
    longer["States"]["Last"]["Next"] = json!("New");
    longer["States"]["Last"].as_object_mut().map(|last| last.remove("End"));
    longer["States"]["New"] = task(None);
    let stub = resumes.restub(&machine, []).await?;
    let (_, ended) = resumes
        .resume(&json!({"executionArn": run, "definition": longer}))
        .await?;
    assert!(ended.succeeded(), "{ended:?}");
    assert_eq!(called(&stub.calls().await?), ["Right", "Last", "New"]);
    Ok(())
}

#[tokio::test]
async fn variables_are_laid_over_those_that_are_restored() -> Tested {
    let resumes = Resumes::deploy("variables").await?;
    let work = |arguments: &str, next: Option<&str>| {
        let mut work = task(next);
        work["Arguments"] = json!(arguments);
        work.as_object_mut().map(|work| work.remove("ResultPath"));
        work
    };
    let mut set = json!({"Type": "Pass", "Assign": {"limit": 5, "kept": {"a": [1, null]}}, "Next": "Use"});
    set["Output"] = json!("{% $states.input %}");
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Set", "States": {
        "Set": set,
        "Use": work("{% [$limit, $kept] %}", Some("Again")),
        "Again": work("{% [$kept, $limit] %}", None),
    }});
    let (machine, _) = resumes.stubbed("orders", &definition, [fails("Use")]).await?;
    let run = resumes.run(&machine, "run", &json!({})).await?;
    let stub = resumes.restub(&machine, []).await?;
    let plan = resumes.ask(&json!({"executionArn": run.arn, "mode": "clone"})).await?;
    assert_eq!(plan.0["variables"], json!({"": ["kept", "limit"]}), "{}", plan.0);
    let request = json!({"executionArn": run.arn, "variables": {"limit": "{% 1 + 1 %}"}});
    let (told, ended) = resumes.resume(&request).await?;
    assert_eq!((told.strategy(), ended.succeeded()), ("clone", true), "{ended:?}");
    let calls = stub.calls().await?;
    let given: Vec<&Value> = calls.iter().map(|call| &call.input).collect();
    let kept = json!({"a": [1, null]});
    assert_eq!(given, [&json!(["{% 1 + 1 %}", kept]), &json!([kept, "{% 1 + 1 %}"])]);
    Ok(())
}

#[tokio::test]
async fn a_state_that_is_skipped_gives_on_what_is_said() -> Tested {
    let resumes = Resumes::deploy("skip").await?;
    let mut definition = tasks(&["First", "Second", "Third"]);
    definition["States"]["Good?"] = json!({"Type": "Choice", "Choices": [
        {"Variable": "$.go", "BooleanEquals": true, "Next": "Third"}]});
    definition["States"]["Second"]["Next"] = json!("Good?");
    let (machine, _) = resumes.stubbed("orders", &definition, [fails("Second")]).await?;
    let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
    let stub = resumes.restub(&machine, []).await?;
    let output = json!({"go": true, "by": "hand", "x.$": "$.y"});
    let request = json!({"executionArn": run.arn, "skipWithOutput": output});
    let (_, ended) = resumes.resume(&request).await?;
    assert!(ended.succeeded(), "{ended:?}");
    let calls = stub.calls().await?;
    assert_eq!((called(&calls), &calls[0].input), (vec!["Third"], &output));
    let choice = json!({"executionArn": run.arn, "from": "Good?", "skipWithOutput": 1});
    assert_eq!(resumes.refusal(&choice).await.error_type, "Resume.CannotSkip");
    // The last state's output is the run's.
    resumes.restub(&machine, [fails("Third")]).await?;
    let second = resumes.run(&machine, "second", &json!({"go": true})).await?;
    let request = json!({"executionArn": second.arn, "skipWithOutput": null});
    let (_, ended) = resumes.resume(&request).await?;
    assert_eq!(
        (ended.succeeded(), &ended.output),
        (true, &Some(Value::Null)),
        "{ended:?}"
    );
    Ok(())
}

#[tokio::test]
async fn one_iteration_is_named_and_the_others_are_kept() -> Tested {
    let resumes = Resumes::deploy("iteration").await?;
    let each = json!({"StartAt": "Each", "States": {
        "Each": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Take", "States": tasks(&["Take", "Give"])["States"]},
            "ResultPath": "$.each", "Next": "Last"},
        "Last": task(None),
    }});
    let input = json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}]});
    let held = fails("Give").when_iteration(1).held();
    let (machine, stub) = resumes.stubbed("orders", &each, [held]).await?;
    let run = resumes.account.start_execution(&machine, "run", &input).await?;
    resumes.comes_to(&stub, "Give").await?;
    local_cloud::wait::until("the others to be done", e2e::resume::trial::RUN_WITHIN, async || {
        stub.calls().await.is_ok_and(|calls| calls.len() == 6)
    })
    .await?;
    stub.release("Give").await?;
    resumes.ends(&run).await?;
    // From `Take` on: the iteration that has not finished.
    let stub = resumes.restub(&machine, []).await?;
    let (_, ended) = resumes.resume(&json!({"executionArn": run, "from": "Take"})).await?;
    assert!(ended.succeeded(), "{ended:?}");
    assert_eq!(called(&stub.calls().await?), ["Take", "Give", "Last"]);
    // One that has finished is done again if it is named.
    let stub = resumes.restub(&machine, []).await?;
    let from = json!({"state": "Give", "iterations": {"Each": 0}});
    let request = json!({"executionArn": run, "from": from});
    let (_, ended) = resumes.resume(&request).await?;
    assert!(ended.succeeded(), "{ended:?}");
    let calls = stub.calls().await?;
    let mut given: Vec<_> = calls
        .iter()
        .map(|call| (call.original.as_str(), call.iteration))
        .collect();
    given.sort_unstable();
    assert_eq!(given, [("Give", Some(0)), ("Give", Some(1)), ("Last", None)]);
    // The Map as a whole.
    let stub = resumes.restub(&machine, []).await?;
    let (_, ended) = resumes.resume(&json!({"executionArn": run, "from": "Each"})).await?;
    assert!(ended.succeeded(), "{ended:?}");
    assert_eq!(stub.calls().await?.len(), 7);
    Ok(())
}

#[tokio::test]
async fn a_run_that_timed_out_or_was_stopped_goes_on_where_it_was() -> Tested {
    let resumes = Resumes::deploy("timed out").await?;
    let mut definition = tasks(&["First", "Second", "Third"]);
    definition["TimeoutSeconds"] = json!(5);
    for mode in ["clone", "redrive"] {
        let held = Outcome::of("Second").held();
        let (machine, _) = resumes.stubbed("orders", &definition, [held]).await?;
        let run = resumes.run(&machine, "run", &json!({"n": 1})).await?;
        assert_eq!(run.status, ExecutionStatus::TimedOut, "{run:?}");
        let stub = resumes.restub(&machine, []).await?;
        let (told, ended) = resumes.resume(&json!({"executionArn": run.arn, "mode": mode})).await?;
        assert_eq!((told.strategy(), ended.succeeded()), (mode, true), "{ended:?}");
        assert_eq!(called(&stub.calls().await?), ["Second", "Third"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_wait_that_was_open_is_waited_for_in_full_for_the_rest_or_not_at_all() -> Tested {
    let resumes = Resumes::deploy("waits").await?;
    let mut definition = tasks(&["First", "Second"]);
    definition["States"]["First"]["Next"] = json!("Sleep");
    definition["States"]["Sleep"] = json!({"Type": "Wait", "Seconds": 100_000, "Next": "Second"});
    let (machine, _) = resumes.stubbed("orders", &definition, []).await?;
    let run = resumes.account.start_execution(&machine, "run", &json!({})).await?;
    local_cloud::wait::until("it to sleep", e2e::resume::trial::RUN_WITHIN, async || {
        let history = resumes.account.sfn().get_execution_history().execution_arn(&run);
        let history = history.send().await.map_err(|error| format!("{error:?}"))?;
        let names = history
            .events
            .iter()
            .filter_map(|event| event.state_entered_event_details.as_ref());
        let asleep = names.map(|entered| entered.name.as_str()).any(|name| name == "Sleep");
        asleep.then_some(()).ok_or("not yet".to_owned())
    })
    .await?;
    resumes
        .account
        .stop_execution(&run, "Test.Stopped", "by the test")
        .await?;
    resumes.ends(&run).await?;
    let full = resumes.ask(&json!({"executionArn": run, "mode": "clone"})).await?;
    assert!(codes(&full.0).contains(&"WaitsInFull"), "{}", full.0);
    let remaining = resumes.ask(&json!({"executionArn": run, "waits": "remaining"})).await?;
    let until = remaining.0["definition"]["States"]["Sleep"]["Timestamp"].as_str();
    assert!(until.is_some_and(|until| until.starts_with("20")), "{}", remaining.0);
    let stub = resumes.restub(&machine, []).await?;
    let (told, ended) = resumes.resume(&json!({"executionArn": run, "waits": "skip"})).await?;
    assert_eq!((told.strategy(), ended.succeeded()), ("clone", true), "{ended:?}");
    assert_eq!(called(&stub.calls().await?), ["Second"]);
    Ok(())
}
