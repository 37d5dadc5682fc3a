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

type Break = fn(&mut Value);

#[test]
fn every_defect_of_a_clone_is_seen() {
    const MAP: &str = "/States/Fan/Branches/0/States/Map";
    let anywhere: &[(&str, &str, Break)] = &[
        ("the top level has other fields", "", |at| at["Comment"] = json!("d")),
        ("another start", "", |at| at["StartAt"] = json!("Fan (input)")),
        ("a handler is gone", "/States/Take (again)", |at| {
            drop(at.as_object_mut().unwrap().remove("Catch"))
        }),
        ("a hold is not taken again", "/States/Fan (input)", |at| {
            at["Next"] = json!("Fan")
        }),
        ("a hold leads past the target", "/States/Take (again)", |at| {
            at["Next"] = json!("End")
        }),
        ("a target leads elsewhere", "/States/Fan", |at| {
            at["Next"] = json!("Busy")
        }),
        ("a target has another field", "/States/Fan", |at| {
            at["Comment"] = json!("d")
        }),
        ("a branch is gone", "/States/Fan/Branches", |at| {
            drop(at.as_array_mut().unwrap().pop())
        }),
        ("a fresh branch is changed", "/States/Fan/Branches/2/States/C", |at| {
            at["Comment"] = json!("d")
        }),
        ("a state is not pruned", "/States", |at| {
            at["Lost"] = json!({"Type": "Succeed"})
        }),
        ("a target that is none", "/States/Fan (variables)", |at| {
            at["Next"] = json!("Nobody")
        }),
        ("a name that is too long", "/States", |at| {
            let states = at.as_object_mut().unwrap();
            let first = states.remove("Fan (variables)").unwrap();
            states.insert("n".repeat(81), first);
        }),
        ("a branch that starts at what is kept", "/States/Fan/Branches/1", |at| {
            at["StartAt"] = json!("B")
        }),
        (
            "a kept branch has more states",
            "/States/Fan/Branches/1/States/Fan (kept)",
            |at| {
                at.as_object_mut().unwrap().remove("End");
                at["Next"] = json!("B");
            },
        ),
        (
            "an iteration that never ran goes nowhere",
            "/States/Fan/Branches/0/States/Map/ItemProcessor/States/Map (item)",
            |at| at["Next"] = json!("W2"),
        ),
        (
            "the Choice has no place for others",
            "/States/Fan/Branches/0/States/Map/ItemProcessor/States/Map (which)",
            |at| at["Default"] = json!("W1"),
        ),
        (
            "an iteration is sent elsewhere",
            "/States/Fan/Branches/0/States/Map/ItemProcessor/States/Map (which)/Choices/0",
            |at| at["Next"] = json!("W1 (variables)"),
        ),
        (
            "an iteration that is kept is forgotten",
            "/States/Fan/Branches/0/States/Map/ItemProcessor/States/Map (which)/Choices",
            |at| drop(at.as_array_mut().unwrap().pop()),
        ),
        (
            "a Wait is changed for all",
            "/States/Fan/Branches/0/States/Map/ItemProcessor/States/W2 (input)",
            |at| at["Next"] = json!("W2"),
        ),
        (
            "a Wait still waits",
            "/States/Fan/Branches/0/States/Map/ItemProcessor/States/W2 (resumed)",
            |at| at["Type"] = json!("Wait"),
        ),
        (
            "an iteration's variables are gone",
            "/States/Fan/Branches/0/States/Map/ItemProcessor/States/Map (which)/Choices/2",
            |at| at["Next"] = json!("W1 (input)"),
        ),
    ];
    for language in ["JSONPath", "JSONata"] {
        let definition = definition(language);
        let good = build(&definition, &cut(), &options()).unwrap().definition;
        assert_eq!(check(&definition, &good, &cut()), [""; 0]);
        let jsonpath: &[(&str, &str, Break)] = &[
            ("another input", "/States/Fan (input)", |at| {
                at["Result"] = json!({"input of": "Fan", "lock": 1.0})
            }),
            ("another variable", "/States/Fan (variables)", |at| {
                at["Result"] = json!("fan")
            }),
            ("a variable more", "/States/Fan (variables)/Assign", |at| {
                at["w.$"] = json!("$")
            }),
            ("a variable evaluated", "/States/Fan (variables)", |at| {
                at["Assign"] = json!({"v": "Fan"})
            }),
            ("another output", "/States/Fan/Branches/1/States/Fan (kept)", |at| {
                at["Result"] = json!({"kept": 2})
            }),
            (
                "an output evaluated",
                "/States/Fan/Branches/1/States/Fan (kept)",
                |at| at["Parameters"] = json!({}),
            ),
            (
                "a hold asks for another lock",
                "/States/Take (again)/Parameters/Payload",
                |at| at["lock"] = json!("stock"),
            ),
            (
                "a hold asks for the original",
                "/States/Take (again)/Parameters/Payload",
                |at| {
                    *at = json!({"lock": "shop", "executionArn": "arn:old"});
                },
            ),
            ("a hold loses the data", "/States/Take (again)", |at| {
                drop(at.as_object_mut().unwrap().remove("ResultPath"))
            }),
            ("a hold selects of the data", "/States/Take (again)", |at| {
                at["OutputPath"] = json!("$.x")
            }),
            ("the selector loses the index", MAP, |at| {
                at["ItemSelector"]["i.$"] = json!("$$.Map.Item.Value")
            }),
            ("the selector loses the item", MAP, |at| {
                at["ItemSelector"] = json!({"i.$": "$$.Map.Item.Index", "v.$": "$.x"})
            }),
            (
                "the item is not unwrapped",
                "/States/Fan/Branches/0/States/Map/ItemProcessor/States/Map (item)",
                |at| at["OutputPath"] = json!("$"),
            ),
            ("another language", "/States/Fan (input)", |at| {
                at["QueryLanguage"] = json!("JSONata")
            }),
        ];
        let jsonata: &[(&str, &str, Break)] = &[
            ("another input", "/States/Fan (input)", |at| {
                at["Output"] = json!({"input of": "Fan"})
            }),
            ("another variable", "/States/Fan (variables)", |at| {
                at["Assign"]["v"] = json!("fan")
            }),
            ("an input evaluated", "/States/Fan (input)", |at| {
                at["Output"] = json!("{% $states.input %}")
            }),
            ("another output", "/States/Fan/Branches/1/States/Fan (kept)", |at| {
                at["Output"] = json!({"kept": 1.0})
            }),
            (
                "a hold asks by the data",
                "/States/Take (again)/Arguments/Payload",
                |at| at["lock"] = json!("{% $states.input.x %}"),
            ),
            ("a hold gives on its answer", "/States/Take (again)", |at| {
                at["Output"] = json!("{% $states.result %}")
            }),
            ("the selector loses the index", MAP, |at| {
                at["ItemSelector"]["i"] = json!(1)
            }),
            (
                "the item is not unwrapped",
                "/States/Fan/Branches/0/States/Map/ItemProcessor/States/Map (item)",
                |at| at["Output"] = json!("{% $states.input %}"),
            ),
        ];
        for (what, pointer, break_it) in anywhere
            .iter()
            .chain(if language == "JSONata" { jsonata } else { jsonpath })
        {
            let mut bad = good.clone();
            break_it(bad.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}: {good}")));
            assert_ne!(bad.to_string(), good.to_string(), "{what}");
            assert!(
                !check(&definition, &bad, &cut()).is_empty(),
                "{language}: {what}: {bad}"
            );
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
