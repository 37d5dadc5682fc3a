//! A run that fails deep inside, and the mail that says where.

use std::time::Duration;

use local_cloud::page::Part;
use local_cloud::{Account, Deployed, Error, Mail, Progress, seed, wait};

use crate::Told;

/// How long a mail may take.
const MAILED_WITHIN: Duration = Duration::from_secs(30);

/// The state that fails.
const FAILS: &str = "Enter in the ledger";

/// Runs the pipeline with an order that is there twice, and waits for the mail.
pub(crate) async fn one_failure(account: &Account, example: &Deployed, progress: &Progress) -> Result<Mail, Error> {
    let step = progress.step("a failure", "orders-booking fails in one order");
    let machine = seed::orders_booking_machine(example)?;
    let run = account
        .start_execution(machine, "booking-1", &seed::orders_booked_twice())
        .await?;
    account.wait_for_execution(&run).await?;
    let mail = wait::until("the mail of its failure", MAILED_WITHIN, async || {
        let mails = account.mails().await.map_err(|error| error.to_string())?;
        let subjects: Vec<String> = mails.iter().map(|mail| mail.subject.clone()).collect();
        let mail = mails.into_iter().find(|mail| mail.subject.contains("orders-booking"));
        mail.ok_or_else(|| format!("{subjects:?}"))
    })
    .await?;
    step.done("orders-booking failed, and was mailed");
    Ok(mail)
}

/// Tells of the mail: whether it says where the run failed.
pub(crate) fn tell(mail: &Mail) -> Told {
    let mut told = Told::about("In words: a run of orders-booking fails in a branch of a Parallel, inside a Map");
    told.add(Part::Mail {
        to: mail.endpoint.clone(),
        subject: mail.subject.clone(),
        body: mail.body.clone(),
    });
    let in_one_line = mail.body.split_whitespace().collect::<Vec<_>>().join(" ");
    if !mail.subject.contains(FAILS) || !in_one_line.contains("Map \"Orders\"[2] / Parallel \"Book\"#1") {
        told.fault("This is not what an alert is for: it should say which order, which branch and which state.");
    }
    told
}
