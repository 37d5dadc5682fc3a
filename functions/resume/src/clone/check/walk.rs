//! A region of the clone beside that of the original: the injected states up to where it goes on, then state by state.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::injected::{Leads, Run, run_pass};
use super::{Check, Fields, holds, iterations, object, same, text};
use crate::cut::{At, Region, Run as Ask, Waiting};

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
    back: BTreeMap<&'c str, &'c str>,
    open: Vec<(&'c str, &'c str)>,
    /// The states of the clone that are accounted for.
    pub(super) seen: BTreeSet<&'c str>,
}

static NOTHING: std::sync::LazyLock<Fields> = std::sync::LazyLock::new(Fields::new);

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

    /// The states from `start` on lead to where the cut has the region go on.
    pub(super) fn enter(&mut self, check: &mut Check, start: &'c str, at: &'c At) {
        let Some(target) = object(self.original, &at.state) else {
            return check.say(self.place, format!("the original has no \"{}\" there", at.state));
        };
        let (expected, left) = match &at.run {
            Ask::Skipped { output } => (output, text(target, "Next")),
            _ => (&at.input, Some(at.state.as_str())),
        };
        let expected_variables: BTreeMap<String, String> = at
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect();
        let skipped = matches!(at.run, Ask::Skipped { .. });
        let taken = if left.is_some() { at.holds.as_slice() } else { &[] };
        let feeder = taken.iter().rposition(|hold| hold.feeds && !skipped);
        let mut run = Run::default();
        let mut taken_again = 0;
        let mut leads = Leads::To(start);
        while let Leads::To(name) = leads {
            let Some(state) = object(self.clone, name) else {
                return check.say(self.place, format!("there is no \"{name}\""));
            };
            let ready = run.data.as_ref() == Some(&expected.to_string())
                && run.variables == expected_variables
                && taken_again == taken.len();
            let is_there = ready && left.is_some_and(|left| self.looks_like(state, left, &at.run));
            if check.originals.contains(name) || self.back.contains_key(name) || is_there {
                break;
            }
            let jsonata = is_jsonata(state, self.place.jsonata);
            if text(state, "Type") == Some("Pass") && taken_again == 0 {
                if jsonata != check.jsonata {
                    check.say(
                        self.place,
                        format!("\"{name}\" is not in the language of the top level"),
                    );
                }
                if !self.seen.insert(name) {
                    return check.say(self.place, format!("\"{name}\" is run through twice"));
                }
                match run_pass(&mut run, state, jsonata) {
                    Ok(next) => leads = next,
                    Err(problem) => return check.say(self.place, format!("\"{name}\": {problem}")),
                }
            } else if let Some(hold) = taken.get(taken_again) {
                let feeds = feeder == Some(taken_again);
                let given = match feeder {
                    Some(feeder) if taken_again <= feeder => &taken[feeder].input,
                    _ => expected,
                };
                if run.data.as_ref() != Some(&given.to_string()) {
                    check.say(self.place, format!("\"{name}\" is not given what it should be"));
                }
                self.seen.insert(name);
                holds::taken_again(check, self, hold, feeds, given, (name, state));
                if feeds {
                    run.data = Some(expected.to_string());
                }
                taken_again += 1;
                match text(state, "Next") {
                    Some(next) => leads = Leads::To(next),
                    None => return check.say(self.place, format!("\"{name}\" does not lead on")),
                }
            } else {
                break;
            }
        }
        if run.data.as_ref() != Some(&expected.to_string()) {
            let data = run.data.unwrap_or_default();
            check.say(
                self.place,
                format!("{data} arrives at \"{}\" and not {expected}", at.state),
            );
        }
        if run.variables != expected_variables {
            let variables = &run.variables;
            check.say(
                self.place,
                format!(
                    "{variables:?} arrive at \"{}\" and not {expected_variables:?}",
                    at.state
                ),
            );
        }
        if taken_again != taken.len() {
            check.say(
                self.place,
                format!("{} of {} holds are taken again", taken_again, taken.len()),
            );
        }
        match (leads, left) {
            (Leads::Out, None) => {}
            (Leads::To(name), Some(left)) => self.target(check, name, left, (target, at)),
            (leads, left) => check.say(self.place, format!("{leads:?} is where {left:?} should be")),
        }
    }

    /// The state at which the region goes on.
    fn target(&mut self, check: &mut Check, name: &'c str, original: &'c str, (was, at): (&'c Fields, &'c At)) {
        let is = object(self.clone, name).unwrap_or(&NOTHING);
        // What has another name is a copy, with names of its own.
        let exact = self.place.exact && name == original;
        match &at.run {
            ask if is_whole(ask) => return self.pair(check, original, name),
            Ask::Whole | Ask::Skipped { .. } => {}
            _ if !exact && check.originals.contains(name) => {
                return check.say(self.place, format!("\"{name}\" is where \"{original}\" should be"));
            }
            Ask::Waiting(waiting) => {
                if !self.looks_like(is, original, &at.run) {
                    check.say(self.place, format!("\"{name}\" does not wait as {waiting:?}"));
                }
                self.fields(check, (original, was), (name, is), &WAIT_FIELDS);
            }
            Ask::Parallel(plan) => {
                self.fields(check, (original, was), (name, is), &[]);
                let (was, is) = (regions(was), regions(is));
                if was.len() != plan.len() || is.len() != plan.len() {
                    check.say(self.place, format!("\"{name}\" has {} branches", is.len()));
                }
                for (number, ((was, is), plan)) in was.into_iter().zip(is).zip(plan).enumerate() {
                    let place = self.inside(was, &format!("{number} of \"{original}\""), exact);
                    region(check, &place, was, is, plan);
                }
            }
            Ask::Map(plan) => {
                let jsonata = is_jsonata(was, self.place.jsonata);
                self.fields(check, (original, was), (name, is), &["ItemSelector", "Parameters"]);
                let what = format!("an iteration of \"{original}\"");
                let place = self.inside(regions(was).first().unwrap_or(&&*NOTHING), &what, exact);
                iterations::iterations(check, &place, (was, is), plan, jsonata);
            }
        }
        if !self.seen.insert(name) {
            check.say(self.place, format!("\"{name}\" is run through twice"));
        }
    }

    /// Whether a state is what the cut makes of the one at which the region goes on, but for where it leads.
    fn looks_like(&self, is: &Fields, original: &str, ask: &Ask) -> bool {
        let was = object(self.original, original).unwrap_or(&NOTHING);
        let rest = |fields: &Fields, but: &[&str]| {
            let rest = fields
                .iter()
                .filter(|(field, _)| *field != "Next" && !but.contains(&field.as_str()));
            rest.map(|(field, value)| format!("{field}: {value}"))
                .collect::<Vec<_>>()
        };
        let Ask::Waiting(waiting) = ask else {
            return rest(is, &[]) == rest(was, &[]);
        };
        let times: Vec<_> = is
            .keys()
            .filter(|field| WAIT_FIELDS[1..].contains(&field.as_str()))
            .collect();
        let is_as_asked = match waiting {
            Waiting::Over => text(is, "Type") == Some("Pass") && times.is_empty(),
            Waiting::Until(time) => {
                text(is, "Type") == Some("Wait") && times == ["Timestamp"] && text(is, "Timestamp") == Some(time)
            }
        };
        is_as_asked && rest(is, &WAIT_FIELDS) == rest(was, &WAIT_FIELDS)
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
    fn inside(&self, region: &Fields, what: &str, exact: bool) -> Place {
        Place {
            exact,
            jsonata: is_jsonata(region, self.place.jsonata),
            name: format!("{}, {what}", self.place.name),
        }
    }
}

/// What a Wait that was open may have another of.
const WAIT_FIELDS: [&str; 5] = ["Type", "Seconds", "SecondsPath", "Timestamp", "TimestampPath"];

/// Whether the state runs as it is written: of a Parallel or a Map nothing is kept.
fn is_whole(ask: &Ask) -> bool {
    match ask {
        Ask::Whole | Ask::Skipped { .. } => true,
        Ask::Waiting(_) => false,
        Ask::Parallel(plan) => plan.iter().all(|region| *region == Region::Fresh),
        Ask::Map(plan) => plan.values().all(|region| *region == Region::Fresh),
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

fn regions(state: &Fields) -> Vec<&Fields> {
    let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten();
    let processors = ["ItemProcessor", "Iterator"]
        .iter()
        .filter_map(|field| state.get(*field));
    branches.chain(processors).filter_map(Value::as_object).collect()
}
