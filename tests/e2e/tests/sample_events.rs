//! Every sample event of `events/`, against the runs that `cargo cloud` seeds: answered as its function's README says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_cloud::seed::{self, Seeds};
use local_cloud::{Account, Cloud, Error, FunctionError, wait};
use serde_json::{Value, json};

/// The functions, and the outputs with their names.
const GUARD: [(&str, &str); 1] = [("overlap-guard", "OverlapGuardFunctionName")];
const LOCK: [(&str, &str); 3] = [
    ("lock-acquire", "LockAcquireFunctionName"),
    ("lock-release", "LockReleaseFunctionName"),
    ("lock-admin", "LockAdminFunctionName"),
];

const ALERTS: [(&str, &str); 1] = [("failure-alert", "FailureAlertFunctionName")];

const ECS: [(&str, &str); 3] = [
    ("ecs-launch", "EcsLaunchFunctionName"),
    ("ecs-settle", "EcsSettleFunctionName"),
    ("ecs-result", "EcsResultFunctionName"),
];

const RESUME: [(&str, &str); 1] = [("resume", "ResumeFunctionName")];

const SETTLED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_sample_event_is_answered_as_its_readme_says() -> Result<(), Error> {
    let account = Cloud::shared().await?.main_account();
    let seeds = seed::seed(&account).await?;
    // The guard's take their time, and have nothing to do with the lock's, nor the alerts' with either.
    let (guard, lock, alerts, ecs, resume) = tokio::try_join!(
        send(&account, &seeds, &GUARD),
        send(&account, &seeds, &LOCK),
        send(&account, &seeds, &ALERTS),
        send(&account, &seeds, &ECS),
        send(&account, &seeds, &RESUME),
    )?;
    let wrong = [guard, lock, alerts, ecs, resume].concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    what_was_mailed(&account).await?;
    what_was_run(&account).await?;
    what_the_events_did(&account, seeds.fleet.output("LockAdminFunctionName")?).await
}

/// Sends the events of these functions, twice and in any order, as a person would try them. The answers that are not as
/// the READMEs say.
async fn send(account: &Account, seeds: &Seeds, functions: &[(&str, &str)]) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for again in [false, true] {
        if again && functions == ECS {
            what_was_launched_has_ended(account, seeds.fleet.output("EcsSettleFunctionName")?).await?;
        }
        for (folder, output) in functions {
            let function = seeds.fleet.output(output)?;
            let documented = documented(folder);
            let mut names = names(folder);
            let listed: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
            assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
            if again {
                names.reverse();
            }
            for name in names {
                let event: Value = serde_json::from_slice(&read(folder, &name)).expect("JSON");
                let (first, second) = &documented[&name];
                let expected = if again { second } else { first };
                let answer = answered(account, function, &event, expected).await;
                if !expected.is(&answer) {
                    let time = if again { " the second time" } else { "" };
                    wrong.push(format!("{folder}/{name}{time}: {answer:?}, but README: {expected:?}"));
                }
            }
        }
    }
    Ok(wrong)
}

/// Sends an event. On a busy machine a call of the function may take too long: then asking again is safe, as the READMEs
/// say.
async fn answered(account: &Account, function: &str, event: &Value, expected: &Says) -> Result<Value, FunctionError> {
    let mut answer = account.invoke(function, event).await;
    for _ in 0..3 {
        match &answer {
            Err(error) if error.error_type.ends_with(".Unavailable") && !expected.is(&answer) => {
                answer = account.invoke(function, event).await;
            }
            _ => break,
        }
    }
    answer
}

/// Waits until the fleet knows of one task that lives: the seeded run's.
async fn what_was_launched_has_ended(account: &Account, settle: &str) -> Result<(), Error> {
    wait::until("the ends of the tasks", SETTLED_WITHIN, async || {
        let swept = account.invoke(settle, &json!({"sweep": true})).await;
        let swept = swept.map_err(|error| error.to_string())?;
        match swept["open"] == 1 && swept["beating"] == 1 {
            true => Ok(()),
            false => Err(swept.to_string()),
        }
    })
    .await
}

/// The events of `ecs-launch` started a task each, once; the seeded run's still works.
async fn what_was_run(account: &Account) -> Result<(), Error> {
    wait::until("one task for each event, at its end", SETTLED_WITHIN, async || {
        let tasks = account.ecs_tasks().await.map_err(|error| error.to_string())?;
        let stand = |family: &str| {
            let of = |task: &&Value| task["taskDefinitionArn"].to_string().contains(family);
            let mut stand: Vec<&str> = tasks
                .iter()
                .filter(of)
                .filter_map(|task| task["lastStatus"].as_str())
                .collect();
            stand.sort_unstable();
            stand
        };
        let (reports, etl) = (stand("/nightly-report:"), stand("/nightly-etl:"));
        match reports == ["STOPPED"; 5] && etl == ["RUNNING", "STOPPED", "STOPPED"] {
            true => Ok(()),
            false => Err(format!("nightly-report {reports:?}, nightly-etl {etl:?}")),
        }
    })
    .await
}

