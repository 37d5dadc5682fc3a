//! Every sample event of `events/`, against the runs that `cargo cloud` seeds: answered as its function's README says.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::samples::{ALERTS, ECS, Function, GUARD, LOCK, RESUME, Says, documented, event, names};
use local_cloud::seed::{self, Seeds};
use local_cloud::{Account, Cloud, Error, FunctionError, wait};
use serde_json::{Value, json};

const SETTLED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_sample_event_is_answered_as_its_readme_says() -> Result<(), Error> {
    let listed = [&GUARD[..], &LOCK[..], &ALERTS[..], &ECS[..], &RESUME[..]].concat();
    let listed: BTreeSet<&str> = listed.into_iter().map(|(folder, _)| folder).collect();
    let folders = names("");
    assert_eq!(folders.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
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
async fn send(account: &Account, seeds: &Seeds, functions: &[Function]) -> Result<Vec<String>, Error> {
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
                let event = event(folder, &name);
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
