//! Secrets by the name of their field: `"password": "…"`, `DB_PASSWORD=…`, `Secret Access Key: …`, in JSON at any depth
//! of escaping, in query strings, in pairs of `Name` and `Value`.

use super::REDACTED;

/// Longest name of a field that is looked at.
const NAME_CHARS: usize = 64;

/// How far a value reaches that is not in quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Word,
    Line,
}

/// What names of secrets end with, without regard to case and to what is no letter.
const WORDS: [&str; 26] = [
    "password",
    "passwords",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "secrets",
    "token",
    "tokens",
    "apikey",
    "apikeys",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "sharedkey",
    "accountkey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "sessionkey",
    "signaturekey",
    "webhookurl",
    "pgpass",
    "mypass",
];

/// These only with `=`: before a colon they are prose.
const PARAMETERS: [&str; 5] = ["credential", "credentials", "signature", "sig", "pass"];

/// Headers, whose values have several words.
const HEADERS: [&str; 3] = ["authorization", "cookie", "cookies"];

/// What may follow in a name: `SecretString`, `password_value`.
const ENDINGS: [&str; 5] = ["value", "string", "plaintext", "text", "binary"];

pub(super) fn redact(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut safe = String::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    // Where the value ends that a field `name` had, if it is the name of a secret.
    let mut name_until = None;
    while let Some(next) = bytes[at..].iter().position(|b| matches!(b, b':' | b'=')) {
        let separator = at + next;
        at = separator + 1;
        let Some(name) = Name::before(text, separator) else {
            continue;
        };
        let value = Value::after(text, separator);
        let plain = letters(name.last);
        let of_pair = plain == "value" && name_until.is_some_and(|until| name.start.saturating_sub(until) <= 16);
        if matches!(plain.as_str(), "name" | "key") && value.quote > 0 {
            let named = reach(&letters(value.text(text)), b'=').is_some();
            name_until = named.then_some(value.end);
            continue;
        }
        let reach = if of_pair {
            Some(Reach::Word)
        } else {
            reach(&letters(name.with_spaces), bytes[separator])
        };
        let Some(reach) = reach else { continue };
        let value = value.reaching(text, reach);
        if value.is_kept(text, &plain) {
            continue;
        }
        safe.push_str(&text[copied..value.start]);
        safe.push_str(REDACTED);
        copied = value.end;
        at = at.max(value.end);
    }
    safe.push_str(&text[copied..]);
    safe
}

/// The letters and digits of a name in lower case, without a number at its end.
fn letters(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    let mut letters: String = kept.map(|c| c.to_ascii_lowercase()).collect();
    letters.truncate(letters.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    letters
}

fn reach(letters: &str, separator: u8) -> Option<Reach> {
    let ends = |words: &[&str]| words.iter().any(|word| letters.ends_with(word));
    if ends(&HEADERS) {
        return Some(Reach::Line);
    }
    let bare = ENDINGS.iter().find_map(|ending| letters.strip_suffix(ending));
    let secret = ends(&WORDS)
        || (separator == b'=' && ends(&PARAMETERS))
        || bare.is_some_and(|bare| WORDS.iter().any(|word| bare.ends_with(word)));
    secret.then_some(Reach::Word)
}

/// A field's name.
struct Name<'t> {
    /// Its last word.
    last: &'t str,
    /// The same with the words before it: `Secret Access Key`.
    with_spaces: &'t str,
    /// Where it starts.
    start: usize,
}

