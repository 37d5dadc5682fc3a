//! The property: a run that fails and is resumed ends as one that never failed, and does nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use super::Resumes;
use super::case::Case;
use super::corpus;
use super::trial::{Broken, Came, End, RUN_WITHIN, Reference, Trial, reference};

/// Trials that run at a time.
const AT_ONCE: usize = 16;

/// How long a run may take whose input is guessed: some loops have no end then.
const GUESSED_WITHIN: Duration = Duration::from_secs(5);

/// The modes that a resume is asked for in.
const MODES: [&str; 3] = ["clone", "redrive", "auto"];

/// Which trials there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Of each definition and input a few.
    Sample,
    /// All.
    All,
}

/// How a definition did.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The states at which it failed.
    pub states: BTreeSet<String>,
    /// The trials.
    pub trials: usize,
    /// Those that ended as if nothing had failed, by the strategies.
    pub equal: BTreeMap<String, usize>,
    /// Those in which the failure was caught or tried again, and the run succeeded by itself.
    pub handled: usize,
    /// Those in which a redrive is not possible.
    pub not_redrivable: usize,
    /// How long they took, all in all: many ran at a time.
    pub took: Duration,
    /// What is wrong.
    pub broken: Vec<String>,
}

impl Row {
    /// How many ended as if nothing had failed.
    #[must_use]
    pub fn equals(&self) -> usize {
        self.equal.values().sum()
    }

    /// Counts another row into this one.
    pub fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.handled += other.handled;
        self.not_redrivable += other.not_redrivable;
        self.took += other.took;
        self.broken.extend(other.broken.iter().cloned());
        for (strategies, trials) in &other.equal {
            *self.equal.entry(strategies.clone()).or_default() += trials;
        }
    }

    fn note(&mut self, trial: &Trial<'_>, came: Result<Came, Broken>, took: Duration) {
        self.trials += 1;
        self.took += took;
        self.states.insert(trial.reference.points[trial.at].key.state.clone());
        match came {
            Ok(Came::Equal(strategies)) => *self.equal.entry(strategies.join(", ")).or_default() += 1,
            Ok(Came::Handled) => self.handled += 1,
            Ok(Came::NotRedrivable) => self.not_redrivable += 1,
            Err(Broken(says)) => self.broken.push(format!("{}: {says}", trial.title())),
        }
    }
}

/// A case with one of its inputs, and the run of it that never failed.
struct Subject<'c> {
    case: &'c Case,
    input: &'c Value,
    reference: Reference,
}

/// Tries all cases: a row for each, in their order. `told`: how many trials are over, of how many.
pub async fn prove(resumes: &Resumes, cases: &[Case], extent: Extent, told: impl Fn(usize, usize)) -> Vec<Row> {
    let mut rows: Vec<Row> = cases
        .iter()
        .map(|case| Row {
            name: case.name.clone(),
            ..Row::default()
        })
        .collect();
    let inputs = cases.iter().enumerate();
    let inputs = inputs.flat_map(|(row, case)| case.inputs.iter().map(move |input| (row, case, input)));
    let mut runs = stream::iter(inputs)
        .map(async |(row, case, input)| (row, case, input, reference(resumes, case, input, RUN_WITHIN).await))
        .buffered(AT_ONCE);
    let mut subjects = Vec::new();
    while let Some((row, case, input, reference)) = runs.next().await {
        match reference {
            Ok(reference) => subjects.push((row, Subject { case, input, reference })),
            Err(Broken(says)) => rows[row].broken.push(format!("{}: {says}", case.name)),
        }
    }
    drop(runs);
    let trials = subjects.iter().enumerate();
    let trials = trials.flat_map(|(number, (row, subject))| {
        let trials = match extent {
            Extent::Sample => sample(subject, number),
            Extent::All => all(subject),
        };
        trials.into_iter().map(move |trial| (*row, trial))
    });
    let trials: Vec<_> = trials.collect();
    let (mut over, all) = (0, trials.len());
    let mut trials = stream::iter(trials)
        .map(async |(row, trial)| {
            #[allow(clippy::disallowed_methods, reason = "says how long it took, decides nothing")]
            let began = Instant::now();
            let came = trial.run(resumes).await;
            (row, trial, came, began.elapsed())
        })
        .buffer_unordered(AT_ONCE);
    while let Some((row, trial, came, took)) = trials.next().await {
        rows[row].note(&trial, came, took);
        over += 1;
        told(over, all);
    }
    rows
}

