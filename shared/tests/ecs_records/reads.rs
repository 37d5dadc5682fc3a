//! Reading one, some and all.

use serde_json::json;
use signalbox::ecs::store::Records;
use signalbox::quotas::BATCH_GET_KEYS;

use crate::wire::dynamodb::with;
use crate::wire::{error, ok};
use crate::*;

/// The item of another attempt.
fn item_of(retry: u32) -> Value {
    let key = json!({"key": {"S": key_of(1, retry).name()}});
    with(&with(&item(), &item_key(1, retry)), &key)
}

fn retries(records: &[Record]) -> Vec<u32> {
    records.iter().map(|record| record.attempt().retry).collect()
}

fn page(items: &[Value], last: Option<&Value>) -> Answer {
    let mut body = json!({"Items": items, "Count": items.len()});
    if let Some(last) = last {
        body["LastEvaluatedKey"] = last.clone();
    }
    ok(&body)
}

#[tokio::test]
async fn one_is_read_consistently() {
    for (answer, found) in [(json!({}), None), (json!({"Item": item()}), Some(record()))] {
        let (records, wire) = records([ok(&answer)]);
        assert_eq!(records.get(&key()).await, Ok(found));
        let request = json!({"TableName": TABLE, "Key": item_key(1, 2), "ConsistentRead": true});
        assert_eq!(sent(&wire, "GetItem"), request);
    }
}

/// What is queried of a step, and of an execution.
fn queries() -> [Value; 2] {
    let pk = json!({"S": format!("RUN#{}", run())});
    [
        json!({
            "TableName": TABLE,
            "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :step)",
            "ExpressionAttributeValues": {":pk": pk, ":step": {"S": format!("{}#", "b".repeat(32))}},
        }),
        json!({
            "TableName": TABLE,
            "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": "active = :open",
            "ExpressionAttributeValues": {":pk": pk, ":open": {"S": "OPEN"}},
        }),
    ]
}

/// The two queries, as they are called.
async fn query(which: usize, records: &DynamoRecords) -> Result<Vec<Record>, signalbox::aws::CallError> {
    match which {
        0 => records.of_step(&key()).await,
        _ => records.open_of_run(key().run()).await,
    }
}

#[tokio::test]
async fn a_step_and_an_execution_are_read_from_every_page() {
    for (which, request) in queries().into_iter().enumerate() {
        let from = |key: &Value| with(&request, &json!({"ExclusiveStartKey": key}));
        let answers = [
            page(&[item_of(0), item_of(1)], Some(&item_key(1, 1))),
            // What a filter leaves out is on pages as well.
            page(&[], Some(&item_key(1, 2))),
            page(&[item_of(3)], None),
        ];
        let (found, wire) = records(answers.clone());
        assert_eq!(retries(&query(which, &found).await.unwrap()), [0, 1, 3]);
        let sent: Vec<Value> = wire.sent().into_iter().map(|(_, body)| body).collect();
        assert_eq!(sent, [request.clone(), from(&item_key(1, 1)), from(&item_key(1, 2))]);

        // Who takes half of it for all of it starts a second task, or leaves one running.
        let (breaks, _) = records([answers[0].clone(), error("ResourceNotFoundException")]);
        assert!(query(which, &breaks).await.is_err());
        let (none, _) = records([page(&[], None)]);
        assert_eq!(query(which, &none).await, Ok(vec![]));
    }
}

/// What the index says of an attempt.
fn indexed(retry: u32) -> Value {
    with(
        &item_key(1, retry),
        &json!({"active": {"S": "OPEN"}, "due": {"N": "1769832012345"}}),
    )
}

fn index_query() -> Value {
    json!({
        "TableName": TABLE,
        "IndexName": "active",
        "KeyConditionExpression": "active = :open",
        "ExpressionAttributeValues": {":open": {"S": "OPEN"}},
    })
}

fn batch(retries: impl IntoIterator<Item = u32>) -> Value {
    let keys: Vec<Value> = retries.into_iter().map(|retry| item_key(1, retry)).collect();
    json!({"RequestItems": {TABLE: {"Keys": keys, "ConsistentRead": true}}})
}

/// What a batch answers: these, and those it has left undone.
fn batched(items: &[Value], left: &[u32]) -> Answer {
    let mut body = json!({"Responses": {TABLE: items}, "UnprocessedKeys": {}});
    if !left.is_empty() {
        body["UnprocessedKeys"] = batch(left.iter().copied())["RequestItems"].clone();
    }
    ok(&body)
}

