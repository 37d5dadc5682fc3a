//! The directory in DynamoDB: the sparse index `active`.

use super::owners::hold_of;
use super::{DynamoLocks, IN_USE, INDEX, LOST, QUERY, UNTIL};
use crate::aws::CallError;
use crate::clock::Timestamp;
use crate::item::{Item, Reader, n, s};
use crate::lock::key::{LockKey, Place};
use crate::lock::record::Hold;
use crate::lock::store::{Directory, Page};

/// Between the parts of where a page begins; in no key.
const MARK: char = '\u{1f}';

impl Directory for DynamoLocks {
    async fn active(&self, from: Option<String>) -> Result<Page<LockKey>, CallError> {
        self.indexed(IN_USE, None, from, |pk, _| lock_of(pk)).await
    }

    async fn lost(&self, from: Option<String>) -> Result<Page<Hold>, CallError> {
        self.indexed(LOST, None, from, hold_of).await
    }

    async fn overdue(&self, now: Timestamp, from: Option<String>) -> Result<Page<(LockKey, Place)>, CallError> {
        let read = |pk: &str, sk: &str| Some((lock_of(pk)?, Place::of(sk)));
        self.indexed(UNTIL, Some(now), from, read).await
    }
}

impl DynamoLocks {
    async fn indexed<T>(
        &self,
        kind: &str,
        until: Option<Timestamp>,
        from: Option<String>,
        read: impl Fn(&str, &str) -> Option<T>,
    ) -> Result<Page<T>, CallError> {
        let call = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .expression_attribute_names("#active", "active")
            .expression_attribute_values(":kind", s(kind))
            .set_exclusive_start_key(from.as_deref().and_then(|from| start(kind, from)));
        let call = match until {
            None => call.key_condition_expression("#active = :kind"),
            Some(until) => call
                .key_condition_expression("#active = :kind AND #due <= :until")
                .expression_attribute_names("#due", "due")
                .expression_attribute_values(":until", n(until.as_millis())),
        };
        let page = call.send().await.map_err(|error| CallError::new(QUERY, &error))?;
        let mut entries = Vec::new();
        for item in page.items.unwrap_or_default() {
            let reader = Reader {
                api: QUERY,
                item: &item,
            };
            let (pk, sk) = (reader.text("pk")?, reader.text("sk")?);
            if let Some(entry) = read(pk, sk) {
                entries.push(entry);
            } else {
                // One entry that nobody understands must not hide the others.
                tracing::error!(pk, sk, "an entry of the index cannot be read");
            }
        }
        let next = page.last_evaluated_key.as_ref().map(next).transpose()?;
        Ok(Page { entries, next })
    }
}

fn lock_of(pk: &str) -> Option<LockKey> {
    LockKey::any(pk.strip_prefix("LOCK#")?).ok()
}

fn next(key: &Item) -> Result<String, CallError> {
    let reader = Reader { api: QUERY, item: key };
    let due: i64 = reader.number("due")?;
    Ok(format!("{due}{MARK}{}{MARK}{}", reader.text("pk")?, reader.text("sk")?))
}

fn start(kind: &str, from: &str) -> Option<Item> {
    let mut parts = from.splitn(3, MARK);
    let due: i64 = parts.next()?.parse().ok()?;
    Some(Item::from([
        ("active".to_owned(), s(kind)),
        ("due".to_owned(), n(due)),
        ("pk".to_owned(), s(parts.next()?)),
        ("sk".to_owned(), s(parts.next()?)),
    ]))
}
