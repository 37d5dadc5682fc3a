//! What is drawn for people: colours where they are welcome, lines that fit.

use std::{
    env,
    fmt::Display,
    future,
    io::{self, IsTerminal, Write},
};

use tokio::signal::unix::{SignalKind, signal};

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// ANSI escape sequences.
    Colours,
    /// Plain text.
    Plain,
}

impl Paint {
    /// Colours where standard output is a terminal and `NO_COLOR` is not set (<https://no-color.org>).
    #[must_use]
    pub fn for_stdout() -> Self {
        Self::for_stream(&io::stdout())
    }

    fn for_stream(stream: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        if stream.is_terminal() && !refused {
            Self::Colours
        } else {
            Self::Plain
        }
    }

    /// Bold.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// For what is less important.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    /// For what went wrong.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// For what went well.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what was refused.
    #[must_use]
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Colours if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// The terminal's width, or 80 columns where there is none; never more than 120, which is as much as reads well.
#[must_use]
pub fn width() -> usize {
    terminal_size::terminal_size()
        .map_or(80, |(width, _)| usize::from(width.0))
        .clamp(40, 120)
}

/// Writes one line to standard output; a reader that has gone away is no error.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes an error to standard error.
pub fn complain(error: &dyn Display) {
    let _ = writeln!(
        io::stderr(),
        "\n{} {error}",
        Paint::for_stream(&io::stderr()).red("error:")
    );
}

/// Resolves when the user wants this to end: Ctrl-C, or a polite kill.
pub async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => terminated.recv().await,
            Err(_) => future::pending().await,
        }
    };
    tokio::select! {
        asked = tokio::signal::ctrl_c() => if asked.is_err() { future::pending().await },
        _ = terminated => {}
    }
}

/// Breaks text into lines of at most `width` characters, between words: a link that is longer stays whole, so that it
/// can be followed.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut length = 0;
        for word in paragraph.split_whitespace() {
            let more = word.chars().count();
            if length > 0 && length + 1 + more > width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += more;
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two three", 80), ["one two three"]);
        assert_eq!(wrap("one\n\ntwo", 80), ["one", "", "two"]);
        assert!(wrap("", 80).is_empty());
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_stays_whole() {
        assert_eq!(
            wrap("see https://example.org/ there", 8),
            ["see", "https://example.org/", "there"]
        );
    }

    #[test]
    fn counts_characters_not_bytes() {
        assert_eq!(wrap("äöü äöü", 7), ["äöü äöü"]);
    }

    #[test]
    fn plain_paint_changes_nothing() {
        assert_eq!(Paint::Plain.red("x"), "x");
        assert_eq!(Paint::Colours.red("x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Paint::Colours.red(""), "");
    }
}
