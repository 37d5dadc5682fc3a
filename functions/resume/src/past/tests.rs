#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    clippy::too_many_lines,
    reason = "tables and pictures of what was read"
)]
mod catches;
mod containers;
mod data;
mod keeping;
mod lines;
mod notation;
mod redrives;
mod room;
mod tasks;
mod variables;

/// A Map of orders. Each is packed by a Parallel of two branches, which may be retried, and handed over.
const ORDERS: &str = r#"{
  "StartAt": "Prepare",
  "States": {
    "Prepare": {"Type": "Pass", "Next": "Orders"},
    "Orders": {"Type": "Map", "Next": "Report", "ItemProcessor": {"StartAt": "Fan", "States": {
      "Fan": {"Type": "Parallel", "Next": "HandOver", "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}], "Branches": [
        {"StartAt": "Pack", "States": {
          "Pack": {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Next": "Label"},
          "Label": {"Type": "Pass", "End": true}}},
        {"StartAt": "Charge", "States": {
          "Charge": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}}]},
      "HandOver": {"Type": "Wait", "Seconds": 1, "End": true}}}},
    "Report": {"Type": "Succeed"}
  }
}"#;

/// A Parallel with a Catch, whose branches end in a state that has one too; its handler may lead back.
const GUARDED: &str = r#"{
  "StartAt": "Fan",
  "States": {
    "Fan": {"Type": "Parallel", "Next": "Good", "Retry": [{"ErrorEquals": ["Card.Busy"], "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}], "Branches": [
      {"StartAt": "Pack", "States": {
        "Pack": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
                 "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Unpack"}]},
        "Unpack": {"Type": "Pass", "End": true}}},
      {"StartAt": "Charge", "States": {
        "Charge": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}}]},
    "Tell": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Judge"},
    "Judge": {"Type": "Choice", "Choices": [{"Variable": "$.again", "BooleanEquals": true, "Next": "Fan"}], "Default": "Bad"},
    "Bad": {"Type": "Fail"},
    "Good": {"Type": "Succeed"}
  }
}"#;
