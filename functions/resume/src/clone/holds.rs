//! The copy of a state that took a lock, or the overlap guard's claim: it takes it again, in the clone's name.
//!
//! Where its output is what the region goes on with, it runs as it is written, on what it was given. Elsewhere the data is
//! another by now: the copy asks for the same as the original did, by the payload that is recorded, and passes the data on.
//! Who asks, and for which task, the context object says either way. Its Retry and its Catch stay.

use serde_json::{Value, json};
use signalbox::asl::QueryLanguage;

use super::bootstrap::literal;
use super::region::{Builder, Scope, language_of};
use super::{CloneError, Fields, expression};
use crate::cut::Hold;
use crate::warning::Code;

/// What the fleet's functions have to be told of who asks, and where the context object has it.
const WHO: [(&str, &str); 7] = [
    ("executionArn", "Execution.Id"),
    ("stateMachineArn", "StateMachine.Id"),
    ("taskToken", "Task.Token"),
    ("enteredTime", "State.EnteredTime"),
    ("retryCount", "State.RetryCount"),
    ("redriveCount", "Execution.RedriveCount"),
    ("stateName", "State.Name"),
];

/// What a request may say to be answered that the run does not have it, for a Choice that looks at the answer, and what
/// fails instead: the Choice is behind the run.
const NO_SKIP: [(&str, &str, &str); 2] = [("onBusy", "skip", "fail"), ("policy", "skip", "failNewer")];

/// Limits of a Task, and the field that takes them from the input in `JSONPath`.
const LIMITS: [(&str, &str); 2] = [
    ("TimeoutSeconds", "TimeoutSecondsPath"),
    ("HeartbeatSeconds", "HeartbeatSecondsPath"),
];

impl Builder<'_> {
    /// The copy, without its `Next`. `feeds`: its output is what the region goes on with; `data` is what it is given.
    pub(super) fn taken_again(
        &mut self,
        state: &Fields,
        hold: &Hold,
        feeds: bool,
        data: &Value,
        scope: &Scope,
    ) -> Result<Fields, CloneError> {
        let taker = Taker {
            name: &hold.state,
            hold,
            language: language_of(state, scope.language),
        };
        if state.get("Type").and_then(Value::as_str) != Some("Task") {
            return Err(taker.error("it is no Task"));
        }
        let mut copy = state.clone();
        copy.remove("End");
        taker.assign_anew(&mut copy);
        if feeds {
            return Ok(copy);
        }
        let changes = taker.ask_for_the_same(&mut copy)?;
        for (code, text) in changes.into_iter().chain(taker.pass_on(&mut copy, data)) {
            self.warn(code, &hold.state, text);
        }
        Ok(copy)
    }
}

struct Taker<'t> {
    name: &'t str,
    hold: &'t Hold,
    language: QueryLanguage,
}

type Changes = Vec<(Code, String)>;

