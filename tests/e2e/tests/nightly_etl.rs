//! The example `nightly-etl`: what its README says of its container.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::ecs::STEP_WITHIN;
use e2e::lock_history::History;
use local_cloud::container::{Stage, total};
use local_cloud::{Account, Cloud, Error, Execution, Fault, Image, Stack, seed, wait};
use serde_json::{Value, json};

type Tested = Result<(), Box<dyn std::error::Error>>;

/// How many orders there are, in these tests.
const ORDERS: u64 = 60;

/// The example in an account of its own.
struct NightlyEtl {
    account: Account,
    by_url: String,
    by_log: String,
}

impl NightlyEtl {
    /// Deploys the fleet, and the example with its Retries a second apart: half a minute is too long for a test.
    async fn deploy(test: &str) -> Result<Self, Error> {
        let account = Cloud::shared().await?.account(test);
        let fleet = seed::fleet(&account).await?;
        let stack = Stack::new("nightly-etl", hurried(test).join("template.yaml"));
        let example = seed::nightly_etl_of(&account, &fleet, stack).await?;
        Ok(Self {
            by_url: seed::nightly_etl_machine(&example)?.to_owned(),
            by_log: seed::nightly_etl_log_machine(&example)?.to_owned(),
            account,
        })
    }

    /// Runs a pipeline to its end.
    async fn run(&self, machine: &str, name: &str, input: &Value) -> Result<Execution, Error> {
        let run = self.account.start_execution(machine, name, input).await?;
        self.account.wait_for_execution(&run).await
    }

    /// The tasks so far, once there are so many of them, or more, and they are like this.
    async fn tasks(&self, count: usize, status: &str) -> Result<Vec<Value>, Error> {
        wait::until(&format!("{count} tasks, {status}"), STEP_WITHIN, async || {
            let tasks = self.account.ecs_tasks().await.map_err(|error| error.to_string())?;
            let like = tasks.iter().filter(|task| task["lastStatus"] == status).count();
            match like >= count {
                true => Ok(tasks),
                false => Err(format!("{tasks:?}")),
            }
        })
        .await
    }

    /// How many states this run entered, retries included, as they are billed.
    async fn transitions(&self, machine: &str) -> Result<u64, Error> {
        let name = machine.rsplit(':').next().unwrap_or_default();
        let usage = self.account.usage().await?;
        Ok(usage.transitions.get(name).copied().unwrap_or_default())
    }
}

/// A copy of the example with short pauses before its Retries.
fn hurried(test: &str) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nightly-etl");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nightly-etl-{test}"));
    fs::create_dir_all(&copy).expect("a folder");
    for file in ["template.yaml", "nightly-etl.asl.json", "nightly-etl-log.asl.json"] {
        let mut text = fs::read_to_string(example.join(file)).expect("a file of the example");
        if file.ends_with(".asl.json") {
            for (seconds, times) in [(30, 1), (5, 2)] {
                let pause = format!("\"IntervalSeconds\": {seconds},");
                assert_eq!(text.matches(&pause).count(), times, "{file}: {pause}");
                text = text.replace(&pause, "\"IntervalSeconds\": 1,");
            }
        }
        fs::write(copy.join(file), text).expect("a file of the copy");
    }
    copy
}

/// What its last state says.
fn loaded() -> Value {
    json!({"loaded": true, "orders": ORDERS, "total": total(ORDERS)})
}

/// How often the state was tried again: it was told these errors. On a busy machine a call may take too long besides, which
/// changes nothing else.
fn tries_again(stage: &Stage, told: &[&str]) -> u64 {
    let others = stage.errors.iter().filter(|error| *error != "Ecs.Unavailable");
    assert_eq!(others.collect::<Vec<_>>(), told, "{stage:?}");
    stage.errors.len() as u64
}

