//! What to do: whether and how the run goes on.

mod redrive;
mod resume;

use signalbox::history::{Handled, Kind};

use super::Options;
use super::headline::{Cancelled, places};
use super::words::quoted;
use crate::alert::{Alert, Status};

pub use resume::Resume;

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
pub(crate) fn advice(alert: &Alert, options: &Options) -> Advice {
    let Some(situation) = situation(alert) else {
        return Advice {
            texts: vec!["Nothing, if the newer run does well.".to_owned()],
            command: None,
        };
    };
    let resume = options.resume.as_ref();
    match resume.filter(|resume| resume.reaches(alert.end.execution.machine())) {
        Some(resume) => resume::advice(alert, situation, resume),
        None => redrive::advice(alert, situation),
    }
}

/// What helps depends on.
#[derive(Debug, Clone, Copy)]
enum Situation<'a> {
    /// It was redriven, and somebody else had its lock.
    LostLock,
    /// Somebody stopped it.
    Stopped,
    /// It took too long as a whole.
    TimedOut,
    /// A failure was caught.
    Caught(&'a Handled),
    /// It came to a Fail state.
    Fail,
    /// The definition does not fit the data: the error.
    Definition(&'a str),
    /// A state failed.
    Failed,
}

/// `None`: a newer run took its place.
fn situation(alert: &Alert) -> Option<Situation<'_>> {
    let error = alert.end.error.as_deref();
    match alert.end.status {
        Status::Aborted => {
            return match Cancelled::of(error) {
                Some(Cancelled::NewerRun) => None,
                Some(Cancelled::LostLock) => Some(Situation::LostLock),
                None => Some(Situation::Stopped),
            };
        }
        Status::TimedOut => return Some(Situation::TimedOut),
        Status::Failed => {}
    }
    let place = places(alert).first();
    if let Some(handled) = place.and_then(|place| place.handled.as_ref()) {
        return Some(Situation::Caught(handled));
    }
    let last = place.and_then(|place| place.path.last());
    if last.is_some_and(|step| step.kind == Kind::Fail) {
        return Some(Situation::Fail);
    }
    let error = place.and_then(|place| place.error.as_deref()).or(error);
    Some(match error.filter(|error| OF_DEFINITION.contains(error)) {
        Some(error) => Situation::Definition(error),
        None => Situation::Failed,
    })
}

/// What a run keeps that goes on at a state inside of others.
fn keeps(alert: &Alert) -> &'static str {
    match places(alert).first().is_some_and(|place| place.path.len() > 1) {
        true => " What has succeeded in other branches and iterations is kept.",
        false => "",
    }
}

/// The locks that the run had, and has no longer: ` the lock "warehouse", "dock"`.
fn lost_locks(alert: &Alert) -> Option<String> {
    let lost = alert
        .locks
        .iter()
        .filter(|lock| !lock.held && !lock.lock.is_the_guards());
    let names: Vec<String> = lost.map(|lock| quoted(lock.lock.as_str())).collect();
    (!names.is_empty()).then(|| format!("the lock {}", names.join(", ")))
}
