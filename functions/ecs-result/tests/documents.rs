//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;

use std::collections::BTreeSet;

use ecs_result::Answer;
use ecs_result::redirect::{LIFE, Reply};
use ecs_result::request::Request;
use signalbox::ecs::error::Error;

use documents::{code_blocks, listed_errors, sample_events};

const README: &str = include_str!("../README.md");
const TEMPLATE: &str = include_str!("../../../template.yaml");

#[test]
fn every_listed_error_exists() {
    let listed = listed_errors(README, "Ecs.");
    assert_eq!(listed, BTreeSet::from(["Ecs.BadRequest"]));
    assert!(listed.is_subset(&BTreeSet::from(Error::NAMES)));
}

#[test]
fn every_status_is_listed_and_every_listed_one_is_answered() {
    let replies = [Reply::There("https://".to_owned()), Reply::Nobody, Reply::Over];
    let mut answered: BTreeSet<u16> = replies.map(|reply| Answer::from(reply).status_code).into();
    // What is said of the method, and of AWS when it does not answer.
    answered.extend([405, 503]);
    let rows = README
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok());
    assert_eq!(rows.collect::<BTreeSet<u16>>(), answered);
    let minutes = LIFE.as_secs() / 60;
    assert!(README.contains(&format!("good for {minutes} minutes")), "{minutes}");
}

#[test]
fn the_answer_that_is_shown_is_the_functions() {
    let shown = &code_blocks(README)[0];
    let url = shown["headers"]["location"].as_str().expect("a URL");
    let answer = Answer::from(Reply::There(url.to_owned()));
    assert_eq!(shown, &serde_json::to_value(answer).expect("JSON"));
}

#[test]
fn every_sample_event_is_listed_and_is_what_it_says() {
    for (name, event) in sample_events("ecs-result", README) {
        let seen = match Request::read(&event).expect("an event of a Function URL") {
            Request::Put { .. } => "put",
            Request::OtherMethod => "method",
            Request::OtherPath => "path",
        };
        let expected = match name.as_str() {
            "put.json" => "put",
            "wrong-method.json" => "method",
            "unknown-key.json" | "root.json" => "path",
            _ => "listed here",
        };
        assert_eq!(seen, expected, "{name}");
    }
}

/// Anybody may call it, by its URL and in no other way, and it may do next to nothing.
#[test]
fn the_template_lets_everybody_in_by_the_url_alone() {
    let resource = |name: &str| {
        let (_, rest) = TEMPLATE.split_once(&format!("\n  {name}:\n")).expect(name);
        rest.split("\n\n").next().unwrap_or_default()
    };
    assert!(resource("EcsResultFunctionUrl").contains("AuthType: NONE"));
    let url = resource("EcsResultFunctionUrlPermission");
    assert!(url.contains("Action: lambda:InvokeFunctionUrl\n") && url.contains("FunctionUrlAuthType: NONE"));
    let invoke = resource("EcsResultFunctionInvokePermission");
    assert!(invoke.contains("Action: lambda:InvokeFunction\n") && invoke.contains("InvokedViaFunctionUrl: true"));
    for name in [
        "EcsResultFunctionUrl",
        "EcsResultFunctionUrlPermission",
        "EcsResultFunctionInvokePermission",
    ] {
        assert!(resource(name).contains("Condition: HasEcsResultUrl"), "{name}");
    }
    // To Lambda a 503 is no error: the metric of errors does not have it.
    assert!(resource("EcsResultErrorsAlarm").contains("MetricName: Url5xxCount\n"));
}
