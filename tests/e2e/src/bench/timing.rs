//! When a run did what, by its history; and what follows for order, hand-overs and exclusion.

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use signalbox::lock::key::Place;

/// The state that acquires, in both pipelines.
const ACQUIRE: &str = "Acquire";

/// The state that needs the lock, in both pipelines.
const WORK: &str = "Work";

/// A run; times are milliseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// When it was started.
    pub started: Option<i64>,
    /// When the first task that acquires was scheduled: its arrival.
    pub asked: Option<i64>,
    /// When that task had its first answer: that it is in the queue, that it holds the lock, or that it does not.
    pub answered: Option<i64>,
    /// When its tasks failed: the polls in vain.
    pub failed: Vec<i64>,
    /// When its work began.
    pub entered: Option<i64>,
    /// When its work was over.
    pub left: Option<i64>,
    /// When it ended well.
    pub succeeded: Option<i64>,
    /// How many events its history has.
    pub events: usize,
    /// The place that it drew in the queue, where there are places.
    pub place: Option<Place>,
}

impl Run {
    /// Reads a history.
    #[must_use]
    pub fn of(history: &[HistoryEvent]) -> Self {
        let mut run = Self {
            events: history.len(),
            ..Self::default()
        };
        let mut acquires = false;
        for event in history {
            let at = event.timestamp.to_millis().ok();
            if let Some(details) = &event.state_entered_event_details {
                acquires = details.name == ACQUIRE;
                if details.name == WORK {
                    run.entered = at;
                }
            }
            if event
                .state_exited_event_details
                .as_ref()
                .is_some_and(|details| details.name == WORK)
            {
                run.left = at;
            }
            match event.r#type {
                HistoryEventType::ExecutionStarted => run.started = at,
                HistoryEventType::ExecutionSucceeded => run.succeeded = at,
                HistoryEventType::TaskScheduled if acquires => run.asked = run.asked.or(at),
                HistoryEventType::TaskSubmitted | HistoryEventType::TaskSucceeded if acquires => {
                    run.answered = run.answered.or(at);
                }
                HistoryEventType::TaskFailed => {
                    run.failed.extend(at);
                    run.answered = run.answered.or(at);
                }
                _ => {}
            }
        }
        run
    }

    /// Whether it is in the queue, or beyond.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.answered.is_some()
    }

    /// Whether it began its work before `other` did, or at all while the other did not.
    fn overtook(&self, other: &Self) -> bool {
        self.entered
            .is_some_and(|own| other.entered.is_none_or(|others| own < others))
    }
}

/// Pairs of runs that came one after the other, and how many of them were served the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Pairs of which it is known who came first.
    pub pairs: usize,
    /// Those of them where the later one was served first.
    pub inverted: usize,
}

/// Order by what a queue can promise: of two runs the one came first whose first task was answered before the other's was
/// scheduled. Runs that ask at the same moment are in no order.
#[must_use]
pub fn order(runs: &[Run]) -> Order {
    pairs(runs, |one, other| {
        one.answered
            .zip(other.asked)
            .is_some_and(|(answered, asked)| answered < asked)
    })
}

/// Order by the places that were drawn, which decide between those who ask at the same moment; whoever found the lock free
/// drew none.
#[must_use]
pub fn order_of_places(runs: &[Run]) -> Order {
    pairs(runs, |one, other| {
        one.place
            .as_ref()
            .zip(other.place.as_ref())
            .is_some_and(|(one, other)| one < other)
    })
}

/// Order by the moment at which the first task was scheduled, however close; ties are in no order.
#[must_use]
pub fn order_of_arrival(runs: &[Run]) -> Order {
    pairs(runs, |one, other| {
        one.asked.zip(other.asked).is_some_and(|(one, other)| one < other)
    })
}

fn pairs(runs: &[Run], before: impl Fn(&Run, &Run) -> bool) -> Order {
    let mut order = Order { pairs: 0, inverted: 0 };
    for one in runs {
        for other in runs.iter().filter(|other| before(one, other)) {
            // Neither was served: nothing is known of them.
            if one.entered.is_some() || other.entered.is_some() {
                order.pairs += 1;
                order.inverted += usize::from(other.overtook(one));
            }
        }
    }
    order
}

/// How long the lock lay idle, from the end of one run's work to the beginning of the next one's, each time that somebody
/// was waiting; sorted, in milliseconds.
#[must_use]
pub fn hand_overs(runs: &[Run]) -> Vec<i64> {
    let mut served: Vec<&Run> = runs.iter().filter(|run| run.entered.is_some()).collect();
    served.sort_by_key(|run| run.entered);
    let mut idle: Vec<i64> = served
        .windows(2)
        .filter_map(|two| {
            let (left, entered) = (two[0].left?, two[1].entered?);
            let waits = |run: &&Run| run.asked < Some(left) && run.entered.is_none_or(|entered| entered > left);
            runs.iter().any(|run| waits(&run)).then_some(entered - left)
        })
        .collect();
    idle.sort_unstable();
    idle
}

