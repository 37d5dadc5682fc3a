//! A region of the clone beside that of the original, state by state.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::injected::{Leads, Run, run_pass};
use super::{Check, Fields, object, same, text};
use crate::cut::{At, Region};

/// Where a region is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Whether its states have the names of the original: they do not in a copy.
    pub(super) exact: bool,
    /// What its states are written in if they do not say.
    pub(super) jsonata: bool,
    /// For people.
    pub(super) name: String,
}

/// A region of both, and how far they have been compared.
pub(super) struct Walk<'c> {
    pub(super) place: &'c Place,
    pub(super) original: &'c Fields,
    pub(super) clone: &'c Fields,
    /// Which state of the clone stands for which of the original, and the other way round.
    pairs: BTreeMap<&'c str, &'c str>,
    pub(super) back: BTreeMap<&'c str, &'c str>,
    open: Vec<(&'c str, &'c str)>,
    /// The states of the clone that are accounted for.
    pub(super) seen: BTreeSet<&'c str>,
}

pub(super) static NOTHING: std::sync::LazyLock<Fields> = std::sync::LazyLock::new(Fields::new);

/// A region as the cut has it.
pub(super) fn region(check: &mut Check, place: &Place, original: &Fields, clone: &Fields, plan: &Region) {
    match plan {
        Region::At(at) => going_on(check, place, original, clone, at),
        Region::Fresh => {
            let mut walk = Walk::new(check, place, original, clone);
            walk.pair_starts(check, text(original, "StartAt"), text(clone, "StartAt"));
            walk.finish(check);
        }
        Region::Done { output } => {
            let mut walk = Walk::new(check, place, original, clone);
            if let Some(start) = text(clone, "StartAt") {
                walk.gives(check, start, output);
            }
            walk.finish(check);
        }
    }
}

/// A region that goes on at a state.
pub(super) fn going_on(check: &mut Check, place: &Place, original: &Fields, clone: &Fields, at: &At) {
    let mut walk = Walk::new(check, place, original, clone);
    if let Some(start) = text(clone, "StartAt") {
        walk.enter(check, start, at);
    }
    walk.finish(check);
}

