//! The definition of a clone: a state machine that goes on where a run of another one has stopped.
//!
//! Pure: a definition and [where each of its regions goes on](crate::cut) in, a definition out. A few states are
//! injected, all in the query language of the definition's top level, because AWS refuses a `JSONPath` state in a `JSONata`
//! machine. Everything that still can be reached stays as it is written; what cannot is left out, because AWS refuses
//! that too.
//!
//! | region | becomes |
//! |---|---|
//! | one that goes on at a state | its variables, then the state's input, then the holds that are taken again, then the state |
//! | one that has ended | one Pass with its output |
//! | a branch of a Parallel | either of these, in its place |
//! | an iteration of an inline Map | either of these, behind a Choice on the item's index at the processor's start |
//! | one that has not begun | itself |
//!
//! A Parallel or a Map of which some is kept is changed in place. If the run can come to it a second time it goes first as
//! a copy whose states have names of their own, and the original stays for later: a loop leads back to it, or it stands
//! in the processor of a Map, which other iterations run too.
//!
//! | module | holds |
//! |---|---|
//! | `region` | a region that goes on at a state, one that has ended |
//! | `bootstrap` | the injected Pass states: variables and data, as literals that nothing evaluates |
//! | `parallel`, `map`, `wait` | what becomes of a Parallel, a Map and a Wait |
//! | `holds` | the copy of a state that took a lock |
//! | `copy`, `names`, `reach` | copies with names of their own; which names are free; what can be reached |
//! | `size` | what is run again as a whole if the clone is too large |
//! | `context`, `pin` | uses of the context object, which is another one in the clone; the original's values in their place |
//! | `expression` | as much of both query languages as the others need |
//! | `numbers` | numbers that are not kept to their last digit |
//! | `check` | the same rules once more, from the other side: what a clone does, held against the cut |

mod bootstrap;
pub mod check;
mod context;
mod copy;
mod expression;
mod holds;
mod map;
mod names;
pub mod numbers;
mod parallel;
mod pin;
mod reach;
mod region;
mod size;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use signalbox::asl::{Definition, DefinitionError};

use crate::cut::At;
use crate::warning::Warning;

/// The fields of a state, or of a region.
type Fields = serde_json::Map<String, Value>;

/// What a clone is built with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose values the clone's states are given where they ask the context object for the execution or the state
    /// machine; if nobody's, they get the clone's own, and [`ContextDiffers`](crate::warning::Code::ContextDiffers) names
    /// them.
    pub pin: Option<Pinned>,
    /// The fleet's own functions: they have to know which execution really calls them.
    pub fleet: Fleet,
    /// Most bytes of the clone's definition as it stands in a request, see [`sent_bytes`]: [`CLONE_BYTES`], or less.
    pub most_bytes: usize,
}

/// Largest definition of a state machine, in bytes of its JSON text.
///
/// Source: Step Functions service quotas, "Maximum size of a state machine definition" (1 MB); the API reference has it as
/// a `Definition` of 1 to 1,048,576.
pub const DEFINITION_BYTES: usize = 1_048_576;

/// Largest definition that a clone is made with, in bytes of what stands for it in the request ([`sent_bytes`]). The rest
/// is room for the headers, the role, the tags and the settings.
///
/// Source: Step Functions service quotas, "Maximum request size" (1 MB per API request, "including the request header and
/// all other associated request data").
pub const CLONE_BYTES: usize = 1_000_000;

/// How long a definition is in a request: it is a JSON text in a JSON string there, with a backslash before each quotation
/// mark and each backslash. Compact JSON has nothing else that is escaped.
#[must_use]
pub fn sent_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| is_escaped(*byte)).count()
}

fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

/// The original execution, as its context object describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// `$$.Execution.Id`: its ARN.
    pub execution_id: String,
    /// `$$.Execution.Name`.
    pub execution_name: String,
    /// `$$.Execution.StartTime`: ISO 8601.
    pub execution_start_time: String,
    /// `$$.StateMachine.Id`: the ARN of its state machine.
    pub machine_id: String,
    /// `$$.StateMachine.Name`.
    pub machine_name: String,
}

/// The functions of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    functions: BTreeSet<String>,
}

/// A clone's definition.
#[derive(Debug, Clone)]
pub struct Built {
    /// The definition.
    pub definition: Value,
    /// Its text: compact JSON.
    pub text: String,
    /// Each state that the original does not have, and the one of the original that it is a copy of or was injected for.
    pub copies: BTreeMap<String, String>,
    /// The Maps of which some could have been kept, but that run again as a whole, because the clone would be too large.
    pub maps_run_whole: Vec<String>,
    /// Where each of them stands: the branches and iterations around it, outermost first, as numbers.
    pub run_whole: BTreeSet<Vec<u32>>,
    /// What may be wrong with it.
    pub warnings: Vec<Warning>,
}

