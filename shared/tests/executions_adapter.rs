//! The adapter to Step Functions: what it sends, and what it makes of every answer.

mod wire;

use serde_json::{Value, json};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::executions::{Execution, Executions, Listed, SfnExecutions, Status};
use signalbox::quotas::{CAUSE_CHARS, ERROR_CHARS};

use wire::{Answer, TOLD, Wire, denied, error, ok};

const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders";
const RUN: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:nightly";

fn run() -> ExecutionArn {
    ExecutionArn::parse(RUN).expect("a good ARN")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a good time")
}

/// The three calls, each with an answer of its success.
#[derive(Debug, Clone, Copy)]
enum Call {
    Describe,
    List,
    Stop,
}

const CALLS: [Call; 3] = [Call::Describe, Call::List, Call::Stop];

impl Call {
    fn api(self) -> &'static str {
        match self {
            Self::Describe => "states:DescribeExecution",
            Self::List => "states:ListExecutions",
            Self::Stop => "states:StopExecution",
        }
    }

    /// What the adapter makes of these answers.
    async fn answered(self, answers: Vec<Answer>) -> (Result<Outcome, CallError>, Wire) {
        let wire = Wire::with(answers);
        let outcome = self.on(&executions(&wire)).await;
        (outcome, wire)
    }

    async fn on(self, executions: &SfnExecutions) -> Result<Outcome, CallError> {
        let machine = StateMachineArn::parse(MACHINE).expect("a good ARN");
        match self {
            Self::Describe => executions.describe(&run()).await.map(Outcome::Described),
            Self::List => executions.running(&machine).await.map(Outcome::Listed),
            Self::Stop => executions
                .stop(&run(), "OverlapGuard.Cancelled", "a newer run took its place")
                .await
                .map(|()| Outcome::Stopped),
        }
    }

    fn success(self) -> Answer {
        ok(&match self {
            Self::Describe => described(&json!({})),
            Self::List => json!({"executions": []}),
            Self::Stop => json!({"stopDate": 1_769_832_020}),
        })
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Described(Option<Execution>),
    Listed(Listed),
    Stopped,
}

/// A running execution as `DescribeExecution` answers it, with `changes`.
fn described(changes: &Value) -> Value {
    let mut body = json!({
        "executionArn": RUN,
        "stateMachineArn": MACHINE,
        "name": "nightly",
        "status": "RUNNING",
        "startDate": 1_769_832_012.345,
        "redriveCount": 0,
    });
    let fields = changes.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    body
}

async fn describe(changes: Value) -> Execution {
    match Call::Describe.answered(vec![ok(&described(&changes))]).await.0 {
        Ok(Outcome::Described(Some(execution))) => execution,
        other => panic!("{changes}: {other:?}"),
    }
}

/// An execution as `ListExecutions` answers it.
fn listed(name: &str, changes: &Value) -> Value {
    described(
        &json!({"executionArn": format!("{MACHINE}:{name}").replace(":stateMachine:", ":execution:"), "name": name}),
    )
    .as_object()
    .expect("an object")
    .clone()
    .into_iter()
    .chain(changes.as_object().expect("an object").clone())
    .collect()
}

fn executions(wire: &Wire) -> SfnExecutions {
    SfnExecutions::new(wire::client!(aws_sdk_sfn, wire))
}

#[tokio::test]
async fn each_call_sends_exactly_this() {
    for (call, sent) in [
        (
            Call::Describe,
            json!({"executionArn": RUN, "includedData": "METADATA_ONLY"}),
        ),
        (
            Call::List,
            json!({"stateMachineArn": MACHINE, "statusFilter": "RUNNING", "maxResults": 1000}),
        ),
        (
            Call::Stop,
            json!({"executionArn": RUN, "error": "OverlapGuard.Cancelled", "cause": "a newer run took its place"}),
        ),
    ] {
        let (outcome, wire) = call.answered(vec![call.success()]).await;
        assert!(outcome.is_ok(), "{outcome:?}");
        let operation = call.api().replace("states:", "AWSStepFunctions.");
        assert_eq!(wire.only(), (operation, sent));
    }
}

#[tokio::test]
async fn an_error_and_a_cause_that_are_too_long_are_cut_at_a_character() {
    let wire = Wire::with([Call::Stop.success(), Call::Stop.success()]);
    let executions = executions(&wire);
    for more in [0, 1] {
        let (error, cause) = ("é".repeat(ERROR_CHARS + more), "é".repeat(CAUSE_CHARS + more));
        executions.stop(&run(), &error, &cause).await.unwrap();
    }
    for (_, body) in wire.sent() {
        assert_eq!(body["error"], "é".repeat(ERROR_CHARS));
        assert_eq!(body["cause"], "é".repeat(CAUSE_CHARS));
    }
}

