//! What to do: whether a redrive helps, until when, and how.

use signalbox::history::Kind;

use super::headline::{Cancelled, places, state};
use super::words::{argument, minute, quoted};
use crate::alert::{Alert, Redrive, Status};
use crate::redact::redact;

/// Errors of the definition and the data, of which a redrive takes the same.
const OF_DEFINITION: [&str; 7] = [
    "States.Runtime",
    "States.QueryEvaluationError",
    "States.ParameterPathFailure",
    "States.ResultPathMatchFailure",
    "States.IntrinsicFailure",
    "States.NoChoiceMatched",
    "States.DataLimitExceeded",
];

/// What to do.
pub(crate) struct Advice {
    /// In words, a paragraph each.
    pub(crate) texts: Vec<String>,
    /// The command that does it, if it is one.
    pub(crate) command: Option<String>,
}

/// What to do after an alert.
pub(crate) fn advice(alert: &Alert) -> Advice {
    let none = |text: String| Advice {
        texts: vec![text],
        command: None,
    };
    let until = match &alert.redrive {
        Redrive::Until(until) => format!("possible until {}", minute(*until)),
        Redrive::Unknown => "mostly possible for 14 days".to_owned(),
        Redrive::Not(why) => {
            let why = redact(why);
            return none(format!(
                "It cannot be redriven: {}. Start a new execution once the reason is gone.",
                why.trim_end_matches('.')
            ));
        }
    };
    let place = places(alert).first();
    let state = state(alert);
    let at = state.as_deref().unwrap_or("what failed");
    match Cancelled::of(alert.end.error.as_deref()).filter(|_| alert.end.status == Status::Aborted) {
        Some(Cancelled::NewerRun) => return none("Nothing, if the newer run does well.".to_owned()),
        Some(Cancelled::LostLock) => {
            return with_command(
                alert,
                format!(
                    "Redrive it once nobody else has the lock ({until}); before that it is stopped again. Or start a new execution, which asks for the lock like every other."
                ),
            );
        }
        None => {}
    }
    if alert.end.status == Status::Aborted {
        return with_command(
            alert,
            format!("Nothing, if it was meant to stop. Otherwise a redrive goes on where it was stopped ({until})."),
        );
    }
    if alert.end.status == Status::TimedOut {
        return with_command(
            alert,
            format!(
                "Find out first what took so long. A redrive goes on with the states that were open, and keeps what has succeeded ({until})."
            ),
        );
    }
    if let Some(handled) = place.and_then(|place| place.handled.as_ref()) {
        return none(format!(
            "A redrive does not help: it starts at {}, where the run ended, and not at {at}, whose failure was caught. Start a new execution once the reason is gone.",
            quoted(&handled.ended_at)
        ));
    }
    if place
        .and_then(|place| place.path.last())
        .is_some_and(|step| step.kind == Kind::Fail)
    {
        return none(format!(
            "A redrive does not help: it starts at the Fail state {at}, which fails again at once. Start a new execution once the reason is gone."
        ));
    }
    let error = place
        .and_then(|place| place.error.as_deref())
        .or(alert.end.error.as_deref());
    if let Some(error) = error.filter(|error| OF_DEFINITION.contains(error)) {
        return none(format!(
            "A redrive hardly helps, though it is {until}: it takes the same definition and the same data, and {error} comes of these. Start a new execution with what is right."
        ));
    }
    let nested = match alert.children.is_empty() {
        true => "",
        false => ", with a new nested execution that begins from its start",
    };
    let in_part = places(alert).first().is_some_and(|place| place.path.len() > 1);
    let keeps = match in_part {
        true => " What has succeeded in other branches and iterations is kept.",
        false => "",
    };
    with_command(
        alert,
        format!("Once the reason is gone, a redrive goes on at {at}{nested} ({until}).{keeps}"),
    )
}

/// A redrive. What the execution had locked may be somebody else's by then.
fn with_command(alert: &Alert, text: String) -> Advice {
    let mut texts = vec![text];
    let lost: Vec<String> = alert
        .locks
        .iter()
        .filter(|lock| !lock.held && !lock.lock.is_the_guards())
        .map(|lock| quoted(lock.lock.as_str()))
        .collect();
    if !lost.is_empty() && Cancelled::of(alert.end.error.as_deref()).is_none() {
        texts.push(format!(
            "It no longer has the lock {}. If another run has it by then, the redriven run is stopped again.",
            lost.join(", ")
        ));
    }
    let execution = &alert.end.execution;
    Advice {
        texts,
        command: Some(format!(
            "aws stepfunctions redrive-execution --execution-arn {} --region {}",
            argument(execution.as_str()),
            execution.machine().region()
        )),
    }
}
