//! The adapter to DynamoDB.
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | resume | `RESUME#<origin's execution arn>` | `<plan hash>` | `request`, `redrives`, `clone?`, `execution`, `resumesAt`, `reason?`, `by?`, `at`, `done?`, `expires` |
//! | turn | `RESUMING#<origin's execution arn>` | `TURN` | `plan`: its hash, `since`, `expires` |
//! | clone | as [`signalbox::pipeline`] has it, and | | `origin`; see [`sweep`](crate::sweep) |

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Item, Reader, all_found, at, in_days, key, met, n, s};
use signalbox::pipeline::{CLONES_PK, CloneOf, to_item};

use super::{Lineage, Resume, TURN};
use crate::sweep::{CLAIMED, aliases};

const PUT: &str = "dynamodb:PutItem";
const DELETE: &str = "dynamodb:DeleteItem";
const UPDATE: &str = "dynamodb:UpdateItem";

/// How long a resume is remembered: as long as Step Functions keeps executions that have ended, and some days.
///
/// Source: Step Functions service quotas, "Execution history retention time" (90 days).
pub(crate) const DAYS: u32 = 100;

/// [`Lineage`] in the fleet's table.
#[derive(Debug, Clone)]
pub struct DynamoLineage {
    client: Client,
    table: String,
}

impl DynamoLineage {
    /// Uses `table` through `client`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    fn turn(&self, origin: &ExecutionArn, plan_hash: &str, now: Timestamp) -> PutItemFluentBuilder {
        let mut item = turn_key(origin);
        item.insert("plan".to_owned(), s(plan_hash));
        item.insert("since".to_owned(), at(now));
        item.insert("expires".to_owned(), n(in_days(now, 1)));
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .expression_attribute_names("#plan", "plan")
            .expression_attribute_values(":plan", s(plan_hash))
    }
}

fn pk(origin: &ExecutionArn) -> String {
    format!("RESUME#{origin}")
}

fn turn_key(origin: &ExecutionArn) -> Item {
    key(format!("RESUMING#{origin}"), "TURN")
}

fn item(resume: &Resume) -> Item {
    let mut item = key(pk(&resume.origin), &resume.plan_hash);
    let mut text = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            item.insert(name.to_owned(), s(value));
        }
    };
    text("origin", Some(resume.origin.as_str()));
    text("request", Some(&resume.request_hash));
    text("clone", resume.clone.as_ref().map(StateMachineArn::as_str));
    text("execution", Some(resume.execution.as_str()));
    text("resumesAt", Some(&resume.resumes_at));
    text("reason", resume.reason.as_deref());
    text("by", resume.by.as_deref());
    item.insert("redrives".to_owned(), n(resume.redrives));
    item.insert("at".to_owned(), at(resume.at));
    item.insert("expires".to_owned(), n(in_days(resume.at, DAYS)));
    item
}

fn resume_in(item: Reader<'_>) -> Result<Resume, CallError> {
    let execution = |name: &str| {
        let parsed = ExecutionArn::parse(item.text(name)?);
        parsed.map_err(|error| item.unreadable(name, error.to_string()))
    };
    let optional = |name: &str| match item.item.contains_key(name) {
        true => item.text(name).map(|text| Some(text.to_owned())),
        false => Ok(None),
    };
    let clone = optional("clone")?.map(|arn| StateMachineArn::parse(&arn));
    Ok(Resume {
        origin: execution("origin")?,
        plan_hash: item.text("sk")?.to_owned(),
        request_hash: item.text("request")?.to_owned(),
        redrives: item.number("redrives")?,
        clone: clone
            .transpose()
            .map_err(|error| item.unreadable("clone", error.to_string()))?,
        execution: execution("execution")?,
        resumes_at: item.text("resumesAt")?.to_owned(),
        reason: optional("reason")?,
        by: optional("by")?,
        at: item.time("at")?,
        done: item.flag("done")?,
    })
}

impl Lineage for DynamoLineage {
    async fn begin(&self, resume: &Resume) -> Result<Resume, CallError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(resume)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(resume.clone()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let found = failed.item.clone().unwrap_or_default();
                    resume_in(Reader { api: PUT, item: &found })
                }
                _ => Err(CallError::new(PUT, &error)),
            },
        }
    }

    async fn done(&self, resume: &Resume) -> Result<(), CallError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(pk(&resume.origin), &resume.plan_hash)))
            .update_expression("SET #done = :true")
            .expression_attribute_names("#done", "done")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        update.send().await.map_err(|error| CallError::new(UPDATE, &error))?;
        Ok(())
    }

    async fn take_turn(&self, origin: &ExecutionArn, plan_hash: &str, now: Timestamp) -> Result<bool, CallError> {
        let put = self
            .turn(origin, plan_hash, now)
            .condition_expression("attribute_not_exists(pk) OR #plan = :plan OR #since < :leftOver")
            .expression_attribute_names("#since", "since")
            .expression_attribute_values(":leftOver", at(now.before(TURN)));
        met(
            PUT,
            put.send().await,
            PutItemError::is_conditional_check_failed_exception,
        )
    }

    async fn keep_turn(&self, origin: &ExecutionArn, plan_hash: &str, now: Timestamp) -> Result<bool, CallError> {
        let put = self.turn(origin, plan_hash, now).condition_expression("#plan = :plan");
        met(
            PUT,
            put.send().await,
            PutItemError::is_conditional_check_failed_exception,
        )
    }

    async fn turn_over(&self, origin: &ExecutionArn, plan_hash: &str) -> Result<(), CallError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(turn_key(origin)))
            .condition_expression("#plan = :plan")
            .expression_attribute_names("#plan", "plan")
            .expression_attribute_values(":plan", s(plan_hash));
        met(
            DELETE,
            delete.send().await,
            DeleteItemError::is_conditional_check_failed_exception,
        )
        .map(|_| ())
    }

    async fn of(&self, origin: &ExecutionArn) -> Result<Vec<Resume>, CallError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(pk(origin)));
        all_found(query, resume_in).await
    }

    async fn clone_used(&self, clone: &CloneOf, origin: Option<&ExecutionArn>) -> Result<bool, CallError> {
        let mut item = to_item(clone);
        if let Some(origin) = origin {
            item.insert("origin".to_owned(), s(origin.as_str()));
        }
        item.retain(|name, _| name != "pk" && name != "sk");
        let mut sets: Vec<String> = item.keys().map(|name| format!("#{name} = :{name}")).collect();
        sets.sort();
        let expression = format!(
            "SET {} REMOVE #condemned, #deleting, #archived, #deleted, #expires",
            sets.join(", ")
        );
        let condition = "attribute_not_exists(#deleting) OR #deleting < :leftOver";
        let values = item.into_iter().map(|(name, value)| (format!(":{name}"), value));
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(CLONES_PK, clone.machine.as_str())))
            .set_expression_attribute_names(Some(aliases(&[&expression, condition])))
            .set_expression_attribute_values(Some(values.collect()))
            .expression_attribute_values(":leftOver", at(clone.made.before(CLAIMED)))
            .update_expression(expression)
            .condition_expression(condition);
        met(UPDATE, update.send().await, |error| {
            error.is_conditional_check_failed_exception()
        })
    }
}
