//! What the protocols assume of the deployment is held to the template.

use std::time::Duration;

use signalbox::lock::GRANT_SETTLES;
use signalbox::lock::reserve::RESERVING;

const TEMPLATE: &str = include_str!("../../template.yaml");

/// Whoever finds a grant that was made a minute ago takes its maker for dead.
#[test]
fn no_invocation_lives_longer_than_half_of_what_a_grant_may_take_to_settle() {
    // It ends what it does to locks by itself, and lives on.
    const RESUME: &str = "ResumeFunction";
    let mut timeouts = Vec::new();
    let mut resource = "";
    for line in TEMPLATE.lines() {
        if line.starts_with("  ") && !line.starts_with("   ") {
            resource = line.trim().trim_end_matches(':');
        }
        if let Some(seconds) = line.trim().strip_prefix("Timeout: ") {
            timeouts.push((resource, Duration::from_secs(seconds.parse().expect("seconds"))));
        }
    }
    let functions = TEMPLATE.matches("Type: AWS::Serverless::Function").count();
    assert_eq!(timeouts.len(), functions, "each function has a Timeout of its own");
    for (resource, timeout) in timeouts {
        let lives = if resource == RESUME { RESERVING } else { timeout };
        assert!(lives * 2 <= GRANT_SETTLES, "{resource}: {lives:?}");
    }
}

/// A message is delivered again only when the function that had it is not working on it any more.
#[test]
fn a_status_event_is_not_handled_twice_at_once() {
    let timeouts = TEMPLATE.split(" VisibilityTimeout: ").skip(1);
    let timeouts = timeouts.map(|rest| rest.lines().next().and_then(|seconds| seconds.parse::<u64>().ok()));
    let timeouts: Vec<u64> = timeouts.map(|seconds| seconds.expect("seconds")).collect();
    assert!(timeouts.len() >= 4, "{timeouts:?}");
    assert!(timeouts.iter().all(|timeout| *timeout >= 6 * 30), "{timeouts:?}");
}
