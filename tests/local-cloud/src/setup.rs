//! The emulator's virtual environment: made once, under the target folder.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

use crate::{Error, Progress, workspace::Workspace};

/// What there must be, in one question: the version, and the two modules that Debian and Ubuntu leave out.
const PROBE: &str = "
import sys
missing = []
for module in ('venv', 'ensurepip'):
    try:
        __import__(module)
    except ImportError:
        missing.append(module)
print('.'.join(map(str, sys.version_info[:3])), *missing)
";

/// The oldest Python that the emulator runs on.
const OLDEST: (u32, u32) = (3, 10);

/// Makes sure that the virtual environment is there, and returns its Python.
///
/// The first time it downloads the emulator; afterwards it reads a stamp. Two processes at once take turns.
pub async fn python(workspace: &Workspace, progress: &Progress) -> Result<PathBuf, Error> {
    let step = progress.step("emulator", "looking for its virtual environment");
    let dir = workspace.local_cloud_dir();
    fs::create_dir_all(&dir).map_err(Error::file(&dir))?;
    let requirements = workspace.python_dir().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(Error::file(&requirements))?;

    let turn = dir.join("setup.lock");
    let mut ours = try_lock(&turn)?;
    if ours.is_none() {
        step.announce("waiting for another process that installs it");
    }
    while ours.is_none() {
        // Not a blocking lock: its thread would hold up the end of this process.
        tokio::time::sleep(Duration::from_millis(200)).await;
        ours = try_lock(&turn)?;
    }

    let venv = Venv::new(dir.join("venv"));
    if let Some(version) = venv.version().await
        && venv.is_complete(&version, &wanted)
    {
        step.done(&format!("Python {version}, installed"));
        return Ok(venv.python());
    }

    let version = host_python().await?;
    let place = workspace.shown(&venv.dir);
    step.announce(&format!("installing it into {place} (once, about 40 s)"));
    venv.make(&requirements).await?;
    venv.stamp(&venv.version().await.unwrap_or_default(), &wanted)?;
    step.done(&format!("Python {version}, installed into {place}"));
    drop(ours);
    Ok(venv.python())
}

/// A virtual environment, perhaps half-made.
struct Venv {
    dir: PathBuf,
}

impl Venv {
    fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn python(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    /// The version of its Python, if that runs.
    async fn version(&self) -> Option<String> {
        let version = run(&self.python(), &["-I", "-c", PROBE])
            .await
            .ok()
            .filter(|output| output.status.success())?;
        let version = String::from_utf8_lossy(&version.stdout);
        version.split_whitespace().next().map(str::to_owned)
    }

    /// The stamp is written last, and holds all that decides what is installed.
    fn is_complete(&self, version: &str, requirements: &str) -> bool {
        fs::read_to_string(self.stamp_file()).is_ok_and(|stamp| stamp == stamp_for(version, requirements))
    }

    fn stamp(&self, version: &str, requirements: &str) -> Result<(), Error> {
        let file = self.stamp_file();
        fs::write(&file, stamp_for(version, requirements)).map_err(Error::file(file))
    }

    fn stamp_file(&self) -> PathBuf {
        self.dir.join("complete")
    }

    async fn make(&self, requirements: &Path) -> Result<(), Error> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&self.dir)(error)),
            _ => {}
        }
        let venv = self.dir.display().to_string();
        succeed(
            "python3 -m venv",
            &run(Path::new("python3"), &["-m", "venv", &venv]).await?,
        )?;
        let requirements = requirements.display().to_string();
        let install = [
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--disable-pip-version-check",
            "--no-input",
            "--quiet",
            "-r",
            &requirements,
        ];
        succeed("pip install", &run(&self.python(), &install).await?)
    }
}

fn stamp_for(version: &str, requirements: &str) -> String {
    format!("# Python {version}\n{requirements}")
}

