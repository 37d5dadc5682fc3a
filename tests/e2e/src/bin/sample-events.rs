//! `cargo sample-events`: every sample event by `cargo lambda invoke`, as a person would send it, and what it is answered.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;
use std::time::Instant;

use e2e::samples::{ALERTS, ECS, Function, GUARD, LOCK, RESUME, Says, documented, file, names};
use local_cloud::seed::{self, Seeds};
use local_cloud::{Account, Cloud, Options, Progress};
use serde_json::Value;
use tokio::process::Command;

const USAGE: &str = "usage: cargo sample-events

Sends every event of events/ to a local cloud of its own, with `cargo lambda invoke --remote`: the cargo-lambda that is in
PATH, or that the environment variable CARGO_LAMBDA names. Says what each is answered, and whether its function's README
says so.";

type Failed = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match all().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn all() -> Result<bool, Failed> {
    let program = cargo_lambda();
    let asked = Command::new(&program).arg("--version").output().await;
    asked.map_err(|error| not_there(&program, &error))?;
    let cloud = Cloud::start(Options {
        port: None,
        progress: Progress::steps(),
    })
    .await?;
    let account = cloud.main_account();
    let seeds = seed::seed(&account).await?;
    let sender = Sender { account, seeds };
    let began = Instant::now();
    let sent = tokio::try_join!(
        sender.send(&GUARD),
        sender.send(&LOCK),
        sender.send(&ALERTS),
        sender.send(&ECS),
        sender.send(&RESUME),
    );
    let (guard, lock, alerts, ecs, resume) = sent.inspect_err(|_| cloud.keep_state())?;
    let sent = [guard, lock, alerts, ecs, resume].concat();
    println!();
    let wide = sent.iter().map(|sent| sent.event.len()).max().unwrap_or_default();
    for Sent { event, answer, other } in &sent {
        println!("  {event:<wide$}  {answer}");
        if let Some(other) = other {
            println!("  {:<wide$}  BUT ITS README SAYS {other:?}", "");
        }
    }
    let wrong = sent.iter().filter(|sent| sent.other.is_some()).count();
    if wrong > 0 {
        cloud.keep_state();
    }
    println!(
        "\n  {} events sent with cargo lambda invoke in {:.1} s, {wrong} answered otherwise than their READMEs say",
        sent.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(wrong == 0)
}

fn cargo_lambda() -> OsString {
    std::env::var_os("CARGO_LAMBDA").unwrap_or_else(|| "cargo-lambda".into())
}

fn not_there(program: &OsStr, error: &io::Error) -> String {
    format!(
        "{}: {error}; pip install cargo-lambda has one, and CARGO_LAMBDA may say where it is",
        program.display()
    )
}

struct Sender {
    account: Account,
    seeds: Seeds,
}

/// An event that was sent.
#[derive(Clone)]
struct Sent {
    event: String,
    /// In short.
    answer: String,
    /// What the README says, if that is something else.
    other: Option<Says>,
}

impl Sender {
    async fn send(&self, functions: &[Function]) -> Result<Vec<Sent>, Failed> {
        let mut sent = Vec::new();
        for (folder, output) in functions {
            let function = self.seeds.fleet.output(output)?;
            let documented = documented(folder);
            for name in names(folder) {
                let (says, _) = &documented[&name];
                let answer = self.invoke(function, folder, &name).await?;
                let is_so = says.is_said(answer.as_ref().map_err(String::as_str));
                sent.push(Sent {
                    event: format!("{folder}/{name}"),
                    answer: match &answer {
                        Ok(answer) => short(answer),
                        Err(error) => error.clone(),
                    },
                    other: (!is_so).then(|| says.clone()),
                });
            }
        }
        Ok(sent)
    }

    /// The answer, or the name of the function's error.
    async fn invoke(&self, function: &str, folder: &str, name: &str) -> Result<Result<Value, String>, Failed> {
        let program = cargo_lambda();
        let command = Command::new(&program)
            .args(["lambda", "invoke", "--remote", "--endpoint-url"])
            .arg(self.account.cloud().endpoint())
            .arg(function)
            .arg("--data-file")
            .arg(file(folder, name))
            .envs(self.account.environment())
            .output()
            .await
            .map_err(|error| not_there(&program, &error))?;
        let (answer, said) = (
            String::from_utf8_lossy(&command.stdout),
            String::from_utf8_lossy(&command.stderr),
        );
        if command.status.success() {
            let answer =
                serde_json::from_str(&answer).map_err(|error| format!("{folder}/{name}: {error}: {answer}"))?;
            return Ok(Ok(answer));
        }
        // `Error: Lock.Busy`, and the message in a box.
        match said.lines().find_map(|line| line.trim().strip_prefix("Error: ")) {
            Some(error) => Ok(Err(error.trim().to_owned())),
            None => Err(format!("{folder}/{name}: {said}").into()),
        }
    }
}

/// As much of an answer as fits in a line.
fn short(answer: &Value) -> String {
    const MOST: usize = 90;
    let answer = answer.to_string();
    match answer.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &answer[..at]),
        None => answer,
    }
}
