//! A stage by the relay beside the same container by Step Functions' own `ecs:runTask.sync`: what is billed, and how long a
//! state takes to hear that its container has ended.

use std::time::Duration;

use aws_sdk_sfn::types::HistoryEventType;
use futures_util::future::try_join_all;
use local_cloud::{EcsTimes, Error, Usage, wait};
use serde_json::{Value, json};

use crate::bench::sheet::{Sheet, number};
use crate::ecs::{Relay, asked, puts};

/// From DEPROVISIONING to STOPPED, as it takes on Fargate.
///
/// Recorded on AWS: 12 to 23 seconds between the two events of a task.
pub const GAP: Duration = Duration::from_secs(12);

/// Longest that all runs of a side may take.
const ENDS_WITHIN: Duration = Duration::from_mins(5);

/// A way to run the container.
#[derive(Debug)]
struct Side {
    name: &'static str,
    pipeline: &'static str,
    command: String,
    result: &'static str,
}

const WORKS: &str = "sleep 1";

fn sides() -> [Side; 4] {
    let relay = |name, command: String, result| Side {
        name,
        pipeline: "Stage",
        command,
        result,
    };
    [
        relay("relay, exit code only", WORKS.to_owned(), "none"),
        relay(
            "relay, result by URL",
            format!("{WORKS}; {}", puts("{\"orders\": 120}")),
            "s3",
        ),
        relay(
            "relay, result by log",
            format!("{WORKS}; echo '::result {{\"orders\": 120}}'"),
            "log",
        ),
        Side {
            name: "ecs:runTask.sync",
            pipeline: "Native",
            command: WORKS.to_owned(),
            result: "",
        },
    ]
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The tables.
    pub sheets: Vec<Sheet>,
    /// The goals that were missed.
    pub missed: Vec<String>,
}

/// So many runs of each side, all at once.
pub async fn measure(runs: usize) -> Result<Measured, Box<dyn std::error::Error>> {
    let relay = Relay::deploy("ecs bench").await?;
    let times = EcsTimes {
        deprovisioning: Some(GAP),
        ..EcsTimes::default()
    };
    relay.account.ecs_times(times).await?;
    let mut delays = Sheet::new(
        format!(
            "From the container's exit to the state's exit, {runs} runs at once, {} s to STOPPED",
            GAP.as_secs()
        ),
        ["", "value", "median ms", "longest ms"],
    );
    let mut bills = Sheet::new(
        "One stage",
        [
            "",
            "transitions",
            "Lambda",
            "writes",
            "write units",
            "reads",
            "read units",
            "history events",
        ],
    );
    let mut medians = Vec::new();
    let mut missed = Vec::new();
    for side in &sides() {
        let (usage, events) = bill(&relay, side).await?;
        let tables = usage.all_tables();
        let transitions = usage.all_transitions();
        bills.row(
            side.name,
            [
                transitions.to_string(),
                usage.all_invocations().to_string(),
                tables.writes.to_string(),
                number(tables.write_units),
                tables.reads.to_string(),
                number(tables.read_units),
                events.to_string(),
            ],
        );
        if transitions != 1 {
            missed.push(format!("{}: {transitions} transitions", side.name));
        }
        let mut took = delays_of(&relay, side, runs).await?;
        took.sort_unstable();
        let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
        medians.push(median);
        let value = if side.result == "s3" || side.result == "log" {
            "yes"
        } else {
            "no"
        };
        delays.row(side.name, [value.to_owned(), median.to_string(), longest.to_string()]);
    }
    if let [.., by_relay, _, native] = medians[..] {
        delays.note(format!(
            "With a value, the relay takes {} of the time that Step Functions' own integration takes without one.",
            share(by_relay, native)
        ));
        if by_relay >= native {
            missed.push("the relay is no quicker than ecs:runTask.sync".to_owned());
        }
    }
    Ok(Measured {
        sheets: vec![delays, bills],
        missed,
    })
}

fn share(part: u64, whole: u64) -> String {
    // Milliseconds of a bench: far below what a float holds exactly.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
    let share = part as f64 / whole.max(1) as f64;
    format!("1/{:.0}", 1.0 / share.max(1e-9))
}