#[tokio::test]
async fn all_that_are_open_are_found_by_the_index_and_read_from_the_table() {
    let (found, wire) = records([
        page(&[indexed(0), indexed(1)], Some(&indexed(1))),
        page(&[], Some(&indexed(2))),
        page(&[indexed(3)], None),
        batched(&[item_of(3), item_of(0), item_of(1)], &[]),
    ]);
    assert_eq!(retries(&found.open().await.unwrap()), [3, 0, 1]);
    let sent = wire.sent();
    let operations: Vec<&str> = sent.iter().map(|(target, _)| target.as_str()).collect();
    let query = "DynamoDB_20120810.Query";
    assert_eq!(operations, [query, query, query, "DynamoDB_20120810.BatchGetItem"]);
    let from = |key: &Value| with(&index_query(), &json!({"ExclusiveStartKey": key}));
    let bodies: Vec<&Value> = sent.iter().map(|(_, body)| body).collect();
    assert_eq!(
        bodies,
        [
            &index_query(),
            &from(&indexed(1)),
            &from(&indexed(2)),
            &batch([0, 1, 3])
        ]
    );
}

#[tokio::test]
async fn where_nothing_is_open_nothing_is_read() {
    let (found, wire) = records([page(&[], None)]);
    assert_eq!(found.open().await, Ok(vec![]));
    assert_eq!(sent(&wire, "Query"), index_query());
}

/// The index is behind: what it has may be over by now, or gone.
#[tokio::test]
async fn what_is_not_open_any_more_is_left_out() {
    let mut items = Vec::new();
    let mut open = Vec::new();
    for (retry, (stage, changes)) in (0..).zip(stages()) {
        items.push(with(&item_of(retry), &changes));
        if stage.is_open() {
            open.push(retry);
        }
    }
    let count = u32::try_from(items.len()).expect("few");
    let index: Vec<Value> = (0..=count).map(indexed).collect();
    let (found, _) = records([page(&index, None), batched(&items, &[])]);
    assert_eq!(retries(&found.open().await.unwrap()), open);
    assert_eq!(open.len(), 2 + Why::ALL.len());
}

/// One must not keep the sweep from the others.
#[tokio::test]
async fn one_that_cannot_be_read_does_not_hide_the_others() {
    let broken = with(&item_of(1), &json!({"plan": {"S": "nonsense"}}));
    let (found, _) = records([
        page(&[indexed(0), indexed(1), indexed(2)], None),
        batched(&[item_of(0), broken, item_of(2)], &[]),
    ]);
    assert_eq!(retries(&found.open().await.unwrap()), [0, 2]);

    // What the index has no key of is another matter: nobody knows what it is.
    let (found, _) = records([page(&[json!({"pk": {"S": "RUN#a"}})], None)]);
    let text = found.open().await.unwrap_err().to_string();
    assert_eq!(
        text,
        "dynamodb:Query failed: the item's attribute sk cannot be read: it is missing"
    );
}

#[tokio::test]
async fn many_are_read_in_as_few_calls_as_may_be() {
    let count = u32::try_from(2 * BATCH_GET_KEYS + 1).expect("few");
    let most = u32::try_from(BATCH_GET_KEYS).expect("few");
    let all: Vec<Value> = (0..count).map(indexed).collect();
    let (found, wire) = records([
        page(&all, None),
        batched(&(0..most).map(item_of).collect::<Vec<_>>(), &[]),
        batched(&(most..2 * most).map(item_of).collect::<Vec<_>>(), &[]),
        batched(&[item_of(2 * most)], &[]),
    ]);
    assert_eq!(retries(&found.open().await.unwrap()), (0..count).collect::<Vec<_>>());
    let sent: Vec<Value> = wire.sent().into_iter().skip(1).map(|(_, body)| body).collect();
    let expected = [batch(0..most), batch(most..2 * most), batch(2 * most..count)];
    assert_eq!(sent, expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_leaves_undone_is_asked_for_again() {
    let (found, wire) = records([
        page(&[indexed(0), indexed(1), indexed(2)], None),
        batched(&[item_of(1)], &[0, 2]),
        batched(&[], &[2, 0]),
        batched(&[item_of(2), item_of(0)], &[]),
    ]);
    assert_eq!(retries(&found.open().await.unwrap()), [1, 2, 0]);
    let sent: Vec<Value> = wire.sent().into_iter().skip(1).map(|(_, body)| body).collect();
    assert_eq!(sent, [batch([0, 1, 2]), batch([0, 2]), batch([2, 0])]);
}

/// A sweep that took the rest for all would call it well.
#[tokio::test(start_paused = true)]
async fn what_a_batch_leaves_undone_for_long_is_an_error() {
    let answers = std::iter::once(page(&[indexed(0)], None)).chain((0..8).map(|_| batched(&[], &[0])));
    let (found, wire) = records(answers);
    let error = found.open().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dynamodb:BatchGetItem failed: it leaves items unread, again and again"
    );
    assert_eq!(wire.attempts(), 1 + 8);
}

/// A table of another name answers nothing, and leaves nothing to ask for.
#[tokio::test]
async fn a_batch_that_answers_nothing_finds_nothing() {
    for body in [
        json!({}),
        json!({"Responses": {}}),
        json!({"Responses": {"other": [item_of(0)]}}),
    ] {
        let (found, _) = records([page(&[indexed(0)], None), ok(&body)]);
        assert_eq!(found.open().await, Ok(vec![]), "{body}");
    }
}
