//! Where a container puts its result, and what of that it is told in its environment.

use std::future::Future;
use std::time::Duration;

use serde_json::json;
use signalbox::aws::CallError;
use signalbox::ecs::key::{TaskKey, hash, hex};
use signalbox::ecs::plan::{Plan, ResultFrom};
use signalbox::ecs::upload::{Uploads, result_key, token_key};
use signalbox::request::BadRequest;
use signalbox::tasks::TaskToken;

/// Longer than a task may take that is given a presigned URL: so much later the sweep may stop it.
const SPARE: Duration = Duration::from_mins(5);

/// Longest overrides of a task, as JSON, in characters.
///
/// Source: ECS API reference, `RunTask` (`overrides`: "A total of 8192 characters are allowed for overrides").
pub const OVERRIDES_CHARS: usize = 8_192;

/// Where results go.
pub trait Places {
    /// The URI of an object: `s3://bucket/key`.
    fn uri(&self, key: &str) -> String;

    /// A URL that an object may be put to, for so long.
    fn presigned(&self, key: &str, life: Duration) -> impl Future<Output = Result<String, CallError>>;

    /// Keeps a task token for a container that answers by itself.
    fn keep(&self, key: &str, token: &TaskToken) -> impl Future<Output = Result<(), CallError>>;

    /// 256 random bits.
    fn secret(&self) -> Result<[u8; 32], CallError>;

    /// The URL at which `ecs-result` is, if there is one.
    fn redirect(&self) -> Option<&str>;

    /// How long a task may take at most that is given a presigned URL.
    fn presigned_most(&self) -> Duration;
}

/// Tells the container where its result goes: in the plan's environment.
pub async fn settle_places(
    places: &impl Places,
    key: &TaskKey,
    token: &TaskToken,
    timeout: Option<Duration>,
    plan: &mut Plan,
) -> Result<(), signalbox::ecs::error::Error> {
    let mut set = |name: &str, value: String| plan.overrides.env.insert(name.to_owned(), value);
    match plan.result {
        ResultFrom::S3 => {
            let object = result_key(key);
            set("RESULT_URI", places.uri(&object));
            match timeout.filter(|timeout| *timeout <= places.presigned_most()) {
                Some(timeout) => {
                    set("RESULT_URL", places.presigned(&object, timeout + SPARE).await?);
                }
                // It may outlive whatever could be signed now.
                None => {
                    if let Some(url) = places.redirect() {
                        let secret = hex(&places.secret()?);
                        set("RESULT_URL", format!("{}/{key}/{secret}", url.trim_end_matches('/')));
                        plan.upload = Some(hash(&[secret]));
                    }
                }
            }
            plan.result_key = Some(object);
        }
        ResultFrom::Token => {
            let object = token_key(key);
            set("TASK_TOKEN_URI", places.uri(&object));
            check_overrides(plan)?;
            places.keep(&object, token).await?;
        }
        ResultFrom::Log | ResultFrom::None => {}
    }
    Ok(check_overrides(plan)?)
}

fn check_overrides(plan: &Plan) -> Result<(), BadRequest> {
    let given = &plan.overrides;
    let env: Vec<_> = given
        .env
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let mut container = json!({"name": plan.container, "environment": env});
    if let Some(command) = &given.command {
        container["command"] = json!(command);
    }
    let chars = json!({"containerOverrides": [container]}).to_string().chars().count();
    match chars > OVERRIDES_CHARS {
        true => Err(BadRequest::new(
            "env",
            format!(
                "and command make overrides of {chars} characters, where ECS takes {OVERRIDES_CHARS}; put what is large \
                 into S3, and pass where it is"
            ),
        )),
        false => Ok(()),
    }
}

/// The fleet's bucket, and `ecs-result`.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The bucket.
    pub uploads: Uploads,
    /// The URL at which `ecs-result` is, if there is one.
    pub redirect: Option<String>,
    /// How long a task may take at most that is given a presigned URL.
    pub presigned_most: Duration,
}

impl Places for Bucket {
    fn uri(&self, key: &str) -> String {
        self.uploads.uri(key)
    }

    async fn presigned(&self, key: &str, life: Duration) -> Result<String, CallError> {
        self.uploads.presigned(key, life).await
    }

    async fn keep(&self, key: &str, token: &TaskToken) -> Result<(), CallError> {
        self.uploads.put(key, token.secret()).await
    }

    fn secret(&self) -> Result<[u8; 32], CallError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| CallError::malformed("getrandom", error.to_string()))?;
        Ok(secret)
    }

    fn redirect(&self) -> Option<&str> {
        self.redirect.as_deref()
    }

    fn presigned_most(&self) -> Duration {
        self.presigned_most
    }
}
