//! Who says how a task is run.

use serde_json::{Value, json};
use signalbox::ecs::plan::LogStream;

use super::*;

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/report:7";

fn ask(more: Value) -> Ask {
    let mut payload = json!({
        "task": "report",
        "taskToken": "AQC8AAAA",
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:etl:run-1",
        "stateName": "Transform",
        "enteredTime": "2026-01-31T04:00:12.345Z",
        "retryCount": 0,
    });
    let Value::Object(more) = more else { panic!("an object") };
    payload.as_object_mut().unwrap().extend(more);
    Ask::read(payload).unwrap()
}

fn container(name: &str, essential: bool) -> DefinedContainer {
    DefinedContainer {
        name: name.to_owned(),
        essential,
        logs: (name == "app").then(|| LogStream {
            group: "/ecs/report".to_owned(),
            prefix: "report".to_owned(),
            container: name.to_owned(),
            region: "us-east-1".to_owned(),
        }),
    }
}

fn definition(tags: &[(&str, &str)]) -> Definition {
    Definition {
        arn: ARN.to_owned(),
        containers: vec![container("app", true), container("proxy", false)],
        is_awsvpc: true,
        tags: tags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn defaults() -> Defaults {
    Defaults {
        cluster: Some("jobs".to_owned()),
        subnets: vec!["subnet-d".to_owned()],
        security_groups: vec!["sg-d".to_owned()],
        assign_public_ip: false,
        launch: Launch::Type("FARGATE".to_owned()),
    }
}

const TAGGED: [(&str, &str); 11] = [
    ("signalbox:cluster", "tagged"),
    ("signalbox:subnets", "subnet-1 subnet-2"),
    ("signalbox:security-groups", "sg-1"),
    ("signalbox:assign-public-ip", "true"),
    ("signalbox:launch-type", "EC2"),
    ("signalbox:platform-version", "1.4.0"),
    ("signalbox:container", "proxy"),
    ("signalbox:result", "none"),
    ("signalbox:timeout-seconds", "60"),
    ("signalbox:capacity-provider", ""),
    ("team", "data"),
];

#[test]
fn the_request_comes_before_the_tags_and_the_tags_before_the_stack() {
    let (plan_of_stack, timeout) = plan(&ask(json!({})), &definition(&[]), &defaults()).unwrap();
    assert_eq!((plan_of_stack.cluster.as_str(), timeout), ("jobs", None));
    assert_eq!(plan_of_stack.task_definition, ARN);
    assert_eq!(plan_of_stack.container, "app");
    assert_eq!(plan_of_stack.launch, Launch::Type("FARGATE".to_owned()));
    assert_eq!(plan_of_stack.result, ResultFrom::S3);
    let network = plan_of_stack.network.unwrap();
    assert_eq!(
        (network.subnets, network.security_groups),
        (vec!["subnet-d".to_owned()], vec!["sg-d".to_owned()])
    );
    assert!(!network.assign_public_ip);

    let (tagged, timeout) = plan(&ask(json!({})), &definition(&TAGGED), &defaults()).unwrap();
    assert_eq!(
        (tagged.cluster.as_str(), timeout),
        ("tagged", Some(Duration::from_mins(1)))
    );
    assert_eq!((tagged.container.as_str(), tagged.result), ("proxy", ResultFrom::None));
    assert_eq!(tagged.launch, Launch::Type("EC2".to_owned()));
    assert_eq!(tagged.platform_version.as_deref(), Some("1.4.0"));
    let network = tagged.network.unwrap();
    assert_eq!(network.subnets, ["subnet-1", "subnet-2"]);
    assert!(network.assign_public_ip);

    let asked = ask(json!({
        "cluster": "asked", "subnets": ["subnet-a"], "securityGroups": [], "assignPublicIp": false,
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 2}],
        "platformVersion": "LATEST", "container": "app", "result": {"from": "log"}, "timeoutSeconds": 7,
    }));
    let (asked, timeout) = plan(&asked, &definition(&TAGGED), &defaults()).unwrap();
    assert_eq!(
        (asked.cluster.as_str(), timeout),
        ("asked", Some(Duration::from_secs(7)))
    );
    assert_eq!((asked.container.as_str(), asked.result), ("app", ResultFrom::Log));
    assert!(matches!(asked.launch, Launch::Providers(providers) if providers[0].capacity_provider == "FARGATE_SPOT"));
    let network = asked.network.unwrap();
    assert_eq!(network.subnets, ["subnet-a"]);
    assert!(network.security_groups.is_empty() && !network.assign_public_ip);
}

