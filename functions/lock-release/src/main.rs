//! Wiring of the function `lock-release`.

use lock_release::LockRelease;
use signalbox::config::{Environment, STOP_WITHOUT_LOCK};
use signalbox::{lock, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let environment = Environment::of_process();
    let may_stop = environment.flag(STOP_WITHOUT_LOCK)?;
    let release = LockRelease(lock::on_aws(&environment, may_stop)?);
    runtime::serve("lock-release", release).await
}
