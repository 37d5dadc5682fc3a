//! What becomes of an inline Map of which some is kept.
//!
//! Its selector gives each iteration its index with its item, and its processor begins with a Choice on the index. An
//! iteration that is not named, also one that never was before, comes to the item as the original would have made it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox::asl::QueryLanguage;

use super::bootstrap::sent_len;
use super::names::For;
use super::region::{Builder, Scope, expect, language_of, take_states};
use super::size::Partial;
use super::{CloneError, Fields, reach, sent_bytes};
use crate::cut::Region;
use crate::warning::Code;

/// The keys of what an iteration is given: its index, and its item.
const INDEX: &str = "i";
const ITEM: &str = "v";

/// A state, and the iterations that go there.
type Route = (String, Vec<u32>);

/// The processor of an inline Map, and the field that it stands in.
pub(super) fn processor<'s>(state: &'s Fields, name: &str) -> Result<(&'static str, &'s Fields), CloneError> {
    expect(state, "Map", name)?;
    let shape = |wrong: &str| CloneError::ShapeChanged {
        state: name.to_owned(),
        wrong: wrong.to_owned(),
    };
    let processor = ["ItemProcessor", "Iterator"].into_iter();
    let mut processor = processor.filter_map(|field| Some((field, state.get(field)?.as_object()?)));
    let (field, processor) = processor.next().ok_or_else(|| shape("has no processor"))?;
    let mode = processor.get("ProcessorConfig").and_then(|config| config.get("Mode"));
    match mode.and_then(Value::as_str) {
        Some("DISTRIBUTED") => Err(shape("is a Distributed Map, of which nothing can be kept")),
        _ => Ok((field, processor)),
    }
}

impl Builder<'_> {
    /// Whether a Map runs again as a whole, though some could be kept; it is said if so.
    pub(super) fn runs_whole(&mut self, name: &str, scope: &Scope) -> bool {
        let Some(why) = self.whole.get(&scope.path) else {
            return false;
        };
        self.maps_run_whole.insert(name.to_owned());
        self.run_whole.insert(scope.path.clone());
        self.warn(Code::MapRunsAgain, name, why.text());
        true
    }

    /// The Map with each iteration as the plan has it.
    pub(super) fn map(
        &mut self,
        state: &Fields,
        (field, processor): (&'static str, &Fields),
        plan: &BTreeMap<u32, Region>,
        name: &str,
        scope: &Scope,
        copy: bool,
    ) -> Result<Fields, CloneError> {
        let saved_before = std::mem::take(&mut self.saved);
        let (mut processor, renamed) = match copy {
            true => self.copy_of(processor),
            false => (processor.clone(), scope.renamed.clone()),
        };
        let inner = Scope {
            path: scope.path.clone(),
            container: Some(name),
            renamed: &renamed,
            shared: true,
            language: language_of(&processor, scope.language),
        };
        let start = processor.get("StartAt").cloned().unwrap_or_default();
        let mut states = take_states(&mut processor);

        let (mut routes, kept) = self.endings(&mut states, plan, name, &inner)?;
        for (index, region) in plan {
            if let Region::At(at) = region {
                let mut inner = inner.clone();
                inner.path.push(*index);
                let entry = self.enter(&mut states, at, &inner)?;
                routes.push((entry, vec![*index]));
            }
        }
        routes.sort_by_key(|(_, indexes)| indexes.first().copied());
        let item = self.injected(name, For::Item);
        self.put(&mut states, &item, unwrap(self.language, start), &inner);
        let which = self.injected(name, For::Which);
        self.put(&mut states, &which, choice(self.language, &routes, &item), &inner);
        reach::prune(&mut states, &which);
        processor.insert("StartAt".to_owned(), Value::String(which));
        processor.insert("States".to_owned(), Value::Object(states));

        let mut built = state.clone();
        wrap(&mut built, language_of(state, scope.language), field);
        built.insert(field.to_owned(), Value::Object(processor));
        // A copy has a name of its own, which stands before it and in the state that leads to it.
        let names = name.len() + 2 * " (resumed 100)".len();
        let saved = match copy {
            true => len(&built) + names,
            false => len(&built).saturating_sub(len(state)),
        };
        self.partial.push(Partial {
            path: scope.path.clone(),
            kept,
            own: saved.saturating_sub(self.saved),
        });
        self.saved = saved_before + saved;
        Ok(built)
    }

    /// Adds the Pass states of iterations that have ended, one for all with the same output: which are whose, and how many
    /// bytes their outputs take.
    fn endings(
        &mut self,
        states: &mut Fields,
        plan: &BTreeMap<u32, Region>,
        name: &str,
        scope: &Scope,
    ) -> Result<(Vec<Route>, usize), CloneError> {
        // By their texts: as numbers 0.0 and -0.0 are equal.
        let mut same: BTreeMap<String, (&Value, Vec<u32>)> = BTreeMap::new();
        for (index, region) in plan {
            if let Region::Done { output } = region {
                let alike = same.entry(output.to_string());
                alike.or_insert_with(|| (output, Vec::new())).1.push(*index);
            }
        }
        let bytes = same.keys().map(|text| sent_bytes(text)).sum();
        let mut same: Vec<_> = same.into_values().collect();
        same.sort_by_key(|(_, indexes)| indexes.first().copied());
        let ended = same.into_iter();
        let routes = ended.map(|(output, indexes)| Ok((self.kept(states, output, name, scope)?, indexes)));
        Ok((routes.collect::<Result<_, CloneError>>()?, bytes))
    }
}

