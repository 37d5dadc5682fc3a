//! Wiring of the function `overlap-guard`.

use overlap_guard::OverlapGuard;
use overlap_guard::store::DynamoRecords;
use signalbox::clock::SystemClock;
use signalbox::config::{ALLOW_STOP_EXECUTION, Environment, TABLE_NAME};
use signalbox::executions::SfnExecutions;
use signalbox::lock::DynamoLocks;
use signalbox::pipeline::DynamoClones;
use signalbox::{aws, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let environment = Environment::of_process();
    let config = aws::shared_config(&environment);
    let (dynamodb, table) = (aws::dynamodb(&config), environment.required(TABLE_NAME)?);
    let guard = OverlapGuard {
        records: DynamoRecords::new(dynamodb.clone(), table.clone()),
        claims: DynamoLocks::new(dynamodb.clone(), table.clone()),
        clones: DynamoClones::new(dynamodb, table),
        executions: SfnExecutions::new(aws::sfn(&config)),
        clock: SystemClock,
        may_stop: environment.flag(ALLOW_STOP_EXECUTION)?,
    };
    runtime::serve("overlap-guard", guard).await
}
