//! Which pipeline the runs of a state machine belong to.
//!
//! `resume` lets a failed run go on in a clone of its state machine: a second one, named `<original>--r-<hash>`. Its runs
//! are runs of the original's pipeline. The name alone is not believed, as a person may have chosen it: what is a clone, and
//! of which machine, is recorded before the clone's first run starts, see [`Clones`].

#[cfg(feature = "dynamodb")]
mod dynamo;

use std::future::Future;

use crate::arn::StateMachineArn;
use crate::aws::CallError;
use crate::clock::Timestamp;
use crate::quotas::NAME_CHARS;

#[cfg(feature = "dynamodb")]
pub use dynamo::{CLONES_PK, DynamoClones, to_item};

/// What stands in a clone's name between that of the original and the hash.
const MARK: &str = "--r-";

/// Length of the hash: lowercase hexadecimal digits.
pub const HASH_CHARS: usize = 12;

/// What a clone's name has for an original's, without the part of its own, if it is named like a clone.
fn root(name: &str) -> Option<&str> {
    let at = name.len().checked_sub(MARK.len() + HASH_CHARS)?;
    // Nothing but ASCII follows, or it is no mark and no hash.
    let (root, own) = (name.get(..at)?, name.get(at..)?);
    let hash = own.strip_prefix(MARK)?;
    let is_hash = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hash && !root.is_empty()).then_some(root)
}

/// Whether this is a name that `resume` gives to clones: `<root>--r-<12 lowercase hexadecimal digits>`.
#[must_use]
pub fn is_named_like_a_clone(name: &str) -> bool {
    root(name).is_some()
}

/// What the names of all clones of a machine with this name begin with, and hardly any other: the name, cut so that 80
/// characters are enough with the hash. A clone of a clone is named as if it were the original's.
#[must_use]
pub fn clone_stem(original: &str) -> String {
    const ROOM: usize = NAME_CHARS - MARK.len() - HASH_CHARS;
    let root: String = root(original).unwrap_or(original).chars().take(ROOM).collect();
    format!("{root}{MARK}")
}

/// The name of a clone: `hash` is [`HASH_CHARS`] lowercase hexadecimal digits.
#[must_use]
pub fn clone_name(original: &str, hash: &str) -> String {
    clone_stem(original) + hash
}

/// What is recorded of a clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneOf {
    /// The clone.
    pub machine: StateMachineArn,
    /// The machine that it is a clone of; of a clone's clone the first original.
    pub pipeline: StateMachineArn,
    /// When it was made.
    pub made: Timestamp,
}

/// What is recorded of clones.
pub trait Clones {
    /// What is recorded of a machine, consistent; `None` if it is no clone. Only for names like those of clones, see
    /// [`recorded`].
    fn find(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Option<CloneOf>, CallError>>;

    /// The clones of a pipeline that are not deleted, those made last first. Eventually consistent: it is asked by
    /// everybody, and nearly always in vain.
    fn of(&self, pipeline: &StateMachineArn) -> impl Future<Output = Result<Vec<CloneOf>, CallError>>;
}

/// What is recorded of a machine. It costs a call only for one that is named like a clone.
pub async fn recorded(clones: &impl Clones, machine: &StateMachineArn) -> Result<Option<CloneOf>, CallError> {
    match is_named_like_a_clone(machine.name()) {
        true => clones.find(machine).await,
        false => Ok(None),
    }
}

/// The pipeline that the runs of a machine belong to: the original of a clone, else the machine itself.
pub async fn pipeline_of(clones: &impl Clones, machine: &StateMachineArn) -> Result<StateMachineArn, CallError> {
    let found = recorded(clones, machine).await?;
    Ok(found.map_or_else(|| machine.clone(), |clone| clone.pipeline))
}

#[cfg(test)]
mod tests;