/// How many worked at the same time, at most.
#[must_use]
pub fn most_at_once(runs: &[Run]) -> usize {
    let mut changes: Vec<(i64, bool)> = runs
        .iter()
        .flat_map(|run| {
            run.entered
                .map(|at| (at, true))
                .into_iter()
                .chain(run.left.map(|at| (at, false)))
        })
        .collect();
    // Of the same millisecond, ends first.
    changes.sort_unstable();
    let (mut now, mut most) = (0_usize, 0);
    for (_, begins) in changes {
        now = if begins { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

/// The smallest of sorted numbers that `percent` of them do not exceed.
#[must_use]
pub fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{StateEnteredEventDetails, StateExitedEventDetails};

    use signalbox::lock::key::Priority;

    use super::*;

    fn run(asked: i64, answered: i64, entered: Option<i64>) -> Run {
        Run {
            started: Some(asked),
            asked: Some(asked),
            answered: Some(answered),
            entered,
            left: entered.map(|at| at + 10),
            ..Run::default()
        }
    }

    #[test]
    fn order_counts_pairs_that_came_one_after_the_other() {
        let fair = [run(0, 1, Some(5)), run(2, 3, Some(20)), run(2, 4, Some(40))];
        assert_eq!(order(&fair), Order { pairs: 2, inverted: 0 });
        assert_eq!(order_of_arrival(&fair), Order { pairs: 2, inverted: 0 });
        let unfair = [run(0, 1, Some(40)), run(2, 3, Some(20)), run(4, 5, Some(5))];
        assert_eq!(order(&unfair), Order { pairs: 3, inverted: 3 });
        // The first asked 9 ms earlier, but was answered only after the second had asked.
        let close = [run(0, 12, Some(40)), run(9, 10, Some(20))];
        assert_eq!(order(&close), Order { pairs: 0, inverted: 0 });
        assert_eq!(order_of_arrival(&close), Order { pairs: 1, inverted: 1 });
    }

    #[test]
    fn places_decide_between_those_who_ask_together() {
        let at = |number, entered| Run {
            place: Some(Place::by_arrival(Priority::default(), number)),
            ..run(0, 9, Some(entered))
        };
        let free = run(0, 1, Some(1));
        assert_eq!(
            order_of_places(&[at(2, 20), free.clone(), at(1, 10)]),
            Order { pairs: 1, inverted: 0 }
        );
        assert_eq!(
            order_of_places(&[at(2, 10), free, at(1, 20)]),
            Order { pairs: 1, inverted: 1 }
        );
    }

    #[test]
    fn who_was_not_served_at_all_was_overtaken_by_all_that_came_later() {
        let runs = [run(0, 1, None), run(2, 3, Some(20)), run(4, 5, None)];
        assert_eq!(order(&runs), Order { pairs: 2, inverted: 1 });
    }

    #[test]
    fn a_hand_over_needs_somebody_who_waits() {
        let busy = [run(0, 1, Some(5)), run(2, 3, Some(18)), run(4, 5, Some(30))];
        assert_eq!(hand_overs(&busy), [2, 3]);
        // The second came when the lock was free.
        let idle = [run(0, 1, Some(5)), run(100, 101, Some(105))];
        assert!(hand_overs(&idle).is_empty());
    }

    #[test]
    fn overlaps_are_seen() {
        assert_eq!(most_at_once(&[run(0, 1, Some(5)), run(0, 1, Some(15))]), 1);
        assert_eq!(
            most_at_once(&[run(0, 1, Some(5)), run(0, 1, Some(14)), run(0, 1, None)]),
            2
        );
    }

    #[test]
    fn percentiles_are_numbers_that_were_measured() {
        let sorted: Vec<i64> = (1..=200).collect();
        assert_eq!(
            [50, 99, 100].map(|p| percentile(&sorted, p)),
            [Some(100), Some(198), Some(200)]
        );
        assert_eq!([percentile(&[7], 50), percentile(&[], 50)], [Some(7), None]);
    }

    #[test]
    fn a_history_is_read() {
        use HistoryEventType as Type;
        let entered = |name: &str| StateEnteredEventDetails::builder().name(name).build().unwrap();
        let exited = |name: &str| StateExitedEventDetails::builder().name(name).build().unwrap();
        let event = |millis, r#type| {
            HistoryEvent::builder()
                .id(millis)
                .timestamp(DateTime::from_millis(millis))
                .r#type(r#type)
        };
        let history = vec![
            event(1, Type::ExecutionStarted),
            event(2, Type::TaskStateEntered).state_entered_event_details(entered("Acquire")),
            event(3, Type::TaskScheduled),
            event(4, Type::TaskFailed),
            event(5, Type::TaskScheduled),
            event(6, Type::TaskSucceeded),
            event(7, Type::WaitStateEntered).state_entered_event_details(entered("Work")),
            event(8, Type::WaitStateExited).state_exited_event_details(exited("Work")),
            event(9, Type::TaskStateEntered).state_entered_event_details(entered("Release")),
            event(10, Type::TaskScheduled),
            event(11, Type::TaskSucceeded),
            event(12, Type::ExecutionSucceeded),
        ];
        let history: Vec<_> = history.into_iter().map(|event| event.build().unwrap()).collect();
        let read = Run {
            started: Some(1),
            asked: Some(3),
            answered: Some(4),
            failed: vec![4],
            entered: Some(7),
            left: Some(8),
            succeeded: Some(12),
            events: 12,
            place: None,
        };
        assert_eq!(Run::of(&history), read);
    }
}
