//! `cargo cloud`: the fleet and the examples on this machine, until Ctrl-C.

use std::{env, fs, process::ExitCode};

use local_cloud::{
    Account, Cloud, Error, Execution, Options, Progress,
    seed::{self, Seeds},
    terminal::{self, Paint, say},
};

const HELP: &str = "\
cargo cloud [--port N]

Runs the fleet and the examples on an AWS emulator on 127.0.0.1, with a few executions to look at, until Ctrl-C.

  --port N   the port, 4566 if not given";

/// The port that AWS emulators are expected on.
const PORT: u16 = 4566;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let port = match read(&arguments) {
        Ok(Asked::Port(port)) => port,
        Ok(Asked::Help) => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            say(&format!("{problem}\n\n{HELP}"));
            return ExitCode::from(2);
        }
    };
    let cloud = tokio::select! {
        // First: a Ctrl-C also ends cargo and pip, and their failure is not the news.
        biased;
        () = terminal::interrupted() => {
            say("\nstopped");
            return ExitCode::from(130);
        }
        started = start(port) => match started {
            Ok(cloud) => cloud,
            Err(error) => return failed(&error),
        },
    };
    tokio::select! {
        error = cloud.ended() => {
            cloud.keep_state();
            failed(&error)
        }
        () = terminal::interrupted() => {
            drop(cloud);
            say("\nstopped");
            ExitCode::SUCCESS
        }
    }
}

fn failed(error: &Error) -> ExitCode {
    terminal::complain(error);
    ExitCode::FAILURE
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Port(u16),
    Help,
}

fn read(arguments: &[String]) -> Result<Asked, String> {
    let number = |text: &str| match text.parse() {
        Ok(port) if port > 0 => Ok(Asked::Port(port)),
        _ => Err(format!("--port {text}: not a port")),
    };
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(Asked::Port(PORT)),
        ["--help" | "-h"] => Ok(Asked::Help),
        ["--port", port] => number(port),
        [other] if other.starts_with("--port=") => number(&other["--port=".len()..]),
        other => Err(format!("not understood: {}", other.join(" "))),
    }
}

async fn start(port: u16) -> Result<Cloud, Error> {
    let progress = Progress::steps();
    say("");
    let cloud = Cloud::start_with_schedules(Options {
        port: Some(port),
        progress: progress.clone(),
    })
    .await?;
    fill(&cloud, &progress).await.inspect_err(|_| cloud.keep_state())?;
    Ok(cloud)
}

async fn fill(cloud: &Cloud, progress: &Progress) -> Result<(), Error> {
    let account = cloud.main_account();
    let step = progress.step("seeds", "deploying the fleet and the examples, and starting executions");
    let seeds = seed::seed(&account).await?;
    step.done(&format!(
        "{} stacks, {} executions",
        seeds.stacks().len(),
        seeds.executions.len()
    ));
    introduce(&account, &seeds).await
}

/// Prints all that a user needs to go on.
async fn introduce(account: &Account, seeds: &Seeds) -> Result<(), Error> {
    let paint = Paint::for_stdout();
    let heading = |text: &str| say(&format!("\n{}", paint.bold(text)));
    let functions = account.functions().await?;
    let machines = account.state_machines().await?;
    let endpoint = account.cloud().endpoint();

    heading("Functions");
    for function in &functions {
        say(&format!("  {function}"));
    }
    heading("State machines");
    for machine in &machines {
        say(&format!("  {}", machine.state_machine_arn));
    }
    heading("Executions");
    for line in listing(&seeds.executions, paint) {
        say(&line);
    }

    heading("For the AWS CLI, the SDKs and cargo lambda, in another terminal");
    for (name, value) in account.environment() {
        say(&format!("  export {name}={value}"));
    }
    heading("Then, for example");
    let arn = seed::orders_nightly_machine(&seeds.examples.orders_nightly)?;
    let input = seed::orders_nightly_input();
    say(&format!(
        "  aws stepfunctions list-executions --state-machine-arn {arn}"
    ));
    say(&format!(
        "  aws stepfunctions start-execution --state-machine-arn {arn} --input '{input}'"
    ));
    if let Some(refused) = seeds.executions.iter().find(|execution| execution.error.is_some()) {
        say(&format!(
            "  aws stepfunctions describe-execution --execution-arn {}",
            refused.arn
        ));
    }
    let etl = seed::nightly_etl_machine(&seeds.examples.nightly_etl)?;
    let input = seed::nightly_etl_input(120, 1);
    say(&format!(
        "  aws stepfunctions start-execution --state-machine-arn {etl} --input '{input}'"
    ));
    say(&format!("  aws ecs list-tasks --cluster {}", seed::CLUSTER));
    for function in &functions {
        let Some((folder, events)) = sample_events(account, function) else {
            continue;
        };
        let Some((first, others)) = events.split_first() else {
            continue;
        };
        say(&format!(
            "  cargo lambda invoke --remote --endpoint-url {endpoint} {function} --data-file {folder}/{first}"
        ));
        let also = terminal::wrap(
            &format!("also in {folder}: {}", others.join(", ")),
            terminal::width() - 4,
        );
        for line in also {
            say(&format!("    {line}"));
        }
    }
    say(&format!(
        "\nServing on {endpoint}; the log is {}. Ctrl-C ends it.",
        log(account.cloud())
    ));
    Ok(())
}

