//! The processes of functions, to be killed as a sandbox that dies.

use std::process::{Command, Stdio};

/// The ids of the processes whose environments are such: their entries are `NAME=value`. Where there is no `/proc`, none
/// are found.
#[must_use]
pub fn with(is: impl Fn(&[&str]) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        if is(&environment.split('\0').collect::<Vec<_>>()) {
            found.push(process.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// Kills a process. Whether it was there: it may have ended by itself.
#[must_use]
pub fn kill(process: &str) -> bool {
    let mut kill = Command::new("kill");
    let killed = kill.args(["-9", process]).stderr(Stdio::null()).status();
    killed.is_ok_and(|status| status.success())
}
