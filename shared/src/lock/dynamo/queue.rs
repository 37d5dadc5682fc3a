//! The queue in DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, Select};

use super::heads::read_head;
use super::{DELETE, DynamoLocks, GET, IN_USE, PUT, QUERY, UNTIL, UPDATE, head_key, lock_pk, names};
use crate::aws::CallError;
use crate::clock::Timestamp;
use crate::item::{Item, Reader, at, in_days, key, met, n, s, unsigned};
use crate::lock::key::{HoldName, LockKey, Nonce, Place, Ticket};
use crate::lock::record::{Head, Hold, Waiter};
use crate::lock::store::{Queue, Setting};

/// An idle lock that nobody configured is forgotten after so many days.
const FORGOTTEN_DAYS: u32 = 30;

impl Queue for DynamoLocks {
    async fn arrive(&self, lock: &LockKey, now: Timestamp) -> Result<u64, CallError> {
        let next = ", #arrivals = if_not_exists(#arrivals, :first) + :one";
        let call = self.on_head(lock, next, "", now);
        let done = call
            .expression_attribute_values(":first", unsigned(Head::new(now).arrivals))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| CallError::new(UPDATE, &error))?;
        let item = done.attributes.unwrap_or_default();
        let reader = Reader {
            api: UPDATE,
            item: &item,
        };
        reader.number("arrivals")
    }

    async fn enqueue(&self, waiter: &Waiter) -> Result<(), CallError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(waiter_item(waiter)))
            .condition_expression("attribute_not_exists(pk) OR #ticket = :ticket")
            .set_expression_attribute_names(Some(names(["ticket"])))
            .expression_attribute_values(":ticket", s(waiter.ticket.as_str()))
            .send()
            .await;
        met(PUT, put, |error| {
            matches!(error, PutItemError::ConditionalCheckFailedException(_))
        })
        .map(drop)
    }

    async fn dequeue(&self, waiter: &Waiter) -> Result<(), CallError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(lock_pk(&waiter.hold.lock), waiter.place.as_str())))
            .condition_expression("attribute_not_exists(pk) OR #by = :by")
            .set_expression_attribute_names(Some(names(["by"])))
            .expression_attribute_values(":by", s(waiter.by.as_str()))
            .send()
            .await;
        met(DELETE, deleted, |error| {
            matches!(error, DeleteItemError::ConditionalCheckFailedException(_))
        })
        .map(drop)
    }

    async fn vacate(&self, lock: &LockKey, place: &Place) -> Result<(), CallError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(lock_pk(lock), place.as_str())))
            .send()
            .await
            .map(drop)
            .map_err(|error| CallError::new(DELETE, &error))
    }

    async fn contend(&self, lock: &LockKey, now: Timestamp) -> Result<(), CallError> {
        self.on_head(lock, ", #contended = :true", "ADD #generation :one", now)
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .send()
            .await
            .map(drop)
            .map_err(|error| CallError::new(UPDATE, &error))
    }

    async fn calm(&self, lock: &LockKey, generation: u64) -> Result<bool, CallError> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head_key(lock)))
            .update_expression("SET #contended = :false")
            .condition_expression("#generation = :generation")
            .set_expression_attribute_names(Some(names(["contended", "generation"])))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":generation", unsigned(generation))
            .send()
            .await;
        met(UPDATE, updated, |error| {
            matches!(error, UpdateItemError::ConditionalCheckFailedException(_))
        })
    }

    async fn waiters(&self, lock: &LockKey, after: Option<&Place>, most: u32) -> Result<Vec<Waiter>, CallError> {
        let mut from = after.map(|place| key(lock_pk(lock), place.as_str()));
        let mut waiters = Vec::new();
        loop {
            let left = most - u32::try_from(waiters.len()).unwrap_or(most);
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :wait)")
                .expression_attribute_values(":pk", s(lock_pk(lock)))
                .expression_attribute_values(":wait", s(Place::PREFIX))
                .set_exclusive_start_key(from)
                .limit(i32::try_from(left).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| CallError::new(QUERY, &error))?;
            for item in page.items.unwrap_or_default() {
                waiters.push(read_waiter(QUERY, lock, &item)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() || waiters.len() >= most as usize {
                return Ok(waiters);
            }
        }
    }

    async fn waiter(&self, lock: &LockKey, place: &Place) -> Result<Option<Waiter>, CallError> {
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(lock_pk(lock), place.as_str())))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| CallError::new(GET, &error))?;
        got.item.map(|item| read_waiter(GET, lock, &item)).transpose()
    }

    async fn count(&self, lock: &LockKey, until: Option<&Place>, most: u32) -> Result<u32, CallError> {
        // No place has a tilde: it sorts behind all of them.
        let last = until.map_or_else(|| format!("{}~", Place::PREFIX), |place| place.as_str().to_owned());
        let mut from = None;
        let mut count = 0;
        loop {
            let left = most - count;
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .select(Select::Count)
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":pk", s(lock_pk(lock)))
                .expression_attribute_values(":first", s(Place::PREFIX))
                .expression_attribute_values(":last", s(&last))
                .set_exclusive_start_key(from)
                .limit(i32::try_from(left).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| CallError::new(QUERY, &error))?;
            count += u32::try_from(page.count).unwrap_or(0);
            from = page.last_evaluated_key;
            if from.is_none() || count >= most {
                return Ok(count);
            }
        }
    }

    async fn configure(&self, lock: &LockKey, setting: Setting, now: Timestamp) -> Result<Head, CallError> {
        let call = match setting {
            Setting::Slots(slots) => self
                .on_head(lock, ", #slots = :slots", "", now)
                .expression_attribute_values(":slots", n(slots)),
            Setting::Paused(paused) => self
                .on_head(lock, ", #paused = :paused", "", now)
                .expression_attribute_values(":paused", AttributeValue::Bool(paused)),
        };
        let done = call
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| CallError::new(UPDATE, &error))?;
        read_head(UPDATE, &done.attributes.unwrap_or_default())
    }

    async fn retire(&self, lock: &LockKey, seen: &Head, now: Timestamp) -> Result<(), CallError> {
        let plain = seen.slots == 1 && !seen.paused;
        let update = match plain {
            true => "SET #expires = :expires REMOVE #active, #due",
            false => "REMOVE #active, #due",
        };
        let mut call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head_key(lock)))
            .update_expression(update)
            .condition_expression(
                "size(#holders) = :zero AND #changed = :changed AND #fence = :fence AND #arrivals = :arrivals \
                 AND #generation = :generation AND #slots = :slots AND #paused = :paused AND #contended = :false",
            )
            .set_expression_attribute_names(Some(names([
                "active",
                "due",
                "holders",
                "changed",
                "fence",
                "arrivals",
                "generation",
                "slots",
                "paused",
                "contended",
            ])))
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":changed", at(seen.changed))
            .expression_attribute_values(":fence", n(seen.fence.0))
            .expression_attribute_values(":arrivals", unsigned(seen.arrivals))
            .expression_attribute_values(":generation", unsigned(seen.generation))
            .expression_attribute_values(":slots", n(seen.slots))
            .expression_attribute_values(":paused", AttributeValue::Bool(seen.paused))
            .expression_attribute_values(":false", AttributeValue::Bool(false));
        if plain {
            call = call
                .expression_attribute_names("#expires", "expires")
                .expression_attribute_values(":expires", n(in_days(now, FORGOTTEN_DAYS)));
        }
        met(UPDATE, call.send().await, |error| {
            matches!(error, UpdateItemError::ConditionalCheckFailedException(_))
        })
        .map(drop)
    }
}

