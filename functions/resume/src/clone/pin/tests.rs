use serde_json::json;

use super::*;
use crate::clone::tests::options;
use crate::clone::{Built, Options, build};
use crate::cut::{At, Run};
use crate::warning::Code;

fn pinned() -> Pinned {
    Pinned {
        execution_id: "arn:run".to_owned(),
        execution_name: "it's \"a\" run".to_owned(),
        execution_start_time: "2026-01-31T04:00:00Z".to_owned(),
        machine_id: "arn:machine".to_owned(),
        machine_name: "machine".to_owned(),
    }
}

fn built(definition: &Value, pin: bool) -> Built {
    let top = At {
        state: "A".to_owned(),
        input: json!({"a.$": "$$.Execution.Id"}),
        variables: std::collections::BTreeMap::new(),
        run: Run::Whole,
        holds: Vec::new(),
    };
    let options = Options {
        pin: pin.then(pinned),
        fleet: Fleet::new([
            "lock-acquire".to_owned(),
            "arn:aws:lambda:r:123456789012:function:guard".to_owned(),
        ]),
        ..options()
    };
    build(definition, &top, &options).unwrap()
}

fn state(state: &Value, language: &str) -> Value {
    let mut definition = json!({"StartAt": "A", "QueryLanguage": language, "States": {"A": state}});
    definition["States"]["A"]["End"] = json!(true);
    definition
}

fn warned(built: &Built) -> Vec<&str> {
    assert!(
        built
            .warnings
            .iter()
            .all(|warning| warning.code == Code::ContextDiffers)
    );
    built.warnings.iter().map(|warning| warning.text.as_str()).collect()
}

#[test]
fn the_originals_values_stand_where_the_context_was_asked() {
    let task = json!({"Type": "Task", "Resource": "arn:x", "Parameters": {
        "id.$": "$$.Execution.Id", "deep": [{"start.$": "$$.Execution.StartTime", "machine.$": "$$.StateMachine.Name"}],
        "text.$": "States.Format('$$.Execution.Id {} {}', $$.Execution.Name, $$.StateMachine.Id)",
        "input.$": "$$.Execution.Input", "plain": "$$.Execution.Id", "data.$": "$.x", "token.$": "$$.Task.Token"}});
    let built = built(&state(&task, "JSONPath"), true);
    let parameters = json!({"id": "arn:run", "deep": [{"start": "2026-01-31T04:00:00Z", "machine": "machine"}],
        "text.$": r#"States.Format('$$.Execution.Id {} {}', 'it\'s "a" run', 'arn:machine')"#,
        "input.$": "$$.Execution.Input", "plain": "$$.Execution.Id", "data.$": "$.x", "token.$": "$$.Task.Token"});
    assert_eq!(built.definition["States"]["A"]["Parameters"], parameters);
    // What is injected is data.
    assert_eq!(
        built.definition["States"]["A (input)"]["Result"],
        json!({"a.$": "$$.Execution.Id"})
    );
    assert_eq!(warned(&built), [""; 0]);

    let map = json!({"Type": "Map", "QueryLanguage": "JSONata", "ItemSelector": {"x": "{% $states.context.Execution.Name & '$states.context.Execution.Id' %}"},
        "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% [$states.context.StateMachine.Id] %}", "End": true}}}});
    let built = self::built(&state(&map, "JSONPath"), true);
    let map = &built.definition["States"]["A"];
    assert_eq!(
        map["ItemSelector"]["x"],
        r#"{% "it's \"a\" run" & '$states.context.Execution.Id' %}"#
    );
    assert_eq!(
        map["ItemProcessor"]["States"]["B"]["Output"],
        r#"{% ["arn:machine"] %}"#
    );
}

#[test]
fn what_cannot_be_replaced_stays_and_is_said() {
    let task = json!({"Type": "Task", "Resource": "arn:x", "InputPath": "$$.Execution", "Parameters": {"all.$": "$$", "n.$": "$$.Execution.RedriveCount"}});
    let built = built(&state(&task, "JSONPath"), true);
    assert_eq!(built.definition["States"]["A"]["Parameters"], task["Parameters"]);
    let says = "It asks the context object for Execution, Execution.RedriveCount, all of it, which is another in the clone: that could not be pinned.";
    assert_eq!(warned(&built), [says]);
}

