//! Reads the project's documents, for the functions' tests that hold what they say to what the code does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// The names in the first column of the tables of a document.
pub(crate) fn first_column(document: &str) -> BTreeSet<&str> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

/// Those of them that are errors of this kind: `Lock.` or so.
pub(crate) fn listed_errors<'a>(document: &'a str, kind: &str) -> BTreeSet<&'a str> {
    let names = first_column(document).into_iter();
    names.filter(|name| name.starts_with(kind)).collect()
}

/// The blocks of JSON of a document.
pub(crate) fn code_blocks(document: &str) -> Vec<Value> {
    let blocks = document
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    blocks
        .map(|block| serde_json::from_str(block).expect("a block of JSON"))
        .collect()
}

/// The sample events of a function, by the names of their files. Its README lists just these.
pub(crate) fn sample_events(function: &str, readme: &str) -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(function);
    let mut events = BTreeMap::new();
    for file in std::fs::read_dir(folder).expect("a folder of events") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read(&path).expect("a file that can be read");
        let event = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        events.insert(name, event);
    }
    let listed = first_column(readme).into_iter().filter(|name| name.contains(".json"));
    assert!(
        listed.eq(events.keys()),
        "README.md lists other events than {:?}",
        events.keys()
    );
    events
}
