//! HEAD.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox::clock::Timestamp;
use signalbox::lock::key::{Fence, LockKey, Nonce, Ticket};
use signalbox::lock::record::{Head, Holder};
use signalbox::lock::store::{FreeIf, Freed, Gate, Granting, Heads};

use crate::wire::dynamodb::{NOT_MET, not_met, with};
use crate::wire::{Answer, error, ok};
use crate::*;

const GATES: [Gate; 3] = [Gate::Newcomer, Gate::Promotion(Fence(41)), Gate::Regain];

/// Who asks for which lock through which gate, and what comes of it.
async fn granted(lock: &LockKey, gate: Gate, answers: Vec<Answer>) -> (Granting, Wire) {
    let (store, wire) = store(answers);
    let granting = store.grant(lock, &ticket(), &holder(), gate).await;
    (granting.expect("an answer"), wire)
}

fn attributes(item: &Value) -> Answer {
    ok(&json!({"Attributes": item}))
}

#[tokio::test]
async fn head_is_read_consistently() {
    for (answer, read) in [
        (json!({}), None),
        (json!({"Item": head_item()}), Some(head())),
        (json!({"Item": shared_head_item(&holder_entry())}), Some(shared_head())),
    ] {
        let (store, wire) = store([ok(&answer)]);
        assert_eq!(store.head(&lock()).await.unwrap(), read);
        let request = json!({"TableName": TABLE, "Key": head_key(&lock()), "ConsistentRead": true});
        assert_eq!(sent(&wire, "GetItem"), request);
    }
}

#[tokio::test]
async fn a_grant_is_one_write_under_the_condition_of_its_gate() {
    let free = "size(#holders) < #slots AND #paused = :false AND attribute_not_exists(#holders.#t)";
    let alias = names(&["holders", "slots", "paused", "fences", "fence", "changed", "expires"]);
    let alias = with(&alias, &json!({"#t": "t2"}));
    let values = json!({
        ":holder": {"M": holder_entry()}, ":one": {"N": "1"}, ":now": {"N": "1769832012345"}, ":false": {"BOOL": false},
    });
    let set = "SET #holders.#t = :holder, #fences.#t = #fence + :one, #fence = #fence + :one, #changed = :now";
    for (gate, condition, more_names, more_values) in [
        (
            Gate::Newcomer,
            " AND #contended = :false",
            json!({"#contended": "contended"}),
            json!({}),
        ),
        (
            Gate::Promotion(Fence(41)),
            " AND #fence = :fence",
            json!({}),
            json!({":fence": {"N": "41"}}),
        ),
        (Gate::Regain, "", json!({}), json!({})),
    ] {
        // The guard's lock alone stays out of the index of what the sweep looks at.
        for (lock, indexed, index_names, index_values) in [
            (
                lock(),
                ", #active = :inUse, #due = :zero",
                json!({"#active": "active", "#due": "due"}),
                json!({":inUse": {"S": "HEAD"}, ":zero": {"N": "0"}}),
            ),
            (guards_lock(), "", json!({}), json!({})),
        ] {
            let (granting, wire) = granted(&lock, gate, vec![attributes(&shared_head_item(&holder_entry()))]).await;
            assert_eq!(granting, Granting::Granted(shared_head()));
            let request = json!({
                "TableName": TABLE,
                "Key": head_key(&lock),
                "UpdateExpression": format!("{set}{indexed} REMOVE #expires"),
                "ConditionExpression": format!("{free}{condition}"),
                "ExpressionAttributeNames": with(&with(&alias, &more_names), &index_names),
                "ExpressionAttributeValues": with(&with(&values, &more_values), &index_values),
                "ReturnValues": "ALL_NEW",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            });
            assert_eq!(sent(&wire, "UpdateItem"), request, "{gate:?} {lock}");
        }
    }
}

#[tokio::test]
async fn a_grant_that_is_refused_shows_who_holds_instead() {
    for gate in GATES {
        let (granting, wire) = granted(&lock(), gate, vec![not_met(&head_item())]).await;
        assert_eq!(granting, Granting::Refused(head()));
        assert_eq!(wire.attempts(), 1, "the item came with the refusal");
    }
}

