//! The adapter to DynamoDB: what it sends, and what it makes of every answer.

#[path = "../../../shared/tests/wire/mod.rs"]
mod wire;

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use overlap_guard::answer::Overlap;
use overlap_guard::error::Error;
use overlap_guard::store::{
    Claim, ClaimState, Claims, DynamoRecords, Holder, Question, Record, Records, Ruling, Verdict,
};
use serde_json::{Value, json};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::failure::Failure;
use signalbox::lock::DynamoLocks;

use wire::dynamodb::{NOT_MET, not_met, with};
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
            Self::Arrive => "PutItem",
            Self::Records => "BatchGetItem",
            Self::Read => "GetItem",
            Self::Decide | Self::Claim | Self::Replace | Self::Remove => "UpdateItem",
        }
    }

    fn api(self) -> String {
        format!("dynamodb:{}", self.operation())
    }

    fn writes(self) -> bool {
        !matches!(self, Self::Records | Self::Read)
    }

    /// Where a claim is taken or removed, DynamoDB answers with the lock as it is then.
    fn success(self) -> Answer {
        match self {
            Self::Claim => ok(&json!({"Attributes": head_item(&mine())})),
            Self::Remove => ok(&json!({"Attributes": head_item(&json!({}))})),
            _ => ok(&json!({})),
        }
    }

    /// What the adapters make of these answers.
    async fn answered(self, answers: Vec<Answer>) -> (Result<Outcome, CallError>, Wire) {
        let (store, wire) = store(answers);
        (self.on(&store).await, wire)
    }

    async fn on(self, store: &Store) -> Result<Outcome, CallError> {
        let Store { records, locks } = store;
        let run = arn(RUN);
        let machine = StateMachineArn::parse(MACHINE).expect("a good ARN");
        Ok(match self {
            Self::Arrive => Outcome::Record(records.arrive(&run, QUESTION, NOW).await?),
            Self::Records => Outcome::Records(records.records(&[run]).await?.into_iter().collect()),
            Self::Decide => Outcome::Verdict(records.decide(&run, QUESTION, &verdict(true)).await?),
            Self::Claim => Outcome::Claim(Some(locks.claim(&machine, &holder(), NOW).await?)),
            Self::Read => Outcome::Claim(locks.read(&machine).await?),
            Self::Replace => Outcome::Done(locks.replace(&machine, &seen(), &joined()).await?),
            Self::Remove => {
                locks.remove(&machine, &seen()).await?;
                Outcome::Removed
            }
        })
    }
}

/// What the guard remembers, and who has the claims.
struct Store {
    records: DynamoRecords,
    locks: DynamoLocks,
}

impl Store {
    fn of(client: &Client) -> Self {
        Self {
            records: DynamoRecords::new(client.clone(), TABLE.to_owned()),
            locks: DynamoLocks::new(client.clone(), TABLE.to_owned()),
        }
    }
}

