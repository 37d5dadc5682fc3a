//! Every document of the project: what it links to is there, and so are the commands and the files that it names.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use local_cloud::workspace::root;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Commands of cargo that need no alias.
const OF_CARGO: [&str; 10] = [
    "build", "clippy", "deny", "fmt", "fuzz", "install", "lambda", "nextest", "run", "test",
];

/// Folders and files of the project that inline code may name.
const NAMED: [&str; 9] = [
    ".ci/",
    "docs/",
    "events/",
    "examples/",
    "functions/",
    "fuzz/",
    "policies/",
    "shared/",
    "tests/",
];

/// What a state that calls a function repeats, whatever the function: Lambda had no answer. The first five are
/// <https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html>; the others end an invocation
/// whose time was up or whose process died.
const OF_LAMBDA: [&str; 8] = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
];

/// What a document has.
#[derive(Default)]
struct Document {
    links: Vec<String>,
    anchors: Vec<String>,
    code: Vec<String>,
    /// The lines of its blocks of commands.
    commands: Vec<String>,
}

impl Document {
    fn read(text: &str) -> Self {
        let mut document = Self::default();
        let mut slugs: HashMap<String, usize> = HashMap::new();
        let (mut heading, mut shell) = (None, false);
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    let again = slugs.entry(slug.clone()).and_modify(|again| *again += 1).or_default();
                    document.anchors.push(match *again {
                        0 => slug,
                        again => format!("{slug}-{again}"),
                    });
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(dest_url.into_string());
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => shell = &*language == "sh",
                Event::End(TagEnd::CodeBlock) => shell = false,
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    document.code.push(code.into_string());
                }
                Event::Text(text) => match &mut heading {
                    Some(heading) => heading.push_str(&text),
                    None if shell => document.commands.extend(text.lines().map(str::to_owned)),
                    None => {}
                },
                _ => {}
            }
        }
        document
    }
}

/// A heading's anchor, as GitHub makes it.
fn slug(heading: &str) -> String {
    let heading = heading.trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The texts of all files under a folder whose names end so, by their paths.
fn texts(folder: &Path, end: &str) -> BTreeMap<PathBuf, String> {
    fn collect(folder: &Path, end: &str, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", ".git", ".aws-sam", "node_modules"].contains(&name.as_str()) {
                    collect(&path, end, found);
                }
            } else if name.ends_with(end) {
                let text = fs::read_to_string(&path).expect("a text");
                found.insert(path, text);
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, end, &mut found);
    found
}

/// All documents, by their paths.
fn documents() -> BTreeMap<PathBuf, Document> {
    let texts = texts(&root(), ".md").into_iter();
    texts.map(|(path, text)| (path, Document::read(&text))).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let (root, documents) = (root(), documents());
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (path, document) in &documents {
        for link in &document.links {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            looked_at += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file.is_empty() {
                true => path.clone(),
                false => path.parent().unwrap_or(&root).join(file),
            };
            let Ok(target) = target.canonicalize() else {
                wrong.push(format!("{}: {link}: no such file", path.display()));
                continue;
            };
            // Of a folder its README is shown.
            let target = if target.is_dir() {
                target.join("README.md")
            } else {
                target
            };
            let has_anchor = |document: &Document| document.anchors.iter().any(|found| found == anchor);
            if !anchor.is_empty() && !documents.get(&target).is_some_and(has_anchor) {
                wrong.push(format!("{}: {link}: no such heading", path.display()));
            }
        }
    }
    assert!(looked_at > 100, "{looked_at} links");
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_command_of_cargo_is_one() {
    let config = fs::read_to_string(root().join(".cargo/config.toml")).expect("cargo's settings");
    let is_alias = |word: &str| config.lines().any(|line| line.starts_with(&format!("{word} = ")));
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (path, document) in documents() {
        for line in document.commands.iter().chain(&document.code) {
            let Some(command) = line.strip_prefix("cargo ") else {
                continue;
            };
            looked_at += 1;
            let mut words = command.split_whitespace().skip_while(|word| word.starts_with('+'));
            let word = words.next().unwrap_or_default();
            if !OF_CARGO.contains(&word) && !is_alias(word) {
                wrong.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(looked_at > 20, "{looked_at} commands");
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_file_that_is_named_is_there() {
    let root = root();
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (path, document) in documents() {
        for code in &document.code {
            let is_path =
                NAMED.iter().any(|start| code.starts_with(start)) && !code.contains(['*', '<', ' ', '{', '$']);
            if !is_path {
                continue;
            }
            looked_at += 1;
            let beside = path.parent().unwrap_or(&root).join(code);
            if !root.join(code).exists() && !beside.exists() {
                wrong.push(format!("{}: {code}", path.display()));
            }
        }
    }
    assert!(looked_at > 20, "{looked_at} paths");
    assert_eq!(wrong, [""; 0]);
}

/// Each call may be repeated: a run that fails since Lambda had a bad moment has failed for nothing.
#[test]
fn every_state_to_paste_repeats_the_errors_of_lambda() {
    let mut texts_of_states = texts(&root().join("examples"), ".asl.json");
    texts_of_states.extend(texts(&root().join("functions"), "README.md"));
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (path, text) in texts_of_states {
        for list in text.split("\"ErrorEquals\": [").skip(1) {
            let list = list.split(']').next().unwrap_or_default();
            let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
            // Those of the fleet's functions, not of what the pipelines themselves call.
            if !names
                .iter()
                .any(|name| OF_LAMBDA.contains(name) || name.ends_with(".Unavailable"))
            {
                continue;
            }
            looked_at += 1;
            let missing: Vec<&&str> = OF_LAMBDA.iter().filter(|name| !names.contains(name)).collect();
            if !missing.is_empty() {
                wrong.push(format!("{}: {names:?} has no {missing:?}", path.display()));
            }
        }
    }
    assert!(looked_at > 20, "{looked_at} states");
    assert_eq!(wrong, [""; 0]);
}
