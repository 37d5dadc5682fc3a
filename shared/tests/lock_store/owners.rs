//! OWNER.

use std::slice;

use serde_json::{Value, json};
use signalbox::clock::Timestamp;
use signalbox::lock::key::{Place, Ticket};
use signalbox::lock::record::{Attempt, Hold, Owner, Wish};
use signalbox::lock::store::{Owners, Recorded};
use signalbox::tasks::{TOKEN_CHARS, TaskToken};

use crate::wire::dynamodb::{NOT_MET, not_met, with};
use crate::wire::{Answer, error, ok};
use crate::*;

/// Whoever has it can end the task: it stands in no error and no debug output.
pub(crate) const SECRET: &str = "AAAAKgAAAAIAAAAAAAAAAQ5ecret+/=";

fn token(text: &str) -> TaskToken {
    TaskToken::parse(text).expect("a good token")
}

/// A run that waits in a place.
pub(crate) fn owner() -> Owner {
    Owner {
        hold: hold(),
        ticket: ticket(),
        attempt: Attempt {
            redrive: 1,
            entered: Timestamp::from_millis(5_000),
            retry: 2,
        },
        wish: Wish::Open,
        token: Some(token(SECRET)),
        place: Some(place(8)),
        since: Timestamp::from_millis(4_500),
    }
}

fn owner_key() -> Value {
    json!({"pk": {"S": format!("RUN#{RUN}")}, "sk": {"S": "HOLD#left#warehouse #1"}})
}

/// So many days after [`NOW`], in seconds.
fn in_days(days: u64) -> Value {
    json!({"N": (1_769_832_012 + days * 86_400).to_string()})
}

pub(crate) fn owner_item() -> Value {
    with(
        &owner_key(),
        &json!({
            "ticket": {"S": "t2"}, "redrive": {"N": "1"}, "entered": {"N": "5000"}, "retry": {"N": "2"},
            "wish": {"S": "open"}, "token": {"S": SECRET}, "place": {"S": "WAIT#14#000000000008"},
            "since": {"N": "4500"}, "changed": {"N": "1769832012345"}, "expires": in_days(366),
        }),
    )
}

/// What runs want, each with how it is written.
fn wishes() -> [(Owner, Value); 5] {
    let of = |wish| Owner { wish, ..owner() };
    [
        (of(Wish::Open), owner_item()),
        // It holds without ever having had to wait.
        (
            Owner { place: None, ..owner() },
            with(&owner_item(), &json!({"place": null})),
        ),
        // A slot that is reserved.
        (
            Owner { token: None, ..owner() },
            with(&owner_item(), &json!({"token": null})),
        ),
        // Nobody needs its token any more.
        (
            of(Wish::Released),
            with(
                &owner_item(),
                &json!({"wish": {"S": "released"}, "token": null, "expires": in_days(1)}),
            ),
        ),
        (
            of(Wish::Lost),
            with(
                &owner_item(),
                &json!({"wish": {"S": "lost"}, "expires": in_days(15), "active": {"S": "LOST"}, "due": in_days(15)}),
            ),
        ),
    ]
}

