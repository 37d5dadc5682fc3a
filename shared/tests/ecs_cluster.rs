//! The adapter to ECS: what it sends, and what it makes of every answer.

mod wire;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::ecs::cluster::{DefinedContainer, Definition, EcsCluster, Run, StartTasks, WatchTasks};
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::plan::{Launch, LogStream, Network, Overrides, Plan, Provider, ResultFrom};
use signalbox::ecs::start_failure::Kind;
use signalbox::ecs::task::{Container, Task};

use wire::dynamodb::with;
use wire::{Answer, TOLD, Wire, denied, error, nonsense, ok};

const REGION: &str = "eu-west-1";
const STACK: &str = "0f1e2d3c";
const DEFINITION: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/job:3";
const TASK: &str = "arn:aws:ecs:eu-west-1:123456789012:task/main/0123456789abcdef0123456789abcdef";

fn key() -> TaskKey {
    let name = format!("{}/{}/0-1-{}", "a".repeat(32), "b".repeat(32), "c".repeat(16));
    TaskKey::parse(&name).expect("a good name")
}

/// A plan that asks for nothing that it need not.
fn plan() -> Plan {
    Plan {
        cluster: "main".to_owned(),
        task_definition: DEFINITION.to_owned(),
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

/// Its request.
fn request() -> Value {
    json!({
        "cluster": "main",
        "taskDefinition": DEFINITION,
        "count": 1,
        "clientToken": key().client_token(),
        "startedBy": key().started_by(STACK),
        "propagateTags": "TASK_DEFINITION",
        "enableExecuteCommand": false,
        "overrides": {"containerOverrides": [{"name": "app", "environment": []}]},
    })
}

fn cluster(answers: impl IntoIterator<Item = Answer>) -> (EcsCluster, Wire) {
    let wire = Wire::with(answers);
    let client = wire::client!(aws_sdk_ecs, wire);
    (EcsCluster::new(client, REGION.to_owned(), STACK.to_owned()), wire)
}

fn target(operation: &str) -> String {
    format!("AmazonEC2ContainerServiceV20141113.{operation}")
}

/// What stood in the one request, which was of this operation.
fn sent(wire: &Wire, operation: &str) -> Value {
    let (to, body) = wire.only();
    assert_eq!(to, target(operation));
    body
}

/// An exception of ECS, with a message of its own.
fn exception(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(status, json!({"__type": code, "message": message}).to_string())
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn logs() -> LogStream {
    LogStream {
        group: "/ecs/job".to_owned(),
        prefix: "job".to_owned(),
        container: "app".to_owned(),
        region: REGION.to_owned(),
    }
}

/// A task as `DescribeTasks` answers it.
fn task_json() -> Value {
    json!({
        "taskArn": TASK,
        "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/main",
        "taskDefinitionArn": DEFINITION,
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "startedBy": key().started_by(STACK),
        "createdAt": 1_769_832_010.25,
        "startedAt": 1_769_832_020.001,
        "stoppingAt": 1_769_832_030.5,
        "executionStoppedAt": 1_769_832_031,
        "stoppedAt": 1_769_832_045.123,
        "containers": [
            {"name": "app", "lastStatus": "STOPPED", "exitCode": 0},
            {"name": "side", "lastStatus": "STOPPED", "exitCode": 137, "reason": "OutOfMemoryError: too much"},
        ],
        "somethingNew": [1],
    })
}

fn task() -> Task {
    let at = |millis| Some(Timestamp::from_millis(millis));
    let container = |name: &str, exit_code, reason: Option<&str>| Container {
        name: name.to_owned(),
        last_status: "STOPPED".to_owned(),
        exit_code: Some(exit_code),
        reason: reason.map(str::to_owned),
    };
    Task {
        task_arn: TASK.to_owned(),
        cluster_arn: "arn:aws:ecs:eu-west-1:123456789012:cluster/main".to_owned(),
        last_status: "STOPPED".to_owned(),
        stop_code: Some("EssentialContainerExited".to_owned()),
        stopped_reason: Some("Essential container in task exited".to_owned()),
        started_by: Some(key().started_by(STACK)),
        started_at: at(1_769_832_020_001),
        stopping_at: at(1_769_832_030_500),
        execution_stopped_at: at(1_769_832_031_000),
        stopped_at: at(1_769_832_045_123),
        containers: vec![
            container("app", 0, None),
            container("side", 137, Some("OutOfMemoryError: too much")),
        ],
    }
}

/// Where a task runs, and what is asked of ECS for that.
fn places() -> Vec<(Plan, Value)> {
    let network = |groups: &[&str], assign_public_ip| {
        Some(Network {
            subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
            security_groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            assign_public_ip,
        })
    };
    let provider = |name: &str, weight, base| Provider {
        capacity_provider: name.to_owned(),
        weight,
        base,
    };
    let subnets = json!(["subnet-1", "subnet-2"]);
    let vpc = |vpc: Value| json!({"networkConfiguration": {"awsvpcConfiguration": vpc}});
    vec![
        (plan(), json!({})),
        (
            Plan {
                network: network(&["sg-1", "sg-2"], true),
                ..plan()
            },
            vpc(json!({"subnets": subnets, "securityGroups": ["sg-1", "sg-2"], "assignPublicIp": "ENABLED"})),
        ),
        // Without a group: the VPC's default, which an empty list would not be.
        (
            Plan {
                network: network(&[], false),
                ..plan()
            },
            vpc(json!({"subnets": subnets, "assignPublicIp": "DISABLED"})),
        ),
        (
            Plan {
                launch: Launch::Type("FARGATE".to_owned()),
                platform_version: Some("1.4.0".to_owned()),
                ..plan()
            },
            json!({"launchType": "FARGATE", "platformVersion": "1.4.0"}),
        ),
        (
            Plan {
                launch: Launch::Type("LATER_ON".to_owned()),
                ..plan()
            },
            json!({"launchType": "LATER_ON"}),
        ),
        (
            Plan {
                launch: Launch::Providers(vec![
                    provider("FARGATE_SPOT", Some(3), None),
                    provider("FARGATE", Some(1), Some(2)),
                    provider("own", None, None),
                ]),
                ..plan()
            },
            json!({"capacityProviderStrategy": [
                {"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 0},
                {"capacityProvider": "FARGATE", "weight": 1, "base": 2},
                {"capacityProvider": "own", "weight": 0, "base": 0},
            ]}),
        ),
    ]
}

/// What runs, and what is asked of ECS for that.
fn contents() -> Vec<(Plan, Value)> {
    vec![
        (
            Plan {
                group: Some("nightly".to_owned()),
                enable_execute_command: true,
                tags: texts(&[("team", "orders"), ("empty", "")]),
                ..plan()
            },
            json!({
                "group": "nightly",
                "enableExecuteCommand": true,
                "tags": [{"key": "empty", "value": ""}, {"key": "team", "value": "orders"}],
            }),
        ),
        (
            Plan {
                overrides: Overrides {
                    command: Some(vec!["sh".to_owned(), "-c".to_owned(), "echo \"é\"".to_owned()]),
                    env: texts(&[("RESULT_URI", "s3://fleet/results/a.json"), ("A", "")]),
                    cpu: Some("256".to_owned()),
                    memory: Some("512".to_owned()),
                    ephemeral_storage_gib: Some(50),
                    task_role_arn: Some("arn:aws:iam::123456789012:role/job".to_owned()),
                    execution_role_arn: Some("arn:aws:iam::123456789012:role/starts".to_owned()),
                },
                ..plan()
            },
            json!({"overrides": {
                "containerOverrides": [{
                    "name": "app",
                    "command": ["sh", "-c", "echo \"é\""],
                    "environment": [
                        {"name": "A", "value": ""},
                        {"name": "RESULT_URI", "value": "s3://fleet/results/a.json"},
                    ],
                }],
                "cpu": "256",
                "memory": "512",
                "ephemeralStorage": {"sizeInGiB": 50},
                "taskRoleArn": "arn:aws:iam::123456789012:role/job",
                "executionRoleArn": "arn:aws:iam::123456789012:role/starts",
            }}),
        ),
        // A command of nothing is one: it takes the image's away.
        (
            Plan {
                overrides: Overrides {
                    command: Some(vec![]),
                    ..Overrides::default()
                },
                ..plan()
            },
            json!({"overrides": {"containerOverrides": [{"name": "app", "command": [], "environment": []}]}}),
        ),
    ]
}

#[tokio::test]
async fn a_task_is_asked_for_exactly_as_it_is_planned() {
    for (plan, expected) in places().into_iter().chain(contents()) {
        let (cluster, wire) = cluster([ok(&json!({"tasks": [task_json()], "failures": []}))]);
        assert_eq!(cluster.run(&plan, &key()).await, Ok(Run::Started(task())));
        assert_eq!(sent(&wire, "RunTask"), with(&request(), &expected));
    }
}

/// Whoever asks again gets the same task: by the client token, and only for the very same request.
#[tokio::test(start_paused = true)]
async fn a_launch_whose_answer_was_lost_is_asked_for_in_the_same_words() {
    for lost in [Answer::Lost, Answer::Silence, exception(500, "ServerException", TOLD)] {
        let (cluster, wire) = cluster([lost, ok(&json!({"tasks": [task_json()]}))]);
        assert_eq!(cluster.run(&plan(), &key()).await, Ok(Run::Started(task())));
        let [first, second] = <[_; 2]>::try_from(wire.sent()).expect("two attempts");
        assert_eq!(first, second);
    }
}

async fn ran(answer: Answer) -> (Result<Run, CallError>, usize) {
    let (cluster, wire) = cluster(vec![answer; 9]);
    (cluster.run(&plan(), &key()).await, wire.attempts())
}

#[tokio::test]
async fn a_failure_is_told_by_its_reason_and_its_detail() {
    let failure = |reason: Option<&str>, detail: Option<&str>| {
        let mut failure = json!({"arn": "arn:aws:ecs:eu-west-1:123456789012:container-instance/main/1"});
        failure["reason"] = json!(reason);
        failure["detail"] = json!(detail);
        ok(&json!({"tasks": [], "failures": [failure, {"reason": "MISSING"}]}))
    };
    for (reason, detail, kind, says) in [
        (Some("RESOURCE:MEMORY"), None, Kind::Capacity, "RESOURCE:MEMORY"),
        (
            Some("RESOURCE:GPU"),
            Some("no instance has one"),
            Kind::Capacity,
            "RESOURCE:GPU: no instance has one",
        ),
        (Some("AGENT"), None, Kind::Capacity, "AGENT"),
        (
            Some("Capacity is unavailable at this time"),
            None,
            Kind::Capacity,
            "Capacity is unavailable at this time",
        ),
        (Some("ATTRIBUTE"), None, Kind::Other, "ATTRIBUTE"),
        (None, Some("nobody knows"), Kind::Other, "nobody knows"),
        (None, None, Kind::Other, "ECS gives no reason"),
    ] {
        let (outcome, attempts) = ran(failure(reason, detail)).await;
        let Ok(Run::Refused(refused)) = outcome else {
            panic!("{says}: {outcome:?}");
        };
        assert_eq!((refused.kind, refused.reason.as_str()), (kind, says));
        assert_eq!(attempts, 1);
    }
}

/// Then it has been started.
#[tokio::test]
async fn a_task_beside_a_failure_counts() {
    let (outcome, _) = ran(ok(
        &json!({"tasks": [task_json()], "failures": [{"reason": "RESOURCE:CPU"}]}),
    ))
    .await;
    assert_eq!(outcome, Ok(Run::Started(task())));
}

#[tokio::test]
async fn an_answer_without_a_task_and_without_a_failure_tells_nothing() {
    for body in [json!({}), json!({"tasks": [], "failures": []})] {
        let error = ran(ok(&body)).await.0.unwrap_err();
        assert_eq!(
            error.to_string(),
            "ecs:RunTask failed: the answer has neither a task nor a failure"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_ecs_refuses_is_refused_with_its_kind() {
    for (code, message, kind) in [
        (
            "ClientException",
            "You've reached the limit on the number of vCPUs you can run concurrently",
            Kind::Capacity,
        ),
        ("ClientException", "TaskDefinition is inactive", Kind::Other),
        ("LimitExceededException", "too many of them", Kind::Capacity),
        (
            "InvalidParameterException",
            "No Container Instances were found in your cluster.",
            Kind::Capacity,
        ),
        (
            "InvalidParameterException",
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
            Kind::Network,
        ),
        (
            "InvalidParameterException",
            "Override for container named app",
            Kind::Other,
        ),
        ("ClusterNotFoundException", "Cluster not found.", Kind::Other),
        ("PlatformUnknownException", "there is none", Kind::Other),
        ("PlatformTaskDefinitionIncompatibilityException", "no", Kind::Other),
        ("UnsupportedFeatureException", "no", Kind::Other),
        ("BlockedException", "Your AWS account was blocked.", Kind::Other),
        ("SomethingNew", "nobody knows", Kind::Other),
    ] {
        let (outcome, attempts) = ran(exception(400, code, message)).await;
        let Ok(Run::Refused(refused)) = outcome else {
            panic!("{code}: {outcome:?}");
        };
        assert_eq!(
            (refused.kind, refused.reason),
            (kind, format!("{code}: {message}")),
            "{code}"
        );
        // The SDK takes that one for a limit of calls.
        let made = if code == "LimitExceededException" { 4 } else { 1 };
        assert_eq!(attempts, made, "{code}");
    }
}

/// ECS starts so many tasks a second in an account, and says so in many ways.
#[tokio::test(start_paused = true)]
async fn throttling_is_known_in_all_its_disguises() {
    let with_subnets = "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)";
    for (answer, attempts) in [
        (error("ThrottlingException"), 4),
        (error("Throttling"), 4),
        (error("RequestLimitExceeded"), 4),
        (error("TooManyRequestsException"), 4),
        (exception(400, "ClientException", "Rate exceeded"), 1),
        (exception(400, "InvalidParameterException", with_subnets), 1),
        (
            exception(
                400,
                "ClientException",
                "Too many concurrent attempts to create a new revision",
            ),
            1,
        ),
        (ok(&json!({"tasks": [], "failures": [{"reason": "Rate exceeded"}]})), 1),
        (
            ok(
                &json!({"tasks": [], "failures": [{"reason": "TaskFailedToStart", "detail": "Request limit exceeded."}]}),
            ),
            1,
        ),
    ] {
        let (outcome, made) = ran(answer.clone()).await;
        let Ok(Run::Throttled(why)) = outcome else {
            panic!("{answer:?}: {outcome:?}");
        };
        assert_eq!((why.api, made), ("ecs:RunTask", attempts), "{answer:?}");
    }
    // What goes by while the SDK waits is not heard of.
    let (cluster, wire) = cluster([
        error("ThrottlingException"),
        error("ThrottlingException"),
        ok(&json!({"tasks": [task_json()]})),
    ]);
    assert_eq!(cluster.run(&plan(), &key()).await, Ok(Run::Started(task())));
    assert_eq!(wire.attempts(), 3);
}

/// A task may have been started: that is no refusal, which the state would be told.
#[tokio::test(start_paused = true)]
async fn what_is_not_known_for_certain_is_an_error() {
    for (answer, code, attempts) in [
        (Answer::Lost, None, 4),
        (Answer::Silence, None, 4),
        (exception(500, "ServerException", TOLD), Some("ServerException"), 4),
        (exception(400, "ServerException", TOLD), Some("ServerException"), 1),
        (exception(500, "InternalFailure", TOLD), Some("InternalFailure"), 4),
        (
            exception(503, "ServiceUnavailable", TOLD),
            Some("ServiceUnavailable"),
            4,
        ),
        (exception(400, "RequestExpired", TOLD), Some("RequestExpired"), 1),
        // It does not say what it is.
        (Answer::Http(400, json!({"message": "something"}).to_string()), None, 1),
        (Answer::Http(400, "<html>".to_owned()), None, 1),
    ] {
        let (outcome, made) = ran(answer.clone()).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.api, error.code.as_deref()), ("ecs:RunTask", code), "{answer:?}");
        assert_eq!(made, attempts, "{answer:?}: {error}");
    }
}

/// These are about the function's own credentials and the way, and not about the task.
#[tokio::test(start_paused = true)]
async fn what_is_not_about_the_task_is_an_error() {
    for code in [
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "RequestTimeout",
        "RequestTimeoutException",
    ] {
        let error = ran(exception(400, code, TOLD)).await.0.unwrap_err();
        assert_eq!((error.api, error.code.as_deref()), ("ecs:RunTask", Some(code)));
        assert!(!error.is_access_denied() && !error.is_throttling(), "{error}");
    }
}

/// It is the function's own role that lacks something, and not the pipeline's concern.
#[tokio::test]
async fn a_missing_permission_is_an_error() {
    for answer in [
        denied(),
        error("AccessDeniedException"),
        exception(
            400,
            "AccessDeniedException",
            "is not authorized to perform: iam:PassRole",
        ),
    ] {
        let (outcome, attempts) = ran(answer).await;
        let error = outcome.unwrap_err();
        assert!(error.is_access_denied(), "{error}");
        assert_eq!((error.api, attempts), ("ecs:RunTask", 1));
    }
}

fn conflict(resources: &Value) -> Answer {
    let body = json!({"__type": "ConflictException", "message": "already", "resourceIds": resources});
    Answer::Http(400, body.to_string())
}

/// The client token has a task, which was asked for in other words: that is the one.
#[tokio::test]
async fn a_conflict_names_the_task_that_there_is() {
    let (found, wire) = cluster([
        conflict(&json!([TASK])),
        ok(&json!({"tasks": [task_json()], "failures": []})),
    ]);
    assert_eq!(found.run(&plan(), &key()).await, Ok(Run::Started(task())));
    let (to, body) = wire.sent().swap_remove(1);
    assert_eq!(to, target("DescribeTasks"));
    assert_eq!(body, json!({"cluster": "main", "tasks": [TASK]}));

    // ECS does not know it yet, or does not answer.
    let (unknown, _) = cluster([conflict(&json!([TASK])), ok(&json!({"tasks": []}))]);
    let error = unknown.run(&plan(), &key()).await.unwrap_err();
    assert_eq!(
        (error.api, error.code.as_deref()),
        ("ecs:RunTask", Some("ConflictException"))
    );
    let (refused, _) = cluster([conflict(&json!([TASK])), denied()]);
    let error = refused.run(&plan(), &key()).await.unwrap_err();
    assert_eq!(error.api, "ecs:DescribeTasks");
    assert!(error.is_access_denied());
}

/// A task definition as ECS answers it, with these changes.
fn definition_json(changes: &Value) -> Value {
    with(
        &json!({
            "taskDefinitionArn": DEFINITION,
            "family": "job",
            "revision": 3,
            "status": "ACTIVE",
            "networkMode": "awsvpc",
            "containerDefinitions": [{"name": "app"}],
        }),
        changes,
    )
}

async fn defined(changes: &Value) -> Definition {
    let (cluster, _) = cluster([ok(&json!({"taskDefinition": definition_json(changes)}))]);
    let found = cluster.definition("job").await.expect("it is read");
    found.expect("it is there")
}

#[tokio::test]
async fn a_task_definition_is_read_with_its_tags() {
    let tags = json!([{"key": "signalbox:cluster", "value": "main"}, {"key": "bare"}]);
    let (cluster, wire) = cluster([ok(
        &json!({"taskDefinition": definition_json(&json!({})), "tags": tags}),
    )]);
    let expected = Definition {
        arn: DEFINITION.to_owned(),
        containers: vec![DefinedContainer {
            name: "app".to_owned(),
            // What is not said to be is.
            essential: true,
            logs: None,
        }],
        is_awsvpc: true,
        tags: texts(&[("signalbox:cluster", "main"), ("bare", "")]),
    };
    assert_eq!(cluster.definition("job:3").await, Ok(Some(expected)));
    let request = json!({"taskDefinition": "job:3", "include": ["TAGS"]});
    assert_eq!(sent(&wire, "DescribeTaskDefinition"), request);
}

#[tokio::test]
async fn a_task_definition_has_its_containers_and_its_network() {
    let containers = json!([
        {"name": "app", "essential": true},
        {"name": "side", "essential": false},
        {"name": "init"},
    ]);
    let found = defined(&json!({"containerDefinitions": containers, "networkMode": "bridge"})).await;
    let essential: Vec<(&str, bool)> = found
        .containers
        .iter()
        .map(|container| (container.name.as_str(), container.essential))
        .collect();
    assert_eq!(essential, [("app", true), ("side", false), ("init", true)]);
    assert!(!found.is_awsvpc);
    // On EC2 that means bridge.
    assert!(!defined(&json!({"networkMode": null})).await.is_awsvpc);
}

#[tokio::test]
async fn logs_are_found_where_their_stream_can_be_known() {
    let options = json!({"awslogs-group": "/ecs/job", "awslogs-stream-prefix": "job", "awslogs-region": REGION});
    let with = |changes: Value| with(&options, &changes);
    let elsewhere = Some(LogStream {
        region: "us-east-1".to_owned(),
        ..logs()
    });
    for (logs, expected) in [
        (json!({"logDriver": "awslogs", "options": options}), Some(logs())),
        (
            json!({"logDriver": "awslogs", "options": with(json!({"awslogs-region": "us-east-1"}))}),
            elsewhere,
        ),
        // In the Region that the task runs in.
        (
            json!({"logDriver": "awslogs", "options": with(json!({"awslogs-region": null, "mode": "non-blocking"}))}),
            Some(logs()),
        ),
        // The stream has the id that Docker gives the container.
        (
            json!({"logDriver": "awslogs", "options": with(json!({"awslogs-stream-prefix": null}))}),
            None,
        ),
        (
            json!({"logDriver": "awslogs", "options": with(json!({"awslogs-group": null}))}),
            None,
        ),
        (json!({"logDriver": "awslogs"}), None),
        (json!({"logDriver": "awsfirelens", "options": options}), None),
        (json!({"logDriver": "later-on", "options": options}), None),
    ] {
        let containers = json!([{"name": "app", "logConfiguration": logs}]);
        let found = defined(&json!({"containerDefinitions": containers})).await;
        assert_eq!(found.containers[0].logs, expected, "{logs}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_definition_that_cannot_be_run_is_none() {
    for answer in [
        exception(400, "ClientException", "Unable to describe task definition."),
        ok(&json!({"taskDefinition": definition_json(&json!({"status": "INACTIVE"}))})),
        ok(&json!({"taskDefinition": definition_json(&json!({"status": "DELETE_IN_PROGRESS"}))})),
    ] {
        let (cluster, _) = cluster([answer]);
        assert_eq!(cluster.definition("job").await, Ok(None));
    }
    // That is no word on whether there is one.
    for (answer, says) in [
        (
            exception(400, "ClientException", "Rate exceeded"),
            "ClientException: Rate exceeded",
        ),
        (
            exception(400, "InvalidParameterException", "what"),
            "InvalidParameterException: what",
        ),
        (ok(&json!({})), "the answer has no task definition"),
        (
            ok(&json!({"taskDefinition": definition_json(&json!({"taskDefinitionArn": null}))})),
            "the task definition has no ARN",
        ),
    ] {
        let (cluster, _) = cluster(vec![answer; 9]);
        let error = cluster.definition("job").await.unwrap_err();
        assert_eq!(error.to_string(), format!("ecs:DescribeTaskDefinition failed: {says}"));
    }
}

#[tokio::test]
async fn tasks_are_described_together() {
    let bare = json!({"taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/main/1", "lastStatus": "PROVISIONING",
        "stoppedReason": "", "startedBy": ""});
    let (cluster, wire) = cluster([ok(&json!({
        "tasks": [task_json(), bare],
        // One that ECS does not know (any more) is missing from the answer.
        "failures": [{"arn": "arn:aws:ecs:eu-west-1:123456789012:task/main/2", "reason": "MISSING"}],
    }))]);
    let arns = [TASK, "1", "2"].map(str::to_owned);
    let expected = vec![
        task(),
        Task {
            task_arn: "arn:aws:ecs:eu-west-1:123456789012:task/main/1".to_owned(),
            last_status: "PROVISIONING".to_owned(),
            ..Task::default()
        },
    ];
    assert_eq!(cluster.describe("main", &arns).await, Ok(expected));
    let request = json!({"cluster": "main", "tasks": arns});
    assert_eq!(sent(&wire, "DescribeTasks"), request);
}

/// Lists that are open: what AWS adds to them is read as it stands.
#[tokio::test]
async fn a_task_says_what_nobody_knows_yet() {
    let changes = json!({"stopCode": "LaterOn", "lastStatus": "HIBERNATING", "containers": [{}]});
    let (cluster, _) = cluster([ok(&json!({"tasks": [with(&task_json(), &changes)]}))]);
    let expected = Task {
        stop_code: Some("LaterOn".to_owned()),
        last_status: "HIBERNATING".to_owned(),
        containers: vec![Container::default()],
        ..task()
    };
    assert_eq!(cluster.describe("main", &[TASK.to_owned()]).await, Ok(vec![expected]));
}

#[tokio::test]
async fn a_task_is_looked_for_among_those_that_run_and_those_that_have_ended() {
    let list = |status: &str| json!({"cluster": "main", "startedBy": key().started_by(STACK), "desiredStatus": status});
    let none = ok(&json!({"taskArns": []}));
    let one = ok(&json!({"taskArns": [TASK]}));
    // On a later page.
    let (later, wire) = cluster([ok(&json!({"taskArns": [], "nextToken": "more"})), one.clone()]);
    assert_eq!(later.find("main", &key()).await, Ok(Some(TASK.to_owned())));
    assert_eq!(wire.sent()[1].1["nextToken"], "more");
    for (answers, found) in [
        (vec![one.clone()], Some(TASK)),
        (vec![none.clone(), one], Some(TASK)),
        (vec![none.clone(), none], None),
    ] {
        let (cluster, wire) = cluster(answers.clone());
        assert_eq!(cluster.find("main", &key()).await, Ok(found.map(str::to_owned)));
        let expected: Vec<(String, Value)> = ["RUNNING", "STOPPED"]
            .iter()
            .take(answers.len())
            .map(|status| (target("ListTasks"), list(status)))
            .collect();
        assert_eq!(wire.sent(), expected);
    }
}

#[tokio::test]
async fn a_task_is_stopped_with_a_reason_that_fits() {
    let long = "é".repeat(2_000);
    for (reason, sent_reason) in [("enough", "enough".to_owned()), (&long, "é".repeat(1_024))] {
        let (cluster, wire) = cluster([ok(&json!({"task": task_json()}))]);
        assert_eq!(cluster.stop("main", TASK, reason).await, Ok(()));
        let request = json!({"cluster": "main", "task": TASK, "reason": sent_reason});
        assert_eq!(sent(&wire, "StopTask"), request);
    }
    // It is not there (any more).
    let gone = exception(400, "InvalidParameterException", "The referenced task was not found.");
    let (cluster, wire) = cluster([gone]);
    assert_eq!(cluster.stop("main", TASK, "enough").await, Ok(()));
    assert_eq!(wire.attempts(), 1);
}

/// The calls that are the same in what they make of an error.
#[derive(Debug, Clone, Copy)]
enum Call {
    Definition,
    Describe,
    Find,
    Stop,
}

const CALLS: [Call; 4] = [Call::Definition, Call::Describe, Call::Find, Call::Stop];

impl Call {
    fn operation(self) -> &'static str {
        match self {
            Self::Definition => "DescribeTaskDefinition",
            Self::Describe => "DescribeTasks",
            Self::Find => "ListTasks",
            Self::Stop => "StopTask",
        }
    }

    fn api(self) -> String {
        format!("ecs:{}", self.operation())
    }

    async fn on(self, cluster: &EcsCluster) -> Result<(), CallError> {
        match self {
            Self::Definition => cluster.definition("job").await.map(drop),
            Self::Describe => cluster.describe("main", &[TASK.to_owned()]).await.map(drop),
            Self::Find => cluster.find("main", &key()).await.map(drop),
            Self::Stop => cluster.stop("main", TASK, "enough").await,
        }
    }

    fn success(self) -> Answer {
        ok(&match self {
            Self::Definition => json!({"taskDefinition": definition_json(&json!({}))}),
            Self::Find => json!({"taskArns": [TASK]}),
            Self::Describe | Self::Stop => json!({}),
        })
    }

    async fn answered(self, answers: Vec<Answer>) -> (Result<(), CallError>, usize) {
        let (cluster, wire) = cluster(answers);
        let outcome = self.on(&cluster).await;
        for (to, _) in wire.sent() {
            assert_eq!(to, target(self.operation()));
        }
        (outcome, wire.attempts())
    }
}

#[tokio::test(start_paused = true)]
async fn every_other_error_is_one_and_keeps_its_code() {
    for call in CALLS {
        for code in ["ServerException", "InternalServerException", "SomethingNew"] {
            let (outcome, _) = call.answered(vec![error(code); 9]).await;
            let error = outcome.unwrap_err();
            assert_eq!((error.api, error.code.as_deref()), (call.api().as_str(), Some(code)));
            assert_eq!(error.to_string(), format!("{} failed: {code}: {TOLD}", call.api()));
            assert!(!error.is_access_denied() && !error.is_throttling());
        }
        for answer in [denied(), error("AccessDeniedException")] {
            let (outcome, attempts) = call.answered(vec![answer; 9]).await;
            let error = outcome.unwrap_err();
            assert!(error.is_access_denied(), "{error}");
            assert_eq!((error.api, attempts), (call.api().as_str(), 1));
        }
        for (answer, says) in nonsense() {
            let (outcome, _) = call.answered(vec![answer; 9]).await;
            let text = outcome.unwrap_err().to_string();
            assert!(text.starts_with(&format!("{} failed: {says}", call.api())), "{text}");
        }
    }
}

/// What runs in it would have kept ECS from deleting it.
#[tokio::test(start_paused = true)]
async fn nothing_is_in_a_cluster_that_is_not_there() {
    let gone = || vec![error("ClusterNotFoundException")];
    let (here, _) = cluster(gone());
    assert_eq!(here.describe("main", &[TASK.to_owned()]).await, Ok(Vec::new()));
    let (here, _) = cluster(gone());
    assert_eq!(here.find("main", &key()).await, Ok(None));
    let (here, _) = cluster(gone());
    assert_eq!(here.stop("main", TASK, "its time is up").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn throttling_and_lost_answers_are_waited_out() {
    for call in CALLS {
        let throttled = error("ThrottlingException");
        for lost in [Answer::Lost, Answer::Silence, throttled.clone()] {
            assert_eq!(
                call.answered(vec![lost.clone(), call.success()]).await,
                (Ok(()), 2),
                "{call:?}"
            );
            let (outcome, attempts) = call.answered(vec![lost; 9]).await;
            assert_eq!((outcome.unwrap_err().api, attempts), (call.api().as_str(), 4));
        }
        let (outcome, _) = call.answered(vec![throttled; 9]).await;
        assert!(outcome.unwrap_err().is_throttling());
    }
}

#[tokio::test]
async fn a_lost_connection_says_why() {
    let cluster = EcsCluster::new(wire::nobody!(aws_sdk_ecs), REGION.to_owned(), STACK.to_owned());
    for call in CALLS {
        let text = call.on(&cluster).await.unwrap_err().to_string();
        assert!(
            text.contains("dispatch failure") && text.contains("Connection refused"),
            "{text}"
        );
    }
    let error = cluster.run(&plan(), &key()).await.unwrap_err();
    assert_eq!((error.api, error.code.as_deref()), ("ecs:RunTask", None));
}
