//! Wiring of the function `overlap-guard`.

use overlap_guard::OverlapGuard;
use overlap_guard::executions::SfnExecutions;
use overlap_guard::store::DynamoStore;
use signalbox::clock::SystemClock;
use signalbox::config::{ALLOW_STOP_EXECUTION, Environment, TABLE_NAME};
use signalbox::{aws, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let environment = Environment::of_process();
    let config = aws::shared_config(&environment);
    let guard = OverlapGuard {
        store: DynamoStore::new(aws::dynamodb(&config), environment.required(TABLE_NAME)?),
        executions: SfnExecutions::new(aws::sfn(&config)),
        clock: SystemClock,
        may_stop: environment.flag(ALLOW_STOP_EXECUTION)?,
    };
    runtime::serve("overlap-guard", guard).await
}
