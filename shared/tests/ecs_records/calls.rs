//! What is the same for every call: errors, throttling, permissions, lost connections.

use serde_json::{Value, json};
use signalbox::aws::CallError;
use signalbox::ecs::store::Records;

use crate::wire::dynamodb::not_met;
use crate::wire::{TOLD, denied, error, nonsense, ok};
use crate::*;

/// Every call of the adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Put,
    /// The second call of a write that found a record.
    PutFound,
    Adopt,
    Get,
    OfStep,
    OpenOfRun,
    Open,
    /// The second call of what looks for those that are open.
    OpenBatch,
    Started,
    Refused,
    Stopping,
    Missing,
    Ended,
    Done,
}

const CALLS: [Call; 14] = [
    Call::Put,
    Call::PutFound,
    Call::Adopt,
    Call::Get,
    Call::OfStep,
    Call::OpenOfRun,
    Call::Open,
    Call::OpenBatch,
    Call::Started,
    Call::Refused,
    Call::Stopping,
    Call::Missing,
    Call::Ended,
    Call::Done,
];

impl Call {
    fn operation(self) -> &'static str {
        match self {
            Self::Put => "PutItem",
            Self::PutFound | Self::Get => "GetItem",
            Self::Adopt => "TransactWriteItems",
            Self::OfStep | Self::OpenOfRun | Self::Open => "Query",
            Self::OpenBatch => "BatchGetItem",
            Self::Started | Self::Refused | Self::Stopping | Self::Missing | Self::Ended | Self::Done => "UpdateItem",
        }
    }

    /// As IAM has it: a transaction is what is in it.
    fn api(self) -> String {
        let operation = match self {
            Self::Adopt => "UpdateItem",
            other => other.operation(),
        };
        format!("dynamodb:{operation}")
    }

    fn success(self) -> Answer {
        ok(&match self {
            Self::PutFound | Self::Get => json!({"Item": item()}),
            Self::OpenBatch => json!({"Responses": {TABLE: [item()]}}),
            _ => json!({}),
        })
    }

    /// What the adapter makes of these answers, and how many attempts were made of the call.
    async fn answered(self, answers: Vec<Answer>) -> (Result<(), CallError>, usize) {
        let before = match self {
            Self::PutFound => vec![not_met(&Value::Null)],
            Self::OpenBatch => vec![ok(&json!({"Items": [item_key(1, 2)]}))],
            _ => vec![],
        };
        let others = before.len();
        let (records, wire) = records([before, answers].concat());
        let outcome = self.on(&records).await;
        assert!(!format!("{outcome:?}").contains(SECRET), "{self:?}: {outcome:?}");
        let sent = wire.sent();
        for (target, body) in &sent[others..] {
            assert_eq!(*target, format!("DynamoDB_20120810.{}", self.operation()));
            assert_eq!(body, &sent[others].1, "an attempt like the first");
        }
        (outcome, sent.len() - others)
    }

    async fn on(self, records: &DynamoRecords) -> Result<(), CallError> {
        let key = &key();
        let stop = Stop {
            why: Why::TimedOut,
            since: NOW,
        };
        match self {
            Self::Put | Self::PutFound => records.put(&record()).await.map(drop),
            Self::Adopt => records.adopt(&record(), &record()).await.map(drop),
            Self::Get => records.get(key).await.map(drop),
            Self::OfStep => records.of_step(key).await.map(drop),
            Self::OpenOfRun => records.open_of_run(key.run()).await.map(drop),
            Self::Open | Self::OpenBatch => records.open().await.map(drop),
            Self::Started => records.started(key, TASK).await.map(drop),
            Self::Refused => records.refused(key, NOW).await.map(drop),
            Self::Stopping => records.stopping(key, stop).await.map(drop),
            Self::Missing => records.missing(key, Some(NOW)).await,
            Self::Ended => records.ended(key, &task()).await.map(drop),
            Self::Done => records.done(key, true, None, NOW).await.map(drop),
        }
    }
}

