//! The audit trail in DynamoDB.

use super::{DynamoLocks, PUT, QUERY, lock_pk};
use crate::aws::CallError;
use crate::item::{Reader, at, in_days, key, n, s};
use crate::lock::key::{LockKey, Nonce};
use crate::lock::store::{Audit, Audits};
use crate::quotas::EXECUTION_DAYS;

const PREFIX: &str = "AUDIT#";

impl Audits for DynamoLocks {
    async fn note(&self, lock: &LockKey, audit: &Audit, id: &Nonce) -> Result<(), CallError> {
        let mut item = key(lock_pk(lock), format!("{PREFIX}{}#{}", audit.at, id.as_str()));
        for (name, value) in [
            ("at", at(audit.at)),
            ("by", s(&audit.by)),
            ("reason", s(&audit.reason)),
            ("action", s(&audit.action)),
            ("details", s(&audit.details)),
            ("expires", n(in_days(audit.at, EXECUTION_DAYS))),
        ] {
            item.insert(name.to_owned(), value);
        }
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| CallError::new(PUT, &error))
    }

    async fn noted(&self, lock: &LockKey, most: u32) -> Result<Vec<Audit>, CallError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :audit)")
            .expression_attribute_values(":pk", s(lock_pk(lock)))
            .expression_attribute_values(":audit", s(PREFIX))
            .scan_index_forward(false)
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| CallError::new(QUERY, &error))?;
        let read = |item: &crate::item::Item| {
            let reader = Reader { api: QUERY, item };
            Ok(Audit {
                at: reader.time("at")?,
                by: reader.text("by")?.to_owned(),
                reason: reader.text("reason")?.to_owned(),
                action: reader.text("action")?.to_owned(),
                details: reader.text("details")?.to_owned(),
            })
        };
        page.items.unwrap_or_default().iter().map(read).collect()
    }
}
