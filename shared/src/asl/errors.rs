//! Retry and Catch.

/// An entry of `Retry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrier {
    /// `ErrorEquals`.
    pub error_equals: Vec<String>,
    /// `MaxAttempts`: how often it is tried again, 3 unless something else is said.
    pub max_attempts: u32,
}

/// An entry of `Catch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catcher {
    /// `ErrorEquals`.
    pub error_equals: Vec<String>,
    /// `Next`: the state that handles the error.
    pub next: String,
}

/// `MaxAttempts` where it is not given: Amazon States Language, "Retrying after error".
pub(super) const MAX_ATTEMPTS: u32 = 3;

impl Retrier {
    /// Whether it retries `error`; an error without a name is matched by the wildcards.
    #[must_use]
    pub fn matches(&self, error: Option<&str>) -> bool {
        matches(&self.error_equals, error)
    }
}

impl Catcher {
    /// Whether it catches `error`; an error without a name is matched by the wildcards.
    #[must_use]
    pub fn matches(&self, error: Option<&str>) -> bool {
        matches(&self.error_equals, error)
    }
}

/// Developer guide, "Error names". `States.ALL` does match `States.DataLimitExceeded` of a Lambda function, whatever is
/// written there: a recorded history shows it.
fn matches(names: &[String], error: Option<&str>) -> bool {
    let error = error.unwrap_or_default();
    names.iter().any(|name| match name.as_str() {
        "States.ALL" => error != "States.Runtime",
        "States.TaskFailed" => !matches!(error, "States.Timeout" | "States.HeartbeatTimeout" | "States.Runtime"),
        "States.Timeout" => matches!(error, "States.Timeout" | "States.HeartbeatTimeout"),
        name => name == error,
    })
}