impl Taker<'_> {
    fn error(&self, why: impl Into<String>) -> CloneError {
        CloneError::CannotHold {
            state: self.name.to_owned(),
            why: why.into(),
        }
    }

    /// What it assigned is restored, as it is at the target. Only what comes from the new answer is assigned again.
    fn assign_anew(&self, copy: &mut Fields) {
        let Some(Value::Object(assign)) = copy.get_mut("Assign") else {
            return;
        };
        assign.retain(|key, value| {
            let template = json!({key: value});
            let expressions = expression::of_template(&template, self.language);
            expressions
                .iter()
                .any(|expression| expression::asks_for_result(expression, self.language))
        });
        if assign.is_empty() {
            copy.remove("Assign");
        }
    }

    /// The payload that is recorded in place of what works it out.
    fn ask_for_the_same(&self, copy: &mut Fields) -> Result<Changes, CloneError> {
        let mut changes = Changes::new();
        let field = match self.language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::Jsonata => "Arguments",
        };
        let resource = copy.get("Resource").and_then(Value::as_str).unwrap_or_default();
        let invokes = resource.contains(":states:::lambda:invoke");
        let written = copy.remove(field);
        let asked = if invokes {
            let Some(Value::Object(mut arguments)) = written else {
                return Err(self.error(format!("its {field} are no object")));
            };
            let payload = arguments.remove("Payload");
            let worked_out = arguments.remove("Payload.$").is_some();
            self.needs_no_data(field, &Value::Object(arguments.clone()))?;
            if payload.is_some() || worked_out {
                arguments.insert("Payload".to_owned(), self.payload(payload.as_ref(), &mut changes)?);
            }
            Value::Object(arguments)
        } else {
            self.payload(written.as_ref(), &mut changes)?
        };
        copy.insert(field.to_owned(), asked);
        if let Some(credentials) = copy.get("Credentials") {
            self.needs_no_data("Credentials", credentials)?;
        }
        self.keep_limits(copy, &mut changes);
        copy.remove("InputPath");
        Ok(changes)
    }

    fn needs_no_data(&self, field: &str, template: &Value) -> Result<(), CloneError> {
        let expressions = expression::of_template(template, self.language);
        let mut needed = expressions
            .into_iter()
            .filter(|expression| !expression::is_context_alone(expression, self.language));
        match needed.next() {
            None => Ok(()),
            Some(expression) => Err(self.error(format!("its {field} ask for {expression}, which is not recorded"))),
        }
    }

    /// The payload: what is recorded, but for who asks.
    fn payload(&self, written: Option<&Value>, changes: &mut Changes) -> Result<Value, CloneError> {
        let Value::Object(recorded) = &self.hold.payload else {
            return self.literal(&self.hold.payload);
        };
        let mut payload = Fields::new();
        for (key, value) in recorded {
            let expression = self.expression_of(written, key);
            let alone = expression.filter(|text| expression::is_context_alone(text, self.language));
            if let Some(expression) = alone {
                self.put_expression(&mut payload, key, expression);
                continue;
            }
            if let Some((_, path)) = WHO.iter().find(|(name, _)| name == key) {
                self.put_context(&mut payload, key, path);
                continue;
            }
            if expression.is_some_and(|text| !expression::context(text, self.language).is_empty()) {
                let text = format!(
                    "It asks for {key} by the data and the context object at once: its copy asks for what it was in the \
                     original run."
                );
                changes.push((Code::ContextDiffers, text));
            }
            let no_skip = NO_SKIP.iter().find(|(name, skip, _)| name == key && value == *skip);
            let value = match no_skip {
                Some((name, skip, fails)) => {
                    let text = format!(
                        "Its copy asks with {name} {fails} instead of {skip}: what would look at the answer is behind \
                         the run, which would go on without what it held."
                    );
                    changes.push((Code::HoldFails, text));
                    json!(fails)
                }
                None => self.literal(value)?,
            };
            if self.language == QueryLanguage::JsonPath && key.ends_with(".$") {
                return Err(self.no_literal());
            }
            payload.insert(key.clone(), value);
        }
        // The token is not in every record of a payload.
        if let Some(Value::Object(fields)) = written {
            let keys = fields.keys().map(|key| key.strip_suffix(".$").unwrap_or(key));
            for key in keys.filter(|key| !recorded.contains_key(*key)) {
                let expression = self.expression_of(written, key);
                let alone = expression.filter(|text| expression::is_context_alone(text, self.language));
                if let Some(expression) = alone {
                    self.put_expression(&mut payload, key, expression);
                }
            }
        }
        Ok(Value::Object(payload))
    }

    /// The expression that a payload has for a key.
    fn expression_of<'w>(&self, written: Option<&'w Value>, key: &str) -> Option<&'w str> {
        let written = written?.as_object()?;
        match self.language {
            QueryLanguage::JsonPath => written.get(&format!("{key}.$"))?.as_str(),
            QueryLanguage::Jsonata => expression::inner(written.get(key)?.as_str()?),
        }
    }

    fn put_expression(&self, payload: &mut Fields, key: &str, expression: &str) {
        match self.language {
            QueryLanguage::JsonPath => payload.insert(format!("{key}.$"), json!(expression)),
            QueryLanguage::Jsonata => payload.insert(key.to_owned(), json!(format!("{{%{expression}%}}"))),
        };
    }

    fn put_context(&self, payload: &mut Fields, key: &str, path: &str) {
        let expression = match self.language {
            QueryLanguage::JsonPath => format!("$$.{path}"),
            QueryLanguage::Jsonata => format!(" $states.context.{path} "),
        };
        self.put_expression(payload, key, &expression);
    }

    fn literal(&self, value: &Value) -> Result<Value, CloneError> {
        match self.language {
            QueryLanguage::Jsonata => Ok(literal(value)),
            QueryLanguage::JsonPath if has_path_key(value) => Err(self.no_literal()),
            QueryLanguage::JsonPath => Ok(value.clone()),
        }
    }

    fn no_literal(&self) -> CloneError {
        self.error("its payload has a key that ends in .$, which Parameters cannot say")
    }

    /// Limits that are worked out from the data become what they were.
    fn keep_limits(&self, copy: &mut Fields, changes: &mut Changes) {
        for (limit, path_field) in LIMITS {
            let path = copy.get(path_field).and_then(Value::as_str);
            let expression = copy.get(limit).and_then(Value::as_str).and_then(expression::inner);
            let found = match path.or(expression) {
                Some(asked) if expression::asks_for_input(asked, self.language) => {
                    path.and_then(|path| self.found(copy, path))
                }
                _ => continue,
            };
            copy.remove(path_field);
            copy.remove(limit);
            if let Some(seconds) = found {
                copy.insert(limit.to_owned(), seconds);
            } else {
                let text = format!("Its {limit} comes from its input, which is another by now: its copy has none.");
                changes.push((Code::HoldWithoutLimit, text));
            }
        }
    }

    /// What a path finds in what the state was given.
    fn found(&self, copy: &Fields, path: &str) -> Option<Value> {
        let input = match copy.get("InputPath") {
            None => &self.hold.input,
            Some(input) => at_path(&self.hold.input, input.as_str()?)?,
        };
        at_path(input, path).filter(|found| found.is_u64()).cloned()
    }

    /// The data is passed on. The new answer replaces the old one in it, if it is there.
    fn pass_on(&self, copy: &mut Fields, data: &Value) -> Option<(Code, String)> {
        let (lands, had_it) = match self.language {
            QueryLanguage::JsonPath => {
                let path = copy.get("ResultPath").map_or(Some("$"), Value::as_str);
                let lands = path.is_some_and(|path| path != "$" && at_path(data, path).is_some());
                (lands, path.is_some())
            }
            QueryLanguage::Jsonata => {
                let output = copy
                    .get("Output")
                    .map(|output| expression::of_template(output, self.language));
                let asks = |text: &&str| expression::asks_for_result(text, self.language);
                (false, output.is_none_or(|output| output.iter().any(asks)))
            }
        };
        match self.language {
            QueryLanguage::Jsonata => {
                copy.insert("Output".to_owned(), json!("{% $states.input %}"));
            }
            QueryLanguage::JsonPath => {
                copy.remove("OutputPath");
                if !lands {
                    copy.remove("ResultSelector");
                    copy.insert("ResultPath".to_owned(), Value::Null);
                }
            }
        }
        let is_lock = self.hold.payload.get("lock").is_some();
        (is_lock && had_it && !lands && !copy.contains_key("Assign")).then(|| {
            let text = "The data of the states that follow has the fence of the lock as it was in the original run, if it \
                        has it at all: a writer that compares fences may refuse it.";
            (Code::FenceNotInData, text.to_owned())
        })
    }
}

fn has_path_key(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.ends_with(".$") || has_path_key(value)),
        Value::Array(items) => items.iter().any(has_path_key),
        _ => false,
    }
}

/// What a path of plain names finds: `$.locks.stock`.
fn at_path<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let names = path.strip_prefix('$')?;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
    names
        .split('.')
        .skip(1)
        .try_fold(value, |value, name| {
            match !name.is_empty() && name.chars().all(is_plain) {
                true => value.as_object()?.get(name),
                false => None,
            }
        })
        .filter(|_| names.is_empty() || names.starts_with('.'))
}

#[cfg(test)]
mod tests;
