#![doc = include_str!("../README.md")]

pub mod request;

use serde::Serialize;
use signalbox::lock::acquire::Acquired;
use signalbox::lock::{AwsLocks, Error};
use signalbox::runtime::{Handler, Invocation, within};

use crate::request::{Ask, Request};

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct LockAcquire {
    /// The protocol.
    pub locks: AwsLocks,
    /// What the names of the pipelines begin with that the fleet sees: a run of another one would hold its lock after its
    /// end, as nobody could see that it has ended.
    pub prefix: String,
}

/// What the invocation itself answers. The task hears of the lock by its token.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// How asking ended: `granted`, `queued`, `skipped`, `gone` (nobody waits for the token any more) or `unsettled`
    /// (whether the task was told is found out by the next sweep).
    pub outcome: &'static str,
}

impl Handler for LockAcquire {
    type Request = Request;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Request, invocation: &Invocation) -> Result<Answer, Error> {
        let ask = Ask::read(&request, self.locks.may_stop)?;
        let run = &ask.hold().execution;
        if !run.machine().name().starts_with(&self.prefix) {
            return Err(Error::Unseen {
                run: run.clone(),
                prefix: self.prefix.clone(),
            });
        }
        let session = self.locks.session(invocation.deadline);
        let acquired = match ask {
            Ask::Acquire(ask) => {
                invocation.about(ask.hold.execution.as_str());
                within(invocation, session.acquire(&ask)).await
            }
            Ask::Assert {
                hold,
                token,
                redrive,
                entered,
            } => {
                invocation.about(hold.execution.as_str());
                within(invocation, session.assert(&hold, &token, redrive, entered)).await
            }
        };
        let outcome = match acquired.unwrap_or_else(|| Err(Error::slow()))? {
            Acquired::Granted => "granted",
            Acquired::Queued => "queued",
            Acquired::Skipped => "skipped",
            Acquired::Gone => "gone",
            Acquired::Unsettled => "unsettled",
        };
        invocation.outcome(outcome);
        Ok(Answer { outcome })
    }
}
