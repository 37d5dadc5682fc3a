//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;
#[path = "../../../shared/tests/documents/states.rs"]
mod states;

use std::collections::{BTreeMap, BTreeSet};

use ecs_launch::Outcome;
use ecs_launch::places::OVERRIDES_CHARS;
use ecs_launch::request::{Ask, EXIT_CODES, ITEM_CHARS, RESERVED, TIMEOUT_SECONDS};
use ecs_launch::settings::{TAG, TAGS};
use ecs_launch::start::PATIENCE;
use serde_json::{Value, json};
use signalbox::config;
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::Handover;
use signalbox::ecs::key::STARTED_BY;
use signalbox::ecs::plan::{LOG_MARKER, OnExit, ResultFrom};
use signalbox::ecs::record::KEPT_DAYS;
use signalbox::quotas::ERROR_CHARS;

use documents::{code_blocks, first_column, listed_errors, sample_events};
use states::{arguments, request_of, states_of, states_to_paste};

const README: &str = include_str!("../README.md");
const SETTLE: &str = include_str!("../../ecs-settle/README.md");
const RESULT: &str = include_str!("../../ecs-result/README.md");
const ERRORS: &str = include_str!("../../../docs/errors.md");
const SEMANTICS: &str = include_str!("../../../docs/ecs-relay.md");
const DEPLOYING: &str = include_str!("../../../docs/deploying.md");
const TEMPLATE: &str = include_str!("../../../template.yaml");
const BY_URL: &str = include_str!("../../../examples/nightly-etl/nightly-etl.asl.json");
const BY_LOG: &str = include_str!("../../../examples/nightly-etl/nightly-etl-log.asl.json");
const IMAGE: &str = include_str!("../../../examples/nightly-etl/image/etl.sh");

const TRANSFORM: &str = "Transform";

/// Where the errors are that a state is told by its token.
const TOLD_BY: [&str; 5] = [
    include_str!("../../../shared/src/ecs/verdict.rs"),
    include_str!("../../../shared/src/ecs/start_failure.rs"),
    include_str!("../../ecs-settle/src/answer.rs"),
    include_str!("../../ecs-settle/src/settle.rs"),
    include_str!("../../ecs-settle/src/sweep.rs"),
];

/// The errors that a state is told by its token: those that the code spells.
fn told() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in TOLD_BY {
        for rest in source.split("\"Ecs.").skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            // `Ecs.StartFailed.{kind:?}` of a test that holds each kind to its name.
            if !name.contains(":?") {
                names.insert(format!("Ecs.{}", name.replace("{code}", "<n>")));
            }
        }
    }
    names
}

/// The part of a document under this heading.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("# {heading}\n")).expect(heading);
    rest.split("\n## ").next().unwrap_or_default()
}

/// The cells of the rows of a part's tables, headings left out.
fn rows(part: &str) -> Vec<Vec<&str>> {
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    // The first cell has lost its first quote.
    rows.map(|row| {
        row.split(" | ")
            .map(|cell| cell.trim_matches([' ', '|', '`']))
            .collect()
    })
    .collect()
}

/// What stands in quotes in a cell that has lost its first one.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').step_by(2)
}

