//! What is said to be kept, to run again, and to have run perhaps.

use serde_json::json;

use super::*;

fn abc() -> Value {
    json!({"StartAt": "A", "States": {
        "A": task(Some("B")), "B": task(Some("Which")),
        "Which": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 9, "Next": "A"}], "Default": "C"},
        "C": task(Some("D")), "D": task(None), "E": task(None)
    }})
}

/// A, B and the Choice were left, C has failed.
fn at_c() -> Told {
    let mut told = Told::of(json!(1));
    let a = told.done("A", &json!(1), &json!(2), 0);
    let b = told.done("B", &json!(2), &json!(3), a);
    let which = told.enter("Choice", "Which", &json!(3), b);
    let which = told.exit("Choice", "Which", &json!(3), which);
    let c = told.task("C", &json!(3), which);
    let c = told.failed(c);
    told.fails(c)
}

fn lists(plan: &Plan) -> [&[String]; 4] {
    let lists = &plan.lists;
    [&lists.resumes_at, &lists.kept, &lists.run_again, &lists.may_have_run]
}

#[test]
fn what_comes_after_the_state_runs_again_if_it_is_led_to() {
    let plan = Trial::of(&abc(), at_c()).from("B").clone();
    let expected: [&[&str]; 4] = [
        &[r#"Task "B""#],
        &[r#"Task "A""#],
        &[r#"Choice "Which""#, r#"Task "B""#],
        &[r#"Task "C""#],
    ];
    assert_eq!(lists(&plan), expected);
}

#[test]
fn what_is_passed_over_is_not_said_to_be_kept() {
    // C had failed; D was never come to.
    let plan = Trial::of(&abc(), at_c()).from("D").input(json!(0)).plan().unwrap();
    let expected: [&[&str]; 4] = [
        &[r#"Task "D""#],
        &[r#"Task "A""#, r#"Task "B""#, r#"Choice "Which""#],
        &[],
        &[],
    ];
    assert_eq!(lists(&plan), expected);
    let mut trial = Trial::of(&abc(), at_c());
    trial.ask.skip_with_output = Some(json!(0));
    let expected: [&[&str]; 4] = [
        &[r#"Task "C""#],
        &[r#"Task "A""#, r#"Task "B""#, r#"Choice "Which""#],
        &[],
        &[],
    ];
    assert_eq!(lists(&trial.plan().unwrap()), expected);
}

/// A Map of Maps of which each iteration has finished, but for one inner in each outer.
fn nested(outer: u32, inner: u32) -> Trial {
    let leaf = json!({"StartAt": "Leaf", "States": {"Leaf": task(None)}});
    let each = json!({"StartAt": "Set", "States": {
        "Set": state("Pass", Some("Inner"), json!({"Assign": {"day": 1}})),
        "Inner": state("Map", None, json!({"ItemProcessor": leaf}))
    }});
    let definition =
        json!({"StartAt": "Outer", "States": {"Outer": state("Map", None, json!({"ItemProcessor": each}))}});
    let mut told = Told::of(json!([]));
    let entered = told.enter("Map", "Outer", &json!([]), 0);
    let length = |length: u32| json!({"length": length});
    let started = told.add("MapStateStarted", entered, "mapStateStartedEventDetails", length(outer));
    for index in 0..outer {
        let began = told.iteration("Started", "Outer", index, started);
        let set = told.enter("Pass", "Set", &json!(index), began);
        let set = told.exit_with("Pass", "Set", &json!([index]), json!({"day": index}), set);
        let entered = told.enter("Map", "Inner", &json!([index]), set);
        let started = told.add("MapStateStarted", entered, "mapStateStartedEventDetails", length(inner));
        for number in 0..inner {
            let began = told.iteration("Started", "Inner", number, started);
            let leaf = told.task("Leaf", &json!([index, number]), began);
            if number != 1 {
                let leaf = told.succeeded("Leaf", &json!([index, number, "done"]), leaf);
                told.iteration("Succeeded", "Inner", number, leaf);
            }
        }
    }
    Trial::of(&definition, told.ends("ExecutionAborted"))
}

#[test]
fn the_same_of_several_iterations_is_said_once() {
    let plan = nested(3, 4).clone();
    let leaf = r#"Map "Outer"[0-2] / Map "Inner"[1] / Task "Leaf""#;
    let expected: [&[&str]; 4] = [
        &[leaf],
        &[
            r#"Map "Outer"[0-2] / Pass "Set""#,
            r#"Map "Outer"[0-2] / Map "Inner"[0,2-3]"#,
        ],
        &[],
        &[leaf],
    ];
    assert_eq!(lists(&plan), expected);
    assert_eq!(json!(plan.variables), json!({r#"Map "Outer"[0-2]"#: ["day"]}));
    let found = plan
        .warnings
        .iter()
        .filter(|warning| warning.code.name() == "MayHaveRun");
    assert_eq!(found.count(), 1);
}

#[test]
fn a_map_that_runs_as_a_whole_says_what_may_have_run_in_it() {
    let plan = nested(3, 4).from("Outer").clone();
    let outer = r#"Map "Outer""#;
    let leaf = r#"Map "Outer"[0-2] / Map "Inner"[1] / Task "Leaf""#;
    let expected: [&[&str]; 4] = [&[outer], &[], &[outer], &[leaf]];
    assert_eq!(lists(&plan), expected);
    assert!(codes(&plan).contains(&"MayHaveRun"));
}

#[test]
fn a_state_in_maps_is_meant_where_an_iteration_came_to_it() {
    // The first outer iteration has not come to the inner Map: it is told by the events 7 to 19.
    let mut trial = nested(2, 2);
    assert_eq!(trial.told.events[6]["stateEnteredEventDetails"]["name"], "Inner");
    assert_eq!(trial.told.events[19]["type"], "MapIterationStarted");
    // In the second one an inner iteration came to the state, in the first one no inner iteration has begun.
    let mut begun = nested(2, 2);
    begun.told.events.drain(8..19);
    trial.told.events.drain(6..19);
    let plan = begun.from("Leaf").clone();
    assert_eq!(
        plan.lists.resumes_at,
        [
            r#"Map "Outer"[0] / Map "Inner""#,
            r#"Map "Outer"[1] / Map "Inner"[1] / Task "Leaf""#
        ]
    );
    let plan = trial.from("Leaf").clone();
    assert_eq!(
        plan.lists.resumes_at,
        [
            r#"Map "Outer"[0] / Map "Inner""#,
            r#"Map "Outer"[1] / Map "Inner"[1] / Task "Leaf""#
        ]
    );
}

#[test]
fn a_plan_of_a_large_map_is_short_and_soon_made() {
    let plan = nested(500, 8).clone();
    assert_eq!(
        plan.lists.may_have_run,
        [r#"Map "Outer"[0-499] / Map "Inner"[1] / Task "Leaf""#]
    );
    assert_eq!(plan.lists.kept.len(), 2);
    assert!(plan.warnings.len() < 20, "{}", plan.warnings.len());
}
