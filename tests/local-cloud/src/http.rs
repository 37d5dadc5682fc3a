//! A small HTTP client for the calls that no SDK crate of the workspace covers.

use std::{error::Error as StdError, fmt::Write, time::Duration};

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

/// What a call carries besides its path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// Nothing.
    None,
    /// JSON.
    Json(&'a Value),
    /// An operation of a JSON protocol, and its arguments.
    Operation(&'a str, &'a Value),
    /// A form, which the query protocol takes.
    Form(&'a [(&'a str, &'a str)]),
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
        content: Content<'_>,
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
        let (content_type, body) = match content {
            Content::None => (None, String::new()),
            Content::Json(body) => (Some("application/json"), body.to_string()),
            Content::Operation(operation, body) => {
                request = request.header("x-amz-target", operation);
                (Some("application/x-amz-json-1.0"), body.to_string())
            }
            Content::Form(fields) => (Some("application/x-www-form-urlencoded"), form(fields)),
        };
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
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

/// Fields as a form has them: everything escaped that may have to be.
fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    fields.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_escaped() {
        let fields = [("Action", "Subscribe"), ("Endpoint", "arn:aws:sqs:é&b=c d")];
        assert_eq!(
            form(&fields),
            "Action=Subscribe&Endpoint=arn%3Aaws%3Asqs%3A%C3%A9%26b%3Dc%20d"
        );
    }
}
