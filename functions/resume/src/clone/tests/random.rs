//! Definitions and cuts by the thousand, each clone held against the checker.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::options;
use crate::clone::check::check;
use crate::clone::{Built, CloneError, build};
use crate::cut::{At, Hold, Region, Run, Waiting};

/// A random number generator: xorshift64*. The same seed makes the same case wherever it runs.
pub(crate) struct Random(u64);

type Fields = serde_json::Map<String, Value>;

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % most
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<'v, T>(&mut self, list: &'v [T]) -> &'v T {
        &list[self.below(list.len())]
    }
}

/// Strings that something might evaluate.
const STRINGS: [&str; 17] = [
    "",
    "plain",
    "{% $states.input %}",
    "{% 1 %}",
    "{%%}",
    "{% half",
    "half %}",
    "a {% b %} c",
    "{% \"quoted\\\" \\\\ \\u0025\" %}",
    "%",
    "$.a",
    "$$.Execution.Id",
    "States.UUID()",
    "a\"b\\c/d\n\t\u{0}\u{1f}\u{7f}",
    "\u{e9}\u{4e16}\u{1f4e6}\u{2028}",
    "\\u0025}",
    "' \" `",
];

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.chance(50)),
        2 => random
            .of(&[
                json!(0),
                json!(-1),
                json!(u64::MAX),
                json!(i64::MIN),
                json!(-0.0),
                json!(0.0),
                json!(0.1),
                json!(1e300),
            ])
            .clone(),
        3..=5 => json!(random.of(&STRINGS)),
        6 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let keys = ["a", "x", "a.$", "{% k %}", "", "States", "lock"];
            let fields = (0..random.below(4)).map(|_| ((*random.of(&keys)).to_owned(), value(random, depth - 1)));
            Value::Object(fields.collect())
        }
    }
}

/// A definition that AWS might take.
pub(crate) fn definition(random: &mut Random) -> Value {
    let jsonata = random.chance(50);
    let mut makes = Makes {
        random,
        jsonata,
        states: 0,
    };
    let mut definition = makes.region(3);
    if jsonata {
        definition["QueryLanguage"] = json!("JSONata");
    }
    if makes.random.chance(30) {
        definition["Comment"] = json!("{% c %}");
        definition["TimeoutSeconds"] = json!(60);
    }
    definition
}

struct Makes<'r> {
    random: &'r mut Random,
    jsonata: bool,
    states: usize,
}

