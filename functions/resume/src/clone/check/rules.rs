//! What AWS asks of any definition.

use std::collections::HashSet;

use serde_json::Value;

use super::{Fields, object, text};

/// Longest name of a state.
const NAME_CHARS: usize = 80;

/// The names of all states, nested ones included.
pub(super) fn names(region: &Fields, found: &mut HashSet<String>) {
    for (name, state) in object(region, "States").into_iter().flatten() {
        found.insert(name.clone());
        inner(state).for_each(|region| names(region, found));
    }
}

/// Names are unique and not too long; every region starts at a state of its own, every target is one, and every state can
/// be reached.
pub(super) fn hold(clone: &Fields, originals: &HashSet<String>, problems: &mut Vec<String>) {
    let mut seen = HashSet::new();
    region(clone, originals, &mut seen, problems);
}

fn region<'c>(
    fields: &'c Fields,
    originals: &HashSet<String>,
    seen: &mut HashSet<&'c str>,
    problems: &mut Vec<String>,
) {
    let (Some(start), Some(states)) = (text(fields, "StartAt"), object(fields, "States")) else {
        problems.push("a region has no StartAt, or no States".to_owned());
        return;
    };
    let mut reached = HashSet::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        match states.get(name) {
            None => problems.push(format!(
                "nothing in its region is called \"{name}\", where something leads"
            )),
            Some(state) if reached.insert(name) => open.extend(targets(state)),
            Some(_) => {}
        }
    }
    let ends = |state: &Value| state["End"] == true || matches!(state["Type"].as_str(), Some("Succeed" | "Fail"));
    if !states.values().any(ends) {
        problems.push(format!("the region that starts at \"{start}\" has no end"));
    }
    for (name, state) in states {
        if !reached.contains(name.as_str()) {
            problems.push(format!("\"{name}\" cannot be reached"));
        }
        if !seen.insert(name) {
            problems.push(format!("two states are called \"{name}\""));
        }
        if !originals.contains(name) && name.encode_utf16().count() > NAME_CHARS {
            problems.push(format!("\"{name}\" has more than {NAME_CHARS} characters"));
        }
        let terminal = matches!(state["Type"].as_str(), Some("Succeed" | "Fail" | "Choice"));
        let ways = [state.get("Next").is_some(), state["End"] == true, terminal];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            problems.push(format!("\"{name}\" does not lead on in exactly one way"));
        }
        inner(state).for_each(|inner| region(inner, originals, seen, problems));
    }
}

fn targets(state: &Value) -> Vec<&str> {
    let mut targets = vec![&state["Next"], &state["Default"]];
    for list in ["Choices", "Catch"] {
        targets.extend(state[list].as_array().into_iter().flatten().map(|entry| &entry["Next"]));
    }
    targets.into_iter().filter_map(Value::as_str).collect()
}

fn inner(state: &Value) -> impl Iterator<Item = &Fields> {
    let branches = state["Branches"].as_array().into_iter().flatten();
    let processors = [&state["ItemProcessor"], &state["Iterator"]];
    branches.chain(processors).filter_map(Value::as_object)
}
