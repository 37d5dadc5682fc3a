//! Words and lines: durations, times, names; wrapped for a phone, never within a link or a command.

use std::time::Duration;

use signalbox::clock::Timestamp;

/// Where lines are broken.
const WIDTH: usize = 72;

/// `4 min 12 s`, `2 h 5 min`, `3 d 4 h`: the two units that matter.
pub(crate) fn duration(span: Duration) -> String {
    let secs = span.as_secs();
    let two = |most: u64, unit: &str, rest: u64, lesser: &str| match rest {
        0 => format!("{most} {unit}"),
        rest => format!("{most} {unit} {rest} {lesser}"),
    };
    match secs {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{secs} s"),
        60..3_600 => two(secs / 60, "min", secs % 60, "s"),
        3_600..86_400 => two(secs / 3_600, "h", secs / 60 % 60, "min"),
        _ => two(secs / 86_400, "d", secs / 3_600 % 24, "h"),
    }
}

/// The same for what is usual: nobody needs the seconds of 12 minutes.
pub(crate) fn roughly(span: Duration) -> String {
    let secs = span.as_secs();
    duration(match secs {
        600..7_200 => Duration::from_secs((secs + 30) / 60 * 60),
        _ => span,
    })
}

/// `2026-01-31 04:12 UTC`.
pub(crate) fn minute(at: Timestamp) -> String {
    let text = at.for_people();
    match (text.get(..16), text.get(19..)) {
        (Some(minute), Some(" UTC")) => format!("{minute} UTC"),
        _ => text,
    }
}

/// `2026-01-31 04:00:12 to 04:12:24 UTC`; the second day only if it is another.
pub(crate) fn period(from: Timestamp, to: Timestamp) -> String {
    let (from, to) = (from.for_people(), to.for_people());
    let begin = from.trim_end_matches(" UTC");
    match (from.get(..11), to.get(..11), to.get(11..)) {
        (Some(day), Some(other), Some(time)) if day == other => format!("{begin} to {time}"),
        _ => format!("{begin} to {to}"),
    }
}

/// `first`, `third`, `12th`.
pub(crate) fn ordinal(number: u32) -> String {
    const WORDS: [&str; 10] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    ];
    let word = usize::try_from(number)
        .ok()
        .and_then(|number| WORDS.get(number.checked_sub(1)?));
    if let Some(word) = word {
        return (*word).to_owned();
    }
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// `once`, `twice`, `3 times`.
pub(crate) fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        number => format!("{number} times"),
    }
}

/// `1 failure`, `2 failures`.
pub(crate) fn count(number: u32, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// With a capital at its beginning.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// A name in quotes, on one line whatever it holds.
pub(crate) fn quoted(name: &str) -> String {
    format!("{name:?}")
}

/// The text as the argument of a command.
pub(crate) fn argument(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/=@+,".contains(c);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The text without what would break or turn lines elsewhere: control characters, directions of writing.
pub(crate) fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\t', "    ");
    let plain = |c: char| match c {
        '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => None,
        c if c.is_control() => Some('\u{fffd}'),
        c => Some(c),
    };
    text.chars().filter_map(plain).collect()
}

/// The beginning of the text, and how much was cut off.
pub(crate) fn cut(text: &str, most_chars: usize, most_lines: usize) -> String {
    let lines_end = text
        .match_indices('\n')
        .nth(most_lines.saturating_sub(1))
        .map(|(at, _)| at);
    let chars_end = text.char_indices().nth(most_chars).map(|(at, _)| at);
    let Some(end) = lines_end.into_iter().chain(chars_end).min() else {
        return text.to_owned();
    };
    let (kept, gone) = (text[..end].trim_end(), text[end..].trim());
    match gone.chars().count() {
        0 => kept.to_owned(),
        1 => format!("{kept}{gone}"),
        gone => format!("{kept}\n... ({gone} more characters)"),
    }
}

/// A text that grows line by line.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// A line as it is.
    pub(crate) fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    /// An empty line, unless there is one.
    pub(crate) fn gap(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with("\n\n") {
            self.0.push('\n');
        }
    }

    /// A heading, after an empty line.
    pub(crate) fn heading(&mut self, heading: &str) {
        self.gap();
        self.line(heading);
    }

    /// A text, each of its lines broken between words. Lines that are indented are left as they are: they are code.
    pub(crate) fn text(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            if line.starts_with("  ") {
                self.line(&format!("{:indent$}{line}", ""));
            } else {
                self.wrapped(indent, indent, line);
            }
        }
    }

    /// An entry of a list.
    pub(crate) fn entry(&mut self, text: &str) {
        self.wrapped(2, 4, text);
    }

    fn wrapped(&mut self, first: usize, later: usize, line: &str) {
        let mut written = " ".repeat(first);
        let mut width = first;
        let mut empty = true;
        for word in unbreakable(line) {
            let chars = word.chars().count();
            if !empty && width + 1 + chars > WIDTH {
                self.line(&written);
                written = " ".repeat(later);
                width = later;
                empty = true;
            }
            if !empty {
                written.push(' ');
                width += 1;
            }
            written.push_str(&word);
            width += chars;
            empty = false;
        }
        self.line(&written);
    }

    /// All of it.
    pub(crate) fn done(self) -> String {
        self.0
    }
}

