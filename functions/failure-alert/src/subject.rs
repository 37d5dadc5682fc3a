//! Subjects of mails.
//!
//! SNS wants less than 100 characters, no line breaks and no control characters (API reference, `Publish`, `Subject`).
//! It takes UTF-8 by now; ASCII, beginning with a letter, a number or punctuation, is what it has always taken.

use crate::alert::{Alert, Status};
use crate::mail::{Cancelled, Recovered, Summary};

/// Longest subject, in characters.
const SUBJECT_CHARS: usize = 99;

/// `[FAILED] orders-nightly at "Charge"`; `[FAILED] orders-nightly, resumed, at "Charge"`.
#[must_use]
pub fn subject(alert: &Alert) -> String {
    let end = &alert.end;
    let machine = alert.pipeline.name();
    let places = alert.failure.as_ref().map_or(&[][..], |failure| &failure.places);
    let state = places.first().and_then(|place| Some(place.path.last()?.state.as_str()));
    let more = match places.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let status = format!("[{}] ", end.status.name());
    let how = match end.status {
        Status::Failed => " at ",
        Status::TimedOut => " in ",
        Status::Aborted => match Cancelled::of(end.error.as_deref()) {
            Some(Cancelled::LostLock) => ", lock lost on redrive, in ",
            Some(Cancelled::NewerRun) => ", for a newer run, in ",
            None => ", stopped while in ",
        },
    };
    match (alert.is_resumed(), state) {
        (false, _) => subject_of(&status, machine, how, state, &more),
        (true, None) => subject_of(&status, machine, how, None, &format!(", resumed{more}")),
        (true, Some(_)) => {
            let comma = if how.starts_with(',') { "" } else { "," };
            subject_of(&status, machine, &format!(", resumed{comma}{how}"), state, &more)
        }
    }
}

/// `[FAILED] orders-nightly at "Charge": 17 more`.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    let status = format!("[{}] ", summary.status.name());
    let more = format!(": {} more", summary.count);
    let at = match summary.status {
        Status::Failed => " at ",
        Status::TimedOut | Status::Aborted => " in ",
    };
    subject_of(&status, summary.machine.name(), at, summary.state.as_deref(), &more)
}

/// `[RECOVERED] orders-nightly after 18 failures`.
#[must_use]
pub fn recovered(recovered: &Recovered) -> String {
    let failures = match recovered.failures {
        0 | 1 => String::new(),
        failures => format!(" after {failures} failures"),
    };
    subject_of("[RECOVERED] ", recovered.pipeline.name(), "", None, &failures)
}

/// The parts, the names cut so that it fits; both, so that both can be told.
fn subject_of(status: &str, machine: &str, before: &str, state: Option<&str>, after: &str) -> String {
    let (machine, state) = (ascii(machine), state.map(ascii));
    let Some(state) = state else {
        let room = SUBJECT_CHARS - status.len() - after.len();
        return format!("{status}{}{after}", shortened(&machine, room));
    };
    let room = SUBJECT_CHARS - status.len() - before.len() - after.len() - 2;
    let half = room / 2;
    // What one does not need, the other may have.
    let machine = shortened(&machine, room.saturating_sub(state.len()).max(room - half));
    let state = shortened(&state, room - machine.len());
    format!("{status}{machine}{before}\"{state}\"{after}")
}

/// The text with `...` in its middle: names differ at either end.
fn shortened(text: &str, most: usize) -> String {
    const GAP: &str = "...";
    if text.len() <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(GAP.len());
    let (head, tail) = (kept - kept / 2, kept / 2);
    format!("{}{GAP}{}", &text[..head], &text[text.len() - tail..])
}

/// A name in ASCII on one line, without quotes of its own.
fn ascii(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => text.push('\''),
            ' '..='~' => text.push(c),
            c if c.is_whitespace() => text.push(' '),
            c => match plain(c) {
                Some(plain) if c.is_uppercase() && plain.len() == 1 => {
                    text.push_str(&plain.to_ascii_uppercase());
                }
                Some(plain) => text.push_str(plain),
                None => text.push('?'),
            },
        }
    }
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// What comes closest in ASCII, in lower case.
fn plain(c: char) -> Option<&'static str> {
    let lower = c.to_lowercase().next().unwrap_or(c);
    Some(match lower {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'ð' | 'đ' => "d",
        'è'..='ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì'..='ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'ř' => "r",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '\u{00ab}' | '\u{00bb}' => "'",
        '\u{2026}' => "...",
        '\u{2192}' => "->",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(machine: &str, state: &str) -> String {
        subject_of("[FAILED] ", machine, " at ", Some(state), "")
    }

    #[test]
    fn names_become_ascii_on_one_line() {
        for (state, expected) in [
            ("Charge", "Charge"),
            ("Prüfen der Zahlung – Ärger", "Prufen der Zahlung - Arger"),
            ("say \"hi\"", "say 'hi'"),
            ("two\r\nlines\tand\u{2028}more", "two lines and more"),
            ("支払い", "???"),
            ("Straße œuvre ŁÓDŹ", "Strasse oeuvre LODZ"),
            ("bell\u{7}\u{202e}", "bell??"),
        ] {
            assert_eq!(of("m", state), format!("[FAILED] m at \"{expected}\""), "{state:?}");
        }
    }

    #[test]
    fn long_names_are_cut_in_the_middle() {
        let long = |head: &str, tail: &str| format!("{head}{}{tail}", "x".repeat(80 - head.len() - tail.len()));
        let (machine, state) = (long("orders-", "-prod"), long("Charge ", " again"));
        let both = of(&machine, &state);
        assert_eq!(both.len(), SUBJECT_CHARS);
        for part in ["[FAILED] orders-xx", "xx-prod at \"Charge x", "xx again\"", "..."] {
            assert!(both.contains(part), "{both}");
        }
        let one = of("orders", &state);
        assert_eq!(one.len(), SUBJECT_CHARS);
        assert!(one.starts_with("[FAILED] orders at \"Charge x"), "{one}");
        assert!(of(&machine, "Charge").ends_with("-prod at \"Charge\""));
    }

    #[test]
    fn whatever_the_names_a_subject_is_one_of_snss() {
        for length in 1..=80 {
            for c in ["x", "ß", "œ", "…", "支", "\n", "\"", "\u{301}"] {
                let name = c.repeat(length);
                for text in [of(&name, &name), of("m", &name), of(&name, "S")] {
                    assert!(text.len() < 100 && text.starts_with('['), "{text}");
                    assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
                }
            }
        }
    }
}
