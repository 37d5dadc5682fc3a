//! Groups: windows in which failures of one kind are counted.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Item, Reader, at, key, met, n, s};

use super::ends::{IS_PENDING, SETTLES, key_of};
use super::{DynamoStore, GET, OPEN, PUT, TRANSACT, bound, end_in, machine_in, map_of, names, pk_of_machine};
use crate::alert::End;
use crate::store::{Group, Joined};

fn key_of_group(group: &Group) -> Item {
    key(pk_of_machine(&group.machine), format!("GROUP#{}", group.key))
}

impl DynamoStore {
    pub(super) async fn join_group(&self, group: &Group, now: Timestamp) -> Result<Joined, CallError> {
        let Some(item) = self.get(key_of_group(group)).await? else {
            return self.open_group(group, None).await;
        };
        let found = group_of(Reader { api: GET, item: &item })?;
        if found.first.is_same(&group.first) {
            return Ok(Joined::First);
        }
        if found.until > now {
            return self.count(&found, &group.first, now).await;
        }
        match found.count {
            0 => self.open_group(group, Some(&found)).await,
            _ => Ok(Joined::Closed(Box::new(found))),
        }
    }

    async fn open_group(&self, group: &Group, seen: Option<&Group>) -> Result<Joined, CallError> {
        let mut item = key_of_group(group);
        for (name, value) in [
            ("machine", s(group.machine.as_str())),
            ("first", map_of(&group.first)),
            ("opened", at(group.opened)),
            ("until", at(group.until)),
            ("count", n(0)),
            ("active", s(OPEN)),
            ("due", at(group.until)),
        ] {
            item.insert(name.to_owned(), value);
        }
        for (name, value) in [("state", &group.state), ("error", &group.error)] {
            if let Some(value) = value {
                item.insert(name.to_owned(), s(value));
            }
        }
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = match seen {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => {
                let condition = "#opened = :opened AND #count = :none";
                put.condition_expression(condition)
                    .set_expression_attribute_names(Some(names(condition)))
                    .set_expression_attribute_values(Some(bound([(":opened", at(seen.opened)), (":none", n(0))])))
            }
        };
        let put = put.send().await;
        Ok(
            match met(PUT, put, PutItemError::is_conditional_check_failed_exception)? {
                true => Joined::First,
                false => Joined::Changed,
            },
        )
    }

    /// Counts, and marks the end as counted, in one: it is not counted twice, nor lost in between.
    async fn count(&self, found: &Group, end: &End, now: Timestamp) -> Result<Joined, CallError> {
        let (counts, is_open) = (
            "SET #last = :last ADD #count :one",
            "#opened = :opened AND #until > :now",
        );
        let mut of_group = names(counts);
        of_group.extend(names(is_open));
        let group = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_of_group(found)))
            .update_expression(counts)
            .condition_expression(is_open)
            .set_expression_attribute_names(Some(of_group))
            .set_expression_attribute_values(Some(bound([
                (":last", map_of(end)),
                (":one", n(1)),
                (":opened", at(found.opened)),
                (":now", at(now)),
            ])));
        let mut of_end = names(SETTLES);
        of_end.extend(names(IS_PENDING));
        let settled = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key_of(end)))
            .update_expression(SETTLES)
            .condition_expression(IS_PENDING)
            .set_expression_attribute_names(Some(of_end))
            .set_expression_attribute_values(Some(bound([
                (":pending", s("pending")),
                (":state", s("counted")),
                (":at", at(now)),
            ])));
        let mut transaction = self.client.transact_write_items();
        for update in [group, settled] {
            let update = update
                .build()
                .map_err(|error| CallError::malformed(TRANSACT, error.to_string()))?;
            transaction = transaction.transact_items(TransactWriteItem::builder().update(update).build());
        }
        let Err(error) = transaction.send().await else {
            return Ok(Joined::Counted);
        };
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled.cancellation_reasons(),
            _ => return Err(CallError::new(TRANSACT, &error)),
        };
        let is = |at: usize, code: &str| reasons.get(at).and_then(|reason| reason.code()) == Some(code);
        if is(1, "ConditionalCheckFailed") {
            // Somebody else has done it, or this very call did, and was made again.
            return Ok(Joined::Counted);
        }
        match is(0, "ConditionalCheckFailed") || is(0, "TransactionConflict") || is(1, "TransactionConflict") {
            true => Ok(Joined::Changed),
            false => Err(CallError::new(TRANSACT, &error)),
        }
    }

    pub(super) async fn close_group(&self, group: &Group) -> Result<(), CallError> {
        let condition = "#opened = :opened AND #count = :count";
        let values = [(":opened", at(group.opened)), (":count", n(group.count))];
        self.delete(key_of_group(group), condition, values).await
    }

    pub(super) async fn closed_groups(&self, now: Timestamp) -> Result<Vec<Group>, CallError> {
        self.indexed(OPEN, now, |reader| {
            Ok(Some(group_of(reader)?).filter(|group| group.until <= now))
        })
        .await
    }
}

fn group_of(reader: Reader<'_>) -> Result<Group, CallError> {
    let text = |reader: Reader<'_>, name: &str| reader.text(name).map(str::to_owned);
    let sk = reader.text("sk")?;
    Ok(Group {
        machine: machine_in(reader, "machine")?,
        key: sk.strip_prefix("GROUP#").unwrap_or(sk).to_owned(),
        state: reader.optional("state", text)?,
        error: reader.optional("error", text)?,
        first: end_in(reader, "first")?,
        opened: reader.time("opened")?,
        until: reader.time("until")?,
        count: reader.number("count")?,
        last: reader.optional("last", end_in)?,
    })
}
