//! `cargo resume-property`: runs that fail at every call, in every way, are resumed, and end as one that never failed.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::process::ExitCode;
use std::time::Instant;

use e2e::resume::Resumes;
use e2e::resume::case::Case;
use e2e::resume::corpus;
use e2e::resume::property::{Extent, Row, plausible, prove};

const USAGE: &str = "usage: cargo resume-property [--sample] [NAME]...";

/// How much of a reason is shown.
const WIDTH: usize = 200;

/// Most faults of a definition that are shown.
const SHOWN: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let (mut extent, mut names) = (Extent::All, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--sample" => extent = Extent::Sample,
            option if option.starts_with('-') => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
            _ => names.push(argument),
        }
    }
    match go(extent, &names).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn go(extent: Extent, names: &[String]) -> Result<bool, Box<dyn std::error::Error>> {
    let resumes = Resumes::deploy("resume property").await?;
    let mut cases = Case::all(&resumes.fleet)?;
    let (public, others) = plausible(&resumes, corpus::definitions()?).await;
    match corpus::folder() {
        None => println!("SIGNALBOX_CORPUS is not set: no definitions of public projects"),
        Some(_) => println!(
            "{} definitions of public projects can be run, {} cannot:",
            public.len(),
            others.len()
        ),
    }
    for why in others {
        println!("    {}", why.chars().take(WIDTH).collect::<String>());
    }
    cases.extend(public);
    cases.retain(|case| names.is_empty() || names.contains(&case.name));
    #[allow(clippy::disallowed_methods, reason = "says how long it took, decides nothing")]
    let began = Instant::now();
    let rows = prove(&resumes, &cases, extent, |over, all| {
        if over % 200 == 0 {
            eprintln!("{over} of {all} trials");
        }
    })
    .await;
    let took = began.elapsed();
    println!(
        "{:<28} {:>6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>8} {:>7}",
        "definition", "states", "trials", "equal", "clones", "handled", "refused", "seconds", "broken"
    );
    let mut total = Row {
        name: "all".to_owned(),
        ..Row::default()
    };
    for row in &rows {
        show(row, row.states.len());
        total.add(row);
    }
    show(&total, rows.iter().map(|row| row.states.len()).sum());
    for (strategies, trials) in &total.equal {
        println!("{trials:>6} by {strategies}");
    }
    println!("{} definitions in {:.1} s", rows.len(), took.as_secs_f64());
    Ok(total.broken.is_empty())
}

fn show(row: &Row, states: usize) {
    let clones = row.equal.iter().filter(|(strategies, _)| strategies.contains("clone"));
    println!(
        "{:<28} {states:>6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>8.1} {:>7}",
        row.name,
        row.trials,
        row.equals(),
        clones.map(|(_, trials)| trials).sum::<usize>(),
        row.handled,
        row.not_redrivable,
        row.took.as_secs_f64(),
        row.broken.len(),
    );
    for problem in row.broken.iter().take(if row.name == "all" { 0 } else { SHOWN }) {
        println!("    BROKEN {problem}");
    }
}
