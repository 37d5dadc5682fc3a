//! Many stages at once, while ECS starts so many tasks a second and no more.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use local_cloud::{Error, Fault, Stack};
use serde_json::{Value, json};

use crate::ecs::{Relay, Tested, puts};

/// What ECS starts in a second, in an account and a Region.
///
/// Source: ECS API reference, "Request throttling for the Amazon ECS API" (`RunTask`).
pub const TASKS_A_SECOND: f64 = 20.0;

/// Executions that are started at a time.
const AT_ONCE: usize = 100;

/// Longest that it may take on a busy machine: 500 tasks are started in 25 seconds at best.
const ENDS_WITHIN: Duration = Duration::from_mins(6);

/// How often the sweep comes by. On AWS it is each minute: here it is to get in the way.
const SWEPT_EVERY: Duration = Duration::from_secs(5);

/// How a storm ended.
#[derive(Debug)]
pub struct Outcome {
    /// What should not have been: nothing, if all is well.
    pub broken: Vec<String>,
    /// Calls of `RunTask` that were throttled.
    pub throttled: u64,
    /// Launches that the queue went on with.
    pub handed_over: u64,
    /// From the first start to the last end.
    pub took: Duration,
}

/// So many stages at once, of which ECS starts so many tasks a second.
#[allow(clippy::disallowed_methods, reason = "the wall time is what it measures")]
pub async fn storm(test: &str, stages: usize, a_second: f64) -> Result<Outcome, Box<dyn std::error::Error>> {
    let relay = Relay::of(test, Stack::fleet()).await?;
    let limit = relay.account.fault(Fault::rate_limit("ECS.RunTask", a_second)).await?;
    relay.account.reset_calls().await?;
    relay.account.reset_usage().await?;
    let begun = Instant::now();
    let mut runs = Vec::with_capacity(stages);
    let numbers: Vec<usize> = (0..stages).collect();
    for some in numbers.chunks(AT_ONCE) {
        runs.extend(
            try_join_all(some.iter().map(|n| {
                let command = puts(&format!("{{\"n\": {n}}}"));
                let relay = &relay;
                async move { relay.stage(&format!("stage-{n}"), &command, json!({})).await }
            }))
            .await?,
        );
    }
    let ends = async {
        let mut broken = Vec::new();
        for (n, run) in runs.iter().enumerate() {
            let left = ENDS_WITHIN.saturating_sub(begun.elapsed()).max(Duration::from_secs(1));
            let ended = relay.account.wait_for_execution_within(run, left).await;
            broken.extend(problem(n, ended));
        }
        Ok::<_, Box<dyn std::error::Error>>(broken)
    };
    let sweeps = async {
        loop {
            tokio::time::sleep(SWEPT_EVERY).await;
            if let Err(error) = relay.sweep().await {
                return error;
            }
        }
    };
    let mut broken = tokio::select! {
        broken = ends => broken?,
        error = sweeps => return Err(error.into()),
    };
    let took = begun.elapsed();
    let tasks = relay.all_stopped().await?;
    if tasks.len() != stages {
        broken.push(format!("{} tasks for {stages} stages", tasks.len()));
    }
    // Each stage is one transition: none of them was retried.
    let transitions = relay.account.usage().await?.all_transitions();
    if transitions != u64::try_from(stages)? {
        broken.push(format!("{transitions} transitions for {stages} stages"));
    }
    let left = relay.sweep().await?;
    if left["open"] != 0 {
        broken.push(format!("records that are open at the end: {left}"));
    }
    if !broken.is_empty() {
        let lines = relay.account.log_lines("/aws/lambda/").await?;
        let errors = lines
            .into_iter()
            .filter(|(_, line)| line.contains("\"ERROR\"") || line.contains("\"WARN\""));
        broken.extend(errors.map(|(group, line)| format!("{group}: {line}")));
    }
    if let Err(error) = (relay.shows_no_token().await) as Tested {
        broken.push(error.to_string());
    }
    let calls = relay.account.calls().await?;
    let made = |api: &str| calls.get(api).map_or(0, |calls| calls.functions);
    Ok(Outcome {
        broken,
        throttled: limit.hits().await?,
        handed_over: made("SQS.SendMessage"),
        took,
    })
}

fn problem(n: usize, ended: Result<local_cloud::Execution, Error>) -> Option<String> {
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return Some(error.to_string()),
    };
    let result = ended.output.as_ref().map_or(&Value::Null, |output| &output["result"]);
    (*result != json!({"n": n})).then(|| format!("stage-{n}: {ended:?}"))
}
