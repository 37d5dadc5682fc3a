//! What is remembered of resumes and of clones, in DynamoDB: what is sent, and what is made of every answer.

use resume::lineage::{DynamoLineage, Lineage, Resume, TURN};
use resume::sweep::{CLAIMED, DynamoRecords, Kept, Records, Stage};
use serde_json::{Value, json};
use signalbox::clock::Timestamp;
use signalbox::pipeline::CloneOf;

use crate::wire::dynamodb::{NOT_MET, not_met, with};
use crate::wire::{Answer, TOLD, Wire, client, denied, error, nonsense, ok};
use crate::{HOME, execution, machine};

const TABLE: &str = "fleet";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn resume() -> Resume {
    Resume {
        origin: execution("orders:run-1"),
        plan_hash: "1b4f".to_owned(),
        request_hash: "6030".to_owned(),
        redrives: 2,
        clone: Some(machine("orders--r-0123456789ab")),
        execution: execution("orders--r-0123456789ab:run-1-r-1b4f"),
        resumes_at: "Task \"Charge\"".to_owned(),
        reason: Some("the ledger is back".to_owned()),
        by: Some("ana".to_owned()),
        at: at(1_000),
        done: false,
    }
}

fn item() -> Value {
    json!({
        "pk": {"S": format!("RESUME#{HOME}:execution:orders:run-1")}, "sk": {"S": "1b4f"},
        "origin": {"S": format!("{HOME}:execution:orders:run-1")}, "request": {"S": "6030"}, "redrives": {"N": "2"},
        "clone": {"S": format!("{HOME}:stateMachine:orders--r-0123456789ab")},
        "execution": {"S": format!("{HOME}:execution:orders--r-0123456789ab:run-1-r-1b4f")},
        "resumesAt": {"S": "Task \"Charge\""}, "reason": {"S": "the ledger is back"}, "by": {"S": "ana"},
        "at": {"N": "1000"}, "expires": {"N": "8640001"},
    })
}

fn lineage(wire: &Wire) -> DynamoLineage {
    DynamoLineage::new(client!(aws_sdk_dynamodb, wire), TABLE.to_owned())
}

