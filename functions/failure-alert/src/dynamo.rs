//! The adapter to DynamoDB.
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | end | `ALERT#<execution arn>` | `END#<status>#<redrive>` | `end`, `state` (`pending`, `sent`, `counted`), `at`, `expires`, while it is pending `active`, `due` |
//! | group | `ALERT#<machine arn>` | `GROUP#<key>` | `machine`, `state?`, `error?`, `first`, `opened`, `until`, `count`, `last?`, `active`, `due` |
//! | incident | `ALERT#<machine arn>` | `INCIDENT` | `machine`, `since`, `last`, `failures`, `claimed?`, `active`, `due`, `expires` |
//! | resumed | `ALERT#<machine arn>` | `RESUMED` | `at`, `expires` |
//! | watermark | `ALERT#<machine arn>` | `SWEPT` | `at`, `expires` |
//! | watch | `ALERT#SWEEP` | `WATCH` | `prefix`, `since`, `machine`, `expires` |
//!
//! In the index `active` (`active`, `due`): `ALERT` for ends that are pending since `due`, `GROUP` for windows that close at
//! `due`, `INCIDENT` for pipelines that have not recovered. Times are milliseconds since the epoch, `expires` is seconds.

mod ends;
mod groups;
mod incidents;
mod sweeps;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use signalbox::arn::StateMachineArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Item, Reader, all_found, at, indexed_key, met, n, s};

use crate::alert::{End, Status};
use crate::events::Success;
use crate::store::{Begun, Group, Incident, Joined, Store, Watch};

pub use incidents::KEPT_DAYS;

const GET: &str = "dynamodb:GetItem";
const PUT: &str = "dynamodb:PutItem";
const UPDATE: &str = "dynamodb:UpdateItem";
const DELETE: &str = "dynamodb:DeleteItem";
const TRANSACT: &str = "dynamodb:TransactWriteItems";

const INDEX: &str = "active";
const PENDING: &str = "ALERT";
const OPEN: &str = "GROUP";
const FAILING: &str = "INCIDENT";

/// How long whoever claimed something is believed to be at it: longer than an invocation lives.
pub const CLAIM_LIFE: Duration = Duration::from_mins(1);

/// How long what was announced is remembered: longer than an event may be late, and than a sweep looks back.
pub const REMEMBERED_DAYS: u32 = 35;

/// Longest cause that is stored, in characters: enough for an alert that has to be announced again.
pub const CAUSE_STORED: usize = 1_000;

/// What is remembered of alerts, in the fleet's table.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

impl DynamoStore {
    /// Uses `table` through `client`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    async fn get(&self, key: Item) -> Result<Option<Item>, CallError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key));
        let answer = get.send().await.map_err(|error| CallError::new(GET, &error))?;
        Ok(answer.item)
    }

    /// Whether the item met the condition, and was updated.
    async fn update(
        &self,
        key: Item,
        sets: &str,
        condition: &str,
        values: HashMap<String, AttributeValue>,
    ) -> Result<bool, CallError> {
        let mut all = names(sets);
        all.extend(names(condition));
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .update_expression(sets)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(all))
            .set_expression_attribute_values(Some(values));
        let updated = update.send().await;
        met(UPDATE, updated, UpdateItemError::is_conditional_check_failed_exception)
    }

    async fn delete(&self, key: Item, condition: &str, values: [(&str, AttributeValue); 2]) -> Result<(), CallError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(condition)))
            .set_expression_attribute_values(Some(bound(values)));
        let deleted = delete.send().await;
        met(DELETE, deleted, DeleteItemError::is_conditional_check_failed_exception).map(drop)
    }

    /// What `read` makes of the items that the index has under `active` up to `due`. One that cannot be read is logged, and
    /// left out: it must not keep the sweep from the others.
    async fn indexed<T>(
        &self,
        active: &str,
        due: Timestamp,
        read: impl Fn(Reader<'_>) -> Result<Option<T>, CallError>,
    ) -> Result<Vec<T>, CallError> {
        let mut all = Vec::new();
        for key in self.keys(active, due).await? {
            let Some(item) = self.get(key.clone()).await? else {
                continue;
            };
            match read(Reader { api: GET, item: &item }) {
                Ok(read) => all.extend(read),
                Err(error) => tracing::error!(?key, %error, "a record cannot be read"),
            }
        }
        Ok(all)
    }

    /// The keys of what the index has under `active` up to `due`, all pages.
    async fn keys(&self, active: &str, due: Timestamp) -> Result<Vec<Item>, CallError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("active = :active AND due <= :due")
            .expression_attribute_values(":active", s(active))
            .expression_attribute_values(":due", at(due));
        all_found(query, indexed_key).await
    }
}

impl Store for DynamoStore {
    async fn begin(&self, end: &End, now: Timestamp) -> Result<Begun, CallError> {
        self.begin_end(end, now).await
    }