#[tokio::test]
async fn a_lock_that_nobody_ever_held_begins_with_its_first_holder() {
    let mut begun = Head::new(NOW);
    begun.holders.insert(ticket(), holder());
    begun.fence = Fence(NOW.as_millis() + 1);
    begun.fences.insert(ticket(), begun.fence);
    for (lock, index) in [
        (lock(), json!({"active": {"S": "HEAD"}, "due": {"N": "0"}})),
        (guards_lock(), json!({})),
    ] {
        for gate in GATES {
            let (granting, wire) = granted(&lock, gate, vec![not_met(&Value::Null), ok(&json!({}))]).await;
            assert_eq!(granting, Granting::Granted(begun.clone()));
            let [(first, _), (second, request)] = <[_; 2]>::try_from(wire.sent()).expect("two calls");
            assert_eq!(
                (&*first, &*second),
                ("DynamoDB_20120810.UpdateItem", "DynamoDB_20120810.PutItem")
            );
            let item = json!({
                "slots": {"N": "1"}, "holders": {"M": {"t2": {"M": holder_entry()}}},
                "fences": {"M": {"t2": {"N": "1769832012346"}}}, "fence": {"N": "1769832012346"},
                "arrivals": {"N": "1769832012"}, "contended": {"BOOL": false}, "generation": {"N": "0"},
                "paused": {"BOOL": false}, "changed": {"N": "1769832012345"},
            });
            let created = json!({
                "TableName": TABLE,
                "Item": with(&with(&head_key(&lock), &item), &index),
                "ConditionExpression": "attribute_not_exists(pk)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            });
            assert_eq!(request, created);
        }
    }
}

#[tokio::test]
async fn of_two_who_begin_a_lock_one_is_refused() {
    for gate in GATES {
        let (granting, wire) = granted(&lock(), gate, vec![not_met(&Value::Null), not_met(&head_item())]).await;
        assert_eq!(granting, Granting::Refused(head()));
        assert_eq!(wire.attempts(), 2);
    }
}

/// It was there a moment ago: nobody knows what stands in the way.
#[tokio::test]
async fn a_lock_that_cannot_begin_and_is_not_there_is_an_error() {
    for none in [not_met(&Value::Null), not_met(&json!({}))] {
        let (store, _) = store([not_met(&Value::Null), none]);
        let error = store
            .grant(&lock(), &ticket(), &holder(), Gate::Newcomer)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "dynamodb:PutItem failed: the item's attribute holders cannot be read: it is missing"
        );
    }
}

/// The SDK makes the call again, and is refused by what the first one wrote.
#[tokio::test(start_paused = true)]
async fn a_grant_whose_answer_was_lost_is_answered_as_granted() {
    let mine = shared_head_item(&holder_entry());
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        for gate in GATES {
            let (granting, wire) = granted(&lock(), gate, vec![lost.clone(), not_met(&mine)]).await;
            assert_eq!(granting, Granting::Granted(shared_head()));
            let [first, second] = <[_; 2]>::try_from(wire.sent()).expect("two attempts");
            assert_eq!(first, second);

            let answers = vec![not_met(&Value::Null), lost.clone(), not_met(&mine)];
            let (granting, wire) = granted(&lock(), gate, answers).await;
            assert_eq!(granting, Granting::Granted(shared_head()));
            let [_, first, second] = <[_; 3]>::try_from(wire.sent()).expect("three attempts");
            assert_eq!(first, second);
        }
    }
}

/// The same ticket, and not this grant: an earlier attempt's, or one that was taken over since.
#[tokio::test]
async fn a_grant_that_was_made_before_by_another_entry_is_refused() {
    for (attribute, value) in [
        ("execution", json!({"S": OLDER})),
        ("hold", json!({"S": "right"})),
        ("redrive", json!({"N": "2"})),
        ("entered", json!({"N": "5001"})),
        ("since", json!({"N": "1769832012344"})),
        ("by", json!({"S": "somebody"})),
        ("at", json!({"N": "1769832012346"})),
        ("confirmed", json!({"BOOL": true})),
        ("members", json!({"L": [{"S": "a"}]})),
    ] {
        let item = shared_head_item(&with(&holder_entry(), &json!({attribute: value})));
        for before in [vec![], vec![not_met(&Value::Null)]] {
            let answers = [before, vec![not_met(&item)]].concat();
            let (granting, _) = granted(&lock(), Gate::Newcomer, answers).await;
            let Granting::Refused(head) = granting else {
                panic!("{attribute}: {granting:?}")
            };
            assert!(head.holders.contains_key(&ticket()));
        }
    }
    // The very same entry, and another ticket's.
    let item = with(&head_item(), &json!({"holders": {"M": {"t1": {"M": holder_entry()}}}}));
    let (granting, _) = granted(&lock(), Gate::Newcomer, vec![not_met(&item)]).await;
    assert!(matches!(granting, Granting::Refused(_)));
}

