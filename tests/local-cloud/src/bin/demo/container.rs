//! A container that knows nothing of its pipeline, and the value that it hands back; one that is interrupted, and begins
//! anew.

use std::time::Duration;

use local_cloud::page::{Chart, Part};
use local_cloud::timeline::{Ink, Line, Span, Tone};
use local_cloud::{
    Account, Deployed, Error, Progress,
    container::{self, Stage},
    seed, wait,
};
use serde_json::Value;

use crate::Told;

/// How long a container may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// How long the container that is interrupted works before.
const INTERRUPTED_AFTER: Duration = Duration::from_secs(1);

/// How long each of them works, in seconds.
const WORKS: u64 = 3;

/// The run whose container is interrupted.
const INTERRUPTED: &str = "etl-3";

/// The error by which its state is told.
const ERROR: &str = "Ecs.Interrupted";

/// The runs, and how many orders each of them has.
const RUNS: [(&str, u64); 3] = [("etl-1", 120), ("etl-2", 90), (INTERRUPTED, 60)];

/// Runs both pipelines at once, and a third run whose container is interrupted while it works.
pub(crate) async fn three_containers(
    account: &Account,
    example: &Deployed,
    progress: &Progress,
) -> Result<Vec<Stage>, Error> {
    let step = progress.step("containers", "three runs of nightly-etl, each with a container");
    let (by_url, by_log) = (
        seed::nightly_etl_machine(example)?,
        seed::nightly_etl_log_machine(example)?,
    );
    let start = async |(name, orders): (&str, u64), machine| {
        let input = seed::nightly_etl_input(orders, WORKS);
        account.start_execution(machine, name, &input).await
    };
    let [put, printed, interrupted] = RUNS;
    // First, and alone: so its container is the one that works.
    let interrupted = start(interrupted, by_url).await?;
    let task = working_task(account).await?;
    let interrupt = async {
        tokio::time::sleep(INTERRUPTED_AFTER).await;
        account
            .interrupt_task(&task, "SpotInterruption", "Your Spot Task was interrupted.")
            .await
    };
    let (put, printed, ()) = tokio::try_join!(start(put, by_url), start(printed, by_log), interrupt)?;
    let mut stages = Vec::new();
    for run in account.wait_for_executions(&[put, printed, interrupted]).await? {
        stages.push(Stage::of(account, &run).await?);
    }
    step.done("nightly-etl and nightly-etl-log, one interrupted");
    Ok(stages)
}

/// The ARN of the one task whose container works.
async fn working_task(account: &Account) -> Result<String, Error> {
    wait::until("the container of nightly-etl to work", STARTED_WITHIN, async || {
        let tasks = account.ecs_tasks().await.map_err(|error| error.to_string())?;
        let working = tasks.iter().find(|task| task["lastStatus"] == "RUNNING");
        let arn = working.and_then(|task| task["taskArn"].as_str());
        arn.map(str::to_owned).ok_or_else(|| format!("{tasks:?}"))
    })
    .await
}

/// Tells of the runs: whether each of them had its container's value, and the one that was interrupted had it at last.
pub(crate) fn tell(stages: &[Stage]) -> Told {
    let mut told = Told::about("From a container: three runs of nightly-etl get a value from a shell script");
    told.add(Part::Chart(Chart {
        heading: "told in  total".to_owned(),
        lines: lines(stages),
        legend: vec![
            (Ink::Light, Tone::Held, "starts, or waits for the retry"),
            (Ink::Solid, Tone::Good, "works"),
            (Ink::Solid, Tone::Bad, "is interrupted"),
        ],
    }));
    if let Some(fault) = stages.iter().find_map(fault) {
        told.fault(&format!("This is not what the relay is for: {fault}."));
        return told;
    }
    let millis = |stage: &Stage| stage.told_in().unwrap_or_default().as_millis();
    let (least, most) = (stages.iter().map(millis).min(), stages.iter().map(millis).max());
    told.say(&format!(
        "The container has no SDK and no permission, and knows nothing of pipelines: there is a URL in its environment, and \
         it puts a file there with curl. That of etl-2 needs not even that, and prints a line. The states had their values \
         {} to {} ms after the containers had exited; on AWS, ECS takes some seconds to say that they have. What etl-1 goes \
         on with:",
        least.unwrap_or_default(),
        most.unwrap_or_default()
    ));
    if let Some(result) = stages.first().and_then(|stage| stage.result.as_ref()) {
        told.add(Part::row("Result", result.to_string()));
    }
    told.say(&format!(
        "The container of {INTERRUPTED} was taken away in the middle of its work, as Spot does. Its state failed with \
         {ERROR}; the pipeline's Retry waited for 5 s, and a second container did the work from the beginning."
    ));
    told
}

