//! Records as items, and back.

use serde_json::json;
use signalbox::clock::Timestamp;
use signalbox::ecs::store::Records;

use crate::wire::dynamodb::with;
use crate::wire::ok;
use crate::*;

/// Every stage with and without everything that a record may have or lack.
fn all() -> Vec<(Record, Value)> {
    let mut all = Vec::new();
    for (stage, of_stage) in stages() {
        for bits in 0..32 {
            let has = |bit: u32| bits & (1 << bit) != 0;
            let (deadline, task_arn, missing, ended, full) = (has(0), has(1), has(2), has(3), has(4));
            let record = Record {
                deadline: record().deadline.filter(|_| deadline),
                stage: stage.clone(),
                task: task_arn.then(|| TASK.to_owned()),
                missing: missing.then(|| Timestamp::from_millis(7_000)),
                ended: ended.then(task),
                plan: if full { full_plan() } else { bare_plan() },
                ..record()
            };
            let mut item = with(&item(), &of_stage);
            let mut set = |is_there: bool, name: &str, value: Value| {
                item = with(&item, &json!({name: is_there.then_some(value)}));
            };
            set(deadline, "deadline", json!({"N": "1769832612345"}));
            set(task_arn, "task", json!({"S": TASK}));
            set(missing, "lostSince", json!({"N": "7000"}));
            set(ended, "ended", json!({"S": task_json().to_string()}));
            if !full {
                let plan = serde_json::to_string(&bare_plan()).expect("JSON");
                set(true, "plan", json!({"S": plan}));
            }
            all.push((record, item));
        }
    }
    all
}

#[tokio::test]
async fn every_record_is_read_as_it_stands() {
    let all = all();
    assert_eq!(all.len(), (5 + Why::ALL.len()) * 32);
    for (record, item) in all {
        let (records, _) = records([ok(&json!({"Item": item}))]);
        assert_eq!(records.get(&key()).await, Ok(Some(record)), "{item}");
    }
}

/// Only what is open is written whole; where it is stopped, or is missed, is written by itself.
#[tokio::test]
async fn what_is_written_whole_is_read_back() {
    let mut written = 0;
    for (record, item) in all() {
        if !matches!(record.stage, Stage::Launching | Stage::Running) || record.missing.is_some() {
            continue;
        }
        let (records, wire) = records([ok(&json!({})), ok(&json!({"Item": item}))]);
        assert_eq!(records.put(&record).await, Ok(None));
        let sent = sent(&wire, "PutItem")["Item"].clone();
        assert_eq!(read(&sent), read(&item), "{record:?}");
        let (records, _) = crate::records([ok(&json!({"Item": sent}))]);
        assert_eq!(records.get(&key()).await, Ok(Some(record)));
        written += 1;
    }
    assert_eq!(written, 2 * 16);
}

/// What an item lacks, or has in another type or form, and what of it is named.
fn unreadable() -> Vec<(Value, String)> {
    let mut cases = Vec::new();
    for name in [
        "key",
        "execution",
        "state",
        "token",
        "request",
        "plan",
        "origin",
        "at",
        "stage",
    ] {
        cases.push((json!({name: null}), format!("{name} cannot be read: it is missing")));
        cases.push((
            json!({name: {"BOOL": true}}),
            format!("{name} cannot be read: it is Bool"),
        ));
    }
    for name in ["deadline", "task", "lostSince", "ended"] {
        cases.push((
            json!({name: {"BOOL": true}}),
            format!("{name} cannot be read: it is Bool"),
        ));
    }
    let stopping = |stop: Value| json!({"stage": {"S": "stopping"}, "stop": stop});
    let since = json!({"N": "1"});
    for (changes, named) in [
        (json!({"key": {"S": "x"}}), "key cannot be read: it is \"x\""),
        (json!({"origin": {"S": "x/y"}}), "origin cannot be read: it is \"x/y\""),
        (json!({"execution": {"S": "x"}}), "execution cannot be read"),
        (json!({"token": {"S": ""}}), "token cannot be read"),
        (json!({"at": {"N": "1.5"}}), "at cannot be read: it is 1.5"),
        (json!({"plan": {"S": "{}"}}), "plan cannot be read: missing field"),
        (json!({"plan": {"S": "nonsense"}}), "plan cannot be read"),
        (json!({"ended": {"S": "[1"}}), "ended cannot be read"),
        (json!({"stage": {"S": "new"}}), "stage cannot be read: it is \"new\""),
        (
            json!({"stage": {"S": "stopping"}}),
            "stop cannot be read: it is missing",
        ),
        (stopping(json!({"S": "x"})), "stop cannot be read: it is S"),
        (
            stopping(json!({"M": {"since": since}})),
            "why cannot be read: it is missing",
        ),
        (
            stopping(json!({"M": {"since": since, "why": {"S": "bored"}}})),
            "why cannot be read: it is \"bored\"",
        ),
        (
            stopping(json!({"M": {"why": {"S": "replaced"}}})),
            "since cannot be read: it is missing",
        ),
        (
            json!({"stage": {"S": "done"}, "delivered": {"S": "yes"}}),
            "delivered cannot be read: it is S",
        ),
        (
            json!({"stage": {"S": "adopted"}}),
            "adoptedBy cannot be read: it is missing",
        ),
        (
            json!({"stage": {"S": "adopted"}, "adoptedBy": {"S": "x"}}),
            "adoptedBy cannot be read: it is \"x\"",
        ),
    ] {
        cases.push((changes, named.to_owned()));
    }
    cases
}

#[tokio::test]
async fn an_item_that_cannot_be_read_names_its_attribute() {
    for (changes, named) in unreadable() {
        let item = with(&item(), &changes);
        let (found, _) = records([ok(&json!({"Item": item}))]);
        let error = found.get(&key()).await.unwrap_err();
        let text = error.to_string();
        let says = format!("dynamodb:GetItem failed: the item's attribute {named}");
        assert!(text.starts_with(&says), "{says}\n{text}");
        assert!(!text.contains(SECRET), "{text}");

        // Nothing is decided on half of a step, nor of an execution.
        for page in [
            ok(&json!({"Items": [item]})),
            ok(&json!({"Items": [crate::item(), item]})),
        ] {
            let (found, _) = records([page.clone()]);
            let text = found.of_step(&key()).await.unwrap_err().to_string();
            assert!(
                text.starts_with("dynamodb:Query failed: the item's attribute "),
                "{text}"
            );
            let (found, _) = records([page]);
            assert!(found.open_of_run(&run()).await.is_err());
        }
    }
}

/// What nobody knows yet does not keep this version from reading the rest.
#[tokio::test]
async fn attributes_of_later_versions_are_left_alone() {
    let item = with(&item(), &json!({"laterOn": {"L": [{"NULL": true}]}}));
    let (records, _) = records([ok(&json!({"Item": item}))]);
    assert_eq!(records.get(&key()).await, Ok(Some(record())));
}

#[test]
fn a_token_is_not_shown() {
    assert!(!format!("{:?}", record()).contains(SECRET));
}
