//! Where each region of a definition goes on: what the planner decides, and the clone is built from.
//!
//! A region is the top level, a branch of a Parallel or an iteration of an inline Map.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where a region goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Region {
    /// Nothing of it has run: it runs as it is written.
    Fresh,
    /// It has come to its end: its output is kept, and nothing of it runs.
    Done {
        /// Its output.
        output: Value,
    },
    /// It goes on at a state.
    At(Box<At>),
}

/// A state at which a region goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct At {
    /// Its name in the definition.
    pub state: String,
    /// What it is given: its raw input, before `InputPath` and the like.
    pub input: Value,
    /// The variables of this region as they are when the state begins. Those of the regions around are restored there.
    pub variables: BTreeMap<String, Value>,
    /// What is done with the state.
    pub run: Run,
    /// What is taken again before it, in this order.
    pub holds: Vec<Hold>,
}

/// What is done with the state at which a region goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    /// It runs as it is written, a Parallel or a Map as a whole.
    Whole,
    /// It does not run: this is its output, and the region goes on at its `Next`, or ends.
    Skipped {
        /// What it would have given on.
        output: Value,
    },
    /// A Wait that was open.
    Waiting(Waiting),
    /// A Parallel of which some is kept: each branch, by its place.
    Parallel(Vec<Region>),
    /// An inline Map of which some is kept: iterations by their index; those that are not named are fresh.
    Map(BTreeMap<u32, Region>),
}

/// How a Wait that was open goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Until this time: ISO 8601, as `Timestamp` has it.
    Until(String),
    /// Not at all: what it makes of its input is kept.
    Over,
}

/// A state that is run again, before the one at which the region goes on, because what it took is not held any more: the
/// overlap guard's claim, or a lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// The state that took it.
    pub state: String,
    /// What it was given.
    pub input: Value,
    /// The payload that the function was called with, as the history has it: its parameters evaluated.
    pub payload: Value,
    /// Whether its output is what the state at which the region goes on was given: then it runs as it is written, on
    /// `input`, and its new output is passed on.
    pub feeds: bool,
}
