//! An execution has ended: what it has left running is stopped.

use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Clock;
use signalbox::ecs::cluster::WatchTasks;
use signalbox::ecs::error::Error;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::record::{Record, Stop, Why};
use signalbox::ecs::store::Records;
use signalbox::request::BadRequest;

use crate::{Outcome, Settles};

/// The end of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The execution.
    pub execution: ExecutionArn,
    /// How often it had been redriven: what runs since a later redrive is not stopped by an event that comes late.
    pub redrive: u32,
}

/// Reads a `Step Functions Execution Status Change`. `None`: it is not the end of an execution that can have tasks.
///
/// Source of the shape: Step Functions developer guide, "Automating Step Functions event delivery with EventBridge".
pub fn end_in(event: &Value) -> Result<Option<End>, BadRequest> {
    let detail = &event["detail"];
    if !matches!(
        detail["status"].as_str(),
        Some("SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED")
    ) {
        return Ok(None);
    }
    let redrive = detail["redriveCount"]
        .as_u64()
        .and_then(|count| u32::try_from(count).ok());
    let arn = detail["executionArn"].as_str().unwrap_or_default();
    match ExecutionArn::parse_with_children(arn) {
        Ok(execution) => Ok(Some(End {
            execution,
            redrive: redrive.unwrap_or(0),
        })),
        // An express execution, which waits for no callback.
        Err(_) if arn.starts_with("arn:") => Ok(None),
        Err(error) => Err(BadRequest::new("detail.executionArn", error.to_string())),
    }
}

impl<R, E, T, S, L, Q, C> Settles<R, E, T, S, L, Q, C>
where
    R: Records,
    E: WatchTasks,
    C: Clock,
{
    /// Stops what an execution that has ended has left running.
    pub async fn execution_ended(&self, end: &End) -> Result<Outcome, Error> {
        let open = self.records.open_of_run(&TaskKey::run_of(&end.execution)).await?;
        let mut failed = None;
        for record in open.iter().filter(|record| record.attempt().redrive <= end.redrive) {
            // One that cannot be stopped must not keep the others running.
            if let Err(error) = self.stop(record, Why::ExecutionEnded).await {
                failed = Some(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Outcome::Stopped),
        }
    }

    /// The ARN of a record's task, also if whoever started it has not noted it.
    pub(crate) async fn task_of(&self, record: &Record) -> Result<Option<String>, Error> {
        match &record.task {
            Some(task) => Ok(Some(task.clone())),
            None => Ok(self.cluster.find(&record.plan.cluster, &record.origin).await?),
        }
    }

    /// Has the task of an open record stopped. Whoever launches it, and has not noted it yet, sees that it is to be stopped.
    pub(crate) async fn stop(&self, record: &Record, why: Why) -> Result<(), Error> {
        let stop = Stop {
            why,
            since: self.clock.now(),
        };
        // It has ended, or a later attempt has taken its task over.
        if !self.records.stopping(&record.key, stop).await? {
            return Ok(());
        }
        if let Some(task) = self.task_of(record).await? {
            tracing::info!(executionArn = %record.execution, state = record.state, task, why = why.name(), "a task is stopped");
            self.cluster.stop(&record.plan.cluster, &task, why.for_people()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = "arn:aws:states:us-east-1:123456789012:execution:etl:run-1";

    #[test]
    fn ends_are_read_with_their_redrives() {
        for status in ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"] {
            let event = json!({"detail": {"executionArn": RUN, "status": status, "redriveCount": 2, "later": 1}});
            let end = end_in(&event).unwrap().unwrap();
            assert_eq!((end.execution.as_str(), end.redrive), (RUN, 2), "{status}");
        }
        let event = json!({"detail": {"executionArn": RUN, "status": "FAILED"}});
        assert_eq!(end_in(&event).unwrap().unwrap().redrive, 0);
    }

    #[test]
    fn what_is_no_end_is_ignored_and_what_cannot_be_read_is_an_error() {
        for detail in [
            json!({"executionArn": RUN, "status": "RUNNING"}),
            json!({"executionArn": RUN, "status": "PENDING_REDRIVE"}),
            json!({}),
            json!({"executionArn": "arn:aws:states:us-east-1:123456789012:express:m:r:0f", "status": "FAILED"}),
        ] {
            assert_eq!(end_in(&json!({"detail": detail})), Ok(None), "{detail}");
        }
        let nameless = end_in(&json!({"detail": {"status": "FAILED"}}));
        assert_eq!(nameless.unwrap_err().path(), "detail.executionArn");
    }
}
