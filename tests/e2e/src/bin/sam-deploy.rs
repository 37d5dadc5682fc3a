//! `cargo sam-deploy`: the fleet, as `sam` has built it, deployed, updated beside running executions, and deleted by `sam`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use local_cloud::queue::Turn;
use local_cloud::{Account, Cloud, Deployed, Execution, Options, Progress, seed, wait};
use serde_json::{Value, json};
use tokio::process::Command;

const USAGE: &str = "usage: cargo sam-deploy [TEMPLATE]

Deploys TEMPLATE (what `sam build` has made: .aws-sam/build/template.yaml) to a local cloud of its own with the sam that is
in PATH, or that the environment variable SAM names, deploys it again with a changed parameter while one run has a lock and another one waits for it, and deletes it.";

const STACK: &str = "signalbox";

/// How long a run may take to be where it is waited for.
const STEP_WITHIN: Duration = Duration::from_mins(1);

/// How long the run works that has the lock: longer than a deployment lasts.
const WORKS: u64 = 60;

type Failed = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let template = PathBuf::from(
        arguments
            .next()
            .unwrap_or_else(|| ".aws-sam/build/template.yaml".to_owned()),
    );
    if arguments.next().is_some() || template.to_string_lossy().starts_with('-') {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match prove(template).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn prove(template: PathBuf) -> Result<(), Failed> {
    if !template.is_file() {
        return Err(format!("{} is not there: sam build makes it", template.display()).into());
    }
    let cloud = Cloud::start(Options {
        port: None,
        progress: Progress::steps(),
    })
    .await?;
    let done = all(cloud.account("sam"), template).await;
    if done.is_err() {
        cloud.keep_state();
    }
    done
}

async fn all(account: Account, template: PathBuf) -> Result<(), Failed> {
    let sam = Sam { account, template };
    let account = &sam.account;
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "Architecture=arm64",
        _ => "Architecture=x86_64",
    };

    sam.deploy("deployed", &[architecture]).await?;
    let fleet = sam.fleet().await?;
    let said = sam.run(&[
        "remote",
        "invoke",
        "LockAdminFunction",
        "--stack-name",
        STACK,
        "--event",
        r#"{"action": "list"}"#,
    ]);
    let said = said.await?;
    if !said.contains("\"locks\"") {
        return Err(format!("lock-admin said {said}").into());
    }
    tell("invoked", "LockAdminFunction, by sam remote invoke", Duration::ZERO);

    let warehouse = seed::warehouse(account, &fleet).await?;
    let machine = seed::stock_import_machine(&warehouse)?;
    let start = async |name: &str, seconds: u64| {
        let run = account
            .start_execution(machine, name, &json!({"seconds": seconds}))
            .await?;
        account.execution(&run).await
    };
    let holder = start("holder", WORKS).await?;
    until(account, &holder, "have the lock", |turn| turn.granted.is_some()).await?;
    let waiter = start("waiter", 0).await?;
    until(account, &waiter, "wait for it", |turn| turn.queued.is_some()).await?;

    sam.deploy("updated", &[architecture, "LogRetentionDays=60"]).await?;
    if Turn::of(account, &holder).await?.left.is_some() {
        return Err(format!("the update took longer than the {WORKS} s that the run works").into());
    }
    for run in [&holder, &waiter] {
        let ended = account
            .wait_for_execution_within(&run.arn, Duration::from_secs(WORKS * 2))
            .await?;
        if !ended.succeeded() {
            return Err(format!("after the update: {ended:?}").into());
        }
    }
    let (held, waited) = (Turn::of(account, &holder).await?, Turn::of(account, &waiter).await?);
    let in_order = held.left <= waited.granted && held.fence < waited.fence;
    if !in_order {
        return Err(format!("not in order: {held:?}, {waited:?}").into());
    }
    tell(
        "handed over",
        "the lock, from the run before the update to the one that waited",
        waited.waited().unwrap_or_default(),
    );

    let table = fleet.output("TableName")?;
    let function = fleet.output("LockAdminFunctionName")?;
    account.delete_stack(&warehouse.stack).await?;
    sam.delete().await?;
    if account.functions().await?.iter().any(|left| left == function) {
        return Err(format!("{function} is still there").into());
    }
    account.dynamodb().describe_table().table_name(table).send().await?;
    tell(
        "kept",
        &format!("the table {table}, as the template says"),
        Duration::ZERO,
    );
    Ok(())
}

/// `sam`, in an account.
struct Sam {
    account: Account,
    template: PathBuf,
}

impl Sam {
    async fn run(&self, arguments: &[&str]) -> Result<String, Failed> {
        let sam = std::env::var_os("SAM").unwrap_or_else(|| "sam".into());
        let output = Command::new(sam)
            .args(arguments)
            .envs(self.account.environment())
            .env("SAM_CLI_TELEMETRY", "0")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| format!("sam: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let complained = String::from_utf8_lossy(&output.stderr);
        Err(format!("sam {} failed:\n{said}\n{complained}", arguments.join(" ")).into())
    }

    async fn deploy(&self, done: &str, parameters: &[&str]) -> Result<(), Failed> {
        let began = Instant::now();
        let template = self.template.to_string_lossy();
        let mut arguments = vec![
            "deploy",
            "--template-file",
            &template,
            "--stack-name",
            STACK,
            "--resolve-s3",
            "--capabilities",
            "CAPABILITY_IAM",
            "CAPABILITY_AUTO_EXPAND",
            "--no-confirm-changeset",
            "--parameter-overrides",
        ];
        arguments.extend(parameters);
        self.run(&arguments).await?;
        tell(
            done,
            &format!("{STACK}, with {}", parameters.join(" ")),
            began.elapsed(),
        );
        Ok(())
    }

    async fn delete(&self) -> Result<(), Failed> {
        let began = Instant::now();
        self.run(&["delete", "--stack-name", STACK, "--no-prompts"]).await?;
        tell("deleted", STACK, began.elapsed());
        Ok(())
    }

    /// The stack, as `sam` lists it.
    async fn fleet(&self) -> Result<Deployed, Failed> {
        let said = self
            .run(&["list", "stack-outputs", "--stack-name", STACK, "--output", "json"])
            .await?;
        let listed: Vec<Value> = serde_json::from_str(&said).map_err(|error| format!("{said}: {error}"))?;
        let text = |output: &Value, field: &str| output[field].as_str().unwrap_or_default().to_owned();
        let outputs = listed
            .iter()
            .map(|output| (text(output, "OutputKey"), text(output, "OutputValue")));
        Ok(Deployed {
            stack: STACK.to_owned(),
            outputs: outputs.collect(),
            resources: BTreeMap::new(),
            took: Duration::ZERO,
        })
    }
}

async fn until(account: &Account, run: &Execution, what: &str, so_far: impl Fn(&Turn) -> bool) -> Result<(), Failed> {
    let what = format!("{} to {what}", run.name);
    wait::until(&what, STEP_WITHIN, async || {
        let turn = Turn::of(account, run).await.map_err(|error| error.to_string())?;
        match so_far(&turn) {
            true => Ok(()),
            false => Err(format!("{turn:?}")),
        }
    })
    .await?;
    Ok(())
}

fn tell(done: &str, what: &str, took: Duration) {
    let took = if took.is_zero() {
        String::new()
    } else {
        format!("{:.1} s", took.as_secs_f64())
    };
    println!("{done:<12} {what:<75} {took:>8}");
}
