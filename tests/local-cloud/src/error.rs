//! What can go wrong between the harness and the local cloud.

use std::{fmt::Display, io, path::PathBuf, time::Duration};

/// A failure of the harness or of the local cloud, never of the code under test.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that the harness needs is missing or too old.
    #[error("{0}")]
    Prerequisite(String),

    /// The emulator could not be installed.
    #[error("the emulator could not be installed: {step} failed\n{output}")]
    Setup {
        /// The step that failed.
        step: &'static str,
        /// The end of what it printed.
        output: String,
    },

    /// The functions did not build.
    #[error("the functions did not build\n{output}")]
    Build {
        /// What cargo printed.
        output: String,
    },

    /// The local cloud did not become ready.
    #[error("the local cloud did not start: {reason}\n{log}")]
    Start {
        /// What was seen instead of its ready line.
        reason: String,
        /// The end of its log.
        log: String,
    },

    /// The port that was asked for is taken.
    #[error("port {port} of 127.0.0.1 is in use: stop what listens there, or choose another with --port")]
    PortInUse {
        /// The port.
        port: u16,
    },

    /// The local cloud ended while it was in use.
    #[error("the local cloud ended ({status}){during}\n{log}", during = call.as_ref().map(|call| format!(" before it answered {call}")).unwrap_or_default())]
    Ended {
        /// The call that had no answer, if one was waiting for it.
        call: Option<String>,
        /// How the process ended.
        status: String,
        /// The end of its log.
        log: String,
    },

    /// A call had no answer.
    #[error("{call}: {reason}")]
    Unreachable {
        /// The call.
        call: String,
        /// Why there was no answer.
        reason: String,
    },

    /// The local cloud refused a call of the harness.
    #[error("{call}: {message}")]
    Refused {
        /// The call.
        call: String,
        /// The reason that it gave.
        message: String,
    },

    /// An AWS API call of the harness failed.
    #[error("{call}: {message}")]
    Aws {
        /// The API and the operation.
        call: &'static str,
        /// The SDK's error with its whole source chain.
        message: String,
    },

    /// A stack has no output of that name.
    #[error("the stack `{stack}` has no output `{output}`; it has: {present}")]
    NoOutput {
        /// The stack.
        stack: String,
        /// The output that was asked for.
        output: String,
        /// The outputs that it has.
        present: String,
    },

    /// A condition was not met in time.
    #[error("waited {waited:.1?} for {what}; last seen: {last_seen}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What the last look showed.
        last_seen: String,
    },

    /// A file or folder could not be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },

    /// A program could not be run.
    #[error("{program} could not be run: {source}")]
    Program {
        /// The program.
        program: String,
        /// The reason.
        source: io::Error,
    },

    /// What a program or the local cloud answered was not understood.
    #[error("{from} answered something unexpected: {reason}")]
    Unexpected {
        /// Who answered.
        from: String,
        /// What was wrong with it.
        reason: String,
    },

    /// The local cloud that the tests of one process share did not start; every test that needs it says so.
    #[error(transparent)]
    NoSharedCloud(&'static Error),
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn program(program: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let program = program.into();
        move |source| Self::Program { program, source }
    }

    /// What somebody answered, or did, is not what it should be.
    #[must_use]
    pub fn unexpected(from: impl Into<String>, reason: impl Display) -> Self {
        Self::Unexpected {
            from: from.into(),
            reason: reason.to_string(),
        }
    }
}
