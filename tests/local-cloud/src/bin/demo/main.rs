//! `cargo demo`: one night of a pipeline that uses the whole fleet, on the local cloud; and on demand each thing that the
//! fleet does by itself.

mod alert;
mod container;
mod guard;
mod lock;
mod resume;
mod story;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use local_cloud::{
    Account, Cloud, Deployed, Error, Options, Progress,
    page::{self, Part},
    progress::seconds,
    seed,
    terminal::{self, Paint, say},
    workspace::Workspace,
};

const HELP: &str = "\
cargo demo [--all]

Runs the fleet on an AWS emulator on this machine. A pipeline is started twice at once, and the overlap guard lets one run
through; it takes a lock, has a value from a container that knows nothing of it, and fails by a slip in its input; a mail
says where; the run that waits for the lock has it at once; and the failed run goes on with its input corrected, without
its container. Exits with 1 if it is not so. The same is then in target/demo/report.html, for a browser.
No AWS account, no docker; the first time it installs the emulator under target/.

  --all   after that each thing by itself: three runs at once, eight runs in turn, three containers of which one is taken
          away, a failure deep inside, a run of many steps that is resumed in the middle";

/// What it is about.
const TITLE: &str = "Signalbox: a night of one pipeline";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let all = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--all"] => true,
        ref other => {
            say(HELP);
            return if other.contains(&"--help") {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    tokio::select! {
        // First: a Ctrl-C also ends cargo and pip, and their failure is not the news.
        biased;
        () = terminal::interrupted() => {
            say("\nstopped");
            ExitCode::from(130)
        }
        shown = demo(all) => match shown {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                terminal::complain(&error);
                ExitCode::FAILURE
            }
        },
    }
}

/// Whether the fleet did what it is for.
async fn demo(all: bool) -> Result<bool, Error> {
    let begun = Instant::now();
    let paint = Paint::for_stdout();
    let progress = Progress::steps();
    say("");
    say(&paint.bold(TITLE));
    say("");
    let cloud = Cloud::start(Options {
        port: None,
        progress: progress.clone(),
    })
    .await?;
    let account = cloud.account("demo");
    let told = async {
        let step = progress.step("fleet", "deploying template.yaml");
        let fleet = seed::fleet(&account).await?;
        step.done(&format!("stack {}, {} resources", fleet.stack, fleet.resources.len()));
        let mut told = vec![story::tell(&story::one_night(&account, &fleet, &progress).await?)];
        if all {
            told.extend(each_by_itself(&account, &fleet, &progress).await?);
        }
        Ok(told)
    };
    let told = told.await.inspect_err(|_: &Error| cloud.keep_state())?;
    let parts: Vec<Part> = told.iter().flat_map(|told| told.parts.clone()).collect();
    for part in &parts {
        part.say(paint);
    }
    let good = told.iter().all(|told| told.good);
    if !good {
        cloud.keep_state();
    }
    let report = write_report(&parts).await?;
    show_ways_on(&report, begun.elapsed(), all, paint);
    Ok(good)
}

/// Writes the same as a page: where it is.
async fn write_report(parts: &[Part]) -> Result<PathBuf, Error> {
    let folder = Workspace::find().await?.target.join("demo");
    let file = folder.join("report.html");
    let write = || {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(&file, page::html(TITLE, parts))
    };
    write().map_err(|error| Error::unexpected(file.display().to_string(), error))?;
    Ok(file)
}

/// What is told of one thing that the fleet does, and whether it did it.
struct Told {
    parts: Vec<Part>,
    good: bool,
}

impl Told {
    fn about(heading: &str) -> Self {
        Self {
            parts: vec![Part::Heading(heading.to_owned())],
            good: true,
        }
    }

    fn add(&mut self, part: Part) {
        self.parts.push(part);
    }

    fn say(&mut self, text: &str) {
        self.add(Part::Text(text.to_owned()));
    }

    fn fault(&mut self, text: &str) {
        self.say(text);
        self.good = false;
    }
}

/// Deploys the other examples, and runs all of them at the same time: the lock's last longest.
async fn each_by_itself(account: &Account, fleet: &Deployed, progress: &Progress) -> Result<[Told; 5], Error> {
    let step = progress.step("pipelines", "deploying the other examples");
    let nightly = seed::orders_nightly(account, fleet).await?;
    let warehouse = seed::warehouse(account, fleet).await?;
    let booking = seed::orders_booking(account).await?;
    let etl = seed::nightly_etl(account, fleet).await?;
    let month_end = seed::month_end(account, fleet).await?;
    step.done("orders-nightly, warehouse, nightly-etl, orders-booking, month-end");

    let (runs, turns, stages, mail, resumed) = tokio::try_join!(
        guard::three_runs(account, &nightly, progress),
        lock::eight_runs(account, &warehouse, progress),
        container::three_containers(account, &etl, progress),
        alert::one_failure(account, &booking, progress),
        resume::one_slip(account, fleet, &month_end, progress)
    )?;
    Ok([
        guard::tell(&runs),
        lock::tell(&turns),
        container::tell(&stages),
        alert::tell(&mail),
        resume::tell(&resumed),
    ])
}

fn show_ways_on(report: &Path, took: Duration, all: bool, paint: Paint) {
    say("");
    if !all {
        let text = "then each thing by itself: runs at once, runs in turn, containers, alerts, a resume in the middle";
        say(&format!(
            "  {}{text}",
            paint.bold(&format!("{:<18}", "cargo demo --all"))
        ));
    }
    for (command, what) in [
        ("cargo cloud", "keeps such a cloud up, for the AWS CLI and cargo lambda"),
        ("cargo test", "the unit tests, and the end-to-end tests on this cloud"),
        (
            "README.md",
            "the fleet in pipelines of your own, and its deployment to AWS",
        ),
    ] {
        say(&format!("  {}{what}", paint.bold(&format!("{command:<18}"))));
    }
    say(&format!("\n  The same as a page: {}", report.display()));
    say(&format!("  Total time: {}.\n", seconds(took)));
}