/// About the length of a state in a request.
fn len(state: &Fields) -> usize {
    let fields = state.iter();
    fields.map(|(field, value)| field.len() + 6 + sent_len(value)).sum()
}

/// Has the Map give each iteration its index beside what it gives it now.
fn wrap(state: &mut Fields, language: QueryLanguage, processor: &str) {
    // The old field goes with the old processor, unless the Map says something else.
    let default = if processor == "Iterator" {
        "Parameters"
    } else {
        "ItemSelector"
    };
    let mut present = ["ItemSelector", "Parameters"].into_iter();
    let field = present
        .find(|field| state.get(*field).is_some_and(|selector| !selector.is_null()))
        .unwrap_or(default);
    let selector = state.remove(field).filter(|selector| !selector.is_null());
    let wrapped = match (language, selector) {
        (QueryLanguage::JsonPath, Some(selector)) => {
            json!({format!("{INDEX}.$"): "$$.Map.Item.Index", ITEM: selector})
        }
        (QueryLanguage::JsonPath, None) => {
            json!({format!("{INDEX}.$"): "$$.Map.Item.Index", format!("{ITEM}.$"): "$$.Map.Item.Value"})
        }
        (QueryLanguage::Jsonata, selector) => {
            let item = selector.unwrap_or_else(|| json!("{% $states.context.Map.Item.Value %}"));
            json!({INDEX: "{% $states.context.Map.Item.Index %}", ITEM: item})
        }
    };
    state.insert(field.to_owned(), wrapped);
}

/// The Pass that gives an iteration its item alone, as the original does.
fn unwrap(language: QueryLanguage, start: Value) -> Fields {
    let (field, item) = match language {
        QueryLanguage::JsonPath => ("OutputPath", format!("$.{ITEM}")),
        QueryLanguage::Jsonata => ("Output", format!("{{% $states.input.{ITEM} %}}")),
    };
    let fields = [("Type", json!("Pass")), (field, json!(item)), ("Next", start)];
    fields
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value))
        .collect()
}

fn choice(language: QueryLanguage, routes: &[Route], default: &str) -> Fields {
    let rules = routes.iter().map(|(next, indexes)| {
        let ranges = ranges(indexes);
        let mut rule = match language {
            QueryLanguage::JsonPath => by_comparison(&ranges),
            QueryLanguage::Jsonata => by_condition(&ranges),
        };
        rule["Next"] = json!(next);
        rule
    });
    let fields = [
        ("Type", json!("Choice")),
        ("Choices", rules.collect()),
        ("Default", json!(default)),
    ];
    fields
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value))
        .collect()
}

fn by_comparison(ranges: &[(u32, u32)]) -> Value {
    let index = format!("$.{INDEX}");
    let is = |comparison: &str, number: u32| json!({"Variable": index, comparison: number});
    let mut rules: Vec<Value> = ranges
        .iter()
        .map(|(first, last)| match first == last {
            true => is("NumericEquals", *first),
            false => json!({"And": [is("NumericGreaterThanEquals", *first), is("NumericLessThanEquals", *last)]}),
        })
        .collect();
    match rules.len() {
        1 => rules.remove(0),
        _ => json!({"Or": rules}),
    }
}

fn by_condition(ranges: &[(u32, u32)]) -> Value {
    let index = format!("$states.input.{INDEX}");
    let mut rules = ranges.iter().map(|(first, last)| match first == last {
        true => format!("{index} = {first}"),
        false => format!("({index} >= {first} and {index} <= {last})"),
    });
    let first = rules.next().unwrap_or_default();
    let condition = rules.fold(first, |condition, rule| format!("{condition} or {rule}"));
    json!({"Condition": format!("{{% {condition} %}}")})
}

/// The runs of numbers that follow each other: `1, 2, 3, 7` are `1` to `3` and `7` to `7`.
fn ranges(indexes: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*index) => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    ranges
}
