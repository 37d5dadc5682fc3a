//! Who is in the way: the holders of claims, and the runs that never asked.

use std::time::Duration;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::request::BadRequest;

use super::{Guard, PENDING_LIFE, POLL, Turn, sort_by_age};
use crate::answer::LISTED_MOST;
use crate::error::{CANCELLED, Error};
use crate::request::Policy;
use crate::sighting::{Sighting, sighting};
use crate::store::{Claim, ClaimState, Claims, Holder, Records, Ruling};
use signalbox::executions::{Execution, Executions, Listed, Status};
use signalbox::pipeline::Clones;

/// How long the record of a run that seems not to have asked is waited for.
const RECORD_WAIT: Duration = Duration::from_secs(5);

/// How long a list is good for; it lags as much anyway.
const LIST_LIFE: Duration = Duration::from_secs(5);

/// How long Step Functions' answers may lag: an end that is younger may have been followed by a redrive already, and an
/// execution that is not known may only just have started.
const SETTLED: Duration = Duration::from_secs(10);

/// Most clones of a pipeline whose executions are listed, those made last first: each costs one `ListExecutions`. Their
/// runs ask like all others: the claim speaks for all but those that were redriven, or never asked.
pub const CLONES_LISTED: usize = 20;

/// A running execution, as it was listed.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    run: Execution,
    /// The pipeline that it is a run of.
    pipeline: StateMachineArn,
}

/// Where to look for runs that never asked.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// In the run's own pipeline, except for the members of its claim.
    Own(&'a Claim),
    /// In the pipelines of `alsoCheck`.
    Neighbours,
}

/// What stands in the way in the pipelines of `alsoCheck`.
pub(super) enum Neighbours {
    InTheWay(Vec<Execution>),
    /// A run that is being decided, or may have been redriven.
    Undecided {
        is_older: bool,
    },
}

/// Whether a run runs that has a claim, or goes on under one.
pub(super) enum Standing {
    Running(Execution),
    Ended,
    /// It seems to have ended, but Step Functions' answer may lag.
    Unsure,
}

