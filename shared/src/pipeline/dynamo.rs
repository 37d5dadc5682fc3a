//! The adapter to DynamoDB.
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | clone | `RESUME#CLONES` | `<clone's machine arn>` | `pipeline` (the original's ARN), `made` (milliseconds since the epoch), `deleted?`; whoever makes it may add others |
//!
//! One partition for all of them: the names of a pipeline's clones have their beginning in common, so that one range of the
//! sort key has them all. `deleted`: there is no such machine any more, but events of its runs may still come.

use aws_sdk_dynamodb::Client;

use super::{CloneOf, Clones, clone_stem};
use crate::arn::StateMachineArn;
use crate::aws::CallError;
use crate::item::{Item, Reader, all_found, at, key, s};

const GET: &str = "dynamodb:GetItem";

/// The partition of the clones' items.
pub const CLONES_PK: &str = "RESUME#CLONES";

/// [`Clones`] in the fleet's table.
#[derive(Debug, Clone)]
pub struct DynamoClones {
    client: Client,
    table: String,
}

impl DynamoClones {
    /// Uses `table` through `client`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}

/// The item of a clone, with all that the fleet's other functions need.
#[must_use]
pub fn to_item(clone: &CloneOf) -> Item {
    let mut item = key(CLONES_PK, clone.machine.as_str());
    item.insert("pipeline".to_owned(), s(clone.pipeline.as_str()));
    item.insert("made".to_owned(), at(clone.made));
    item
}

fn clone_in(item: Reader<'_>) -> Result<CloneOf, CallError> {
    let machine = |name: &str| {
        let parsed = StateMachineArn::parse(item.text(name)?);
        parsed.map_err(|error| item.unreadable(name, error.to_string()))
    };
    Ok(CloneOf {
        machine: machine("sk")?,
        pipeline: machine("pipeline")?,
        made: item.time("made")?,
    })
}

impl Clones for DynamoClones {
    async fn find(&self, machine: &StateMachineArn) -> Result<Option<CloneOf>, CallError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(CLONES_PK, machine.as_str())));
        let answer = get.send().await.map_err(|error| CallError::new(GET, &error))?;
        let read = |item: Item| clone_in(Reader { api: GET, item: &item });
        answer.item.map(read).transpose()
    }

    async fn of(&self, pipeline: &StateMachineArn) -> Result<Vec<CloneOf>, CallError> {
        let begin = format!("{}:stateMachine:{}", pipeline.home(), clone_stem(pipeline.name()));
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :begin)")
            // Two long names may be cut to the same beginning.
            .filter_expression("#pipeline = :pipeline AND attribute_not_exists(#deleted)")
            .expression_attribute_names("#pipeline", "pipeline")
            .expression_attribute_names("#deleted", "deleted")
            .expression_attribute_values(":pk", s(CLONES_PK))
            .expression_attribute_values(":begin", s(begin))
            .expression_attribute_values(":pipeline", s(pipeline.as_str()));
        let mut clones = all_found(query, clone_in).await?;
        clones.sort_by(|a, b| (b.made, &b.machine).cmp(&(a.made, &a.machine)));
        Ok(clones)
    }
}
