//! The states that a README has for pasting into a pipeline.

use serde_json::{Map, Value};

use crate::documents::code_blocks;

/// The states of this name that a document has for pasting.
pub(crate) fn states_to_paste(document: &str, name: &str) -> Vec<Value> {
    let blocks = code_blocks(document);
    blocks.iter().filter_map(|block| block.get(name).cloned()).collect()
}

/// The states of a definition.
pub(crate) fn states_of(definition: &str) -> Value {
    let definition: Value = serde_json::from_str(definition).expect("JSON");
    definition["States"].clone()
}

/// What a state that calls a function passes to it.
pub(crate) fn arguments(state: &Value) -> &Value {
    state.get("Parameters").or(state.get("Arguments")).expect("arguments")
}

/// The request that a state makes, with `values` in place of what it reads.
pub(crate) fn request_of(state: &Value, values: &Value) -> Value {
    let payload = arguments(state)["Payload"].as_object().expect("an object");
    let value = |key: &str, literal: &Value| {
        let is_read = key.ends_with(".$") || literal.as_str().is_some_and(|text| text.starts_with("{%"));
        let field = key.trim_end_matches(".$");
        let value = if is_read { &values[field] } else { literal };
        assert!(!value.is_null(), "no value for {field}");
        (field.to_owned(), value.clone())
    };
    let request: Map<String, Value> = payload.iter().map(|(key, literal)| value(key, literal)).collect();
    Value::Object(request)
}
