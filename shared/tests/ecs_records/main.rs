//! The relay's records in DynamoDB: what the adapter sends, and what it makes of every answer.
//!
//! The wire holds every request to what DynamoDB refuses whatever is stored: see `wire/dynamodb.rs`.

#[path = "../wire/mod.rs"]
mod wire;

mod calls;
mod items;
mod reads;
mod writes;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::ecs::DynamoRecords;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::plan::{Launch, LogStream, Network, OnExit, Overrides, Plan, Provider, ResultFrom};
use signalbox::ecs::record::{Record, Stage, Stop, Why};
use signalbox::ecs::task::{Container, Task};
use signalbox::tasks::TaskToken;

use wire::dynamodb::with;
use wire::{Answer, Wire};

const TABLE: &str = "relay";
const RUN: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:nightly";
const TASK: &str = "arn:aws:ecs:eu-west-1:123456789012:task/main/0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_millis(1_769_832_012_345);
/// [`NOW`] and thirty days, in seconds.
const KEPT_UNTIL: &str = "1772424012";

/// Whoever has it can end the state: it stands in no error and no debug output.
const SECRET: &str = "AAAAKgAAAAIAAAAAAAAAAQ5ecret+/=";

fn key_of(redrive: u32, retry: u32) -> TaskKey {
    let name = format!("{}/{}/{redrive}-{retry}-{}", run(), "b".repeat(32), "c".repeat(16));
    TaskKey::parse(&name).expect("a good name")
}

fn run() -> String {
    "a".repeat(32)
}

/// The attempt of [`record`].
fn key() -> TaskKey {
    key_of(1, 2)
}

/// The key of an attempt's item.
fn item_key(redrive: u32, retry: u32) -> Value {
    json!({
        "pk": {"S": format!("RUN#{}", run())},
        "sk": {"S": format!("{}#{redrive}#{retry}#{}", "b".repeat(32), "c".repeat(16))},
    })
}

/// A plan that says nothing that it need not.
fn bare_plan() -> Plan {
    Plan {
        cluster: "main".to_owned(),
        task_definition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/job:3".to_owned(),
        container: "app".to_owned(),
        launch: Launch::Cluster,
        network: None,
        overrides: Overrides::default(),
        platform_version: None,
        group: None,
        enable_execute_command: false,
        tags: BTreeMap::new(),
        result: ResultFrom::None,
        result_key: None,
        upload: None,
        on_exit: BTreeMap::new(),
        logs: None,
    }
}

/// A plan that says everything.
fn full_plan() -> Plan {
    let texts = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    Plan {
        launch: Launch::Providers(vec![Provider {
            capacity_provider: "FARGATE_SPOT".to_owned(),
            weight: Some(1),
            base: None,
        }]),
        network: Some(Network {
            subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
            security_groups: vec!["sg-1".to_owned()],
            assign_public_ip: true,
        }),
        overrides: Overrides {
            command: Some(vec!["say".to_owned(), "\"é\"\n".to_owned()]),
            env: texts(&[("RESULT_URI", "s3://fleet/results/a.json"), ("TIER", "")]),
            cpu: Some("256".to_owned()),
            memory: Some("512".to_owned()),
            ephemeral_storage_gib: Some(50),
            task_role_arn: Some("arn:aws:iam::123456789012:role/job".to_owned()),
            execution_role_arn: Some("arn:aws:iam::123456789012:role/starts".to_owned()),
        },
        platform_version: Some("1.4.0".to_owned()),
        group: Some("nightly".to_owned()),
        enable_execute_command: true,
        tags: texts(&[("team", "orders")]),
        result: ResultFrom::S3,
        result_key: Some("results/a.json".to_owned()),
        upload: Some("0f".repeat(32)),
        on_exit: BTreeMap::from([(3, OnExit::Succeed), (75, OnExit::Fail("TryLater".to_owned()))]),
        logs: Some(LogStream {
            group: "/ecs/job".to_owned(),
            prefix: "job".to_owned(),
            container: "app".to_owned(),
            region: "eu-west-1".to_owned(),
        }),
        ..bare_plan()
    }
}

/// The plan that says everything, as it is stored: later versions read it.
fn full_plan_json() -> Value {
    json!({
        "cluster": "main",
        "taskDefinition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/job:3",
        "container": "app",
        "launch": {"providers": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]},
        "network": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": true},
        "overrides": {
            "command": ["say", "\"é\"\n"],
            "env": {"RESULT_URI": "s3://fleet/results/a.json", "TIER": ""},
            "cpu": "256",
            "memory": "512",
            "ephemeralStorageGib": 50,
            "taskRoleArn": "arn:aws:iam::123456789012:role/job",
            "executionRoleArn": "arn:aws:iam::123456789012:role/starts",
        },
        "platformVersion": "1.4.0",
        "group": "nightly",
        "enableExecuteCommand": true,
        "tags": {"team": "orders"},
        "result": "s3",
        "resultKey": "results/a.json",
        "upload": "0f".repeat(32),
        "onExit": {"3": "succeed", "75": {"fail": "TryLater"}},
        "logs": {"group": "/ecs/job", "prefix": "job", "container": "app", "region": "eu-west-1"},
    })
}