/// What the READMEs say of the runs that the events meddle with.
async fn what_the_events_did(account: &Account, admin: &str) -> Result<(), Error> {
    for (name, error) in [
        ("cancel-holds", "Lock.Cancelled"),
        ("replace-waits", "Lock.Superseded"),
        ("remove-waits", "Lock.Removed"),
    ] {
        let arn = format!("arn:aws:states:us-east-1:{}:execution:dock-shift:{name}", account.id());
        let ended = account.wait_for_execution(&arn).await?;
        assert_eq!(ended.error.as_deref(), Some(error), "{ended:?}");
    }
    for (lock, holders, waiters) in [
        ("warehouse", vec!["delivery-1"], vec!["priority", "inventory-1"]),
        ("dock-release", vec!["release-waits"], vec![]),
        ("dock-ended", vec!["ended-waits"], vec![]),
        ("dock-redriven", vec!["redriven-holds"], vec![]),
        ("dock-batch", vec!["batch-waits"], vec![]),
        ("dock-lost", vec!["lost-holds"], vec![]),
        ("dock-cancel", vec![], vec![]),
        ("dock-force", vec!["force-waits"], vec![]),
        ("dock-remove", vec!["remove-holds"], vec![]),
        ("dock-move", vec!["move-holds"], vec!["move-2", "move-1"]),
        ("dock-resume", vec!["resume-waits"], vec![]),
        ("dock-slots", vec!["slots-holds", "slots-waits"], vec![]),
    ] {
        // Some of it comes by an event.
        wait::until(&format!("{lock} as it should be"), SETTLED_WITHIN, async || {
            let list = json!({"action": "list", "lock": lock, "limit": 2});
            let seen = account.invoke(admin, &list).await.map_err(|error| error.to_string())?;
            match runs(&seen["holders"]) == holders && runs(&seen["waiters"]) == waiters {
                true => Ok(()),
                false => Err(seen.to_string()),
            }
        })
        .await?;
    }
    Ok(())
}

/// What the events of `failure-alert` had mailed: once each, by their subjects.
async fn what_was_mailed(account: &Account) -> Result<(), Error> {
    // Those of the runs that `cargo cloud` seeds are mailed as well.
    let mails = account.mails().await?.into_iter();
    let mails = mails.filter(|mail| mail.endpoint == seed::ON_CALL && mail.body.contains(MADE_UP));
    let mut subjects: Vec<String> = mails.map(|mail| mail.subject).collect();
    subjects.sort();
    let begin = [
        "[ABORTED] dock-shift",
        "[ABORTED] stock-report",
        "[FAILED] orders-audit",
        "[FAILED] orders-import",
        "[FAILED] orders-nightly",
        "[FAILED] orders-restore",
        "[FAILED] payroll",
        "[RECOVERED] orders-nightly",
        "[TIMED_OUT] stock-import",
    ];
    assert_eq!(subjects.len(), begin.len(), "{subjects:?}");
    for (subject, begin) in subjects.iter().zip(begin) {
        assert!(subject.starts_with(begin), "{subjects:?}");
    }
    Ok(())
}

/// The account that the runs of those events would be of.
const MADE_UP: &str = ":123456789012:";

/// The names of the runs in a list of `lock-admin`.
fn runs(list: &Value) -> Vec<&str> {
    let entries = list.as_array().into_iter().flatten();
    let arns = entries.filter_map(|entry| entry["executionArn"].as_str());
    arns.filter_map(|arn| arn.rsplit(':').next()).collect()
}

/// What a README says that an event is answered.
#[derive(Debug, Clone, PartialEq)]
enum Says {
    /// `Lock.Busy`
    Error(String),
    /// `"outcome": "queued"`
    Value(String, Value),
    /// `locks`
    Field(String),
}

impl Says {
    fn read(text: &str) -> Self {
        if text.starts_with('"') {
            let fields: BTreeMap<String, Value> = serde_json::from_str(&format!("{{{text}}}")).expect(text);
            let (field, value) = fields.into_iter().next().expect(text);
            return Self::Value(field, value);
        }
        match text.contains('.') {
            true => Self::Error(text.to_owned()),
            false => Self::Field(text.to_owned()),
        }
    }

    fn is(&self, answer: &Result<Value, FunctionError>) -> bool {
        match (self, answer) {
            (Self::Error(name), Err(error)) => error.error_type == *name,
            (Self::Value(field, value), Ok(answer)) => answer[field] == *value,
            (Self::Field(field), Ok(answer)) => answer.get(field).is_some(),
            _ => false,
        }
    }
}

/// What the README of a function says that its sample events are answered, the first time and after that.
fn documented(function: &str) -> BTreeMap<String, (Says, Says)> {
    let readme = root().join("functions").join(function).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("a README");
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(".json` | "));
    let mut documented = BTreeMap::new();
    let mut above = None;
    for (name, cell) in rows {
        let says = if cell.starts_with("the same") {
            above.clone().expect("an answer in the row above")
        } else {
            let first = Says::read(cell.split('`').nth(1).expect("an answer"));
            let again = cell.split_once("sent again `").map(|(_, rest)| rest);
            let again = again.and_then(|rest| rest.split('`').next()).map(Says::read);
            (first.clone(), again.unwrap_or(first))
        };
        above = Some(says.clone());
        documented.insert(name.to_owned(), says);
    }
    documented
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(folder: &str, name: &str) -> Vec<u8> {
    let folder = root().join("events").join(folder);
    std::fs::read(folder.join(format!("{name}.json"))).expect("a sample event")
}

/// The names of all sample events of a function, sorted.
fn names(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(root().join("events").join(folder)).expect("the folder of sample events");
    let paths = files.map(|file| file.expect("a file").path());
    let mut names: Vec<String> = paths
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
