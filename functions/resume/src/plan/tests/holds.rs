//! Locks and claims that are taken again.

use serde_json::json;

use super::*;

fn invoke(function: &str, token: bool, payload: Value, next: &str) -> Value {
    let resource = if token {
        "arn:aws:states:::lambda:invoke.waitForTaskToken"
    } else {
        "arn:aws:states:::lambda:invoke"
    };
    let parameters = json!({"FunctionName": function, "Payload": payload});
    state(
        "Task",
        Some(next),
        json!({"Resource": resource, "Parameters": parameters, "ResultPath": "$.lock"}),
    )
}

fn definition() -> Value {
    let acquire = json!({"lock": "warehouse", "executionArn.$": "$$.Execution.Id", "taskToken.$": "$$.Task.Token"});
    json!({"StartAt": "Guard", "States": {
        "Guard": invoke("overlap-guard", false, json!({"executionArn.$": "$$.Execution.Id"}), "Take"),
        "Take": invoke("arn:aws:lambda:us-east-1:123456789012:function:lock-acquire:live", true, acquire, "Work"),
        "Work": task(Some("Give")),
        "Give": invoke("lock-release", false, json!({"lock": "warehouse"}), "Last"),
        "Last": task(None)
    }})
}

fn called(
    told: &mut Told,
    state: &str,
    function: &str,
    action: &str,
    payload: Value,
    answer: Value,
    previous: usize,
) -> usize {
    let parameters = json!({"FunctionName": function, "Payload": payload});
    let input = json!({"n": previous});
    let started = told.calling(state, &input, "lambda", action, &parameters, previous);
    told.add(
        "TaskSucceeded",
        started,
        "taskSucceededEventDetails",
        json!({"output": answer.to_string()}),
    );
    let output = json!({"n": previous, "lock": answer});
    told.exit("Task", state, &output, started)
}

/// Let through, and given the lock.
fn inside_the_lock(acquired: bool) -> (Told, usize) {
    let mut told = Told::of(json!({"n": 0}));
    let proceed = json!({"Payload": {"proceed": true}});
    let guard = called(
        &mut told,
        "Guard",
        "overlap-guard",
        "invoke",
        json!({"executionArn": "e"}),
        proceed,
        0,
    );
    let payload = json!({"lock": "warehouse", "executionArn": "e", "taskToken": "t"});
    let function = "arn:aws:lambda:us-east-1:123456789012:function:lock-acquire:live";
    let answer = json!({"lock": "warehouse", "acquired": acquired, "fence": 7});
    let take = called(
        &mut told,
        "Take",
        function,
        "invoke.waitForTaskToken",
        payload,
        answer,
        guard,
    );
    (told, take)
}

fn failing(mut told: Told, state: &str, input: &Value, previous: usize) -> Trial {
    let started = told.task(state, input, previous);
    let failed = told.failed(started);
    Trial::of(&definition(), told.fails(failed))
}

fn output_of(told: &Told) -> Value {
    let last = told.events.last().unwrap()["stateExitedEventDetails"]["output"]
        .as_str()
        .unwrap();
    serde_json::from_str(last).unwrap()
}

#[test]
fn what_a_run_held_is_taken_again_before_its_state() {
    let (told, take) = inside_the_lock(true);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take).clone();
    let holds: Vec<(&str, bool)> = plan
        .cut
        .holds
        .iter()
        .map(|hold| (hold.state.as_str(), hold.feeds))
        .collect();
    assert_eq!(holds, [("Guard", false), ("Take", true)]);
    let named: Vec<_> = plan
        .holds
        .iter()
        .map(|held| (held.lock.as_deref(), held.state.as_str()))
        .collect();
    assert_eq!(named, [(None, "Guard"), (Some("warehouse"), "Take")]);
    assert_eq!(plan.cut.holds[1].payload["lock"], "warehouse");
}

#[test]
fn what_was_given_back_is_not_taken_again() {
    let (mut told, take) = inside_the_lock(true);
    let work = told.done("Work", &json!({}), &json!({}), take);
    let give = called(
        &mut told,
        "Give",
        "lock-release",
        "invoke",
        json!({"lock": "warehouse"}),
        json!({}),
        work,
    );
    let input = output_of(&told);
    let plan = failing(told.clone(), "Last", &input, give).clone();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard"]);
    // From before the release on it is needed again.
    let plan = failing(told, "Last", &input, give).from("Work").plan().unwrap();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard", "Take"]);
}

