//! Named errors: what a function fails with is a name that an ASL `ErrorEquals` can match, and a sentence for people.

use std::error::Error;

use lambda_runtime::Diagnostic;

use crate::quotas::CAUSE_CHARS;

/// An error of a function, with a stable name: `OverlapGuard.Overlapping`.
pub trait Failure: Error {
    /// The name that an ASL `ErrorEquals` matches. Stable: pipelines depend on it.
    fn name(&self) -> &'static str;
}

/// What Lambda answers for `failure`: its name as `errorType`, its text as `errorMessage`.
///
/// Without this, Step Functions would see the Rust type's name. Step Functions makes `{"errorMessage": …, "errorType": …}`
/// the cause, escaped, and a cause has its quota: the text is cut where that could not hold it.
#[must_use]
pub fn diagnostic(failure: &impl Failure) -> Diagnostic {
    Diagnostic {
        error_type: failure.name().to_owned(),
        error_message: cut(failure.to_string(), CAUSE_CHARS / 2),
    }
}

/// The error and all its sources in one line: an SDK error alone displays just "dispatch failure".
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}… (cut)", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Trial {
        #[error("{0}")]
        Long(String),
        #[error("the table cannot be read")]
        Outer(#[source] std::io::Error),
    }

    impl Failure for Trial {
        fn name(&self) -> &'static str {
            "Trial.Long"
        }
    }

    #[test]
    fn the_name_and_the_text_are_what_step_functions_sees() {
        let answer = diagnostic(&Trial::Long("é".repeat(CAUSE_CHARS)));
        assert_eq!(answer.error_type, "Trial.Long");
        assert!(answer.error_message.ends_with("… (cut)"));
        assert!(answer.error_message.chars().count() < CAUSE_CHARS);
    }

    #[test]
    fn a_chain_names_every_source_once() {
        let error = Trial::Outer(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "the table cannot be read: connection refused");
    }
}
