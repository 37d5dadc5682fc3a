//! Who calls, and for what.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::ecs::key::{Attempt, Step, TaskKey, hash};
use signalbox::ecs::plan::{OnExit, Provider, ResultFrom};
use signalbox::quotas::{ERROR_CHARS, NAME_CHARS};
use signalbox::request::{BadRequest, parse};
use signalbox::tasks::TaskToken;

/// What `timeoutSeconds` may be: as long as an execution may last.
pub const TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=366 * 24 * 60 * 60;

/// The exit codes that `onExit` may speak of. 0 is a success.
pub const EXIT_CODES: RangeInclusive<i32> = 1..=255;

/// Longest `item`, in characters.
pub const ITEM_CHARS: usize = 256;

/// What a Task state sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    task: String,
    task_token: String,
    execution_arn: String,
    state_name: String,
    entered_time: String,
    retry_count: u32,
    #[serde(default)]
    redrive_count: u32,
    item: Option<Item>,
    container: Option<String>,
    command: Option<Vec<String>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    result: Option<Channel>,
    #[serde(default)]
    on_exit: BTreeMap<String, String>,
    timeout_seconds: Option<u64>,
    cluster: Option<String>,
    subnets: Option<Vec<String>>,
    security_groups: Option<Vec<String>>,
    assign_public_ip: Option<bool>,
    launch_type: Option<String>,
    capacity_provider_strategy: Option<Vec<Provider>>,
    platform_version: Option<String>,
    cpu: Option<Units>,
    memory: Option<Units>,
    ephemeral_storage_gib: Option<i32>,
    task_role_arn: Option<String>,
    execution_role_arn: Option<String>,
    group: Option<String>,
    #[serde(default)]
    enable_execute_command: bool,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// Where a state is in a Map: `$$.Map.Item.Index` is a number.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text or a whole number, in ASL $$.Map.Item.Index")]
enum Item {
    Number(u64),
    Text(String),
}

/// CPU units or MiB: ECS takes them as texts.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text or a whole number")]
enum Units {
    Number(u64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    from: ResultFrom,
}

/// What is asked: checked, but not yet held to a task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The visit of the state.
    pub step: Step,
    /// Which attempt it is.
    pub attempt: Attempt,
    /// What the state waits with.
    pub token: TaskToken,
    /// A hash of what is asked, without what differs between attempts.
    pub hash: String,
    /// The task definition: its name, `name:revision` or ARN.
    pub task: String,
    /// What the request says of how the task is run.
    pub wishes: Wishes,
}

/// What a request says of how a task is run. What it leaves open, the task definition's tags and the stack's parameters
/// say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The container that counts.
    pub container: Option<String>,
    /// Its command.
    pub command: Option<Vec<String>>,
    /// Variables of its environment.
    pub env: BTreeMap<String, String>,
    /// How the result comes back.
    pub result: Option<ResultFrom>,
    /// What exit codes mean.
    pub on_exit: BTreeMap<i32, OnExit>,
    /// How long the task may take.
    pub timeout: Option<Duration>,
    /// The cluster.
    pub cluster: Option<String>,
    /// Its subnets.
    pub subnets: Option<Vec<String>>,
    /// Its security groups.
    pub security_groups: Option<Vec<String>>,
    /// Whether it has a public address.
    pub assign_public_ip: Option<bool>,
    /// The launch type.
    pub launch_type: Option<String>,
    /// The capacity providers.
    pub providers: Option<Vec<Provider>>,
    /// The platform's version.
    pub platform_version: Option<String>,
    /// CPU units.
    pub cpu: Option<String>,
    /// MiB.
    pub memory: Option<String>,
    /// GiB.
    pub ephemeral_storage_gib: Option<i32>,
    /// The containers' role.
    pub task_role_arn: Option<String>,
    /// The role that ECS starts the task with.
    pub execution_role_arn: Option<String>,
    /// The task's group.
    pub group: Option<String>,
    /// Whether ECS Exec is on.
    pub enable_execute_command: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// The fields of a request that differ between the attempts of a step.
const OF_THE_ATTEMPT: [&str; 3] = ["taskToken", "retryCount", "redriveCount"];

/// Variables that the relay sets.
pub const RESERVED: [&str; 3] = ["RESULT_URI", "RESULT_URL", "TASK_TOKEN_URI"];

impl Ask {
    /// The key of the attempt's record.
    #[must_use]
    pub fn key(&self) -> TaskKey {
        TaskKey::new(&self.step, self.attempt, &self.token)
    }

