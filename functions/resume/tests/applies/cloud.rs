//! Step Functions, the table and the archive in memory. Each call is a step: others may go on before it and after it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use resume::lineage::{Lineage, Resume, TURN};
use resume::machines::{Described, Machines, Making, NewMachine, Ran, Redriving, Starting};
use resume::past::{Data, Past, PastReader};
use resume::plan::Status;
use resume::sweep::{self, CLAIMED, Kept, Records, Run, Stage};
use resume::{Reserves, Resumes, Settings};
use serde_json::{Value, json};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::asl::Definition;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::{self, Executions, Listed};
use signalbox::lock;
use signalbox::pipeline::{CloneOf, Clones};
use signalbox::simulation::World;

/// The role of all machines.
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/orders";

/// The pipeline: its second state failed.
pub(crate) const DEFINITION: &str = r#"{"StartAt": "Extract", "States": {
    "Extract": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Next": "Charge"},
    "Charge": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}}"#;

/// The pipeline's machine.
pub(crate) fn pipeline() -> StateMachineArn {
    StateMachineArn::parse("arn:aws:states:us-east-1:123456789012:stateMachine:orders").unwrap()
}

/// A run of it.
pub(crate) fn run(name: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!(
        "arn:aws:states:us-east-1:123456789012:execution:orders:{name}"
    ))
    .unwrap()
}

/// An execution.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    /// How it stands.
    pub(crate) status: Status,
    /// When it started, was redriven or ended.
    pub(crate) at: Timestamp,
    /// How often it was redriven.
    pub(crate) redrives: u32,
}

/// What is recorded of a clone.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// Of which machine, and when it was used.
    pub(crate) of: CloneOf,
    /// Whether it is to go.
    pub(crate) stage: Stage,
    /// How many of its runs are archived.
    pub(crate) archived: usize,
    /// Whether it is deleted.
    pub(crate) deleted: bool,
}

/// All that there is.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Executions, by their ARNs.
    pub(crate) executions: BTreeMap<ExecutionArn, Execution>,
    /// Machines.
    pub(crate) machines: BTreeSet<StateMachineArn>,
    /// Resumes, by origin and hash.
    pub(crate) resumes: BTreeMap<(ExecutionArn, String), Resume>,
    /// Whose turn it is to go on with a run, and since when: the plan's hash.
    pub(crate) turns: BTreeMap<ExecutionArn, (String, Timestamp)>,
    /// Clones.
    pub(crate) clones: BTreeMap<StateMachineArn, Recorded>,
    /// Runs whose history is archived.
    pub(crate) archive: BTreeSet<ExecutionArn>,
    /// Whom somebody else has the lock of.
    pub(crate) taken: bool,
    /// Executions that were really started, and redriven.
    pub(crate) started: Vec<ExecutionArn>,
    /// Redrives that were really made.
    pub(crate) redriven: Vec<ExecutionArn>,
    /// Machines that were deleted.
    pub(crate) deletions: usize,
    /// What the invocations answered: the execution that goes on, or the name of the error.
    pub(crate) told: Vec<Result<ExecutionArn, &'static str>>,
    /// What must not be.
    pub(crate) broken: Option<String>,
}

/// All of it.
#[derive(Clone)]
pub(crate) struct Cloud {
    /// Time.
    pub(crate) world: World,
    /// What there is.
    pub(crate) state: Rc<RefCell<State>>,
}

impl Cloud {
    /// With one run that has failed.
    pub(crate) fn new(world: &World) -> Self {
        let mut state = State::default();
        state.machines.insert(pipeline());
        let failed = Execution {
            status: Status::Failed,
            at: world.now(),
            redrives: 0,
        };
        state.executions.insert(run("run-1"), failed);
        Self {
            world: world.clone(),
            state: Rc::new(RefCell::new(state)),
        }
    }

    async fn call<T: std::fmt::Debug>(&self, effect: impl FnOnce(&mut State) -> T) -> T {
        self.world.step().await;
        let answer = effect(&mut self.state.borrow_mut());
        self.world.observe(&format!("{answer:?}"));
        self.world.linger().await;
        answer
    }

