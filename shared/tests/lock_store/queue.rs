//! The queue.

use std::collections::BTreeMap;
use std::slice;

use serde_json::{Value, json};
use signalbox::clock::Timestamp;
use signalbox::lock::key::{Nonce, Place, Priority, Ticket};
use signalbox::lock::record::{Head, Hold, Waiter};
use signalbox::lock::store::{Queue, Setting};

use crate::wire::dynamodb::{NOT_MET, not_met, with};
use crate::wire::{Answer, error, ok};
use crate::*;

/// Who waits in the place of this arrival, with patience.
fn waiter(arrival: u64) -> Waiter {
    Waiter {
        hold: hold(),
        ticket: ticket(),
        place: place(arrival),
        since: NOW,
        until: Some(Timestamp::from_millis(1_769_832_099_000)),
        by: Nonce::of("me"),
    }
}

fn waiter_key(arrival: u64) -> Value {
    json!({"pk": {"S": "LOCK#warehouse #1"}, "sk": {"S": format!("WAIT#14#{arrival:012}")}})
}

pub(crate) fn waiter_item(arrival: u64) -> Value {
    with(
        &waiter_key(arrival),
        &json!({
            "ticket": {"S": "t2"}, "execution": {"S": RUN}, "hold": {"S": "left"}, "since": {"N": "1769832012345"},
            "by": {"S": "me"}, "until": {"N": "1769832099000"}, "active": {"S": "UNTIL"}, "due": {"N": "1769832099000"},
        }),
    )
}

/// A page of a query that ends behind the arrival `last`, with more to come.
fn page(items: &[u64], last: Option<u64>) -> Answer {
    let items: Vec<Value> = items.iter().map(|arrival| waiter_item(*arrival)).collect();
    let mut body = json!({"Items": items, "Count": items.len(), "ScannedCount": items.len()});
    if let Some(last) = last {
        body["LastEvaluatedKey"] = waiter_key(last);
    }
    ok(&body)
}

/// A query with this condition on the sort key, from this arrival on, of up to `limit`.
fn query(condition: &str, values: &Value, from: Option<u64>, limit: u64) -> Value {
    let mut query = json!({
        "TableName": TABLE,
        "ConsistentRead": true,
        "KeyConditionExpression": format!("pk = :pk AND {condition}"),
        "ExpressionAttributeValues": with(&json!({":pk": {"S": "LOCK#warehouse #1"}}), values),
        "Limit": limit,
    });
    if let Some(from) = from {
        query["ExclusiveStartKey"] = waiter_key(from);
    }
    query
}

/// HEAD's attributes as they begin, without these: the call writes them itself.
fn beginnings(without: &[&str]) -> (String, Value) {
    let all = [
        ("slots", json!({"N": "1"})),
        ("holders", json!({"M": {}})),
        ("fences", json!({"M": {}})),
        ("fence", json!({"N": "1769832012345"})),
        ("arrivals", json!({"N": "1769832012"})),
        ("contended", json!({"BOOL": false})),
        ("generation", json!({"N": "0"})),
        ("paused", json!({"BOOL": false})),
    ];
    let left = || all.iter().filter(|(name, _)| !without.contains(name));
    let update = left().map(|(name, _)| format!(", #{name} = if_not_exists(#{name}, :new_{name})"));
    let values = left().map(|(name, value)| (format!(":new_{name}"), value.clone()));
    (update.collect(), values.collect())
}

/// A change of HEAD that takes effect in any case, also where there is none yet.
fn on_head(without: &[&str], set: &str, then: &str, values: &Value, answers: Option<&str>) -> Value {
    let (beginnings, initial) = beginnings(without);
    let always = json!({":now": {"N": "1769832012345"}, ":inUse": {"S": "HEAD"}, ":zero": {"N": "0"}});
    let mut request = json!({
        "TableName": TABLE,
        "Key": head_key(&lock()),
        "UpdateExpression":
            format!("SET #changed = :now, #active = :inUse, #due = :zero{beginnings}{set} {then} REMOVE #expires"),
        "ExpressionAttributeNames": names(&[
            "changed", "active", "due", "expires", "slots", "holders", "fences", "fence", "arrivals", "contended",
            "generation", "paused",
        ]),
        "ExpressionAttributeValues": with(&with(&initial, &always), values),
    });
    if let Some(answers) = answers {
        request["ReturnValues"] = json!(answers);
    }
    request
}

