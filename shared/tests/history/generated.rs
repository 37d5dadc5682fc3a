//! Histories as long as one likes: a Map of orders, each a Parallel of two Tasks that are retried; the last order fails.

use std::collections::VecDeque;

/// The definition that ran.
pub(crate) const DEFINITION: &str = r#"{
  "StartAt": "Orders",
  "States": {"Orders": {"Type": "Map", "MaxConcurrency": 4, "End": true, "ItemProcessor": {
    "StartAt": "Fan",
    "States": {
      "Fan": {"Type": "Parallel", "Next": "HandOver", "Retry": [{"ErrorEquals": ["Truck.Full"], "MaxAttempts": 2}], "Branches": [
        {"StartAt": "Pack", "States": {"Pack": {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "End": true}}},
        {"StartAt": "Charge", "States": {"Charge": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
          "Retry": [{"ErrorEquals": ["Card.Busy"], "MaxAttempts": 3}]}}}]},
      "HandOver": {"Type": "Wait", "Seconds": 1, "End": true}
    }
  }}}
}"#;

const MAX_CONCURRENCY: usize = 4;

/// An event of an iteration: its type, its details, and which event of the iteration it follows.
struct Planned {
    after: usize,
    kind: &'static str,
    details: String,
}

struct Iteration {
    index: usize,
    planned: VecDeque<Planned>,
    /// The ids of its events so far; the first is `MapIterationStarted`.
    ids: Vec<i64>,
    /// The last event that a state of it was left with: what the iteration that takes over its slot follows.
    exited: i64,
    fails: bool,
}

/// Writes a history of at most `events` events, each as JSON, and answers where it failed. `pick` chooses which of so many
/// iterations goes on.
pub(crate) fn orders(events: usize, mut pick: impl FnMut(usize) -> usize, mut write: impl FnMut(String)) -> String {
    let mut last = 0;
    let mut add = |previous: i64, kind: &str, details: &str| {
        last += 1;
        write(event(last, previous, kind, details));
        last
    };
    add(0, "ExecutionStarted", "");
    let entered = add(0, "MapStateEntered", &name("Orders"));
    let started = add(entered, "MapStateStarted", "");

    let (mut active, mut next) = (Vec::new(), 0);
    let mut slots = vec![started; MAX_CONCURRENCY];
    let mut left = events.saturating_sub(3);
    loop {
        while let Some(slot) = slots.pop() {
            // The one that fails is the last: none is longer than half of this, the end of the history included.
            let fails = left < 90;
            let id = add(slot, "MapIterationStarted", &of_orders(next));
            let planned = plan(next, fails);
            left = left.saturating_sub(planned.len() + 2);
            active.push(Iteration {
                index: next,
                planned,
                ids: vec![id],
                exited: id,
                fails,
            });
            next += 1;
            if fails {
                slots.clear();
            }
        }
        let chosen = pick(active.len()) % active.len();
        let iteration = &mut active[chosen];
        let Some(planned) = iteration.planned.pop_front() else {
            let done = active.swap_remove(chosen);
            add(done.exited, "MapIterationSucceeded", &of_orders(done.index));
            if !active.iter().any(|other| other.fails) {
                slots.push(done.exited);
            }
            continue;
        };
        let id = add(iteration.ids[planned.after], planned.kind, &planned.details);
        iteration.ids.push(id);
        if planned.kind.ends_with("Exited") {
            iteration.exited = id;
        }
        if iteration.fails && iteration.planned.is_empty() {
            let (index, states) = (iteration.index, active.len());
            for _ in 0..states {
                add(id, "TaskStateAborted", "");
            }
            let fan = add(id, "ParallelStateFailed", "");
            add(fan, "MapIterationFailed", &of_orders(index));
            let map = add(fan, "MapStateFailed", "");
            add(map, "ExecutionFailed", &busy(4));
            return format!(r##"Map "Orders"[{index}] / Parallel "Fan"#1 / Task "Charge" (attempt 4 of 4)"##);
        }
    }
}

fn plan(index: usize, fails: bool) -> VecDeque<Planned> {
    let mut planned = VecDeque::new();
    let mut add = |after, kind, details: String| {
        planned.push_back(Planned { after, kind, details });
        planned.len()
    };
    let fan = add(0, "ParallelStateEntered", name("Fan"));
    let mut after = fan;
    // Every seventh order is tried again as a whole.
    let whole_tries = if index % 7 == 6 { 2 } else { 1 };
    for whole_try in 1..=whole_tries {
        let started = add(after, "ParallelStateStarted", String::new());
        let pack = add(started, "TaskStateEntered", name("Pack"));
        let pack = add(pack, "TaskScheduled", calls("ecs", "runTask.sync"));
        let charge = add(started, "TaskStateEntered", name("Charge"));
        let tries = if fails { 4 } else { 1 + index % 3 };
        let mut attempt = charge;
        for number in 1..=tries {
            attempt = add(attempt, "TaskScheduled", calls("lambda", "invoke"));
            attempt = add(attempt, "TaskStarted", String::new());
            if number < tries || fails && whole_try == whole_tries {
                let details = format!("{}, {}", calls("lambda", "invoke"), busy(number));
                attempt = add(attempt, "TaskFailed", details);
            }
        }
        if fails && whole_try == whole_tries {
            return planned;
        }
        if whole_try < whole_tries {
            after = add(
                pack,
                "TaskFailed",
                r#""error": "Truck.Full", "cause": "no room""#.to_owned(),
            );
            continue;
        }
        let charge = add(attempt, "TaskSucceeded", String::new());
        add(charge, "TaskStateExited", name("Charge"));
        let pack = add(pack, "TaskSucceeded", String::new());
        let pack = add(pack, "TaskStateExited", name("Pack"));
        add(pack, "ParallelStateSucceeded", String::new());
        let fan = add(pack, "ParallelStateExited", name("Fan"));
        let wait = add(fan, "WaitStateEntered", name("HandOver"));
        add(wait, "WaitStateExited", name("HandOver"));
    }
    planned
}

fn name(state: &str) -> String {
    format!(r#""name": "{state}", "input": "{{}}""#)
}

fn of_orders(index: usize) -> String {
    format!(r#""name": "Orders", "index": {index}"#)
}

fn calls(service: &str, action: &str) -> String {
    format!(r#""resourceType": "{service}", "resource": "{action}", "parameters": "{{\"Payload\": {{}}}}""#)
}

/// An error with the stack that a function leaves.
fn busy(number: usize) -> String {
    let stack = "at charge (card.js:7) ".repeat(30);
    format!(r#""error": "Card.Busy", "cause": "{{\"attempt\": {number}, \"trace\": \"{stack}\"}}""#)
}

fn event(id: i64, previous: i64, kind: &str, details: &str) -> String {
    let field = match kind {
        kind if kind.ends_with("StateEntered") => "stateEntered".to_owned(),
        kind if kind.ends_with("StateExited") => "stateExited".to_owned(),
        kind => kind[..1].to_lowercase() + &kind[1..],
    };
    let seconds = 1_700_000_000 + id;
    format!(
        r#"{{"id": {id}, "previousEventId": {previous}, "timestamp": {seconds}.5, "type": "{kind}", "{field}EventDetails": {{{details}}}}}"#
    )
}
