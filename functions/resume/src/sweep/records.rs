//! What is recorded of clones, in DynamoDB: the items of [`signalbox::pipeline`], with what the sweep adds to them.
//!
//! | attribute | |
//! |---|---|
//! | `condemned` | since when the clone is condemned |
//! | `deleting` | since when a sweep claims it |
//! | `archived` | how many of its runs that sweep has archived |
//! | `deleted`, `expires` | when its machine was deleted, and when that is forgotten |

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use signalbox::arn::StateMachineArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Reader, all_found, at, in_days, key, met, n, s};
use signalbox::pipeline::CLONES_PK;

use super::{Kept, Records, Stage};
use crate::lineage::DAYS;

const UPDATE: &str = "dynamodb:UpdateItem";

/// [`Records`] in the fleet's table.
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

    /// A change of a clone's item, if that is still as it was read.
    fn change(&self, clone: &Kept, expression: &str) -> UpdateItemFluentBuilder {
        let stage = match clone.stage {
            Stage::InUse => "attribute_not_exists(#condemned) AND attribute_not_exists(#deleting)",
            Stage::Condemned(_) => "#condemned = :seen AND attribute_not_exists(#deleting)",
            Stage::Claimed(_) => "#deleting = :seen",
        };
        let condition = format!("#made = :made AND attribute_not_exists(#deleted) AND {stage}");
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(CLONES_PK, clone.machine.as_str())))
            .set_expression_attribute_names(Some(aliases(&[&condition, expression])))
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_values(":made", at(clone.made));
        match clone.stage {
            Stage::InUse => update,
            Stage::Condemned(since) | Stage::Claimed(since) => update.expression_attribute_values(":seen", at(since)),
        }
    }
}

/// What the `#name`s in these expressions stand for: the attributes of that name, which may be reserved words.
pub(crate) fn aliases(expressions: &[&str]) -> HashMap<String, String> {
    let words = expressions
        .iter()
        .flat_map(|expression| expression.split(|c: char| !c.is_alphanumeric() && c != '#'));
    let names = words.filter_map(|word| Some((word.to_owned(), word.strip_prefix('#')?.to_owned())));
    names.collect()
}

async fn done(update: UpdateItemFluentBuilder) -> Result<bool, CallError> {
    met(UPDATE, update.send().await, |error| {
        error.is_conditional_check_failed_exception()
    })
}

fn kept_in(item: Reader<'_>) -> Result<Kept, CallError> {
    let machine = StateMachineArn::parse(item.text("sk")?).map_err(|error| item.unreadable("sk", error.to_string()))?;
    let since = |name: &str| item.optional(name, Reader::time);
    let stage = match (since("condemned")?, since("deleting")?) {
        (_, Some(since)) => Stage::Claimed(since),
        (Some(since), None) => Stage::Condemned(since),
        (None, None) => Stage::InUse,
    };
    Ok(Kept {
        machine,
        made: item.time("made")?,
        stage,
        archived: item.optional("archived", Reader::number)?.unwrap_or(0),
    })
}

impl Records for DynamoRecords {
    async fn kept(&self) -> Result<Vec<Kept>, CallError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .filter_expression("attribute_not_exists(#deleted)")
            .expression_attribute_names("#deleted", "deleted")
            .expression_attribute_values(":pk", s(CLONES_PK));
        all_found(query, kept_in).await
    }

    async fn put(&self, clone: &Kept, stage: Stage) -> Result<bool, CallError> {
        done(match stage {
            Stage::InUse => self.change(clone, "REMOVE #condemned, #deleting, #archived"),
            Stage::Condemned(now) => self
                .change(clone, "SET #condemned = :now REMOVE #archived")
                .expression_attribute_values(":now", at(now)),
            // What a claim before this one has archived stays archived.
            Stage::Claimed(now) => self
                .change(clone, "SET #deleting = :now")
                .expression_attribute_values(":now", at(now)),
        })
        .await
    }

    async fn archived(&self, clone: &Kept, runs: usize) -> Result<bool, CallError> {
        let runs = i64::try_from(runs).unwrap_or(i64::MAX);
        let update = self.change(clone, "SET #archived = :runs");
        done(update.expression_attribute_values(":runs", n(runs))).await
    }

    async fn deleted(&self, clone: &Kept, now: Timestamp) -> Result<bool, CallError> {
        let update = self
            .change(
                clone,
                "SET #deleted = :now, #expires = :expires REMOVE #condemned, #deleting, #archived",
            )
            .expression_attribute_values(":now", at(now))
            .expression_attribute_values(":expires", n(in_days(now, DAYS)));
        done(update).await
    }
}
