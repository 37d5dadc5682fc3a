//! What recorded runs have done, as `resume` reads it, against the events themselves.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use corpus::{files, load};
use resume::past::{Data, Inside, Left, Past, PastReader, Scope, Visit};
use serde_json::Value;
use signalbox::asl::{Definition, Kind, State};
use signalbox::history::Event;

/// A recorded run.
struct Run {
    file: String,
    recorded: Value,
    definition: Definition,
}

/// What the events alone say of a state that was entered.
struct Entry<'r> {
    id: i64,
    name: &'r str,
    input: &'r str,
    exited: Option<&'r Value>,
}

impl Run {
    fn events(&self) -> &[Value] {
        self.recorded["history"]["events"].as_array().expect("events")
    }

    fn past(&self, keep: Option<&str>) -> Past {
        self.read(keep, self.events())
    }

    fn read<'e>(&self, keep: Option<&str>, events: impl IntoIterator<Item = &'e Value>) -> Past {
        let mut reader = PastReader::new(&self.definition, keep);
        for event in events {
            let parsed: Event = serde_json::from_value(event.clone()).expect("an event");
            reader.push(parsed, Data::of_json(event));
        }
        reader.finish()
    }

    /// The states that were entered, each with the event of its exit: the first of its name whose way back comes to it.
    fn entries(&self) -> Vec<Entry<'_>> {
        let previous: HashMap<i64, i64> = self.events().iter().map(|event| (id(event), previous(event))).collect();
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for event in self.events() {
            let details = &event["stateEnteredEventDetails"];
            if let Some(name) = details["name"].as_str() {
                entries.push(Entry {
                    id: id(event),
                    name,
                    input: details["input"].as_str().expect("it was recorded with data"),
                    exited: None,
                });
            }
            let Some(name) = event["stateExitedEventDetails"]["name"].as_str() else {
                continue;
            };
            let back = std::iter::successors(Some(id(event)), |id| previous.get(id).copied());
            let back: HashSet<i64> = back.collect();
            let entry = entries.iter_mut().rev().find(|entry| {
                let is_it = entry.name == name && entry.exited.is_none();
                is_it && back.contains(&entry.id)
            });
            let entry = entry.unwrap_or_else(|| panic!("{}: {name} was left and not entered", self.file));
            entry.exited = Some(&event["stateExitedEventDetails"]);
        }
        entries
    }

    fn state(&self, name: &str) -> &State {
        self.definition.state(name).expect("a state of the definition")
    }

    /// The names of the Parallels and Maps around a state.
    fn around(&self, name: &str) -> Vec<&str> {
        let around = self.definition.containers_of(self.state(name)).into_iter();
        around.map(|container| container.state.name.as_str()).collect()
    }
}

fn id(event: &Value) -> i64 {
    event["id"].as_i64().expect("a number")
}

fn previous(event: &Value) -> i64 {
    event["previousEventId"].as_i64().expect("a number")
}

fn runs() -> impl Iterator<Item = Run> {
    files(["histories"]).into_iter().filter_map(|file| {
        let recorded = load(&file);
        if recorded["definition"].is_null() {
            return None;
        }
        let definition =
            Definition::parse(&recorded["definition"].to_string()).unwrap_or_else(|error| panic!("{file}: {error}"));
        Some(Run {
            file,
            recorded,
            definition,
        })
    })
}

/// Those of which the recorder has not lost where the events belong, oldest first.
fn intact() -> impl Iterator<Item = Run> {
    runs().filter(|run| run.recorded["threading"] == "intact" && run.events()[0]["type"] == "ExecutionStarted")
}

/// Every visit, also those in visits.
fn visits<'p>(scope: &'p Scope, found: &mut Vec<(&'p str, &'p Visit)>) {
    for (name, visit) in &scope.visits {
        found.push((name, visit));
        let (Inside::Parallel(regions)
        | Inside::Map {
            iterations: regions, ..
        }) = &visit.inside
        else {
            continue;
        };
        for region in regions.values() {
            visits(region, found);
        }
    }
}

