//! An execution as `DescribeExecution` shows it.

use std::time::SystemTime;

use aws_sdk_sfn::{operation::describe_execution::DescribeExecutionOutput, types::ExecutionStatus};
use serde_json::Value;

/// What is known of an execution.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: ExecutionStatus,
    /// The error that it failed with.
    pub error: Option<String>,
    /// The cause of that error, as it stands: for a function's error a JSON text.
    pub cause: Option<String>,
    /// Its output.
    pub output: Option<Value>,
    /// When it started.
    pub started: SystemTime,
    /// When it ended.
    pub stopped: Option<SystemTime>,
}

impl Execution {
    /// Whether it has ended, in any way.
    #[must_use]
    pub fn ended(&self) -> bool {
        !matches!(self.status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive)
    }

    /// Whether it ended well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == ExecutionStatus::Succeeded
    }

    /// The `errorMessage` in the cause of a function's error, or the cause as it stands.
    #[must_use]
    pub fn cause_message(&self) -> Option<String> {
        let cause = self.cause.as_deref()?;
        let message = serde_json::from_str::<Value>(cause)
            .ok()
            .and_then(|cause| Some(cause.get("errorMessage")?.as_str()?.to_owned()));
        Some(message.unwrap_or_else(|| cause.to_owned()))
    }
}

impl From<DescribeExecutionOutput> for Execution {
    fn from(output: DescribeExecutionOutput) -> Self {
        let arn = output.execution_arn;
        let name = output
            .name
            .unwrap_or_else(|| arn.rsplit(':').next().unwrap_or_default().to_owned());
        Self {
            name,
            arn,
            status: output.status,
            error: output.error,
            cause: output.cause,
            output: output
                .output
                .map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))),
            started: SystemTime::try_from(output.start_date).unwrap_or(SystemTime::UNIX_EPOCH),
            stopped: output.stop_date.and_then(|date| SystemTime::try_from(date).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sfn::primitives::DateTime;

    fn failed(cause: &str) -> Execution {
        DescribeExecutionOutput::builder()
            .execution_arn("arn:aws:states:us-east-1:000000000001:execution:orders:nightly-2")
            .state_machine_arn("arn:aws:states:us-east-1:000000000001:stateMachine:orders")
            .status(ExecutionStatus::Failed)
            .start_date(DateTime::from_secs(1))
            .cause(cause)
            .build()
            .unwrap()
            .into()
    }

    #[test]
    fn reads_a_functions_message_out_of_the_cause() {
        let run = failed(r#"{"errorType":"OverlapGuard.Overlapping","errorMessage":"nightly-1 is running"}"#);
        assert_eq!(run.cause_message().unwrap(), "nightly-1 is running");
        assert_eq!(run.name, "nightly-2");
        assert!(run.ended() && !run.succeeded());
    }

    #[test]
    fn a_cause_that_is_no_functions_stands_as_it_is() {
        assert_eq!(failed("plain words").cause_message().unwrap(), "plain words");
        assert_eq!(failed(r#"{"other":1}"#).cause_message().unwrap(), r#"{"other":1}"#);
    }
}