#[tokio::test]
async fn an_execution_is_as_old_as_its_last_redrive() {
    for (changes, since, redrive) in [
        (json!({}), "2026-01-31T04:00:12.345Z", 0),
        (json!({"redriveCount": null}), "2026-01-31T04:00:12.345Z", 0),
        (
            json!({"redriveCount": 2, "redriveDate": 1_769_835_600.5}),
            "2026-01-31T05:00:00.500Z",
            2,
        ),
        // Of a count that cannot be, nothing is made up.
        (json!({"redriveCount": -1}), "2026-01-31T04:00:12.345Z", 0),
    ] {
        let expected = Execution {
            arn: run(),
            since: at(since),
            redrive,
            status: Status::Running,
            aborted_with: None,
        };
        assert_eq!(describe(changes.clone()).await, expected, "described: {changes}");
        let page = json!({"executions": [listed("nightly", &changes)]});
        let (outcome, _) = Call::List.answered(vec![ok(&page)]).await;
        assert_eq!(
            outcome,
            Ok(Outcome::Listed(Listed::Running(vec![expected]))),
            "listed: {changes}"
        );
    }
}

/// Step Functions sends times as fractions of seconds, which are no exact binary fractions.
#[tokio::test]
async fn no_millisecond_is_lost() {
    for millis in 0..1000 {
        let date: Value = serde_json::from_str(&format!("1769832012.{millis:03}")).unwrap();
        let since = describe(json!({"startDate": date})).await.since;
        assert_eq!(since.as_millis(), 1_769_832_012_000 + millis);
    }
}

#[tokio::test]
async fn every_status_is_understood_and_an_unknown_one_runs() {
    let stop = 1_769_832_020.25;
    let stopped = Status::Stopped(at("2026-01-31T04:00:20.250Z"));
    for (changes, status) in [
        (json!({"status": "RUNNING"}), Status::Running),
        (json!({"status": "PENDING_REDRIVE"}), Status::Running),
        (json!({"status": "HIBERNATING"}), Status::Running),
        (json!({"status": "HIBERNATING", "stopDate": stop}), Status::Running),
        (json!({"status": "SUCCEEDED", "stopDate": stop}), Status::Over),
        (json!({"status": "FAILED", "stopDate": stop}), stopped),
        (json!({"status": "TIMED_OUT", "stopDate": stop}), stopped),
        (json!({"status": "ABORTED", "stopDate": stop}), stopped),
        (
            json!({"status": "ABORTED", "stopDate": stop, "error": "OverlapGuard.Cancelled"}),
            stopped,
        ),
        // It has ended, but nobody can say when.
        (json!({"status": "FAILED"}), Status::Running),
        (json!({"status": "TIMED_OUT"}), Status::Running),
        (json!({"status": "ABORTED"}), Status::Running),
    ] {
        assert_eq!(describe(changes.clone()).await.status, status, "{changes}");
    }
}

/// Of an execution that failed by itself, the error says nothing about who stopped it.
#[tokio::test]
async fn only_an_aborted_execution_was_stopped_with_its_error() {
    for (status, aborted_with) in [
        ("ABORTED", Some("Operator.Stopped")),
        ("FAILED", None),
        ("TIMED_OUT", None),
        ("SUCCEEDED", None),
        ("RUNNING", None),
        ("PENDING_REDRIVE", None),
        ("HIBERNATING", None),
    ] {
        let changes = json!({"status": status, "stopDate": 1_769_832_020, "error": "Operator.Stopped"});
        assert_eq!(
            describe(changes).await.aborted_with.as_deref(),
            aborted_with,
            "{status}"
        );
    }
    for error in [json!(null), json!("")] {
        let changes = json!({"status": "ABORTED", "stopDate": 1_769_832_020, "error": error});
        assert_eq!(describe(changes).await.aborted_with.as_deref(), error.as_str());
    }
}

#[tokio::test]
async fn the_list_has_every_page_also_behind_an_empty_one() {
    let pages = vec![
        ok(&json!({"executions": [listed("a", &json!({})), listed("b", &json!({}))], "nextToken": "one"})),
        ok(&json!({"executions": [], "nextToken": "two"})),
        ok(&json!({"executions": [listed("c", &json!({}))], "nextToken": "three"})),
        ok(&json!({"executions": []})),
    ];
    let (outcome, wire) = Call::List.answered(pages).await;
    let Ok(Outcome::Listed(Listed::Running(running))) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        running.iter().map(|run| run.arn.name()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    let tokens: Vec<Value> = wire.sent().iter().map(|(_, body)| body["nextToken"].clone()).collect();
    assert_eq!(json!(tokens), json!([null, "one", "two", "three"]));
    for (_, body) in wire.sent() {
        assert_eq!(
            (&body["stateMachineArn"], &body["statusFilter"]),
            (&json!(MACHINE), &json!("RUNNING"))
        );
    }
}

/// Half a list is no list: whatever is missing in it would be let past.
#[tokio::test]
async fn a_list_that_breaks_off_is_an_error() {
    let first = || ok(&json!({"executions": [listed("a", &json!({}))], "nextToken": "one"}));
    for (second, says) in [
        (error("InvalidToken"), "InvalidToken: told by the service"),
        (first(), "the token of the next page did not change"),
        (
            ok(&json!({"executions": [listed("a b", &json!({}))]})),
            "forbidden character ' '",
        ),
        (
            ok(&json!({"executions": [{"executionArn": "nightly", "status": "RUNNING"}]})),
            "is not an ARN",
        ),
    ] {
        let (outcome, _) = Call::List.answered(vec![first(), second.clone()]).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.api, "states:ListExecutions");
        assert!(error.to_string().contains(says), "{second:?}: {error}");
    }
}