impl Makes<'_> {
    fn name(&mut self) -> String {
        self.states += 1;
        let number = self.states;
        match self.random.below(6) {
            0 => format!("{number:->80}"),
            1 => format!("S{number} (input)"),
            2 => format!("{number}\u{1f4e6}"),
            _ => format!("S{number}"),
        }
    }

    /// States one after the other, with more ways between them.
    fn region(&mut self, depth: usize) -> Value {
        let names: Vec<String> = (0..=self.random.below(4)).map(|_| self.name()).collect();
        let mut states = Fields::new();
        for (at, name) in names.iter().enumerate() {
            let state = self.state(&names, names.get(at + 1), depth);
            states.insert(name.clone(), state);
        }
        json!({"StartAt": names[0], "States": states})
    }

    fn state(&mut self, names: &[String], next: Option<&String>, depth: usize) -> Value {
        let kind = self.random.below(if depth == 0 { 7 } else { 12 });
        let jsonata = self.jsonata || self.random.chance(20);
        let mut state = match (kind, next) {
            (0, None) => return json!({"Type": "Succeed"}),
            (1, None) => return json!({"Type": "Fail", "Error": "Broken"}),
            (2, Some(next)) => {
                let rule = match self.jsonata {
                    true => json!({"Condition": "{% $states.input.x = 1 %}", "Next": self.random.of(names)}),
                    false => json!({"Or": [{"Variable": "$.x", "IsPresent": true}], "Next": self.random.of(names)}),
                };
                return json!({"Type": "Choice", "Choices": [rule], "Default": next});
            }
            (3, _) => json!({"Type": "Wait", "Seconds": 3}),
            (4, _) if jsonata => json!({"Type": "Pass", "Output": "{% $states.input %}", "Assign": {"x": "{% 1 %}"}}),
            (4, _) => json!({"Type": "Pass", "Result": value(self.random, 2), "ResultPath": "$.x"}),
            (5, _) => self.lock(jsonata),
            (7 | 8, _) => {
                let branches: Vec<Value> = (0..=self.random.below(3)).map(|_| self.region(depth - 1)).collect();
                json!({"Type": "Parallel", "Branches": branches})
            }
            (9..=11, _) => self.map(depth, jsonata),
            _ => json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 7}),
        };
        if matches!(kind, 5..) && self.random.chance(30) {
            state["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": self.random.of(names)}]);
        }
        if matches!(kind, 6..) && self.random.chance(20) {
            state["Retry"] = json!([{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]);
        }
        if jsonata && !self.jsonata {
            state["QueryLanguage"] = json!("JSONata");
        } else if !jsonata && matches!(kind, 5..) && self.random.chance(30) {
            state["OutputPath"] = json!("$");
        }
        match next {
            Some(next) => state["Next"] = json!(next),
            None => state["End"] = json!(true),
        }
        state
    }

    fn lock(&mut self, jsonata: bool) -> Value {
        let mut lock = match jsonata {
            true => json!({"Arguments": {"FunctionName": "lock-acquire", "Payload": {
                "lock": "{% $states.input.lock %}", "executionArn": "{% $states.context.Execution.Id %}",
                "taskToken": "{% $states.context.Task.Token %}", "stateName": "{% $states.input.name %}"}}}),
            false => json!({"Parameters": {"FunctionName": "lock-acquire", "Payload": {
                "lock.$": "$.lock", "executionArn.$": "$$.Execution.Id", "taskToken.$": "$$.Task.Token"}},
                "ResultPath": self.random.of(&["$.lock", "$.a.lock", "$", "$.x"])}),
        };
        lock["Type"] = json!("Task");
        lock["Resource"] = json!("arn:aws:states:::lambda:invoke.waitForTaskToken");
        if self.random.chance(50) {
            lock["Assign"] = match jsonata {
                true => json!({"fence": "{% $states.result.fence %}", "step": "{% 'taken' %}"}),
                false => json!({"fence.$": "$.fence", "step": "taken"}),
            };
        }
        if self.random.chance(30) {
            match jsonata {
                true => lock["TimeoutSeconds"] = json!("{% $states.input.seconds %}"),
                false => lock["TimeoutSecondsPath"] = json!("$.seconds"),
            }
        }
        if !jsonata && self.random.chance(20) {
            lock["InputPath"] = json!("$.in");
        }
        lock
    }

    fn map(&mut self, depth: usize, jsonata: bool) -> Value {
        let mut processor = self.region(depth - 1);
        let is_old = !jsonata && self.random.chance(20);
        if !is_old {
            let mode = if self.random.chance(10) {
                "DISTRIBUTED"
            } else {
                "INLINE"
            };
            processor["ProcessorConfig"] = json!({"Mode": mode});
            if mode == "DISTRIBUTED" {
                processor["ProcessorConfig"]["ExecutionType"] = json!("STANDARD");
            }
        }
        let (field, selector) = match is_old {
            true => ("Iterator", "Parameters"),
            false => ("ItemProcessor", "ItemSelector"),
        };
        let mut map = json!({"Type": "Map", field: processor, "MaxConcurrency": 2});
        if self.random.chance(50) {
            map[selector] = match jsonata {
                true => json!({"item": "{% $states.context.Map.Item.Value %}", "all": "{% $states.input %}"}),
                false => json!({"item.$": "$$.Map.Item.Value", "i.$": "$.i", "v": 1}),
            };
        }
        map
    }
}

/// A cut that a run of the definition might have left.
pub(crate) fn cut(random: &mut Random, definition: &Value) -> At {
    at(random, definition.as_object().unwrap(), 0)
}

fn region(random: &mut Random, region: &Value, depth: usize) -> Region {
    match random.below(3) {
        0 => Region::Fresh,
        1 => Region::Done {
            output: value(random, 2),
        },
        _ => Region::At(Box::new(at(random, region.as_object().unwrap(), depth + 1))),
    }
}

