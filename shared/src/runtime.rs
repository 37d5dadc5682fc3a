//! The entry that every `main.rs` uses: a subscriber that writes JSON, requests parsed at the edge, errors with their
//! names, and one structured line for each invocation, which is a metric of those that alarms watch.

use std::cell::RefCell;
use std::future::Future;
use std::io::Write;
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::failure::{Failure, diagnostic};
use crate::request::{BadRequest, parse};

/// A function of the fleet: what is done for one request.
pub trait Handler {
    /// The request, read strictly (`deny_unknown_fields`).
    type Request: DeserializeOwned;
    /// The answer.
    type Answer: Serialize;
    /// The named error.
    type Failure: Failure + From<BadRequest>;

    /// Answers one request.
    fn handle(
        &self,
        request: Self::Request,
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Self::Answer, Self::Failure>>;
}

/// One invocation: what the handler may know of it, and what it tells for the log.
#[derive(Debug)]
pub struct Invocation {
    /// When Lambda ends the invocation.
    pub deadline: Timestamp,
    execution: RefCell<Option<String>>,
    outcome: RefCell<Option<&'static str>>,
}

impl Invocation {
    /// An invocation that Lambda ends at `deadline`.
    #[must_use]
    pub fn until(deadline: Timestamp) -> Self {
        Self {
            deadline,
            execution: RefCell::default(),
            outcome: RefCell::default(),
        }
    }

    /// Names the execution that the invocation is about.
    pub fn about(&self, execution: impl Into<String>) {
        self.execution.replace(Some(execution.into()));
    }

    /// Says in one word how it ended; for an error, its name is taken. [`SWEPT`] is counted, for the alarms.
    pub fn outcome(&self, outcome: &'static str) {
        self.outcome.replace(Some(outcome));
    }
}

/// The outcome of a sweep that has come to its end.
pub const SWEPT: &str = "swept";

/// Time that is left for the answer when [`within`] gives up.
const ANSWER: Duration = Duration::from_secs(1);

/// `work`, if it is done before Lambda ends the invocation. A call to AWS may outlast the time that a protocol watches: an
/// error beats no answer, as it has a name.
pub async fn within<T>(invocation: &Invocation, work: impl Future<Output = T>) -> Option<T> {
    let left = invocation.deadline.since(SystemClock.now()).saturating_sub(ANSWER);
    tokio::time::timeout(left, Box::pin(work)).await.ok()
}

/// Makes every `tracing` event a line of JSON on standard output. To be called first.
pub fn init_logging() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .init();
}

/// Serves invocations until Lambda ends the sandbox.
pub async fn serve<H: Handler>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error> {
    let first = RefCell::new(true);
    let (handler, first) = (&handler, &first);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let cold = first.replace(false);
        answer(function, handler, event, cold, &SystemClock, &mut std::io::stdout()).await
    }))
    .await
}

async fn answer<H: Handler>(
    function: &'static str,
    handler: &H,
    event: LambdaEvent<Value>,
    cold: bool,
    clock: &impl Clock,
    log: &mut impl Write,
) -> Result<Value, Diagnostic> {
    let began = clock.now();
    let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
    let invocation = Invocation::until(Timestamp::from_millis(deadline));
    let result = match parse::<H::Request>(event.payload) {
        // On the heap: futures that nest as deep as the SDK's pass the compiler's limit otherwise.
        Ok(request) => Box::pin(handler.handle(request, &invocation)).await,
        Err(refusal) => Err(refusal.into()),
    };
    let outcome = match &result {
        Ok(_) => invocation.outcome.borrow().unwrap_or("ok"),
        Err(failure) => failure.name(),
    };
    let line = Line {
        function,
        function_name: &event.context.env_config.function_name,
        request_id: &event.context.request_id,
        execution: invocation.execution.borrow().clone(),
        outcome,
        failed: result.is_err(),
        cold,
        at: clock.now(),
        began,
    };
    // A log that cannot be written is no reason to withhold the answer.
    let _ = writeln!(log, "{}", line.to_json());
    match result {
        Ok(answer) => serde_json::to_value(answer).map_err(|error| Diagnostic {
            error_type: "Runtime.AnswerNotJson".to_owned(),
            error_message: error.to_string(),
        }),
        Err(failure) => Err(diagnostic(&failure)),
    }
}

/// The one line of an invocation. For the end of a sweep it is a metric too: CloudWatch's embedded metric format wants
/// `_aws` at the root of the line, which a `tracing` event cannot have, so it is written beside the subscriber.
///
/// Nothing else is one: CloudWatch charges each metric by the hour, and with one for each outcome they cost more than all
/// that the fleet does. What was answered how often is in the lines; how often and how long a function ran, Lambda counts.
struct Line<'a> {
    function: &'static str,
    /// As it is deployed: of all stacks one has it.
    function_name: &'a str,
    request_id: &'a str,
    execution: Option<String>,
    outcome: &'static str,
    failed: bool,
    cold: bool,
    at: Timestamp,
    began: Timestamp,
}

