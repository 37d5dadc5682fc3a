//! Data of events, from JSON and from the SDK.

use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::builders::HistoryEventBuilder;
use aws_sdk_sfn::types::{
    ActivityScheduledEventDetails, ActivitySucceededEventDetails, ExecutionStartedEventDetails, HistoryEvent,
    HistoryEventType, LambdaFunctionScheduledEventDetails, LambdaFunctionSucceededEventDetails,
    MapStateStartedEventDetails, StateEnteredEventDetails, TaskScheduledEventDetails, TaskSubmittedEventDetails,
    TaskSucceededEventDetails,
};
use serde_json::{Value, json};

use crate::past::Data;

const TEXT: &str = r#"{ "a": "é" }"#;

fn of_sdk(kind: HistoryEventType, details: impl FnOnce(HistoryEventBuilder) -> HistoryEventBuilder) -> Data {
    let event = HistoryEvent::builder()
        .r#type(kind)
        .id(9)
        .timestamp(DateTime::from_secs(0));
    Data::of_sdk(details(event).build().unwrap())
}

fn of_json(kind: &str, field: &str, details: &Value) -> Data {
    let mut event = json!({"id": 9, "type": kind});
    event[field] = details.clone();
    Data::of_json(&event)
}

#[test]
fn an_event_has_the_same_data_in_json_and_from_the_sdk() {
    let text = || TEXT.to_owned();
    let scheduled = TaskScheduledEventDetails::builder()
        .resource_type("ecs")
        .resource("runTask.sync")
        .region("r")
        .parameters(TEXT);
    let submitted = TaskSubmittedEventDetails::builder()
        .resource_type("ecs")
        .resource("runTask.sync");
    let succeeded = TaskSucceededEventDetails::builder()
        .resource_type("ecs")
        .resource("runTask.sync");
    let function = LambdaFunctionScheduledEventDetails::builder()
        .resource("arn:f")
        .input(TEXT);
    let activity = ActivityScheduledEventDetails::builder().resource("arn:a").input(TEXT);
    let entered = StateEnteredEventDetails::builder().name("S").input(TEXT);
    let (input, output) = (json!({"input": TEXT, "name": "S"}), json!({"output": TEXT}));
    for (found, kind, field, details, expected) in [
        (
            of_sdk(HistoryEventType::ExecutionStarted, |event| {
                let details = ExecutionStartedEventDetails::builder().input(TEXT);
                event.execution_started_event_details(details.build())
            }),
            "ExecutionStarted",
            "executionStartedEventDetails",
            input.clone(),
            Data::Input(text()),
        ),
        (
            of_sdk(HistoryEventType::TaskScheduled, |event| {
                event.task_scheduled_event_details(scheduled.build().unwrap())
            }),
            "TaskScheduled",
            "taskScheduledEventDetails",
            json!({"parameters": TEXT}),
            Data::Parameters(text()),
        ),
        (
            of_sdk(HistoryEventType::LambdaFunctionScheduled, |event| {
                event.lambda_function_scheduled_event_details(function.build().unwrap())
            }),
            "LambdaFunctionScheduled",
            "lambdaFunctionScheduledEventDetails",
            input.clone(),
            Data::Parameters(text()),
        ),
        (
            of_sdk(HistoryEventType::ActivityScheduled, |event| {
                event.activity_scheduled_event_details(activity.build().unwrap())
            }),
            "ActivityScheduled",
            "activityScheduledEventDetails",
            input.clone(),
            Data::Parameters(text()),
        ),
        (
            of_sdk(HistoryEventType::TaskSubmitted, |event| {
                event.task_submitted_event_details(submitted.output(TEXT).build().unwrap())
            }),
            "TaskSubmitted",
            "taskSubmittedEventDetails",
            output.clone(),
            Data::Submitted(text()),
        ),
        (
            of_sdk(HistoryEventType::TaskSucceeded, |event| {
                event.task_succeeded_event_details(succeeded.output(TEXT).build().unwrap())
            }),
            "TaskSucceeded",
            "taskSucceededEventDetails",
            output.clone(),
            Data::Result(text()),
        ),
        (
            of_sdk(HistoryEventType::LambdaFunctionSucceeded, |event| {
                let details = LambdaFunctionSucceededEventDetails::builder().output(TEXT);
                event.lambda_function_succeeded_event_details(details.build())
            }),
            "LambdaFunctionSucceeded",
            "lambdaFunctionSucceededEventDetails",
            output.clone(),
            Data::Result(text()),
        ),
        (
            of_sdk(HistoryEventType::ActivitySucceeded, |event| {
                let details = ActivitySucceededEventDetails::builder().output(TEXT);
                event.activity_succeeded_event_details(details.build())
            }),
            "ActivitySucceeded",
            "activitySucceededEventDetails",
            output,
            Data::Result(text()),
        ),
        (
            of_sdk(HistoryEventType::MapStateStarted, |event| {
                event.map_state_started_event_details(MapStateStartedEventDetails::builder().length(3).build())
            }),
            "MapStateStarted",
            "mapStateStartedEventDetails",
            json!({"length": 3}),
            Data::Length(3),
        ),
        // What the event itself has is not kept twice.
        (
            of_sdk(HistoryEventType::TaskStateEntered, |event| {
                event.state_entered_event_details(entered.build().unwrap())
            }),
            "TaskStateEntered",
            "stateEnteredEventDetails",
            input,
            Data::Nothing,
        ),
    ] {
        assert_eq!(found, expected, "{kind}");
        assert_eq!(of_json(kind, field, &details), expected, "{kind}");
    }
}

#[test]
fn data_that_is_not_there_or_odd_is_none() {
    for (kind, field, details) in [
        ("ExecutionStarted", "executionStartedEventDetails", json!({})),
        (
            "TaskScheduled",
            "taskScheduledEventDetails",
            json!({"parameters": {"a": 1}}),
        ),
        ("TaskSucceeded", "taskSucceededEventDetails", Value::Null),
        ("MapStateStarted", "mapStateStartedEventDetails", json!({"length": -1})),
        (
            "MapStateStarted",
            "mapStateStartedEventDetails",
            json!({"length": 1_u64 << 40}),
        ),
        ("SomethingNew", "taskSucceededEventDetails", json!({"output": "1"})),
    ] {
        assert_eq!(of_json(kind, field, &details), Data::Nothing, "{kind} {details}");
    }
    assert_eq!(Data::of_json(&json!([])), Data::Nothing);
    let negative = of_sdk(HistoryEventType::MapStateStarted, |event| {
        event.map_state_started_event_details(MapStateStartedEventDetails::builder().length(-1).build())
    });
    assert_eq!(negative, Data::Nothing);
}
