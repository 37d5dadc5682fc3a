use super::*;

const NESTED: &str = r#"{
  "Comment": "unknown fields are kept out of the way", "TimeoutSeconds": 5, "Version": "1.0",
  "QueryLanguage": "JSONata",
  "StartAt": "Both",
  "States": {
    "Both": {
      "Type": "Parallel", "Next": "Done", "Output": "{% 1 %}",
      "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Broken", "Assign": {"x": 1}}],
      "Branches": [
        {"StartAt": "One", "States": {"One": {"Type": "Succeed"}}},
        {"StartAt": "Files", "States": {"Files": {
          "Type": "Map", "QueryLanguage": "JSONPath", "End": true,
          "ItemReader": {"Resource": "arn:aws:states:::s3:getObject"},
          "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Old",
            "States": {"Old": {"Type": "Map", "End": true, "Iterator": {"StartAt": "Call", "States": {
              "Call": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Which",
                       "Retry": [{"ErrorEquals": ["A", "B"]}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 0}]},
              "Which": {"Type": "Choice", "Choices": [{"Next": "Pause", "Condition": "{% true %}"}], "Default": "Call"},
              "Pause": {"Type": "Wait", "Seconds": 1, "End": true}
            }}}}
          }
        }}}
      ]
    },
    "Broken": {"Type": "Fail", "Error": "It.Broke", "Cause": "{% $why %}"},
    "Done": {"Type": "Pass", "End": true}
  }
}"#;

fn nested() -> Definition {
    Definition::parse(NESTED).unwrap()
}

#[test]
fn a_state_is_found_wherever_it_stands() {
    let definition = nested();
    let around = |name: &str| -> Vec<(String, Option<u32>)> {
        let around = definition.containers_of(definition.state(name).unwrap()).into_iter();
        around
            .map(|container| (container.state.name.clone(), container.branch))
            .collect()
    };
    assert_eq!(around("Both"), []);
    assert_eq!(around("One"), [("Both".to_owned(), Some(0))]);
    let deep = [
        ("Both".to_owned(), Some(1)),
        ("Files".to_owned(), None),
        ("Old".to_owned(), None),
    ];
    assert_eq!(around("Call"), deep);
    assert_eq!(definition.start_of(definition.state("Pause").unwrap()), "Call");
    assert!(definition.state("Nobody").is_none());
    assert_eq!(definition.states().count(), 9);
}

#[test]
fn a_state_has_its_targets_its_errors_and_its_language() {
    let definition = nested();
    let state = |name: &str| definition.state(name).unwrap();
    assert_eq!(definition.language(), QueryLanguage::Jsonata);
    assert_eq!(
        (state("Both").language, state("Files").language),
        (QueryLanguage::Jsonata, QueryLanguage::JsonPath)
    );
    assert!(state("Files").distributed && !state("Old").distributed);
    assert_eq!(state("Which").successors().collect::<Vec<_>>(), ["Call", "Pause"]);
    assert_eq!((state("Both").next.as_deref(), state("Done").end), (Some("Done"), true));
    assert_eq!(
        state("Call").resource.as_deref(),
        Some("arn:aws:states:::lambda:invoke")
    );
    assert_eq!(
        (state("Broken").error.as_deref(), &state("Broken").cause),
        (Some("It.Broke"), &None)
    );
    let attempts: Vec<u32> = state("Call").retry.iter().map(|retrier| retrier.max_attempts).collect();
    assert_eq!(attempts, [3, 0]);
    assert_eq!(state("Call").retrier_of(Some("B")), Some(0));
    assert_eq!(state("Call").retrier_of(None), Some(1));
    assert_eq!(state("Both").catch[0].next, "Broken");
    assert!(state("Both").catch[0].matches(Some("Anything")));
}

#[test]
fn what_only_a_catch_leads_to_is_not_planned() {
    let definition = nested();
    let planned = |name: &str| definition.is_planned(definition.state(name).unwrap());
    assert!(
        ["Both", "One", "Files", "Old", "Call", "Which", "Pause", "Done"]
            .into_iter()
            .all(planned)
    );
    assert!(!planned("Broken"));
}

#[test]
fn the_wildcards_match_what_the_developer_guide_says() {
    let matches = |name: &str, error: Option<&str>| {
        let retrier = Retrier {
            error_equals: vec![name.to_owned()],
            max_attempts: 1,
        };
        retrier.matches(error)
    };
    for (name, matched, not_matched) in [
        (
            "States.ALL",
            vec!["X", "States.Timeout", "States.DataLimitExceeded"],
            vec!["States.Runtime"],
        ),
        (
            "States.TaskFailed",
            vec!["X", "Lambda.Unknown"],
            vec!["States.Timeout", "States.Runtime"],
        ),
        (
            "States.Timeout",
            vec!["States.Timeout", "States.HeartbeatTimeout"],
            vec!["X"],
        ),
        ("X", vec!["X"], vec!["x", "States.ALL"]),
    ] {
        assert!(matched.into_iter().all(|error| matches(name, Some(error))), "{name}");
        assert!(
            !not_matched.into_iter().any(|error| matches(name, Some(error))),
            "{name}"
        );
    }
    assert!(matches("States.ALL", None) && matches("States.TaskFailed", None) && !matches("X", None));
}

#[test]
fn what_is_no_definition_is_named_with_its_path() {
    let state = |state: &str| format!(r#"{{"StartAt": "A", "States": {{"A": {state}}}}}"#);
    let map = |processor: &str| state(&format!(r#"{{"Type": "Map", {processor}}}"#));
    let twice = r#""ItemProcessor": {"StartAt": "A", "States": {"A": {"Type": "Pass"}}}"#;
    for (text, says) in [
        ("{".to_owned(), "the definition is not JSON: EOF"),
        ("[]".to_owned(), "the definition is no object"),
        (r#"{"States": {}}"#.to_owned(), "StartAt is missing"),
        (r#"{"StartAt": 1, "States": {}}"#.to_owned(), "StartAt is no text"),
        (r#"{"StartAt": "A"}"#.to_owned(), "States is missing"),
        (
            r#"{"StartAt": "A", "States": {}}"#.to_owned(),
            "StartAt is \"A\", which is none of its States",
        ),
        (state("7"), "States.A is no object"),
        (state("{}"), "States.A.Type is missing"),
        (
            state(r#"{"Type": "Loop"}"#),
            "States.A.Type is \"Loop\", which is no type of state",
        ),
        (
            state(r#"{"Type": "Parallel"}"#),
            "States.A.Branches is missing, or no list",
        ),
        (
            state(r#"{"Type": "Parallel", "Branches": [{}]}"#),
            "States.A.Branches[0].StartAt is missing",
        ),
        (map(r#""End": true"#), "States.A.ItemProcessor is missing"),
        (
            map(r#""Iterator": {"StartAt": "B"}"#),
            "States.A.Iterator.States is missing",
        ),
        (
            map(twice),
            "States.A.ItemProcessor.States.A has a name that another state has too",
        ),
    ] {
        let error = Definition::parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(says), "{text}: {error}");
    }
}

#[test]
fn a_definition_that_is_too_deep_is_refused() {
    let text = "[".repeat(100_000);
    assert!(Definition::parse(&text).unwrap_err().to_string().contains("not JSON"));
}