impl Line<'_> {
    fn to_json(&self) -> Value {
        let duration = u64::try_from(self.at.since(self.began).as_millis()).unwrap_or(u64::MAX);
        let mut line = json!({
            "timestamp": self.at.to_string(),
            "level": if self.failed { "WARN" } else { "INFO" },
            "message": "invocation",
            "function": self.function,
            "requestId": self.request_id,
            "outcome": self.outcome,
            "coldStart": self.cold,
            "durationMs": duration,
        });
        if self.outcome == SWEPT {
            line["FunctionName"] = json!(self.function_name);
            line["Sweeps"] = json!(1);
            line["_aws"] = json!({
                "Timestamp": self.at.as_millis(),
                "CloudWatchMetrics": [{
                    "Namespace": "Signalbox",
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [{"Name": "Sweeps", "Unit": "Count"}],
                }],
            });
        }
        if let Some(execution) = &self.execution {
            line["executionArn"] = json!(execution);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use lambda_runtime::Context;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ask {
        fail: bool,
        #[serde(default)]
        sweep: bool,
    }

    #[derive(Debug, thiserror::Error)]
    enum Trouble {
        #[error("{0}")]
        BadRequest(#[from] BadRequest),
        #[error("it was asked to fail")]
        Asked,
    }

    impl Failure for Trouble {
        fn name(&self) -> &'static str {
            match self {
                Self::BadRequest(_) => "Trial.BadRequest",
                Self::Asked => "Trial.Asked",
            }
        }
    }

    struct Trial;

    impl Handler for Trial {
        type Request = Ask;
        type Answer = Value;
        type Failure = Trouble;

        async fn handle(&self, request: Ask, invocation: &Invocation) -> Result<Value, Trouble> {
            invocation.about("arn:run");
            if request.fail {
                return Err(Trouble::Asked);
            }
            invocation.outcome(if request.sweep { SWEPT } else { "done" });
            Ok(json!({"deadline": invocation.deadline.as_millis()}))
        }
    }

    struct Ticking(std::cell::Cell<i64>);

    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            self.0.set(self.0.get() + 250);
            Timestamp::from_millis(self.0.get())
        }
        async fn sleep(&self, _: Duration) {}
        fn jitter(&self, _: Duration) -> Duration {
            Duration::ZERO
        }
        fn nonce(&self) -> u64 {
            7
        }
    }

    async fn ask(payload: Value) -> (Result<Value, Diagnostic>, Value) {
        let mut context = Context::default();
        context.request_id = "r-1".to_owned();
        context.deadline = 30_000;
        context.env_config = std::sync::Arc::new(lambda_runtime::Config {
            function_name: "fleet-Trial-1".to_owned(),
            ..Default::default()
        });
        let mut log = Vec::new();
        let clock = Ticking(std::cell::Cell::new(0));
        let result = answer(
            "trial",
            &Trial,
            LambdaEvent::new(payload, context),
            true,
            &clock,
            &mut log,
        )
        .await;
        let lines = String::from_utf8(log).unwrap();
        assert_eq!(lines.lines().count(), 1, "one line for each invocation: {lines}");
        (result, serde_json::from_str(&lines).unwrap())
    }

    #[tokio::test]
    async fn an_answer_has_its_line() {
        let (result, line) = ask(json!({"fail": false})).await;
        assert_eq!(result.unwrap(), json!({"deadline": 30_000}));
        assert_eq!(line["outcome"], "done");
        assert_eq!(line["executionArn"], "arn:run");
        assert_eq!(line["durationMs"], 250);
        assert_eq!(line["coldStart"], true);
        assert!(line.get("_aws").is_none(), "it costs nothing more: {line}");
    }

    #[tokio::test]
    async fn the_end_of_a_sweep_is_a_metric_of_this_stack() {
        let (_, line) = ask(json!({"fail": false, "sweep": true})).await;
        assert_eq!(line["FunctionName"], "fleet-Trial-1");
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in metrics["Metrics"].as_array().unwrap() {
            assert!(
                line[metric["Name"].as_str().unwrap()].is_number(),
                "{metric} has its value at the root"
            );
        }
        for dimension in metrics["Dimensions"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|set| set.as_array().unwrap())
        {
            assert!(
                line[dimension.as_str().unwrap()].is_string(),
                "{dimension} has its value at the root"
            );
        }
    }

    #[tokio::test]
    async fn an_error_keeps_its_name_in_the_answer_and_in_the_line() {
        let (result, line) = ask(json!({"fail": true})).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.error_type.as_str(), error.error_message.as_str()),
            ("Trial.Asked", "it was asked to fail")
        );
        assert_eq!(
            (&line["outcome"], &line["level"]),
            (&json!("Trial.Asked"), &json!("WARN"))
        );
    }

    #[tokio::test]
    async fn a_bad_request_is_the_functions_own_error() {
        let (result, line) = ask(json!({"fial": true})).await;
        let error = result.unwrap_err();
        assert_eq!(error.error_type, "Trial.BadRequest");
        assert_eq!(
            error.error_message,
            "fial: unknown field `fial`, expected `fail` or `sweep`"
        );
        assert_eq!(line["executionArn"], Value::Null);
    }
}