#[test]
fn without_a_pin_what_differs_is_said_of_each_state() {
    for (definition, language, says) in [
        (
            json!({"Type": "Pass", "Parameters": {"a.$": "$$.Execution.Name", "b.$": "$$.StateMachine.Id"}}),
            "JSONPath",
            "Execution.Name, StateMachine.Id",
        ),
        (
            json!({"Type": "Pass", "InputPath": "$$.Execution.Input", "Result": {"a.$": "$$.Execution.Id"}}),
            "JSONPath",
            "",
        ),
        (
            json!({"Type": "Pass", "Output": "{% $states.context.Execution.StartTime %}"}),
            "JSONata",
            "Execution.StartTime",
        ),
        (
            json!({"Type": "Pass", "Output": "{% $states.context.State.Name %}"}),
            "JSONata",
            "",
        ),
    ] {
        let built = built(&state(&definition, language), false);
        match says {
            "" => assert_eq!(warned(&built), [""; 0], "{definition}"),
            says => assert!(
                warned(&built)[0].starts_with(&format!("It asks the context object for {says}, which")),
                "{definition}"
            ),
        }
    }
}

#[test]
fn the_fleet_is_told_who_really_asks() {
    let invoke = |function: &str| {
        let parameters = json!({"FunctionName": function, "Payload": {"a.$": "$$.Execution.Id"}});
        json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters})
    };
    let direct = |arn: &str| json!({"Type": "Task", "Resource": arn, "Parameters": {"a.$": "$$.Execution.Id"}});
    for (task, is_fleet) in [
        (invoke("lock-acquire"), true),
        (invoke("lock-acquire:live"), true),
        (invoke("arn:aws:lambda:r:123456789012:function:lock-acquire:live"), true),
        (invoke("guard"), true),
        (invoke("123456789012:guard"), true),
        (invoke("123456789012:function:guard:live"), true),
        (direct("arn:aws:lambda:r:123456789012:function:guard:7"), true),
        (invoke("lock-acquire-not"), false),
        (invoke("999999999999:guard"), false),
        (invoke("999999999999:function:guard"), false),
        (direct("arn:aws:lambda:r:999999999999:function:guard"), false),
        (direct("arn:aws:lambda:s:123456789012:function:guard"), false),
    ] {
        let definition = state(&task, "JSONPath");
        let (with, without) = (built(&definition, true), built(&definition, false));
        let is_kept = with.definition["States"]["A"] == definition["States"]["A"];
        assert_eq!((is_kept, warned(&without).is_empty()), (is_fleet, is_fleet), "{task}");
    }
}

#[test]
fn a_copy_has_the_originals_name_if_it_is_pinned() {
    let map = json!({"Type": "Map", "ItemProcessor": {"StartAt": "W", "States": {
        "W": {"Type": "Wait", "Seconds": 1, "Assign": {"name.$": "$$.State.Name"}, "Next": "X"},
        "X": {"Type": "Pass", "Parameters": {"name.$": "$$.State.Name"}, "End": true}}}});
    let at = |state: &str, run| At {
        state: state.to_owned(),
        input: json!(1),
        variables: std::collections::BTreeMap::new(),
        run,
        holds: Vec::new(),
    };
    let wait = crate::cut::Region::At(Box::new(at("W", Run::Waiting(crate::cut::Waiting::Over))));
    let top = at("A", Run::Map([(0, wait)].into()));
    let built = |pin: bool| {
        let options = Options {
            pin: pin.then(pinned),
            ..options()
        };
        build(&state(&map, "JSONPath"), &top, &options).unwrap()
    };
    let without = built(false);
    assert!(warned(&without)[0].starts_with("It asks the context object for State.Name, which"));
    assert_eq!(without.warnings[0].state.as_deref(), Some("W"));
    let with = built(true);
    let states = &with.definition["States"]["A"]["ItemProcessor"]["States"];
    assert_eq!(states["W (resumed)"]["Assign"], json!({"name": "W"}));
    assert_eq!(warned(&with), [""; 0]);
}

#[test]
fn a_result_that_looks_like_an_expression_is_data() {
    let result = json!({"a.$": "$$.Execution.Id", "b": [{"c.$": "States.Format('{}', $$.Execution.Name)"}]});
    for pin in [true, false] {
        let built = built(&state(&json!({"Type": "Pass", "Result": result}), "JSONPath"), pin);
        assert_eq!(built.definition["States"]["A"]["Result"], result);
        assert_eq!(warned(&built), [""; 0]);
    }
}
