//! How far the sweep has come.

use signalbox::arn::StateMachineArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Item, Reader, at, in_days, key, n, s};

use super::{DynamoStore, GET, PUT, REMEMBERED_DAYS, pk_of_machine};

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

    pub(super) async fn last_swept(&self) -> Result<Option<String>, CallError> {
        let item = self.get(key("ALERT#SWEEP", "CURSOR")).await?;
        item.map(|item| Reader { api: GET, item: &item }.text("machine").map(str::to_owned))
            .transpose()
    }

    pub(super) async fn set_last_swept(&self, machine: &StateMachineArn) -> Result<(), CallError> {
        let mut item = key("ALERT#SWEEP", "CURSOR");
        item.insert("machine".to_owned(), s(machine.as_str()));
        self.put(item).await
    }

    async fn put(&self, item: Item) -> Result<(), CallError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| CallError::new(PUT, &error))
    }
}
