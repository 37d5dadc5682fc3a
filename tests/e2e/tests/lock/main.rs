//! The FIFO lock on the local cloud: the template's policies, the real binaries, DynamoDB, Step Functions, and the status
//! events of executions on their way over EventBridge and SQS.

mod branches;
mod busy;
mod cost;
mod faults;
mod operators;
mod policies;
mod redrive;
mod release;
mod storms;

/// Most tests meet errors of the harness and of functions.
type Tested = Result<(), Box<dyn std::error::Error>>;

/// The lock, in most tests.
const LOCK: &str = "warehouse";

/// A question for [`LOCK`].
fn ask(more: &serde_json::Value) -> serde_json::Value {
    let mut ask = serde_json::json!({"lock": LOCK});
    if let (Some(ask), Some(more)) = (ask.as_object_mut(), more.as_object()) {
        ask.extend(more.clone());
    }
    ask
}

/// A question for [`LOCK`] and nothing else.
fn plain() -> serde_json::Value {
    ask(&serde_json::Value::Null)
}