#[test]
fn what_a_run_went_on_without_is_not_taken() {
    let (told, take) = inside_the_lock(false);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take).clone();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard"]);
}

#[test]
fn the_state_that_takes_it_takes_it_itself() {
    let (told, take) = inside_the_lock(true);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take).from("Take").plan().unwrap();
    let holds: Vec<&str> = plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect();
    assert_eq!(holds, ["Guard"]);
}

#[test]
fn a_corrected_input_is_not_replaced_by_what_the_lock_answers() {
    let (told, take) = inside_the_lock(true);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take)
        .input(json!({"n": 9}))
        .plan()
        .unwrap();
    assert!(plan.cut.holds.iter().all(|hold| !hold.feeds));
    assert_eq!(plan.cut.input, json!({"n": 9}));
}

fn holds(plan: &Plan) -> Vec<&str> {
    plan.cut.holds.iter().map(|hold| hold.state.as_str()).collect()
}

/// Two states that take a lock each, then one that gives one of them back, then work that fails.
fn taken_twice(first: &Value, second: &Value, given_back: &Value) -> Plan {
    let mut definition = definition();
    let states = definition["States"].as_object_mut().unwrap();
    states["Take"]["Next"] = json!("Take too");
    let mut too = states["Take"].clone();
    too["Next"] = json!("Give");
    states.insert("Take too".to_owned(), too);
    let (mut told, mut last) = (Told::of(json!({})), 0);
    let answer = json!({"acquired": true, "fence": 1});
    for (state, payload) in [("Take", first), ("Take too", second)] {
        let action = "invoke.waitForTaskToken";
        last = called(
            &mut told,
            state,
            "lock-acquire",
            action,
            payload.clone(),
            answer.clone(),
            last,
        );
    }
    let released = json!({"Payload": {"released": true}});
    last = called(
        &mut told,
        "Give",
        "lock-release",
        "invoke",
        given_back.clone(),
        released,
        last,
    );
    let started = told.task("Last", &output_of(&told), last);
    let failed = told.failed(started);
    Trial::of(&definition, told.fails(failed)).clone()
}

#[test]
fn a_release_is_of_a_lock_of_a_hold_and_of_a_run() {
    let lock = |lock: &str, hold: Option<&str>, run: &str| match hold {
        Some(hold) => json!({"lock": lock, "hold": hold, "executionArn": run}),
        None => json!({"lock": lock, "executionArn": run}),
    };
    let (a, b) = (lock("a", None, "us"), lock("b", None, "us"));
    assert_eq!(holds(&taken_twice(&a, &b, &b)), ["Take"]);
    assert_eq!(holds(&taken_twice(&a, &b, &a)), ["Take too"]);
    assert_eq!(
        holds(&taken_twice(&a, &b, &lock("c", None, "us"))),
        ["Take", "Take too"]
    );
    // Somebody else's.
    assert_eq!(
        holds(&taken_twice(&a, &b, &lock("b", None, "them"))),
        ["Take", "Take too"]
    );
    let (one, two) = (lock("a", Some("1"), "us"), lock("a", Some("2"), "us"));
    let plan = taken_twice(&one, &two, &two);
    assert_eq!(holds(&plan), ["Take"]);
    let held = plan.holds.first().unwrap();
    assert_eq!((held.lock.as_deref(), held.hold.as_deref()), (Some("a"), Some("1")));
    assert_eq!(holds(&taken_twice(&one, &two, &a)), ["Take", "Take too"]);
    // What makes sure of a lock that another run has takes none.
    let mut assert = b.clone();
    assert["assert"] = json!(true);
    assert_eq!(holds(&taken_twice(&a, &assert, &lock("c", None, "us"))), ["Take"]);
}

