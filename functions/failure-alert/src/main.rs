//! Wiring of the function `failure-alert`.

use failure_alert::FailureAlert;
use signalbox::config::Environment;
use signalbox::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let alerts = FailureAlert::on_aws(&Environment::of_process())?;
    runtime::serve("failure-alert", alerts).await
}
