//! What can be reached in a region: by `Next`, `Default`, the `Next` of a Choice's rules, and that of a Catch.

use std::collections::HashSet;

use serde_json::Value;

use super::Fields;

/// Where a state leads, whatever happens.
pub(super) fn successors(state: &Fields) -> impl Iterator<Item = &str> {
    let one = ["Next", "Default"].into_iter().filter_map(|field| state.get(field));
    one.chain(["Choices", "Catch"].into_iter().flat_map(|field| {
        let entries = state.get(field).and_then(Value::as_array);
        entries.into_iter().flatten().filter_map(|entry| entry.get("Next"))
    }))
    .filter_map(Value::as_str)
}

/// Where a state leads that must not lead on: by its Catch alone.
pub(super) fn handlers(state: &Fields) -> impl Iterator<Item = &str> {
    let entries = state.get("Catch").and_then(Value::as_array);
    let next = entries.into_iter().flatten().filter_map(|entry| entry.get("Next"));
    next.filter_map(Value::as_str)
}

/// All that can be reached from some states of a region, themselves included.
pub(super) fn from<'s>(states: &'s Fields, starts: impl IntoIterator<Item = &'s str>) -> HashSet<&'s str> {
    let mut open: Vec<&str> = starts.into_iter().collect();
    let mut reached = HashSet::new();
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(
                states
                    .get(name)
                    .and_then(Value::as_object)
                    .into_iter()
                    .flat_map(successors),
            );
        }
    }
    reached
}

/// Whether a region has a state that ends it.
pub(super) fn has_end(states: &Fields) -> bool {
    let is_end = |state: &Value| {
        let kind = state.get("Type").and_then(Value::as_str);
        matches!(kind, Some("Succeed" | "Fail")) || state.get("End") == Some(&Value::Bool(true))
    };
    states.values().any(is_end)
}

/// Leaves out what cannot be reached from `start`.
pub(super) fn prune(states: &mut Fields, start: &str) {
    let reached: HashSet<String> = from(states, [start]).into_iter().map(str::to_owned).collect();
    states.retain(|name, _| reached.contains(name));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_on_counts() {
        let states = json!({
            "A": {"Type": "Task", "Next": "B", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "F"}]},
            "B": {"Type": "Choice", "Choices": [
                {"And": [{"Variable": "$.x", "IsNull": true}, {"Not": {"Variable": "$.y", "IsNull": true}}], "Next": "C"},
                {"Variable": "$.x", "IsNull": true, "Next": "D"}
            ], "Default": "E"},
            "C": {"Type": "Succeed"}, "D": {"Type": "Succeed"}, "E": {"Type": "Succeed"}, "F": {"Type": "Fail"},
            "G": {"Type": "Pass", "Next": "A"}
        });
        let mut states = states.as_object().unwrap().clone();
        let reached = |start: &str| {
            let mut reached: Vec<_> = from(&states, [start]).into_iter().collect();
            reached.sort_unstable();
            reached.concat()
        };
        assert_eq!(reached("A"), "ABCDEF");
        assert_eq!(reached("B"), "BCDE");
        assert_eq!(reached("G"), "ABCDEFG");
        prune(&mut states, "B");
        assert_eq!(states.keys().cloned().collect::<String>(), "BCDE");
        assert!(has_end(&states));
        states.retain(|name, _| matches!(name.as_str(), "B" | "F"));
        assert!(!has_end(&states));
        states.insert("H".to_owned(), json!({"Type": "Pass", "End": true}));
        assert!(has_end(&states));
    }
}
