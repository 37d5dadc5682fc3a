//! A nested execution that failed is resumed first, and then the run that waited for it.

use aws_sdk_sfn::types::ExecutionStatus;
use e2e::resume::Resumes;
use local_cloud::Outcome;
use serde_json::{Value, json};

use crate::{Tested, called, fails, tasks};

/// A run whose nested execution has failed at its second task: both machines, the run, and the nested one.
struct Failed {
    resumes: Resumes,
    parent: String,
    child: String,
    run: String,
    nested: String,
}

impl Failed {
    async fn of(test: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let resumes = Resumes::deploy(test).await?;
        let (child, _) = resumes
            .stubbed("child", &tasks(&["One", "Two", "Three"]), [fails("Two")])
            .await?;
        let mut definition = tasks(&["Before", "After"]);
        definition["States"]["Before"]["Next"] = json!("Nested");
        definition["States"]["Nested"] = json!({
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": child, "Input.$": "$"},
            "ResultSelector": {"output.$": "$.Output"},
            "ResultPath": "$.nested",
            "Next": "After",
        });
        let real = Outcome::of("Nested").real();
        let (parent, _) = resumes.stubbed("parent", &definition, [real]).await?;
        let run = resumes.run(&parent, "run", &json!({"n": 1})).await?;
        assert_eq!(run.status, ExecutionStatus::Failed, "{run:?}");
        let runs = resumes.account.sfn().list_executions().state_machine_arn(&child);
        let nested = runs.send().await?.executions.pop().ok_or("a nested execution")?;
        Ok(Self {
            resumes,
            parent,
            child,
            run: run.arn,
            nested: nested.execution_arn,
        })
    }
}

#[tokio::test]
async fn the_nested_execution_is_resumed_first_and_its_parent_goes_on_with_its_output() -> Tested {
    let failed = Failed::of("nested").await?;
    let resumes = &failed.resumes;
    for apply in [false, true] {
        let refusal = resumes
            .refusal(&json!({"executionArn": failed.run, "apply": apply}))
            .await;
        assert_eq!(refusal.error_type, "Resume.ChildFirst", "{refusal}");
        assert!(refusal.error_message.contains(&failed.nested), "{refusal}");
    }
    let childs = resumes.restub(&failed.child, []).await?;
    let (_, ended) = resumes.resume(&json!({"executionArn": failed.nested})).await?;
    assert!(ended.succeeded(), "{ended:?}");
    assert_eq!(called(&childs.calls().await?), ["Two", "Three"]);
    // As the refusal says: what the state would have given on.
    let parents = resumes.restub(&failed.parent, [Outcome::of("Nested").real()]).await?;
    let output = json!({"n": 1, "nested": {"output": ended.output}});
    let request = json!({"executionArn": failed.run, "from": "Nested", "skipWithOutput": output});
    let (_, ended) = resumes.resume(&request).await?;
    assert!(ended.succeeded(), "{ended:?}");
    let calls = parents.calls().await?;
    assert_eq!((called(&calls), &calls[0].input), (vec!["After"], &output));
    Ok(())
}

#[tokio::test]
async fn a_new_nested_execution_is_started_if_its_state_is_named() -> Tested {
    let failed = Failed::of("nested anew").await?;
    let resumes = &failed.resumes;
    let childs = resumes.restub(&failed.child, []).await?;
    let request = json!({"executionArn": failed.run, "from": "Nested"});
    let plan = resumes.ask(&request).await?;
    assert!(crate::codes(&plan.0).contains(&"NestedStartsAgain"), "{}", plan.0);
    let (_, ended) = resumes.resume(&request).await?;
    assert!(ended.succeeded(), "{ended:?}");
    assert_eq!(called(&childs.calls().await?), ["One", "Two", "Three"]);
    let output = ended.output.unwrap_or(Value::Null);
    assert!(output["nested"]["output"]["result"].is_object(), "{output}");
    Ok(())
}