#[tokio::test]
async fn each_call_succeeds_at_the_first_attempt() {
    for call in CALLS {
        assert_eq!(call.answered(vec![call.success()]).await, (Ok(()), 1), "{call:?}");
    }
}

/// What the SDK models for the operations, apart from the condition, and what DynamoDB answers all the same.
const CODES: [&str; 14] = [
    "InternalServerError",
    "InvalidEndpointException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ResourceNotFoundException",
    "ThrottlingException",
    "ItemCollectionSizeLimitExceededException",
    "ReplicatedWriteConflictException",
    "TransactionConflictException",
    "TransactionInProgressException",
    "IdempotentParameterMismatchException",
    "ValidationException",
    "UnrecognizedClientException",
    "SomethingNew",
];

#[tokio::test(start_paused = true)]
async fn every_other_error_is_one_and_keeps_its_code() {
    for call in CALLS {
        for code in CODES {
            let (outcome, attempts) = call.answered(vec![error(code); 9]).await;
            let error = outcome.unwrap_err();
            assert_eq!((error.api, error.code.as_deref()), (call.api().as_str(), Some(code)));
            let text = error.to_string();
            assert!(text.starts_with(&format!("{} failed: {code}: ", call.api())), "{text}");
            assert!(!error.is_access_denied());
            assert!(attempts <= 4, "{code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_named_if_it_lasts() {
    for call in CALLS {
        for code in [
            "ThrottlingException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
        ] {
            let answers = vec![error(code), error(code), call.success()];
            assert_eq!(call.answered(answers).await, (Ok(()), 3), "{call:?} {code}");

            let (outcome, attempts) = call.answered(vec![error(code); 9]).await;
            assert!(outcome.unwrap_err().is_throttling());
            assert_eq!(attempts, 4, "{call:?} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_was_lost_is_made_again() {
    for call in CALLS {
        for (lost, says) in [
            (Answer::Lost, "the connection broke"),
            (Answer::Silence, "timeout"),
            (error("InternalServerError"), TOLD),
        ] {
            assert_eq!(
                call.answered(vec![lost.clone(), call.success()]).await,
                (Ok(()), 2),
                "{call:?}"
            );

            let (outcome, attempts) = call.answered(vec![lost; 9]).await;
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!((error.api, attempts), (call.api().as_str(), 4));
            assert!(!error.is_throttling(), "it may have taken effect");
        }
    }
}

#[tokio::test]
async fn a_missing_permission_is_told_apart() {
    for call in CALLS {
        for answer in [denied(), error("AccessDeniedException")] {
            let (outcome, attempts) = call.answered(vec![answer; 9]).await;
            let error = outcome.unwrap_err();
            assert!(error.is_access_denied(), "{error}");
            assert_eq!(error.api, call.api());
            assert_eq!(attempts, 1, "to ask again would not help");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_is_an_error() {
    for call in CALLS {
        for (answer, says) in nonsense() {
            let (outcome, _) = call.answered(vec![answer; 9]).await;
            let error = outcome.unwrap_err();
            assert_eq!(error.code, None);
            let text = error.to_string();
            assert!(text.starts_with(&format!("{} failed: {says}", call.api())), "{text}");
        }
    }
}

#[tokio::test]
async fn a_lost_connection_says_why() {
    let records = DynamoRecords::new(wire::nobody!(aws_sdk_dynamodb), TABLE.to_owned());
    for call in CALLS {
        // Its first call fails already.
        let api = match call {
            Call::PutFound => Call::Put,
            Call::OpenBatch => Call::Open,
            other => other,
        }
        .api();
        let error = call.on(&records).await.unwrap_err();
        assert_eq!((error.api, error.code.as_deref()), (api.as_str(), None));
        let text = error.to_string();
        assert!(
            text.contains("dispatch failure") && text.contains("Connection refused"),
            "{text}"
        );
    }
}
