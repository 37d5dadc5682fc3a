//! The functions, built by plain cargo: no cross compiler, no optimisation that only a deployment needs.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::Command,
};

use crate::{Error, Progress, progress::Step, setup::tail, workspace};
use workspace::Workspace;

/// Builds the functions and returns the folder of their binaries.
///
/// `local-cloud` is named in the build as well, and `signalbox` with all features: cargo unifies the features of the packages
/// of one build, so with them the crates are the very ones that `cargo demo` and `cargo test` have compiled.
pub async fn functions(workspace: &Workspace, progress: &Progress) -> Result<PathBuf, Error> {
    let step = progress.step("functions", "building");
    if workspace.functions.is_empty() {
        return Err(Error::unexpected(
            "cargo metadata",
            "no package with a binary in functions/",
        ));
    }
    let mut command = Command::new(workspace::cargo());
    command.args([
        "build",
        "--message-format=json-render-diagnostics",
        "-p",
        env!("CARGO_PKG_NAME"),
        "-p",
        "signalbox",
        "--all-features",
    ]);
    for function in &workspace.functions {
        command.args(["-p", &function.package, "--bin", &function.binary]);
    }
    let mut cargo = command
        .current_dir(&workspace.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::program("cargo"))?;
    let messages = cargo
        .stdout
        .take()
        .map(lines)
        .ok_or_else(|| Error::unexpected("cargo", "no standard output"))?;
    let diagnostics = cargo
        .stderr
        .take()
        .map(lines)
        .ok_or_else(|| Error::unexpected("cargo", "no standard error"))?;
    let (built, said) = tokio::join!(artifacts(messages, &step), collect(diagnostics, &step));
    let status = cargo.wait().await.map_err(Error::program("cargo"))?;
    if !status.success() {
        return Err(Error::Build {
            output: tail(&said, 60),
        });
    }
    let dir = folder_of(workspace, &built.executables)?;
    let binaries = match workspace.functions.len() {
        1 => "1 binary".to_owned(),
        count => format!("{count} binaries"),
    };
    step.done(&format!(
        "{binaries} {}",
        if built.compiled == 0 { "up to date" } else { "built" }
    ));
    Ok(dir)
}

#[derive(Default)]
struct Built {
    compiled: usize,
    executables: Vec<(String, PathBuf)>,
}

impl Built {
    /// Takes one message of cargo; the name of the crate that it says was compiled.
    fn note(&mut self, line: &str) -> Option<String> {
        let message: Message = serde_json::from_str(line)
            .ok()
            .filter(|m: &Message| m.reason == "compiler-artifact")?;
        let target = message.target?;
        if let Some(executable) = message.executable {
            self.executables.push((target.name.clone(), executable));
        }
        if message.fresh {
            return None;
        }
        self.compiled += 1;
        Some(target.name)
    }
}

async fn artifacts<R: AsyncRead + Unpin>(mut messages: Lines<BufReader<R>>, step: &Step) -> Built {
    let mut built = Built::default();
    while let Ok(Some(line)) = messages.next_line().await {
        if let Some(name) = built.note(&line) {
            step.now(&format!("building: {name}"));
        }
    }
    built
}

async fn collect<R: AsyncRead + Unpin>(mut diagnostics: Lines<BufReader<R>>, step: &Step) -> String {
    let mut said = String::new();
    while let Ok(Some(line)) = diagnostics.next_line().await {
        if line.contains("Blocking waiting for file lock") {
            step.announce("waiting for another cargo");
        }
        said.push_str(&line);
        said.push('\n');
    }
    said
}

fn lines<R: AsyncRead>(from: R) -> Lines<BufReader<R>> {
    BufReader::new(from).lines()
}

/// The one folder that has all the functions' binaries.
fn folder_of(workspace: &Workspace, executables: &[(String, PathBuf)]) -> Result<PathBuf, Error> {
    let mut folder: Option<&Path> = None;
    for function in &workspace.functions {
        let executable = executables
            .iter()
            .find(|(name, _)| *name == function.binary)
            .map(|(_, path)| path);
        let parent = executable
            .and_then(|path| path.parent())
            .ok_or_else(|| Error::unexpected("cargo build", format!("no executable `{}`", function.binary)))?;
        if **folder.get_or_insert(parent) != *parent {
            return Err(Error::unexpected("cargo build", "executables in several folders"));
        }
    }
    folder
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::unexpected("cargo build", "no executables"))
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    fresh: bool,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Function;

    fn workspace(binaries: &[&str]) -> Workspace {
        let functions = binaries.iter().map(|&name| Function {
            package: name.into(),
            binary: name.into(),
        });
        Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            functions: functions.collect(),
        }
    }

    #[test]
    fn reads_cargos_messages() {
        let mut built = Built::default();
        let lines = [
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null,"fresh":true}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":"/t/debug/a","fresh":false}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"b"},"executable":"/t/debug/b","fresh":true}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "not json",
        ];
        let compiled: Vec<_> = lines.iter().filter_map(|line| built.note(line)).collect();
        assert_eq!(compiled, ["a"]);
        assert_eq!(
            folder_of(&workspace(&["a", "b"]), &built.executables).unwrap(),
            Path::new("/t/debug")
        );
        let missing = folder_of(&workspace(&["a", "c"]), &built.executables).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "cargo build answered something unexpected: no executable `c`"
        );
    }
}
