//! Another definition than the one that ran.

use serde_json::json;

use super::*;

fn region(states: &[&str]) -> Value {
    let pairs = states.iter().zip(states.iter().skip(1).map(Some).chain([None]));
    let states_of: serde_json::Map<String, Value> = pairs
        .map(|(name, next)| ((*name).to_owned(), task(next.copied())))
        .collect();
    json!({"StartAt": states[0], "States": states_of})
}

fn fan(branches: &[&[&str]]) -> Value {
    let branches: Vec<Value> = branches.iter().map(|states| region(states)).collect();
    json!({"StartAt": "Fan", "States": {"Fan": state("Parallel", None, json!({"Branches": branches}))}})
}

/// The first branch has finished, the second has failed at Q.
fn fanned() -> Told {
    let mut told = Told::of(json!(1));
    let entered = told.enter("Parallel", "Fan", &json!(1), 0);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    let p = told.done("P", &json!(1), &json!(2), started);
    told.done("P2", &json!(2), &json!(3), p);
    let q = told.task("Q", &json!(1), started);
    let q = told.failed(q);
    told.fails(q)
}

fn with(ran: &Value, told: Told, other: &Value) -> Trial {
    Trial {
        goes_on_with: Some(other.clone()),
        ..Trial::of(ran, told)
    }
}

#[test]
fn what_a_finished_branch_gave_is_kept_if_it_is_still_that_branch() {
    let ran = fan(&[&["P", "P2"], &["Q"]]);
    for (branches, says) in [
        // A state of the branch that has finished stands in the other one now.
        (
            &[&["P"] as &[&str], &["Q", "P2"]] as &[&[&str]],
            r#""P2" of its branch 0 stands elsewhere"#,
        ),
        // Nothing is left of it.
        (&[&["N"], &["Q"]], "its branch 0 has none of the states that it had"),
        (&[&["P", "P2"], &["Q"], &["R"]], "has 3 branches, where the run had 2"),
        (&[&["P", "P2"]], "has 1 branch, where the run had 2"),
    ] {
        let (name, text) = with(&ran, fanned(), &fan(branches)).refused();
        assert_eq!(name, "Resume.ShapeChanged", "{text}");
        assert!(text.contains(says), "{text}");
    }
    for branches in [
        &[&["P", "P3"] as &[&str], &["Q"]] as &[&[&str]],
        &[&["P2"], &["Q0", "Q", "Q2"]],
    ] {
        let plan = with(&ran, fanned(), &fan(branches)).plan().unwrap();
        assert_eq!(*inside(&plan.cut)[0].1, Region::Done { output: json!(3) });
        assert_eq!(going_on(inside(&plan.cut)[1].1), Some(("Q", &json!(1))));
    }
    // A branch that nothing is kept of may be any.
    let mut told = Told::of(json!(1));
    let entered = told.enter("Parallel", "Fan", &json!(1), 0);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    told.task("Q", &json!(1), started);
    let told = told.ends("ExecutionAborted");
    assert!(with(&ran, told, &fan(&[&["N"], &["Q"]])).plan().is_ok());
}

fn each(processor: Value) -> Value {
    json!({"StartAt": "Each", "States": {"Each": state("Map", None, json!({"ItemProcessor": processor}))}})
}

/// One iteration has finished, the other has failed at its second state.
fn iterated() -> Told {
    let mut told = Told::of(json!([1, 2]));
    let entered = told.enter("Map", "Each", &json!([1, 2]), 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 2}),
    );
    let one = told.iteration("Started", "Each", 0, started);
    let one = told.done("P", &json!(1), &json!(2), one);
    let one = told.done("Q", &json!(2), &json!(3), one);
    told.iteration("Succeeded", "Each", 0, one);
    let two = told.iteration("Started", "Each", 1, started);
    let two = told.done("P", &json!(2), &json!(3), two);
    let two = told.task("Q", &json!(3), two);
    let two = told.failed(two);
    told.fails(two)
}

