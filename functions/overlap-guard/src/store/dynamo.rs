//! The adapter to DynamoDB.
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | record | `RUN#<execution arn>` | `GUARD` | `redrive`, `entered`, `arrived`, `ruling?`, `overlapping?` (JSON), `expires` |
//! | claim | `GUARD#<state machine arn>` | `CLAIM` | `holder`, `redrive`, `entered`, `claimState`, `changed`, `members?` (set), `joins` |
//!
//! A member of a claim is `<redrive> <entered> <execution arn>`. Times are milliseconds since the epoch, `expires` is seconds (time to live). Every write is conditional.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::quotas::{BATCH_GET_KEYS, EXECUTION_DAYS};

use super::{Claim, ClaimState, Claims, Holder, Question, Record, Records, Ruling, Verdict};

const PUT: &str = "dynamodb:PutItem";
const GET: &str = "dynamodb:GetItem";
const UPDATE: &str = "dynamodb:UpdateItem";
const DELETE: &str = "dynamodb:DeleteItem";
const BATCH_GET: &str = "dynamodb:BatchGetItem";

/// Most calls to read one batch of records, where DynamoDB leaves keys unprocessed.
const BATCH_TRIES: u32 = 8;

type Item = HashMap<String, AttributeValue>;

/// [`Records`] and [`Claims`] in the fleet's table.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

impl DynamoStore {
    /// Uses `table` through `client`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}

impl Records for DynamoStore {
    async fn arrive(&self, run: &ExecutionArn, question: Question, now: Timestamp) -> Result<Record, CallError> {
        let fresh = Record {
            question,
            verdict: None,
        };
        let expires = now.as_secs() + i64::from(EXECUTION_DAYS) * 24 * 60 * 60;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", record_pk(run))
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
            let by_pk: HashMap<String, &ExecutionArn> = batch.iter().map(|run| (format!("RUN#{run}"), run)).collect();
            let keys = by_pk.values().map(|run| key(record_pk(run), "GUARD")).collect();
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
                    let pk = text(BATCH_GET, &item, "pk")?;
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
                    Some(keys) => wanted = consistent(keys)?,
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
            .set_key(Some(key(record_pk(run), "GUARD")))
            .update_expression("SET ruling = :ruling, overlapping = :overlapping")
            .condition_expression("redrive = :redrive AND entered = :entered AND attribute_not_exists(ruling)")
            .expression_attribute_values(":ruling", s(ruling_text(verdict.ruling)))
            .expression_attribute_values(":overlapping", s(&overlapping))
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

impl Claims for DynamoStore {
    async fn claim(&self, machine: &StateMachineArn, holder: &Holder, now: Timestamp) -> Result<Claim, CallError> {
        let claim = Claim::new(holder, now);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(claim_item(machine, &claim)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(claim),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(seen)) => {
                    read_claim(PUT, seen.item.as_ref().unwrap_or(&Item::new()))
                }
                _ => Err(CallError::new(PUT, &error)),
            },
        }
    }

    async fn read(&self, machine: &StateMachineArn) -> Result<Option<Claim>, CallError> {
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(claim_pk(machine), "CLAIM")))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| CallError::new(GET, &error))?;
        got.item.map(|item| read_claim(GET, &item)).transpose()
    }

    async fn replace(&self, machine: &StateMachineArn, seen: &Claim, claim: &Claim) -> Result<bool, CallError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(claim_item(machine, claim)))
            .condition_expression(AS_SEEN)
            .set_expression_attribute_values(Some(as_seen(seen)))
            .send()
            .await;
        met(PUT, put, |error| {
            matches!(error, PutItemError::ConditionalCheckFailedException(_))
        })
    }

    async fn remove(&self, machine: &StateMachineArn, seen: &Claim) -> Result<(), CallError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(claim_pk(machine), "CLAIM")))
            .condition_expression(AS_SEEN)
            .set_expression_attribute_values(Some(as_seen(seen)))
            .send()
            .await;
        met(DELETE, delete, |error| {
            matches!(error, DeleteItemError::ConditionalCheckFailedException(_))
        })
        .map(|_| ())
    }
}

/// The condition that a claim is still as it was seen. Of the same holder, `changed` tells one taking from the next.
const AS_SEEN: &str = "holder = :holder AND redrive = :redrive AND entered = :entered AND claimState = :state \
                       AND changed = :changed AND joins = :joins";

fn as_seen(seen: &Claim) -> Item {
    Item::from([
        (":holder".to_owned(), s(seen.holder.run.as_str())),
        (":redrive".to_owned(), n(seen.holder.question.redrive)),
        (":entered".to_owned(), n(seen.holder.question.entered.as_millis())),
        (":state".to_owned(), s(state_text(seen.state))),
        (":changed".to_owned(), n(seen.changed.as_millis())),
        (":joins".to_owned(), n(seen.joins)),
    ])
}

fn consistent(keys: Vec<Item>) -> Result<KeysAndAttributes, CallError> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .build()
        .map_err(|error| CallError::malformed(BATCH_GET, error.to_string()))
}

/// Whether the condition of a write was met; an error if the write failed for any other reason.
fn met<T, E>(
    api: &'static str,
    result: Result<T, aws_sdk_dynamodb::error::SdkError<E>>,
    is_condition: impl FnOnce(&E) -> bool,
) -> Result<bool, CallError>
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + 'static,
{
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(is_condition) => Ok(false),
        Err(error) => Err(CallError::new(api, &error)),
    }
}