#[tokio::test]
async fn a_resume_is_noted_once() {
    let wire = Wire::with([ok(&json!({}))]);
    assert_eq!(lineage(&wire).begin(&resume()).await, Ok(resume()));
    let (target, body) = wire.only();
    assert_eq!(target, "DynamoDB_20120810.PutItem");
    let expected = json!({
        "TableName": TABLE, "Item": item(), "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_was_noted_before_is_answered() {
    let redrive = with(
        &item(),
        &json!({"clone": null, "reason": null, "by": null, "done": {"BOOL": true}}),
    );
    for (found, expected) in [
        (item(), resume()),
        (
            redrive,
            Resume {
                clone: None,
                reason: None,
                by: None,
                done: true,
                ..resume()
            },
        ),
    ] {
        let wire = Wire::with([not_met(&found)]);
        let other = Resume {
            reason: Some("another one".to_owned()),
            ..resume()
        };
        assert_eq!(lineage(&wire).begin(&other).await, Ok(expected));
    }
    let unreadable = with(&item(), &json!({"redrives": {"S": "two"}}));
    let error = lineage(&Wire::with([not_met(&unreadable)]))
        .begin(&resume())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("attribute redrives cannot be read"),
        "{error}"
    );
}

#[tokio::test]
async fn the_resumes_of_a_run_are_read_consistently_and_page_by_page() {
    let key = json!({"pk": item()["pk"], "sk": item()["sk"]});
    let pages = [
        ok(&json!({"Items": [item()], "Count": 1, "LastEvaluatedKey": key})),
        ok(&json!({"Items": [with(&item(), &json!({"sk": {"S": "2222"}}))], "Count": 1})),
    ];
    let wire = Wire::with(pages);
    let found = lineage(&wire).of(&execution("orders:run-1")).await.unwrap();
    let hashes: Vec<&str> = found.iter().map(|resume| resume.plan_hash.as_str()).collect();
    assert_eq!(hashes, ["1b4f", "2222"]);
    let sent = wire.sent();
    assert_eq!(sent[0].1["ConsistentRead"], true);
    assert_eq!(sent[0].1["ExpressionAttributeValues"], json!({":pk": item()["pk"]}));
}

#[tokio::test]
async fn a_resume_that_is_done_is_marked() {
    let wire = Wire::with([ok(&json!({}))]);
    lineage(&wire).done(&resume()).await.unwrap();
    let (_, body) = wire.only();
    assert_eq!(body["UpdateExpression"], "SET #done = :true");
    // One that was forgotten meanwhile is not made up again.
    assert_eq!(body["ConditionExpression"], "attribute_exists(pk)");
}

#[tokio::test]
async fn a_run_has_one_turn_which_is_over_if_it_is_given_back_or_late() {
    let key = json!({"pk": {"S": format!("RESUMING#{HOME}:execution:orders:run-1")}, "sk": {"S": "TURN"}});
    for (answer, expected) in [(ok(&json!({})), true), (error(NOT_MET), false)] {
        let wire = Wire::with([answer]);
        let now = at(1_000_000);
        let turn = lineage(&wire).take_turn(&execution("orders:run-1"), "1b4f", now).await;
        assert_eq!(turn, Ok(expected));
        let (target, body) = wire.only();
        assert_eq!(target, "DynamoDB_20120810.PutItem");
        let rest = json!({"plan": {"S": "1b4f"}, "since": {"N": "1000000"}, "expires": {"N": "87400"}});
        assert_eq!(body["Item"], with(&key, &rest));
        assert_eq!(
            body["ConditionExpression"],
            "attribute_not_exists(pk) OR #plan = :plan OR #since < :leftOver"
        );
        let left_over = now.before(TURN).as_millis().to_string();
        assert_eq!(
            body["ExpressionAttributeValues"],
            json!({":plan": {"S": "1b4f"}, ":leftOver": {"N": left_over}})
        );
    }
    // One that was given back is not kept,
    for (answer, expected) in [(ok(&json!({})), true), (error(NOT_MET), false)] {
        let wire = Wire::with([answer]);
        let turn = lineage(&wire)
            .keep_turn(&execution("orders:run-1"), "1b4f", at(1_000_000))
            .await;
        assert_eq!(turn, Ok(expected));
        let (target, body) = wire.only();
        assert_eq!(target, "DynamoDB_20120810.PutItem");
        assert_eq!(body["Item"]["since"], json!({"N": "1000000"}));
        assert_eq!(body["ConditionExpression"], "#plan = :plan");
    }
    // and somebody else's not given back.
    for answer in [ok(&json!({})), error(NOT_MET)] {
        let wire = Wire::with([answer]);
        lineage(&wire)
            .turn_over(&execution("orders:run-1"), "1b4f")
            .await
            .unwrap();
        let (target, body) = wire.only();
        assert_eq!(target, "DynamoDB_20120810.DeleteItem");
        assert_eq!(body["Key"], key);
        assert_eq!(body["ConditionExpression"], "#plan = :plan");
    }
}

fn clone() -> CloneOf {
    CloneOf {
        machine: machine("orders--r-0123456789ab"),
        pipeline: machine("orders"),
        made: at(900_000),
    }
}

#[tokio::test]
async fn a_clone_that_is_used_is_no_more_condemned_and_one_that_is_being_deleted_is_not_used() {
    for (answer, expected) in [(ok(&json!({})), true), (error(NOT_MET), false)] {
        let wire = Wire::with([answer]);
        let used = lineage(&wire)
            .clone_used(&clone(), Some(&execution("orders:run-1")))
            .await;
        assert_eq!(used, Ok(expected));
        let (target, body) = wire.only();
        assert_eq!(target, "DynamoDB_20120810.UpdateItem");
        assert_eq!(
            body["Key"],
            json!({"pk": {"S": "RESUME#CLONES"}, "sk": {"S": format!("{HOME}:stateMachine:orders--r-0123456789ab")}})
        );
        assert_eq!(
            body["UpdateExpression"],
            "SET #made = :made, #origin = :origin, #pipeline = :pipeline REMOVE #condemned, #deleting, #archived, #deleted, #expires"
        );
        assert_eq!(
            body["ConditionExpression"],
            "attribute_not_exists(#deleting) OR #deleting < :leftOver"
        );
        let left_over = clone().made.before(CLAIMED).as_millis().to_string();
        let values = json!({
            ":made": {"N": "900000"}, ":leftOver": {"N": left_over}, ":pipeline": {"S": format!("{HOME}:stateMachine:orders")},
            ":origin": {"S": format!("{HOME}:execution:orders:run-1")},
        });
        assert_eq!(body["ExpressionAttributeValues"], values);
    }
    let wire = Wire::with([ok(&json!({}))]);
    lineage(&wire).clone_used(&clone(), None).await.unwrap();
    assert!(!wire.only().1["UpdateExpression"].as_str().unwrap().contains("origin"));
}

fn kept(stage: Stage) -> Kept {
    Kept {
        machine: machine("orders--r-0123456789ab"),
        made: at(7),
        stage,
        archived: 0,
    }
}

fn records(wire: &Wire) -> DynamoRecords {
    DynamoRecords::new(client!(aws_sdk_dynamodb, wire), TABLE.to_owned())
}

#[tokio::test]
async fn all_clones_that_are_not_deleted_are_read_with_their_stage() {
    let item = json!({
        "pk": {"S": "RESUME#CLONES"}, "sk": {"S": format!("{HOME}:stateMachine:orders--r-0123456789ab")},
        "pipeline": {"S": format!("{HOME}:stateMachine:orders")}, "made": {"N": "7"},
    });
    let stages = [
        (json!({}), Stage::InUse),
        (json!({"condemned": {"N": "8"}}), Stage::Condemned(at(8))),
        (
            json!({"condemned": {"N": "8"}, "deleting": {"N": "9"}}),
            Stage::Claimed(at(9)),
        ),
    ];
    let items: Vec<Value> = stages.iter().map(|(change, _)| with(&item, change)).collect();
    let wire = Wire::with([ok(&json!({"Items": items, "Count": 3}))]);
    let found = records(&wire).kept().await.unwrap();
    let expected: Vec<Kept> = stages.iter().map(|(_, stage)| kept(*stage)).collect();
    assert_eq!(found, expected);
    let (_, body) = wire.only();
    assert_eq!(body["ConsistentRead"], true);
    assert_eq!(body["FilterExpression"], "attribute_not_exists(#deleted)");

    let wire = Wire::with([ok(
        &json!({"Items": [with(&item, &json!({"archived": {"N": "3"}}))], "Count": 1}),
    )]);
    assert_eq!(records(&wire).kept().await.unwrap()[0].archived, 3);
}

#[tokio::test]
async fn each_change_is_made_only_to_what_was_seen() {
    let in_use = "#made = :made AND attribute_not_exists(#deleted) AND attribute_not_exists(#condemned) AND attribute_not_exists(#deleting)";
    let condemned =
        "#made = :made AND attribute_not_exists(#deleted) AND #condemned = :seen AND attribute_not_exists(#deleting)";
    let claimed = "#made = :made AND attribute_not_exists(#deleted) AND #deleting = :seen";
    let (now, old) = (at(50), at(8));
    for (seen, stage, condition, update) in [
        (
            Stage::InUse,
            Stage::Condemned(now),
            in_use,
            "SET #condemned = :now REMOVE #archived",
        ),
        (
            Stage::Condemned(old),
            Stage::Claimed(now),
            condemned,
            "SET #deleting = :now",
        ),
        (
            Stage::Condemned(old),
            Stage::InUse,
            condemned,
            "REMOVE #condemned, #deleting, #archived",
        ),
        (
            Stage::Claimed(old),
            Stage::Claimed(now),
            claimed,
            "SET #deleting = :now",
        ),
        (
            Stage::Claimed(old),
            Stage::InUse,
            claimed,
            "REMOVE #condemned, #deleting, #archived",
        ),
    ] {
        for (answer, expected) in [(ok(&json!({})), true), (error(NOT_MET), false)] {
            let wire = Wire::with([answer]);
            assert_eq!(records(&wire).put(&kept(seen), stage).await, Ok(expected));
            let (_, body) = wire.only();
            assert_eq!(body["ConditionExpression"], condition);
            assert_eq!(body["UpdateExpression"], update);
            let values = &body["ExpressionAttributeValues"];
            assert_eq!(values[":made"], json!({"N": "7"}));
            if seen != Stage::InUse {
                assert_eq!(values[":seen"], json!({"N": "8"}));
            }
            if stage != Stage::InUse {
                assert_eq!(values[":now"], json!({"N": "50"}));
            }
        }
    }
    let wire = Wire::with([ok(&json!({})), ok(&json!({}))]);
    let clone = kept(Stage::Claimed(old));
    assert_eq!(records(&wire).archived(&clone, 3).await, Ok(true));
    assert_eq!(records(&wire).deleted(&clone, now).await, Ok(true));
    let sent = wire.sent();
    assert_eq!(sent[0].1["UpdateExpression"], "SET #archived = :runs");
    assert_eq!(
        sent[1].1["UpdateExpression"],
        "SET #deleted = :now, #expires = :expires REMOVE #condemned, #deleting, #archived"
    );
    assert_eq!(
        sent[1].1["ExpressionAttributeValues"][":expires"],
        json!({"N": "8640000"})
    );
    assert!(sent.iter().all(|(_, body)| body["ConditionExpression"] == claimed));
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_and_never_a_condition_that_was_not_met() {
    let answers: Vec<Answer> = nonsense().into_iter().map(|(answer, _)| answer).collect();
    for answer in answers
        .into_iter()
        .chain([denied(), error("ValidationException"), Answer::Lost])
    {
        let again = |answer: &Answer| Wire::with(std::iter::repeat_n(answer.clone(), 4));
        let told = lineage(&again(&answer)).begin(&resume()).await.unwrap_err();
        assert_eq!(told.api, "dynamodb:PutItem");
        assert!(lineage(&again(&answer)).clone_used(&clone(), None).await.is_err());
        assert!(lineage(&again(&answer)).of(&execution("orders:run-1")).await.is_err());
        let run = execution("orders:run-1");
        assert!(lineage(&again(&answer)).take_turn(&run, "1b4f", at(1)).await.is_err());
        assert!(lineage(&again(&answer)).keep_turn(&run, "1b4f", at(1)).await.is_err());
        assert!(lineage(&again(&answer)).turn_over(&run, "1b4f").await.is_err());
        assert!(
            records(&again(&answer))
                .put(&kept(Stage::InUse), Stage::Condemned(at(1)))
                .await
                .is_err()
        );
        assert!(records(&again(&answer)).kept().await.is_err());
    }
    let told = lineage(&Wire::with([error("ValidationException")]))
        .done(&resume())
        .await
        .unwrap_err();
    assert!(told.to_string().contains(TOLD), "{told}");
}