#[tokio::test]
async fn an_arrival_counts_up_and_answers_its_number() {
    for number in [1, u64::MAX] {
        let item = json!({"arrivals": {"N": number.to_string()}, "changed": {"N": "1769832012345"}});
        let (store, wire) = store([ok(&json!({"Attributes": item}))]);
        assert_eq!(store.arrive(&lock(), NOW).await.unwrap(), number);
        let request = on_head(
            &["arrivals"],
            ", #arrivals = if_not_exists(#arrivals, :first) + :one",
            "",
            &json!({":first": {"N": "1769832012"}, ":one": {"N": "1"}}),
            Some("UPDATED_NEW"),
        );
        assert_eq!(sent(&wire, "UpdateItem"), request);
    }
}

#[tokio::test]
async fn an_arrival_without_a_number_is_an_error() {
    for (attributes, says) in [
        (json!({}), "it is missing"),
        (json!({"arrivals": {"S": "1"}}), "it is S(\"1\")"),
        (json!({"arrivals": {"N": "-1"}}), "it is -1"),
    ] {
        let (store, _) = store([ok(&json!({"Attributes": attributes}))]);
        assert_eq!(
            store.arrive(&lock(), NOW).await.unwrap_err().to_string(),
            format!("dynamodb:UpdateItem failed: the item's attribute arrivals cannot be read: {says}")
        );
    }
}

/// Somebody else's place is left alone, and nothing is said of it.
#[tokio::test]
async fn a_waiter_takes_its_place_unless_somebody_else_waits_there() {
    let patient = Waiter {
        until: None,
        ..waiter(8)
    };
    let forever = with(&waiter_item(8), &json!({"until": null, "active": null, "due": null}));
    for (waiter, item) in [(waiter(8), waiter_item(8)), (patient, forever)] {
        for answer in [ok(&json!({})), error(NOT_MET), not_met(&waiter_item(8))] {
            let (store, wire) = store([answer]);
            store.enqueue(&waiter).await.unwrap();
            let request = json!({
                "TableName": TABLE,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(pk) OR #ticket = :ticket",
                "ExpressionAttributeNames": {"#ticket": "ticket"},
                "ExpressionAttributeValues": {":ticket": {"S": "t2"}},
            });
            assert_eq!(sent(&wire, "PutItem"), request);
        }
    }
}

/// One that has taken its place anew since it was seen stays in it.
#[tokio::test]
async fn a_waiter_leaves_its_place_as_it_was_seen() {
    for answer in [ok(&json!({})), error(NOT_MET), not_met(&waiter_item(8))] {
        let (store, wire) = store([answer]);
        store.dequeue(&waiter(8)).await.unwrap();
        let request = json!({
            "TableName": TABLE,
            "Key": waiter_key(8),
            "ConditionExpression": "attribute_not_exists(pk) OR #by = :by",
            "ExpressionAttributeNames": {"#by": "by"},
            "ExpressionAttributeValues": {":by": {"S": "me"}},
        });
        assert_eq!(sent(&wire, "DeleteItem"), request);
    }
}

#[tokio::test]
async fn a_place_is_vacated_whoever_waits_there() {
    let (store, wire) = store([ok(&json!({}))]);
    store.vacate(&lock(), &place(8)).await.unwrap();
    assert_eq!(
        sent(&wire, "DeleteItem"),
        json!({"TableName": TABLE, "Key": waiter_key(8)})
    );
}

#[tokio::test]
async fn contention_is_set_with_a_new_generation() {
    let (store, wire) = store([ok(&json!({}))]);
    store.contend(&lock(), NOW).await.unwrap();
    let request = on_head(
        &["contended", "generation"],
        ", #contended = :true",
        "ADD #generation :one",
        &json!({":one": {"N": "1"}, ":true": {"BOOL": true}}),
        None,
    );
    assert_eq!(sent(&wire, "UpdateItem"), request);
}

#[tokio::test]
async fn contention_is_taken_back_only_in_its_generation() {
    for (answer, calmed) in [
        (ok(&json!({})), true),
        (error(NOT_MET), false),
        (not_met(&head_item()), false),
    ] {
        let (store, wire) = store([answer]);
        assert_eq!(store.calm(&lock(), u64::MAX).await.unwrap(), calmed);
        let request = json!({
            "TableName": TABLE,
            "Key": head_key(&lock()),
            "UpdateExpression": "SET #contended = :false",
            "ConditionExpression": "#generation = :generation",
            "ExpressionAttributeNames": names(&["contended", "generation"]),
            "ExpressionAttributeValues": {":false": {"BOOL": false}, ":generation": {"N": u64::MAX.to_string()}},
        });
        assert_eq!(sent(&wire, "UpdateItem"), request);
    }
}

