//! A definition from its JSON.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::errors::MAX_ATTEMPTS;
use super::{Catcher, Definition, DefinitionError, Kind, QueryLanguage, Region, Retrier, State};

type Fields = Map<String, Value>;

pub(super) fn definition(text: &str) -> Result<Definition, DefinitionError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong("the definition", format!("is not JSON: {error}")))?;
    let mut parser = Parser {
        definition: Definition {
            regions: Vec::new(),
            states: Vec::new(),
            by_name: HashMap::new(),
            planned: HashSet::new(),
        },
    };
    parser.region("", &value, None, QueryLanguage::JsonPath)?;
    Ok(parser.finish())
}

struct Parser {
    definition: Definition,
}

impl Parser {
    fn region(
        &mut self,
        path: &str,
        value: &Value,
        container: Option<(usize, Option<u32>)>,
        outer: QueryLanguage,
    ) -> Result<(), DefinitionError> {
        let fields = object(path, value)?;
        let language = language(fields).unwrap_or(outer);
        let start_at = required_text(path, fields, "StartAt")?;
        let states_path = join(path, "States");
        let states = fields
            .get("States")
            .ok_or_else(|| wrong(&states_path, "is missing".into()))?;
        let states = object(&states_path, states)?;
        if !states.contains_key(&start_at) {
            let missing = format!("is {start_at:?}, which is none of its States");
            return Err(wrong(&join(path, "StartAt"), missing));
        }
        let region = self.definition.regions.len();
        self.definition.regions.push(Region {
            container,
            start_at,
            language,
        });
        for (name, state) in states {
            self.state(&join(&states_path, name), name, state, region)?;
        }
        Ok(())
    }

    fn state(&mut self, path: &str, name: &str, value: &Value, region: usize) -> Result<(), DefinitionError> {
        let fields = object(path, value)?;
        let kind = required_text(path, fields, "Type")?;
        let kind = Kind::named(&kind)
            .ok_or_else(|| wrong(&join(path, "Type"), format!("is {kind:?}, which is no type of state")))?;
        let outer = self.definition.regions[region].language;
        let processor = ["ItemProcessor", "Iterator"]
            .into_iter()
            .find_map(|field| Some((field, fields.get(field)?)));
        let mode = processor.and_then(|(_, processor)| processor.get("ProcessorConfig")?.get("Mode")?.as_str());
        let state = State {
            name: name.to_owned(),
            kind,
            language: language(fields).unwrap_or(outer),
            distributed: mode == Some("DISTRIBUTED"),
            resource: text(fields, "Resource"),
            error: literal(fields, "Error"),
            cause: literal(fields, "Cause"),
            next: text(fields, "Next"),
            default: text(fields, "Default"),
            choices: entries(fields, "Choices")
                .filter_map(|choice| text(choice, "Next"))
                .collect(),
            end: fields.get("End").and_then(Value::as_bool).unwrap_or_default(),
            retry: entries(fields, "Retry").map(retrier).collect(),
            catch: entries(fields, "Catch").filter_map(catcher).collect(),
            region,
        };
        let index = self.definition.states.len();
        if self.definition.by_name.insert(name.to_owned(), index).is_some() {
            return Err(wrong(path, "has a name that another state has too".into()));
        }
        self.definition.states.push(state);
        match kind {
            Kind::Parallel => {
                let branches = fields.get("Branches").and_then(Value::as_array);
                let branches =
                    branches.ok_or_else(|| wrong(&join(path, "Branches"), "is missing, or no list".into()))?;
                for (number, branch) in (0..).zip(branches) {
                    let path = format!("{path}.Branches[{number}]");
                    self.region(&path, branch, Some((index, Some(number))), outer)?;
                }
            }
            Kind::Map => {
                let (field, processor) =
                    processor.ok_or_else(|| wrong(&join(path, "ItemProcessor"), "is missing".into()))?;
                self.region(&join(path, field), processor, Some((index, None)), outer)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Definition {
        let definition = &self.definition;
        let start = |region: &Region| definition.by_name[&region.start_at];
        let mut open: Vec<usize> = definition.regions.iter().map(start).collect();
        let mut planned = HashSet::new();
        while let Some(index) = open.pop() {
            if planned.insert(index) {
                let next = definition.states[index].successors();
                open.extend(next.filter_map(|name| definition.by_name.get(name)));
            }
        }
        self.definition.planned = planned;
        self.definition
    }
}

fn retrier(fields: &Fields) -> Retrier {
    let max = fields.get("MaxAttempts").and_then(Value::as_u64);
    Retrier {
        error_equals: error_equals(fields),
        max_attempts: max.map_or(MAX_ATTEMPTS, |max| u32::try_from(max).unwrap_or(u32::MAX)),
    }
}

fn catcher(fields: &Fields) -> Option<Catcher> {
    Some(Catcher {
        error_equals: error_equals(fields),
        next: text(fields, "Next")?,
    })
}

fn error_equals(fields: &Fields) -> Vec<String> {
    let names = fields.get("ErrorEquals").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

fn language(fields: &Fields) -> Option<QueryLanguage> {
    match fields.get("QueryLanguage")?.as_str()? {
        "JSONata" => Some(QueryLanguage::Jsonata),
        _ => Some(QueryLanguage::JsonPath),
    }
}

fn object<'v>(path: &str, value: &'v Value) -> Result<&'v Fields, DefinitionError> {
    let path = if path.is_empty() { "the definition" } else { path };
    value.as_object().ok_or_else(|| wrong(path, "is no object".into()))
}

fn text(fields: &Fields, field: &str) -> Option<String> {
    fields.get(field)?.as_str().map(str::to_owned)
}

/// A text that is no JSONata expression.
fn literal(fields: &Fields, field: &str) -> Option<String> {
    text(fields, field).filter(|text| !text.starts_with("{%"))
}

fn required_text(path: &str, fields: &Fields, field: &str) -> Result<String, DefinitionError> {
    match fields.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(&join(path, field), "is no text".into())),
        None => Err(wrong(&join(path, field), "is missing".into())),
    }
}

/// The objects in the list `field`.
fn entries<'v>(fields: &'v Fields, field: &str) -> impl Iterator<Item = &'v Fields> {
    let list = fields.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

fn join(path: &str, field: &str) -> String {
    match path.is_empty() {
        true => field.to_owned(),
        false => format!("{path}.{field}"),
    }
}

fn wrong(path: &str, wrong: String) -> DefinitionError {
    DefinitionError {
        path: path.to_owned(),
        wrong,
    }
}
