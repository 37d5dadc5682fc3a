//! What containers have put into the fleet's bucket.

use std::future::Future;

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use signalbox::aws::CallError;
use signalbox::failure::chain;

use crate::answer::{Found, Json, OUTPUT_BYTES};

/// The fleet's bucket, as far as it matters here. Keys are whole: `results/….json`.
pub trait Results {
    /// The object with this key. What is too long for the output of a state is not read.
    fn get(&self, key: &str) -> impl Future<Output = Result<Stored, CallError>>;

    /// Deletes the token that was laid down for a container. One that is not there stays away.
    fn forget_token(&self, key: &str) -> impl Future<Output = Result<(), CallError>>;
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// There is none.
    Missing,
    /// All of it.
    Small(Vec<u8>),
    /// It is longer than the output of a state may be.
    Large {
        /// How long.
        bytes: u64,
    },
}

impl Stored {
    /// What it is as a result.
    #[must_use]
    pub fn read(self) -> Found {
        match self {
            Self::Missing => Found::Missing,
            Self::Large { bytes } => Found::TooLarge { bytes },
            Self::Small(bytes) => Json::read(&bytes).map_or_else(Found::Invalid, Found::Value),
        }
    }
}

/// The bucket in Amazon S3.
#[derive(Debug, Clone)]
pub struct S3Results {
    /// The client.
    pub client: aws_sdk_s3::Client,
    /// The bucket's name.
    pub bucket: String,
}

const GET: &str = "s3:GetObject";

impl Results for S3Results {
    /// That an object is missing is known only where the role may list the bucket: else S3 denies the access to it.
    ///
    /// Source: S3 API reference, `GetObject` (permissions).
    async fn get(&self, key: &str) -> Result<Stored, CallError> {
        let call = self.client.get_object().bucket(&self.bucket).key(key);
        let object = match call.send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(Stored::Missing);
            }
            Err(error) => return Err(CallError::new(GET, &error)),
        };
        let length = object.content_length.and_then(|length| u64::try_from(length).ok());
        match length {
            Some(bytes) if !fits(bytes) => Ok(Stored::Large { bytes }),
            _ => read(object.body).await,
        }
    }

    async fn forget_token(&self, key: &str) -> Result<(), CallError> {
        let call = self.client.delete_object().bucket(&self.bucket).key(key);
        call.send()
            .await
            .map(drop)
            .map_err(|error| CallError::new("s3:DeleteObject", &error))
    }
}

fn fits(bytes: u64) -> bool {
    usize::try_from(bytes).is_ok_and(|bytes| bytes <= OUTPUT_BYTES)
}

/// Reads to the end, or until it is too long.
async fn read(mut body: ByteStream) -> Result<Stored, CallError> {
    let mut all = Vec::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| CallError::malformed(GET, chain(&error)))?;
        all.extend_from_slice(&part);
        if all.len() > OUTPUT_BYTES {
            return Ok(Stored::Large {
                bytes: u64::try_from(all.len()).unwrap_or(u64::MAX),
            });
        }
    }
    Ok(Stored::Small(all))
}
