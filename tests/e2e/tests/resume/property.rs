//! A run that fails and is resumed ends as one that never failed, and does nothing twice.

use e2e::resume::Resumes;
use e2e::resume::case::Case;
use e2e::resume::property::{Extent, prove};

use crate::Tested;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_run_ends_as_one_that_never_failed_and_does_nothing_twice() -> Tested {
    let resumes = Resumes::deploy("property").await?;
    let cases = Case::all(&resumes.fleet)?;
    let rows = prove(&resumes, &cases, Extent::Sample, |_, _| {}).await;
    let broken: Vec<&str> = rows
        .iter()
        .flat_map(|row| row.broken.iter().map(String::as_str))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(rows.len() >= 25, "{} definitions", rows.len());
    let idle: Vec<&str> = rows
        .iter()
        .filter(|row| row.equals() == 0)
        .map(|row| row.name.as_str())
        .collect();
    assert!(idle.is_empty(), "nothing was resumed of {idle:?}");
    Ok(())
}
