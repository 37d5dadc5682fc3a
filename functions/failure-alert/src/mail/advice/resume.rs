//! What to do with `resume`: where the run goes on, and what to ask for.

use serde_json::{Map, Value, json};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::history::{Failed, Kind};

use super::{Advice, Situation, keeps, lost_locks};
use crate::alert::{Alert, Redrive};
use crate::mail::headline::{places, state};
use crate::mail::words::{argument, minute, quoted};
use crate::redact::redact;

/// How people resume runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The stack that the function is in.
    pub stack: String,
    /// What the names of the state machines begin with whose runs it may resume.
    pub prefix: String,
    /// Whether it may make clones of them.
    pub clones: bool,
}

impl Resume {
    /// Whether it may resume runs of this state machine.
    pub(super) fn reaches(&self, machine: &StateMachineArn) -> bool {
        machine.name().starts_with(&self.prefix)
    }

    /// By its name in the stack, which a `samconfig.toml` wherever it is pasted does not change.
    fn command(&self, execution: &ExecutionArn, mut request: Map<String, Value>) -> String {
        request.insert("executionArn".to_owned(), execution.as_str().into());
        request.insert("apply".to_owned(), false.into());
        format!(
            "sam remote invoke ResumeFunction --stack-name {} --region {} --event {}",
            argument(&self.stack),
            execution.machine().region(),
            argument(&Value::Object(request).to_string())
        )
    }
}

pub(super) fn advice(alert: &Alert, situation: Situation<'_>, resume: &Resume) -> Advice {
    let mut execution = &alert.end.execution;
    let mut request = Map::new();
    let state = state(alert);
    let at = state.as_deref().unwrap_or("what failed");
    let (how, clone_only) = (how(alert, resume), clone_only(resume));
    let text = match situation {
        Situation::LostLock => format!(
            "Resume it: it takes the lock again before it goes on. Or start a new execution, which asks for the lock like every other.{how}"
        ),
        Situation::Stopped => {
            format!("Nothing, if it was meant to stop. Otherwise resume it: it goes on where it was stopped.{how}")
        }
        Situation::TimedOut => format!(
            "Find out first what took so long. Resumed, it goes on with the states that were open, and keeps what has succeeded.{how}"
        ),
        Situation::Caught(handled) => format!(
            "A redrive does not help: it starts at {}, where the run ended. Once the reason is gone, resume it: it goes on at {at}, whose failure was caught.{clone_only}",
            quoted(&handled.ended_at)
        ),
        Situation::Fail => format!(
            "A redrive does not help: it starts at the Fail state {at}, which fails again at once. Resume it from a state before it, with what is right: the answer to this names such states. Add one as \"from\", and what it is to be given as \"input\".{clone_only}"
        ),
        Situation::Definition(error) => {
            request.insert("definition".to_owned(), "latest".into());
            format!(
                "A redrive hardly helps: it takes the same definition and the same data, and {error} comes of these. Resume it at {at} with what is right: with the definition that is deployed by then, as below, or with other data, as \"input\" or \"variables\".{clone_only}"
            )
        }
        Situation::Failed => match nested(alert, resume) {
            Nested::None => format!(
                "Once the reason is gone, resume it: it goes on at {at}.{}{how}",
                keeps(alert)
            ),
            Nested::Resumable(child) => {
                execution = child;
                inside_out(alert, child, at)
            }
            Nested::OutOfReach => {
                request.insert("from".to_owned(), from(alert));
                format!(
                    "Once the reason is gone, resume it: it goes on at {at}, with a new nested execution that begins from its start.{}{clone_only}",
                    keeps(alert)
                )
            }
        },
    };
    let mut texts = vec![text];
    if let Some(locks) = lost_locks(alert).filter(|_| !matches!(situation, Situation::LostLock)) {
        texts.push(format!(
            "It no longer has {locks}: resumed, it takes that again before it goes on."
        ));
    }
    texts.push("This plans it, and changes nothing; with \"apply\":true it does it.".to_owned());
    Advice {
        texts,
        command: Some(resume.command(execution, request)),
    }
}

/// First the innermost execution, then those around it.
fn inside_out(alert: &Alert, innermost: &ExecutionArn, at: &str) -> String {
    let (first, run) = (innermost.name(), alert.end.execution.name());
    let then = match alert.children.len() {
        1 => format!(
            "resume {run} after {at}: with {{\"from\": {}, \"skipWithOutput\": …}}, which is what {at} gives on",
            from(alert)
        ),
        _ => format!(
            "those around it, up to {run}, each after the state that waited: with that state as \"from\", and what it gives on as \"skipWithOutput\""
        ),
    };
    format!(
        "Once the reason is gone, resume the nested execution {first} first, which keeps what has succeeded in it. Then {then}."
    )
}

/// By which means, and whether the stack allows them.
fn how(alert: &Alert, resume: &Resume) -> String {
    match (&alert.redrive, resume.clones) {
        (Redrive::Until(until), true) => format!(
            " Until {} a redrive may do it, later a clone of the state machine does.",
            minute(*until)
        ),
        (Redrive::Until(until), false) => format!(" Until {} a redrive may do it.", minute(*until)),
        (Redrive::Not(why), clones) => {
            let why = redact(why);
            let why = why.trim_end_matches('.');
            match clones {
                true => format!(" It cannot be redriven ({why}), but goes on in a clone of the state machine."),
                false => format!(" It cannot be redriven ({why}).{}", clone_only(resume)),
            }
        }
        (Redrive::Unknown, _) => String::new(),
    }
}

/// What nothing but a clone does.
fn clone_only(resume: &Resume) -> &'static str {
    match resume.clones {
        true => "",
        false => " That takes a clone of its state machine, which the stack has to allow first (ResumeRoleArns).",
    }
}

/// The nested execution that failed in its stead.
enum Nested<'a> {
    None,
    /// It is resumed first: the innermost one.
    Resumable(&'a ExecutionArn),
    /// `resume` may not see it.
    OutOfReach,
}

fn nested<'a>(alert: &'a Alert, resume: &Resume) -> Nested<'a> {
    let Some(innermost) = alert.children.last() else {
        return Nested::None;
    };
    let reaches = |execution: &ExecutionArn| !execution.is_map_child() && resume.reaches(execution.machine());
    match alert.children.iter().all(|child| reaches(&child.execution)) {
        true => Nested::Resumable(&innermost.execution),
        false => Nested::OutOfReach,
    }
}

/// The state that failed, as a request names it: with the iterations of the Maps around it.
fn from(alert: &Alert) -> Value {
    let Some((last, around)) = places(alert).first().and_then(|Failed { path, .. }| path.split_last()) else {
        return Value::Null;
    };
    let maps = around.iter().filter(|step| step.kind == Kind::Map);
    let iterations: Map<String, Value> = maps
        .filter_map(|step| Some((step.state.clone(), step.index?.into())))
        .collect();
    match iterations.is_empty() {
        true => json!(last.state),
        false => json!({"state": last.state, "iterations": iterations}),
    }
}