    /// Everything, for the comparison of states.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.state.borrow()).hash(&mut hasher);
        hasher.finish()
    }

    /// The function.
    pub(crate) fn resumes(&self) -> Resumes<Self, Self, Self, Self, Self, World> {
        Resumes {
            machines: self.clone(),
            lineage: self.clone(),
            clones: self.clone(),
            executions: self.clone(),
            reserves: self.clone(),
            clock: self.world.clone(),
            settings: Settings {
                roles: vec![ROLE.to_owned()],
                ..Settings::default()
            },
        }
    }

    /// What the schedule does.
    pub(crate) fn sweeps(&self) -> sweep::Sweeps<Self, Self, World> {
        sweep::Sweeps {
            records: self.clone(),
            machines: self.clone(),
            clock: self.world.clone(),
            retention: std::time::Duration::from_hours(24),
        }
    }
}

fn history() -> Vec<Value> {
    let entered = |name: &str, input: &str| json!({"name": name, "input": input});
    let scheduled = json!({"resourceType": "sqs", "resource": "sendMessage", "parameters": "{}"});
    let failed = json!({"error": "Payment.NoCurrency"});
    [
        ("ExecutionStarted", 0, "executionStartedEventDetails", json!({"input": "[4]"})),
        ("TaskStateEntered", 0, "stateEnteredEventDetails", entered("Extract", "[4]")),
        ("TaskScheduled", 2, "taskScheduledEventDetails", scheduled.clone()),
        ("TaskSucceeded", 3, "taskSucceededEventDetails", json!({"output": "[5]"})),
        ("TaskStateExited", 4, "stateExitedEventDetails", json!({"name": "Extract", "output": "[5]"})),
        ("TaskStateEntered", 5, "stateEnteredEventDetails", entered("Charge", "[5]")),
        ("TaskScheduled", 6, "taskScheduledEventDetails", scheduled),
        ("TaskFailed", 7, "taskFailedEventDetails", failed.clone()),
        ("ExecutionFailed", 8, "executionFailedEventDetails", failed),
    ]
    .into_iter()
    .zip(1..)
    .map(|((kind, previous, details, fields), id)| {
        json!({"id": id, "previousEventId": previous, "type": kind, "timestamp": 1_769_832_000 + id, details: fields})
    })
    .collect()
}

fn ran() -> Ran<()> {
    Ran {
        definition: DEFINITION.to_owned(),
        role: ROLE.to_owned(),
        has_kms_key: false,
        setup: (),
    }
}

impl Machines for Cloud {
    type Setup = ();

    async fn describe(&self, execution: &ExecutionArn) -> Result<Option<Described>, CallError> {
        let found = self.call(|state| state.executions.get(execution).cloned()).await;
        Ok(found.map(|found| Described {
            status: found.status,
            started: "2026-01-31T04:00:00.000Z".to_owned(),
            stopped: (found.status != Status::Running).then_some(found.at),
            input: Some("[4]".to_owned()),
            error: None,
            cause: None,
            redrives: found.redrives,
            not_redrivable: None,
        }))
    }

    async fn ran(&self, _: &ExecutionArn) -> Result<Option<Ran<()>>, CallError> {
        Ok(Some(ran()))
    }

    async fn present(&self, _: &StateMachineArn) -> Result<Option<Ran<()>>, CallError> {
        Ok(Some(ran()))
    }

    async fn tags(&self, _: &StateMachineArn) -> Result<Vec<(String, String)>, CallError> {
        Ok(Vec::new())
    }

    async fn past(&self, _: &ExecutionArn, definition: &Definition, keep: Option<&str>) -> Result<Past, CallError> {
        let mut reader = PastReader::new(definition, keep);
        for event in history() {
            reader.push(serde_json::from_value(event.clone()).unwrap(), Data::of_json(&event));
        }
        Ok(reader.finish())
    }

    async fn faults(&self, _: &str) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    async fn make(&self, machine: &NewMachine<'_, ()>) -> Result<Making, CallError> {
        let arn = StateMachineArn::parse(&format!("{}:stateMachine:{}", pipeline().home(), machine.name)).unwrap();
        self.call(|state| {
            if !state.clones.contains_key(&arn) {
                state.broken = Some("a machine is made that nobody knows as a clone".to_owned());
            }
            state.machines.insert(arn);
        })
        .await;
        Ok(Making::Made)
    }

