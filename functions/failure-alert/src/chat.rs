//! Messages for Slack and Teams, by way of Amazon Q Developer in chat applications (AWS Chatbot).
//!
//! It takes what has the form of its custom notifications, and drops everything else without a word (its administrator
//! guide, "Custom notifications"). Markdown is the client's own, and Slack's is not that of Teams: beside `*` the texts
//! keep to code, in which nothing has a meaning, and foreign text stands nowhere else.

use serde_json::json;
use signalbox::console::execution_url;

use crate::alert::{Alert, Status};
use crate::mail::advice::advice;
use crate::mail::words::{count, cut, duration};
use crate::mail::{Options, Recovered, Summary, headline, places, run, why};
use crate::subject;

/// How much of a cause is shown.
const CAUSE_CHARS: usize = 600;
const CAUSE_LINES: usize = 8;

/// How many states are named that were open.
const OPEN: usize = 5;

/// Longest title and longest description that are taken.
const TITLE_CHARS: usize = 250;
const DESCRIPTION_CHARS: usize = 2_800;

/// Around lines of code.
const FENCE: &str = "```";

/// An alert. What has the same `thread` stands in one thread: see [`group::key`](crate::group::key).
#[must_use]
pub fn custom(alert: &Alert, options: &Options, thread: &str) -> String {
    let mut parts = vec![code(&headline(alert))];
    for child in &alert.children {
        let place = child.failure.as_ref().and_then(|failure| failure.places.first());
        let at = place.map(|place| format!(" at {place}")).unwrap_or_default();
        parts.push(code(&format!("{} failed{at}", child.execution.machine().name())));
    }
    let told = why::told(alert);
    let sentence = told.sentence();
    if !sentence.is_empty() {
        parts.push(block(&cut(&sentence, CAUSE_CHARS, CAUSE_LINES)));
    }
    if let Some(handled) = places(alert).first().and_then(|place| place.handled.as_ref()) {
        parts.push(format!("*Caught:* the run ended at {}", code(&handled.ended_at)));
    }
    if alert.end.status != Status::Failed {
        let open = places(alert);
        let mut lines: Vec<String> = open.iter().take(OPEN).map(|place| code(&place.to_string())).collect();
        if open.len() > OPEN {
            lines.push(format!("and {} more", open.len() - OPEN));
        }
        if open.len() > 1 {
            parts.push(format!("*Open at the end:*\n{}", lines.join("\n")));
        }
    }
    parts.push(
        run::lines(alert)
            .iter()
            .map(|line| escaped(line))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    if !alert.missing.is_empty() {
        let missing = u32::try_from(alert.missing.len()).unwrap_or(u32::MAX);
        let things = count(missing, "thing", "things");
        parts.push(format!("{things} could not be found out; the mail says which."));
    }
    if let Some(window) = options.window {
        parts.push(format!(
            "Further ones of this kind are counted for {}.",
            duration(window)
        ));
    }
    let advice = advice(alert, options);
    let mut steps: Vec<String> = advice.texts.iter().map(|text| escaped(text)).collect();
    steps.extend(advice.command.as_deref().map(code));
    steps.push(execution_url(&alert.end.execution));
    steps.extend(alert.children.last().map(|child| execution_url(&child.execution)));
    message(&subject::subject(alert), &parts.join("\n"), &steps, thread)
}

/// The end of a window.
#[must_use]
pub fn summary(summary: &Summary, thread: &str) -> String {
    let mut parts = vec![escaped(&summary.headline())];
    parts.extend(summary.what().map(|what| code(&what)));
    parts.push(summary.counted());
    let link = summary.executions.last().map(|(last, _)| execution_url(last));
    message(
        &subject::summary(summary),
        &parts.join("\n"),
        &Vec::from_iter(link),
        thread,
    )
}

/// A success after failures.
#[must_use]
pub fn recovered(recovered: &Recovered, thread: &str) -> String {
    let mut parts = vec![escaped(&recovered.headline()), escaped(&recovered.ends())];
    parts.extend(recovered.left().map(str::to_owned));
    let link = execution_url(&recovered.execution);
    message(&subject::recovered(recovered), &parts.join("\n"), &[link], thread)
}

fn message(subject: &str, description: &str, steps: &[String], thread: &str) -> String {
    let title = escaped(&cut(subject, TITLE_CHARS, 1));
    let mut description = cut(description, DESCRIPTION_CHARS, 60);
    if description.matches(FENCE).count() % 2 == 1 {
        description.push('\n');
        description.push_str(FENCE);
    }
    json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": description,
            "nextSteps": steps,
        },
        "metadata": { "threadId": thread, "summary": title },
    })
    .to_string()
}

/// The text on one line in code.
fn code(text: &str) -> String {
    format!("`{}`", entities(text).replace('`', "'").replace('\n', " "))
}

/// Lines of code.
fn block(text: &str) -> String {
    format!("{FENCE}\n{}\n{FENCE}", entities(text).replace('`', "'"))
}

/// The text, where it is not code: what has a meaning in Slack's Markdown, or in that of Teams, has one that looks
/// like it and has none.
fn escaped(text: &str) -> String {
    let plain = |c: char| match c {
        '*' => '\u{2217}',
        '`' => '\'',
        '~' => '\u{223c}',
        '@' => '\u{ff20}',
        c => c,
    };
    let text: String = entities(text).chars().map(plain).collect();
    text.replace("](", "] (")
}

/// Slack's three: `<!channel>` and `<https://…|…>` then call nobody and lead nowhere.
fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
