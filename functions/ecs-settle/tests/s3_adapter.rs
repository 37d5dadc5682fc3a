//! The adapter to S3: what it asks for, and what it makes of every answer.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryPartition;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use ecs_settle::answer::{Found, OUTPUT_BYTES};
use ecs_settle::results::{Results, S3Results, Stored};
use signalbox::aws::CallError;

/// What becomes of every attempt.
#[derive(Debug, Clone)]
enum Answer {
    /// S3 answers with a status, a body, and the length that is told of it.
    Http(u16, Vec<u8>, Option<usize>),
    /// The connection breaks.
    Lost,
}

/// S3's end of the wire: one answer to every attempt, and what was asked for.
#[derive(Debug, Clone)]
struct Wire {
    answer: Answer,
    sent: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let path = request.uri().split(['?']).next().unwrap_or_default();
        self.sent
            .lock()
            .expect("no test panicked")
            .push(format!("{} {path}", request.method()));
        let Answer::Http(status, body, length) = self.answer.clone() else {
            return HttpConnectorFuture::ready(Err(ConnectorError::io("the connection broke".into())));
        };
        let mut response = HttpResponse::new(status.try_into().expect("an HTTP status"), SdkBody::from(body));
        if let Some(length) = length {
            response.headers_mut().insert("content-length", length.to_string());
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

fn bucket(answer: Answer) -> (S3Results, Wire) {
    let wire = Wire {
        answer,
        sent: Arc::default(),
    };
    let connector = SharedHttpConnector::new(wire.clone());
    let config = aws_sdk_s3::Config::builder()
        .with_test_defaults_v2()
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .retry_config(signalbox::aws::retries())
        .retry_partition(RetryPartition::custom("test").build())
        .build();
    let results = S3Results {
        client: Client::from_conf(config),
        bucket: "fleet".to_owned(),
    };
    (results, wire)
}

fn body(bytes: Vec<u8>) -> Answer {
    let length = bytes.len();
    Answer::Http(200, bytes, Some(length))
}

fn error(status: u16, code: &str) -> Answer {
    let text = format!("<Error><Code>{code}</Code><Message>told by the service</Message></Error>");
    Answer::Http(status, text.into_bytes(), None)
}

async fn got(answer: Answer) -> Result<Stored, CallError> {
    bucket(answer).0.get("results/a/b.json").await
}

#[tokio::test]
async fn an_object_is_read_whole() {
    let (results, wire) = bucket(body(b"{}".to_vec()));
    assert_eq!(results.get("results/a/b.json").await, Ok(Stored::Small(b"{}".to_vec())));
    let sent = wire.sent.lock().unwrap().clone();
    assert_eq!(sent, ["GET https://fleet.s3.us-east-1.amazonaws.com/results/a/b.json"]);
    assert_eq!(got(body(Vec::new())).await, Ok(Stored::Small(Vec::new())));
}

#[tokio::test]
async fn one_that_is_too_long_is_told_by_its_length() {
    let just = vec![b'x'; OUTPUT_BYTES];
    let more = vec![b'x'; OUTPUT_BYTES + 1];
    assert_eq!(got(body(just.clone())).await, Ok(Stored::Small(just.clone())));
    let large = Ok(Stored::Large {
        bytes: u64::try_from(more.len()).unwrap(),
    });
    assert_eq!(got(body(more.clone())).await, large);
    // Not a byte of it is looked at.
    let far = Ok(Stored::Large { bytes: 5_000_000_000 });
    assert_eq!(got(Answer::Http(200, b"{}".to_vec(), Some(5_000_000_000))).await, far);
    // No length was told.
    assert_eq!(got(Answer::Http(200, more, None)).await, large);
    assert_eq!(
        got(Answer::Http(200, just.clone(), None)).await,
        Ok(Stored::Small(just))
    );
}

#[tokio::test(start_paused = true)]
async fn only_an_object_that_is_not_there_is_missing() {
    assert_eq!(got(error(404, "NoSuchKey")).await, Ok(Stored::Missing));
    for (status, code) in [
        (404, "NoSuchBucket"),
        (403, "AccessDenied"),
        (400, "SomethingNew"),
        (503, "SlowDown"),
    ] {
        let failed = got(error(status, code)).await.unwrap_err();
        assert_eq!((failed.api, failed.code.as_deref()), ("s3:GetObject", Some(code)));
        assert_eq!(failed.is_access_denied(), code == "AccessDenied");
    }
    let (results, wire) = bucket(Answer::Lost);
    let failed = results.get("results/a/b.json").await.unwrap_err();
    assert!(failed.to_string().contains("the connection broke"), "{failed}");
    assert_eq!(wire.sent.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_token_is_deleted() {
    let (results, wire) = bucket(Answer::Http(204, Vec::new(), None));
    assert_eq!(results.forget_token("tokens/a/b").await, Ok(()));
    let sent = wire.sent.lock().unwrap().clone();
    assert_eq!(sent, ["DELETE https://fleet.s3.us-east-1.amazonaws.com/tokens/a/b"]);
    let failed = bucket(error(403, "AccessDenied"))
        .0
        .forget_token("tokens/a/b")
        .await
        .unwrap_err();
    assert_eq!((failed.api, failed.is_access_denied()), ("s3:DeleteObject", true));
}

#[test]
fn what_is_stored_is_a_result_if_it_is_json() {
    assert_eq!(Stored::Missing.read(), Found::Missing);
    assert_eq!(Stored::Large { bytes: 7 }.read(), Found::TooLarge { bytes: 7 });
    let Found::Value(json) = Stored::Small(b" 1 ".to_vec()).read() else {
        panic!("it is JSON")
    };
    assert_eq!(json.as_str(), "1");
    assert_eq!(
        Stored::Small(Vec::new()).read(),
        Found::Invalid("it is empty".to_owned())
    );
}