#[tokio::test]
async fn an_entry_is_amended_as_long_as_it_is_as_it_was_seen() {
    for (answer, amended) in [
        (ok(&json!({})), true),
        (error(NOT_MET), false),
        (not_met(&head_item()), false),
    ] {
        let (store, wire) = store([answer]);
        let told = Holder {
            confirmed: true,
            at: Timestamp::from_millis(9_000),
            ..older()
        };
        assert_eq!(store.amend(&lock(), &ticket(), &older(), &told).await.unwrap(), amended);
        let entry = with(&older_entry(), &json!({"at": {"N": "9000"}}));
        let request = json!({
            "TableName": TABLE,
            "Key": head_key(&lock()),
            "UpdateExpression": "SET #holders.#t = :holder, #changed = :now",
            "ConditionExpression": "#holders.#t = :seen",
            "ExpressionAttributeNames": {"#holders": "holders", "#changed": "changed", "#t": "t2"},
            "ExpressionAttributeValues": {
                ":holder": {"M": entry}, ":seen": {"M": older_entry()}, ":now": {"N": "9000"},
            },
        });
        assert_eq!(sent(&wire, "UpdateItem"), request);
    }
}

/// Nobody can tell from the entry whose change it was: whoever amends looks again.
#[tokio::test(start_paused = true)]
async fn an_amendment_whose_answer_was_lost_is_answered_as_not_made() {
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        let (store, wire) = store([lost, error(NOT_MET)]);
        assert!(!store.amend(&lock(), &ticket(), &older(), &holder()).await.unwrap());
        assert_eq!(wire.attempts(), 2);
    }
}

#[tokio::test]
async fn a_slot_is_freed_under_its_condition() {
    let me = Nonce::of("me");
    let (seen, ended) = (
        older(),
        FreeIf::Ended {
            redrive: 2,
            stopped: Timestamp::from_millis(6_000),
        },
    );
    let alias = names(&["holders", "fences", "changed", "lastHoldMs", "since"]);
    let alias = with(&alias, &json!({"#t": "t2"}));
    for (free_if, condition, more_names, more_values) in [
        (FreeIf::Any, "attribute_exists(#holders.#t)", json!({}), json!({})),
        (
            FreeIf::Seen(&seen),
            "#holders.#t = :seen",
            json!({}),
            json!({":seen": {"M": older_entry()}}),
        ),
        (
            FreeIf::By(&me),
            "#holders.#t.#by = :me",
            json!({"#by": "by"}),
            json!({":me": {"S": "me"}}),
        ),
        (
            ended,
            "#holders.#t.#redrive <= :redrive AND #holders.#t.#entered <= :stopped",
            json!({"#redrive": "redrive", "#entered": "entered"}),
            json!({":redrive": {"N": "2"}, ":stopped": {"N": "6000"}}),
        ),
    ] {
        for (answer, freed) in [
            (attributes(&head_item()), Freed::Freed(head())),
            (
                not_met(&shared_head_item(&holder_entry())),
                Freed::Kept(Some(shared_head())),
            ),
            (not_met(&Value::Null), Freed::Kept(None)),
        ] {
            let (store, wire) = store([answer]);
            assert_eq!(store.free(&lock(), &ticket(), free_if, NOW).await.unwrap(), freed);
            let request = json!({
                "TableName": TABLE,
                "Key": head_key(&lock()),
                "UpdateExpression":
                    "SET #changed = :now, #lastHoldMs = :now - #holders.#t.#since REMOVE #holders.#t, #fences.#t",
                "ConditionExpression": condition,
                "ExpressionAttributeNames": with(&alias, &more_names),
                "ExpressionAttributeValues": with(&json!({":now": {"N": "1769832012345"}}), &more_values),
                "ReturnValues": "ALL_NEW",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            });
            assert_eq!(sent(&wire, "UpdateItem"), request);
        }
    }
}

