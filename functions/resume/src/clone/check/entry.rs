//! How a region comes to where it goes on: the injected states up to the target, and the target.

use std::collections::BTreeMap;

use super::injected::{Leads, Run, run_pass};
use super::walk::{NOTHING, Walk, is_jsonata, region, regions};
use super::{Check, Fields, holds, iterations, object, text};
use crate::cut::{At, Region, Run as Ask, Waiting};

impl<'c> Walk<'c> {
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
