//! Everything that the guard fails with. The names are listed in `docs/errors.md`.

use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::failure::Failure;
use signalbox::request::BadRequest;

use crate::answer::{LISTED_MOST, Overlap};

/// The `error` of an execution that was stopped under the policy `cancelOlder`.
pub const CANCELLED: &str = "OverlapGuard.Cancelled";

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
    /// Every name that the function fails with.
    pub const NAMES: [&str; 5] = [
        "OverlapGuard.BadRequest",
        "OverlapGuard.Overlapping",
        "OverlapGuard.NotRunning",
        "OverlapGuard.AccessDenied",
        "OverlapGuard.Unavailable",
    ];

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
        let [bad_request, overlapping, not_running, access_denied, unavailable] = Self::NAMES;
        match self {
            Self::BadRequest(_) => bad_request,
            Self::Overlapping { .. } => overlapping,
            Self::NotRunning { .. } => not_running,
            Self::AccessDenied(_) => access_denied,
            Self::Unavailable(_) | Self::Undecided(_) => unavailable,
        }
    }
}

/// Who, why, since when, and where to look: it is all that Step Functions shows of the refusal.
fn refusal(run: &ExecutionArn, overlapping: &[Overlap]) -> String {
    let run = run.name();
    let Some((first, more)) = overlapping.split_first() else {
        return format!("{run} was refused: it would overlap with another run");
    };
    let others = match more {
        [] => String::new(),
        [second] => format!(", and {}", second.for_people()),
        // The list may have been cut.
        _ if overlapping.len() >= LISTED_MOST => format!(", and at least {} more", more.len()),
        _ => format!(", and {} more", more.len()),
    };
    format!(
        "{run} was refused: it would overlap with {}{others}. See {}",
        first.for_people(),
        first.console_url
    )
}

#[cfg(test)]
mod tests {
    use signalbox::clock::Timestamp;
    use signalbox::failure::diagnostic;

    use super::*;
    use signalbox::executions::{Execution, Status};

    fn run(text: &str) -> ExecutionArn {
        ExecutionArn::parse(&format!("arn:aws:states:eu-west-1:123456789012:execution:{text}")).unwrap()
    }

    fn overlap(text: &str, since: &str) -> Overlap {
        Overlap::with(&Execution {
            arn: run(text),
            since: Timestamp::parse(since).unwrap(),
            redrive: 0,
            status: Status::Running,
            aborted_with: None,
        })
    }

    #[test]
    fn a_refusal_says_who_is_in_the_way_since_when_and_where_to_look() {
        let first = overlap("orders:nightly-1", "2026-01-31T04:00:12.345Z");
        let second = overlap("invoices:by-hand", "2026-01-31T05:30:00Z");
        let page = "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/\
                    arn:aws:states:eu-west-1:123456789012:execution:orders:nightly-1";
        let of = |count: usize| {
            [&first, &second]
                .into_iter()
                .cycle()
                .take(count)
                .cloned()
                .collect::<Vec<_>>()
        };
        let others = |text: &str| {
            format!(
                "nightly-2 was refused: it would overlap with nightly-1 of orders, running since \
                 2026-01-31 04:00:12 UTC{text}. See {page}"
            )
        };
        for (count, text) in [
            (1, others("")),
            (
                2,
                others(", and by-hand of invoices, running since 2026-01-31 05:30:00 UTC"),
            ),
            (3, others(", and 2 more")),
            (9, others(", and 8 more")),
            (10, others(", and at least 9 more")),
            (0, "nightly-2 was refused: it would overlap with another run".to_owned()),
        ] {
            let error = Error::Overlapping {
                run: run("orders:nightly-2"),
                overlapping: of(count),
            };
            let answer = diagnostic(&error);
            assert_eq!(
                (answer.error_type.as_str(), answer.error_message),
                ("OverlapGuard.Overlapping", text)
            );
        }
    }

    #[test]
    fn an_old_record_of_an_overlap_is_still_told() {
        let overlap = Overlap {
            started_at: "yesterday".to_owned(),
            ..overlap("orders:nightly-1", "2026-01-31T04:00:12Z")
        };
        assert_eq!(overlap.for_people(), "nightly-1 of orders, running since yesterday");
    }

    #[test]
    fn the_other_errors_say_what_to_do() {
        let failed = |why: &str| CallError::malformed("states:ListExecutions", why);
        let mut denied = failed("not authorized");
        denied.code = Some("AccessDeniedException".to_owned());
        for (error, name, text) in [
            (
                Error::from(BadRequest::new("policy", "is missing; it is required")),
                "OverlapGuard.BadRequest",
                "policy: is missing; it is required",
            ),
            (
                Error::NotRunning {
                    run: run("orders:nightly-2"),
                    what: "has ended".to_owned(),
                },
                "OverlapGuard.NotRunning",
                "executionArn: arn:aws:states:eu-west-1:123456789012:execution:orders:nightly-2 has ended; \
                 the guard answers running executions only",
            ),
            (
                Error::from(denied),
                "OverlapGuard.AccessDenied",
                "states:ListExecutions failed: not authorized; the guard may only see and stop pipelines whose name \
                 begins with the stack's PipelineNamePrefix",
            ),
            (
                Error::from(failed("timeout")),
                "OverlapGuard.Unavailable",
                "no verdict, so the run does not proceed: states:ListExecutions failed: timeout; asking again is safe",
            ),
            (
                Error::Undecided("nightly-1 is being stopped".to_owned()),
                "OverlapGuard.Unavailable",
                "no verdict in time, so the run does not proceed: nightly-1 is being stopped; asking again is safe",
            ),
        ] {
            assert_eq!((error.name(), error.to_string().as_str()), (name, text));
        }
    }
}
