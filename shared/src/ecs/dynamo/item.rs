//! Records as items.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::CallError;
use crate::ecs::key::TaskKey;
use crate::ecs::record::{Record, Stage, Stop, Why};
use crate::ecs::task::Task;
use crate::item::{Item, Reader, at, key, s};
use crate::tasks::TaskToken;

/// The attribute that only open records have, and the index on it.
pub(super) const ACTIVE: &str = "active";

/// What it says.
pub(super) const OPEN: &str = "OPEN";

pub(super) const ADOPTED: &str = "adopted";
const LAUNCHING: &str = "launching";
const RUNNING: &str = "running";
const STOPPING: &str = "stopping";
const DONE: &str = "done";

pub(super) fn pk_of(run: &str) -> String {
    format!("RUN#{run}")
}

pub(super) fn key_of(task: &TaskKey) -> Item {
    let attempt = task.attempt();
    let sk = format!("{}#{}#{}#{}", task.step(), attempt.redrive, attempt.retry, task.token());
    key(pk_of(task.run()), sk)
}

pub(super) fn stage_name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Launching => LAUNCHING,
        Stage::Running => RUNNING,
        Stage::Stopping(_) => STOPPING,
        Stage::Done { .. } => DONE,
        Stage::Adopted(_) => ADOPTED,
    }
}

pub(super) fn stop_map(stop: Stop) -> AttributeValue {
    AttributeValue::M(Item::from([
        ("why".to_owned(), s(stop.why.name())),
        ("since".to_owned(), at(stop.since)),
    ]))
}

pub(super) fn task_text(task: &Task) -> Result<AttributeValue, CallError> {
    to_json(task).map(AttributeValue::S)
}

fn to_json(value: &impl Serialize) -> Result<String, CallError> {
    serde_json::to_string(value).map_err(|error| CallError::malformed("dynamodb:PutItem", error.to_string()))
}

/// A record that is written for the first time: one that is open.
pub(super) fn to_item(record: &Record) -> Result<Item, CallError> {
    let mut item = key_of(&record.key);
    let mut set = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
    set("key", s(record.key.name()));
    set("execution", s(record.execution.as_str()));
    set("state", s(&record.state));
    set("token", s(record.token.secret()));
    set("request", s(&record.request));
    set("plan", s(to_json(&record.plan)?));
    set("origin", s(record.origin.name()));
    set("at", at(record.at));
    set("stage", s(stage_name(&record.stage)));
    set(ACTIVE, s(OPEN));
    set("due", at(record.at));
    if let Some(deadline) = record.deadline {
        set("deadline", at(deadline));
    }
    if let Some(task) = &record.task {
        set("task", s(task));
    }
    if let Some(ended) = &record.ended {
        set("ended", task_text(ended)?);
    }
    Ok(item)
}

pub(super) fn record_of(reader: Reader<'_>) -> Result<Record, CallError> {
    let json = |name: &str| reader.text(name);
    let token =
        TaskToken::parse(reader.text("token")?).map_err(|error| reader.unreadable("token", error.to_string()))?;
    Ok(Record {
        key: key_in(reader, "key")?,
        execution: reader.execution("execution")?,
        state: reader.text("state")?.to_owned(),
        token,
        request: reader.text("request")?.to_owned(),
        plan: from_json(reader, "plan", json("plan")?)?,
        origin: key_in(reader, "origin")?,
        at: reader.time("at")?,
        deadline: reader.optional("deadline", Reader::time)?,
        stage: stage_of(reader)?,
        task: reader.optional("task", |reader, name| reader.text(name).map(str::to_owned))?,
        missing: reader.optional("lostSince", Reader::time)?,
        ended: reader.optional("ended", |reader, name| from_json(reader, name, reader.text(name)?))?,
    })
}

fn stage_of(reader: Reader<'_>) -> Result<Stage, CallError> {
    Ok(match reader.text("stage")? {
        LAUNCHING => Stage::Launching,
        RUNNING => Stage::Running,
        STOPPING => Stage::Stopping(stop_of(reader)?),
        DONE => Stage::Done {
            delivered: reader.flag("delivered")?,
        },
        ADOPTED => Stage::Adopted(key_in(reader, "adoptedBy")?),
        other => return Err(reader.unreadable("stage", format!("it is \"{other}\""))),
    })
}

fn stop_of(reader: Reader<'_>) -> Result<Stop, CallError> {
    let stop = Reader {
        item: reader.map("stop")?,
        ..reader
    };
    let name = stop.text("why")?;
    let why = Why::ALL.into_iter().find(|why| why.name() == name);
    Ok(Stop {
        why: why.ok_or_else(|| stop.unreadable("why", format!("it is \"{name}\"")))?,
        since: stop.time("since")?,
    })
}

fn key_in(reader: Reader<'_>, name: &str) -> Result<TaskKey, CallError> {
    let text = reader.text(name)?;
    TaskKey::parse(text).ok_or_else(|| reader.unreadable(name, format!("it is \"{text}\"")))
}

fn from_json<T: DeserializeOwned>(reader: Reader<'_>, name: &str, text: &str) -> Result<T, CallError> {
    serde_json::from_str(text).map_err(|error| reader.unreadable(name, error.to_string()))
}
