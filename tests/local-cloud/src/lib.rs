//! The local cloud: the fleet's own `template.yaml` and binaries on an AWS emulator on loopback.
//!
//! The demo, `cargo cloud` and the end-to-end tests use it. The first use installs the emulator into a virtual
//! environment under `target/`; afterwards nothing needs a network. What runs is what goes to AWS: the same template,
//! through the emulator's CloudFormation and SAM transform, with the functions as plain processes behind its Lambda
//! runtime API. It listens on 127.0.0.1 alone, and ends when the process that started it ends, however that ends.
//!
//! When something goes wrong, the log is `target/local-cloud/run-<pid>/cloud.log`; the next start removes the folder of
//! a process that has ended. It runs where Python 3.10 and a Unix are: Linux, macOS.
//!
//! ```no_run
//! use local_cloud::{Cloud, Stack};
//! use serde_json::json;
//!
//! # async fn example() -> Result<(), local_cloud::Error> {
//! let cloud = Cloud::shared().await?;
//! let account = cloud.account("a test of its own");
//! let fleet = account.deploy(Stack::fleet()).await?;
//! let example = Stack::example("orders-nightly")
//!     .parameter("OverlapGuardFunctionArn", fleet.output("OverlapGuardFunctionArn")?);
//! let pipeline = account.deploy(example).await?;
//! let machine = pipeline.output("OrdersNightlyStateMachineArn")?;
//! let run = account.start_execution(machine, "nightly-1", &json!({"date": "2026-01-31"})).await?;
//! let ended = account.wait_for_execution(&run).await?;
//! assert!(ended.succeeded());
//! # Ok(()) }
//! ```

pub mod account;
pub mod build;
pub mod cloud;
pub mod container;
pub mod ecs;
pub mod error;
pub mod execution;
pub mod fault;
mod http;
pub mod mail;
pub mod page;
pub mod progress;
pub mod queue;
pub mod seed;
pub mod setup;
pub mod sqs;
pub mod stack;
mod state_dir;
pub mod stubs;
pub mod subscriber;
pub mod terminal;
pub mod timeline;
pub mod usage;
pub mod visits;
pub mod wait;
pub mod workspace;

pub use account::{Account, FunctionError};
pub use cloud::{Cloud, Options};
pub use ecs::{EcsTimes, Image};
pub use error::Error;
pub use execution::Execution;
pub use fault::Fault;
pub use mail::Mail;
pub use progress::Progress;
pub use sqs::Message;
pub use stack::{Deployed, Stack};
pub use stubs::{Outcome, Stub, StubbedCall};
pub use subscriber::{Delivery, Notification, Subscriber};
pub use usage::Usage;
