//! Faults on demand: what AWS does on a bad day, on a named API of one account.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::{Account, Error};

/// A fault to inject with [`Account::fault`]. An API is a service and an operation, `DynamoDB.UpdateItem` or
/// `States.ListExecutions`, or `DynamoDB.*` for all of a service. The faults of events strike their delivery to the targets
/// of rules, not the bus.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    api: String,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    after_effect: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matching: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    containers: Option<bool>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Throttle,
    Error,
    Delay,
    ApplyThenFail,
    Drop,
    Stale,
    Double,
    Reorder,
    RateLimit,
    TaskFailures,
    Fail,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Caller {
    Functions,
}

/// The delivery of an event on the default bus to a target of a rule.
const DELIVERY: &str = "EventBridge.Deliver";

impl Fault {
    /// The service's own throttling error.
    #[must_use]
    pub fn throttle(api: &str) -> Self {
        Self::new(api, Kind::Throttle)
    }

    /// An error with a code, an HTTP status and a message; the call takes no effect.
    #[must_use]
    pub fn error(api: &str, code: &str, status: u16, message: &str) -> Self {
        Self::new(api, Kind::Error).with_error(code, status, message)
    }

    /// The answer comes later.
    #[must_use]
    pub fn delay(api: &str, by: Duration) -> Self {
        Self {
            seconds: Some(by.as_secs_f64()),
            ..Self::new(api, Kind::Delay)
        }
    }

    /// The call takes effect, but its caller gets an error: the service's own for status 500, if no other is set.
    #[must_use]
    pub fn apply_then_fail(api: &str) -> Self {
        Self::new(api, Kind::ApplyThenFail)
    }

    /// The connection is closed without an answer; the call takes no effect.
    #[must_use]
    pub fn drop_connection(api: &str) -> Self {
        Self::new(api, Kind::Drop)
    }

    /// The connection is closed without an answer, after the call has taken effect.
    #[must_use]
    pub fn drop_after_effect(api: &str) -> Self {
        Self {
            after_effect: true,
            ..Self::new(api, Kind::Drop)
        }
    }

    /// `States.ListExecutions` or `States.DescribeExecution` answers as of some time ago.
    #[must_use]
    pub fn stale(api: &str, by: Duration) -> Self {
        Self {
            seconds: Some(by.as_secs_f64()),
            ..Self::new(api, Kind::Stale)
        }
    }

    /// Events do not reach the targets of their rules.
    #[must_use]
    pub fn drop_events() -> Self {
        Self::new(DELIVERY, Kind::Drop)
    }

    /// Events reach the targets of their rules twice.
    #[must_use]
    pub fn double_events() -> Self {
        Self::new(DELIVERY, Kind::Double)
    }

    /// Events reach the targets of their rules later.
    #[must_use]
    pub fn delay_events(by: Duration) -> Self {
        Self::delay(DELIVERY, by)
    }

    /// Events reach the targets of their rules later, each by a share of `within` of its own: out of order.
    #[must_use]
    pub fn reorder_events(within: Duration) -> Self {
        Self {
            seconds: Some(within.as_secs_f64()),
            ..Self::new(DELIVERY, Kind::Reorder)
        }
    }

    /// The service takes so many calls a second, and throttles the others.
    #[must_use]
    pub fn rate_limit(api: &str, per_second: f64) -> Self {
        Self {
            per_second: Some(per_second),
            ..Self::new(api, Kind::RateLimit)
        }
    }

    /// `RunTask` starts nothing, and says why in its `failures`: `RESOURCE:MEMORY`.
    #[must_use]
    pub fn task_failures(reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::new("ECS.RunTask", Kind::TaskFailures)
        }
    }

    /// Tasks are taken, and then cannot be started; `containers`: whether ECS still lists them.
    #[must_use]
    pub fn task_start(reason: &str, containers: bool) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            containers: Some(containers),
            ..Self::new("ECS.Start", Kind::Fail)
        }
    }

    /// The error that the caller gets.
    #[must_use]
    pub fn with_error(mut self, code: &str, status: u16, message: &str) -> Self {
        self.code = Some(code.to_owned());
        self.status = Some(status);
        self.message = Some(message.to_owned());
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only this share of the calls, from 0 to 1.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Only calls whose body, or events whose text, contains this: a table's name, an ARN, a key.
    #[must_use]
    pub fn matching(mut self, text: &str) -> Self {
        self.matching = Some(text.to_owned());
        self
    }

    /// Only calls of the functions: the test's own are spared.
    #[must_use]
    pub fn from_functions(mut self) -> Self {
        self.caller = Some(Caller::Functions);
        self
    }

    fn new(api: &str, kind: Kind) -> Self {
        Self {
            api: api.to_owned(),
            kind,
            code: None,
            status: None,
            message: None,
            seconds: None,
            after_effect: false,
            times: None,
            rate: None,
            matching: None,
            caller: None,
            per_second: None,
            reason: None,
            containers: None,
        }
    }
}

