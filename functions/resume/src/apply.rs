//! A plan is done: each step may be made again, and whoever makes the request again goes on where another one crashed.
//!
//! 1. The resume is noted, under the plan's hash: a second one finds it.
//! 2. A clone is noted as one of its pipeline, then made, then its run started: each by a name that follows from the plan.
//!    A redrive's locks are given back to the run, then it is redriven.
//! 3. The resume is noted as done.

use std::time::Duration;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::{Executions, Listed};
use signalbox::lock::{self, reserve::RESERVED};
use signalbox::pipeline::{CloneOf, Clones, pipeline_of, recorded};

use crate::error::Error;
use crate::lineage::{Lineage, Resume};
use crate::machines::{Machines, Making, NewMachine, Redriving, Starting};
use crate::plan::{Mode, Status, Strategy};
use crate::planning::Planned;
use crate::refusal::Refusal;
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

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The resume.
    pub resume: Resume,
    /// How its run stands; none if Step Functions does not know it (yet, or any more).
    pub status: Option<Status>,
    /// Whether it had been done before.
    pub before: bool,
}

impl<M, L, K, E, V, C> Resumes<M, L, K, E, V, C>
where
    M: Machines,
    L: Lineage,
    K: Clones,
    E: Executions,
    V: Reserves,
    C: Clock,
{
    /// Does what is asked, once.
    pub async fn apply(
        &self,
        asked: &Asked,
        deadline: Timestamp,
    ) -> Result<(Option<Planned<M::Setup>>, Applied), Error> {
        let request_hash = asked.hash();
        // A redriven run is running, or has ended anew: what was planned for it cannot be planned again.
        if let Some(before) = self.redriven_before(asked, &request_hash).await? {
            return Ok((None, before));
        }
        let mut planned = self.plan(asked, None).await?;
        if let Some(hash) = asked.plan_hash.as_ref().filter(|hash| **hash != planned.plan_hash) {
            // The redrive that was planned may have become a clone, as somebody else had the lock.
            let before = self.lineage.of(&asked.execution).await?;
            match before
                .into_iter()
                .find(|resume| resume.plan_hash == *hash && resume.done)
            {
                Some(resume) => return Ok((None, self.as_before(resume).await?)),
                None => return Err(Error::PlanChanged { now: planned.plan_hash }),
            }
        }
        let known = self.lineage.of(&asked.execution).await?;
        if let Some(resume) = known
            .iter()
            .find(|resume| resume.plan_hash == planned.plan_hash && resume.done)
        {
            let before = self.as_before(resume.clone()).await?;
            return Ok((Some(planned), before));
        }
        self.check_overlap(asked, &planned).await?;
        if planned.plan.strategy == Strategy::Redrive {
            let redrive = planned.origin.redrives + 1;
            let by = self.clock.now().after(RESERVED);
            let reserved = self.reserves.reserve(&asked.execution, redrive, deadline).await;
            match reserved.map_err(of_lock)? {
                None => {
                    let applied = self.redrive(asked, &planned, &request_hash, by).await?;
                    return Ok((Some(planned), applied));
                }
                Some(taken) if asked.ask.mode == Mode::Redrive || !self.may_pass(&planned.ran.role) => {
                    return Err(Error::LockTaken(taken));
                }
                // Its copy of the state that takes the lock waits its turn.
                Some(_) => planned = self.plan(asked, Some(Mode::Clone)).await?,
            }
        }
        let applied = self.make_and_start(asked, &planned, &request_hash).await?;
        Ok((Some(planned), applied))
    }

    async fn redriven_before(&self, asked: &Asked, request_hash: &str) -> Result<Option<Applied>, Error> {
        let Some(now) = self.machines.describe(&asked.execution).await? else {
            return Ok(None);
        };
        if now.redrives == 0 {
            return Ok(None);
        }
        let known = self.lineage.of(&asked.execution).await?;
        let ours = known.into_iter().find(|resume| {
            let same = asked
                .plan_hash
                .as_ref()
                .map_or(resume.request_hash == request_hash, |hash| resume.plan_hash == *hash);
            same && resume.clone.is_none() && resume.redrives + 1 == now.redrives
        });
        match (ours, now.status, asked.plan_hash.is_some()) {
            (Some(resume), Status::Running | Status::Succeeded, _) | (Some(resume), _, true) => {
                if !resume.done {
                    self.lineage.done(&resume).await?;
                }
                self.as_before(resume).await.map(Some)
            }
            // It has failed again: who asks again means that.
            _ => Ok(None),
        }
    }

    async fn as_before(&self, resume: Resume) -> Result<Applied, Error> {
        let found = self.machines.describe(&resume.execution).await?;
        Ok(Applied {
            resume,
            status: found.map(|found| found.status),
            before: true,
        })
    }

    /// No other run of the pipeline is running: of the machine itself, or of a clone of it.
    async fn check_overlap(&self, asked: &Asked, planned: &Planned<M::Setup>) -> Result<(), Error> {
        if asked.allow_overlap {
            return Ok(());
        }
        let pipeline = pipeline_of(&self.clones, asked.execution.machine()).await?;
        let clones = self.clones.of(&pipeline).await?.into_iter().map(|clone| clone.machine);
        let mut running = Vec::new();
        for machine in std::iter::once(pipeline.clone()).chain(clones) {
            if let Listed::Running(runs) = self.executions.running(&machine).await? {
                // Ours, of an invocation that crashed.
                let others = runs
                    .into_iter()
                    .filter(|run| run.arn.name() != planned.execution_name || planned.clone_name.is_none());
                running.extend(others.filter(|run| run.arn != asked.execution));
            }
        }
        match running.into_iter().min_by_key(|run| run.since) {
            None => Ok(()),
            Some(run) => Err(Error::Overlapping(run.arn.to_string())),
        }
    }

    fn noted(
        &self,
        asked: &Asked,
        planned: &Planned<M::Setup>,
        request_hash: &str,
        clone: Option<StateMachineArn>,
        execution: ExecutionArn,
    ) -> Resume {
        Resume {
            origin: asked.execution.clone(),
            plan_hash: planned.plan_hash.clone(),
            request_hash: request_hash.to_owned(),
            redrives: planned.origin.redrives,
            clone,
            execution,
            resumes_at: planned.plan.lists.resumes_at.first().cloned().unwrap_or_default(),
            reason: asked.reason.clone(),
            by: asked.by.clone(),
            at: self.clock.now(),
            done: false,
        }
    }

    async fn redrive(
        &self,
        asked: &Asked,
        planned: &Planned<M::Setup>,
        request_hash: &str,
        by: Timestamp,
    ) -> Result<Applied, Error> {
        let machine = asked.execution.machine();
        // A run of a clone: it is in use again.
        if let Some(clone) = recorded(&self.clones, machine).await? {
            let used = CloneOf {
                made: self.clock.now(),
                ..clone
            };
            if !self.lineage.clone_used(&used, None).await? {
                return Err(being_deleted(machine));
            }
        }
        let resume = self.noted(asked, planned, request_hash, None, asked.execution.clone());
        let resume = self.lineage.begin(&resume).await?;
        if self.clock.now() > by {
            // What was reserved may be somebody else's by the time that it is redriven.
            return Err(Error::slow());
        }
        if let Redriving::Refused(why) = self
            .machines
            .redrive(&asked.execution, crate::hash::short(&planned.plan_hash))
            .await?
        {
            // By another call of this kind, or by a person.
            let now = self.machines.describe(&asked.execution).await?;
            if now.is_none_or(|now| now.redrives <= planned.origin.redrives) {
                return Err(Refusal::NotRedrivable { why }.into());
            }
        }
        self.lineage.done(&resume).await?;
        Ok(Applied {
            resume,
            status: Some(Status::Running),
            before: false,
        })
    }

    fn may_pass(&self, role: &str) -> bool {
        self.settings.roles.iter().any(|allowed| is_like(role, allowed))
    }

    async fn make_and_start(
        &self,
        asked: &Asked,
        planned: &Planned<M::Setup>,
        request_hash: &str,
    ) -> Result<Applied, Error> {
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
        let resume = self.noted(asked, planned, request_hash, Some(clone.clone()), execution);
        let resume = self.lineage.begin(&resume).await?;
        let noted = CloneOf {
            machine: clone.clone(),
            pipeline: pipeline.clone(),
            made: self.clock.now(),
        };
        if !self.lineage.clone_used(&noted, Some(&asked.execution)).await? {
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
                    self.lineage.done(&resume).await?;
                    return self.as_before(resume).await;
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
        self.lineage.done(&resume).await?;
        Ok(Applied {
            resume,
            status: Some(Status::Running),
            before: false,
        })
    }
}

fn of_lock(error: lock::Error) -> Error {
    match error {
        lock::Error::AccessDenied(error) => Error::AccessDenied(error),
        other => Error::Unavailable(other.to_string()),
    }
}

fn being_deleted(clone: &StateMachineArn) -> Error {
    Error::Unavailable(format!(
        "{clone}, a clone that nobody used any more, is being deleted at this moment; try again in some minutes"
    ))
}

/// Whether a text is what a pattern says, in which `*` stands for anything: as IAM takes it.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_or_matched_as_iam_does() {
        const ROLE: &str = "arn:aws:iam::123456789012:role/orders-run";
        for (pattern, matches) in [
            (ROLE, true),
            ("arn:aws:iam::123456789012:role/orders-*", true),
            ("arn:aws:iam::123456789012:role/*-run", true),
            ("arn:aws:iam::*:role/orders-*un", true),
            ("*", true),
            ("arn:aws:iam::123456789012:role/orders", false),
            ("arn:aws:iam::123456789012:role/orders-run*run", false),
            ("arn:aws:iam::123456789012:role/stock-*", false),
            ("", false),
        ] {
            assert_eq!(is_like(ROLE, pattern), matches, "{pattern}");
        }
    }
}
