//! The guard's records in memory, with the semantics that the DynamoDB adapter gives them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use overlap_guard::store::{Question, Record, Records, Verdict};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::lock::key::{LockKey, Ticket};
use signalbox::lock::record::{Head, Holder};
use signalbox::lock::store::{FreeIf, Freed, Gate, Granting, Heads};
use signalbox::pipeline::{CloneOf, Clones};
use signalbox::simulation::World;

use crate::{MemoryTable, Trouble};

/// Records in memory. Calls fail, before or after they took effect, as `trouble` says.
#[derive(Clone)]
pub(crate) struct MemoryRecords {
    world: World,
    trouble: Trouble,
    items: Rc<RefCell<HashMap<ExecutionArn, Record>>>,
}

impl MemoryRecords {
    /// An empty store.
    #[must_use]
    pub(crate) fn new(world: World, trouble: Trouble) -> Self {
        Self {
            world,
            trouble,
            items: Rc::default(),
        }
    }

    /// One call: others may go on before it and after it, and it may fail on either side of its effect.
    async fn call<T>(&self, effect: impl FnOnce(&mut HashMap<ExecutionArn, Record>) -> T) -> Result<T, CallError> {
        self.world.step().await;
        self.fail()?;
        let answer = effect(&mut self.items.borrow_mut());
        self.world.step().await;
        self.fail()?;
        Ok(answer)
    }

    fn fail(&self) -> Result<(), CallError> {
        match self.trouble.strikes(&self.world) {
            true => Err(CallError::malformed(
                "dynamodb:Simulated",
                "throttled, or the reply was lost",
            )),
            false => Ok(()),
        }
    }
}

impl Records for MemoryRecords {
    async fn arrive(&self, run: &ExecutionArn, question: Question, _now: Timestamp) -> Result<Record, CallError> {
        self.call(|items| {
            let fresh = Record {
                question,
                verdict: None,
            };
            let record = items.entry(run.clone()).or_insert_with(|| fresh.clone());
            if record.question < question {
                *record = fresh;
            }
            record.clone()
        })
        .await
    }

    async fn records(&self, runs: &[ExecutionArn]) -> Result<HashMap<ExecutionArn, Record>, CallError> {
        self.call(|items| {
            let found = |run: &ExecutionArn| Some((run.clone(), items.get(run)?.clone()));
            runs.iter().filter_map(found).collect()
        })
        .await
    }

    async fn decide(
        &self,
        run: &ExecutionArn,
        question: Question,
        verdict: &Verdict,
    ) -> Result<Option<Verdict>, CallError> {
        self.call(|items| {
            let record = items.get_mut(run)?;
            if record.question != question {
                return None;
            }
            Some(record.verdict.get_or_insert_with(|| verdict.clone()).clone())
        })
        .await
    }
}

/// All that the guard stores: records, and claims, which are holds on locks; and what it reads of clones.
#[derive(Clone)]
pub struct MemoryStore {
    records: MemoryRecords,
    table: MemoryTable,
    clones: Rc<RefCell<Vec<CloneOf>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(world: World, trouble: Trouble) -> Self {
        Self {
            records: MemoryRecords::new(world.clone(), trouble),
            table: MemoryTable::new(world, trouble),
            clones: Rc::default(),
        }
    }

    /// A clone is made, unless it is there.
    pub fn make_clone(&self, clone: CloneOf) {
        let mut clones = self.clones.borrow_mut();
        if clones.iter().all(|known| known.machine != clone.machine) {
            clones.push(clone);
        }
    }
}

impl Records for MemoryStore {
    async fn arrive(&self, run: &ExecutionArn, question: Question, now: Timestamp) -> Result<Record, CallError> {
        self.records.arrive(run, question, now).await
    }

    async fn records(&self, runs: &[ExecutionArn]) -> Result<HashMap<ExecutionArn, Record>, CallError> {
        self.records.records(runs).await
    }

    async fn decide(
        &self,
        run: &ExecutionArn,
        question: Question,
        verdict: &Verdict,
    ) -> Result<Option<Verdict>, CallError> {
        self.records.decide(run, question, verdict).await
    }
}

impl Clones for MemoryStore {
    async fn find(&self, machine: &StateMachineArn) -> Result<Option<CloneOf>, CallError> {
        let found = |clones: &Vec<CloneOf>| clones.iter().find(|clone| clone.machine == *machine).cloned();
        self.records.call(|_| found(&self.clones.borrow())).await
    }

    async fn of(&self, pipeline: &StateMachineArn) -> Result<Vec<CloneOf>, CallError> {
        let is_of = |clone: &&CloneOf| clone.pipeline == *pipeline;
        let found = |clones: &Vec<CloneOf>| clones.iter().filter(is_of).rev().cloned().collect();
        self.records.call(|_| found(&self.clones.borrow())).await
    }
}

impl Heads for MemoryStore {
    async fn head(&self, lock: &LockKey) -> Result<Option<Head>, CallError> {
        self.table.head(lock).await
    }

    async fn grant(&self, lock: &LockKey, ticket: &Ticket, holder: &Holder, gate: Gate) -> Result<Granting, CallError> {
        self.table.grant(lock, ticket, holder, gate).await
    }

    async fn amend(&self, lock: &LockKey, ticket: &Ticket, seen: &Holder, holder: &Holder) -> Result<bool, CallError> {
        self.table.amend(lock, ticket, seen, holder).await
    }

    async fn free(
        &self,
        lock: &LockKey,
        ticket: &Ticket,
        condition: FreeIf<'_>,
        now: Timestamp,
    ) -> Result<Freed, CallError> {
        self.table.free(lock, ticket, condition, now).await
    }
}
