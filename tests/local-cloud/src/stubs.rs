//! Stubbed tasks: Task states of a state machine that answer by themselves, whatever they call.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::{Account, Error};

/// The stub of a state machine, and of its clones: with [`Account::stub`], each of its tasks succeeds with an answer that
/// is made of the state's name and its input, or with what the first [`Outcome`] says that fits the call.
#[derive(Debug, Clone, Serialize)]
pub struct Stub {
    machine: String,
    echo: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    aliases: BTreeMap<String, String>,
    outcomes: Vec<Outcome>,
}

impl Stub {
    /// For a machine by its name or its ARN, or `*` for all machines of the account. Of several the newest decides.
    #[must_use]
    pub fn of(machine: &str) -> Self {
        Self {
            machine: machine.to_owned(),
            echo: true,
            aliases: BTreeMap::new(),
            outcomes: Vec::new(),
        }
    }

    /// Answers that do not have the input in them: in a loop each would have the one before in it.
    #[must_use]
    pub fn without_echo(mut self) -> Self {
        self.echo = false;
        self
    }

    /// A state of a clone goes by the name of this one of the original.
    #[must_use]
    pub fn alias(mut self, copy: &str, original: &str) -> Self {
        self.aliases.insert(copy.to_owned(), original.to_owned());
        self
    }

    /// What happens to a call that none of those before fits.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcomes.push(outcome);
        self
    }

    /// The same for several.
    #[must_use]
    pub fn outcomes(mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        self.outcomes.extend(outcomes);
        self
    }
}

