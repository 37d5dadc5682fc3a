//! What follows an alert: the summary of its window, and the end of the trouble.

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::Timestamp;
use signalbox::console::execution_url;

use super::words::{Page, clean, cut, duration, minute, period, quoted, times};
use crate::alert::Status;
use crate::redact::redact;

/// How many executions are named.
const NAMED: usize = 10;

/// What came after an alert in its window, and was only counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The pipeline.
    pub machine: StateMachineArn,
    /// How the executions ended.
    pub status: Status,
    /// The state that failed, if that is known.
    pub state: Option<String>,
    /// The error.
    pub error: Option<String>,
    /// How many more failed the same way.
    pub count: u32,
    /// When the window began: the time of the alert.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// Some of the executions and when they ended, oldest first; the last one is the last of all.
    pub executions: Vec<(ExecutionArn, Timestamp)>,
}

/// A success after failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The pipeline.
    pub pipeline: StateMachineArn,
    /// The execution that succeeded.
    pub execution: ExecutionArn,
    /// When it did.
    pub at: Timestamp,
    /// How often it was redriven before it did.
    pub redrive: u32,
    /// Whether it is a run that `resume` let go on in a clone of the pipeline's state machine.
    pub is_resumed: bool,
    /// When the first of the failures was that it ends.
    pub failing_since: Timestamp,
    /// How many failures it ends.
    pub failures: u32,
}

impl Summary {
    /// `17 more executions of orders-nightly failed the same way`.
    pub(crate) fn headline(&self) -> String {
        let executions = match self.count {
            1 => "execution",
            _ => "executions",
        };
        let ended = match (self.status, self.count) {
            (Status::Failed, _) => "failed",
            (Status::TimedOut, _) => "timed out",
            (Status::Aborted, 1) => "was stopped",
            (Status::Aborted, _) => "were stopped",
        };
        let machine = self.machine.name();
        format!("{} more {executions} of {machine} {ended} the same way", self.count)
    }

    /// `Counted since the alert: 2026-01-31 04:04:25 to 05:04:25 UTC.`
    pub(crate) fn counted(&self) -> String {
        format!("Counted since the alert: {}.", period(self.from, self.to))
    }

    /// `At "Charge": PaymentError`.
    pub(crate) fn what(&self) -> Option<String> {
        let error = self.error.as_deref().map(|error| cut(&redact(&clean(error)), 200, 1));
        match (&self.state, error) {
            (Some(state), Some(error)) => Some(format!("At {}: {error}", quoted(state))),
            (Some(state), None) => Some(format!("At {}", quoted(state))),
            (None, error) => error,
        }
    }
}

impl Recovered {
    /// `orders-nightly works again: nightly-42 succeeded at 2026-01-31 06:12 UTC`.
    pub(crate) fn headline(&self) -> String {
        let how = match (self.is_resumed, self.redrive) {
            (false, 0) => String::new(),
            (true, 0) => ", resumed,".to_owned(),
            (false, redrive) => format!(", redriven {},", times(redrive)),
            (true, redrive) => format!(", resumed and redriven {},", times(redrive)),
        };
        format!(
            "{} works again: {}{how} succeeded at {}",
            self.pipeline.name(),
            self.execution.name(),
            minute(self.at)
        )
    }

    /// What it ends.
    pub(crate) fn ends(&self) -> String {
        let (since, span) = (minute(self.failing_since), duration(self.at.since(self.failing_since)));
        match self.failures {
            0 | 1 => format!("It had failed at {since}, {span} before."),
            failures => format!("It had been failing since {since}, for {span}: {failures} failures."),
        }
    }

    /// What it does not end: a failed execution stays failed.
    pub(crate) fn left(&self) -> Option<&'static str> {
        let goes_on = self.redrive > 0 || self.is_resumed;
        match (goes_on, self.failures) {
            (false, 0 | 1) => Some("The execution that failed stays failed: resume it if its work is still wanted."),
            (false, _) => Some("The executions that failed stay failed: resume those whose work is still wanted."),
            (true, 0 | 1) => None,
            (true, _) => Some("Other executions that failed stay failed: resume those whose work is still wanted."),
        }
    }
}

/// The text of a summary's mail.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    let mut page = Page::default();
    page.text(0, &format!("{}.", summary.headline()));
    page.gap();
    if let Some(what) = summary.what() {
        page.text(2, &what);
    }
    page.text(2, &summary.counted());
    page.text(2, "The next failure of this kind is mailed at once.");
    if let Some((last, at)) = summary.executions.last() {
        if summary.executions.len() > 1 {
            page.heading("Executions");
            let from = summary.executions.len().saturating_sub(NAMED);
            let named = &summary.executions[from..];
            for (execution, at) in named {
                page.entry(&format!("{} {}", at.for_people(), execution.name()));
            }
            let named = u32::try_from(named.len()).unwrap_or(u32::MAX);
            if let Some(more @ 1..) = summary.count.checked_sub(named) {
                page.entry(&format!("... and {more} before"));
            }
        }
        page.gap();
        page.text(2, &format!("The last one was {}, at {}:", last.name(), at.for_people()));
        page.line(&execution_url(last));
    }
    page.done()
}

/// The text of the mail that says that it works again.
#[must_use]
pub fn recovered(recovered: &Recovered) -> String {
    let mut page = Page::default();
    page.text(0, &format!("{}.", recovered.headline()));
    page.gap();
    page.text(2, &recovered.ends());
    if let Some(left) = recovered.left() {
        page.text(2, left);
    }
    page.gap();
    page.line(&execution_url(&recovered.execution));
    page.done()
}
