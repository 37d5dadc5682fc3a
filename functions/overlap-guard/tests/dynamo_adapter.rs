//! The adapter to DynamoDB: what it sends, and what it makes of every answer.

#[path = "../../../shared/tests/wire/mod.rs"]
mod wire;

use std::collections::HashSet;

use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use aws_smithy_types::retry::RetryConfig;
use overlap_guard::answer::Overlap;
use overlap_guard::error::Error;
use overlap_guard::store::{
    Claim, ClaimState, Claims, DynamoStore, Holder, Question, Record, Records, Ruling, Verdict,
};
use serde_json::{Value, json};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::{CallError, retries};
use signalbox::clock::Timestamp;
use signalbox::failure::Failure;

use wire::{Answer, TOLD, Wire, denied, error, ok};

const TABLE: &str = "fleet";
const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders";
const RUN: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:nightly";
const CHILD: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:child";
const ANOTHER: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:another-child";
const NOW: Timestamp = Timestamp::from_millis(1_769_832_012_345);
const QUESTION: Question = Question {
    redrive: 1,
    entered: Timestamp::from_millis(5_000),
};
/// What DynamoDB answers to a write whose condition is not met.
const NOT_MET: &str = "ConditionalCheckFailedException";

fn arn(text: &str) -> ExecutionArn {
    ExecutionArn::parse(text).expect("a good ARN")
}

fn holder() -> Holder {
    Holder {
        run: arn(RUN),
        question: QUESTION,
    }
}

/// A confirmed claim of another run.
fn seen() -> Claim {
    Claim {
        holder: Holder {
            run: arn(&RUN.replace("nightly", "older")),
            question: Question {
                redrive: 2,
                entered: Timestamp::from_millis(6_000),
            },
        },
        state: ClaimState::Confirmed,
        changed: Timestamp::from_millis(7_000),
        members: Vec::new(),
        joins: 4,
    }
}

fn member(run: &str) -> Holder {
    Holder {
        run: arn(run),
        question: QUESTION,
    }
}

/// The same, with two runs that the holder started.
fn joined() -> Claim {
    Claim {
        members: vec![member(ANOTHER), member(CHILD)],
        joins: 6,
        ..seen()
    }
}

fn verdict(cancelled: bool) -> Verdict {
    Verdict {
        ruling: if cancelled { Ruling::Proceed } else { Ruling::Refuse },
        overlapping: vec![Overlap {
            execution_arn: "arn:older".to_owned(),
            started_at: "2026-01-31T04:00:00.000Z".to_owned(),
            console_url: "https://console".to_owned(),
            cancelled,
        }],
    }
}

fn overlapping(cancelled: bool) -> String {
    let more = if cancelled { r#","cancelled":true"# } else { "" };
    format!(
        r#"[{{"executionArn":"arn:older","startedAt":"2026-01-31T04:00:00.000Z","consoleUrl":"https://console"{more}}}]"#
    )
}

/// Every call of the store.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Arrive,
    Records,
    Decide,
    Claim,
    Read,
    Replace,
    Remove,
}

const CALLS: [Call; 7] = [
    Call::Arrive,
    Call::Records,
    Call::Decide,
    Call::Claim,
    Call::Read,
    Call::Replace,
    Call::Remove,
];

#[derive(Debug, PartialEq)]
enum Outcome {
    Record(Record),
    Records(Vec<(ExecutionArn, Record)>),
    Done(bool),
    Verdict(Option<Verdict>),
    Claim(Option<Claim>),
    Removed,
}

impl Call {
    fn operation(self) -> &'static str {
        match self {
            Self::Arrive | Self::Claim | Self::Replace => "PutItem",
            Self::Records => "BatchGetItem",
            Self::Decide => "UpdateItem",
            Self::Read => "GetItem",
            Self::Remove => "DeleteItem",
        }
    }

    fn api(self) -> String {
        format!("dynamodb:{}", self.operation())
    }

    fn writes(self) -> bool {
        !matches!(self, Self::Records | Self::Read)
    }

    /// What the adapter makes of these answers.
    async fn answered(self, answers: Vec<Answer>) -> (Result<Outcome, CallError>, Wire) {
        let (store, wire) = store(self.operation(), answers);
        (self.on(&store).await, wire)
    }

    async fn on(self, store: &DynamoStore) -> Result<Outcome, CallError> {
        let run = arn(RUN);
        let machine = StateMachineArn::parse(MACHINE).expect("a good ARN");
        Ok(match self {
            Self::Arrive => Outcome::Record(store.arrive(&run, QUESTION, NOW).await?),
            Self::Records => Outcome::Records(store.records(&[run]).await?.into_iter().collect()),
            Self::Decide => Outcome::Verdict(store.decide(&run, QUESTION, &verdict(true)).await?),
            Self::Claim => Outcome::Claim(Some(store.claim(&machine, &holder(), NOW).await?)),
            Self::Read => Outcome::Claim(store.read(&machine).await?),
            Self::Replace => Outcome::Done(store.replace(&machine, &seen(), &joined()).await?),
            Self::Remove => {
                store.remove(&machine, &seen()).await?;
                Outcome::Removed
            }
        })
    }
}

