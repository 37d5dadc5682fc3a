//! Wiring of the function `ecs-result`.

use ecs_result::EcsResult;
use signalbox::config::Environment;
use signalbox::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let result = EcsResult::on_aws(&Environment::of_process())?;
    runtime::serve("ecs-result", result).await
}
