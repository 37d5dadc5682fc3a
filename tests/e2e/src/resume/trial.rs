//! One trial of the property: a run that fails at one call, the resume of it, and what has to be true of both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_sfn::types::HistoryEventType as Type;
use local_cloud::stubs::{ActiveStub, CallOutcome};
use local_cloud::{Error, Execution, Outcome, Stub, StubbedCall, wait};
use serde_json::Value;

use super::Resumes;
use super::case::{Case, Key};
use crate::lock::failed;

/// Longest that a run may take on a busy machine.
pub const RUN_WITHIN: Duration = Duration::from_mins(1);

/// What a call fails with that is to fail.
pub const ERROR: &str = "Stub.Failed";

/// How often a call may be tried again at most.
const ATTEMPTS: u32 = 4;

/// Longer than any run lasts.
const FOR_EVER: Duration = Duration::from_hours(1);

/// A run that never failed.
#[derive(Debug)]
pub struct Reference {
    /// What came of it.
    pub output: Value,
    /// How often each call succeeded.
    pub calls: BTreeMap<Key, usize>,
    /// The calls that were made, also those that failed.
    made: BTreeSet<Key>,
    /// The same calls in the order in which they began: a run can fail at each of them.
    pub points: Vec<Point>,
}

/// A call at which a run fails.
#[derive(Debug, Clone)]
pub struct Point {
    /// The call.
    pub key: Key,
    /// The n-th of its kind.
    pub nth: usize,
    /// The outcome that fits it, and no other call of the reference; it says nothing of what comes of it.
    fits: Vec<Outcome>,
}

/// How a run ends at its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The call fails when all is done that can be done without it.
    Alone,
    /// It fails while the calls are at work that come after it, and could be begun.
    Amidst,
    /// It and those are at work when the execution is stopped.
    Stopped,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Alone, Self::Amidst, Self::Stopped];
}

/// What is tried.
#[derive(Debug, Clone)]
pub struct Trial<'t> {
    /// The definition.
    pub case: &'t Case,
    /// Its input.
    pub input: &'t Value,
    /// The run that never failed.
    pub reference: &'t Reference,
    /// Where it fails: an index into the reference's points.
    pub at: usize,
    /// How.
    pub end: End,
    /// `auto`, `clone` or `redrive`.
    pub mode: &'static str,
    /// Where the resumed run fails again, and in which mode it is resumed again.
    pub again: Option<(usize, &'static str)>,
}

/// What came of a trial that found nothing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// The resumed run ended as if nothing had failed; how it went on.
    Equal(Vec<String>),
    /// The failure was caught, or tried again, and the run succeeded by itself.
    Handled,
    /// A redrive was asked for and is not possible.
    NotRedrivable,
}

/// What is wrong.
#[derive(Debug)]
pub struct Broken(pub String);

impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn check(holds: bool, says: impl FnOnce() -> String) -> Result<(), Broken> {
    match holds {
        true => Ok(()),
        false => Err(Broken(says())),
    }
}

/// Runs a case without any failure, for so long at most.
pub async fn reference(resumes: &Resumes, case: &Case, input: &Value, within: Duration) -> Result<Reference, Broken> {
    let machine = resumes.machine(&case.name, &case.definition).await?;
    let stub = resumes.account.stub(&answering(case, &machine)).await?;
    let run = resumes.account.start_execution(&machine, "run", input).await?;
    let ended = resumes.account.wait_for_execution_within(&run, within).await;
    if ended.is_err() {
        resumes
            .account
            .stop_execution(&run, "Test.Stopped", "it has no end")
            .await?;
    }
    let calls = stub.calls().await;
    stub.remove().await?;
    resumes.forget(&machine).await?;
    let (ended, made) = (ended?, calls?);
    let Some(output) = ended.output.clone().filter(|_| ended.succeeded()) else {
        return Err(Broken(format!("does not succeed without a failure: {}", says(&ended))));
    };
    let mut calls: BTreeMap<Key, usize> = BTreeMap::new();
    let mut places: BTreeMap<(String, Option<u32>), u32> = BTreeMap::new();
    let mut points = Vec::new();
    for call in made.iter().filter(|call| call.outcome == CallOutcome::Succeeded) {
        let key = case.key(call);
        let nth = calls.entry(key.clone()).or_default();
        *nth += 1;
        let place = places.entry((key.state.clone(), key.iteration)).or_default();
        *place += 1;
        points.push(Point {
            fits: fits(case, call, *place),
            nth: *nth,
            key,
        });
    }
    // What is called several times alike can only be told apart by its turn.
    let alike = points.iter_mut().filter(|point: &&mut Point| calls[&point.key] > 1);
    for point in alike.filter(|_| case.is_steady()) {
        let nth = u32::try_from(point.nth).unwrap_or(u32::MAX);
        point.fits = point.fits.iter().flat_map(|outcome| turn(outcome, nth)).collect();
    }
    Ok(Reference {
        output,
        calls,
        made: made.iter().map(|call| case.key(call)).collect(),
        points,
    })
}

