//! The adapter to DynamoDB.
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | record | `RUN#<execution arn>` | `GUARD` | `redrive`, `entered`, `arrived`, `ruling?`, `overlapping?` (JSON), `expires` |
//!
//! Times are milliseconds since the epoch, `expires` is seconds (time to live). Every write is conditional.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, SystemClock, Timestamp};
use signalbox::item::{Item, Reader, in_days, key, n, run_pk, s};
use signalbox::quotas::{BATCH_GET_KEYS, EXECUTION_DAYS};

use super::{Question, Record, Records, Ruling, Verdict};

const PUT: &str = "dynamodb:PutItem";
const UPDATE: &str = "dynamodb:UpdateItem";
const BATCH_GET: &str = "dynamodb:BatchGetItem";

/// Most calls to read one batch of records, where DynamoDB leaves keys unprocessed.
const BATCH_TRIES: u32 = 8;

/// Before such a call, and as much again at random: twice as long each time, up to 800 ms.
const PAUSE: Duration = Duration::from_millis(50);

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
}

impl Records for DynamoRecords {
    async fn arrive(&self, run: &ExecutionArn, question: Question, now: Timestamp) -> Result<Record, CallError> {
        let fresh = Record {
            question,
            verdict: None,
        };
        let expires = in_days(now, EXECUTION_DAYS);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", s(run_pk(run)))
            .item("sk", s("GUARD"))
            .item("redrive", n(question.redrive))
            .item("entered", n(question.entered.as_millis()))
            .item("arrived", n(now.as_millis()))
            .item("expires", n(expires))
            .condition_expression(
                "attribute_not_exists(pk) OR redrive < :redrive OR (redrive = :redrive AND entered < :entered)",
            )
            .expression_attribute_values(":redrive", n(question.redrive))
            .expression_attribute_values(":entered", n(question.entered.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(fresh),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(seen)) => {
                    read_record(PUT, seen.item.as_ref().unwrap_or(&Item::new()))
                }
                _ => Err(CallError::new(PUT, &error)),
            },
        }
    }

    async fn records(&self, runs: &[ExecutionArn]) -> Result<HashMap<ExecutionArn, Record>, CallError> {
        let mut found = HashMap::with_capacity(runs.len());
        for batch in runs.chunks(BATCH_GET_KEYS) {
            let by_pk: HashMap<String, &ExecutionArn> = batch.iter().map(|run| (run_pk(run), run)).collect();
            let keys = by_pk.values().map(|run| key(run_pk(run), "GUARD")).collect();
            let mut wanted = consistent(keys)?;
            for tries in 1.. {
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.table, wanted)
                    .send()
                    .await;
                let answer = answer.map_err(|error| CallError::new(BATCH_GET, &error))?;
                for item in answer
                    .responses
                    .unwrap_or_default()
                    .remove(&self.table)
                    .unwrap_or_default()
                {
                    let pk = Reader {
                        api: BATCH_GET,
                        item: &item,
                    }
                    .text("pk")?;
                    if let Some(run) = by_pk.get(pk) {
                        found.insert((*run).clone(), read_record(BATCH_GET, &item)?);
                    }
                }
                let left = answer.unprocessed_keys.unwrap_or_default().remove(&self.table);
                match left.map(|left| left.keys).filter(|keys| !keys.is_empty()) {
                    None => break,
                    Some(_) if tries == BATCH_TRIES => {
                        return Err(CallError::malformed(
                            BATCH_GET,
                            "keys were left unprocessed again and again",
                        ));
                    }
                    Some(keys) => {
                        // It had no room for them: at once it has none either.
                        let pause = PAUSE * 2_u32.pow(tries.min(4));
                        SystemClock.sleep(pause + SystemClock.jitter(pause)).await;
                        wanted = consistent(keys)?;
                    }
                }
            }
        }
        Ok(found)
    }

    async fn decide(
        &self,
        run: &ExecutionArn,
        question: Question,
        verdict: &Verdict,
    ) -> Result<Option<Verdict>, CallError> {
        let overlapping = serde_json::to_string(&verdict.overlapping)
            .map_err(|error| CallError::malformed(UPDATE, error.to_string()))?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(run_pk(run), "GUARD")))
            .update_expression("SET ruling = :ruling, overlapping = :overlapping")
            .condition_expression("redrive = :redrive AND entered = :entered AND attribute_not_exists(ruling)")
            .expression_attribute_values(":ruling", s(ruling_text(verdict.ruling)))
            .expression_attribute_values(":overlapping", s(overlapping))
            .expression_attribute_values(":redrive", n(question.redrive))
            .expression_attribute_values(":entered", n(question.entered.as_millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match update {
            Ok(_) => Ok(Some(verdict.clone())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(seen)) => {
                    let record = read_record(UPDATE, seen.item.as_ref().unwrap_or(&Item::new()))?;
                    Ok(record.verdict.filter(|_| record.question == question))
                }
                _ => Err(CallError::new(UPDATE, &error)),
            },
        }
    }
}

fn consistent(keys: Vec<Item>) -> Result<KeysAndAttributes, CallError> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .build()
        .map_err(|error| CallError::malformed(BATCH_GET, error.to_string()))
}

fn read_record(api: &'static str, item: &Item) -> Result<Record, CallError> {
    let reader = Reader { api, item };
    let verdict = match item.get("ruling") {
        None => None,
        Some(_) => Some(Verdict {
            ruling: match reader.text("ruling")? {
                "proceed" => Ruling::Proceed,
                "refuse" => Ruling::Refuse,
                other => return Err(reader.unreadable("ruling", format!("it is \"{other}\""))),
            },
            overlapping: serde_json::from_str(reader.text("overlapping")?)
                .map_err(|error| reader.unreadable("overlapping", error.to_string()))?,
        }),
    };
    Ok(Record {
        question: Question {
            redrive: reader.number("redrive")?,
            entered: reader.time("entered")?,
        },
        verdict,
    })
}

fn ruling_text(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::Proceed => "proceed",
        Ruling::Refuse => "refuse",
    }
}
