//! Ends: claimed, announced or counted.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Item, Reader, at, in_days, key, met, n, s};

use super::{CLAIM_LIFE, DynamoStore, GET, PENDING, PUT, REMEMBERED_DAYS, bound, end_in, map_of, names};
use crate::alert::End;
use crate::store::Begun;

pub(super) const IS_PENDING: &str = "#state = :pending";

/// What is done with an end that is not pending any more. `#due` and `#active` leave the index.
pub(super) const SETTLES: &str = "SET #state = :state, #at = :at REMOVE #active, #due";

pub(super) fn key_of(end: &End) -> Item {
    key(
        format!("ALERT#{}", end.execution),
        format!("END#{}#{}", end.status.name(), end.redrive),
    )
}

impl DynamoStore {
    pub(super) async fn begin_end(&self, end: &End, now: Timestamp) -> Result<Begun, CallError> {
        let condition = "attribute_not_exists(pk) OR (#state = :pending AND #at <= :before)";
        let mut item = key_of(end);
        for (name, value) in [
            ("end", map_of(end)),
            ("state", s("pending")),
            ("at", at(now)),
            ("active", s(PENDING)),
            ("due", at(now)),
            ("expires", n(in_days(now, REMEMBERED_DAYS))),
        ] {
            item.insert(name.to_owned(), value);
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(condition)))
            .set_expression_attribute_values(Some(bound([
                (":pending", s("pending")),
                (":before", at(now.before(CLAIM_LIFE))),
            ])));
        let put = put.send().await;
        if met(PUT, put, PutItemError::is_conditional_check_failed_exception)? {
            return Ok(Begun::Mine);
        }
        let Some(item) = self.get(key_of(end)).await? else {
            return Ok(Begun::Busy);
        };
        let reader = Reader { api: GET, item: &item };
        Ok(match reader.text("state")? {
            "pending" => Begun::Busy,
            _ => Begun::Done,
        })
    }

    pub(super) async fn end_sent(&self, end: &End, now: Timestamp) -> Result<(), CallError> {
        let values = bound([(":pending", s("pending")), (":state", s("sent")), (":at", at(now))]);
        self.update(key_of(end), SETTLES, IS_PENDING, values).await.map(drop)
    }

    pub(super) async fn pending_ends(&self, now: Timestamp) -> Result<Vec<End>, CallError> {
        self.indexed(PENDING, now.before(CLAIM_LIFE), |reader| {
            match reader.text("state")? {
                "pending" => end_in(reader, "end").map(Some),
                _ => Ok(None),
            }
        })
        .await
    }
}
