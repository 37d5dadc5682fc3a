//! Which states are meant.

use serde_json::json;

use super::*;

fn two() -> Value {
    json!({"StartAt": "A", "States": {"A": task(Some("B")), "B": task(None)}})
}

#[test]
fn a_run_goes_on_at_what_failed_with_what_that_was_given() {
    let mut told = Told::of(json!({"n": 1}));
    let a = told.done("A", &json!({"n": 1}), &json!({"n": 2}), 0);
    let b = told.task("B", &json!({"n": 2}), a);
    let b = told.failed(b);
    let plan = Trial::of(&two(), told.fails(b)).clone();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("B", &json!({"n": 2})));
    assert_eq!(plan.lists.kept, [r#"Task "A""#]);
    assert_eq!(plan.lists.may_have_run, [r#"Task "B""#]);
    assert_eq!(plan.failed.unwrap().to_string(), r#"Task "B""#);
}

#[test]
fn arrays_scalars_and_nothing_are_given_on_as_they_are() {
    for input in [
        json!([1, "x"]),
        json!("{% 1 %}"),
        json!(7),
        json!(null),
        json!({"a.$": "$.x"}),
        json!(false),
    ] {
        for language in ["JSONPath", "JSONata"] {
            let mut told = Told::of(input.clone());
            let a = told.enter("Task", "A", &input, 0);
            let a = told.add(
                "TaskScheduled",
                a,
                "taskScheduledEventDetails",
                json!({"resourceType": "sqs", "resource": "sendMessage"}),
            );
            let a = told.failed(a);
            let mut definition = json!({"QueryLanguage": language, "StartAt": "A", "States": {"A": task(None)}});
            if language == "JSONata" {
                definition["States"]["A"] =
                    state("Task", None, json!({"Resource": "arn:aws:states:::sqs:sendMessage"}));
            }
            assert_eq!(Trial::of(&definition, told.fails(a)).clone().cut.input, input);
        }
    }
}

#[test]
fn a_run_that_was_stopped_or_timed_out_goes_on_where_it_was() {
    for end in ["ExecutionTimedOut", "ExecutionAborted"] {
        let mut told = Told::of(json!({}));
        told.task("A", &json!({}), 0);
        let plan = Trial::of(&two(), told.ends(end)).clone();
        assert_eq!(plan.cut.state, "A", "{end}");
        assert!(plan.lists.kept.is_empty());
    }
}

#[test]
fn a_run_that_was_stopped_between_two_states_goes_on_at_the_next() {
    let mut told = Told::of(json!(1));
    told.done("A", &json!(1), &json!(2), 0);
    let plan = Trial::of(&two(), told.ends("ExecutionAborted")).clone();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("B", &json!(2)));
}

#[test]
fn a_run_that_failed_before_its_first_state_begins_anew() {
    let plan = Trial::of(&two(), Told::of(json!({"n": 1})).fails(1)).clone();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("A", &json!({"n": 1})));
}

/// The known script went on at the handler.
#[test]
fn what_was_caught_is_where_it_failed_not_its_handler() {
    let mut definition = two();
    definition["States"]["A"]["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]);
    definition["States"]["Tell"] = task(Some("Give up"));
    definition["States"]["Give up"] = state("Fail", None, json!({}));
    let mut told = Told::of(json!({"n": 1}));
    let a = told.task("A", &json!({"n": 1}), 0);
    let a = told.failed(a);
    let a = told.exit("Task", "A", &json!({"Error": "E"}), a);
    let tell = told.done("Tell", &json!({"Error": "E"}), &json!({}), a);
    let fail = told.enter("Fail", "Give up", &json!({}), tell);
    let trial = Trial::of(&definition, told.fails(fail));
    let plan = trial.plan().unwrap();
    assert_eq!((plan.strategy.name(), plan.cut.state.as_str()), ("clone", "A"));
    assert_eq!(plan.cut.input, json!({"n": 1}));
    assert!(plan.why.contains("caught"), "{}", plan.why);
    assert_eq!(trial.mode(Mode::Redrive).refused().0, "Resume.NotRedrivable");
}

#[test]
fn a_fail_that_a_choice_led_to_is_refused_with_what_came_before() {
    let definition = json!({"StartAt": "A", "States": {
        "A": task(Some("Which")),
        "Which": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 2, "Next": "Bad"}], "Default": "B"},
        "Bad": {"Type": "Fail"}, "B": task(None)
    }});
    let mut told = Told::of(json!({"n": 1}));
    let a = told.done("A", &json!({"n": 1}), &json!({"n": 2}), 0);
    let which = told.enter("Choice", "Which", &json!({"n": 2}), a);
    let which = told.exit("Choice", "Which", &json!({"n": 2}), which);
    let bad = told.enter("Fail", "Bad", &json!({"n": 2}), which);
    let told = told.fails(bad);
    let (name, text) = Trial::of(&definition, told.clone()).refused();
    assert_eq!(name, "Resume.WouldFailAgain");
    assert!(text.contains(r#""Which", "A""#), "{text}");
    let plan = Trial::of(&definition, told)
        .from("Which")
        .input(json!({"n": 3}))
        .plan()
        .unwrap();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("Which", &json!({"n": 3})));
}

#[test]
fn of_a_loop_the_last_visit_counts() {
    let definition = json!({"StartAt": "A", "States": {
        "A": task(Some("More")),
        "More": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericLessThan": 9, "Next": "A"}], "Default": "B"},
        "B": task(None)
    }});
    let mut told = Told::of(json!(1));
    let mut last = 0;
    for n in 1..4 {
        last = told.done("A", &json!(n), &json!(n + 1), last);
        last = told.enter("Choice", "More", &json!(n + 1), last);
        last = told.exit("Choice", "More", &json!(n + 1), last);
    }
    let a = told.task("A", &json!(4), last);
    let a = told.failed(a);
    let told = told.fails(a);
    assert_eq!(Trial::of(&definition, told.clone()).clone().cut.input, json!(4));
    // What was visited before keeps its record until it is visited again.
    assert_eq!(Trial::of(&definition, told).from("More").clone().cut.input, json!(4));
}

#[test]
fn a_state_that_the_run_never_came_to_needs_its_input() {
    let mut told = Told::of(json!(1));
    let a = told.task("A", &json!(1), 0);
    let a = told.failed(a);
    let told = told.fails(a);
    assert_eq!(
        Trial::of(&two(), told.clone()).from("B").refused().0,
        "Resume.NeedsInput"
    );
    let plan = Trial::of(&two(), told.clone())
        .from("B")
        .input(json!(null))
        .plan()
        .unwrap();
    assert_eq!((plan.cut.state.as_str(), &plan.cut.input), ("B", &json!(null)));
    let (name, text) = Trial::of(&two(), told).from("C").refused();
    assert_eq!(name, "Resume.NoSuchState");
    assert!(text.contains(r#""A", "B""#), "{text}");
}

#[test]
fn what_is_skipped_leads_on_with_what_it_is_given() {
    let mut told = Told::of(json!(1));
    let a = told.task("A", &json!(1), 0);
    let a = told.failed(a);
    let mut trial = Trial::of(&two(), told.fails(a));
    trial.ask.skip_with_output = Some(json!({"done": "by hand"}));
    let plan = trial.plan().unwrap();
    assert_eq!(
        plan.cut.run,
        Run::Skipped {
            output: json!({"done": "by hand"})
        }
    );
    trial.ask.input = Some(json!(2));
    assert_eq!(trial.refused().0, "Resume.Ambiguous");
}

#[test]
fn a_run_that_has_succeeded_or_runs_needs_more_or_waits() {
    let mut told = Told::of(json!(1));
    let a = told.done("A", &json!(1), &json!(2), 0);
    let b = told.done("B", &json!(2), &json!(3), a);
    told.add(
        "ExecutionSucceeded",
        b,
        "executionSucceededEventDetails",
        json!({"output": "3"}),
    );
    assert_eq!(Trial::of(&two(), told.clone()).refused().0, "Resume.NothingFailed");
    let plan = Trial::of(&two(), told.clone()).from("B").plan().unwrap();
    assert_eq!((plan.strategy.name(), &plan.cut.input), ("clone", &json!(2)));
    told.events.pop();
    assert_eq!(Trial::of(&two(), told).refused().0, "Resume.StillRunning");
}

#[test]
fn variables_are_restored_as_they_were_and_may_be_overridden() {
    let mut definition = two();
    definition["States"]["A"]["Assign"] = json!({"day.$": "$.day", "n": 1});
    let mut told = Told::of(json!({}));
    let entered = told.enter("Task", "A", &json!({}), 0);
    let a = told.exit_with("Task", "A", &json!({}), json!({"day": "monday", "n": 1}), entered);
    let b = told.task("B", &json!({}), a);
    let b = told.failed(b);
    let mut trial = Trial::of(&definition, told.fails(b));
    trial.ask.variables.insert("n".to_owned(), json!(2));
    let plan = trial.plan().unwrap();
    assert_eq!(json!(plan.cut.variables), json!({"day": "monday", "n": 2}));
    assert_eq!(json!(plan.variables), json!({"": ["day", "n"]}));
    // At A they had not been assigned.
    let plan = Trial::of(&definition, trial.told.clone()).from("A").clone();
    assert!(plan.cut.variables.is_empty());
}
