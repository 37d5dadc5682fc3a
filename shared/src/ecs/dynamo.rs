//! The adapter to DynamoDB, on a table of the relay's own.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `RUN#<run>` | `<step>#<redrive>#<retry>#<token>` | `execution`, `state`, `token`, `request`, `plan` (JSON), `origin`, `at`, `deadline?`, `stage`, `task?`, `stop?` (`why`, `since`), `lostSince?`, `ended?` (JSON), `delivered?`, `adoptedBy?`, `expires?`, while it is open `active`, `due` |
//!
//! The parts of the key are those of [`TaskKey`], so that an event of a task leads to its record, an execution to all of
//! its records, and a step to its attempts, with consistent reads. The index `active` (`active`, `due`) has the open ones.
//! Times are milliseconds since the epoch, `expires` is seconds.

mod item;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem, Update};

use self::item::{ACTIVE, OPEN, key_of, pk_of, record_of, to_item};
use super::key::TaskKey;
use super::record::{KEPT_DAYS, Record, Stage, Stop, Why};
use super::store::Records;
use super::task::Task;
use crate::aws::CallError;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::item::{Item, Reader, all_found, at, in_days, indexed_key, met, n, s};
use crate::quotas::{BATCH_GET_KEYS, EXECUTION_DAYS};

const GET: &str = "dynamodb:GetItem";
const BATCH: &str = "dynamodb:BatchGetItem";
const PUT: &str = "dynamodb:PutItem";
const UPDATE: &str = "dynamodb:UpdateItem";

/// How many calls of `BatchGetItem` are made for a batch of which each leaves something undone. The pauses between them are
/// 13 to 25 seconds in all.
const ROUNDS: u32 = 8;

/// Records in the relay's table.
#[derive(Debug, Clone)]
pub struct DynamoRecords {
    client: Client,
    table: String,
}

impl DynamoRecords {
    /// Uses `table` through `client`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Updates a record that is open. Whether it was.
    async fn update(
        &self,
        key: &TaskKey,
        expression: &str,
        condition: &str,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<bool, CallError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_of(key)))
            .update_expression(expression)
            .condition_expression(condition);
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        let updated = update.send().await;
        met(UPDATE, updated, UpdateItemError::is_conditional_check_failed_exception)
    }

    /// What a query finds, all pages.
    async fn query(
        &self,
        condition: &str,
        filter: Option<&str>,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<Vec<Record>, CallError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(condition)
            .set_filter_expression(filter.map(str::to_owned));
        for (name, value) in values {
            query = query.expression_attribute_values(name, value);
        }
        all_found(query, record_of).await
    }

    /// The keys of what the index has.
    async fn indexed(&self) -> Result<Vec<Item>, CallError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ACTIVE)
            .key_condition_expression("active = :open")
            .expression_attribute_values(":open", s(OPEN));
        all_found(query, indexed_key).await
    }

    /// The items with these keys, at most [`BATCH_GET_KEYS`]. Those that cannot be read are logged, and left out: one must
    /// not keep the sweep from the others.
    async fn batch(&self, keys: &[Item]) -> Result<Vec<Record>, CallError> {
        let mut wanted = keys.to_vec();
        let mut found = Vec::new();
        for round in 0..ROUNDS {
            if round > 0 {
                let pause = std::time::Duration::from_millis(50 << round);
                SystemClock.sleep(pause + SystemClock.jitter(pause)).await;
            }
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .consistent_read(true)
                .build()
                .map_err(|error| CallError::malformed(BATCH, error.to_string()))?;
            let asked = self.client.batch_get_item().request_items(&self.table, keys);
            let answer = asked.send().await.map_err(|error| CallError::new(BATCH, &error))?;
            for item in answer
                .responses
                .and_then(|mut all| all.remove(&self.table))
                .unwrap_or_default()
            {
                let reader = Reader {
                    api: BATCH,
                    item: &item,
                };
                match record_of(reader) {
                    Ok(record) => found.push(record),
                    Err(error) => tracing::error!(%error, "a record cannot be read"),
                }
            }
            let left = answer.unprocessed_keys.and_then(|mut all| all.remove(&self.table));
            wanted = left.map(|left| left.keys).unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(CallError::malformed(BATCH, "it leaves items unread, again and again"))
    }
}

