//! `cargo cold-bench`: from the start of a function's process to its first answer, beside the same job in Python.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark that speaks to people"
)]

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use e2e::runtime_api::{Did, RuntimeApi};
use local_cloud::{Account, Cloud, Options, Progress, seed};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const USAGE: &str = "usage: cargo cold-bench [--binaries FOLDER] [--starts N] [--warm N]

Starts each function of FOLDER (target/lambda, where `cargo lambda build --release` puts them) N times with an event of
events/, on a local cloud of its own behind TLS, and asks it N times more; and the overlap guard's job in Python with boto3.

  first    from the start of the process to its first answer: what Lambda calls Init and the first Duration
  warm     a call after that, in the middle
  cold     what the first answer took longer than that
  init     CPU of the process until it asks for its first event
  call     CPU of its first call, with the TLS handshakes that are still to do
  MiB      most memory that it had resident
  peer     how many times longer a cold start of the Python one takes";

/// The functions, an event for each, and the output of the stack with its name.
const FUNCTIONS: [(&str, &str, &str); 9] = [
    ("overlap-guard", "proceed.json", "OverlapGuardFunctionName"),
    ("lock-acquire", "free.json", "LockAcquireFunctionName"),
    ("lock-release", "not-holding.json", "LockReleaseFunctionName"),
    ("lock-admin", "list.json", "LockAdminFunctionName"),
    ("failure-alert", "sweep.json", "FailureAlertFunctionName"),
    ("ecs-launch", "minimal.json", "EcsLaunchFunctionName"),
    ("ecs-settle", "sweep.json", "EcsSettleFunctionName"),
    ("ecs-result", "put.json", "EcsResultFunctionName"),
    ("resume", "sweep.json", "ResumeFunctionName"),
];

/// How long a process may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

