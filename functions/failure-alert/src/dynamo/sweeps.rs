//! What the sweep watches, and how far it has come.

use signalbox::arn::StateMachineArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Item, Reader, at, in_days, key, n, s};

use super::{DynamoStore, GET, PUT, REMEMBERED_DAYS, pk_of_machine};
use crate::store::Watch;

impl DynamoStore {
    pub(super) async fn watermark(&self, machine: &StateMachineArn) -> Result<Option<Timestamp>, CallError> {
        let item = self.get(key(pk_of_machine(machine), "SWEPT")).await?;
        item.map(|item| Reader { api: GET, item: &item }.time("at")).transpose()
    }

    pub(super) async fn set_watermark(&self, machine: &StateMachineArn, time: Timestamp) -> Result<(), CallError> {
        let mut item = key(pk_of_machine(machine), "SWEPT");
        item.insert("at".to_owned(), at(time));
        item.insert("expires".to_owned(), n(in_days(time, REMEMBERED_DAYS)));
        self.put(item).await
    }

    pub(super) async fn find_watch(&self) -> Result<Option<Watch>, CallError> {
        let Some(item) = self.get(key("ALERT#SWEEP", "WATCH")).await? else {
            return Ok(None);
        };
        let watch = watch_of(Reader { api: GET, item: &item });
        // The next one that is put makes it good. Without that no sweep would come to its end any more.
        Ok(watch
            .inspect_err(|error| tracing::error!(%error, "how far the sweep is cannot be read: it begins anew"))
            .ok())
    }

    /// It goes when the watermarks do: whoever begins to sweep again after that begins with what fails from then on.
    pub(super) async fn put_watch(&self, watch: &Watch, now: Timestamp) -> Result<(), CallError> {
        let mut item = key("ALERT#SWEEP", "WATCH");
        item.insert("prefix".to_owned(), s(&watch.prefix));
        item.insert("since".to_owned(), at(watch.since));
        item.insert("machine".to_owned(), s(&watch.last));
        item.insert("expires".to_owned(), n(in_days(now, REMEMBERED_DAYS)));
        self.put(item).await
    }

    async fn put(&self, item: Item) -> Result<(), CallError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| CallError::new(PUT, &error))
    }
}

fn watch_of(reader: Reader<'_>) -> Result<Watch, CallError> {
    Ok(Watch {
        prefix: reader.text("prefix")?.to_owned(),
        since: reader.time("since")?,
        last: reader.text("machine")?.to_owned(),
    })
}