fn at(random: &mut Random, region: &Fields, depth: usize) -> At {
    let states = region["States"].as_object().unwrap();
    let names: Vec<&String> = states.keys().collect();
    let containers: Vec<&String> = names
        .iter()
        .copied()
        .filter(|name| is_container(&states[*name]))
        .collect();
    let name = match containers.is_empty() || random.chance(30) {
        true => *random.of(&names),
        false => *random.of(&containers),
    };
    let variables = ["x", "fence", "step", "\u{e9}t\u{e9}", "a_1"];
    let variables: BTreeMap<String, Value> = (0..random.below(4))
        .map(|_| ((*random.of(&variables)).to_owned(), value(random, 2)))
        .collect();
    let is_lock = |name: &&&String| {
        states[**name]["Resource"]
            .as_str()
            .is_some_and(|resource| resource.ends_with("Token"))
    };
    let locks: Vec<&String> = names.iter().filter(is_lock).copied().collect();
    let holds = if locks.is_empty() { 0 } else { random.below(3) };
    let input = value(random, 2);
    At {
        state: name.clone(),
        run: run(random, &states[name], depth),
        variables,
        holds: (0..holds).map(|_| hold(random, &locks)).collect(),
        input,
    }
}

fn hold(random: &mut Random, states: &[&String]) -> Hold {
    let mut payload = json!({"lock": "stock", "executionArn": "arn:old", "taskToken": "old", "retryCount": 0});
    payload["onBusy"] = random.of(&[json!("skip"), json!("wait")]).clone();
    if random.chance(20) {
        payload["hold"] = value(random, 1);
    }
    Hold {
        state: (*random.of(states)).clone(),
        input: json!({"lock": value(random, 1), "seconds": random.of(&[json!(5), json!("5")])}),
        payload,
        feeds: random.chance(40),
    }
}

fn is_container(state: &Value) -> bool {
    state["Type"] == "Parallel" || is_inline_map(state)
}

fn is_inline_map(state: &Value) -> bool {
    let processor = state.get("ItemProcessor").or(state.get("Iterator"));
    processor.is_some_and(|processor| processor["ProcessorConfig"]["Mode"] != "DISTRIBUTED")
}

fn run(random: &mut Random, state: &Value, depth: usize) -> Run {
    let kind = state["Type"].as_str().unwrap();
    if random.chance(if is_container(state) { 5 } else { 20 }) && !matches!(kind, "Choice" | "Fail") {
        return Run::Skipped {
            output: value(random, 2),
        };
    }
    match kind {
        "Wait" if random.chance(30) => Run::Waiting(Waiting::Over),
        "Wait" if random.chance(50) => Run::Waiting(Waiting::Until("2026-01-31T04:00:00Z".to_owned())),
        "Parallel" => {
            let branches = state["Branches"].as_array().unwrap();
            Run::Parallel(branches.iter().map(|branch| region(random, branch, depth)).collect())
        }
        "Map" if is_inline_map(state) => {
            let processor = state.get("ItemProcessor").or(state.get("Iterator")).unwrap();
            let indexes = [0, 1, 2, 3, 4, 7, 8, 9, 40];
            let iterations = (0..random.below(if depth == 0 { 8 } else { 4 }))
                .map(|_| (*random.of(&indexes), region(random, processor, depth)));
            let mut iterations: BTreeMap<u32, Region> = iterations.collect();
            if random.chance(30) {
                let kept = value(random, 1);
                iterations.extend((10..16).map(|index| (index, Region::Done { output: kept.clone() })));
            }
            Run::Map(iterations)
        }
        _ => Run::Whole,
    }
}

/// Builds the clone of a random cut, and holds it against the checker.
pub(crate) fn case(random: &mut Random, definition: &Value, seed: u64) -> Option<Built> {
    let top = cut(random, definition);
    let built = match build(definition, &top, &options()) {
        Ok(built) => built,
        // A payload that is no payload of a lock.
        Err(CloneError::CannotHold { .. } | CloneError::NoEnd { .. }) => return None,
        Err(error) => panic!("seed {seed}: {error}\n{definition}\n{top:?}"),
    };
    let problems = check(definition, &built.definition, &top);
    assert!(
        problems.is_empty(),
        "seed {seed}: {problems:#?}\n{definition}\n{top:?}\n{}",
        built.text
    );
    assert_eq!(built.text, built.definition.to_string());
    Some(built)
}

#[test]
fn every_clone_does_what_its_cut_asks_for() {
    for seed in 0..4_000 {
        let mut random = Random::new(seed);
        let definition = definition(&mut random);
        case(&mut random, &definition, seed);
    }
}

#[test]
fn a_clone_can_be_cloned_again_and_again() {
    for seed in 10_000..10_500 {
        let mut random = Random::new(seed);
        let mut definition = definition(&mut random);
        for _ in 0..3 {
            if let Some(built) = case(&mut random, &definition, seed) {
                definition = built.definition;
            }
        }
    }
}
