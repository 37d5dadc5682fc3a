//! Every sample event of `events/`, against the runs that `cargo cloud` seeds.

use std::collections::BTreeMap;
use std::path::Path;

use local_cloud::{Cloud, seed};
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/overlap-guard");

/// What each event is answered: the answer's `proceed`, or the error's name.
const ANSWERS: [(&str, Result<bool, &str>); 10] = [
    ("also-check", Err("OverlapGuard.Overlapping")),
    ("cancel-older", Ok(true)),
    ("ended-run", Err("OverlapGuard.NotRunning")),
    ("express", Err("OverlapGuard.BadRequest")),
    ("ignore-ancestors", Ok(true)),
    ("overlapping", Err("OverlapGuard.Overlapping")),
    ("overlapping-retry", Err("OverlapGuard.Overlapping")),
    ("proceed", Ok(true)),
    ("skip", Ok(false)),
    ("unknown-field", Err("OverlapGuard.BadRequest")),
];

#[tokio::test]
async fn every_sample_event_is_answered_as_it_says() -> Result<(), local_cloud::Error> {
    let account = Cloud::shared().await?.main_account();
    let seeds = seed::seed(&account).await?;
    let function = seeds.fleet.output("OverlapGuardFunctionName")?;
    let expected: BTreeMap<String, Result<bool, String>> = ANSWERS
        .iter()
        .map(|(name, answer)| ((*name).to_owned(), answer.map_err(str::to_owned)))
        .collect();
    // Twice and in any order, as a person would try them.
    for reversed in [false, true] {
        let mut names = names();
        if reversed {
            names.reverse();
        }
        let mut answers = BTreeMap::new();
        for name in names {
            let event: Value = serde_json::from_slice(&read(&name)).expect("JSON");
            let answer = match account.invoke(function, &event).await {
                Ok(answer) => Ok(answer["proceed"].as_bool().expect("proceed")),
                Err(error) => Err(error.error_type),
            };
            answers.insert(name, answer);
        }
        assert_eq!(answers, expected);
    }
    Ok(())
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(FOLDER).join(format!("{name}.json"))).expect("a sample event")
}

/// The names of all sample events, sorted.
fn names() -> Vec<String> {
    let files = std::fs::read_dir(FOLDER).expect("the folder of sample events");
    let paths = files.map(|file| file.expect("a file").path());
    let mut names: Vec<String> = paths
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
