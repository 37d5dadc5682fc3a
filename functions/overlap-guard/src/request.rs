//! What a caller asks: read strictly, and good once it is an [`Ask`].

use serde::Deserialize;
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::Timestamp;
use signalbox::request::BadRequest;

/// Most entries of `alsoCheck`: each costs one `ListExecutions`, which AWS refills at 2 to 5 calls a second an account.
pub const ALSO_CHECK_MOST: usize = 10;

/// Most entries of `ignoreAncestors`.
pub const IGNORE_ANCESTORS_MOST: usize = 10;

/// The request as JSON. Unknown fields are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    execution_arn: String,
    #[serde(default)]
    state_machine_arn: Option<String>,
    entered_time: String,
    retry_count: u32,
    #[serde(default)]
    redrive_count: Option<u32>,
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    also_check: Vec<String>,
    #[serde(default)]
    ignore_ancestors: Vec<String>,
}

/// What becomes of a run that overlaps with another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// The newer run fails with `OverlapGuard.Overlapping`.
    #[default]
    FailNewer,
    /// The newer run stops the older ones of its own pipeline and proceeds.
    CancelOlder,
    /// The newer run is answered `proceed: false`, for a Choice to end it quietly.
    Skip,
}

/// A request whose every value is good.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The run that asks.
    pub run: ExecutionArn,
    /// When the run entered the state that asks: a later time is a new question.
    pub entered: Timestamp,
    /// Which retry of that state this is; it repeats the question.
    pub retry: u32,
    /// How often the run was redriven, as far as the caller knows.
    pub redrive: Option<u32>,
    /// What becomes of the newer run.
    pub policy: Policy,
    /// Other pipelines that this one must not overlap with; its own is not among them, and none is twice.
    pub also_check: Vec<StateMachineArn>,
    /// Runs that are no overlap: those that started this one.
    pub ignore_ancestors: Vec<ExecutionArn>,
}

impl TryFrom<Request> for Ask {
    type Error = BadRequest;

    fn try_from(request: Request) -> Result<Self, BadRequest> {
        let run = execution("executionArn".to_owned(), &request.execution_arn)?;
        if let Some(text) = &request.state_machine_arn {
            let machine =
                StateMachineArn::parse(text).map_err(|e| BadRequest::new("stateMachineArn", e.to_string()))?;
            if machine != *run.machine() {
                return Err(BadRequest::new(
                    "stateMachineArn",
                    format!(
                        "is {machine}, but executionArn is of {}; pass $$.StateMachine.Id or leave it out",
                        run.machine()
                    ),
                ));
            }
        }
        let entered = Timestamp::parse(&request.entered_time).ok_or_else(|| {
            BadRequest::new(
                "enteredTime",
                format!(
                    "\"{}\" is not an RFC 3339 time such as 2026-01-31T04:00:12.345Z; pass $$.State.EnteredTime",
                    request.entered_time.chars().take(40).collect::<String>()
                ),
            )
        })?;
        at_most("alsoCheck", request.also_check.len(), ALSO_CHECK_MOST)?;
        at_most("ignoreAncestors", request.ignore_ancestors.len(), IGNORE_ANCESTORS_MOST)?;
        let mut also_check = Vec::with_capacity(request.also_check.len());
        for (at, text) in request.also_check.iter().enumerate() {
            let path = format!("alsoCheck[{at}]");
            let machine = StateMachineArn::parse(text).map_err(|e| BadRequest::new(&path, e.to_string()))?;
            if machine.home() != run.machine().home() {
                return Err(BadRequest::new(
                    path,
                    format!("is {machine}; only state machines of the run's own account and Region can be checked"),
                ));
            }
            if machine != *run.machine() && !also_check.contains(&machine) {
                also_check.push(machine);
            }
        }
        let ignore_ancestors = request
            .ignore_ancestors
            .iter()
            .enumerate()
            .map(|(at, text)| execution(format!("ignoreAncestors[{at}]"), text))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(at) = ignore_ancestors.iter().position(|ancestor| *ancestor == run) {
            return Err(BadRequest::new(
                format!("ignoreAncestors[{at}]"),
                "is the run itself; name the executions that started it",
            ));
        }
        Ok(Self {
            run,
            entered,
            retry: request.retry_count,
            redrive: request.redrive_count,
            policy: request.policy,
            also_check,
            ignore_ancestors,
        })
    }
}

