//! The injected Pass states: they put the variables and the data back as they were. Whatever the values look like, nothing
//! may evaluate them: a key that ends in `.$`, a text that looks like a path, `{% … %}`.
//!
//! `JSONPath`: `Result` of a Pass is taken as it is, in contrast to `Parameters` and `Assign`. `JSONata`: `Output` and
//! `Assign` are taken as they are but for strings in `{% … %}`, which are written as an expression that gives them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use signalbox::asl::QueryLanguage;

use super::{CloneError, Fields, is_escaped};

/// Most bytes of a state's input or output, of a variable, and of all variables of one `Assign`: as UTF-8 JSON.
///
/// Source: Step Functions service quotas, "Maximum input or output size for a task, state, or execution" (256 KiB);
/// developer guide, "Passing data between states with variables", Limits (256 KiB).
pub(super) const PAYLOAD_BYTES: usize = 262_144;

/// The key that a value has in the `Result` of a Pass that does not give it as it is.
const KEY: &str = "v";

/// A Pass whose output is `value`; `what` of `state` it is, if it is too large.
pub(super) fn giving(language: QueryLanguage, value: &Value, state: &str, what: &str) -> Result<Fields, CloneError> {
    let bytes = json_len(value);
    if bytes > PAYLOAD_BYTES {
        return Err(CloneError::PayloadTooLarge {
            state: state.to_owned(),
            what: what.to_owned(),
            bytes,
            most: PAYLOAD_BYTES,
        });
    }
    Ok(match (language, value) {
        // A `Result` that is null may be taken for none at all, and the input would be passed on.
        (QueryLanguage::JsonPath, Value::Null) => pass([
            ("Result", json!({KEY: null})),
            ("OutputPath", json!(format!("$.{KEY}"))),
        ]),
        (QueryLanguage::JsonPath, value) => pass([("Result", value.clone())]),
        (QueryLanguage::Jsonata, value) => pass([("Output", output(value))]),
    })
}

/// The Pass states that assign `variables`, as few as their quotas allow; `state` is what they are for.
pub(super) fn assigning(
    language: QueryLanguage,
    variables: &BTreeMap<String, Value>,
    state: &str,
) -> Result<Vec<Fields>, CloneError> {
    let mut parts: Vec<(usize, Vec<(&str, &Value)>)> = Vec::new();
    for (name, value) in variables {
        let bytes = json_len(value);
        if bytes > PAYLOAD_BYTES {
            return Err(CloneError::PayloadTooLarge {
                state: state.to_owned(),
                what: format!("the variable \"{name}\""),
                bytes,
                most: PAYLOAD_BYTES,
            });
        }
        // As it stands in an object: `"name":value,`.
        let bytes = bytes + name.len() + 4;
        match parts.last_mut() {
            Some((sum, part)) if *sum + bytes < PAYLOAD_BYTES => {
                *sum += bytes;
                part.push((name, value));
            }
            _ => parts.push((bytes, vec![(name, value)])),
        }
    }
    let pass = match language {
        QueryLanguage::JsonPath => |(_, part)| by_path(part),
        QueryLanguage::Jsonata => |(_, part)| by_literals(part),
    };
    Ok(parts.into_iter().map(pass).collect())
}

fn by_path(part: Vec<(&str, &Value)>) -> Fields {
    if let [(name, value)] = part.as_slice()
        && !value.is_null()
    {
        // On its own it is no larger than it was as a variable. Null is small: see `giving`.
        return pass([
            ("Result", (*value).clone()),
            ("Assign", json!({format!("{name}.$"): "$"})),
        ]);
    }
    // A name may have letters of any language, which a path takes in brackets at best.
    let is_plain = part
        .iter()
        .all(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    let (mut result, mut assign) = (Fields::new(), Fields::new());
    for (number, (name, value)) in part.into_iter().enumerate() {
        let key = if is_plain {
            name.to_owned()
        } else {
            format!("{KEY}{number}")
        };
        assign.insert(format!("{name}.$"), json!(format!("$.{key}")));
        result.insert(key, value.clone());
    }
    pass([("Result", Value::Object(result)), ("Assign", Value::Object(assign))])
}

fn by_literals(part: Vec<(&str, &Value)>) -> Fields {
    let assign = part
        .into_iter()
        .map(|(name, value)| (name.to_owned(), literal_or_null(value)));
    pass([("Assign", Value::Object(assign.collect()))])
}

fn pass<const N: usize>(fields: [(&str, Value); N]) -> Fields {
    let fields = fields.into_iter().map(|(field, value)| (field.to_owned(), value));
    [("Type".to_owned(), json!("Pass"))].into_iter().chain(fields).collect()
}

/// An `Output`. It takes any value, but not every validator knows that it need be no object: what can be said by an
/// expression is. Numbers of an expression are doubles, and a minus is an operator.
fn output(value: &Value) -> Value {
    let expression = match value {
        Value::Array(_) | Value::Object(_) => return literal(value),
        Value::Number(number) if !is_exact(number) => return value.clone(),
        Value::String(text) => quoted(text),
        value => value.to_string(),
    };
    Value::String(format!("{{% {expression} %}}"))
}

/// Whether an expression has the same number as JSON.
fn is_exact(number: &serde_json::Number) -> bool {
    match number.as_u64() {
        Some(integer) => integer <= 1 << 53,
        None => number.as_f64().is_some_and(|double| number.is_f64() && double > 0.0),
    }
}

/// A field that is null may be taken for one that is not there.
fn literal_or_null(value: &Value) -> Value {
    match value {
        Value::Null => json!("{% null %}"),
        value => literal(value),
    }
}

/// What a `JSONata` field has to say so that it is `value`. AWS evaluates a string that begins with `{%` and ends with
/// `%}`, and refuses one that has one of them alone: any string with either is written as an expression. So are strings that
/// validators trip over, an empty one and one of several lines.
pub(super) fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) if is_special(text) => Value::String(format!("{{% {} %}}", quoted(text))),
        Value::Array(items) => items.iter().map(literal).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), literal(value)));
            Value::Object(fields.collect())
        }
        value => value.clone(),
    }
}

fn is_special(text: &str) -> bool {
    text.is_empty() || text.contains("{%") || text.contains("%}") || text.contains(['\n', '\r', '\u{2028}', '\u{2029}'])
}

/// A string literal of `JSONata`: JSON's escapes, and none of its own. With `%` as an escape no `%}` is in it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '%' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                // A String takes everything.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The length of a value as compact JSON, in bytes.
pub(super) fn json_len(value: &Value) -> usize {
    lengths(value).0
}

/// The length of a value in a definition that stands in a request, in bytes: see [`sent_bytes`](super::sent_bytes).
pub(super) fn sent_len(value: &Value) -> usize {
    lengths(value).1
}

/// Both, without the text.
fn lengths(value: &Value) -> (usize, usize) {
    struct Count(usize, usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            self.1 += bytes.iter().filter(|byte| is_escaped(**byte)).count();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0, 0);
    // A value has text keys alone, and the writer takes everything.
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => (count.0, count.0 + count.1),
        Err(_) => (usize::MAX, usize::MAX),
    }
}

#[cfg(test)]
mod tests;
