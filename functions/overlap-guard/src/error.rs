//! Everything that the guard fails with. The names are listed in `docs/errors.md`.

use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::failure::Failure;
use signalbox::request::BadRequest;

use crate::answer::Overlap;

/// Why a run was not let through, or not answered. Whatever it is, the run does not proceed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is wrong; nothing was done.
    #[error("{0}")]
    BadRequest(#[from] BadRequest),
    /// Another run is in the way: the verdict of the policies `failNewer` and, against a newer run, `cancelOlder`.
    #[error("{}", refusal(run, overlapping))]
    Overlapping {
        /// The run that asked.
        run: ExecutionArn,
        /// The runs in the way, oldest first.
        overlapping: Vec<Overlap>,
    },
    /// The run that asks has ended, or Step Functions does not know it.
    #[error("executionArn: {run} {what}; the guard answers running executions only")]
    NotRunning {
        /// The run that was named.
        run: ExecutionArn,
        /// What Step Functions says of it.
        what: String,
    },
    /// The role lacks a permission.
    #[error("{0}; the guard may only see and stop pipelines whose name begins with the stack's PipelineNamePrefix")]
    AccessDenied(CallError),
    /// A call did not succeed in time. Nothing is decided by it; asking again is safe.
    #[error("no verdict, so the run does not proceed: {0}; asking again is safe")]
    Unavailable(CallError),
    /// Another run was still being decided when the time ran out.
    #[error("no verdict in time, so the run does not proceed: {0}; asking again is safe")]
    Undecided(String),
}

impl Error {
    /// Whether the same call may succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        if error.is_access_denied() {
            Self::AccessDenied(error)
        } else {
            Self::Unavailable(error)
        }
    }
}

impl Failure for Error {
    fn name(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "OverlapGuard.BadRequest",
            Self::Overlapping { .. } => "OverlapGuard.Overlapping",
            Self::NotRunning { .. } => "OverlapGuard.NotRunning",
            Self::AccessDenied(_) => "OverlapGuard.AccessDenied",
            Self::Unavailable(_) | Self::Undecided(_) => "OverlapGuard.Unavailable",
        }
    }
}

fn refusal(run: &ExecutionArn, overlapping: &[Overlap]) -> String {
    let Some((first, more)) = overlapping.split_first() else {
        return format!("{} overlaps with another run", run.name());
    };
    let others = match more.len() {
        0 => String::new(),
        1 => format!(" (and {})", more[0].for_people()),
        n => format!(" (and {n} more)"),
    };
    format!(
        "{} is in the way{others}. {} was refused, so that the two do not overlap. See {}",
        first.for_people(),
        run.name(),
        first.console_url
    )
}
