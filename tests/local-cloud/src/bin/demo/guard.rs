//! Runs of one pipeline that start at once, of which the overlap guard lets one through.

use local_cloud::page::{Chart, Part};
use local_cloud::timeline::{self, Outcome};
use local_cloud::{Account, Deployed, Error, Execution, Progress, seed};

use crate::Told;

/// Starts the pipeline three times at once, and waits for all three.
pub(crate) async fn three_runs(
    account: &Account,
    example: &Deployed,
    progress: &Progress,
) -> Result<Vec<Execution>, Error> {
    let step = progress.step("three runs", "running orders-nightly three times at once");
    let machine = seed::orders_nightly_machine(example)?;
    let input = seed::orders_nightly_input();
    let start = |name| account.start_execution(machine, name, &input);
    let (first, second, third) = tokio::join!(start("nightly-1"), start("nightly-2"), start("nightly-3"));
    let runs = account.wait_for_executions(&[first?, second?, third?]).await?;
    step.done("orders-nightly, started at once, all ended");
    Ok(runs)
}

/// Tells what became of the three runs: whether the guard let one through, and refused all the others.
pub(crate) fn tell(runs: &[Execution]) -> Told {
    let rows = timeline::rows(runs);
    let mut told = Told::about("One run at a time: three runs of orders-nightly start at once");
    told.add(Part::Chart(Chart {
        heading: String::new(),
        lines: timeline::lines(&rows),
        legend: Vec::new(),
    }));
    let (through, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.outcome == Outcome::WentThrough);
    let refused = others.iter().all(|row| matches!(row.outcome, Outcome::Refused { .. }));
    match through.first().filter(|_| through.len() == 1 && refused) {
        Some(one) => told.say(&format!(
            "The pipeline's first state asks the guard. It let {} through, and refused the {} that would have \
             overlapped, before any of their work began. What the console shows for one of them:",
            one.name,
            others.len()
        )),
        None => {
            told.fault("This is not what the guard is for: one run should have gone through, the others been refused.");
        }
    }
    if let Some((run, error)) = runs.iter().find_map(|run| Some((run, run.error.clone()?))) {
        let cause = run.cause_message().unwrap_or_default();
        let rows = [("Error", error), ("Cause", cause)];
        told.add(Part::Rows(
            rows.map(|(name, text)| (name.to_owned(), vec![text])).into(),
        ));
    }
    told
}
