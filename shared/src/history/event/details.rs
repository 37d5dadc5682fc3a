//! What an event's type and details mean.

use std::collections::BTreeMap;

use super::{Iteration, Reason, What};
use crate::asl::Kind;
use crate::history::Ended;

/// The details of an event, of whatever type: each field that one of them has.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) name: Option<String>,
    pub(super) state: Option<String>,
    pub(super) index: Option<u32>,
    pub(super) input: Option<String>,
    pub(super) output: Option<String>,
    pub(super) assigned: BTreeMap<String, String>,
    pub(super) resource: Option<String>,
    pub(super) resource_type: Option<String>,
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
}

impl Details {
    fn reason(self) -> Reason {
        Reason {
            error: self.error,
            cause: self.cause,
        }
    }

    fn iteration(self) -> Option<Iteration> {
        Some(Iteration {
            map: self.name?,
            index: self.index?,
        })
    }

    /// As a definition has it: `lambda:invoke` is `arn:aws:states:::lambda:invoke` there.
    fn resource(&mut self) -> Option<String> {
        match (self.resource_type.take(), self.resource.take()) {
            (Some(service), Some(action)) => Some(format!("arn:aws:states:::{service}:{action}")),
            (_, resource) => resource,
        }
    }
}

pub(super) fn what(name: &str, mut details: Details) -> What {
    match name {
        "ExecutionStarted" => What::ExecutionStarted,
        "ExecutionSucceeded" => What::ExecutionSucceeded,
        "ExecutionFailed" => What::ExecutionEnded(Ended::Failed, details.reason()),
        "ExecutionTimedOut" => What::ExecutionEnded(Ended::TimedOut, details.reason()),
        "ExecutionAborted" => What::ExecutionEnded(Ended::Aborted, details.reason()),
        "ExecutionRedriven" => What::ExecutionRedriven,
        "ParallelStateStarted" => What::Started(Kind::Parallel),
        "MapStateStarted" => What::Started(Kind::Map),
        "ParallelStateFailed" => What::ContainerFailed(Kind::Parallel),
        "MapStateFailed" => What::ContainerFailed(Kind::Map),
        "MapIterationStarted" => details.iteration().map_or(What::Other, What::IterationStarted),
        "MapIterationSucceeded" => details.iteration().map_or(What::Other, What::IterationSucceeded),
        "MapIterationFailed" => details.iteration().map_or(What::Other, What::IterationFailed),
        "TaskScheduled" | "LambdaFunctionScheduled" | "ActivityScheduled" => What::Scheduled {
            resource: details.resource(),
        },
        "TaskStarted"
        | "TaskSubmitted"
        | "LambdaFunctionStarted"
        | "ActivityStarted"
        | "MapRunStarted"
        | "MapRunRedriven" => What::Progress,
        "TaskSucceeded" | "LambdaFunctionSucceeded" | "ActivitySucceeded" | "MapRunSucceeded" => What::AttemptSucceeded,
        "TaskFailed"
        | "TaskTimedOut"
        | "TaskStartFailed"
        | "TaskSubmitFailed"
        | "LambdaFunctionFailed"
        | "LambdaFunctionTimedOut"
        | "LambdaFunctionStartFailed"
        | "LambdaFunctionScheduleFailed"
        | "ActivityFailed"
        | "ActivityTimedOut"
        | "ActivityScheduleFailed"
        | "MapRunFailed" => What::AttemptFailed {
            resource: details.resource(),
            reason: details.reason(),
        },
        "EvaluationFailed" => match details.state.take() {
            Some(state) => What::EvaluationFailed {
                state,
                reason: details.reason(),
            },
            None => What::Other,
        },
        _ => of_a_state(name, details).unwrap_or(What::Other),
    }
}

/// `TaskStateEntered`, `MapStateExited`, ….
fn of_a_state(name: &str, details: Details) -> Option<What> {
    let (kind, entered) = match name.strip_suffix("StateEntered") {
        Some(kind) => (kind, true),
        None => (name.strip_suffix("StateExited")?, false),
    };
    let (kind, state) = (Kind::named(kind)?, details.name?);
    Some(match entered {
        true => What::Entered {
            kind,
            state,
            input: details.input,
        },
        false => What::Exited {
            kind,
            state,
            output: details.output,
            assigned: details.assigned,
        },
    })
}
