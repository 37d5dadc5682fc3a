//! Writing: each of them once, atomically, under its condition.

use serde_json::json;
use signalbox::ecs::store::Records;

use crate::wire::dynamodb::{not_met, with};
use crate::wire::{Answer, error, ok};
use crate::*;

/// A request with its texts of JSON read.
fn read_put(put: &Value) -> Value {
    with(put, &json!({"Item": read(&put["Item"])}))
}

#[tokio::test]
async fn a_new_record_is_written_unless_there_is_one() {
    let (records, wire) = records([ok(&json!({}))]);
    assert_eq!(records.put(&record()).await, Ok(None));
    let request = json!({
        "TableName": TABLE,
        "Item": read(&item()),
        "ConditionExpression": "attribute_not_exists(pk)",
    });
    assert_eq!(read_put(&sent(&wire, "PutItem")), request);
}

#[tokio::test]
async fn one_that_is_there_is_found_as_it_is() {
    for (stage, changes) in stages() {
        let found = with(&item(), &changes);
        let (records, wire) = records([not_met(&Value::Null), ok(&json!({"Item": found}))]);
        let expected = Record { stage, ..record() };
        assert_eq!(records.put(&record()).await, Ok(Some(expected)));
        let (target, body) = wire.sent().swap_remove(1);
        assert_eq!(target, "DynamoDB_20120810.GetItem");
        assert_eq!(
            body,
            json!({"TableName": TABLE, "Key": item_key(1, 2), "ConsistentRead": true})
        );
    }
    let (records, _) = records([not_met(&Value::Null), ok(&json!({}))]);
    assert_eq!(
        records.put(&record()).await.unwrap_err().to_string(),
        "dynamodb:GetItem failed: a record that was there a moment ago is gone"
    );
}

/// Whoever writes knows its own record again: by its token.
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_finds_its_own_record() {
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        let (records, wire) = records([lost, not_met(&Value::Null), ok(&json!({"Item": item()}))]);
        assert_eq!(records.put(&record()).await, Ok(Some(record())));
        let sent = wire.sent();
        assert_eq!(sent.len(), 3);
        assert_eq!(sent[0], sent[1]);
    }
}

/// The refusal of a transaction, with the reasons for its parts.
fn canceled(reasons: [&str; 2]) -> Answer {
    let each = reasons.map(|code| json!({"Code": code, "Message": "said of one part"}));
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            reasons.join(", ")),
        "CancellationReasons": each,
    });
    Answer::Http(400, body.to_string())
}

#[tokio::test]
async fn a_task_is_taken_over_in_one_transaction() {
    for (stage, changes) in stages() {
        // What was read as unheard may have been heard since.
        let delivered = stage == Stage::Done { delivered: true };
        let earlier = Record {
            key: key_of(1, 1),
            stage,
            ..record()
        };
        let (records, wire) = records([ok(&json!({}))]);
        assert_eq!(records.adopt(&record(), &earlier).await, Ok(true));
        let body = sent(&wire, "TransactWriteItems");
        assert!(body["ClientRequestToken"].is_string(), "{body}");
        let items = body["TransactItems"].as_array().expect("parts");
        let put = json!({
            "TableName": TABLE,
            "Item": read(&item()),
            "ConditionExpression": "attribute_not_exists(pk)",
        });
        let stage = changes.get("stage").cloned().unwrap_or(json!({"S": "launching"}));
        let update = json!({
            "TableName": TABLE,
            "Key": item_key(1, 1),
            "UpdateExpression": "SET stage = :adopted, adoptedBy = :by, expires = :expires REMOVE active, due",
            "ConditionExpression": "stage = :stage AND (attribute_not_exists(delivered) OR delivered = :delivered)",
            "ExpressionAttributeValues": {
                ":stage": stage,
                ":delivered": {"BOOL": delivered},
                ":adopted": {"S": "adopted"},
                ":by": {"S": key().name()},
                // A year, and 30 days: its task may work for as long.
                ":expires": {"N": "1804046412"},
            },
        });
        assert_eq!(items.len(), 2);
        assert_eq!(read_put(&items[0]["Put"]), put);
        assert_eq!(items[1], json!({"Update": update}));
    }
}

/// It has changed meanwhile; or another attempt with this key was quicker; or somebody else is at it at this moment.
#[tokio::test]
async fn a_task_that_cannot_be_taken_over_stays_as_it_is() {
    for reasons in [
        ["None", "ConditionalCheckFailed"],
        ["ConditionalCheckFailed", "None"],
        ["ConditionalCheckFailed", "ConditionalCheckFailed"],
        ["None", "TransactionConflict"],
    ] {
        let (records, wire) = records([canceled(reasons)]);
        assert_eq!(records.adopt(&record(), &record()).await, Ok(false), "{reasons:?}");
        assert_eq!(wire.attempts(), 1);
    }
}

