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
        for (_, state) in states.into_iter().flatten() {
            if let Some(fields) = state.as_object_mut() {
                self.state(fields, language);
            }
        }
        region
    }

    fn state(&self, state: &mut Fields, outer: QueryLanguage) {
        let language = language_of(state, outer);
        let is_fleet = self.fleet.is_called_by(state);
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
                _ => self.template(value, language),
            }
        }
    }

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
            _ => None,
        }
    }
}

enum Replaced {
    Value(Value),
    Expression(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clone::tests::options;
    use crate::clone::{Built, Options, build};
    use crate::cut::{At, Run};
    use crate::warning::Code;

    fn pinned() -> Pinned {
        Pinned {
            execution_id: "arn:run".to_owned(),
            execution_name: "it's \"a\" run".to_owned(),
            execution_start_time: "2026-01-31T04:00:00Z".to_owned(),
            machine_id: "arn:machine".to_owned(),
            machine_name: "machine".to_owned(),
        }
    }

    fn built(definition: &Value, pin: bool) -> Built {
        let top = At {
            state: "A".to_owned(),
            input: json!({"a.$": "$$.Execution.Id"}),
            variables: std::collections::BTreeMap::new(),
            run: Run::Whole,
            holds: Vec::new(),
        };
        let options = Options {
            pin: pin.then(pinned),
            fleet: Fleet::new([
                "lock-acquire".to_owned(),
                "arn:aws:lambda:r:123456789012:function:guard".to_owned(),
            ]),
            ..options()
        };
        build(definition, &top, &options).unwrap()
    }

    fn state(state: Value, language: &str) -> Value {
        let mut definition = json!({"StartAt": "A", "QueryLanguage": language, "States": {"A": state}});
        definition["States"]["A"]["End"] = json!(true);
        definition
    }

    fn warned(built: &Built) -> Vec<&str> {
        assert!(
            built
                .warnings
                .iter()
                .all(|warning| warning.code == Code::ContextDiffers)
        );
        built.warnings.iter().map(|warning| warning.text.as_str()).collect()
    }

    #[test]
    fn the_originals_values_stand_where_the_context_was_asked() {
        let task = json!({"Type": "Task", "Resource": "arn:x", "Parameters": {
            "id.$": "$$.Execution.Id", "deep": [{"start.$": "$$.Execution.StartTime", "machine.$": "$$.StateMachine.Name"}],
            "text.$": "States.Format('$$.Execution.Id {} {}', $$.Execution.Name, $$.StateMachine.Id)",
            "input.$": "$$.Execution.Input", "plain": "$$.Execution.Id", "data.$": "$.x", "token.$": "$$.Task.Token"}});
        let built = built(&state(task, "JSONPath"), true);
        let parameters = json!({"id": "arn:run", "deep": [{"start": "2026-01-31T04:00:00Z", "machine": "machine"}],
            "text.$": r#"States.Format('$$.Execution.Id {} {}', 'it\'s "a" run', 'arn:machine')"#,
            "input.$": "$$.Execution.Input", "plain": "$$.Execution.Id", "data.$": "$.x", "token.$": "$$.Task.Token"});
        assert_eq!(built.definition["States"]["A"]["Parameters"], parameters);
        // What is injected is data.
        assert_eq!(
            built.definition["States"]["A (input)"]["Result"],
            json!({"a.$": "$$.Execution.Id"})
        );
        assert_eq!(warned(&built), [""; 0]);

        let map = json!({"Type": "Map", "QueryLanguage": "JSONata", "ItemSelector": {"x": "{% $states.context.Execution.Name & '$states.context.Execution.Id' %}"},
            "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% [$states.context.StateMachine.Id] %}", "End": true}}}});
        let built = self::built(&state(map, "JSONPath"), true);
        let map = &built.definition["States"]["A"];
        assert_eq!(
            map["ItemSelector"]["x"],
            r#"{% "it's \"a\" run" & '$states.context.Execution.Id' %}"#
        );
        assert_eq!(
            map["ItemProcessor"]["States"]["B"]["Output"],
            r#"{% ["arn:machine"] %}"#
        );
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_is_said() {
        let task = json!({"Type": "Task", "Resource": "arn:x", "InputPath": "$$.Execution", "Parameters": {"all.$": "$$", "n.$": "$$.Execution.RedriveCount"}});
        let built = built(&state(task.clone(), "JSONPath"), true);
        assert_eq!(built.definition["States"]["A"]["Parameters"], task["Parameters"]);
        let says = "It asks the context object for Execution, Execution.RedriveCount, all of it, which is another in the clone: that could not be pinned.";
        assert_eq!(warned(&built), [says]);
    }

    #[test]
    fn without_a_pin_what_differs_is_said_of_each_state() {
        for (definition, language, says) in [
            (
                json!({"Type": "Pass", "Parameters": {"a.$": "$$.Execution.Name", "b.$": "$$.StateMachine.Id"}}),
                "JSONPath",
                "Execution.Name, StateMachine.Id",
            ),
            (
                json!({"Type": "Pass", "InputPath": "$$.Execution.Input", "Result": {"a.$": "$$.Execution.Id"}}),
                "JSONPath",
                "",
            ),
            (
                json!({"Type": "Pass", "Output": "{% $states.context.Execution.StartTime %}"}),
                "JSONata",
                "Execution.StartTime",
            ),
            (
                json!({"Type": "Pass", "Output": "{% $states.context.State.Name %}"}),
                "JSONata",
                "",
            ),
        ] {
            let built = built(&state(definition.clone(), language), false);
            match says {
                "" => assert_eq!(warned(&built), [""; 0], "{definition}"),
                says => assert!(
                    warned(&built)[0].starts_with(&format!("It asks the context object for {says}, which")),
                    "{definition}"
                ),
            }
        }
    }

    #[test]
    fn the_fleet_is_told_who_really_asks() {
        let invoke = "arn:aws:states:::lambda:invoke";
        for (task, is_fleet) in [
            (
                json!({"Resource": invoke, "Parameters": {"FunctionName": "lock-acquire", "Payload": {"a.$": "$$.Execution.Id"}}}),
                true,
            ),
            (
                json!({"Resource": invoke, "Parameters": {"FunctionName": "arn:aws:lambda:r:123456789012:function:lock-acquire:live", "a.$": "$$.Execution.Id"}}),
                true,
            ),
            (
                json!({"Resource": "arn:aws:lambda:r:123456789012:function:guard:7", "Parameters": {"a.$": "$$.Execution.Id"}}),
                true,
            ),
            (
                json!({"Resource": invoke, "Parameters": {"FunctionName": "123456789012:function:guard:live", "a.$": "$$.Execution.Id"}}),
                true,
            ),
            (
                json!({"Resource": invoke, "Parameters": {"FunctionName": "guard", "a.$": "$$.Execution.Id"}}),
                true,
            ),
            (
                json!({"Resource": invoke, "Parameters": {"FunctionName": "999999999999:function:guard", "a.$": "$$.Execution.Id"}}),
                false,
            ),
            (
                json!({"Resource": invoke, "Parameters": {"FunctionName": "lock-acquire-not", "a.$": "$$.Execution.Id"}}),
                false,
            ),
            (
                json!({"Resource": "arn:aws:lambda:r:999999999999:function:guard", "Parameters": {"a.$": "$$.Execution.Id"}}),
                false,
            ),
        ] {
            let mut task = task;
            task["Type"] = json!("Task");
            let definition = state(task.clone(), "JSONPath");
            let (with, without) = (built(&definition, true), built(&definition, false));
            let is_kept = with.definition["States"]["A"] == definition["States"]["A"];
            assert_eq!((is_kept, warned(&without).is_empty()), (is_fleet, is_fleet), "{task}");
        }
    }
}
