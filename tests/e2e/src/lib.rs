//! What the end-to-end tests share: the fleet with the pipelines under test, in an account of its own.

use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use local_cloud::{Account, Cloud, Error, Execution, Stack, wait};
use serde_json::{Value, json};

/// Longest that a run may take to have its verdict: the guard waits for up to 27 seconds, and the pipeline may retry.
pub const VERDICT_WITHIN: Duration = Duration::from_secs(90);

/// Longer than any test runs.
pub const FOR_EVER: u32 = 100_000;

/// The fleet and the pipelines of `pipelines/`, in an account of its own.
pub struct Fleet {
    /// The account.
    pub account: Account,
    /// The guard's function name.
    pub guard: String,
    /// The fleet's table.
    pub table: String,
    pipelines: local_cloud::stack::Deployed,
}

impl Fleet {
    /// Deploys the fleet with the default parameters, except that executions may be stopped.
    pub async fn deploy(test: &str) -> Result<Self, Error> {
        Self::of(test, Stack::fleet().parameter("AllowStopExecution", "true")).await
    }

    /// Deploys `fleet`, and the pipelines.
    pub async fn of(test: &str, fleet: Stack) -> Result<Self, Error> {
        const GUARD: &str = "OverlapGuardFunctionArn";
        let account = Cloud::shared().await?.account(test);
        // Their ends are of no interest here, and would take time.
        let fleet = account.deploy(fleet.parameter("Alerts", "false")).await?;
        let pipelines = Stack::new("pipelines", "tests/e2e/pipelines/template.yaml");
        let pipelines = account.deploy(pipelines.parameter(GUARD, fleet.output(GUARD)?)).await?;
        Ok(Self {
            guard: fleet.output("OverlapGuardFunctionName")?.to_owned(),
            table: fleet.output("TableName")?.to_owned(),
            account,
            pipelines,
        })
    }

    /// The ARN of the state machine with this output name: `Guarded`, `Neighbour`, `Quiet`, `Express`.
    pub fn machine(&self, name: &str) -> Result<&str, Error> {
        self.pipelines.output(name)
    }

    /// Starts a run of `machine` that works for `seconds`; `guard` is added to its question.
    pub async fn start(&self, machine: &str, name: &str, seconds: u32, guard: Value) -> Result<String, Error> {
        let input = json!({"seconds": seconds, "guard": guard});
        self.account.start_execution(self.machine(machine)?, name, &input).await
    }

    /// Starts a run and waits until it has its verdict.
    pub async fn ask(&self, machine: &str, name: &str, seconds: u32, guard: Value) -> Result<Asked, Error> {
        let run = self.start(machine, name, seconds, guard).await?;
        self.verdict(&run).await
    }

    /// Waits until the run has its verdict.
    pub async fn verdict(&self, run: &str) -> Result<Asked, Error> {
        let what = format!("the verdict on {run}");
        wait::until(&what, VERDICT_WITHIN, async || {
            let execution = self.account.execution(run).await.map_err(|error| error.to_string())?;
            let seen = self.visited(run).await.map_err(|error| error.to_string())?;
            let asked = Asked {
                worked: seen.iter().any(|state| state == "Work" || state == "Load orders"),
                skipped: seen.iter().any(|state| state == "Skipped"),
                execution,
            };
            match asked.worked || asked.execution.ended() {
                true => Ok(asked),
                false => Err(format!("{} in {}", asked.execution.status, seen.join(", "))),
            }
        })
        .await
    }

    /// The names of the states that the run entered, in order.
    pub async fn visited(&self, run: &str) -> Result<Vec<String>, Error> {
        let mut pages = self
            .account
            .sfn()
            .get_execution_history()
            .execution_arn(run)
            .into_paginator()
            .items()
            .send();
        let mut names = Vec::new();
        while let Some(event) = pages.next().await {
            let event = event.map_err(lock::failed("States.GetExecutionHistory"))?;
            names.extend(event.state_entered_event_details.map(|details| details.name));
        }
        Ok(names)
    }

    /// Stops a run, and waits until it has ended.
    pub async fn stop(&self, run: &str) -> Result<Execution, Error> {
        let stopped = self.account.sfn().stop_execution().execution_arn(run).send().await;
        stopped.map_err(lock::failed("States.StopExecution"))?;
        self.account.wait_for_execution(run).await
    }

    /// Asks the guard directly, as a person would.
    pub async fn invoke(&self, request: &Value) -> Result<Value, local_cloud::FunctionError> {
        self.account.invoke(&self.guard, request).await
    }
}

/// A run that has its verdict.
#[derive(Debug)]
pub struct Asked {
    /// How the execution stands.
    pub execution: Execution,
    /// Whether it went through, to its work.
    pub worked: bool,
    /// Whether it was answered `proceed: false`.
    pub skipped: bool,
}

impl Asked {
    /// Whether it was refused with `OverlapGuard.Overlapping`, before any work.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.execution.status == ExecutionStatus::Failed
            && self.execution.error.as_deref() == Some("OverlapGuard.Overlapping")
            && !self.worked
    }

    /// The sentence that the Step Functions console shows.
    #[must_use]
    pub fn says(&self) -> String {
        self.execution.cause_message().unwrap_or_default()
    }
}

pub mod alert_storm;
pub mod alerts;
pub mod bench;
pub mod clones;
pub mod ecs;
pub mod ecs_bench;
pub mod ecs_storm;
pub mod lock;
pub mod lock_history;
pub mod lock_storm;
pub mod policies;
pub mod processes;
pub mod resume;
pub mod runtime_api;
pub mod samples;
pub mod soak;
pub mod storm;
