//! What is answered.

use serde::Serialize;
use serde_json::{Value, json};
use signalbox::console::execution_url;

use crate::apply::Applied;
use crate::diff::unified;
use crate::plan::{Status, Strategy};
use crate::planning::Planned;
use crate::request::Asked;
use crate::sweep::Swept;

/// Most bytes of a diff.
const DIFF_BYTES: usize = 64 * 1024;

/// Most bytes of an answer that has the definition in it: Lambda answers with 6 MB at most.
///
/// Source: Lambda quotas, "Invocation payload (request and response)", 6 MB synchronous.
const ANSWER_BYTES: usize = 5_000_000;

/// The answer, as JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Answer(Value);

impl Answer {
    /// To a request that is only to be planned.
    #[must_use]
    pub fn planned<S>(asked: &Asked, planned: &Planned<S>, request: &Value, function: &str) -> Self {
        let mut answer = plan(asked, planned);
        let apply = to_apply(request, &planned.plan_hash);
        answer["command"] = json!(command(&apply, function));
        answer["apply"] = apply;
        answer["applied"] = json!(false);
        Self(answer)
    }

    /// To the schedule.
    #[must_use]
    pub fn swept(swept: &Swept) -> Self {
        Self(json!(swept))
    }

    /// To a request that was done.
    #[must_use]
    pub fn applied<S>(asked: &Asked, planned: Option<&Planned<S>>, applied: &Applied) -> Self {
        let mut answer = match planned {
            Some(planned) => plan(asked, planned),
            None => json!({"strategy": if applied.resume.clone.is_some() { "clone" } else { "redrive" }}),
        };
        let resume = &applied.resume;
        for field in ["definition", "diff"] {
            if let Some(answer) = answer.as_object_mut() {
                answer.remove(field);
            }
        }
        answer["applied"] = json!(true);
        answer["planHash"] = json!(resume.plan_hash);
        answer["executionArn"] = json!(resume.execution.as_str());
        answer["consoleUrl"] = json!(execution_url(&resume.execution));
        answer["status"] = json!(applied.status.map(status));
        answer["appliedBefore"] = json!(applied.before);
        if let Some(clone) = &resume.clone {
            answer["stateMachineArn"] = json!(clone.as_str());
        }
        Self(answer)
    }
}

fn plan<S>(asked: &Asked, planned: &Planned<S>) -> Value {
    let (plan, origin) = (&planned.plan, &planned.origin);
    let warnings = plan.warnings.iter().map(|warning| {
        let mut told = json!({"code": warning.code.name(), "text": warning.text});
        if let Some(state) = &warning.state {
            told["state"] = json!(state);
        }
        told
    });
    let holds = plan.holds.iter().map(|held| {
        let mut told = json!({"lock": held.lock.as_deref().unwrap_or("overlap"), "state": held.state});
        if let Some(hold) = &held.hold {
            told["hold"] = json!(hold);
        }
        told
    });
    let mut answer = json!({
        "origin": {
            "executionArn": asked.execution.as_str(),
            "stateMachineArn": asked.execution.machine().as_str(),
            "status": status(origin.status),
            "redriveCount": origin.redrives,
            "error": origin.error,
            "cause": origin.cause,
        },
        "failedAt": plan.failed.as_ref().map(ToString::to_string),
        "handledBy": plan.failed.as_ref().and_then(|failed| failed.handled.as_ref()).map(|handled| &handled.by),
        "strategy": plan.strategy.name(),
        "why": plan.why,
        "resumesAt": plan.lists.resumes_at,
        "kept": plan.lists.kept,
        "runAgain": plan.lists.run_again,
        "mayHaveRun": plan.lists.may_have_run,
        "variables": plan.variables,
        "holds": holds.collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(),
        "transitions": plan.transitions,
        "planHash": planned.plan_hash,
        "executionName": planned.execution_name,
    });
    if let (Strategy::Clone, Some(built)) = (plan.strategy, &plan.built) {
        answer["cloneName"] = json!(planned.clone_name);
        if built.text.len() < ANSWER_BYTES - DIFF_BYTES {
            answer["definition"] = built.definition.clone();
            answer["diff"] = json!(unified(&planned.document, &built.definition, DIFF_BYTES));
        }
    }
    answer
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Running => "RUNNING",
        Status::Succeeded => "SUCCEEDED",
        Status::Failed => "FAILED",
        Status::TimedOut => "TIMED_OUT",
        Status::Aborted => "ABORTED",
    }
}

/// The same request, that this plan is to be done.
fn to_apply(request: &Value, plan_hash: &str) -> Value {
    let mut apply = request.clone();
    apply["apply"] = json!(true);
    apply["planHash"] = json!(plan_hash);
    apply
}

/// The command that does it. In single quotes a shell takes everything but a single quote as it is.
fn command(apply: &Value, function: &str) -> String {
    let quoted = apply.to_string().replace('\'', r"'\''");
    format!(
        "aws lambda invoke --function-name {function} --cli-binary-format raw-in-base64-out --payload '{quoted}' /dev/stdout"
    )
}