fn all(past: &Past) -> Vec<(&str, &Visit)> {
    let mut found = Vec::new();
    visits(&past.top, &mut found);
    found
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn what_is_kept_is_what_was_recorded() {
    let (mut kept, mut assigned) = (0, 0);
    for run in intact() {
        let file = &run.file;
        let entries: HashMap<i64, Entry<'_>> = run.entries().into_iter().map(|entry| (entry.id, entry)).collect();
        let past = run.past(None);
        let input = run.events()[0]["executionStartedEventDetails"]["input"].as_str();
        assert_eq!(past.input.as_deref(), input, "{file}");
        assert_eq!(past.events, run.events().len() as u64, "{file}");
        for (name, visit) in all(&past) {
            let entry = &entries[&visit.entered_event.expect("it was read from the start")];
            assert_eq!(
                (entry.name, Some(entry.input)),
                (name, visit.input.as_deref()),
                "{file}"
            );
            let output = match &visit.left {
                Left::Open => None,
                Left::Done(output) | Left::Caught(output) => output.as_deref(),
            };
            let recorded = entry.exited.map(|exited| exited["output"].as_str().expect("a text"));
            assert_eq!(output, recorded, "{file}: {name}");
            kept += 1;
            assigned += visit.variables.len();
        }
    }
    assert!(kept > 500 && assigned > 100, "{kept} {assigned}");
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_state_that_was_entered_and_not_left_is_open() {
    let (mut open, mut inside) = (0, 0);
    for run in intact() {
        let file = &run.file;
        let entries = run.entries();
        let past = run.past(None);
        let found: HashSet<i64> = all(&past)
            .into_iter()
            .filter(|(_, visit)| visit.is_open())
            .filter_map(|(_, visit)| visit.entered_event)
            .collect();
        // Where a Parallel or a Map began again, what was in it is void.
        let void = |entry: &Entry<'_>| {
            let around = run.around(entry.name);
            let again = |kind: Kind| {
                let started = format!("{kind}StateStarted");
                let mut starts = run.events().iter().filter(|event| event["type"] == *started);
                let count = entries
                    .iter()
                    .filter(|entry| run.state(entry.name).kind == kind)
                    .count();
                starts.clone().count() > count && starts.any(|event| id(event) > entry.id)
            };
            around.iter().any(|name| again(run.state(name).kind))
        };
        // What stands in a state that was left is over, or was caught.
        let over = |entry: &Entry<'_>| {
            let around = run.around(entry.name);
            let mut outer = entries.iter().filter(|outer| around.contains(&outer.name));
            outer.any(|outer| outer.id < entry.id && outer.exited.is_some())
        };
        for entry in &entries {
            let is_open = entry.exited.is_none() && !void(entry);
            if !is_open {
                assert!(!found.contains(&entry.id), "{file}: {} is not open", entry.name);
            } else if !over(entry) {
                assert!(found.contains(&entry.id), "{file}: {} is open", entry.name);
                open += 1;
                inside += usize::from(!run.around(entry.name).is_empty());
            }
        }
    }
    assert!(open > 80 && inside > 10, "{open} {inside}");
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn the_top_level_has_the_last_visit_of_each_state_that_was_entered() {
    for run in intact() {
        let entries = run.entries();
        let top = entries.iter().filter(|entry| run.around(entry.name).is_empty());
        let last: BTreeMap<&str, i64> = top.map(|entry| (entry.name, entry.id)).collect();
        let past = run.past(None);
        let found = past.top.visits.iter();
        let found: BTreeMap<&str, i64> = found
            .map(|(name, visit)| (name.as_str(), visit.entered_event.expect("it was read from the start")))
            .collect();
        assert_eq!(found, last, "{}", run.file);
        let current = last.iter().max_by_key(|(_, id)| **id).map(|(name, _)| *name);
        assert_eq!(past.top.current.as_deref(), current, "{}", run.file);
        // What the execution ended with, without the times that the recorder has put into it a second time.
        let last = run
            .events()
            .last()
            .filter(|event| event["type"] == "ExecutionSucceeded");
        let left = last.and_then(|last| run.events().iter().find(|event| id(event) == previous(last)));
        let output = left.and_then(|left| left["stateExitedEventDetails"]["output"].as_str());
        let succeeded = run.recorded["execution"]["status"] == "SUCCEEDED";
        assert_eq!(output.is_some(), succeeded, "{}", run.file);
        assert_eq!(past.top.output.as_deref(), output, "{}", run.file);
    }
}

/// Where nothing is made of what the branches or iterations gave, the Parallel's or Map's output is the list of it.
#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn outputs_of_regions_are_what_their_container_made_its_output_of() {
    let (mut parallels, mut maps) = (0, 0);
    for run in intact() {
        let inner: Vec<String> = run
            .definition
            .states()
            .filter(|state| run.definition.container_of(state).is_some())
            .map(|state| state.name.clone())
            .collect();
        for keep in &inner {
            let past = run.past(Some(keep));
            for (name, visit) in all(&past) {
                let written = written(&run.recorded["definition"], name).expect("a state of the definition");
                let made = ["ResultSelector", "ResultPath", "OutputPath", "Output"];
                let Left::Done(Some(output)) = &visit.left else {
                    continue;
                };
                if made.iter().any(|field| written.get(field).is_some()) {
                    continue;
                }
                let (regions, count) = match &visit.inside {
                    Inside::Nothing => continue,
                    // Its iterations are executions of their own.
                    _ if run.state(name).distributed => continue,
                    Inside::Parallel(regions) => (regions, &mut parallels),
                    Inside::Map { iterations, length } => {
                        assert_eq!(
                            length.map(|length| length as usize),
                            Some(iterations.len()),
                            "{}",
                            run.file
                        );
                        (iterations, &mut maps)
                    }
                };
                let outputs = regions
                    .values()
                    .map(|region| region.output.as_deref().expect("it ended"));
                let outputs: Value = outputs.map(json).collect();
                assert_eq!(outputs, json(output), "{}: {name}", run.file);
                *count += 1;
            }
        }
    }
    assert!(parallels > 0 && maps > 20, "{parallels} {maps}");
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn written<'v>(region: &'v Value, name: &str) -> Option<&'v Value> {
    let states = region["States"].as_object()?;
    states.get(name).or_else(|| {
        states.values().find_map(|state| {
            let branches = state["Branches"].as_array().into_iter().flatten();
            let regions = branches.chain(state.get("ItemProcessor")).chain(state.get("Iterator"));
            regions.into_iter().find_map(|region| written(region, name))
        })
    })
}

