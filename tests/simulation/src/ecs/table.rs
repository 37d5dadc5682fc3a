//! The relay's table in memory, with the semantics that the adapter to DynamoDB gives it.

use std::time::Duration;

use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::record::{Record, Stage, Stop, Why};
use signalbox::ecs::store::Records;
use signalbox::ecs::task::Task;

use super::caller::Caller;
use crate::trace;

/// A record, and since when the index has it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) record: Record,
    written: Timestamp,
}

/// The index is behind by up to this.
const INDEX_LAG: Duration = Duration::from_secs(2);

const UPDATE: &str = "dynamodb:UpdateItem";
const QUERY: &str = "dynamodb:Query";

/// What the condition of an adoption compares: the stage, and whether an answer was heard.
fn is_alike(one: &Stage, other: &Stage) -> bool {
    match (one, other) {
        (Stage::Done { delivered: one }, Stage::Done { delivered: other }) => one == other,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

impl Caller {
    fn insert(&self, record: &Record) {
        let row = Row {
            record: Record {
                missing: None,
                ..record.clone()
            },
            written: self.model.world.now(),
        };
        self.model.rows.borrow_mut().insert(record.key.clone(), row);
    }

    /// An update of a record that meets `condition`. Whether it does.
    async fn update(
        &self,
        key: &TaskKey,
        condition: impl Fn(&Record) -> bool,
        change: impl Fn(&mut Record),
    ) -> Result<bool, CallError> {
        let done = self
            .call(UPDATE, true, || {
                let mut rows = self.model.rows.borrow_mut();
                let found = rows
                    .get_mut(key)
                    .map(|row| &mut row.record)
                    .filter(|record| condition(record));
                found.map(change_by(&change)).is_some()
            })
            .await;
        trace::note(&self.model.world, || {
            let stage = self.model.record(key).map(|record| record.stage);
            format!("update {} -> {done:?}, {stage:?}", key.name())
        });
        done
    }

    fn select(&self, wanted: impl Fn(&TaskKey, &Record) -> bool) -> Vec<Record> {
        let rows = self.model.rows.borrow();
        let found = rows.iter().filter(|(key, row)| wanted(key, &row.record));
        found.map(|(_, row)| row.record.clone()).collect()
    }
}

fn change_by(change: &impl Fn(&mut Record)) -> impl Fn(&mut Record) {
    |record| change(record)
}

fn is_open(record: &Record) -> bool {
    record.stage.is_open()
}

impl Records for Caller {
    async fn put(&self, record: &Record) -> Result<Option<Record>, CallError> {
        let put = self
            .call("dynamodb:PutItem", true, || {
                let free = !self.model.rows.borrow().contains_key(&record.key);
                if free {
                    self.insert(record);
                }
                free
            })
            .await?;
        trace::note(&self.model.world, || format!("put {} -> {put}", record.key.name()));
        if put {
            return Ok(None);
        }
        self.get(&record.key).await
    }

    async fn adopt(&self, record: &Record, earlier: &Record) -> Result<bool, CallError> {
        // The SDK's idempotency token makes the same of it if it is asked again. A conflict cancels it as a condition does.
        let conflict = self.model.strikes();
        let adopted = self
            .call("dynamodb:TransactWriteItems", false, || {
                let free = !self.model.rows.borrow().contains_key(&record.key);
                let now = self.model.record(&earlier.key);
                let same = now.is_some_and(|now| is_alike(&now.stage, &earlier.stage));
                if !free || !same || conflict {
                    return false;
                }
                self.insert(record);
                if let Some(row) = self.model.rows.borrow_mut().get_mut(&earlier.key) {
                    row.record.stage = Stage::Adopted(record.key.clone());
                }
                true
            })
            .await;
        trace::note(&self.model.world, || {
            format!("adopt {} by {} -> {adopted:?}", earlier.key.name(), record.key.name())
        });
        adopted
    }

    async fn get(&self, key: &TaskKey) -> Result<Option<Record>, CallError> {
        self.call("dynamodb:GetItem", true, || self.model.record(key)).await
    }

    async fn of_step(&self, key: &TaskKey) -> Result<Vec<Record>, CallError> {
        let of_step = |other: &TaskKey| other.run() == key.run() && other.step() == key.step();
        self.call(QUERY, true, || self.select(|other, _| of_step(other))).await
    }

    async fn open_of_run(&self, run: &str) -> Result<Vec<Record>, CallError> {
        self.call(QUERY, true, || {
            self.select(|key, record| key.run() == run && is_open(record))
        })
        .await
    }

    async fn open(&self) -> Result<Vec<Record>, CallError> {
        let keys: Vec<TaskKey> = self
            .call(QUERY, true, || {
                let (world, rows) = (&self.model.world, self.model.rows.borrow());
                let shown =
                    |row: &&Row| is_open(&row.record) && world.now().since(row.written) >= world.up_to(INDEX_LAG);
                rows.values().filter(shown).map(|row| row.record.key.clone()).collect()
            })
            .await?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = |key: &TaskKey, record: &Record| keys.contains(key) && is_open(record);
        self.call("dynamodb:BatchGetItem", true, || self.select(wanted)).await
    }

    async fn started(&self, key: &TaskKey, task: &str) -> Result<bool, CallError> {
        self.update(
            key,
            |record| record.stage == Stage::Launching,
            |record| {
                record.stage = Stage::Running;
                record.task = Some(task.to_owned());
            },
        )
        .await
    }

    async fn refused(&self, key: &TaskKey, now: Timestamp) -> Result<bool, CallError> {
        let stop = Stop {
            why: Why::NotStarted,
            since: now,
        };
        self.update(
            key,
            |record| record.stage == Stage::Launching,
            |record| record.stage = Stage::Stopping(stop),
        )
        .await
    }

    async fn stopping(&self, key: &TaskKey, stop: Stop) -> Result<bool, CallError> {
        let stops = |record: &mut Record| {
            let stop = match record.stage {
                Stage::Stopping(earlier) => earlier,
                _ => stop,
            };
            record.stage = Stage::Stopping(stop);
        };
        self.update(key, is_open, stops).await
    }

    async fn missing(&self, key: &TaskKey, since: Option<Timestamp>) -> Result<(), CallError> {
        let change = |record: &mut Record| record.missing = since.map(|since| record.missing.unwrap_or(since));
        self.update(key, is_open, change).await.map(drop)
    }

    async fn ended(&self, key: &TaskKey, task: &Task) -> Result<bool, CallError> {
        self.update(key, is_open, |record| record.ended = Some(task.clone()))
            .await
    }

    async fn done(
        &self,
        key: &TaskKey,
        delivered: bool,
        ended: Option<&Task>,
        _now: Timestamp,
    ) -> Result<bool, CallError> {
        let change = |record: &mut Record| {
            record.stage = Stage::Done { delivered };
            if let Some(ended) = ended {
                record.ended = Some(ended.clone());
            }
        };
        let unheard = Stage::Done { delivered: false };
        let ends = |record: &Record| is_open(record) || (delivered && record.stage == unheard);
        self.update(key, ends, change).await
    }
}
