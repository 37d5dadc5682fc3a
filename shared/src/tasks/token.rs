//! Task tokens.

use std::fmt;

/// Why a text is no task token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(String);

/// A task token. It is a secret: whoever has it can end the task.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TaskToken(String);

/// Longest task token, in characters.
///
/// Source: Step Functions API reference, `TaskToken` (1 to 2,048).
pub const TOKEN_CHARS: usize = 2_048;

impl TaskToken {
    /// Parses a token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        match text.chars().count() {
            0 => Err(TokenError("is empty; in ASL it is $$.Task.Token".to_owned())),
            chars if chars > TOKEN_CHARS => Err(TokenError(format!(
                "has {chars} characters; a task token has at most {TOKEN_CHARS}"
            ))),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The secret, for Step Functions and the table alone.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = TaskToken::parse("s3cret").unwrap();
        assert_eq!(format!("{token:?}"), "TaskToken(…)");
        assert!(TaskToken::parse("").is_err());
        assert!(TaskToken::parse(&"x".repeat(TOKEN_CHARS + 1)).is_err());
    }
}