#[test]
fn without_anything_it_is_the_default_cluster_in_its_own_way() {
    let mut bridge = definition(&[]);
    bridge.is_awsvpc = false;
    let (plan, _) = plan(&ask(json!({})), &bridge, &Defaults::default()).unwrap();
    assert_eq!(
        (plan.cluster.as_str(), plan.launch, plan.network),
        ("default", Launch::Cluster, None)
    );
}

#[test]
fn a_tag_for_a_capacity_provider_wins_over_one_for_a_launch_type() {
    let tags = [
        ("signalbox:launch-type", "EC2"),
        ("signalbox:capacity-provider", "FARGATE_SPOT"),
    ];
    let (plan, _) = plan(&ask(json!({})), &definition(&tags), &defaults()).unwrap();
    assert!(matches!(plan.launch, Launch::Providers(_)), "{:?}", plan.launch);
}

#[test]
fn every_refusal_says_what_would_be_right() {
    let two = Definition {
        containers: vec![container("app", true), container("proxy", true)],
        ..definition(&[])
    };
    let bridge = Definition {
        is_awsvpc: false,
        ..definition(&[])
    };
    let tagged = |name: &'static str, value: &'static str| definition(&[(name, value)]);
    let nowhere = Defaults::default();
    for (fields, definition, defaults, says) in [
        (
            json!({}),
            two,
            defaults(),
            "container: is missing, and arn:aws:ecs:us-east-1:123456789012:task-definition/report:7 has 2 essential containers; say which one counts: app, proxy",
        ),
        (
            json!({"container": "main"}),
            definition(&[]),
            defaults(),
            "container: is \"main\", which arn:aws:ecs:us-east-1:123456789012:task-definition/report:7 does not have; it has app, proxy",
        ),
        (
            json!({}),
            definition(&[]),
            nowhere,
            "subnets: is missing, and the network mode",
        ),
        (
            json!({"assignPublicIp": true}),
            bridge,
            defaults(),
            "assignPublicIp: has no meaning",
        ),
        (
            json!({"container": "proxy", "result": {"from": "log"}}),
            definition(&[]),
            defaults(),
            "result.from: is \"log\", but the container proxy has no log driver",
        ),
        (
            json!({}),
            tagged("signalbox:result", "sqs"),
            defaults(),
            "task: the tag signalbox:result of arn:aws:ecs:us-east-1:123456789012:task-definition/report:7 is \"sqs\"; it must be s3, log, token or none",
        ),
        (
            json!({}),
            tagged("signalbox:assign-public-ip", "ENABLED"),
            defaults(),
            "task: the tag signalbox:assign-public-ip",
        ),
        (
            json!({}),
            tagged("signalbox:timeout-seconds", "0"),
            defaults(),
            "task: the tag signalbox:timeout-seconds",
        ),
        (
            json!({}),
            tagged("signalbox:subnet", "subnet-1"),
            defaults(),
            "task: the tag signalbox:subnet of",
        ),
    ] {
        let error = plan(&ask(fields.clone()), &definition, &defaults)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(says), "{fields}: {error}\n  should say: {says}");
    }
}

#[test]
fn the_stacks_parameters_are_read_with_what_is_left_out() {
    let environment = Environment::of([
        (ECS_CLUSTER, "jobs"),
        (ECS_SUBNETS, "subnet-1 subnet-2"),
        (ECS_SECURITY_GROUPS, ""),
        (ECS_ASSIGN_PUBLIC_IP, "false"),
        (ECS_LAUNCH_TYPE, "FARGATE"),
        (ECS_CAPACITY_PROVIDER, ""),
    ]);
    let read = Defaults::read(&environment).unwrap();
    assert_eq!(read.subnets, ["subnet-1", "subnet-2"]);
    assert!(read.security_groups.is_empty());
    assert_eq!(read.launch, Launch::Type("FARGATE".to_owned()));
}
