//! Who may put a result where.

use std::future::Future;
use std::time::Duration;

use signalbox::aws::CallError;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::record::Stage;
use signalbox::ecs::store::Records;
use signalbox::ecs::upload::Uploads;

/// How long the URL is good that a container is sent on to: it follows at once.
pub const LIFE: Duration = Duration::from_mins(15);

/// Attempts that took over one another's task, one after the other: more than any Retry has.
const CHAIN_MOST: usize = 1_000;

/// What a container is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Its result goes there.
    There(String),
    /// There is no such attempt, or the secret is not its own: nobody learns which.
    Nobody,
    /// The attempt is over: its result was read, or nobody waits for it.
    Over,
}

/// Presigns.
pub trait Presign {
    /// A URL that an object may be put to, for so long.
    fn presigned(&self, key: &str, life: Duration) -> impl Future<Output = Result<String, CallError>>;
}

impl Presign for Uploads {
    async fn presigned(&self, key: &str, life: Duration) -> Result<String, CallError> {
        self.presigned(key, life).await
    }
}

/// Where the result of an attempt's task goes. `secret`: the hash of the one that was shown.
pub async fn redirect(
    records: &impl Records,
    uploads: &impl Presign,
    key: &TaskKey,
    secret: &str,
) -> Result<Reply, CallError> {
    let Some(record) = records.get(key).await? else {
        return Ok(Reply::Nobody);
    };
    // Hashes: how long their comparison takes tells nothing of the secret.
    if record.plan.upload.as_deref() != Some(secret) {
        return Ok(Reply::Nobody);
    }
    let Some(object) = record.plan.result_key.clone() else {
        return Ok(Reply::Nobody);
    };
    let mut stage = record.stage;
    for _ in 0..CHAIN_MOST {
        match stage {
            Stage::Launching | Stage::Running | Stage::Stopping(_) => {
                return uploads.presigned(&object, LIFE).await.map(Reply::There);
            }
            Stage::Done { .. } => break,
            // A later attempt waits for what the container does.
            Stage::Adopted(by) => match records.get(&by).await? {
                Some(record) => stage = record.stage,
                None => break,
            },
        }
    }
    Ok(Reply::Over)
}
