//! An event from the JSON of `GetExecutionHistory`.

use std::fmt;

use aws_smithy_types::DateTime;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Event;
use super::details::{Details, what};
use crate::clock::Timestamp;

impl<'de> Deserialize<'de> for Event {
    /// From an object in camelCase. Only what is no object is refused.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event of an execution's history")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Event, A::Error> {
        let (mut id, mut previous, mut at) = (0, 0, None);
        let (mut name, mut found) = (String::new(), Details::default());
        while let Some(field) = fields.next_key::<String>()? {
            if !matches!(field.as_str(), "id" | "previousEventId" | "timestamp" | "type")
                && !field.ends_with("EventDetails")
            {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            match (field.as_str(), fields.next_value::<Value>()?) {
                ("id", value) => id = value.as_i64().unwrap_or_default(),
                ("previousEventId", value) => previous = value.as_i64().unwrap_or_default(),
                ("timestamp", value) => at = time(&value),
                ("type", Value::String(text)) => name = text,
                (_, Value::Object(fields)) => found = details(fields),
                _ => {}
            }
        }
        Ok(Event {
            id,
            previous,
            at,
            what: what(&name, found),
        })
    }
}

fn details(mut fields: Map<String, Value>) -> Details {
    let index = fields.get("index").and_then(Value::as_u64);
    let assigned = match fields.remove("assignedVariables") {
        Some(Value::Object(variables)) => variables,
        _ => Map::new(),
    };
    let mut take = |field: &str| fields.remove(field).and_then(text);
    Details {
        name: take("name"),
        state: take("state"),
        index: index.and_then(|index| u32::try_from(index).ok()),
        input: take("input"),
        output: take("output"),
        assigned: assigned
            .into_iter()
            .filter_map(|(name, value)| Some((name, text(value)?)))
            .collect(),
        resource: take("resource"),
        resource_type: take("resourceType"),
        error: take("error"),
        cause: take("cause"),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Seconds with a fraction, as the API sends them, or RFC 3339, as the AWS CLI writes them.
fn time(value: &Value) -> Option<Timestamp> {
    /// The end of the year 9999.
    const MOST: f64 = 253_402_300_799.0;
    match value {
        Value::String(text) => Timestamp::parse(text),
        value => {
            let seconds = value.as_f64().filter(|seconds| seconds.abs() <= MOST)?;
            Some(Timestamp::from(DateTime::from_secs_f64(seconds)))
        }
    }
}
