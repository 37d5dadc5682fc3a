//! What the tests of the lock share: the fleet with pipelines that take locks, in an account of its own.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEventType};
use futures_util::future::try_join_all;
use local_cloud::{Account, Cloud, Error, Execution, FunctionError, Stack, wait};
use serde_json::{Value, json};

use crate::lock_history::History;

/// Longest that a single step of a run may take on a busy machine.
pub const STEP_WITHIN: Duration = Duration::from_mins(1);

/// The fleet and the pipelines of `pipelines/locks.yaml`, in an account of its own.
#[derive(Debug, Clone)]
pub struct Locks {
    /// The account.
    pub account: Account,
    /// The name of the function `lock-acquire`.
    pub acquire: String,
    /// The name of the function `lock-release`.
    pub release: String,
    /// The name of the function `lock-admin`.
    pub admin: String,
    /// The fleet's table.
    pub table: String,
    pipelines: local_cloud::stack::Deployed,
}

/// What a run does, beside asking for its lock.
#[derive(Debug, Clone, Copy)]
pub struct Does {
    /// How long it works.
    pub seconds: f64,
    /// How often it fails then; a redrive goes on there.
    pub failures: u32,
    /// How long it works after that.
    pub more: f64,
    /// `release`, `end` (it leaves the release to its end) or `fail`.
    pub and_then: &'static str,
}

/// Works for a moment, and releases.
pub const BRIEFLY: Does = Does {
    seconds: 0.0,
    failures: 0,
    more: 0.0,
    and_then: "release",
};

/// Works until it is stopped.
pub const FOR_EVER: Does = Does {
    seconds: 100_000.0,
    ..BRIEFLY
};

impl Locks {
    /// Deploys the fleet with the default parameters.
    pub async fn deploy(test: &str) -> Result<Self, Error> {
        Self::of(test, Stack::fleet()).await
    }

    /// Deploys `fleet`, and the pipelines.
    pub async fn of(test: &str, fleet: Stack) -> Result<Self, Error> {
        Self::into(Cloud::shared().await?.account(test), fleet).await
    }

    /// The same into an account that is there, or updates what is deployed in it.
    pub async fn into(account: Account, fleet: Stack) -> Result<Self, Error> {
        // Their ends are of no interest here, and would take time.
        let fleet = account.deploy(fleet.parameter("Alerts", "false")).await?;
        let mut pipelines = Stack::new("locks", "tests/e2e/pipelines/locks.yaml");
        for function in ["LockAcquireFunctionArn", "LockReleaseFunctionArn"] {
            pipelines = pipelines.parameter(function, fleet.output(function)?);
        }
        Ok(Self {
            pipelines: account.deploy(pipelines).await?,
            acquire: fleet.output("LockAcquireFunctionName")?.to_owned(),
            release: fleet.output("LockReleaseFunctionName")?.to_owned(),
            admin: fleet.output("LockAdminFunctionName")?.to_owned(),
            table: fleet.output("TableName")?.to_owned(),
            account,
        })
    }

    /// The ARN of the state machine with this output name.
    pub fn machine(&self, name: &str) -> Result<&str, Error> {
        self.pipelines.output(name)
    }

    /// Starts a run of `machine`; `ask` is added to what it asks `lock-acquire`.
    pub async fn start(&self, machine: &str, name: &str, ask: Value, does: Does) -> Result<String, Error> {
        let input = json!({
            "ask": ask,
            "seconds": does.seconds,
            "failures": does.failures,
            "more": does.more,
            "andThen": does.and_then,
        });
        self.account.start_execution(self.machine(machine)?, name, &input).await
    }

    /// Starts a run of `Locked`.
    pub async fn run(&self, name: &str, ask: Value, does: Does) -> Result<String, Error> {
        self.start("Locked", name, ask, does).await
    }

    /// Starts a run of `Locked` that works for ever, and waits until it works.
    pub async fn holder(&self, name: &str, ask: Value) -> Result<String, Error> {
        let run = self.run(name, ask, FOR_EVER).await?;
        self.enters(&run, "Work").await?;
        Ok(run)
    }

    /// Starts a run of `Locked`, and waits until it waits for its lock.
    pub async fn waiter(&self, name: &str, ask: Value, does: Does) -> Result<String, Error> {
        let run = self.run(name, ask, does).await?;
        self.waits(&run).await?;
        Ok(run)
    }