    /// Reads and checks a request.
    pub fn read(payload: Value) -> Result<Self, BadRequest> {
        let hash = hash_of(&payload);
        let token = payload["taskToken"].as_str().unwrap_or_default().to_owned();
        let request = parse::<Request>(payload).map_err(|refusal| without(&token, refusal))?;
        let execution = ExecutionArn::parse_with_children(&request.execution_arn)
            .map_err(|error| BadRequest::new("executionArn", error.to_string()))?;
        let token =
            TaskToken::parse(&request.task_token).map_err(|error| BadRequest::new("taskToken", error.to_string()))?;
        let entered = Timestamp::parse(&request.entered_time).ok_or_else(|| {
            let given = &request.entered_time;
            let problem = format!("\"{given}\" is not an RFC 3339 time; in ASL it is $$.State.EnteredTime");
            BadRequest::new("enteredTime", problem)
        })?;
        check_length(
            "stateName",
            &request.state_name,
            NAME_CHARS,
            "in ASL it is $$.State.Name",
        )?;
        check_length(
            "task",
            &request.task,
            2_048,
            "it is a task definition's name, name:revision or ARN",
        )?;
        let item = request.item.as_ref().map(|item| match item {
            Item::Number(number) => number.to_string(),
            Item::Text(text) => text.clone(),
        });
        if let Some(item) = &item {
            check_length("item", item, ITEM_CHARS, "in ASL it is $$.Map.Item.Index")?;
        }
        check_env(&request.env, &token)?;
        if let Some(command) = &request.command
            && command.iter().any(|word| word.contains(token.secret()))
        {
            return Err(BadRequest::new("command", NO_TOKEN));
        }
        if request.launch_type.is_some() && request.capacity_provider_strategy.is_some() {
            let problem = "goes with no launchType: ECS takes one of them; leave one out";
            return Err(BadRequest::new("capacityProviderStrategy", problem));
        }
        check_lists(&request)?;
        let timeout = request
            .timeout_seconds
            .map(|seconds| match TIMEOUT_SECONDS.contains(&seconds) {
                true => Ok(Duration::from_secs(seconds)),
                false => Err(BadRequest::new("timeoutSeconds", timeout_problem(seconds))),
            });
        let units = |units: Option<Units>| {
            units.map(|units| match units {
                Units::Number(number) => number.to_string(),
                Units::Text(text) => text,
            })
        };
        Ok(Self {
            step: Step {
                execution,
                state: request.state_name,
                entered,
                item,
            },
            attempt: Attempt {
                redrive: request.redrive_count,
                retry: request.retry_count,
            },
            token,
            hash,
            task: request.task,
            wishes: Wishes {
                container: request.container,
                command: request.command,
                env: request.env,
                result: request.result.map(|result| result.from),
                on_exit: on_exit(&request.on_exit)?,
                timeout: timeout.transpose()?,
                cluster: request.cluster,
                subnets: request.subnets,
                security_groups: request.security_groups,
                assign_public_ip: request.assign_public_ip,
                launch_type: request.launch_type,
                providers: request.capacity_provider_strategy,
                platform_version: request.platform_version,
                cpu: units(request.cpu),
                memory: units(request.memory),
                ephemeral_storage_gib: request.ephemeral_storage_gib,
                task_role_arn: request.task_role_arn,
                execution_role_arn: request.execution_role_arn,
                group: request.group,
                enable_execute_command: request.enable_execute_command,
                tags: request.tags,
            },
        })
    }
}

/// What is wrong with so many seconds.
pub(crate) fn timeout_problem(seconds: u64) -> String {
    let (least, most) = TIMEOUT_SECONDS.into_inner();
    format!("is {seconds}; it may be {least} to {most}, and without it a task may take as long as its state waits")
}

/// A refusal that does not show the token: it may stand in a field that it has no business in.
fn without(token: &str, refusal: BadRequest) -> BadRequest {
    let text = refusal.to_string();
    match token.is_empty() || !text.contains(token) {
        true => refusal,
        false => BadRequest::new("$", text.replace(token, "(the task token)")),
    }
}

/// A hash of what is asked, without what differs between attempts.
fn hash_of(payload: &Value) -> String {
    let mut asked = payload.clone();
    if let Some(fields) = asked.as_object_mut() {
        fields.retain(|name, _| !OF_THE_ATTEMPT.contains(&name.as_str()));
    }
    hash(&[asked.to_string()])
}