/// The task as it ended.
fn task() -> Task {
    let at = |millis| Some(Timestamp::from_millis(millis));
    Task {
        task_arn: TASK.to_owned(),
        cluster_arn: "arn:aws:ecs:eu-west-1:123456789012:cluster/main".to_owned(),
        last_status: "STOPPED".to_owned(),
        stop_code: Some("EssentialContainerExited".to_owned()),
        stopped_reason: Some("Essential container in task exited".to_owned()),
        started_by: Some(key().started_by("5b918d10")),
        started_at: at(1_769_832_020_000),
        stopping_at: at(1_769_832_030_001),
        execution_stopped_at: at(1_769_832_030_500),
        stopped_at: None,
        containers: vec![Container {
            name: "app".to_owned(),
            last_status: "STOPPED".to_owned(),
            exit_code: Some(0),
            reason: None,
        }],
    }
}

fn task_json() -> Value {
    json!({
        "taskArn": TASK,
        "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/main",
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "startedBy": key().started_by("5b918d10"),
        "startedAt": 1_769_832_020_000_u64,
        "stoppingAt": 1_769_832_030_001_u64,
        "executionStoppedAt": 1_769_832_030_500_u64,
        "containers": [{"name": "app", "lastStatus": "STOPPED", "exitCode": 0}],
    })
}

/// A launch, with everything that a launch can say.
fn record() -> Record {
    Record {
        key: key(),
        execution: ExecutionArn::parse(RUN).expect("a good ARN"),
        state: "Transform \"é\"".to_owned(),
        token: TaskToken::parse(SECRET).expect("a good token"),
        request: "5e".repeat(32),
        plan: full_plan(),
        origin: key_of(0, 0),
        at: NOW,
        deadline: Some(Timestamp::from_millis(1_769_832_612_345)),
        stage: Stage::Launching,
        task: None,
        missing: None,
        ended: None,
    }
}

/// The same as an item.
fn item() -> Value {
    with(
        &item_key(1, 2),
        &json!({
            "key": {"S": key().name()}, "execution": {"S": RUN}, "state": {"S": "Transform \"é\""},
            "token": {"S": SECRET}, "request": {"S": "5e".repeat(32)}, "plan": {"S": full_plan_json().to_string()},
            "origin": {"S": key_of(0, 0).name()}, "at": {"N": "1769832012345"}, "deadline": {"N": "1769832612345"},
            "stage": {"S": "launching"}, "active": {"S": "OPEN"}, "due": {"N": "1769832012345"},
        }),
    )
}

/// Every stage, with what of an item is different in it from a launch.
fn stages() -> Vec<(Stage, Value)> {
    let over = json!({"active": null, "due": null, "expires": {"N": KEPT_UNTIL}});
    let done = |delivered: bool| {
        with(
            &over,
            &json!({"stage": {"S": "done"}, "delivered": {"BOOL": delivered}}),
        )
    };
    let stopping = Why::ALL.map(|why| {
        let stop = json!({"M": {"why": {"S": why.name()}, "since": {"N": "1769832013000"}}});
        let since = Timestamp::from_millis(1_769_832_013_000);
        (
            Stage::Stopping(Stop { why, since }),
            json!({"stage": {"S": "stopping"}, "stop": stop}),
        )
    });
    let adopted = json!({"stage": {"S": "adopted"}, "adoptedBy": {"S": key_of(1, 3).name()}});
    let mut stages = vec![
        (Stage::Launching, json!({})),
        (Stage::Running, json!({"stage": {"S": "running"}})),
        (Stage::Done { delivered: true }, done(true)),
        (Stage::Done { delivered: false }, done(false)),
        (Stage::Adopted(key_of(1, 3)), with(&over, &adopted)),
    ];
    stages.extend(stopping);
    stages
}

fn records(answers: impl IntoIterator<Item = Answer>) -> (DynamoRecords, Wire) {
    let wire = Wire::with(answers);
    let client = wire::client!(aws_sdk_dynamodb, wire);
    (DynamoRecords::new(client, TABLE.to_owned()), wire)
}

/// What stood in the one request, which was of this operation.
fn sent(wire: &Wire, operation: &str) -> Value {
    let (target, body) = wire.only();
    assert_eq!(target, format!("DynamoDB_20120810.{operation}"));
    body
}

/// An item with its texts of JSON read: their order says nothing.
fn read(item: &Value) -> Value {
    let mut item = item.clone();
    for name in ["plan", "ended"] {
        let value = &mut item[name];
        match value["S"].as_str() {
            Some(text) => *value = serde_json::from_str(text).expect("JSON"),
            None => {
                item.as_object_mut().expect("an item").remove(name);
            }
        }
    }
    item
}
