//! A redrive or a clone, and why.

use std::time::Duration;

use signalbox::history::Ended;

use super::aim::Aims;
use super::facts::{Ask, Facts, Mode, Status, Waits};
use super::seen::region_at;
use crate::past::Visit;
use crate::refusal::Refusal;

/// How a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `RedriveExecution`: the same execution goes on.
    Redrive,
    /// A clone of the state machine, and an execution of it.
    Clone,
}

impl Strategy {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Clone => "clone",
        }
    }
}

/// How long Step Functions redrives an execution after its end.
///
/// Source: Step Functions developer guide, "Restarting state machine executions with redrive": 14 days.
const REDRIVABLE: Duration = Duration::from_hours(14 * 24);

/// What is left of these days when a redrive is planned: between the plan and its apply.
const MARGIN: Duration = Duration::from_mins(10);

/// Events from which on a history has no room for a redrive.
///
/// Source: API reference, `RedriveExecution`: "your workflow execution has exceeded the execution event history limit" (24,999).
const EVENTS_MOST: u64 = 24_999;

/// Chooses: the strategy, and why. `holds`: whether the run held something where it goes on.
pub(super) fn choose(facts: &Facts<'_>, ask: &Ask, aims: &Aims, holds: bool) -> Result<(Strategy, String), Refusal> {
    let nested = nested(facts);
    if !aims.named
        && ask.skip_with_output.is_none()
        && let Some((state, child)) = &nested
    {
        return Err(Refusal::ChildFirst {
            state: state.clone(),
            child: child.clone(),
        });
    }
    match (ask.mode, obstacle(facts, ask, aims)) {
        (Mode::Clone, None) => Ok((
            Strategy::Clone,
            "a clone was asked for; a redrive would do the same".to_owned(),
        )),
        (Mode::Clone, Some(why)) => Ok((
            Strategy::Clone,
            format!("a clone was asked for; a redrive would not do it: {why}"),
        )),
        (Mode::Auto, Some(why)) => Ok((Strategy::Clone, format!("a redrive does not do it: {why}"))),
        (Mode::Auto, None) if nested.is_some() => Ok((
            Strategy::Clone,
            "a redrive does not do it: it may start the nested execution under a name that is taken".to_owned(),
        )),
        (Mode::Redrive, Some(why)) => Err(Refusal::NotRedrivable { why }),
        (Mode::Auto | Mode::Redrive, None) => {
            let mut why =
                "a redrive does the same, and needs no clone: it goes on at what failed, with nothing changed"
                    .to_owned();
            if holds {
                why.push_str("; what the run held is taken back for it first");
            }
            Ok((Strategy::Redrive, why))
        }
    }
}

/// Why a redrive does not do what is asked.
fn obstacle(facts: &Facts<'_>, ask: &Ask, aims: &Aims) -> Option<String> {
    let origin = facts.origin;
    if origin.status == Status::Succeeded {
        return Some("the run has succeeded".to_owned());
    }
    if let Some(reason) = &origin.not_redrivable {
        return Some(format!("Step Functions says: {}", reason.trim_end_matches('.')));
    }
    if origin
        .stopped
        .is_some_and(|stopped| facts.now > stopped.after(REDRIVABLE.saturating_sub(MARGIN)))
    {
        return Some("the run ended 14 days ago or earlier".to_owned());
    }
    if facts.past.events >= EVENTS_MOST {
        return Some(format!(
            "the history has {} events, and no room for more",
            facts.past.events
        ));
    }
    if let Some(field) = ask.overrides() {
        return Some(format!("{field} changes what the state is given"));
    }
    if facts.differs {
        return Some("it would run the old definition".to_owned());
    }
    if ask.pin {
        return Some("pin writes values into the definition".to_owned());
    }
    if ask.waits != Waits::Full {
        return Some("it would wait in full".to_owned());
    }
    if aims.handled {
        return Some("the failure was caught, and a redrive begins where the run ended".to_owned());
    }
    if aims.named && !is_where_it_ended(facts, aims) {
        return Some("a redrive begins where the run ended, not at the state that was named".to_owned());
    }
    None
}

/// Whether what was named is where a redrive begins.
fn is_where_it_ended(facts: &Facts<'_>, aims: &Aims) -> bool {
    let Some(failure) = facts
        .past
        .failure
        .as_ref()
        .filter(|failure| failure.ended == Ended::Failed)
    else {
        return false;
    };
    let ([aim], [place]) = (aims.list.as_slice(), failure.places.as_slice()) else {
        return false;
    };
    let top = facts.past.top.visits.get(&aim.state);
    let kind = place.path.last().map(|leaf| (leaf.state.as_str(), leaf.kind));
    // A Parallel or a Map that is named runs as a whole, and a redrive keeps what finished in it.
    aim.around.is_empty()
        && kind.is_some_and(|(state, kind)| state == aim.state && !kind.is_container())
        && top.is_some_and(Visit::is_open)
}

/// A nested execution that the run ended at, and the state that waited for it: it has to be resumed itself, as a redrive
/// of its parent begins it anew.
fn nested(facts: &Facts<'_>) -> Option<(String, String)> {
    let places = facts.past.failure.iter().flat_map(|failure| &failure.places);
    for place in places {
        let aim = super::aim::aim(place)?;
        let region = region_at(&facts.past.top, &aim.around);
        let task = region.and_then(|region| region.visits.get(&aim.state)?.task.as_ref());
        let child = task
            .filter(|task| task.resource.as_deref().is_some_and(is_nested))
            .and_then(|task| {
                let submitted = task.submitted.as_deref().and_then(child_of);
                submitted.or_else(|| place.cause.as_deref().and_then(child_of))
            });
        if let Some(child) = child {
            return Some((aim.state, child));
        }
    }
    None
}

/// Whether a Task starts an execution and waits for its end.
pub(super) fn is_nested(resource: &str) -> bool {
    resource.contains(":states:startExecution.sync")
}

/// The nested execution's ARN, in what `StartExecution` or a failed `.sync` answered.
pub(super) fn child_of(answer: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
    answer.get("ExecutionArn")?.as_str().map(str::to_owned)
}
