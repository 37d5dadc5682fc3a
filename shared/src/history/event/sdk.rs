//! An event from the SDK's own.

use aws_sdk_sfn::types::{HistoryEvent, MapIterationEventDetails};

use super::Event;
use super::details::{Details, what};
use crate::clock::Timestamp;

impl From<&HistoryEvent> for Event {
    fn from(event: &HistoryEvent) -> Self {
        Self {
            id: event.id,
            previous: event.previous_event_id,
            at: Some(Timestamp::from(event.timestamp)),
            what: what(event.r#type.as_str(), details(event)),
        }
    }
}

/// `error` and `cause` of whichever details are there.
macro_rules! reason {
    ($event:ident, $details:ident, $($field:ident),+) => {
        $(if let Some(found) = &$event.$field {
            $details.error.clone_from(&found.error);
            $details.cause.clone_from(&found.cause);
        })+
    };
}

/// What a Task called, of whichever details are there.
macro_rules! integration {
    ($event:ident, $details:ident, $($field:ident),+) => {
        $(if let Some(found) = &$event.$field {
            $details.resource_type = Some(found.resource_type.clone());
            $details.resource = Some(found.resource.clone());
        })+
    };
}

fn details(event: &HistoryEvent) -> Details {
    let mut details = Details::default();
    reason!(
        event,
        details,
        execution_failed_event_details,
        execution_timed_out_event_details,
        execution_aborted_event_details,
        task_failed_event_details,
        task_timed_out_event_details,
        task_start_failed_event_details,
        task_submit_failed_event_details,
        lambda_function_failed_event_details,
        lambda_function_timed_out_event_details,
        lambda_function_start_failed_event_details,
        lambda_function_schedule_failed_event_details,
        activity_failed_event_details,
        activity_timed_out_event_details,
        activity_schedule_failed_event_details,
        map_run_failed_event_details,
        evaluation_failed_event_details
    );
    if let Some(found) = &event.evaluation_failed_event_details {
        details.state = Some(found.state.clone());
    }
    if let Some(found) = &event.state_entered_event_details {
        details.name = Some(found.name.clone());
        details.input.clone_from(&found.input);
    }
    if let Some(found) = &event.state_exited_event_details {
        details.name = Some(found.name.clone());
        details.output.clone_from(&found.output);
        let assigned = found.assigned_variables.iter().flatten();
        details.assigned = assigned.map(|(name, value)| (name.clone(), value.clone())).collect();
    }
    if let Some(MapIterationEventDetails { name, index, .. }) = [
        &event.map_iteration_started_event_details,
        &event.map_iteration_succeeded_event_details,
        &event.map_iteration_failed_event_details,
    ]
    .into_iter()
    .find_map(Option::as_ref)
    {
        details.name.clone_from(name);
        details.index = u32::try_from(*index).ok();
    }
    integration!(
        event,
        details,
        task_scheduled_event_details,
        task_failed_event_details,
        task_timed_out_event_details,
        task_start_failed_event_details,
        task_submit_failed_event_details
    );
    if let Some(found) = &event.lambda_function_scheduled_event_details {
        details.resource = Some(found.resource.clone());
    }
    if let Some(found) = &event.activity_scheduled_event_details {
        details.resource = Some(found.resource.clone());
    }
    details
}
