//! The wire between an adapter and AWS: canned answers, and what was sent to get them.

#[allow(dead_code, reason = "the adapters to Step Functions have no use for it")]
pub(crate) mod dynamodb;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// What becomes of one attempt of a call.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// AWS answers with an HTTP status and a body.
    Http(u16, String),
    /// The connection breaks before the answer arrives. What was sent may have taken effect.
    Lost,
    /// There is no answer at all, until the SDK has waited long enough.
    Silence,
}

/// The call succeeds with this body.
pub(crate) fn ok(body: &Value) -> Answer {
    Answer::Http(200, body.to_string())
}

/// The text of every error made by [`error`].
pub(crate) const TOLD: &str = "told by the service";

/// The call fails with this code.
pub(crate) fn error(code: &str) -> Answer {
    // The services' own failures are the ones with the status of a server's error.
    let status = if code.starts_with("InternalServer") { 500 } else { 400 };
    Answer::Http(
        status,
        json!({"__type": format!("com.amazonaws.api#{code}"), "message": TOLD}).to_string(),
    )
}

/// The role does not allow the call, as AWS writes it: with a capital `Message`.
pub(crate) fn denied() -> Answer {
    let body = json!({
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": "User: arn:aws:sts::123456789012:assumed-role/guard/guard is not authorized to perform this",
    });
    Answer::Http(400, body.to_string())
}

/// Answers that are none of the service's, and how the error for each begins.
pub(crate) fn nonsense() -> [(Answer, &'static str); 3] {
    [
        (Answer::Http(200, "<html>".to_owned()), "HTTP 200: "),
        (Answer::Http(503, "<html>".to_owned()), "HTTP 503: "),
        (Answer::Http(502, String::new()), "HTTP 502: "),
    ]
}

/// Answers every attempt of every call in turn, and remembers what was sent: the operation and the whole body.
#[derive(Debug, Clone)]
pub(crate) struct Wire(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    answers: VecDeque<Answer>,
    sent: Vec<(String, Value)>,
}

impl Wire {
    /// A wire at whose other end are these answers, in this order.
    pub(crate) fn with(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new(State {
            answers: answers.into_iter().collect(),
            sent: Vec::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panicked while it held this")
    }

    /// What was sent: `("DynamoDB_20120810.PutItem", {…})`.
    pub(crate) fn sent(&self) -> Vec<(String, Value)> {
        self.state().sent.clone()
    }

    /// The one thing that was sent.
    pub(crate) fn only(&self) -> (String, Value) {
        let [only] = <[_; 1]>::try_from(self.sent()).expect("one attempt of one call");
        only
    }

    /// How many attempts there were.
    pub(crate) fn attempts(&self) -> usize {
        self.state().sent.len()
    }

    /// This end of it.
    pub(crate) fn http(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").expect("a target").to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().expect("a body")).expect("a body of JSON");
        if target.starts_with("DynamoDB_") {
            assert_eq!(
                dynamodb::faults(&body),
                [""; 0],
                "DynamoDB would refuse {target} {body:#}"
            );
        }
        let answer = {
            let mut state = self.state();
            state.sent.push((target, body));
            state.answers.pop_front()
        };
        match answer.expect("no more attempts than answers") {
            Answer::Http(status, body) => HttpConnectorFuture::ready(Ok(HttpResponse::new(
                status.try_into().expect("an HTTP status"),
                SdkBody::from(body),
            ))),
            Answer::Lost => HttpConnectorFuture::ready(Err(ConnectorError::io("the connection broke".into()))),
            Answer::Silence => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

/// A client of `$sdk` at this end of `$wire`, with the retries of the functions' own.
macro_rules! client {
    ($sdk:ident, $wire:expr) => {{
        let timeouts = $sdk::config::timeout::TimeoutConfig::builder()
            .operation_attempt_timeout(std::time::Duration::from_secs(5))
            .build();
        // A partition of its own: failures of the other clients of the process use up its retries.
        let alone = $sdk::config::retry::RetryPartition::custom("test").build();
        let config = $sdk::Config::builder()
            .with_test_defaults_v2()
            .http_client($wire.http())
            .retry_config(signalbox::aws::retries())
            .retry_partition(alone)
            .timeout_config(timeouts)
            .build();
        $sdk::Client::from_conf(config)
    }};
}
pub(crate) use client;

/// A client of `$sdk` with a real connector, and nobody at the other end.
macro_rules! nobody {
    ($sdk:ident) => {{
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let nowhere = format!("http://{}", listener.local_addr().expect("its address"));
        let config = $sdk::Config::builder()
            .with_test_defaults_v2()
            .endpoint_url(nowhere)
            .retry_config($sdk::config::retry::RetryConfig::disabled())
            .build();
        $sdk::Client::from_conf(config)
    }};
}
pub(crate) use nobody;
