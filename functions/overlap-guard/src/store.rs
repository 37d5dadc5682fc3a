//! What the guard remembers: one record for each run that asked, and one claim for each pipeline.

mod claims;
mod dynamo;

use std::collections::HashMap;
use std::future::Future;

use serde::{Deserialize, Serialize};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;

use crate::answer::Overlap;

pub use dynamo::DynamoRecords;

/// Which question of a run: a redrive, or entering the state again, asks anew; a retry of the state repeats the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// How often the run was redriven.
    pub redrive: u32,
    /// When it entered the state that asks.
    pub entered: Timestamp,
}

/// What is recorded of a run that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its latest question.
    pub question: Question,
    /// The answer, once there is one. It is never changed.
    pub verdict: Option<Verdict>,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the run goes on.
    pub ruling: Ruling,
    /// The runs in the way; for one that proceeds, those that were stopped for it.
    pub overlapping: Vec<Overlap>,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// It does.
    Proceed,
    /// It does not.
    Refuse,
}

/// A run that has a claim, or goes on under one, and with which of its questions it came to that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The run.
    pub run: ExecutionArn,
    /// Its question. With a later one it has to take the claim anew.
    pub question: Question,
}

/// The claim on a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who has it.
    pub holder: Holder,
    /// Whether the holder's check for runs that never asked is done.
    pub state: ClaimState,
    /// When it was taken, or last joined.
    pub changed: Timestamp,
    /// Runs that the holder started and that go on under its claim; sorted.
    pub members: Vec<Holder>,
    /// How often the members changed.
    pub joins: u32,
}

impl Claim {
    /// The claim as it begins: pending, and `holder`'s alone.
    #[must_use]
    pub fn new(holder: &Holder, now: Timestamp) -> Self {
        Self {
            holder: holder.clone(),
            state: ClaimState::Pending,
            changed: now,
            members: Vec::new(),
            joins: 0,
        }
    }

    /// The holder, then the members: the claim is good as long as one of them runs.
    pub fn runs(&self) -> impl Iterator<Item = &Holder> {
        std::iter::once(&self.holder).chain(&self.members)
    }
}

/// How far a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// The holder is looking for runs that never asked. Others wait for it.
    Pending,
    /// The holder goes on. Others are refused.
    Confirmed,
}

/// The records of runs.
pub trait Records {
    /// Records that `run` asks `question`, unless that or a later question is recorded; answers what is recorded then.
    fn arrive(
        &self,
        run: &ExecutionArn,
        question: Question,
        now: Timestamp,
    ) -> impl Future<Output = Result<Record, CallError>>;

    /// The records of those of `runs` that have one, consistent.
    fn records(&self, runs: &[ExecutionArn]) -> impl Future<Output = Result<HashMap<ExecutionArn, Record>, CallError>>;

    /// Records the answer unless there is one; answers what is recorded then. `None` if a later question was asked.
    fn decide(
        &self,
        run: &ExecutionArn,
        question: Question,
        verdict: &Verdict,
    ) -> impl Future<Output = Result<Option<Verdict>, CallError>>;
}

/// The claims on pipelines: at any time at most one run has the claim on a pipeline.
///
/// A claim is a hold on a lock of its own, which has one slot and no queue: see `claims.rs`.
pub trait Claims {
    /// Takes the claim, pending, if nobody has it; answers the claim as it is then.
    fn claim(
        &self,
        machine: &StateMachineArn,
        holder: &Holder,
        now: Timestamp,
    ) -> impl Future<Output = Result<Claim, CallError>>;

    /// The claim as it is, consistent.
    fn read(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Option<Claim>, CallError>>;

    /// Puts `claim` in the place of what was `seen`, if it is still as it was.
    fn replace(
        &self,
        machine: &StateMachineArn,
        seen: &Claim,
        claim: &Claim,
    ) -> impl Future<Output = Result<bool, CallError>>;

    /// Removes the claim, if it is still as it was `seen`; else does nothing.
    fn remove(&self, machine: &StateMachineArn, seen: &Claim) -> impl Future<Output = Result<(), CallError>>;
}
