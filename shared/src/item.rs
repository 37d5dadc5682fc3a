//! Items of the fleet's table: written and read attribute by attribute, so that an unreadable one names its attribute.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::arn::ExecutionArn;
use crate::aws::CallError;
use crate::clock::Timestamp;

/// An item, or a map in one.
pub type Item = HashMap<String, AttributeValue>;

/// A string.
#[must_use]
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number.
#[must_use]
pub fn n(number: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// A number without a sign, however large.
#[must_use]
pub fn unsigned(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A time, in milliseconds since the epoch.
#[must_use]
pub fn at(time: Timestamp) -> AttributeValue {
    n(time.as_millis())
}

/// So many days from `now`, as DynamoDB's time to live takes it: seconds since the epoch.
#[must_use]
pub fn in_days(now: Timestamp, days: u32) -> i64 {
    now.as_secs() + i64::from(days) * 24 * 60 * 60
}

/// The key of an item.
#[must_use]
pub fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))])
}

/// What `read` makes of everything that a query finds, all pages.
pub async fn all_found<T>(
    query: QueryFluentBuilder,
    read: impl Fn(Reader<'_>) -> Result<T, CallError>,
) -> Result<Vec<T>, CallError> {
    const QUERY: &str = "dynamodb:Query";
    let mut pages = query.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| CallError::new(QUERY, &error))?;
        for item in page.items.unwrap_or_default() {
            found.push(read(Reader {
                api: QUERY,
                item: &item,
            })?);
        }
    }
    Ok(found)
}

/// The key of an item that an index has.
pub fn indexed_key(entry: Reader<'_>) -> Result<Item, CallError> {
    Ok(key(entry.text("pk")?, entry.text("sk")?))
}

/// The partition of what belongs to a run.
#[must_use]
pub fn run_pk(run: &ExecutionArn) -> String {
    format!("RUN#{run}")
}

/// An item as a call has answered it.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The call.
    pub api: &'static str,
    /// The item.
    pub item: &'a Item,
}

impl<'a> Reader<'a> {
    /// A string.
    pub fn text(self, name: &str) -> Result<&'a str, CallError> {
        match self.item.get(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            other => Err(self.unreadable(name, found(other))),
        }
    }

    /// A number.
    pub fn number<T: FromStr>(self, name: &str) -> Result<T, CallError> {
        match self.item.get(name) {
            Some(AttributeValue::N(number)) => number
                .parse()
                .map_err(|_| self.unreadable(name, format!("it is {number}"))),
            other => Err(self.unreadable(name, found(other))),
        }
    }

    /// A time.
    pub fn time(self, name: &str) -> Result<Timestamp, CallError> {
        self.number(name).map(Timestamp::from_millis)
    }

    /// A boolean; one that is missing is false.
    pub fn flag(self, name: &str) -> Result<bool, CallError> {
        match self.item.get(name) {
            None => Ok(false),
            Some(AttributeValue::Bool(flag)) => Ok(*flag),
            other => Err(self.unreadable(name, found(other))),
        }
    }

    /// A map.
    pub fn map(self, name: &str) -> Result<&'a Item, CallError> {
        match self.item.get(name) {
            Some(AttributeValue::M(map)) => Ok(map),
            other => Err(self.unreadable(name, found(other))),
        }
    }

    /// Strings; none if the attribute is missing.
    pub fn texts(self, name: &str) -> Result<Vec<&'a str>, CallError> {
        let list = match self.item.get(name) {
            None => return Ok(Vec::new()),
            Some(AttributeValue::L(list)) => list,
            other => return Err(self.unreadable(name, found(other))),
        };
        let text = |value: &'a AttributeValue| match value {
            AttributeValue::S(text) => Ok(text.as_str()),
            other => Err(self.unreadable(name, found(Some(other)))),
        };
        list.iter().map(text).collect()
    }

    /// An execution's ARN.
    pub fn execution(self, name: &str) -> Result<ExecutionArn, CallError> {
        ExecutionArn::parse_with_children(self.text(name)?).map_err(|error| self.unreadable(name, error.to_string()))
    }

    /// `None` if the attribute is missing.
    pub fn optional<T>(
        self,
        name: &str,
        read: impl FnOnce(Self, &str) -> Result<T, CallError>,
    ) -> Result<Option<T>, CallError> {
        self.item.contains_key(name).then(|| read(self, name)).transpose()
    }

    /// An item that this version cannot read: nothing is decided on it.
    pub fn unreadable(self, name: &str, why: impl AsRef<str>) -> CallError {
        CallError::malformed(
            self.api,
            format!("the item's attribute {name} cannot be read: {}", why.as_ref()),
        )
    }
}

fn found(value: Option<&AttributeValue>) -> String {
    value.map_or_else(|| "it is missing".to_owned(), |value| format!("it is {value:?}"))
}

/// Whether the condition of a write was met; an error if the write failed for any other reason.
pub fn met<T, E>(
    api: &'static str,
    result: Result<T, SdkError<E>>,
    is_condition: impl FnOnce(&E) -> bool,
) -> Result<bool, CallError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(is_condition) => Ok(false),
        Err(error) => Err(CallError::new(api, &error)),
    }
}
