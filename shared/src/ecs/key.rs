//! Which attempt of which state a task belongs to.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::arn::ExecutionArn;
use crate::clock::Timestamp;
use crate::tasks::TaskToken;

/// What the `startedBy` of every task of the relay begins with. The stack follows, and the rule for events asks for both:
/// two stacks of an account do not hear of one another's tasks.
pub const STARTED_BY: &str = "signalbox/";

/// Longest part of a `startedBy` that tells the stack, in characters: what the key leaves of 128.
pub const STACK_CHARS: usize = 12;

/// Characters of a hash in a key: 128 bits.
const HASH: usize = 32;

/// Characters of the hash of a token in a key.
const TOKEN_HASH: usize = 16;

/// One visit of a state by an execution, or by one iteration of a Map state in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The execution.
    pub execution: ExecutionArn,
    /// The state's name.
    pub state: String,
    /// When it was entered. All attempts of a Retry, and those after a redrive, have it in common.
    pub entered: Timestamp,
    /// Which iteration, where the state is in a Map.
    pub item: Option<String>,
}

/// Which attempt of a step: a redrive begins to count anew, and comes after all attempts before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// How often the execution was redriven.
    pub redrive: u32,
    /// How often the state was retried since.
    pub retry: u32,
}

/// The key of a record: an attempt of a step. Its task's events carry it.
///
/// The token is part of it, by its hash: iterations of a Map that say nothing of their `item` can enter a state in the
/// same millisecond, and are told apart by that alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    run: String,
    step: String,
    attempt: Attempt,
    token: String,
}

impl TaskKey {
    /// The key of an attempt.
    #[must_use]
    pub fn new(step: &Step, attempt: Attempt, token: &TaskToken) -> Self {
        let entered = step.entered.to_string();
        let mut parts = vec![step.state.as_str(), &entered];
        parts.extend(step.item.as_deref());
        Self {
            run: Self::run_of(&step.execution),
            step: hash(&parts)[..HASH].to_owned(),
            attempt,
            token: hash(&[token.secret()])[..TOKEN_HASH].to_owned(),
        }
    }

    /// What the keys of all attempts of an execution begin with.
    #[must_use]
    pub fn run_of(execution: &ExecutionArn) -> String {
        hash(&[execution.as_str()])[..HASH].to_owned()
    }

    /// Reads [`TaskKey::name`] back.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        let (run, step, last) = (parts.next()?, parts.next()?, parts.next()?);
        let mut last = last.split('-');
        let (redrive, retry, token) = (last.next()?, last.next()?, last.next()?);
        let key = Self {
            run: run.to_owned(),
            step: step.to_owned(),
            attempt: Attempt {
                redrive: redrive.parse().ok()?,
                retry: retry.parse().ok()?,
            },
            token: token.to_owned(),
        };
        // Whatever is written in another way is not a key of ours.
        let is_hash = |text: &str, chars| {
            text.len() == chars && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let good = is_hash(run, HASH) && is_hash(step, HASH) && is_hash(token, TOKEN_HASH);
        (good && key.name() == name).then_some(key)
    }

    /// Reads the `startedBy` of a task; `None` if it is none of the relay's.
    #[must_use]
    pub fn of_started_by(started_by: &str) -> Option<Self> {
        let (_stack, name) = started_by.strip_prefix(STARTED_BY)?.split_once('/')?;
        Self::parse(name)
    }

    /// The execution's part.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The step's part.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.step
    }

    /// Which attempt.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The token's part.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// As a text: in URLs, in the names of objects, in `startedBy`.
    #[must_use]
    pub fn name(&self) -> String {
        let Attempt { redrive, retry } = self.attempt;
        format!("{}/{}/{redrive}-{retry}-{}", self.run, self.step, self.token)
    }

    /// The `startedBy` of the task, which its events carry: at most 128 letters, digits, `/`, `-` and `_`. `stack`: which
    /// of the account's stacks this is, in at most [`STACK_CHARS`] of them.
    ///
    /// Source: ECS API reference, `RunTask` (`startedBy`).
    #[must_use]
    pub fn started_by(&self, stack: &str) -> String {
        format!("{STARTED_BY}{stack}/{}", self.name())
    }

    /// The `clientToken` of `RunTask`: whoever asks again with it gets the same task, for a day. 64 characters.
    ///
    /// Source: ECS API reference, `RunTask` (`clientToken`).
    #[must_use]
    pub fn client_token(&self) -> String {
        hash(&[&self.name()])
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// SHA-256 in hex of texts, each with its length, so that no two lists run into one another.
#[must_use]
pub fn hash(parts: &[impl AsRef<str>]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// Bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(item: Option<&str>) -> Step {
        Step {
            execution: ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:etl:run-1").unwrap(),
            state: "Transform".to_owned(),
            entered: Timestamp::from_millis(1_769_832_012_345),
            item: item.map(str::to_owned),
        }
    }

    fn key(item: Option<&str>, redrive: u32, retry: u32, token: &str) -> TaskKey {
        TaskKey::new(
            &step(item),
            Attempt { redrive, retry },
            &TaskToken::parse(token).unwrap(),
        )
    }

    #[test]
    fn a_key_is_read_back_and_fits_where_ecs_takes_it() {
        let key = key(Some("3"), u32::MAX, u32::MAX, &"t".repeat(2_048));
        assert_eq!(TaskKey::parse(&key.name()).as_ref(), Some(&key));
        let started_by = key.started_by(&"0".repeat(STACK_CHARS));
        assert_eq!(TaskKey::of_started_by(&started_by).as_ref(), Some(&key));
        assert!(started_by.len() <= 128, "{}", started_by.len());
        assert!(
            started_by
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/-_".contains(c))
        );
        assert_eq!(key.client_token().len(), 64);
    }

    #[test]
    fn each_attempt_each_item_and_each_token_has_a_key_of_its_own() {
        let first = key(None, 0, 0, "a");
        for other in [
            key(None, 0, 1, "a"),
            key(None, 1, 0, "a"),
            key(None, 0, 0, "b"),
            key(Some(""), 0, 0, "a"),
            key(Some("0"), 0, 0, "a"),
        ] {
            assert_ne!(first.client_token(), other.client_token());
            assert_ne!(first.started_by("a"), other.started_by("a"));
        }
        assert_eq!(first, key(None, 0, 0, "a"));
        assert_eq!(first.step(), key(None, 3, 9, "b").step());
        assert_ne!(first.step(), key(Some("0"), 0, 0, "a").step());
    }

    #[test]
    fn what_others_started_is_nobody_elses_key() {
        let good = key(None, 0, 0, "a").started_by("0f");
        for other in [
            "ecs-svc/5888882704497679006",
            "signalbox/",
            "signalbox/a/b/0-0-c",
            &good.to_uppercase(),
            &good.to_uppercase().replacen("SIGNALBOX/0F/", "signalbox/0f/", 1),
            &format!("{good}x"),
            &good.replace("/0-0-", "/00-0-"),
            &good["signalbox/".len()..],
            &good.replace("/0f/", "/"),
        ] {
            assert_eq!(TaskKey::of_started_by(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_cannot_be_read_off_a_key() {
        assert!(!key(None, 0, 0, "s3cret-token").name().contains("s3cret"));
    }

    #[test]
    fn lists_do_not_run_into_one_another() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}
