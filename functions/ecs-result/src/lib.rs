#![doc = include_str!("../README.md")]

pub mod redirect;
pub mod request;

mod handler;

pub use handler::{Answer, EcsResult};