    /// Waits until the run has entered a state.
    pub async fn enters(&self, run: &str, state: &str) -> Result<(), Error> {
        self.look(&format!("{} to enter {state}", name(run)), run, |history| {
            history.states().contains(&state)
        })
        .await
    }

    /// Waits until the run's `lock-acquire` has returned without having granted the lock.
    pub async fn waits(&self, run: &str) -> Result<(), Error> {
        self.look(&format!("{} to wait", name(run)), run, |history| {
            !history.times("Acquire", &HistoryEventType::TaskSubmitted).is_empty()
                && history.times("Acquire", &HistoryEventType::TaskSucceeded).is_empty()
        })
        .await
    }

    async fn look(&self, what: &str, run: &str, is_so: impl Fn(&History) -> bool) -> Result<(), Error> {
        wait::until(what, STEP_WITHIN, async || {
            let history = self.history(run).await.map_err(|error| error.to_string())?;
            match is_so(&history) {
                true => Ok(()),
                false => Err(format!(
                    "{}; failures: {:?}",
                    history.states().join(", "),
                    history.failures()
                )),
            }
        })
        .await
    }

    /// The run's history.
    pub async fn history(&self, run: &str) -> Result<History, Error> {
        History::of(&self.account, run).await
    }

    /// How often the run has entered a state.
    pub async fn entries(&self, run: &str, state: &str) -> Result<usize, Error> {
        Ok(self.history(run).await?.visits(state).len())
    }

    /// Waits until the run has ended.
    pub async fn ends(&self, run: &str) -> Result<Execution, Error> {
        self.account.wait_for_execution(run).await
    }

    /// Waits until the run has ended as it should.
    ///
    /// # Panics
    ///
    /// If it did not.
    pub async fn succeeds(&self, run: &str) -> Result<Execution, Error> {
        let ended = self.ends(run).await?;
        assert_eq!(ended.status, ExecutionStatus::Succeeded, "{ended:?}");
        Ok(ended)
    }

    /// Waits until the run has failed, with this error: what it failed with in words.
    ///
    /// # Panics
    ///
    /// If it did not, or with something else.
    pub async fn fails(&self, run: &str, error: &str) -> Result<String, Error> {
        let ended = self.ends(run).await?;
        assert_eq!(ended.status, ExecutionStatus::Failed, "{ended:?}");
        assert_eq!(ended.error.as_deref(), Some(error), "{ended:?}");
        Ok(ended.cause_message().unwrap_or_default())
    }

    /// Stops a run, and waits until it has ended.
    pub async fn stop(&self, run: &str) -> Result<Execution, Error> {
        self.account.stop_execution(run, "Test.Stopped", "by the test").await?;
        self.ends(run).await
    }

    /// Redrives a run.
    pub async fn redrive(&self, run: &str) -> Result<(), Error> {
        self.account.redrive_execution(run).await
    }

    /// Asks `lock-admin`, as `by` and for a `reason` if the request names none.
    pub async fn operate(&self, mut request: Value) -> Result<Value, FunctionError> {
        if request["action"] != "list" {
            for (field, default) in [("by", "sam"), ("reason", "a test")] {
                if request.get(field).is_none() {
                    request[field] = json!(default);
                }
            }
        }
        self.account.invoke(&self.admin, &request).await
    }

    /// The lock as `lock-admin` lists it.
    pub async fn list(&self, lock: &str) -> Result<Value, FunctionError> {
        self.operate(json!({"action": "list", "lock": lock})).await
    }

    /// The names of the runs that hold the lock, longest first.
    pub async fn holders(&self, lock: &str) -> Result<Vec<String>, FunctionError> {
        Ok(names_in(&self.list(lock).await?["holders"]))
    }

    /// The names of the runs that wait for the lock, in order.
    pub async fn waiters(&self, lock: &str) -> Result<Vec<String>, FunctionError> {
        Ok(names_in(&self.list(lock).await?["waiters"]))
    }

    /// The fence of the run that holds the lock.
    pub async fn fence(&self, lock: &str) -> Result<i64, FunctionError> {
        Ok(self.list(lock).await?["holders"][0]["fence"]
            .as_i64()
            .unwrap_or_default())
    }

