//! Fails, and failures that were caught, in the regions in which nothing is meant.

use serde_json::json;

use super::*;

/// Each item is charged; who cannot be charged is told so, and all fails. An odd item is refused.
fn orders() -> Value {
    let mut charge = task(Some("Ship"));
    charge["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]);
    let processor = json!({"StartAt": "Which", "States": {
        "Which": {
            "Type": "Choice",
            "Choices": [{"Variable": "$", "NumericEquals": 13, "Next": "Refuse"}], "Default": "Charge"
        },
        "Charge": charge, "Ship": task(None),
        "Tell": task(Some("Not charged")), "Not charged": {"Type": "Fail"}, "Refuse": {"Type": "Fail"}
    }});
    json!({"StartAt": "Orders", "States": {
        "Orders": state("Map", Some("Last"), json!({"ItemProcessor": processor})), "Last": task(None)
    }})
}

struct Orders {
    told: Told,
    started: usize,
}

impl Orders {
    fn begin() -> Self {
        let mut told = Told::of(json!([0, 1, 2, 3]));
        let entered = told.enter("Map", "Orders", &json!([0, 1, 2, 3]), 0);
        let length = json!({"length": 4});
        let started = told.add("MapStateStarted", entered, "mapStateStartedEventDetails", length);
        Self { told, started }
    }

    /// An iteration that has come to its Choice.
    fn choose(&mut self, index: u32) -> usize {
        let began = self.told.iteration("Started", "Orders", index, self.started);
        let entered = self.told.enter("Choice", "Which", &json!(index), began);
        self.told.exit("Choice", "Which", &json!(index), entered)
    }

    fn charging(&mut self, index: u32) -> usize {
        let chosen = self.choose(index);
        self.told.task("Charge", &json!(index), chosen)
    }

    /// An iteration that could not be charged.
    fn not_charged(&mut self, index: u32) -> usize {
        let failed = self.charging(index);
        let failed = self.told.failed(failed);
        self.told.exit("Task", "Charge", &json!({"Error": "E"}), failed)
    }

    fn finished(&mut self, index: u32) {
        let charged = self.charging(index);
        let charged = self.told.succeeded("Charge", &json!("charged"), charged);
        let shipped = self.told.done("Ship", &json!("charged"), &json!("shipped"), charged);
        self.told.iteration("Succeeded", "Orders", index, shipped);
    }

    fn gives_up(&mut self, index: u32) -> usize {
        let caught = self.not_charged(index);
        let told = self.told.done("Tell", &json!({"Error": "E"}), &json!({}), caught);
        self.told.enter("Fail", "Not charged", &json!({}), told)
    }
}

fn regions(plan: &Plan) -> Vec<(u32, Option<&str>)> {
    let state = |region| going_on(region).map(|(state, _)| state);
    inside(&plan.cut)
        .into_iter()
        .map(|(index, region)| (index, state(region)))
        .collect()
}

#[test]
fn an_iteration_that_was_failing_beside_goes_on_at_what_it_failed_at() {
    // Of three that could not be charged one was the first to fail, one was being told, one stood at its Fail.
    let mut orders = Orders::begin();
    orders.finished(3);
    let caught = orders.not_charged(0);
    orders.told.task("Tell", &json!({"Error": "E"}), caught);
    orders.gives_up(1);
    let fail = orders.gives_up(2);
    let plan = Trial::of(&super::catches::orders(), orders.told.fails(fail))
        .plan()
        .unwrap();
    let charge = Some("Charge");
    assert_eq!(regions(&plan), [(0, charge), (1, charge), (2, charge), (3, None)]);
    assert_eq!(plan.failed.as_ref().unwrap().path[0].index, Some(2));
    assert_eq!(plan.lists.resumes_at, [r#"Map "Orders"[0-2] / Task "Charge""#]);
    assert_eq!(plan.lists.may_have_run, plan.lists.resumes_at);
    let kept = [r#"Map "Orders"[3]"#, r#"Map "Orders"[0-2] / Choice "Which""#];
    assert_eq!(plan.lists.kept, kept);
    // Who was told of the failure is told again only if it fails again.
    assert!(plan.lists.run_again.is_empty(), "{:?}", plan.lists.run_again);
}

#[test]
fn a_run_that_is_stopped_goes_on_at_its_handlers() {
    let mut orders = Orders::begin();
    let caught = orders.not_charged(0);
    orders.told.task("Tell", &json!({"Error": "E"}), caught);
    let plan = Trial::of(&super::catches::orders(), orders.told.ends("ExecutionAborted")).clone();
    assert_eq!(regions(&plan), [(0, Some("Tell"))]);
}

#[test]
fn a_fail_that_nothing_was_caught_before_is_refused_wherever_it_stands() {
    let mut orders = Orders::begin();
    let chosen = orders.choose(1);
    orders.told.enter("Fail", "Refuse", &json!(13), chosen);
    let fail = orders.gives_up(2);
    let trial = Trial::of(&super::catches::orders(), orders.told.fails(fail));
    let (name, text) = trial.refused();
    assert_eq!(name, "Resume.WouldFailAgain");
    assert!(
        text.contains(r#""Refuse""#) && text.contains(r#""Which", "Orders""#),
        "{text}"
    );
    // From the Choice on it may be another way.
    let plan = trial.from("Which").clone();
    assert_eq!(regions(&plan), [(1, Some("Which")), (2, Some("Which"))]);
}

#[test]
fn a_fail_is_no_state_to_go_on_at_unless_it_is_another_state_by_now() {
    let definition = json!({"StartAt": "A", "States": {"A": task(Some("Stop")), "Stop": {"Type": "Fail"}}});
    let mut told = Told::of(json!(1));
    let a = told.done("A", &json!(1), &json!(2), 0);
    let stop = told.enter("Fail", "Stop", &json!(2), a);
    let told = told.fails(stop);
    for from in [None, Some("Stop")] {
        let trial = Trial::of(&definition, told.clone());
        let trial = from.into_iter().fold(trial, Trial::from);
        let (name, text) = trial.refused();
        assert_eq!(name, "Resume.WouldFailAgain", "{from:?}");
        assert!(text.contains(r#"for example "A""#), "{text}");
        let mut mended = definition.clone();
        mended["States"]["Stop"] = task(None);
        let trial = Trial {
            goes_on_with: Some(mended),
            ..trial
        };
        let plan = trial.plan().unwrap();
        assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("Stop", &json!(2)));
    }
    let alone = json!({"StartAt": "Stop", "States": {"Stop": {"Type": "Fail"}}});
    let mut told = Told::of(json!(1));
    let stop = told.enter("Fail", "Stop", &json!(1), 0);
    let (_, text) = Trial::of(&alone, told.fails(stop)).refused();
    assert!(text.contains("start a new execution"), "{text}");
}

#[test]
fn a_failure_that_was_caught_may_have_done_something() {
    let mut definition = json!({"StartAt": "Job", "States": {
        "Job": state("Task", None, json!({"Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {}})),
        "Over": {"Type": "Fail"}
    }});
    definition["States"]["Job"]["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": "Over"}]);
    let run = |failed: Value| {
        let mut told = Told::of(json!(1));
        let started = told.calling("Job", &json!(1), "glue", "startJobRun.sync", &json!({}), 0);
        let answer = json!({"output": json!({"JobRunId": "jr_1"}).to_string()});
        let submitted = told.add("TaskSubmitted", started, "taskSubmittedEventDetails", answer);
        let failed = told.add("TaskFailed", submitted, "taskFailedEventDetails", failed);
        let left = told.exit("Task", "Job", &json!({"Error": "E"}), failed);
        let over = told.enter("Fail", "Over", &json!({"Error": "E"}), left);
        let plan = Trial::of(&definition, told.fails(over)).plan().unwrap();
        assert_eq!(plan.lists.may_have_run, [r#"Task "Job""#]);
        codes(&plan)
    };
    let found = run(json!({"error": "States.Timeout"}));
    assert!(
        found.contains(&"MayHaveRun") && found.contains(&"JobMayRun"),
        "{found:?}"
    );
    // The job itself failed: it does not run any more.
    let found = run(json!({"error": "States.TaskFailed", "cause": json!({"JobRunId": "jr_1"}).to_string()}));
    assert!(
        found.contains(&"MayHaveRun") && !found.contains(&"JobMayRun"),
        "{found:?}"
    );
}

/// A Parallel whose second branch has failed, when the first was at `state`, to which a Catch had led.
fn beside(states: &Value, state: &str) -> Plan {
    let definition = json!({"StartAt": "Fan", "States": {"Fan": state_of(json!([
        {"StartAt": "X", "States": states}, {"StartAt": "Q", "States": {"Q": task(None)}}
    ]))}});
    let mut told = Told::of(json!(1));
    let entered = told.enter("Parallel", "Fan", &json!(1), 0);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    let x = told.task("X", &json!(1), started);
    let x = told.failed(x);
    let x = told.exit("Task", "X", &json!("caught"), x);
    told.task(state, &json!("caught"), x);
    let q = told.task("Q", &json!(1), started);
    let q = told.failed(q);
    Trial::of(&definition, told.fails(q)).clone()
}

fn state_of(branches: Value) -> Value {
    state("Parallel", None, json!({"Branches": branches}))
}

#[test]
fn a_branch_that_was_being_mended_goes_on_there() {
    let caught_by = |handler: &str, next: Option<&str>| {
        let mut x = task(next);
        x["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": handler}]);
        x
    };
    let at = |plan: &Plan| going_on(inside(&plan.cut)[0].1).unwrap().0.to_owned();
    // The handler leads to an end that is none of a failure.
    let mended = json!({"X": caught_by("Mend", None), "Mend": task(None)});
    assert_eq!(at(&beside(&mended, "Mend")), "Mend");
    // It leads to a Fail, and to nothing else.
    let told = json!({"X": caught_by("Tell", None), "Tell": task(Some("Over")), "Over": {"Type": "Fail"}});
    assert_eq!(at(&beside(&told, "Tell")), "X");
    // What it leads to is the way without a failure, too.
    let same = json!({"X": caught_by("Then", Some("Then")), "Then": task(Some("Over")), "Over": {"Type": "Fail"}});
    assert_eq!(at(&beside(&same, "Then")), "Then");
}

#[test]
fn a_job_of_a_failure_that_was_caught_may_run_while_the_run_goes_on_before_it() {
    let mut definition = json!({"StartAt": "A", "States": {
        "A": task(Some("Job")),
        "Job": state("Task", None, json!({"Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {}})),
        "Over": {"Type": "Fail"}
    }});
    definition["States"]["Job"]["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": "Over"}]);
    let mut told = Told::of(json!(1));
    let a = told.done("A", &json!(1), &json!(2), 0);
    let started = told.calling("Job", &json!(2), "glue", "startJobRun.sync", &json!({}), a);
    let answer = json!({"output": json!({"JobRunId": "jr_1"}).to_string()});
    let submitted = told.add("TaskSubmitted", started, "taskSubmittedEventDetails", answer);
    let failed = told.add(
        "TaskTimedOut",
        submitted,
        "taskTimedOutEventDetails",
        json!({"error": "States.Timeout"}),
    );
    let left = told.exit("Task", "Job", &json!({}), failed);
    let over = told.enter("Fail", "Over", &json!({}), left);
    let plan = Trial::of(&definition, told.fails(over)).from("A").plan().unwrap();
    assert!(codes(&plan).contains(&"JobMayRun"), "{:?}", plan.warnings);
    assert_eq!(plan.lists.may_have_run, [r#"Task "Job""#]);
}