/// Variables at the top level, folded by hand.
#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn variables_of_the_top_level_are_those_that_were_assigned() {
    let mut variables = 0;
    for run in intact() {
        let mut folded: BTreeMap<String, Rc<str>> = BTreeMap::new();
        for event in run.events() {
            let exited = &event["stateExitedEventDetails"];
            let (Some(name), Some(assigned)) = (exited["name"].as_str(), exited["assignedVariables"].as_object())
            else {
                continue;
            };
            if run.around(name).is_empty() {
                let assigned = assigned.iter();
                folded.extend(assigned.map(|(name, value)| (name.clone(), value.as_str().expect("a text").into())));
            }
        }
        variables += folded.len();
        assert_eq!(*run.past(None).top.variables, folded, "{}", run.file);
    }
    assert!(variables > 50, "{variables}");
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn whatever_is_lost_of_a_history_there_is_an_answer() {
    for run in runs() {
        let events = run.events();
        let keep = run.definition.states().last().map(|state| state.name.as_str());
        for lost in 0..events.len() {
            let others = events.iter().enumerate().filter(|(at, _)| *at != lost);
            let past = run.read(keep, others.map(|(_, event)| event));
            assert_eq!(past.events, events.len() as u64 - 1);
            run.read(None, &events[lost..]);
            run.read(keep, &events[..lost]);
            run.read(keep, events.iter().rev().skip(lost));
        }
    }
}
