use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clone::check::check;
use crate::clone::tests::options;
use crate::clone::{Built, build};
use crate::cut::{At, Hold, Run};
use crate::warning::Code;

mod payload;

const RESOURCE: &str = "arn:aws:states:::lambda:invoke.waitForTaskToken";

/// A run that takes a lock, works and gives it back; the fields of the state that takes it are changed by `take`.
fn pipeline(take: &Value) -> Value {
    let mut definition = json!({"StartAt": "Settings", "States": {
        "Settings": {"Type": "Pass", "Next": "Take"},
        "Take": {"Type": "Task", "Resource": RESOURCE,
            "Parameters": {"FunctionName": "lock-acquire", "Payload": {
                "lock.$": "$.stock", "executionArn.$": "$$.Execution.Id", "taskToken.$": "$$.Task.Token",
                "enteredTime.$": "$$.State.EnteredTime", "retryCount.$": "$$.State.RetryCount"}},
            "ResultPath": "$.lock", "ResultSelector": {"fence.$": "$.fence"}, "HeartbeatSeconds": 60,
            "Retry": [{"ErrorEquals": ["Lock.Unavailable"]}],
            "Catch": [{"ErrorEquals": ["Lock.WaitTimeout"], "Next": "Not today"}], "Next": "Work"},
        "Work": {"Type": "Task", "Resource": "arn:work", "Next": "Done"},
        "Not today": {"Type": "Fail"},
        "Done": {"Type": "Succeed"}}});
    let state = &mut definition["States"]["Take"];
    for (field, value) in take.as_object().unwrap() {
        match value {
            Value::Null if field != "ResultPath" => drop(state.as_object_mut().unwrap().remove(field)),
            value => state[field] = value.clone(),
        }
    }
    definition
}

fn hold(feeds: bool) -> Hold {
    Hold {
        state: "Take".to_owned(),
        input: json!({"stock": "shop", "seconds": 30, "in": {"seconds": 40}}),
        payload: json!({"lock": "shop", "executionArn": "arn:old", "taskToken": "old", "enteredTime": "2026-01-31T04:00:00Z",
            "retryCount": 2}),
        feeds,
    }
}

fn work(input: Value, holds: Vec<Hold>) -> At {
    At {
        state: "Work".to_owned(),
        input,
        variables: BTreeMap::new(),
        run: Run::Whole,
        holds,
    }
}

