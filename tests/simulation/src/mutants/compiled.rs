//! What cargo has compiled of other people's crates, for another target folder: they take minutes to compile.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Copies the crates that this program's build has compiled, without those of the workspace at `root`, to the folder of a
/// profile, unless that is there. Cargo sees that they are as it wants them, or compiles them.
pub(super) fn copy(root: &Path, profile: &Path) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let Some(ours) = program.parent().filter(|_| !profile.exists()) else {
        return Ok(());
    };
    let own = own_crates(root)?;
    for (folder, prefix) in [("deps", "lib"), ("build", ""), (".fingerprint", "")] {
        for entry in fs::read_dir(ours.join(folder))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // `libserde_json-0123456789abcdef.rlib`, `serde_json-0123456789abcdef`; programs have no prefix.
            let Some((package, _)) = name.strip_prefix(prefix).and_then(|name| name.rsplit_once('-')) else {
                continue;
            };
            if !own.contains(&package.replace('-', "_")) {
                copy_all(&path, &profile.join(folder).join(&*name))?;
            }
        }
    }
    Ok(())
}

/// The names of the workspace's crates, as rustc has them.
fn own_crates(root: &Path) -> io::Result<HashSet<String>> {
    let mut folders = vec![root.join("shared")];
    for several in ["functions", "tests"] {
        for entry in fs::read_dir(root.join(several))? {
            folders.push(entry?.path());
        }
    }
    let manifests = folders.iter().map(|folder| folder.join("Cargo.toml"));
    let names = manifests.filter(|manifest| manifest.exists()).map(|manifest| {
        let text = fs::read_to_string(manifest)?;
        let name = text.lines().find_map(|line| line.strip_prefix("name = "));
        Ok(name.unwrap_or_default().trim_matches('"').replace('-', "_"))
    });
    names.collect()
}

/// With its time: cargo takes what is older than its dependencies for out of date.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            copy_all(&path, &to.join(path.file_name().unwrap_or_default()))?;
        }
        return Ok(());
    }
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::copy(from, to)?;
    File::options()
        .write(true)
        .open(to)?
        .set_modified(fs::metadata(from)?.modified()?)
}
