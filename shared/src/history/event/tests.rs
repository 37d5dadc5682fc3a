use super::*;

fn event(json: &str) -> Event {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_state_that_is_left_has_its_output_and_the_variables_it_assigned_as_json() {
    let left = event(
        r#"{"id": 3, "previousEventId": 2, "type": "PassStateExited", "timestamp": 1700000000.125,
            "stateExitedEventDetails": {"name": "Set", "output": "{\"a\":1}", "outputDetails": {"truncated": false},
              "assignedVariables": {"x": "42", "text": "\"42\"", "odd": 7}, "assignedVariablesDetails": {"truncated": false}}}"#,
    );
    assert_eq!((left.id, left.previous), (3, 2));
    assert_eq!(left.at, Some(Timestamp::from_millis(1_700_000_000_125)));
    let assigned = BTreeMap::from([
        ("text".to_owned(), "\"42\"".to_owned()),
        ("x".to_owned(), "42".to_owned()),
    ]);
    let expected = What::Exited {
        kind: Kind::Pass,
        state: "Set".to_owned(),
        output: Some("{\"a\":1}".to_owned()),
        assigned,
    };
    assert_eq!(left.what, expected);
    // Read without data, both are absent.
    let without = event(r#"{"type": "PassStateExited", "stateExitedEventDetails": {"name": "Set"}}"#);
    let expected = What::Exited {
        kind: Kind::Pass,
        state: "Set".to_owned(),
        output: None,
        assigned: BTreeMap::new(),
    };
    assert_eq!(without.what, expected);
}

#[test]
fn what_is_not_known_or_not_there_is_something_else() {
    for json in [
        "{}",
        r#"{"type": "SomethingNew", "somethingNewEventDetails": {"name": "X"}}"#,
        r#"{"type": "QuantumStateEntered", "stateEnteredEventDetails": {"name": "X"}}"#,
        r#"{"type": "TaskStateEntered"}"#,
        r#"{"type": "TaskStateEntered", "stateEnteredEventDetails": null}"#,
        r#"{"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": 7}}"#,
        r#"{"type": "MapIterationStarted", "mapIterationStartedEventDetails": {"name": "M", "index": -1}}"#,
        r#"{"type": "EvaluationFailed", "evaluationFailedEventDetails": {}}"#,
        r#"{"type": 7, "id": "x", "previousEventId": 1.5, "timestamp": {}}"#,
        r#"{"timestamp": "yesterday", "new": [{}]}"#,
        r#"{"timestamp": 1e300}"#,
    ] {
        let event = event(json);
        assert_eq!((event.what, event.at), (What::Other, None), "{json}");
    }
    assert!(serde_json::from_str::<Event>("[]").is_err());
}

#[test]
fn times_come_as_seconds_or_as_text() {
    let times = [
        r#"{"timestamp": 1700000000.5}"#,
        r#"{"timestamp": "2023-11-14T22:13:20.500Z"}"#,
        r#"{"timestamp": "2023-11-14T23:13:20.500+01:00"}"#,
    ];
    assert!(
        times
            .iter()
            .all(|json| event(json).at == Some(Timestamp::from_millis(1_700_000_000_500)))
    );
    assert_eq!(
        event(r#"{"timestamp": 1700000000}"#).at,
        Some(Timestamp::from_millis(1_700_000_000_000))
    );
}

#[test]
fn an_error_and_its_cause_may_be_missing() {
    let ended = |details: &str| {
        let details = format!(r#"{{"type": "ExecutionFailed", "executionFailedEventDetails": {details}}}"#);
        event(&details).what
    };
    let expected = |error: Option<&str>, cause: Option<&str>| {
        let reason = Reason {
            error: error.map(str::to_owned),
            cause: cause.map(str::to_owned),
        };
        What::ExecutionEnded(Ended::Failed, reason)
    };
    assert_eq!(ended("{}"), expected(None, None));
    assert_eq!(ended(r#"{"cause": "no JSON {"}"#), expected(None, Some("no JSON {")));
    assert_eq!(
        ended(r#"{"error": "E", "cause": "\"{}\""}"#),
        expected(Some("E"), Some("\"{}\""))
    );
}

#[cfg(feature = "sfn")]
mod of_the_sdk {
    use aws_sdk_sfn::types::{
        EvaluationFailedEventDetails, ExecutionFailedEventDetails, HistoryEvent, HistoryEventType,
        LambdaFunctionScheduledEventDetails, MapIterationEventDetails, MapRunFailedEventDetails,
        StateEnteredEventDetails, StateExitedEventDetails, TaskFailedEventDetails, TaskScheduledEventDetails,
        builders::HistoryEventBuilder,
    };
    use aws_smithy_types::DateTime;

    use super::*;

    fn of(kind: HistoryEventType, details: impl FnOnce(HistoryEventBuilder) -> HistoryEventBuilder) -> Event {
        let event = HistoryEvent::builder().r#type(kind).id(9).previous_event_id(8);
        let event = details(event.timestamp(DateTime::from_millis(1_700_000_000_500)));
        Event::from(&event.build().unwrap())
    }

    fn same(event: &Event, json: &str) {
        let json = format!(r#"{{"id": 9, "previousEventId": 8, "timestamp": 1700000000.5, {json}}}"#);
        assert_eq!(event, &super::event(&json), "{json}");
    }

    #[test]
    fn an_event_of_the_sdk_is_what_its_json_is() {
        let entered = StateEnteredEventDetails::builder()
            .name("S")
            .input("{}")
            .build()
            .unwrap();
        let exited = StateExitedEventDetails::builder()
            .name("S")
            .output("1")
            .assigned_variables("x", "2");
        let iteration = || MapIterationEventDetails::builder().name("M").index(4).build();
        let scheduled = TaskScheduledEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke");
        let scheduled = scheduled.region("r").parameters("{}").build().unwrap();
        let failed = TaskFailedEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke");
        let failed = failed.error("E").cause("C").build().unwrap();
        let function = LambdaFunctionScheduledEventDetails::builder()
            .resource("arn:f")
            .build()
            .unwrap();
        for (event, json) in [
            (
                of(HistoryEventType::TaskStateEntered, |event| {
                    event.state_entered_event_details(entered)
                }),
                r#""type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "S", "input": "{}"}"#,
            ),
            (
                of(HistoryEventType::MapStateExited, |event| {
                    event.state_exited_event_details(exited.build().unwrap())
                }),
                r#""type": "MapStateExited", "stateExitedEventDetails": {"name": "S", "output": "1", "assignedVariables": {"x": "2"}}"#,
            ),
            (
                of(HistoryEventType::MapIterationStarted, |event| {
                    event.map_iteration_started_event_details(iteration())
                }),
                r#""type": "MapIterationStarted", "mapIterationStartedEventDetails": {"name": "M", "index": 4}"#,
            ),
            (
                of(HistoryEventType::MapIterationSucceeded, |event| {
                    event.map_iteration_succeeded_event_details(iteration())
                }),
                r#""type": "MapIterationSucceeded", "mapIterationSucceededEventDetails": {"name": "M", "index": 4}"#,
            ),
            (
                of(HistoryEventType::MapIterationFailed, |event| {
                    event.map_iteration_failed_event_details(iteration())
                }),
                r#""type": "MapIterationFailed", "mapIterationFailedEventDetails": {"name": "M", "index": 4}"#,
            ),
            (
                of(HistoryEventType::TaskScheduled, |event| {
                    event.task_scheduled_event_details(scheduled)
                }),
                r#""type": "TaskScheduled", "taskScheduledEventDetails": {"resourceType": "lambda", "resource": "invoke"}"#,
            ),
            (
                of(HistoryEventType::TaskFailed, |event| {
                    event.task_failed_event_details(failed)
                }),
                r#""type": "TaskFailed", "taskFailedEventDetails": {"resourceType": "lambda", "resource": "invoke", "error": "E", "cause": "C"}"#,
            ),
            (
                of(HistoryEventType::LambdaFunctionScheduled, |event| {
                    event.lambda_function_scheduled_event_details(function)
                }),
                r#""type": "LambdaFunctionScheduled", "lambdaFunctionScheduledEventDetails": {"resource": "arn:f"}"#,
            ),
        ] {
            same(&event, json);
        }
    }

    #[test]
    fn a_failure_of_the_sdk_is_what_its_json_is() {
        let evaluation = EvaluationFailedEventDetails::builder().state("S").error("E").cause("C");
        for (event, json) in [
            (
                of(HistoryEventType::EvaluationFailed, |event| {
                    event.evaluation_failed_event_details(evaluation.build().unwrap())
                }),
                r#""type": "EvaluationFailed", "evaluationFailedEventDetails": {"state": "S", "error": "E", "cause": "C"}"#,
            ),
            (
                of(HistoryEventType::MapRunFailed, |event| {
                    event.map_run_failed_event_details(MapRunFailedEventDetails::builder().cause("C").build())
                }),
                r#""type": "MapRunFailed", "mapRunFailedEventDetails": {"cause": "C"}"#,
            ),
            (
                of(HistoryEventType::ExecutionFailed, |event| {
                    event.execution_failed_event_details(ExecutionFailedEventDetails::builder().error("E").build())
                }),
                r#""type": "ExecutionFailed", "executionFailedEventDetails": {"error": "E"}"#,
            ),
            (
                of(HistoryEventType::ExecutionRedriven, |event| event),
                r#""type": "ExecutionRedriven""#,
            ),
            (
                of(HistoryEventType::from("SomethingNew"), |event| event),
                r#""type": "SomethingNew""#,
            ),
        ] {
            same(&event, json);
        }
    }
}
