//! Whether another run of the pipeline is running.

use signalbox::arn::ExecutionArn;
use signalbox::clock::Clock;
use signalbox::executions::{Executions, Listed};
use signalbox::pipeline::{Clones, pipeline_of};

use super::{Applied, Noted};
use crate::error::Error;
use crate::lineage::{Lineage, Resume, TURN};
use crate::machines::{Described, Machines};
use crate::plan::Status;
use crate::planning::Planned;
use crate::request::Asked;
use crate::{Reserves, Resumes};

impl<M, L, K, E, V, C> Resumes<M, L, K, E, V, C>
where
    M: Machines,
    L: Lineage,
    K: Clones,
    E: Executions,
    V: Reserves,
    C: Clock,
{
    /// No other run of the pipeline is running: of the machine itself, or of a clone of it. `begun`: this resume, of an
    /// invocation that crashed.
    pub(super) async fn check_overlap(&self, asked: &Asked, begun: Option<&Resume>) -> Result<(), Error> {
        if asked.allow_overlap {
            return Ok(());
        }
        let pipeline = pipeline_of(&self.clones, asked.execution.machine()).await?;
        let clones = self.clones.of(&pipeline).await?.into_iter().map(|clone| clone.machine);
        let is_ours =
            |run: &ExecutionArn| *run == asked.execution || begun.is_some_and(|begun| begun.execution == *run);
        let mut running = Vec::new();
        for machine in std::iter::once(pipeline.clone()).chain(clones) {
            if let Listed::Running(runs) = self.executions.running(&machine).await? {
                running.extend(runs.into_iter().filter(|run| !is_ours(&run.arn)));
            }
        }
        match running.into_iter().min_by_key(|run| run.since) {
            None => Ok(()),
            Some(run) => Err(Error::Overlapping(run.arn.to_string())),
        }
    }

    /// Nobody applies another plan to the run at this moment. `known`: its resumes, as they were read a moment ago.
    pub(super) async fn take_turn(
        &self,
        asked: &Asked,
        planned: &Planned<M::Setup>,
        known: &[Resume],
    ) -> Result<(), Error> {
        if asked.allow_overlap {
            return Ok(());
        }
        let (origin, plan_hash) = (&asked.execution, &planned.plan_hash);
        self.check_others(known, plan_hash, &planned.origin).await?;
        match self.lineage.take_turn(origin, plan_hash, self.clock.now()).await? {
            true => Ok(()),
            false => Err(being_resumed(origin)),
        }
    }

    /// Nobody has applied another plan meanwhile, nor does so: looked at when it is noted what is about to be done.
    ///
    /// All invocations with the same plan share the turn, and one of them may have given it back, and another plan been
    /// applied since. As each plan is noted before it is looked for others, of two at least one sees the other.
    /// If it was given back because the same was done by another one, that is answered.
    pub(super) async fn keep_turn(
        &self,
        asked: &Asked,
        noted: &Noted<'_>,
        planned: &Described,
    ) -> Result<Option<Applied>, Error> {
        if asked.allow_overlap {
            return Ok(None);
        }
        let (origin, now) = (&asked.execution, self.clock.now());
        let is_kept = self.lineage.keep_turn(origin, noted.plan_hash, now).await?;
        let known = self.lineage.of(origin).await?;
        if is_kept {
            self.check_others(&known, noted.plan_hash, planned).await?;
            return Ok(None);
        }
        let ours = |resume: &Resume| resume.plan_hash == noted.plan_hash && resume.done;
        match known.into_iter().find(ours) {
            Some(resume) => self.as_before(resume).await.map(Some),
            None => Err(being_resumed(origin)),
        }
    }

    /// No run goes on by another plan, or has just been told to, which lists do not show yet. `planned`: the run that is to
    /// go on as it was when the plan was made.
    async fn check_others(&self, known: &[Resume], plan_hash: &str, planned: &Described) -> Result<(), Error> {
        let now = self.clock.now();
        for other in known.iter().filter(|other| other.plan_hash != plan_hash) {
            let found = self.machines.describe(&other.execution).await?;
            let is_recent = now.since(other.at) < TURN;
            match found.map(|found| found.status) {
                Some(Status::Running) => return Err(Error::Overlapping(other.execution.to_string())),
                // It is being done.
                _ if !other.done && is_recent => return Err(being_resumed(&other.origin)),
                // What was planned was planned for the run before it was redriven.
                Some(_) if other.clone.is_none() && other.done && other.redrives >= planned.redrives => {
                    return Err(being_resumed(&other.origin));
                }
                // Started, and not to be seen yet.
                None if other.done && is_recent => return Err(being_resumed(&other.origin)),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) async fn give_turn_back(&self, origin: &ExecutionArn, plan_hash: &str) {
        if let Err(error) = self.lineage.turn_over(origin, plan_hash).await {
            // It is over by itself, a little later.
            tracing::warn!(executionArn = %origin, %error, "the turn could not be given back");
        }
    }
}

fn being_resumed(origin: &ExecutionArn) -> Error {
    Error::Unavailable(format!(
        "{origin} is being resumed in another way at this moment; try again in {} minutes",
        TURN.as_secs() / 60
    ))
}
