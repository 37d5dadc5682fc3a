//! Clones that nobody needs any more go, and what they have done is kept.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use e2e::resume::{Resumes, Told};
use local_cloud::{Outcome, Stack};
use serde_json::{Value, json};
use signalbox::pipeline::CLONES_PK;

use crate::{Tested, fails, tasks};

/// A template for each test: another one may be reading its own.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// More than a clone is condemned before it is deleted.
const AN_HOUR: i64 = 3_600_000;

/// The same fleet, whose clones are old as soon as their last run has ended: the template asks for a day at least.
pub(crate) fn impatient(fleet: &Stack) -> Result<Stack, std::io::Error> {
    let template = std::fs::read_to_string(&fleet.template)?;
    let days = "    Default: 7\n    MinValue: 1\n    MaxValue: 365\n";
    assert_eq!(template.matches(days).count(), 1, "ResumeRetentionDays");
    let template = template.replace(days, "    Default: 0\n    MinValue: 0\n    MaxValue: 365\n");
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = fleet.template.file_name().unwrap_or_default().to_string_lossy();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("impatient-{number}-{name}"));
    std::fs::write(&file, template)?;
    Ok(Stack::new("signalbox", &file).parameter("Alerts", "false"))
}

pub(crate) async fn sweep(resumes: &Resumes) -> Result<Value, local_cloud::FunctionError> {
    resumes.account.invoke(&resumes.function, &json!({"sweep": true})).await
}

/// Makes the time at which a clone was condemned earlier, so that a test need not wait.
pub(crate) async fn later(resumes: &Resumes, clone: &str) -> Tested {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = resumes.account.dynamodb().update_item();
    let update = update
        .table_name(resumes.fleet.output("TableName")?)
        .key("pk", text(CLONES_PK))
        .key("sk", text(clone))
        .update_expression("SET #condemned = #condemned - :hour")
        .expression_attribute_names("#condemned", "condemned")
        .expression_attribute_values(":hour", AttributeValue::N(AN_HOUR.to_string()));
    update.send().await?;
    Ok(())
}

/// A resumed run that works until its stub is released, in a clone.
pub(crate) async fn resumed(
    resumes: &Resumes,
    name: &str,
) -> Result<(local_cloud::stubs::ActiveStub, Told), Box<dyn std::error::Error>> {
    let definition = tasks(&["First", "Second"]);
    let (machine, _) = resumes.stubbed(name, &definition, [fails("Second")]).await?;
    let run = resumes.run(&machine, "run", &json!({})).await?;
    let stub = resumes.restub(&machine, [Outcome::of("Second").held()]).await?;
    let request = json!({"executionArn": run.arn, "mode": "clone", "apply": true});
    let told = resumes.ask(&request).await?;
    resumes.comes_to(&stub, "Second").await?;
    Ok((stub, told))
}

#[tokio::test]
async fn a_clone_goes_when_it_is_old_and_never_while_it_runs() -> Tested {
    let resumes = Resumes::of("sweep", impatient(&Stack::fleet())?).await?;
    let (works, running) = resumed(&resumes, "runs").await?;
    let (stub, done) = resumed(&resumes, "ended").await?;
    stub.release("Second").await?;
    let (run, clone) = (done.execution()?.to_owned(), done.machine().ok_or("a clone")?);
    assert!(resumes.ends(&run).await?.succeeded());

    let swept = sweep(&resumes).await?;
    let counts = |swept: &Value| ["clones", "condemned", "deleted", "failed"].map(|field| swept[field].clone());
    assert_eq!(counts(&swept), [json!(2), json!(1), json!(0), json!(0)], "{swept}");
    // Within the hour nothing more happens.
    let swept = sweep(&resumes).await?;
    assert_eq!(counts(&swept), [json!(2), json!(0), json!(0), json!(0)], "{swept}");
    later(&resumes, &clone).await?;
    let swept = sweep(&resumes).await?;
    assert_eq!(counts(&swept), [json!(2), json!(0), json!(1), json!(0)], "{swept}");
    assert_eq!(swept["archived"], 1, "{swept}");
    let machines = resumes.account.state_machines().await?;
    let left: Vec<&str> = machines
        .iter()
        .map(|machine| machine.state_machine_arn.as_str())
        .collect();
    let running_clone = running.machine().ok_or("a clone")?;
    assert!(
        !left.contains(&clone.as_str()) && left.contains(&running_clone.as_str()),
        "{left:?}"
    );

    // The other one has worked all the time.
    let running = running.execution()?;
    assert_eq!(
        resumes.account.execution(running).await?.status,
        ExecutionStatus::Running
    );
    works.release("Second").await?;
    assert!(resumes.ends(running).await?.succeeded());
    Ok(())
}

/// Who resumes a run again by a clone that is about to go has it.
#[tokio::test]
async fn a_clone_that_is_used_again_stays() -> Tested {
    let resumes = Resumes::of("sweep, used again", impatient(&Stack::fleet())?).await?;
    let (stub, told) = resumed(&resumes, "orders").await?;
    let (run, clone) = (told.execution()?.to_owned(), told.machine().ok_or("a clone")?);
    resumes
        .account
        .stop_execution(&run, "Test.Stopped", "by the test")
        .await?;
    resumes.ends(&run).await?;
    assert_eq!(sweep(&resumes).await?["condemned"], 1);
    later(&resumes, &clone).await?;
    let redrive = json!({"executionArn": run, "mode": "redrive", "apply": true});
    resumes.ask(&redrive).await?;
    resumes.comes_to(&stub, "Second").await?;
    let swept = sweep(&resumes).await?;
    assert_eq!(
        [&swept["condemned"], &swept["deleted"]],
        [&json!(0), &json!(0)],
        "{swept}"
    );
    stub.release("Second").await?;
    assert!(resumes.ends(&run).await?.succeeded());
    Ok(())
}
