//! The guard's store in memory, with the semantics that the DynamoDB adapter gives it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use overlap_guard::store::{Claim, Claims, Holder, Question, Record, Records, Verdict};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::simulation::World;

/// Records and claims in memory. Calls fail, before or after they took effect, with the chance `trouble`.
#[derive(Clone)]
pub struct MemoryStore {
    world: World,
    trouble: f64,
    items: Rc<RefCell<Items>>,
}

#[derive(Default)]
struct Items {
    records: HashMap<ExecutionArn, Record>,
    claims: HashMap<StateMachineArn, Claim>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(world: World, trouble: f64) -> Self {
        Self {
            world,
            trouble,
            items: Rc::default(),
        }
    }

    /// One call: others may go on before it and after it, and it may fail on either side of its effect.
    async fn call<T>(&self, effect: impl FnOnce(&mut Items) -> T) -> Result<T, CallError> {
        self.world.step().await;
        self.fail()?;
        let answer = effect(&mut self.items.borrow_mut());
        self.world.step().await;
        self.fail()?;
        Ok(answer)
    }

    fn fail(&self) -> Result<(), CallError> {
        match self.world.chance(self.trouble) {
            true => Err(CallError::malformed(
                "dynamodb:Simulated",
                "throttled, or the reply was lost",
            )),
            false => Ok(()),
        }
    }
}

impl Records for MemoryStore {
    async fn arrive(&self, run: &ExecutionArn, question: Question, _now: Timestamp) -> Result<Record, CallError> {
        self.call(|items| {
            let fresh = Record {
                question,
                verdict: None,
            };
            let record = items.records.entry(run.clone()).or_insert_with(|| fresh.clone());
            if record.question < question {
                *record = fresh;
            }
            record.clone()
        })
        .await
    }

    async fn records(&self, runs: &[ExecutionArn]) -> Result<HashMap<ExecutionArn, Record>, CallError> {
        self.call(|items| {
            let found = |run: &ExecutionArn| Some((run.clone(), items.records.get(run)?.clone()));
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
            let record = items.records.get_mut(run)?;
            if record.question != question {
                return None;
            }
            Some(record.verdict.get_or_insert_with(|| verdict.clone()).clone())
        })
        .await
    }
}

impl Claims for MemoryStore {
    async fn claim(&self, machine: &StateMachineArn, holder: &Holder, now: Timestamp) -> Result<Claim, CallError> {
        self.call(|items| {
            let claim = items
                .claims
                .entry(machine.clone())
                .or_insert_with(|| Claim::new(holder, now));
            claim.clone()
        })
        .await
    }

    async fn read(&self, machine: &StateMachineArn) -> Result<Option<Claim>, CallError> {
        self.call(|items| items.claims.get(machine).cloned()).await
    }

    async fn replace(&self, machine: &StateMachineArn, seen: &Claim, claim: &Claim) -> Result<bool, CallError> {
        self.call(|items| {
            let met = items.claims.get(machine) == Some(seen);
            if met {
                items.claims.insert(machine.clone(), claim.clone());
            }
            met
        })
        .await
    }

    async fn remove(&self, machine: &StateMachineArn, seen: &Claim) -> Result<(), CallError> {
        self.call(|items| {
            if items.claims.get(machine) == Some(seen) {
                items.claims.remove(machine);
            }
        })
        .await
    }
}
