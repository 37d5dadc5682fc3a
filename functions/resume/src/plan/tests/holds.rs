//! Locks and claims that are taken again.

use serde_json::json;

use super::*;

fn invoke(function: &str, token: bool, payload: Value, next: &str) -> Value {
    let resource = if token {
        "arn:aws:states:::lambda:invoke.waitForTaskToken"
    } else {
        "arn:aws:states:::lambda:invoke"
    };
    let parameters = json!({"FunctionName": function, "Payload": payload});
    state(
        "Task",
        Some(next),
        json!({"Resource": resource, "Parameters": parameters, "ResultPath": "$.lock"}),
    )
}

fn definition() -> Value {
    let acquire = json!({"lock": "warehouse", "executionArn.$": "$$.Execution.Id", "taskToken.$": "$$.Task.Token"});
    json!({"StartAt": "Guard", "States": {
        "Guard": invoke("overlap-guard", false, json!({"executionArn.$": "$$.Execution.Id"}), "Take"),
        "Take": invoke("arn:aws:lambda:us-east-1:123456789012:function:lock-acquire:live", true, acquire, "Work"),
        "Work": task(Some("Give")),
        "Give": invoke("lock-release", false, json!({"lock": "warehouse"}), "Last"),
        "Last": task(None)
    }})
}

fn called(
    told: &mut Told,
    state: &str,
    function: &str,
    action: &str,
    payload: Value,
    answer: Value,
    previous: usize,
) -> usize {
    let parameters = json!({"FunctionName": function, "Payload": payload});
    let input = json!({"n": previous});
    let started = told.calling(state, &input, "lambda", action, &parameters, previous);
    told.add(
        "TaskSucceeded",
        started,
        "taskSucceededEventDetails",
        json!({"output": answer.to_string()}),
    );
    let output = json!({"n": previous, "lock": answer});
    told.exit("Task", state, &output, started)
}

/// Let through, and given the lock.
fn inside_the_lock(acquired: bool) -> (Told, usize) {
    let mut told = Told::of(json!({"n": 0}));
    let proceed = json!({"Payload": {"proceed": true}});
    let guard = called(
        &mut told,
        "Guard",
        "overlap-guard",
        "invoke",
        json!({"executionArn": "e"}),
        proceed,
        0,
    );
    let payload = json!({"lock": "warehouse", "executionArn": "e", "taskToken": "t"});
    let function = "arn:aws:lambda:us-east-1:123456789012:function:lock-acquire:live";
    let answer = json!({"lock": "warehouse", "acquired": acquired, "fence": 7});
    let take = called(
        &mut told,
        "Take",
        function,
        "invoke.waitForTaskToken",
        payload,
        answer,
        guard,
    );
    (told, take)
}

fn failing(mut told: Told, state: &str, input: &Value, previous: usize) -> Trial {
    let started = told.task(state, input, previous);
    let failed = told.failed(started);
    Trial::of(&definition(), told.fails(failed))
}

fn output_of(told: &Told) -> Value {
    let last = told.events.last().unwrap()["stateExitedEventDetails"]["output"]
        .as_str()
        .unwrap();
    serde_json::from_str(last).unwrap()
}

#[test]
fn what_a_run_held_is_taken_again_before_its_state() {
    let (told, take) = inside_the_lock(true);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take).clone();
    let holds: Vec<(&str, bool)> = plan
        .cut
        .holds
        .iter()
        .map(|hold| (hold.state.as_str(), hold.feeds))
        .collect();
    assert_eq!(holds, [("Guard", false), ("Take", true)]);
    assert_eq!(json!(plan.holds), json!([["overlap", "Guard"], ["warehouse", "Take"]]));
    assert_eq!(plan.cut.holds[1].payload["lock"], "warehouse");
}

#[test]
fn what_was_given_back_is_not_taken_again() {
    let (mut told, take) = inside_the_lock(true);
    let work = told.done("Work", &json!({}), &json!({}), take);
    let give = called(
        &mut told,
        "Give",
        "lock-release",
        "invoke",
        json!({"lock": "warehouse"}),
        json!({}),
        work,
    );
    let input = output_of(&told);
    let plan = failing(told.clone(), "Last", &input, give).clone();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard"]);
    // From before the release on it is needed again.
    let plan = failing(told, "Last", &input, give).from("Work").plan().unwrap();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard", "Take"]);
}

#[test]
fn what_a_run_went_on_without_is_not_taken() {
    let (told, take) = inside_the_lock(false);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take).clone();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard"]);
}

#[test]
fn the_state_that_takes_it_takes_it_itself() {
    let (told, take) = inside_the_lock(true);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take).from("Take").plan().unwrap();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard"]);
}

#[test]
fn a_corrected_input_is_not_replaced_by_what_the_lock_answers() {
    let (told, take) = inside_the_lock(true);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take)
        .input(json!({"n": 9}))
        .plan()
        .unwrap();
    assert!(plan.cut.holds.iter().all(|hold| !hold.feeds));
    assert_eq!(plan.cut.input, json!({"n": 9}));
}