fn store(operation: &str, answers: Vec<Answer>) -> (DynamoStore, Wire) {
    let wire = Wire::default();
    let rule = match operation {
        "PutItem" => wire::rule(mock!(Client::put_item), answers),
        "GetItem" => wire::rule(mock!(Client::get_item), answers),
        "UpdateItem" => wire::rule(mock!(Client::update_item), answers),
        "DeleteItem" => wire::rule(mock!(Client::delete_item), answers),
        _ => wire::rule(mock!(Client::batch_get_item), answers),
    };
    let recorder = wire.clone();
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::Sequential, [&rule], |config| {
        config
            .interceptor(recorder.clone())
            .retry_config(retries())
            .retry_partition(alone())
    });
    (DynamoStore::new(client, TABLE.to_owned()), wire)
}

/// The condition was not met; this is the item as it is.
fn not_met(item: &Value) -> Answer {
    let body = json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{NOT_MET}"),
        "message": "The conditional request failed",
        "Item": item,
    });
    Answer(400, body.to_string())
}

fn batch(items: &[Value]) -> Answer {
    ok(&json!({"Responses": {TABLE: items}, "UnprocessedKeys": {}}))
}

/// An unanswered record of a run.
fn record_item(run: &str) -> Value {
    json!({
        "pk": {"S": format!("RUN#{run}")}, "sk": {"S": "GUARD"},
        "redrive": {"N": "3"}, "entered": {"N": "9000"}, "arrived": {"N": "9001"}, "expires": {"N": "1801454412"},
    })
}

/// The members of [`joined`], as they are written.
fn member_texts() -> Vec<String> {
    [ANOTHER, CHILD].map(|run| format!("1 5000 {run}")).to_vec()
}

fn claim_item() -> Value {
    json!({
        "pk": {"S": format!("GUARD#{MACHINE}")}, "sk": {"S": "CLAIM"},
        "holder": {"S": seen().holder.run.as_str()}, "redrive": {"N": "2"}, "entered": {"N": "6000"},
        "claimState": {"S": "confirmed"}, "changed": {"N": "7000"}, "joins": {"N": "4"},
    })
}

/// `item` with these attributes; those that are `null` are taken out.
fn with(mut item: Value, changes: &Value) -> Value {
    let attributes = item.as_object_mut().expect("an item");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            attributes.remove(name);
        } else {
            attributes.insert(name.clone(), value.clone());
        }
    }
    item
}

/// Without the other clients of the process, whose failures use up its retries.
fn alone() -> RetryPartition {
    RetryPartition::custom("test").build()
}

