//! Mails: plain text for whoever is on call, and reads it on a phone, at night.
//!
//! | module | says |
//! |---|---|
//! | `headline` | what happened, in one line |
//! | `why` | why: errors and causes |
//! | `cause` | what a cause tells, unwrapped from JSON in JSON |
//! | `run` | when, how long, since when, who waits |
//! | `advice` | what to do: with `resume`, or with a redrive where there is none |
//! | `later` | what follows: the summary of a window, and the end of the trouble |
//! | `words` | numbers, times, lines |

pub(crate) mod advice;
pub(crate) mod cause;
mod headline;
mod later;
pub(crate) mod run;
pub(crate) mod why;
pub(crate) mod words;

use std::time::Duration;

use signalbox::console::execution_url;

use crate::alert::{Alert, Status};
use crate::redact::redact;
use words::{Page, capital, clean, cut, duration, minute};

pub use advice::Resume;
pub(crate) use headline::{Cancelled, headline, places};
pub use later::{Recovered, Summary, recovered, summary};

/// How much of the input is shown.
const INPUT_CHARS: usize = 1_000;

/// How many states are named that were open.
const OPEN: usize = 10;

/// What the text depends on beside the alert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// How long failures of the same kind are counted, and not mailed, after this one; none if each is mailed.
    pub window: Option<Duration>,
    /// How people resume runs; none if they cannot, and redrive them.
    pub resume: Option<Resume>,
}

/// The text of an alert's mail: what happened, why, since when, what to do; at the end what could not be found out.
///
/// Lines are broken at about 72 characters, links and commands never.
#[must_use]
pub fn text(alert: &Alert, options: &Options) -> String {
    let mut page = Page::default();
    page.text(0, &format!("{}.", headline(alert)));
    page.heading("Why");
    why::why(&mut page, alert);
    open(&mut page, alert);
    page.heading("Run");
    for line in run::lines(alert) {
        page.text(2, &line);
    }
    to_do(&mut page, alert, options);
    if let Some(input) = &alert.input {
        page.heading("Input");
        page.text(2, &cut(&redact(&clean(input)), INPUT_CHARS, 30));
    }
    if !alert.missing.is_empty() {
        page.heading("Not found out");
        for missing in &alert.missing {
            page.entry(&cut(&capital(&redact(&clean(missing))), 300, 2).replace('\n', " "));
        }
    }
    if let Some(window) = options.window {
        page.gap();
        page.text(
            0,
            &format!(
                "Further ones of this kind are counted for {}, and summed up in one mail.",
                duration(window)
            ),
        );
    }
    page.done()
}

/// What was still open when it was stopped or timed out.
fn open(page: &mut Page, alert: &Alert) {
    let places = places(alert);
    if alert.end.status == Status::Failed || places.is_empty() {
        return;
    }
    page.heading("Open at the end");
    for place in places.iter().take(OPEN) {
        let since = match (place.entered, alert.end.redrive) {
            (None, _) => String::new(),
            (Some(entered), 0) => format!(", for {}", duration(alert.end.stopped.since(entered))),
            // Until it was redriven it was not open.
            (Some(entered), _) => format!(", entered {}", minute(entered)),
        };
        page.entry(&format!("{place}{since}"));
    }
    if places.len() > OPEN {
        page.entry(&format!("... and {} more", places.len() - OPEN));
    }
}

fn to_do(page: &mut Page, alert: &Alert, options: &Options) {
    page.heading("What to do");
    let advice = advice::advice(alert, options);
    for text in &advice.texts {
        page.text(2, text);
    }
    if let Some(command) = &advice.command {
        page.gap();
        page.line(command);
    }
    page.gap();
    page.line(&execution_url(&alert.end.execution));
    for child in &alert.children {
        page.gap();
        page.text(2, &format!("The nested execution {}:", child.execution.name()));
        page.line(&execution_url(&child.execution));
    }
}
