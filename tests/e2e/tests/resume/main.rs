//! `resume` on the local cloud: the template's policies, the real binary, DynamoDB, Step Functions.

mod alert;
mod changes;
mod locks;
mod nested;
mod once;
mod policies;
mod property;
mod refusals;
mod sweep;

use local_cloud::{Outcome, StubbedCall};
use serde_json::{Value, json};

/// Most tests meet errors of the harness and of functions.
type Tested = Result<(), Box<dyn std::error::Error>>;

/// A task that does nothing but call a function, and puts what it answers beside its input.
fn task(next: Option<&str>) -> Value {
    let mut task = json!({
        "Type": "Task",
        "Resource": "arn:aws:lambda:us-east-1:123456789012:function:work",
        "ResultPath": "$.result",
    });
    match next {
        Some(next) => task["Next"] = json!(next),
        None => task["End"] = json!(true),
    }
    task
}

/// Tasks one after the other.
fn tasks(names: &[&str]) -> Value {
    let states = names.iter().enumerate().map(|(at, name)| {
        let next = names.get(at + 1).copied();
        ((*name).to_owned(), task(next))
    });
    json!({"StartAt": names[0], "States": states.collect::<serde_json::Map<_, _>>()})
}

/// A state's calls fail.
fn fails(state: &str) -> Outcome {
    Outcome::of(state).fails("Stub.Failed", "as the test says")
}

/// The states that were called, in the order of the calls.
fn called(calls: &[StubbedCall]) -> Vec<&str> {
    calls.iter().map(|call| call.original.as_str()).collect()
}

/// The codes of a plan's warnings.
fn codes(plan: &Value) -> Vec<&str> {
    let warnings = plan["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    warnings.iter().filter_map(|warning| warning["code"].as_str()).collect()
}