fn record_pk(run: &ExecutionArn) -> AttributeValue {
    s(&format!("RUN#{run}"))
}

fn claim_pk(machine: &StateMachineArn) -> AttributeValue {
    s(&format!("GUARD#{machine}"))
}

fn key(pk: AttributeValue, sk: &str) -> Item {
    Item::from([("pk".to_owned(), pk), ("sk".to_owned(), s(sk))])
}

fn claim_item(machine: &StateMachineArn, claim: &Claim) -> Item {
    let mut item = key(claim_pk(machine), "CLAIM");
    item.insert("holder".to_owned(), s(claim.holder.run.as_str()));
    item.insert("redrive".to_owned(), n(claim.holder.question.redrive));
    item.insert("entered".to_owned(), n(claim.holder.question.entered.as_millis()));
    item.insert("claimState".to_owned(), s(state_text(claim.state)));
    item.insert("changed".to_owned(), n(claim.changed.as_millis()));
    item.insert("joins".to_owned(), n(claim.joins));
    // DynamoDB has no empty sets.
    if !claim.members.is_empty() {
        let members = claim.members.iter().map(member_text).collect();
        item.insert("members".to_owned(), AttributeValue::Ss(members));
    }
    item
}

fn read_record(api: &'static str, item: &Item) -> Result<Record, CallError> {
    let verdict = match item.get("ruling") {
        None => None,
        Some(_) => Some(Verdict {
            ruling: match text(api, item, "ruling")? {
                "proceed" => Ruling::Proceed,
                "refuse" => Ruling::Refuse,
                other => return Err(unreadable(api, "ruling", &format!("it is \"{other}\""))),
            },
            overlapping: serde_json::from_str(text(api, item, "overlapping")?)
                .map_err(|error| unreadable(api, "overlapping", &error.to_string()))?,
        }),
    };
    Ok(Record {
        question: question(api, item)?,
        verdict,
    })
}

fn read_claim(api: &'static str, item: &Item) -> Result<Claim, CallError> {
    Ok(Claim {
        holder: Holder {
            run: execution(api, item, "holder")?,
            question: question(api, item)?,
        },
        state: match text(api, item, "claimState")? {
            "pending" => ClaimState::Pending,
            "confirmed" => ClaimState::Confirmed,
            other => return Err(unreadable(api, "claimState", &format!("it is \"{other}\""))),
        },
        changed: Timestamp::from_millis(number(api, item, "changed")?),
        members: members(api, item)?,
        joins: number(api, item, "joins")?,
    })
}

fn question(api: &'static str, item: &Item) -> Result<Question, CallError> {
    Ok(Question {
        redrive: number(api, item, "redrive")?,
        entered: Timestamp::from_millis(number(api, item, "entered")?),
    })
}

fn members(api: &'static str, item: &Item) -> Result<Vec<Holder>, CallError> {
    let texts = match item.get("members") {
        None => return Ok(Vec::new()),
        Some(AttributeValue::Ss(texts)) => texts,
        other => return Err(unreadable(api, "members", &found(other))),
    };
    let parsed = texts
        .iter()
        .map(|text| member(text).map_err(|why| unreadable(api, "members", &why)));
    let mut members: Vec<Holder> = parsed.collect::<Result<_, _>>()?;
    members.sort();
    Ok(members)
}

fn member_text(member: &Holder) -> String {
    let Question { redrive, entered } = member.question;
    format!("{redrive} {} {}", entered.as_millis(), member.run)
}

fn member(text: &str) -> Result<Holder, String> {
    let wrong = || format!("\"{text}\" is not a member");
    let [redrive, entered, run] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    Ok(Holder {
        run: ExecutionArn::parse(run).map_err(|error| error.to_string())?,
        question: Question {
            redrive: redrive.parse().map_err(|_| wrong())?,
            entered: Timestamp::from_millis(entered.parse().map_err(|_| wrong())?),
        },
    })
}

fn ruling_text(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::Proceed => "proceed",
        Ruling::Refuse => "refuse",
    }
}

fn state_text(state: ClaimState) -> &'static str {
    match state {
        ClaimState::Pending => "pending",
        ClaimState::Confirmed => "confirmed",
    }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

fn text<'a>(api: &'static str, item: &'a Item, name: &str) -> Result<&'a str, CallError> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        other => Err(unreadable(api, name, &found(other))),
    }
}

fn number<T: std::str::FromStr>(api: &'static str, item: &Item, name: &str) -> Result<T, CallError> {
    match item.get(name) {
        Some(AttributeValue::N(number)) => number
            .parse()
            .map_err(|_| unreadable(api, name, &format!("it is {number}"))),
        other => Err(unreadable(api, name, &found(other))),
    }
}

fn execution(api: &'static str, item: &Item, name: &str) -> Result<ExecutionArn, CallError> {
    ExecutionArn::parse(text(api, item, name)?).map_err(|error| unreadable(api, name, &error.to_string()))
}

fn found(value: Option<&AttributeValue>) -> String {
    value.map_or_else(|| "it is missing".to_owned(), |value| format!("it is {value:?}"))
}

/// An item that this version cannot read: nothing is decided on it.
fn unreadable(api: &'static str, name: &str, why: &str) -> CallError {
    CallError::malformed(api, format!("the item's attribute {name} cannot be read: {why}"))
}
