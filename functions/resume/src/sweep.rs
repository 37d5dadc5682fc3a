//! Takes clones away that nobody needs any more: every hour.
//!
//! A machine that is deleted takes the histories of its runs with it, and would end those that run. So a clone is only
//! condemned at first: whoever resumes a run by it, or redrives one of its runs, within the hour takes that back. Then it is
//! claimed, which is decided by one conditional write: a resume that comes later waits. Then its histories are archived, it
//! is looked at once more, and deleted. What a crash leaves, a later sweep goes on with.

mod archive;
mod records;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};

pub use archive::Archive;
pub use records::DynamoRecords;
pub(crate) use records::aliases;

/// How long a clone is condemned before it is deleted: less than the hour between two sweeps.
pub const CONDEMNED: Duration = Duration::from_mins(50);

/// How long a claim keeps others away. It is longer than an invocation lives.
pub const CLAIMED: Duration = Duration::from_mins(5);

/// How old a claim may be when the machine is deleted by it: with the time that the call takes, well before others may
/// take it for left over.
const GOOD_FOR: Duration = Duration::from_mins(3);

/// Time that is left when a sweep ends; what it did not come to is the next one's.
const MARGIN: Duration = Duration::from_secs(20);

/// A clone that is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its machine.
    pub machine: StateMachineArn,
    /// When it was made, or used by a resume again.
    pub made: Timestamp,
    /// Whether it is to go.
    pub stage: Stage,
    /// How many of its runs are archived by the claim that it is under.
    pub archived: usize,
}

/// Whether a clone is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is in use, or may be.
    InUse,
    /// Nobody has used it for a long time: since when that is known.
    Condemned(Timestamp),
    /// A sweep is about to delete it: since when.
    Claimed(Timestamp),
}

/// What is recorded of clones, as far as a sweep needs it. Each change is made only if nobody else changed the clone's
/// record since it was read; `false` if somebody did.
pub trait Records {
    /// All clones that are not deleted.
    fn kept(&self) -> impl Future<Output = Result<Vec<Kept>, CallError>>;

    /// Puts it into a stage. What was archived counts for nothing then.
    fn put(&self, clone: &Kept, stage: Stage) -> impl Future<Output = Result<bool, CallError>>;

    /// Says how many of its runs are archived.
    fn archived(&self, clone: &Kept, runs: usize) -> impl Future<Output = Result<bool, CallError>>;

    /// Says that its machine is deleted.
    fn deleted(&self, clone: &Kept, now: Timestamp) -> impl Future<Output = Result<bool, CallError>>;
}

/// A run of a clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// When it started.
    pub started: Timestamp,
    /// Its ARN.
    pub execution: ExecutionArn,
    /// Whether it runs, or is about to be redriven.
    pub runs: bool,
    /// When it last started, was redriven or ended.
    pub latest: Timestamp,
}

/// The clones' machines, and the place where what they have done is archived.
pub trait Machines {
    /// All runs of a machine that Step Functions lists; `None` if there is no such machine.
    fn runs(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Option<Vec<Run>>, CallError>>;

    /// Archives what the machine is. The same again changes nothing.
    fn archive(&self, machine: &StateMachineArn) -> impl Future<Output = Result<(), CallError>>;

    /// Archives what a run has done. The same again changes nothing.
    fn archive_run(&self, execution: &ExecutionArn) -> impl Future<Output = Result<(), CallError>>;

    /// Deletes a machine. The same again changes nothing.
    fn delete(&self, machine: &StateMachineArn) -> impl Future<Output = Result<(), CallError>>;
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Clones that there are.
    pub clones: usize,
    /// Clones that nobody has used for so long that they are deleted by a later sweep.
    pub condemned: usize,
    /// Clones that were to be deleted, and are not.
    pub pardoned: usize,
    /// Runs that were archived.
    pub archived: usize,
    /// Clones that were deleted.
    pub deleted: usize,
    /// Clones that there was no time for.
    pub left: usize,
    /// Clones that could not be dealt with, as a call failed.
    pub failed: usize,
}

/// Sweeps.
#[derive(Debug, Clone)]
pub struct Sweeps<R, M, C> {
    /// What is recorded of clones.
    pub records: R,
    /// Their machines, and the archive.
    pub machines: M,
    /// Time.
    pub clock: C,
    /// How long a clone is kept that nobody uses.
    pub retention: Duration,
}

/// What came of one clone.
enum Done {
    /// Nothing is to be done, or somebody else has changed it.
    Nothing,
    Condemned,
    Pardoned,
    Deleted,
    /// There was no time for the rest.
    Left,
}

impl<R: Records, M: Machines, C: Clock> Sweeps<R, M, C> {
    /// Sweeps all clones. What fails does not keep the rest from being swept: it is counted, and logged.
    pub async fn sweep(&self, deadline: Timestamp) -> Result<Swept, CallError> {
        let mut clones = self.records.kept().await?;
        // Each sweep begins somewhere else: where there is time for some only, all have their turn.
        if !clones.is_empty() {
            let first = usize::try_from(self.clock.nonce() % clones.len() as u64).unwrap_or(0);
            clones.rotate_left(first);
        }
        let mut swept = Swept {
            clones: clones.len(),
            ..Swept::default()
        };
        for (at, clone) in clones.iter().enumerate() {
            if !self.has_time(deadline) {
                swept.left += clones.len() - at;
                tracing::warn!(left = swept.left, "no time for all clones");
                break;
            }
            match self.one(clone, deadline, &mut swept.archived).await {
                Ok(Done::Nothing) => {}
                Ok(Done::Condemned) => swept.condemned += 1,
                Ok(Done::Pardoned) => swept.pardoned += 1,
                Ok(Done::Deleted) => {
                    swept.deleted += 1;
                    tracing::info!(stateMachineArn = %clone.machine, "deleted a clone that nobody used any more");
                }
                Ok(Done::Left) => swept.left += 1,
                Err(error) => {
                    swept.failed += 1;
                    tracing::error!(stateMachineArn = %clone.machine, %error, "a clone could not be swept");
                }
            }
        }
        Ok(swept)
    }

