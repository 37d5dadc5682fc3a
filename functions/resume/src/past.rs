//! What an execution has done, with its data: inputs, outputs, variables.
//!
//! | module | holds |
//! |---|---|
//! | `data` | what of an event's data is kept, from the SDK and from JSON |
//! | `reader` | the history, event by event |

mod data;
mod reader;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

use signalbox::asl::Kind;
use signalbox::clock::Timestamp;
use signalbox::history::Failure;

pub use data::Data;
pub use reader::PastReader;

/// JSON, as the history has it.
pub type Text = Rc<str>;

/// The variables of a region: each value JSON. Those of the regions around it are not among them.
pub type Variables = Rc<BTreeMap<String, Text>>;

/// What an execution has done.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its top level.
    pub top: Scope,
    /// Why it did not succeed; none if it runs or succeeded.
    pub failure: Option<Failure>,
    /// The execution's input.
    pub input: Option<Text>,
    /// How many events its history has.
    pub events: u64,
    /// The id of the last one.
    pub last_event: i64,
    /// How often it was redriven.
    pub redrives: u32,
}

/// What was done in a region: the top level, a branch of a Parallel, an iteration of an inline Map. Of a Parallel or a
/// Map that was tried several times, in the last of them.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The last visit of each state that was entered. Of a branch or an iteration that has come to its end, only where the
    /// reader was told to keep it.
    pub visits: BTreeMap<String, Visit>,
    /// The state that was entered last, if its visit is kept.
    pub current: Option<String>,
    /// The region's own variables as they are now; none of a branch or an iteration whose visits are not kept.
    pub variables: Variables,
    /// The region's output, if it has come to its end.
    pub output: Option<Text>,
}

/// A state that was entered.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Its kind.
    pub kind: Kind,
    /// The event of its entry.
    pub entered_event: Option<i64>,
    /// When it was entered.
    pub entered: Option<Timestamp>,
    /// Which entry it is, of all of the history: those that came later have a higher one.
    pub order: u64,
    /// Its raw input; none if the history was read without data.
    pub input: Option<Text>,
    /// The region's own variables when it was entered.
    pub variables: Variables,
    /// Whether it was left, and with what.
    pub left: Left,
    /// How often it was tried, since it was entered or the execution was redriven; 0 for what is not tried.
    pub attempts: u32,
    /// Its last attempt, if it is a Task that was scheduled.
    pub task: Option<Task>,
    /// What the last attempt of a Task answered, before the state made its output of it.
    pub result: Option<Text>,
    /// What was done in it, if it is a Parallel or an inline Map that began; of one that succeeded as a whole, only where
    /// the reader was told to keep it.
    pub inside: Inside,
}

/// Whether a state was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It was not.
    Open,
    /// With its output; none if the history was read without data.
    Done(Option<Text>),
    /// By a Catch, with what that made of the failure.
    Caught(Option<Text>),
}

/// An attempt of a Task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// What it called: `arn:aws:states:::lambda:invoke`, or the ARN of a function or an activity.
    pub resource: Option<String>,
    /// What it was called with: the parameters as they were evaluated, task tokens among them.
    pub parameters: Option<Text>,
    /// Whether the service had begun, or taken the call.
    pub started: bool,
    /// What the service answered when it took the job (`TaskSubmitted`): ids of `.sync` jobs, of nested executions.
    pub submitted: Option<Text>,
}

/// What was done in a Parallel or a Map.
#[derive(Debug, Clone, Default)]
pub enum Inside {
    /// Nothing that is known.
    #[default]
    Nothing,
    /// In the branches of a Parallel, by their place. Those that are not there were not entered.
    Parallel(BTreeMap<u32, Scope>),
    /// In the iterations of an inline Map.
    Map {
        /// How many there are.
        length: Option<u32>,
        /// By their index. Those that are not there did not begin.
        iterations: BTreeMap<u32, Scope>,
    },
}

impl Visit {
    /// Whether it was entered and not left.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.left == Left::Open
    }
}
