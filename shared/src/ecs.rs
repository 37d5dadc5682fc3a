//! The ECS relay: an ECS task that knows nothing of its pipeline hands a value back to it.
//!
//! `ecs-launch` starts the task and keeps a record of it, `ecs-settle` hears of its end and answers the state that waits.
//! What both share:
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | which attempt of which state a task belongs to, and what AWS is told of that |
//! | [`record`] | what is remembered of a task, from before it is started until long after it has ended |
//! | [`store`] | what may happen to records: a narrow trait with DynamoDB's semantics |
//! | [`plan`] | how a task is run, and what is expected of it: fixed before it is started |
//! | [`task`] | a task as its events and `DescribeTasks` tell |
//! | [`cluster`] | Amazon ECS: starts, stops, looks |
//! | [`verdict`] | what the end of a task means |
//! | [`start_failure`] | why a task was not started, by the reasons that ECS gives |
//! | [`handover`] | the queue of launches |
//! | [`error`] | what the functions fail with |
//! | `upload` | where a container puts its result: presigned URLs (feature `s3`) |
//!
//! Four rules carry the rest:
//!
//! 1. **The record comes first.** It is written before `RunTask`, under a key that the task's events carry, so that no task
//!    is without one.
//! 2. **The same attempt starts the same task.** `RunTask` has a client token that is made of the attempt, and is given what
//!    the record says and nothing else.
//! 3. **Of one step one task lives.** A later attempt takes the task of an earlier one over, or sees it end first.
//! 4. **A token that is closed is nobody's wish.** Whatever runs for it is stopped, unless a later attempt took it over.

pub mod cluster;
#[cfg(feature = "dynamodb")]
mod dynamo;
pub mod error;
pub mod handover;
pub mod key;
pub mod plan;
pub mod record;
pub mod start_failure;
pub mod store;
pub mod task;
#[cfg(feature = "s3")]
pub mod upload;
pub mod verdict;

#[cfg(feature = "dynamodb")]
pub use dynamo::DynamoRecords;