/// What happens to a call: the answer by default, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    when_input: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when_iteration: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    succeed: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fail: Option<Failure>,
    #[serde(default, skip_serializing_if = "is_false")]
    time_out: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    real: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "is_false")]
    hold: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    submitted: Option<Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl Outcome {
    /// Of any call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Of the calls of a state.
    #[must_use]
    pub fn of(state: &str) -> Self {
        Self {
            state: Some(state.to_owned()),
            ..Self::default()
        }
    }

    /// Only with this effective input: what comes of `InputPath` and `Parameters`, or of `Arguments`.
    #[must_use]
    pub fn when_input(mut self, input: Value) -> Self {
        self.when_input = Some(input);
        self
    }

    /// Only in this iteration of the innermost Map.
    #[must_use]
    pub fn when_iteration(mut self, index: u32) -> Self {
        self.when_iteration = Some(index);
        self
    }

    /// Only in the execution of this name.
    #[must_use]
    pub fn in_execution(mut self, name: &str) -> Self {
        self.execution = Some(name.to_owned());
        self
    }

    /// Only the n-th of the calls that fit otherwise, from 1, over all executions.
    #[must_use]
    pub fn call(mut self, n: u32) -> Self {
        self.call = Some(n);
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// It succeeds with this result.
    #[must_use]
    pub fn succeeds(mut self, result: Value) -> Self {
        self.succeed = Some(result);
        self
    }

    /// It fails, as a task does that Retry and Catch see.
    #[must_use]
    pub fn fails(mut self, error: &str, cause: &str) -> Self {
        self.fail = Some(Failure {
            error: Some(error.to_owned()),
            cause: Some(cause.to_owned()),
        });
        self
    }

    /// It fails at once with `States.Timeout`.
    #[must_use]
    pub fn times_out(mut self) -> Self {
        self.time_out = true;
        self
    }

    /// It is no stub: the service is called.
    #[must_use]
    pub fn real(mut self) -> Self {
        self.real = true;
        self
    }

    /// It takes so long.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay_seconds = Some(delay.as_secs_f64());
        self
    }

    /// It waits until it is released, its own limits of time are over, or its execution has ended.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.hold = true;
        self
    }

    /// What `TaskSubmitted` has as its output.
    #[must_use]
    pub fn submitted(mut self, output: Value) -> Self {
        self.submitted = Some(output);
        self
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A field that is there, also with `null`.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A call that a stub has answered, or is about to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StubbedCall {
    /// The id of the stub.
    pub stub: String,
    /// The name of the state machine.
    pub machine: String,
    /// The name of the execution.
    pub execution: String,
    /// The state, as it is named in the machine.
    pub state: String,
    /// The state of the original, if that machine is a clone.
    pub original: String,
    /// The index of the innermost Map iteration that it is in.
    pub iteration: Option<u32>,
    /// `$$.State.RetryCount`.
    pub retry: u32,
    /// Its effective input. A task token within it stands there as `TASK-TOKEN`.
    pub input: Value,
    /// How it ended.
    pub outcome: CallOutcome,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallOutcome {
    /// It is delayed, or held.
    Open,
    /// It gave a result.
    Succeeded,
    /// It failed.
    Failed,
    /// It took too long.
    TimedOut,
    /// Its execution, or its branch, ended before it.
    Aborted,
    /// It was no stub.
    Real,
}

/// A stub that is in force, until it is removed or a newer one fits the machine.
#[derive(Debug, Clone)]
pub struct ActiveStub {
    account: Account,
    id: String,
}

impl ActiveStub {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The calls that it decided, in the order in which they began.
    pub async fn calls(&self) -> Result<Vec<StubbedCall>, Error> {
        self.account.stubbed_calls_of(&format!("&id={}", self.id)).await
    }

    /// Lets the held calls of a state go on, and says how many that are.
    pub async fn release(&self, state: &str) -> Result<u64, Error> {
        let request = json!({"account": self.account.id(), "id": self.id, "state": state});
        let cloud = self.account.cloud();
        let answer = cloud
            .local(Method::POST, "/_local/stubs/release", Some(&request))
            .await?;
        let released = answer["released"].as_u64();
        released.ok_or_else(|| Error::unexpected("POST /_local/stubs/release", answer))
    }

    /// Removes it. What it holds goes on.
    pub async fn remove(self) -> Result<(), Error> {
        let path = format!("/_local/stubs?id={}", self.id);
        self.account.cloud().local(Method::DELETE, &path, None).await.map(drop)
    }
}

impl Account {
    /// Puts a stub in force.
    pub async fn stub(&self, stub: &Stub) -> Result<ActiveStub, Error> {
        let mut request = serde_json::to_value(stub).map_err(|error| Error::unexpected("a stub", error))?;
        request["account"] = Value::from(self.id());
        let answer = self
            .cloud()
            .local(Method::POST, "/_local/stubs", Some(&request))
            .await?;
        let id = answer["id"].as_str().map(str::to_owned);
        Ok(ActiveStub {
            account: self.clone(),
            id: id.ok_or_else(|| Error::unexpected("POST /_local/stubs", answer))?,
        })
    }

    async fn stubbed_calls_of(&self, filter: &str) -> Result<Vec<StubbedCall>, Error> {
        let path = format!("/_local/stubs/calls?account={}{filter}", self.id());
        let mut answer = self.cloud().local(Method::GET, &path, None).await?;
        serde_json::from_value(answer["calls"].take())
            .map_err(|error| Error::unexpected("GET /_local/stubs/calls", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_is_written_as_the_local_cloud_reads_it() {
        let stub = Stub::of("orders")
            .without_echo()
            .alias("Charge once more", "Charge")
            .outcome(
                Outcome::of("Charge")
                    .when_input(json!({"n": 3}))
                    .when_iteration(2)
                    .in_execution("run-1")
                    .times(1)
                    .fails("E", "C"),
            )
            .outcome(Outcome::any().call(3).after(Duration::from_millis(200)).held())
            .outcome(Outcome::of("Poll").succeeds(Value::Null).submitted(json!([1])))
            .outcomes([Outcome::of("Ship").real(), Outcome::of("Wait").times_out()]);
        let written = json!({
            "machine": "orders", "echo": false, "aliases": {"Charge once more": "Charge"},
            "outcomes": [
                {"state": "Charge", "whenInput": {"n": 3}, "whenIteration": 2, "execution": "run-1", "times": 1,
                 "fail": {"error": "E", "cause": "C"}},
                {"call": 3, "delaySeconds": 0.2, "hold": true},
                {"state": "Poll", "succeed": null, "submitted": [1]},
                {"state": "Ship", "real": true},
                {"state": "Wait", "timeOut": true},
            ],
        });
        assert_eq!(serde_json::to_value(&stub).unwrap(), written);
        let read: Vec<Outcome> = serde_json::from_value(written["outcomes"].clone()).unwrap();
        assert_eq!(read, stub.outcomes);
        assert!(serde_json::from_value::<Outcome>(json!({"stat": "Charge"})).is_err());
    }

    #[test]
    fn a_call_is_read_as_the_local_cloud_writes_it() {
        let written = json!({
            "stub": "s1", "machine": "orders--r-0123456789ab", "execution": "run-1", "state": "Charge (resumed)",
            "original": "Charge", "iteration": null, "retry": 0, "input": [1], "outcome": "timedOut",
        });
        let call: StubbedCall = serde_json::from_value(written).unwrap();
        assert_eq!((call.iteration, call.outcome), (None, CallOutcome::TimedOut));
    }
}
