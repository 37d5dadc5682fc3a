//! What is warned of, and only where it may be true.

use serde_json::json;

use super::*;

fn said<'p>(code: &str, plan: &'p Plan) -> Vec<(&'p str, &'p str)> {
    let found = plan.warnings.iter().filter(|warning| warning.code.name() == code);
    found
        .map(|warning| (warning.state.as_deref().unwrap_or_default(), warning.text.as_str()))
        .collect()
}

fn states<'p>(code: &str, plan: &'p Plan) -> Vec<&'p str> {
    said(code, plan).into_iter().map(|(state, _)| state).collect()
}

fn leaf(name: &str) -> Value {
    json!({"StartAt": name, "States": {name: task(None)}})
}

fn distributed(name: &str) -> Value {
    let mut processor = leaf(name);
    processor["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    processor
}

#[test]
fn a_distributed_map_is_warned_of_if_the_clone_has_it() {
    let definition = json!({"StartAt": "Before", "States": {
        "Before": state("Map", Some("Work"), json!({"ItemProcessor": distributed("X")})),
        "Work": task(Some("After")),
        "After": state("Map", Some("Last"), json!({"ItemProcessor": distributed("Y")})),
        "Last": task(None)
    }});
    let mut told = Told::of(json!([1]));
    let before = told.enter("Map", "Before", &json!([1]), 0);
    let before = told.exit("Map", "Before", &json!([2]), before);
    let work = told.done("Work", &json!([2]), &json!([3]), before);
    let after = told.enter("Map", "After", &json!([3]), work);
    let started = told.add(
        "MapStateStarted",
        after,
        "mapStateStartedEventDetails",
        json!({"length": 0}),
    );
    let run = told.add("MapRunStarted", started, "mapRunStartedEventDetails", json!({}));
    let failed = told.add("MapRunFailed", run, "mapRunFailedEventDetails", json!({"error": "E"}));
    let trial = Trial::of(&definition, told.fails(failed));
    let role = |plan: &Plan| {
        let found = states("DistributedMapRole", plan);
        found.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let plan = Trial::of(&definition, trial.told.clone()).clone();
    assert_eq!(states("DistributedMapRunsAgain", &plan), ["After"]);
    assert_eq!(role(&plan), ["After"]);
    // What comes later has not begun: nothing of it is lost.
    let plan = Trial::of(&definition, trial.told.clone()).from("Work").clone();
    assert_eq!(states("DistributedMapRunsAgain", &plan), [] as [&str; 0]);
    assert_eq!(role(&plan), ["After"]);
    // What comes before cannot be reached any more.
    let plan = Trial::of(&definition, trial.told.clone())
        .from("Last")
        .input(json!(1))
        .clone();
    assert_eq!(role(&plan), [] as [&str; 0]);
    let plan = Trial::of(&definition, trial.told.clone()).plan().unwrap();
    assert_eq!((plan.strategy.name(), codes(&plan).len()), ("redrive", 0));
    // Its children are no iterations of the run.
    let (name, text) = trial.from("Y").refused();
    assert_eq!(name, "Resume.NotEntered");
    assert!(text.contains(r#"Distributed Map "After""#), "{text}");
}

#[test]
fn data_is_warned_of_if_there_is_some() {
    let definition = leaf("A");
    let plan = |input: Value| {
        let mut told = Told::of(input.clone());
        let a = told.task("A", &input, 0);
        let a = told.failed(a);
        Trial::of(&definition, told.fails(a)).clone()
    };
    assert!(states("DataInDefinition", &plan(json!({}))).is_empty());
    assert!(states("KmsEncryptionContext", &plan(json!({}))).is_empty());
    assert_eq!(states("DataInDefinition", &plan(json!({"secret": 1}))), [""]);
    assert_eq!(states("DataInDefinition", &plan(json!(""))), [""]);
}

/// A Map in which `index` of each of `jobs` iterations has a job that was open at the end.
fn jobs(jobs: u32) -> Trial {
    let job = state(
        "Task",
        Some("Then"),
        json!({"Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {}}),
    );
    let processor = json!({"StartAt": "Job", "States": {"Job": job, "Then": task(None)}});
    let definition = json!({"StartAt": "Each", "States": {
        "Each": state("Map", None, json!({"ItemsPath": "$.items", "ItemProcessor": processor}))
    }});
    let mut told = Told::of(json!({"items": []}));
    let entered = told.enter("Map", "Each", &json!({"items": []}), 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": jobs}),
    );
    for index in 0..jobs {
        let began = told.iteration("Started", "Each", index, started);
        let job = told.calling("Job", &json!(index), "glue", "startJobRun.sync", &json!({}), began);
        let answer = json!({"output": json!({"JobRunId": format!("jr_{index}")}).to_string()});
        told.add("TaskSubmitted", job, "taskSubmittedEventDetails", answer);
    }
    Trial::of(&definition, told.ends("ExecutionTimedOut"))
}

#[test]
fn jobs_of_many_iterations_are_one_warning() {
    let plan = jobs(23).clone();
    let [("Job", text)] = said("JobMayRun", &plan)[..] else {
        panic!("{:?}", plan.warnings)
    };
    assert!(
        text.contains("jr_0") && text.contains("jr_19") && !text.contains("jr_20"),
        "{text}"
    );
    assert!(text.ends_with("; and 3 more"), "{text}");
}

#[test]
fn a_job_that_is_left_behind_is_warned_of_too() {
    // Goes on behind the jobs, in one iteration; with the whole Map; and skips it.
    let behind = jobs(2)
        .from("Then")
        .iteration("Each", 0)
        .input(json!(1))
        .plan()
        .unwrap();
    let whole = jobs(2).from("Each").plan().unwrap();
    let mut skipped = jobs(2).from("Each");
    skipped.ask.skip_with_output = Some(json!([]));
    for plan in [behind, whole, skipped.plan().unwrap()] {
        let [("Job", text)] = said("JobMayRun", &plan)[..] else {
            panic!("{:?}", plan.warnings)
        };
        assert!(text.contains("jr_0") && text.contains("jr_1"), "{text}");
    }
}

#[test]
fn items_may_differ_if_they_come_from_what_changes() {
    let plan = |field: &str, items: Value| {
        let mut trial = jobs(1);
        let map = &mut trial.definition["States"]["Each"];
        map.as_object_mut().unwrap().remove("ItemsPath");
        map[field] = items;
        if field == "Items" {
            map["QueryLanguage"] = json!("JSONata");
        }
        let plan = trial.clone();
        states("ItemsMayDiffer", &plan).len()
    };
    for (field, items, differ) in [
        ("ItemsPath", json!("$.items"), 0),
        ("ItemsPath", json!("$$.Execution.Input.items"), 0),
        ("ItemsPath", json!("$$.State.Name"), 1),
        ("Items", json!("{% $states.input.items %}"), 0),
        ("Items", json!("{% $states.context.Execution.Input.items %}"), 0),
        ("Items", json!("{% $map([1..3], function($n) { $random() }) %}"), 1),
        (
            "ItemSelector",
            json!({"v.$": "$$.Map.Item.Value", "at.$": "$$.Execution.StartTime"}),
            1,
        ),
        ("ItemSelector", json!({"v.$": "$$.Map.Item.Value"}), 0),
        ("ItemSelector", json!({"id.$": "States.UUID()"}), 1),
    ] {
        assert_eq!(plan(field, items.clone()), differ, "{field}: {items}");
    }
    let mut trial = jobs(1);
    let mut other = trial.definition.clone();
    other["Comment"] = json!("mended");
    trial.goes_on_with = Some(other);
    let plan = trial.plan().unwrap();
    assert_eq!(states("ItemsMayDiffer", &plan), ["Each"]);
    assert!(codes(&plan).contains(&"DefinitionDiffers"));
}

#[test]
fn what_was_taken_in_a_branch_that_has_ended_is_warned_of() {
    let call = |function: &str, waits: &str| {
        let parameters = json!({"FunctionName": function, "Payload": {"lock": "l"}});
        let resource = format!("arn:aws:states:::lambda:invoke{waits}");
        state("Task", None, json!({"Resource": resource, "Parameters": parameters}))
    };
    let one = |name: &str, state: Value| json!({"StartAt": name, "States": {name: state}});
    let take = || one("Take", call("lock-acquire", ".waitForTaskToken"));
    let fan = |branches: Value| {
        json!({"StartAt": "Fan", "States": {
            "Fan": state("Parallel", Some("Work"), json!({"Branches": branches})), "Work": task(None)
        }})
    };
    let run = |definition: &Value, is_over: bool| {
        let mut told = Told::of(json!(1));
        let entered = told.enter("Parallel", "Fan", &json!(1), 0);
        let started = told.add("ParallelStateStarted", entered, "none", json!({}));
        let take = told.done("Take", &json!(1), &json!(2), started);
        let last = match is_over {
            true => {
                let left = told.exit("Parallel", "Fan", &json!([2, 3]), take);
                told.task("Work", &json!([2, 3]), left)
            }
            false => told.task("Other", &json!(1), started),
        };
        let failed = told.failed(last);
        Trial::of(definition, told.fails(failed))
    };
    let lost = |definition: &Value, is_over: bool| {
        let trial = run(definition, is_over);
        let redriven = trial.plan().unwrap();
        assert!(states("HoldLost", &redriven).is_empty());
        let plan = trial.clone();
        states("HoldLost", &plan)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let other = || one("Other", task(None));
    assert_eq!(lost(&fan(json!([take(), other()])), true), ["Take"]);
    assert_eq!(lost(&fan(json!([take(), other()])), false), ["Take"]);
    // Given back in the Parallel itself; in another branch than the one that has ended.
    let give = || one("Give", call("lock-release", ""));
    assert_eq!(lost(&fan(json!([take(), give()])), true), [] as [&str; 0]);
    let takes = || one("Other", call("lock-acquire", ".waitForTaskToken"));
    let plain = || one("Take", task(None));
    assert_eq!(lost(&fan(json!([plain(), takes()])), false), [] as [&str; 0]);
    assert_eq!(lost(&fan(json!([plain(), takes()])), true), ["Other"]);
    // It takes it itself, when it runs again.
    let again = run(&fan(json!([take(), other()])), true).from("Fan").clone();
    assert!(states("HoldLost", &again).is_empty());
}

#[test]
fn a_nested_execution_that_starts_again_names_the_one_before() {
    let nested = json!({"Resource": "arn:aws:states:::states:startExecution.sync:2", "Parameters": {}});
    let branch = |name: &str, state: Value| json!({"StartAt": name, "States": {name: state}});
    let definition = json!({"StartAt": "Fan", "States": {"Fan": state("Parallel", None, json!({"Branches": [
        branch("Child", state("Task", None, nested)), branch("Other", task(None))
    ]}))}});
    let mut told = Told::of(json!(1));
    let entered = told.enter("Parallel", "Fan", &json!(1), 0);
    let started = told.add("ParallelStateStarted", entered, "none", json!({}));
    let child = told.calling(
        "Child",
        &json!(1),
        "states",
        "startExecution.sync:2",
        &json!({}),
        started,
    );
    let arn = "arn:aws:states:us-east-1:123456789012:execution:child:c-1";
    let answer = json!({"output": json!({"ExecutionArn": arn}).to_string()});
    told.add("TaskSubmitted", child, "taskSubmittedEventDetails", answer);
    let other = told.task("Other", &json!(1), started);
    let failed = told.failed(other);
    let plan = Trial::of(&definition, told.fails(failed)).clone();
    let [("Child", text)] = said("NestedStartsAgain", &plan)[..] else {
        panic!("{:?}", plan.warnings)
    };
    assert!(text.ends_with(arn), "{text}");
    assert!(said("JobMayRun", &plan).is_empty());
}

#[test]
fn numbers_that_are_not_kept_are_named() {
    let mut definition = json!({"StartAt": "A", "States": {
        "A": task(Some("Fan")),
        "Fan": state("Parallel", None, json!({"Branches": [leaf("P"), leaf("Q")]}))
    }});
    definition["States"]["A"]["Assign"] = json!({"x.$": "$"});
    let number = "12345678901234567890123";
    let mut told = Told::of(json!(1));
    let raw = |told: &mut Told, event: usize, details: &str, field: &str| {
        told.events[event - 1][details][field] = json!(number);
    };
    let a = told.enter("Task", "A", &json!(1), 0);
    let a = told.exit_with("Task", "A", &json!(1), json!({"x": 1}), a);
    told.events[a - 1]["stateExitedEventDetails"]["assignedVariables"]["x"] = json!(number);
    let fan = told.enter("Parallel", "Fan", &json!(1), a);
    let started = told.add("ParallelStateStarted", fan, "none", json!({}));
    let p = told.done("P", &json!(1), &json!(1), started);
    raw(&mut told, p, "stateExitedEventDetails", "output");
    let q = told.task("Q", &json!(1), started);
    let entered = told
        .events
        .iter()
        .position(|event| event["stateEnteredEventDetails"]["name"] == "Q");
    raw(&mut told, entered.unwrap() + 1, "stateEnteredEventDetails", "input");
    let q = told.failed(q);
    let trial = Trial::of(&definition, told.fails(q));
    assert!(states("NumberRounded", &trial.plan().unwrap()).is_empty());
    let plan = trial.clone();
    assert_eq!(states("NumberRounded", &plan), ["Fan", "Q"]);
    let of_fan = said("NumberRounded", &plan)[0].1;
    // Its variable, and what its first branch gave.
    assert_eq!(of_fan.matches(number).count(), 2, "{of_fan}");
}