/// Most executions that are named; of more of a kind it is said how many there are.
const NAMED: usize = 4;

/// A line for all executions of a state machine that stand alike.
fn listing(executions: &[Execution], paint: Paint) -> Vec<String> {
    let machine = |execution: &Execution| execution.arn.rsplit(':').nth(1).unwrap_or_default().to_owned();
    let mut groups: Vec<(String, Vec<&Execution>)> = Vec::new();
    for execution in executions {
        let like = |other: &Execution| other.status == execution.status && other.error == execution.error;
        let group = groups
            .iter_mut()
            .find(|(name, group)| *name == machine(execution) && like(group[0]));
        match group {
            Some((_, group)) => group.push(execution),
            None => groups.push((machine(execution), vec![execution])),
        }
    }
    let names = |group: &[&Execution]| match group.len() {
        ..=NAMED => {
            let names: Vec<_> = group.iter().map(|execution| execution.name.as_str()).collect();
            names.join(", ")
        }
        many => format!("{many} executions"),
    };
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let first = widest(&mut groups.iter().map(|(machine, _)| machine.len()));
    let second = widest(&mut groups.iter().map(|(_, group)| names(group).chars().count()));
    let mut last = "";
    let mut lines = Vec::new();
    for (machine, group) in &groups {
        let shown = if machine == last { "" } else { machine };
        last = machine;
        lines.push(format!(
            "  {shown:<first$}  {:<second$}  {}",
            names(group),
            status(group[0], paint)
        ));
    }
    lines
}

fn status(execution: &Execution, paint: Paint) -> String {
    let status = format!("{:<9}", execution.status.as_str());
    match &execution.error {
        Some(error) => format!("{} {error}", paint.yellow(&status)),
        None => paint.green(status.trim_end()),
    }
}

/// A function's sample events, in the order of its README, and their folder as a path from the workspace's.
fn sample_events(account: &Account, function: &str) -> Option<(String, Vec<String>)> {
    let workspace = account.cloud().workspace();
    let binary = workspace
        .functions
        .iter()
        .map(|known| known.binary.as_str())
        .find(|known| function.ends_with(known))?;
    let folder = format!("events/{binary}");
    let files = fs::read_dir(workspace.root.join(&folder)).ok()?.filter_map(Result::ok);
    let paths = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let mut names: Vec<String> = paths
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let readme = fs::read_to_string(workspace.root.join(format!("functions/{binary}/README.md"))).unwrap_or_default();
    names.sort_by_key(|name| (readme.find(&format!("`{name}`")).unwrap_or(usize::MAX), name.clone()));
    Some((folder, names))
}

fn log(cloud: &Cloud) -> String {
    cloud.workspace().shown(&cloud.log())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Asked, String> {
        read(
            &arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn reads_the_port() {
        assert_eq!(asked(&[]), Ok(Asked::Port(4566)));
        assert_eq!(asked(&["--port", "4567"]), Ok(Asked::Port(4567)));
        assert_eq!(asked(&["--port=4567"]), Ok(Asked::Port(4567)));
        assert_eq!(asked(&["--help"]), Ok(Asked::Help));
        assert_eq!(asked(&["--port", "0"]), Err("--port 0: not a port".into()));
        assert_eq!(asked(&["--port", "70000"]), Err("--port 70000: not a port".into()));
        assert_eq!(asked(&["-p"]), Err("not understood: -p".into()));
    }

    #[test]
    fn executions_that_stand_alike_share_a_line() {
        let execution = |machine: &str, name: &str, status: &str, error: Option<&str>| Execution {
            arn: format!("arn:aws:states:us-east-1:000000000000:execution:{machine}:{name}"),
            name: name.to_owned(),
            status: status.into(),
            error: error.map(str::to_owned),
            cause: None,
            output: None,
            started: std::time::SystemTime::UNIX_EPOCH,
            stopped: None,
        };
        let mut executions = vec![
            execution("orders", "first", "RUNNING", None),
            execution("orders", "second", "FAILED", Some("OverlapGuard.Overlapping")),
            execution("orders", "third", "RUNNING", None),
        ];
        executions.extend((1..=5).map(|n| execution("dock-visit", &format!("visit-{n}"), "RUNNING", None)));
        assert_eq!(
            listing(&executions, Paint::Plain),
            [
                "  orders      first, third  RUNNING",
                "              second        FAILED    OverlapGuard.Overlapping",
                "  dock-visit  5 executions  RUNNING",
            ]
        );
    }
}
