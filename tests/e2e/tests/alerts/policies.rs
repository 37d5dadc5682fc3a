//! Every permission that the template gives `failure-alert` is needed: without any one of them something fails, or is not
//! said, for want of it.

use e2e::alerts::Alerts;
use e2e::policies::{Permission, Seen, each_is_needed, with_resources};
use local_cloud::{FunctionError, Stack};
use serde_json::{Value, json};

use crate::{CLOSED, Tested, in_one_line};

const FUNCTION: &str = "FailureAlert";

/// What a mail calls the part about what it lacks.
const LACKS: &str = "Not found out";

/// The way to the state that failed, as the definition and the history have it together.
const PLACE: &str = "Map \"Orders\"[0] / Parallel \"Fan\"#1 / Task \"Release\" (attempt 2 of 2)";

/// The fleet without a permission. What is seen is seen in direct calls alone.
async fn deploy(permission: Permission) -> Result<Alerts, local_cloud::Error> {
    let fleet = permission.taken_away(env!("CARGO_TARGET_TMPDIR")).expect("written");
    Alerts::of(&permission.test(), fleet.parameter("Alerts", "false")).await
}

/// The answer to an event by itself, not from the queue.
async fn hear(alerts: &Alerts, event: &Value) -> Result<Value, FunctionError> {
    alerts.account.invoke(&alerts.function, event).await
}

/// A run that fails in a branch in a Map, at its second attempt, and the event of that.
async fn fails_inside(alerts: &Alerts) -> Result<Value, local_cloud::Error> {
    let input = json!({"how": "inside", "orders": [{"locks": 1}]});
    let run = alerts.run("inside", &input).await?;
    let cause = alerts.account.wait_for_execution(&run).await?.cause;
    Ok(Alerts::event(&run, "Lock.BadRequest", &cause.unwrap_or_default()))
}

/// Announces a failure, in one line.
async fn announced(alerts: &Alerts) -> Result<String, Box<dyn std::error::Error>> {
    let event = fails_inside(alerts).await?;
    assert_eq!(hear(alerts, &event).await?, json!({"outcome": "announced"}));
    let came = alerts.comes(1).await?;
    assert_eq!(came.len(), 1, "{came:?}");
    Ok(in_one_line(&came[0].message))
}

#[tokio::test]
async fn of_failure_alert() -> Tested {
    each_is_needed(FUNCTION, async |permission| {
        let deployed = deploy(permission).await;
        // Lambda does not let a queue be read for a function that may not read it.
        if permission.action().starts_with("sqs:") {
            let refused = deployed.expect_err("a permission is missing").to_string();
            assert!(
                refused.contains(permission.action()),
                "{}: {refused}",
                permission.test()
            );
            return Ok(());
        }
        let alerts = deployed?;
        match permission.line {
            "- dynamodb:GetItem" | "- dynamodb:PutItem" | "- dynamodb:UpdateItem" | "Action: sns:Publish" => {
                nothing_is_announced(permission, &alerts).await
            }
            "- dynamodb:Query" => lacks(permission, &alerts, "Which locks it has").await,
            "- states:DescribeExecution" => lacks(permission, &alerts, "Whether it can be redriven").await,
            "- states:GetExecutionHistory" => lacks(permission, &alerts, "Where it failed").await,
            "- states:DescribeStateMachineForExecution" => without_the_definition(&alerts).await,
            "Action: states:ListExecutions" => {
                lacks(permission, &alerts, "How it fared before").await?;
                // Whether the pipeline has recovered, and then what has failed.
                let swept = alerts.sweep().await?;
                assert_eq!(swept["failed"], 2, "{}: {swept}", permission.test());
                Ok(())
            }
            // Which pipelines there are; what is pending, what has closed, and who has not recovered.
            "Action: states:ListStateMachines" | "Action: dynamodb:Query" => {
                is_denied(permission, alerts.sweep().await);
                Ok(())
            }
            "- dynamodb:DeleteItem" => nothing_comes_to_its_end(permission, &alerts).await,
            _ => Err("what is it for?".into()),
        }
    })
    .await
}

