//! Wiring of the function `lock-acquire`.

use lock_acquire::LockAcquire;
use signalbox::config::{ALLOW_STOP_EXECUTION, Environment, PIPELINE_NAME_PREFIX};
use signalbox::{lock, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let environment = Environment::of_process();
    let may_stop = environment.flag(ALLOW_STOP_EXECUTION)?;
    let acquire = LockAcquire {
        prefix: environment.get(PIPELINE_NAME_PREFIX).unwrap_or_default().to_owned(),
        locks: lock::on_aws(&environment, may_stop)?,
    };
    runtime::serve("lock-acquire", acquire).await
}
