//! When an execution was in its states, as its history tells.

use std::collections::HashMap;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};

use crate::{Account, Error, Execution, account::aws};

/// A state from its entry to its exit. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The state.
    pub state: String,
    /// The index of the innermost iteration that it was entered in.
    pub iteration: Option<i32>,
    /// When it was entered.
    pub from: i64,
    /// When it was left; if it never was, when the execution ended.
    pub to: i64,
    /// Whether it was left: what failed or was cut off was not.
    pub left: bool,
}

impl Visit {
    /// Whether it is of this state, or of what a clone has in its place: that is named like it, with `(again)` or
    /// `(resumed)`. What only gives it its input does nothing of it.
    #[must_use]
    pub fn is_of(&self, state: &str) -> bool {
        let rest = self.state.strip_prefix(state);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" (again") || rest.starts_with(" (resumed"))
    }
}

/// The visits of an execution that has ended, in the order of the entries.
pub async fn of(account: &Account, execution: &Execution) -> Result<Vec<Visit>, Error> {
    let history = account
        .sfn()
        .get_execution_history()
        .execution_arn(&execution.arn)
        .include_execution_data(false);
    let mut events = history.into_paginator().items().send();
    let mut reader = Reader::default();
    while let Some(event) = events.next().await {
        reader.read(&event.map_err(aws("States.GetExecutionHistory"))?);
    }
    Ok(reader.visits)
}

#[derive(Default)]
struct Reader {
    visits: Vec<Visit>,
    events: HashMap<i64, Read>,
}

/// What is known of an event.
struct Read {
    previous: i64,
    iteration: Option<i32>,
    /// The visit that it begins.
    entered: Option<usize>,
}

impl Reader {
    fn read(&mut self, event: &HistoryEvent) {
        let at = event.timestamp.to_millis().unwrap_or_default();
        for visit in self.visits.iter_mut().filter(|visit| !visit.left) {
            visit.to = at;
        }
        let previous = event.previous_event_id;
        let mut read = Read {
            previous,
            iteration: self.events.get(&previous).and_then(|event| event.iteration),
            entered: None,
        };
        if event.r#type == HistoryEventType::MapIterationStarted {
            let started = event.map_iteration_started_event_details.as_ref();
            read.iteration = started.map(|details| details.index);
        }
        if let Some(entered) = &event.state_entered_event_details {
            read.entered = Some(self.visits.len());
            self.visits.push(Visit {
                state: entered.name.clone(),
                iteration: read.iteration,
                from: at,
                to: at,
                left: false,
            });
        }
        if let Some(exited) = &event.state_exited_event_details
            && let Some(visit) = self.entered(&exited.name, previous)
        {
            visit.left = true;
            // The exit of a Map follows what was done in it.
            read.iteration = visit.iteration;
        }
        self.events.insert(event.id, read);
    }

    /// The visit of a state that an event follows, over however many others.
    fn entered(&mut self, state: &str, mut event: i64) -> Option<&mut Visit> {
        let index = loop {
            let read = self.events.get(&event)?;
            match read.entered {
                Some(index) if self.visits[index].state == state => break index,
                _ => event = read.previous,
            }
        };
        self.visits.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{MapIterationEventDetails, StateEnteredEventDetails, StateExitedEventDetails};

    /// An event at the time of its id.
    fn event(id: i64, previous: i64, kind: &str, name: &str, index: i32) -> HistoryEvent {
        let event = HistoryEvent::builder()
            .id(id)
            .previous_event_id(previous)
            .timestamp(DateTime::from_millis(id))
            .r#type(kind.into());
        let event = match kind {
            "MapIterationStarted" => event.map_iteration_started_event_details(
                MapIterationEventDetails::builder().name(name).index(index).build(),
            ),
            _ if kind.ends_with("StateEntered") => {
                event.state_entered_event_details(StateEnteredEventDetails::builder().name(name).build().unwrap())
            }
            _ if kind.ends_with("StateExited") => {
                event.state_exited_event_details(StateExitedEventDetails::builder().name(name).build().unwrap())
            }
            _ => event,
        };
        event.build().unwrap()
    }

    #[test]
    fn each_visit_has_its_iteration_and_its_time() {
        let mut reader = Reader::default();
        for (id, (previous, kind, name, index)) in (1..).zip([
            (0, "ExecutionStarted", "", 0),
            (1, "MapStateEntered", "Orders", 0),
            (2, "MapStateStarted", "", 0),
            (3, "MapIterationStarted", "Orders", 0),
            (3, "MapIterationStarted", "Orders", 1),
            (4, "TaskStateEntered", "Charge", 0),
            (5, "TaskStateEntered", "Charge", 0),
            (7, "TaskScheduled", "", 0),
            (6, "TaskStateExited", "Charge", 0),
            (8, "TaskStateExited", "Charge", 0),
            // What follows the Map is in no iteration, although it follows one.
            (10, "MapStateExited", "Orders", 0),
            (11, "WaitStateEntered", "Rest", 0),
            (12, "ExecutionAborted", "", 0),
        ]) {
            reader.read(&event(id, previous, kind, name, index));
        }
        let visit = |state: &str, iteration, from, to, left| Visit {
            state: state.to_owned(),
            iteration,
            from,
            to,
            left,
        };
        assert_eq!(
            reader.visits,
            [
                visit("Orders", None, 2, 11, true),
                visit("Charge", Some(0), 6, 9, true),
                visit("Charge", Some(1), 7, 10, true),
                visit("Rest", None, 12, 13, false),
            ]
        );
    }
}
