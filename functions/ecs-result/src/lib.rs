//! Where a container puts the result of a long task: a redirect to a fresh presigned URL.

pub mod redirect;
pub mod request;

mod handler;

pub use handler::{Answer, EcsResult};
