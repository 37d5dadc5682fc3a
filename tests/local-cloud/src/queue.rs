//! Runs of the example `warehouse` that queue for its lock: when each asked, was served and gave back, as its history tells.

use std::time::Duration;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use serde_json::Value;

use crate::{Account, Error, Execution, account::aws};

/// The state in which a run takes the lock.
const TAKES: &str = "Take the warehouse";

/// The states in which it gives it back.
const GIVES_BACK: [&str; 2] = ["Give the warehouse back", "Give it back, then fail"];

/// A run's turn. Times are Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// The run's name.
    pub name: String,
    /// When it asked.
    pub asked: Option<i64>,
    /// By when it certainly stood in the queue: the call that asked had returned, or the lock was granted.
    pub queued: Option<i64>,
    /// When it was given the lock.
    pub granted: Option<i64>,
    /// The fence of its grant.
    pub fence: Option<i64>,
    /// When it began to give the lock back, or ended without.
    pub left: Option<i64>,
    /// Whether it was stopped.
    pub stopped: bool,
}

impl Turn {
    /// What the execution's history tells by now.
    pub async fn of(account: &Account, execution: &Execution) -> Result<Self, Error> {
        let pages = account
            .sfn()
            .get_execution_history()
            .execution_arn(&execution.arn)
            .include_execution_data(true)
            .into_paginator();
        let mut events = pages.items().send();
        let mut turn = Self {
            name: execution.name.clone(),
            ..Self::default()
        };
        let mut taking = false;
        while let Some(event) = events.next().await {
            let event = event.map_err(aws("States.GetExecutionHistory"))?;
            turn.note(&event, &mut taking);
        }
        Ok(turn)
    }

    fn note(&mut self, event: &HistoryEvent, taking: &mut bool) {
        let at = event.timestamp.to_millis().ok();
        let entered = event.state_entered_event_details.as_ref();
        if let Some(state) = entered.map(|details| details.name.as_str()) {
            *taking = state == TAKES;
            if GIVES_BACK.contains(&state) {
                self.left = at;
            }
        }
        match event.r#type {
            HistoryEventType::TaskScheduled if *taking => self.asked = self.asked.or(at),
            HistoryEventType::TaskSubmitted if *taking => self.queued = self.queued.or(at),
            HistoryEventType::TaskSucceeded if *taking => {
                self.granted = at;
                self.queued = self.queued.or(at);
                let output = event.task_succeeded_event_details.as_ref();
                let output = output.and_then(|details| serde_json::from_str::<Value>(details.output.as_deref()?).ok());
                self.fence = output.and_then(|output| output["fence"].as_i64());
            }
            HistoryEventType::ExecutionAborted => {
                self.left = self.left.or(at);
                self.stopped = true;
            }
            HistoryEventType::ExecutionSucceeded
            | HistoryEventType::ExecutionFailed
            | HistoryEventType::ExecutionTimedOut => self.left = self.left.or(at),
            _ => {}
        }
    }

    /// How long it waited.
    #[must_use]
    pub fn waited(&self) -> Option<Duration> {
        between(self.asked?, self.granted?)
    }
}

fn between(from: i64, to: i64) -> Option<Duration> {
    u64::try_from(to - from).ok().map(Duration::from_millis)
}

/// What was wrong with these turns at a lock with one slot, in a sentence: somebody was not served or not given a higher
/// fence than the one before, two had the lock at once, or one who stood in the queue before another asked was served later.
#[must_use]
pub fn fault(turns: &[Turn]) -> Option<String> {
    if let Some(turn) = turns
        .iter()
        .find(|turn| [turn.asked, turn.queued, turn.granted, turn.fence, turn.left].contains(&None))
    {
        return Some(format!("{} was not served", turn.name));
    }
    let served = in_order(turns);
    for pair in served.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        if one.left > next.granted {
            return Some(format!("{} and {} had the lock at once", one.name, next.name));
        }
        if one.fence >= next.fence {
            return Some(format!(
                "the fence of {} is not higher than that of {}",
                next.name, one.name
            ));
        }
    }
    for (at, early) in served.iter().enumerate() {
        if let Some(late) = served[at + 1..].iter().find(|late| late.queued <= early.asked) {
            return Some(format!(
                "{} was served before {}, which came first",
                early.name, late.name
            ));
        }
    }
    None
}

/// The turns in the order in which they were served.
#[must_use]
pub fn in_order(turns: &[Turn]) -> Vec<&Turn> {
    let mut served: Vec<_> = turns.iter().collect();
    served.sort_by_key(|turn| turn.granted);
    served
}

