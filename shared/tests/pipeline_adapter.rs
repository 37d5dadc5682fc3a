//! What is recorded of clones, in DynamoDB: what is sent, and what is made of every answer.

mod wire;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use signalbox::arn::StateMachineArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::pipeline::{CloneOf, Clones, DynamoClones, to_item};

use wire::dynamodb::with;
use wire::{Answer, TOLD, Wire, denied, error, nonsense, ok};

const TABLE: &str = "fleet";
const HOME: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine";

fn machine(name: &str) -> StateMachineArn {
    StateMachineArn::parse(&format!("{HOME}:{name}")).expect("a good ARN")
}

fn clone_of_orders(hash: &str, made: i64) -> CloneOf {
    CloneOf {
        machine: machine(&format!("orders--r-{hash}")),
        pipeline: machine("orders"),
        made: Timestamp::from_millis(made),
    }
}

fn item(clone: &CloneOf) -> Value {
    json!({
        "pk": {"S": "RESUME#CLONES"}, "sk": {"S": clone.machine.as_str()},
        "pipeline": {"S": clone.pipeline.as_str()}, "made": {"N": clone.made.as_millis().to_string()},
    })
}

fn clones(wire: &Wire) -> DynamoClones {
    DynamoClones::new(wire::client!(aws_sdk_dynamodb, wire), TABLE.to_owned())
}

async fn find(answer: Answer) -> (Result<Option<CloneOf>, CallError>, Wire) {
    let wire = Wire::with([answer]);
    let found = clones(&wire).find(&clone_of_orders("0123456789ab", 7).machine).await;
    (found, wire)
}

