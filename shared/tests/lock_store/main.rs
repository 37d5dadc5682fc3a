//! The lock's store in DynamoDB: what it sends, and what it makes of every answer.
//!
//! The wire holds every request to what DynamoDB refuses whatever is stored: see `wire/dynamodb.rs`.

#[path = "../wire/mod.rs"]
mod wire;

mod audits;
mod calls;
mod directory;
mod heads;
mod owners;
mod queue;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::Timestamp;
use signalbox::lock::DynamoLocks;
use signalbox::lock::key::{Fence, HoldName, LockKey, Nonce, Place, Priority, Ticket};
use signalbox::lock::record::{Head, Hold, Holder};

use wire::dynamodb::{faults, with};
use wire::{Answer, Wire};

const TABLE: &str = "fleet";
const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders";
const RUN: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:nightly";
const OLDER: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:older";
/// A child of a Distributed Map holds for itself.
const MAP_CHILD: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders/each-file:0f3e";
const NOW: Timestamp = Timestamp::from_millis(1_769_832_012_345);

fn arn(text: &str) -> ExecutionArn {
    ExecutionArn::parse_with_children(text).expect("a good ARN")
}

fn lock() -> LockKey {
    LockKey::any("warehouse #1").expect("a good name")
}

fn guards_lock() -> LockKey {
    LockKey::of_pipeline(&StateMachineArn::parse(MACHINE).expect("a good ARN"))
}

fn name(text: &str) -> HoldName {
    HoldName::parse(text).expect("a good name")
}

fn hold() -> Hold {
    Hold {
        execution: arn(RUN),
        lock: lock(),
        name: name("left"),
    }
}

fn ticket() -> Ticket {
    Ticket::of("t2")
}

fn place(arrival: u64) -> Place {
    Place::by_arrival(Priority::default(), arrival)
}

/// What is granted to [`RUN`].
fn holder() -> Holder {
    Holder {
        execution: arn(RUN),
        name: name("left"),
        redrive: 1,
        entered: Timestamp::from_millis(5_000),
        since: NOW,
        by: Nonce::of("me"),
        at: NOW,
        confirmed: false,
        members: Vec::new(),
    }
}

fn holder_entry() -> Value {
    json!({
        "execution": {"S": RUN}, "hold": {"S": "left"}, "redrive": {"N": "1"}, "entered": {"N": "5000"},
        "since": {"N": "1769832012345"}, "by": {"S": "me"}, "at": {"N": "1769832012345"}, "confirmed": {"BOOL": false},
    })
}

/// Another run's entry: it has been told, and has company.
fn older() -> Holder {
    Holder {
        execution: arn(OLDER),
        name: name(""),
        redrive: 0,
        entered: Timestamp::from_millis(3_000),
        since: Timestamp::from_millis(3_500),
        by: Nonce::of("somebody"),
        at: Timestamp::from_millis(4_000),
        confirmed: true,
        members: vec!["a".to_owned(), "b".to_owned()],
    }
}

fn older_entry() -> Value {
    json!({
        "execution": {"S": OLDER}, "hold": {"S": ""}, "redrive": {"N": "0"}, "entered": {"N": "3000"},
        "since": {"N": "3500"}, "by": {"S": "somebody"}, "at": {"N": "4000"}, "confirmed": {"BOOL": true},
        "members": {"L": [{"S": "a"}, {"S": "b"}]},
    })
}

/// The lock, held by [`older`] with the ticket `t1`.
fn head() -> Head {
    Head {
        slots: 2,
        holders: BTreeMap::from([(Ticket::of("t1"), older())]),
        fences: BTreeMap::from([(Ticket::of("t1"), Fence(40))]),
        fence: Fence(41),
        arrivals: 7,
        contended: true,
        generation: 3,
        paused: false,
        last_hold_ms: Some(1_500),
        changed: Timestamp::from_millis(8_000),
    }
}

/// The same with [`holder`] as well.
fn shared_head() -> Head {
    let mut head = head();
    head.holders.insert(ticket(), holder());
    head.fences.insert(ticket(), Fence(41));
    head
}

fn head_key(lock: &LockKey) -> Value {
    json!({"pk": {"S": format!("LOCK#{lock}")}, "sk": {"S": "HEAD"}})
}

fn head_item() -> Value {
    with(
        &head_key(&lock()),
        &json!({
            "slots": {"N": "2"}, "holders": {"M": {"t1": {"M": older_entry()}}}, "fences": {"M": {"t1": {"N": "40"}}},
            "fence": {"N": "41"}, "arrivals": {"N": "7"}, "contended": {"BOOL": true}, "generation": {"N": "3"},
            "paused": {"BOOL": false}, "lastHoldMs": {"N": "1500"}, "changed": {"N": "8000"},
            "active": {"S": "HEAD"}, "due": {"N": "0"},
        }),
    )
}

