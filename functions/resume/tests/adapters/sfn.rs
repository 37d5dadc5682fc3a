//! Step Functions, as a resume needs it.

use resume::machines::{Machines, Making, NewMachine, Redriving, Setup, SfnMachines, Starting};
use resume::plan::Status;
use serde_json::{Value, json};
use signalbox::asl::Definition;
use signalbox::clock::Timestamp;

use crate::wire::{Answer, TOLD, Wire, client, denied, error, nobody, nonsense, ok};
use crate::{HOME, execution, machine};

const ROLE: &str = "arn:aws:iam::123456789012:role/orders";
const DEFINITION: &str = r#"{"StartAt": "Charge", "States": {"Charge": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}}"#;

fn machines(wire: &Wire) -> SfnMachines {
    SfnMachines::new(client!(aws_sdk_sfn, wire))
}

fn described(change: &Value) -> Value {
    let mut described = json!({
        "executionArn": execution("orders:run-1").as_str(), "stateMachineArn": machine("orders").as_str(), "name": "run-1",
        "status": "FAILED", "startDate": 1_769_832_000.123, "stopDate": 1_769_832_060.5, "input": "{\"day\":1}",
        "error": "E", "cause": "C", "redriveCount": 2, "redriveStatus": "REDRIVABLE",
    });
    for (name, value) in change.as_object().unwrap() {
        described[name] = value.clone();
    }
    described
}

