//! What injected states do: Pass states with literals, and a Choice on an iteration's index.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Fields;

/// Most bytes of a payload, of a variable, and of the variables of one `Assign`.
const MOST_BYTES: usize = 262_144;

/// Where a run is on the way to a target.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The data, as JSON; none before the first state that gives some.
    pub(super) data: Option<String>,
    /// The variables, each as JSON.
    pub(super) variables: BTreeMap<String, String>,
}

/// What a Pass leads to: a state, or the end of its region.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leads<'c> {
    To(&'c str),
    Out,
}

/// Runs a Pass, or says why that cannot be done: it is none that gives literals.
pub(super) fn run_pass<'c>(run: &mut Run, pass: &'c Fields, jsonata: bool) -> Result<Leads<'c>, String> {
    let known = [
        "Type",
        "QueryLanguage",
        "Result",
        "Assign",
        "Output",
        "OutputPath",
        "Next",
        "End",
    ];
    if let Some(field) = pass.keys().find(|field| !known.contains(&field.as_str())) {
        return Err(format!("an injected Pass has {field}"));
    }
    match jsonata {
        true => by_literals(run, pass)?,
        false => by_paths(run, pass)?,
    }
    match (pass.get("Next").and_then(Value::as_str), pass.get("End")) {
        (Some(next), None) => Ok(Leads::To(next)),
        (None, Some(Value::Bool(true))) => Ok(Leads::Out),
        _ => Err("an injected Pass does not lead on".to_owned()),
    }
}

fn by_literals(run: &mut Run, pass: &Fields) -> Result<(), String> {
    if pass.contains_key("Result") || pass.contains_key("OutputPath") {
        return Err("a Pass in JSONata has fields of JSONPath".to_owned());
    }
    if let Some(assign) = pass.get("Assign") {
        let assign = assign.as_object().ok_or("Assign is no object")?;
        let mut bytes = 0;
        for (name, value) in assign {
            let value = evaluated(value)?.to_string();
            bytes += value.len();
            run.variables.insert(name.clone(), value);
        }
        within(bytes)?;
    }
    if let Some(output) = pass.get("Output") {
        let output = evaluated(output)?.to_string();
        within(output.len())?;
        run.data = Some(output);
    }
    Ok(())
}

fn by_paths(run: &mut Run, pass: &Fields) -> Result<(), String> {
    if pass.contains_key("Output") {
        return Err("a Pass in JSONPath has a field of JSONata".to_owned());
    }
    let result = pass.get("Result").ok_or("a Pass in JSONPath has no Result")?;
    if result.is_null() {
        return Err("a Result that is null may be taken for none".to_owned());
    }
    within(result.to_string().len())?;
    if let Some(assign) = pass.get("Assign") {
        for (key, path) in assign.as_object().ok_or("Assign is no object")? {
            let name = key.strip_suffix(".$").ok_or("Assign has what is no path")?;
            let value = found(result, path.as_str().unwrap_or_default())?.to_string();
            run.variables.insert(name.to_owned(), value);
        }
    }
    let data = match pass.get("OutputPath") {
        None => result,
        Some(path) => found(result, path.as_str().unwrap_or_default())?,
    };
    run.data = Some(data.to_string());
    Ok(())
}

fn within(bytes: usize) -> Result<(), String> {
    match bytes <= MOST_BYTES {
        true => Ok(()),
        false => Err(format!("{bytes} bytes are more than a Pass may give")),
    }
}

/// What `$` and `$.name` find.
fn found<'v>(value: &'v Value, path: &str) -> Result<&'v Value, String> {
    let name = match path.strip_prefix("$.") {
        None if path == "$" => return Ok(value),
        name => name.unwrap_or_default(),
    };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let found = value
        .as_object()
        .and_then(|fields| fields.get(name))
        .filter(|_| is_name);
    found.ok_or_else(|| format!("{path} finds nothing"))
}

