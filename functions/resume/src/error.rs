//! What `resume` fails with.

use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::failure::Failure;
use signalbox::request::BadRequest;

use crate::refusal::Refusal;

/// Every error of the function.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be understood.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// The run cannot be resumed in the way that was asked for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such execution.
    #[error("executionArn: Step Functions has no execution {0}; it keeps those that ended for 90 days")]
    NotFound(ExecutionArn),
    /// Another run of the pipeline is running.
    #[error(
        "allowOverlap: {0} is running, which is another run of this pipeline; wait for its end, stop it, or say \"allowOverlap\": true"
    )]
    Overlapping(String),
    /// The plan is another one than that which was looked at.
    #[error("planHash: the plan is {now} by now; look at it, and apply it with that hash")]
    PlanChanged {
        /// Its hash now.
        now: String,
    },
    /// Clones are not allowed.
    #[error(
        "the plan is a clone, which needs the role {role} passed to it, and that is off; set the stack's parameter ResumeRoleArns to the roles that clones may have"
    )]
    ClonesOff {
        /// The state machine's role.
        role: String,
    },
    /// Step Functions does not take the clone's definition.
    #[error("definition: Step Functions does not take what would go on: {0}")]
    InvalidDefinition(String),
    /// The lock that the run held is somebody else's, and a redrive was asked for.
    #[error("mode: {0}; ask for auto or clone, whose run waits its turn, or try again once the lock is free")]
    LockTaken(String),
    /// A call to AWS failed or was throttled, or the time ran out. What was begun is finished by the same request.
    #[error("{0}")]
    Unavailable(String),
    /// The role lacks a permission; trying again does not help.
    #[error("{0}")]
    AccessDenied(CallError),
}

impl Error {
    /// The names of all errors.
    pub const NAMES: [&'static str; 26] = [
        "Resume.AccessDenied",
        "Resume.Ambiguous",
        "Resume.BadDefinition",
        "Resume.BadRequest",
        "Resume.CannotHold",
        "Resume.CannotSkip",
        "Resume.CannotWait",
        "Resume.ChildFirst",
        "Resume.ClonesOff",
        "Resume.Express",
        "Resume.InvalidDefinition",
        "Resume.LockTaken",
        "Resume.NeedsInput",
        "Resume.NoData",
        "Resume.NoSuchState",
        "Resume.NotEntered",
        "Resume.NotFound",
        "Resume.NotRedrivable",
        "Resume.NothingFailed",
        "Resume.Overlapping",
        "Resume.PlanChanged",
        "Resume.ShapeChanged",
        "Resume.StillRunning",
        "Resume.TooLarge",
        "Resume.Unavailable",
        "Resume.WouldFailAgain",
    ];

    /// There was no time for the rest.
    #[must_use]
    pub fn slow() -> Self {
        Self::Unavailable("the calls to AWS took too long; the same request goes on with what was begun".to_owned())
    }
}

impl Failure for Error {
    fn name(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "Resume.BadRequest",
            Self::Refused(refusal) => refusal.name(),
            Self::NotFound(_) => "Resume.NotFound",
            Self::Overlapping(_) => "Resume.Overlapping",
            Self::PlanChanged { .. } => "Resume.PlanChanged",
            Self::ClonesOff { .. } => "Resume.ClonesOff",
            Self::InvalidDefinition(_) => "Resume.InvalidDefinition",
            Self::LockTaken(_) => "Resume.LockTaken",
            Self::Unavailable(_) => "Resume.Unavailable",
            Self::AccessDenied(_) => "Resume.AccessDenied",
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
