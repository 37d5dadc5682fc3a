//! The function as it runs on Lambda.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use signalbox::aws;
use signalbox::config::{ConfigError, ECS_BUCKET, ECS_TABLE_NAME, Environment};
use signalbox::ecs::DynamoRecords;
use signalbox::ecs::error::Error;
use signalbox::ecs::upload::{self, Uploads};
use signalbox::runtime::{Handler, Invocation, within};

use crate::redirect::{Reply, redirect};
use crate::request::Request;

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct EcsResult {
    /// Records.
    pub records: DynamoRecords,
    /// The bucket.
    pub uploads: Uploads,
}

/// What is answered by HTTP.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, String>,
    /// The body: a line for people.
    pub body: &'static str,
}

impl Answer {
    fn new(status_code: u16, header: Option<(&'static str, String)>, body: &'static str) -> Self {
        let mut headers = BTreeMap::from([
            ("content-type", "text/plain; charset=utf-8".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ]);
        headers.extend(header);
        Self {
            status_code,
            headers,
            body,
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        match reply {
            // 307: with the same method and the same body.
            Reply::There(url) => Self::new(307, Some(("location", url)), "Put it there: curl -L -T does.\n"),
            Reply::Nobody => Self::new(404, None, "There is nothing to put here.\n"),
            Reply::Over => Self::new(410, None, "Nobody waits for this result any more.\n"),
        }
    }
}

impl Handler for EcsResult {
    type Request = Value;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Value, invocation: &Invocation) -> Result<Answer, Error> {
        let (key, secret) = match Request::read(&request)? {
            Request::Put { key, secret } => (key, secret),
            Request::OtherPath => {
                invocation.outcome("nobody");
                return Ok(Reply::Nobody.into());
            }
            Request::OtherMethod => {
                invocation.outcome("otherMethod");
                let allowed = Some(("allow", "PUT".to_owned()));
                return Ok(Answer::new(
                    405,
                    allowed,
                    "Only PUT: curl -L -T result.json \"$RESULT_URL\".\n",
                ));
            }
        };
        let reply = within(invocation, redirect(&self.records, &self.uploads, &key, &secret)).await;
        let reply = match reply {
            Some(Ok(reply)) => reply,
            // An error of the function is an opaque 502 to curl, which by itself does not try again: this is one that it does.
            failed => {
                let error =
                    failed.map_or_else(Error::slow, |failed| failed.err().map_or_else(Error::slow, Error::from));
                tracing::error!(%error, "a result could not be taken");
                invocation.outcome("unavailable");
                let later = Some(("retry-after", "2".to_owned()));
                return Ok(Answer::new(503, later, "Not now; try again: curl --retry 5 does.\n"));
            }
        };
        invocation.outcome(match reply {
            Reply::There(_) => "redirected",
            Reply::Nobody => "nobody",
            Reply::Over => "over",
        });
        Ok(reply.into())
    }
}

impl EcsResult {
    /// On AWS, as `template.yaml` sets it up.
    pub fn on_aws(environment: &Environment) -> Result<Self, ConfigError> {
        let config = aws::shared_config(environment);
        Ok(Self {
            records: DynamoRecords::new(aws::dynamodb(&config), environment.required(ECS_TABLE_NAME)?),
            uploads: Uploads::new(upload::client(&config), environment.required(ECS_BUCKET)?),
        })
    }
}