fn store(answers: Vec<Answer>) -> (Store, Wire) {
    let wire = Wire::with(answers);
    (Store::of(&wire::client!(aws_sdk_dynamodb, wire)), wire)
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

/// The claim of [`seen`], as it is written: an entry of the lock's holders.
fn seen_entry() -> Value {
    json!({
        "execution": {"S": seen().holder.run.as_str()}, "hold": {"S": ""}, "redrive": {"N": "2"}, "entered": {"N": "6000"},
        "since": {"N": "7000"}, "by": {"S": "4"}, "at": {"N": "7000"}, "confirmed": {"BOOL": true},
    })
}

/// The same for [`joined`].
fn joined_entry() -> Value {
    let members = [ANOTHER, CHILD].map(|run| json!({"S": format!("1 5000 {run}")}));
    with(&seen_entry(), &json!({"by": {"S": "6"}, "members": {"L": members}}))
}

/// The claim of [`RUN`] as it begins.
fn mine() -> Value {
    json!({
        "execution": {"S": RUN}, "hold": {"S": ""}, "redrive": {"N": "1"}, "entered": {"N": "5000"},
        "since": {"N": "1769832012345"}, "by": {"S": "0"}, "at": {"N": "1769832012345"}, "confirmed": {"BOOL": false},
    })
}

fn head_key() -> Value {
    json!({"pk": {"S": format!("LOCK#overlap:{MACHINE}")}, "sk": {"S": "HEAD"}})
}

/// The lock of the pipeline, held with the claim `entry`, if it is not empty.
fn head_item(entry: &Value) -> Value {
    let (holders, fences) = match entry == &json!({}) {
        true => (json!({}), json!({})),
        false => (json!({"claim": {"M": entry}}), json!({"claim": {"N": "41"}})),
    };
    with(
        &head_key(),
        &json!({
            "slots": {"N": "1"}, "holders": {"M": holders}, "fences": {"M": fences}, "fence": {"N": "41"},
            "arrivals": {"N": "0"}, "contended": {"BOOL": false}, "generation": {"N": "0"}, "paused": {"BOOL": false},
            "changed": {"N": "7000"},
        }),
    )
}

#[tokio::test]
async fn each_call_sends_exactly_this() {
    let record_key = json!({"pk": {"S": format!("RUN#{RUN}")}, "sk": {"S": "GUARD"}});
    let unanswered = "redrive = :redrive AND entered = :entered AND attribute_not_exists(ruling)";
    for (call, sent) in [
        (
            Call::Arrive,
            json!({
                "TableName": TABLE,
                "Item": with(&record_key, &json!({
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
                "Key": head_key(),
                // Not into the index of what the lock's sweep looks at.
                "UpdateExpression": "SET #holders.#t = :holder, #fences.#t = #fence + :one, #fence = #fence + :one, \
                                     #changed = :now REMOVE #expires",
                "ConditionExpression": "size(#holders) < #slots AND #paused = :false AND attribute_not_exists(#holders.#t) \
                                        AND #contended = :false",
                "ExpressionAttributeNames": {
                    "#holders": "holders", "#fences": "fences", "#fence": "fence", "#changed": "changed",
                    "#expires": "expires", "#slots": "slots", "#paused": "paused", "#contended": "contended", "#t": "claim",
                },
                "ExpressionAttributeValues": {
                    ":holder": {"M": mine()}, ":one": {"N": "1"}, ":now": {"N": "1769832012345"}, ":false": {"BOOL": false},
                },
                "ReturnValues": "ALL_NEW",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }),
        ),
        (
            Call::Read,
            json!({"TableName": TABLE, "Key": head_key(), "ConsistentRead": true}),
        ),
        (
            Call::Replace,
            json!({
                "TableName": TABLE,
                "Key": head_key(),
                "UpdateExpression": "SET #holders.#t = :holder, #changed = :now",
                "ConditionExpression": "#holders.#t = :seen",
                "ExpressionAttributeNames": {"#holders": "holders", "#changed": "changed", "#t": "claim"},
                "ExpressionAttributeValues": {
                    ":holder": {"M": joined_entry()}, ":seen": {"M": seen_entry()}, ":now": {"N": "7000"},
                },
            }),
        ),
        (
            Call::Remove,
            json!({
                "TableName": TABLE,
                "Key": head_key(),
                "UpdateExpression": "SET #changed = :now, #lastHoldMs = :now - #holders.#t.#since \
                                     REMOVE #holders.#t, #fences.#t",
                "ConditionExpression": "#holders.#t = :seen",
                "ExpressionAttributeNames": {
                    "#holders": "holders", "#fences": "fences", "#changed": "changed", "#lastHoldMs": "lastHoldMs",
                    "#since": "since", "#t": "claim",
                },
                "ExpressionAttributeValues": {":seen": {"M": seen_entry()}, ":now": {"N": "7000"}},
                "ReturnValues": "ALL_NEW",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }),
        ),
    ] {
        let (outcome, wire) = call.answered(vec![call.success()]).await;
        assert!(outcome.is_ok(), "{call:?}: {outcome:?}");
        let target = format!("DynamoDB_20120810.{}", call.operation());
        assert_eq!(wire.only(), (target, sent), "{call:?}");
    }
}

/// Of a pipeline that nobody ever claimed. Its lock begins without a place in the index as well.
#[tokio::test]
async fn the_first_claim_brings_its_lock_with_it() {
    let (outcome, wire) = Call::Claim.answered(vec![not_met(&Value::Null), ok(&json!({}))]).await;
    assert_eq!(outcome, Ok(Outcome::Claim(Some(Claim::new(&holder(), NOW)))));
    let [_, (target, body)] = <[_; 2]>::try_from(wire.sent()).expect("two calls");
    assert_eq!(target, "DynamoDB_20120810.PutItem");
    let fence = json!({"N": "1769832012346"});
    let head = with(
        &head_item(&mine()),
        &json!({
            "fence": fence, "fences": {"M": {"claim": fence}}, "arrivals": {"N": "1769832012"},
            "changed": {"N": "1769832012345"},
        }),
    );
    let sent = json!({
        "TableName": TABLE,
        "Item": head,
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    assert_eq!(body, sent);

    // Another run was quicker.
    let taken = not_met(&head_item(&seen_entry()));
    let (outcome, wire) = Call::Claim.answered(vec![not_met(&Value::Null), taken]).await;
    assert_eq!(outcome, Ok(Outcome::Claim(Some(seen()))));
    assert_eq!(wire.attempts(), 2);
}

#[tokio::test]
async fn a_write_that_was_made_is_answered_as_made() {
    let fresh = Record {
        question: QUESTION,
        verdict: None,
    };
    for (call, outcome) in [
        (Call::Arrive, Outcome::Record(fresh)),
        (Call::Records, Outcome::Records(vec![])),
        (Call::Decide, Outcome::Verdict(Some(verdict(true)))),
        (Call::Claim, Outcome::Claim(Some(Claim::new(&holder(), NOW)))),
        (Call::Read, Outcome::Claim(None)),
        (Call::Replace, Outcome::Done(true)),
        (Call::Remove, Outcome::Removed),
    ] {
        assert_eq!(call.answered(vec![call.success()]).await.0, Ok(outcome), "{call:?}");
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
    let record = |changes: &Value| not_met(&with(&record_item(RUN), changes));
    let answered = |mine: &Value| record(&with(mine, &refused));
    let claimed = |entry: &Value| not_met(&head_item(entry));

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
            answered(&with(&mine, &json!({"entered": {"N": "5001"}}))),
            Outcome::Verdict(None),
        ),
        (
            Call::Decide,
            answered(&with(&mine, &json!({"redrive": {"N": "2"}}))),
            Outcome::Verdict(None),
        ),
        (Call::Claim, claimed(&seen_entry()), Outcome::Claim(Some(seen()))),
        (Call::Replace, error(NOT_MET), Outcome::Done(false)),
        (Call::Remove, claimed(&joined_entry()), Outcome::Removed),
        // Somebody removed it before: the lock is free, or was never taken.
        (Call::Remove, claimed(&json!({})), Outcome::Removed),
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
    for (call, item) in [
        (Call::Arrive, with(&record_item(RUN), &record)),
        (Call::Decide, with(&with(&record_item(RUN), &record), &answered)),
        (Call::Claim, head_item(&mine())),
        (Call::Remove, head_item(&json!({}))),
    ] {
        for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
            let (made, _) = call.answered(vec![call.success()]).await;
            let (repeated, wire) = call.answered(vec![lost, not_met(&item)]).await;
            assert_eq!(repeated, made);
            assert_eq!(wire.attempts(), 2);
        }
    }
    // Of a claim that replaced another, only a look tells that it did.
    let (replaced, wire) = Call::Replace.answered(vec![Answer::Lost, error(NOT_MET)]).await;
    assert_eq!((replaced, wire.attempts()), (Ok(Outcome::Done(false)), 2));
}

#[tokio::test]
async fn a_claim_is_read_with_its_state_and_its_members() {
    let pending = Claim {
        state: ClaimState::Pending,
        ..seen()
    };
    for (entry, claim) in [
        (seen_entry(), seen()),
        (with(&seen_entry(), &json!({"confirmed": {"BOOL": false}})), pending),
        (joined_entry(), joined()),
    ] {
        let item = head_item(&entry);
        let (outcome, _) = Call::Read.answered(vec![ok(&json!({"Item": item}))]).await;
        assert_eq!(outcome, Ok(Outcome::Claim(Some(claim.clone()))));
        let (outcome, _) = Call::Claim.answered(vec![not_met(&item)]).await;
        assert_eq!(outcome, Ok(Outcome::Claim(Some(claim))));
    }
    let free = json!({"Item": head_item(&json!({}))});
    assert_eq!(Call::Read.answered(vec![ok(&free)]).await.0, Ok(Outcome::Claim(None)));
}

/// What was written is what is found: `replace` and `remove` compare it whole.
#[tokio::test]
async fn a_claim_that_was_written_is_read_back() {
    let machine = StateMachineArn::parse(MACHINE).expect("a good ARN");
    let extreme = Claim {
        holder: Holder {
            run: arn(RUN),
            question: Question {
                redrive: u32::MAX,
                entered: Timestamp::from_millis(i64::MIN),
            },
        },
        state: ClaimState::Pending,
        changed: Timestamp::from_millis(i64::MAX),
        members: vec![
            Holder {
                run: arn(CHILD),
                question: Question {
                    redrive: u32::MAX,
                    entered: Timestamp::from_millis(-1),
                },
            };
            40
        ],
        joins: u32::MAX,
    };
    for claim in [Claim::new(&holder(), NOW), seen(), joined(), extreme] {
        let (store, wire) = store(vec![ok(&json!({}))]);
        store.locks.replace(&machine, &claim, &claim).await.unwrap();
        let values = &wire.only().1["ExpressionAttributeValues"];
        assert_eq!(values[":holder"], values[":seen"]);
        let item = head_item(&values[":holder"]["M"]);
        let (read, _) = Call::Read.answered(vec![ok(&json!({"Item": item}))]).await;
        assert_eq!(read, Ok(Outcome::Claim(Some(claim))));
    }
}

/// An operator may have paused the lock, or given it no slots: the guard cannot tell, and decides nothing.
#[tokio::test]
async fn a_claim_that_nobody_has_and_nobody_gets_is_an_error() {
    let paused = with(&head_item(&json!({})), &json!({"paused": {"BOOL": true}}));
    let (outcome, _) = Call::Claim.answered(vec![not_met(&paused)]).await;
    let error = outcome.unwrap_err();
    assert!(
        error.to_string().ends_with("nobody holds it, and it is not free"),
        "{error}"
    );
    assert_eq!(Error::from(error).name(), "OverlapGuard.Unavailable");
}

/// Whatever is missing or strange is named; none of it is taken for something else.
#[tokio::test]
async fn an_item_that_cannot_be_read_is_an_error_that_names_the_attribute() {
    let answered = with(
        &record_item(RUN),
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
            let item = with(&answered, &json!({name: value}));
            for call in [Call::Arrive, Call::Decide] {
                cases.push((call, name, value.clone(), not_met(&item)));
            }
            cases.push((Call::Records, name, value.clone(), batch(&[item])));
        }
    }
    for (name, values) in [
        (
            "execution",
            json!([null, {"N": "1"}, {"S": ""}, {"S": "nightly"}, {"S": MACHINE}]),
        ),
        ("hold", json!([null, {"N": "1"}, {"S": "a#b"}])),
        ("redrive", json!([null, {"S": "1"}, {"N": "-1"}])),
        ("entered", json!([null, {"S": "1"}, {"N": "0.5"}])),
        ("since", json!([null, {"S": "1"}])),
        ("by", json!([null, {"N": "4"}])),
        ("at", json!([null, {"S": "1"}, {"N": "0.5"}])),
        ("confirmed", json!([{"S": "true"}, {"NULL": true}])),
        (
            "members",
            json!([{"S": "1 5000 a"}, {"SS": ["1 5000 a"]}, {"NULL": true}, {"L": [{"N": "1"}]}]),
        ),
    ] {
        for value in values.as_array().unwrap() {
            let item = head_item(&with(&seen_entry(), &json!({name: value})));
            for call in [Call::Claim, Call::Remove] {
                cases.push((call, name, value.clone(), not_met(&item)));
            }
            cases.push((Call::Read, name, value.clone(), ok(&json!({"Item": item}))));
        }
    }
    cases.push((
        Call::Records,
        "pk",
        Value::Null,
        batch(&[with(&record_item(RUN), &json!({"pk": null}))]),
    ));
    cases.push((
        Call::Records,
        "pk",
        json!({"N": "1"}),
        batch(&[with(&record_item(RUN), &json!({"pk": {"N": "1"}}))]),
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

/// What the lock stores without reading it is the guard's to read.
#[tokio::test]
async fn a_claim_that_cannot_be_read_is_an_error_that_shows_it() {
    let member = |text: &str| json!({"members": {"L": [{"S": text}]}});
    for (changes, says) in [
        (member(CHILD), "is not a member"),
        (member(""), "\"\" is not a member"),
        (member("1 5000 nightly"), "\"nightly\" is not an ARN"),
        (member(&format!("-1 5000 {CHILD}")), "is not a member"),
        (member(&format!("1 soon {CHILD}")), "is not a member"),
        (member(&format!("1 5000 {CHILD} x")), "is not a member"),
        (json!({"by": {"S": "-1"}}), "invalid digit"),
        (json!({"by": {"S": "a5f0"}}), "invalid digit"),
    ] {
        let item = head_item(&with(&joined_entry(), &changes));
        for (call, answer) in [(Call::Claim, not_met(&item)), (Call::Read, ok(&json!({"Item": item})))] {
            let error = call.answered(vec![answer]).await.0.expect_err(says);
            let text = error.to_string();
            assert!(
                text.contains("failed: the claim cannot be read: ") && text.contains(says),
                "{text}"
            );
            assert_eq!(Error::from(error).name(), "OverlapGuard.Unavailable");
        }
    }
}

/// Without the item that was asked for, nobody knows what stands in the way.
#[tokio::test]
async fn a_condition_failure_that_must_bring_the_item_and_does_not_is_an_error() {
    for (call, name) in [(Call::Arrive, "redrive"), (Call::Decide, "redrive")] {
        for answer in [error(NOT_MET), not_met(&json!({}))] {
            let (outcome, _) = call.answered(vec![answer]).await;
            let text = outcome.unwrap_err().to_string();
            let says = format!(
                "{} failed: the item's attribute {name} cannot be read: it is missing",
                call.api()
            );
            assert_eq!(text, says);
        }
    }
    // To the lock, no item means that there was none: it is created, and then there must be one.
    let (outcome, _) = Call::Claim.answered(vec![error(NOT_MET), error(NOT_MET)]).await;
    let text = outcome.unwrap_err().to_string();
    assert_eq!(
        text,
        "dynamodb:PutItem failed: the item's attribute holders cannot be read: it is missing"
    );
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
        let (store, wire) = store(answers);
        let asked: Vec<ExecutionArn> = (0..runs).map(run).collect();

        let records = store.records.records(&asked).await.unwrap();

        let sent: Vec<Vec<String>> = wire.sent().iter().map(|(_, body)| keys(body)).collect();
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        let distinct: HashSet<String> = sent.into_iter().flatten().collect();
        assert_eq!(distinct, asked.iter().map(|run| format!("RUN#{run}")).collect());
        let expected: HashSet<ExecutionArn> = found.into_iter().map(run).collect();
        assert_eq!(records.into_keys().collect::<HashSet<_>>(), expected);
    }

    // DynamoDB refuses a batch that names a key twice.
    let (store, wire) = store(vec![batch(&[record_item(run(1).as_str())])]);
    let records = store.records.records(&[run(1), run(2), run(1)]).await.unwrap();
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
    let (first, wire) = store(answers);
    let records = first.records.records(&runs).await.unwrap();
    assert_eq!(records.len(), 2);
    for (_, body) in &wire.sent()[1..] {
        assert_eq!(
            *body,
            json!({"RequestItems": {TABLE: {"Keys": [left], "ConsistentRead": true}}})
        );
    }
    assert_eq!(wire.attempts(), 3);

    // An incomplete answer would be read as "it never asked".
    let (second, wire) = store(vec![half(&[record_item(RUN)]); 99]);
    let began = tokio::time::Instant::now();
    let error = second.records.records(&runs).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dynamodb:BatchGetItem failed: keys were left unprocessed again and again"
    );
    assert_eq!(wire.attempts(), 8);
    // At once there is no more room for them than there was.
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
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
            let (outcome, wire) = call.answered(vec![error(code), error(code), call.success()]).await;
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
    let store = Store::of(&wire::nobody!(aws_sdk_dynamodb));
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
