//! HEAD in DynamoDB.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{DynamoLocks, GET, IN_USE, PUT, UPDATE, head_key, names};
use crate::aws::CallError;
use crate::clock::Timestamp;
use crate::item::{Item, Reader, at, met, n, s, unsigned};
use crate::lock::key::{Fence, HoldName, LockKey, Nonce, Ticket};
use crate::lock::record::{Head, Holder};
use crate::lock::store::{FreeIf, Freed, Gate, Granting, Heads};

impl Heads for DynamoLocks {
    async fn head(&self, lock: &LockKey) -> Result<Option<Head>, CallError> {
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(head_key(lock)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| CallError::new(GET, &error))?;
        got.item.map(|item| read_head(GET, &item)).transpose()
    }

    async fn grant(&self, lock: &LockKey, ticket: &Ticket, holder: &Holder, gate: Gate) -> Result<Granting, CallError> {
        let mut condition =
            "size(#holders) < #slots AND #paused = :false AND attribute_not_exists(#holders.#t)".to_owned();
        let mut update = "SET #holders.#t = :holder, #fences.#t = #fence + :one, #fence = #fence + :one, \
                          #changed = :now"
            .to_owned();
        let mut call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head_key(lock)))
            .set_expression_attribute_names(Some(names([
                "holders", "slots", "paused", "fences", "fence", "changed", "expires",
            ])))
            .expression_attribute_names("#t", ticket.as_str())
            .expression_attribute_values(":holder", AttributeValue::M(holder_item(holder)))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":now", at(holder.at))
            .expression_attribute_values(":false", AttributeValue::Bool(false));
        match gate {
            Gate::Newcomer => {
                condition.push_str(" AND #contended = :false");
                call = call.expression_attribute_names("#contended", "contended");
            }
            Gate::Promotion(fence) => {
                condition.push_str(" AND #fence = :fence");
                call = call.expression_attribute_values(":fence", n(fence.0));
            }
            Gate::Regain => {}
        }
        if !lock.is_the_guards() {
            update.push_str(", #active = :inUse, #due = :zero");
            call = call
                .expression_attribute_names("#active", "active")
                .expression_attribute_names("#due", "due")
                .expression_attribute_values(":inUse", s(IN_USE))
                .expression_attribute_values(":zero", n(0));
        }
        update.push_str(" REMOVE #expires");
        let updated = call
            .update_expression(update)
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let seen = match updated {
            Ok(done) => return read_head(UPDATE, &done.attributes.unwrap_or_default()).map(Granting::Granted),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(seen)) => seen.item.clone(),
                _ => return Err(CallError::new(UPDATE, &error)),
            },
        };
        match seen {
            Some(item) => Ok(refused(read_head(UPDATE, &item)?, ticket, holder)),
            None => self.create(lock, ticket, holder).await,
        }
    }

    async fn amend(&self, lock: &LockKey, ticket: &Ticket, seen: &Holder, holder: &Holder) -> Result<bool, CallError> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head_key(lock)))
            .update_expression("SET #holders.#t = :holder, #changed = :now")
            .condition_expression("#holders.#t = :seen")
            .set_expression_attribute_names(Some(names(["holders", "changed"])))
            .expression_attribute_names("#t", ticket.as_str())
            .expression_attribute_values(":holder", AttributeValue::M(holder_item(holder)))
            .expression_attribute_values(":seen", AttributeValue::M(holder_item(seen)))
            .expression_attribute_values(":now", at(holder.at))
            .send()
            .await;
        met(UPDATE, updated, |error| {
            matches!(error, UpdateItemError::ConditionalCheckFailedException(_))
        })
    }

    async fn free(
        &self,
        lock: &LockKey,
        ticket: &Ticket,
        condition: FreeIf<'_>,
        now: Timestamp,
    ) -> Result<Freed, CallError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(head_key(lock)))
            .update_expression(
                "SET #changed = :now, #lastHoldMs = :now - #holders.#t.#since REMOVE #holders.#t, #fences.#t",
            )
            .set_expression_attribute_names(Some(names(["holders", "fences", "changed", "lastHoldMs", "since"])))
            .expression_attribute_names("#t", ticket.as_str())
            .expression_attribute_values(":now", at(now));
        let call = match condition {
            FreeIf::Any => call.condition_expression("attribute_exists(#holders.#t)"),
            FreeIf::Seen(seen) => call
                .condition_expression("#holders.#t = :seen")
                .expression_attribute_values(":seen", AttributeValue::M(holder_item(seen))),
            FreeIf::By(me) => call
                .condition_expression("#holders.#t.#by = :me")
                .expression_attribute_names("#by", "by")
                .expression_attribute_values(":me", s(me.as_str())),
            FreeIf::Ended { redrive, stopped } => call
                .condition_expression("#holders.#t.#redrive <= :redrive AND #holders.#t.#entered <= :stopped")
                .expression_attribute_names("#redrive", "redrive")
                .expression_attribute_names("#entered", "entered")
                .expression_attribute_values(":redrive", n(redrive))
                .expression_attribute_values(":stopped", at(stopped)),
        };
        let updated = call
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match updated {
            Ok(done) => read_head(UPDATE, &done.attributes.unwrap_or_default()).map(Freed::Freed),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(seen)) => {
                    let head = seen.item.as_ref().map(|item| read_head(UPDATE, item));
                    Ok(Freed::Kept(head.transpose()?))
                }
                _ => Err(CallError::new(UPDATE, &error)),
            },
        }
    }
}