/// Outcomes that fit a call; `place` is its turn among those of its state and iteration.
fn fits(case: &Case, call: &StubbedCall, place: u32) -> Vec<Outcome> {
    let mut outcome = Outcome::of(&call.original);
    if let Some(iteration) = call.iteration {
        outcome = outcome.when_iteration(iteration);
    }
    match case.is_steady() {
        true => vec![outcome.when_input(call.input.clone())],
        false => turn(&outcome, place).collect(),
    }
}

/// Outcomes that fit the n-th call, and those that try it again: each counts the calls that none before it has taken.
fn turn(outcome: &Outcome, nth: u32) -> impl Iterator<Item = Outcome> + use<> {
    let outcome = outcome.clone().call(nth);
    (0..ATTEMPTS).map(move |_| outcome.clone())
}

/// The stub of a case in which nothing fails.
fn answering(case: &Case, machine: &str) -> Stub {
    let stub = Stub::of(machine).outcomes(case.answers.iter().cloned());
    match case.echo {
        true => stub,
        false => stub.without_echo(),
    }
}

impl Trial<'_> {
    /// What it is, for people.
    #[must_use]
    pub fn title(&self) -> String {
        let point = &self.reference.points[self.at];
        let iteration = point
            .key
            .iteration
            .map(|index| format!("[{index}]"))
            .unwrap_or_default();
        let again = match self.again {
            Some((at, mode)) => format!(", then {} by {mode}", self.reference.points[at].key.state),
            None => String::new(),
        };
        let Case { name, .. } = self.case;
        format!(
            "{name}: {:?} at {}{iteration} #{} by {}{again}",
            self.end, point.key.state, point.nth, self.mode
        )
    }

    /// Does it.
    pub async fn run(&self, resumes: &Resumes) -> Result<Came, Broken> {
        let machine = resumes.machine(&self.case.name, &self.case.definition).await?;
        let mut machines = vec![machine.clone()];
        let came = self.through(resumes, &machine, &mut machines).await;
        for machine in &machines {
            resumes.forget(machine).await?;
        }
        came
    }

    async fn through(&self, resumes: &Resumes, machine: &str, machines: &mut Vec<String>) -> Result<Came, Broken> {
        let mut stubs = vec![self.stub_that_fails(resumes, machine, self.at, BTreeMap::new()).await?];
        let mut run = resumes.account.start_execution(machine, "run", self.input).await?;
        let mut strategies = Vec::new();
        let resumed = [(self.mode, self.again.map(|(at, _)| at))];
        let again = self.again.map(|(_, mode)| (mode, None));
        let mut at = self.at;
        for (mode, next) in resumed.into_iter().chain(again) {
            let ended = self.fail(resumes, &run, &stubs[stubs.len() - 1], at).await?;
            if ended.succeeded() {
                return match strategies.is_empty() {
                    true => Ok(Came::Handled),
                    false => self.judge(&ended, &stubs, strategies).await,
                };
            }
            let told = match resumes.plan(&run, mode, self.case.pin).await {
                Err(error) if mode == "redrive" && error.error_type == "Resume.NotRedrivable" => {
                    return Ok(Came::NotRedrivable);
                }
                told => told?,
            };
            let stub = match next {
                Some(next) => {
                    self.stub_that_fails(resumes, machine, next, self.case.copies_in(&told.0["definition"]))
                        .await?
                }
                None => {
                    resumes
                        .account
                        .stub(&aliased(
                            answering(self.case, machine),
                            &self.case.copies_in(&told.0["definition"]),
                        ))
                        .await?
                }
            };
            stubs.push(stub);
            let applied = resumes.apply(&run, mode, self.case.pin, &told).await?;
            check(told.strategy() == applied.strategy(), || {
                format!("planned {}, and did {}", told.strategy(), applied.strategy())
            })?;
            strategies.push(applied.strategy().to_owned());
            applied.execution()?.clone_into(&mut run);
            machines.extend(applied.machine());
            at = next.unwrap_or(at);
        }
        let ended = ends(resumes, &run).await?;
        self.judge(&ended, &stubs, strategies).await
    }

    async fn stub_that_fails(
        &self,
        resumes: &Resumes,
        machine: &str,
        at: usize,
        aliases: BTreeMap<String, String>,
    ) -> Result<ActiveStub, Error> {
        let point = &self.reference.points[at];
        let fails = point.fits.iter().cloned().map(|outcome| {
            let outcome = match self.waits(point) {
                true => outcome.held(),
                false => outcome,
            };
            match self.end {
                End::Stopped => outcome,
                End::Alone | End::Amidst => outcome.fails(ERROR, &point.key.state),
            }
        });
        let later = self.reference.points[at + 1..].iter();
        let later = later.filter(|_| self.end != End::Alone);
        let at_work = later.flat_map(|point| point.fits.iter().cloned().map(|outcome| outcome.after(FOR_EVER)));
        let stub = Stub::of(machine).outcomes(fails).outcomes(at_work);
        let stub = stub.outcomes(self.case.answers.iter().cloned());
        let stub = match self.case.echo {
            true => stub,
            false => stub.without_echo(),
        };
        resumes.account.stub(&aliased(stub, &aliases)).await
    }

    /// Whether the failing call waits until nothing moves any more.
    fn waits(&self, point: &Point) -> bool {
        self.end == End::Stopped || self.case.is_among_others(&point.key.state)
    }

    /// Lets a run fail at its point.
    async fn fail(&self, resumes: &Resumes, run: &str, stub: &ActiveStub, at: usize) -> Result<Execution, Broken> {
        let point = &self.reference.points[at];
        if !self.waits(point) {
            return Ok(ends(resumes, run).await?);
        }
        let mut before = None;
        let what = format!("{} to come to {}", self.title(), point.key.state);
        wait::until(&what, RUN_WITHIN, async || {
            let look = async {
                let execution = resumes.account.execution(run).await?;
                if execution.ended() {
                    return Ok(Ok(execution));
                }
                let calls = stub.calls().await?;
                let moves = moves(resumes, run).await?;
                let waits = calls
                    .iter()
                    .any(|call| call.outcome == CallOutcome::Open && self.case.key(call) == point.key);
                let seen = (calls.len(), moves);
                let still = waits && moves.is_settled() && before == Some(seen);
                before = Some(seen);
                if still && self.end == End::Stopped {
                    resumes
                        .account
                        .stop_execution(run, "Test.Stopped", "by the test")
                        .await?;
                } else if still {
                    stub.release(&point.key.state).await?;
                    before = None;
                }
                Ok::<_, Error>(Err(format!("{} calls, {moves:?}, {waits}", calls.len())))
            };
            look.await.map_err(|error| error.to_string()).and_then(|seen| seen)
        })
        .await
        .map_err(Broken::from)
    }

    /// What is true of the run if nothing is wrong.
    async fn judge(&self, ended: &Execution, stubs: &[ActiveStub], strategies: Vec<String>) -> Result<Came, Broken> {
        check(ended.succeeded(), || {
            format!("resumed by {strategies:?} it ends {}", says(ended))
        })?;
        let expected = &self.reference.output;
        let output = ended.output.as_ref().unwrap_or(&Value::Null);
        check(output == expected, || {
            format!("resumed by {strategies:?} its output is {output}, and without a failure {expected}")
        })?;
        let mut done: BTreeMap<Key, usize> = BTreeMap::new();
        for (at, stub) in stubs.iter().enumerate() {
            let mut in_this: BTreeMap<Key, usize> = BTreeMap::new();
            for call in stub.calls().await? {
                let key = self.case.key(&call);
                let known = self.reference.made.contains(&key);
                check(known || at + 1 < stubs.len(), || {
                    format!("the resumed run called {key:?}, which a run without a failure does not")
                })?;
                let counts = call.outcome == CallOutcome::Succeeded && known && !self.case.again.contains(&key.state);
                *in_this.entry(key).or_default() += usize::from(counts);
            }
            for (key, times) in in_this {
                // A Parallel or a Map that is retried begins anew: that is no resume.
                let most = self.reference.calls.get(&key).copied().unwrap_or_default();
                *done.entry(key).or_default() += times.min(most);
            }
        }
        for (key, times) in &self.reference.calls {
            let done = done.get(key).copied().unwrap_or_default();
            check(done == *times || self.case.again.contains(&key.state), || {
                format!(
                    "resumed by {strategies:?}, {key:?} succeeded {done} times, and without a failure {times} times"
                )
            })?;
        }
        Ok(Came::Equal(strategies))
    }
}

