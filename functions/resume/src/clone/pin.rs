//! The original's values in place of the context object's. What cannot be replaced stays, and is warned of: a path where a
//! value may not stand, all of `$$.Execution` at once.

use serde_json::Value;
use signalbox::asl::QueryLanguage;

use super::bootstrap::quoted;
use super::region::language_of;
use super::{Fields, Fleet, Pinned, expression};

/// The definition with the original's values, but for calls to the fleet.
pub(super) fn pin(definition: &Value, pinned: &Pinned, fleet: &Fleet) -> Value {
    let pin = Pin { pinned, fleet };
    pin.region(definition, QueryLanguage::JsonPath)
}

struct Pin<'p> {
    pinned: &'p Pinned,
    fleet: &'p Fleet,
}

impl Pin<'_> {
    fn region(&self, region: &Value, outer: QueryLanguage) -> Value {
        let mut region = region.clone();
        let language = region.as_object().map_or(outer, |fields| language_of(fields, outer));
        let states = region.get_mut("States").and_then(Value::as_object_mut);
        for (name, state) in states.into_iter().flatten() {
            if let Some(fields) = state.as_object_mut() {
                self.state(name, fields, language);
            }
        }
        region
    }

    fn state(&self, name: &str, state: &mut Fields, outer: QueryLanguage) {
        let language = language_of(state, outer);
        let is_fleet = self.fleet.is_called_by(state);
        let values = Values {
            pinned: self.pinned,
            state: name,
        };
        for (field, value) in state {
            match (field.as_str(), &mut *value) {
                ("Branches", Value::Array(branches)) => {
                    for branch in branches {
                        *branch = self.region(branch, outer);
                    }
                }
                ("ItemProcessor" | "Iterator", processor) => *processor = self.region(processor, outer),
                // In JSONPath a result is data, whatever it looks like.
                ("Result" | "Comment" | "Resource", _) => {}
                _ if is_fleet => {}
                _ => values.template(value, language),
            }
        }
    }
}

/// What is replaced in a state.
struct Values<'v> {
    pinned: &'v Pinned,
    /// Its name, which is another where the clone has a copy of it.
    state: &'v str,
}

impl Values<'_> {
    fn template(&self, value: &mut Value, language: QueryLanguage) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.template(item, language)),
            Value::Object(fields) => {
                let present = std::mem::take(fields);
                for (key, mut value) in present {
                    let path = key.strip_suffix(".$").filter(|_| language == QueryLanguage::JsonPath);
                    let replaced = path.zip(value.as_str()).map(|(name, text)| (name, self.path(text)));
                    match replaced {
                        Some((name, Replaced::Value(value))) => fields.insert(name.to_owned(), value),
                        Some((_, Replaced::Expression(text))) => fields.insert(key, Value::String(text)),
                        None => {
                            self.template(&mut value, language);
                            fields.insert(key, value)
                        }
                    };
                }
            }
            Value::String(text) if language == QueryLanguage::Jsonata => {
                if let Some(expression) = expression::inner(text) {
                    let replaced = self.replaced(expression, language, quoted);
                    *text = format!("{{%{replaced}%}}");
                }
            }
            _ => {}
        }
    }

    fn path(&self, expression: &str) -> Replaced {
        let whole = expression.strip_prefix("$$.").and_then(|path| self.value(path));
        match whole {
            Some(value) => Replaced::Value(Value::String(value.to_owned())),
            None if expression.starts_with("States.") => {
                // Developer guide, "Intrinsic functions", reserved characters.
                let literal = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
                Replaced::Expression(self.replaced(expression, QueryLanguage::JsonPath, literal))
            }
            None => Replaced::Expression(expression.to_owned()),
        }
    }

    fn replaced(&self, expression: &str, language: QueryLanguage, literal: impl Fn(&str) -> String) -> String {
        let mut replaced = expression.to_owned();
        for found in expression::context(expression, language).into_iter().rev() {
            if let Some(value) = self.value(&found.path) {
                replaced.replace_range(found.at, &literal(value));
            }
        }
        replaced
    }

    fn value(&self, path: &str) -> Option<&str> {
        match path {
            "Execution.Id" => Some(&self.pinned.execution_id),
            "Execution.Name" => Some(&self.pinned.execution_name),
            "Execution.StartTime" => Some(&self.pinned.execution_start_time),
            "StateMachine.Id" => Some(&self.pinned.machine_id),
            "StateMachine.Name" => Some(&self.pinned.machine_name),
            "State.Name" => Some(self.state),
            _ => None,
        }
    }
}

enum Replaced {
    Value(Value),
    Expression(String),
}

#[cfg(test)]
mod tests;