impl DynamoLocks {
    /// HEAD with its first holder.
    async fn create(&self, lock: &LockKey, ticket: &Ticket, holder: &Holder) -> Result<Granting, CallError> {
        let mut head = Head::new(holder.at);
        head.fence = Fence(head.fence.0 + 1);
        head.holders.insert(ticket.clone(), holder.clone());
        head.fences.insert(ticket.clone(), head.fence);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(head_item(lock, &head)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(Granting::Granted(head)),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(seen)) => {
                    let found = read_head(PUT, seen.item.as_ref().unwrap_or(&Item::new()))?;
                    Ok(refused(found, ticket, holder))
                }
                _ => Err(CallError::new(PUT, &error)),
            },
        }
    }
}

/// Unless it was this very grant: the SDK makes a call again whose answer was lost.
fn refused(head: Head, ticket: &Ticket, holder: &Holder) -> Granting {
    match head.holders.get(ticket) == Some(holder) {
        true => Granting::Granted(head),
        false => Granting::Refused(head),
    }
}

fn head_item(lock: &LockKey, head: &Head) -> Item {
    let mut item = head_key(lock);
    let by_ticket = |(ticket, value): (&Ticket, AttributeValue)| (ticket.as_str().to_owned(), value);
    let holders = head.holders.iter().map(|(t, h)| (t, AttributeValue::M(holder_item(h))));
    let fences = head.fences.iter().map(|(t, fence)| (t, n(fence.0)));
    for (name, value) in [
        ("slots", n(head.slots)),
        ("holders", AttributeValue::M(holders.map(by_ticket).collect())),
        ("fences", AttributeValue::M(fences.map(by_ticket).collect())),
        ("fence", n(head.fence.0)),
        ("arrivals", unsigned(head.arrivals)),
        ("contended", AttributeValue::Bool(head.contended)),
        ("generation", unsigned(head.generation)),
        ("paused", AttributeValue::Bool(head.paused)),
        ("changed", at(head.changed)),
    ] {
        item.insert(name.to_owned(), value);
    }
    if !lock.is_the_guards() {
        item.insert("active".to_owned(), s(IN_USE));
        item.insert("due".to_owned(), n(0));
    }
    item
}

pub(super) fn read_head(api: &'static str, item: &Item) -> Result<Head, CallError> {
    let reader = Reader { api, item };
    let mut holders = BTreeMap::new();
    for (ticket, value) in reader.map("holders")? {
        let AttributeValue::M(entry) = value else {
            return Err(reader.unreadable("holders", format!("{ticket} is no map")));
        };
        holders.insert(Ticket::of(ticket), read_holder(Reader { api, item: entry })?);
    }
    let mut fences = BTreeMap::new();
    let map = reader.map("fences")?;
    for ticket in map.keys() {
        fences.insert(Ticket::of(ticket), Fence(Reader { api, item: map }.number(ticket)?));
    }
    Ok(Head {
        slots: reader.number("slots")?,
        holders,
        fences,
        fence: Fence(reader.number("fence")?),
        arrivals: reader.number("arrivals")?,
        contended: reader.flag("contended")?,
        generation: reader.number("generation")?,
        paused: reader.flag("paused")?,
        last_hold_ms: reader.optional("lastHoldMs", Reader::number)?,
        changed: reader.time("changed")?,
    })
}

fn holder_item(holder: &Holder) -> Item {
    let mut item = Item::from([
        ("execution".to_owned(), s(holder.execution.as_str())),
        ("hold".to_owned(), s(holder.name.as_str())),
        ("redrive".to_owned(), n(holder.redrive)),
        ("entered".to_owned(), at(holder.entered)),
        ("since".to_owned(), at(holder.since)),
        ("by".to_owned(), s(holder.by.as_str())),
        ("at".to_owned(), at(holder.at)),
        ("confirmed".to_owned(), AttributeValue::Bool(holder.confirmed)),
    ]);
    if !holder.members.is_empty() {
        let members = holder.members.iter().map(s).collect();
        item.insert("members".to_owned(), AttributeValue::L(members));
    }
    item
}

fn read_holder(reader: Reader<'_>) -> Result<Holder, CallError> {
    let name = HoldName::parse(reader.text("hold")?);
    Ok(Holder {
        execution: reader.execution("execution")?,
        name: name.map_err(|error| reader.unreadable("hold", error.to_string()))?,
        redrive: reader.number("redrive")?,
        entered: reader.time("entered")?,
        since: reader.time("since")?,
        by: Nonce::of(reader.text("by")?),
        at: reader.time("at")?,
        confirmed: reader.flag("confirmed")?,
        members: reader.texts("members")?.into_iter().map(str::to_owned).collect(),
    })
}
