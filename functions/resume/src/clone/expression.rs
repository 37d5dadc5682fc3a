//! As much of both query languages as it takes to tell what an expression asks for: the context object, the state's
//! result, or other data.

use std::ops::Range;

use serde_json::Value;
use signalbox::asl::QueryLanguage;

/// Fields of a state whose values are payload templates in `JSONPath`: in them a key that ends in `.$` has an expression.
const TEMPLATES: [&str; 6] = [
    "Parameters",
    "ItemSelector",
    "ResultSelector",
    "Assign",
    "Credentials",
    "BatchInput",
];

/// Fields of a state that hold states, names or texts, and no expressions.
const NO_EXPRESSIONS: [&str; 6] = ["Branches", "ItemProcessor", "Iterator", "Comment", "Next", "Resource"];

/// A use of the context object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// Where it stands in the expression.
    pub(super) at: Range<usize>,
    /// What of it, as far as names separated by dots tell: `Execution.Id`; empty if it is all of it.
    pub(super) path: String,
}

/// Every expression in the fields of a state that are its own.
pub(super) fn of_state(state: &super::Fields, language: QueryLanguage) -> Vec<&str> {
    let mut found = Vec::new();
    for (field, value) in state {
        let is_data = language == QueryLanguage::JsonPath && field == "Result";
        if !is_data && !NO_EXPRESSIONS.contains(&field.as_str()) {
            collect(field, value, language, false, &mut found);
        }
    }
    found
}

/// Every expression in a payload template.
pub(super) fn of_template(template: &Value, language: QueryLanguage) -> Vec<&str> {
    let mut found = Vec::new();
    collect("", template, language, true, &mut found);
    found
}

fn collect<'v>(key: &str, value: &'v Value, language: QueryLanguage, in_template: bool, found: &mut Vec<&'v str>) {
    let in_template = in_template || TEMPLATES.contains(&key);
    match value {
        Value::String(text) => {
            let expression = match language {
                QueryLanguage::JsonPath if in_template => key.ends_with(".$").then_some(text.as_str()),
                QueryLanguage::JsonPath => (key.ends_with("Path") || key == "Variable").then_some(text.as_str()),
                QueryLanguage::Jsonata => inner(text),
            };
            found.extend(expression);
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect("", item, language, in_template, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(key, value, language, in_template, found);
            }
        }
        _ => {}
    }
}

/// The expression of a string in `{% … %}`.
pub(super) fn inner(text: &str) -> Option<&str> {
    text.strip_prefix("{%")?.strip_suffix("%}")
}

/// What of the context object an expression asks for.
pub(super) fn context(expression: &str, language: QueryLanguage) -> Vec<Use> {
    let bare = unquoted(expression, language);
    let root = match language {
        QueryLanguage::JsonPath => "$$",
        QueryLanguage::Jsonata => "$states.context",
    };
    let uses = bare.match_indices(root).filter_map(|(start, _)| {
        let rest = &bare[start + root.len()..];
        let mut end = 0;
        while let Some(name) = rest[end..].strip_prefix('.') {
            match name.find(|c| !is_name(c)).unwrap_or(name.len()) {
                0 => break,
                len => end += 1 + len,
            }
        }
        let is_another = rest.starts_with(is_name);
        (!is_another).then(|| Use {
            at: start..start + root.len() + end,
            path: rest[..end].trim_start_matches('.').to_owned(),
        })
    });
    uses.collect()
}

/// Whether an expression asks for the context object and for no data: it gives the same wherever the state stands.
pub(super) fn is_context_alone(expression: &str, language: QueryLanguage) -> bool {
    let uses = context(expression, language);
    let mut rest = unquoted(expression, language);
    for at in uses.iter().map(|found| found.at.clone()) {
        rest.replace_range(at.clone(), &" ".repeat(at.len()));
    }
    !uses.is_empty() && data(&rest, language).next().is_none()
}

/// Whether an expression of an `Assign` asks for what the state's work has given.
pub(super) fn asks_for_result(expression: &str, language: QueryLanguage) -> bool {
    match language {
        QueryLanguage::JsonPath => asks_for_path(expression),
        QueryLanguage::Jsonata => unquoted(expression, language).contains("$states.result"),
    }
}

