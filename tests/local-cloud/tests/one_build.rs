//! `cargo demo`, `cargo test` and the build of the functions share the SDK: the first of them compiles it, the others
//! find it. For that each crate of the SDK must have the same features in all three; see Cargo.toml.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use local_cloud::workspace::Workspace;

/// What is slow to compile; all that it is made of counts as well. Other crates of other people may differ: they take a
/// second.
const SDK: [&str; 7] = [
    "aws-config",
    "aws-sdk-cloudwatchlogs",
    "aws-sdk-dynamodb",
    "aws-sdk-ecs",
    "aws-sdk-s3",
    "aws-sdk-sfn",
    "lambda_runtime",
];

#[tokio::test]
async fn every_build_has_the_same_features() {
    let workspace = Workspace::find().await.unwrap();
    let mut named = vec!["local-cloud"];
    let demo = features(&workspace, &packages(&named));
    named.extend(workspace.functions.iter().map(|function| function.package.as_str()));
    named.push("signalbox");
    let functions = features(&workspace, &[packages(&named), vec!["--all-features"]].concat());
    let test = features(&workspace, &["--workspace", "--edges=normal,dev"]);
    // All functions are made of it, and would be compiled twice as well.
    let ours = |build: &BTreeMap<String, BTreeSet<String>>| {
        let mut found = build.iter().filter(|(package, _)| package.starts_with("signalbox "));
        found.next().map(|(_, features)| features.clone())
    };
    assert!(ours(&test).is_some_and(|features| features.contains("simulation")));
    assert_eq!(ours(&functions), ours(&test));

    let mut different = Vec::new();
    for package in features(&workspace, &packages(&SDK)).keys() {
        for (name, [here, there]) in [
            ("the functions", [&demo, &functions]),
            ("cargo test", [&functions, &test]),
        ] {
            let more: Vec<_> = here[package].symmetric_difference(&there[package]).collect();
            if !more.is_empty() {
                different.push(format!("{name}: {package}: {more:?}"));
            }
        }
    }
    let different = different.join("\n");
    assert!(
        different.is_empty(),
        "see the dependencies of tests/local-cloud that are not used:\n{different}"
    );
}

fn packages<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names
        .iter()
        .flat_map(|name| ["-p", name])
        .chain(["--edges=normal"])
        .collect()
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
