//! Many failures in a short time: each kind is announced once, and all of them are counted.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use local_cloud::wait;

use crate::alerts::Alerts;

/// Longest that the events of a storm may take to be handled.
const HANDLED_WITHIN: Duration = Duration::from_mins(5);

/// After this the window that the template sets has closed.
const CLOSED: Duration = Duration::from_mins(16);

/// Executions that are started at a time.
const AT_ONCE: usize = 25;

/// How a storm ended.
#[derive(Debug)]
pub struct Outcome {
    /// What should not have been: nothing, if all is well.
    pub broken: Vec<String>,
    /// Messages while it raged.
    pub alerts: usize,
    /// Messages when the windows closed.
    pub summaries: usize,
    /// Failures that the messages speak of.
    pub told: usize,
    /// From the first start to the last failure, and
    pub failing: Duration,
    /// until all events were handled.
    pub took: Duration,
}

/// So many failures of so many kinds.
#[allow(clippy::disallowed_methods, reason = "the wall time is what it measures")]
pub async fn storm(test: &str, failures: usize, kinds: usize) -> Result<Outcome, Box<dyn std::error::Error>> {
    let alerts = Alerts::deploy(test).await?;
    let begun = Instant::now();
    let names: Vec<usize> = (0..failures).collect();
    for some in names.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|n| {
            let alerts = &alerts;
            // What differs between failures of one kind: numbers and names.
            let cause = format!("order {n} of customer c-{n}0{n} was declined");
            async move {
                let error = format!("Card.{}", KINDS[n % kinds]);
                alerts.fails(&format!("run-{n}"), &error, &cause).await
            }
        }))
        .await?;
    }
    let failing = begun.elapsed();
    wait::until("all events to be handled", HANDLED_WITHIN, async || {
        let ends = alerts.ends().await.map_err(|error| error.to_string())?;
        let settled = ends.iter().filter(|state| *state != "pending").count();
        match settled == failures {
            true => Ok(()),
            false => Err(format!("{settled} of {failures} are settled")),
        }
    })
    .await?;
    let took = begun.elapsed();
    let first = alerts.comes(kinds).await?.len();
    alerts.age(CLOSED).await?;
    alerts.sweep().await?;
    let all = alerts.comes(2 * kinds).await?;
    let subjects: Vec<&str> = all.iter().filter_map(|message| message.subject.as_deref()).collect();
    let counted = subjects.iter().filter_map(|subject| {
        let (_, more) = subject.rsplit_once(": ")?;
        more.strip_suffix(" more")?.parse::<usize>().ok()
    });
    let told = first + counted.sum::<usize>();
    let mut broken = Vec::new();
    if first != kinds {
        broken.push(format!("{first} alerts for {kinds} kinds of failures"));
    }
    if told != failures {
        broken.push(format!("{told} of {failures} failures were told: {subjects:?}"));
    }
    Ok(Outcome {
        broken,
        alerts: first,
        summaries: all.len() - first,
        told,
        failing,
        took,
    })
}

/// Kinds of failures, by their errors.
pub const KINDS: [&str; 5] = ["Declined", "Expired", "Stolen", "Unknown", "Limited"];
