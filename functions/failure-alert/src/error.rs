//! What `failure-alert` fails with.

use signalbox::aws::CallError;
use signalbox::failure::Failure;
use signalbox::request::BadRequest;

/// Every error of the function.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request, or the event, cannot be understood.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// A call to AWS failed, or there was no time. Nothing is lost: the queue delivers the event again, the sweep looks
    /// again.
    #[error("{0}")]
    Unavailable(String),
    /// The role lacks a permission; trying again does not help.
    #[error("{0}")]
    AccessDenied(CallError),
}

impl Error {
    /// The names of all errors.
    pub const NAMES: [&'static str; 3] = [
        "FailureAlert.AccessDenied",
        "FailureAlert.BadRequest",
        "FailureAlert.Unavailable",
    ];

    /// There was no time for the rest.
    #[must_use]
    pub fn slow() -> Self {
        Self::Unavailable("the calls to AWS took too long".to_owned())
    }

    /// Another invocation is at it.
    #[must_use]
    pub fn busy() -> Self {
        Self::Unavailable("another invocation announces this at this moment; whether it does will be seen".to_owned())
    }
}

impl Failure for Error {
    fn name(&self) -> &'static str {
        match self {
            Self::AccessDenied(_) => "FailureAlert.AccessDenied",
            Self::BadRequest(_) => "FailureAlert.BadRequest",
            Self::Unavailable(_) => "FailureAlert.Unavailable",
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error.is_access_denied() {
            true => Self::AccessDenied(error),
            false => Self::Unavailable(error.to_string()),
        }
    }
}
