//! Wiring of the function `lock-admin`.

use lock_admin::LockAdmin;
use signalbox::config::Environment;
use signalbox::{lock, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let environment = Environment::of_process();
    let admin = LockAdmin(lock::on_aws(&environment, false)?);
    runtime::serve("lock-admin", admin).await
}
