//! The example `warehouse`: what its README says of redrives.

use aws_sdk_sfn::types::ExecutionStatus;
use e2e::lock::STEP_WITHIN;
use e2e::lock_history::History;
use local_cloud::{Account, Cloud, Error, Execution, seed, wait};
use serde_json::{Value, json};

type Tested = Result<(), Error>;

/// The example in an account of its own.
struct Warehouse {
    account: Account,
    import: String,
    report: String,
}

impl Warehouse {
    async fn deploy(test: &str) -> Result<Self, Error> {
        let account = Cloud::shared().await?.account(test);
        let fleet = seed::fleet(&account).await?;
        let example = seed::warehouse(&account, &fleet).await?;
        Ok(Self {
            import: seed::stock_import_machine(&example)?.to_owned(),
            report: seed::stock_report_machine(&example)?.to_owned(),
            account,
        })
    }

    /// Runs a pipeline to its end.
    async fn run(&self, machine: &str, name: &str, input: Value) -> Result<Execution, Error> {
        let run = self.account.start_execution(machine, name, &input).await?;
        self.account.wait_for_execution(&run).await
    }

    async fn redrive(&self, run: &Execution) -> Result<Execution, Error> {
        self.account.redrive_execution(&run.arn).await?;
        self.account.wait_for_execution(&run.arn).await
    }

    /// How often the run entered a state.
    async fn entries(&self, run: &Execution, state: &str) -> Result<usize, Error> {
        Ok(History::of(&self.account, &run.arn).await?.visits(state).len())
    }

    /// How many states the runs of `stock-count` entered since this was asked last.
    async fn counted(&self) -> Result<u64, Error> {
        let usage = self.account.usage().await?;
        self.account.reset_usage().await?;
        Ok(usage.transitions.get("stock-count").copied().unwrap_or_default())
    }
}

#[tokio::test]
async fn an_import_that_failed_is_not_redriven_into_its_work() -> Tested {
    let warehouse = Warehouse::deploy("import").await?;
    let input = json!({"seconds": 0, "fail": true});
    let failed = warehouse.run(&warehouse.import, "fails", input).await?;
    assert_eq!(failed.error.as_deref(), Some("Stock.DoesNotFit"), "{failed:?}");
    // It gave the warehouse back.
    let next = warehouse.run(&warehouse.import, "next", json!({"seconds": 0})).await?;
    assert!(next.succeeded(), "{next:?}");

    let again = warehouse.redrive(&failed).await?;
    assert_eq!(again.error.as_deref(), Some("Stock.DoesNotFit"), "{again:?}");
    assert_eq!(warehouse.entries(&again, "Move stock").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_report_that_failed_is_redriven_with_the_warehouse_or_not_at_all() -> Tested {
    let warehouse = Warehouse::deploy("report").await?;
    let input = json!({"seconds": 0, "fail": true});
    let failed = warehouse.run(&warehouse.report, "fails", input).await?;
    assert_eq!(failed.status, ExecutionStatus::Failed, "{failed:?}");
    assert_eq!(warehouse.counted().await?, 4);

    // The warehouse is free: the work is done again, and fails again, as its input says.
    let redriven = warehouse.redrive(&failed).await?;
    assert_eq!(redriven.status, ExecutionStatus::Failed, "{redriven:?}");
    assert_eq!(warehouse.counted().await?, 4);

    let input = json!({"seconds": 100_000});
    let import = warehouse
        .account
        .start_execution(&warehouse.import, "holds", &input)
        .await?;
    let import = warehouse.account.execution(&import).await?;
    wait::until("the import to move stock", STEP_WITHIN, async || {
        match warehouse.entries(&import, "Move stock").await {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    let stopped = warehouse.redrive(&redriven).await?;
    let says = format!("{:?} {:?}", stopped.error, stopped.cause);
    assert!(says.contains("Lock.LostOnRedrive"), "{stopped:?}");
    // At most the question whether the warehouse is its own.
    assert!(warehouse.counted().await? <= 1);
    assert!(!warehouse.account.execution(&import.arn).await?.ended());
    Ok(())
}
