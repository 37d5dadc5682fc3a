//! What a run does with a claim: take it over, look around and confirm it, join it, stop those who have it.

use signalbox::clock::Clock;
use signalbox::request::BadRequest;

use super::lookout::{Neighbours, Standing, Whose};
use super::{Guard, SLOW_POLL, Step, Turn, sort_by_age};
use crate::answer::Overlap;
use crate::error::{CANCELLED, Error};
use crate::request::Policy;
use crate::store::{Claim, ClaimState, Claims, Records};
use signalbox::executions::{Execution, Executions};
use signalbox::pipeline::Clones;

/// Most runs under one claim. DynamoDB takes items of up to 400 KB; a longer list is nobody's plan.
const MEMBERS_MOST: usize = 100;

impl<R, L, K, E, C> Guard<R, L, K, E, C>
where
    R: Records,
    L: Claims,
    K: Clones,
    E: Executions,
    C: Clock,
{
    pub(super) async fn take_over(&self, turn: &mut Turn<'_>, seen: &Claim) -> Result<Step, Error> {
        let mut claim = Claim::new(&turn.holder, self.clock.now());
        if seen.holder.run == turn.holder.run {
            claim.members.clone_from(&seen.members);
        }
        if self.claims.replace(&turn.pipeline, seen, &claim).await? {
            return self.examine(turn, claim).await;
        }
        Ok(Step::Again)
    }

    /// Stops the runs that have the claim, if all of them are older and nobody else is in the way: a run that is refused
    /// all the same must not have stopped anybody. `None`: one of them is newer.
    pub(super) async fn cancel_all(&self, turn: &mut Turn<'_>, claim: &Claim) -> Result<Option<Step>, Error> {
        let mut running = Vec::new();
        for holder in claim.runs() {
            if let Standing::Running(run) = self.look(holder, claim.changed).await? {
                running.push(run);
            }
        }
        if running.iter().any(|run| !run.is_older_than(&turn.me)) {
            return Ok(None);
        }
        if let Some(step) = self.give_way(turn).await? {
            return Ok(Some(step));
        }
        for run in &running {
            self.cancel(turn, run).await?;
        }
        Ok(Some(Step::Wait(SLOW_POLL)))
    }

    /// The run was started by one that has the claim, and goes on under it.
    pub(super) async fn join(&self, turn: &mut Turn<'_>, seen: &Claim) -> Result<Step, Error> {
        if seen.members.contains(&turn.holder) {
            return self.proceed(turn).await;
        }
        if let Some(step) = self.give_way(turn).await? {
            return Ok(step);
        }
        let mut claim = seen.clone();
        claim.joins += 1;
        claim.changed = self.clock.now();
        claim.members.retain(|member| member.run != turn.holder.run);
        if claim.members.len() >= MEMBERS_MOST {
            let mut left = Vec::new();
            for member in claim.members {
                if !matches!(self.look(&member, seen.changed).await?, Standing::Ended) {
                    left.push(member);
                }
            }
            claim.members = left;
            if claim.members.len() >= MEMBERS_MOST {
                let problem = format!(
                    "names {}, which has {MEMBERS_MOST} runs under its claim already; it takes no more",
                    seen.holder.run.name()
                );
                return Err(BadRequest::new("ignoreAncestors", problem).into());
            }
        }
        claim.members.push(turn.holder.clone());
        claim.members.sort();
        if self.claims.replace(&turn.pipeline, seen, &claim).await? {
            return self.proceed(turn).await;
        }
        Ok(Step::Again)
    }

    /// The run has the claim, pending: is anybody in the way who never asked, or who asked for another pipeline?
    pub(super) async fn examine(&self, turn: &mut Turn<'_>, claim: Claim) -> Result<Step, Error> {
        let pipeline = turn.pipeline.clone();
        let mut in_the_way = match self.neighbours(turn).await? {
            Neighbours::InTheWay(runs) => runs,
            Neighbours::Undecided { is_older } => {
                // Two pipelines that check each other: the newer gives way until the older has its verdict, else each
                // would wait for the other.
                if is_older {
                    self.claims.remove(&pipeline, &claim).await?;
                }
                return Ok(Step::Wait(SLOW_POLL));
            }
        };
        let own = self.strays(turn, Whose::Own(&claim)).await?;
        let may_cancel = turn.ask.policy == Policy::CancelOlder && in_the_way.is_empty();
        if may_cancel && !own.is_empty() && own.iter().all(|run| run.is_older_than(&turn.me)) {
            for run in &own {
                self.cancel(turn, run).await?;
            }
            return Ok(Step::Wait(SLOW_POLL));
        }
        in_the_way.extend(own);
        if in_the_way.is_empty() {
            let confirmed = Claim {
                state: ClaimState::Confirmed,
                ..claim.clone()
            };
            if self.claims.replace(&pipeline, &claim, &confirmed).await? {
                return self.proceed(turn).await;
            }
            return Ok(Step::Again);
        }
        sort_by_age(&mut in_the_way);
        in_the_way.dedup();
        self.claims.remove(&pipeline, &claim).await?;
        self.refuse(turn, &in_the_way).await
    }

    /// Waits for the pipelines of `alsoCheck`, or is refused because of them. `None`: nobody is in the way there.
    async fn give_way(&self, turn: &mut Turn<'_>) -> Result<Option<Step>, Error> {
        Ok(match self.neighbours(turn).await? {
            Neighbours::Undecided { .. } => Some(Step::Wait(SLOW_POLL)),
            Neighbours::InTheWay(runs) if runs.is_empty() => None,
            Neighbours::InTheWay(runs) => Some(self.refuse(turn, &runs).await?),
        })
    }

    /// Stops an older run of the same pipeline.
    async fn cancel(&self, turn: &mut Turn<'_>, run: &Execution) -> Result<(), Error> {
        turn.waiting_for = format!("{} is being stopped", run.arn.name());
        let mut overlap = Overlap::with(run);
        overlap.cancelled = true;
        if !turn.cancelled.contains(&overlap) {
            let cause = format!(
                "The newer run {} of {} took its place (policy cancelOlder).",
                turn.me.arn.name(),
                turn.me.arn.machine().name()
            );
            self.executions.stop(&run.arn, CANCELLED, &cause).await?;
            tracing::info!(executionArn = %turn.me.arn, stopped = %run.arn, "stopped an older run");
            turn.cancelled.push(overlap);
        }
        Ok(())
    }
}