/// The version of `python3`, if it can do what is asked of it.
async fn host_python() -> Result<String, Error> {
    match run(Path::new("python3"), &["-c", PROBE]).await {
        Ok(output) if output.status.success() => judge(&String::from_utf8_lossy(&output.stdout)),
        Ok(output) => Err(Error::Prerequisite(format!(
            "python3 does not run: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(Error::Program { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(Error::Prerequisite(missing("there is no python3 on the path")))
        }
        Err(error) => Err(error),
    }
}

/// Reads the probe's answer.
fn judge(answer: &str) -> Result<String, Error> {
    let mut words = answer.split_whitespace();
    let version = words.next().unwrap_or_default();
    let missing_modules: Vec<_> = words.collect();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        return Err(Error::unexpected("python3", answer.trim()));
    };
    if (major, minor) < OLDEST {
        let (major, minor) = OLDEST;
        return Err(Error::Prerequisite(missing(&format!(
            "python3 is {version}, older than {major}.{minor}"
        ))));
    }
    if !missing_modules.is_empty() {
        let modules = missing_modules.join(" and ");
        return Err(Error::Prerequisite(missing(&format!(
            "python3 ({version}) has no {modules}"
        ))));
    }
    Ok(version.to_owned())
}

fn missing(what: &str) -> String {
    format!(
        "{what}. The local cloud needs Python 3.10 or newer, with venv and pip:\n  \
         Debian, Ubuntu   sudo apt install python3 python3-venv python3-pip\n  \
         Fedora           sudo dnf install python3 python3-pip\n  \
         macOS            brew install python"
    )
}

/// Runs a program to its end; it ends with the future as well.
async fn run(program: &Path, arguments: &[&str]) -> Result<Output, Error> {
    Command::new(program)
        .args(arguments)
        // Set by an outer virtual environment or by the user; here it could only do harm.
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .env_remove("PIP_TARGET")
        .env_remove("PIP_USER")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::program(program.display().to_string()))
}

fn succeed(step: &'static str, output: &Output) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(Error::Setup {
        step,
        output: tail(&text, 30),
    })
}

/// The last lines of a text, each indented.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.trim_end().lines().collect();
    let kept: Vec<_> = all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect();
    kept.join("\n")
}

/// Takes the lock file if no other process has it. It is free again when the file is closed, however that happens.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, Error> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Error::file(path)(error)),
    }
}

/// Takes the lock file, after whoever has it.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = open(path)?;
    file.lock().map_err(Error::file(path))?;
    Ok(file)
}

fn open(path: &Path) -> Result<File, Error> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn judges_what_python3_answers() {
        assert_eq!(judge("3.11.7\n").unwrap(), "3.11.7");
        assert_eq!(judge("3.10.0\n").unwrap(), "3.10.0");
        let old = judge("3.9.18\n").unwrap_err().to_string();
        assert!(old.starts_with("python3 is 3.9.18, older than 3.10. "), "{old}");
        let bare = judge("3.12.3 venv ensurepip\n").unwrap_err().to_string();
        assert!(
            bare.starts_with("python3 (3.12.3) has no venv and ensurepip. "),
            "{bare}"
        );
        assert!(bare.contains("apt install python3 python3-venv"), "{bare}");
        assert!(judge("").is_err());
    }

    #[test]
    fn the_stamp_changes_with_python_and_with_the_requirements() {
        let dir = env::temp_dir().join(format!("local-cloud-stamp-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let venv = Venv::new(dir.clone());
        assert!(!venv.is_complete("3.11.7", "ministack==1\n"));
        venv.stamp("3.11.7", "ministack==1\n").unwrap();
        assert!(venv.is_complete("3.11.7", "ministack==1\n"));
        assert!(!venv.is_complete("3.12.0", "ministack==1\n"));
        assert!(!venv.is_complete("3.11.7", "ministack==2\n"));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn one_holder_of_a_lock_at_a_time() {
        let file = env::temp_dir().join(format!("local-cloud-lock-{}", std::process::id()));
        let first = try_lock(&file).unwrap();
        assert!(first.is_some());
        assert!(try_lock(&file).unwrap().is_none());
        drop(first);
        assert!(try_lock(&file).unwrap().is_some());
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn the_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "  b\n  c");
        assert_eq!(tail("", 2), "");
    }
}