impl DynamoLocks {
    /// An update of HEAD that takes effect in any case: also of one that nobody has created, or that has expired.
    fn on_head(&self, lock: &LockKey, set: &str, then: &str, now: Timestamp) -> UpdateItemFluentBuilder {
        let fresh = Head::new(now);
        let mut update = "SET #changed = :now, #active = :inUse, #due = :zero".to_owned();
        let mut names: HashMap<String, String> = names(["changed", "active", "due", "expires"]);
        let mut values = HashMap::from([
            (":now".to_owned(), at(now)),
            (":inUse".to_owned(), s(IN_USE)),
            (":zero".to_owned(), n(0)),
        ]);
        let numbers = [
            ("slots", n(fresh.slots)),
            ("holders", AttributeValue::M(Item::new())),
            ("fences", AttributeValue::M(Item::new())),
            ("fence", n(fresh.fence.0)),
            ("arrivals", unsigned(fresh.arrivals)),
            ("contended", AttributeValue::Bool(false)),
            ("generation", n(0)),
            ("paused", AttributeValue::Bool(false)),
        ];
        for (name, initial) in numbers {
            names.insert(format!("#{name}"), name.to_owned());
            // One path must not be written twice in an expression.
            if set.contains(&format!("#{name} ")) || then.contains(&format!("#{name} ")) {
                continue;
            }
            update.extend([", #", name, " = if_not_exists(#", name, ", :new_", name, ")"]);
            values.insert(format!(":new_{name}"), initial);
        }
        update.push_str(set);
        update.push(' ');
        update.push_str(then);
        update.push_str(" REMOVE #expires");
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head_key(lock)))
            .update_expression(update)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
    }
}

fn waiter_item(waiter: &Waiter) -> Item {
    let mut item = key(lock_pk(&waiter.hold.lock), waiter.place.as_str());
    item.insert("ticket".to_owned(), s(waiter.ticket.as_str()));
    item.insert("execution".to_owned(), s(waiter.hold.execution.as_str()));
    item.insert("hold".to_owned(), s(waiter.hold.name.as_str()));
    item.insert("since".to_owned(), at(waiter.since));
    item.insert("by".to_owned(), s(waiter.by.as_str()));
    if let Some(until) = waiter.until {
        item.insert("until".to_owned(), at(until));
        item.insert("active".to_owned(), s(UNTIL));
        item.insert("due".to_owned(), at(until));
    }
    item
}

fn read_waiter(api: &'static str, lock: &LockKey, item: &Item) -> Result<Waiter, CallError> {
    let reader = Reader { api, item };
    let name = HoldName::parse(reader.text("hold")?);
    Ok(Waiter {
        hold: Hold {
            execution: reader.execution("execution")?,
            lock: lock.clone(),
            name: name.map_err(|error| reader.unreadable("hold", error.to_string()))?,
        },
        ticket: Ticket::of(reader.text("ticket")?),
        place: Place::of(reader.text("sk")?),
        since: reader.time("since")?,
        until: reader.optional("until", Reader::time)?,
        by: Nonce::of(reader.text("by")?),
    })
}
