//! The checker has to see what is wrong: each defect is made by hand in a clone that is right.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::check;
use crate::clone::build;
use crate::clone::tests::options;
use crate::cut::{At, Hold, Region, Run, Waiting};

/// A lock, a loop around a Parallel, a Map and a Wait in it.
fn definition(language: &str) -> Value {
    let payload = match language {
        "JSONata" => {
            json!({"Arguments": {"FunctionName": "f", "Payload": {"lock": "{% $states.input.x %}", "executionArn": "{% $states.context.Execution.Id %}"}}})
        }
        _ => {
            json!({"Parameters": {"FunctionName": "f", "Payload": {"lock.$": "$.x", "executionArn.$": "$$.Execution.Id"}}, "ResultPath": "$.lock"})
        }
    };
    let mut definition = json!({"QueryLanguage": language, "Comment": "c", "StartAt": "Take", "States": {
        "Take": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Busy"}], "Next": "Fan"},
        "Busy": {"Type": "Fail"},
        "Fan": {"Type": "Parallel", "Branches": [
            {"StartAt": "Map", "States": {"Map": {"Type": "Map", "ItemProcessor": {"StartAt": "W1", "States": {
                "W1": {"Type": "Wait", "Seconds": 1, "Next": "W2"}, "W2": {"Type": "Wait", "Seconds": 2, "End": true}}}, "End": true}}},
            {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}},
            {"StartAt": "C", "States": {"C": {"Type": "Pass", "End": true}}}], "Next": "End"},
        "End": {"Type": "Succeed"}}});
    for (field, value) in payload.as_object().unwrap() {
        definition["States"]["Take"][field] = value.clone();
    }
    definition
}

fn at(state: &str, run: Run) -> At {
    At {
        state: state.to_owned(),
        input: json!({"input of": state, "lock": 1}),
        variables: BTreeMap::from([("v".to_owned(), json!(state))]),
        run,
        holds: Vec::new(),
    }
}

fn cut() -> At {
    let region = |at| Region::At(Box::new(at));
    let iterations = BTreeMap::from([
        (
            0,
            Region::Done {
                output: json!("kept 0"),
            },
        ),
        (1, region(at("W2", Run::Waiting(Waiting::Over)))),
        (2, region(at("W1", Run::Whole))),
    ]);
    let branches = vec![
        region(at("Map", Run::Map(iterations))),
        Region::Done {
            output: json!({"kept": 1}),
        },
        Region::Fresh,
    ];
    let hold = Hold {
        state: "Take".to_owned(),
        input: json!({"x": "shop"}),
        payload: json!({"lock": "shop", "executionArn": "arn:old"}),
        feeds: false,
    };
    At {
        holds: vec![hold],
        ..at("Fan", Run::Parallel(branches))
    }
}

fn looped(mut definition: Value) -> Value {
    definition["States"]["End"] = json!({"Type": "Pass", "Next": "More?"});
    definition["States"]["More?"] =
        json!({"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": "Fan"}], "Default": "Over"});
    definition["States"]["Over"] = json!({"Type": "Succeed"});
    definition
}