/// What was not as it should be with a run, in a sentence.
fn fault(stage: &Stage) -> Option<String> {
    let name = &stage.name;
    let orders = RUNS.iter().find(|(run, _)| run == name)?.1;
    let errors: &[&str] = if name == INTERRUPTED { &[ERROR] } else { &[] };
    // On a busy machine a call may take too long: the Retry makes up for it.
    let told: Vec<&str> = stage
        .errors
        .iter()
        .map(String::as_str)
        .filter(|error| *error != "Ecs.Unavailable")
        .collect();
    if told != errors {
        return Some(match told.as_slice() {
            [] => format!("{name} was not interrupted"),
            errors => {
                let cause = stage.cause.as_deref().unwrap_or("no cause");
                format!("{name} was told {}: {cause}", errors.join(", "))
            }
        });
    }
    let total = stage.result.as_ref().map(|result| &result["total"]);
    if total != Some(&Value::from(container::total(orders))) {
        return Some(format!("{name} has the wrong value"));
    }
    (stage.work.len() != errors.len() + 1).then(|| format!("{name} had {} containers", stage.work.len()))
}

fn lines(stages: &[Stage]) -> Vec<Line> {
    let zero = stages
        .iter()
        .filter_map(|stage| stage.entered)
        .min()
        .unwrap_or_default();
    let since = |at: i64| Duration::from_millis(u64::try_from(at - zero).unwrap_or_default());
    let line = |stage: &Stage| {
        let mut at = stage.entered.unwrap_or(zero);
        let mut spans = Vec::new();
        for (number, work) in stage.work.iter().enumerate() {
            let tone = if number + 1 < stage.work.len() {
                Tone::Bad
            } else {
                Tone::Good
            };
            for (from, to, ink, tone) in [
                (at, work.from, Ink::Light, Tone::Held),
                (work.from, work.to, Ink::Solid, tone),
            ] {
                let (from, to) = (since(from), since(to));
                spans.push(Span { from, to, ink, tone });
            }
            at = work.to;
        }
        let told = stage
            .told_in()
            .map_or_else(|| "?".to_owned(), |told| format!("{} ms", told.as_millis()));
        let total = stage
            .result
            .as_ref()
            .map_or_else(|| "none".to_owned(), |result| result["total"].to_string());
        let note = if stage.work.len() < 2 { "" } else { "  interrupted" };
        Line {
            name: stage.name.clone(),
            spans,
            text: format!("{told:>7}  {total:>5}{note}"),
            tone: if stage.result.is_some() { Tone::Good } else { Tone::Bad },
        }
    };
    stages.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use local_cloud::container::Work;
    use serde_json::json;

    fn stage(name: &str, orders: u64, errors: &[&str]) -> Stage {
        Stage {
            name: name.to_owned(),
            errors: errors.iter().map(|&error| error.to_owned()).collect(),
            cause: errors.first().map(|_| "curl: not found".to_owned()),
            result: Some(json!({"total": container::total(orders)})),
            work: vec![Work { from: 0, to: 1 }; errors.len() + 1],
            ..Stage::default()
        }
    }

    #[test]
    fn every_fault_is_found() {
        assert_eq!(fault(&stage("etl-1", 120, &[])), None);
        assert_eq!(fault(&stage(INTERRUPTED, 60, &[ERROR])), None);
        let told = |stage: Stage| fault(&stage).unwrap_or_default();
        assert_eq!(told(stage(INTERRUPTED, 60, &[])), "etl-3 was not interrupted");
        assert_eq!(
            told(stage("etl-1", 120, &["Ecs.ExitCode.127"])),
            "etl-1 was told Ecs.ExitCode.127: curl: not found"
        );
        assert_eq!(told(stage("etl-2", 120, &[])), "etl-2 has the wrong value");
        let twice = Stage {
            work: vec![Work { from: 0, to: 1 }; 2],
            ..stage("etl-1", 120, &[])
        };
        assert_eq!(told(twice), "etl-1 had 2 containers");
    }
}
