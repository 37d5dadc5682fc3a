mod branches;
mod catches;
mod ends;
mod notation;
mod redrives;
mod tails;
mod tries;

use crate::asl::Definition;
use crate::history::{Failed, Failure, Reader};
use notation::events;

/// A Map of orders; each is packed by a Parallel of two branches, which may be retried, and handed over.
const ORDERS: &str = r#"{
  "StartAt": "Prepare",
  "States": {
    "Prepare": {"Type": "Pass", "Next": "Orders"},
    "Orders": {
      "Type": "Map",
      "ItemProcessor": {
        "StartAt": "Fan",
        "States": {
          "Fan": {
            "Type": "Parallel",
            "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}],
            "Branches": [
              {"StartAt": "Pack", "States": {"Pack": {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Next": "Label"},
                                             "Label": {"Type": "Pass", "End": true}}},
              {"StartAt": "Charge", "States": {"Charge": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
                "Retry": [{"ErrorEquals": ["Card.Busy"], "MaxAttempts": 1}, {"ErrorEquals": ["States.TaskFailed"]}]}}}
            ],
            "Next": "HandOver"
          },
          "HandOver": {"Type": "Wait", "Seconds": 1, "End": true}
        }
      },
      "End": true
    }
  }
}"#;

/// One Task after another; the first has a Catch that tells somebody before it fails the execution.
const LINE: &str = r#"{
  "StartAt": "First",
  "States": {
    "First": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Next": "Second",
              "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]},
    "Second": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Next": "Judge"},
    "Judge": {"Type": "Choice", "Choices": [{"Variable": "$.ok", "BooleanEquals": true, "Next": "Good"}], "Default": "Bad"},
    "Tell": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Bad"},
    "Bad": {"Type": "Fail"},
    "Good": {"Type": "Succeed"}
  }
}"#;

fn definition(text: &str) -> Definition {
    Definition::parse(text).unwrap()
}

fn failure(definition: Option<&Definition>, history: &str) -> Option<Failure> {
    let mut reader = Reader::new(definition);
    for event in events(history) {
        reader.push(&event);
    }
    reader.failure()
}

/// Where a history that failed says it failed, with the definition and without.
fn place(definition_text: &str, history: &str) -> Failed {
    let definition = definition(definition_text);
    let mut places = failure(Some(&definition), history).unwrap().places;
    assert_eq!(places.len(), 1, "{places:?}");
    places.remove(0)
}

/// `PATH <- EVENT` for each place.
fn places(definition: Option<&Definition>, history: &str) -> Vec<String> {
    let places = failure(definition, history).unwrap().places;
    let entered = |place: &Failed| place.entered_event.map_or("?".to_owned(), |event| event.to_string());
    places
        .iter()
        .map(|place| format!("{place} <- {}", entered(place)))
        .collect()
}

/// How often a history's state was tried, how often that might be, and where that stands: as one text.
fn shown(definition_text: &str, history: &str) -> String {
    places(Some(&definition(definition_text)), history).join("; ")
}

/// The same without the definition.
fn shown_blindly(history: &str) -> String {
    places(None, history).join("; ")
}
