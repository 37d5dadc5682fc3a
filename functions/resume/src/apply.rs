//! A plan is done: each step may be made again, and whoever makes the request again goes on where another one crashed.
//!
//! 1. The run's turn is taken, so that nobody applies another plan to it meanwhile. The resume is noted, under the plan's
//!    hash: a second one finds it. If the plan is a redrive, and somebody else has a lock that the run held, it is a clone
//!    that is noted under that hash, unless a redrive is already.
//! 2. A clone is noted as one of its pipeline, then made, then its run started: each by a name that follows from the plan.
//!    A redrive's locks are given back to the run, then it is redriven.
//! 3. The resume is noted as done, and the turn given back.

mod cloning;
mod overlap;
mod roles;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::Executions;
use signalbox::lock::{self, reserve::RESERVED};
use signalbox::pipeline::{CloneOf, Clones, recorded};

use self::cloning::being_deleted;
use crate::error::Error;
use crate::lineage::{Lineage, Resume};
use crate::machines::{Machines, Redriving};
use crate::plan::{Mode, Status, Strategy};
use crate::planning::Planned;
use crate::refusal::Refusal;
use crate::request::Asked;
use crate::{Reserves, Resumes};

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

/// Under which hashes a resume is noted. The first one to note it decides between a redrive and a clone in its place.
struct Noted<'n> {
    /// Of the plan that was asked for, whatever becomes of it.
    plan_hash: &'n str,
    /// Of the request.
    request_hash: &'n str,
}

/// Whether it was done in the way that was tried.
enum Done {
    /// It was.
    So(Box<Applied>),
    /// Another invocation has noted that it is done in the other way.
    Otherwise,
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
        match self.apply_planned(asked, &request_hash, deadline).await {
            // Redriven since, by another invocation with the same request, or by somebody else.
            Err(error @ Error::Refused(Refusal::StillRunning(_))) => {
                let before = self.redriven_before(asked, &request_hash).await?;
                before.map(|before| (None, before)).ok_or(error)
            }
            other => other,
        }
    }

    async fn apply_planned(
        &self,
        asked: &Asked,
        request_hash: &str,
        deadline: Timestamp,
    ) -> Result<(Option<Planned<M::Setup>>, Applied), Error> {
        let planned = self.plan(asked, None).await?;
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
        let mut known = self.lineage.of(&asked.execution).await?;
        if let Some(resume) = begun_in(&known, &planned).filter(|resume| resume.done) {
            let before = self.as_before(resume.clone()).await?;
            return Ok((Some(planned), before));
        }
        if let Err(error) = self.check_overlap(asked, begun_in(&known, &planned)).await {
            // It may be this resume's own, which another invocation has begun since.
            known = self.lineage.of(&asked.execution).await?;
            let begun = begun_in(&known, &planned);
            if begun.is_none() {
                return Err(error);
            }
            self.check_overlap(asked, begun).await?;
        }
        self.take_turn(asked, &planned, &known).await?;
        let begun = begun_in(&known, &planned).cloned();
        let plan_hash = planned.plan_hash.clone();
        let done = self.carry_out(asked, planned, begun, request_hash, deadline).await;
        // It was refused, and has no effect that comes later: nobody has to wait for it.
        if let Err(Error::ClonesOff { .. } | Error::InvalidDefinition(_) | Error::LockTaken(_) | Error::Refused(_)) =
            &done
        {
            self.give_turn_back(&asked.execution, &plan_hash).await;
        }
        done
    }

    async fn carry_out(
        &self,
        asked: &Asked,
        mut planned: Planned<M::Setup>,
        begun: Option<Resume>,
        request_hash: &str,
        deadline: Timestamp,
    ) -> Result<(Option<Planned<M::Setup>>, Applied), Error> {
        let noted = Noted {
            plan_hash: &planned.plan_hash.clone(),
            request_hash,
        };
        if planned.plan.strategy == Strategy::Redrive {
            let by = self.clock.now().after(RESERVED);
            let taken = if begun.is_some_and(|begun| begun.clone.is_some()) {
                None
            } else {
                let redrive = planned.origin.redrives + 1;
                let reserved = self.reserves.reserve(&asked.execution, redrive, deadline).await;
                let taken = reserved.map_err(of_lock)?;
                if taken.is_none()
                    && let Done::So(applied) = self.redrive(asked, &planned, &noted, by).await?
                {
                    return Ok((Some(planned), *applied));
                }
                taken
            };
            let taken = taken.unwrap_or_else(|| "another invocation found the lock taken that the run held".to_owned());
            if asked.ask.mode == Mode::Redrive || !self.may_pass(&planned.ran.role) {
                return Err(Error::LockTaken(taken));
            }
            // Its copy of the state that takes the lock waits its turn.
            planned = self.plan(asked, Some(Mode::Clone)).await?;
            return match self.make_and_start(asked, &planned, &noted).await? {
                Done::So(applied) => Ok((Some(planned), *applied)),
                Done::Otherwise => Err(Error::LockTaken(taken)),
            };
        }
        match self.make_and_start(asked, &planned, &noted).await? {
            Done::So(applied) => Ok((Some(planned), *applied)),
            Done::Otherwise => Err(Error::slow()),
        }
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
                    self.finished(&resume).await?;
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

    async fn finished(&self, resume: &Resume) -> Result<(), Error> {
        self.lineage.done(resume).await?;
        self.give_turn_back(&resume.origin, &resume.plan_hash).await;
        Ok(())
    }

    fn resume(
        &self,
        asked: &Asked,
        planned: &Planned<M::Setup>,
        noted: &Noted<'_>,
        clone: Option<StateMachineArn>,
        execution: ExecutionArn,
    ) -> Resume {
        Resume {
            origin: asked.execution.clone(),
            plan_hash: noted.plan_hash.to_owned(),
            request_hash: noted.request_hash.to_owned(),
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
        noted: &Noted<'_>,
        by: Timestamp,
    ) -> Result<Done, Error> {
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
        let resume = self.resume(asked, planned, noted, None, asked.execution.clone());
        let resume = self.lineage.begin(&resume).await?;
        if resume.clone.is_some() {
            return Ok(Done::Otherwise);
        }
        if let Some(before) = self.keep_turn(asked, noted, &planned.origin).await? {
            return Ok(Done::So(Box::new(before)));
        }
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
        self.finished(&resume).await?;
        Ok(Done::So(Box::new(Applied {
            resume,
            status: Some(Status::Running),
            before: false,
        })))
    }
}

/// This resume, as another invocation has noted it.
fn begun_in<'k, S>(known: &'k [Resume], planned: &Planned<S>) -> Option<&'k Resume> {
    known.iter().find(|resume| resume.plan_hash == planned.plan_hash)
}

fn of_lock(error: lock::Error) -> Error {
    match error {
        lock::Error::AccessDenied(error) => Error::AccessDenied(error),
        other => Error::Unavailable(other.to_string()),
    }
}
