//! Wiring of the function `resume`.

use resume::ResumeFunction;
use signalbox::config::Environment;
use signalbox::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let resume = ResumeFunction::on_aws(&Environment::of_process())?;
    runtime::serve("resume", resume).await
}
