//! What may happen to records: each call is one atomic, conditional write, or one consistent read.
//!
//! A call that fails may have taken effect. Calls that are repeated do no harm.

use std::future::Future;

use super::key::TaskKey;
use super::record::{Record, Stop};
use super::task::Task;
use crate::aws::CallError;
use crate::clock::Timestamp;

/// Records.
pub trait Records {
    /// Writes a new record, which is launching, unless there is one with its key: then that one, as it is.
    fn put(&self, record: &Record) -> impl Future<Output = Result<Option<Record>, CallError>>;

    /// Writes a new record that takes the task of `earlier` over, which is then adopted, both or neither: if `earlier` is
    /// still as it was read, and the new key is free. Whether it was done.
    fn adopt(&self, record: &Record, earlier: &Record) -> impl Future<Output = Result<bool, CallError>>;

    /// A record.
    fn get(&self, key: &TaskKey) -> impl Future<Output = Result<Option<Record>, CallError>>;

    /// All records of the step of `key`, all pages, in no order.
    fn of_step(&self, key: &TaskKey) -> impl Future<Output = Result<Vec<Record>, CallError>>;

    /// All records of an execution ([`TaskKey::run_of`]) that are open, all pages, in no order.
    fn open_of_run(&self, run: &str) -> impl Future<Output = Result<Vec<Record>, CallError>>;

    /// All records that are open. Eventually consistent; those that were written at the last moment may be missing.
    fn open(&self) -> impl Future<Output = Result<Vec<Record>, CallError>>;

    /// A launching record's task was started. Whether the record was launching.
    fn started(&self, key: &TaskKey, task: &str) -> impl Future<Output = Result<bool, CallError>>;

    /// The task of a launching record is refused: from now on there is none that is wanted. Whether it was launching.
    fn refused(&self, key: &TaskKey, now: Timestamp) -> impl Future<Output = Result<bool, CallError>>;

    /// An open record's task is to be stopped, unless it is already. Whether it was open.
    fn stopping(&self, key: &TaskKey, stop: Stop) -> impl Future<Output = Result<bool, CallError>>;

    /// ECS does not know the task of an open record since then, or knows it again; or the result of one that has ended
    /// cannot be read since then. What was noted first stays.
    fn missing(&self, key: &TaskKey, since: Option<Timestamp>) -> impl Future<Output = Result<(), CallError>>;

    /// The task of an open record has ended like this. Whether it was open.
    fn ended(&self, key: &TaskKey, task: &Task) -> impl Future<Output = Result<bool, CallError>>;

    /// An open record is done. `now`: it is kept for so long from then. Whether it was open; or was done, by somebody who
    /// found the token closed that this answer (`delivered`) has closed.
    fn done(
        &self,
        key: &TaskKey,
        delivered: bool,
        ended: Option<&Task>,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CallError>>;
}