impl<'t> Name<'t> {
    /// The name before a separator, none if there is none.
    fn before(text: &'t str, separator: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let back = |mut at: usize, most: usize, is: fn(u8) -> bool| {
            let least = at.saturating_sub(most);
            while at > least && is(bytes[at - 1]) {
                at -= 1;
            }
            at
        };
        let mut end = back(separator, 4, |b| b == b' ');
        let quoted = end > 0 && matches!(bytes[end - 1], b'"' | b'\'');
        if quoted {
            end = back(end - 1, 32, |b| b == b'\\');
        }
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$' | b'-');
        let start = back(end, NAME_CHARS, is_name);
        if start == end {
            return None;
        }
        // arn:aws:secretsmanager:eu-west-1:123456789012:secret:db
        if !quoted && bytes[separator] == b':' && start > 0 && bytes[start - 1] == b':' {
            let word = back(start, 200, |b| !b.is_ascii_whitespace() && b != b'"');
            if text.is_char_boundary(word) && text[word..start].contains("arn:") {
                return None;
            }
        }
        let spaced = back(end, NAME_CHARS, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$' | b'-' | b' ')
        });
        Some(Self {
            last: &text[start..end],
            with_spaces: &text[spaced..end],
            start,
        })
    }
}

/// A field's value: what stands between its quotes.
#[derive(Clone, Copy)]
struct Value {
    start: usize,
    end: usize,
    /// How many characters its opening quote has, with the backslashes before it; 0 without one.
    quote: usize,
}

impl Value {
    /// The value behind a separator, as far as it is in quotes.
    fn after(text: &str, separator: usize) -> Self {
        let bytes = text.as_bytes();
        let is_filler = |b: &&u8| matches!(b, b' ' | b'\t' | b'=' | b'>' | b':');
        let start = separator + 1 + bytes[separator + 1..].iter().take(16).take_while(is_filler).count();
        let slashes = bytes[start..].iter().take(64).take_while(|b| **b == b'\\').count();
        let quote = match bytes.get(start + slashes) {
            Some(b'"' | b'\'') => slashes + 1,
            _ => 0,
        };
        let start = start + quote;
        let end = if quote == 0 {
            start
        } else {
            closing(text, start, quote - 1)
        };
        Self { start, end, quote }
    }

    fn text(self, text: &str) -> &str {
        &text[self.start..self.end]
    }

    /// The same, with an end where it has no quotes.
    fn reaching(self, text: &str, reach: Reach) -> Self {
        if self.quote > 0 {
            return self;
        }
        let rest = &text[self.start..];
        // A list of texts; an object's fields have names of their own.
        let list = rest.strip_prefix('[').map(|list| list.trim_start_matches([' ', '\\']));
        let length = if list.is_some_and(|list| list.starts_with(['"', '\''])) {
            rest.find(']').map_or(rest.len(), |end| end + 1)
        } else if rest.starts_with(['{', '[']) {
            0
        } else if reach == Reach::Line {
            rest.find(['\n', '\r', '"', '\\']).unwrap_or(rest.len())
        } else {
            let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '&' | ';' | '\\');
            let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
            word.trim_end_matches([',', '.', ')', '}', ']']).len()
        };
        Self {
            end: self.start + length,
            ..self
        }
    }

    /// Whether there is nothing to hide: no value, a count of tokens, the ARN of a secret, the directory `PWD`.
    fn is_kept(self, text: &str, name: &str) -> bool {
        let value = self.text(text);
        let is_number = value.bytes().all(|b| b.is_ascii_digit());
        let is_nothing = self.quote == 0 && matches!(value, "null" | "true" | "false" | "None" | "undefined" | "nil");
        is_nothing
            || text[self.start..].starts_with(REDACTED)
            || value.starts_with("arn:aws")
            || (is_number && (value.is_empty() || name.ends_with("tokens")))
            || (name.ends_with("pwd") && value.starts_with('/'))
    }
}

/// Where a text in quotes ends whose opening quote has so many backslashes before it: at the quote that is escaped as
/// often; else at the end of the line.
fn closing(text: &str, start: usize, slashes: usize) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[start - 1];
    let mut run = 0;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match *byte {
            b'\\' => run += 1,
            b if b == quote && run >= slashes && (run - slashes).is_multiple_of(2 * (slashes + 1)) => {
                return at - slashes;
            }
            b'\n' => return at,
            _ => run = 0,
        }
    }
    bytes.len()
}