/// Of each definition of the corpus the guess with which a run comes through most states and succeeds; and of the others why
/// there is none.
pub async fn plausible(resumes: &Resumes, definitions: Vec<(String, Value)>) -> (Vec<Case>, Vec<String>) {
    let mut found = stream::iter(definitions)
        .map(async |(name, definition)| {
            let mut best: Option<(usize, Case)> = None;
            let mut why = String::new();
            let mut tried = Vec::new();
            for number in 0..corpus::GUESSES {
                let case = corpus::guess(&name, &definition, number);
                if tried.contains(&case.inputs) {
                    continue;
                }
                tried.push(case.inputs.clone());
                let twice = async {
                    // A loop that waits for something in vain is not to keep the processor busy.
                    let slow = corpus::guess(&name, &corpus::with_waits_of_a_second(&definition), number);
                    reference(resumes, &slow, &slow.inputs[0], GUESSED_WITHIN).await?;
                    let first = reference(resumes, &case, &case.inputs[0], GUESSED_WITHIN).await?;
                    let second = reference(resumes, &case, &case.inputs[0], GUESSED_WITHIN).await?;
                    Ok::<_, Broken>((first, second))
                };
                match twice.await {
                    Ok((first, second)) if first.output != second.output => {
                        "its output is never the same".clone_into(&mut why);
                    }
                    Ok((first, _)) => {
                        let states: BTreeSet<&str> =
                            first.points.iter().map(|point| point.key.state.as_str()).collect();
                        if states.len() > best.as_ref().map_or(0, |(most, _)| *most) {
                            best = Some((states.len(), case));
                        } else if best.is_none() {
                            "no task of it is called".clone_into(&mut why);
                        }
                    }
                    Err(Broken(says)) => why = says,
                }
            }
            best.map(|(_, case)| case).ok_or_else(|| format!("{name}: {why}"))
        })
        .buffered(AT_ONCE);
    let (mut cases, mut others) = (Vec::new(), Vec::new());
    while let Some(found) = found.next().await {
        match found {
            Ok(case) => cases.push(case),
            Err(why) => others.push(why),
        }
    }
    (cases, others)
}

/// The first call, one in the middle and the last one, each in another way; and one that fails once more.
fn sample<'c>(subject: &'c Subject<'c>, number: usize) -> Vec<Trial<'c>> {
    let last = subject.reference.points.len().saturating_sub(1);
    let places: BTreeSet<usize> = [0, last / 2, last].into_iter().collect();
    let mut trials = Vec::new();
    for (turn, at) in places.into_iter().enumerate() {
        let end = End::ALL[(number + turn) % End::ALL.len()];
        let mode = MODES[(number / End::ALL.len() + turn) % MODES.len()];
        trials.extend(subject.trial(at, end, mode));
    }
    trials.extend(subject.trial_that_fails_again(last / 2, number));
    trials
}

/// Every call, in every way; and each fails once more, in the modes by turns.
fn all<'c>(subject: &'c Subject<'c>) -> Vec<Trial<'c>> {
    let mut trials = Vec::new();
    for at in 0..subject.reference.points.len() {
        for end in End::ALL {
            trials.extend(MODES.into_iter().filter_map(|mode| subject.trial(at, end, mode)));
        }
        trials.extend(subject.trial_that_fails_again(at, at));
    }
    trials
}

impl<'c> Subject<'c> {
    fn trial(&'c self, at: usize, end: End, mode: &'static str) -> Option<Trial<'c>> {
        self.reference.points.get(at)?;
        Some(Trial {
            case: self.case,
            input: self.input,
            reference: &self.reference,
            at,
            end,
            mode,
            again: None,
        })
    }

    /// It fails at a call, and when it is resumed at the last call that there is once.
    fn trial_that_fails_again(&'c self, at: usize, turn: usize) -> Option<Trial<'c>> {
        let points = self.reference.points.iter().enumerate().skip(at + 1);
        let mut once = points.filter(|(_, point)| self.reference.calls[&point.key] == 1);
        let (later, _) = once.next_back().filter(|_| self.case.is_steady())?;
        let (first, second) = (MODES[turn % MODES.len()], MODES[turn / MODES.len() % MODES.len()]);
        let trial = self.trial(at, End::ALL[turn % End::ALL.len()], first)?;
        Some(Trial {
            again: Some((later, second)),
            ..trial
        })
    }
}
