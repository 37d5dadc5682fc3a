//! What is remembered of resumes: which run went on in which, and why. It makes the same request, made again, the same
//! resume.

mod dynamo;

use std::future::Future;
use std::time::Duration;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::pipeline::CloneOf;

pub(crate) use dynamo::DAYS;
pub use dynamo::DynamoLineage;

/// A resume that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The run that was to go on.
    pub origin: ExecutionArn,
    /// The plan's hash.
    pub plan_hash: String,
    /// What was asked for, without what says only who, why, and that it is to be done: a hash.
    pub request_hash: String,
    /// How often the run had been redriven by then.
    pub redrives: u32,
    /// The clone; none for a redrive.
    pub clone: Option<StateMachineArn>,
    /// The run that goes on: for a redrive the same one.
    pub execution: ExecutionArn,
    /// Where it goes on.
    pub resumes_at: String,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub by: Option<String>,
    /// When it was begun.
    pub at: Timestamp,
    /// Whether it was done: the run that goes on was started.
    pub done: bool,
}

/// How long somebody has a run's turn who does not give it back: longer than an invocation lasts, by more than clocks
/// differ.
pub const TURN: Duration = Duration::from_mins(3);

/// What is remembered.
pub trait Lineage {
    /// Notes a resume. Answers what is noted: of a resume that was noted before, that.
    fn begin(&self, resume: &Resume) -> impl Future<Output = Result<Resume, CallError>>;

    /// Notes that it was done.
    fn done(&self, resume: &Resume) -> impl Future<Output = Result<(), CallError>>;

    /// Takes a run's turn: no plan with another hash may be applied to it until the turn is [over](Self::turn_over), or
    /// [`TURN`] has passed. `false`: another one has it.
    fn take_turn(
        &self,
        origin: &ExecutionArn,
        plan_hash: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CallError>>;

    /// Has the turn for another [`TURN`]. `false`: it was given back meanwhile, or another plan has it.
    fn keep_turn(
        &self,
        origin: &ExecutionArn,
        plan_hash: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CallError>>;

    /// Gives the turn back, if this plan has it.
    fn turn_over(&self, origin: &ExecutionArn, plan_hash: &str) -> impl Future<Output = Result<(), CallError>>;

    /// The resumes of a run.
    fn of(&self, origin: &ExecutionArn) -> impl Future<Output = Result<Vec<Resume>, CallError>>;

    /// Notes a clone that is about to be used: before it is made, and before one of its runs is redriven. From then on its
    /// runs are runs of its pipeline, and no [`sweep`](crate::sweep) deletes it. `false`: a sweep is about to delete it at
    /// this moment. `origin`: the run that goes on by it, if it is to be made for that.
    fn clone_used(
        &self,
        clone: &CloneOf,
        origin: Option<&ExecutionArn>,
    ) -> impl Future<Output = Result<bool, CallError>>;
}
