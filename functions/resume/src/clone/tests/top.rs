//! The top level, and what holds for any region.

use super::*;
use crate::cut::Waiting;

/// A pipeline with a handler, a loop and a Wait: `JSONPath`.
fn pipeline() -> Value {
    json!({
        "Comment": "Orders", "TimeoutSeconds": 900,
        "StartAt": "Read",
        "States": {
            "Read": {"Type": "Task", "Resource": "arn:read", "Next": "Charge",
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Never again"}]},
            "Charge": {"Type": "Task", "Resource": "arn:charge", "ResultPath": "$.paid", "Next": "Pause",
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Notify"}]},
            "Pause": {"Type": "Wait", "SecondsPath": "$.seconds", "OutputPath": "$.a", "Comment": "Slowly", "Next": "Enough?"},
            "Enough?": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 3, "Next": "Done"}], "Default": "Once more"},
            "Once more": {"Type": "Pass", "Next": "Pause"},
            "Notify": {"Type": "Task", "Resource": "arn:notify", "Next": "Failed"},
            "Failed": {"Type": "Fail"},
            "Never again": {"Type": "Fail"},
            "Done": {"Type": "Succeed"}
        }
    })
}

fn jsonata(mut definition: Value) -> Value {
    definition["QueryLanguage"] = json!("JSONata");
    definition
}

