//! Many guarded runs start at the same moment: exactly one survives.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use local_cloud::{Error, Fault, wait};
use serde_json::json;

use crate::{Asked, FOR_EVER, Fleet};

/// What a storm is made harder by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// `ListExecutions` answers as of five seconds ago.
    StaleList,
    /// Three of ten calls to the table are throttled.
    ThrottledTable,
}

/// How a storm ended.
#[derive(Debug)]
pub struct Outcome {
    /// Runs that went through.
    pub survived: Vec<String>,
    /// Runs that were refused by name.
    pub refused: usize,
    /// Runs that had no verdict in time, with their error. Only a throttled table can cause them.
    pub undecided: Vec<String>,
    /// From the first start to the last verdict.
    pub took: Duration,
}

/// Starts `runs` runs at once, in an account of its own, and waits until each has its verdict.
pub async fn storm(name: &str, runs: usize, weather: Weather) -> Result<Outcome, Error> {
    let fleet = Fleet::deploy(name).await?;
    let fault = match weather {
        Weather::Fair => None,
        Weather::StaleList => Some(Fault::stale("States.ListExecutions", Duration::from_secs(5))),
        Weather::ThrottledTable => Some(Fault::throttle("DynamoDB.*").rate(0.3).from_functions()),
    };
    let fault = match fault {
        Some(fault) => Some(fleet.account.fault(fault).await?),
        None => None,
    };
    #[allow(clippy::disallowed_methods, reason = "says how long it took, decides nothing")]
    let began = Instant::now();
    let names: Vec<String> = (0..runs).map(|n| format!("run-{n}")).collect();
    let fleet = &fleet;
    let starts = names
        .iter()
        .map(|name| fleet.start("Guarded", name, FOR_EVER, json!({})));
    let arns = try_join_all(starts).await?;
    let asked = settled(fleet, &arns).await?;
    let took = began.elapsed();
    if let Some(fault) = &fault
        && fault.hits().await? == 0
    {
        return Err(Error::Unexpected {
            from: "the local cloud".to_owned(),
            reason: format!("{weather:?} struck no call"),
        });
    }
    let mut outcome = Outcome {
        survived: Vec::new(),
        refused: 0,
        undecided: Vec::new(),
        took,
    };
    for run in asked {
        if run.worked {
            outcome.survived.push(run.execution.name);
        } else if run.refused() {
            outcome.refused += 1;
        } else {
            outcome
                .undecided
                .push(format!("{}: {:?}", run.execution.name, run.execution.error));
        }
    }
    Ok(outcome)
}

/// Waits until no run but those at work is left, then looks at each once.
async fn settled(fleet: &Fleet, arns: &[String]) -> Result<Vec<Asked>, Error> {
    let machine = fleet.machine("Guarded")?;
    wait::until("every run to have its verdict", Duration::from_mins(4), async || {
        let mut running = Vec::new();
        let mut pages = fleet
            .account
            .sfn()
            .list_executions()
            .state_machine_arn(machine)
            .status_filter(aws_sdk_sfn::types::ExecutionStatus::Running)
            .into_paginator()
            .items()
            .send();
        while let Some(run) = pages.next().await {
            running.push(run.map_err(|error| format!("{error:?}"))?.execution_arn);
        }
        for run in &running {
            let states = fleet.visited(run).await.map_err(|error| error.to_string())?;
            if !states.iter().any(|state| state == "Work") {
                return Err(format!("{} still run, {run} has no verdict", running.len()));
            }
        }
        Ok(())
    })
    .await?;
    try_join_all(arns.iter().map(|run| fleet.verdict(run))).await
}
