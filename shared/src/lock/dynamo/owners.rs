//! OWNER in DynamoDB.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{DynamoLocks, GET, LOST, PUT, QUERY, UPDATE, names, owner_key};
use crate::arn::ExecutionArn;
use crate::aws::CallError;
use crate::clock::Timestamp;
use crate::item::{Item, Reader, at, in_days, met, n, run_pk, s};
use crate::lock::key::{HoldName, LockKey, Place, Ticket};
use crate::lock::record::{Attempt, Hold, Owner, Wish};
use crate::lock::store::{Owners, Recorded};
use crate::quotas::{EXECUTION_DAYS, REDRIVABLE_DAYS};
use crate::tasks::TaskToken;

/// How long a released one is kept, so that a late attempt does not open it again.
const RELEASED_DAYS: u32 = 1;

/// What the sort keys begin with.
const PREFIX: &str = "HOLD#";

impl Owners for DynamoLocks {
    async fn open(&self, owner: &Owner, now: Timestamp) -> Result<Recorded, CallError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(owner_item(owner, now)))
            .condition_expression(
                "attribute_not_exists(pk) OR (#wish = :released AND (#redrive < :redrive OR (#redrive = :redrive AND \
                 (#entered < :entered OR (#entered = :entered AND #retry < :retry)))))",
            )
            .set_expression_attribute_names(Some(names(["wish", "redrive", "entered", "retry"])))
            .expression_attribute_values(":released", s(wish_text(Wish::Released)))
            .expression_attribute_values(":redrive", n(owner.attempt.redrive))
            .expression_attribute_values(":entered", at(owner.attempt.entered))
            .expression_attribute_values(":retry", n(owner.attempt.retry))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(Recorded::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(seen)) => {
                    read_owner(PUT, seen.item.as_ref().unwrap_or(&Item::new()))
                        .map(|found| Recorded::Found(Box::new(found)))
                }
                _ => Err(CallError::new(PUT, &error)),
            },
        }
    }

    async fn owner(&self, hold: &Hold) -> Result<Option<Owner>, CallError> {
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(owner_key(hold)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| CallError::new(GET, &error))?;
        got.item.map(|item| read_owner(GET, &item)).transpose()
    }

    async fn owned_by(&self, execution: &ExecutionArn) -> Result<Vec<Owner>, CallError> {
        let mut owners = Vec::new();
        let mut from = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :hold)")
                .expression_attribute_values(":pk", s(run_pk(execution)))
                .expression_attribute_values(":hold", s(PREFIX))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| CallError::new(QUERY, &error))?;
            for item in page.items.unwrap_or_default() {
                owners.push(read_owner(QUERY, &item)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(owners);
            }
        }
    }

    async fn reown(&self, seen: &Owner, owner: &Owner, now: Timestamp) -> Result<bool, CallError> {
        let mut condition =
            "#ticket = :ticket AND #wish = :wish AND #redrive = :redrive AND #entered = :entered AND #retry = :retry AND "
                .to_owned();
        let mut call = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(owner_item(owner, now)))
            .set_expression_attribute_names(Some(names(["ticket", "wish", "redrive", "entered", "retry", "place"])))
            .expression_attribute_values(":ticket", s(seen.ticket.as_str()))
            .expression_attribute_values(":wish", s(wish_text(seen.wish)))
            .expression_attribute_values(":redrive", n(seen.attempt.redrive))
            .expression_attribute_values(":entered", at(seen.attempt.entered))
            .expression_attribute_values(":retry", n(seen.attempt.retry));
        match &seen.place {
            None => condition.push_str("attribute_not_exists(#place)"),
            Some(place) => {
                condition.push_str("#place = :place");
                call = call.expression_attribute_values(":place", s(place.as_str()));
            }
        }
        let put = call.condition_expression(condition).send().await;
        met(PUT, put, |error| {
            matches!(error, PutItemError::ConditionalCheckFailedException(_))
        })
    }

    async fn close(&self, hold: &Hold, entered: Option<Timestamp>, now: Timestamp) -> Result<Option<Owner>, CallError> {
        let mut condition = "attribute_exists(pk)".to_owned();
        let mut call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(owner_key(hold)))
            .set_expression_attribute_names(Some(names(["wish", "changed", "expires", "active", "due"])))
            .expression_attribute_values(":released", s(wish_text(Wish::Released)))
            .expression_attribute_values(":now", at(now))
            .expression_attribute_values(":expires", n(in_days(now, RELEASED_DAYS)));
        let mut update = "SET #wish = :released, #changed = :now, #expires = :expires".to_owned();
        if let Some(entered) = entered {
            condition.push_str(" AND #entered <= :entered");
            update.push_str(", #entered = :entered, #retry = :zero");
            call = call
                .expression_attribute_names("#entered", "entered")
                .expression_attribute_names("#retry", "retry")
                .expression_attribute_values(":entered", at(entered))
                .expression_attribute_values(":zero", n(0));
        }
        // The token stays: whoever released it may die before a task that waits is told.
        update.push_str(" REMOVE #active, #due");
        let updated = call
            .update_expression(update)
            .condition_expression(condition)
            .return_values(ReturnValue::AllOld)
            .send()
            .await;
        match updated {
            Ok(done) => done.attributes.map(|item| read_owner(UPDATE, &item)).transpose(),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(CallError::new(UPDATE, &error)),
            },
        }
    }
}