fn check_length(field: &str, text: &str, most: usize, says: &str) -> Result<(), BadRequest> {
    match text.chars().count() {
        0 => Err(BadRequest::new(field, format!("is empty; {says}"))),
        chars if chars > most => {
            let problem = format!("has {chars} characters, and may have {most}; {says}");
            Err(BadRequest::new(field, problem))
        }
        _ => Ok(()),
    }
}

const NO_TOKEN: &str = "has the task token in it: whoever may see the task could answer for it. A container that answers by \
                        itself has \"result\": {\"from\": \"token\"}, and reads it from TASK_TOKEN_URI";

fn check_env(env: &BTreeMap<String, String>, token: &TaskToken) -> Result<(), BadRequest> {
    for (name, value) in env {
        let field = format!("env.{name}");
        if RESERVED.contains(&name.as_str()) {
            return Err(BadRequest::new(field, "is set by the relay itself; take another name"));
        }
        if name.is_empty() || name.contains('=') {
            return Err(BadRequest::new(field, "is no name of an environment variable"));
        }
        if value.contains(token.secret()) {
            return Err(BadRequest::new(field, NO_TOKEN));
        }
    }
    Ok(())
}

/// Lists that have no meaning when they are empty.
fn check_lists(request: &Request) -> Result<(), BadRequest> {
    let empty = [
        ("subnets", request.subnets.as_ref().is_some_and(Vec::is_empty)),
        (
            "capacityProviderStrategy",
            request.capacity_provider_strategy.as_ref().is_some_and(Vec::is_empty),
        ),
    ];
    match empty.into_iter().find(|(_, is_empty)| *is_empty) {
        Some((field, _)) => Err(BadRequest::new(field, "is empty; leave it out for the default")),
        None => Ok(()),
    }
}

