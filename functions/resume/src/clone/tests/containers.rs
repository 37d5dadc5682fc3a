//! Parallels and Maps of which some is kept.

use super::*;

fn fan(language: &str) -> Value {
    json!({
        "QueryLanguage": language, "StartAt": "Both",
        "States": {
            "Both": {"Type": "Parallel", "Branches": [
                {"StartAt": "A1", "States": {"A1": {"Type": "Pass", "Next": "A2"}, "A2": {"Type": "Pass", "End": true}}},
                {"Comment": "The second", "StartAt": "B1", "States": {"B1": {"Type": "Pass", "Next": "B2"}, "B2": {"Type": "Pass", "End": true}}},
                {"StartAt": "C1", "States": {"C1": {"Type": "Pass", "End": true}}}
            ], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}], "Next": "After"},
            "After": {"Type": "Pass", "Next": "Again?"},
            "Again?": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": "End"}], "Default": "End"},
            "Failed": {"Type": "Fail"},
            "End": {"Type": "Succeed"}
        }
    })
}

/// The first branch has ended, the second goes on, the third never began.
fn partly() -> At {
    let second = with(at("B2", json!(["b"])), &[("x", json!(1))]);
    run(
        "Both",
        Run::Parallel(vec![done(json!({"a": 1})), region(second), Region::Fresh]),
    )
}

#[test]
fn a_parallel_goes_on_in_place_branch_by_branch() {
    for (language, gives, assigns) in [
        ("JSONPath", "Result", json!({"x.$": "$"})),
        ("JSONata", "Output", json!({"x": 1})),
    ] {
        let built = good(&fan(language), &partly());
        let both = &built.definition["States"]["Both"];
        let written = &fan(language)["States"]["Both"];
        assert_eq!((&both["Next"], &both["Catch"]), (&written["Next"], &written["Catch"]));
        let kept = json!({"StartAt": "Both (kept)", "States": {"Both (kept)": {"Type": "Pass", "End": true, gives: {"a": 1}}}});
        assert_eq!(both["Branches"][0], kept);
        let second = &both["Branches"][1];
        assert_eq!(
            (&second["StartAt"], &second["Comment"]),
            (&json!("B2 (variables)"), &json!("The second"))
        );
        assert_eq!(keys(&second["States"]), ["B2", "B2 (input)", "B2 (variables)"]);
        assert_eq!(second["States"]["B2 (variables)"]["Assign"], assigns);
        assert_eq!(both["Branches"][2], written["Branches"][2]);
        assert_eq!(built.copies["Both (kept)"], "Both");
        assert!(built.warnings.is_empty());
    }
}

#[test]
fn a_parallel_that_can_be_come_to_again_goes_first_as_a_copy() {
    let mut fan = fan("JSONPath");
    fan["States"]["Again?"]["Default"] = json!("Both");
    let built = good(&fan, &partly());
    let states = &built.definition["States"];
    assert_eq!(states["Both (input)"]["Next"], "Both (resumed)");
    assert_eq!(states["Both"], fan["States"]["Both"]);
    let copy = &states["Both (resumed)"];
    assert_eq!(
        (&copy["Next"], &copy["Catch"][0]["Next"]),
        (&json!("After"), &json!("Failed"))
    );
    assert_eq!(
        keys(&copy["Branches"][1]["States"]),
        ["B2 (input)", "B2 (resumed)", "B2 (variables)"]
    );
    assert_eq!(
        copy["Branches"][2],
        json!({"StartAt": "C1 (resumed)", "States": {"C1 (resumed)": {"Type": "Pass", "End": true}}})
    );
    let copies = json!({"Both (input)": "Both", "Both (kept)": "Both", "Both (resumed)": "Both", "B2 (input)": "B2",
        "B2 (resumed)": "B2", "B2 (variables)": "B2", "C1 (resumed)": "C1"});
    assert_eq!(json!(built.copies), copies);
}

#[test]
fn a_handler_that_leads_back_counts_as_a_way_to_come_to_it_again() {
    let mut fan = fan("JSONPath");
    fan["States"]["Failed"] = json!({"Type": "Pass", "Next": "Both"});
    assert_eq!(
        good(&fan, &partly()).definition["States"]["Both"],
        fan["States"]["Both"]
    );
}

