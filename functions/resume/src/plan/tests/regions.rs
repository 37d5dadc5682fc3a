//! Parallels and Maps of which some is kept.

use serde_json::json;

use super::*;

fn branch(state: &str) -> Value {
    json!({"StartAt": state, "States": {state: task(None)}})
}

fn fan(next: Option<&str>) -> Value {
    state(
        "Parallel",
        next,
        json!({"Branches": [branch("P"), branch("Q"), branch("R"), branch("S")]}),
    )
}

/// P has finished, Q has failed, R was open, S never began.
fn fanned(told: &mut Told, previous: usize) -> usize {
    let entered = told.enter("Parallel", "Fan", &json!(1), previous);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    told.done("P", &json!(1), &json!("p"), started);
    told.task("R", &json!(1), started);
    let q = told.task("Q", &json!(1), started);
    told.failed(q)
}

#[test]
fn of_a_parallel_finished_branches_are_kept_and_the_others_go_on() {
    let definition = json!({"StartAt": "Fan", "States": {"Fan": fan(None)}});
    let mut told = Told::of(json!(1));
    let q = fanned(&mut told, 0);
    told.add("TaskStateAborted", q, "none", json!({}));
    told.add("ParallelStateFailed", q, "none", json!({}));
    let plan = Trial::of(&definition, told.fails(q)).clone();
    let [(_, p), (_, q), (_, r), (_, s)] = inside(&plan.cut).try_into().unwrap();
    assert_eq!(*p, Region::Done { output: json!("p") });
    assert_eq!(going_on(q), Some(("Q", &json!(1))));
    assert_eq!(going_on(r), Some(("R", &json!(1))));
    assert_eq!(*s, Region::Fresh);
    assert_eq!(plan.lists.kept, [r##"Parallel "Fan"#0"##]);
    let again = [r##"Parallel "Fan"#1 / Task "Q""##, r##"Parallel "Fan"#2 / Task "R""##];
    assert_eq!(plan.lists.resumes_at, again);
    assert_eq!(plan.lists.may_have_run, again);
}

#[test]
fn a_corrected_input_is_for_what_failed_not_for_what_was_stopped_with_it() {
    let definition = json!({"StartAt": "Fan", "States": {"Fan": fan(None)}});
    let mut told = Told::of(json!(1));
    let q = fanned(&mut told, 0);
    let trial = Trial::of(&definition, told.clone().fails(q)).input(json!(2));
    let plan = trial.plan().unwrap();
    let [_, (_, q), (_, r), _] = inside(&plan.cut).try_into().unwrap();
    assert_eq!(
        (going_on(q), going_on(r)),
        (Some(("Q", &json!(2))), Some(("R", &json!(1))))
    );
    // Stopped from outside, all of them are alike.
    let (name, text) = Trial::of(&definition, told.ends("ExecutionAborted"))
        .input(json!(2))
        .refused();
    assert_eq!(name, "Resume.Ambiguous");
    assert!(text.contains(r#""Q""#) && text.contains(r#""R""#), "{text}");
}

#[test]
fn a_parallel_that_is_named_runs_as_a_whole() {
    let definition = json!({"StartAt": "Fan", "States": {"Fan": fan(None)}});
    let mut told = Told::of(json!(1));
    let q = fanned(&mut told, 0);
    let trial = Trial::of(&definition, told.fails(q)).from("Fan");
    let plan = trial.plan().unwrap();
    assert_eq!((&plan.cut.run, plan.strategy.name()), (&Run::Whole, "clone"));
    // A state of a finished branch: that branch goes on there, the others where they were.
    let plan = trial.from("P").plan().unwrap();
    assert_eq!(going_on(inside(&plan.cut)[0].1), Some(("P", &json!(1))));
    assert_eq!(going_on(inside(&plan.cut)[1].1), Some(("Q", &json!(1))));
}

#[test]
fn of_a_parallel_that_was_tried_again_the_last_attempt_counts() {
    let definition = json!({"StartAt": "Fan", "States": {"Fan": fan(None)}});
    let mut told = Told::of(json!(1));
    fanned(&mut told, 0);
    // Between two attempts there is no event of the Parallel's own.
    let again = told.add("ParallelStateStarted", 2, "none", json!({}));
    told.done("R", &json!(1), &json!("r"), again);
    let p = told.task("P", &json!(1), again);
    let p = told.failed(p);
    let plan = Trial::of(&definition, told.fails(p)).clone();
    let [(_, p), (_, q), (_, r), (_, s)] = inside(&plan.cut).try_into().unwrap();
    assert_eq!(going_on(p), Some(("P", &json!(1))));
    assert_eq!((q, s), (&Region::Fresh, &Region::Fresh));
    assert_eq!(*r, Region::Done { output: json!("r") });
}

#[test]
fn a_parallel_whose_failure_was_caught_keeps_what_had_finished() {
    let mut definition = json!({"StartAt": "Fan", "States": {"Fan": fan(None), "Over": {"Type": "Fail"}}});
    definition["States"]["Fan"]["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": "Over"}]);
    let mut told = Told::of(json!(1));
    let q = fanned(&mut told, 0);
    let failed = told.add("ParallelStateFailed", q, "none", json!({}));
    let left = told.exit("Parallel", "Fan", &json!({"Error": "E"}), failed);
    let over = told.enter("Fail", "Over", &json!({"Error": "E"}), left);
    let plan = Trial::of(&definition, told.fails(over)).plan().unwrap();
    assert_eq!((plan.cut.state.as_str(), plan.strategy.name()), ("Fan", "clone"));
    assert_eq!(*inside(&plan.cut)[0].1, Region::Done { output: json!("p") });
    assert_eq!(going_on(inside(&plan.cut)[1].1), Some(("Q", &json!(1))));
}

fn each() -> Value {
    let processor = json!({"StartAt": "First", "States": {"First": task(Some("Then")), "Then": task(None)}});
    json!({"StartAt": "Each", "States": {
        "Each": state("Map", Some("Last"), json!({"MaxConcurrency": 2, "ItemProcessor": processor})), "Last": task(None)
    }})
}

/// 0 has finished, 2 has failed at Then, 1 is at First, 3 and 4 never began.
fn iterated() -> (Told, usize) {
    let items = json!([0, 10, 20, 30, 40]);
    let mut told = Told::of(items.clone());
    let entered = told.enter("Map", "Each", &items, 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 5}),
    );
    let one = told.iteration("Started", "Each", 0, started);
    let one = told.done("First", &json!(0), &json!("a"), one);
    let one = told.done("Then", &json!("a"), &json!("b"), one);
    told.iteration("Succeeded", "Each", 0, one);
    let next = told.iteration("Started", "Each", 1, started);
    told.task("First", &json!(10), next);
    let third = told.iteration("Started", "Each", 2, one);
    let third = told.done("First", &json!(20), &json!("c"), third);
    let third = told.task("Then", &json!("c"), third);
    (told.clone(), third)
}

#[test]
fn of_a_map_finished_iterations_are_kept_and_those_that_never_began_are_fresh() {
    let (mut told, third) = iterated();
    let failed = told.failed(third);
    told.iteration("Failed", "Each", 2, failed);
    told.iteration("Aborted", "Each", 1, failed);
    told.add("MapStateFailed", failed, "none", json!({}));
    let trial = Trial::of(&each(), told.fails(failed));
    let plan = trial.plan().unwrap();
    assert_eq!(plan.strategy.name(), "redrive");
    let plan = Trial::of(&each(), trial.told.clone()).clone();
    assert_eq!(plan.lists.kept, [r#"Map "Each"[0]"#, r#"Map "Each"[2] / Task "First""#]);
    let regions = inside(&plan.cut);
    let [(0, zero), (1, one), (2, two)] = regions[..] else {
        panic!("other iterations");
    };
    assert_eq!(*zero, Region::Done { output: json!("b") });
    assert_eq!(
        (going_on(one), going_on(two)),
        (Some(("First", &json!(10))), Some(("Then", &json!("c"))))
    );
    // A name in a Map means the iterations that did not finish, and came there.
    let plan = Trial::of(&each(), trial.told.clone()).from("First").plan().unwrap();
    assert_eq!(going_on(inside(&plan.cut)[1].1), Some(("First", &json!(10))));
    assert_eq!(going_on(inside(&plan.cut)[2].1), Some(("First", &json!(20))));
    assert_eq!(*inside(&plan.cut)[0].1, Region::Done { output: json!("b") });
}

#[test]
fn an_iteration_that_finished_goes_on_only_if_it_is_named() {
    let (told, third) = iterated();
    let mut told = told;
    let mut last = third;
    // All others finish, too.
    last = told.succeeded("Then", &json!("d"), last);
    told.iteration("Succeeded", "Each", 2, last);
    let told = told.ends("ExecutionAborted");
    let plan = Trial::of(&each(), told.clone())
        .from("Then")
        .iteration("Each", 0)
        .plan()
        .unwrap();
    assert_eq!(going_on(inside(&plan.cut)[0].1), Some(("Then", &json!("a"))));
    assert_eq!(*inside(&plan.cut)[2].1, Region::Done { output: json!("d") });
    let (name, text) = Trial::of(&each(), told.clone()).from("Then").refused();
    assert_eq!(name, "Resume.Ambiguous");
    assert!(text.contains(r#""iterations": {"Each": 0}"#), "{text}");
    assert_eq!(
        Trial::of(&each(), told.clone())
            .from("Then")
            .iteration("Each", 5)
            .refused()
            .0,
        "Resume.Ambiguous"
    );
    assert_eq!(
        Trial::of(&each(), told).from("Then").iteration("Last", 0).refused().0,
        "Resume.NoSuchState"
    );
}

#[test]
fn what_a_redriven_run_had_finished_before_is_kept_too() {
    let (mut told, third) = iterated();
    let failed = told.failed(third);
    told.iteration("Failed", "Each", 2, failed);
    told.add("MapStateFailed", failed, "none", json!({}));
    told.add(
        "ExecutionFailed",
        failed,
        "executionFailedEventDetails",
        json!({"error": "E"}),
    );
    let redriven = told.add(
        "ExecutionRedriven",
        0,
        "executionRedrivenEventDetails",
        json!({"redriveCount": 1}),
    );
    assert!(redriven > 0);
    // New attempts follow the entries of before.
    let entered = |name: &str, nth: usize, told: &Told| {
        let found = told
            .events
            .iter()
            .filter(|event| event["stateEnteredEventDetails"]["name"] == name);
        usize::try_from(found.clone().nth(nth).unwrap()["id"].as_u64().unwrap()).unwrap()
    };
    let first = entered("First", 1, &told);
    let then = entered("Then", 1, &told);
    let call = json!({"resourceType": "sqs", "resource": "sendMessage", "parameters": "{}"});
    let one = told.add("TaskScheduled", first, "taskScheduledEventDetails", call.clone());
    let one = told.succeeded("First", &json!("e"), one);
    let one = told.task("Then", &json!("e"), one);
    let two = told.add("TaskScheduled", then, "taskScheduledEventDetails", call);
    let two = told.succeeded("Then", &json!("f"), two);
    told.iteration("Succeeded", "Each", 2, two);
    let failed = told.failed(one);
    let plan = Trial::of(&each(), told.fails(failed)).clone();
    let regions = inside(&plan.cut);
    let [(0, zero), (1, one), (2, two)] = regions[..] else {
        panic!("other iterations");
    };
    assert_eq!(*zero, Region::Done { output: json!("b") });
    assert_eq!(going_on(one), Some(("Then", &json!("e"))));
    assert_eq!(*two, Region::Done { output: json!("f") });
}

#[test]
fn a_parallel_in_a_map_and_a_map_in_a_parallel_are_kept_in_part() {
    let inner = json!({"StartAt": "Fan", "States": {"Fan": fan(None)}});
    let definition =
        json!({"StartAt": "Each", "States": {"Each": state("Map", None, json!({"ItemProcessor": inner}))}});
    let mut told = Told::of(json!([1]));
    let entered = told.enter("Map", "Each", &json!([1]), 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 1}),
    );
    let iteration = told.iteration("Started", "Each", 0, started);
    let q = fanned(&mut told, iteration);
    let plan = Trial::of(&definition, told.fails(q)).clone();
    let Region::At(fan_at) = inside(&plan.cut)[0].1 else {
        panic!("it goes on")
    };
    assert_eq!(*inside(fan_at)[0].1, Region::Done { output: json!("p") });
    assert_eq!(plan.lists.kept, [r##"Map "Each"[0] / Parallel "Fan"#0"##]);

    let map = json!({"StartAt": "Each", "States": {"Each": state("Map", None, json!({"ItemProcessor": branch("M")}))}});
    let definition = json!({"StartAt": "Both", "States": {
        "Both": state("Parallel", None, json!({"Branches": [branch("P"), map]}))
    }});
    let mut told = Told::of(json!([1, 2]));
    let entered = told.enter("Parallel", "Both", &json!([1, 2]), 0);
    let both = told.add("ParallelStateStarted", entered, "none", json!({}));
    told.done("P", &json!([1, 2]), &json!("p"), both);
    let entered = told.enter("Map", "Each", &json!([1, 2]), both);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 2}),
    );
    let zero = told.iteration("Started", "Each", 0, started);
    let one = told.iteration("Started", "Each", 1, started);
    let zero = told.done("M", &json!(1), &json!("m"), zero);
    told.iteration("Succeeded", "Each", 0, zero);
    let one = told.task("M", &json!(2), one);
    let failed = told.failed(one);
    let plan = Trial::of(&definition, told.fails(failed)).clone();
    assert_eq!(
        plan.lists.kept,
        [r##"Parallel "Both"#0"##, r##"Parallel "Both"#1 / Map "Each"[0]"##]
    );
    assert_eq!(
        plan.lists.resumes_at,
        [r##"Parallel "Both"#1 / Map "Each"[1] / Task "M""##]
    );
}

#[test]
fn a_distributed_map_begins_again() {
    let mut definition = each();
    definition["States"]["Each"]["ItemProcessor"]["ProcessorConfig"] =
        json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    let mut told = Told::of(json!([1]));
    let entered = told.enter("Map", "Each", &json!([1]), 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 1}),
    );
    let run = told.add("MapRunStarted", started, "none", json!({}));
    let failed = told.add(
        "MapRunFailed",
        run,
        "mapRunFailedEventDetails",
        json!({"error": "E", "cause": "c"}),
    );
    let trial = Trial::of(&definition, told.fails(failed));
    assert_eq!(trial.plan().unwrap().strategy.name(), "redrive");
    let plan = trial.clone();
    assert_eq!(plan.cut.run, Run::Whole);
    let codes: Vec<&str> = plan.warnings.iter().map(|warning| warning.code.name()).collect();
    assert!(
        codes.contains(&"DistributedMapRunsAgain") && codes.contains(&"DistributedMapRole"),
        "{codes:?}"
    );
}