#[test]
fn a_call_that_was_caught_took_nothing_and_gave_nothing_back() {
    let mut definition = definition();
    for state in ["Take", "Give"] {
        definition["States"][state]["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": "Last"}]);
    }
    let payload = json!({"lock": "warehouse"});
    let parameters = json!({"FunctionName": "lock-acquire", "Payload": payload});
    let mut told = Told::of(json!({}));
    let take = told.calling("Take", &json!({}), "lambda", "invoke.waitForTaskToken", &parameters, 0);
    let failed = told.failed(take);
    let left = told.exit("Task", "Take", &json!({}), failed);
    let last = told.task("Last", &json!({}), left);
    let last = told.failed(last);
    assert!(holds(&Trial::of(&definition, told.fails(last)).from("Last").clone()).is_empty());

    let (mut told, take) = inside_the_lock(true);
    let work = told.done("Work", &json!({}), &json!({}), take);
    let parameters = json!({"FunctionName": "lock-release", "Payload": payload});
    let give = told.calling("Give", &json!({}), "lambda", "invoke", &parameters, work);
    let failed = told.failed(give);
    let left = told.exit("Task", "Give", &json!({}), failed);
    let last = told.task("Last", &json!({}), left);
    let last = told.failed(last);
    let plan = Trial::of(&definition, told.fails(last)).from("Last").clone();
    assert_eq!(holds(&plan), ["Guard", "Take"]);
}

#[test]
fn a_function_is_known_by_each_of_its_names() {
    let account = "arn:aws:lambda:us-east-1:123456789012:function:";
    for (name, known) in [
        ("lock-acquire".to_owned(), true),
        ("lock-acquire:live".to_owned(), true),
        ("123456789012:function:lock-acquire".to_owned(), true),
        ("123456789012:function:lock-acquire:7".to_owned(), true),
        (format!("{account}lock-acquire"), true),
        (format!("{account}lock-acquire:$LATEST"), true),
        ("lock-acquire-2".to_owned(), false),
        ("my-lock-acquire".to_owned(), false),
        (format!("{account}my-lock-acquire:lock-acquire"), false),
    ] {
        let mut definition = definition();
        definition["States"]["Take"]["Parameters"]["FunctionName"] = json!(name);
        let mut told = Told::of(json!({}));
        let (payload, answer) = (json!({"lock": "warehouse"}), json!({"acquired": true}));
        let take = called(&mut told, "Take", &name, "invoke.waitForTaskToken", payload, answer, 0);
        let work = told.task("Work", &output_of(&told), take);
        let failed = told.failed(work);
        let plan = Trial::of(&definition, told.fails(failed)).clone();
        assert_eq!(holds(&plan), if known { &["Take"][..] } else { &[] }, "{name}");
    }
}

#[test]
fn a_guard_that_is_a_states_resource_itself_claims_again() {
    let mut definition = definition();
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:overlap-guard";
    definition["States"]["Guard"] = state(
        "Task",
        Some("Work"),
        json!({"Resource": arn, "Parameters": {"executionArn.$": "$$.Execution.Id"}, "ResultPath": null}),
    );
    let mut told = Told::of(json!({}));
    let entered = told.enter("Task", "Guard", &json!({}), 0);
    let call = json!({"resource": arn, "input": json!({"executionArn": "e"}).to_string()});
    let scheduled = told.add(
        "LambdaFunctionScheduled",
        entered,
        "lambdaFunctionScheduledEventDetails",
        call,
    );
    let answer = json!({"output": json!({"proceed": true}).to_string()});
    let succeeded = told.add(
        "LambdaFunctionSucceeded",
        scheduled,
        "lambdaFunctionSucceededEventDetails",
        answer,
    );
    let left = told.exit("Task", "Guard", &json!({}), succeeded);
    let work = told.task("Work", &json!({}), left);
    let failed = told.failed(work);
    let plan = Trial::of(&definition, told.fails(failed)).clone();
    assert_eq!(holds(&plan), ["Guard"]);
    assert_eq!(plan.cut.holds[0].payload, json!({"executionArn": "e"}));
}

