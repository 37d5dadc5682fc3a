//! The whole mail, its subject and its chat message for each class of failure, as whoever is on call gets them.
//!
//! `tests/mails/*.txt` are what is expected. After a change that is meant, and read:
//!
//! ```sh
//! SIGNALBOX_BLESS=1 cargo test -p failure-alert --test mails
//! ```

#[path = "mails/cases.rs"]
mod cases;

use std::path::PathBuf;
use std::time::Duration;

use failure_alert::alert::Alert;
use failure_alert::mail::{self, Options, Resume};
use failure_alert::{chat, group, subject};
use serde_json::Value;

/// What is sent.
struct Sent {
    subject: String,
    text: String,
    chat: String,
}

/// As the stack `signalbox` does, which watches what is named `orders…`.
fn resume() -> Resume {
    Resume {
        stack: "signalbox".to_owned(),
        prefix: "orders".to_owned(),
        clones: true,
    }
}

fn sent(alert: &Alert, resume: Option<Resume>) -> Sent {
    let options = Options {
        window: Some(Duration::from_hours(1)),
        resume,
    };
    let end = &alert.end;
    let state = alert.failure.as_ref().and_then(|failure| failure.places.first());
    let state = state.and_then(|place| Some(place.path.last()?.state.as_str()));
    let key = group::key(&alert.pipeline, state, end.error.as_deref(), end.cause.as_deref());
    Sent {
        subject: subject::subject(alert),
        text: mail::text(alert, &options),
        chat: chat::custom(alert, &options, &key),
    }
}

/// Compares with `tests/mails/<name>.txt`.
#[allow(
    clippy::disallowed_methods,
    reason = "how the expectations are renewed is no configuration of a function"
)]
fn check(name: &str, sent: &Sent) {
    assert_good(sent);
    let chat: Value = serde_json::from_str(&sent.chat).expect("JSON");
    let chat = serde_json::to_string_pretty(&chat).expect("JSON");
    let found = format!("Subject: {}\n\n{}\n==== chat ====\n{chat}\n", sent.subject, sent.text);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/mails/{name}.txt"));
    if std::env::var("SIGNALBOX_BLESS").is_ok() {
        std::fs::write(&path, &found).expect("a file that can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let line = found
        .lines()
        .zip(expected.lines())
        .position(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{} differs{}. If that is meant, read it and run\n\n    SIGNALBOX_BLESS=1 cargo test -p failure-alert --test mails\n\nIt is now:\n\n{found}",
        path.display(),
        line.map(|line| format!(" from line {} on", line + 1))
            .unwrap_or_default()
    );
}

/// What holds for every message, whatever happened.
fn assert_good(sent: &Sent) {
    let (subject, text) = (&sent.subject, &sent.text);
    assert!(
        subject.len() < 100 && subject.bytes().all(|b| (b' '..=b'~').contains(&b)),
        "{subject}"
    );
    assert!(
        text.len() < 8_192 && sent.chat.len() < 8_192,
        "{} {}",
        text.len(),
        sent.chat.len()
    );
    for line in text.lines() {
        let is_whole =
            ["https://", "aws ", "sam "].iter().any(|start| line.starts_with(start)) || !line.trim().contains(' ');
        let is_code = line.starts_with("    ");
        assert!(is_whole || is_code || line.chars().count() <= 72, "{line:?}");
    }
    assert!(!text.contains("\n\n\n") && text.ends_with('\n'), "{text}");
    for secret in cases::SECRETS {
        assert!(!text.contains(secret) && !sent.chat.contains(secret), "{secret}");
    }
    // Everything else is dropped without a word.
    let chat: Value = serde_json::from_str(&sent.chat).expect("JSON");
    assert_eq!((&chat["version"], &chat["source"]), (&"1.0".into(), &"custom".into()));
    assert_eq!(chat["content"]["textType"], "client-markdown");
    let strings = [
        &chat["content"]["title"],
        &chat["content"]["description"],
        &chat["metadata"]["threadId"],
        &chat["metadata"]["summary"],
    ];
    assert!(
        strings
            .iter()
            .all(|text| text.as_str().is_some_and(|text| !text.is_empty())),
        "{chat}"
    );
    let steps = chat["content"]["nextSteps"].as_array().expect("a list");
    assert!(steps.iter().all(Value::is_string));
}

#[test]
fn alerts_read_well() {
    for (name, alert) in cases::alerts() {
        check(name, &sent(&alert, Some(resume())));
    }
    for (name, alert) in cases::without_clones() {
        let without = Resume {
            clones: false,
            ..resume()
        };
        check(name, &sent(&alert, Some(without)));
    }
    for (name, alert) in cases::without_resume() {
        check(name, &sent(&alert, None));
    }
}

/// What it may not resume it gives no command for that would be refused.
#[test]
fn where_resume_does_not_reach_it_is_a_redrive() {
    let other = Some(Resume {
        prefix: "stock".to_owned(),
        ..resume()
    });
    for (name, alert) in cases::alerts() {
        let (here, there) = (sent(&alert, other.clone()), sent(&alert, None));
        assert_eq!((here.text, here.chat), (there.text, there.chat), "{name}");
    }
}

#[test]
fn what_follows_reads_well() {
    for (name, summary) in cases::summaries() {
        let sent = Sent {
            subject: subject::summary(&summary),
            text: mail::summary(&summary),
            chat: chat::summary(&summary, "6c62272e07bb014262b821756295c58d"),
        };
        check(name, &sent);
    }
    for (name, recovered) in cases::recoveries() {
        let sent = Sent {
            subject: subject::recovered(&recovered),
            text: mail::recovered(&recovered),
            chat: chat::recovered(&recovered, recovered.pipeline.as_str()),
        };
        check(name, &sent);
    }
}

/// A cause of Step Functions' greatest size, in every field there is.
#[test]
fn the_greatest_failure_is_a_mail_too() {
    for piece in ["word ", "é", "a\n", "{\"message\":\"", "<x>&"] {
        let mut alert = cases::nested();
        let text = piece.repeat(32_768 / piece.len());
        alert.end.cause = Some(text.clone());
        for child in &mut alert.children {
            let failure = child.failure.as_mut().expect("a failure");
            failure.places[0].cause = Some(text.clone());
        }
        alert.input = Some(text.repeat(8));
        alert.missing = vec![text; 3];
        let sent = sent(&alert, Some(resume()));
        assert!(
            sent.text.len() < 10_000 && sent.chat.len() < 20_000,
            "{} {}",
            sent.text.len(),
            sent.chat.len()
        );
    }
}
