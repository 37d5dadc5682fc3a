//! The harness on a real local cloud: accounts, stacks, executions, faults, the end.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use local_cloud::{
    Account, Cloud, Deployed, Error, Fault, Options, Progress, Stack, Subscriber, Usage, usage::TableUsage, wait,
};
use serde_json::json;

fn stack() -> Stack {
    Stack::new("harness", "tests/local-cloud/tests/stack/template.yaml")
}

async fn deployed(name: &str) -> Result<(Account, Deployed), Error> {
    let account = Cloud::shared().await?.account(name);
    let stack = account.deploy(stack()).await?;
    Ok((account, stack))
}

async fn put(account: &Account, stack: &Deployed) -> Result<bool, Error> {
    let put = account.dynamodb().put_item().table_name(stack.output("TableName")?);
    Ok(put.item("id", AttributeValue::S("one".into())).send().await.is_ok())
}

async fn count(account: &Account, stack: &Deployed) -> Result<i32, Error> {
    let scan = account
        .dynamodb()
        .scan()
        .table_name(stack.output("TableName")?)
        .send()
        .await;
    Ok(scan.expect("the scan is answered").count())
}

#[tokio::test]
async fn accounts_are_isolated() -> Result<(), Error> {
    let (here, mine) = deployed("here").await?;
    let (there, theirs) = deployed("there").await?;
    assert_ne!(here.id(), there.id());
    assert!(put(&here, &mine).await?);
    assert_eq!((count(&here, &mine).await?, count(&there, &theirs).await?), (1, 0));
    assert_eq!(here.state_machines().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_stack_takes_parameters_and_can_be_updated_and_deleted() -> Result<(), Error> {
    let (account, first) = deployed("updates").await?;
    assert_eq!(first.output("Colour")?, "none");
    assert!(first.resources.contains_key("Table"), "{:?}", first.resources);
    let second = account.deploy(stack().parameter("Colour", "green")).await?;
    assert_eq!(second.output("Colour")?, "green");
    assert_eq!(second.output("TableName")?, first.output("TableName")?);
    account.delete_stack("harness").await?;
    assert_eq!(account.state_machines().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_deployment_that_fails_says_why() -> Result<(), Error> {
    let account = Cloud::shared().await?.account("fails");
    let error = account
        .deploy(Stack::new("missing", "no/such/template.yaml"))
        .await
        .expect_err("there is no template");
    let text = error.to_string();
    assert!(text.starts_with("deploy of the stack `missing` (fails): "), "{text}");
    assert!(text.contains("no/such/template.yaml"), "{text}");
    Ok(())
}

#[tokio::test]
async fn executions_are_waited_for() -> Result<(), Error> {
    let (account, stack) = deployed("executions").await?;
    let machine = stack.output("MachineArn")?;
    let good = account
        .start_execution(machine, "good", &json!({"seconds": 1, "fails": false}))
        .await?;
    let bad = account
        .start_execution(machine, "bad", &json!({"seconds": 0, "fails": true}))
        .await?;
    let long = account
        .start_execution(machine, "long", &json!({"seconds": 600, "fails": false}))
        .await?;

    let ended = account.wait_for_executions(&[good, bad]).await?;
    assert!(ended[0].succeeded());
    assert_eq!(ended[0].output, Some(json!({"seconds": 1, "fails": false})));
    assert!(ended[0].stopped.is_some_and(|stopped| stopped > ended[0].started));
    assert_eq!(ended[1].status, ExecutionStatus::Failed);
    assert_eq!(ended[1].error.as_deref(), Some("Test.Failed"));
    assert_eq!(ended[1].cause_message().as_deref(), Some("because it was told to"));

    let error = account
        .wait_for_execution_within(&long, Duration::from_millis(100))
        .await
        .expect_err("it runs on");
    let text = error.to_string();
    assert!(
        text.ends_with("for the end of the execution long; last seen: RUNNING"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn executions_are_stopped_and_redriven() -> Result<(), Error> {
    let (account, stack) = deployed("stops").await?;
    let machine = stack.output("MachineArn")?;
    let run = account
        .start_execution(machine, "stopped", &json!({"seconds": 600, "fails": false}))
        .await?;
    account.stop_execution(&run, "Test.Stopped", "enough").await?;
    let ended = account.wait_for_execution(&run).await?;
    assert_eq!(ended.status, ExecutionStatus::Aborted);
    assert_eq!(
        (ended.error.as_deref(), ended.cause.as_deref()),
        (Some("Test.Stopped"), Some("enough"))
    );
    account.redrive_execution(&run).await?;
    assert!(!account.execution(&run).await?.ended());
    let error = account.redrive_execution(&run).await.expect_err("it runs");
    assert!(error.to_string().starts_with("States.RedriveExecution: "), "{error}");
    account.stop_execution(&run, "Test.Stopped", "enough").await
}

#[tokio::test]
async fn what_is_published_reaches_its_subscribers() -> Result<(), Error> {
    let (account, stack) = deployed("topics").await?;
    let topic = stack.output("TopicArn")?;
    let queue = account.subscribed_queue(topic, "alerts").await?;
    let subscriber = Subscriber::listen().await?;
    subscriber.subscribe(&account, topic).await?;
    subscriber.answer_next(2, 503);
    account.publish(topic, "[FAILED] orders", "It failed.").await?;

    let notifications = wait::until("the third attempt", Duration::from_secs(10), async || {
        let notifications = subscriber.notifications();
        (!notifications.is_empty()).then_some(notifications)
    })
    .await?;
    let statuses: Vec<_> = subscriber.deliveries().iter().map(|delivery| delivery.status).collect();
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(notifications[0].subject.as_deref(), Some("[FAILED] orders"));
    assert_eq!(notifications[0].message, "It failed.");

    let messages = account.take_messages(&queue).await?;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].notification().as_ref(), Some(&notifications[0]));
    assert_eq!(account.take_messages(&queue).await?, []);
    account.send_message(&queue, "anything").await?;
    let messages = account.take_messages(&queue).await?;
    assert_eq!(
        (messages[0].body.as_str(), messages[0].notification()),
        ("anything", None)
    );

    let mails = account.mails().await?;
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (mails[0].subject.as_str(), mails[0].body.as_str()),
        ("[FAILED] orders", "It failed.")
    );
    account.clear_mails().await?;
    assert_eq!(account.mails().await?, []);
    let error = account
        .publish(topic, "two\nlines", "m")
        .await
        .expect_err("it is refused");
    assert!(error.to_string().contains("Invalid parameter: Subject"), "{error}");
    Ok(())
}

#[tokio::test]
async fn usage_is_counted_from_the_last_reset() -> Result<(), Error> {
    let (account, stack) = deployed("usage").await?;
    account.reset_usage().await?;
    assert!(put(&account, &stack).await?);
    let run = account
        .start_execution(
            stack.output("MachineArn")?,
            "counted",
            &json!({"seconds": 0, "fails": false}),
        )
        .await?;
    account.wait_for_execution(&run).await?;
    let usage = account.usage().await?;
    assert_eq!(usage.transitions, [("harness-test".to_owned(), 3)].into());
    let put = TableUsage {
        write_units: 1.0,
        writes: 1,
        ..TableUsage::default()
    };
    assert_eq!(usage.dynamodb, [(stack.output("TableName")?.to_owned(), put)].into());
    account.reset_usage().await?;
    assert_eq!(account.usage().await?, Usage::default());
    Ok(())
}

#[tokio::test]
async fn the_event_bus_is_seen() -> Result<(), Error> {
    let (account, stack) = deployed("events").await?;
    let machine = stack.output("MachineArn")?;
    let run = account
        .start_execution(machine, "seen", &json!({"seconds": 0, "fails": false}))
        .await?;
    account.wait_for_execution(&run).await?;
    wait::until("the event of the success", Duration::from_secs(5), async || {
        let events = account.events().await.map_err(|error| error.to_string())?;
        let seen = events
            .iter()
            .any(|event| event["detail"]["executionArn"] == run.as_str() && event["detail"]["status"] == "SUCCEEDED");
        if seen {
            Ok(())
        } else {
            Err(format!("{} events", events.len()))
        }
    })
    .await
}

#[tokio::test]
async fn faults_hit_calls() -> Result<(), Error> {
    let (account, stack) = deployed("faults").await?;
    account.reset_calls().await?;

    // Twice throttled, the SDK gets it through at the third attempt.
    let throttle = account.fault(Fault::throttle("DynamoDB.PutItem").times(2)).await?;
    assert!(put(&account, &stack).await?);
    assert_eq!(throttle.hits().await?, 2);
    let calls = account.calls().await?;
    assert_eq!(
        (calls["DynamoDB.PutItem"].count, calls["DynamoDB.PutItem"].harness),
        (3, 3)
    );

    let refuse = account
        .fault(Fault::error("DynamoDB.*", "AccessDeniedException", 400, "not today"))
        .await?;
    assert!(!put(&account, &stack).await?);
    refuse.clear().await?;
    assert!(put(&account, &stack).await?);

    let spared = account
        .fault(Fault::throttle("DynamoDB.PutItem").from_functions())
        .await?;
    assert!(put(&account, &stack).await?);
    assert_eq!(spared.hits().await?, 0);
    account.clear_faults().await?;
    assert!(account.faults().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn faults_of_events_are_understood() -> Result<(), Error> {
    let account = Cloud::shared().await?.account("event faults");
    for fault in [
        Fault::drop_events().rate(0.5),
        Fault::double_events().times(1),
        Fault::delay_events(Duration::from_secs(1)).matching("FAILED"),
        Fault::reorder_events(Duration::from_secs(1)),
    ] {
        let fault = account.fault(fault).await?;
        assert_eq!(fault.hits().await?, 0);
        fault.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_fault_that_is_not_understood_is_refused() -> Result<(), Error> {
    let account = Cloud::shared().await?.account("bad faults");
    let error = account
        .fault(Fault::throttle("no such thing"))
        .await
        .expect_err("this is no API");
    assert!(error.to_string().contains("api: "), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_function_is_an_error_of_the_service() -> Result<(), Error> {
    let account = Cloud::shared().await?.account("no functions");
    let error = account
        .invoke("no-such-function", &json!({}))
        .await
        .expect_err("there is no such function");
    assert_eq!(error.error_type, "Lambda.ResourceNotFoundException");
    assert!(account.functions().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_end_leaves_nothing() -> Result<(), Error> {
    let cloud = Cloud::start(Options {
        port: None,
        progress: Progress::slow_only(),
    })
    .await?;
    let (log, address) = (cloud.log(), ("127.0.0.1", cloud.port()));
    assert!(log.exists());
    tokio::net::TcpStream::connect(address).await.expect("it listens");
    let taken = Cloud::start(Options {
        port: Some(cloud.port()),
        progress: Progress::slow_only(),
    })
    .await;
    assert!(matches!(taken, Err(Error::PortInUse { .. })), "{taken:?}");

    let account = cloud.account("the last");
    let begun = Instant::now();
    drop(cloud);
    assert!(log.exists(), "an account keeps its cloud");
    drop(account);
    // After five seconds it would have been killed.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it ended by itself in {:?}",
        begun.elapsed()
    );
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(!log.exists());
    Ok(())
}