fn execution(path: String, text: &str) -> Result<ExecutionArn, BadRequest> {
    ExecutionArn::parse(text).map_err(|e| BadRequest::new(path, e.to_string()))
}

fn at_most(path: &str, found: usize, most: usize) -> Result<(), BadRequest> {
    if found > most {
        return Err(BadRequest::new(
            path,
            format!("has {found} entries; it takes at most {most}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signalbox::request::parse;

    use super::*;

    const HOME: &str = "arn:aws:states:us-east-1:123456789012";

    fn ask(change: impl FnOnce(&mut Value)) -> Result<Ask, String> {
        let mut payload = json!({
            "executionArn": format!("{HOME}:execution:orders:run-1"),
            "enteredTime": "2026-01-31T04:00:12.345Z",
            "retryCount": 0,
        });
        change(&mut payload);
        parse::<Request>(payload)
            .and_then(Ask::try_from)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_smallest_request_has_defaults() {
        let ask = ask(|_| ()).unwrap();
        assert_eq!(ask.policy, Policy::FailNewer);
        assert!(ask.also_check.is_empty() && ask.ignore_ancestors.is_empty());
        assert_eq!(ask.redrive, None);
    }

    #[test]
    fn versions_aliases_and_repetitions_become_one_machine() {
        let ask = ask(|r| {
            r["stateMachineArn"] = json!(format!("{HOME}:stateMachine:orders:PROD"));
            r["alsoCheck"] = json!([
                format!("{HOME}:stateMachine:restore:3"),
                format!("{HOME}:stateMachine:restore"),
                format!("{HOME}:stateMachine:orders"),
            ]);
        })
        .unwrap();
        let names: Vec<_> = ask.also_check.iter().map(StateMachineArn::name).collect();
        assert_eq!(names, ["restore"]);
    }

    #[test]
    fn every_refusal_names_its_field() {
        let set = |field: &'static str, value: Value| ask(move |r| r[field] = value).unwrap_err();
        for (error, says) in [
            (
                set("executionArn", json!(format!("{HOME}:express:m:r:0f"))),
                "executionArn: ",
            ),
            (
                set("executionArn", json!(format!("{HOME}:stateMachine:m:PROD"))),
                "is an alias of a state machine",
            ),
            (
                set("executionArn", json!(format!("{HOME}:stateMachine:m:4"))),
                "is a version of a state machine",
            ),
            (set("executionArn", json!("x".repeat(300))), "at most 256"),
            (
                set("stateMachineArn", json!(format!("{HOME}:stateMachine:other"))),
                "stateMachineArn: is ",
            ),
            (
                set("enteredTime", json!("now")),
                "enteredTime: \"now\" is not an RFC 3339 time",
            ),
            (set("retryCount", json!(-1)), "retryCount: "),
            (set("retryCount", json!("0")), "retryCount: "),
            (
                set("policy", json!("failOlder")),
                "policy: unknown variant `failOlder`, expected one of `failNewer`, `cancelOlder`, `skip`",
            ),
            (
                set("alsoCheck", json!(["orders"])),
                "alsoCheck[0]: \"orders\" is not an ARN",
            ),
            (
                set("alsoCheck", json!(vec![format!("{HOME}:stateMachine:m"); 11])),
                "alsoCheck: has 11 entries; it takes at most 10",
            ),
            (
                set(
                    "alsoCheck",
                    json!(["arn:aws:states:eu-west-1:123456789012:stateMachine:m"]),
                ),
                "alsoCheck[0]: is arn:aws:states:eu-west-1",
            ),
            (
                set("ignoreAncestors", json!([7])),
                "ignoreAncestors[0]: invalid type: integer `7`",
            ),
            (
                set("ignoreAncestors", json!(vec!["x"; 11])),
                "ignoreAncestors: has 11 entries",
            ),
            (
                set("ignoreAncestors", json!([format!("{HOME}:execution:orders:run-1")])),
                "ignoreAncestors[0]: is the run itself",
            ),
            (set("wait", json!(true)), "wait: unknown field `wait`"),
        ] {
            assert!(error.contains(says), "{error}\n  should say: {says}");
        }
        let missing = ask(|r| {
            r.as_object_mut().unwrap().remove("executionArn");
        });
        assert_eq!(missing.unwrap_err(), "executionArn: is missing; it is required");
    }
}
