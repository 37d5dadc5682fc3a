//! Wiring of the function `ecs-settle`.

use ecs_settle::EcsSettle;
use signalbox::config::Environment;
use signalbox::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let settle = EcsSettle::on_aws(&Environment::of_process())?;
    runtime::serve("ecs-settle", settle).await
}