    async fn start(&self, machine: &StateMachineArn, name: &str, _: &str) -> Result<Starting, CallError> {
        let arn = ExecutionArn::parse(&format!("{}:execution:{}:{name}", machine.home(), machine.name())).unwrap();
        let now = self.world.now();
        Ok(self
            .call(|state| {
                if !state.machines.contains(machine) {
                    return Starting::NoSuchMachine;
                }
                match state.executions.get(&arn).map(|found| found.status) {
                    Some(Status::Running) => Starting::Started,
                    Some(_) => Starting::Ended,
                    None => {
                        let running = Execution {
                            status: Status::Running,
                            at: now,
                            redrives: 0,
                        };
                        state.executions.insert(arn.clone(), running);
                        state.started.push(arn);
                        Starting::Started
                    }
                }
            })
            .await)
    }

    async fn redrive(&self, execution: &ExecutionArn, _: &str) -> Result<Redriving, CallError> {
        let now = self.world.now();
        Ok(self
            .call(|state| {
                let Some(found) = state
                    .executions
                    .get_mut(execution)
                    .filter(|found| found.status != Status::Running)
                else {
                    // Without what a token does: after 15 minutes it does nothing.
                    return Redriving::Refused("it is running".to_owned());
                };
                found.status = Status::Running;
                found.at = now;
                found.redrives += 1;
                state.redriven.push(execution.clone());
                Redriving::Redriven
            })
            .await)
    }
}

impl Lineage for Cloud {
    async fn begin(&self, resume: &Resume) -> Result<Resume, CallError> {
        let key = (resume.origin.clone(), resume.plan_hash.clone());
        Ok(self
            .call(|state| state.resumes.entry(key).or_insert_with(|| resume.clone()).clone())
            .await)
    }

    async fn take_turn(&self, origin: &ExecutionArn, plan_hash: &str, now: Timestamp) -> Result<bool, CallError> {
        let turn = |state: &mut State| {
            let found = state.turns.get(origin);
            let free = found.is_none_or(|(plan, since)| plan == plan_hash || *since < now.before(TURN));
            if free {
                state.turns.insert(origin.clone(), (plan_hash.to_owned(), now));
            }
            free
        };
        Ok(self.call(turn).await)
    }

    async fn keep_turn(&self, origin: &ExecutionArn, plan_hash: &str, now: Timestamp) -> Result<bool, CallError> {
        let turn = |state: &mut State| {
            let found = state.turns.get_mut(origin).filter(|(plan, _)| plan == plan_hash)?;
            found.1 = now;
            Some(())
        };
        Ok(self.call(turn).await.is_some())
    }

    async fn turn_over(&self, origin: &ExecutionArn, plan_hash: &str) -> Result<(), CallError> {
        self.call(|state| {
            if state.turns.get(origin).is_some_and(|(plan, _)| plan == plan_hash) {
                state.turns.remove(origin);
            }
        })
        .await;
        Ok(())
    }

    async fn done(&self, resume: &Resume) -> Result<(), CallError> {
        let key = (resume.origin.clone(), resume.plan_hash.clone());
        self.call(|state| {
            if let Some(resume) = state.resumes.get_mut(&key) {
                resume.done = true;
            }
        })
        .await;
        Ok(())
    }

    async fn of(&self, origin: &ExecutionArn) -> Result<Vec<Resume>, CallError> {
        let of = |state: &mut State| {
            state
                .resumes
                .values()
                .filter(|resume| resume.origin == *origin)
                .cloned()
                .collect()
        };
        Ok(self.call(of).await)
    }

    async fn clone_used(&self, clone: &CloneOf, _: Option<&ExecutionArn>) -> Result<bool, CallError> {
        let left_over = clone.made.before(CLAIMED);
        Ok(self
            .call(|state| {
                let stage = state.clones.get(&clone.machine).map(|found| found.stage);
                if matches!(stage, Some(Stage::Claimed(since)) if since >= left_over) {
                    return false;
                }
                let recorded = Recorded {
                    of: clone.clone(),
                    stage: Stage::InUse,
                    archived: 0,
                    deleted: false,
                };
                state.clones.insert(clone.machine.clone(), recorded);
                true
            })
            .await)
    }
}

impl Clones for Cloud {
    async fn find(&self, machine: &StateMachineArn) -> Result<Option<CloneOf>, CallError> {
        Ok(self
            .call(|state| state.clones.get(machine).map(|found| found.of.clone()))
            .await)
    }

    async fn of(&self, pipeline: &StateMachineArn) -> Result<Vec<CloneOf>, CallError> {
        let of = |state: &mut State| {
            let of = state
                .clones
                .values()
                .filter(|found| found.of.pipeline == *pipeline && !found.deleted);
            of.map(|found| found.of.clone()).collect()
        };
        Ok(self.call(of).await)
    }
}

