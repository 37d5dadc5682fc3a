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
//! 7. A run that `resume` lets go on in a clone of its state machine is a run of the original's pipeline: it takes that
//!    one's claim, and is looked for like all others.
//!
//! Every step may be repeated after a crash, a lost reply or a throttled call.

mod claiming;
mod lookout;

use std::time::Duration;

use signalbox::arn::StateMachineArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::request::BadRequest;

pub use self::lookout::CLONES_LISTED;
use self::lookout::{Seen, Standing, is_family};
use crate::answer::{Answer, LISTED_MOST, Overlap};
use crate::error::Error;
use crate::request::{Ask, Policy};
use crate::store::{Claim, ClaimState, Claims, Holder, Question, Records, Ruling, Verdict};
use signalbox::executions::{Execution, Executions, Status};
use signalbox::pipeline::{Clones, pipeline_of};

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

/// Time left for the answer when waiting ends.
const MARGIN: Duration = Duration::from_secs(3);

/// The guard: what it decides on, and the world that it decides in.
#[derive(Debug)]
pub struct Guard<R, L, K, E, C> {
    /// The records of runs.
    pub records: R,
    /// The claims on pipelines.
    pub claims: L,
    /// Which machines are clones of others.
    pub clones: K,
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
    /// The pipeline that it is a run of: its machine, or the one that this is a clone of.
    pipeline: StateMachineArn,
    /// The pipelines of `alsoCheck`, each with its place there; its own is not among them, and none is twice.
    also_check: Vec<(usize, StateMachineArn)>,
    /// The run with its question, as it stands in a claim.
    holder: Holder,
    deadline: Timestamp,
    /// The running executions as they were listed last, and when: AWS refills `ListExecutions` at 2 to 5 calls a second.
    listed: Option<(Timestamp, Vec<Seen>)>,
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

impl<R, L, K, E, C> Guard<R, L, K, E, C>
where
    R: Records,
    L: Claims,
    K: Clones,
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
        let record = self.records.arrive(&me.arn, question, self.clock.now()).await?;
        if record.question != question {
            return Err(superseded());
        }
        if let Some(verdict) = record.verdict {
            tracing::info!(executionArn = %me.arn, retry = ask.retry, "asked again; the verdict stands");
            return Ok(Begun::Answered(verdict));
        }
        let pipeline = pipeline_of(&self.clones, me.arn.machine()).await?;
        let also_check = self.also_check(ask, &pipeline).await?;
        Ok(Begun::Turn(Box::new(Turn {
            ask,
            holder: Holder {
                run: me.arn.clone(),
                question,
            },
            deadline,
            me,
            pipeline,
            also_check,
            listed: None,
            cancelled: Vec::new(),
            waiting_for: "the table was slow".to_owned(),
        })))
    }

    /// The pipelines that the run also checks.
    async fn also_check(&self, ask: &Ask, own: &StateMachineArn) -> Result<Vec<(usize, StateMachineArn)>, Error> {
        let mut pipelines: Vec<(usize, StateMachineArn)> = Vec::new();
        for (at, machine) in ask.also_check.iter().enumerate() {
            let pipeline = pipeline_of(&self.clones, machine).await?;
            if pipeline != *own && pipelines.iter().all(|(_, known)| *known != pipeline) {
                pipelines.push((at, pipeline));
            }
        }
        Ok(pipelines)
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
        let pipeline = &turn.pipeline;
        let claim = match self.claims.read(pipeline).await? {
            Some(claim) => claim,
            None => self.claims.claim(pipeline, &turn.holder, self.clock.now()).await?,
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
            ClaimState::Confirmed => self.refuse(turn, &[running]).await,
            ClaimState::Pending if pending_for > PENDING_LIFE => self.take_over(turn, claim).await,
            ClaimState::Pending => {
                turn.waiting_for = format!("{} is being decided", holder.name());
                Ok(Step::Wait(SLOW_POLL))
            }
        }
    }

    async fn proceed(&self, turn: &mut Turn<'_>) -> Result<Step, Error> {
        let cancelled = std::mem::take(&mut turn.cancelled);
        self.conclude(turn, Ruling::Proceed, cancelled).await
    }

    async fn refuse(&self, turn: &Turn<'_>, in_the_way: &[Execution]) -> Result<Step, Error> {
        let overlapping = in_the_way.iter().map(Overlap::with).collect();
        self.conclude(turn, Ruling::Refuse, overlapping).await
    }

    /// Records the verdict. Another attempt of the same question may have been quicker: then its verdict stands, and the
    /// claim that this one may have is void, see `Guard::was_refused`.
    async fn conclude(&self, turn: &Turn<'_>, ruling: Ruling, mut overlapping: Vec<Overlap>) -> Result<Step, Error> {
        overlapping.truncate(LISTED_MOST);
        let verdict = Verdict { ruling, overlapping };
        let recorded = self
            .records
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
