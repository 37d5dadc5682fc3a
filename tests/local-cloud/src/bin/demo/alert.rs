//! A run that fails deep inside, and the mail that says where.

use std::time::Duration;

use local_cloud::{
    Account, Deployed, Error, Mail, Progress, seed,
    terminal::{Paint, say},
    wait,
};

use crate::{heading, tell};

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

/// Shows the mail. Whether it says where the run failed.
pub(crate) fn show(mail: &Mail, paint: Paint) -> bool {
    heading(
        "In words: a run of orders-booking fails in a branch of a Parallel, inside a Map",
        paint,
    );
    let line = |text: &str| say(&format!("  {} {text}", paint.faint("│")));
    line(&format!("To: {}", mail.endpoint));
    line(&format!("Subject: {}", paint.bold(&mail.subject)));
    line("");
    for text in mail.body.lines() {
        line(text);
    }
    say("");
    let in_one_line = mail.body.split_whitespace().collect::<Vec<_>>().join(" ");
    let good = mail.subject.contains(FAILS) && in_one_line.contains("Map \"Orders\"[2] / Parallel \"Book\"#1");
    if !good {
        tell("This is not what an alert is for: it should say which order, which branch and which state.");
    }
    good
}