/// Whether a transaction was cancelled because something was not as it was read, or is being written.
fn is_changed(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    let reasons = cancelled
        .cancellation_reasons()
        .iter()
        .filter_map(|reason| reason.code());
    reasons
        .into_iter()
        .any(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict"))
}

/// The condition of an update: that the record is open. Adopted ones, and those that are done, are not in the index.
const IS_OPEN: &str = "active = :open";

/// Or that it is done, and nobody is known to have heard its answer.
const IS_OPEN_OR_UNHEARD: &str = "active = :open OR (stage = :done AND delivered = :unheard)";

impl Records for DynamoRecords {
    async fn put(&self, record: &Record) -> Result<Option<Record>, CallError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(record)?))
            .condition_expression("attribute_not_exists(pk)");
        if met(
            PUT,
            put.send().await,
            PutItemError::is_conditional_check_failed_exception,
        )? {
            return Ok(None);
        }
        let found = self.get(&record.key).await?;
        found
            .map(Some)
            .ok_or_else(|| CallError::malformed(GET, "a record that was there a moment ago is gone"))
    }

    async fn adopt(&self, record: &Record, earlier: &Record) -> Result<bool, CallError> {
        let malformed = |error: aws_sdk_dynamodb::error::BuildError| CallError::malformed(UPDATE, error.to_string());
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(record)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(malformed)?;
        // What is done already has no place in the index, which an update only takes away.
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(&earlier.key)))
            .update_expression("SET stage = :adopted, adoptedBy = :by, expires = :expires REMOVE active, due")
            .condition_expression("stage = :stage AND (attribute_not_exists(delivered) OR delivered = :delivered)")
            .expression_attribute_values(":stage", s(item::stage_name(&earlier.stage)))
            .expression_attribute_values(
                ":delivered",
                AttributeValue::Bool(earlier.stage == Stage::Done { delivered: true }),
            )
            .expression_attribute_values(":adopted", s(item::ADOPTED))
            .expression_attribute_values(":by", s(record.key.name()))
            // Its task goes on under its key, and a state may wait for as long as its execution.
            .expression_attribute_values(":expires", n(in_days(record.at, EXECUTION_DAYS + KEPT_DAYS)))
            .build()
            .map_err(malformed)?;
        let write = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(put).build())
            .transact_items(TransactWriteItem::builder().update(update).build());
        met(UPDATE, write.send().await, is_changed)
    }

    async fn get(&self, key: &TaskKey) -> Result<Option<Record>, CallError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key_of(key)));
        let answer = get.send().await.map_err(|error| CallError::new(GET, &error))?;
        answer
            .item
            .map(|item| record_of(Reader { api: GET, item: &item }))
            .transpose()
    }

    async fn of_step(&self, key: &TaskKey) -> Result<Vec<Record>, CallError> {
        let values = [(":pk", s(pk_of(key.run()))), (":step", s(format!("{}#", key.step())))];
        self.query("pk = :pk AND begins_with(sk, :step)", None, values).await
    }

    async fn open_of_run(&self, run: &str) -> Result<Vec<Record>, CallError> {
        let values = [(":pk", s(pk_of(run))), (":open", s(OPEN))];
        self.query("pk = :pk", Some(IS_OPEN), values).await
    }

    async fn open(&self) -> Result<Vec<Record>, CallError> {
        let keys = self.indexed().await?;
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH_GET_KEYS) {
            found.extend(self.batch(keys).await?);
        }
        // The index is behind: what is not open any more is nobody's business.
        found.retain(|record| record.stage.is_open());
        Ok(found)
    }

    async fn started(&self, key: &TaskKey, task: &str) -> Result<bool, CallError> {
        let values = [
            (":running", s(item::stage_name(&Stage::Running))),
            (":launching", s(item::stage_name(&Stage::Launching))),
            (":task", s(task)),
        ];
        self.update(key, "SET stage = :running, task = :task", "stage = :launching", values)
            .await
    }

    async fn refused(&self, key: &TaskKey, now: Timestamp) -> Result<bool, CallError> {
        let stop = Stop {
            why: Why::NotStarted,
            since: now,
        };
        let values = [
            (":stopping", s(item::stage_name(&Stage::Stopping(stop)))),
            (":launching", s(item::stage_name(&Stage::Launching))),
            (":stop", item::stop_map(stop)),
        ];
        self.update(key, "SET stage = :stopping, stop = :stop", "stage = :launching", values)
            .await
    }

    async fn stopping(&self, key: &TaskKey, stop: Stop) -> Result<bool, CallError> {
        let values = [
            (":open", s(OPEN)),
            (":stopping", s(item::stage_name(&Stage::Stopping(stop)))),
            (":stop", item::stop_map(stop)),
        ];
        self.update(
            key,
            "SET stage = :stopping, stop = if_not_exists(stop, :stop)",
            IS_OPEN,
            values,
        )
        .await
    }

    async fn missing(&self, key: &TaskKey, since: Option<Timestamp>) -> Result<(), CallError> {
        let open = (":open", s(OPEN));
        match since {
            Some(since) => {
                let values = [open, (":since", at(since))];
                self.update(key, "SET lostSince = if_not_exists(lostSince, :since)", IS_OPEN, values)
                    .await
            }
            None => self.update(key, "REMOVE lostSince", IS_OPEN, [open]).await,
        }
        .map(drop)
    }

    async fn ended(&self, key: &TaskKey, task: &Task) -> Result<bool, CallError> {
        let values = [(":open", s(OPEN)), (":ended", item::task_text(task)?)];
        self.update(key, "SET ended = :ended", IS_OPEN, values).await
    }

    async fn done(
        &self,
        key: &TaskKey,
        delivered: bool,
        ended: Option<&Task>,
        now: Timestamp,
    ) -> Result<bool, CallError> {
        let mut values = HashMap::from([
            (":open", s(OPEN)),
            (":done", s(item::stage_name(&Stage::Done { delivered }))),
            (":delivered", AttributeValue::Bool(delivered)),
            (":expires", n(in_days(now, KEPT_DAYS))),
        ]);
        let mut expression = "SET stage = :done, delivered = :delivered, expires = :expires".to_owned();
        if let Some(ended) = ended {
            values.insert(":ended", item::task_text(ended)?);
            expression.push_str(", ended = :ended");
        }
        expression.push_str(" REMOVE active, due");
        let condition = match delivered {
            true => {
                values.insert(":unheard", AttributeValue::Bool(false));
                IS_OPEN_OR_UNHEARD
            }
            false => IS_OPEN,
        };
        self.update(key, &expression, condition, values).await
    }
}
