//! What the functions of the relay fail with. What becomes of a task is told to its state by the token instead.

use crate::aws::CallError;
use crate::failure::Failure;
use crate::request::BadRequest;

/// Every error of the functions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request or the event cannot be understood; nothing was done.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// A call to AWS failed, or there was no time. Asking again starts no second task.
    #[error("{0}; asking again is safe")]
    Unavailable(String),
    /// The role lacks a permission; trying again does not help.
    #[error("{0}{hint}", hint = hint(.0))]
    AccessDenied(CallError),
}

impl Error {
    /// The names of all errors.
    pub const NAMES: [&'static str; 3] = ["Ecs.AccessDenied", "Ecs.BadRequest", "Ecs.Unavailable"];

    /// There was no time for the rest.
    #[must_use]
    pub fn slow() -> Self {
        Self::Unavailable("the calls to AWS took too long".to_owned())
    }
}

impl Failure for Error {
    fn name(&self) -> &'static str {
        match self {
            Self::AccessDenied(_) => "Ecs.AccessDenied",
            Self::BadRequest(_) => "Ecs.BadRequest",
            Self::Unavailable(_) => "Ecs.Unavailable",
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

/// What is mostly missing.
fn hint(denied: &CallError) -> &'static str {
    match denied.api {
        "ecs:RunTask" => {
            "; the function may run the task definitions and pass the roles whose names begin with the stack's \
             EcsTaskDefinitionPrefix and EcsRoleNamePrefix"
        }
        _ => "",
    }
}