/// That says nothing of whether it has changed, and is no moment that passes.
#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_cancelled_for_another_reason_is_an_error() {
    for reasons in [
        ["ValidationError", "None"],
        ["None", "ThrottlingError"],
        ["ProvisionedThroughputExceeded", "None"],
        ["None", "ItemCollectionSizeLimitExceeded"],
        ["None", "None"],
    ] {
        let (records, _) = records(vec![canceled(reasons); 9]);
        let error = records.adopt(&record(), &record()).await.unwrap_err();
        assert_eq!(
            (error.api, error.code.as_deref()),
            ("dynamodb:UpdateItem", Some("TransactionCanceledException"))
        );
        assert!(error.to_string().contains(&reasons.join(", ")), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

/// DynamoDB knows a transaction again by its token: it is not refused for what it has done itself.
#[tokio::test(start_paused = true)]
async fn a_take_over_whose_answer_was_lost_is_the_same_one_again() {
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        let (records, wire) = records([lost, ok(&json!({}))]);
        assert_eq!(records.adopt(&record(), &record()).await, Ok(true));
        let [first, second] = <[_; 2]>::try_from(wire.sent()).expect("two attempts");
        assert_eq!(first, second);
    }
}

/// A change of an open record.
#[derive(Debug, Clone, Copy)]
enum Change {
    Started,
    Refused,
    Stopping(Why),
    Missing,
    Found,
    Ended,
    Done { delivered: bool, ended: bool },
}

fn changes() -> Vec<Change> {
    let mut all = vec![
        Change::Started,
        Change::Refused,
        Change::Missing,
        Change::Found,
        Change::Ended,
    ];
    all.extend(Why::ALL.map(Change::Stopping));
    for (delivered, ended) in [(false, false), (false, true), (true, false), (true, true)] {
        all.push(Change::Done { delivered, ended });
    }
    all
}

impl Change {
    async fn of(self, records: &DynamoRecords) -> Result<bool, signalbox::aws::CallError> {
        let key = &key();
        match self {
            Self::Started => records.started(key, TASK).await,
            Self::Refused => records.refused(key, NOW).await,
            Self::Stopping(why) => records.stopping(key, Stop { why, since: NOW }).await,
            // Whether it was open is nobody's business here.
            Self::Missing => records.missing(key, Some(NOW)).await.map(|()| true),
            Self::Found => records.missing(key, None).await.map(|()| true),
            Self::Ended => records.ended(key, &task()).await,
            Self::Done { delivered, ended } => {
                let ended = ended.then(task);
                records.done(key, delivered, ended.as_ref(), NOW).await
            }
        }
    }

    fn tells(self) -> bool {
        !matches!(self, Self::Missing | Self::Found)
    }

    /// The update, its condition, and its values.
    fn expected(self) -> (&'static str, &'static str, Value) {
        let open = "active = :open";
        let open_value = json!({":open": {"S": "OPEN"}});
        let and = |more: Value| with(&open_value, &more);
        match self {
            Self::Started => (
                "SET stage = :running, task = :task",
                "stage = :launching",
                json!({":running": {"S": "running"}, ":launching": {"S": "launching"}, ":task": {"S": TASK}}),
            ),
            // Only what nobody has started: what another invocation has done counts.
            Self::Refused => (
                "SET stage = :stopping, stop = :stop",
                "stage = :launching",
                json!({
                    ":stopping": {"S": "stopping"},
                    ":launching": {"S": "launching"},
                    ":stop": {"M": {"why": {"S": "notStarted"}, "since": {"N": "1769832012345"}}},
                }),
            ),
            // Who said it first is who is believed.
            Self::Stopping(why) => (
                "SET stage = :stopping, stop = if_not_exists(stop, :stop)",
                open,
                and(json!({
                    ":stopping": {"S": "stopping"},
                    ":stop": {"M": {"why": {"S": why.name()}, "since": {"N": "1769832012345"}}},
                })),
            ),
            Self::Missing => (
                "SET lostSince = if_not_exists(lostSince, :since)",
                open,
                and(json!({":since": {"N": "1769832012345"}})),
            ),
            Self::Found => ("REMOVE lostSince", open, open_value),
            Self::Ended => ("SET ended = :ended", open, and(json!({":ended": task_json()}))),
            Self::Done { delivered, ended } => {
                let mut values = and(json!({
                    ":done": {"S": "done"}, ":delivered": {"BOOL": delivered}, ":expires": {"N": KEPT_UNTIL},
                }));
                let mut condition = open;
                // Somebody else has found the token closed that this answer had closed: it was heard.
                if delivered {
                    condition = "active = :open OR (stage = :done AND delivered = :unheard)";
                    values = with(&values, &json!({":unheard": {"BOOL": false}}));
                }
                if ended {
                    values = with(&values, &json!({":ended": task_json()}));
                }
                let update = match ended {
                    true => {
                        "SET stage = :done, delivered = :delivered, expires = :expires, ended = :ended \
                         REMOVE active, due"
                    }
                    false => "SET stage = :done, delivered = :delivered, expires = :expires REMOVE active, due",
                };
                (update, condition, values)
            }
        }
    }
}

#[tokio::test]
async fn each_change_is_one_update_under_its_condition() {
    for change in changes() {
        let (records, wire) = records([ok(&json!({}))]);
        assert_eq!(change.of(&records).await, Ok(true), "{change:?}");
        let mut body = sent(&wire, "UpdateItem");
        if let Some(text) = body["ExpressionAttributeValues"][":ended"]["S"].as_str() {
            body["ExpressionAttributeValues"][":ended"] = serde_json::from_str(text).expect("JSON");
        }
        let (update, condition, values) = change.expected();
        let request = json!({
            "TableName": TABLE,
            "Key": item_key(1, 2),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        });
        assert_eq!(body, request, "{change:?}");
    }
}

/// It was answered, or taken over, or there is none: nothing comes into being.
#[tokio::test]
async fn what_is_not_open_does_not_change() {
    for change in changes() {
        let (records, wire) = records([not_met(&Value::Null)]);
        assert_eq!(change.of(&records).await, Ok(!change.tells()), "{change:?}");
        assert_eq!(wire.attempts(), 1);
    }
}

/// Whoever is told that it was done already may have done it.
#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_was_lost_is_made_again() {
    for change in changes() {
        let (records, wire) = records([Answer::Lost, not_met(&Value::Null)]);
        assert_eq!(change.of(&records).await, Ok(!change.tells()), "{change:?}");
        let [first, second] = <[_; 2]>::try_from(wire.sent()).expect("two attempts");
        assert_eq!(first, second);
    }
}
