//! The protocol: how a run gets its verdict.
//!
//! 1. The run's record says that it asks.
//! 2. It takes the pipeline's claim, pending. The claim decides ties exactly; `ListExecutions` cannot, it lags behind.
//! 3. Whoever has the claim looks for runs that never asked, by `ListExecutions`. One of them in the way: the claim is
//!    given back and the run refused. None: the claim is confirmed, and the run proceeds.
//! 4. Whoever finds a pending claim waits for its verdict, and is refused only by a confirmed one whose holder runs. A
//!    claim whose holder has ended, or was refused, is taken over; so is one that stays pending for longer than an
//!    invocation lives. The last is safe, as confirming a claim is conditional on still having it.
//! 5. A run that the holder or a member of a claim started goes on as a member of it: the claim is taken over only when
//!    they have all ended.
//! 6. The verdict is recorded before it is answered, so that the same question has the same answer.
//!
//! Every step may be repeated after a crash, a lost reply or a throttled call.

use std::time::Duration;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::request::BadRequest;

use crate::answer::{Answer, LISTED_MOST, Overlap};
use crate::error::Error;
use crate::executions::{Execution, Executions, Listed, Status};
use crate::request::{Ask, Policy};
use crate::sighting::{Sighting, sighting};
use crate::store::{Claim, ClaimState, Claims, Holder, Question, Records, Ruling, Verdict};

/// How long the record of a run that seems not to have asked is waited for.
const RECORD_WAIT: Duration = Duration::from_secs(5);

/// How long Step Functions' answers may lag: an end that is younger may have been followed by a redrive already, and an
/// execution that is not known may only just have started.
const SETTLED: Duration = Duration::from_secs(10);

/// Longer than an invocation lives: a claim that is pending for so long was left so by a crash.
pub const PENDING_LIFE: Duration = Duration::from_secs(35);

/// How long the run that asks may be unknown, or seem ended, before it is told so.
const SELF_WAIT: Duration = Duration::from_secs(6);

/// Between two looks at the table for what is about to change, and as much again at random.
const POLL: Duration = Duration::from_millis(150);

/// The same where a look takes a call of Step Functions: it allows an account 10 to 15 descriptions a second.
const SLOW_POLL: Duration = Duration::from_millis(750);

/// A claim that is pending for less needs no look at its holder: most have their verdict by then.
const JUST_TAKEN: Duration = Duration::from_secs(3);

/// Before a failed call is made again (the SDK has tried four times by then), and as much again at random.
const PAUSE: Duration = Duration::from_millis(400);

/// Most runs under one claim. DynamoDB takes items of up to 400 KB; a longer list is nobody's plan.
const MEMBERS_MOST: usize = 100;

/// Time left for the answer when waiting ends.
const MARGIN: Duration = Duration::from_secs(3);

/// The guard: what it decides on, and the world that it decides in.
#[derive(Debug)]
pub struct Guard<S, E, C> {
    /// Records and claims.
    pub store: S,
    /// Step Functions' executions.
    pub executions: E,
    /// Time and jitter.
    pub clock: C,
    /// Whether executions may be stopped (policy `cancelOlder`).
    pub may_stop: bool,
}

/// One call of the guard.
struct Turn<'a> {
    ask: &'a Ask,
    me: Execution,
    /// The run with its question, as it stands in a claim.
    holder: Holder,
    deadline: Timestamp,
    /// The list of running executions, once per turn: AWS refills `ListExecutions` at 2 to 5 calls a second.
    listed: Option<Vec<Execution>>,
    /// Runs that were stopped for this one.
    cancelled: Vec<Overlap>,
    /// What is being waited for, should the time run out.
    waiting_for: String,
}

/// How a turn begins.
enum Begun<'a> {
    /// The question was answered before.
    Answered(Verdict),
    Turn(Box<Turn<'a>>),
}

/// How far one step led.
enum Step {
    Done(Verdict),
    /// Something changed: look again at once.
    Again,
    /// Somebody else must move first: look again after so long.
    Wait(Duration),
}

/// Where to look for runs that never asked.
#[derive(Clone, Copy)]
enum Whose<'a> {
    /// In the run's own pipeline, except for the members of its claim.
    Own(&'a Claim),
    /// In the pipelines of `alsoCheck`.
    Neighbours,
}