fn owner_item(owner: &Owner, now: Timestamp) -> Item {
    let mut item = owner_key(&owner.hold);
    let days = match owner.wish {
        Wish::Open => EXECUTION_DAYS,
        Wish::Released => RELEASED_DAYS,
        Wish::Lost => REDRIVABLE_DAYS,
    };
    for (name, value) in [
        ("ticket", s(owner.ticket.as_str())),
        ("redrive", n(owner.attempt.redrive)),
        ("entered", at(owner.attempt.entered)),
        ("retry", n(owner.attempt.retry)),
        ("wish", s(wish_text(owner.wish))),
        ("since", at(owner.since)),
        ("changed", at(now)),
        ("expires", n(in_days(now, days))),
    ] {
        item.insert(name.to_owned(), value);
    }
    // Nobody needs the token of a task that is over; of a lost hold it tells whether the run ever got the lock.
    if let Some(token) = owner.token.as_ref().filter(|_| owner.wish != Wish::Released) {
        item.insert("token".to_owned(), s(token.secret()));
    }
    if let Some(place) = &owner.place {
        item.insert("place".to_owned(), s(place.as_str()));
    }
    if owner.wish == Wish::Lost {
        item.insert("active".to_owned(), s(LOST));
        item.insert("due".to_owned(), n(in_days(now, days)));
    }
    item
}

fn read_owner(api: &'static str, item: &Item) -> Result<Owner, CallError> {
    let reader = Reader { api, item };
    let hold = hold_of(reader.text("pk")?, reader.text("sk")?);
    // Whatever it is: it is not told.
    let secret = |reader: Reader<'_>, name: &str| match reader.text(name) {
        Ok(text) => Ok(TaskToken::parse(text)),
        Err(_) => Err(reader.unreadable(name, "it is no string")),
    };
    let token = reader.optional("token", secret)?;
    Ok(Owner {
        hold: hold.ok_or_else(|| reader.unreadable("sk", "it names no hold"))?,
        ticket: Ticket::of(reader.text("ticket")?),
        attempt: Attempt {
            redrive: reader.number("redrive")?,
            entered: reader.time("entered")?,
            retry: reader.number("retry")?,
        },
        wish: match reader.text("wish")? {
            "open" => Wish::Open,
            "released" => Wish::Released,
            "lost" => Wish::Lost,
            other => return Err(reader.unreadable("wish", format!("it is \"{other}\""))),
        },
        token: token
            .transpose()
            .map_err(|error| reader.unreadable("token", error.to_string()))?,
        place: reader.optional("place", Reader::text)?.map(Place::of),
        since: reader.time("since")?,
    })
}

/// The hold that an OWNER's keys name.
pub(super) fn hold_of(pk: &str, sk: &str) -> Option<Hold> {
    let (name, lock) = sk.strip_prefix(PREFIX)?.split_once('#')?;
    Some(Hold {
        execution: ExecutionArn::parse_with_children(pk.strip_prefix("RUN#")?).ok()?,
        lock: LockKey::any(lock).ok()?,
        name: HoldName::parse(name).ok()?,
    })
}

fn wish_text(wish: Wish) -> &'static str {
    match wish {
        Wish::Open => "open",
        Wish::Released => "released",
        Wish::Lost => "lost",
    }
}
