//! `cargo lock-mutants`: breaks the lock protocol in each of a list of ways, and shows that the simulation notices.
//!
//! It works on a copy of the workspace under `target/mutants`, with a target folder of its own. An edit that does not
//! apply any more is an error: the list is kept up with the code.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that speaks to people"
)]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use simulation::lock::Scenario;
use simulation::mutants::{LOCK, Mutant};

/// Schedules that a mutant may survive of each kind.
const SCHEDULES: &str = "60000";

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    match run(&wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .ok_or("the workspace is two folders up")?;
    let place = root.join("target/mutants");
    let tree = place.join("tree");
    copy_workspace(root, &tree).map_err(|error| format!("the workspace cannot be copied: {error}"))?;
    println!(
        "building the protocol as it is, in {} (some minutes the first time)",
        place.display()
    );
    let began = Instant::now();
    build(&tree, &place)?;
    println!("built ({:.0} s)\n", began.elapsed().as_secs_f64());
    let mut good = true;
    for mutant in LOCK {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == mutant.name) {
            continue;
        }
        let began = Instant::now();
        let files = mutant.applied(&tree)?;
        write(&tree, files.iter().map(|(file, (_, after))| (*file, after)))?;
        let caught = build(&tree, &place).and_then(|()| caught_by(&place, mutant));
        write(&tree, files.iter().map(|(file, (before, _))| (*file, before)))?;
        let took = began.elapsed().as_secs_f64();
        if let Some(how) = caught? {
            println!("caught    {:<34}{how} ({took:.0} s)", mutant.name);
        } else {
            good = false;
            println!("SURVIVED  {:<34}{} ({took:.0} s)", mutant.name, mutant.what);
        }
    }
    Ok(good)
}

fn write<'a>(tree: &Path, files: impl Iterator<Item = (&'a str, &'a String)>) -> Result<(), String> {
    for (file, text) in files {
        fs::write(tree.join(file), text).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

fn build(tree: &Path, place: &Path) -> Result<(), String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "-p",
            "simulation",
            "--bin",
            "lock-simulation",
            "--bin",
            "lock-exhaustive",
        ])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", place.join("target"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "it does not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// What notices the mutant: the kind of schedules that are most likely to, then all others, then the small worlds.
fn caught_by(place: &Path, mutant: &Mutant) -> Result<Option<String>, String> {
    let first = mutant.scenario.to_string();
    let others = Scenario::ALL.map(|scenario| scenario.to_string());
    let others = others.iter().filter(|other| **other != first);
    for scenario in std::iter::once(&first).chain(others) {
        let arguments = ["--schedules", SCHEDULES, "--scenario", scenario];
        if let Some(seen) = fails(place, "lock-simulation", &arguments)? {
            return Ok(Some(format!("{scenario}, {seen}")));
        }
    }
    Ok(
        fails(place, "lock-exhaustive", &["three-runs", "crash", "doubled", "redrive"])?
            .map(|seen| format!("exhaustive, {seen}")),
    )
}

/// What the command complains about, if it does.
fn fails(place: &Path, command: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    let output = Command::new(place.join("target/debug").join(command))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{command}: {error}"))?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let tells = |line: &&str| line.contains("seed") || line.contains("broken: ");
    let line = said.lines().find(tells).or(said.lines().last());
    let line: String = line.unwrap_or("it panicked").trim().chars().take(70).collect();
    Ok(Some(line))
}

/// The sources of the workspace, as they are now.
fn copy_workspace(root: &Path, tree: &Path) -> io::Result<()> {
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        ".cargo",
        "rust-toolchain.toml",
        "shared",
        "functions",
        "tests",
    ] {
        copy(&root.join(name), &tree.join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        if from.file_name() == Some(OsStr::new("python")) {
            return Ok(());
        }
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let path: PathBuf = entry?.path();
            copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
        }
        return Ok(());
    }
    let text = fs::read(from)?;
    // What is the same keeps its time: cargo would build it again.
    if fs::read(to).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::write(to, text)
}
