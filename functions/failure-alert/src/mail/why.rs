//! Why it failed: errors and causes, from the outermost to the one that tells.

use std::time::Duration;

use signalbox::history::{Failed, Failure};

use super::cause::{Told, tell};
use super::headline::{Cancelled, places};
use super::words::{Page, capital, cut, duration, quoted, times};
use crate::alert::{Alert, Child, Status};

/// How much of a cause is shown.
const CAUSE_CHARS: usize = 2_000;
const CAUSE_LINES: usize = 30;

/// What is said of the failure itself: of the innermost nested execution that is known, of the state, or of the end.
pub(crate) fn told(alert: &Alert) -> Told {
    let inner = alert.children.iter().rev().find_map(|child| child.failure.as_ref());
    if let Some(inner) = inner {
        return of_failure(inner);
    }
    if alert.end.status != Status::Failed {
        return of_end(alert);
    }
    let place = places(alert).first();
    let told = match place.filter(|place| place.error.is_some() || place.cause.is_some()) {
        Some(place) => tell(place.error.as_deref(), place.cause.as_deref()),
        None => of_end(alert),
    };
    let entered = place.and_then(|place| place.entered).filter(|_| alert.end.redrive == 0);
    explained(told, entered.map(|entered| alert.end.stopped.since(entered)))
}

fn of_failure(failure: &Failure) -> Told {
    match failure
        .places
        .first()
        .filter(|place| place.error.is_some() || place.cause.is_some())
    {
        Some(place) => tell(place.error.as_deref(), place.cause.as_deref()),
        None => tell(failure.error.as_deref(), failure.cause.as_deref()),
    }
}

fn of_end(alert: &Alert) -> Told {
    let end = &alert.end;
    match (&end.error, &end.cause, &alert.failure) {
        (None, None, Some(failure)) => tell(failure.error.as_deref(), failure.cause.as_deref()),
        (error, cause, _) => tell(error.as_deref(), cause.as_deref()),
    }
}

/// Why it failed.
pub(crate) fn why(page: &mut Page, alert: &Alert) {
    let end = &alert.end;
    let mut outer = places(alert).first();
    for child in &alert.children {
        page.text(2, &waited_for(outer, child));
        outer = child.failure.as_ref().and_then(|failure| failure.places.first());
    }
    if !alert.children.is_empty() {
        page.gap();
    }
    let told = told(alert);
    match end.status {
        Status::TimedOut => page.text(2, "It took longer than the TimeoutSeconds of its state machine allows."),
        Status::Aborted if told == Told::default() => page.text(2, "Whoever stopped it gave no reason."),
        Status::Failed if told == Told::default() => page.text(
            2,
            "Neither an error nor a cause is known; those of an encrypted pipeline are for whoever has its key.",
        ),
        Status::Aborted if Cancelled::of(end.error.as_deref()).is_none() => page.text(2, "The reason given:"),
        Status::Aborted | Status::Failed => {}
    }
    say(page, &told);
    if end.status != Status::Failed {
        return;
    }
    let Some(place) = places(alert).first() else { return };
    if alert.children.is_empty() {
        tried(page, place);
    }
    if let Some(handled) = &place.handled {
        page.gap();
        let (by, ended_at) = (quoted(&handled.by), quoted(&handled.ended_at));
        let ended = of_end(alert);
        let colon = if ended == Told::default() || ended == told {
            "."
        } else {
            ":"
        };
        page.text(
            2,
            &match by == ended_at {
                true => format!("It was caught, and led to {by}, where the run ended{colon}"),
                false => format!("It was caught, and led to {by}; the run ended at {ended_at}{colon}"),
            },
        );
        if colon == ":" {
            say(page, &ended);
        }
    }
}

fn waited_for(outer: Option<&Failed>, child: &Child) -> String {
    let who = outer
        .and_then(|place| place.path.last())
        .map_or_else(|| "It".to_owned(), |step| quoted(&step.state));
    let execution = &child.execution;
    let (name, machine) = (execution.name(), execution.machine().name());
    let failed = match &child.failure {
        None => "failed; why could not be found out.".to_owned(),
        Some(failure) => match failure.places.first() {
            None => "failed.".to_owned(),
            Some(place) => format!("failed at {place}."),
        },
    };
    format!("{who} waited for the nested execution {name} of {machine}, which {failed}")
}

/// An error and its cause.
pub(crate) fn say(page: &mut Page, told: &Told) {
    page.text(2, &cut(&told.sentence(), CAUSE_CHARS, CAUSE_LINES));
    for line in &told.stack.lines {
        page.line(&format!("    {}", cut(line, 200, 1).replace('\n', " ")));
    }
    if told.stack.left_out > 0 && !told.stack.lines.is_empty() {
        page.line(&format!("    ... ({} more of the stack)", told.stack.left_out));
    }
    if !told.facts.is_empty() {
        let facts: Vec<String> = told.facts.iter().map(|fact| cut(fact, 300, 1)).collect();
        page.text(2, &format!("{}.", capital(&facts.join(", "))));
    }
}

/// What errors mean that come without a cause.
fn explained(mut told: Told, open: Option<Duration>) -> Told {
    let meaning = match told.errors.last().map(String::as_str) {
        _ if !told.message.is_empty() => return told,
        Some("States.Timeout") => "it took longer than its TimeoutSeconds allow",
        Some("States.HeartbeatTimeout") => "it was silent for longer than its HeartbeatSeconds allow",
        _ => return told,
    };
    told.message = match open {
        Some(open) => format!("{meaning}; it was open for {}", duration(open)),
        None => meaning.to_owned(),
    };
    told
}

fn tried(page: &mut Page, place: &Failed) {
    let text = match (place.attempts, place.attempts_most) {
        (0, _) | (1, None) => return,
        (1, Some(1)) => "Tried once: no Retry answers this error.".to_owned(),
        (attempts, Some(most)) if attempts >= most => {
            format!("Tried {}, as often as its Retry allows.", times(attempts))
        }
        (attempts, Some(most)) => format!("Tried {}; its Retry allows {most}.", times(attempts)),
        (attempts, None) => format!("Tried {}.", times(attempts)),
    };
    page.gap();
    page.text(2, &text);
}
