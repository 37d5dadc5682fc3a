//! Where things are: the workspace, its target folder, its functions.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::Deserialize;
use tokio::process::Command;

use crate::Error;

/// The workspace as cargo sees it.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// The target folder, wherever the user has put it.
    pub target: PathBuf,
    /// The functions, in the order of their names.
    pub functions: Vec<Function>,
}

/// A function of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// The cargo package.
    pub package: String,
    /// The binary, which is also the `Binary` in the template.
    pub binary: String,
}

impl Workspace {
    /// Asks cargo.
    pub async fn find() -> Result<Self, Error> {
        let root = root();
        if !root.join("Cargo.toml").is_file() {
            return Err(Error::Prerequisite(format!(
                "{} is not there any more: build again where the workspace is now",
                root.display()
            )));
        }
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version=1"])
            .current_dir(&root)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::program("cargo"))?;
        if !output.status.success() {
            return Err(Error::unexpected(
                "cargo metadata",
                String::from_utf8_lossy(&output.stderr).trim(),
            ));
        }
        let metadata =
            serde_json::from_slice(&output.stdout).map_err(|error| Error::unexpected("cargo metadata", error))?;
        Ok(Self::from_metadata(root, metadata))
    }

    fn from_metadata(root: PathBuf, metadata: Metadata) -> Self {
        // cargo knows the folder by its real path; this crate may have been compiled through a link to it.
        let folder = metadata.workspace_root.join("functions");
        let mut functions: Vec<_> = metadata
            .packages
            .into_iter()
            .filter(|package| package.manifest_path.starts_with(&folder))
            .flat_map(|package| {
                let bins = package
                    .targets
                    .into_iter()
                    .filter(|target| target.kind.iter().any(|kind| kind == "bin"));
                bins.map(move |target| Function {
                    package: package.name.clone(),
                    binary: target.name,
                })
                .collect::<Vec<_>>()
            })
            .collect();
        functions.sort();
        Self {
            root,
            target: metadata.target_directory,
            functions,
        }
    }

    /// The folder for all that the local cloud keeps: the virtual environment, the runs.
    #[must_use]
    pub fn local_cloud_dir(&self) -> PathBuf {
        self.target.join("local-cloud")
    }

    /// The folder of the Python package.
    #[must_use]
    pub fn python_dir(&self) -> PathBuf {
        self.root.join("tests/local-cloud/python")
    }

    /// A path for people: relative to the workspace where it can be.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// The folder of the workspace's `Cargo.toml`, as it was when this crate was compiled.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The cargo that runs this, or the one on the path.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_binaries_under_functions_are_functions() {
        let metadata = json!({
            "target_directory": "/elsewhere/target",
            "workspace_root": "/w",
            "packages": [
                {"name": "zeta", "manifest_path": "/w/functions/zeta/Cargo.toml",
                 "targets": [{"name": "zeta", "kind": ["lib"]}, {"name": "zeta", "kind": ["bin"]}]},
                {"name": "alpha", "manifest_path": "/w/functions/alpha/Cargo.toml",
                 "targets": [{"name": "alpha", "kind": ["bin"]}, {"name": "build-script-build", "kind": ["custom-build"]}]},
                {"name": "local-cloud", "manifest_path": "/w/tests/local-cloud/Cargo.toml",
                 "targets": [{"name": "demo", "kind": ["bin"]}]},
            ],
        });
        let workspace = Workspace::from_metadata("/w".into(), serde_json::from_value(metadata).unwrap());
        let names: Vec<_> = workspace
            .functions
            .iter()
            .map(|function| function.binary.as_str())
            .collect();
        assert_eq!(names, ["alpha", "zeta"]);
        assert_eq!(workspace.local_cloud_dir(), Path::new("/elsewhere/target/local-cloud"));
        assert_eq!(workspace.shown(Path::new("/w/target/x")), "target/x");
        assert_eq!(workspace.shown(Path::new("/elsewhere/target/x")), "/elsewhere/target/x");
    }

    #[test]
    fn the_root_is_where_the_workspace_is() {
        assert!(root().join("tests/local-cloud/Cargo.toml").is_file());
    }
}