/// The SDK makes the call again, and finds the slot free: HEAD shows that there are waiters to hand over to.
#[tokio::test(start_paused = true)]
async fn freeing_whose_answer_was_lost_shows_head_as_it_left_it() {
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        let (store, wire) = store([lost, not_met(&head_item())]);
        let freed = store.free(&lock(), &ticket(), FreeIf::Any, NOW).await.unwrap();
        assert_eq!(freed, Freed::Kept(Some(head())));
        assert_eq!(wire.attempts(), 2);
    }
}

#[tokio::test]
async fn an_entry_that_was_written_is_read_back() {
    let extreme = |time| Holder {
        redrive: u32::MAX,
        entered: Timestamp::from_millis(time),
        since: Timestamp::from_millis(time),
        by: Nonce::of("#"),
        at: Timestamp::from_millis(time),
        confirmed: true,
        members: (0..40).map(|n| "\"#".repeat(n)).collect(),
        ..holder()
    };
    let times = [i64::MIN, -1, 0, i64::MAX].map(extreme);
    let named = extreme_names().map(|name| Holder {
        name,
        execution: arn(MAP_CHILD),
        ..holder()
    });
    for entry in [holder(), older()].into_iter().chain(times).chain(named) {
        let (writer, wire) = store([ok(&json!({}))]);
        writer.amend(&lock(), &ticket(), &entry, &entry).await.unwrap();
        let values = &sent(&wire, "UpdateItem")["ExpressionAttributeValues"];
        assert_eq!(values[":holder"], values[":seen"]);
        let (reader, _) = store([ok(&json!({"Item": shared_head_item(&values[":holder"]["M"])}))]);
        let head = reader.head(&lock()).await.unwrap().expect("a HEAD");
        assert_eq!(head.holders[&ticket()], entry);
    }
}

#[tokio::test]
async fn a_head_that_was_begun_is_read_back() {
    for lock in extreme_locks() {
        let entry = older();
        let (begins, wire) = store([not_met(&Value::Null), ok(&json!({}))]);
        let granting = begins.grant(&lock, &ticket(), &entry, Gate::Newcomer).await.unwrap();
        let (_, put) = wire.sent().pop().expect("two calls");
        let (reads, _) = store([ok(&json!({"Item": put["Item"]}))]);
        let head = reads.head(&lock).await.unwrap().expect("a HEAD");
        assert_eq!(Granting::Granted(head), granting);
    }
}

#[tokio::test]
async fn the_greatest_and_the_smallest_head_are_read() {
    let greatest = Head {
        slots: u32::MAX,
        holders: (0..100).map(|n| (Ticket::of(format!("t{n}#")), older())).collect(),
        fences: (0..100)
            .map(|n| (Ticket::of(format!("t{n}#")), Fence(i64::MAX - n)))
            .collect(),
        fence: Fence(i64::MAX),
        arrivals: u64::MAX,
        contended: true,
        generation: u64::MAX,
        paused: true,
        last_hold_ms: Some(i64::MIN),
        changed: Timestamp::from_millis(i64::MIN),
    };
    let by_ticket =
        |value: &dyn Fn(i64) -> Value| -> Value { (0..100).map(|n| (format!("t{n}#"), value(n))).collect() };
    let great = with(
        &head_item(),
        &json!({
            "slots": {"N": u32::MAX.to_string()}, "holders": {"M": by_ticket(&|_| json!({"M": older_entry()}))},
            "fences": {"M": by_ticket(&|n| json!({"N": (i64::MAX - n).to_string()}))},
            "fence": {"N": i64::MAX.to_string()}, "arrivals": {"N": u64::MAX.to_string()},
            "generation": {"N": u64::MAX.to_string()}, "paused": {"BOOL": true},
            "lastHoldMs": {"N": i64::MIN.to_string()}, "changed": {"N": i64::MIN.to_string()},
        }),
    );
    let smallest = Head {
        slots: 0,
        holders: BTreeMap::new(),
        fences: BTreeMap::new(),
        fence: Fence(0),
        contended: false,
        last_hold_ms: None,
        ..head()
    };
    let small = with(
        &head_item(),
        &json!({
            "slots": {"N": "0"}, "holders": {"M": {}}, "fences": {"M": {}}, "fence": {"N": "0"}, "contended": null,
            "paused": null, "lastHoldMs": null,
        }),
    );
    for (item, head) in [(great, greatest), (small, smallest)] {
        let (store, _) = store([ok(&json!({"Item": item}))]);
        assert_eq!(store.head(&lock()).await.unwrap(), Some(head));
    }
}

