//! What two or more Signalbox functions need.
//!
//! | module | holds |
//! |---|---|
//! | [`arn`] | ARNs of Step Functions, parsed once and good from then on |
//! | [`asl`] | definitions of state machines: states, where they stand, what they retry and catch |
//! | [`aws`] | the AWS clients, built once per sandbox |
//! | [`clock`] | time and jitter, as arguments |
//! | [`config`] | every environment variable that a function reads |
//! | [`console`] | links into the AWS console |
//! | [`delivery`] | how events and schedules call a function |
//! | [`ecs`] | the ECS relay |
//! | [`executions`] | executions of Step Functions: described, listed, stopped |
//! | [`failure`] | named errors that an ASL `ErrorEquals` can match |
//! | [`history`] | execution histories: which state failed, where, and why |
//! | `item` | items of the fleet's table, read attribute by attribute (feature `dynamodb`) |
//! | [`lock`] | the FIFO lock |
//! | [`pipeline`] | clones of state machines, and which pipeline their runs belong to |
//! | [`quotas`] | AWS limits, each with its source |
//! | [`request`] | requests of pipelines and people: parsed strictly, refused with the field's name |
//! | [`runtime`] | the entry that every `main.rs` uses |
//! | `simulation` | a scheduler that runs protocol code under random interleavings and crashes (feature `simulation`) |
//! | [`tasks`] | tasks that wait for a callback, and their tokens |

pub mod arn;
pub mod asl;
pub mod aws;
pub mod clock;
pub mod config;
pub mod console;
pub mod delivery;
pub mod ecs;
pub mod executions;
pub mod failure;
pub mod history;
#[cfg(feature = "dynamodb")]
pub mod item;
pub mod lock;
pub mod pipeline;
pub mod quotas;
pub mod request;
pub mod runtime;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod tasks;
