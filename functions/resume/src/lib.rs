#![doc = include_str!("../README.md")]

pub mod answer;
pub mod apply;
pub mod clone;
pub mod cut;
pub mod diff;
pub mod error;
mod handler;
pub mod hash;
pub mod lineage;
pub mod machines;
pub mod past;
pub mod plan;
pub mod planning;
pub mod refusal;
pub mod request;
pub mod sweep;
pub mod warning;

use signalbox::lock::AwsLocks;

pub use handler::ResumeFunction;

use crate::plan::Fleets;

/// How runs are resumed: Step Functions, what is remembered, which machines are clones, which runs are running, the locks,
/// and the clock.
#[derive(Debug, Clone)]
pub struct Resumes<M, L, K, E, V, C> {
    /// Step Functions' machines and executions.
    pub machines: M,
    /// What is remembered of resumes.
    pub lineage: L,
    /// Which machines are clones of others.
    pub clones: K,
    /// Which executions are running.
    pub executions: E,
    /// What a run that is redriven is given back before.
    pub reserves: V,
    /// Time.
    pub clock: C,
    /// The stack.
    pub settings: Settings,
}

/// What the stack says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The fleet's functions.
    pub fleets: Fleets,
    /// The ARNs of the roles that clones may be given; none, and there are no clones.
    pub roles: Vec<String>,
    /// The function's own name, for the command that applies a plan.
    pub function: String,
}

/// Locks that a run is given back before it is redriven.
pub trait Reserves {
    /// Gives the run that is about to be redriven for the `redrive`th time what it held. `Some`: what it cannot have, and
    /// who has it, in words; what it was given until then is given back.
    fn reserve(
        &self,
        execution: &signalbox::arn::ExecutionArn,
        redrive: u32,
        deadline: signalbox::clock::Timestamp,
    ) -> impl Future<Output = Result<Option<String>, signalbox::lock::Error>>;
}

impl Reserves for AwsLocks {
    async fn reserve(
        &self,
        execution: &signalbox::arn::ExecutionArn,
        redrive: u32,
        deadline: signalbox::clock::Timestamp,
    ) -> Result<Option<String>, signalbox::lock::Error> {
        Self::reserve(self, execution, redrive, deadline).await
    }
}