/// What the others lack is there, and what fails with them does not, with all permissions.
#[tokio::test]
async fn with_all_of_them_nothing_is_missing() -> Tested {
    let alerts = Alerts::of("all permissions", Stack::fleet().parameter("Alerts", "false")).await?;
    let text = announced(&alerts).await?;
    assert!(text.contains(PLACE) && !text.contains(LACKS), "{text}");
    let swept = alerts.sweep().await?;
    assert_eq!(swept["failed"], 0, "{swept}");
    alerts.age(CLOSED).await?;
    let swept = alerts.sweep().await?;
    assert_eq!((&swept["closed"], &swept["failed"]), (&json!(1), &json!(0)), "{swept}");
    Ok(())
}

fn is_denied(permission: Permission, answer: Result<Value, FunctionError>) {
    let error = answer.expect_err("a permission is missing");
    let test = permission.test();
    assert_eq!(error.error_type, "FailureAlert.AccessDenied", "{test}: {error}");
    assert!(error.error_message.contains(permission.action()), "{test}: {error}");
}

/// The queue is to deliver it again; who asks directly is told why.
async fn nothing_is_announced(permission: Permission, alerts: &Alerts) -> Seen {
    let one = alerts.fails("one", "Card.Declined", "declined").await?;
    let event = Alerts::event(&one, "Card.Declined", "declined");
    assert!(alerts.deliver(&event, 1).await?, "{}", permission.test());
    let other = alerts.fails("other", "Stock.Empty", "no paint").await?;
    is_denied(
        permission,
        hear(alerts, &Alerts::event(&other, "Stock.Empty", "no paint")).await,
    );
    let came = alerts.comes(0).await?;
    assert!(came.is_empty(), "{}: {came:?}", permission.test());
    Ok(())
}

/// The mail goes out, and says what it lacks, and for want of which action.
async fn lacks(permission: Permission, alerts: &Alerts, what: &str) -> Seen {
    let text = announced(alerts).await?;
    let (_, lacks) = text.split_once(LACKS).ok_or("all was found out")?;
    let says = format!("{what}: {} failed: AccessDenied", permission.action());
    assert!(lacks.contains(&says), "{}: {says}:\n{text}", permission.test());
    Ok(())
}

/// The history alone knows neither in which branch it was, nor how often it was to be tried. That this is missing is not
/// said in the mail: it is in the log.
async fn without_the_definition(alerts: &Alerts) -> Seen {
    let text = announced(alerts).await?;
    let place = "at Map \"Orders\"[0] / Parallel \"Fan\" / Task \"Release\" (attempt 2).";
    assert!(text.contains(place) && !text.contains(LACKS), "{text}");
    Ok(())
}

/// The word that the pipeline works again goes out, and will again: that it did cannot be noted. A window is not closed.
async fn nothing_comes_to_its_end(permission: Permission, alerts: &Alerts) -> Seen {
    announced(alerts).await?;
    let good = alerts.succeeds("good").await?;
    let mut event = Alerts::event(&good, "", "");
    event["detail"]["status"] = json!("SUCCEEDED");
    is_denied(permission, hear(alerts, &event).await);
    alerts.age(CLOSED).await?;
    let swept = alerts.sweep().await?;
    assert_eq!(swept["closed"], 0, "{}: {swept}", permission.test());
    assert!(swept["failed"].as_u64() > Some(0), "{}: {swept}", permission.test());
    Ok(())
}

/// What it may write is what is remembered of alerts: not a lock, nor a record of the overlap guard.
///
/// The template says so. The local cloud does not see what it says: it knows no `dynamodb:LeadingKeys`.
#[test]
fn only_what_is_remembered_of_alerts_may_be_written() {
    let lines = with_resources()
        .into_iter()
        .filter(|(resource, _)| resource.starts_with(FUNCTION));
    let part: Vec<&str> = lines.map(|(_, line)| line.trim()).collect();
    let part = part.join("\n");
    let statements = part.split("- Sid: ").skip(1);
    let is_write = |line: &str| {
        let action = line.trim_start_matches("- ").trim_start_matches("Action: ");
        action.starts_with("dynamodb:")
            && !action.contains(' ')
            && !["dynamodb:GetItem", "dynamodb:Query"].contains(&action)
    };
    let writing: Vec<&str> = statements.filter(|statement| statement.lines().any(is_write)).collect();
    assert_eq!(writing.len(), 1, "{writing:?}");
    let condition = "Condition:\nForAllValues:StringLike:\ndynamodb:LeadingKeys: ALERT#*";
    assert!(writing[0].trim_end().ends_with(condition), "{}", writing[0]);
}
