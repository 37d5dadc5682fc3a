//! What it costs at least.

use serde_json::json;

use super::*;
use crate::plan::written::regions_of;

/// How many states of a clone surely run: from its start, as it is built. Of a Map it counts the iterations that are said.
fn runs(region: &Value, from: &str, iterations: &dyn Fn(&str) -> u64) -> u64 {
    let mut count = 0;
    let mut next = Some(from.to_owned());
    while let Some(name) = next {
        let state = &region["States"][&name];
        let inner = |region: &Value| runs(region, region["StartAt"].as_str().unwrap(), iterations);
        count += 1;
        count += match state["Type"].as_str().unwrap() {
            "Parallel" => regions_of(state).map(inner).sum(),
            "Map" => iterations(&name),
            _ => 0,
        };
        next = state["Next"].as_str().map(str::to_owned);
    }
    count
}

fn counted(plan: &Plan, iterations: &dyn Fn(&str) -> u64) -> u64 {
    let clone = &plan.built.as_ref().unwrap().definition;
    runs(clone, clone["StartAt"].as_str().unwrap(), iterations)
}

fn region(states: Value) -> Value {
    let first = states.as_object().unwrap().keys().next().unwrap().clone();
    json!({"StartAt": first, "States": states})
}

/// A sets a variable; of the Parallel one branch has finished, one failed in its second state, one never began.
fn fanned() -> Trial {
    let definition = region(json!({
        "A": task(Some("Fan")),
        "Fan": state("Parallel", Some("Y"), json!({"Branches": [
            region(json!({"P": task(None)})),
            region(json!({"Q": task(Some("R")), "R": task(Some("S")), "S": task(None)})),
            region(json!({"T": task(Some("U")), "U": task(None)}))
        ]})),
        "Y": task(Some("Z")),
        "Z": state("Parallel", None, json!({"Branches": [region(json!({"Z1": task(None)})), region(json!({"Z2": task(None)}))]}))
    }));
    let mut told = Told::of(json!(1));
    let a = told.enter("Task", "A", &json!(1), 0);
    let a = told.exit_with("Task", "A", &json!(1), json!({"day": 1}), a);
    let entered = told.enter("Parallel", "Fan", &json!(1), a);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    told.done("P", &json!(1), &json!(2), started);
    let q = told.done("Q", &json!(1), &json!(2), started);
    let r = told.task("R", &json!(2), q);
    let r = told.failed(r);
    Trial::of(&definition, told.fails(r))
}

#[test]
fn what_is_injected_and_what_surely_follows_is_counted() {
    let none = |_: &str| 0;
    let plan = fanned().clone();
    // The variables, the input, Fan; P's output; the input of R, R, S; T, U; Y, Z, Z1, Z2.
    assert_eq!((plan.transitions, counted(&plan, &none)), (13, 13));
    // As a whole: Q runs again too, and P is no Pass.
    let plan = fanned().from("Fan").clone();
    assert_eq!((plan.transitions, counted(&plan, &none)), (13, 13));
    let mut skipped = fanned().from("S");
    skipped.ask.skip_with_output = Some(json!(1));
    let plan = skipped.plan().unwrap();
    assert_eq!((plan.transitions, counted(&plan, &none)), (11, 11));
    // The redrive itself; Fan goes on, R, S; T, U; Y, Z, Z1, Z2.
    let plan = fanned().plan().unwrap();
    assert_eq!((plan.strategy.name(), plan.transitions), ("redrive", 10));
}

#[test]
fn a_choice_may_lead_to_an_end() {
    let which =
        json!({"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "A"}], "Default": "B"});
    let definition = region(json!({"A": task(Some("Which")), "B": task(None), "Which": which}));
    let mut told = Told::of(json!(1));
    let a = told.task("A", &json!(1), 0);
    let a = told.failed(a);
    let plan = Trial::of(&definition, told.fails(a)).clone();
    assert_eq!(plan.transitions, 3);
}

#[test]
fn iterations_that_are_kept_cost_something_too() {
    let processor = region(json!({"P": task(Some("Q")), "Q": task(None)}));
    let definition =
        region(json!({"Each": state("Map", Some("Last"), json!({"ItemProcessor": processor})), "Last": task(None)}));
    let mut told = Told::of(json!([1]));
    let entered = told.enter("Map", "Each", &json!([1]), 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 10}),
    );
    for index in 0..3 {
        let one = told.iteration("Started", "Each", index, started);
        let one = told.done("P", &json!(1), &json!(2), one);
        let one = told.done("Q", &json!(2), &json!(3), one);
        told.iteration("Succeeded", "Each", index, one);
    }
    let one = told.iteration("Started", "Each", 3, started);
    let one = told.done("P", &json!(1), &json!(2), one);
    let one = told.task("Q", &json!(2), one);
    let one = told.failed(one);
    let trial = Trial::of(&definition, told.fails(one));
    // Of 10 iterations 3 are kept (a Choice, a Pass), 1 goes on (a Choice, its input, Q), 6 begin (a Choice, the item, P, Q).
    let plan = trial.plan().unwrap();
    assert_eq!(
        (plan.strategy.name(), plan.transitions),
        ("redrive", 1 + 1 + 1 + 6 * 2 + 1)
    );
    let plan = trial.clone();
    assert_eq!(plan.transitions, 1 + 1 + (3 * 2 + 3 + 6 * 4) + 1);
    assert_eq!(counted(&plan, &|_| 3 * 2 + 3 + 6 * 4), plan.transitions);
}
