//! The wire between an adapter and AWS: canned answers, and what was sent to get them.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use aws_smithy_mocks::{Rule, RuleBuilder};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::{Value, json};

/// What AWS answers: an HTTP status and a body.
#[derive(Debug, Clone)]
pub(crate) struct Answer(pub(crate) u16, pub(crate) String);

/// The call succeeds with this body.
pub(crate) fn ok(body: &Value) -> Answer {
    Answer(200, body.to_string())
}

/// The text of every error made by [`error`].
pub(crate) const TOLD: &str = "told by the service";

/// The call fails with this code.
pub(crate) fn error(code: &str) -> Answer {
    // The services' own failures are the ones with the status of a server's error.
    let status = if code.starts_with("InternalServer") { 500 } else { 400 };
    Answer(
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
    Answer(400, body.to_string())
}

/// Answers that are none of the service's, and how the error for each begins.
pub(crate) fn nonsense() -> [(Answer, &'static str); 3] {
    [
        (Answer(200, "<html>".to_owned()), "HTTP 200: "),
        (Answer(503, "<html>".to_owned()), "HTTP 503: "),
        (Answer(502, String::new()), "HTTP 502: "),
    ]
}

/// Answers one operation with `answers`, in this order.
pub(crate) fn rule<I, O, E>(operation: RuleBuilder<I, O, E>, answers: Vec<Answer>) -> Rule
where
    I: Debug + Send + Sync + 'static,
    O: Debug + Send + Sync + 'static,
    E: Debug + Send + Sync + Error + 'static,
{
    let mut answers = answers.into_iter();
    let respond = |Answer(status, body): Answer| {
        move || HttpResponse::new(status.try_into().expect("an HTTP status"), SdkBody::from(body.as_str()))
    };
    let first = answers.next().expect("an answer");
    let sequence = operation.sequence().http_response(respond(first));
    answers
        .fold(sequence, |sequence, answer| sequence.http_response(respond(answer)))
        .build()
}

/// Remembers every attempt of every call: the operation and the whole body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<(String, Value)>>>);

impl Wire {
    /// What was sent: `("DynamoDB_20120810.PutItem", {…})`.
    pub(crate) fn sent(&self) -> Vec<(String, Value)> {
        self.0.lock().expect("no test panicked while it held this").clone()
    }

    /// The one thing that was sent.
    pub(crate) fn only(&self) -> (String, Value) {
        let [only] = <[_; 1]>::try_from(self.sent()).expect("one attempt of one call");
        only
    }

    /// How many attempts there were.
    pub(crate) fn attempts(&self) -> usize {
        self.sent().len()
    }
}

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let target = request.headers().get("x-amz-target").ok_or("no x-amz-target")?;
        let body = serde_json::from_slice(request.body().bytes().ok_or("no body")?)?;
        self.0
            .lock()
            .expect("no test panicked while it held this")
            .push((target.to_owned(), body));
        Ok(())
    }
}

/// Where nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("its address"))
}