/// The request of `open`, for this item.
fn opening(item: &Value) -> Value {
    json!({
        "TableName": TABLE,
        "Item": item,
        "ConditionExpression":
            "attribute_not_exists(pk) OR (#wish = :released AND (#redrive < :redrive OR (#redrive = :redrive AND \
             (#entered < :entered OR (#entered = :entered AND #retry < :retry)))))",
        "ExpressionAttributeNames": names(&["wish", "redrive", "entered", "retry"]),
        "ExpressionAttributeValues": {
            ":released": {"S": "released"}, ":redrive": {"N": "1"}, ":entered": {"N": "5000"}, ":retry": {"N": "2"},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

#[tokio::test]
async fn an_acquisition_is_recorded_unless_something_newer_is() {
    for (owner, item) in wishes() {
        let (store, wire) = store([ok(&json!({}))]);
        assert_eq!(store.open(&owner, NOW).await.unwrap(), Recorded::Done);
        assert_eq!(sent(&wire, "PutItem"), opening(&item));
    }
    let other = json!({"ticket": {"S": "t9"}, "redrive": {"N": "2"}});
    let found = Owner {
        ticket: Ticket::of("t9"),
        attempt: Attempt {
            redrive: 2,
            ..owner().attempt
        },
        ..owner()
    };
    let (store, wire) = store([not_met(&with(&owner_item(), &other))]);
    assert_eq!(
        store.open(&owner(), NOW).await.unwrap(),
        Recorded::Found(Box::new(found))
    );
    assert_eq!(wire.attempts(), 1, "the item came with the refusal");
}

/// Whoever opens knows its own record again, by the ticket and the token.
#[tokio::test(start_paused = true)]
async fn opening_whose_answer_was_lost_finds_its_own_record() {
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        let (store, wire) = store([lost, not_met(&owner_item())]);
        assert_eq!(
            store.open(&owner(), NOW).await.unwrap(),
            Recorded::Found(Box::new(owner()))
        );
        let [first, second] = <[_; 2]>::try_from(wire.sent()).expect("two attempts");
        assert_eq!(first, second);
    }
}

#[tokio::test]
async fn something_that_is_found_and_not_shown_is_an_error() {
    for none in [not_met(&Value::Null), not_met(&json!({}))] {
        let (store, _) = store([none]);
        assert_eq!(
            store.open(&owner(), NOW).await.unwrap_err().to_string(),
            "dynamodb:PutItem failed: the item's attribute pk cannot be read: it is missing"
        );
    }
}

#[tokio::test]
async fn what_a_run_wants_of_a_lock_is_read_consistently() {
    for (answer, found) in [(json!({}), None), (json!({"Item": owner_item()}), Some(owner()))] {
        let (store, wire) = store([ok(&answer)]);
        assert_eq!(store.owner(&hold()).await.unwrap(), found);
        let request = json!({"TableName": TABLE, "Key": owner_key(), "ConsistentRead": true});
        assert_eq!(sent(&wire, "GetItem"), request);
    }
}

#[tokio::test]
async fn everything_that_a_run_has_is_read_from_every_page() {
    let query = |from: Option<&Value>| {
        let mut query = json!({
            "TableName": TABLE,
            "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :hold)",
            "ExpressionAttributeValues": {":pk": {"S": format!("RUN#{RUN}")}, ":hold": {"S": "HOLD#"}},
        });
        if let Some(from) = from {
            query["ExclusiveStartKey"] = from.clone();
        }
        query
    };
    let key = |lock: &str| json!({"pk": {"S": format!("RUN#{RUN}")}, "sk": {"S": format!("HOLD#left#{lock}")}});
    let item = |lock: &str| with(&owner_item(), &key(lock));
    let page = |items: &[Value], last: Option<&Value>| {
        let mut body = json!({"Items": items, "Count": items.len()});
        if let Some(last) = last {
            body["LastEvaluatedKey"] = last.clone();
        }
        ok(&body)
    };
    let answers = [
        page(&[item("a"), item("b")], Some(&key("b"))),
        page(&[], Some(&key("c"))),
        page(&[item("d")], None),
    ];
    let (store, wire) = store(answers.clone());
    let owners = store.owned_by(&arn(RUN)).await.unwrap();
    let locks: Vec<&str> = owners.iter().map(|owner| owner.hold.lock.as_str()).collect();
    assert_eq!(locks, ["a", "b", "d"]);
    let bodies: Vec<Value> = wire.sent().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [query(None), query(Some(&key("b"))), query(Some(&key("c")))]);

    // It may begin with nothing.
    let (late, _) = crate::store([page(&[], Some(&key("a"))), page(&[item("b")], None)]);
    assert_eq!(late.owned_by(&arn(RUN)).await.unwrap().len(), 1);

    // What is missing in half of it would never be given back.
    let (breaks, _) = crate::store([answers[0].clone(), error("ResourceNotFoundException")]);
    assert!(breaks.owned_by(&arn(RUN)).await.is_err());
    let (none, _) = crate::store([page(&[], None)]);
    assert_eq!(none.owned_by(&arn(RUN)).await.unwrap(), []);
}

#[tokio::test]
async fn a_record_is_replaced_as_long_as_it_is_as_it_was_seen() {
    let as_seen =
        "#ticket = :ticket AND #wish = :wish AND #redrive = :redrive AND #entered = :entered AND #retry = :retry";
    let values = json!({
        ":ticket": {"S": "t2"}, ":redrive": {"N": "1"}, ":entered": {"N": "5000"}, ":retry": {"N": "2"},
    });
    for (wish, text) in [(Wish::Open, "open"), (Wish::Released, "released"), (Wish::Lost, "lost")] {
        for (seen_place, condition, more) in [
            (None, "attribute_not_exists(#place)", json!({})),
            (
                Some(place(7)),
                "#place = :place",
                json!({":place": {"S": "WAIT#14#000000000007"}}),
            ),
        ] {
            let seen = Owner {
                wish,
                place: seen_place,
                ..owner()
            };
            for (next, item) in wishes() {
                // What is written is another attempt's: none of it is in the condition.
                let next = Owner {
                    ticket: Ticket::of("t9"),
                    attempt: Attempt {
                        redrive: 3,
                        entered: Timestamp::from_millis(9_000),
                        retry: 0,
                    },
                    ..next
                };
                let item = with(
                    &item,
                    &json!({"ticket": {"S": "t9"}, "redrive": {"N": "3"}, "entered": {"N": "9000"}, "retry": {"N": "0"}}),
                );
                let request = json!({
                    "TableName": TABLE,
                    "Item": item,
                    "ConditionExpression": format!("{as_seen} AND {condition}"),
                    "ExpressionAttributeNames": names(&["ticket", "wish", "redrive", "entered", "retry", "place"]),
                    "ExpressionAttributeValues": with(&with(&values, &json!({":wish": {"S": text}})), &more),
                });
                for (answer, replaced) in [(ok(&json!({})), true), (error(NOT_MET), false)] {
                    let (store, wire) = store([answer]);
                    assert_eq!(store.reown(&seen, &next, NOW).await.unwrap(), replaced);
                    assert_eq!(sent(&wire, "PutItem"), request);
                }
            }
        }
    }
}

/// Whoever replaces looks again.
#[tokio::test(start_paused = true)]
async fn replacing_whose_answer_was_lost_is_answered_as_not_made() {
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        let (store, wire) = store([lost, error(NOT_MET)]);
        assert!(!store.reown(&owner(), &owner(), NOW).await.unwrap());
        assert_eq!(wire.attempts(), 2);
    }
}

#[tokio::test]
async fn a_record_is_closed_unless_it_is_a_later_acquisitions() {
    // Of a release: attempts from before it are late from then on.
    for (entered, condition, more_set, more_names, more_values) in [
        (None, "attribute_exists(pk)", "", json!({}), json!({})),
        (
            Some(Timestamp::from_millis(6_000)),
            "attribute_exists(pk) AND #entered <= :entered",
            ", #entered = :entered, #retry = :zero",
            json!({"#entered": "entered", "#retry": "retry"}),
            json!({":entered": {"N": "6000"}, ":zero": {"N": "0"}}),
        ),
    ] {
        for (answer, closed) in [
            (ok(&json!({"Attributes": owner_item()})), Some(owner())),
            (error(NOT_MET), None),
            (not_met(&owner_item()), None),
        ] {
            let (store, wire) = store([answer]);
            assert_eq!(store.close(&hold(), entered, NOW).await.unwrap(), closed);
            let values =
                json!({":released": {"S": "released"}, ":now": {"N": "1769832012345"}, ":expires": in_days(1)});
            let request = json!({
                "TableName": TABLE,
                "Key": owner_key(),
                "UpdateExpression": format!(
                    "SET #wish = :released, #changed = :now, #expires = :expires{more_set} REMOVE #active, #due"
                ),
                "ConditionExpression": condition,
                "ExpressionAttributeNames":
                    with(&names(&["wish", "changed", "expires", "active", "due"]), &more_names),
                "ExpressionAttributeValues": with(&values, &more_values),
                "ReturnValues": "ALL_OLD",
            });
            assert_eq!(sent(&wire, "UpdateItem"), request);
        }
    }
}

/// The place, and the ticket, of what is closed are known all the same: the release goes on with them.
#[tokio::test(start_paused = true)]
async fn closing_whose_answer_was_lost_answers_what_was_closed_before() {
    let (released, item) = wishes()[3].clone();
    for lost in [Answer::Lost, Answer::Silence, error("InternalServerError")] {
        let (store, wire) = store([lost, ok(&json!({"Attributes": item}))]);
        let closed = store.close(&hold(), None, NOW).await.unwrap().expect("a record");
        assert_eq!(
            closed,
            Owner {
                token: None,
                ..released.clone()
            }
        );
        assert_eq!(wire.attempts(), 2);
    }
}

#[tokio::test]
async fn a_record_that_was_written_is_read_back() {
    let attempt = |number, time| Attempt {
        redrive: number,
        entered: Timestamp::from_millis(time),
        retry: number,
    };
    let mut owners = Vec::new();
    for wish in [Wish::Open, Wish::Released, Wish::Lost] {
        for place in [None, Some(Place::at_front(1)), Some(Place::at_back(999_999_999_999))] {
            for secret in [None, Some(token("x")), Some(token(&"+/=".repeat(TOKEN_CHARS / 3)))] {
                for attempt in [attempt(0, i64::MIN), attempt(u32::MAX, i64::MAX)] {
                    owners.push(Owner {
                        wish,
                        place: place.clone(),
                        token: secret.clone(),
                        attempt,
                        since: attempt.entered,
                        ..owner()
                    });
                }
            }
        }
    }
    for lock in extreme_locks() {
        for name in extreme_names() {
            owners.push(Owner {
                hold: Hold {
                    lock: lock.clone(),
                    name,
                    execution: arn(MAP_CHILD),
                },
                ticket: Ticket::of("#"),
                ..owner()
            });
        }
    }
    for owner in owners {
        let (writes, wire) = store([ok(&json!({})), ok(&json!({}))]);
        writes.open(&owner, NOW).await.unwrap();
        writes.reown(&owner, &owner, NOW).await.unwrap();
        let [(_, opened), (_, replaced)] = <[_; 2]>::try_from(wire.sent()).expect("two calls");
        assert_eq!(opened["Item"], replaced["Item"]);
        let item = opened["Item"].clone();

        let (reads, wire) = store([
            ok(&json!({"Item": item})),
            ok(&json!({"Items": [item], "Count": 1})),
            ok(&json!({"Attributes": item})),
            not_met(&item),
        ]);
        let token = owner.token.clone().filter(|_| owner.wish != Wish::Released);
        let owner = Owner { token, ..owner };
        assert_eq!(reads.owner(&owner.hold).await.unwrap().as_ref(), Some(&owner));
        assert_eq!(
            reads.owned_by(&owner.hold.execution).await.unwrap(),
            slice::from_ref(&owner)
        );
        assert_eq!(
            reads.close(&owner.hold, None, NOW).await.unwrap().as_ref(),
            Some(&owner)
        );
        assert_eq!(
            reads.open(&owner, NOW).await.unwrap(),
            Recorded::Found(Box::new(owner.clone()))
        );
        // All of them look where it was written.
        let [(_, get), _, (_, update), _] = <[_; 4]>::try_from(wire.sent()).expect("four calls");
        for key in [&get["Key"], &update["Key"]] {
            assert_eq!(*key, json!({"pk": item["pk"], "sk": item["sk"]}));
        }
    }
}

/// Whatever is missing or strange is named, and nothing of the token is told with it.
#[tokio::test]
async fn a_record_that_cannot_be_read_is_an_error_that_names_the_attribute() {
    for (name, values) in [
        ("pk", json!([null, {"N": "1"}])),
        (
            "sk",
            json!([null, {"N": "1"}, {"S": "GUARD"}, {"S": "HOLD#left"}, {"S": "HOLD#left#"}, {"S": "HOLD#ä#a"}]),
        ),
        ("ticket", json!([null, {"N": "1"}])),
        ("redrive", json!([null, {"S": "1"}, {"N": "-1"}])),
        ("entered", json!([null, {"S": "1"}, {"N": "0.5"}])),
        ("retry", json!([null, {"S": "1"}, {"N": "4294967296"}])),
        ("wish", json!([null, {"N": "1"}, {"S": ""}, {"S": "Open"}])),
        (
            "token",
            json!([{"S": ""}, {"S": SECRET.repeat(100)}, {"N": SECRET}, {"SS": [SECRET]}, {"L": [{"S": SECRET}]}]),
        ),
        ("place", json!([{"N": "1"}, {"NULL": true}])),
        ("since", json!([null, {"S": "1"}])),
    ] {
        for value in values.as_array().unwrap() {
            let item = with(&owner_item(), &json!({name: value}));
            let (store, _) = store([
                not_met(&item),
                ok(&json!({"Item": item})),
                ok(&json!({"Items": [owner_item(), item], "Count": 2})),
                ok(&json!({"Attributes": item})),
            ]);
            for (api, error) in [
                ("PutItem", store.open(&owner(), NOW).await.unwrap_err()),
                ("GetItem", store.owner(&hold()).await.unwrap_err()),
                ("Query", store.owned_by(&arn(RUN)).await.unwrap_err()),
                ("UpdateItem", store.close(&hold(), None, NOW).await.unwrap_err()),
            ] {
                let text = error.to_string();
                let says = format!("dynamodb:{api} failed: the item's attribute {name} cannot be read: ");
                assert!(text.starts_with(&says), "{value}: {text}");
                assert_eq!(text.ends_with("it is missing"), value.is_null(), "{text}");
                assert!(
                    !text.contains(SECRET) && !format!("{error:?}").contains(SECRET),
                    "{text}"
                );
            }
        }
    }
}

/// A key that names a run that is none is the key's fault.
#[tokio::test]
async fn a_record_of_no_execution_is_an_error() {
    for pk in [format!("RUN#{MACHINE}"), RUN.to_owned(), "RUN#".to_owned()] {
        let item = with(&owner_item(), &json!({"pk": {"S": pk}}));
        let (store, _) = store([ok(&json!({"Item": item}))]);
        let text = store.owner(&hold()).await.unwrap_err().to_string();
        assert!(text.ends_with("it names no hold"), "{text}");
    }
}

#[tokio::test]
async fn a_token_is_in_no_debug_output() {
    for (owner, item) in wishes() {
        let (store, wire) = store([ok(&json!({"Item": item})), not_met(&item)]);
        let read = store.owner(&hold()).await.unwrap();
        let found = store.open(&owner, NOW).await.unwrap();
        let text = format!("{owner:?} {read:?} {found:?} {store:?}");
        assert!(!text.contains(SECRET), "{text}");
        assert_eq!(wire.attempts(), 2);
    }
}
