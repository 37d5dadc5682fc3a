//! Alerts on the local cloud: failures as EventBridge tells them, what the sweep finds, and what subscribers read.

mod policies;
#[path = "../../../../functions/failure-alert/tests/store_cases/mod.rs"]
mod store_cases;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use e2e::alert_storm::storm;
use e2e::alerts::Alerts;
use e2e::clones::clone_of;
use e2e::lock::{BRIEFLY, Locks};
use failure_alert::alert::{End, Status};
use failure_alert::dynamo::DynamoStore;
use failure_alert::store::{Group, Store};
use local_cloud::{Cloud, Fault, Notification, Stack};
use serde_json::{Value, json};
use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;

/// Most tests meet errors of the harness and of functions.
type Tested = Result<(), Box<dyn std::error::Error>>;

/// After this a claim is taken for given up.
const GIVEN_UP: Duration = Duration::from_secs(61);

/// After this the window that the template sets has closed.
const CLOSED: Duration = Duration::from_mins(16);

fn subject(message: &Notification) -> &str {
    message.subject.as_deref().unwrap_or_default()
}

/// Lines of a mail are broken where they are full.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_failure_is_mailed_with_its_place_and_its_reason() -> Tested {
    let alerts = Alerts::deploy("mailed").await?;
    let run = alerts
        .run("run-1", &json!({"how": "inside", "orders": [{"locks": 1}]}))
        .await?;
    alerts.account.wait_for_execution(&run).await?;
    let came = alerts.comes(1).await?;
    assert_eq!(came.len(), 1, "{came:?}");
    assert_eq!(subject(&came[0]), "[FAILED] orders-nightly at \"Release\"");
    let text = &came[0].message;
    for says in [
        "Map \"Orders\"[0] / Parallel \"Fan\"#1 / Task \"Release\" (attempt 2 of 2)",
        "Lock.BadRequest",
        "sam remote invoke ResumeFunction --stack-name signalbox --region us-east-1 --event",
        run.as_str(),
    ] {
        assert!(in_one_line(text).contains(says), "{says}:\n{text}");
    }
    // All that have subscribed read the same.
    let by_http: Vec<String> = alerts.http.notifications().into_iter().map(|n| n.message).collect();
    assert_eq!(by_http, std::slice::from_ref(text));
    let mails = alerts.account.mails().await?;
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(
        (&mails[0].subject, &mails[0].body),
        (came[0].subject.as_ref().unwrap(), text)
    );
    Ok(())
}

/// The event of the command that the mail about a run has.
fn event_to_paste(messages: &[Notification], run: &str) -> String {
    let lines = messages.iter().flat_map(|message| message.message.lines());
    let mut commands = lines.filter(|line| line.starts_with("sam remote invoke ResumeFunction ") && line.contains(run));
    let (_, event) = commands
        .next()
        .expect("a command")
        .split_once(" --event ")
        .expect("an event");
    event.trim_matches('\'').to_owned()
}

/// Whoever pastes it gets a plan; with `apply`, as the mail says, the run goes on.
#[tokio::test]
async fn the_command_of_a_mail_resumes_the_run() -> Tested {
    let alerts = Alerts::deploy("resumes").await?;
    let resume = async |event: &str| {
        let event = serde_json::from_str(event).expect("JSON");
        alerts.account.invoke(&alerts.resume, &event).await
    };
    let input = json!({"how": "inside", "orders": [{"locks": 1}]});
    let run = alerts.run("run-1", &input).await?;
    alerts.account.wait_for_execution(&run).await?;
    let event = event_to_paste(&alerts.comes(1).await?, &run);
    let plan = resume(&event).await?;
    assert_eq!(
        (&plan["applied"], &plan["strategy"], &plan["origin"]["executionArn"]),
        (&json!(false), &json!("redrive"), &json!(run))
    );
    let apply = event.replace("\"apply\":false", "\"apply\":true");
    assert_ne!(apply, event);
    let applied = resume(&apply).await?;
    assert_eq!(
        (&applied["applied"], &applied["executionArn"]),
        (&json!(true), &json!(run))
    );
    // Of a Fail state, which fails again at once, it says where else to go on.
    let run = alerts.fails("run-2", "Card.Declined", "declined").await?;
    let event = event_to_paste(&alerts.comes(2).await?, &run);
    let refusal = resume(&event).await.expect_err("a Fail state");
    assert_eq!(refusal.error_type, "Resume.WouldFailAgain");
    assert!(refusal.error_message.contains("\"How?\""), "{refusal:?}");
    Ok(())
}