type Failed = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let (mut binaries, mut starts, mut warm) = (PathBuf::from("target/lambda"), 15, 50);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next();
        let number = value
            .as_ref()
            .and_then(|value| value.parse().ok())
            .filter(|number| *number > 0);
        match (option.as_str(), value, number) {
            ("--binaries", Some(folder), _) => binaries = PathBuf::from(folder),
            ("--starts", _, Some(number)) => starts = number,
            ("--warm", _, Some(number)) => warm = number,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match bench(&binaries, starts, warm).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(binaries: &Path, starts: usize, warm: usize) -> Result<(), Failed> {
    let cloud = Cloud::start(Options {
        port: None,
        progress: Progress::steps(),
    })
    .await?;
    let account = cloud.main_account();
    let seeds = seed::seed(&account).await?;
    let workspace = cloud.workspace();
    let python = workspace.target.join("local-cloud/venv/bin/python");
    let tls = Tls::before(&account, &python, &workspace.root).await?;
    let event = |folder: &str, name: &str| -> Result<Value, Failed> {
        let file = workspace.root.join("events").join(folder).join(name);
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    };

    println!(
        "\n{:<16}{:>12}{:>11}{:>10}{:>10}{:>10}{:>10}{:>8}{:>8}",
        "function", "bytes", "first ms", "warm ms", "cold ms", "init ms", "call ms", "MiB", "peer"
    );
    let guard = event(FUNCTIONS[0].0, FUNCTIONS[0].1)?;
    let function = seeds.fleet.output(FUNCTIONS[0].2)?;
    let script = workspace.root.join("tests/e2e/bench/peer.py");
    let peer = Process {
        program: python,
        arguments: vec![script],
        environment: environment(&account, &tls, function).await?,
    };
    let peer = peer.measured(&guard, starts, warm).await?;
    show("Python, boto3", None, &peer, None);
    for (name, sample, output) in FUNCTIONS {
        let program = binaries.join(name).join("bootstrap");
        let bytes = std::fs::metadata(&program)
            .map_err(|error| format!("{}: {error}: cargo lambda build --release makes it", program.display()))?
            .len();
        let process = Process {
            program,
            arguments: Vec::new(),
            environment: environment(&account, &tls, seeds.fleet.output(output)?).await?,
        };
        let measured = process.measured(&event(name, sample)?, starts, warm).await?;
        show(name, Some(bytes), &measured, Some(&peer));
    }
    Ok(())
}

/// What the function's process finds in its environment, and whom it is.
async fn environment(account: &Account, tls: &Tls, function: &str) -> Result<Vec<(String, String)>, Failed> {
    let mut all: Vec<(String, String)> = account.function_environment(function).await?.into_iter().collect();
    let more = account.environment();
    all.extend(more.map(|(name, value)| (name.to_owned(), value)));
    let trusted = tls.trusted.display().to_string();
    all.retain(|(name, _)| !name.starts_with("AWS_ENDPOINT_URL"));
    for (name, value) in [
        ("AWS_ENDPOINT_URL", tls.endpoint.as_str()),
        ("SSL_CERT_FILE", trusted.as_str()),
        ("AWS_CA_BUNDLE", trusted.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ] {
        all.push((name.to_owned(), value.to_owned()));
    }
    Ok(all)
}

/// A TLS endpoint before the local cloud.
struct Tls {
    endpoint: String,
    /// The certificate that it has.
    trusted: PathBuf,
    /// Ends with this.
    _process: Child,
}

impl Tls {
    async fn before(account: &Account, python: &Path, root: &Path) -> Result<Self, Failed> {
        let port = account.cloud().endpoint().rsplit_once(':').ok_or("no port")?.1;
        let trusted = std::env::temp_dir().join(format!("cold-bench-{}.pem", std::process::id()));
        let mut process = Command::new(python)
            .arg(root.join("tests/e2e/bench/tls.py"))
            .arg(port)
            .arg(&trusted)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = process.stdout.take().ok_or("no standard output")?;
        let port = BufReader::new(said)
            .lines()
            .next_line()
            .await?
            .ok_or("no TLS endpoint")?;
        Ok(Self {
            endpoint: format!("https://127.0.0.1:{port}"),
            trusted,
            _process: process,
        })
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.trusted);
    }
}

struct Process {
    program: PathBuf,
    arguments: Vec<PathBuf>,
    environment: Vec<(String, String)>,
}

/// Medians.
struct Measured {
    first: Duration,
    init: Duration,
    call: Duration,
    warm: Duration,
    kib: u64,
}

impl Process {
    async fn measured(&self, event: &Value, starts: usize, warm: usize) -> Result<Measured, Failed> {
        let (mut first, mut init, mut call) = (Vec::new(), Vec::new(), Vec::new());
        let (mut again, mut kib) = (Vec::new(), Vec::new());
        // One more, which brings the program into the file cache.
        for number in 0..=starts {
            let start = self.start(event, warm).await?;
            if number > 0 {
                first.push(start.first);
                init.push(start.init);
                call.push(start.call);
                again.push(start.warm);
                kib.push(start.kib);
            }
        }
        Ok(Measured {
            first: median(first),
            init: median(init),
            call: median(call),
            warm: median(again),
            kib: median(kib),
        })
    }

    async fn start(&self, event: &Value, warm: usize) -> Result<Measured, Failed> {
        let mut api = RuntimeApi::start().await?;
        let began = Instant::now();
        let mut process = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pid = process.id().ok_or("it has ended at once")?;
        initialized(&mut api).await?;
        let init = cpu(pid)?;
        api.give(event.clone());
        let first = answered(&mut api).await?.duration_since(began);
        let call = cpu(pid)?.saturating_sub(init);
        let mut times = Vec::new();
        for _ in 0..warm {
            let asked = Instant::now();
            api.give(event.clone());
            times.push(answered(&mut api).await?.duration_since(asked));
        }
        let kib = kib(pid)?;
        process.kill().await?;
        Ok(Measured {
            first,
            init,
            call,
            warm: median(times),
            kib,
        })
    }
}

async fn initialized(api: &mut RuntimeApi) -> Result<(), Failed> {
    match tokio::time::timeout(ANSWERS_WITHIN, api.did()).await? {
        Some(Did::Initialized(_)) => Ok(()),
        Some(Did::Answered(_, answer)) => Err(format!("it answered before it was asked: {answer}").into()),
        None => Err("it has ended".into()),
    }
}

async fn answered(api: &mut RuntimeApi) -> Result<Instant, Failed> {
    loop {
        match tokio::time::timeout(ANSWERS_WITHIN, api.did()).await? {
            Some(Did::Answered(at, _)) => return Ok(at),
            Some(Did::Initialized(_)) => {}
            None => return Err("it has ended".into()),
        }
    }
}

/// What all threads of a process have computed, by the scheduler's own count.
fn cpu(pid: u32) -> Result<Duration, Failed> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let told = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += told.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// The most memory that a process had resident.
fn kib(pid: u32) -> Result<u64, Failed> {
    let told = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
    Ok(number.parse()?)
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn show(name: &str, bytes: Option<u64>, measured: &Measured, peer: Option<&Measured>) {
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    let cold = |measured: &Measured| measured.first.saturating_sub(measured.warm);
    let peer = peer.map(|peer| format!("{:.1}", cold(peer).as_secs_f64() / cold(measured).as_secs_f64()));
    println!(
        "{name:<16}{:>12}{:>11.1}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>8.1}{:>8}",
        bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
        millis(measured.first),
        millis(measured.warm),
        millis(cold(measured)),
        millis(measured.init),
        millis(measured.call),
        measured.kib as f64 / 1_024.0,
        peer.unwrap_or_else(|| "-".to_owned()),
    );
}