#[test]
fn of_a_parallel_in_which_nothing_has_run_nothing_changes() {
    let built = good(&fan("JSONPath"), &run("Both", Run::Parallel(vec![Region::Fresh; 3])));
    assert_eq!(built.definition["States"]["Both"], fan("JSONPath")["States"]["Both"]);
}

#[test]
fn a_retry_is_said_to_go_on_from_what_is_kept() {
    let mut fan = fan("JSONPath");
    fan["States"]["Both"]["Retry"] = json!([]);
    assert_eq!(codes(&good(&fan, &partly())), []);
    fan["States"]["Both"]["Retry"] = json!([{"ErrorEquals": ["States.ALL"]}]);
    assert_eq!(codes(&good(&fan, &partly())), [(Code::RetryKeeps, "Both")]);
    assert_eq!(codes(&good(&fan, &at("Both", json!(1)))), []);
}

#[test]
fn a_shape_that_has_changed_is_refused() {
    let says = |top: &At| refused(&fan("JSONPath"), top);
    let two = run("Both", Run::Parallel(vec![done(json!(1)), Region::Fresh]));
    assert_eq!(says(&two), "\"Both\" has 3 branches, where the run had 2");
    let map = run("Both", Run::Map(BTreeMap::from([(0, Region::Fresh)])));
    assert_eq!(says(&map), "\"Both\" is a Parallel, where the run had a Map");
    let parallel = run("After", Run::Parallel(vec![Region::Fresh]));
    assert_eq!(says(&parallel), "\"After\" is a Pass, where the run had a Parallel");
    let astray = run(
        "Both",
        Run::Parallel(vec![Region::Fresh, region(at("A1", json!(1))), Region::Fresh]),
    );
    assert_eq!(
        says(&astray),
        "the definition has no state \"A1\" in branch 1 of \"Both\""
    );
}

fn orders(map: &Value) -> Value {
    let mut orders = json!({"StartAt": "Orders", "States": {"Orders": {"Type": "Map", "ItemProcessor": {
        "ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Read", "States": {
            "Read": {"Type": "Pass", "Next": "Charge"}, "Charge": {"Type": "Task", "Resource": "arn:charge", "End": true}}}, "End": true}}});
    for (field, value) in map.as_object().unwrap() {
        orders["States"]["Orders"][field] = value.clone();
    }
    orders
}

fn some(iterations: Vec<(u32, Region)>) -> At {
    run("Orders", Run::Map(iterations.into_iter().collect()))
}

fn most() -> At {
    some(vec![
        (0, done(json!("same"))),
        (1, done(json!("same"))),
        (2, done(json!("same"))),
        (3, done(json!(null))),
        (4, Region::Fresh),
        (5, region(at("Charge", json!({"order": 5})))),
        (7, done(json!("same"))),
    ])
}

#[test]
fn a_map_tells_its_iterations_apart_by_their_index() {
    let built = good(&orders(&json!({})), &most());
    let map = &built.definition["States"]["Orders"];
    assert_eq!(
        map["ItemSelector"],
        json!({"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"})
    );
    let processor = &map["ItemProcessor"];
    assert_eq!(processor["ProcessorConfig"], json!({"Mode": "INLINE"}));
    let states = &processor["States"];
    let which = json!({"Type": "Choice", "Default": "Orders (item)", "Choices": [
        {"Or": [
            {"And": [{"Variable": "$.i", "NumericGreaterThanEquals": 0}, {"Variable": "$.i", "NumericLessThanEquals": 2}]},
            {"Variable": "$.i", "NumericEquals": 7}], "Next": "Orders (kept)"},
        {"Variable": "$.i", "NumericEquals": 3, "Next": "Orders (kept 2)"},
        {"Variable": "$.i", "NumericEquals": 5, "Next": "Charge (input)"}]});
    assert_eq!(processor["StartAt"], "Orders (which)");
    assert_eq!(states["Orders (which)"], which);
    assert_eq!(
        states["Orders (item)"],
        json!({"Type": "Pass", "OutputPath": "$.v", "Next": "Read"})
    );
    assert_eq!(
        states["Orders (kept)"],
        json!({"Type": "Pass", "Result": "same", "End": true})
    );
    assert_eq!(
        states["Orders (kept 2)"],
        json!({"Type": "Pass", "Result": {"v": null}, "OutputPath": "$.v", "End": true})
    );
    assert_eq!(
        states["Charge (input)"],
        json!({"Type": "Pass", "Result": {"order": 5}, "Next": "Charge"})
    );
    assert_eq!(
        states["Read"],
        orders(&json!({}))["States"]["Orders"]["ItemProcessor"]["States"]["Read"]
    );
    assert_eq!(keys(states).len(), 7);
}