#[tokio::test]
async fn a_run_in_a_clone_is_announced_as_its_pipelines() -> Tested {
    let alerts = Alerts::deploy("clones").await?;
    let clone = clone_of(&alerts.account, &alerts.table, &alerts.pipeline).await;
    let start = async |name: &str, input: Value| {
        let run = alerts.account.start_execution(&clone, name, &input).await?;
        alerts.account.wait_for_execution(&run).await
    };
    alerts.fails("bad", "Card.Declined", "declined").await?;
    alerts.comes(1).await?;
    // Of the same kind, and another.
    start(
        "again",
        json!({"how": "fail", "error": "Card.Declined", "cause": "declined"}),
    )
    .await?;
    start(
        "worse",
        json!({"how": "fail", "error": "Stock.Empty", "cause": "no paint"}),
    )
    .await?;
    assert_eq!(alerts.comes(2).await?.len(), 2);
    start("good", json!({"how": "succeed"})).await?;
    let came = alerts.comes(3).await?;
    assert_eq!(
        alerts.subjects().await?,
        [
            "[FAILED] orders-nightly at \"Charge\"",
            "[FAILED] orders-nightly, resumed, at \"Charge\"",
            "[RECOVERED] orders-nightly after 3 failures",
        ]
    );
    let works = "orders-nightly works again: good, resumed, succeeded at ";
    assert!(
        came.iter()
            .any(|message| in_one_line(&message.message).starts_with(works)),
        "{came:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_storm_is_one_alert_and_one_summary_for_each_kind() -> Tested {
    let outcome = storm("storm", 60, 3).await?;
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert_eq!(
        (outcome.alerts, outcome.summaries, outcome.told),
        (3, 3, 60),
        "{outcome:?}"
    );
    Ok(())
}

#[tokio::test]
async fn when_a_window_has_closed_the_next_failure_is_news() -> Tested {
    let alerts = Alerts::deploy("window").await?;
    for name in ["one", "two"] {
        alerts.fails(name, "Card.Declined", "declined").await?;
        alerts.comes(1).await?;
    }
    alerts.age(CLOSED).await?;
    // No sweep came: what was counted is told before the new window opens.
    alerts.fails("three", "Card.Declined", "declined").await?;
    let subjects: Vec<String> = alerts
        .comes(3)
        .await?
        .iter()
        .map(|message| subject(message).to_owned())
        .collect();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    assert_eq!(
        subjects.iter().filter(|subject| subject.ends_with(": 1 more")).count(),
        1,
        "{subjects:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_fails_otherwise_is_not_counted_with_it() -> Tested {
    let alerts = Alerts::deploy("otherwise").await?;
    alerts.fails("one", "Card.Declined", "declined").await?;
    alerts.fails("two", "Stock.Empty", "no paint").await?;
    alerts.fails("three", "Card.Declined", "declined").await?;
    assert_eq!(alerts.comes(2).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_event_that_comes_twice_is_announced_once() -> Tested {
    let alerts = Alerts::deploy("twice").await?;
    let doubled = alerts.account.fault(Fault::double_events()).await?;
    alerts.fails("run-1", "Card.Declined", "declined").await?;
    assert_eq!(alerts.comes(1).await?.len(), 1);
    assert!(doubled.hits().await? > 0);
    Ok(())
}

#[tokio::test]
async fn a_success_ends_the_trouble_once() -> Tested {
    let alerts = Alerts::deploy("recovered").await?;
    alerts.succeeds("before").await?;
    alerts.fails("bad", "Card.Declined", "declined").await?;
    assert_eq!(alerts.comes(1).await?.len(), 1);
    alerts.succeeds("good").await?;
    let came = alerts.comes(2).await?;
    assert!(
        came.iter()
            .any(|message| subject(message).to_lowercase().contains("recovered")),
        "{came:?}"
    );
    alerts.succeeds("better").await?;
    alerts.sweep().await?;
    assert_eq!(alerts.comes(2).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_events_missed_the_sweep_finds() -> Tested {
    let alerts = Alerts::deploy("no events").await?;
    alerts.fails("old", "Card.Declined", "before anybody looked").await?;
    assert_eq!(alerts.comes(1).await?.len(), 1);
    alerts.account.fault(Fault::drop_events()).await?;
    // From now on it looks.
    assert_eq!(alerts.sweep().await?["missed"], 0);
    alerts.fails("lost-1", "Stock.Empty", "no paint").await?;
    let waits = alerts.run("lost-2", &json!({"how": "wait"})).await?;
    alerts
        .account
        .stop_execution(&waits, "Test.Stopped", "by the test")
        .await?;
    alerts.account.wait_for_execution(&waits).await?;
    let swept = alerts.sweep().await?;
    assert_eq!((&swept["missed"], &swept["failed"]), (&json!(2), &json!(0)), "{swept}");
    assert_eq!(alerts.comes(3).await?.len(), 3);
    assert_eq!(alerts.sweep().await?["missed"], 0);
    // Nor does a recovery need its event.
    alerts.succeeds("good").await?;
    alerts.sweep().await?;
    assert_eq!(alerts.comes(4).await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_history_that_cannot_be_read_keeps_no_alert_back() -> Tested {
    let alerts = Alerts::deploy("no history").await?;
    alerts
        .account
        .fault(Fault::throttle("States.GetExecutionHistory").from_functions())
        .await?;
    alerts.fails("run-1", "Card.Declined", "declined").await?;
    let came = alerts.comes(1).await?;
    assert_eq!(subject(&came[0]), "[FAILED] orders-nightly");
    let text = &came[0].message;
    assert!(
        text.contains("Card.Declined") && text.contains("ThrottlingException"),
        "{text}"
    );
    Ok(())
}

/// A flood is worse than some minutes of silence, and silence for ever is worse than saying a thing twice.
#[tokio::test]
async fn without_the_table_the_second_delivery_is_announced_all_the_same() -> Tested {
    let alerts = Alerts::of("no table", Stack::fleet().parameter("Alerts", "false")).await?;
    let run = alerts.fails("run-1", "Card.Declined", "declined").await?;
    let event = Alerts::event(&run, "Card.Declined", "declined");
    let fault = alerts
        .account
        .fault(Fault::throttle("DynamoDB.*").from_functions())
        .await?;
    assert!(alerts.deliver(&event, 1).await?, "it is delivered again");
    assert_eq!(alerts.messages().await?.len(), 0);
    assert!(!alerts.deliver(&event, 2).await?);
    assert!(fault.hits().await? > 0);
    let came = alerts.comes(1).await?;
    assert_eq!(
        (came.len(), subject(&came[0])),
        (1, "[FAILED] orders-nightly at \"Charge\"")
    );
    assert!(came[0].message.contains("announced before"), "{}", came[0].message);
    Ok(())
}

#[tokio::test]
async fn what_the_topic_refused_is_announced_later() -> Tested {
    let alerts = Alerts::of("no topic", Stack::fleet().parameter("Alerts", "false")).await?;
    let run = alerts.fails("run-1", "Card.Declined", "declined").await?;
    let event = Alerts::event(&run, "Card.Declined", "declined");
    let fault = alerts
        .account
        .fault(Fault::throttle("SNS.Publish").from_functions())
        .await?;
    assert!(alerts.deliver(&event, 1).await?, "it is delivered again");
    assert!(fault.hits().await? > 0);
    alerts.account.clear_faults().await?;
    // It may be that another invocation is at it.
    assert!(alerts.deliver(&event, 2).await?);
    assert_eq!(alerts.messages().await?.len(), 0);
    alerts.age(GIVEN_UP).await?;
    assert_eq!(alerts.sweep().await?["resumed"], 1);
    assert!(!alerts.deliver(&event, 3).await?);
    let came = alerts.comes(1).await?;
    assert_eq!(
        (came.len(), subject(&came[0])),
        (1, "[FAILED] orders-nightly at \"Charge\"")
    );
    Ok(())
}

#[tokio::test]
async fn an_announcement_whose_answer_is_lost_is_repeated_rather_than_lost() -> Tested {
    let alerts = Alerts::of("lost answer", Stack::fleet().parameter("Alerts", "false")).await?;
    let run = alerts.fails("run-1", "Card.Declined", "declined").await?;
    let event = Alerts::event(&run, "Card.Declined", "declined");
    let fault = alerts
        .account
        .fault(Fault::drop_after_effect("SNS.Publish").from_functions().times(1))
        .await?;
    alerts.deliver(&event, 1).await?;
    alerts.age(GIVEN_UP).await?;
    alerts.sweep().await?;
    let came = alerts.comes(2).await?;
    assert_eq!((came.len(), fault.hits().await?), (2, 1), "{came:?}");
    Ok(())
}

#[tokio::test]
async fn refusals_of_signalbox_are_no_failures_unless_asked_for() -> Tested {
    let alerts = Alerts::deploy("refusals").await?;
    alerts
        .fails("refused", "OverlapGuard.Overlapping", "another one runs")
        .await?;
    alerts.fails("unavailable", "Lock.Unavailable", "no table").await?;
    assert_eq!(alerts.comes(1).await?.len(), 1);
    let loud = Alerts::of("refusals told", Stack::fleet().parameter("AlertRefusals", "true")).await?;
    loud.fails("refused", "OverlapGuard.Overlapping", "another one runs")
        .await?;
    assert_eq!(loud.comes(1).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_lock_that_others_wait_for_is_named() -> Tested {
    let alerts = Alerts::of("locks", Stack::fleet().parameter("Alerts", "false")).await?;
    let fleet = Stack::fleet().parameter("AlertEmail", "night@example.com");
    let locks = Locks::into(alerts.account.clone(), fleet).await?;
    let ask = json!({"lock": "warehouse"});
    let run = locks.holder("run-1", ask.clone()).await?;
    for name in ["next", "then", "last"] {
        locks.waiter(name, ask.clone(), BRIEFLY).await?;
    }
    assert!(
        !alerts
            .deliver(&Alerts::event(&run, "Card.Declined", "declined"), 1)
            .await?
    );
    let text = alerts.comes(1).await?.remove(0).message;
    let says = in_one_line(&text);
    assert!(
        says.contains("warehouse") && says.contains("3 runs wait for it"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn nothing_is_announced_where_alerts_are_switched_off() -> Tested {
    let alerts = Alerts::of("off", Stack::fleet().parameter("Alerts", "false")).await?;
    alerts.fails("run-1", "Card.Declined", "declined").await?;
    assert_eq!(alerts.comes(0).await?.len(), 0);
    let calls = alerts.account.calls().await?;
    assert!(!calls.contains_key("SNS.Publish"), "{calls:?}");
    Ok(())
}

#[tokio::test]
async fn an_event_that_nobody_can_read_is_delivered_again_and_harms_no_other() -> Tested {
    let alerts = Alerts::of("unreadable", Stack::fleet().parameter("Alerts", "false")).await?;
    for body in [json!({"detail": {"status": "FAILED"}}), json!([]), Value::Null] {
        assert!(alerts.deliver(&body, 1).await?, "{body}");
    }
    let run = alerts.fails("run-1", "Card.Declined", "declined").await?;
    let record = |id: &str, body: &Value| {
        json!({
            "messageId": id, "receiptHandle": "r", "body": body.to_string(),
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events", "awsRegion": "us-east-1",
        })
    };
    let good = Alerts::event(&run, "Card.Declined", "declined");
    let batch = json!({"Records": [record("bad", &json!([])), record("good", &good)]});
    let answer = alerts.account.invoke(&alerts.function, &batch).await?;
    assert_eq!(
        answer["batchItemFailures"],
        json!([{"itemIdentifier": "bad"}]),
        "{answer}"
    );
    assert_eq!(alerts.comes(1).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_adapter_to_dynamodb_is_what_the_store_in_memory_is() -> Tested {
    let account = Cloud::shared().await?.account("store cases");
    let fleet = account.deploy(Stack::fleet().parameter("Alerts", "false")).await?;
    let store = DynamoStore::new(account.dynamodb().clone(), fleet.output("TableName")?.to_owned());
    Ok(store_cases::all(&store).await?)
}

/// Somebody has edited records by hand, say: what else there is has its turn all the same.
#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_no_other_from_its_turn() -> Tested {
    let account = Cloud::shared().await?.account("unreadable records");
    let fleet = account.deploy(Stack::fleet().parameter("Alerts", "false")).await?;
    let (dynamodb, table) = (account.dynamodb(), fleet.output("TableName")?);
    let store = DynamoStore::new(dynamodb.clone(), table.to_owned());
    let at = Timestamp::from_millis(1_800_000_000_000);
    let end = End {
        execution: ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:orders:run-1")?,
        status: Status::Failed,
        redrive: 0,
        started: None,
        stopped: at,
        error: None,
        cause: None,
    };
    let group = Group {
        machine: end.execution.machine().clone(),
        key: "k".to_owned(),
        state: None,
        error: None,
        first: end.clone(),
        opened: at,
        until: at,
        count: 0,
        last: None,
    };
    store.begin(&end, at).await?;
    store.join(&group, at).await?;
    store.fails(&group.machine, &end, true).await?;
    let listed = async || -> Result<_, CallError> {
        let now = at.after(CLOSED);
        let (ends, groups) = (store.pending(now).await?, store.closed(now).await?);
        Ok((ends, groups, store.incidents().await?))
    };
    let before = listed().await?;
    assert_eq!(
        (before.0.len(), before.1.len(), before.2.len()),
        (1, 1, 1),
        "{before:?}"
    );
    let mut damaged = 0;
    let scan = dynamodb.scan().table_name(table).consistent_read(true).send().await?;
    for mut item in scan.items.unwrap_or_default() {
        item.insert("pk".to_owned(), AttributeValue::S("ALERT#damaged".to_owned()));
        for name in ["end", "first", "since"] {
            damaged += usize::from(item.remove(name).is_some());
        }
        let put = dynamodb.put_item().table_name(table).set_item(Some(item));
        put.send().await?;
    }
    assert_eq!(damaged, 3);
    assert_eq!(listed().await?, before);
    Ok(())
}