#[tokio::test]
async fn a_clone_is_looked_up_by_its_arn_consistently() {
    let clone = clone_of_orders("0123456789ab", 7);
    // Whoever makes it adds what else it needs.
    let more = json!({"origin": {"S": "an execution"}, "deleted": {"N": "9"}});
    for (answer, expected) in [
        (json!({}), None),
        (json!({"Item": item(&clone)}), Some(clone.clone())),
        (json!({"Item": with(&item(&clone), &more)}), Some(clone.clone())),
    ] {
        let (found, wire) = find(ok(&answer)).await;
        assert_eq!(found, Ok(expected));
        let (target, body) = wire.only();
        assert_eq!(target, "DynamoDB_20120810.GetItem");
        let key = json!({"pk": {"S": "RESUME#CLONES"}, "sk": {"S": format!("{HOME}:orders--r-0123456789ab")}});
        assert_eq!(body, json!({"TableName": TABLE, "ConsistentRead": true, "Key": key}));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_no_clone_and_no_machine_of_its_own() {
    let clone = item(&clone_of_orders("0123456789ab", 7));
    for (change, says) in [
        (
            json!({"pipeline": null}),
            "the item's attribute pipeline cannot be read: it is missing",
        ),
        (
            json!({"pipeline": {"S": "orders"}}),
            "the item's attribute pipeline cannot be read: \"orders\" is not an ARN",
        ),
        (
            json!({"made": {"S": "now"}}),
            "the item's attribute made cannot be read: it is S(\"now\")",
        ),
    ] {
        let (found, _) = find(ok(&json!({"Item": with(&clone, &change)}))).await;
        let error = found.expect_err(says).to_string();
        assert!(
            error.starts_with(&format!("dynamodb:GetItem failed: {says}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_clones_of_a_pipeline_are_one_range_of_all_pages_the_last_one_first() {
    let (old, new) = (clone_of_orders("aaaaaaaaaaaa", 7), clone_of_orders("000000000000", 9));
    let between = clone_of_orders("ffffffffffff", 8);
    let start = json!({"pk": {"S": "RESUME#CLONES"}, "sk": {"S": new.machine.as_str()}});
    let wire = Wire::with([
        ok(&json!({"Items": [item(&new)], "LastEvaluatedKey": start})),
        ok(&json!({"Items": [item(&old), item(&between)]})),
    ]);
    let found = clones(&wire).of(&machine("orders")).await;
    assert_eq!(found, Ok(vec![new, between, old]));
    let query = json!({
        "TableName": TABLE,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :begin)",
        "FilterExpression": "#pipeline = :pipeline AND attribute_not_exists(#deleted)",
        "ExpressionAttributeNames": {"#pipeline": "pipeline", "#deleted": "deleted"},
        "ExpressionAttributeValues": {
            ":pk": {"S": "RESUME#CLONES"}, ":begin": {"S": format!("{HOME}:orders--r-")},
            ":pipeline": {"S": format!("{HOME}:orders")},
        },
    });
    let next = with(&query, &json!({"ExclusiveStartKey": start}));
    let target = || "DynamoDB_20120810.Query".to_owned();
    assert_eq!(wire.sent(), [(target(), query), (target(), next)]);
}

#[tokio::test]
async fn a_long_name_is_looked_for_as_its_clones_are_cut() {
    for (pipeline, begin) in [
        ("n".repeat(80), format!("{HOME}:{}--r-", "n".repeat(64))),
        // A person's machine that is named like a clone has clones too.
        ("orders--r-0123456789ab".to_owned(), format!("{HOME}:orders--r-")),
    ] {
        let wire = Wire::with([ok(&json!({"Items": []}))]);
        assert_eq!(clones(&wire).of(&machine(&pipeline)).await, Ok(vec![]));
        assert_eq!(
            wire.only().1["ExpressionAttributeValues"],
            json!({
                ":pk": {"S": "RESUME#CLONES"}, ":begin": {"S": begin},
                ":pipeline": {"S": format!("{HOME}:{pipeline}")},
            })
        );
    }
}

#[test]
fn the_item_that_is_written_is_the_one_that_is_read() {
    let clone = clone_of_orders("0123456789ab", 7);
    let text = |name: &str| match &to_item(&clone)[name] {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        other => panic!("{other:?}"),
    };
    let names = ["pk", "sk", "pipeline", "made"];
    let written: Value = names.iter().map(|name| ((*name).to_owned(), text(name))).collect();
    assert_eq!(written, item(&clone));
    assert_eq!(to_item(&clone).len(), names.len());
}

/// Either call: what came of it, and on which wire.
async fn both(answers: Vec<Answer>) -> [(&'static str, Result<(), CallError>, Wire); 2] {
    let wires = [Wire::with(answers.clone()), Wire::with(answers)];
    let found = clones(&wires[0]).find(&machine("orders--r-0123456789ab")).await;
    let listed = clones(&wires[1]).of(&machine("orders")).await;
    let [one, two] = wires;
    [
        ("dynamodb:GetItem", found.map(drop), one),
        ("dynamodb:Query", listed.map(drop), two),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_error_is_passed_on_and_never_means_that_it_is_no_clone() {
    let answers = [
        (error("ResourceNotFoundException"), TOLD, false),
        (denied(), "is not authorized", true),
    ];
    let nonsense = nonsense().map(|(answer, says)| (answer, says, false));
    for (answer, says, is_denied) in answers.into_iter().chain(nonsense) {
        for (api, outcome, _) in both(vec![answer.clone(); 9]).await {
            let error = outcome.expect_err(says);
            assert_eq!((error.api, error.is_access_denied()), (api, is_denied));
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_or_lost_is_asked_again() {
    for trouble in [error("ThrottlingException"), Answer::Lost, Answer::Silence] {
        for (api, outcome, wire) in both(vec![trouble.clone(), ok(&json!({}))]).await {
            assert_eq!((outcome, wire.attempts()), (Ok(()), 2), "{api}");
        }
        for (api, outcome, wire) in both(vec![trouble.clone(); 9]).await {
            assert!(outcome.is_err_and(|error| error.api == api));
            assert_eq!(wire.attempts(), 4, "{api}");
        }
    }
}

#[tokio::test]
async fn a_lost_connection_says_why() {
    let clones = DynamoClones::new(wire::nobody!(aws_sdk_dynamodb), TABLE.to_owned());
    let error = clones.of(&machine("orders")).await.expect_err("nobody is there");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}
