//! The clone: noted as one of its pipeline, then made, then its run started.

use std::time::Duration;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::Clock;
use signalbox::executions::Executions;
use signalbox::pipeline::{CloneOf, Clones, pipeline_of};

use super::roles::is_like;
use super::{Applied, Done, Noted};
use crate::error::Error;
use crate::lineage::Lineage;
use crate::machines::{Machines, Making, NewMachine, Starting};
use crate::plan::Status;
use crate::planning::Planned;
use crate::request::Asked;
use crate::{Reserves, Resumes};

/// Between two attempts to start a run of a machine that was just made: it is eventually consistent.
const SOON: Duration = Duration::from_millis(500);

/// How long such a machine is waited for.
const APPEARS: Duration = Duration::from_secs(30);

/// Tags of a clone: of which execution it goes on, and of which pipeline its runs are.
const ORIGIN_TAG: &str = "signalbox:origin";
const PIPELINE_TAG: &str = "signalbox:pipeline";

/// Most tags of a state machine.
///
/// Source: Step Functions API reference, `CreateStateMachine` (`TooManyTags`): 50.
const TAGS_MOST: usize = 50;

impl<M, L, K, E, V, C> Resumes<M, L, K, E, V, C>
where
    M: Machines,
    L: Lineage,
    K: Clones,
    E: Executions,
    V: Reserves,
    C: Clock,
{
    pub(super) fn may_pass(&self, role: &str) -> bool {
        self.settings.roles.iter().any(|allowed| is_like(role, allowed))
    }

    /// Makes the clone, and starts its run. `plan_hash`: of the plan that was asked for.
    pub(super) async fn make_and_start(
        &self,
        asked: &Asked,
        planned: &Planned<M::Setup>,
        noted: &Noted<'_>,
    ) -> Result<Done, Error> {
        let (Some(name), Some(built)) = (&planned.clone_name, &planned.plan.built) else {
            return Err(Error::Unavailable("the plan has no clone".to_owned()));
        };
        if !self.may_pass(&planned.ran.role) {
            return Err(Error::ClonesOff {
                role: planned.ran.role.clone(),
            });
        }
        let malformed = |error: signalbox::arn::ArnError| Error::Unavailable(error.to_string());
        let origin = asked.execution.machine();
        let clone = StateMachineArn::parse(&format!("{}:stateMachine:{name}", origin.home())).map_err(malformed)?;
        let execution = format!("{}:execution:{name}:{}", origin.home(), planned.execution_name);
        let execution = ExecutionArn::parse(&execution).map_err(malformed)?;
        if let Some(faults) = self.machines.faults(&built.text).await? {
            return Err(Error::InvalidDefinition(faults));
        }
        let pipeline = pipeline_of(&self.clones, origin).await?;
        let resume = self.resume(asked, planned, noted, Some(clone.clone()), execution);
        let resume = self.lineage.begin(&resume).await?;
        if resume.clone.as_ref() != Some(&clone) {
            // Another invocation had the lock, and is about to redrive the run.
            return Ok(Done::Otherwise);
        }
        if let Some(before) = self.keep_turn(asked, noted, &planned.origin).await? {
            return Ok(Done::So(Box::new(before)));
        }
        let used = CloneOf {
            machine: clone.clone(),
            pipeline: pipeline.clone(),
            made: self.clock.now(),
        };
        if !self.lineage.clone_used(&used, Some(&asked.execution)).await? {
            return Err(being_deleted(&clone));
        }
        let mut tags = self.machines.tags(origin).await?;
        tags.retain(|(key, _)| key != ORIGIN_TAG && key != PIPELINE_TAG);
        // The pipeline's own go first: what ours say is noted too.
        if tags.len() + 2 <= TAGS_MOST {
            tags.push((ORIGIN_TAG.to_owned(), asked.execution.to_string()));
            tags.push((PIPELINE_TAG.to_owned(), pipeline.to_string()));
        }
        let machine = NewMachine {
            name,
            definition: &built.text,
            role: &planned.ran.role,
            setup: &planned.ran.setup,
            tags,
        };
        match self.machines.make(&machine).await? {
            Making::Made => {}
            Making::Deleting => {
                return Err(being_deleted(&clone));
            }
            Making::Refused(why) => return Err(Error::InvalidDefinition(why)),
        }
        let input = planned.origin.input.as_deref().unwrap_or("{}");
        let began = self.clock.now();
        loop {
            match self.machines.start(&clone, resume.execution.name(), input).await? {
                Starting::Started => break,
                // Of an invocation before this one, which did not come to say so.
                Starting::Ended => {
                    self.finished(&resume).await?;
                    return self.as_before(resume).await.map(|applied| Done::So(Box::new(applied)));
                }
                Starting::NoSuchMachine if self.clock.now().since(began) <= APPEARS => {
                    self.clock.sleep(SOON).await;
                }
                Starting::NoSuchMachine => {
                    return Err(Error::Unavailable(format!(
                        "{clone} was made, and is not to be seen yet; try again"
                    )));
                }
            }
        }
        self.finished(&resume).await?;
        Ok(Done::So(Box::new(Applied {
            resume,
            status: Some(Status::Running),
            before: false,
        })))
    }
}

pub(super) fn being_deleted(clone: &StateMachineArn) -> Error {
    Error::Unavailable(format!(
        "{clone}, a clone that nobody used any more, is being deleted at this moment; try again in some minutes"
    ))
}
