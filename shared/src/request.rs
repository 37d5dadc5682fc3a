//! Requests of pipelines and people: camelCase JSON, parsed strictly, refused with the path of the field.
//!
//! Events that AWS sends are another matter: they are read leniently.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A request that was refused before anything was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct BadRequest {
    path: String,
    problem: String,
}

impl BadRequest {
    /// A refusal of the value at `path` (`alsoCheck[2]`), saying what was wrong and what would be right.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }

    /// The JSON path of the field, `$` for the request as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Reads a request.
///
/// Unknown fields are refused where the type says `deny_unknown_fields`, as every request type does.
pub fn parse<T: DeserializeOwned>(payload: Value) -> Result<T, BadRequest> {
    if !payload.is_object() {
        let found = match payload {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            _ => "an array",
        };
        return Err(BadRequest::new(
            "$",
            format!("the request is {found}; it must be a JSON object"),
        ));
    }
    serde_path_to_error::deserialize(payload).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        // serde names the field of an unknown or a missing one in its text, and the path of the object that lacks it.
        match between(&problem, '`') {
            Some(field) if path == "." && problem.starts_with("missing field") => {
                BadRequest::new(field, "is missing; it is required")
            }
            Some(field) if problem.starts_with("unknown field") && path == "." => {
                BadRequest::new(field, problem.clone())
            }
            _ => BadRequest::new(if path == "." { "$".to_owned() } else { path }, problem.clone()),
        }
    })
}

fn between(text: &str, mark: char) -> Option<&str> {
    text.split(mark).nth(1)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Trial {
        name: String,
        #[serde(default)]
        slots: Vec<u8>,
    }

    #[test]
    fn a_refusal_names_the_field() {
        for (payload, says) in [
            (json!({}), "name: is missing; it is required"),
            (
                json!({"name": "a", "nmae": 1}),
                "nmae: unknown field `nmae`, expected `name` or `slots`",
            ),
            (json!({"name": 7}), "name: invalid type: integer `7`, expected a string"),
            (
                json!({"name": "a", "slots": [1, 300]}),
                "slots[1]: invalid value: integer `300`, expected u8",
            ),
            (json!({"name": null}), "name: invalid type: null, expected a string"),
            (json!([]), "$: the request is an array; it must be a JSON object"),
            (json!("x"), "$: the request is a string; it must be a JSON object"),
            (json!(null), "$: the request is null; it must be a JSON object"),
        ] {
            assert_eq!(parse::<Trial>(payload).unwrap_err().to_string(), says);
        }
        assert_eq!(parse::<Trial>(json!({"name": "a"})).unwrap().name, "a");
    }
}
