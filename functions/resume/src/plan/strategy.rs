//! A redrive or a clone, and why.

use std::time::Duration;

use signalbox::asl::Kind;
use signalbox::history::Ended;

use super::aim::Aims;
use super::facts::{Ask, Facts, Mode, Status, Waits};
use crate::past::{Inside, Scope, Visit};
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

/// Chooses: the strategy, and why.
pub(super) fn choose(facts: &Facts<'_>, ask: &Ask, aims: &Aims) -> Result<(Strategy, String), Refusal> {
    if !aims.named && ask.skip_with_output.is_none() {
        child_first(facts)?;
    }
    let obstacle = obstacle(facts, ask, aims);
    match (ask.mode, obstacle) {
        (Mode::Clone, _) => Ok((Strategy::Clone, "a clone was asked for".to_owned())),
        (Mode::Auto, Some(why)) => Ok((Strategy::Clone, format!("a redrive does not do it: {why}"))),
        (Mode::Redrive, Some(why)) => Err(Refusal::NotRedrivable { why }),
        (Mode::Auto | Mode::Redrive, None) => Ok((
            Strategy::Redrive,
            "a redrive does the same, and needs no clone: it goes on at what failed, with nothing changed".to_owned(),
        )),
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
        && place.path.len() == 1
        && kind.is_some_and(|(state, kind)| state == aim.state && !kind.is_container())
        && top.is_some_and(Visit::is_open)
}

/// A nested execution that failed has to be resumed itself: a redrive of its parent begins it anew.
fn child_first(facts: &Facts<'_>) -> Result<(), Refusal> {
    let Some(failure) = &facts.past.failure else {
        return Ok(());
    };
    for place in &failure.places {
        let Some((leaf, around)) = place.path.split_last() else {
            continue;
        };
        let way = around
            .iter()
            .filter_map(|step| Some((step.state.as_str(), step.index?)));
        let visit = visit_at(&facts.past.top, way, &leaf.state);
        let Some(task) = visit
            .and_then(|visit| visit.task.as_ref())
            .filter(|_| leaf.kind == Kind::Task)
        else {
            continue;
        };
        let nested = task
            .resource
            .as_deref()
            .is_some_and(|resource| resource.contains("states:startExecution.sync"));
        let child = task
            .submitted
            .as_deref()
            .and_then(child_of)
            .or_else(|| place.cause.as_deref().and_then(child_of));
        if let Some(child) = child.filter(|_| nested) {
            return Err(Refusal::ChildFirst {
                state: leaf.state.clone(),
                child,
            });
        }
    }
    Ok(())
}

fn visit_at<'p>(top: &'p Scope, way: impl Iterator<Item = (&'p str, u32)>, state: &str) -> Option<&'p Visit> {
    let mut scope = top;
    for (container, index) in way {
        scope = match &scope.visits.get(container)?.inside {
            Inside::Parallel(regions)
            | Inside::Map {
                iterations: regions, ..
            } => regions.get(&index)?,
            Inside::Nothing => return None,
        };
    }
    scope.visits.get(state)
}

/// The nested execution's ARN, in what `StartExecution` or a failed `.sync` answered.
fn child_of(answer: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
    answer.get("ExecutionArn")?.as_str().map(str::to_owned)
}
