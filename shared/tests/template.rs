//! What the protocols assume of the deployment is held to the template.

use std::time::Duration;

use signalbox::lock::GRANT_SETTLES;

const TEMPLATE: &str = include_str!("../../template.yaml");

/// Whoever finds a grant that was made a minute ago takes its maker for dead.
#[test]
fn no_invocation_lives_half_as_long_as_a_grant_may_take_to_settle() {
    let timeouts: Vec<u64> = TEMPLATE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Timeout: "))
        .map(|seconds| seconds.parse().expect("seconds"))
        .collect();
    let functions = TEMPLATE.matches("Type: AWS::Serverless::Function").count();
    assert_eq!(timeouts.len(), functions, "each function has a Timeout of its own");
    for seconds in timeouts {
        assert!(Duration::from_secs(seconds) * 2 <= GRANT_SETTLES, "{seconds} s");
    }
}

/// A message is delivered again only when the function that had it is not working on it any more.
#[test]
fn a_status_event_is_not_handled_twice_at_once() {
    let timeout = TEMPLATE
        .split("VisibilityTimeout: ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
        .expect("a VisibilityTimeout");
    assert!(timeout.parse::<u64>().expect("seconds") >= 6 * 30);
}
