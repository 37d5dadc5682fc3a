//! What happened, in one line.

use signalbox::history::Failed;

use super::words::quoted;
use crate::alert::{Alert, Status};

/// Why Signalbox stopped an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// It was redriven into work that a lock protects that another run has by now: somebody has to act.
    LostLock,
    /// A newer run took its place: as its pipeline wants it.
    NewerRun,
}

impl Cancelled {
    /// By the error that an execution was stopped with; none if a person stopped it, or something else.
    pub(crate) fn of(error: Option<&str>) -> Option<Self> {
        match error? {
            "Lock.LostOnRedrive" => Some(Self::LostLock),
            "OverlapGuard.Cancelled" | "Lock.Cancelled" => Some(Self::NewerRun),
            _ => None,
        }
    }
}

/// Where it failed, or which states were open.
pub(crate) fn places(alert: &Alert) -> &[Failed] {
    alert.failure.as_ref().map_or(&[], |failure| &failure.places)
}

/// `orders-nightly failed at Map "Orders"[3] / Task "Charge" (attempt 4 of 4)`; `orders-nightly, resumed, failed at …`.
pub(crate) fn headline(alert: &Alert) -> String {
    let end = &alert.end;
    let resumed = if alert.is_resumed() { ", resumed," } else { "" };
    let run = format!("{}{resumed}", alert.pipeline.name());
    let open = match places(alert) {
        [] => String::new(),
        [one] => format!(" while in {one}"),
        several => format!(" with {} states open", several.len()),
    };
    let happened = match end.status {
        Status::Failed => return format!("{run} failed{}", at(alert)),
        Status::TimedOut => "timed out",
        Status::Aborted => match Cancelled::of(end.error.as_deref()) {
            None => "was stopped",
            Some(Cancelled::LostLock) => "was redriven without its lock, and stopped",
            Some(Cancelled::NewerRun) => "was stopped for a newer run",
        },
    };
    format!("{run} {happened}{open}")
}

fn at(alert: &Alert) -> String {
    match places(alert) {
        [] => String::new(),
        [place, ..] => format!(" at {place}"),
    }
}

/// The name of the state that failed, in quotes.
pub(crate) fn state(alert: &Alert) -> Option<String> {
    Some(quoted(&places(alert).first()?.path.last()?.state))
}