/// A fault that is in force, until it is used up or cleared.
#[derive(Debug, Clone)]
pub struct ActiveFault {
    account: Account,
    id: String,
}

impl ActiveFault {
    pub(crate) fn new(account: Account, id: String) -> Self {
        Self { account, id }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many calls it has hit.
    pub async fn hits(&self) -> Result<u64, Error> {
        let faults = self.account.faults().await?;
        let own = faults.iter().find(|fault| fault["id"] == self.id.as_str());
        own.and_then(|fault| fault["hits"].as_u64()).ok_or_else(|| {
            Error::unexpected(
                "GET /_local/faults",
                format!("no hits of {}: {}", self.id, Value::from(faults.clone())),
            )
        })
    }

    /// Ends it.
    pub async fn clear(self) -> Result<(), Error> {
        self.account.clear_fault(&self.id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_written_as_the_local_cloud_reads_them() {
        let cases = [
            (
                Fault::throttle("DynamoDB.UpdateItem")
                    .rate(0.5)
                    .times(10)
                    .from_functions(),
                json!({"api": "DynamoDB.UpdateItem", "kind": "throttle", "rate": 0.5, "times": 10, "caller": "functions"}),
            ),
            (
                Fault::stale("States.ListExecutions", Duration::from_millis(1500)),
                json!({"api": "States.ListExecutions", "kind": "stale", "seconds": 1.5}),
            ),
            (
                Fault::error("DynamoDB.*", "InternalServerError", 500, "no").matching("locks"),
                json!({"api": "DynamoDB.*", "kind": "error", "code": "InternalServerError", "status": 500,
                       "message": "no", "match": "locks"}),
            ),
            (
                Fault::apply_then_fail("DynamoDB.PutItem"),
                json!({"api": "DynamoDB.PutItem", "kind": "applyThenFail"}),
            ),
            (
                Fault::drop_connection("States.*"),
                json!({"api": "States.*", "kind": "drop"}),
            ),
            (
                Fault::drop_after_effect("States.*"),
                json!({"api": "States.*", "kind": "drop", "afterEffect": true}),
            ),
            (
                Fault::delay("States.*", Duration::from_secs(2)),
                json!({"api": "States.*", "kind": "delay", "seconds": 2.0}),
            ),
            (
                Fault::drop_events().matching("FAILED").times(1),
                json!({"api": "EventBridge.Deliver", "kind": "drop", "match": "FAILED", "times": 1}),
            ),
            (
                Fault::double_events().rate(0.5),
                json!({"api": "EventBridge.Deliver", "kind": "double", "rate": 0.5}),
            ),
            (
                Fault::delay_events(Duration::from_millis(250)),
                json!({"api": "EventBridge.Deliver", "kind": "delay", "seconds": 0.25}),
            ),
            (
                Fault::reorder_events(Duration::from_secs(3)),
                json!({"api": "EventBridge.Deliver", "kind": "reorder", "seconds": 3.0}),
            ),
            (
                Fault::rate_limit("ECS.RunTask", 20.0),
                json!({"api": "ECS.RunTask", "kind": "rateLimit", "perSecond": 20.0}),
            ),
            (
                Fault::task_failures("RESOURCE:MEMORY").times(1),
                json!({"api": "ECS.RunTask", "kind": "taskFailures", "reason": "RESOURCE:MEMORY", "times": 1}),
            ),
            (
                Fault::task_start("Timeout waiting for network interface provisioning to complete.", false),
                json!({"api": "ECS.Start", "kind": "fail", "containers": false,
                       "reason": "Timeout waiting for network interface provisioning to complete."}),
            ),
        ];
        for (fault, written) in cases {
            assert_eq!(serde_json::to_value(fault).unwrap(), written);
        }
    }
}
