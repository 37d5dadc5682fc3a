//! Runs that have succeeded, and clones of clones.

use serde_json::json;

use super::*;
use crate::clone::{CLONE_BYTES, sent_bytes};

fn region(states: Value) -> Value {
    let first = states.as_object().unwrap().keys().next().unwrap().clone();
    json!({"StartAt": first, "States": states})
}

/// A; a Parallel of a branch and of a Map of two items, of two states each; Z. All of it has succeeded.
fn succeeded() -> Trial {
    let each = region(json!({"P": task(Some("Q")), "Q": task(None)}));
    let map = region(json!({"Each": state("Map", Some("F"), json!({"ItemProcessor": each})), "F": task(None)}));
    let definition = region(json!({
        "A": task(Some("Fan")),
        "Fan": state("Parallel", Some("Z"), json!({"Branches": [region(json!({"B": task(Some("C")), "C": task(None)})), map]})),
        "Z": task(None)
    }));
    let mut told = Told::of(json!("in"));
    let a = told.enter("Task", "A", &json!("in"), 0);
    let a = told.exit_with("Task", "A", &json!([1, 2]), json!({"day": "monday"}), a);
    let entered = told.enter("Parallel", "Fan", &json!([1, 2]), a);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    let b = told.done("B", &json!([1, 2]), &json!("b"), started);
    told.done("C", &json!("b"), &json!("c"), b);
    let entered = told.enter("Map", "Each", &json!([1, 2]), started);
    let map = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 2}),
    );
    let mut last = 0;
    for index in 0..2 {
        let began = told.iteration("Started", "Each", index, map);
        let p = told.done("P", &json!(index), &json!(["p", index]), began);
        last = told.done("Q", &json!(["p", index]), &json!(["q", index]), p);
        told.iteration("Succeeded", "Each", index, last);
    }
    let each = told.exit("Map", "Each", &json!([["q", 0], ["q", 1]]), last);
    let f = told.done("F", &json!([["q", 0], ["q", 1]]), &json!("f"), each);
    let fan = told.exit("Parallel", "Fan", &json!(["c", "f"]), f);
    let z = told.done("Z", &json!(["c", "f"]), &json!("out"), fan);
    told.add(
        "ExecutionSucceeded",
        z,
        "executionSucceededEventDetails",
        json!({"output": "\"out\""}),
    );
    Trial::of(&definition, told)
}

