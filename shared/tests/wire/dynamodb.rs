//! What is DynamoDB's own: answers, and what it refuses whatever is stored.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Answer;

/// What DynamoDB answers to a write whose condition is not met.
pub(crate) const NOT_MET: &str = "ConditionalCheckFailedException";

/// The condition was not met; this is the item as it is, or `null` if there is none or it was not asked for.
pub(crate) fn not_met(item: &Value) -> Answer {
    let mut body = json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{NOT_MET}"),
        "message": "The conditional request failed",
    });
    if !item.is_null() {
        body["Item"] = item.clone();
    }
    Answer::Http(400, body.to_string())
}

/// `item` with these attributes; those that are `null` are taken out.
pub(crate) fn with(item: &Value, changes: &Value) -> Value {
    let mut item = item.clone();
    let attributes = item.as_object_mut().expect("an item");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            attributes.remove(name);
        } else {
            attributes.insert(name.clone(), value.clone());
        }
    }
    item
}

const EXPRESSIONS: [&str; 4] = [
    "UpdateExpression",
    "ConditionExpression",
    "KeyConditionExpression",
    "FilterExpression",
];

/// What has a meaning of its own in an expression.
const KEYWORDS: [&str; 13] = [
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "size",
    "attribute_exists",
    "attribute_not_exists",
    "begins_with",
    "if_not_exists",
];

/// Attributes that expressions name as they are: none is on DynamoDB's list of reserved words. Others take an alias.
const UNRESERVED: [&str; 16] = [
    "pk",
    "sk",
    "redrive",
    "entered",
    "ruling",
    "overlapping",
    "active",
    "adoptedBy",
    "delivered",
    "due",
    "ended",
    "expires",
    "lostSince",
    "stage",
    "stop",
    "task",
];

/// Why DynamoDB would refuse this request, as far as the request alone tells.
pub(crate) fn faults(body: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let parts = body["TransactItems"].as_array().into_iter().flatten();
    let parts = parts.flat_map(|part| part.as_object().into_iter().flat_map(serde_json::Map::values));
    faults.extend(parts.flat_map(self::faults));
    let texts: Vec<&str> = EXPRESSIONS.iter().filter_map(|name| body[name].as_str()).collect();
    let words: BTreeSet<String> = texts.iter().flat_map(|text| words(text)).collect();
    for (sigil, map) in [('#', "ExpressionAttributeNames"), (':', "ExpressionAttributeValues")] {
        let used: BTreeSet<String> = words.iter().filter(|word| word.starts_with(sigil)).cloned().collect();
        let declared: BTreeSet<String> = match &body[map] {
            Value::Object(map) => map.keys().cloned().collect(),
            _ => BTreeSet::new(),
        };
        if body[map].is_object() && declared.is_empty() {
            faults.push(format!("{map} is empty"));
        }
        faults.extend(
            used.difference(&declared)
                .map(|word| format!("{word} is used and not declared")),
        );
        faults.extend(
            declared
                .difference(&used)
                .map(|word| format!("{word} is declared and not used")),
        );
    }
    let known = |word: &str| word.starts_with(['#', ':']) || KEYWORDS.contains(&word) || UNRESERVED.contains(&word);
    faults.extend(
        words
            .iter()
            .filter(|word| !known(word))
            .map(|word| format!("{word} may be a reserved word")),
    );
    if let Some(update) = body["UpdateExpression"].as_str() {
        faults.extend(update_faults(update, &body["ExpressionAttributeNames"]));
    }
    if body["Limit"].as_i64().is_some_and(|limit| limit < 1) {
        faults.push("Limit is less than 1".to_owned());
    }
    if body["IndexName"].is_string() && body["ConsistentRead"] == true {
        faults.push("an index has no consistent reads".to_owned());
    }
    faults.extend(start_faults(body));
    faults
}

/// Aliases, values, keywords and names; a path is taken apart.
fn words(expression: &str) -> Vec<String> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '#' | ':')))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Clauses that stand twice, paths of which one is another or leads to it, and keys that are written.
fn update_faults(update: &str, names: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut clauses: Vec<(&str, String)> = Vec::new();
    for word in update.split_whitespace() {
        match ["SET", "REMOVE", "ADD", "DELETE"]
            .iter()
            .find(|clause| **clause == word)
        {
            Some(clause) if clauses.iter().any(|(other, _)| other == clause) => {
                faults.push(format!("{clause} stands twice"));
            }
            Some(clause) => clauses.push((clause, String::new())),
            None => match clauses.last_mut() {
                Some((_, text)) => *text = format!("{text} {word}"),
                None => faults.push(format!("{word} stands before any clause")),
            },
        }
    }
    let mut written: Vec<Vec<String>> = Vec::new();
    for (clause, text) in &clauses {
        for action in split_at_commas(text) {
            let path = action
                .split([' ', '='])
                .find(|part| !part.is_empty())
                .unwrap_or_default();
            if *clause == "SET" && action.matches('=').count() != 1 {
                faults.push(format!("{action} is no assignment"));
            }
            let path: Vec<String> = path
                .split('.')
                .map(|part| names[part].as_str().unwrap_or(part).to_owned())
                .collect();
            let shared = |other: &Vec<String>| path.starts_with(other) || other.starts_with(&path);
            if written.iter().any(shared) {
                faults.push(format!("{} is written twice", path.join(".")));
            }
            if ["", "pk", "sk"].contains(&path[0].as_str()) {
                faults.push(format!("{clause} writes \"{}\"", path[0]));
            }
            written.push(path);
        }
    }
    faults
}

/// Commas between the arguments of a function do not count.
fn split_at_commas(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().expect("it is never empty").push(c),
        }
    }
    parts
}

/// A query goes on at a key of what it looks at: of the index if it has one, of the same partition, behind the same prefix.
fn start_faults(body: &Value) -> Vec<String> {
    let start = &body["ExclusiveStartKey"];
    let Some(key) = start.as_object() else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let names: BTreeSet<&str> = key.keys().map(String::as_str).collect();
    let wanted = match body["IndexName"].is_string() {
        true => BTreeSet::from(["active", "due", "pk", "sk"]),
        false => BTreeSet::from(["pk", "sk"]),
    };
    if names != wanted {
        faults.push(format!("it starts at {names:?}, which is no key"));
    }
    let values = &body["ExpressionAttributeValues"];
    let sk = start["sk"]["S"].as_str().unwrap_or_default();
    let value = |name: &str| values[name]["S"].as_str().unwrap_or("?");
    let condition = body["KeyConditionExpression"].as_str().unwrap_or_default();
    let within = match *words(condition).iter().map(String::as_str).collect::<Vec<_>>() {
        ["pk", ":pk", "AND", "begins_with", "sk", prefix] => {
            start["pk"] == values[":pk"] && sk.starts_with(value(prefix))
        }
        ["pk", ":pk", "AND", "sk", "BETWEEN", first, "AND", last] => {
            start["pk"] == values[":pk"] && (value(first)..=value(last)).contains(&sk)
        }
        ["pk", ":pk"] => start["pk"] == values[":pk"],
        ["#active" | "active", kind, ..] => start["active"] == values[kind],
        _ => false,
    };
    if !within {
        faults.push("it starts outside of what it looks at".to_owned());
    }
    faults
}
