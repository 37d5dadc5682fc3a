//! The run: when, how long beside what is usual, since when it fails, who waits for it.

use super::words::{capital, count, duration, minute, ordinal, period, quoted, roughly, times};
use crate::alert::{Alert, Past, Status};

/// The run, a paragraph each.
pub(crate) fn lines(alert: &Alert) -> Vec<String> {
    let execution = &alert.end.execution;
    let machine = execution.machine();
    let account = machine.home().split(':').nth(4).unwrap_or_default();
    let mut lines = vec![format!(
        "{} of {} (account {account}, {})",
        execution.name(),
        machine.name(),
        machine.region()
    )];
    if alert.is_resumed() {
        let pipeline = alert.pipeline.name();
        lines.push(format!(
            "It is a run of {pipeline} that was resumed, in a clone of its state machine."
        ));
    }
    lines.push(took(alert));
    lines.extend(since_when(alert));
    lines.extend(locks(alert));
    lines
}

/// `Ran 4 min 12 s, usually 12 min: …`. The time between an end and a redrive is no time of the run's.
fn took(alert: &Alert) -> String {
    let end = &alert.end;
    // A resumed run has only a part to do.
    let past = alert.past.filter(|_| !alert.is_resumed());
    let usual = past.and_then(|past| past.usual).map(roughly);
    match (end.started, end.redrive) {
        (Some(started), 0) => {
            let usual = usual.map(|usual| format!(", usually {usual}")).unwrap_or_default();
            let took = duration(end.stopped.since(started));
            format!("Ran {took}{usual}: {}.", period(started, end.stopped))
        }
        (started, redrive) => {
            let started = started.map(|started| format!("Started {}, ", minute(started)));
            let redriven = (redrive > 0).then(|| format!("redriven {}, ", times(redrive)));
            let usual = usual
                .map(|usual| format!(" Usually it takes {usual}."))
                .unwrap_or_default();
            let parts = [started.unwrap_or_default(), redriven.unwrap_or_default()].concat();
            capital(&format!("{parts}ended {}.{usual}", end.stopped.for_people()))
        }
    }
}

/// `Third failure in a row; last success 2026-01-30 04:12 UTC.`
pub(crate) fn since_when(alert: &Alert) -> Option<String> {
    let past = alert.past?;
    let success = past.last_success.map(|at| format!("last success {}", minute(at)));
    if alert.end.status == Status::Aborted {
        return success.map(|success| format!("{}.", capital(&success)));
    }
    let row = in_a_row(past);
    Some(match success {
        Some(success) => format!("{row}; {success}."),
        None => format!("{row}."),
    })
}

fn in_a_row(past: Past) -> String {
    let number = past.in_a_row;
    match (past.or_more, past.last_success) {
        (true, _) => format!("At least {} in a row", count(number, "failure", "failures")),
        (false, Some(_)) if number <= 1 => "First failure".to_owned(),
        (false, Some(_)) => format!("{} failure in a row", capital(&ordinal(number))),
        (false, None) if number <= 1 => "First failure; none has succeeded before".to_owned(),
        (false, None) => format!(
            "{} failure in a row; none has succeeded before",
            capital(&ordinal(number))
        ),
    }
}

/// Who waits behind its locks. Nobody waits for those of the overlap guard.
pub(crate) fn locks(alert: &Alert) -> Vec<String> {
    let locks = alert.locks.iter().filter(|lock| !lock.lock.is_the_guards());
    let line = |lock: &crate::alert::Lock| {
        let name = quoted(lock.lock.as_str());
        let waiting = match lock.waiting {
            0 => "nobody waits for it".to_owned(),
            1 => "1 run waits for it".to_owned(),
            waiting => format!("{waiting} runs wait for it"),
        };
        match lock.held {
            true => format!("Still has the lock {name}; {waiting}."),
            false => format!("Had the lock {name}, and has it no longer; {waiting}."),
        }
    };
    locks.map(line).collect()
}
