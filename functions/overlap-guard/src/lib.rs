#![doc = include_str!("../README.md")]

pub mod answer;
pub mod error;
pub mod guard;
pub mod request;
pub mod sighting;
pub mod store;

use signalbox::clock::SystemClock;
use signalbox::lock::DynamoLocks;
use signalbox::runtime::{Handler, Invocation, within};

use crate::answer::Answer;
use crate::error::Error;
use crate::guard::Guard;
use crate::request::{Ask, Request};
use crate::store::DynamoRecords;
use signalbox::executions::SfnExecutions;
use signalbox::pipeline::DynamoClones;

/// The function as it runs on Lambda.
pub type OverlapGuard = Guard<DynamoRecords, DynamoLocks, DynamoClones, SfnExecutions, SystemClock>;

impl Handler for OverlapGuard {
    type Request = Request;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Request, invocation: &Invocation) -> Result<Answer, Error> {
        let ask = Ask::try_from(request)?;
        invocation.about(ask.run.as_str());
        let decided = within(invocation, self.decide(&ask, invocation.deadline)).await;
        let answer = decided.unwrap_or_else(|| Err(Error::Undecided("a call to AWS took too long".to_owned())))?;
        invocation.outcome(if answer.proceed { "proceed" } else { "skip" });
        Ok(answer)
    }
}
