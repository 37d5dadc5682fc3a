//! What is remembered of alerts: each call is one atomic, conditional write or one consistent read.
//!
//! A call that fails may have taken effect. Calls that are repeated do no harm.

use std::future::Future;

use signalbox::arn::StateMachineArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;

use crate::alert::End;
use crate::events::Success;

/// What came of claiming an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is this invocation's, to announce or to count.
    Mine,
    /// It was announced, or counted, before.
    Done,
    /// Another invocation claimed it a moment ago.
    Busy,
}

/// Failures of one kind, of which the first is announced at once and the others when the window closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The pipeline.
    pub machine: StateMachineArn,
    /// Which kind: [`group::key`](crate::group::key).
    pub key: String,
    /// The state that failed, if that is known.
    pub state: Option<String>,
    /// The error.
    pub error: Option<String>,
    /// The end that was announced.
    pub first: End,
    /// When it was opened, and
    pub opened: Timestamp,
    /// when it closes.
    pub until: Timestamp,
    /// How many have been counted since.
    pub count: u32,
    /// The latest of those.
    pub last: Option<End>,
}

/// What became of an end in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// It is the first: it is to be announced.
    First,
    /// It is counted, and done with.
    Counted,
    /// A window of this kind has closed, and what it counted is to be announced before a new one is opened.
    Closed(Box<Group>),
    /// Another invocation changed something at this moment.
    Changed,
}

/// A pipeline whose failure was announced, and that has not succeeded since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The pipeline.
    pub machine: StateMachineArn,
    /// When the first execution failed.
    pub since: Timestamp,
    /// When the last one did: a success from before is no recovery.
    pub last: Timestamp,
    /// How many failures were announced or counted.
    pub failures: u32,
}

/// Which pipelines the sweep watches, and how far it has come among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// What their names begin with.
    pub prefix: String,
    /// Since when: what failed before is old news.
    pub since: Timestamp,
    /// The ARN of the one that was swept last. Empty: none was.
    pub last: String,
}

/// What is remembered.
pub trait Store {
    /// Claims an end, to be announced or counted: if nobody has yet, or who did has not come to an end for a minute.
    fn begin(&self, end: &End, now: Timestamp) -> impl Future<Output = Result<Begun, CallError>>;

    /// Whether an end was announced or counted, or somebody is at it.
    fn is_known(&self, end: &End) -> impl Future<Output = Result<bool, CallError>>;

    /// Counts a claimed end in the open window of its group; opens one with `until` if there is none.
    fn join(&self, group: &Group, now: Timestamp) -> impl Future<Output = Result<Joined, CallError>>;

    /// Marks a claimed end as announced.
    fn sent(&self, end: &End, now: Timestamp) -> impl Future<Output = Result<(), CallError>>;

    /// Removes a window that has closed and was announced, if it is still as it was read.
    fn close(&self, group: &Group) -> impl Future<Output = Result<(), CallError>>;

    /// Notes that a failure is announced (`opens`), or counted, in the pipeline's incident: only an announced one opens it.
    fn fails(&self, pipeline: &StateMachineArn, end: &End, opens: bool) -> impl Future<Output = Result<(), CallError>>;

    /// The pipeline's incident, if it has one.
    fn incident(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Option<Incident>, CallError>>;

    /// Claims the announcement that a pipeline has recovered: if nobody has within a minute, and nothing failed since.
    fn recovers(
        &self,
        pipeline: &StateMachineArn,
        success: &Success,
        now: Timestamp,
    ) -> impl Future<Output = Result<Begun, CallError>>;

    /// Ends an incident that was announced as recovered by this success, unless something failed since.
    fn recovered(&self, pipeline: &StateMachineArn, success: &Success) -> impl Future<Output = Result<(), CallError>>;

    /// Notes that a run of the pipeline succeeded in a clone, unless a later one is noted: lists of its executions do not
    /// have it.
    fn resumed(&self, pipeline: &StateMachineArn, success: &Success) -> impl Future<Output = Result<(), CallError>>;

    /// When the last run of the pipeline succeeded in a clone, as far as that is known.
    fn last_resumed(&self, pipeline: &StateMachineArn) -> impl Future<Output = Result<Option<Timestamp>, CallError>>;

    /// Ends that were claimed more than a minute before `now`, and are neither announced nor counted.
    fn pending(&self, now: Timestamp) -> impl Future<Output = Result<Vec<End>, CallError>>;

    /// Windows that have closed before `now`.
    fn closed(&self, now: Timestamp) -> impl Future<Output = Result<Vec<Group>, CallError>>;

    /// All incidents.
    fn incidents(&self) -> impl Future<Output = Result<Vec<Incident>, CallError>>;

    /// Up to when the ends of a pipeline have been swept.
    fn swept(&self, machine: &StateMachineArn) -> impl Future<Output = Result<Option<Timestamp>, CallError>>;

    /// They have been swept up to `at`.
    fn sweeps(&self, machine: &StateMachineArn, at: Timestamp) -> impl Future<Output = Result<(), CallError>>;

    /// What the sweep watches, unless it never did, or not for a long time.
    fn watch(&self) -> impl Future<Output = Result<Option<Watch>, CallError>>;

    /// Remembers it at `now`.
    fn set_watch(&self, watch: &Watch, now: Timestamp) -> impl Future<Output = Result<(), CallError>>;
}