/// The words of a line, a number together with its unit.
fn unbreakable(line: &str) -> Vec<String> {
    const UNITS: [&str; 6] = ["ms", "s", "min", "h", "d", "UTC"];
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let is_unit = UNITS.contains(&word.trim_end_matches(|c: char| c.is_ascii_punctuation()));
        match words
            .last_mut()
            .filter(|last| is_unit && last.ends_with(|c: char| c.is_ascii_digit()))
        {
            Some(number) => {
                number.push(' ');
                number.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_two_units_that_matter() {
        for (secs, exact, rough) in [
            (7, "7 s", "7 s"),
            (60, "1 min", "1 min"),
            (252, "4 min 12 s", "4 min 12 s"),
            (723, "12 min 3 s", "12 min"),
            (7_199, "1 h 59 min", "2 h"),
            (7_500, "2 h 5 min", "2 h 5 min"),
            (86_400, "1 d", "1 d"),
            (273_600, "3 d 4 h", "3 d 4 h"),
        ] {
            let span = Duration::from_secs(secs);
            assert_eq!((duration(span).as_str(), roughly(span).as_str()), (exact, rough));
        }
        assert_eq!(duration(Duration::from_millis(850)), "850 ms");
    }

    #[test]
    fn times_are_in_utc_and_to_the_minute() {
        let at = |text| Timestamp::parse(text).unwrap();
        let (from, to) = (at("2026-01-31T23:58:12.345Z"), at("2026-01-31T23:59:24Z"));
        assert_eq!(minute(from), "2026-01-31 23:58 UTC");
        assert_eq!(period(from, to), "2026-01-31 23:58:12 to 23:59:24 UTC");
        let next = at("2026-02-01T00:00:01Z");
        assert_eq!(period(from, next), "2026-01-31 23:58:12 to 2026-02-01 00:00:01 UTC");
        let never = Timestamp::from_millis(i64::MAX);
        assert!(minute(never).ends_with("ms after 1970") && period(from, never).contains("after"));
    }

    #[test]
    fn numbers_are_words_where_that_reads_better() {
        let words: Vec<_> = [1, 3, 10, 11, 12, 21, 102, 113, 0].map(ordinal).into();
        assert_eq!(words.join(" "), "first third tenth 11th 12th 21st 102nd 113th 0th");
        assert_eq!([1, 2, 3].map(times).join(" "), "once twice 3 times");
        assert_eq!(capital("third"), "Third");
    }

    #[test]
    fn arguments_survive_a_shell() {
        assert_eq!(
            argument("arn:aws:states:r:1:execution:m:r-1"),
            "arn:aws:states:r:1:execution:m:r-1"
        );
        assert_eq!(argument("execution:m:it's (1)"), r"'execution:m:it'\''s (1)'");
    }

    #[test]
    fn lines_break_between_words_alone() {
        let link = format!("https://example.org/{}", "x".repeat(100));
        let mut page = Page::default();
        page.text(2, &format!("{} {link} then", "word ".repeat(14)));
        page.text(2, "    at handler (index.js:1)");
        let expected = format!(
            "  {}\n  {link}\n  then\n      at handler (index.js:1)\n",
            "word ".repeat(14).trim()
        );
        assert_eq!(page.done(), expected);
        assert_eq!(
            unbreakable("for 4 min 12 s, to 04:12 UTC."),
            ["for", "4 min", "12 s,", "to", "04:12 UTC."]
        );
    }

    #[test]
    fn what_is_cut_off_is_said() {
        assert_eq!(cut("short", 5, 1), "short");
        assert_eq!(cut("a longer one", 8, 9), "a longer\n... (3 more characters)");
        assert_eq!(cut("a\nb\nc\nd", 99, 2), "a\nb\n... (3 more characters)");
        assert_eq!(cut("ééé", 2, 9), "ééé", "one more is no longer than saying so");
        assert_eq!(cut("a\n\n", 9, 1), "a");
    }

    #[test]
    fn nothing_turns_or_breaks_the_lines_of_others() {
        assert_eq!(clean("a\r\nb\tc\u{7}\u{202e}d\u{2028}e"), "a\nb    c\u{fffd}d\ne");
    }
}