#[test]
fn a_jsonpath_machine_goes_on_at_a_state_with_its_variables_and_its_input() {
    let input = json!({"order.$": "$.x", "n": -0.0});
    let top = with(
        at("Charge", input.clone()),
        &[("who.a", json!("$.not")), ("count", json!(null))],
    );
    let top = with(
        top,
        &[("who", json!({"a.$": "$$.Execution.Id"})), ("count", json!(null))],
    );
    let built = good(&pipeline(), &top);
    let states = &built.definition["States"];
    assert_eq!(built.definition["StartAt"], "Charge (variables)");
    assert_eq!(
        (&built.definition["Comment"], &built.definition["TimeoutSeconds"]),
        (&json!("Orders"), &json!(900))
    );
    let variables = json!({"Type": "Pass", "Next": "Charge (input)",
        "Result": {"count": null, "who": {"a.$": "$$.Execution.Id"}},
        "Assign": {"count.$": "$.count", "who.$": "$.who"}});
    assert_eq!(states["Charge (variables)"], variables);
    assert_eq!(
        states["Charge (input)"],
        json!({"Type": "Pass", "Result": input, "Next": "Charge"})
    );
    assert!(built.text.contains(r#""n":-0.0"#));
    // What only the states before lead to is gone; the handler and the loop are there.
    let kept = [
        "Charge",
        "Charge (input)",
        "Charge (variables)",
        "Done",
        "Enough?",
        "Failed",
        "Notify",
        "Once more",
        "Pause",
    ];
    assert_eq!(keys(states), kept);
    assert_eq!(states["Charge"], pipeline()["States"]["Charge"]);
    assert_eq!(built.copies["Charge (input)"], "Charge");
    assert_eq!(keys(&json!(built.copies)), ["Charge (input)", "Charge (variables)"]);
    assert!(built.warnings.is_empty() && built.maps_run_whole.is_empty());
}

#[test]
fn a_jsonata_machine_goes_on_at_a_state_with_its_variables_and_its_input() {
    let pipeline = jsonata(
        json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "End": true}}}),
    );
    let top = with(
        at(
            "B",
            json!({"text": "{% $states.input %}", "plain": "$.a", "list": ["a %} b", ""]}),
        ),
        &[
            ("who", json!("{% \"a\\b\n{% x %}\" %}")),
            ("none", json!(null)),
            ("n", json!(7)),
        ],
    );
    let built = good(&pipeline, &top);
    let states = &built.definition["States"];
    let variables = json!({"Type": "Pass", "Next": "B (input)", "Assign": {
        "who": r#"{% "{\u0025 \"a\\b\n{\u0025 x \u0025}\" \u0025}" %}"#, "none": "{% null %}", "n": 7}});
    assert_eq!(states["B (variables)"], variables);
    let input = json!({"Type": "Pass", "Next": "B", "Output": {
        "text": r#"{% "{\u0025 $states.input \u0025}" %}"#, "plain": "$.a", "list": [r#"{% "a \u0025} b" %}"#, r#"{% "" %}"#]}});
    assert_eq!(states["B (input)"], input);
}

#[test]
fn the_input_may_be_anything() {
    for input in [
        json!(null),
        json!(true),
        json!(3),
        json!(-0.0),
        json!(u64::MAX),
        json!("{% 1 %}"),
        json!(""),
        json!("$.x"),
        json!([]),
        json!([1, "two", ["%}"]]),
        json!({}),
        json!({"a.$": 1}),
        json!({"v": null}),
        json!({"States": {"A": 1}, "Next": "Nobody"}),
    ] {
        for definition in [
            pipeline(),
            jsonata(json!({"StartAt": "Charge", "States": {"Charge": {"Type": "Pass", "End": true}}})),
        ] {
            let built = good(&definition, &at("Charge", input.clone()));
            assert_eq!(built.definition["StartAt"], "Charge (input)");
        }
    }
    let states = |input: Value| good(&pipeline(), &at("Charge", input)).definition["States"]["Charge (input)"].clone();
    assert_eq!(
        states(json!(null)),
        json!({"Type": "Pass", "Result": {"v": null}, "OutputPath": "$.v", "Next": "Charge"})
    );
    assert_eq!(
        states(json!([1])),
        json!({"Type": "Pass", "Result": [1], "Next": "Charge"})
    );
}

#[test]
fn a_state_that_is_skipped_gives_its_output_to_the_next_one() {
    let skipped = |state: &str| run(state, Run::Skipped { output: json!([7]) });
    let built = good(&pipeline(), &skipped("Charge"));
    let states = &built.definition["States"];
    assert_eq!(
        states["Charge (output)"],
        json!({"Type": "Pass", "Result": [7], "Next": "Pause"})
    );
    assert_eq!(
        keys(states),
        ["Charge (output)", "Done", "Enough?", "Once more", "Pause"]
    );
    let built = good(&pipeline(), &skipped("Done"));
    let only = json!({"Done (output)": {"Type": "Pass", "Result": [7], "End": true}});
    assert_eq!(built.definition["States"], only);
    assert!(refused(&pipeline(), &skipped("Enough?")).starts_with("\"Enough?\" is a Choice, which cannot be skipped"));
    assert!(refused(&pipeline(), &skipped("Failed")).starts_with("\"Failed\" is a Fail, which cannot be skipped"));
}

#[test]
fn a_wait_goes_on_as_is_asked_and_stays_for_a_second_time() {
    let until = Waiting::Until("2026-01-31T04:00:00Z".to_owned());
    let built = good(&pipeline(), &run("Pause", Run::Waiting(until.clone())));
    let states = &built.definition["States"];
    let waits = json!({"Type": "Wait", "Timestamp": "2026-01-31T04:00:00Z", "OutputPath": "$.a", "Comment": "Slowly", "Next": "Enough?"});
    // The loop comes back to it: the one that waits until then goes first.
    assert_eq!(states["Pause (resumed)"], waits);
    assert_eq!(states["Pause"], pipeline()["States"]["Pause"]);
    assert_eq!(states["Pause (input)"]["Next"], "Pause (resumed)");
    assert_eq!(built.copies["Pause (resumed)"], "Pause");

    let mut straight = pipeline();
    straight["States"]["Once more"]["Next"] = json!("Done");
    let built = good(&straight, &run("Pause", Run::Waiting(Waiting::Over)));
    let states = &built.definition["States"];
    assert_eq!(
        states["Pause"],
        json!({"Type": "Pass", "OutputPath": "$.a", "Comment": "Slowly", "Next": "Enough?"})
    );
    assert!(refused(&straight, &run("Charge", Run::Waiting(until))).contains("is a Task, where the run had a Wait"));
}

#[test]
fn a_wait_in_jsonata_keeps_what_it_makes_of_its_input() {
    let wait = json!({"Type": "Wait", "Seconds": "{% 9 %}", "Output": "{% 1 %}", "Assign": {"a": 2}, "End": true});
    let definition = jsonata(json!({"StartAt": "W", "States": {"W": wait}}));
    let built = good(&definition, &run("W", Run::Waiting(Waiting::Over)));
    assert_eq!(
        built.definition["States"]["W"],
        json!({"Type": "Pass", "Output": "{% 1 %}", "Assign": {"a": 2}, "End": true})
    );
}

#[test]
fn a_jsonata_state_of_a_jsonpath_machine_is_led_to_in_jsonpath() {
    let mut pipeline = pipeline();
    pipeline["States"]["Charge"] =
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% 1 %}", "Next": "Done"});
    let built = good(
        &pipeline,
        &with(at("Charge", json!("{% x %}")), &[("x", json!("{% y %}"))]),
    );
    let states = &built.definition["States"];
    assert_eq!(states["Charge (input)"]["Result"], "{% x %}");
    assert_eq!(states["Charge (variables)"]["Assign"], json!({"x.$": "$"}));
}

#[test]
fn variables_are_split_where_one_assign_has_no_room_for_them() {
    let most = 262_144;
    let large = |bytes: usize| json!("x".repeat(bytes - 2));
    let top = with(
        at("Charge", json!(1)),
        &[
            ("a", large(most)),
            ("b", large(most / 2)),
            ("c", large(most / 2)),
            ("d", json!(1)),
            ("e", json!(null)),
        ],
    );
    for (definition, assigns) in [
        (pipeline(), vec![vec!["a.$"], vec!["b.$"], vec!["c.$", "d.$", "e.$"]]),
        (
            jsonata(json!({"StartAt": "Charge", "States": {"Charge": {"Type": "Pass", "End": true}}})),
            vec![vec!["a"], vec!["b"], vec!["c", "d", "e"]],
        ),
    ] {
        let built = good(&definition, &top);
        let mut state = &built.definition["States"][built.definition["StartAt"].as_str().unwrap()];
        for names in assigns {
            assert_eq!(keys(&state["Assign"]), names);
            state = &built.definition["States"][state["Next"].as_str().unwrap()];
        }
        assert_eq!(state["Next"], "Charge");
    }
    // Of two that have just the room of one, neither is alone.
    let two = with(
        at("Charge", json!(1)),
        &[("a", large(most / 2)), ("b", large(most / 2 - 20))],
    );
    assert_eq!(
        keys(&good(&pipeline(), &two).definition["States"]["Charge (variables)"]["Assign"]),
        ["a.$", "b.$"]
    );
}

#[test]
fn more_than_a_payload_is_refused() {
    let large = json!("x".repeat(262_143));
    let says = "is 262145 bytes: Step Functions takes at most 262144";
    assert_eq!(
        refused(&pipeline(), &at("Charge", large.clone())),
        format!("the input of \"Charge\" {says}")
    );
    let variable = with(at("Charge", json!(1)), &[("a", large.clone())]);
    assert_eq!(
        refused(&pipeline(), &variable),
        format!("the variable \"a\" of \"Charge\" {says}")
    );
    let skipped = run("Charge", Run::Skipped { output: large.clone() });
    assert_eq!(
        refused(&pipeline(), &skipped),
        format!("the output of \"Charge\" {says}")
    );
    let Value::String(mut text) = large else { unreachable!() };
    text.pop();
    good(
        &pipeline(),
        &with(at("Charge", json!(text.clone())), &[("a", json!(text))]),
    );
}

#[test]
fn variables_may_have_names_of_any_language() {
    let variables = [("\u{e9}t\u{e9}", json!(1)), ("v0", json!(2)), ("v1", json!(null))];
    let built = good(&pipeline(), &with(at("Charge", json!(1)), &variables));
    let pass = &built.definition["States"]["Charge (variables)"];
    assert_eq!(pass["Result"], json!({"v0": 2, "v1": null, "v2": 1}));
    assert_eq!(
        pass["Assign"],
        json!({"v0.$": "$.v0", "v1.$": "$.v1", "\u{e9}t\u{e9}.$": "$.v2"})
    );
}

#[test]
fn what_does_not_fit_the_definition_is_refused() {
    assert_eq!(
        refused(&pipeline(), &at("Nobody", json!(1))),
        "the definition has no state \"Nobody\" at its top level"
    );
    let error = build(&json!({"StartAt": "A"}), &at("A", json!(1)), &options()).unwrap_err();
    assert_eq!(error.to_string(), "the definition cannot be read: States is missing");
}

#[test]
fn a_clone_that_could_not_end_is_refused() {
    let mut pipeline = pipeline();
    pipeline["States"]["Enough?"]["Choices"][0]["Next"] = json!("Once more");
    assert_eq!(
        refused(&pipeline, &at("Pause", json!(1))),
        "from \"Pause\" on nothing leads to an end, and Step Functions takes no state machine without one"
    );
    good(&pipeline, &at("Charge", json!(1)));
}

#[test]
fn what_is_injected_into_a_region_of_another_language_says_its_own() {
    let inner = json!({"QueryLanguage": "JSONata", "StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}});
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Parallel", "Branches": [inner], "End": true}}});
    let branch = with(at("B", json!("{% 1 %}")), &[("x", json!(1))]);
    let built = good(&definition, &run("A", Run::Parallel(vec![region(branch)])));
    let states = &built.definition["States"]["A"]["Branches"][0]["States"];
    let pass = json!({"Type": "Pass", "QueryLanguage": "JSONPath", "Result": "{% 1 %}", "Next": "B"});
    assert_eq!(states["B (input)"], pass);
    assert_eq!(states["B (variables)"]["QueryLanguage"], "JSONPath");
}
