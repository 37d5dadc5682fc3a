//! A small HTTP client for the calls that no SDK crate of the workspace covers.

use std::{error::Error as StdError, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::Bytes,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// No call takes longer, except a function's own time limit: 15 minutes.
const PATIENCE: Duration = Duration::from_mins(16);

/// A client without a pool: a connection costs nothing on loopback, and one that is kept belongs to the runtime that
/// opened it, while each `#[tokio::test]` has its own.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body as JSON; no body is `null`, and what is not JSON is a string.
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }
}

impl Http {
    pub(crate) fn new(endpoint: String) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Self { endpoint, client }
    }

    /// One call, as the root of an account where one is given.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        account: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> Result<Reply, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint));
        if let Some((account, service)) = account {
            // The emulator reads the account out of the credential and does not check the signature.
            request = request.header(
                AUTHORIZATION,
                format!(
                    "AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/{service}/aws4_request, \
                     SignedHeaders=host, Signature=0",
                    region = crate::cloud::REGION
                ),
            );
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| chain(&error))?;
        let answer = async {
            let answer = self.client.request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| chain(&error))?.to_bytes();
            Ok(Reply {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")))
    }
}

/// An error with all that is behind it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
