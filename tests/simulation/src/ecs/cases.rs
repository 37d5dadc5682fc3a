//! One state and its task, where one invocation dies at one certain moment: between any two of its calls.

use std::time::Duration;

use signalbox::clock::Timestamp;
use signalbox::simulation::World;

use super::tokens::{Answer, Standing};
use super::{Dies, Knobs, LATENCY, Model, Part, Scenario};

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

/// `RunTask` is throttled as long as the state's own invocation tries, and the queue, which goes on with the launch, finds
/// that the function may not call it. The errors that the attempts were told by their tokens.
pub fn denied() -> Result<Vec<String>, String> {
    let world = World::new(1, Timestamp::from_millis(1_800_000_000_000), LATENCY);
    let knobs = Knobs {
        plain: true,
        denied: true,
        longest: Duration::from_mins(1),
        ..Knobs::default()
    };
    let model = Model::new(Scenario::Storm, world, knobs);
    model.spawn_runs();
    model.result()?;
    let tokens = model.tokens.borrow();
    let told = tokens.values().filter_map(|issued| match &issued.standing {
        Standing::Answered(Answer::Failure(error)) => Some(error.clone()),
        _ => None,
    });
    let told = told.collect();
    Ok(told)
}