#[test]
fn a_map_in_jsonata_does_the_same() {
    let mut orders = orders(&json!({"Items": "{% $states.input.orders %}"}));
    orders["QueryLanguage"] = json!("JSONata");
    let built = good(&orders, &most());
    let map = &built.definition["States"]["Orders"];
    assert_eq!(
        map["ItemSelector"],
        json!({"i": "{% $states.context.Map.Item.Index %}", "v": "{% $states.context.Map.Item.Value %}"})
    );
    let states = &map["ItemProcessor"]["States"];
    let choices = json!([
        {"Condition": "{% ($states.input.i >= 0 and $states.input.i <= 2) or $states.input.i = 7 %}", "Next": "Orders (kept)"},
        {"Condition": "{% $states.input.i = 3 %}", "Next": "Orders (kept 2)"},
        {"Condition": "{% $states.input.i = 5 %}", "Next": "Charge (input)"}]);
    assert_eq!(states["Orders (which)"]["Choices"], choices);
    assert_eq!(
        states["Orders (item)"],
        json!({"Type": "Pass", "Output": "{% $states.input.v %}", "Next": "Read"})
    );
    assert_eq!(states["Orders (kept 2)"]["Output"], "{% null %}");
}

#[test]
fn a_selector_is_wrapped_where_it_stands_in_its_own_language() {
    let selector = json!({"order.$": "$$.Map.Item.Value", "v": 1, "i.$": "$.i"});
    let wrapped = json!({"i.$": "$$.Map.Item.Index", "v": selector});
    let plain = json!({"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"});
    let expression = json!("{% {'order': $states.context.Map.Item.Value} %}");
    let both = json!({"i": "{% $states.context.Map.Item.Index %}", "v": expression});
    for (map, field, expected) in [
        (json!({"ItemSelector": selector}), "ItemSelector", &wrapped),
        (json!({"Parameters": selector}), "Parameters", &wrapped),
        (json!({"ItemSelector": null}), "ItemSelector", &plain),
        (
            json!({"ItemSelector": expression, "QueryLanguage": "JSONata"}),
            "ItemSelector",
            &both,
        ),
    ] {
        let built = good(&orders(&map), &most());
        assert_eq!(&built.definition["States"]["Orders"][field], expected, "{map}");
        let which = &built.definition["States"]["Orders"]["ItemProcessor"]["States"]["Orders (which)"];
        assert!(which["Choices"][1]["Variable"] == "$.i", "{which}");
    }
}

#[test]
fn the_old_fields_of_a_map_stay_the_old_ones() {
    for old in [json!({}), json!({"Parameters": {"a": 1}})] {
        let mut orders = orders(&old);
        let map = orders["States"]["Orders"].as_object_mut().unwrap();
        let mut processor = map.remove("ItemProcessor").unwrap();
        processor.as_object_mut().unwrap().remove("ProcessorConfig");
        map.insert("Iterator".to_owned(), processor);
        let map = &good(&orders, &most()).definition["States"]["Orders"];
        assert_eq!(map["Parameters"]["i.$"], "$$.Map.Item.Index");
        assert_eq!(map["Iterator"]["StartAt"], "Orders (which)");
        assert!(map.get("ItemSelector").is_none() && map.get("ItemProcessor").is_none());
    }
}