#[tokio::test]
async fn waiters_are_read_from_every_page_up_to_as_many_as_are_wanted() {
    for (most, after, pages, found, asked) in [
        (1, None, vec![page(&[], None)], vec![], vec![(None, 1)]),
        (1, None, vec![page(&[1], Some(1))], vec![1], vec![(None, 1)]),
        (3, Some(4), vec![page(&[5, 6], None)], vec![5, 6], vec![(Some(4), 3)]),
        (3, None, vec![page(&[1, 2, 3], Some(3))], vec![1, 2, 3], vec![(None, 3)]),
        // A page that 1 MB made short, and one that has nothing although more is to come.
        (
            10,
            Some(4),
            vec![page(&[5, 6], Some(6)), page(&[], Some(7)), page(&[8], None)],
            vec![5, 6, 8],
            vec![(Some(4), 10), (Some(6), 8), (Some(7), 8)],
        ),
        (
            4,
            None,
            vec![page(&[1, 2], Some(2)), page(&[3, 4], Some(4))],
            vec![1, 2, 3, 4],
            vec![(None, 4), (Some(2), 2)],
        ),
        (
            2,
            None,
            vec![page(&[], Some(9)), page(&[], None)],
            vec![],
            vec![(None, 2), (Some(9), 2)],
        ),
        // More than a request may ask for.
        (
            u32::MAX,
            None,
            vec![page(&[1], None)],
            vec![1],
            vec![(None, i32::MAX as u64)],
        ),
    ] {
        let (store, wire) = store(pages);
        let waiters = store.waiters(&lock(), after.map(place).as_ref(), most).await.unwrap();
        assert_eq!(waiters, found.into_iter().map(waiter).collect::<Vec<_>>());
        let queries: Vec<_> = asked
            .iter()
            .map(|(from, limit)| {
                query(
                    "begins_with(sk, :wait)",
                    &json!({":wait": {"S": "WAIT#"}}),
                    *from,
                    *limit,
                )
            })
            .collect();
        assert_eq!(bodies(&wire), queries);
    }
}

#[tokio::test]
async fn waiters_are_counted_over_every_page_up_to_as_many_as_matter() {
    let page = |count: u64, last: Option<u64>| {
        let mut body = json!({"Count": count, "ScannedCount": count});
        if let Some(last) = last {
            body["LastEvaluatedKey"] = waiter_key(last);
        }
        ok(&body)
    };
    for (most, pages, counted, asked) in [
        (5, vec![page(0, None)], 0, vec![(None, 5)]),
        (5, vec![page(5, Some(5))], 5, vec![(None, 5)]),
        (
            10,
            vec![page(4, Some(4)), page(0, Some(6)), page(3, None)],
            7,
            vec![(None, 10), (Some(4), 6), (Some(6), 6)],
        ),
        (
            6,
            vec![page(4, Some(4)), page(2, Some(6))],
            6,
            vec![(None, 6), (Some(4), 2)],
        ),
        (
            u32::MAX,
            vec![page(3000, Some(3000)), page(1, None)],
            3001,
            vec![(None, i32::MAX as u64), (Some(3000), i32::MAX as u64)],
        ),
    ] {
        // All of them, also those behind everybody else; or those up to a place.
        for (until, last) in [(None, "WAIT#~"), (Some(place(5000)), "WAIT#14#000000005000")] {
            let (store, wire) = store(pages.clone());
            assert_eq!(store.count(&lock(), until.as_ref(), most).await.unwrap(), counted);
            let values = json!({":first": {"S": "WAIT#"}, ":last": {"S": last}});
            let queries: Vec<_> = asked
                .iter()
                .map(|(from, limit)| {
                    let mut query = query("sk BETWEEN :first AND :last", &values, *from, *limit);
                    query["Select"] = json!("COUNT");
                    query
                })
                .collect();
            assert_eq!(bodies(&wire), queries);
        }
    }
    for place in [
        Place::at_front(0),
        Place::ahead(1),
        place(999_999_999_999),
        Place::at_back(999_999_999_999),
    ] {
        assert!(("WAIT#".."WAIT#~").contains(&place.as_str()), "{place:?}");
    }
}

