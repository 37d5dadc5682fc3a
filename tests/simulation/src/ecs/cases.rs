//! One state and its task, where one invocation dies at one certain moment: between any two of its calls;
//! or where one call fails for long.

use std::time::Duration;

use signalbox::clock::Timestamp;
use signalbox::simulation::World;

use super::tokens::{Answer, Standing};
use super::{Dies, Failing, Knobs, LATENCY, Model, Part, Scenario};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lived {
    /// How many tasks were started.
    pub tasks: usize,
    /// How many attempts of the state there were,
    pub attempts: usize,
    /// and how many of them were told that they succeeded.
    pub succeeded: usize,
    /// Whether it came to the moment at all: if not, the invocation makes fewer calls.
    pub died: bool,
}

/// The first invocation of `part` dies. Sweeps go on, and the state has a Retry; nothing else fails.
///
/// `with_events`: without them, the sweep alone hears of the task's end.
pub fn dies(part: Part, dies: Dies, with_events: bool) -> Result<Lived, String> {
    let world = World::new(1, Timestamp::from_millis(1_800_000_000_000), LATENCY);
    let knobs = Knobs {
        plain: true,
        lost: if with_events { 0.0 } else { 1.0 },
        longest: Duration::from_mins(1),
        ..Knobs::default()
    };
    let model = Model::new(Scenario::Storm, world, knobs);
    model.fatal.set(Some((part, dies)));
    model.spawn_runs();
    model.result()?;
    let tokens = model.tokens.borrow();
    let succeeded = |standing: &Standing| matches!(standing, Standing::Answered(Answer::Success(_)));
    let lived = Lived {
        tasks: model.tasks.borrow().len(),
        attempts: tokens.len(),
        succeeded: tokens.values().filter(|issued| succeeded(&issued.standing)).count(),
        died: model.died.get(),
    };
    Ok(lived)
}

/// What an attempt was told by its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The error.
    pub error: String,
    /// How long after the beginning.
    pub after: Duration,
}

/// One call fails for longer than an hour, or some times. The failures that the attempts of the state were told.
fn told(knobs: Knobs, failing: Failing) -> Result<Vec<Told>, String> {
    let world = World::new(1, Timestamp::from_millis(1_800_000_000_000), LATENCY);
    let knobs = Knobs {
        plain: true,
        longest: Duration::from_mins(1),
        ..knobs
    };
    let model = Model::new(Scenario::Outage, world, knobs);
    model.failing.set(Some(failing));
    model.spawn_runs();
    model.result()?;
    let tokens = model.tokens.borrow();
    let told = tokens.values().filter_map(|issued| match &issued.standing {
        Standing::Answered(Answer::Failure(error)) => Some(Told {
            error: error.clone(),
            after: issued.closed?.since(model.start),
        }),
        _ => None,
    });
    let told = told.collect();
    Ok(told)
}

fn always(api: &'static str, code: &'static str) -> Failing {
    Failing {
        api,
        code,
        times: u32::MAX,
    }
}

/// Tasks that work for hours, and whose time is up after seconds.
fn too_long() -> Knobs {
    Knobs {
        longer: Duration::from_hours(3),
        timeout_seconds: Some(5),
        ..Knobs::default()
    }
}

/// `RunTask` is throttled as long as the state's own invocation tries, and the queue, which goes on with the launch, finds
/// that the function may not call it.
pub fn denied() -> Result<Vec<Told>, String> {
    let knobs = Knobs {
        queued: true,
        ..Knobs::default()
    };
    told(knobs, always("ecs:RunTask", "AccessDeniedException"))
}

/// The queue finds that ECS has no room, and is throttled when it says so for the first time.
pub fn told_again() -> Result<Vec<Told>, String> {
    let knobs = Knobs {
        queued: true,
        refused: 1.0,
        ..Knobs::default()
    };
    let failing = Failing {
        api: "states:SendTaskFailure",
        code: "ThrottlingException",
        times: 1,
    };
    told(knobs, failing)
}

/// The time of a task is up that cannot be looked at, and no event tells of it.
pub fn unseen() -> Result<Vec<Told>, String> {
    let knobs = Knobs {
        lost: 1.0,
        ..too_long()
    };
    told(knobs, always("ecs:DescribeTasks", "AccessDeniedException"))
}

/// The time of a task is up that cannot be stopped.
pub fn unstoppable() -> Result<Vec<Told>, String> {
    told(too_long(), always("ecs:StopTask", "AccessDeniedException"))
}

/// Step Functions does not take what the tasks leave.
pub fn not_taken() -> Result<Vec<Told>, String> {
    told(Knobs::default(), always("states:SendTaskSuccess", "InvalidOutput"))
}

/// The function may not read what the tasks leave.
pub fn unreadable(timeout_seconds: Option<u64>) -> Result<Vec<Told>, String> {
    let knobs = Knobs {
        timeout_seconds,
        ..Knobs::default()
    };
    told(knobs, always("s3:GetObject", "AccessDenied"))
}

/// What the task leaves cannot be read for some minutes.
pub fn unreadable_for_a_while() -> Result<Vec<Told>, String> {
    let failing = Failing {
        api: "s3:GetObject",
        code: "SlowDown",
        times: 6,
    };
    told(Knobs::default(), failing)
}
