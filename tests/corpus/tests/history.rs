//! The ASL model and the history reader against the corpus.

use std::collections::{BTreeSet, HashMap};

use corpus::{files, load};
use serde_json::Value;
use signalbox::asl::Definition;
use signalbox::history::{Ended, Event, Failed, Failure, Reader};

/// A recorded execution.
struct Case {
    file: String,
    recorded: Value,
    definition: Option<Definition>,
    events: Vec<Event>,
}

impl Case {
    fn load(file: String) -> Self {
        let recorded = load(&file);
        let definition = Some(&recorded["definition"]).filter(|definition| !definition.is_null());
        let definition = definition.map(|definition| {
            Definition::parse(&definition.to_string()).unwrap_or_else(|error| panic!("{file}: {error}"))
        });
        let events = recorded["history"]["events"].as_array().expect("events").iter();
        let event =
            |event: &Value| serde_json::from_value(event.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
        Self {
            events: events.map(event).collect(),
            file,
            recorded,
            definition,
        }
    }

    fn read(definition: Option<&Definition>, events: &[Event]) -> Option<Failure> {
        let mut reader = Reader::new(definition);
        for event in events {
            reader.push(event);
        }
        reader.failure()
    }

    fn failure(&self) -> Option<Failure> {
        Self::read(self.definition.as_ref(), &self.events)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    files(["histories"]).into_iter().map(Case::load)
}

fn failed_cases() -> impl Iterator<Item = (Case, Failed)> {
    cases().filter_map(|case| {
        let failure = case.failure().filter(|failure| failure.ended == Ended::Failed)?;
        let [place] = <[Failed; 1]>::try_from(failure.places).expect("one place");
        Some((case, place))
    })
}

fn name(place: &Failed) -> &str {
    &place.path.last().expect("a path has a state").state
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_definition_is_read() {
    let (mut states, mut dangling) = (0, BTreeSet::new());
    for file in files(["asl"]) {
        let definition = Definition::parse(&load(&file).to_string()).unwrap_or_else(|error| panic!("{file}: {error}"));
        for state in definition.states() {
            let targets = state
                .successors()
                .chain(state.catch.iter().map(|catcher| catcher.next.as_str()));
            for target in targets {
                let Some(target) = definition.state(target) else {
                    dangling.insert(file.clone());
                    continue;
                };
                let (here, there) = (definition.containers_of(state), definition.containers_of(target));
                assert_eq!(here.len(), there.len(), "{file}: {} leads elsewhere", state.name);
            }
            states += 1;
        }
    }
    assert!(states > 300, "{states}");
    // A template that is to be filled in before it is one.
    let template = "asl/step-functions-agent--step-functions-agent-with-tools-flow-template-64dab.asl.json";
    assert_eq!(dangling, BTreeSet::from([template.to_owned()]));
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_history_is_read_and_each_failure_has_a_place() {
    let mut ends: HashMap<String, usize> = HashMap::new();
    for case in cases() {
        let status = case.recorded["execution"]["status"].as_str().unwrap();
        *ends.entry(status.to_owned()).or_default() += 1;
        let expected = match status {
            "FAILED" => Some(Ended::Failed),
            "ABORTED" => Some(Ended::Aborted),
            _ => None,
        };
        let failure = case.failure();
        assert_eq!(failure.as_ref().map(|failure| failure.ended), expected, "{}", case.file);
        let Some(failure) = failure else { continue };
        let execution = &case.recorded["execution"];
        assert_eq!(failure.error.as_deref(), execution["error"].as_str(), "{}", case.file);
        assert_eq!(failure.places.len(), 1, "{}", case.file);
        // Every state that it names is in the definition, and stands there.
        for (definition, place) in case.definition.iter().zip(&failure.places) {
            let state = definition.state(name(place)).unwrap();
            let around = definition.containers_of(state).into_iter();
            let around: Vec<(&str, Option<u32>)> = around
                .map(|around| (around.state.name.as_str(), around.branch))
                .collect();
            let found = &place.path[..place.path.len() - 1];
            for (step, (name, branch)) in found.iter().zip(&around) {
                assert_eq!(step.state, *name, "{}", case.file);
                assert!(
                    step.index.is_some() && (branch.is_none() || step.index == *branch),
                    "{}",
                    case.file
                );
            }
            assert_eq!(found.len(), around.len(), "{}: {place}", case.file);
        }
    }
    assert_eq!((ends["FAILED"], ends["ABORTED"]), (79, 1));
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn what_aws_says_is_what_the_reader_says() {
    let index = load("index.json");
    let mut said = 0;
    for entry in index
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| !entry["aws_says"].is_null())
    {
        let case = Case::load(entry["file"].as_str().unwrap().to_owned());
        let (state, entered) = (&entry["aws_says"]["state"], &entry["aws_says"]["entered_event_id"]);
        for definition in [case.definition.as_ref(), None] {
            let place = Case::read(definition, &case.events).unwrap().places.remove(0);
            // Of a handler that fails AWS tells only that; the reader, what it handled too.
            let ended_at = match &place.handled {
                Some(handled) => (handled.ended_at.as_str(), handled.ended_event),
                None => (name(&place), place.entered_event),
            };
            assert_eq!(ended_at, (state.as_str().unwrap(), entered.as_i64()), "{}", case.file);
        }
        said += 1;
    }
    assert_eq!(said, 27);
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn some_failures_are_told_in_these_words() {
    let recorded = |name: &str| Case::load(format!("histories/{name}.json"));
    let scenario = "localstack/ls-scenarios-test_base_scenarios--";
    for (file, told, handled) in [
        (
            "localstack/ls-scenarios-test_sfn_scenarios--test_wait_for_callback--failure__execution_history-4913c0".to_owned(),
            r#"Task "Start Task And Wait For Callback""#,
            Some(("Fail State", "Fail State", 8)),
        ),
        (
            "localstack/ls-states_variables-test_error_output--test_map_catch_error_MAP_CATCH_ERROR_OUTPUT_WITH_RETRY-79da13".to_owned(),
            r#"Map "ProcessItems"[0] / Task "ProcessItem" (attempt 2 of 2)"#,
            Some(("Fallback", "Fallback", 13)),
        ),
        // A Fail that a Choice led to: nothing was caught.
        (
            "localstack/ls-scenarios-test_sfn_scenarios--test_step_functions_calling_api_gateway--success__execution_history-fc05c3"
                .to_owned(),
            r#"Fail "Failure""#,
            None,
        ),
        // Of four iterations with the same error the first, which is not the first that began.
        (
            "localstack/ls-timeouts-test_timeouts--test_service_lambda_map_timeout-recording-20230526".to_owned(),
            r#"Map "MapWait"[2] / Task "LambdaInvoke""#,
            None,
        ),
        (
            "public/pub-awslabs-resume-parallel-2-branches-failed".to_owned(),
            r##"Parallel "Parallel 2"#1 / Task "Parallel Step 2, Process 2""##,
            None,
        ),
        (
            format!("{scenario}test_map_state_break_condition-944aac"),
            r#"Map "MapState"[4] / Fail "Break""#,
            None,
        ),
        (
            format!("{scenario}test_retry_interval_features-9a987a"),
            r#"Task "LambdaTask" (attempt 3 of 3)"#,
            None,
        ),
        (
            format!("{scenario}test_map_item_reader_csv_headers_decl_duplicate_headers-82181b"),
            r#"Map "MapState""#,
            None,
        ),
    ] {
        let place = recorded(&file).failure().unwrap().places.remove(0);
        assert_eq!(place.to_string(), told, "{file}");
        let found = place.handled.as_ref();
        let found = found.map(|handled| (handled.by.as_str(), handled.ended_at.as_str(), handled.ended_event));
        assert_eq!(found, handled.map(|(by, at, event)| (by, at, Some(event))), "{file}");
    }
}

/// Found in the events alone: a state that is left right after it failed, and what is entered then.
#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn a_failure_that_a_catch_led_away_from_is_told_with_its_handler() {
    let mut met = 0;
    for (case, place) in failed_cases() {
        let events = case.recorded["history"]["events"].as_array().unwrap();
        let by_id: HashMap<i64, &Value> = events
            .iter()
            .map(|event| (event["id"].as_i64().unwrap(), event))
            .collect();
        let before = |event: &Value| by_id.get(&event["previousEventId"].as_i64().unwrap()).copied();
        let is = |event: &Value, ends: &[&str]| ends.iter().any(|end| event["type"].as_str().unwrap().ends_with(end));
        let handler = events.iter().find(|event| {
            let left = before(event).filter(|left| is(event, &["StateEntered"]) && is(left, &["StateExited"]));
            let failed = left.and_then(before);
            let handler = &event["stateEnteredEventDetails"]["name"];
            let last = place
                .handled
                .as_ref()
                .map_or(name(&place), |handled| handled.ended_at.as_str());
            failed.is_some_and(|failed| is(failed, &["Failed", "TimedOut"])) && handler == last
        });
        let by = handler.map(|event| event["stateEnteredEventDetails"]["name"].as_str().unwrap());
        assert_eq!(
            place.handled.as_ref().map(|handled| handled.by.as_str()),
            by,
            "{}",
            case.file
        );
        met += usize::from(by.is_some());
    }
    assert_eq!(met, 2);
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn without_the_definition_the_same_state_is_named() {
    for (case, place) in failed_cases() {
        let blind = Case::read(None, &case.events).unwrap().places.remove(0);
        assert_eq!(
            (name(&blind), blind.entered_event),
            (name(&place), place.entered_event),
            "{}",
            case.file
        );
        assert_eq!(blind.handled, place.handled, "{}", case.file);
        assert_eq!(blind.path.len(), place.path.len(), "{}", case.file);
    }
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn a_tail_that_holds_the_entry_names_the_same_state() {
    let mut named = 0;
    for (case, place) in failed_cases() {
        for first in 0..case.events.len() {
            let tail = &case.events[first..];
            let read = Case::read(case.definition.as_ref(), tail).unwrap();
            if place.entered_event.is_some_and(|entered| tail[0].id <= entered) {
                let steps =
                    |place: &Failed| -> Vec<String> { place.path.iter().map(|step| step.state.clone()).collect() };
                assert_eq!(steps(&read.places[0]), steps(&place), "{} from {first} on", case.file);
                named += 1;
            }
        }
    }
    assert!(named > 50, "{named}");
}