fn bodies(wire: &Wire) -> Vec<Value> {
    let sent = wire.sent().into_iter();
    sent.map(|(target, body)| {
        assert_eq!(target, "DynamoDB_20120810.Query");
        body
    })
    .collect()
}

/// A queue that is known in part would be taken for the whole.
#[tokio::test]
async fn a_query_that_breaks_off_is_an_error() {
    for code in ["ResourceNotFoundException", "ValidationException"] {
        let (first, _) = store([page(&[1], Some(1)), error(code)]);
        let (second, _) = store([page(&[1], Some(1)), error(code)]);
        for error in [
            first.waiters(&lock(), None, 9).await.unwrap_err(),
            second.count(&lock(), None, 9).await.unwrap_err(),
        ] {
            assert_eq!((error.api, error.code.as_deref()), ("dynamodb:Query", Some(code)));
        }
    }
}

#[tokio::test]
async fn who_waits_in_a_place_is_read_consistently() {
    for (answer, found) in [(json!({}), None), (json!({"Item": waiter_item(8)}), Some(waiter(8)))] {
        let (store, wire) = store([ok(&answer)]);
        assert_eq!(store.waiter(&lock(), &place(8)).await.unwrap(), found);
        let request = json!({"TableName": TABLE, "Key": waiter_key(8), "ConsistentRead": true});
        assert_eq!(sent(&wire, "GetItem"), request);
    }
}

#[tokio::test]
async fn an_operator_sets_slots_and_pauses() {
    for (setting, name, value) in [
        (Setting::Slots(0), "slots", json!({"N": "0"})),
        (Setting::Slots(u32::MAX), "slots", json!({"N": "4294967295"})),
        (Setting::Paused(true), "paused", json!({"BOOL": true})),
        (Setting::Paused(false), "paused", json!({"BOOL": false})),
    ] {
        let (store, wire) = store([ok(&json!({"Attributes": head_item()}))]);
        assert_eq!(store.configure(&lock(), setting, NOW).await.unwrap(), head());
        let values = json!({format!(":{name}"): value});
        let request = on_head(&[name], &format!(", #{name} = :{name}"), "", &values, Some("ALL_NEW"));
        assert_eq!(sent(&wire, "UpdateItem"), request);
    }
    let (store, _) = store([ok(&json!({}))]);
    let error = store.configure(&lock(), Setting::Slots(1), NOW).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dynamodb:UpdateItem failed: the item's attribute holders cannot be read: it is missing"
    );
}

#[tokio::test]
async fn an_idle_lock_is_retired_and_forgotten_unless_somebody_configured_it() {
    let idle = Head {
        slots: 1,
        holders: BTreeMap::new(),
        contended: false,
        ..head()
    };
    let aliases = [
        "active",
        "due",
        "holders",
        "changed",
        "fence",
        "arrivals",
        "generation",
        "slots",
        "paused",
        "contended",
    ];
    for (slots, paused, forgotten) in [(1, false, true), (2, false, false), (0, false, false), (1, true, false)] {
        let seen = Head {
            slots,
            paused,
            ..idle.clone()
        };
        let mut alias = names(&aliases);
        let mut values = json!({
            ":zero": {"N": "0"}, ":changed": {"N": "8000"}, ":fence": {"N": "41"}, ":arrivals": {"N": "7"},
            ":generation": {"N": "3"}, ":slots": {"N": slots.to_string()}, ":paused": {"BOOL": paused},
            ":false": {"BOOL": false},
        });
        if forgotten {
            alias["#expires"] = json!("expires");
            values[":expires"] = json!({"N": (1_769_832_012 + 30 * 86_400).to_string()});
        }
        let request = json!({
            "TableName": TABLE,
            "Key": head_key(&lock()),
            "UpdateExpression": match forgotten {
                true => "SET #expires = :expires REMOVE #active, #due",
                false => "REMOVE #active, #due",
            },
            "ConditionExpression":
                "size(#holders) = :zero AND #changed = :changed AND #fence = :fence AND #arrivals = :arrivals \
                 AND #generation = :generation AND #slots = :slots AND #paused = :paused AND #contended = :false",
            "ExpressionAttributeNames": alias,
            "ExpressionAttributeValues": values,
        });
        // One that is in use again stays: that is all there is to know.
        for answer in [ok(&json!({})), error(NOT_MET), not_met(&head_item())] {
            let (store, wire) = store([answer]);
            store.retire(&lock(), &seen, NOW).await.unwrap();
            assert_eq!(sent(&wire, "UpdateItem"), request);
        }
    }
}