fn input(side: &Side) -> Value {
    match side.pipeline {
        "Native" => json!({"command": [side.command]}),
        _ => asked(&side.command, json!({"result": {"from": side.result}})),
    }
}

/// What one run costs, its end included.
async fn bill(relay: &Relay, side: &Side) -> Result<(Usage, usize), Error> {
    relay.account.reset_usage().await?;
    let name = format!("bill-{}", side.name.replace([' ', ':', ',', '.'], "-"));
    let run = relay.start(side.pipeline, &name, &input(side)).await?;
    relay.account.wait_for_execution_within(&run, ENDS_WITHIN).await?;
    relay.all_stopped().await?;
    // The event of STOPPED, and that of the execution, find that all is done.
    wait::until("all events to be heard", ENDS_WITHIN, async || {
        let before = relay.account.usage().await.map_err(|error| error.to_string())?;
        #[allow(clippy::disallowed_methods, reason = "something that is to stay as it is")]
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = relay.account.usage().await.map_err(|error| error.to_string())?;
        if before == after {
            Ok(())
        } else {
            Err(format!("{after:?}"))
        }
    })
    .await?;
    let events = history(relay, &run).await?.len();
    Ok((relay.account.usage().await?, events))
}

/// Milliseconds from the exit of a container to the exit of its state.
async fn delays_of(relay: &Relay, side: &Side, runs: usize) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let before = relay.tasks().await?.len();
    let name = side.name.replace([' ', ':', ',', '.'], "-");
    let started = (0..runs).map(|n| {
        let name = format!("{name}-{n}");
        async move { relay.start(side.pipeline, &name, &input(side)).await }
    });
    let started = try_join_all(started).await?;
    let mut answered = Vec::new();
    for run in &started {
        let ended = relay.account.wait_for_execution_within(run, ENDS_WITHIN).await?;
        if !ended.succeeded() {
            return Err(format!("{ended:?}").into());
        }
        let events = history(relay, run).await?;
        let scheduled = events
            .iter()
            .find_map(|event| event.task_submitted_event_details()?.output());
        let succeeded = events
            .iter()
            .find(|event| event.r#type == HistoryEventType::TaskSucceeded);
        let output = succeeded.and_then(|event| event.task_succeeded_event_details()?.output());
        let at = succeeded.map(|event| signalbox::clock::Timestamp::from(event.timestamp).as_millis());
        let task = [output, scheduled].into_iter().flatten().find_map(task_in);
        answered.push((
            task.ok_or("no task in the history")?,
            at.ok_or("no success in the history")?,
        ));
    }
    let tasks = relay.all_stopped().await?;
    if tasks.len() - before != runs {
        return Err(format!("{} tasks for {runs} runs", tasks.len() - before).into());
    }
    let mut took = Vec::new();
    for (arn, at) in answered {
        let task = tasks.iter().find(|task| task["taskArn"] == arn.as_str());
        let exit = task
            .and_then(|task| task["executionStoppedAt"].as_f64())
            .ok_or("a task without an end")?;
        let exit = Duration::from_secs_f64(exit).as_millis();
        took.push(u64::try_from(i128::from(at) - i128::try_from(exit)?).unwrap_or(0));
    }
    Ok(took)
}

/// The ARN of the task in an output: the relay's answer, or the task as Step Functions' integration has it.
fn task_in(output: &str) -> Option<String> {
    let output: Value = serde_json::from_str(output).ok()?;
    let arn = [&output["taskArn"], &output["TaskArn"], &output["Tasks"][0]["TaskArn"]];
    arn.into_iter().find_map(|arn| arn.as_str().map(str::to_owned))
}

async fn history(relay: &Relay, run: &str) -> Result<Vec<aws_sdk_sfn::types::HistoryEvent>, Error> {
    let pages = relay
        .account
        .sfn()
        .get_execution_history()
        .execution_arn(run)
        .into_paginator();
    let events = pages.items().send().collect::<Result<Vec<_>, _>>().await;
    events.map_err(|error| Error::Aws {
        call: "States.GetExecutionHistory",
        message: format!("{error:?}"),
    })
}