#[test]
fn a_map_that_is_another_is_refused() {
    let ran = each(region(&["P", "Q"]));
    let mut distributed = each(region(&["P", "Q"]));
    distributed["States"]["Each"]["ItemProcessor"]["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED"});
    let mut parallel = ran.clone();
    parallel["States"]["Each"] = state("Parallel", None, json!({"Branches": [region(&["P", "Q"])]}));
    let mut beside = each(region(&["Q"]));
    beside["States"]["P"] = task(None);
    beside["States"]["Each"]["Next"] = json!("P");
    beside["States"]["Each"].as_object_mut().unwrap().remove("End");
    for (other, says) in [
        (distributed, "is a Distributed Map, where the run had a Map"),
        (parallel, "is a Parallel, where the run had a Map"),
        (each(region(&["P"])), "\"Q\" is not there any more"),
        (beside, r#""P" of its processor stands elsewhere"#),
    ] {
        let (name, text) = with(&ran, iterated(), &other).refused();
        assert_eq!(name, "Resume.ShapeChanged", "{text}");
        assert!(text.contains(says), "{text}");
    }
    let mended = each(region(&["P", "Q", "R"]));
    let plan = with(&ran, iterated(), &mended).plan().unwrap();
    assert_eq!(going_on(inside(&plan.cut)[1].1), Some(("Q", &json!(3))));
    // As a whole it may be anything.
    let task_now = region(&["Each"]);
    assert_eq!(
        with(&ran, iterated(), &task_now).from("Each").plan().unwrap().cut.run,
        Run::Whole
    );
    assert_eq!(with(&ran, iterated(), &task_now).refused().0, "Resume.ShapeChanged");
}

#[test]
fn a_state_has_to_stand_where_it_stood() {
    let mut told = Told::of(json!(1));
    let a = told.task("A", &json!(1), 0);
    let a = told.failed(a);
    let inside = fan(&[&["A"]]);
    let (name, text) = with(&region(&["A"]), told.fails(a), &inside).refused();
    assert_eq!(name, "Resume.ShapeChanged");
    assert!(text.contains("stands elsewhere"), "{text}");
    // What comes behind it may be anywhere.
    let (ran, other) = (fan(&[&["P", "P2"], &["Q", "R"]]), fan(&[&["P", "P2", "R"], &["Q"]]));
    assert!(with(&ran, fanned(), &other).plan().is_ok());
    // One that is new, in a branch that was another.
    let mut told = Told::of(json!(1));
    let entered = told.enter("Parallel", "Fan", &json!(1), 0);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    told.task("P", &json!(1), started);
    let told = told.ends("ExecutionAborted");
    let moved = fan(&[&["N", "Q"], &["P", "P2"]]);
    let trial = with(&fan(&[&["P", "P2"], &["Q"]]), told, &moved);
    let (name, text) = trial.from("N").input(json!(1)).refused();
    assert_eq!(name, "Resume.ShapeChanged");
    assert!(text.contains(r#""P" of its branch 0 stands elsewhere"#), "{text}");
}

#[test]
fn a_run_that_ended_between_two_states_goes_on_at_what_follows_now() {
    let mut told = Told::of(json!(1));
    told.done("A", &json!(1), &json!(2), 0);
    let told = told.ends("ExecutionAborted");
    let plan = with(&region(&["A", "B"]), told, &region(&["A", "Between", "B"]))
        .plan()
        .unwrap();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("Between", &json!(2)));
}

#[test]
fn a_state_that_only_the_other_definition_has_is_gone_on_at_with_an_input() {
    let mut told = Told::of(json!(1));
    let a = told.task("A", &json!(1), 0);
    let a = told.failed(a);
    let trial = with(&region(&["A", "B"]), told.fails(a), &region(&["A", "New", "B"])).from("New");
    assert_eq!(trial.refused().0, "Resume.NeedsInput");
    assert_eq!(trial.input(json!(7)).plan().unwrap().cut.state, "New");
}

#[test]
fn a_wait_that_is_no_wait_any_more_has_no_rest() {
    let pause = state("Wait", None, json!({"Seconds": 60}));
    let ran = json!({"StartAt": "Pause", "States": {"Pause": pause}});
    let mut told = Told::of(json!(1));
    told.enter("Wait", "Pause", &json!(1), 0);
    let told = told.ends("ExecutionAborted");
    let mut trial = with(&ran, told, &region(&["Pause"]));
    trial.ask.waits = crate::plan::Waits::Skip;
    let (name, text) = trial.refused();
    assert_eq!(name, "Resume.ShapeChanged");
    assert!(text.contains("is a Task, where the run had a Wait"), "{text}");
}
