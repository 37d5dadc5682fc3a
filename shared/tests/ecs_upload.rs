//! The adapter to S3 of whoever writes: presigned URLs that `curl -T` can put a body to, and objects.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use signalbox::aws::{CallError, retries};
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::upload::{Uploads, client, result_key, token_key};

const HOUR: Duration = Duration::from_hours(1);

/// S3's end of the wire: one answer to every attempt, and what was asked for.
#[derive(Debug, Clone)]
struct Wire {
    status: u16,
    body: &'static str,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    line: String,
    body: String,
    headers: Vec<String>,
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let headers = request.headers().iter().map(|(name, _)| name.to_owned());
        self.sent.lock().expect("no test panicked").push(Sent {
            line: format!("{} {}", request.method(), request.uri()),
            body: String::from_utf8(body).expect("UTF-8"),
            headers: headers.collect(),
        });
        let status = self.status.try_into().expect("an HTTP status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(self.body))))
    }
}

/// What every client shares, as a function has it: credentials of a session, and maybe an endpoint of its own.
fn config(endpoint: Option<&str>, wire: &Wire) -> SdkConfig {
    let connector = SharedHttpConnector::new(wire.clone());
    let credentials = Credentials::for_tests_with_session_token();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::from_static("eu-west-1"))
        .retry_config(retries())
        .http_client(http_client_fn(move |_, _| connector.clone()));
    config.set_endpoint_url(endpoint.map(str::to_owned));
    config.build()
}

fn bucket(endpoint: Option<&str>, status: u16, body: &'static str) -> (Uploads, Wire) {
    let wire = Wire {
        status,
        body,
        sent: Arc::default(),
    };
    let uploads = Uploads::new(client(&config(endpoint, &wire)), "fleet".to_owned());
    (uploads, wire)
}

async fn presigned(endpoint: Option<&str>, key: &str, life: Duration) -> Result<String, CallError> {
    let (uploads, wire) = bucket(endpoint, 200, "");
    let url = uploads.presigned(key, life).await;
    assert_eq!(*wire.sent.lock().expect("no test panicked"), [], "nothing is sent");
    url
}

/// The names and values behind the question mark, in the order of the names.
fn query(url: &str) -> Vec<(&str, &str)> {
    let (_, query) = url.split_once('?').expect("a query");
    let mut query: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    query.sort_unstable();
    query
}

fn key() -> TaskKey {
    let name = format!("{}/{}/0-1-{}", "a".repeat(32), "b".repeat(32), "c".repeat(16));
    TaskKey::parse(&name).expect("a good name")
}

#[tokio::test]
async fn a_presigned_url_takes_a_body_and_nothing_else() {
    let url = presigned(None, &result_key(&key()), HOUR + Duration::from_mins(5))
        .await
        .unwrap();
    let place = format!("https://fleet.s3.eu-west-1.amazonaws.com/results/{}.json", key());
    assert_eq!(url.split('?').next(), Some(place.as_str()));
    let query = query(&url);
    let names: Vec<&str> = query.iter().map(|(name, _)| *name).collect();
    // No checksum: the body that curl sends has none.
    assert_eq!(
        names,
        [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
            "x-id",
        ]
    );
    for pair in [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Expires", "3900"),
        ("X-Amz-SignedHeaders", "host"),
        ("x-id", "PutObject"),
    ] {
        assert!(query.contains(&pair), "{pair:?}: {query:?}");
    }
}

#[tokio::test]
async fn a_presigned_url_lives_as_long_as_it_is_asked_to() {
    let week = Duration::from_hours(7 * 24);
    for (life, expires) in [(Duration::from_secs(1), "1"), (HOUR, "3600"), (week, "604800")] {
        let url = presigned(None, "results/a.json", life).await.unwrap();
        assert!(query(&url).contains(&("X-Amz-Expires", expires)), "{url}");
    }
    // S3 takes no more.
    let error = presigned(None, "results/a.json", week + Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("s3:PutObject failed: "), "{error}");
}

/// An address has no names below it that could be the buckets'.
#[tokio::test]
async fn where_the_endpoint_is_an_address_the_bucket_is_in_the_path() {
    for (endpoint, begins) in [
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566/fleet/results/a.json?"),
        ("http://[::1]:4566", "http://[::1]:4566/fleet/results/a.json?"),
    ] {
        let url = presigned(Some(endpoint), "results/a.json", HOUR).await.unwrap();
        assert!(url.starts_with(begins), "{url}");
        assert!(query(&url).contains(&("X-Amz-SignedHeaders", "host")), "{url}");
    }
}

#[test]
fn objects_are_named_after_their_attempts() {
    let (uploads, _) = bucket(None, 200, "");
    let name = key().name();
    assert_eq!(result_key(&key()), format!("results/{name}.json"));
    assert_eq!(token_key(&key()), format!("tokens/{name}"));
    assert_eq!(uploads.uri("results/a.json"), "s3://fleet/results/a.json");
}

#[tokio::test]
async fn an_object_is_put_whole() {
    let (uploads, wire) = bucket(Some("http://127.0.0.1:4566"), 200, "");
    uploads.put("tokens/a/b", "s3cret \"é\"").await.unwrap();
    let [sent] = <[_; 1]>::try_from(wire.sent.lock().expect("no test panicked").clone()).expect("one attempt");
    assert_eq!(sent.line, "PUT http://127.0.0.1:4566/fleet/tokens/a/b?x-id=PutObject");
    assert_eq!(sent.body, "s3cret \"é\"");
    assert!(!sent.headers.iter().any(|name| name.contains("checksum")), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_says_what_and_not_what_was_put() {
    for (status, body, code, attempts) in [
        (
            403,
            "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>",
            Some("AccessDenied"),
            1,
        ),
        (
            404,
            "<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>",
            Some("NoSuchBucket"),
            1,
        ),
        (
            503,
            "<Error><Code>SlowDown</Code><Message>slower</Message></Error>",
            Some("SlowDown"),
            4,
        ),
        (500, "", None, 4),
    ] {
        let (uploads, wire) = bucket(None, status, body);
        let error = uploads.put("tokens/a", "s3cret").await.unwrap_err();
        assert_eq!((error.api, error.code.as_deref()), ("s3:PutObject", code));
        assert_eq!(error.is_access_denied(), status == 403);
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(wire.sent.lock().expect("no test panicked").len(), attempts, "{error}");
    }
}
