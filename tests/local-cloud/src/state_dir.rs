//! The folder of one run of the local cloud: its log, its state, its temporary files.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{Error, setup};

/// `run-<pid>`, with a lock in it for as long as its owner lives.
///
/// Dropping it removes it, unless it is kept for its log. What a process leaves behind because it was killed, or
/// because nothing is dropped at the end of a test binary, the next start removes: the lock says that nobody is there.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    keep: AtomicBool,
    _lock: File,
}

impl StateDir {
    /// Makes a folder below `dir` and removes those of processes that have ended.
    pub(crate) fn create(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::file(dir))?;
        // So that nobody sweeps a folder between its making and its locking.
        let _turn = setup::lock(&dir.join("runs.lock"))?;
        sweep(dir);
        let mut path = dir.join(format!("run-{}", process::id()));
        let mut more = 1;
        while path.exists() {
            more += 1;
            path = dir.join(format!("run-{}-{more}", process::id()));
        }
        let tmp = path.join("tmp");
        fs::create_dir_all(&tmp).map_err(Error::file(tmp))?;
        let lock = setup::try_lock(&lock_file(&path))?
            .ok_or_else(|| Error::unexpected("the new folder of a run", "someone else has its lock"))?;
        Ok(Self {
            path,
            keep: AtomicBool::new(false),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn keep(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    /// The end of the log, and of what was said before there was one.
    pub(crate) fn log_tail(&self) -> String {
        let logs = [self.stderr(), self.log()].map(|file| fs::read_to_string(file).unwrap_or_default());
        let tails: Vec<_> = logs
            .iter()
            .map(|log| setup::tail(log, 30))
            .filter(|tail| !tail.trim().is_empty())
            .collect();
        let log = self.log();
        if tails.is_empty() {
            format!("  (nothing in {})", log.display())
        } else {
            tails.join("\n")
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("cloud.log")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.path.join("stderr.log")
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if !self.keep.load(Ordering::Relaxed) {
            // What cannot be removed now, the next start removes.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn lock_file(run: &Path) -> PathBuf {
    run.join("owner.lock")
}

fn sweep(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(io::Result::ok);
    for run in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("run-")) {
        if let Ok(Some(_abandoned)) = setup::try_lock(&lock_file(&run.path())) {
            let _ = fs::remove_dir_all(run.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn the_next_run_removes_what_a_dead_one_left() {
        let dir = env::temp_dir().join(format!("local-cloud-runs-{}", process::id()));
        fs::create_dir_all(dir.join("run-1/tmp")).unwrap();
        fs::create_dir_all(dir.join("venv")).unwrap();
        let first = StateDir::create(&dir).unwrap();
        assert!(!dir.join("run-1").exists(), "nobody holds its lock");
        let second = StateDir::create(&dir).unwrap();
        assert!(first.path().exists(), "its owner lives");
        assert_ne!(first.path(), second.path());
        second.keep();
        let (gone, kept) = (first.path().to_path_buf(), second.path().to_path_buf());
        drop((first, second));
        assert!(!gone.exists());
        assert!(kept.exists());
        assert!(dir.join("venv").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
