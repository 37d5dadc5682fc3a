//! Which failures are of the same kind: those of one state with the same error and the same telling line of the cause,
//! whatever ids, numbers and times are in them.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};
use signalbox::arn::StateMachineArn;

use crate::mail::cause::tell;

/// How much of the telling line counts.
const LINE_CHARS: usize = 400;

/// The error and the telling line of the cause, without what differs from failure to failure: `PaymentError: order #
/// was answered 503 by <host>`.
#[must_use]
pub fn normalise(error: Option<&str>, cause: Option<&str>) -> String {
    let told = tell(error, cause);
    let mut parts: Vec<String> = told
        .errors
        .iter()
        .map(|error| without_ids(error, Numbers::Short))
        .collect();
    let line = told.message.lines().next().unwrap_or_default();
    let line: String = line.chars().take(LINE_CHARS).collect();
    parts.push(without_ids(&line, Numbers::Codes));
    parts.retain(|part| !part.is_empty());
    parts.join(": ")
}

/// A short name of a kind of failure of a pipeline: 32 hexadecimal digits, the same ones in every version.
#[must_use]
pub fn key(machine: &StateMachineArn, state: Option<&str>, error: Option<&str>, cause: Option<&str>) -> String {
    let mut hash = Fnv::default();
    hash.part(machine.as_str());
    match state {
        Some(state) => hash.part(state),
        // No name of a state is empty.
        None => hash.part(""),
    }
    hash.part(&normalise(error, cause));
    hash.digits()
}

/// FNV-1a with 128 bits.
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// A text and its end, so that no two lists of texts are the same bytes.
    fn part(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }

    fn digits(&self) -> String {
        format!("{:032x}", self.0)
    }
}

/// Which numbers are more than a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// Those up to three digits: an error's name may have an HTTP status in it.
    Short,
    /// Those that a word before them makes a code: `status code: 503`, `exit code 137`.
    Codes,
}

/// Things that differ as a whole, and what stands for them.
static THINGS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let things = [
        (r#"arn:aws[a-z-]*:([a-z0-9-]*):[^\s"'<>,;()\[\]{}]*"#, "<arn of $1>"),
        (r#"\bs3[an]?://([^\s/"'<>]+)[^\s"'<>]*"#, "s3://$1/<key>"),
        (
            r#"\b([a-z]+)://(?:[^\s/@"'<>]*@)?([^\s/:?"'<>]+)[^\s"'<>]*"#,
            "$1://$2/<path>",
        ),
        (
            r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z| ?[+-][0-9]{2}:?[0-9]{2}| UTC)?)?",
            "<time>",
        ),
        (
            r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
            "<id>",
        ),
        (r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]+)?\b", "<address>"),
        (r"@[0-9a-f]{5,}\b", "@<id>"),
    ];
    let compile = |(regex, name)| {
        (
            Regex::new(regex).expect("the expression is a constant, and tested"),
            name,
        )
    };
    things.map(compile).into()
});

/// A word with letters and digits, and what makes a number before it a code.
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(\b(?:status|code|http(?:/[0-9.]+)?|exit|signal|errno|error|returned|answered)[ :=(#]{0,3})?([a-z0-9]*[0-9][a-z0-9]*)")
        .expect("the expression is a constant, and tested")
});

fn without_ids(text: &str, numbers: Numbers) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (regex, name) in THINGS.iter() {
        text = regex.replace_all(&text, *name).into_owned();
    }
    let word = |found: &Captures<'_>| {
        let before = found.get(1).map_or("", |before| before.as_str());
        let word = &found[2];
        let is_code = match numbers {
            Numbers::Short => true,
            Numbers::Codes => !before.is_empty(),
        };
        let is_number = word.bytes().all(|b| b.is_ascii_digit());
        if is_code && is_number && word.len() <= 3 {
            return found[0].to_owned();
        }
        format!("{before}{}", stripped(word, numbers))
    };
    WORDS.replace_all(&text, word).into_owned()
}

/// `order4711` is `order#`, `4711` is `#`; what mixes letters and digits otherwise is an id.
fn stripped(word: &str, numbers: Numbers) -> String {
    let digit = |c: char| c.is_ascii_digit();
    let letters = word.trim_end_matches(digit);
    if !letters.contains(digit) {
        let short = numbers == Numbers::Short && word.len() - letters.len() <= 3;
        return if short { word.to_owned() } else { format!("{letters}#") };
    }
    // 250ms, 3rd, 16kb
    let unit = word.trim_start_matches(digit);
    match !unit.contains(digit) && unit.len() <= 3 && word.len() - unit.len() <= 9 {
        true => format!("#{unit}"),
        // An error's name: `V2SignatureError`.
        false if numbers == Numbers::Short && word.len() < 32 => {
            let mut name = String::new();
            for c in word.chars() {
                if !digit(c) {
                    name.push(c);
                } else if !name.ends_with('#') {
                    name.push('#');
                }
            }
            name
        }
        false => "<id>".to_owned(),
    }
}

#[cfg(test)]
mod tests;