    /// Waits until exactly these hold the lock, in any order.
    pub async fn held_by(&self, lock: &str, runs: &[&str]) -> Result<(), Error> {
        let mut expected: Vec<String> = runs.iter().map(|run| name(run).to_owned()).collect();
        expected.sort();
        wait::until(&format!("{lock} to be held by {expected:?}"), STEP_WITHIN, async || {
            let mut holders = self.holders(lock).await.map_err(|error| error.to_string())?;
            holders.sort();
            match holders == expected {
                true => Ok(()),
                false => Err(format!("{holders:?}")),
            }
        })
        .await
    }

    /// Sweeps, as the schedule does.
    pub async fn sweep(&self) -> Result<Value, FunctionError> {
        self.account.invoke(&self.release, &json!({"sweep": true})).await
    }

    /// Releases by hand what a run holds.
    pub async fn release_for(&self, lock: &str, run: &str) -> Result<Value, FunctionError> {
        let request = json!({"lock": lock, "executionArn": run});
        self.account.invoke(&self.release, &request).await
    }
}

/// An item of the fleet's table.
pub type Item = HashMap<String, AttributeValue>;

/// What DynamoDB takes in one batch.
const BATCH: usize = 25;

/// Batches that are written at a time.
const BATCHES_AT_ONCE: usize = 8;

/// The table itself, for what no function would do.
impl Locks {
    /// An item.
    pub async fn item(&self, pk: &str, sk: &str) -> Result<Item, Error> {
        let got = self
            .account
            .dynamodb()
            .get_item()
            .table_name(&self.table)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .consistent_read(true);
        let got = got.send().await.map_err(failed("DynamoDB.GetItem"))?;
        Ok(got.item.unwrap_or_default())
    }

    /// The lock's own item.
    pub async fn head(&self, lock: &str) -> Result<Item, Error> {
        self.item(&format!("LOCK#{lock}"), "HEAD").await
    }

    /// What the run wants of the lock.
    pub async fn owner(&self, lock: &str, run: &str) -> Result<Item, Error> {
        self.item(&format!("RUN#{run}"), &format!("HOLD##{lock}")).await
    }

    /// The entries of the lock's holders.
    pub async fn entries_of(&self, lock: &str) -> Result<Vec<Item>, Error> {
        let head = self.head(lock).await?;
        let holders = head.get("holders").and_then(|holders| holders.as_m().ok());
        let entries = holders.into_iter().flat_map(HashMap::values);
        Ok(entries.filter_map(|entry| entry.as_m().ok().cloned()).collect())
    }

    /// Makes every grant of the lock older, so that a test need not wait until it has settled.
    pub async fn age(&self, lock: &str, by: Duration) -> Result<(), Error> {
        let mut head = self.head(lock).await?;
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        if let Some(AttributeValue::M(holders)) = head.get_mut("holders") {
            for entry in holders.values_mut() {
                let AttributeValue::M(entry) = entry else { continue };
                let at = number(entry, "at") - by;
                entry.insert("at".to_owned(), AttributeValue::N(at.to_string()));
            }
        }
        self.put(vec![head]).await
    }

    /// Writes items.
    pub async fn put(&self, items: Vec<Item>) -> Result<(), Error> {
        let mut batches = Vec::new();
        for batch in items.chunks(BATCH) {
            let mut requests = Vec::new();
            for item in batch {
                let put = PutRequest::builder().set_item(Some(item.clone())).build();
                let put = put.map_err(failed("DynamoDB.BatchWriteItem"))?;
                requests.push(WriteRequest::builder().put_request(put).build());
            }
            batches.push(requests);
        }
        for some in batches.chunks(BATCHES_AT_ONCE) {
            let writes = some.iter().map(|requests| {
                let call = self.account.dynamodb().batch_write_item();
                call.request_items(&self.table, requests.clone()).send()
            });
            try_join_all(writes).await.map_err(failed("DynamoDB.BatchWriteItem"))?;
        }
        Ok(())
    }
}

/// A text in an item.
#[must_use]
pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A number of an item; 0 if there is none.
#[must_use]
pub fn number(item: &Item, field: &str) -> i64 {
    let number = item.get(field).and_then(|value| value.as_n().ok());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

pub(crate) fn failed<E: std::fmt::Debug>(call: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Aws {
        call,
        message: format!("{error:?}"),
    }
}

/// The name of an execution.
#[must_use]
pub fn name(run: &str) -> &str {
    run.rsplit(':').next().unwrap_or(run)
}

fn names_in(list: &Value) -> Vec<String> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .map(|entry| name(entry["executionArn"].as_str().unwrap_or_default()).to_owned())
        .collect()
}