fn good(definition: &Value, top: &At) -> Built {
    let built = build(definition, top, &options()).unwrap();
    assert_eq!(check(definition, &built.definition, top), [""; 0], "{}", built.text);
    assert!(
        !built.text.contains(r#""old""#) && !built.text.contains("arn:old"),
        "{}",
        built.text
    );
    built
}

fn copy(built: &Built) -> &Value {
    &built.definition["States"]["Take (again)"]
}

fn codes(built: &Built) -> Vec<Code> {
    let own = built.warnings.iter().map(|warning| warning.code);
    own.filter(|code| *code != Code::ContextDiffers).collect()
}

#[test]
fn what_feeds_the_target_runs_as_it_is_written_on_what_it_was_given() {
    let definition = pipeline(&json!({"Assign": {"fence.$": "$.fence", "step": "taken", "n.$": "$n"}}));
    let built = good(
        &definition,
        &work(json!({"stock": "shop", "lock": {"fence": 1}}), vec![hold(true)]),
    );
    let states = &built.definition["States"];
    assert_eq!(states["Work (input)"]["Result"], hold(true).input);
    assert_eq!(states["Work (input)"]["Next"], "Take (again)");
    let mut expected = definition["States"]["Take"].clone();
    // What it assigned is restored; the new fence is assigned.
    expected["Assign"] = json!({"fence.$": "$.fence"});
    assert_eq!(copy(&built), &expected);
    // The handler is there, and what leads to the state is not.
    let kept: Vec<_> = states.as_object().unwrap().keys().collect();
    assert_eq!(kept, ["Done", "Not today", "Take (again)", "Work", "Work (input)"]);
    assert_eq!((built.copies["Take (again)"].as_str(), codes(&built)), ("Take", vec![]));
}

#[test]
fn elsewhere_it_asks_for_the_same_in_the_clones_name() {
    let input = json!({"lock": {"fence": 1}, "other": 1});
    let built = good(
        &pipeline(&json!({"InputPath": "$.in", "OutputPath": "$.lock"})),
        &work(input.clone(), vec![hold(false)]),
    );
    assert_eq!(built.definition["States"]["Work (input)"]["Result"], input);
    let mut expected = pipeline(&json!({}))["States"]["Take"].clone();
    expected["Parameters"]["Payload"] = json!({"lock": "shop", "executionArn.$": "$$.Execution.Id", "taskToken.$": "$$.Task.Token",
        "enteredTime.$": "$$.State.EnteredTime", "retryCount.$": "$$.State.RetryCount"});
    assert_eq!(copy(&built), &expected);
    assert_eq!(codes(&built), []);
}

#[test]
fn the_new_fence_goes_where_the_old_one_is_or_nowhere() {
    for (take, input, path, warned) in [
        (json!({}), json!({"lock": 1}), json!("$.lock"), false),
        (json!({}), json!({"other": 1}), json!(null), true),
        (json!({}), json!(["lock"]), json!(null), true),
        (
            json!({"ResultPath": "$.a.b"}),
            json!({"a": {"b": null}}),
            json!("$.a.b"),
            false,
        ),
        (json!({"ResultPath": "$.a.b"}), json!({"a": "b"}), json!(null), true),
        (json!({"ResultPath": "$['a']"}), json!({"a": 1}), json!(null), true),
        (json!({"ResultPath": "$"}), json!({"lock": 1}), json!(null), true),
        (json!({"ResultPath": null}), json!({"lock": 1}), json!(null), false),
        (
            json!({"ResultPath": "$.no", "Assign": {"fence.$": "$.fence"}}),
            json!({}),
            json!(null),
            false,
        ),
        (
            json!({"ResultPath": "$.no", "Assign": {"step": "taken"}}),
            json!({}),
            json!(null),
            true,
        ),
    ] {
        let built = good(&pipeline(&take), &work(input.clone(), vec![hold(false)]));
        assert_eq!(copy(&built)["ResultPath"], path, "{take} {input}");
        let selects = copy(&built).get("ResultSelector").is_some();
        assert_eq!(
            (codes(&built).contains(&Code::FenceNotInData), selects),
            (warned, !path.is_null()),
            "{take} {input}"
        );
    }
    // The guard's claim has no fence.
    let mut claim = hold(false);
    claim.payload.as_object_mut().unwrap().remove("lock");
    assert_eq!(codes(&good(&pipeline(&json!({})), &work(json!(1), vec![claim]))), []);
}

#[test]
fn a_limit_from_the_input_is_what_it_was() {
    for (take, limit, warned) in [
        (json!({"TimeoutSecondsPath": "$.seconds"}), json!(30), false),
        (
            json!({"TimeoutSecondsPath": "$.seconds", "InputPath": "$.in"}),
            json!(40),
            false,
        ),
        (
            json!({"TimeoutSecondsPath": "$.seconds", "InputPath": "$['in']"}),
            json!(null),
            true,
        ),
        (json!({"TimeoutSecondsPath": "$.stock"}), json!(null), true),
        (json!({"TimeoutSeconds": 50}), json!(50), false),
    ] {
        let built = good(&pipeline(&take), &work(json!({"lock": 1}), vec![hold(false)]));
        assert_eq!(copy(&built)["TimeoutSeconds"], limit, "{take}");
        assert!(copy(&built).get("TimeoutSecondsPath").is_none());
        assert_eq!(
            codes(&built),
            if warned { vec![Code::HoldWithoutLimit] } else { vec![] },
            "{take}"
        );
    }
    let by_variable = pipeline(&json!({"TimeoutSecondsPath": "$limit"}));
    let built = good(&by_variable, &work(json!({"lock": 1}), vec![hold(false)]));
    assert_eq!(copy(&built)["TimeoutSecondsPath"], "$limit");
    let jsonata = json!({"QueryLanguage": "JSONata", "Parameters": null, "ResultPath": null, "ResultSelector": null,
        "Arguments": {"FunctionName": "lock-acquire", "Payload": {}}, "TimeoutSeconds": "{% $states.input.seconds %}",
        "HeartbeatSeconds": "{% $beat %}"});
    let mut jsonata = pipeline(&jsonata);
    jsonata["States"]["Take"].as_object_mut().unwrap().remove("ResultPath");
    let built = good(&jsonata, &work(json!({"lock": 1}), vec![hold(false)]));
    assert_eq!(
        (copy(&built).get("TimeoutSeconds"), &copy(&built)["HeartbeatSeconds"]),
        (None, &json!("{% $beat %}"))
    );
    assert_eq!(codes(&built), [Code::FenceNotInData, Code::HoldWithoutLimit]);
}

#[test]
fn a_function_that_is_the_resource_is_asked_for_the_same() {
    let take =
        pipeline(&json!({"Resource": "arn:aws:lambda:eu-central-1:123456789012:function:guard", "Parameters": null}));
    let built = good(&take, &work(json!({"lock": 1}), vec![hold(false)]));
    assert_eq!(copy(&built)["Parameters"]["executionArn.$"], "$$.Execution.Id");
    assert_eq!(copy(&built)["Parameters"]["lock"], "shop");
}

#[test]
fn holds_are_taken_again_one_after_the_other_and_the_last_feeds() {
    let definition = pipeline(&json!({}));
    let later = Hold {
        input: json!({"stock": "later", "lock": 1}),
        ..hold(true)
    };
    let built = good(&definition, &work(json!({"lock": 2}), vec![hold(true), later.clone()]));
    let states = &built.definition["States"];
    assert_eq!(states["Work (input)"]["Result"], later.input);
    // The first one asks for the same: what it was given is not what goes on.
    assert_eq!(states["Take (again)"]["Parameters"]["Payload"]["lock"], "shop");
    assert_eq!(states["Take (again)"]["Next"], "Take (again 2)");
    assert_eq!(
        states["Take (again 2)"]["Parameters"],
        definition["States"]["Take"]["Parameters"]
    );
    let built = good(&definition, &work(json!({"lock": 2}), vec![later, hold(false)]));
    let states = &built.definition["States"];
    assert_eq!(states["Take (again 2)"]["Parameters"]["Payload"]["lock"], "shop");
    assert_eq!(
        (
            &states["Take (again 2)"]["Next"],
            &states["Take (again 2)"]["ResultPath"]
        ),
        (&json!("Work"), &json!("$.lock"))
    );
}

#[test]
fn a_state_that_is_skipped_leaves_the_lock_to_the_next() {
    let skip = |state: &str| At {
        state: state.to_owned(),
        run: Run::Skipped {
            output: json!({"lock": 3}),
        },
        ..work(json!(1), vec![hold(true)])
    };
    let built = good(&pipeline(&json!({})), &skip("Work"));
    let states = &built.definition["States"];
    assert_eq!(
        (&states["Work (output)"]["Next"], &states["Take (again)"]["Next"]),
        (&json!("Take (again)"), &json!("Done"))
    );
    assert_eq!(states["Take (again)"]["Parameters"]["Payload"]["lock"], "shop");
    // After the end nothing needs it.
    let built = good(&pipeline(&json!({})), &skip("Done"));
    assert!(built.definition["States"].get("Take (again)").is_none());
}