fn aliased(stub: Stub, aliases: &BTreeMap<String, String>) -> Stub {
    aliases
        .iter()
        .fold(stub, |stub, (copy, original)| stub.alias(copy, original))
}

async fn ends(resumes: &Resumes, run: &str) -> Result<Execution, Error> {
    resumes.account.wait_for_execution_within(run, RUN_WITHIN).await
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moves {
    events: usize,
    succeeded: usize,
    left: usize,
}

impl Moves {
    /// Whether no task has succeeded whose state has not been left yet.
    fn is_settled(self) -> bool {
        self.succeeded <= self.left
    }
}

async fn moves(resumes: &Resumes, run: &str) -> Result<Moves, Error> {
    let history = resumes.account.sfn().get_execution_history().execution_arn(run);
    let mut pages = history.max_results(1_000).into_paginator().items().send();
    let mut moves = Moves {
        events: 0,
        succeeded: 0,
        left: 0,
    };
    while let Some(event) = pages.next().await {
        let event = event.map_err(failed("States.GetExecutionHistory"))?;
        moves.events += 1;
        let succeeded = [
            Type::TaskSucceeded,
            Type::LambdaFunctionSucceeded,
            Type::ActivitySucceeded,
        ];
        moves.succeeded += usize::from(succeeded.contains(&event.r#type));
        moves.left += usize::from(event.r#type == Type::TaskStateExited);
    }
    Ok(moves)
}

fn says(ended: &Execution) -> String {
    let Execution { status, error, .. } = ended;
    let cause = ended.cause_message().unwrap_or_default();
    format!("{status}: {} {cause}", error.as_deref().unwrap_or_default())
}
