//! The commands: break a protocol in each of a list of ways, and show that its simulation notices.
//!
//! They work on a copy of the workspace in `mutants` of the target folder, which has a target folder of its own. An edit
//! that does not apply any more is an error: the list is kept up with the code.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "for commands that speak to people"
)]

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use super::{Mutant, compiled};

/// A protocol that is broken.
#[derive(Debug)]
pub struct Protocol<S: 'static> {
    /// The ways to break it.
    pub mutants: &'static [Mutant<S>],
    /// The command that runs schedules of it,
    pub simulation: &'static str,
    /// the kinds that there are,
    pub scenarios: &'static [S],
    /// and how many of each a mutant may survive.
    pub schedules: &'static str,
    /// What notices those that survive all that: a command, and its arguments.
    pub exhaustive: Option<(&'static str, &'static [&'static str])>,
}

/// Breaks it in the ways that the command line names, or in all.
#[must_use]
pub fn command<S: Copy + Display>(protocol: &Protocol<S>) -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    match protocol.run(&wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl<S: Copy + Display> Protocol<S> {
    fn run(&self, wanted: &[String]) -> Result<bool, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .ok_or("the workspace is two folders up")?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let place = std::path::absolute(target.join("mutants")).map_err(|error| error.to_string())?;
        let tree = place.join("tree");
        copy_workspace(root, &tree).map_err(|error| format!("the workspace cannot be copied: {error}"))?;
        println!("building the protocol as it is, in {}", place.display());
        compiled::copy(root, &place.join("target/debug"))
            .map_err(|error| format!("what is compiled already cannot be copied: {error}"))?;
        let began = Instant::now();
        self.build(&tree, &place)?;
        println!("built ({:.0} s)\n", began.elapsed().as_secs_f64());
        let mut good = true;
        for mutant in self.mutants {
            if !wanted.is_empty() && !wanted.iter().any(|name| name == mutant.name) {
                continue;
            }
            let began = Instant::now();
            let files = mutant.applied(&tree)?;
            write(&tree, files.iter().map(|(file, (_, after))| (*file, after)))?;
            let caught = self.build(&tree, &place).and_then(|()| self.caught_by(&place, mutant));
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

    fn build(&self, tree: &Path, place: &Path) -> Result<(), String> {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "simulation", "--bin", self.simulation]);
        if let Some((exhaustive, _)) = self.exhaustive {
            build.args(["--bin", exhaustive]);
        }
        let output = build
            .current_dir(tree)
            .env("CARGO_TARGET_DIR", place.join("target"))
            .env("CARGO_INCREMENTAL", "1")
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
    fn caught_by(&self, place: &Path, mutant: &Mutant<S>) -> Result<Option<String>, String> {
        let first = mutant.scenario.to_string();
        let others = self.scenarios.iter().map(ToString::to_string);
        let others: Vec<String> = others.filter(|other| *other != first).collect();
        for scenario in std::iter::once(&first).chain(&others) {
            let arguments = ["--schedules", self.schedules, "--scenario", scenario];
            if let Some(seen) = fails(place, self.simulation, &arguments)? {
                return Ok(Some(format!("{scenario}, {seen}")));
            }
        }
        let Some((exhaustive, arguments)) = self.exhaustive else {
            return Ok(None);
        };
        Ok(fails(place, exhaustive, arguments)?.map(|seen| format!("exhaustive, {seen}")))
    }
}

fn write<'a>(tree: &Path, files: impl Iterator<Item = (&'a str, &'a String)>) -> Result<(), String> {
    for (file, text) in files {
        fs::write(tree.join(file), text).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
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