#[tokio::test]
async fn each_call_sends_exactly_this() {
    let record_key = json!({"pk": {"S": format!("RUN#{RUN}")}, "sk": {"S": "GUARD"}});
    let claim_key = json!({"pk": {"S": format!("GUARD#{MACHINE}")}, "sk": {"S": "CLAIM"}});
    let new_claim = with(
        claim_key.clone(),
        &json!({"holder": {"S": RUN}, "redrive": {"N": "1"}, "entered": {"N": "5000"}, "claimState": {"S": "pending"},
            "changed": {"N": "1769832012345"}, "joins": {"N": "0"}}),
    );
    let unanswered = "redrive = :redrive AND entered = :entered AND attribute_not_exists(ruling)";
    let as_seen = "holder = :holder AND redrive = :redrive AND entered = :entered AND claimState = :state \
                   AND changed = :changed AND joins = :joins";
    let seen_values = json!({
        ":holder": {"S": seen().holder.run.as_str()}, ":redrive": {"N": "2"}, ":entered": {"N": "6000"},
        ":state": {"S": "confirmed"}, ":changed": {"N": "7000"}, ":joins": {"N": "4"},
    });
    for (call, sent) in [
        (
            Call::Arrive,
            json!({
                "TableName": TABLE,
                "Item": with(record_key.clone(), &json!({
                    "redrive": {"N": "1"}, "entered": {"N": "5000"}, "arrived": {"N": "1769832012345"},
                    // A leap year after the second in which it arrived.
                    "expires": {"N": (1_769_832_012 + 366 * 86_400).to_string()},
                })),
                "ConditionExpression":
                    "attribute_not_exists(pk) OR redrive < :redrive OR (redrive = :redrive AND entered < :entered)",
                "ExpressionAttributeValues": {":redrive": {"N": "1"}, ":entered": {"N": "5000"}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }),
        ),
        (
            Call::Records,
            json!({"RequestItems": {TABLE: {"Keys": [record_key.clone()], "ConsistentRead": true}}}),
        ),
        (
            Call::Decide,
            json!({
                "TableName": TABLE,
                "Key": record_key.clone(),
                "UpdateExpression": "SET ruling = :ruling, overlapping = :overlapping",
                "ConditionExpression": unanswered,
                "ExpressionAttributeValues": {
                    ":redrive": {"N": "1"}, ":entered": {"N": "5000"},
                    ":ruling": {"S": "proceed"}, ":overlapping": {"S": overlapping(true)},
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }),
        ),
        (
            Call::Claim,
            json!({
                "TableName": TABLE,
                "Item": new_claim.clone(),
                "ConditionExpression": "attribute_not_exists(pk)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }),
        ),
        (
            Call::Read,
            json!({"TableName": TABLE, "Key": claim_key.clone(), "ConsistentRead": true}),
        ),
        (
            Call::Replace,
            json!({
                "TableName": TABLE,
                "Item": with(claim_item(), &json!({"members": {"SS": member_texts()}, "joins": {"N": "6"}})),
                "ConditionExpression": as_seen,
                "ExpressionAttributeValues": seen_values.clone(),
            }),
        ),
        (
            Call::Remove,
            json!({
                "TableName": TABLE,
                "Key": claim_key.clone(),
                "ConditionExpression": as_seen,
                "ExpressionAttributeValues": seen_values,
            }),
        ),
    ] {
        let (outcome, wire) = call.answered(vec![ok(&json!({}))]).await;
        assert!(outcome.is_ok(), "{call:?}: {outcome:?}");
        let target = format!("DynamoDB_20120810.{}", call.operation());
        assert_eq!(wire.only(), (target, sent), "{call:?}");
    }
}

#[tokio::test]
async fn a_write_that_was_made_is_answered_as_made() {
    let fresh = Record {
        question: QUESTION,
        verdict: None,
    };
    let claimed = Claim::new(&holder(), NOW);
    for (call, outcome) in [
        (Call::Arrive, Outcome::Record(fresh)),
        (Call::Records, Outcome::Records(vec![])),
        (Call::Decide, Outcome::Verdict(Some(verdict(true)))),
        (Call::Claim, Outcome::Claim(Some(claimed))),
        (Call::Read, Outcome::Claim(None)),
        (Call::Replace, Outcome::Done(true)),
        (Call::Remove, Outcome::Removed),
    ] {
        assert_eq!(call.answered(vec![ok(&json!({}))]).await.0, Ok(outcome), "{call:?}");
    }
}

#[tokio::test]
async fn a_write_that_came_too_late_is_answered_with_what_is_there() {
    let later = Record {
        question: Question {
            redrive: 3,
            entered: Timestamp::from_millis(9_000),
        },
        verdict: None,
    };
    let mine = json!({"redrive": {"N": "1"}, "entered": {"N": "5000"}});
    let refused = json!({"ruling": {"S": "refuse"}, "overlapping": {"S": overlapping(false)}});
    let record = |changes: &Value| not_met(&with(record_item(RUN), changes));
    let answered = |mine: &Value| record(&with(mine.clone(), &refused));

    for (call, answer, outcome) in [
        (Call::Arrive, record(&json!({})), Outcome::Record(later.clone())),
        (
            Call::Arrive,
            answered(&mine),
            Outcome::Record(Record {
                question: QUESTION,
                verdict: Some(verdict(false)),
            }),
        ),
        // Another attempt was quicker: its verdict stands.
        (Call::Decide, answered(&mine), Outcome::Verdict(Some(verdict(false)))),
        // A later question: neither it nor its verdict is an answer to this one.
        (Call::Decide, record(&json!({})), Outcome::Verdict(None)),
        (Call::Decide, answered(&json!({})), Outcome::Verdict(None)),
        (
            Call::Decide,
            answered(&with(mine.clone(), &json!({"entered": {"N": "5001"}}))),
            Outcome::Verdict(None),
        ),
        (
            Call::Decide,
            answered(&with(mine.clone(), &json!({"redrive": {"N": "2"}}))),
            Outcome::Verdict(None),
        ),
        (Call::Claim, not_met(&claim_item()), Outcome::Claim(Some(seen()))),
        (Call::Replace, error(NOT_MET), Outcome::Done(false)),
        (Call::Remove, error(NOT_MET), Outcome::Removed),
    ] {
        let (got, wire) = call.answered(vec![answer.clone()]).await;
        assert_eq!(got, Ok(outcome), "{call:?} {answer:?}");
        assert_eq!(wire.attempts(), 1);
    }
}

/// The SDK repeats a write whose answer was lost, and the repetition finds what the first one wrote.
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_answered_with_what_it_wrote() {
    let record = json!({"redrive": {"N": "1"}, "entered": {"N": "5000"}});
    let answered = json!({"ruling": {"S": "proceed"}, "overlapping": {"S": overlapping(true)}});
    let claim = json!({"holder": {"S": RUN}, "redrive": {"N": "1"}, "entered": {"N": "5000"}, "claimState": {"S": "pending"},
        "changed": {"N": "1769832012345"}, "joins": {"N": "0"}});
    for (call, item) in [
        (Call::Arrive, with(record_item(RUN), &record)),
        (Call::Decide, with(with(record_item(RUN), &record), &answered)),
        (Call::Claim, with(claim_item(), &claim)),
    ] {
        let (made, _) = call.answered(vec![ok(&json!({}))]).await;
        let (repeated, wire) = call.answered(vec![error("InternalServerError"), not_met(&item)]).await;
        assert_eq!(repeated, made);
        assert_eq!(wire.attempts(), 2);
    }
}

#[tokio::test]
async fn a_claim_is_read_with_its_state_and_its_members() {
    let pending = Claim {
        state: ClaimState::Pending,
        ..seen()
    };
    for (changes, claim) in [
        (json!({}), seen()),
        (json!({"claimState": {"S": "pending"}}), pending),
        // A set has no order.
        (
            json!({"members": {"SS": member_texts().into_iter().rev().collect::<Vec<_>>()}, "joins": {"N": "6"}}),
            joined(),
        ),
    ] {
        let item = with(claim_item(), &changes);
        let (outcome, _) = Call::Read.answered(vec![ok(&json!({"Item": item}))]).await;
        assert_eq!(outcome, Ok(Outcome::Claim(Some(claim.clone()))));
        let (outcome, _) = Call::Claim.answered(vec![not_met(&item)]).await;
        assert_eq!(outcome, Ok(Outcome::Claim(Some(claim))));
    }
}

/// Whatever is missing or strange is named; none of it is taken for something else.
#[tokio::test]
async fn an_item_that_cannot_be_read_is_an_error_that_names_the_attribute() {
    let answered = with(
        record_item(RUN),
        &json!({"ruling": {"S": "refuse"}, "overlapping": {"S": "[]"}}),
    );
    let mut cases = Vec::new();
    for (name, values) in [
        (
            "redrive",
            json!([null, {"S": "1"}, {"N": "-1"}, {"N": "1.5"}, {"N": "4294967296"}, {"NULL": true}]),
        ),
        ("entered", json!([null, {"S": "2026-01-31T04:00:00Z"}, {"N": "1e30"}])),
        (
            "ruling",
            json!([{"N": "1"}, {"NULL": true}, {"S": ""}, {"S": "Proceed"}, {"S": "maybe"}]),
        ),
        (
            "overlapping",
            json!([null, {"N": "1"}, {"L": []}, {"S": ""}, {"S": "{}"}, {"S": "[{}]"}]),
        ),
    ] {
        for value in values.as_array().unwrap() {
            let item = with(answered.clone(), &json!({name: value}));
            for call in [Call::Arrive, Call::Decide] {
                cases.push((call, name, value.clone(), not_met(&item)));
            }
            cases.push((Call::Records, name, value.clone(), batch(&[item])));
        }
    }
    for (name, values) in [
        (
            "holder",
            json!([null, {"N": "1"}, {"S": ""}, {"S": "nightly"}, {"S": MACHINE}]),
        ),
        ("redrive", json!([null, {"S": "1"}, {"N": "-1"}])),
        ("entered", json!([null, {"S": "1"}, {"N": "0.5"}])),
        (
            "claimState",
            json!([null, {"N": "1"}, {"S": ""}, {"S": "Pending"}, {"S": "released"}]),
        ),
        ("changed", json!([null, {"S": "1"}, {"N": "0.5"}])),
        ("joins", json!([null, {"S": "1"}, {"N": "-1"}])),
        (
            "members",
            json!([
                {"S": "1 5000 a"}, {"L": []}, {"NULL": true}, {"SS": [CHILD]}, {"SS": [""]}, {"SS": ["1 5000 nightly"]},
                {"SS": [format!("-1 5000 {CHILD}")]}, {"SS": [format!("1 soon {CHILD}")]}, {"SS": [format!("1 5000 {CHILD} x")]},
            ]),
        ),
    ] {
        for value in values.as_array().unwrap() {
            let item = with(claim_item(), &json!({name: value}));
            cases.push((Call::Claim, name, value.clone(), not_met(&item)));
            cases.push((Call::Read, name, value.clone(), ok(&json!({"Item": item}))));
        }
    }
    cases.push((
        Call::Records,
        "pk",
        Value::Null,
        batch(&[with(record_item(RUN), &json!({"pk": null}))]),
    ));
    cases.push((
        Call::Records,
        "pk",
        json!({"N": "1"}),
        batch(&[with(record_item(RUN), &json!({"pk": {"N": "1"}}))]),
    ));

    for (call, name, value, answer) in cases {
        let (outcome, _) = call.answered(vec![answer]).await;
        let error = outcome.expect_err(&format!("{call:?} {name} {value}"));
        assert_eq!((error.api, &error.code), (call.api().as_str(), &None));
        let text = error.to_string();
        assert!(
            text.contains(&format!("the item's attribute {name} cannot be read: ")),
            "{call:?} {value}: {text}"
        );
        assert_eq!(text.ends_with("it is missing"), value.is_null(), "{text}");
        assert_eq!(Error::from(error).name(), "OverlapGuard.Unavailable");
    }
}

/// Without the item that was asked for, nobody knows what stands in the way.
#[tokio::test]
async fn a_condition_failure_that_must_bring_the_item_and_does_not_is_an_error() {
    for (call, name) in [
        (Call::Arrive, "redrive"),
        (Call::Decide, "redrive"),
        (Call::Claim, "holder"),
    ] {
        for answer in [error(NOT_MET), not_met(&Value::Null), not_met(&json!({}))] {
            let (outcome, _) = call.answered(vec![answer]).await;
            let text = outcome.unwrap_err().to_string();
            let says = format!(
                "{} failed: the item's attribute {name} cannot be read: it is missing",
                call.api()
            );
            assert_eq!(text, says);
        }
    }
}

#[tokio::test]
async fn records_are_read_a_hundred_at_a_time_each_once() {
    let run = |n: usize| arn(&format!("{RUN}-{n}"));
    let keys = |body: &Value| -> Vec<String> {
        let table = &body["RequestItems"][TABLE];
        assert_eq!(table["ConsistentRead"], true);
        let keys = table["Keys"].as_array().unwrap();
        keys.iter()
            .map(|key| key["pk"]["S"].as_str().unwrap().to_owned())
            .collect()
    };
    for (runs, sizes) in [
        (0_usize, vec![]),
        (1, vec![1]),
        (100, vec![100]),
        (101, vec![100, 1]),
        (250, vec![100, 100, 50]),
    ] {
        // Each batch finds the record of its first and its last run, and of one that nobody asked for.
        let batches = runs.div_ceil(100);
        let found: Vec<usize> = (0..batches)
            .flat_map(|b| [b * 100, (b * 100 + 99).min(runs - 1)])
            .collect();
        let answers: Vec<Answer> = found
            .chunks(2)
            .map(|pair| {
                let mut items: Vec<Value> = pair.iter().map(|n| record_item(run(*n).as_str())).collect();
                items.push(record_item(&format!("{RUN}-nobody")));
                batch(&items)
            })
            .chain([batch(&[])])
            .collect();
        let (store, wire) = store("BatchGetItem", answers);
        let asked: Vec<ExecutionArn> = (0..runs).map(run).collect();

        let records = store.records(&asked).await.unwrap();

        let sent: Vec<Vec<String>> = wire.sent().iter().map(|(_, body)| keys(body)).collect();
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        let distinct: HashSet<String> = sent.into_iter().flatten().collect();
        assert_eq!(distinct, asked.iter().map(|run| format!("RUN#{run}")).collect());
        let expected: HashSet<ExecutionArn> = found.into_iter().map(run).collect();
        assert_eq!(records.into_keys().collect::<HashSet<_>>(), expected);
    }

    // DynamoDB refuses a batch that names a key twice.
    let (store, wire) = store("BatchGetItem", vec![batch(&[record_item(run(1).as_str())])]);
    let records = store.records(&[run(1), run(2), run(1)]).await.unwrap();
    assert_eq!((records.len(), keys(&wire.only().1).len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_left_are_asked_for_again_but_not_for_ever() {
    let runs = [arn(RUN), arn(CHILD)];
    let left = json!({"pk": {"S": format!("RUN#{CHILD}")}, "sk": {"S": "GUARD"}});
    let half = |items: &[Value]| {
        ok(&json!({"Responses": {TABLE: items},
            "UnprocessedKeys": {TABLE: {"Keys": [left.clone()], "ConsistentRead": true}}}))
    };

    let answers = vec![half(&[record_item(RUN)]), half(&[]), batch(&[record_item(CHILD)])];
    let (first, wire) = store("BatchGetItem", answers);
    let records = first.records(&runs).await.unwrap();
    assert_eq!(records.len(), 2);
    for (_, body) in &wire.sent()[1..] {
        assert_eq!(
            *body,
            json!({"RequestItems": {TABLE: {"Keys": [left], "ConsistentRead": true}}})
        );
    }
    assert_eq!(wire.attempts(), 3);

    // An incomplete answer would be read as "it never asked".
    let (second, wire) = store("BatchGetItem", vec![half(&[record_item(RUN)]); 99]);
    let error = second.records(&runs).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dynamodb:BatchGetItem failed: keys were left unprocessed again and again"
    );
    assert_eq!(wire.attempts(), 8);
}

/// What the SDK models for the operations, apart from the condition.
const FOR_ALL: [&str; 6] = [
    "InternalServerError",
    "InvalidEndpointException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ResourceNotFoundException",
    "ThrottlingException",
];
const FOR_WRITES: [&str; 3] = [
    "ItemCollectionSizeLimitExceededException",
    "ReplicatedWriteConflictException",
    "TransactionConflictException",
];
/// What it does not model, and DynamoDB answers all the same.
const COMMON: [&str; 3] = ["ValidationException", "UnrecognizedClientException", "SomethingNew"];

#[tokio::test(start_paused = true)]
async fn every_other_error_is_one_and_keeps_its_code() {
    for call in CALLS {
        let writes = FOR_WRITES.iter().filter(|_| call.writes());
        for code in FOR_ALL.iter().chain(writes).chain(&COMMON) {
            let (outcome, wire) = call.answered(vec![error(code); 9]).await;
            let error = outcome.unwrap_err();
            assert_eq!((error.api, error.code.as_deref()), (call.api().as_str(), Some(*code)));
            assert_eq!(error.to_string(), format!("{} failed: {code}: {TOLD}", call.api()));
            assert!(wire.attempts() <= 4, "{code}");
            assert_eq!(Error::from(error).name(), "OverlapGuard.Unavailable");
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
            "InternalServerError",
        ] {
            let (outcome, wire) = call.answered(vec![error(code), error(code), ok(&json!({}))]).await;
            assert!(outcome.is_ok(), "{call:?} {code}: {outcome:?}");
            assert_eq!(wire.attempts(), 3);

            let (outcome, wire) = call.answered(vec![error(code); 9]).await;
            assert_eq!(outcome.unwrap_err().code.as_deref(), Some(code));
            assert_eq!(wire.attempts(), 4, "{call:?} {code}");
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
            assert_eq!(Error::from(error).name(), "OverlapGuard.AccessDenied");
        }
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
        }
    }
}

#[tokio::test]
async fn a_lost_connection_says_why() {
    let config = Config::builder().with_test_defaults_v2().endpoint_url(wire::nowhere());
    let config = config.retry_config(RetryConfig::disabled()).build();
    let store = DynamoStore::new(Client::from_conf(config), TABLE.to_owned());
    for call in CALLS {
        let error = call.on(&store).await.unwrap_err();
        assert_eq!((error.api, error.code.as_deref()), (call.api().as_str(), None));
        let text = error.to_string();
        assert!(
            text.contains("dispatch failure") && text.contains("Connection refused"),
            "{text}"
        );
    }
}