/// A resource of the template, or a parameter.
fn of_template(name: &str) -> String {
    let (_, rest) = TEMPLATE.split_once(&format!("\n  {name}:\n")).expect(name);
    let lines = rest.lines().take_while(|line| line.starts_with("   "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Whether a document says this.
fn says(document: &str, what: impl AsRef<str>) {
    let what = what.as_ref();
    assert!(document.contains(what), "not said: {what}");
}

#[test]
fn every_error_is_listed_and_every_listed_one_exists() {
    let (failed, sent) = (BTreeSet::from(Error::NAMES), told());
    let sent: BTreeSet<&str> = sent.iter().map(String::as_str).collect();
    assert_eq!(sent.len(), 15, "{sent:?}");
    assert_eq!(listed_errors(README, "Ecs."), &failed | &sent, "README.md");
    let (functions, others) = ERRORS.split_once("| error | on |").expect("two tables");
    assert_eq!(listed_errors(functions, "Ecs."), failed, "docs/errors.md, functions");
    assert_eq!(listed_errors(others, "Ecs."), sent, "docs/errors.md, states");
}

#[test]
fn the_fields_are_those_that_the_function_knows() {
    let refusal = Ask::read(json!({"nothing": 1})).unwrap_err().to_string();
    let (_, known) = refusal.split_once("expected one of ").expect("the fields");
    let known: BTreeSet<&str> = known.split('`').skip(1).step_by(2).collect();
    let requests = section(README, "Request").split("\n### ").next().unwrap_or_default();
    let listed: BTreeSet<&str> = rows(requests).iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(listed, known);

    let required: BTreeSet<&str> = rows(requests)
        .iter()
        .filter(|row| row[1] == "required")
        .map(|row| row[0])
        .collect();
    let values = json!({
        "task": "nightly-report",
        "taskToken": "AQC8AAAA",
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:etl:run-1",
        "stateName": TRANSFORM,
        "enteredTime": "2026-01-31T04:00:12.345Z",
        "retryCount": 0,
    });
    assert!(
        values
            .as_object()
            .unwrap()
            .keys()
            .all(|field| required.contains(field.as_str()))
    );
    Ask::read(values.clone()).expect("that is enough");
    for field in &required {
        let mut without = values.clone();
        without.as_object_mut().unwrap().remove(*field);
        assert_eq!(Ask::read(without).unwrap_err().path(), *field);
    }
}

#[test]
fn the_states_to_paste_are_the_examples_own() {
    let expected = [BY_URL, BY_LOG].map(|example| states_of(example)[TRANSFORM].clone());
    assert!(expected.iter().all(Value::is_object));
    assert_eq!(states_to_paste(README, TRANSFORM), expected);
}

#[test]
fn the_states_ask_what_the_function_understands() {
    let values = json!({
        "taskToken": "AQC8AAAA",
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:nightly-etl:run-1",
        "stateName": TRANSFORM,
        "enteredTime": "2026-01-31T04:00:12.345Z",
        "retryCount": 0,
        "redriveCount": 0,
    });
    let results: Vec<Option<ResultFrom>> = states_to_paste(README, TRANSFORM)
        .iter()
        .map(|state| {
            let text = arguments(state).to_string();
            for path in [
                "Task.Token",
                "Execution.Id",
                "State.Name",
                "State.EnteredTime",
                "State.RetryCount",
                "Execution.RedriveCount",
            ] {
                assert!(text.contains(path), "{path}: {text}");
            }
            let mut request = request_of(state, &values);
            // What JSONPath reads, a level below the fields.
            let env = request["env"].as_object().expect("variables");
            let env: BTreeMap<String, &str> = env.keys().map(|name| (name.replace(".$", ""), "text")).collect();
            for name in env.keys() {
                says(IMAGE, name);
            }
            request["env"] = json!(env);
            let ask = Ask::read(request).expect("a good request");
            assert_eq!(ask.wishes.on_exit[&75], OnExit::Fail("Etl.NotReady".to_owned()));
            assert!(ask.wishes.timeout.is_some());
            ask.wishes.result
        })
        .collect();
    assert_eq!(results, [None, Some(ResultFrom::Log)]);
    says(IMAGE, "exit 75\n");
    says(IMAGE, format!("echo \"{LOG_MARKER}$("));
    says(
        IMAGE,
        "curl -fsS --retry 5 -L -T \"$folder/result.json\" \"$RESULT_URL\"",
    );
}

/// The states wait for whoever beats for them, and what they retry are errors that there are.
#[test]
fn the_states_fit_the_relay() {
    let mut known: BTreeSet<String> = told();
    known.extend(Error::NAMES.map(str::to_owned));
    known.insert("Etl.NotReady".to_owned());
    for state in states_to_paste(README, TRANSFORM) {
        assert!(state["HeartbeatSeconds"].as_u64() >= Some(180), "{state}");
        let retried: Vec<&str> = state["Retry"]
            .as_array()
            .expect("a Retry")
            .iter()
            .flat_map(|retry| retry["ErrorEquals"].as_array().expect("names"))
            .filter_map(Value::as_str)
            .collect();
        for name in ["Ecs.Unavailable", "Ecs.StartFailed.Capacity", "Ecs.Interrupted"] {
            assert!(retried.contains(&name), "{name}");
        }
        for name in retried {
            let lambdas = name.starts_with("Lambda.") || ["Sandbox.Timedout", "Runtime.ExitError"].contains(&name);
            assert!(lambdas || known.contains(name), "{name}");
        }
    }
}

#[test]
fn every_sample_event_is_listed_and_is_a_call() {
    let events = sample_events("ecs-launch", README);
    for (name, event) in &events {
        let refusal = match name.as_str() {
            "batch.json" => {
                let records = event["Records"].as_array().expect("records");
                let bodies = records.iter().map(|record| record["body"].as_str().expect("a body"));
                let read = bodies.map(|body| Handover::read(serde_json::from_str(body).expect("JSON")));
                let good: Vec<bool> = read.map(|launch| launch.is_ok()).collect();
                assert_eq!(good, [true, false], "{name}");
                continue;
            }
            _ => Ask::read(event.clone()).err().map(|error| error.path().to_owned()),
        };
        let expected = match name.as_str() {
            "bad-exit-code.json" => Some("onExit.0"),
            "unknown-field.json" => Some("timeout"),
            _ => None,
        };
        assert_eq!(refusal.as_deref(), expected, "{name}");
    }
    // All that may be said, apart from what goes with no launch type, and roles, which there are none of on the local cloud.
    let full: BTreeSet<&str> = events["full.json"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let requests = section(README, "Request").split("\n### ").next().unwrap_or_default();
    let rows = rows(requests);
    let listed: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(row[0])).collect();
    let missing: Vec<&str> = listed.difference(&full).copied().collect();
    assert_eq!(missing, ["capacityProviderStrategy", "executionRoleArn", "taskRoleArn"]);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let (least, most) = TIMEOUT_SECONDS.into_inner();
    says(README, format!("| `timeoutSeconds` | | {least} to {most}:"));
    let (least, most) = EXIT_CODES.into_inner();
    says(README, format!("What exit codes mean, {least} to {most}:"));
    says(README, format!("up to {ERROR_CHARS} characters"));
    says(README, format!("are nested; up to {ITEM_CHARS} characters"));
    says(README, format!("have {OVERRIDES_CHARS} characters together"));
    says(README, format!("is tried for {} seconds", PATIENCE.as_secs()));
    says(SEMANTICS, format!("is throttled for {} seconds", PATIENCE.as_secs()));
    says(README, format!("prints `{LOG_MARKER}` and JSON"));
    says(README, format!("is kept for {KEPT_DAYS} days after its end"));
    says(SEMANTICS, format!("Kept for {KEPT_DAYS} days after its end."));
    says(SEMANTICS, format!("{KEPT_DAYS} days later"));
    says(
        SEMANTICS,
        format!("`startedBy` is `{STARTED_BY}`, the stack and the key"),
    );
    says(
        &of_template("EcsTasksEndedRule"),
        format!("- prefix: !Sub\n                - {STARTED_BY}${{Stack}}/\n"),
    );
    // The rule's stack is the one that the tasks say.
    let stack = "!Select [0, !Split [\"-\", !Select [2, !Split [\"/\", !Ref AWS::StackId]]]]";
    says(&of_template("EcsTasksEndedRule"), format!("- Stack: {stack}"));
    for function in ["EcsLaunchFunction", "EcsSettleFunction"] {
        says(&of_template(function), format!("{}: {stack}", config::ECS_STACK));
    }
    let bucket = of_template("EcsResultBucket");
    says(
        &bucket,
        format!("Prefix: results/\n            Status: Enabled\n            ExpirationInDays: {KEPT_DAYS}\n"),
    );
    says(README, format!("stays there for {KEPT_DAYS} days"));
}

#[test]
fn what_a_container_finds_is_what_the_function_sets() {
    let part = section(README, "What a container finds")
        .split("\n### ")
        .next()
        .unwrap_or_default();
    assert_eq!(first_column(part), BTreeSet::from(RESERVED));
}

#[test]
fn the_tags_are_those_of_the_code_and_the_parameters_the_templates() {
    let part = section(README, "Where it runs")
        .split("\n### ")
        .next()
        .unwrap_or_default();
    let rows = rows(part);
    let listed: BTreeSet<&str> = rows
        .iter()
        .map(|row| row[0].strip_prefix(TAG).expect("a tag"))
        .collect();
    assert_eq!(listed, BTreeSet::from(TAGS));
    let parameters: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row[1].split('`').find(|word| word.starts_with("Ecs")))
        .collect();
    let expected = [
        "EcsAssignPublicIp",
        "EcsCapacityProvider",
        "EcsCluster",
        "EcsLaunchType",
        "EcsSecurityGroups",
        "EcsSubnets",
    ];
    assert_eq!(parameters, BTreeSet::from(expected));
}

/// Each parameter of the relay is in the guide, with its default.
#[test]
fn the_parameters_are_the_templates() {
    let (_, rest) = TEMPLATE.split_once("\nParameters:\n").expect("parameters");
    let part = rest.split("\n\n").next().unwrap_or_default();
    let names = part
        .lines()
        .filter_map(|line| line.strip_prefix("  Ecs")?.strip_suffix(':'));
    let names: BTreeSet<String> = names.map(|name| format!("Ecs{name}")).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    let rows = rows(section(DEPLOYING, "Parameters"));
    for name in &names {
        let row = rows.iter().find(|row| row[0] == name).expect(name);
        let block = of_template(name);
        let default = block.lines().find_map(|line| line.trim().strip_prefix("Default:"));
        let default = default.expect("a default").trim().trim_matches('"');
        assert_eq!(row[1], if default.is_empty() { "empty" } else { default }, "{name}");
    }
    let minutes = of_template("EcsPresignedMinutes");
    let default = minutes
        .lines()
        .find_map(|line| line.trim().strip_prefix("Default: "))
        .expect("a default");
    says(README, format!("the stack's `EcsPresignedMinutes` ({default})"));
}

/// What `template.yaml` sets is what the function reads.
#[test]
fn the_environment_is_the_templates() {
    let function = of_template("EcsLaunchFunction");
    let set = function
        .lines()
        .filter_map(|line| line.trim().strip_prefix("SIGNALBOX_")?.split(':').next());
    let set: BTreeSet<String> = set.map(|name| format!("SIGNALBOX_{name}")).collect();
    let read = [
        config::ECS_TABLE_NAME,
        config::ECS_BUCKET,
        config::ECS_STACK,
        config::ECS_LAUNCH_QUEUE_URL,
        config::ECS_RESULT_URL,
        config::ECS_PRESIGNED_MINUTES,
        config::ECS_CLUSTER,
        config::ECS_SUBNETS,
        config::ECS_SECURITY_GROUPS,
        config::ECS_ASSIGN_PUBLIC_IP,
        config::ECS_LAUNCH_TYPE,
        config::ECS_CAPACITY_PROVIDER,
    ];
    assert_eq!(set, read.map(str::to_owned).into());
}

#[test]
fn the_outcomes_are_the_codes() {
    let mut listed = first_column(section(README, "Answer"));
    assert!(listed.remove("outcome"), "the heading");
    assert_eq!(listed, Outcome::ALL.map(Outcome::name).into());
    assert_eq!(code_blocks(section(README, "Answer")).len(), 2);
}

/// What the READMEs of the relay say that its functions may do is what the template lets them.
#[test]
fn the_permissions_are_the_templates() {
    for (function, readme) in [
        ("EcsLaunchFunction", README),
        ("EcsSettleFunction", SETTLE),
        ("EcsResultFunction", RESULT),
    ] {
        let block = of_template(function);
        let lines = block.lines().map(str::trim);
        let granted = lines.filter_map(|line| line.strip_prefix("- ").or_else(|| line.strip_prefix("Action: ")));
        let granted: BTreeSet<String> = granted
            .filter(|action| action.split(':').count() == 2 && !action.contains(' ') && !action.contains('/'))
            .map(str::to_owned)
            .collect();
        let mut listed = BTreeSet::new();
        for row in rows(section(readme, "Permissions")) {
            let mut service = "";
            for action in quoted(row[0]) {
                let name = match action.split_once(':') {
                    Some((of, name)) => {
                        service = of;
                        name
                    }
                    None => action,
                };
                listed.insert(format!("{service}:{name}"));
            }
        }
        assert_eq!(listed, granted, "{function}");
    }
}

/// What the queue of launches does is set in the template.
#[test]
fn the_queue_is_the_templates() {
    let queue = of_template("EcsLaunchQueue");
    says(&queue, "VisibilityTimeout: 180\n");
    says(&queue, "maxReceiveCount: 5");
    let mapping = of_template("EcsLaunchMapping");
    says(&mapping, "BatchSize: 10\n");
    says(&mapping, "MaximumConcurrency: 2}");
    says(
        section(README, "Permissions"),
        "the queue goes on with it, 20 launches at a time",
    );
}
