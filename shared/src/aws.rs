//! The AWS clients, built once per sandbox, and what a failed call says.

use std::error::Error;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::config::Environment;
use crate::failure::chain;

/// What every client shares: Region, credentials and endpoint from the environment, where Lambda puts them; retries with
/// jitter; and time limits that leave a function with a 30-second timeout the time to answer.
///
/// Built by hand: `aws_config::defaults().load()` also brings profiles, IMDS, STS, web identity and ECS credentials, which
/// a Lambda function never uses, and which are 0.8 MB of its binary.
#[must_use]
pub fn shared_config(environment: &Environment) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(12))
        .build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .retry_config(retries())
        .timeout_config(timeouts)
        .use_fips(environment.get("AWS_USE_FIPS_ENDPOINT") == Some("true"))
        .use_dual_stack(environment.get("AWS_USE_DUALSTACK_ENDPOINT") == Some("true"));
    config.set_region(
        environment
            .get("AWS_REGION")
            .map(|region| Region::new(region.to_owned())),
    );
    config.set_endpoint_url(environment.get("AWS_ENDPOINT_URL").map(str::to_owned));
    config.build()
}

/// How every client retries a call that was throttled or lost: four attempts, with jitter.
#[must_use]
pub fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(2))
}

/// The DynamoDB client.
#[cfg(feature = "dynamodb")]
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place that builds it")]
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// The Step Functions client.
#[cfg(feature = "sfn")]
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place that builds it")]
pub fn sfn(config: &SdkConfig) -> aws_sdk_sfn::Client {
    aws_sdk_sfn::Client::new(config)
}

/// The ECS client.
#[cfg(feature = "ecs")]
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place that builds it")]
pub fn ecs(config: &SdkConfig) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(config)
}

/// The SQS client.
#[cfg(feature = "sqs")]
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place that builds it")]
pub fn sqs(config: &SdkConfig) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(config)
}

/// A call to AWS that failed for good: which one, and everything that is known of why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{api} failed: {reason}")]
pub struct CallError {
    /// The call, as IAM spells it: `states:ListExecutions`.
    pub api: &'static str,
    /// The error code that the service gave, if it answered at all: `ThrottlingException`.
    pub code: Option<String>,
    reason: String,
}

impl CallError {
    /// Reads a failed call of the SDK.
    pub fn new<E>(api: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let service = error.as_service_error();
        let code = service.and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let reason = match (service.and_then(ProvideErrorMetadata::message), &code) {
            (Some(message), Some(code)) => format!("{code}: {message}"),
            (None, Some(code)) => code.clone(),
            // No answer of the service: the connection broke, or something between answered in its place.
            _ => match error.raw_response() {
                Some(response) => format!("HTTP {}: {}", response.status().as_u16(), chain(error)),
                None => chain(error),
            },
        };
        Self { api, code, reason }
    }

    /// A call whose answer lacked what it must have.
    #[must_use]
    pub fn malformed(api: &'static str, what: impl Into<String>) -> Self {
        Self {
            api,
            code: None,
            reason: what.into(),
        }
    }

    /// Whether the service refused the call for now: it certainly did not take effect.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        self.code.as_deref().is_some_and(is_throttling_code)
    }

    /// Whether the role lacks the permission: trying again does not help.
    #[must_use]
    pub fn is_access_denied(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some(
                "AccessDeniedException"
                    | "AccessDenied"
                    | "AuthorizationError"
                    | "KmsAccessDeniedException"
                    | "UnauthorizedOperation"
            )
        )
    }
}

/// Whether a service says by this code that it refuses a call for now. The last one is of a state machine's own key.
pub(crate) fn is_throttling_code(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "KmsThrottlingException"
    )
}