/// Why a clone cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloneError {
    /// It is none.
    #[error("the definition cannot be read: {0}")]
    Definition(#[from] DefinitionError),
    /// A region has no state of this name.
    #[error("the definition has no state \"{state}\" {region}")]
    NoSuchState {
        /// The name.
        state: String,
        /// Where it should stand: `at its top level`.
        region: String,
    },
    /// A state is not what it was when the run went through it.
    #[error("\"{state}\" {wrong}")]
    ShapeChanged {
        /// The state.
        state: String,
        /// What differs: `has 2 branches, where the run had 3`.
        wrong: String,
    },
    /// A state that has no output cannot be skipped.
    #[error("\"{state}\" is a {kind}, which cannot be skipped: name the state to go on at instead")]
    CannotSkip {
        /// The state.
        state: String,
        /// Its type.
        kind: String,
    },
    /// A lock, or the overlap guard's claim, cannot be taken again by a copy of the state that took it.
    #[error("what \"{state}\" took cannot be taken again by a copy of it: {why}")]
    CannotHold {
        /// The state that took it.
        state: String,
        /// Why not.
        why: String,
    },
    /// What a state is given, or has given, is more than a state may be given.
    #[error("{what} of \"{state}\" is {bytes} bytes: Step Functions takes at most {most}")]
    PayloadTooLarge {
        /// The state.
        state: String,
        /// Which of its data: `the input`.
        what: String,
        /// Its size as JSON.
        bytes: usize,
        /// What is allowed.
        most: usize,
    },
    /// From a state on there is no way to an end any more: AWS refuses such a state machine (`MISSING_END_STATE`).
    #[error("from \"{state}\" on nothing leads to an end, and Step Functions takes no state machine without one")]
    NoEnd {
        /// The state.
        state: String,
    },
    /// The definition is too large, even with every Map run again as a whole.
    #[error("the clone's definition takes {bytes} bytes of a request: Step Functions leaves at most {most} for it")]
    TooLarge {
        /// Its size in the request.
        bytes: usize,
        /// What is allowed.
        most: usize,
    },
}

/// Builds the clone: `definition` is what to go on with, `top` where its top level goes on.
pub fn build(definition: &Value, top: &At, options: &Options) -> Result<Built, CloneError> {
    let original = Definition::parse(&definition.to_string())?;
    let pinned = options
        .pin
        .as_ref()
        .map(|pinned| pin::pin(definition, pinned, &options.fleet));
    let draft = size::fit(
        pinned.as_ref().unwrap_or(definition),
        &original,
        top,
        options.most_bytes,
    )?;
    let mut warnings = draft.warnings;
    warnings.extend(context::warnings(&draft.definition, &draft.copies, options));
    Ok(Built {
        definition: draft.definition,
        text: draft.text,
        copies: draft.copies,
        maps_run_whole: draft.maps_run_whole.into_iter().collect(),
        run_whole: draft.run_whole,
        warnings: warnings.into_iter().collect(),
    })
}

impl Fleet {
    /// The fleet of these functions: names or ARNs.
    pub fn new(functions: impl IntoIterator<Item = String>) -> Self {
        Self {
            functions: functions.into_iter().collect(),
        }
    }

    /// Whether a state calls one of them: a Task whose `Resource` is one, or that has Lambda invoke one. An ARN may end in
    /// a version or an alias.
    fn is_called_by(&self, state: &Fields) -> bool {
        let arguments = ["Parameters", "Arguments"].into_iter();
        let arguments = arguments.filter_map(|field| state.get(field)?.get("FunctionName"));
        let mut called = state.get("Resource").into_iter().chain(arguments);
        called.any(|called| called.as_str().is_some_and(|called| self.has(called)))
    }

    /// Their names and ARNs.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(String::as_str)
    }

    /// Whether a name or an ARN is one of them: whole or in part, with or without a version or an alias.
    pub(crate) fn has(&self, called: &str) -> bool {
        let (home, name) = function_name(called);
        let mut functions = self.functions.iter().map(|function| function_name(function));
        functions.any(|(of, function)| {
            // What an ARN in part leaves out is the caller's own.
            function == name && (of.ends_with(home) || home.ends_with(of))
        })
    }
}

/// The Region and account of a function, as far as they are said, `eu-central-1:123456789012`, and its name.
///
/// Source: Lambda API reference, `Invoke`, `FunctionName`: `name`, `name:alias`, `account:function:name`, and the ARN, each
/// with or without a version or an alias; the SDKs also take `account:name`.
fn function_name(called: &str) -> (&str, &str) {
    let is_account = |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (home, name) = match called.split_once(":function:") {
        // arn:<partition>:lambda:<region>:<account>
        Some((arn, name)) if arn.starts_with("arn:") => (arn.splitn(4, ':').last().unwrap_or_default(), name),
        Some((account, name)) => (account, name),
        None => match called.split_once(':') {
            Some((account, name)) if is_account(account) => (account, name),
            _ => ("", called),
        },
    };
    (home, name.split_once(':').map_or(name, |(name, _)| name))
}

#[cfg(test)]
pub(crate) mod tests;