impl Executions for Cloud {
    async fn describe(&self, _: &ExecutionArn) -> Result<Option<executions::Execution>, CallError> {
        unreachable!("nobody asks")
    }

    async fn running(&self, machine: &StateMachineArn) -> Result<Listed, CallError> {
        Ok(self
            .call(|state| {
                let of = state
                    .executions
                    .iter()
                    .filter(|(arn, found)| arn.machine() == machine && found.status == Status::Running);
                let running = of.map(|(arn, found)| executions::Execution {
                    arn: arn.clone(),
                    since: found.at,
                    redrive: found.redrives,
                    status: executions::Status::Running,
                    aborted_with: None,
                });
                Listed::Running(running.collect())
            })
            .await)
    }

    async fn stop(&self, _: &ExecutionArn, _: &str, _: &str) -> Result<(), CallError> {
        unreachable!("nobody stops")
    }
}

impl Reserves for Cloud {
    async fn reserve(&self, _: &ExecutionArn, _: u32, _: Timestamp) -> Result<Option<String>, lock::Error> {
        Ok(self
            .call(|state| state.taken.then(|| "somebody else has it".to_owned()))
            .await)
    }
}

/// A clone, if its record is as it was read.
fn unchanged<'s>(state: &'s mut State, clone: &Kept) -> Option<&'s mut Recorded> {
    let found = state.clones.get_mut(&clone.machine)?;
    (found.of.made == clone.made && found.stage == clone.stage && !found.deleted).then_some(found)
}

impl Records for Cloud {
    async fn kept(&self) -> Result<Vec<Kept>, CallError> {
        let kept = |state: &mut State| {
            let kept = state.clones.iter().filter(|(_, found)| !found.deleted);
            kept.map(|(machine, found)| Kept {
                machine: machine.clone(),
                made: found.of.made,
                stage: found.stage,
                archived: found.archived,
            })
            .collect()
        };
        Ok(self.call(kept).await)
    }

    async fn put(&self, clone: &Kept, stage: Stage) -> Result<bool, CallError> {
        let put = |state: &mut State| {
            let found = unchanged(state, clone)?;
            found.stage = stage;
            if !matches!(stage, Stage::Claimed(_)) {
                found.archived = 0;
            }
            Some(())
        };
        Ok(self.call(put).await.is_some())
    }

    async fn archived(&self, clone: &Kept, runs: usize) -> Result<bool, CallError> {
        let archived = |state: &mut State| unchanged(state, clone).map(|found| found.archived = runs);
        Ok(self.call(archived).await.is_some())
    }

    async fn deleted(&self, clone: &Kept, _: Timestamp) -> Result<bool, CallError> {
        let deleted = |state: &mut State| {
            let found = unchanged(state, clone)?;
            found.deleted = true;
            found.stage = Stage::InUse;
            Some(())
        };
        Ok(self.call(deleted).await.is_some())
    }
}

impl sweep::Machines for Cloud {
    async fn runs(&self, machine: &StateMachineArn) -> Result<Option<Vec<Run>>, CallError> {
        let runs = |state: &mut State| {
            let of = state.executions.iter().filter(|(arn, _)| arn.machine() == machine);
            let runs = of.map(|(arn, found)| Run {
                started: found.at,
                execution: arn.clone(),
                runs: found.status == Status::Running,
                latest: found.at,
            });
            state.machines.contains(machine).then(|| runs.collect())
        };
        Ok(self.call(runs).await)
    }

    async fn archive(&self, _: &StateMachineArn) -> Result<(), CallError> {
        Ok(())
    }

    async fn archive_run(&self, execution: &ExecutionArn) -> Result<(), CallError> {
        self.call(|state| state.archive.insert(execution.clone())).await;
        Ok(())
    }

    async fn delete(&self, machine: &StateMachineArn) -> Result<(), CallError> {
        self.call(|state| {
            let of = |arn: &ExecutionArn| arn.machine() == machine;
            let lost = state
                .executions
                .iter()
                .find(|(arn, found)| of(arn) && (found.status == Status::Running || !state.archive.contains(*arn)));
            if let Some((arn, found)) = lost {
                state.broken = Some(format!("{arn} is lost, which is {:?}", found.status));
            }
            state.deletions += usize::from(state.machines.remove(machine));
            state.executions.retain(|arn, _| !of(arn));
        })
        .await;
        Ok(())
    }
}
