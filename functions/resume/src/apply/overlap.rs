//! Whether another run of the pipeline is running.

use signalbox::arn::ExecutionArn;
use signalbox::clock::Clock;
use signalbox::executions::{Executions, Listed};
use signalbox::pipeline::{Clones, pipeline_of};

use crate::error::Error;
use crate::lineage::{Lineage, Resume};
use crate::machines::Machines;
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
}
