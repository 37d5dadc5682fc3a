//! What is the same for every call: errors, throttling, permissions, lost connections.

use serde_json::{Value, json};
use signalbox::aws::CallError;
use signalbox::lock::key::Nonce;
use signalbox::lock::store::{Audits, Directory, FreeIf, Gate, Heads, Owners, Queue, Setting};

use crate::audits::audit;
use crate::owners::{SECRET, owner, owner_item};
use crate::queue::waiter_item;
use crate::wire::dynamodb::not_met;
use crate::wire::{TOLD, denied, error, nonsense, ok};
use crate::*;

/// Every call of the store.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Head,
    Grant,
    /// The second call of a grant, of a lock that nobody ever held.
    Begin,
    Amend,
    Free,
    Arrive,
    Enqueue,
    Dequeue,
    Vacate,
    Contend,
    Calm,
    Waiters,
    Waiter,
    Count,
    Configure,
    Retire,
    Open,
    Owner,
    OwnedBy,
    Reown,
    Close,
    Active,
    Lost,
    Overdue,
    Note,
    Noted,
}

const CALLS: [Call; 26] = [
    Call::Head,
    Call::Grant,
    Call::Begin,
    Call::Amend,
    Call::Free,
    Call::Arrive,
    Call::Enqueue,
    Call::Dequeue,
    Call::Vacate,
    Call::Contend,
    Call::Calm,
    Call::Waiters,
    Call::Waiter,
    Call::Count,
    Call::Configure,
    Call::Retire,
    Call::Open,
    Call::Owner,
    Call::OwnedBy,
    Call::Reown,
    Call::Close,
    Call::Active,
    Call::Lost,
    Call::Overdue,
    Call::Note,
    Call::Noted,
];

impl Call {
    fn operation(self) -> &'static str {
        match self {
            Self::Head | Self::Waiter | Self::Owner => "GetItem",
            Self::Begin | Self::Enqueue | Self::Open | Self::Reown | Self::Note => "PutItem",
            Self::Dequeue | Self::Vacate => "DeleteItem",
            Self::Waiters | Self::Count | Self::OwnedBy | Self::Active | Self::Lost | Self::Overdue | Self::Noted => {
                "Query"
            }
            Self::Grant
            | Self::Amend
            | Self::Free
            | Self::Arrive
            | Self::Contend
            | Self::Calm
            | Self::Configure
            | Self::Retire
            | Self::Close => "UpdateItem",
        }
    }

    fn api(self) -> String {
        format!("dynamodb:{}", self.operation())
    }

    fn success(self) -> Answer {
        ok(&match self {
            Self::Head => json!({"Item": head_item()}),
            Self::Waiter => json!({"Item": waiter_item(8)}),
            Self::Owner => json!({"Item": owner_item()}),
            Self::Grant | Self::Free | Self::Arrive | Self::Configure => json!({"Attributes": head_item()}),
            Self::Close => json!({"Attributes": owner_item()}),
            _ => json!({}),
        })
    }

    /// What the adapter makes of these answers, and how many attempts were made of the call.
    async fn answered(self, answers: Vec<Answer>) -> (Result<(), CallError>, usize) {
        let before = match self {
            Self::Begin => vec![not_met(&Value::Null)],
            _ => vec![],
        };
        let others = before.len();
        let (store, wire) = store([before, answers].concat());
        let outcome = self.on(&store).await;
        assert!(!format!("{outcome:?}").contains(SECRET), "{self:?}: {outcome:?}");
        let sent = wire.sent();
        for (target, body) in &sent[others..] {
            assert_eq!(*target, format!("DynamoDB_20120810.{}", self.operation()));
            assert_eq!(
                (target, body),
                (&sent[others].0, &sent[others].1),
                "an attempt like the first"
            );
        }
        (outcome, sent.len() - others)
    }

    async fn on(self, store: &DynamoLocks) -> Result<(), CallError> {
        let (lock, hold, owner, holder) = (&lock(), &hold(), &owner(), &holder());
        let waiter = signalbox::lock::record::Waiter {
            hold: hold.clone(),
            ticket: ticket(),
            place: place(8),
            since: NOW,
            until: None,
            by: Nonce::of("me"),
        };
        match self {
            Self::Head => store.head(lock).await.map(drop),
            Self::Grant | Self::Begin => store.grant(lock, &ticket(), holder, Gate::Newcomer).await.map(drop),
            Self::Amend => store.amend(lock, &ticket(), holder, holder).await.map(drop),
            Self::Free => store.free(lock, &ticket(), FreeIf::Any, NOW).await.map(drop),
            Self::Arrive => store.arrive(lock, NOW).await.map(drop),
            Self::Enqueue => store.enqueue(&waiter).await,
            Self::Dequeue => store.dequeue(&waiter).await,
            Self::Vacate => store.vacate(lock, &place(8)).await,
            Self::Contend => store.contend(lock, NOW).await,
            Self::Calm => store.calm(lock, 3).await.map(drop),
            Self::Waiters => store.waiters(lock, None, 9).await.map(drop),
            Self::Waiter => store.waiter(lock, &place(8)).await.map(drop),
            Self::Count => store.count(lock, None, 9).await.map(drop),
            Self::Configure => store.configure(lock, Setting::Slots(2), NOW).await.map(drop),
            Self::Retire => store.retire(lock, &head(), NOW).await,
            Self::Open => store.open(owner, NOW).await.map(drop),
            Self::Owner => store.owner(hold).await.map(drop),
            Self::OwnedBy => store.owned_by(&hold.execution).await.map(drop),
            Self::Reown => store.reown(owner, owner, NOW).await.map(drop),
            Self::Close => store.close(hold, None, NOW).await.map(drop),
            Self::Active => store.active(None).await.map(drop),
            Self::Lost => store.lost(None).await.map(drop),
            Self::Overdue => store.overdue(NOW, None).await.map(drop),
            Self::Note => store.note(lock, &audit(), &Nonce::of("me")).await,
            Self::Noted => store.noted(lock, 9).await.map(drop),
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
const CODES: [&str; 12] = [
    "InternalServerError",
    "InvalidEndpointException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ResourceNotFoundException",
    "ThrottlingException",
    "ItemCollectionSizeLimitExceededException",
    "ReplicatedWriteConflictException",
    "TransactionConflictException",
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
            assert_eq!(error.to_string(), format!("{} failed: {code}: {TOLD}", call.api()));
            assert!(!error.is_access_denied());
            assert!(attempts <= 4, "{code}");
        }
    }
}

/// A condition is not met only where one was set.
#[tokio::test]
async fn a_write_without_a_condition_has_none_that_is_not_met() {
    for call in [Call::Arrive, Call::Vacate, Call::Contend, Call::Configure, Call::Note] {
        let (outcome, _) = call.answered(vec![not_met(&head_item())]).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.code.as_deref(), Some("ConditionalCheckFailedException"));
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
    let store = DynamoLocks::new(wire::nobody!(aws_sdk_dynamodb), TABLE.to_owned());
    for call in CALLS {
        // Its first call fails already.
        let api = if call == Call::Begin { Call::Grant } else { call }.api();
        let error = call.on(&store).await.unwrap_err();
        assert_eq!((error.api, error.code.as_deref()), (api.as_str(), None));
        let text = error.to_string();
        assert!(
            text.contains("dispatch failure") && text.contains("Connection refused"),
            "{text}"
        );
    }
}