/// What stands in the way in the pipelines of `alsoCheck`.
enum Neighbours {
    InTheWay(Vec<Execution>),
    /// A run that is being decided, or may have been redriven.
    Undecided {
        is_older: bool,
    },
}

/// Whether a run runs that has a claim, or goes on under one.
enum Standing {
    Running(Execution),
    Ended,
    /// It seems to have ended, but Step Functions' answer may lag.
    Unsure,
}

impl<S, E, C> Guard<S, E, C>
where
    S: Records + Claims,
    E: Executions,
    C: Clock,
{
    /// The verdict on the run that asks: `Ok` lets it through (or, under the policy `skip`, says that it may not).
    ///
    /// The time runs out a little before `deadline`; then the run is not let through, and may ask again.
    pub async fn decide(&self, ask: &Ask, deadline: Timestamp) -> Result<Answer, Error> {
        if ask.policy == Policy::CancelOlder && !self.may_stop {
            return Err(BadRequest::new(
                "policy",
                "cancelOlder is off in this stack, as it takes the permission to stop executions; \
                 deploy with AllowStopExecution=true",
            )
            .into());
        }
        let mut turn: Option<Box<Turn<'_>>> = None;
        loop {
            let step = match &mut turn {
                None => self.begin(ask, deadline).await.map(|begun| match begun {
                    Begun::Answered(verdict) => Step::Done(verdict),
                    Begun::Turn(begun) => {
                        turn = Some(begun);
                        Step::Again
                    }
                }),
                Some(turn) => self.step(turn).await,
            };
            let pause = match step {
                Ok(Step::Done(verdict)) => return answer(ask, verdict),
                Ok(Step::Again) => Duration::ZERO,
                Ok(Step::Wait(pause)) => pause,
                Err(error) if error.is_passing() && self.time_left(deadline) => {
                    tracing::warn!(executionArn = %ask.run, %error, "a call failed; trying again");
                    PAUSE
                }
                Err(error) => return Err(error),
            };
            if !self.time_left(deadline) {
                return Err(Error::Undecided(turn.map_or_else(String::new, |turn| turn.waiting_for)));
            }
            if pause > Duration::ZERO {
                self.clock.sleep(pause + self.clock.jitter(pause)).await;
            }
        }
    }

    fn time_left(&self, deadline: Timestamp) -> bool {
        self.clock.now().after(MARGIN) < deadline
    }

    /// Learns who asks, and records that it does.
    async fn begin<'a>(&self, ask: &'a Ask, deadline: Timestamp) -> Result<Begun<'a>, Error> {
        let me = self.describe_self(ask, deadline).await?;
        let redrive = me.redrive.max(ask.redrive.unwrap_or(0));
        let question = Question {
            redrive,
            entered: ask.entered,
        };
        let record = self.store.arrive(&me.arn, question, self.clock.now()).await?;
        if record.question != question {
            return Err(superseded());
        }
        if let Some(verdict) = record.verdict {
            tracing::info!(executionArn = %me.arn, retry = ask.retry, "asked again; the verdict stands");
            return Ok(Begun::Answered(verdict));
        }
        Ok(Begun::Turn(Box::new(Turn {
            ask,
            holder: Holder {
                run: me.arn.clone(),
                question,
            },
            deadline,
            me,
            listed: None,
            cancelled: Vec::new(),
            waiting_for: "the table was slow".to_owned(),
        })))
    }

    /// Describes the run that asks. It runs, as it asks; if Step Functions does not say so yet, it will in a moment.
    async fn describe_self(&self, ask: &Ask, deadline: Timestamp) -> Result<Execution, Error> {
        let began = self.clock.now();
        loop {
            let seen = self.executions.describe(&ask.run).await?;
            let what = match seen {
                Some(me) if me.status == Status::Running && me.redrive >= ask.redrive.unwrap_or(0) => return Ok(me),
                Some(me) if me.status == Status::Running => "has not been redriven that often".to_owned(),
                Some(_) => "has ended".to_owned(),
                None => "is not known to Step Functions".to_owned(),
            };
            if !self.time_left(deadline) {
                return Err(Error::Undecided(format!("Step Functions says that the run {what}")));
            }
            if self.clock.now().since(began) > SELF_WAIT {
                return Err(Error::NotRunning {
                    run: ask.run.clone(),
                    what,
                });
            }
            self.clock.sleep(POLL + self.clock.jitter(POLL)).await;
        }
    }

    async fn step(&self, turn: &mut Turn<'_>) -> Result<Step, Error> {
        let machine = turn.me.arn.machine();
        let claim = match self.store.read(machine).await? {
            Some(claim) => claim,
            None => self.store.claim(machine, &turn.holder, self.clock.now()).await?,
        };
        if claim.holder == turn.holder {
            return match claim.state {
                ClaimState::Confirmed => self.proceed(turn).await,
                ClaimState::Pending => self.examine(turn, claim).await,
            };
        }
        self.contest(turn, &claim).await
    }

    /// Somebody else has the claim, or the run itself with an earlier question.
    async fn contest(&self, turn: &mut Turn<'_>, claim: &Claim) -> Result<Step, Error> {
        let holder = &claim.holder.run;
        if *holder == turn.me.arn {
            if claim.holder.question > turn.holder.question {
                return Err(superseded());
            }
            return self.take_over(turn, claim).await;
        }
        let may_cancel = turn.ask.policy == Policy::CancelOlder && !is_family(turn, claim);
        let pending_for = self.clock.now().since(claim.changed);
        if claim.state == ClaimState::Pending && pending_for < JUST_TAKEN && !may_cancel {
            turn.waiting_for = format!("{} is being decided", holder.name());
            return Ok(Step::Wait(POLL));
        }
        let running = match self.standing(claim).await? {
            Standing::Ended => return self.take_over(turn, claim).await,
            Standing::Unsure => {
                turn.waiting_for = format!("{} ended a moment ago, and may have been redriven", holder.name());
                return Ok(Step::Wait(SLOW_POLL));
            }
            Standing::Running(running) => running,
        };
        if may_cancel && let Some(step) = self.cancel_all(turn, claim).await? {
            return Ok(step);
        }
        match claim.state {
            ClaimState::Confirmed if is_family(turn, claim) => self.join(turn, claim).await,
            ClaimState::Confirmed => self.conclude(turn, Ruling::Refuse, vec![Overlap::with(&running)]).await,
            ClaimState::Pending if pending_for > PENDING_LIFE => self.take_over(turn, claim).await,
            ClaimState::Pending => {
                turn.waiting_for = format!("{} is being decided", holder.name());
                Ok(Step::Wait(SLOW_POLL))
            }
        }
    }

    async fn take_over(&self, turn: &mut Turn<'_>, seen: &Claim) -> Result<Step, Error> {
        let mut claim = Claim::new(&turn.holder, self.clock.now());
        if seen.holder.run == turn.holder.run {
            claim.members.clone_from(&seen.members);
        }
        if self.store.replace(turn.me.arn.machine(), seen, &claim).await? {
            return self.examine(turn, claim).await;
        }
        Ok(Step::Again)
    }

    /// Stops the runs that have the claim, if all of them are older and nobody else is in the way: a run that is refused
    /// all the same must not have stopped anybody. `None`: one of them is newer.
    async fn cancel_all(&self, turn: &mut Turn<'_>, claim: &Claim) -> Result<Option<Step>, Error> {
        let mut running = Vec::new();
        for holder in std::iter::once(&claim.holder).chain(&claim.members) {
            if let Standing::Running(run) = self.look(holder, claim.changed).await? {
                running.push(run);
            }
        }
        if running.iter().any(|run| !run.is_older_than(&turn.me)) {
            return Ok(None);
        }
        match self.neighbours(turn).await? {
            Neighbours::Undecided { .. } => return Ok(Some(Step::Wait(SLOW_POLL))),
            Neighbours::InTheWay(runs) if !runs.is_empty() => {
                let overlapping = runs.iter().map(Overlap::with).collect();
                return self.conclude(turn, Ruling::Refuse, overlapping).await.map(Some);
            }
            Neighbours::InTheWay(_) => {}
        }
        for run in &running {
            self.cancel(turn, run).await?;
        }
        Ok(Some(Step::Wait(SLOW_POLL)))
    }

    /// The run was started by one that has the claim, and goes on under it.
    async fn join(&self, turn: &mut Turn<'_>, seen: &Claim) -> Result<Step, Error> {
        if seen.members.contains(&turn.holder) {
            return self.proceed(turn).await;
        }
        match self.neighbours(turn).await? {
            Neighbours::Undecided { .. } => return Ok(Step::Wait(SLOW_POLL)),
            Neighbours::InTheWay(runs) if !runs.is_empty() => {
                let overlapping = runs.iter().map(Overlap::with).collect();
                return self.conclude(turn, Ruling::Refuse, overlapping).await;
            }
            Neighbours::InTheWay(_) => {}
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
        if self.store.replace(turn.me.arn.machine(), seen, &claim).await? {
            return self.proceed(turn).await;
        }
        Ok(Step::Again)
    }

    /// The run has the claim, pending: is anybody in the way who never asked, or who asked for another pipeline?
    async fn examine(&self, turn: &mut Turn<'_>, claim: Claim) -> Result<Step, Error> {
        let machine = turn.me.arn.machine().clone();
        let mut in_the_way = match self.neighbours(turn).await? {
            Neighbours::InTheWay(runs) => runs,
            Neighbours::Undecided { is_older } => {
                // Two pipelines that check each other: the newer gives way until the older has its verdict, else each
                // would wait for the other.
                if is_older {
                    self.store.remove(&machine, &claim).await?;
                }
                return Ok(Step::Wait(POLL));
            }
        };
        in_the_way.extend(self.strays(turn, Whose::Own(&claim)).await?);
        if turn.ask.policy == Policy::CancelOlder {
            let mine = |run: &&Execution| *run.arn.machine() == machine && run.is_older_than(&turn.me);
            let (stop, keep): (Vec<_>, Vec<_>) = in_the_way.iter().partition(mine);
            if keep.is_empty() && !stop.is_empty() {
                for run in stop {
                    self.cancel(turn, run).await?;
                }
                return Ok(Step::Wait(SLOW_POLL));
            }
        }
        if in_the_way.is_empty() {
            let confirmed = Claim {
                state: ClaimState::Confirmed,
                ..claim.clone()
            };
            if self.store.replace(&machine, &claim, &confirmed).await? {
                return self.proceed(turn).await;
            }
            return Ok(Step::Again);
        }
        sort_by_age(&mut in_the_way);
        in_the_way.dedup();
        self.store.remove(&machine, &claim).await?;
        let overlapping = in_the_way.iter().map(Overlap::with).collect();
        self.conclude(turn, Ruling::Refuse, overlapping).await
    }

    /// Who is in the way in the pipelines of `alsoCheck`: by their claims, and by having never asked.
    async fn neighbours(&self, turn: &mut Turn<'_>) -> Result<Neighbours, Error> {
        let mut in_the_way = Vec::new();
        for machine in &turn.ask.also_check {
            let Some(claim) = self.store.read(machine).await? else {
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
                        self.store.remove(machine, &claim).await?;
                    }
                    turn.waiting_for = format!("{name} of {} is being decided", machine.name());
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
        if !turn.ask.also_check.is_empty() {
            in_the_way.extend(self.strays(turn, Whose::Neighbours).await?);
        }
        Ok(Neighbours::InTheWay(in_the_way))
    }

    /// The running executions that no claim speaks for: at most [`LISTED_MOST`], unless all are to be stopped.
    async fn strays(&self, turn: &mut Turn<'_>, whose: Whose<'_>) -> Result<Vec<Execution>, Error> {
        let began = self.clock.now();
        let mut unclear = self.list(turn).await?;
        unclear.retain(|run| match whose {
            Whose::Own(claim) => {
                run.arn.machine() == turn.me.arn.machine() && claim.members.iter().all(|member| member.run != run.arn)
            }
            Whose::Neighbours => run.arn.machine() != turn.me.arn.machine(),
        });
        let mut suspects = Vec::new();
        loop {
            let runs: Vec<ExecutionArn> = unclear.iter().map(|run| run.arn.clone()).collect();
            let records = self.store.records(&runs).await?;
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
    async fn list(&self, turn: &mut Turn<'_>) -> Result<Vec<Execution>, Error> {
        if let Some(listed) = &turn.listed {
            return Ok(listed.clone());
        }
        let mut all = Vec::new();
        let also = turn.ask.also_check.iter().enumerate();
        let own = (None, turn.me.arn.machine());
        for (at, machine) in std::iter::once(own).chain(also.map(|(at, machine)| (Some(at), machine))) {
            all.extend(self.list_one(at, machine).await?);
        }
        all.retain(|run| run.arn != turn.me.arn && !turn.ask.ignore_ancestors.contains(&run.arn));
        turn.listed = Some(all.clone());
        Ok(all)
    }

    async fn list_one(&self, also: Option<usize>, machine: &StateMachineArn) -> Result<Vec<Execution>, Error> {
        let wrong = match self.executions.running(machine).await? {
            Listed::Running(running) => return Ok(running),
            Listed::NoSuchMachine => "does not exist",
            Listed::Express => "is EXPRESS, and Step Functions does not list its executions; it cannot be guarded",
        };
        Err(match also {
            Some(at) => BadRequest::new(format!("alsoCheck[{at}]"), format!("{machine} {wrong}")).into(),
            // A machine that was deleted while its run goes on: who else runs is unknown.
            None => CallError::malformed("states:ListExecutions", format!("{machine} {wrong}")).into(),
        })
    }

    /// Whether the holder of `claim` runs, or a member of it.
    async fn standing(&self, claim: &Claim) -> Result<Standing, Error> {
        let mut unsure = false;
        for holder in std::iter::once(&claim.holder).chain(&claim.members) {
            match self.look(holder, claim.changed).await? {
                Standing::Running(run) => return Ok(Standing::Running(run)),
                Standing::Unsure => unsure = true,
                Standing::Ended => {}
            }
        }
        Ok(if unsure { Standing::Unsure } else { Standing::Ended })
    }

    /// Whether a run runs that has a claim, or goes on under one, which `changed` last at this time.
    async fn look(&self, holder: &Holder, changed: Timestamp) -> Result<Standing, Error> {
        let now = self.clock.now();
        Ok(match self.executions.describe(&holder.run).await? {
            Some(run) if run.status == Status::Running => match self.was_refused(holder).await? {
                true => Standing::Ended,
                false => Standing::Running(run),
            },
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
        let records = self.store.records(std::slice::from_ref(&holder.run)).await?;
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
            self.executions.stop(&run.arn, &cause).await?;
            tracing::info!(executionArn = %turn.me.arn, stopped = %run.arn, "stopped an older run");
            turn.cancelled.push(overlap);
        }
        Ok(())
    }

    async fn proceed(&self, turn: &mut Turn<'_>) -> Result<Step, Error> {
        let cancelled = std::mem::take(&mut turn.cancelled);
        self.conclude(turn, Ruling::Proceed, cancelled).await
    }

    /// Records the verdict. Another attempt of the same question may have been quicker: then its verdict stands, and the
    /// claim that this one may have is void, see [`Guard::standing`].
    async fn conclude(&self, turn: &Turn<'_>, ruling: Ruling, mut overlapping: Vec<Overlap>) -> Result<Step, Error> {
        overlapping.truncate(LISTED_MOST);
        let verdict = Verdict { ruling, overlapping };
        let recorded = self
            .store
            .decide(&turn.me.arn, turn.holder.question, &verdict)
            .await?
            .ok_or_else(superseded)?;
        tracing::info!(
            executionArn = %turn.me.arn,
            retry = turn.ask.retry,
            ruling = ?recorded.ruling,
            overlapping = recorded.overlapping.len(),
            "decided"
        );
        Ok(Step::Done(recorded))
    }
}

/// Whether the claim is that of a run that started this one, or of another that it started.
fn is_family(turn: &Turn<'_>, claim: &Claim) -> bool {
    let mut runs = std::iter::once(&claim.holder).chain(&claim.members);
    runs.any(|holder| turn.ask.ignore_ancestors.contains(&holder.run))
}

fn sort_by_age(runs: &mut [Execution]) {
    runs.sort_by(|a, b| (a.since, &a.arn).cmp(&(b.since, &b.arn)));
}

fn superseded() -> Error {
    Error::Undecided("a later attempt of this state has asked since".to_owned())
}

fn answer(ask: &Ask, verdict: Verdict) -> Result<Answer, Error> {
    let Verdict { ruling, overlapping } = verdict;
    match (ruling, ask.policy) {
        (Ruling::Refuse, Policy::FailNewer | Policy::CancelOlder) => Err(Error::Overlapping {
            run: ask.run.clone(),
            overlapping,
        }),
        _ => Ok(Answer {
            proceed: ruling == Ruling::Proceed,
            overlapping,
        }),
    }
}
