//! Step Functions, as far as the guard and the lock see it: executions that start, end and are redriven, seen with a lag.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::{Execution, Executions, Listed, Status};
use signalbox::simulation::World;

use crate::{Trouble, trace};

/// What an execution was, and since when.
type Past = Vec<(Timestamp, Execution)>;

/// Executions with their whole past, so that any call can be answered as of some seconds ago.
#[derive(Clone)]
pub struct StepFunctions {
    world: World,
    /// Longest lag of a description; a list may lag twice as much.
    lag: Duration,
    trouble: Trouble,
    past: Rc<RefCell<BTreeMap<ExecutionArn, Past>>>,
    deleted: Rc<RefCell<BTreeSet<StateMachineArn>>>,
}

impl StepFunctions {
    /// Without any execution. Descriptions lag by up to `lag`, and calls fail as `trouble` says.
    #[must_use]
    pub fn new(world: World, lag: Duration, trouble: Trouble) -> Self {
        Self {
            world,
            lag,
            trouble,
            past: Rc::default(),
            deleted: Rc::default(),
        }
    }

    /// The run starts now.
    pub fn start(&self, run: &ExecutionArn) {
        self.change(Execution {
            arn: run.clone(),
            since: self.world.now(),
            redrive: 0,
            status: Status::Running,
            aborted_with: None,
        });
    }

    /// The run ends now, unless it has.
    pub fn end(&self, run: &ExecutionArn, status: Status) {
        let mut execution = self.now(run);
        if execution.status == Status::Running {
            execution.status = status;
            self.change(execution);
        }
    }

    /// The run fails now, unless it has ended.
    pub fn fail(&self, run: &ExecutionArn) {
        self.end(run, Status::Stopped(self.world.now()));
    }

    /// The run is stopped now with `error`, unless it has ended.
    pub fn abort(&self, run: &ExecutionArn, error: &str) {
        let mut execution = self.now(run);
        if execution.status == Status::Running {
            execution.status = Status::Stopped(self.world.now());
            execution.aborted_with = Some(error.to_owned());
            self.change(execution);
        }
    }

    /// The run, which has ended, is redriven.
    pub fn redrive(&self, run: &ExecutionArn) {
        let before = self.now(run);
        self.change(Execution {
            since: self.world.now(),
            redrive: before.redrive + 1,
            status: Status::Running,
            aborted_with: None,
            ..before
        });
    }

    /// The machine is deleted: its executions are listed no more.
    pub fn delete(&self, machine: &StateMachineArn) {
        self.deleted.borrow_mut().insert(machine.clone());
    }

    /// How it really is.
    ///
    /// # Panics
    ///
    /// If the run never started.
    #[must_use]
    pub fn now(&self, run: &ExecutionArn) -> Execution {
        self.past.borrow()[run]
            .last()
            .map(|(_, execution)| execution.clone())
            .expect("a run that started")
    }

    /// Whether it really runs.
    #[must_use]
    pub fn runs(&self, run: &ExecutionArn) -> bool {
        self.now(run).status == Status::Running
    }

    /// Everything, for the comparison of states.
    pub fn digest(&self, hasher: &mut impl Hasher) {
        self.past.borrow().hash(hasher);
    }

    fn change(&self, execution: Execution) {
        trace::note(&self.world, || {
            format!(
                "### {} {:?} redrive {}",
                execution.arn.name(),
                execution.status,
                execution.redrive
            )
        });
        let mut past = self.past.borrow_mut();
        past.entry(execution.arn.clone())
            .or_default()
            .push((self.world.now(), execution));
    }

    /// How it was some time ago, as far as it was known then.
    fn lagging(&self, run: &ExecutionArn, most: Duration) -> Option<Execution> {
        let lag = i64::try_from(self.world.up_to(most).as_millis()).expect("a lag of seconds");
        let then = Timestamp::from_millis(self.world.now().as_millis() - lag);
        let past = self.past.borrow();
        let known = past.get(run)?.iter().rfind(|(at, _)| *at <= then);
        known.map(|(_, execution)| execution.clone())
    }

    async fn call<T: std::fmt::Debug + std::hash::Hash>(&self, effect: impl FnOnce() -> T) -> Result<T, CallError> {
        self.world.step().await;
        let answer = effect();
        trace::note(&self.world, || format!("states -> {answer:?}"));
        self.world.observe(&answer);
        self.world.linger().await;
        match self.trouble.strikes(&self.world) {
            true => Err(CallError::malformed(
                "states:Simulated",
                "throttled, or the reply was lost",
            )),
            false => Ok(answer),
        }
    }
}

impl Executions for StepFunctions {
    async fn describe(&self, run: &ExecutionArn) -> Result<Option<Execution>, CallError> {
        self.call(|| self.lagging(run, self.lag)).await
    }

    async fn running(&self, machine: &StateMachineArn) -> Result<Listed, CallError> {
        self.call(|| {
            if self.deleted.borrow().contains(machine) {
                return Listed::NoSuchMachine;
            }
            let arns: Vec<_> = self
                .past
                .borrow()
                .keys()
                .filter(|arn| arn.machine() == machine)
                .cloned()
                .collect();
            let seen = arns.iter().filter_map(|arn| self.lagging(arn, self.lag * 2));
            Listed::Running(seen.filter(|execution| execution.status == Status::Running).collect())
        })
        .await
    }

    async fn stop(&self, run: &ExecutionArn, error: &str, _cause: &str) -> Result<(), CallError> {
        self.call(|| self.abort(run, error)).await
    }
}
