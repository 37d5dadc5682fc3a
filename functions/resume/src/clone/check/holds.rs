//! States that take something again.

use serde_json::Value;

use super::injected::evaluated;
use super::walk::{Walk, is_jsonata};
use super::{Check, Fields, object, same, text};
use crate::cut::Hold;

/// Fields that may differ where the copy does not feed the target.
const MAY_DIFFER: [&str; 13] = [
    "Next",
    "End",
    "Assign",
    "Parameters",
    "Arguments",
    "InputPath",
    "OutputPath",
    "Output",
    "ResultPath",
    "ResultSelector",
    "TimeoutSeconds",
    "TimeoutSecondsPath",
    "HeartbeatSeconds",
];

/// What the context object has, and what a request calls it.
const CONTEXT: [(&str, &str); 7] = [
    ("executionArn", "Execution.Id"),
    ("taskToken", "Task.Token"),
    ("enteredTime", "State.EnteredTime"),
    ("retryCount", "State.RetryCount"),
    ("redriveCount", "Execution.RedriveCount"),
    ("stateName", "State.Name"),
    ("stateMachineArn", "StateMachine.Id"),
];

/// The state of the clone takes again what `hold` says.
pub(super) fn taken_again<'c>(
    check: &mut Check,
    walk: &mut Walk<'c>,
    hold: &'c Hold,
    feeds: bool,
    given: &Value,
    (name, is): (&'c str, &'c Fields),
) {
    let place = walk.place;
    let Some(was) = object(walk.original, &hold.state) else {
        return check.say(place, format!("the original has no \"{}\" there", hold.state));
    };
    if check.originals.contains(name) {
        check.say(place, format!("\"{name}\" takes something again, but is the original"));
    }
    let but: &[&str] = if feeds { &MAY_DIFFER[..3] } else { &MAY_DIFFER };
    let rest = |fields: &Fields| {
        let rest = fields
            .iter()
            .filter(|(field, _)| !but.contains(&field.as_str()) && !field.ends_with("SecondsPath"));
        let rest = rest.map(|(field, value)| (field.clone(), value.clone()));
        rest.collect::<Fields>()
    };
    let (mut before, mut after) = (rest(was), rest(is));
    let handlers = (handlers(was), handlers(is));
    for fields in [&mut before, &mut after] {
        for entry in fields
            .get_mut("Catch")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            entry["Next"] = Value::Null;
        }
    }
    if !same(&Value::Object(before), &Value::Object(after)) || handlers.0.len() != handlers.1.len() {
        check.say(place, format!("\"{name}\" is not like \"{}\"", hold.state));
    }
    for (was, is) in handlers.0.into_iter().zip(handlers.1) {
        walk.pair(check, was, is);
    }
    let jsonata = is_jsonata(was, place.jsonata);
    let found = assigns(was, is, jsonata).and_then(|()| match feeds {
        true => Ok(()),
        false => asks(was, is, hold, jsonata).and_then(|()| passes_on(was, is, given, jsonata)),
    });
    if let Err(problem) = found {
        check.say(place, format!("\"{name}\": {problem}"));
    }
}

fn handlers(state: &Fields) -> Vec<&str> {
    let entries = state.get("Catch").and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| entry["Next"].as_str()).collect()
}

/// Only what the new answer gives is assigned.
fn assigns(was: &Fields, is: &Fields, jsonata: bool) -> Result<(), String> {
    let nothing = Fields::new();
    let (was, is) = (
        object(was, "Assign").unwrap_or(&nothing),
        object(is, "Assign").unwrap_or(&nothing),
    );
    for (key, value) in was {
        let written = value.to_string();
        let comes_from_answer = match jsonata {
            true => written.contains("$states.result"),
            false => written.replace("$$", "").contains("$.") || written == "\"$\"",
        };
        let expected = comes_from_answer.then_some(value);
        if is.get(key).map(Value::to_string) != expected.map(Value::to_string) {
            return Err(format!("it assigns {:?} to {key}, and not {expected:?}", is.get(key)));
        }
    }
    match is.keys().all(|key| was.contains_key(key)) {
        true => Ok(()),
        false => Err("it assigns more than it did".to_owned()),
    }
}