/// Whatever is missing or strange is named; none of it is taken for something else.
#[tokio::test]
async fn a_head_that_cannot_be_read_is_an_error_that_names_the_attribute() {
    let mut items = Vec::new();
    for (name, values) in [
        (
            "slots",
            json!([null, {"S": "1"}, {"N": "-1"}, {"N": "1.5"}, {"N": "4294967296"}]),
        ),
        (
            "holders",
            json!([null, {"S": ""}, {"L": []}, {"M": {"t1": {"S": "me"}}}]),
        ),
        ("fences", json!([null, {"N": "1"}, {"L": []}])),
        ("fence", json!([null, {"S": "1"}, {"N": "1e30"}])),
        ("arrivals", json!([null, {"S": "1"}, {"N": "-1"}])),
        ("contended", json!([{"S": "true"}, {"NULL": true}])),
        ("generation", json!([null, {"S": "1"}, {"N": "-1"}])),
        ("paused", json!([{"N": "0"}, {"NULL": true}])),
        ("lastHoldMs", json!([{"S": "1"}, {"NULL": true}, {"N": "0.5"}])),
        ("changed", json!([null, {"S": "2026-01-31T04:00:00Z"}])),
    ] {
        for value in values.as_array().unwrap() {
            items.push((name, value.clone(), with(&head_item(), &json!({name: value}))));
        }
    }
    items.push((
        "t1",
        json!({"S": "1"}),
        with(&head_item(), &json!({"fences": {"M": {"t1": {"S": "1"}}}})),
    ));
    for (name, values) in [
        (
            "execution",
            json!([null, {"N": "1"}, {"S": ""}, {"S": "nightly"}, {"S": MACHINE}]),
        ),
        ("hold", json!([null, {"N": "1"}, {"S": "a#b"}, {"S": "ä"}])),
        ("redrive", json!([null, {"S": "1"}, {"N": "-1"}])),
        ("entered", json!([null, {"S": "1"}, {"N": "0.5"}])),
        ("since", json!([null, {"S": "1"}])),
        ("by", json!([null, {"N": "1"}])),
        ("at", json!([null, {"S": "1"}])),
        ("confirmed", json!([{"S": "true"}, {"NULL": true}])),
        (
            "members",
            json!([{"S": "a"}, {"SS": ["a"]}, {"NULL": true}, {"L": [{"S": "a"}, {"N": "1"}]}]),
        ),
    ] {
        for value in values.as_array().unwrap() {
            let entry = with(&older_entry(), &json!({name: value}));
            items.push((name, value.clone(), shared_head_item(&entry)));
        }
    }
    for (name, value, item) in items {
        let (lock, ticket, mine) = (lock(), ticket(), holder());
        let (store, _) = store([
            ok(&json!({"Item": item})),
            attributes(&item),
            not_met(&item),
            not_met(&Value::Null),
            not_met(&item),
            attributes(&item),
            not_met(&item),
        ]);
        let grant = || store.grant(&lock, &ticket, &mine, Gate::Regain);
        let free = || store.free(&lock, &ticket, FreeIf::Any, NOW);
        for (api, error) in [
            ("GetItem", store.head(&lock).await.unwrap_err()),
            ("UpdateItem", grant().await.unwrap_err()),
            ("UpdateItem", grant().await.unwrap_err()),
            ("PutItem", grant().await.unwrap_err()),
            ("UpdateItem", free().await.unwrap_err()),
            ("UpdateItem", free().await.unwrap_err()),
        ] {
            let text = error.to_string();
            let says = format!("dynamodb:{api} failed: the item's attribute {name} cannot be read: ");
            assert!(text.starts_with(&says), "{value}: {text}");
            assert_eq!(text.ends_with("it is missing"), value.is_null(), "{text}");
            assert_eq!(error.code, None);
        }
    }
}
