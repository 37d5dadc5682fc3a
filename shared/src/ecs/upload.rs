//! Where a container puts its result, and what belongs to that in S3.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::presigning::PresigningConfig;

use super::key::TaskKey;
use crate::aws::CallError;

const PUT: &str = "s3:PutObject";

/// The key of the object with the result of an attempt's task.
#[must_use]
pub fn result_key(key: &TaskKey) -> String {
    format!("results/{key}.json")
}

/// The key of the object with the task token of an attempt, for a container that answers it itself.
#[must_use]
pub fn token_key(key: &TaskKey) -> String {
    format!("tokens/{key}")
}

/// The fleet's bucket for results, as whoever writes to it sees it.
#[derive(Debug, Clone)]
pub struct Uploads {
    client: Client,
    bucket: String,
}

impl Uploads {
    /// Uses `bucket` through `client`.
    #[must_use]
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// The URI of an object: `s3://bucket/key`.
    #[must_use]
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// A URL that an object may be put to, for so long, with nothing but the body: `curl -T`. It ends earlier if the
    /// credentials do that it is signed with.
    ///
    /// Source: S3 user guide, "Download and upload objects with presigned URLs" (expiration).
    pub async fn presigned(&self, key: &str, life: Duration) -> Result<String, CallError> {
        let config =
            PresigningConfig::expires_in(life).map_err(|error| CallError::malformed(PUT, error.to_string()))?;
        let put = self.client.put_object().bucket(&self.bucket).key(key);
        let presigned = put
            .presigned(config)
            .await
            .map_err(|error| CallError::new(PUT, &error))?;
        Ok(presigned.uri().to_owned())
    }

    /// Writes an object.
    pub async fn put(&self, key: &str, body: &str) -> Result<(), CallError> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(body.as_bytes().to_vec().into());
        put.send().await.map(drop).map_err(|error| CallError::new(PUT, &error))
    }
}

/// The S3 client: one that asks for no checksum where none is required. `curl` sends a body without one, and a presigned URL
/// must not ask for it, whatever a later SDK does by default.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one place that builds it")]
pub fn client(config: &aws_config::SdkConfig) -> Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .build();
    Client::from_conf(config)
}