#[tokio::test]
async fn some_errors_are_answers() {
    for (call, code, outcome) in [
        (Call::Describe, "ExecutionDoesNotExist", Outcome::Described(None)),
        (
            Call::List,
            "StateMachineDoesNotExist",
            Outcome::Listed(Listed::NoSuchMachine),
        ),
        (
            Call::List,
            "StateMachineTypeNotSupported",
            Outcome::Listed(Listed::Express),
        ),
        (Call::Stop, "ExecutionDoesNotExist", Outcome::Stopped),
    ] {
        assert_eq!(call.answered(vec![error(code)]).await.0, Ok(outcome), "{call:?} {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_other_error_is_one_and_keeps_its_code() {
    for (call, codes) in [
        (
            Call::Describe,
            &["InvalidArn", "KmsInvalidStateException", "SomethingNew"][..],
        ),
        (
            Call::List,
            &[
                "InvalidArn",
                "InvalidToken",
                "ResourceNotFound",
                "ValidationException",
                "SomethingNew",
            ],
        ),
        (
            Call::Stop,
            &[
                "InvalidArn",
                "KmsInvalidStateException",
                "ValidationException",
                "StateMachineTypeNotSupported",
                "SomethingNew",
            ],
        ),
    ] {
        for code in codes {
            let (outcome, _) = call.answered(vec![error(code); 9]).await;
            let error = outcome.unwrap_err();
            assert_eq!((error.api, error.code.as_deref()), (call.api(), Some(*code)));
            assert_eq!(error.to_string(), format!("{} failed: {code}: {TOLD}", call.api()));
            assert!(!error.is_access_denied() && !error.is_throttling());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_named_if_it_lasts() {
    for call in CALLS {
        let (outcome, wire) = call
            .answered(vec![
                error("ThrottlingException"),
                error("ThrottlingException"),
                call.success(),
            ])
            .await;
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(wire.attempts(), 3);

        let (outcome, wire) = call.answered(vec![error("ThrottlingException"); 9]).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.code.as_deref(), Some("ThrottlingException"));
        assert!(error.is_throttling());
        assert_eq!(wire.attempts(), 4);
    }
}

/// Each of them may be repeated: one looks, and the other stops what is stopped already.
#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_was_lost_is_made_again() {
    for call in CALLS {
        for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
            let (outcome, wire) = call.answered(vec![lost.clone(), call.success()]).await;
            assert!(outcome.is_ok(), "{outcome:?}");
            let [first, second] = <[_; 2]>::try_from(wire.sent()).expect("two attempts");
            assert_eq!(first, second);

            let (outcome, wire) = call.answered(vec![lost; 9]).await;
            assert_eq!(outcome.unwrap_err().api, call.api());
            assert_eq!(wire.attempts(), 4);
        }
    }
}

#[tokio::test]
async fn a_missing_permission_is_told_apart() {
    for call in CALLS {
        for answer in [denied(), error("AccessDeniedException")] {
            let (outcome, wire) = call.answered(vec![answer; 9]).await;
            let error = outcome.unwrap_err();
            assert!(error.is_access_denied(), "{error}");
            assert_eq!(wire.attempts(), 1, "to ask again would not help");
        }
        let (outcome, _) = call.answered(vec![denied()]).await;
        let text = outcome.unwrap_err().to_string();
        assert!(
            text.contains("AccessDeniedException: User: ") && text.contains(call.api()),
            "{text}"
        );
    }
    for call in [Call::Describe, Call::Stop] {
        let (outcome, _) = call.answered(vec![error("KmsAccessDeniedException")]).await;
        assert!(outcome.unwrap_err().is_access_denied());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_is_an_error() {
    for call in CALLS {
        for (answer, says) in wire::nonsense() {
            let (outcome, _) = call.answered(vec![answer.clone(); 9]).await;
            let error = outcome.unwrap_err();
            assert_eq!(error.code, None);
            let text = error.to_string();
            assert!(text.starts_with(&format!("{} failed: {says}", call.api())), "{text}");
            assert!(!error.is_access_denied() && !error.is_throttling());
        }
    }
}

#[tokio::test]
async fn a_lost_connection_says_why() {
    let executions = SfnExecutions::new(wire::nobody!(aws_sdk_sfn));
    for call in CALLS {
        let error = call.on(&executions).await.unwrap_err();
        assert_eq!((error.api, error.code.as_deref()), (call.api(), None));
        let text = error.to_string();
        assert!(
            text.contains("dispatch failure") && text.contains("Connection refused"),
            "{text}"
        );
    }
}
