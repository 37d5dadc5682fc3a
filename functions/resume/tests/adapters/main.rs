//! The adapters to AWS: what they send, and what they make of every answer.

#![allow(clippy::unwrap_used, reason = "what the tests share is a test too")]

mod archive;
mod dynamo;
mod sfn;
#[path = "../../../../shared/tests/wire/mod.rs"]
mod wire;

use signalbox::arn::{ExecutionArn, StateMachineArn};

const HOME: &str = "arn:aws:states:eu-west-1:123456789012";

fn machine(name: &str) -> StateMachineArn {
    StateMachineArn::parse(&format!("{HOME}:stateMachine:{name}")).expect("a good ARN")
}

fn execution(name: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!("{HOME}:execution:{name}")).expect("a good ARN")
}