impl<'c> Walk<'c> {
    pub(super) fn new(check: &mut Check, place: &'c Place, original: &'c Fields, clone: &'c Fields) -> Self {
        let rest = |region: &Fields| {
            let rest = region
                .iter()
                .filter(|(field, _)| !matches!(field.as_str(), "StartAt" | "States"));
            rest.map(|(field, value)| (field.clone(), value.clone()))
                .collect::<Fields>()
        };
        if !same(&Value::Object(rest(original)), &Value::Object(rest(clone))) {
            check.say(place, "fields of the region differ");
        }
        Self {
            place,
            original: object(original, "States").unwrap_or(&NOTHING),
            clone: object(clone, "States").unwrap_or(&NOTHING),
            pairs: BTreeMap::new(),
            back: BTreeMap::new(),
            open: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn pair_starts(&mut self, check: &mut Check, original: Option<&'c str>, clone: Option<&'c str>) {
        match (original, clone) {
            (Some(original), Some(clone)) => self.pair(check, original, clone),
            (None, None) => {}
            (original, clone) => check.say(self.place, format!("{clone:?} is where {original:?} should be")),
        }
    }

    /// Has a state of the clone stand for one of the original: from here on it always does.
    pub(super) fn pair(&mut self, check: &mut Check, original: &'c str, clone: &'c str) {
        if self.place.exact && original != clone {
            check.say(self.place, format!("\"{clone}\" is where \"{original}\" should be"));
            return;
        }
        let known = (self.pairs.get(original), self.back.get(clone));
        if known == (None, None) {
            self.pairs.insert(original, clone);
            self.back.insert(clone, original);
            self.open.push((original, clone));
        } else if known != (Some(&clone), Some(&original)) {
            check.say(
                self.place,
                format!("\"{clone}\" does not always stand for \"{original}\""),
            );
        }
    }

    /// Compares what is left, and says what nothing has accounted for.
    pub(super) fn finish(mut self, check: &mut Check) {
        while let Some((original, clone)) = self.open.pop() {
            match (object(self.original, original), object(self.clone, clone)) {
                (Some(was), Some(is)) => {
                    if !self.seen.insert(clone) {
                        check.say(
                            self.place,
                            format!("\"{clone}\" is changed, and run as \"{original}\" as well"),
                        );
                    }
                    self.state(check, (original, was), (clone, is), self.place.exact);
                }
                _ => check.say(self.place, format!("\"{clone}\" or \"{original}\" is missing")),
            }
        }
        for name in self.clone.keys().filter(|name| !self.seen.contains(name.as_str())) {
            check.say(self.place, format!("\"{name}\" has no place there"));
        }
    }

    /// A state that runs as it is written.
    fn state(&mut self, check: &mut Check, was: (&'c str, &'c Fields), is: (&'c str, &'c Fields), exact: bool) {
        self.fields(check, was, is, &[]);
        let (inner, others) = (regions(was.1), regions(is.1));
        if inner.len() != others.len() {
            check.say(self.place, format!("\"{}\" has {} branches", is.0, others.len()));
        }
        for (number, (inner, other)) in inner.into_iter().zip(others).enumerate() {
            let place = self.inside(inner, &format!("{number} of \"{}\"", was.0), exact);
            region(check, &place, inner, other, &Region::Fresh);
        }
    }

    /// The fields of a state, but for those named; its targets stand for those of the original.
    pub(super) fn fields(
        &mut self,
        check: &mut Check,
        (original, was): (&str, &'c Fields),
        (clone, is): (&str, &'c Fields),
        but: &[&str],
    ) {
        let fields: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for field in fields {
            let one = was.get(field).unwrap_or(&Value::Null);
            let other = is.get(field).unwrap_or(&Value::Null);
            let is_missing = was.contains_key(field) != is.contains_key(field);
            let equal = match field.as_str() {
                "Next" | "Default" => one.is_string() == other.is_string(),
                "Choices" | "Catch" => same(&without_targets(one), &without_targets(other)),
                "Branches" | "ItemProcessor" | "Iterator" => true,
                field if but.contains(&field) => continue,
                _ => same(one, other),
            };
            if is_missing || !equal {
                check.say(
                    self.place,
                    format!("{field} of \"{clone}\" differs from that of \"{original}\""),
                );
            }
        }
        let (was, is) = (targets(was), targets(is));
        if was.len() != is.len() {
            check.say(
                self.place,
                format!("\"{clone}\" leads to {is:?}, where \"{original}\" leads to {was:?}"),
            );
        }
        for (was, is) in was.into_iter().zip(is) {
            self.pair(check, was, is);
        }
    }

    /// The region ends with `output`, from `start` on.
    pub(super) fn gives(&mut self, check: &mut Check, start: &'c str, output: &Value) {
        let Some(state) = object(self.clone, start).filter(|state| text(state, "Type") == Some("Pass")) else {
            return check.say(self.place, format!("\"{start}\" is no Pass"));
        };
        let jsonata = is_jsonata(state, self.place.jsonata);
        if jsonata != check.jsonata || check.originals.contains(start) {
            check.say(
                self.place,
                format!("\"{start}\" is not injected in the language of the top level"),
            );
        }
        let mut run = Run::default();
        self.seen.insert(start);
        match run_pass(&mut run, state, jsonata) {
            Ok(Leads::Out) if run.data.as_ref() == Some(&output.to_string()) && run.variables.is_empty() => {}
            Ok(leads) => check.say(self.place, format!("{leads:?} with {run:?}, and not {output}")),
            Err(problem) => check.say(self.place, problem),
        }
    }

    /// A region that stands in a state; the language of that state is not that of the states in it.
    pub(super) fn inside(&self, region: &Fields, what: &str, exact: bool) -> Place {
        Place {
            exact,
            jsonata: is_jsonata(region, self.place.jsonata),
            name: format!("{}, {what}", self.place.name),
        }
    }
}

pub(super) fn is_jsonata(fields: &Fields, outer: bool) -> bool {
    text(fields, "QueryLanguage").map_or(outer, |language| language == "JSONata")
}

fn without_targets(entries: &Value) -> Value {
    let mut entries = entries.clone();
    for entry in entries
        .as_array_mut()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        entry.remove("Next");
    }
    entries
}

/// Where a state leads, in an order that is the same for the original and the clone.
pub(super) fn targets(state: &Fields) -> Vec<&str> {
    let mut targets: Vec<&str> = ["Next", "Default"]
        .iter()
        .filter_map(|field| text(state, field))
        .collect();
    for field in ["Choices", "Catch"] {
        let entries = state.get(field).and_then(Value::as_array).into_iter().flatten();
        targets.extend(entries.filter_map(|entry| entry["Next"].as_str()));
    }
    targets
}

pub(super) fn regions(state: &Fields) -> Vec<&Fields> {
    let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten();
    let processors = ["ItemProcessor", "Iterator"]
        .iter()
        .filter_map(|field| state.get(*field));
    branches.chain(processors).filter_map(Value::as_object).collect()
}
