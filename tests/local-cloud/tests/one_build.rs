//! `cargo demo`, `cargo test` and the build of the functions share every compiled crate: the first of them compiles the
//! SDK, the others find it. For that each crate must have the same features in all three; see Cargo.toml.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use local_cloud::workspace::Workspace;

#[tokio::test]
async fn every_build_has_the_same_features() {
    let workspace = Workspace::find().await.unwrap();
    let demo = features(&workspace, &["-p", "local-cloud", "-e", "normal"]);
    assert!(
        demo.keys().any(|package| package.starts_with("aws-sdk-sfn ")),
        "{:?}",
        demo.keys()
    );

    let mut arguments = vec!["-p", "local-cloud", "-e", "normal"];
    arguments.extend(
        workspace
            .functions
            .iter()
            .flat_map(|function| ["-p", &function.package]),
    );
    let functions = features(&workspace, &arguments);
    let test = features(&workspace, &["--workspace", "-e", "normal,dev"]);

    let mut different = Vec::new();
    for (name, builds) in [
        ("the functions", [&demo, &functions]),
        ("cargo test", [&functions, &test]),
    ] {
        for (package, here) in builds[0] {
            let there = builds[1].get(package);
            if let Some(there) = there.filter(|there| *there != here) {
                let more: Vec<_> = here.symmetric_difference(there).collect();
                different.push(format!("{name}: {package}: {more:?}"));
            }
        }
    }
    assert!(
        different.is_empty(),
        "name these in tests/local-cloud/Cargo.toml as well:\n{}",
        different.join("\n")
    );
}

/// The features of each package of a build.
fn features(workspace: &Workspace, arguments: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--prefix=none", "--format={p}|{f}|"])
        .args(arguments)
        .current_dir(&workspace.root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut packages = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut fields = line.split('|');
        let (Some(package), Some(features)) = (fields.next(), fields.next()) else {
            continue;
        };
        let features = features
            .split(',')
            .filter(|feature| !feature.is_empty())
            .map(str::to_owned);
        packages.entry(package.to_owned()).or_default().extend(features);
    }
    packages
}
