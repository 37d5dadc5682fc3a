//! A redrive or a clone, and what else is said of a plan.

use serde_json::json;

use super::*;
use crate::plan::Waits;

fn one() -> Value {
    json!({"StartAt": "A", "States": {"A": task(None)}})
}

fn failed() -> Trial {
    let mut told = Told::of(json!({"n": 1}));
    let a = told.task("A", &json!({"n": 1}), 0);
    let a = told.failed(a);
    Trial::of(&one(), told.fails(a))
}

#[test]
fn a_redrive_is_taken_where_it_does_the_same() {
    let plan = failed().plan().unwrap();
    assert_eq!(plan.strategy.name(), "redrive");
    assert!(plan.built.is_none());
    assert_eq!(failed().from("A").plan().unwrap().strategy.name(), "redrive");
    assert_eq!(failed().mode(Mode::Clone).plan().unwrap().strategy.name(), "clone");
}

#[test]
fn whatever_a_redrive_cannot_do_is_done_by_a_clone_and_said() {
    type Change = fn(&mut Trial);
    let cases: [(Change, &str); 8] = [
        (|trial| trial.days = 14, "14 days"),
        (
            |trial| trial.not_redrivable = Some("it is too old.".to_owned()),
            "it is too old",
        ),
        (|trial| trial.ask.input = Some(json!(1)), "input"),
        (
            |trial| drop(trial.ask.variables.insert("x".to_owned(), json!(1))),
            "variables",
        ),
        (|trial| trial.ask.skip_with_output = Some(json!(1)), "skipWithOutput"),
        (|trial| trial.ask.pin = true, "pin"),
        (|trial| trial.ask.waits = Waits::Skip, "in full"),
        (
            |trial| {
                trial.goes_on_with = Some(json!({"Comment": "mended", "StartAt": "A", "States": {"A": task(None)}}));
            },
            "old definition",
        ),
    ];
    for (change, says) in cases {
        let mut trial = failed();
        change(&mut trial);
        let plan = trial.plan().unwrap();
        assert_eq!(plan.strategy.name(), "clone", "{says}");
        assert!(plan.why.contains(says), "{}", plan.why);
        let (name, text) = trial.mode(Mode::Redrive).refused();
        assert_eq!(name, "Resume.NotRedrivable");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn a_history_that_is_full_has_no_room_for_a_redrive() {
    let mut told = Told::of(json!(1));
    let mut last = 0;
    while told.events.len() < 24_996 {
        last = told.add("TaskScheduled", last, "none", json!({}));
    }
    let a = told.enter("Task", "A", &json!(1), 0);
    let a = told.failed(a);
    let plan = Trial::of(&one(), told.fails(a)).plan().unwrap();
    assert_eq!(plan.strategy.name(), "clone");
    assert!(plan.why.contains("24999"), "{}", plan.why);
}

#[test]
fn an_express_run_is_refused() {
    let executed = Definition::parse(&one().to_string()).unwrap();
    let trial = failed();
    let past = trial.past(&executed);
    let origin = Origin {
        execution: ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:orders:run-1").unwrap(),
        status: Status::Failed,
        express: true,
        started: String::new(),
        stopped: None,
        not_redrivable: None,
        has_kms_key: false,
    };
    let facts = Facts {
        origin: &origin,
        executed: &executed,
        goes_on_with: &executed,
        document: &trial.definition,
        differs: false,
        past: &past,
        fleets: &Fleets::default(),
        now: Timestamp::from_millis(0),
        most_bytes: CLONE_BYTES,
    };
    assert_eq!(plan(&facts, &Ask::default()).unwrap_err().name(), "Resume.Express");
}

#[test]
fn a_nested_execution_is_resumed_first_or_started_anew_by_name() {
    let definition = json!({"StartAt": "Child", "States": {
        "Child": state("Task", None, json!({"Resource": "arn:aws:states:::states:startExecution.sync:2", "Parameters": {}}))
    }});
    let mut told = Told::of(json!(1));
    let child = "arn:aws:states:us-east-1:123456789012:execution:child:c-1";
    let started = told.calling("Child", &json!(1), "states", "startExecution.sync:2", &json!({}), 0);
    let answer = json!({"output": json!({"ExecutionArn": child}).to_string()});
    let submitted = told.add("TaskSubmitted", started, "taskSubmittedEventDetails", answer);
    let failed = told.failed(submitted);
    let trial = Trial::of(&definition, told.fails(failed));
    let (name, text) = trial.refused();
    assert_eq!(name, "Resume.ChildFirst");
    assert!(text.contains(child) && text.contains(r#""from": "Child""#), "{text}");
    let plan = trial.from("Child").plan().unwrap();
    assert!(
        plan.warnings
            .iter()
            .any(|warning| warning.code.name() == "NestedStartsAgain")
    );
}

#[test]
fn another_definition_has_to_fit_what_was_done() {
    let branch = |name: &str| json!({"StartAt": name, "States": {name: task(None)}});
    let fan = |branches: Value| json!({"StartAt": "Fan", "States": {"Fan": state("Parallel", None, json!({"Branches": branches}))}});
    let mut told = Told::of(json!(1));
    let entered = told.enter("Parallel", "Fan", &json!(1), 0);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    told.done("P", &json!(1), &json!(2), started);
    let q = told.task("Q", &json!(1), started);
    let q = told.failed(q);
    let definition = fan(json!([branch("P"), branch("Q")]));
    let with = |other: Value| {
        let mut trial = Trial::of(&definition, told.clone().fails(q));
        trial.goes_on_with = Some(other);
        trial
    };
    for (other, says) in [
        (
            fan(json!([branch("P"), branch("Q"), branch("R")])),
            "3 branches, where the run had 2",
        ),
        (fan(json!([branch("Q"), branch("P")])), "another branch"),
        (fan(json!([branch("P"), branch("Renamed")])), "not there any more"),
        (json!({"StartAt": "Fan", "States": {"Fan": task(None)}}), "Task"),
    ] {
        let (name, text) = with(other).refused();
        assert!(
            matches!(name, "Resume.ShapeChanged" | "Resume.NoSuchState"),
            "{name}: {text}"
        );
        assert!(text.contains(says), "{text}");
    }
    let mut mended = definition.clone();
    mended["States"]["Fan"]["Branches"][1]["States"]["Q"]["Parameters"] = json!({"mended": true});
    assert_eq!(with(mended).plan().unwrap().strategy.name(), "clone");
}

#[test]
fn a_wait_that_was_open_waits_in_full_for_the_rest_or_not_at_all() {
    let wait = |fields: Value| json!({"StartAt": "Pause", "States": {"Pause": state("Wait", Some("A"), fields), "A": task(None)}});
    let trial = |fields: Value, waits: Waits| {
        let mut told = Told::of(json!({"for": {"seconds": 60}}));
        told.enter("Wait", "Pause", &json!({"for": {"seconds": 60}}), 0);
        let mut trial = Trial::of(&wait(fields), told.ends("ExecutionAborted"));
        trial.ask.waits = waits;
        trial.mode(Mode::Clone)
    };
    let plan = trial(json!({"Seconds": 60}), Waits::Full).plan().unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.code.name() == "WaitsInFull"));
    // It was entered by the second event: at 04:00:02 less 2000 seconds.
    let entered = Timestamp::from_millis(1_769_830_002_000);
    let ends = entered.after(std::time::Duration::from_mins(1)).to_string();
    for fields in [json!({"Seconds": 60}), json!({"SecondsPath": "$.for.seconds"})] {
        let plan = trial(fields, Waits::Remaining).plan().unwrap();
        assert_eq!(plan.cut.run, Run::Waiting(crate::cut::Waiting::Until(ends.clone())));
    }
    let plan = trial(json!({"Timestamp": "2026-02-01T00:00:00Z"}), Waits::Remaining)
        .plan()
        .unwrap();
    assert_eq!(
        plan.cut.run,
        Run::Waiting(crate::cut::Waiting::Until("2026-02-01T00:00:00Z".to_owned()))
    );
    let plan = trial(json!({"Seconds": 60}), Waits::Skip).plan().unwrap();
    assert_eq!(plan.cut.run, Run::Waiting(crate::cut::Waiting::Over));
    let odd = trial(json!({"SecondsPath": "$.for['seconds']"}), Waits::Remaining);
    assert_eq!(odd.refused().0, "Resume.CannotWait");
}

#[test]
fn a_clone_of_a_clone_goes_on_like_any_other_machine() {
    let plan = failed().mode(Mode::Clone).plan().unwrap();
    let clone = plan.built.unwrap().definition;
    let start = clone["StartAt"].as_str().unwrap().to_owned();
    let mut told = Told::of(json!({"n": 1}));
    let entered = told.enter("Pass", &start, &json!({"n": 1}), 0);
    let bootstrap = told.exit("Pass", &start, &json!({"n": 1}), entered);
    let a = told.task("A", &json!({"n": 1}), bootstrap);
    let a = told.failed(a);
    let plan = Trial::of(&clone, told.fails(a)).input(json!({"n": 2})).plan().unwrap();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("A", &json!({"n": 2})));
    // What the first clone had injected cannot be reached any more.
    let states = plan.built.unwrap().definition["States"].as_object().unwrap().len();
    assert_eq!(states, 2);
}

#[test]
fn warnings_name_what_a_clone_changes_and_what_may_have_been_done() {
    let codes = |trial: Trial| {
        let plan = trial.plan().unwrap();
        plan.warnings
            .iter()
            .map(|warning| warning.code.name())
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(failed()), ["MayHaveRun"]);
    let of_clone = ["TrustPolicy", "OthersDoNotSee", "DataInDefinition", "MayHaveRun"];
    let found = codes(failed().mode(Mode::Clone));
    assert!(of_clone.iter().all(|code| found.contains(code)), "{found:?}");
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_job_a_token_and_the_context_are_warned_of() {
    let mut definition = json!({"StartAt": "Job", "States": {
        "Job": state("Task", Some("Ask"), json!({"Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {}})),
        "Ask": state("Task", None, json!({
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"who.$": "$$.Execution.Name", "token.$": "$$.Task.Token"}
        }))
    }});
    let mut told = Told::of(json!(1));
    let started = told.calling("Job", &json!(1), "glue", "startJobRun.sync", &json!({}), 0);
    let answer = json!({"output": json!({"JobRunId": "jr_1"}).to_string()});
    told.add("TaskSubmitted", started, "taskSubmittedEventDetails", answer);
    let plan = Trial::of(&definition, told.ends("ExecutionAborted")).clone();
    let said = |code: &str, plan: &Plan| {
        let found = plan.warnings.iter().find(|warning| warning.code.name() == code);
        found.map(|warning| (warning.state.clone().unwrap_or_default(), warning.text.clone()))
    };
    let (state, text) = said("JobMayRun", &plan).expect("the job may run");
    assert!(state == "Job" && text.contains("jr_1"), "{state}: {text}");
    assert_eq!(
        said("ContextDiffers", &plan).map(|(state, _)| state).as_deref(),
        Some("Ask")
    );

    definition["StartAt"] = json!("Ask");
    definition["States"].as_object_mut().unwrap().remove("Job");
    let mut told = Told::of(json!(1));
    told.calling("Ask", &json!(1), "sqs", "sendMessage.waitForTaskToken", &json!({}), 0);
    let mut trial = Trial::of(&definition, told.ends("ExecutionAborted")).mode(Mode::Clone);
    let plan = trial.plan().unwrap();
    assert!(said("DeadToken", &plan).is_some());
    trial.ask.pin = true;
    let plan = trial.plan().unwrap();
    assert_eq!(said("ContextDiffers", &plan), None);
    assert!(plan.built.unwrap().text.contains(r#""who":"run-1""#));
}

#[test]
fn whoever_asks_for_a_clone_is_told_what_a_redrive_would_do() {
    let why = |trial: Trial| trial.clone().why;
    assert_eq!(why(failed()), "a clone was asked for; a redrive would do the same");
    let why = why(failed().input(json!(2)));
    assert!(
        why.starts_with("a clone was asked for; a redrive would not do it: input"),
        "{why}"
    );
}

#[test]
fn a_nested_execution_that_is_named_is_started_by_a_clone_unless_a_redrive_is_asked_for() {
    let definition = json!({"StartAt": "Child", "States": {
        "Child": state("Task", None, json!({"Resource": "arn:aws:states:::states:startExecution.sync", "Parameters": {}}))
    }});
    let mut told = Told::of(json!(1));
    let started = told.calling("Child", &json!(1), "states", "startExecution.sync", &json!({}), 0);
    // Its ARN is known by the cause alone.
    let cause = json!({"ExecutionArn": "arn:aws:states:us-east-1:123456789012:execution:child:c-1"}).to_string();
    let failed = told.add(
        "TaskFailed",
        started,
        "taskFailedEventDetails",
        json!({"error": "States.TaskFailed", "cause": cause}),
    );
    told.add(
        "ExecutionFailed",
        failed,
        "executionFailedEventDetails",
        json!({"error": "States.TaskFailed", "cause": cause}),
    );
    let trial = Trial::of(&definition, told);
    assert_eq!(trial.refused().0, "Resume.ChildFirst");
    // Its output is given: there is nothing to be resumed first.
    let mut skipped = Trial::of(&definition, trial.told.clone());
    skipped.ask.skip_with_output = Some(json!({"done": true}));
    assert_eq!(skipped.plan().unwrap().strategy.name(), "clone");
    let trial = trial.from("Child");
    let plan = trial.plan().unwrap();
    assert_eq!(plan.strategy.name(), "clone");
    assert!(plan.why.contains("a name that is taken"), "{}", plan.why);
    assert_eq!(trial.mode(Mode::Redrive).plan().unwrap().strategy.name(), "redrive");
}

#[test]
fn a_parallel_that_is_named_runs_as_a_whole_also_where_the_run_ended_in_it() {
    let branch = json!({"StartAt": "P", "States": {"P": task(None)}});
    let definition =
        json!({"StartAt": "Fan", "States": {"Fan": state("Parallel", None, json!({"Branches": [branch]}))}});
    let trial = |error: &str| {
        let mut told = Told::of(json!(1));
        let entered = told.enter("Parallel", "Fan", &json!(1), 0);
        let started = told.add("ParallelStateStarted", entered, "none", json!({}));
        let p = told.done("P", &json!(1), &json!(2), started);
        told.add("ParallelStateSucceeded", p, "none", json!({}));
        let cause =
            format!("An error occurred while executing the state 'Fan' (entered at the event id #{entered}). No.");
        let failed = json!({"error": error, "cause": cause});
        told.add("ExecutionFailed", p, "executionFailedEventDetails", failed);
        Trial::of(&definition, told)
    };
    for (error, kept) in [
        ("States.ParameterPathFailure", vec![r##"Parallel "Fan"#0"##]),
        // What its branches gave was too large together: they would give it again.
        ("States.DataLimitExceeded", vec![]),
    ] {
        let plan = trial(error).plan().unwrap();
        assert_eq!(
            (plan.strategy.name(), plan.lists.kept),
            ("redrive", kept.into_iter().map(str::to_owned).collect::<Vec<_>>())
        );
        assert_eq!(plan.lists.resumes_at, [r#"Parallel "Fan""#], "{error}");
    }
    let trial = trial("States.ParameterPathFailure");
    let plan = trial.from("Fan").plan().unwrap();
    assert_eq!((plan.strategy.name(), &plan.cut.run), ("clone", &Run::Whole));
}
