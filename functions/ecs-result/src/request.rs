//! What the Function URL is asked.

use serde_json::Value;
use signalbox::ecs::key::{TaskKey, hash};
use signalbox::request::BadRequest;

/// A request by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Somebody wants to put the result of an attempt.
    Put {
        /// Which attempt.
        key: TaskKey,
        /// The hash of the secret that is in the path.
        secret: String,
    },
    /// Another method.
    OtherMethod,
    /// A path that is nobody's.
    OtherPath,
}

impl Request {
    /// Reads an event of a Function URL: `PUT /RUN/STEP/ATTEMPT/SECRET`.
    ///
    /// Source of the shape: Lambda developer guide, "Invoking Lambda function URLs" (payload format version 2.0).
    pub fn read(event: &Value) -> Result<Self, BadRequest> {
        let http = &event["requestContext"]["http"];
        let missing = |field: &str| BadRequest::new(field, "is missing; a Function URL's event has it");
        let method = http["method"]
            .as_str()
            .ok_or_else(|| missing("requestContext.http.method"))?;
        let path = event["rawPath"].as_str().ok_or_else(|| missing("rawPath"))?;
        if method != "PUT" {
            return Ok(Self::OtherMethod);
        }
        let parts = path.trim_matches('/').rsplit_once('/');
        let found = parts.and_then(|(name, secret)| Some((TaskKey::parse(name)?, secret)));
        Ok(match found {
            Some((key, secret)) => Self::Put {
                key,
                secret: hash(&[secret]),
            },
            None => Self::OtherPath,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(method: &str, path: &str) -> Result<Request, BadRequest> {
        Request::read(&json!({"version": "2.0", "rawPath": path, "requestContext": {"http": {"method": method}}}))
    }

    #[test]
    fn a_path_names_an_attempt_and_its_secret() {
        let name = format!("{}/{}/0-1-{}", "a".repeat(32), "b".repeat(32), "c".repeat(16));
        let put = Request::Put {
            key: TaskKey::parse(&name).unwrap(),
            secret: hash(&["s3cret"]),
        };
        assert_eq!(read("PUT", &format!("/{name}/s3cret")), Ok(put));
        assert_eq!(read("GET", &format!("/{name}/s3cret")), Ok(Request::OtherMethod));
        for path in [
            "/",
            "",
            "/favicon.ico",
            &format!("/{name}"),
            &format!("/x/{name}/s3cret"),
        ] {
            assert_eq!(read("PUT", path), Ok(Request::OtherPath), "{path}");
        }
    }

    #[test]
    fn what_is_no_request_by_http_is_refused() {
        assert_eq!(
            Request::read(&json!({})).unwrap_err().path(),
            "requestContext.http.method"
        );
        let event = json!({"requestContext": {"http": {"method": "PUT"}}});
        assert_eq!(Request::read(&event).unwrap_err().path(), "rawPath");
    }
}