/// What a field of `JSONata` gives, if every expression in it is a literal.
pub(super) fn evaluated(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match (text.starts_with("{%"), text.ends_with("%}")) {
            (true, true) => literal(text[2..].strip_suffix("%}").unwrap_or_default().trim())?,
            (false, false) if !text.contains("{%") && !text.contains("%}") => value.clone(),
            _ => return Err(format!("{text} may be taken for half an expression")),
        },
        Value::Array(items) => Value::Array(items.iter().map(evaluated).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| Ok((key.clone(), evaluated(value)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        value => value.clone(),
    })
}

/// A scalar, which JSON and `JSONata` write alike. Within a string no `%}` may end the expression early; a number is a
/// double.
fn literal(expression: &str) -> Result<Value, String> {
    let value: Option<Value> = serde_json::from_str(expression).ok();
    let exact = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => false,
        Value::Number(number) => number.as_u64().is_none_or(|number| number < 1 << 54) && !expression.starts_with('-'),
        _ => !expression.contains('%'),
    };
    value.filter(exact).ok_or_else(|| format!("{expression} is no literal"))
}

/// Where a Choice leads an iteration with this index; `key` is where its input has the index.
pub(super) fn route<'c>(choice: &'c Fields, key: &str, index: u64, jsonata: bool) -> Result<&'c str, String> {
    let rules = choice
        .get("Choices")
        .and_then(Value::as_array)
        .ok_or("a Choice has no rules")?;
    for rule in rules {
        let holds = match jsonata {
            true => {
                let condition = rule["Condition"].as_str().unwrap_or_default();
                let condition = condition.strip_prefix("{% ").and_then(|text| text.strip_suffix(" %}"));
                condition_holds(condition.ok_or("a rule has no condition")?, key, index)?
            }
            false => rule_holds(rule, key, index)?,
        };
        if holds {
            return rule["Next"].as_str().ok_or_else(|| "a rule leads nowhere".to_owned());
        }
    }
    let default = choice.get("Default").and_then(Value::as_str);
    default.ok_or_else(|| "a Choice has no Default".to_owned())
}

fn rule_holds(rule: &Value, key: &str, index: u64) -> Result<bool, String> {
    let each = |list: &Value| -> Result<Vec<bool>, String> {
        let rules = list.as_array().into_iter().flatten();
        rules.map(|rule| rule_holds(rule, key, index)).collect()
    };
    if let Some(list) = rule.get("And") {
        return Ok(each(list)?.into_iter().all(|holds| holds));
    }
    if let Some(list) = rule.get("Or") {
        return Ok(each(list)?.into_iter().any(|holds| holds));
    }
    if rule["Variable"] != format!("$.{key}") {
        return Err(format!("a rule asks for {}", rule["Variable"]));
    }
    let number = |comparison: &str| rule[comparison].as_u64();
    match (
        number("NumericEquals"),
        number("NumericGreaterThanEquals"),
        number("NumericLessThanEquals"),
    ) {
        (Some(number), None, None) => Ok(index == number),
        (None, Some(number), None) => Ok(index >= number),
        (None, None, Some(number)) => Ok(index <= number),
        _ => Err(format!("a rule cannot be read: {rule}")),
    }
}

/// Comparisons with the index: by `and` within parentheses, and by `or`.
fn condition_holds(condition: &str, key: &str, index: u64) -> Result<bool, String> {
    let asked = format!("$states.input.{key} ");
    let comparison = |text: &str| -> Result<bool, String> {
        let unreadable = || format!("a condition cannot be read: {text}");
        let (operator, number) = text
            .strip_prefix(&asked)
            .and_then(|text| text.split_once(' '))
            .ok_or_else(unreadable)?;
        let number: u64 = number.parse().map_err(|_| unreadable())?;
        match operator {
            "=" => Ok(index == number),
            ">=" => Ok(index >= number),
            "<=" => Ok(index <= number),
            _ => Err(unreadable()),
        }
    };
    let mut holds = false;
    for part in condition.split(" or ") {
        let both = part.strip_prefix('(').and_then(|part| part.strip_suffix(')'));
        holds |= match both.and_then(|both| both.split_once(" and ")) {
            Some((one, other)) => comparison(one)? & comparison(other)?,
            None => comparison(part)?,
        };
    }
    Ok(holds)
}
