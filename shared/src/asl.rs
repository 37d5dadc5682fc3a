//! Definitions of state machines in the Amazon States Language: as much of them as a reader of histories needs.
//!
//! Lenient: what is not known is passed over, so that a definition that AWS took is not refused here. Both query
//! languages, JSONPath and JSONata, at the top level and in a state.
//!
//! | module | holds |
//! |---|---|
//! | `errors` | Retry and Catch, and which errors they match |
//! | `parse` | from JSON, with the path to what is wrong |

mod errors;
mod parse;

use std::collections::{HashMap, HashSet};
use std::fmt;

pub use errors::{Catcher, Retrier};

/// A state machine's definition.
#[derive(Debug, Clone)]
pub struct Definition {
    regions: Vec<Region>,
    states: Vec<State>,
    /// State names are unique over the whole definition, nested ones included.
    by_name: HashMap<String, usize>,
    /// The states that are reached without a Catch, from the start of their region on.
    planned: HashSet<usize>,
}

/// Why a text is no definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {wrong}")]
pub struct DefinitionError {
    /// Where: `States.Orders.ItemProcessor.StartAt`.
    pub path: String,
    /// What is wrong there: `is missing`.
    pub wrong: String,
}

/// States that follow each other: the top level, a branch of a Parallel, the processor of a Map.
#[derive(Debug, Clone)]
struct Region {
    /// The Parallel or Map that it stands in, and for a Parallel which branch it is.
    container: Option<(usize, Option<u32>)>,
    start_at: String,
    language: QueryLanguage,
}

/// What a state is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryLanguage {
    /// `JSONPath`, unless something else is said.
    JsonPath,
    /// `JSONata`.
    Jsonata,
}

/// What kind of state it is: AWS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Task`.
    Task,
    /// `Pass`.
    Pass,
    /// `Choice`.
    Choice,
    /// `Wait`.
    Wait,
    /// `Succeed`.
    Succeed,
    /// `Fail`.
    Fail,
    /// `Parallel`.
    Parallel,
    /// `Map`, inline or distributed.
    Map,
}

/// A state.
#[derive(Debug, Clone)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// What it is written in.
    pub language: QueryLanguage,
    /// A Map whose iterations are executions of their own.
    pub distributed: bool,
    /// `Resource`: what a Task calls.
    pub resource: Option<String>,
    /// `Error` of a Fail, if it is written there.
    pub error: Option<String>,
    /// `Cause` of a Fail, if it is written there.
    pub cause: Option<String>,
    /// `Next`.
    pub next: Option<String>,
    /// `Default` of a Choice.
    pub default: Option<String>,
    /// `Next` of each of `Choices`.
    pub choices: Vec<String>,
    /// `End`.
    pub end: bool,
    /// `Retry`, in order: the first that matches counts.
    pub retry: Vec<Retrier>,
    /// `Catch`, in order: the first that matches counts.
    pub catch: Vec<Catcher>,
    region: usize,
}

/// A Parallel or a Map that a state stands in.
#[derive(Debug, Clone, Copy)]
pub struct Container<'d> {
    /// The Parallel or Map.
    pub state: &'d State,
    /// Which branch of the Parallel, from 0.
    pub branch: Option<u32>,
}

impl Definition {
    /// Parses the JSON of a definition.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        parse::definition(text)
    }

    /// What the top level is written in.
    #[must_use]
    pub fn language(&self) -> QueryLanguage {
        self.regions[0].language
    }

    /// The state of this name, wherever it stands.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<&State> {
        self.by_name.get(name).map(|index| &self.states[*index])
    }

    /// All states, a container before the states in it.
    pub fn states(&self) -> impl Iterator<Item = &State> {
        self.states.iter()
    }

    /// Where an execution, a branch or an iteration begins: the `StartAt` of the region that `state` stands in.
    #[must_use]
    pub fn start_of(&self, state: &State) -> &str {
        &self.regions[state.region].start_at
    }

    /// The Parallel or Map that `state` stands in directly; `None` at the top level.
    #[must_use]
    pub fn container_of(&self, state: &State) -> Option<Container<'_>> {
        let (container, branch) = self.regions[state.region].container?;
        Some(Container {
            state: &self.states[container],
            branch,
        })
    }

    /// The Parallels and Maps that `state` stands in, outermost first.
    #[must_use]
    pub fn containers_of(&self, state: &State) -> Vec<Container<'_>> {
        let mut around = Vec::new();
        let mut inner = self.container_of(state);
        while let Some(container) = inner {
            around.push(container);
            inner = self.container_of(container.state);
        }
        around.reverse();
        around
    }

    /// Whether `state` may be reached where nothing fails: by Next, Default and Choices alone.
    #[must_use]
    pub fn is_planned(&self, state: &State) -> bool {
        self.by_name
            .get(&state.name)
            .is_some_and(|index| self.planned.contains(index))
    }
}

impl State {
    /// The Retry entry that answers `error`, by its place in `Retry`.
    #[must_use]
    pub fn retrier_of(&self, error: Option<&str>) -> Option<usize> {
        self.retry.iter().position(|retrier| retrier.matches(error))
    }

    /// Where the state leads if nothing fails.
    pub fn successors(&self) -> impl Iterator<Item = &str> {
        let one = self.next.iter().chain(&self.default);
        one.chain(&self.choices).map(String::as_str)
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Task,
        Self::Pass,
        Self::Choice,
        Self::Wait,
        Self::Succeed,
        Self::Fail,
        Self::Parallel,
        Self::Map,
    ];

    /// The kind that AWS calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name in a definition.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "Task",
            Self::Pass => "Pass",
            Self::Choice => "Choice",
            Self::Wait => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail => "Fail",
            Self::Parallel => "Parallel",
            Self::Map => "Map",
        }
    }

    /// Whether states stand inside: a Parallel or a Map.
    #[must_use]
    pub const fn is_container(self) -> bool {
        matches!(self, Self::Parallel | Self::Map)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