/// The request is the recorded one, but for who asks.
fn asks(was: &Fields, is: &Fields, hold: &Hold, jsonata: bool) -> Result<(), String> {
    let field = if jsonata { "Arguments" } else { "Parameters" };
    let invokes = text(was, "Resource").is_some_and(|resource| resource.contains("lambda:invoke"));
    let of = |state: &Fields| {
        let arguments = state.get(field).cloned().unwrap_or_default();
        if invokes {
            arguments["Payload"].clone()
        } else {
            arguments
        }
    };
    let (was, asked) = (of(was), of(is));
    let Some(recorded) = hold.payload.as_object() else {
        return match same(&evaluated_in(&asked, jsonata)?, &hold.payload) {
            true => Ok(()),
            false => Err(format!("it asks {asked}")),
        };
    };
    let asked = asked.as_object().ok_or("it asks for nothing")?;
    for (key, value) in recorded {
        let skip = matches!(key.as_str(), "onBusy" | "policy") && value == "skip";
        let (by_path, plain) = (asked.get(&format!("{key}.$")), asked.get(key));
        let is_context = match (jsonata, by_path, plain) {
            (false, Some(Value::String(path)), None) => context(&was, key, path, "$$."),
            (true, None, Some(Value::String(text))) => {
                let expression = text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}"));
                expression.is_some_and(|expression| context(&was, key, expression.trim(), "$states.context."))
            }
            _ => false,
        };
        let who = CONTEXT.iter().any(|(name, _)| name == key);
        let literal = plain.map(|plain| evaluated_in(plain, jsonata));
        match literal {
            _ if is_context => {}
            Some(Ok(literal)) if skip && matches!(literal.as_str(), Some("fail" | "failNewer")) => {}
            Some(Ok(literal)) if !who && !skip && same(&literal, value) => {}
            _ => return Err(format!("it asks {asked:?}, where {key} was {value}")),
        }
    }
    let more = asked
        .iter()
        .filter(|(key, _)| !recorded.contains_key(key.trim_end_matches(".$")));
    let mut more = more.filter(|(_, value)| {
        !value
            .as_str()
            .is_some_and(|text| text.contains("$$.") || text.contains(".context."))
    });
    more.next()
        .map_or(Ok(()), |(key, _)| Err(format!("it asks for {key}, which it did not")))
}

/// Whether an expression is one of the context object: the original's, or what the function calls it.
fn context(was: &Value, key: &str, expression: &str, root: &str) -> bool {
    let written = [format!("{key}.$"), key.to_owned()];
    let is_written = written.iter().any(|key| {
        let written = was[key].as_str().unwrap_or_default();
        written == expression || written == format!("{{% {expression} %}}")
    });
    let path = CONTEXT.iter().find(|(name, _)| *name == key).map(|(_, path)| *path);
    expression.contains(root) && (is_written || expression.strip_prefix(root) == path)
}

fn evaluated_in(value: &Value, jsonata: bool) -> Result<Value, String> {
    match jsonata {
        true => evaluated(value),
        false => Ok(value.clone()),
    }
}

/// The data is passed on; the new answer may replace the old one in it.
fn passes_on(was: &Fields, is: &Fields, given: &Value, jsonata: bool) -> Result<(), String> {
    if jsonata {
        return match text(is, "Output") {
            Some("{% $states.input %}") => Ok(()),
            output => Err(format!("its output is {output:?}")),
        };
    }
    if is.contains_key("InputPath") || is.contains_key("OutputPath") {
        return Err("it selects of its data".to_owned());
    }
    match is.get("ResultPath") {
        Some(Value::Null) => Ok(()),
        Some(Value::String(path)) if text(was, "ResultPath") == Some(path) => {
            let pointer = path.trim_start_matches('$').replace('.', "/");
            match given.pointer(&pointer).filter(|_| !pointer.is_empty()) {
                Some(_) => Ok(()),
                None => Err(format!("its answer goes to {path}, where nothing is")),
            }
        }
        path => Err(format!("its answer goes to {path:?}")),
    }
}
