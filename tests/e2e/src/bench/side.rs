//! One of the two that are compared, in an account of its own.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use futures_util::future::try_join_all;
use local_cloud::{Account, Cloud, Deployed, Error, Fault, Stack, Usage, wait};
use serde_json::json;
use signalbox::arn::ExecutionArn;
use signalbox::lock::DynamoLocks;
use signalbox::lock::key::Place;
use signalbox::lock::store::Owners;

use super::timing::Run;
use crate::FOR_EVER;

/// The lock that all runs want.
pub const LOCK: &str = "warehouse";

/// How long something may take that takes a moment.
const SOON: Duration = Duration::from_mins(1);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Signalbox's lock.
    Lock,
    /// The semaphore that is polled.
    Polling,
}

impl Kind {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Polling => "polling",
        }
    }
}

/// A pipeline, and what it needs.
#[derive(Debug)]
pub struct Side {
    /// Which of the two.
    pub kind: Kind,
    /// Its account.
    pub account: Account,
    pipeline: String,
    fleet: Option<Deployed>,
}

impl Side {
    /// Deploys it.
    pub async fn deploy(cloud: &Cloud, scenario: &str, kind: Kind) -> Result<Self, Error> {
        let account = cloud.account(&format!("{scenario}, {}", kind.name()));
        let (fleet, stack) = match kind {
            Kind::Polling => (None, Stack::new("bench", "tests/e2e/bench/polling.yaml")),
            Kind::Lock => {
                let fleet = account.deploy(Stack::fleet().parameter("Alerts", "false")).await?;
                let mut stack = Stack::new("bench", "tests/e2e/bench/lock.yaml");
                for function in ["LockAcquireFunctionArn", "LockReleaseFunctionArn"] {
                    stack = stack.parameter(function, fleet.output(function)?);
                }
                (Some(fleet), stack)
            }
        };
        let pipeline = account.deploy(stack).await?.output("Pipeline")?.to_owned();
        Ok(Self {
            kind,
            account,
            pipeline,
            fleet,
        })
    }

    /// Changes numbers of the lock's HEAD, behind the fleet's back.
    pub async fn tamper(&self, expression: &str, by: u64) -> Result<(), Error> {
        let s = |text: &str| AttributeValue::S(text.to_owned());
        let update = self
            .account
            .dynamodb()
            .update_item()
            .table_name(self.fleet("TableName")?);
        let update = update
            .key("pk", s(&format!("LOCK#{LOCK}")))
            .key("sk", s("HEAD"))
            .update_expression(expression)
            .expression_attribute_values(":by", AttributeValue::N(by.to_string()));
        let updated = update.send().await;
        updated.map(drop).map_err(|error| failed("DynamoDB.UpdateItem", &error))
    }

    /// Sweeps once, as the schedule does each minute.
    pub async fn sweep(&self) -> Result<(), Error> {
        let function = self.fleet("LockReleaseFunctionName")?;
        let swept = self.account.invoke(function, &json!({"sweep": true})).await;
        swept.map(drop).map_err(|error| Error::Refused {
            call: "the sweep".to_owned(),
            message: error.to_string(),
        })
    }

    /// The fleet's table, as its functions see it.
    pub fn store(&self) -> Result<DynamoLocks, Error> {
        let table = self.fleet("TableName")?.to_owned();
        Ok(DynamoLocks::new(self.account.dynamodb().clone(), table))
    }

    /// An output of the fleet; the semaphore has none.
    pub fn fleet(&self, output: &str) -> Result<&str, Error> {
        match &self.fleet {
            Some(fleet) => fleet.output(output),
            None => Err(Error::NoOutput {
                stack: "signalbox".to_owned(),
                output: output.to_owned(),
                present: "none, as it is not deployed".to_owned(),
            }),
        }
    }

    /// Starts a run that works for `seconds` when it has the lock.
    pub async fn start(&self, name: &str, seconds: u32) -> Result<String, Error> {
        self.start_on(LOCK, name, seconds).await
    }

    async fn start_on(&self, lock: &str, name: &str, seconds: u32) -> Result<String, Error> {
        let input = json!({"lock": lock, "seconds": seconds});
        self.account.start_execution(&self.pipeline, name, &input).await
    }

