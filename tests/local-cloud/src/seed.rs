//! What `cargo cloud` has ready: the fleet, the examples, and a few executions to look at.

use std::time::Duration;

use aws_sdk_sfn::types::HistoryEventType;
use serde_json::{Value, json};

use crate::{Account, Deployed, Error, Execution, Stack, account::aws, wait};

/// How long a seeded execution may take to get where it should be.
const SEEDED_WITHIN: Duration = Duration::from_secs(30);

/// What was put into an account.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// The fleet's stack.
    pub fleet: Deployed,
    /// The examples' stacks.
    pub examples: Vec<Deployed>,
    /// The executions, as they stand.
    pub executions: Vec<Execution>,
}

/// Deploys the fleet, with all of its policies switched on.
pub async fn fleet(account: &Account) -> Result<Deployed, Error> {
    account
        .deploy(Stack::fleet().parameter("AllowStopExecution", "true"))
        .await
}

/// Deploys the example `orders-nightly`, with the fleet's guard.
pub async fn orders_nightly(account: &Account, fleet: &Deployed) -> Result<Deployed, Error> {
    const GUARD: &str = "OverlapGuardFunctionArn";
    account
        .deploy(Stack::example("orders-nightly").parameter(GUARD, fleet.output(GUARD)?))
        .await
}

/// The state machine of the example `orders-nightly`.
pub fn orders_nightly_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("OrdersNightlyStateMachineArn")
}

/// The example's input.
#[must_use]
pub fn orders_nightly_input() -> Value {
    json!({"date": "2026-01-31"})
}

/// Deploys the pipelines that never ask the guard by themselves: the sample events ask for their runs.
pub async fn quiet_pipelines(account: &Account) -> Result<Deployed, Error> {
    account
        .deploy(Stack::new("seeds", "tests/local-cloud/seeds/template.yaml"))
        .await
}

/// Starts the executions that `events/` speaks of: of `orders-nightly` one that runs for an hour, and one that the guard
/// refuses because of it; of the quiet pipelines some that run for a day.
pub async fn executions(
    account: &Account,
    orders_nightly: &Deployed,
    quiet: &Deployed,
) -> Result<Vec<Execution>, Error> {
    let machine = orders_nightly_machine(orders_nightly)?;
    let mut long = orders_nightly_input();
    long["seconds"] = json!(3600);
    let first = account.start_execution(machine, "first", &long).await?;
    past_the_guard(account, &first).await?;
    let second = account
        .start_execution(machine, "second", &orders_nightly_input())
        .await?;
    let second = account.wait_for_execution_within(&second, SEEDED_WITHIN).await?;
    let mut seeded = vec![account.execution(&first).await?, second];
    for (output, name) in [
        ("OrdersReportStateMachineArn", "report-1"),
        ("OrdersReportStateMachineArn", "report-2"),
        ("OrdersReportStateMachineArn", "report-3"),
        ("OrdersRestoreStateMachineArn", "restore-1"),
        ("OrdersImportStateMachineArn", "import-1"),
        ("OrdersImportStateMachineArn", "import-2"),
        ("OrdersAuditStateMachineArn", "audit-1"),
        ("OrdersFamilyStateMachineArn", "family-1"),
        ("OrdersFamilyStateMachineArn", "family-2"),
    ] {
        let run = account.start_execution(quiet.output(output)?, name, &json!({})).await?;
        seeded.push(account.execution(&run).await?);
    }
    Ok(seeded)
}

/// Waits until an execution has left its first state, which is the guard.
async fn past_the_guard(account: &Account, arn: &str) -> Result<(), Error> {
    wait::until(
        "the first seeded execution to pass the guard",
        SEEDED_WITHIN,
        async || {
            let history = account.sfn().get_execution_history().execution_arn(arn).send().await;
            let events = history
                .map_err(aws("States.GetExecutionHistory"))
                .map_err(|error| error.to_string())?
                .events;
            let last = events.last().map_or("no event", |event| event.r#type.as_str());
            let passed = events
                .iter()
                .any(|event| event.r#type == HistoryEventType::TaskStateExited);
            if passed {
                Ok(())
            } else {
                Err(format!("{} events, the last is {last}", events.len()))
            }
        },
    )
    .await
}

/// All of it.
pub async fn seed(account: &Account) -> Result<Seeds, Error> {
    let fleet = fleet(account).await?;
    let example = orders_nightly(account, &fleet).await?;
    let quiet = quiet_pipelines(account).await?;
    let executions = executions(account, &example, &quiet).await?;
    Ok(Seeds {
        fleet,
        examples: vec![example, quiet],
        executions,
    })
}