#[tokio::test]
async fn a_waiter_that_was_written_is_read_back() {
    let places = [
        Place::by_arrival(Priority::new(0).unwrap(), 0),
        Place::by_arrival(Priority::new(9).unwrap(), 999_999_999_999),
        Place::at_front(1),
        Place::ahead(1),
        Place::at_back(1),
    ];
    let times = [i64::MIN, 0, i64::MAX].map(Timestamp::from_millis);
    let mut waiters = Vec::new();
    for lock in extreme_locks() {
        for name in extreme_names() {
            waiters.push(Waiter {
                hold: Hold {
                    lock: lock.clone(),
                    name,
                    execution: arn(MAP_CHILD),
                },
                ..waiter(1)
            });
        }
    }
    waiters.extend(places.map(|place| Waiter { place, ..waiter(1) }));
    for since in times {
        for until in [None, Some(NOW), Some(since)] {
            waiters.push(Waiter {
                since,
                until,
                ticket: Ticket::of("#"),
                by: Nonce::of("#"),
                ..waiter(1)
            });
        }
    }
    for waiter in waiters {
        let lock = &waiter.hold.lock;
        let (writes, wire) = store([ok(&json!({}))]);
        writes.enqueue(&waiter).await.unwrap();
        let item = &sent(&wire, "PutItem")["Item"];
        let (reads, _) = store([ok(&json!({"Item": item})), ok(&json!({"Items": [item], "Count": 1}))]);
        assert_eq!(reads.waiter(lock, &waiter.place).await.unwrap().as_ref(), Some(&waiter));
        assert_eq!(reads.waiters(lock, None, 1).await.unwrap(), slice::from_ref(&waiter));
    }
}

#[tokio::test]
async fn a_waiter_that_cannot_be_read_is_an_error_that_names_the_attribute() {
    for (name, values) in [
        ("sk", json!([null, {"N": "1"}])),
        ("ticket", json!([null, {"N": "1"}])),
        ("execution", json!([null, {"S": ""}, {"S": MACHINE}])),
        ("hold", json!([null, {"N": "1"}, {"S": "a#b"}])),
        ("since", json!([null, {"S": "1"}])),
        ("by", json!([null, {"N": "1"}])),
        ("until", json!([{"S": "1"}, {"NULL": true}])),
    ] {
        for value in values.as_array().unwrap() {
            let item = with(&waiter_item(8), &json!({name: value}));
            let (one, _) = store([ok(&json!({"Item": item}))]);
            // One of many: a queue without it would let the next one past it.
            let (many, _) = store([ok(&json!({"Items": [waiter_item(7), item], "Count": 2}))]);
            for (api, error) in [
                ("GetItem", one.waiter(&lock(), &place(8)).await.unwrap_err()),
                ("Query", many.waiters(&lock(), None, 9).await.unwrap_err()),
            ] {
                let text = error.to_string();
                let says = format!("dynamodb:{api} failed: the item's attribute {name} cannot be read: ");
                assert!(text.starts_with(&says), "{value}: {text}");
                assert_eq!(text.ends_with("it is missing"), value.is_null(), "{text}");
            }
        }
    }
}

/// A place is written where it is read and deleted, whatever the lock is called.
#[tokio::test]
async fn every_call_finds_the_same_key() {
    for lock in extreme_locks() {
        let key = json!({"pk": {"S": format!("LOCK#{lock}")}, "sk": {"S": "WAIT#14#000000000001"}});
        let waiter = Waiter {
            hold: Hold {
                lock: lock.clone(),
                ..hold()
            },
            ..waiter(1)
        };
        let (store, wire) = store(vec![ok(&json!({})); 4]);
        store.enqueue(&waiter).await.unwrap();
        store.waiter(&lock, &place(1)).await.unwrap();
        store.dequeue(&waiter).await.unwrap();
        store.vacate(&lock, &place(1)).await.unwrap();
        let [put, others @ ..] = <[_; 4]>::try_from(wire.sent())
            .expect("four calls")
            .map(|(_, body)| body);
        assert_eq!(json!({"pk": put["Item"]["pk"], "sk": put["Item"]["sk"]}), key);
        for other in others {
            assert_eq!(other["Key"], key);
        }
    }
}
