//! Secrets never leave: error, cause, input and whatever else comes from outside goes through here before it is put
//! into a message.
//!
//! Rather a word too many than a secret too few; but what leads to the failure stays: ARNs, names, UUIDs, digests and
//! keys of objects.

mod named;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// The text, with [`REDACTED`] in the place of what is a secret, or looks like one.
///
/// Takes time in proportion to the text, whatever it holds.
#[must_use]
pub fn redact(text: &str) -> String {
    let text = private_keys(text);
    let text = named::redact(&text);
    let text = patterns(text);
    long_runs(&text)
}

/// Secrets with a form of their own.
struct Pattern {
    /// In lower case; without any of them in the text, the expression is not tried: it is the slower one by far.
    hints: &'static [&'static str],
    /// Group 1 stays, group 2 is the secret.
    regex: Regex,
    /// Whether group 2 really is one.
    is_secret: fn(&str) -> bool,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let pattern = |hints: &'static [&'static str], regex: &str, is_secret: fn(&str) -> bool| Pattern {
        hints,
        regex: Regex::new(regex).expect("the expression is a constant, and tested"),
        is_secret,
    };
    vec![
        // JSON Web Tokens.
        pattern(
            &["eyj"],
            r"\b()(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*)",
            |_| true,
        ),
        // Access key ids of AWS, also those cut off.
        pattern(&["akia", "asia"], r"\b()((?:AKIA|ASIA)[A-Z0-9]{12,})\b", |_| true),
        pattern(
            &["bearer", "basic"],
            r"(?i)\b((?:bearer|basic)[ \t]+)([A-Za-z0-9._~+/=-]{6,})",
            |secret| secret.len() >= 20 || secret.ends_with('=') || secret.bytes().any(|b| b.is_ascii_digit()),
        ),
        // scheme://user:password@host; the password may hold a slash, but a port before a path is none.
        pattern(&["://"], r#"(://[^\s/:@"'<>\\]*:)([^\s/"'<>\\]+)@"#, |secret| {
            secret != REDACTED
        }),
        pattern(&["://"], r#"(://[^\s/:@"'<>\\]*:)([^\s"'<>\\?#]+)@"#, |secret| {
            let port = secret.split('/').next().unwrap_or_default();
            !secret.starts_with(REDACTED) && !port.bytes().all(|b| b.is_ascii_digit())
        }),
        // scheme://token@host
        pattern(&["://"], r#"(://)([^\s/:@"'<>\\]{20,})@"#, |secret| {
            secret.bytes().any(|b| b.is_ascii_digit())
        }),
        pattern(
            &[
                "gho_",
                "ghp_",
                "ghs_",
                "ghu_",
                "github_pat_",
                "glpat-",
                "xox",
                "_live_",
                "sk-",
            ],
            r"\b()((?:gh[opsu]_|github_pat_|glpat-|xox[abeprs]-|[rs]k_live_|sk-)[A-Za-z0-9_-]{16,})",
            |secret| secret.bytes().any(|b| b.is_ascii_digit()),
        ),
        pattern(
            &["hooks.slack.com/"],
            r"(hooks\.slack\.com/[a-z]+/)([A-Za-z0-9/_-]+)",
            |_| true,
        ),
        // --password hunter2, also in a list: "--password", "hunter2".
        pattern(
            &["--"],
            r#"(?i)(--[a-z0-9-]*(?:password|passwd|secret|token|api-?key|access-?key)(?:\\*["']\s*,\s*\\*["']|[ \t]+))([^\s"'\\]+)"#,
            |secret| !secret.starts_with('-') && secret != REDACTED,
        ),
        pattern(
            &["</"],
            r"(?i)(<[a-z0-9_.:-]*(?:password|passwd|secret|token|api-?key|access-?key)>)([^<]+)",
            |_| true,
        ),
    ]
});

fn patterns(mut text: String) -> String {
    let lower = text.to_ascii_lowercase();
    for pattern in PATTERNS.iter() {
        if !pattern.hints.iter().any(|hint| lower.contains(hint)) {
            continue;
        }
        let replaced = pattern.regex.replace_all(&text, |found: &Captures<'_>| {
            let (kept, secret) = (&found[1], &found[2]);
            if !(pattern.is_secret)(secret) {
                return found[0].to_owned();
            }
            let tail = &found[0][kept.len() + secret.len()..];
            format!("{kept}{REDACTED}{tail}")
        });
        if let Cow::Owned(replaced) = replaced {
            text = replaced;
        }
    }
    text
}

/// PEM blocks, to their end or to that of the text.
fn private_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END";
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let label = &rest[at + BEGIN.len()..];
        let Some(dashes) = label
            .find("-----")
            .filter(|dashes| label[..*dashes].contains("PRIVATE KEY"))
        else {
            safe.push_str(&rest[..at + BEGIN.len()]);
            rest = label;
            continue;
        };
        safe.push_str(&rest[..at]);
        safe.push_str(REDACTED);
        let body = &label[dashes..];
        rest = body.find(END).map_or("", |end| {
            let tail = &body[end + END.len()..];
            tail.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == ' ' || c == '-')
        });
    }
    safe.push_str(rest);
    safe
}

/// Shortest text that is taken for a secret for being random alone. S3's extended request ids have 76 characters and
/// are there to be told to AWS.
const RUN_CHARS: usize = 100;

/// What a task token holds near its beginning.
const TASK_TOKEN: &str = "AAAAKgAAAA";

/// Long texts in base64: task tokens, session tokens, whatever else.
fn long_runs(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut safe = String::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        while let Some(width) = base64_width(&bytes[at..]) {
            at += width;
        }
        if at == start {
            at += 1;
            continue;
        }
        let run = &text[start..at];
        if (run.len() >= RUN_CHARS && looks_random(run)) || (run.len() >= 20 && run.contains(TASK_TOKEN)) {
            safe.push_str(&text[copied..start]);
            safe.push_str(REDACTED);
            copied = at;
        }
    }
    safe.push_str(&text[copied..]);
    safe
}

/// How many bytes the character of a base64 text takes here, escaped for a URL or for JSON too.
fn base64_width(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' | b'_' | b'-' | b'%',
            ..,
        ] => Some(1),
        [b'\\', b'u', b'0', b'0', _, _, ..] => Some(6),
        _ => None,
    }
}

/// Whether upper case, lower case and digits are as mixed as in base64. Words in camel case, paths and hexadecimal
/// digests are not.
fn looks_random(run: &str) -> bool {
    let kind = |b: u8| match b {
        b'A'..=b'Z' => Some(0),
        b'a'..=b'z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let kinds: Vec<usize> = run.bytes().filter_map(kind).collect();
    let mut of = [0_usize; 3];
    for kind in &kinds {
        of[*kind] += 1;
    }
    let switches = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let all = kinds.len();
    of[0] * 10 >= all && of[1] * 10 >= all && of[2] * 30 >= all && switches * 100 >= all * 38
}

#[cfg(test)]
mod tests;