    async fn is_known(&self, end: &End) -> Result<bool, CallError> {
        Ok(self.get(ends::key_of(end)).await?.is_some())
    }

    async fn join(&self, group: &Group, now: Timestamp) -> Result<Joined, CallError> {
        self.join_group(group, now).await
    }

    async fn sent(&self, end: &End, now: Timestamp) -> Result<(), CallError> {
        self.end_sent(end, now).await
    }

    async fn close(&self, group: &Group) -> Result<(), CallError> {
        self.close_group(group).await
    }

    async fn fails(&self, pipeline: &StateMachineArn, end: &End, opens: bool) -> Result<(), CallError> {
        self.note_failure(pipeline, end, opens).await
    }

    async fn incident(&self, machine: &StateMachineArn) -> Result<Option<Incident>, CallError> {
        self.find_incident(machine).await
    }

    async fn recovers(
        &self,
        pipeline: &StateMachineArn,
        success: &Success,
        now: Timestamp,
    ) -> Result<Begun, CallError> {
        self.claim_recovery(pipeline, success, now).await
    }

    async fn recovered(&self, pipeline: &StateMachineArn, success: &Success) -> Result<(), CallError> {
        self.end_incident(pipeline, success).await
    }

    async fn resumed(&self, pipeline: &StateMachineArn, success: &Success) -> Result<(), CallError> {
        self.note_resumed(pipeline, success).await
    }

    async fn last_resumed(&self, pipeline: &StateMachineArn) -> Result<Option<Timestamp>, CallError> {
        self.find_resumed(pipeline).await
    }

    async fn pending(&self, now: Timestamp) -> Result<Vec<End>, CallError> {
        self.pending_ends(now).await
    }

    async fn closed(&self, now: Timestamp) -> Result<Vec<Group>, CallError> {
        self.closed_groups(now).await
    }

    async fn incidents(&self) -> Result<Vec<Incident>, CallError> {
        self.open_incidents().await
    }

    async fn swept(&self, machine: &StateMachineArn) -> Result<Option<Timestamp>, CallError> {
        self.watermark(machine).await
    }

    async fn sweeps(&self, machine: &StateMachineArn, at: Timestamp) -> Result<(), CallError> {
        self.set_watermark(machine, at).await
    }

    async fn watch(&self) -> Result<Option<Watch>, CallError> {
        self.find_watch().await
    }

    async fn set_watch(&self, watch: &Watch, now: Timestamp) -> Result<(), CallError> {
        self.put_watch(watch, now).await
    }
}

fn pk_of_machine(machine: &StateMachineArn) -> String {
    format!("ALERT#{machine}")
}

/// The placeholders of the attributes that an expression names: `#state` is `state`. Reserved words need one.
fn names(expression: &str) -> HashMap<String, String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '#' || c == ':'));
    words
        .filter_map(|word| Some((word.to_owned(), word.strip_prefix('#')?.to_owned())))
        .collect()
}

fn bound<const N: usize>(values: [(&str, AttributeValue); N]) -> HashMap<String, AttributeValue> {
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// An end as a map.
fn map_of(end: &End) -> AttributeValue {
    let mut map = Item::from([
        ("execution".to_owned(), s(end.execution.as_str())),
        ("status".to_owned(), s(end.status.name())),
        ("redrive".to_owned(), n(end.redrive)),
        ("stopped".to_owned(), at(end.stopped)),
    ]);
    if let Some(started) = end.started {
        map.insert("started".to_owned(), at(started));
    }
    if let Some(error) = &end.error {
        map.insert("error".to_owned(), s(error));
    }
    if let Some(cause) = &end.cause {
        let cut: String = cause.chars().take(CAUSE_STORED).collect();
        map.insert("cause".to_owned(), s(cut));
    }
    AttributeValue::M(map)
}

fn end_of(reader: Reader<'_>) -> Result<End, CallError> {
    let text = |reader: Reader<'_>, name: &str| reader.text(name).map(str::to_owned);
    Ok(End {
        execution: reader.execution("execution")?,
        status: Status::named(reader.text("status")?)
            .ok_or_else(|| reader.unreadable("status", "it is no status of a failure"))?,
        redrive: reader.number("redrive")?,
        started: reader.optional("started", Reader::time)?,
        stopped: reader.time("stopped")?,
        error: reader.optional("error", text)?,
        cause: reader.optional("cause", text)?,
    })
}

fn end_in(reader: Reader<'_>, name: &str) -> Result<End, CallError> {
    end_of(Reader {
        item: reader.map(name)?,
        ..reader
    })
}

fn machine_in(reader: Reader<'_>, name: &str) -> Result<StateMachineArn, CallError> {
    StateMachineArn::parse(reader.text(name)?).map_err(|error| reader.unreadable(name, error.to_string()))
}
