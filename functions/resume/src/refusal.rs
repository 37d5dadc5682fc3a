//! Why a run cannot be resumed in the way that was asked for, and what can be done instead.

use crate::clone::CloneError;

/// A refusal. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The execution runs.
    #[error("{0} is running: wait for its end, or stop it first")]
    StillRunning(String),
    /// It is of an EXPRESS state machine.
    #[error("{0} is of an EXPRESS state machine, whose runs leave no history to go on from: start a new execution")]
    Express(String),
    /// It succeeded, and nobody said where to go on.
    #[error("the run has succeeded: say with from at which state it is to go on")]
    NothingFailed,
    /// The history has no data.
    #[error("the history has no {what}: it cannot be known what the run had, so start a new execution")]
    NoData {
        /// What is missing: `input of "Charge"`.
        what: String,
    },
    /// The definition has no such state.
    #[error("{field}: the definition has no state \"{state}\"; it has {known}")]
    NoSuchState {
        /// The request's field.
        field: &'static str,
        /// The name.
        state: String,
        /// The states that it has.
        known: String,
    },
    /// The run did not come to a Parallel or a Map around the state.
    #[error(
        "from: the run did not come to \"{container}\", which \"{state}\" stands in; name \"{container}\" or a state before it"
    )]
    NotEntered {
        /// The state.
        state: String,
        /// The Parallel or Map that it stands in.
        container: String,
    },
    /// The state stands in a Distributed Map, whose iterations are executions of their own.
    #[error(
        "from: \"{state}\" stands in the Distributed Map \"{map}\", whose iterations are executions of their own; name \"{map}\" or a state before it, or leave from out"
    )]
    InChildren {
        /// The state.
        state: String,
        /// The Distributed Map.
        map: String,
    },
    /// The run did not come to the state, so that its input is not known.
    #[error("input: the run did not come to \"{state}\", so what it is to be given is not recorded; say it with input")]
    NeedsInput {
        /// The state.
        state: String,
    },
    /// More than one state is meant.
    #[error("{field}: {why}")]
    Ambiguous {
        /// The request's field.
        field: &'static str,
        /// What is meant, and how to say which.
        why: String,
    },
    /// It would fail again at once.
    #[error("\"{state}\" is a Fail state, which fails again at once; {instead}")]
    WouldFailAgain {
        /// The Fail state.
        state: String,
        /// What can be done.
        instead: String,
    },
    /// What has no output of its own cannot be skipped.
    #[error(
        "skipWithOutput: \"{state}\" is a {kind}, which cannot be skipped; name with from the state after it, and give that its input"
    )]
    CannotSkip {
        /// The state.
        state: String,
        /// Its type.
        kind: String,
    },
    /// How long a Wait has still to wait cannot be known.
    #[error("waits: how long \"{state}\" has still to wait cannot be worked out ({why}); ask for full or skip")]
    CannotWait {
        /// The Wait.
        state: String,
        /// Why not.
        why: String,
    },
    /// A redrive was asked for, and is not possible.
    #[error("mode: a redrive is not possible: {why}; ask for auto or clone")]
    NotRedrivable {
        /// Why not.
        why: String,
    },
    /// A nested execution has to be resumed first.
    #[error(
        "\"{state}\" waited for the nested execution {child}: resume that one first, unless it has succeeded, with {{\"executionArn\": \"{child}\"}}, then this one with {{\"from\": \"{state}\", \"skipWithOutput\": <what the state would have given on>}}; or start a new child with {{\"from\": \"{state}\"}}"
    )]
    ChildFirst {
        /// The state.
        state: String,
        /// The nested execution's ARN.
        child: String,
    },
    /// The definition to go on with does not fit what was done.
    #[error("definition: \"{state}\" {wrong}; go on at a state before it, or with the definition that ran")]
    ShapeChanged {
        /// The state.
        state: String,
        /// What differs.
        wrong: String,
    },
    /// The definition cannot be read.
    #[error("definition: {0}")]
    BadDefinition(String),
    /// The clone would be larger than Step Functions takes.
    #[error("{0}; go on at a state with less data before it, or start a new execution")]
    TooLarge(String),
    /// What the run held cannot be taken again.
    #[error("what \"{state}\" took cannot be taken again: {why}; go on with from at \"{state}\" or before it")]
    CannotHold {
        /// The state that took it.
        state: String,
        /// Why not.
        why: String,
    },
}

impl Refusal {
    /// The name that an ASL `ErrorEquals` matches.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StillRunning(_) => "Resume.StillRunning",
            Self::Express(_) => "Resume.Express",
            Self::NothingFailed => "Resume.NothingFailed",
            Self::NoData { .. } => "Resume.NoData",
            Self::NoSuchState { .. } => "Resume.NoSuchState",
            Self::NotEntered { .. } | Self::InChildren { .. } => "Resume.NotEntered",
            Self::NeedsInput { .. } => "Resume.NeedsInput",
            Self::Ambiguous { .. } => "Resume.Ambiguous",
            Self::WouldFailAgain { .. } => "Resume.WouldFailAgain",
            Self::CannotSkip { .. } => "Resume.CannotSkip",
            Self::CannotWait { .. } => "Resume.CannotWait",
            Self::NotRedrivable { .. } => "Resume.NotRedrivable",
            Self::ChildFirst { .. } => "Resume.ChildFirst",
            Self::ShapeChanged { .. } => "Resume.ShapeChanged",
            Self::BadDefinition(_) => "Resume.BadDefinition",
            Self::TooLarge(_) => "Resume.TooLarge",
            Self::CannotHold { .. } => "Resume.CannotHold",
        }
    }
}

impl From<CloneError> for Refusal {
    fn from(error: CloneError) -> Self {
        match error {
            CloneError::Definition(error) => Self::BadDefinition(error.to_string()),
            CloneError::NoSuchState { state, region } => Self::ShapeChanged {
                state,
                wrong: format!("is not there {region}"),
            },
            CloneError::ShapeChanged { state, wrong } => Self::ShapeChanged { state, wrong },
            CloneError::NoEnd { state } => Self::ShapeChanged {
                state,
                wrong: "leads to no end any more, and Step Functions takes no state machine without one".to_owned(),
            },
            CloneError::CannotSkip { state, kind } => Self::CannotSkip { state, kind },
            CloneError::CannotHold { state, why } => Self::CannotHold { state, why },
            error @ (CloneError::PayloadTooLarge { .. } | CloneError::TooLarge { .. }) => {
                Self::TooLarge(error.to_string())
            }
        }
    }
}
