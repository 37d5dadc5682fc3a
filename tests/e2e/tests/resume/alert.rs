//! What people are told to type works as it stands: in the mail of an alert, and in a plan.

use std::process::Command;

use e2e::resume::Resumes;
use local_cloud::{Stack, wait};
use serde_json::{Value, json};

use crate::{Tested, called, fails, tasks};

/// How the mail's command begins.
const COMMAND: &str = "sam remote invoke ";

/// The arguments that a shell gives the program of a command.
fn arguments_of(command: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let (program, _) = command.split_once(' ').ok_or("a command")?;
    let script = format!("{program}() {{ for each; do printf '%s\\n' \"$each\"; done; }}\n{command}");
    let output = Command::new("sh").args(["-c", &script]).output()?;
    assert!(output.status.success(), "{command}: {output:?}");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

fn after<'a>(arguments: &'a [String], option: &str) -> Result<&'a str, String> {
    let at = arguments.iter().position(|argument| argument == option);
    let value = at.and_then(|at| arguments.get(at + 1));
    value
        .map(String::as_str)
        .ok_or_else(|| format!("no {option} in {arguments:?}"))
}

#[tokio::test]
async fn the_command_in_the_mail_is_invoked_as_it_stands() -> Tested {
    let fleet = Stack::fleet().parameter("AlertEmail", "night@example.com");
    let resumes = Resumes::of("mail", fleet).await?;
    let mut definition = tasks(&["First", "Second", "Third"]);
    let states = &mut definition["States"];
    states["Second"]["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Failed"}]);
    states["Failed"] = json!({"Type": "Fail", "Error": "Orders.Failed"});
    let (machine, _) = resumes.stubbed("orders", &definition, [fails("Second")]).await?;
    // A name that a shell would not take as it is.
    let run = resumes.run(&machine, "it's-(1)", &json!({"n": 1})).await?;
    assert_eq!(run.error.as_deref(), Some("Orders.Failed"), "{run:?}");
    let mail = wait::until("the mail", e2e::lock::STEP_WITHIN, async || {
        let mails = resumes.account.mails().await.map_err(|error| error.to_string())?;
        let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
        let mail = mails.iter().find(|mail| mail.subject.starts_with("[FAILED] orders"));
        mail.cloned().ok_or_else(|| format!("{subjects:?}"))
    })
    .await?;
    let command = mail.body.lines().find(|line| line.trim().starts_with(COMMAND));
    let arguments = arguments_of(command.ok_or_else(|| mail.body.clone())?.trim())?;
    assert_eq!(arguments[..2], ["remote", "invoke"], "{arguments:?}");
    assert_eq!(after(&arguments, "--stack-name")?, "signalbox");
    assert_eq!(after(&arguments, "--region")?, "us-east-1");
    // The logical id names the function, as for sam.
    assert_eq!(resumes.fleet.resources.get(&arguments[2]), Some(&resumes.function));
    let event: Value = serde_json::from_str(after(&arguments, "--event")?)?;
    assert_eq!(event["executionArn"], run.arn.as_str());
    let stub = resumes.restub(&machine, []).await?;
    let (told, ended) = resumes.resume(&event).await?;
    assert_eq!((told.strategy(), ended.succeeded()), ("clone", true), "{ended:?}");
    assert_eq!(called(&stub.calls().await?), ["Second", "Third"]);
    Ok(())
}

#[tokio::test]
async fn the_command_of_a_plan_does_it() -> Tested {
    let resumes = Resumes::deploy("command").await?;
    let definition = tasks(&["First", "Second"]);
    let (machine, _) = resumes.stubbed("orders", &definition, [fails("Second")]).await?;
    let run = resumes.run(&machine, "it's", &json!({"n": 1})).await?;
    resumes.restub(&machine, []).await?;
    let input = json!({"it's": ["\\'", "\"", "$HOME `id`"]});
    let plan = resumes.ask(&json!({"executionArn": run.arn, "input": input})).await?;
    let arguments = arguments_of(plan.0["command"].as_str().ok_or("a command")?)?;
    assert_eq!(after(&arguments, "--function-name")?, resumes.function);
    let payload: Value = serde_json::from_str(after(&arguments, "--payload")?)?;
    assert_eq!(payload, plan.0["apply"]);
    let told = resumes.ask(&payload).await?;
    let ended = resumes.ends(told.execution()?).await?;
    let output = ended.output.unwrap_or_default();
    assert_eq!(output["it's"], input["it's"], "{output}");
    Ok(())
}
