//! The adapter to DynamoDB.
//!
//! | item | pk | sk | attributes |
//! |---|---|---|---|
//! | HEAD | `LOCK#<lock>` | `HEAD` | `slots`, `holders` (map by ticket), `fences` (map by ticket), `fence`, `arrivals`, `contended`, `generation`, `paused`, `lastHoldMs?`, `changed`, `active?`, `due?`, `expires?` |
//! | WAIT | `LOCK#<lock>` | `WAIT#<rank>#<number>` | `ticket`, `execution`, `hold`, `since`, `by`, `until?`, with it `active`, `due` |
//! | OWNER | `RUN#<execution arn>` | `HOLD#<hold>#<lock>` | `ticket`, `redrive`, `entered`, `retry`, `wish`, `token?`, `place?`, `since`, `changed`, `expires`, `active?`, `due?` |
//! | audit | `LOCK#<lock>` | `AUDIT#<time>#<id>` | `by`, `reason`, `action`, `details`, `at`, `expires` |
//!
//! The index `active` (`active`, `due`; keys only) is sparse: `HEAD` for locks in use, `UNTIL` for waiters whose patience
//! ends at `due`, `LOST` for holds that were lost. Times are milliseconds since the epoch; `expires` (time to live, which
//! only tidies up) and a `LOST`'s `due` are seconds. The fence of a grant is computed by DynamoDB; a computed number cannot go into a map
//! literal, so it has a map of its own.

mod audits;
mod directory;
mod heads;
mod owners;
mod queue;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;

use super::key::LockKey;
use super::record::Hold;
use super::store::owner_sk;
use crate::item::{Item, key, run_pk};

const PUT: &str = "dynamodb:PutItem";
const GET: &str = "dynamodb:GetItem";
const UPDATE: &str = "dynamodb:UpdateItem";
const DELETE: &str = "dynamodb:DeleteItem";
const QUERY: &str = "dynamodb:Query";

/// The index of what the sweep looks at.
const INDEX: &str = "active";

/// What the index has it under.
const IN_USE: &str = "HEAD";
const UNTIL: &str = "UNTIL";
const LOST: &str = "LOST";

/// The lock's [`Store`](super::store::Store) in the fleet's table.
#[derive(Debug, Clone)]
pub struct DynamoLocks {
    client: Client,
    table: String,
}

impl DynamoLocks {
    /// Uses `table` through `client`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}

fn lock_pk(lock: &LockKey) -> String {
    format!("LOCK#{lock}")
}

fn head_key(lock: &LockKey) -> Item {
    key(lock_pk(lock), "HEAD")
}

fn owner_key(hold: &Hold) -> Item {
    key(run_pk(&hold.execution), owner_sk(&hold.lock, &hold.name))
}

/// `#name` for each of `names`: many of them are reserved words.
fn names<const N: usize>(names: [&str; N]) -> HashMap<String, String> {
    names
        .iter()
        .map(|name| (format!("#{name}"), (*name).to_owned()))
        .collect()
}