#[test]
fn a_branch_of_a_parallel_that_succeeded_goes_on_and_the_others_give_what_they_gave() {
    let plan = succeeded().from("C").plan().unwrap();
    assert_eq!((plan.strategy.name(), plan.cut.state.as_str()), ("clone", "Fan"));
    assert_eq!(json!(plan.cut.variables), json!({"day": "monday"}));
    let [(0, c), (1, map)] = inside(&plan.cut)[..] else {
        panic!("two branches")
    };
    assert_eq!(going_on(c), Some(("C", &json!("b"))));
    assert_eq!(*map, Region::Done { output: json!("f") });
    assert_eq!(
        plan.lists.run_again,
        [r#"Task "Z""#, r##"Parallel "Fan"#0 / Task "C""##]
    );
    assert_eq!(
        plan.lists.kept,
        [
            r#"Task "A""#,
            r##"Parallel "Fan"#0 / Task "B""##,
            r##"Parallel "Fan"#1"##
        ]
    );
    assert!(plan.lists.may_have_run.is_empty());
    assert_eq!(
        succeeded().from("C").mode(Mode::Redrive).refused().0,
        "Resume.NotRedrivable"
    );
}

#[test]
fn an_iteration_of_a_map_that_succeeded_goes_on_if_it_is_named() {
    assert_eq!(succeeded().from("Q").refused().0, "Resume.Ambiguous");
    let plan = succeeded().from("Q").iteration("Each", 1).plan().unwrap();
    let Region::At(each) = inside(&plan.cut)[1].1 else {
        panic!("it goes on")
    };
    assert_eq!(each.state, "Each");
    assert_eq!(
        *inside(each)[0].1,
        Region::Done {
            output: json!(["q", 0])
        }
    );
    assert_eq!(going_on(inside(each)[1].1), Some(("Q", &json!(["p", 1]))));
    assert_eq!(
        plan.lists.run_again,
        [
            r#"Task "Z""#,
            r##"Parallel "Fan"#1 / Task "F""##,
            r##"Parallel "Fan"#1 / Map "Each"[1] / Task "Q""##
        ]
    );
    // Skipped, as the last state of its iteration, it has an end.
    let mut trial = succeeded().from("Q").iteration("Each", 1);
    trial.ask.skip_with_output = Some(json!("by hand"));
    let plan = trial.plan().unwrap();
    let Region::At(each) = inside(&plan.cut)[1].1 else {
        panic!("it goes on")
    };
    let Region::At(q) = inside(each)[1].1 else {
        panic!("it goes on")
    };
    assert_eq!(
        q.run,
        Run::Skipped {
            output: json!("by hand")
        }
    );
}

#[test]
fn variables_are_laid_over_where_they_are() {
    let mut trial = succeeded().from("Q").iteration("Each", 1);
    trial.ask.variables = [("day", json!("sunday")), ("new", json!(1))]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    let plan = trial.plan().unwrap();
    assert_eq!(json!(plan.cut.variables), json!({"day": "sunday"}));
    let expected = json!({"": ["day"], r##"Parallel "Fan"#1 / Map "Each"[1]"##: ["new"]});
    assert_eq!(json!(plan.variables), expected);
}

/// The history of a run of a clone up to its first state that is no injected Pass.
fn bootstrapped(clone: &Value) -> (Told, usize, String) {
    let mut told = Told::of(json!("in"));
    let (mut name, mut last) = (clone["StartAt"].as_str().unwrap().to_owned(), 0);
    loop {
        let pass = &clone["States"][&name];
        if pass["Type"] != "Pass" {
            return (told, last, name);
        }
        let entered = told.enter("Pass", &name, &json!("in"), last);
        let mut assigned = json!({});
        for (key, path) in pass["Assign"].as_object().into_iter().flatten() {
            let pointer = path.as_str().unwrap().strip_prefix('$').unwrap().replace('.', "/");
            assigned[key.strip_suffix(".$").unwrap()] = pass["Result"].pointer(&pointer).unwrap().clone();
        }
        last = told.exit_with("Pass", &name, &pass["Result"], assigned, entered);
        name = pass["Next"].as_str().unwrap().to_owned();
    }
}

#[test]
fn a_clone_of_a_clone_restores_what_the_first_one_had_restored() {
    let plan = succeeded().from("Z").plan().unwrap();
    let clone = plan.built.unwrap().definition;
    let (mut told, last, state) = bootstrapped(&clone);
    assert_eq!(state, "Z");
    let failed = told.task("Z", &json!(["c", "f"]), last);
    let failed = told.failed(failed);
    let plan = Trial::of(&clone, told.fails(failed)).clone();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("Z", &json!(["c", "f"])));
    assert_eq!(json!(plan.cut.variables), json!({"day": "monday"}));
}

#[test]
fn states_with_the_longest_names_are_gone_on_at() {
    let long = |letter: &str| letter.repeat(80);
    let leaf = region(json!({long("Ü"): task(None)}));
    let definition = region(json!({long("M"): state("Map", None, json!({"ItemProcessor": leaf}))}));
    let mut told = Told::of(json!([1, 2]));
    let entered = told.enter("Map", &long("M"), &json!([1, 2]), 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 2}),
    );
    for index in 0..2 {
        let began = told.iteration("Started", &long("M"), index, started);
        told.task(&long("Ü"), &json!(index), began);
    }
    let plan = Trial::of(&definition, told.ends("ExecutionAborted")).clone();
    let built = plan.built.unwrap();
    assert!(built.copies.keys().all(|name| name.chars().count() <= 80));
    assert!(sent_bytes(&built.text) <= CLONE_BYTES);
}