/// Whether an expression elsewhere asks for what the state was given.
pub(super) fn asks_for_input(expression: &str, language: QueryLanguage) -> bool {
    match language {
        QueryLanguage::JsonPath => asks_for_path(expression),
        QueryLanguage::Jsonata => unquoted(expression, language).contains("$states.input"),
    }
}

/// Whether there is a path that begins at the data: `$.fence` or `$`, where `$fence` is a variable.
fn asks_for_path(expression: &str) -> bool {
    let language = QueryLanguage::JsonPath;
    let bare = unquoted(expression, language).replace("$$", "  ");
    data(&bare, language).any(str::is_empty)
}

/// What follows each `$` that no function's name follows.
fn data(bare: &str, language: QueryLanguage) -> impl Iterator<Item = &str> {
    bare.match_indices('$').filter_map(move |(at, _)| {
        let rest = &bare[at + 1..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let is_call = language == QueryLanguage::Jsonata && end > 0 && rest[end..].trim_start().starts_with('(');
        (!is_call).then_some(&rest[..end])
    })
}

/// The expression with blanks where strings and comments stand in it: as long as it was.
pub(super) fn unquoted(expression: &str, language: QueryLanguage) -> String {
    let mut bare = String::with_capacity(expression.len());
    let mut chars = expression.char_indices();
    let blank = |bare: &mut String, text: &str| bare.extend(std::iter::repeat_n(' ', text.len()));
    while let Some((start, c)) = chars.next() {
        let is_quote = match language {
            QueryLanguage::JsonPath => c == '\'',
            QueryLanguage::Jsonata => matches!(c, '\'' | '"'),
        };
        let is_comment = language == QueryLanguage::Jsonata && expression[start..].starts_with("/*");
        if is_quote {
            let mut escaped = false;
            let end = chars.find(|(_, next)| {
                let ends = !escaped && *next == c;
                escaped = !escaped && *next == '\\';
                ends
            });
            let end = end.map_or(expression.len(), |(at, quote)| at + quote.len_utf8());
            blank(&mut bare, &expression[start..end]);
        } else if is_comment {
            let end = expression[start + 2..].find("*/");
            let end = end.map_or(expression.len(), |at| start + 2 + at + 2);
            blank(&mut bare, &expression[start..end]);
            chars.by_ref().take_while(|(at, _)| *at + 1 < end).for_each(drop);
        } else {
            bare.push(c);
        }
    }
    bare
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    use QueryLanguage::{JsonPath, Jsonata};

    fn paths(expression: &str, language: QueryLanguage) -> Vec<String> {
        context(expression, language)
            .into_iter()
            .map(|found| found.path)
            .collect()
    }

    #[test]
    fn uses_of_the_context_object_are_found_outside_of_strings() {
        for (expression, language, uses) in [
            ("$$.Execution.Id", JsonPath, vec!["Execution.Id"]),
            ("$$", JsonPath, vec![""]),
            ("$$['Execution']['Id']", JsonPath, vec![""]),
            ("$$.Map.Item.Value[0]", JsonPath, vec!["Map.Item.Value"]),
            ("$$.Execution['Id']", JsonPath, vec!["Execution"]),
            (
                "States.Format('$$.X {}', $$.Execution.Name, $.a)",
                JsonPath,
                vec!["Execution.Name"],
            ),
            (
                r"States.Format('it\'s $$.X', $$.State.Name)",
                JsonPath,
                vec!["State.Name"],
            ),
            ("$.a.b", JsonPath, vec![]),
            (" $states.context.Execution.Id ", Jsonata, vec!["Execution.Id"]),
            ("$states.context", Jsonata, vec![""]),
            ("$states.contexts.x", Jsonata, vec![]),
            ("'$states.context.X' & \"$states.context.Y\"", Jsonata, vec![]),
            (
                r#""a\"$states.context.X" & $states.context.State.Name"#,
                Jsonata,
                vec!["State.Name"],
            ),
            ("/* it's $states.context.X */ $states.context.Y", Jsonata, vec!["Y"]),
            ("/* $states.context.X", Jsonata, vec![]),
        ] {
            assert_eq!(paths(expression, language), uses, "{expression}");
        }
        let found = context("$a & $states.context.Y.Z", Jsonata).remove(0);
        assert_eq!(found.at, 5..24);
    }

    #[test]
    fn what_strings_hold_is_blank_and_nothing_moves() {
        for (expression, bare) in [
            ("'é' & x", "     & x".replacen(' ', "", 1)),
            ("/*/ $ */y", "         ".replacen(' ', "", 1) + "y"),
            ("a/b", "a/b".to_owned()),
            ("'open $", "       ".to_owned()),
            ("/*a*//*b*/c", "          c".to_owned()),
        ] {
            let got = unquoted(expression, Jsonata);
            assert_eq!(got.len(), expression.len(), "{expression}");
            assert_eq!(got.trim_start(), bare.trim_start(), "{expression}");
        }
    }

    #[test]
    fn context_alone_is_the_same_everywhere() {
        for (expression, language, alone) in [
            ("$$.Execution.Id", JsonPath, true),
            (
                "States.Format('{}-{}', $$.Execution.Name, $$.State.Name)",
                JsonPath,
                true,
            ),
            ("States.Format('{}', $$.Execution.Name, $.id)", JsonPath, false),
            ("States.Format('{}', $$.Execution.Name, $name)", JsonPath, false),
            ("$.id", JsonPath, false),
            ("States.UUID()", JsonPath, false),
            ("$states.context.Execution.Id", Jsonata, true),
            (
                "$substringAfter($states.context.Execution.Id, ':') & '$x'",
                Jsonata,
                true,
            ),
            ("$states.context.Execution.Id & $states.input.x", Jsonata, false),
            ("$states.context.Execution.Id & $lock", Jsonata, false),
            ("$states.input.x", Jsonata, false),
            ("$states.context.Execution.Id ~> $f", Jsonata, false),
        ] {
            assert_eq!(is_context_alone(expression, language), alone, "{expression}");
        }
    }

    #[test]
    fn the_result_and_the_input_are_told_from_variables() {
        for (expression, language, result, input) in [
            ("$.fence", JsonPath, true, true),
            ("$", JsonPath, true, true),
            ("$['fence']", JsonPath, true, true),
            ("$fence", JsonPath, false, false),
            ("$$.Execution.Id", JsonPath, false, false),
            ("States.MathAdd($.fence, $n)", JsonPath, true, true),
            ("$states.result.fence", Jsonata, true, false),
            ("$states.input.fence", Jsonata, false, true),
            ("'$states.result.fence'", Jsonata, false, false),
            ("$fence + 1", Jsonata, false, false),
        ] {
            assert_eq!(asks_for_result(expression, language), result, "{expression}");
            assert_eq!(asks_for_input(expression, language), input, "{expression}");
        }
    }

    #[test]
    fn expressions_stand_where_the_language_has_them() {
        let state = serde_json::json!({
            "Type": "Task", "Resource": "{% r %}", "Comment": "{% c %}", "InputPath": "$.in", "Next": "{% n %}",
            "Parameters": {"a.$": "$.a", "b": "$.b", "cPath": "$.c", "d": [{"e.$": "$.e"}]},
            "Result": {"f.$": "$.f"},
            "Choices": [{"Variable": "$.g", "StringEqualsPath": "$.h", "StringEquals": "$.i", "Assign": {"j.$": "$.j"}}],
            "ItemProcessor": {"States": {"X": {"InputPath": "$.k"}}}
        });
        let state = state.as_object().unwrap();
        let found = of_state(state, JsonPath);
        assert_eq!(found, ["$.j", "$.h", "$.g", "$.in", "$.a", "$.e"]);
        let state = serde_json::json!({"Type": "Pass", "Output": {"a.$": "$.a", "b": ["{% b %}", "{% c", "d %}"]}, "Result": "{% e %}"});
        assert_eq!(of_state(state.as_object().unwrap(), Jsonata), [" b ", " e "]);
    }
}
