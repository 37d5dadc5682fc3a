//! Hashes and names: the same resume has the same names, and so happens once.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use signalbox::arn::ExecutionArn;
use signalbox::pipeline::HASH_CHARS;
use signalbox::quotas::NAME_CHARS;

/// What stands in the name of a resume's execution between that of the original and the hash.
const MARK: &str = "-r-";

/// A hash of texts, none of which can be taken for a part of its neighbour: lowercase hexadecimal.
#[must_use]
pub fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The part of a hash that a name has room for.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..HASH_CHARS).unwrap_or(hash)
}

/// The name of the execution that goes on for `origin`: its name, cut where it is too long, and the hash of the plan. Of a
/// resume of a resume the first one's name stays.
#[must_use]
pub fn execution_name(origin: &ExecutionArn, plan_hash: &str) -> String {
    let name = origin.name();
    let own = short(plan_hash);
    let is_ours = |at: &usize| {
        let rest = &name[at + MARK.len()..];
        *at > 0 && rest.len() == HASH_CHARS && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let root = name.rfind(MARK).filter(is_ours).map_or(name, |at| &name[..at]);
    let room = NAME_CHARS - MARK.len() - HASH_CHARS;
    let root: String = root.chars().take(room).collect();
    format!("{root}{MARK}{own}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        let arn = format!("arn:aws:states:us-east-1:123456789012:execution:orders:{name}");
        execution_name(&ExecutionArn::parse(&arn).unwrap(), &"ab".repeat(32))
    }

    #[test]
    fn a_name_has_the_first_ones_and_the_hash() {
        assert_eq!(named("run-1"), "run-1-r-abababababab");
        assert_eq!(named("run-1-r-0123456789ab"), "run-1-r-abababababab");
        assert_eq!(named("run-r-0123"), "run-r-0123-r-abababababab");
        let long = named(&"é".repeat(80));
        assert_eq!(long.chars().count(), 80);
        assert!(long.ends_with("é-r-abababababab"));
    }

    #[test]
    fn neighbours_are_not_mixed_up() {
        assert_ne!(hash(&["a", "bc"]), hash(&["ab", "c"]));
        assert_eq!(hash(&["a"]).len(), 64);
    }
}