impl<R, L, K, E, C> Guard<R, L, K, E, C>
where
    R: Records,
    L: Claims,
    K: Clones,
    E: Executions,
    C: Clock,
{
    /// Who is in the way in the pipelines of `alsoCheck`: by their claims, and by having never asked.
    pub(super) async fn neighbours(&self, turn: &mut Turn<'_>) -> Result<Neighbours, Error> {
        let mut in_the_way = Vec::new();
        for (_, pipeline) in turn.also_check.clone() {
            let Some(claim) = self.claims.read(&pipeline).await? else {
                continue;
            };
            if is_family(turn, &claim) {
                continue;
            }
            let name = claim.holder.run.name();
            match (self.standing(&claim).await?, claim.state) {
                (Standing::Ended, _) => {}
                (Standing::Running(running), ClaimState::Confirmed) => in_the_way.push(running),
                (Standing::Running(running), ClaimState::Pending) => {
                    if self.clock.now().since(claim.changed) > PENDING_LIFE {
                        self.claims.remove(&pipeline, &claim).await?;
                    }
                    turn.waiting_for = format!("{name} of {} is being decided", pipeline.name());
                    return Ok(Neighbours::Undecided {
                        is_older: running.is_older_than(&turn.me),
                    });
                }
                (Standing::Unsure, _) => {
                    turn.waiting_for = format!("{name} ended a moment ago, and may have been redriven");
                    return Ok(Neighbours::Undecided { is_older: false });
                }
            }
        }
        if !turn.also_check.is_empty() {
            in_the_way.extend(self.strays(turn, Whose::Neighbours).await?);
        }
        Ok(Neighbours::InTheWay(in_the_way))
    }

    /// The running executions that no claim speaks for: at most [`LISTED_MOST`], unless all are to be stopped.
    pub(super) async fn strays(&self, turn: &mut Turn<'_>, whose: Whose<'_>) -> Result<Vec<Execution>, Error> {
        let began = self.clock.now();
        let mut listed = self.list(turn).await?;
        listed.retain(|Seen { run, pipeline }| match whose {
            Whose::Own(claim) => *pipeline == turn.pipeline && claim.members.iter().all(|member| member.run != run.arn),
            Whose::Neighbours => *pipeline != turn.pipeline,
        });
        let mut unclear: Vec<Execution> = listed.into_iter().map(|seen| seen.run).collect();
        let mut suspects = Vec::new();
        loop {
            let runs: Vec<ExecutionArn> = unclear.iter().map(|run| run.arn.clone()).collect();
            let records = self.records.records(&runs).await?;
            let now = self.clock.now();
            for run in std::mem::take(&mut unclear) {
                match sighting(&run, records.get(&run.arn), &turn.me, now) {
                    Sighting::Harmless => {}
                    Sighting::Unclear => unclear.push(run),
                    Sighting::Suspect => suspects.push(run),
                }
            }
            if unclear.is_empty() || now.since(began) >= RECORD_WAIT {
                break;
            }
            if !self.time_left(turn.deadline) {
                return Err(Error::Undecided("an older run may be about to ask".to_owned()));
            }
            self.clock.sleep(POLL + self.clock.jitter(POLL)).await;
        }
        suspects.append(&mut unclear);
        sort_by_age(&mut suspects);
        let most = if turn.ask.policy == Policy::CancelOlder {
            usize::MAX
        } else {
            LISTED_MOST
        };
        let mut strays = Vec::new();
        for suspect in suspects {
            // A run that has ended may be listed for a while.
            if let Some(run) = self.running(&suspect.arn).await? {
                strays.push(run);
                if strays.len() == most {
                    break;
                }
            }
        }
        Ok(strays)
    }

    /// Every running execution of the run's own pipeline and those that it also checks, without itself and its ancestors.
    async fn list(&self, turn: &mut Turn<'_>) -> Result<Vec<Seen>, Error> {
        let now = self.clock.now();
        if let Some((at, listed)) = &turn.listed
            && now.since(*at) < LIST_LIFE
        {
            return Ok(listed.clone());
        }
        let mut all = self.list_pipeline(turn, &turn.pipeline, None).await?;
        for (at, pipeline) in &turn.also_check {
            all.extend(self.list_pipeline(turn, pipeline, Some(*at)).await?);
        }
        all.retain(|seen| seen.run.arn != turn.me.arn && !turn.ask.ignore_ancestors.contains(&seen.run.arn));
        turn.listed = Some((now, all.clone()));
        Ok(all)
    }

    /// The running executions of a pipeline, of its machine and its clones; `named`: its place in `alsoCheck`.
    async fn list_pipeline(
        &self,
        turn: &Turn<'_>,
        pipeline: &StateMachineArn,
        named: Option<usize>,
    ) -> Result<Vec<Seen>, Error> {
        let mine = turn.me.arn.machine();
        let mut machines = vec![pipeline.clone()];
        // Its own clone, whether it is found or not.
        if *pipeline == turn.pipeline && mine != pipeline {
            machines.push(mine.clone());
        }
        let clones = self.clones.of(pipeline).await?;
        if clones.len() > CLONES_LISTED {
            tracing::warn!(stateMachineArn = %pipeline, clones = clones.len(), "only some of the clones are listed");
        }
        let clones = clones.into_iter().map(|clone| clone.machine).take(CLONES_LISTED);
        machines.extend(clones.filter(|clone| clone != mine));
        let mut all = Vec::new();
        for machine in machines {
            let named = named.filter(|_| machine == *pipeline);
            for run in self.list_one(&machine, named, machine == *mine).await? {
                let pipeline = pipeline.clone();
                all.push(Seen { run, pipeline });
            }
        }
        Ok(all)
    }

    /// The running executions of one machine, which may be named in `alsoCheck`, or be that of the run that asks.
    async fn list_one(
        &self,
        machine: &StateMachineArn,
        named: Option<usize>,
        is_mine: bool,
    ) -> Result<Vec<Execution>, Error> {
        let wrong = match self.executions.running(machine).await? {
            Listed::Running(running) => return Ok(running),
            // The original of a clone, or another clone: it was deleted, and its runs with it.
            Listed::NoSuchMachine if named.is_none() && !is_mine => return Ok(Vec::new()),
            Listed::NoSuchMachine => "does not exist",
            Listed::Express => "is EXPRESS, and Step Functions does not list its executions; it cannot be guarded",
        };
        let problem = format!("{machine} {wrong}");
        Err(match named {
            Some(at) => BadRequest::new(format!("alsoCheck[{at}]"), problem).into(),
            // A machine that was deleted while its run goes on: who else runs is unknown.
            None => CallError::malformed("states:ListExecutions", problem).into(),
        })
    }

    /// Whether the holder of `claim` runs, or a member of it.
    pub(super) async fn standing(&self, claim: &Claim) -> Result<Standing, Error> {
        let mut unsure = false;
        for holder in claim.runs() {
            match self.look(holder, claim.changed).await? {
                Standing::Running(run) => return Ok(Standing::Running(run)),
                Standing::Unsure => unsure = true,
                Standing::Ended => {}
            }
        }
        Ok(if unsure { Standing::Unsure } else { Standing::Ended })
    }

    /// Whether a run runs that has a claim, or goes on under one, which `changed` last at this time.
    pub(super) async fn look(&self, holder: &Holder, changed: Timestamp) -> Result<Standing, Error> {
        let now = self.clock.now();
        Ok(match self.executions.describe(&holder.run).await? {
            Some(run) if run.status == Status::Running => match self.was_refused(holder).await? {
                true => Standing::Ended,
                false => Standing::Running(run),
            },
            // Stopped by a newer run: nobody redrives it at once.
            Some(run) if run.aborted_with.as_deref() == Some(CANCELLED) => Standing::Ended,
            // As it was before the redrive at which it asked.
            Some(run) if run.redrive < holder.question.redrive => Standing::Unsure,
            Some(Execution {
                status: Status::Stopped(at),
                ..
            }) if now.since(at) < SETTLED => Standing::Unsure,
            None if now.since(changed) < SETTLED => Standing::Unsure,
            _ => Standing::Ended,
        })
    }

    /// Whether a run that has a claim was refused all the same. An attempt that was overtaken by another's refusal, and
    /// crashed, leaves such a claim; it is worth nothing, while the run may live on in a Catch.
    async fn was_refused(&self, holder: &Holder) -> Result<bool, CallError> {
        let records = self.records.records(std::slice::from_ref(&holder.run)).await?;
        let record = records
            .get(&holder.run)
            .filter(|record| record.question >= holder.question);
        let verdict = record.and_then(|record| record.verdict.as_ref());
        Ok(verdict.is_some_and(|verdict| verdict.ruling == Ruling::Refuse))
    }

    /// The execution, if it runs.
    async fn running(&self, run: &ExecutionArn) -> Result<Option<Execution>, CallError> {
        let run = self.executions.describe(run).await?;
        Ok(run.filter(|run| run.status == Status::Running))
    }
}

/// Whether the claim is that of a run that started this one, or of another that it started.
pub(super) fn is_family(turn: &Turn<'_>, claim: &Claim) -> bool {
    claim
        .runs()
        .any(|holder| turn.ask.ignore_ancestors.contains(&holder.run))
}