#[test]
fn a_distributed_map_is_not_kept_in_part() {
    let mut distributed = orders(&json!({}));
    distributed["States"]["Orders"]["ItemProcessor"]["ProcessorConfig"]["Mode"] = json!("DISTRIBUTED");
    assert_eq!(
        refused(&distributed, &most()),
        "\"Orders\" is a Distributed Map, of which nothing can be kept"
    );
    good(&distributed, &at("Orders", json!([1])));
    let astray = some(vec![(2, region(at("Orders", json!(1))))]);
    assert_eq!(
        refused(&orders(&json!({})), &astray),
        "the definition has no state \"Orders\" in the processor of \"Orders\""
    );
}

#[test]
fn of_a_map_in_which_nothing_is_kept_nothing_changes() {
    for iterations in [vec![], vec![(3, Region::Fresh)]] {
        let built = good(&orders(&json!({})), &some(iterations));
        assert_eq!(
            built.definition["States"]["Orders"],
            orders(&json!({}))["States"]["Orders"]
        );
    }
}

#[test]
fn outputs_that_only_equal_each_other_as_numbers_are_kept_apart() {
    let built = good(
        &orders(&json!({})),
        &some(vec![(0, done(json!(0.0))), (1, done(json!(-0.0))), (2, done(json!(0)))]),
    );
    let states = &built.definition["States"]["Orders"]["ItemProcessor"]["States"];
    assert_eq!(keys(states).iter().filter(|name| name.contains("(kept")).count(), 3);
}

/// Map in Parallel in Map, each of which goes on somewhere.
#[test]
fn containers_go_on_in_containers() {
    let inner_map = json!({"Type": "Map", "ItemProcessor": {"StartAt": "Deep", "States": {"Deep": {"Type": "Pass", "Next": "Deeper"},
        "Deeper": {"Type": "Wait", "Seconds": 9, "End": true}}}, "End": true});
    let fan = json!({"Type": "Parallel", "Branches": [
        {"StartAt": "Inner", "States": {"Inner": inner_map}},
        {"StartAt": "Other", "States": {"Other": {"Type": "Pass", "End": true}}}], "Next": "Last"});
    let mut definition = orders(&json!({}));
    definition["States"]["Orders"]["ItemProcessor"]["StartAt"] = json!("Fan");
    definition["States"]["Orders"]["ItemProcessor"]["States"] =
        json!({"Fan": fan, "Last": {"Type": "Pass", "End": true}});
    let deep = |index: u32| {
        let wait = run("Deeper", Run::Waiting(crate::cut::Waiting::Over));
        let inner = run(
            "Inner",
            Run::Map(BTreeMap::from([(0, done(json!(index))), (index, region(wait))])),
        );
        region(with(
            run("Fan", Run::Parallel(vec![region(inner), done(json!("other"))])),
            &[("x", json!(index))],
        ))
    };
    let built = good(
        &definition,
        &some(vec![(1, deep(1)), (4, deep(4)), (6, region(at("Fan", json!("fan"))))]),
    );
    let states = &built.definition["States"]["Orders"]["ItemProcessor"]["States"];
    // The iterations that never ran still have the original.
    assert_eq!(
        states["Fan"],
        definition["States"]["Orders"]["ItemProcessor"]["States"]["Fan"]
    );
    for fan in ["Fan (resumed)", "Fan (resumed 2)"] {
        assert_eq!(states[fan]["Next"], "Last");
        assert_eq!(built.copies[fan], "Fan");
    }
    // In a copy that is one iteration's own nothing has to be copied again.
    let inner = &states["Fan (resumed 2)"]["Branches"][0]["States"]["Inner (resumed 2)"];
    assert_eq!(inner["ItemProcessor"]["StartAt"], "Inner (which 2)");
    // But in the processor of a Map it has: what waits is one iteration's.
    let inner = &inner["ItemProcessor"]["States"];
    assert_eq!(inner["Deeper (resumed 4)"]["Type"], "Pass");
    assert_eq!(inner["Deeper (resumed 3)"]["Type"], "Wait");
    assert_eq!(built.copies["Deeper (resumed 4)"], "Deeper");
}