/// A defect: what it is, where in a clone, the field, and what that is then; without a value it is gone, of a list the last.
type Defect = (&'static str, &'static str, &'static str, Option<Value>);

const PROCESSOR: &str = "/States/Fan/Branches/0/States/Map/ItemProcessor/States";

fn defects() -> Vec<Defect> {
    let to = |state: &str| Some(json!(state));
    vec![
        ("the top level has other fields", "", "Comment", to("d")),
        ("another start", "", "StartAt", to("Fan (input)")),
        ("a handler is gone", "/States/Take (again)", "Catch", None),
        ("a hold is not taken again", "/States/Fan (input)", "Next", to("Fan")),
        (
            "a hold leads past the target",
            "/States/Take (again)",
            "Next",
            to("End"),
        ),
        ("a target leads elsewhere", "/States/Fan", "Next", to("Busy")),
        ("a target has another field", "/States/Fan", "Comment", to("d")),
        ("a branch is gone", "/States/Fan/Branches", "", None),
        (
            "a fresh branch is changed",
            "/States/Fan/Branches/2/States/C",
            "Comment",
            to("d"),
        ),
        (
            "a state is not pruned",
            "/States",
            "Lost",
            Some(json!({"Type": "Succeed"})),
        ),
        ("a target that is none", "/States/Fan (variables)", "Next", to("Nobody")),
        (
            "a branch that starts at what is kept",
            "/States/Fan/Branches/1",
            "StartAt",
            to("B"),
        ),
        (
            "a kept branch goes on",
            "/States/Fan/Branches/1/States/Fan (kept)",
            "Next",
            to("B"),
        ),
        ("an item goes elsewhere", "{}/Map (item)", "Next", to("W2")),
        (
            "the Choice has no place for others",
            "{}/Map (which)",
            "Default",
            to("W1"),
        ),
        (
            "an iteration is sent elsewhere",
            "{}/Map (which)/Choices/0",
            "Next",
            to("W1 (variables)"),
        ),
        (
            "an iteration's variables are gone",
            "{}/Map (which)/Choices/2",
            "Next",
            to("W1 (input)"),
        ),
        ("an iteration is forgotten", "{}/Map (which)/Choices", "", None),
        ("a Wait is changed for all", "{}/W2 (input)", "Next", to("W2")),
        ("a Wait still waits", "{}/W2 (resumed)", "Type", to("Wait")),
    ]
}

const TAKE: &str = "/States/Take (again)";
const KEPT: &str = "/States/Fan/Branches/1/States/Fan (kept)";
const MAP: &str = "/States/Fan/Branches/0/States/Map/ItemSelector";

fn in_jsonata() -> Vec<Defect> {
    vec![
        (
            "another input",
            "/States/Fan (input)",
            "Output",
            Some(json!({"input of": "Fan"})),
        ),
        (
            "another variable",
            "/States/Fan (variables)/Assign",
            "v",
            Some(json!("fan")),
        ),
        (
            "an input evaluated",
            "/States/Fan (input)",
            "Output",
            Some(json!("{% $states.input %}")),
        ),
        ("another output", KEPT, "Output", Some(json!({"kept": 1.0}))),
        (
            "a hold asks by the data",
            "/States/Take (again)/Arguments/Payload",
            "lock",
            Some(json!("{% $states.input.x %}")),
        ),
        (
            "a hold gives on its answer",
            TAKE,
            "Output",
            Some(json!("{% $states.result %}")),
        ),
        ("the selector loses the index", MAP, "i", Some(json!(1))),
        (
            "the item is not unwrapped",
            "{}/Map (item)",
            "Output",
            Some(json!("{% $states.input %}")),
        ),
    ]
}

fn in_jsonpath() -> Vec<Defect> {
    vec![
        (
            "another input",
            "/States/Fan (input)",
            "Result",
            Some(json!({"input of": "Fan", "lock": 1.0})),
        ),
        (
            "another variable",
            "/States/Fan (variables)",
            "Result",
            Some(json!("fan")),
        ),
        (
            "a variable more",
            "/States/Fan (variables)/Assign",
            "w.$",
            Some(json!("$")),
        ),
        (
            "a variable that is no path",
            "/States/Fan (variables)",
            "Assign",
            Some(json!({"v": "Fan"})),
        ),
        ("another output", KEPT, "Result", Some(json!({"kept": 2}))),
        ("an output evaluated", KEPT, "Parameters", Some(json!({}))),
        (
            "a hold asks for another lock",
            "/States/Take (again)/Parameters/Payload",
            "lock",
            Some(json!("stock")),
        ),
        (
            "a hold asks for the original",
            "/States/Take (again)/Parameters",
            "Payload",
            Some(json!({"lock": "shop", "executionArn": "arn:old"})),
        ),
        ("a hold loses the data", TAKE, "ResultPath", None),
        ("a hold selects of the data", TAKE, "OutputPath", Some(json!("$.x"))),
        (
            "the selector loses the index",
            MAP,
            "i.$",
            Some(json!("$$.Map.Item.Value")),
        ),
        ("the selector loses the item", MAP, "v.$", Some(json!("$.x"))),
        (
            "the item is not unwrapped",
            "{}/Map (item)",
            "OutputPath",
            Some(json!("$")),
        ),
        (
            "another language",
            "/States/Fan (input)",
            "QueryLanguage",
            Some(json!("JSONata")),
        ),
    ]
}

#[test]
fn every_defect_of_a_clone_is_seen() {
    for language in ["JSONPath", "JSONata"] {
        let definition = definition(language);
        let good = build(&definition, &cut(), &options()).unwrap().definition;
        assert_eq!(check(&definition, &good, &cut()), [""; 0]);
        let own = if language == "JSONata" {
            in_jsonata()
        } else {
            in_jsonpath()
        };
        for (what, pointer, field, value) in defects().into_iter().chain(own) {
            let mut bad = good.clone();
            let at = bad.pointer_mut(&pointer.replace("{}", PROCESSOR)).unwrap();
            match (at, value) {
                (Value::Array(list), _) => drop(list.pop()),
                (at, Some(value)) => at[field] = value,
                (at, None) => drop(at.as_object_mut().unwrap().remove(field)),
            }
            assert_ne!(bad.to_string(), good.to_string(), "{what}");
            assert!(
                !check(&definition, &bad, &cut()).is_empty(),
                "{language}: {what}: {bad}"
            );
        }
        let text = good.to_string();
        for (name, other) in [("Fan (variables)", "n".repeat(81)), ("Fan (variables)", "C".to_owned())] {
            let bad: Value = serde_json::from_str(&text.replace(name, &other)).unwrap();
            assert!(!check(&definition, &bad, &cut()).is_empty(), "{bad}");
        }
    }
}

#[test]
fn a_change_in_place_where_the_original_is_run_too_is_seen() {
    let definition = looped(definition("JSONPath"));
    let good = build(&definition, &cut(), &options()).unwrap().definition;
    assert_eq!(check(&definition, &good, &cut()), [""; 0]);
    let mut bad = good.clone();
    let states = bad["States"].as_object_mut().unwrap();
    let copy = states.remove("Fan (resumed)").unwrap();
    states.insert("Fan".to_owned(), copy);
    states["Take (again)"]["Next"] = json!("Fan");
    assert!(!check(&definition, &bad, &cut()).is_empty());
    // A copy whose states have the originals' names.
    let mut bad = good;
    let branch = &mut bad["States"]["Fan (resumed)"]["Branches"][2];
    *branch = definition["States"]["Fan"]["Branches"][2].clone();
    assert!(
        check(&definition, &bad, &cut())
            .iter()
            .any(|problem| problem.contains("two states are called \"C\""))
    );
}

#[test]
fn a_cut_that_differs_from_the_one_built_is_seen() {
    let definition = definition("JSONPath");
    let built = build(&definition, &cut(), &options()).unwrap().definition;
    let changes: [fn(&mut At); 8] = [
        |cut| cut.state = "End".to_owned(),
        |cut| cut.input = json!(1),
        |cut| cut.variables.clear(),
        |cut| cut.holds.clear(),
        |cut| cut.run = Run::Whole,
        |cut| cut.holds[0].feeds = true,
        |cut| {
            let Run::Parallel(branches) = &mut cut.run else {
                unreachable!()
            };
            branches[1] = Region::Fresh;
        },
        |cut| {
            let Run::Parallel(branches) = &mut cut.run else {
                unreachable!()
            };
            let Region::At(map) = &mut branches[0] else {
                unreachable!()
            };
            let Run::Map(iterations) = &mut map.run else {
                unreachable!()
            };
            iterations.insert(9, Region::Done { output: json!(9) });
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = cut();
        change(&mut other);
        assert!(!check(&definition, &built, &other).is_empty(), "{number}");
    }
}