fn on_exit(given: &BTreeMap<String, String>) -> Result<BTreeMap<i32, OnExit>, BadRequest> {
    let mut all = BTreeMap::new();
    for (code, meaning) in given {
        let field = format!("onExit.{code}");
        let number = code
            .parse()
            .ok()
            .filter(|number: &i32| EXIT_CODES.contains(number) && number.to_string() == *code);
        let Some(number) = number else {
            let (least, most) = EXIT_CODES.into_inner();
            return Err(BadRequest::new(
                field,
                format!("is no exit code from {least} to {most}"),
            ));
        };
        let meaning = match meaning.as_str() {
            "succeed" => OnExit::Succeed,
            // Step Functions' own errors mean what it says they mean, and some cannot be caught.
            name if name.starts_with("States.") => {
                return Err(BadRequest::new(
                    field,
                    format!("is \"{name}\"; names that begin with States. are Step Functions' own"),
                ));
            }
            name => {
                check_length(&field, name, ERROR_CHARS, "it is \"succeed\" or the name of an error")?;
                OnExit::Fail(name.to_owned())
            }
        };
        all.insert(number, meaning);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(more: Value) -> Result<Ask, String> {
        let mut payload = json!({
            "task": "nightly-report",
            "taskToken": "AQC8AAAA",
            "executionArn": "arn:aws:states:us-east-1:123456789012:execution:etl:run-1",
            "stateName": "Transform",
            "enteredTime": "2026-01-31T04:00:12.345Z",
            "retryCount": 0,
        });
        let Value::Object(more) = more else { panic!("an object") };
        for (field, value) in more {
            match value {
                Value::Null => drop(payload.as_object_mut().unwrap().remove(&field)),
                value => payload[field] = value,
            }
        }
        Ask::read(payload).map_err(|error| error.to_string())
    }

    #[test]
    fn the_smallest_request_names_a_task() {
        let ask = ask(json!({})).unwrap();
        assert_eq!(ask.task, "nightly-report");
        assert_eq!(ask.wishes, Wishes::default());
        assert_eq!(ask.attempt, Attempt { redrive: 0, retry: 0 });
    }

    #[test]
    fn attempts_of_one_step_ask_for_the_same() {
        let first = ask(json!({"env": {"A": "1"}})).unwrap();
        let later = ask(json!({"env": {"A": "1"}, "taskToken": "other", "retryCount": 2, "redriveCount": 1})).unwrap();
        assert_eq!(first.hash, later.hash);
        assert_ne!(first.key(), later.key());
        assert_eq!(first.key().step(), later.key().step());
        assert_ne!(first.hash, ask(json!({"env": {"A": "2"}})).unwrap().hash);
    }

    #[test]
    fn an_item_is_a_number_or_a_path() {
        let item = |item: Value| ask(json!({"item": item})).map(|ask| ask.step.item);
        assert_eq!(item(json!(3)), Ok(Some("3".to_owned())));
        assert_eq!(item(json!("1/4")), Ok(Some("1/4".to_owned())));
        assert_ne!(
            ask(json!({"item": 3})).unwrap().key().step(),
            ask(json!({"item": 4})).unwrap().key().step()
        );
    }

    #[test]
    fn units_are_numbers_or_texts() {
        let ask = ask(json!({"cpu": 256, "memory": "512"})).unwrap();
        assert_eq!(ask.wishes.cpu.as_deref(), Some("256"));
        assert_eq!(ask.wishes.memory.as_deref(), Some("512"));
    }

    #[test]
    fn exit_codes_mean_what_is_said() {
        let ask = ask(json!({"onExit": {"75": "TryLater", "3": "succeed"}})).unwrap();
        let expected = BTreeMap::from([(3, OnExit::Succeed), (75, OnExit::Fail("TryLater".to_owned()))]);
        assert_eq!(ask.wishes.on_exit, expected);
    }

    #[test]
    fn every_refusal_names_its_field() {
        for (fields, says) in [
            (json!({"task": null}), "task: is missing; it is required"),
            (json!({"task": ""}), "task: is empty; it is a task definition's name"),
            (
                json!({"taskToken": ""}),
                "taskToken: is empty; in ASL it is $$.Task.Token",
            ),
            (
                json!({"executionArn": "run-1"}),
                "executionArn: \"run-1\" is not an ARN",
            ),
            (
                json!({"enteredTime": "now"}),
                "enteredTime: \"now\" is not an RFC 3339 time",
            ),
            (
                json!({"stateName": "x".repeat(81)}),
                "stateName: has 81 characters, and may have 80",
            ),
            (json!({"retryCount": -1}), "retryCount: invalid value"),
            (json!({"item": {}}), "item: a text or a whole number"),
            (json!({"item": ""}), "item: is empty"),
            (
                json!({"env": {"RESULT_URL": "x"}}),
                "env.RESULT_URL: is set by the relay itself",
            ),
            (json!({"env": {"T": "x AQC8AAAA"}}), "env.T: has the task token in it"),
            (
                json!({"command": ["--token=AQC8AAAA"]}),
                "command: has the task token in it",
            ),
            (json!({"env": {"A=B": "x"}}), "env.A=B: is no name"),
            (
                json!({"env": {"A": 1}}),
                "env.A: invalid type: integer `1`, expected a string",
            ),
            (json!({"result": {"from": "sqs"}}), "result.from: unknown variant `sqs`"),
            (json!({"result": "s3"}), "result: invalid type"),
            (
                json!({"onExit": {"0": "succeed"}}),
                "onExit.0: is no exit code from 1 to 255",
            ),
            (json!({"onExit": {"256": "X"}}), "onExit.256: is no exit code"),
            (json!({"onExit": {"07": "X"}}), "onExit.07: is no exit code"),
            (
                json!({"onExit": {"7": "States.ALL"}}),
                "onExit.7: is \"States.ALL\"; names that begin with",
            ),
            (json!({"onExit": {"7": ""}}), "onExit.7: is empty"),
            (
                json!({"timeoutSeconds": 0}),
                "timeoutSeconds: is 0; it may be 1 to 31622400",
            ),
            (json!({"subnets": []}), "subnets: is empty; leave it out"),
            (
                json!({"capacityProviderStrategy": []}),
                "capacityProviderStrategy: is empty",
            ),
            (
                json!({"launchType": "EC2", "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]}),
                "capacityProviderStrategy: goes with no launchType",
            ),
            (
                json!({"capacityProviderStrategy": [{"provider": "FARGATE_SPOT"}]}),
                "capacityProviderStrategy[0].provider: unknown field `provider`",
            ),
            (json!({"tasks": 1}), "tasks: unknown field `tasks`"),
        ] {
            let error = ask(fields.clone()).unwrap_err();
            assert!(error.starts_with(says), "{fields}: {error}\n  should say: {says}");
        }
    }

    #[test]
    fn no_refusal_shows_the_token() {
        let secret = "s3cret".repeat(20);
        for fields in [
            json!({"taskToken": secret, "env": {"T": secret}}),
            json!({"taskToken": secret, "command": [secret]}),
            json!({"taskToken": secret, "retryCount": secret}),
        ] {
            let error = ask(fields).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