#[tokio::test]
async fn both_pipelines_go_on_with_what_their_container_found() -> Tested {
    let etl = NightlyEtl::deploy("both").await?;
    for machine in [&etl.by_url, &etl.by_log] {
        let run = etl.run(machine, "orders", &seed::nightly_etl_input(ORDERS, 0)).await?;
        assert_eq!(run.output, Some(loaded()), "{run:?}");
        let stage = Stage::of(&etl.account, &run).await?;
        let expected = json!({"date": "2026-01-31", "orders": ORDERS, "total": total(ORDERS)});
        assert_eq!((&stage.result, stage.work.len()), (&Some(expected), 1));
        // Extract, Transform, "Anything to load?", Loaded: the container costs one of them.
        assert_eq!(etl.transitions(machine).await?, 4 + tries_again(&stage, &[]));
        let none = etl.run(machine, "none", &seed::nightly_etl_input(0, 0)).await?;
        assert_eq!(none.output, Some(json!({"loaded": false})), "{none:?}");
    }
    // Without an input it has its defaults.
    let run = etl.run(&etl.by_url, "defaults", &json!({})).await?;
    assert_eq!(
        run.output,
        Some(json!({"loaded": true, "orders": 120, "total": total(120)})),
        "{run:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_yet_is_waited_for() -> Tested {
    let etl = NightlyEtl::deploy("not-ready").await?;
    let mut input = seed::nightly_etl_input(ORDERS, 0);
    input["ready"] = json!("no");
    let run = etl.account.start_execution(&etl.by_url, "early", &input).await?;
    etl.tasks(1, "STOPPED").await?;
    // From now on it is there, whatever the input says.
    let script = script_of_the_image();
    let ready = format!("SOURCE_READY=yes exec {script} url");
    let image = Image::shell("nightly-etl").command(&[&ready]);
    etl.account.image(&image).await?;
    let run = etl.account.wait_for_execution(&run).await?;
    assert_eq!(run.output, Some(loaded()), "{run:?}");
    let stage = Stage::of(&etl.account, &run).await?;
    let told = stage.work.len() - 1;
    assert!(told > 0, "{stage:?}");
    tries_again(&stage, &vec!["Etl.NotReady"; told]);
    // The cause has what the container said.
    let history = History::of(&etl.account, &run.arn).await?;
    let mut failures = history.failures().into_iter();
    let (_, cause) = failures.find(|(error, _)| *error == "Etl.NotReady").unwrap_or_default();
    assert!(cause.contains("the orders of 2026-01-31 are not there yet"), "{cause}");
    Ok(())
}

fn script_of_the_image() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nightly-etl/image/etl.sh");
    script.to_string_lossy().into_owned()
}

#[tokio::test]
async fn room_is_waited_for() -> Tested {
    let etl = NightlyEtl::deploy("no-room").await?;
    for (machine, reason) in [
        (
            &etl.by_url,
            "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        ),
        (&etl.by_log, "RESOURCE:MEMORY"),
    ] {
        let fault = etl.account.fault(Fault::task_failures(reason).times(1)).await?;
        let run = etl.run(machine, "no-room", &seed::nightly_etl_input(ORDERS, 0)).await?;
        assert_eq!(run.output, Some(loaded()), "{run:?}");
        let stage = Stage::of(&etl.account, &run).await?;
        tries_again(&stage, &["Ecs.StartFailed.Capacity"]);
        assert_eq!((stage.work.len(), fault.hits().await?), (1, 1));
        fault.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_interrupted_container_begins_anew() -> Tested {
    let etl = NightlyEtl::deploy("interrupted").await?;
    let input = seed::nightly_etl_input(ORDERS, 5);
    let run = etl.account.start_execution(&etl.by_url, "spot", &input).await?;
    let tasks = etl.tasks(1, "RUNNING").await?;
    let task = tasks[0]["taskArn"].as_str().unwrap_or_default();
    etl.account
        .interrupt_task(task, "SpotInterruption", "Your Spot Task was interrupted.")
        .await?;
    let run = etl.account.wait_for_execution(&run).await?;
    assert_eq!(run.output, Some(loaded()), "{run:?}");
    let stage = Stage::of(&etl.account, &run).await?;
    let again = tries_again(&stage, &["Ecs.Interrupted"]);
    assert_eq!(etl.tasks(2, "STOPPED").await?.len(), 2);
    let [first, second] = stage.work.as_slice() else {
        return Err(format!("two containers: {stage:?}").into());
    };
    assert!(first.to <= second.from, "one after the other: {stage:?}");
    // All of the work.
    assert!(second.to - second.from >= 5_000, "{stage:?}");
    // One more than without the interruption: a retry is billed as a transition.
    assert_eq!(etl.transitions(&etl.by_url).await?, 4 + again);
    let history = History::of(&etl.account, &run.arn).await?;
    assert_eq!(history.visits("Transform").len(), 1);
    Ok(())
}

/// It has some seconds to clear up, hears that it has to, and leaves nothing running.
#[tokio::test]
async fn a_run_that_is_stopped_takes_its_container_along() -> Tested {
    let etl = NightlyEtl::deploy("stopped").await?;
    let input = seed::nightly_etl_input(ORDERS, 1_000);
    let run = etl.account.start_execution(&etl.by_url, "stopped", &input).await?;
    etl.tasks(1, "RUNNING").await?;
    etl.account
        .stop_execution(&run, "Test.Stopped", "A person stopped it.")
        .await?;
    let tasks = etl.tasks(1, "STOPPED").await?;
    assert_eq!(tasks[0]["containers"][0]["exitCode"], 143, "{tasks:?}");
    let said = wait::until("its last words", Duration::from_secs(10), async || {
        let lines = etl.account.log_lines("/ecs/nightly-etl").await;
        let lines = lines.map_err(|error| error.to_string())?;
        match lines.iter().any(|(_, line)| line.contains("stopped before the end")) {
            true => Ok(()),
            false => Err(format!("{lines:?}")),
        }
    });
    Ok(said.await?)
}
