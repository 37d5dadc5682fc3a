//! What of an event's data is kept beside what [`Event`](signalbox::history::Event) has of it.

use aws_sdk_sfn::types::HistoryEvent;
use serde_json::Value;

/// Data of an event that a reader of failures has no need of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Data {
    /// None.
    #[default]
    Nothing,
    /// `ExecutionStarted`: the execution's input, JSON.
    Input(String),
    /// `TaskScheduled`: the parameters, JSON; `LambdaFunctionScheduled` and `ActivityScheduled`: the input.
    Parameters(String),
    /// `TaskSubmitted`: what the service answered, JSON.
    Submitted(String),
    /// `TaskSucceeded`, `LambdaFunctionSucceeded`, `ActivitySucceeded`: the answer, JSON.
    Result(String),
    /// `MapStateStarted`: how many iterations there are.
    Length(u32),
}

impl Data {
    /// Of an event in the JSON of `GetExecutionHistory`.
    #[must_use]
    pub fn of_json(event: &Value) -> Self {
        let text = |details: &str, field: &str| event[details][field].as_str().map(str::to_owned);
        let found = match event["type"].as_str().unwrap_or_default() {
            "ExecutionStarted" => text("executionStartedEventDetails", "input").map(Self::Input),
            "TaskScheduled" => text("taskScheduledEventDetails", "parameters").map(Self::Parameters),
            "LambdaFunctionScheduled" => text("lambdaFunctionScheduledEventDetails", "input").map(Self::Parameters),
            "ActivityScheduled" => text("activityScheduledEventDetails", "input").map(Self::Parameters),
            "TaskSubmitted" => text("taskSubmittedEventDetails", "output").map(Self::Submitted),
            "TaskSucceeded" => text("taskSucceededEventDetails", "output").map(Self::Result),
            "LambdaFunctionSucceeded" => text("lambdaFunctionSucceededEventDetails", "output").map(Self::Result),
            "ActivitySucceeded" => text("activitySucceededEventDetails", "output").map(Self::Result),
            "MapStateStarted" => {
                let length = event["mapStateStartedEventDetails"]["length"].as_u64();
                length.and_then(|length| u32::try_from(length).ok()).map(Self::Length)
            }
            _ => None,
        };
        found.unwrap_or_default()
    }

    /// Of the SDK's event, which is used up.
    #[must_use]
    pub fn of_sdk(event: HistoryEvent) -> Self {
        let first = [
            event
                .execution_started_event_details
                .and_then(|found| found.input)
                .map(Self::Input),
            event
                .task_scheduled_event_details
                .map(|found| Self::Parameters(found.parameters)),
            event
                .lambda_function_scheduled_event_details
                .and_then(|found| found.input)
                .map(Self::Parameters),
            event
                .activity_scheduled_event_details
                .and_then(|found| found.input)
                .map(Self::Parameters),
            event
                .task_submitted_event_details
                .and_then(|found| found.output)
                .map(Self::Submitted),
            event
                .task_succeeded_event_details
                .and_then(|found| found.output)
                .map(Self::Result),
            event
                .lambda_function_succeeded_event_details
                .and_then(|found| found.output)
                .map(Self::Result),
            event
                .activity_succeeded_event_details
                .and_then(|found| found.output)
                .map(Self::Result),
            event
                .map_state_started_event_details
                .and_then(|found| u32::try_from(found.length).ok())
                .map(Self::Length),
        ];
        first.into_iter().flatten().next().unwrap_or_default()
    }
}