    /// Lets each function have its processes before anything is measured: as many as `runs` at once need. On AWS they start
    /// side by side; here they would share the cores with what is measured.
    pub async fn warm_up(&self, runs: usize) -> Result<(), Error> {
        let names: Vec<String> = (1..=runs).map(|number| format!("warm-up-{number}")).collect();
        // Each has a lock of its own, and the event of its end does nothing: sixty acquire, one releases.
        let quiet = self.account.fault(Fault::drop_events()).await?;
        let arns = try_join_all(names.iter().map(|name| self.start_on(name, name, FOR_EVER))).await?;
        for arn in &arns {
            self.until_at_work(arn).await?;
            self.account
                .stop_execution(arn, "Bench.Over", "it was a warm-up")
                .await?;
        }
        quiet.clear().await?;
        let last = self.start_on("warm-up", "warm-up", 0).await?;
        self.account.wait_for_execution_within(&last, SOON).await?;
        self.settled_usage().await.map(drop)
    }

    /// A run, by its history.
    pub async fn run(&self, arn: &str) -> Result<Run, Error> {
        let pages = self.account.sfn().get_execution_history().execution_arn(arn);
        let mut pages = pages.include_execution_data(false).into_paginator().items().send();
        let mut history = Vec::new();
        while let Some(event) = pages.next().await {
            history.push(event.map_err(|error| failed("States.GetExecutionHistory", &error))?);
        }
        Ok(Run::of(&history))
    }

    /// Waits until a run is as it should be.
    pub async fn until(
        &self,
        arn: &str,
        what: &str,
        within: Duration,
        met: impl Fn(&Run) -> bool,
    ) -> Result<Run, Error> {
        wait::until(what, within, async || {
            let run = self.run(arn).await.map_err(|error| error.to_string())?;
            if met(&run) { Ok(run) } else { Err(format!("{run:?}")) }
        })
        .await
    }

    /// Waits until a run is in the queue.
    pub async fn until_queued(&self, arn: &str) -> Result<Run, Error> {
        self.until(arn, "the run to be in the queue", SOON, Run::is_queued)
            .await
    }

    /// Waits until a run is at work.
    pub async fn until_at_work(&self, arn: &str) -> Result<Run, Error> {
        self.until(arn, "the run to be at work", SOON, |run| run.entered.is_some())
            .await
    }

    /// The place in the queue that a run was given; none if it never had to queue.
    pub async fn place(&self, arn: &str) -> Result<Option<Place>, Error> {
        let run = ExecutionArn::parse(arn).map_err(|error| unexpected(&error))?;
        let owned = self.store()?.owned_by(&run).await;
        let owned = owned.map_err(|error| failed("DynamoDB.Query", &error))?;
        Ok(owned.into_iter().find_map(|owner| owner.place))
    }

    /// The runs that have not ended.
    pub async fn running(&self) -> Result<Vec<String>, Error> {
        let pages = self.account.sfn().list_executions().state_machine_arn(&self.pipeline);
        let pages = pages.status_filter(ExecutionStatus::Running).max_results(1000);
        let mut pages = pages.into_paginator().items().send();
        let mut running = Vec::new();
        while let Some(run) = pages.next().await {
            running.push(
                run.map_err(|error| failed("States.ListExecutions", &error))?
                    .execution_arn,
            );
        }
        Ok(running)
    }

    /// What was used since the last reset, when nothing is used any more: the events of ends are handled in batches that
    /// are waited for.
    pub async fn settled_usage(&self) -> Result<Usage, Error> {
        const QUIET: Duration = Duration::from_secs(2);
        let mut before = self.account.usage().await?;
        wait::until("nothing more to be used", SOON, async || {
            pause(QUIET).await;
            let now = self.account.usage().await.map_err(|error| error.to_string())?;
            match now == before {
                true => Ok(now),
                false => Err(format!("{:?}", std::mem::replace(&mut before, now))),
            }
        })
        .await
    }
}

/// Lets real time pass.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What cannot be, unless the benchmark is wrong.
pub(super) fn unexpected(error: &(impl std::fmt::Display + ?Sized)) -> Error {
    Error::Unexpected {
        from: "the benchmark itself".to_owned(),
        reason: error.to_string(),
    }
}

/// An SDK error of the harness.
pub(super) fn failed(call: &'static str, error: &(impl std::fmt::Debug + ?Sized)) -> Error {
    Error::Aws {
        call,
        message: format!("{error:?}"),
    }
}