    fn has_time(&self, deadline: Timestamp) -> bool {
        self.clock.now().after(MARGIN) < deadline
    }

    async fn one(&self, clone: &Kept, deadline: Timestamp, archived: &mut usize) -> Result<Done, CallError> {
        let now = self.clock.now();
        match clone.stage {
            Stage::InUse if now.since(clone.made) <= self.retention => return Ok(Done::Nothing),
            Stage::Condemned(since) if now.since(since) < CONDEMNED => return Ok(Done::Nothing),
            Stage::Claimed(since) if now.since(since) < CLAIMED => return Ok(Done::Nothing),
            _ => {}
        }
        let runs = self.machines.runs(&clone.machine).await?;
        let in_use = runs.iter().flatten().any(|run| self.is_in_use(run));
        match (clone.stage, in_use) {
            (Stage::InUse, true) => Ok(Done::Nothing),
            (Stage::InUse, false) => Ok(match self.records.put(clone, Stage::Condemned(now)).await? {
                true => Done::Condemned,
                false => Done::Nothing,
            }),
            (_, true) => self.pardon(clone).await,
            (_, false) => {
                // From here on no resume uses it.
                let claim = Stage::Claimed(now);
                if !self.records.put(clone, claim).await? {
                    return Ok(Done::Nothing);
                }
                let claimed = Kept {
                    stage: claim,
                    // Of a sweep before this one, whose claim was left over.
                    archived: if matches!(clone.stage, Stage::Claimed(_)) {
                        clone.archived
                    } else {
                        0
                    },
                    ..clone.clone()
                };
                self.finish(&claimed, now, runs, deadline, archived).await
            }
        }
    }

    /// Archives what a claimed clone has done, and deletes it.
    async fn finish(
        &self,
        clone: &Kept,
        claimed: Timestamp,
        runs: Option<Vec<Run>>,
        deadline: Timestamp,
        archived: &mut usize,
    ) -> Result<Done, CallError> {
        let Some(mut runs) = runs else {
            self.records.deleted(clone, self.clock.now()).await?;
            return Ok(Done::Deleted);
        };
        runs.sort();
        self.machines.archive(&clone.machine).await?;
        for (at, run) in runs.iter().enumerate().skip(clone.archived) {
            if !self.has_time(deadline) {
                return Ok(Done::Left);
            }
            self.machines.archive_run(&run.execution).await?;
            *archived += 1;
            if !self.records.archived(clone, at + 1).await? {
                return Ok(Done::Nothing);
            }
        }
        // Somebody may have started or redriven one by hand.
        let mut again = self.machines.runs(&clone.machine).await?.unwrap_or_default();
        again.sort();
        if again != runs {
            return self.pardon(clone).await;
        }
        if self.clock.now().since(claimed) > GOOD_FOR || !self.has_time(deadline) {
            return Ok(Done::Left);
        }
        self.machines.delete(&clone.machine).await?;
        self.records.deleted(clone, self.clock.now()).await?;
        Ok(Done::Deleted)
    }

    async fn pardon(&self, clone: &Kept) -> Result<Done, CallError> {
        Ok(match self.records.put(clone, Stage::InUse).await? {
            true => Done::Pardoned,
            false => Done::Nothing,
        })
    }

    fn is_in_use(&self, run: &Run) -> bool {
        run.runs || self.clock.now().since(run.latest) <= self.retention
    }
}