/// A lock that changed hands.
#[derive(Debug, Clone, Copy)]
pub struct HandOver<'a> {
    /// From whom.
    pub from: &'a Turn,
    /// To whom.
    pub to: &'a Turn,
    /// From the moment when the one began to give it back, or ended, to the moment when the other had it.
    pub took: Duration,
}

/// How the lock changed hands between runs of which the second waited for the first.
#[must_use]
pub fn hand_overs(turns: &[Turn]) -> Vec<HandOver<'_>> {
    let served = in_order(turns);
    let pairs = served.windows(2).map(|pair| (pair[0], pair[1]));
    let waited = pairs.filter(|(from, to)| to.queued <= from.left);
    waited
        .filter_map(|(from, to)| {
            let took = between(from.left?, to.granted?)?;
            Some(HandOver { from, to, took })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{StateEnteredEventDetails, TaskSucceededEventDetails};

    fn turn(name: &str, asked: i64, granted: i64, left: i64) -> Turn {
        Turn {
            name: name.to_owned(),
            asked: Some(asked),
            queued: Some((asked + 10).min(granted)),
            granted: Some(granted),
            fence: Some(granted),
            left: Some(left),
            stopped: false,
        }
    }

    #[test]
    fn turns_one_after_the_other_are_in_order() {
        let turns = [
            turn("a", 0, 5, 1000),
            turn("c", 200, 1540, 2500),
            turn("b", 100, 1030, 1500),
        ];
        assert_eq!(fault(&turns), None);
        let took: Vec<_> = hand_overs(&turns)
            .iter()
            .map(|over| (over.from.name.as_str(), over.to.name.as_str(), over.took.as_millis()))
            .collect();
        assert_eq!(took, [("a", "b", 30), ("b", "c", 40)]);
        assert_eq!(turns[1].waited(), Some(Duration::from_millis(1340)));
    }

    #[test]
    fn every_fault_is_found() {
        let told = |turns: &[Turn]| fault(turns).unwrap_or_default();
        let first = turn("a", 0, 5, 1000);
        assert_eq!(
            told(&[first.clone(), turn("b", 100, 990, 2000)]),
            "a and b had the lock at once"
        );
        assert_eq!(
            told(&[first.clone(), turn("c", 200, 1100, 1200), turn("b", 100, 1300, 1400)]),
            "c was served before b, which came first"
        );
        // Asked at the same moment: either may be first.
        assert_eq!(
            told(&[first.clone(), turn("c", 105, 1100, 1200), turn("b", 100, 1300, 1400)]),
            ""
        );
        let unserved = Turn {
            granted: None,
            ..turn("b", 100, 1100, 1200)
        };
        assert_eq!(told(&[first.clone(), unserved]), "b was not served");
        let stale = Turn {
            fence: Some(5),
            ..turn("b", 100, 1100, 1200)
        };
        assert_eq!(
            told(&[first.clone(), stale]),
            "the fence of b is not higher than that of a"
        );
        // Nobody waited: nothing was handed over.
        assert!(hand_overs(&[first, turn("b", 1500, 1510, 1600)]).is_empty());
    }

    #[test]
    fn a_history_is_read() {
        let event = |at, kind: &str| {
            HistoryEvent::builder()
                .timestamp(DateTime::from_millis(at))
                .id(at)
                .r#type(kind.into())
        };
        let entered = |at, name: &str| {
            let details = StateEnteredEventDetails::builder().name(name).build().unwrap();
            event(at, "TaskStateEntered").state_entered_event_details(details)
        };
        let output = |text: &str| {
            let details = TaskSucceededEventDetails::builder()
                .resource_type("lambda")
                .resource("invoke")
                .output(text);
            details.build().unwrap()
        };
        let mut turn = Turn::default();
        let mut taking = false;
        for event in vec![
            event(1, "ExecutionStarted"),
            entered(2, TAKES),
            event(3, "TaskScheduled"),
            event(4, "TaskSubmitted"),
            event(50, "TaskSucceeded").task_succeeded_event_details(output(r#"{"acquired":true,"fence":7}"#)),
            entered(51, "With the warehouse"),
            event(52, "TaskScheduled"),
            event(60, "TaskSucceeded").task_succeeded_event_details(output("{}")),
            entered(61, GIVES_BACK[0]),
            event(70, "ExecutionSucceeded"),
        ] {
            turn.note(&event.build().unwrap(), &mut taking);
        }
        let expected = Turn {
            asked: Some(3),
            queued: Some(4),
            granted: Some(50),
            fence: Some(7),
            left: Some(61),
            ..Turn::default()
        };
        assert_eq!(turn, expected);
    }
}