#[test]
fn what_a_jsonata_state_took_is_taken_again_in_each_iteration() {
    let take = json!({
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "lock-acquire", "Payload": {
            "lock": "warehouse", "hold": "{% $string($states.input) %}", "executionArn": "{% $states.context.Execution.Id %}",
            "taskToken": "{% $states.context.Task.Token %}"
        }},
        "Output": "{% $states.input %}"
    });
    let work = json!({"Resource": "arn:aws:states:::sqs:sendMessage", "Arguments": {}});
    let processor = json!({"StartAt": "Take", "States": {
        "Take": state("Task", Some("Work"), take), "Work": state("Task", None, work)
    }});
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Each", "States": {
        "Each": state("Map", None, json!({"ItemProcessor": processor}))
    }});
    let mut told = Told::of(json!([5, 6]));
    let entered = told.enter("Map", "Each", &json!([5, 6]), 0);
    let started = told.add(
        "MapStateStarted",
        entered,
        "mapStateStartedEventDetails",
        json!({"length": 2}),
    );
    for (index, item) in [(0, 5), (1, 6)] {
        let began = told.iteration("Started", "Each", index, started);
        let payload = json!({"lock": "warehouse", "hold": item.to_string(), "executionArn": "us", "taskToken": "t"});
        let parameters = json!({"FunctionName": "lock-acquire", "Payload": payload});
        let take = told.calling(
            "Take",
            &json!(item),
            "lambda",
            "invoke.waitForTaskToken",
            &parameters,
            began,
        );
        let answer = json!({"output": json!({"acquired": true}).to_string()});
        let taken = told.add("TaskSucceeded", take, "taskSucceededEventDetails", answer);
        let taken = told.exit("Task", "Take", &json!(item), taken);
        told.task("Work", &json!(item), taken);
    }
    let plan = Trial::of(&definition, told.ends("ExecutionTimedOut")).clone();
    for (_, region) in inside(&plan.cut) {
        let Region::At(at) = region else { panic!("it goes on") };
        // Its output is what it was given, and so what Work is given.
        assert_eq!((at.state.as_str(), at.holds[0].feeds), ("Work", true));
    }
    let holds: Vec<_> = plan.holds.iter().map(|held| held.hold.as_deref()).collect();
    assert_eq!(holds, [Some("5"), Some("6")]);
}

#[test]
fn a_redrive_says_that_what_was_held_is_taken_back() {
    let (told, take) = inside_the_lock(true);
    let input = output_of(&told);
    let plan = failing(told, "Work", &input, take).plan().unwrap();
    assert_eq!(plan.strategy.name(), "redrive");
    assert!(
        plan.why.ends_with("what the run held is taken back for it first"),
        "{}",
        plan.why
    );
    assert_eq!(plan.holds.len(), 2);
}

#[test]
fn a_clone_of_a_clone_takes_again_what_the_first_had_taken_again() {
    let (told, take) = inside_the_lock(true);
    let work = output_of(&told);
    let plan = failing(told, "Work", &work, take)
        .input(json!({"n": 9}))
        .plan()
        .unwrap();
    let clone = plan.built.unwrap();
    let copies = |original: &str| {
        let name = clone
            .copies
            .iter()
            .find(|(name, of)| *of == original && name.contains("again"));
        name.unwrap().0.clone()
    };
    let mut told = Told::of(json!({"n": 0}));
    let start = clone.definition["StartAt"].as_str().unwrap();
    let entered = told.enter("Pass", start, &json!({"n": 0}), 0);
    let mut last = told.exit("Pass", start, &json!({"n": 9}), entered);
    for (state, function, action, answer) in [
        (
            copies("Guard"),
            "overlap-guard",
            "invoke",
            json!({"Payload": {"proceed": true}}),
        ),
        (
            copies("Take"),
            "lock-acquire",
            "invoke.waitForTaskToken",
            json!({"acquired": true, "fence": 8}),
        ),
    ] {
        let payload = json!({"lock": "warehouse", "executionArn": "clone"});
        last = called(&mut told, &state, function, action, payload, answer, last);
    }
    let work = told.task("Work", &json!({"n": 9}), last);
    let failed = told.failed(work);
    let plan = Trial::of(&clone.definition, told.fails(failed)).clone();
    assert_eq!(holds(&plan), [copies("Guard"), copies("Take")]);
}

#[test]
fn a_hold_feeds_the_state_right_behind_it_alone() {
    let mut definition = definition();
    definition["States"]["Work"]["Next"] = json!("Last");
    let (mut told, take) = inside_the_lock(true);
    // Work passes on what it was given.
    let given = output_of(&told);
    let work = told.done("Work", &given, &given, take);
    let last = told.task("Last", &given, work);
    let failed = told.failed(last);
    let plan = Trial::of(&definition, told.fails(failed)).clone();
    assert_eq!(holds(&plan), ["Guard", "Take"]);
    assert!(plan.cut.holds.iter().all(|hold| !hold.feeds));
}