/// [`head_item`] with the entry `entry` of [`ticket`].
fn shared_head_item(entry: &Value) -> Value {
    with(
        &head_item(),
        &json!({
            "holders": {"M": {"t1": {"M": older_entry()}, "t2": {"M": entry}}},
            "fences": {"M": {"t1": {"N": "40"}, "t2": {"N": "41"}}},
        }),
    )
}

/// The aliases of these attributes.
fn names(names: &[&str]) -> Value {
    names.iter().map(|name| (format!("#{name}"), json!(name))).collect()
}

fn store(answers: impl IntoIterator<Item = Answer>) -> (DynamoLocks, Wire) {
    let wire = Wire::with(answers);
    let client = wire::client!(aws_sdk_dynamodb, wire);
    (DynamoLocks::new(client, TABLE.to_owned()), wire)
}

/// What stood in the one request, which was of this operation.
fn sent(wire: &Wire, operation: &str) -> Value {
    let (target, body) = wire.only();
    assert_eq!(target, format!("DynamoDB_20120810.{operation}"));
    body
}

/// Names of locks that are hard on keys.
fn extreme_locks() -> Vec<LockKey> {
    ["#", "a#b##c", "HEAD", "WAIT#05#1", " ~!\"'\\", &"x".repeat(256)]
        .iter()
        .map(|text| LockKey::any(text).expect("a good name"))
        .chain([guards_lock()])
        .collect()
}

/// Names of holds that are hard on keys.
fn extreme_names() -> [HoldName; 4] {
    ["", "a", " :\"~", &"x".repeat(64)].map(name)
}

#[test]
fn what_dynamodb_would_refuse_is_noticed() {
    let names = json!({"#a": "a", "#b": "b", "#pk": "pk"});
    let values = json!({":v": {"N": "1"}});
    for (request, fault) in [
        (
            json!({"UpdateExpression": "SET #a = :v, #b = :v REMOVE #c", "ExpressionAttributeNames": names}),
            "#c is used",
        ),
        (
            json!({"ConditionExpression": "#a = :v AND #b = :w", "ExpressionAttributeNames": names}),
            ":w is used",
        ),
        (
            json!({"ConditionExpression": "#a = #b", "ExpressionAttributeValues": values}),
            ":v is declared and not used",
        ),
        (
            json!({"ConditionExpression": "#a = :v", "ExpressionAttributeNames": names}),
            "#b is declared and not used",
        ),
        (
            json!({"ExpressionAttributeValues": {}}),
            "ExpressionAttributeValues is empty",
        ),
        (
            json!({"ConditionExpression": "size(holders) < :v"}),
            "holders may be a reserved word",
        ),
        (
            json!({"UpdateExpression": "SET #a = :v, #b.#a = if_not_exists(#b, :v), #a = :v", "ExpressionAttributeNames": names}),
            "a is written twice",
        ),
        (
            json!({"UpdateExpression": "SET #a = :v ADD #a :v", "ExpressionAttributeNames": names}),
            "a is written twice",
        ),
        (
            json!({"UpdateExpression": "SET #a.#b = :v REMOVE #a", "ExpressionAttributeNames": names}),
            "a is written twice",
        ),
        (
            json!({"UpdateExpression": "SET #a = :v SET #b = :v", "ExpressionAttributeNames": names}),
            "SET stands twice",
        ),
        (
            json!({"UpdateExpression": "SET #a = :v, REMOVE #b", "ExpressionAttributeNames": names}),
            "is no assignment",
        ),
        (
            json!({"UpdateExpression": "SET #pk = :v", "ExpressionAttributeNames": names}),
            "SET writes \"pk\"",
        ),
        (json!({"Limit": 0}), "Limit is less than 1"),
        (
            json!({"IndexName": "active", "ConsistentRead": true}),
            "no consistent reads",
        ),
        (json!({"ExclusiveStartKey": {"pk": {"S": "a"}}}), "which is no key"),
        (
            json!({"KeyConditionExpression": "pk = :pk AND begins_with(sk, :wait)",
                "ExpressionAttributeValues": {":pk": {"S": "a"}, ":wait": {"S": "WAIT#"}},
                "ExclusiveStartKey": {"pk": {"S": "a"}, "sk": {"S": "HEAD"}}}),
            "it starts outside",
        ),
    ] {
        let faults = faults(&request);
        assert!(
            faults.iter().any(|found| found.contains(fault)),
            "{request}: {faults:?}"
        );
    }
}
