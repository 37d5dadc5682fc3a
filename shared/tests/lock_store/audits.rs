//! The audit trail.

use serde_json::{Value, json};
use signalbox::clock::Timestamp;
use signalbox::lock::key::Nonce;
use signalbox::lock::store::{Audit, Audits};

use crate::wire::dynamodb::with;
use crate::wire::ok;
use crate::*;

pub(crate) fn audit() -> Audit {
    Audit {
        at: NOW,
        by: "ada".to_owned(),
        reason: "it hangs".to_owned(),
        action: "forceRelease".to_owned(),
        details: "with fence 41".to_owned(),
    }
}

fn audit_item() -> Value {
    json!({
        "pk": {"S": "LOCK#warehouse #1"}, "sk": {"S": "AUDIT#2026-01-31T04:00:12.345Z#me"}, "at": {"N": "1769832012345"},
        "by": {"S": "ada"}, "reason": {"S": "it hangs"}, "action": {"S": "forceRelease"},
        "details": {"S": "with fence 41"}, "expires": {"N": (1_769_832_012 + 366 * 86_400).to_string()},
    })
}

#[tokio::test]
async fn a_change_is_noted_under_its_time_and_its_invocation() {
    let (store, wire) = store([ok(&json!({}))]);
    store.note(&lock(), &audit(), &Nonce::of("me")).await.unwrap();
    assert_eq!(
        sent(&wire, "PutItem"),
        json!({"TableName": TABLE, "Item": audit_item()})
    );
}

#[tokio::test]
async fn the_latest_changes_come_first_and_no_more_than_are_wanted() {
    for (most, limit) in [(1, 1), (10, 10), (u32::MAX, i32::MAX)] {
        let earlier = with(&audit_item(), &json!({"at": {"N": "5000"}}));
        let (store, wire) = store([ok(&json!({"Items": [audit_item(), earlier], "Count": 2}))]);
        let before = Audit {
            at: Timestamp::from_millis(5_000),
            ..audit()
        };
        assert_eq!(store.noted(&lock(), most).await.unwrap(), [audit(), before]);
        let query = json!({
            "TableName": TABLE,
            "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :audit)",
            "ExpressionAttributeValues": {":pk": {"S": "LOCK#warehouse #1"}, ":audit": {"S": "AUDIT#"}},
            "ScanIndexForward": false,
            "Limit": limit,
        });
        assert_eq!(sent(&wire, "Query"), query);
    }
    let (nothing, _) = store([ok(&json!({"Items": [], "Count": 0}))]);
    assert_eq!(nothing.noted(&lock(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn an_entry_that_was_noted_is_read_back() {
    for lock in extreme_locks() {
        for at in [0, 1, 1_769_832_012_345, 253_402_300_799_999] {
            for text in ["", "#", "\"\\\n\u{1f}é", &"x".repeat(4096)] {
                let audit = Audit {
                    at: Timestamp::from_millis(at),
                    by: text.to_owned(),
                    reason: text.to_owned(),
                    action: text.to_owned(),
                    details: text.to_owned(),
                };
                let (writes, wire) = store([ok(&json!({}))]);
                writes.note(&lock, &audit, &Nonce::of("#")).await.unwrap();
                let item = &sent(&wire, "PutItem")["Item"];
                let (reads, wire) = store([ok(&json!({"Items": [item], "Count": 1}))]);
                assert_eq!(reads.noted(&lock, 1).await.unwrap(), [audit]);
                let values = &sent(&wire, "Query")["ExpressionAttributeValues"];
                assert_eq!(values[":pk"], item["pk"]);
            }
        }
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_an_error_that_names_the_attribute() {
    for name in ["at", "by", "reason", "action", "details"] {
        for value in [Value::Null, json!({"NULL": true}), json!({"L": []})] {
            let item = with(&audit_item(), &json!({name: value}));
            let (store, _) = store([ok(&json!({"Items": [audit_item(), item], "Count": 2}))]);
            let text = store.noted(&lock(), 9).await.unwrap_err().to_string();
            let says = format!("dynamodb:Query failed: the item's attribute {name} cannot be read: ");
            assert!(text.starts_with(&says), "{text}");
        }
    }
}