#[tokio::test]
async fn an_execution_is_described_as_it_stands() {
    let wire = Wire::with([ok(&described(&json!({})))]);
    let found = machines(&wire)
        .describe(&execution("orders:run-1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.status, found.redrives), (Status::Failed, 2));
    assert_eq!(found.started, "2026-01-31T04:00:00.123Z");
    assert_eq!(found.stopped, Some(Timestamp::from_millis(1_769_832_060_500)));
    assert_eq!(found.input.as_deref(), Some("{\"day\":1}"));
    assert_eq!((found.error.as_deref(), found.cause.as_deref()), (Some("E"), Some("C")));
    assert_eq!(found.not_redrivable, None);
    assert_eq!(
        wire.only().1,
        json!({"executionArn": execution("orders:run-1").as_str()})
    );

    for (status, expected) in [
        ("SUCCEEDED", Status::Succeeded),
        ("TIMED_OUT", Status::TimedOut),
        ("ABORTED", Status::Aborted),
        ("RUNNING", Status::Running),
        ("PENDING_REDRIVE", Status::Running),
        ("SOMETHING_NEW", Status::Running),
    ] {
        let wire = Wire::with([ok(&described(&json!({"status": status})))]);
        let found = machines(&wire)
            .describe(&execution("orders:run-1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.status, expected, "{status}");
    }
    let not = json!({"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": "Execution is too old."});
    let found = machines(&Wire::with([ok(&described(&not))]))
        .describe(&execution("orders:run-1"))
        .await;
    assert_eq!(
        found.unwrap().unwrap().not_redrivable.as_deref(),
        Some("Execution is too old.")
    );
}

fn with_setup() -> Value {
    json!({
        "stateMachineArn": machine("orders").as_str(), "name": "orders", "definition": DEFINITION, "roleArn": ROLE,
        "type": "STANDARD", "status": "ACTIVE", "updateDate": 1_769_832_000, "creationDate": 1_769_832_000,
        "loggingConfiguration": {"level": "ALL", "includeExecutionData": true, "destinations": [
            {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:eu-west-1:123456789012:log-group:orders:*"}}]},
        "tracingConfiguration": {"enabled": true},
        "encryptionConfiguration": {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "key-1", "kmsDataKeyReusePeriodSeconds": 300},
    })
}

#[tokio::test]
async fn a_clone_has_what_the_original_has() {
    for is_present in [false, true] {
        let made = json!({"stateMachineArn": machine("orders--r-0123456789ab").as_str(), "creationDate": 1});
        let wire = Wire::with([ok(&with_setup()), ok(&made)]);
        let machines = machines(&wire);
        let ran = match is_present {
            true => machines.present(&machine("orders")).await,
            false => machines.ran(&execution("orders:run-1")).await,
        };
        let ran = ran.unwrap().unwrap();
        assert!(ran.has_kms_key);
        assert_eq!((ran.definition.as_str(), ran.role.as_str()), (DEFINITION, ROLE));
        let new = NewMachine {
            name: "orders--r-0123456789ab",
            definition: "{}",
            role: &ran.role,
            setup: &ran.setup,
            tags: vec![("team".to_owned(), "orders".to_owned())],
        };
        assert_eq!(machines.make(&new).await, Ok(Making::Made));
        let (target, body) = wire.sent().pop().unwrap();
        assert_eq!(target, "AWSStepFunctions.CreateStateMachine");
        let of = with_setup();
        let expected = json!({
            "name": "orders--r-0123456789ab", "definition": "{}", "roleArn": ROLE, "type": "STANDARD",
            "loggingConfiguration": of["loggingConfiguration"], "tracingConfiguration": of["tracingConfiguration"],
            "encryptionConfiguration": of["encryptionConfiguration"], "tags": [{"key": "team", "value": "orders"}],
        });
        assert_eq!(body, expected);
    }
}

fn new(setup: &Setup) -> NewMachine<'_, Setup> {
    NewMachine {
        name: "orders--r-0123456789ab",
        definition: "{}",
        role: ROLE,
        setup,
        tags: Vec::new(),
    }
}

#[tokio::test]
async fn what_comes_of_making_a_machine() {
    let setup = Setup::default();
    for (code, expected) in [
        ("StateMachineAlreadyExists", Making::Made),
        ("StateMachineDeleting", Making::Deleting),
    ] {
        assert_eq!(
            machines(&Wire::with([error(code)])).make(&new(&setup)).await,
            Ok(expected),
            "{code}"
        );
    }
    for code in [
        "InvalidDefinition",
        "StateMachineLimitExceeded",
        "TooManyTags",
        "ValidationException",
    ] {
        let made = machines(&Wire::with([error(code)])).make(&new(&setup)).await;
        let Ok(Making::Refused(why)) = made else {
            panic!("{code}: {made:?}");
        };
        assert!(why.contains(code) && why.contains(TOLD), "{why}");
    }
    assert!(
        machines(&Wire::with([denied()]))
            .make(&new(&setup))
            .await
            .unwrap_err()
            .is_access_denied()
    );
}

#[tokio::test]
async fn what_comes_of_starting_a_run() {
    let started = json!({"executionArn": execution("orders--r-0123456789ab:run-1").as_str(), "startDate": 1});
    for (answer, expected) in [
        (ok(&started), Starting::Started),
        (error("ExecutionAlreadyExists"), Starting::Ended),
        (error("StateMachineDoesNotExist"), Starting::NoSuchMachine),
    ] {
        let wire = Wire::with([answer]);
        let clone = machine("orders--r-0123456789ab");
        assert_eq!(machines(&wire).start(&clone, "run-1", "[1]").await, Ok(expected));
        assert_eq!(
            wire.only().1,
            json!({"stateMachineArn": clone.as_str(), "name": "run-1", "input": "[1]"})
        );
    }
}

#[tokio::test]
async fn what_comes_of_a_redrive() {
    let wire = Wire::with([Answer::Lost, ok(&json!({"redriveDate": 1}))]);
    let run = execution("orders:run-1");
    assert_eq!(machines(&wire).redrive(&run, "1b4f").await, Ok(Redriving::Redriven));
    // A call that is made again has the same token.
    assert_eq!(wire.attempts(), 2);
    for (_, body) in wire.sent() {
        assert_eq!(body, json!({"executionArn": run.as_str(), "clientToken": "1b4f"}));
    }
    let refused = machines(&Wire::with([error("ExecutionNotRedrivable")]))
        .redrive(&run, "1b4f")
        .await;
    assert_eq!(refused, Ok(Redriving::Refused(TOLD.to_owned())));
}

#[tokio::test]
async fn what_does_not_exist_is_nothing_and_what_is_no_answer_an_error() {
    let run = execution("orders:run-1");
    let gone = || Wire::with([error("ExecutionDoesNotExist")]);
    assert_eq!(machines(&gone()).describe(&run).await, Ok(None));
    assert!(machines(&gone()).ran(&run).await.unwrap().is_none());
    let gone = || Wire::with([error("StateMachineDoesNotExist")]);
    assert!(machines(&gone()).present(&machine("orders")).await.unwrap().is_none());
    let gone = Wire::with([error("ResourceNotFound")]);
    assert_eq!(machines(&gone).tags(&machine("orders")).await, Ok(Vec::new()));

    let answers: Vec<Answer> = nonsense().into_iter().map(|(answer, _)| answer).collect();
    for answer in answers.into_iter().chain([denied(), error("InvalidArn")]) {
        let again = || Wire::with(std::iter::repeat_n(answer.clone(), 4));
        assert!(machines(&again()).describe(&run).await.is_err(), "{answer:?}");
        assert!(machines(&again()).ran(&run).await.is_err());
        assert!(machines(&again()).present(&machine("orders")).await.is_err());
        assert!(machines(&again()).tags(&machine("orders")).await.is_err());
        assert!(machines(&again()).faults(DEFINITION).await.is_err());
        assert!(
            machines(&again())
                .start(&machine("orders"), "run-1", "{}")
                .await
                .is_err()
        );
        assert!(machines(&again()).redrive(&run, "1b4f").await.is_err());
    }
    let nobody = SfnMachines::new(nobody!(aws_sdk_sfn));
    assert!(
        nobody
            .describe(&run)
            .await
            .unwrap_err()
            .to_string()
            .starts_with("states:DescribeExecution failed: ")
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_made_again() {
    let wire = Wire::with([Answer::Silence, ok(&described(&json!({})))]);
    assert!(
        machines(&wire)
            .describe(&execution("orders:run-1"))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(wire.attempts(), 2);
}

#[tokio::test]
async fn tags_of_aws_are_not_copied() {
    let tags = json!({"tags": [
        {"key": "team", "value": "orders"}, {"key": "aws:cloudformation:stack-name", "value": "s"}, {"key": "empty", "value": ""},
    ]});
    let found = machines(&Wire::with([ok(&tags)]))
        .tags(&machine("orders"))
        .await
        .unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(found, [pair("team", "orders"), pair("empty", "")]);
}

#[tokio::test]
async fn faults_of_a_definition_are_told_with_their_places() {
    let none = json!({"result": "OK", "diagnostics": []});
    assert_eq!(machines(&Wire::with([ok(&none)])).faults(DEFINITION).await, Ok(None));
    let fault = |n: u32| json!({"severity": "ERROR", "code": "C", "message": format!("m{n}"), "location": format!("/States/{n}")});
    let many = json!({"result": "FAIL", "diagnostics": (0..7).map(fault).collect::<Vec<_>>()});
    let told = machines(&Wire::with([ok(&many)]))
        .faults(DEFINITION)
        .await
        .unwrap()
        .unwrap();
    assert!(
        told.starts_with("/States/0: m0 (C); /States/1: m1 (C)") && told.ends_with("; and 2 more"),
        "{told}"
    );
}

#[tokio::test]
async fn a_history_is_read_page_by_page_with_its_data() {
    let entered = json!({"id": 2, "previousEventId": 1, "type": "TaskStateEntered", "timestamp": 1_769_832_000,
        "stateEnteredEventDetails": {"name": "Charge", "input": "[1]"}});
    let started = json!({"id": 1, "previousEventId": 0, "type": "ExecutionStarted", "timestamp": 1_769_832_000,
        "executionStartedEventDetails": {"input": "[1]"}});
    let ended = json!({"id": 3, "previousEventId": 2, "type": "ExecutionFailed", "timestamp": 1_769_832_001,
        "executionFailedEventDetails": {"error": "E"}});
    let wire = Wire::with([
        ok(&json!({"events": [started, entered], "nextToken": "more"})),
        // A page may be empty, with more to come.
        ok(&json!({"events": [], "nextToken": "still"})),
        ok(&json!({"events": [ended]})),
    ]);
    let definition = Definition::parse(DEFINITION).unwrap();
    let past = machines(&wire)
        .past(&execution("orders:run-1"), &definition, None)
        .await
        .unwrap();
    assert_eq!(
        (past.events, past.last_event, past.input.as_deref()),
        (3, 3, Some("[1]"))
    );
    assert!(past.failure.is_some());
    let sent = wire.sent();
    let first = json!({"executionArn": format!("{HOME}:execution:orders:run-1"), "maxResults": 1000, "includeExecutionData": true});
    assert_eq!(sent[0].1, first);
    assert_eq!(sent[2].1["nextToken"], "still");

    let broken = Wire::with([ok(&json!({"events": [], "nextToken": "more"})), error("InvalidToken")]);
    assert!(
        machines(&broken)
            .past(&execution("orders:run-1"), &definition, None)
            .await
            .is_err()
    );
}
