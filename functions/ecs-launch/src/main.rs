//! Wiring of the function `ecs-launch`.

use ecs_launch::EcsLaunch;
use signalbox::config::Environment;
use signalbox::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    let launch = EcsLaunch::on_aws(&Environment::of_process())?;
    runtime::serve("ecs-launch", launch).await
}
