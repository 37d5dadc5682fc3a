//! Executions as bars over a time axis: a pure function from data to text.

use std::{fmt::Write, time::Duration};

use crate::{Execution, terminal::Paint};

/// One row of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The execution's name.
    pub name: String,
    /// When it started, from the first start.
    pub from: Duration,
    /// When it ended, from the first start.
    pub to: Duration,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    WentThrough,
    /// The guard refused it.
    Refused {
        /// The execution that it would have overlapped, if the guard named one of the timeline.
        by: Option<String>,
        /// The error's name.
        error: String,
    },
    /// Anything else, in words.
    Other(String),
}

impl Outcome {
    fn of(execution: &Execution, others: &[&str]) -> Self {
        match execution.error.as_deref() {
            _ if execution.succeeded() => Self::WentThrough,
            Some(error) if error.starts_with("OverlapGuard.") => {
                let message = execution.cause_message().unwrap_or_default();
                let by = others
                    .iter()
                    .find(|name| names(&message, name))
                    .map(|&name| name.to_owned());
                Self::Refused {
                    by,
                    error: error.to_owned(),
                }
            }
            Some(error) => Self::Other(format!("{}: {error}", execution.status.as_str().to_lowercase())),
            None => Self::Other(execution.status.as_str().to_lowercase()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::WentThrough => "went through".to_owned(),
            Self::Refused { by: Some(by), error } => format!("refused by {by}: {error}"),
            Self::Refused { by: None, error } => format!("refused: {error}"),
            Self::Other(text) => text.clone(),
        }
    }

    fn tone(&self) -> Tone {
        match self {
            Self::WentThrough => Tone::Good,
            Self::Refused { .. } => Tone::Held,
            Self::Other(_) => Tone::Bad,
        }
    }
}

/// Whether a text names an execution: as a word, so that `nightly-1` is not found in `nightly-10`.
fn names(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(part_of_name) && !text[at + name.len()..].starts_with(part_of_name))
}

/// The rows for executions that have ended, in their order.
#[must_use]
pub fn rows(executions: &[Execution]) -> Vec<Row> {
    let Some(first) = executions.iter().map(|execution| execution.started).min() else {
        return Vec::new();
    };
    let row = |execution: &Execution| {
        let others: Vec<_> = executions
            .iter()
            .filter(|other| other.arn != execution.arn)
            .map(|other| other.name.as_str())
            .collect();
        let since_first = |time: std::time::SystemTime| time.duration_since(first).unwrap_or_default();
        Row {
            name: execution.name.clone(),
            from: since_first(execution.started),
            to: since_first(execution.stopped.unwrap_or(execution.started)),
            outcome: Outcome::of(execution, &others),
        }
    };
    executions.iter().map(row).collect()
}

/// A line of a chart: bars over the time axis, between a name and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// On the left.
    pub name: String,
    /// The bars, none of which begins before the one before it has ended.
    pub spans: Vec<Span>,
    /// On the right.
    pub text: String,
    /// The colour of the text.
    pub tone: Tone,
}

/// A bar, from the chart's zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub from: Duration,
    /// Where it ends.
    pub to: Duration,
    /// How it looks.
    pub ink: Ink,
    /// Its colour.
    pub tone: Tone,
}

/// How a bar looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// `█`
    Solid,
    /// `░`
    Light,
    /// `▒`
    Medium,
    /// `·`
    Dots,
}

impl Ink {
    /// One column of it.
    pub(crate) fn block(self) -> &'static str {
        match self {
            Self::Solid => "█",
            Self::Light => "░",
            Self::Medium => "▒",
            Self::Dots => "·",
        }
    }

    /// Its name, for a style sheet.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Solid => "solid",
            Self::Light => "light",
            Self::Medium => "medium",
            Self::Dots => "dots",
        }
    }
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It went well.
    Good,
    /// It waits, or was refused.
    Held,
    /// It was stopped, or went wrong.
    Bad,
}

impl Tone {
    /// Its name, for a style sheet.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Held => "held",
            Self::Bad => "bad",
        }
    }

    pub(crate) fn painted(self, paint: Paint, text: &str) -> String {
        match self {
            Self::Good => paint.green(text),
            Self::Held => paint.yellow(text),
            Self::Bad => paint.red(text),
        }
    }
}

/// The narrowest and the widest that the bars' column gets.
const BARS: (usize, usize) = (16, 48);

/// The lines of a chart of these rows.
#[must_use]
pub fn lines(rows: &[Row]) -> Vec<Line> {
    let line = |row: &Row| Line {
        name: row.name.clone(),
        spans: vec![Span {
            from: row.from,
            to: row.to,
            ink: Ink::Solid,
            tone: row.outcome.tone(),
        }],
        text: row.outcome.text(),
        tone: row.outcome.tone(),
    };
    rows.iter().map(line).collect()
}

/// When the last bar ends; not nothing.
pub(crate) fn total(lines: &[Line]) -> Duration {
    let ends = lines.iter().flat_map(|line| &line.spans).map(|span| span.to);
    ends.max().unwrap_or_default().max(Duration::from_millis(100))
}

/// Some times at even distances, from zero to the end.
pub(crate) fn ticks(total: Duration) -> impl Iterator<Item = Duration> {
    const MOST: u128 = 5;
    let millis = total.as_millis();
    let step = STEPS.into_iter().find(|step| millis / u128::from(*step) <= MOST);
    let step = step.unwrap_or(LONGEST_STEP);
    let last = u64::try_from(millis).unwrap_or(u64::MAX);
    (0..=last / step).map(move |tick| Duration::from_millis(tick * step))
}

/// Distances between times on an axis, in milliseconds,
const STEPS: [u64; 15] = [
    100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_200_000, 1_800_000,
];

/// and the one for what is longer than these are for.
const LONGEST_STEP: u64 = 3_600_000;

/// Draws the lines, with a heading over their texts, in at most `width` columns where that is possible.
#[must_use]
pub fn draw(lines: &[Line], heading: &str, width: usize, paint: Paint) -> String {
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let names = widest(&mut lines.iter().map(|line| line.name.chars().count()));
    let texts = widest(&mut lines.iter().map(|line| line.text.chars().count())).max(heading.chars().count());
    let bars = width.saturating_sub(2 + names + 2 + 2 + texts).clamp(BARS.0, BARS.1);
    let total = total(lines);

    let mut text = String::new();
    let axis = format!("{:<bars$}  {heading}", axis(total, bars));
    let _ = writeln!(text, "  {:names$}  {}", "", paint.faint(axis.trim_end()));
    for line in lines {
        let _ = writeln!(
            text,
            "  {}  {}  {}",
            paint.bold(&format!("{:<names$}", line.name)),
            bar(&line.spans, total, bars, paint),
            line.tone.painted(paint, &line.text)
        );
    }
    text
}

/// Seconds at even distances, each above its column.
fn axis(total: Duration, columns: usize) -> String {
    let column = |millis: u64| eighths(Duration::from_millis(millis), total, columns) / 8;
    let label = |millis: u64, step: u64| match step {
        ..1000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => format!("{} s", millis / 1000),
    };
    let end = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
    let fits = |step: &u64| column(*step) >= label(end, *step).len() + 2;
    let step = STEPS.into_iter().find(fits).unwrap_or(LONGEST_STEP);
    let mut line = String::new();
    for millis in (0..).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let (at, label) = (column(millis), label(millis, step));
        if at + label.len() > columns {
            break;
        }
        line.push_str(&" ".repeat(at - line.len()));
        line.push_str(&label);
    }
    line
}

/// Block characters for the spans, a solid one to an eighth of a column at its end; and blanks up to the last column.
fn bar(spans: &[Span], total: Duration, columns: usize, paint: Paint) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let mut bar = String::new();
    let mut at = 0;
    for span in spans {
        let begin = (eighths(span.from, total, columns) / 8)
            .min(columns.saturating_sub(1))
            .max(at);
        let end = eighths(span.to, total, columns);
        let blocks = match span.ink {
            // At least half a column, or it would hardly be seen.
            Ink::Solid => {
                let end = end.max(begin * 8 + 4);
                format!("{}{}", "█".repeat(end / 8 - begin), PARTS[end % 8])
            }
            Ink::Light => "░".repeat((end / 8).saturating_sub(begin)),
            // As the solid one it may be all that is seen of a line.
            Ink::Medium => "▒".repeat((end / 8).saturating_sub(begin).max(1)),
            Ink::Dots => "·".repeat((end / 8).saturating_sub(begin)),
        };
        bar.push_str(&" ".repeat(begin - at));
        at = begin + blocks.chars().count();
        bar.push_str(&span.tone.painted(paint, &blocks));
    }
    bar.push_str(&" ".repeat(columns.saturating_sub(at)));
    bar
}

/// A time as eighths of a column, rounded.
fn eighths(time: Duration, total: Duration, columns: usize) -> usize {
    let all = u128::try_from(columns * 8).unwrap_or_default();
    let total = total.as_millis().max(1);
    usize::try_from((time.as_millis() * all + total / 2) / total).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sfn::types::ExecutionStatus;
    use std::time::SystemTime;

    fn row(name: &str, from: u64, to: u64, outcome: Outcome) -> Row {
        Row {
            name: name.into(),
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
            outcome,
        }
    }

    fn render(rows: &[Row], width: usize, paint: Paint) -> String {
        draw(&super::lines(rows), "", width, paint)
    }

    fn refused(by: &str) -> Outcome {
        Outcome::Refused {
            by: Some(by.into()),
            error: "OverlapGuard.Overlapping".into(),
        }
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().collect()
    }

    #[test]
    fn draws_three_runs() {
        let rows = [
            row("nightly-1", 0, 180, refused("nightly-2")),
            row("nightly-2", 0, 4000, Outcome::WentThrough),
            row("nightly-3", 1000, 1250, refused("nightly-2")),
        ];
        assert_eq!(
            lines(&render(&rows, 101, Paint::Plain)),
            [
                "             0 s       1 s       2 s       3 s",
                "  nightly-1  █▊                                        refused by nightly-2: OverlapGuard.Overlapping",
                "  nightly-2  ████████████████████████████████████████  went through",
                "  nightly-3            ██▌                             refused by nightly-2: OverlapGuard.Overlapping",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_gets_short_bars() {
        let rows = [
            row("nightly-1", 0, 3000, Outcome::WentThrough),
            row("nightly-2", 0, 1, refused("nightly-1")),
        ];
        assert_eq!(
            lines(&render(&rows, 80, Paint::Plain)),
            [
                "             0 s   1 s   2 s",
                "  nightly-1  ███████████████████  went through",
                "  nightly-2  ▌                    refused by nightly-1: OverlapGuard.Overlapping",
            ]
        );
    }

    #[test]
    fn draws_runs_that_take_turns() {
        let span = |from, to, ink| Span {
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
            ink,
            tone: Tone::Good,
        };
        let line = |name: &str, asked, granted, left, text: &str| Line {
            name: name.into(),
            spans: vec![span(asked, granted, Ink::Light), span(granted, left, Ink::Solid)],
            text: text.into(),
            tone: Tone::Good,
        };
        let turns = [
            line("import-1", 0, 20, 1000, "7   0.0 s"),
            line("report-1", 200, 1030, 2100, "8   0.8 s"),
            line("import-2", 400, 2150, 4000, "9   1.8 s"),
        ];
        assert_eq!(
            lines(&draw(&turns, "fence", 63, Paint::Plain)),
            [
                "            0 s       1 s       2 s       3 s         fence",
                "  import-1  ██████████                                7   0.0 s",
                "  report-1    ░░░░░░░░███████████                     8   0.8 s",
                "  import-2      ░░░░░░░░░░░░░░░░░███████████████████  9   1.8 s",
            ]
        );
    }

    #[test]
    fn draws_what_is_kept() {
        let span = |from, to, ink| Span {
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
            ink,
            tone: Tone::Good,
        };
        let line = |name: &str, spans: Vec<Span>| Line {
            name: name.into(),
            spans,
            text: "x".into(),
            tone: Tone::Good,
        };
        let runs = [
            line("one", vec![span(0, 1000, Ink::Solid), span(2000, 4000, Ink::Dots)]),
            line("two", vec![span(1000, 2000, Ink::Medium), span(2000, 4000, Ink::Solid)]),
            line("three", vec![span(1000, 1010, Ink::Medium)]),
        ];
        assert_eq!(
            lines(&draw(&runs, "", 52, Paint::Plain)),
            [
                "         0 s       1 s       2 s       3 s",
                "  one    ██████████          ····················  x",
                "  two              ▒▒▒▒▒▒▒▒▒▒████████████████████  x",
                "  three            ▒                               x",
            ]
        );
    }

    #[test]
    fn colours_do_not_move_anything() {
        let rows = [
            row("a", 0, 500, Outcome::WentThrough),
            row("b", 100, 200, Outcome::Other("failed: X".into())),
        ];
        let painted = render(&rows, 60, Paint::Colours);
        assert!(painted.contains("\x1b[31mfailed: X\x1b[0m"));
        let mut bare = painted;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, render(&rows, 60, Paint::Plain));
    }

    #[test]
    fn a_page_has_a_few_ticks_of_any_length() {
        let millis = |total: u64| {
            ticks(Duration::from_millis(total))
                .map(|tick| tick.as_millis())
                .collect::<Vec<_>>()
        };
        assert_eq!(millis(400), [0, 100, 200, 300, 400]);
        assert_eq!(millis(11_000), [0, 2000, 4000, 6000, 8000, 10_000]);
        assert_eq!(millis(10 * 3_600_000).len(), 11);
    }

    #[test]
    fn the_axis_fits_any_length() {
        assert_eq!(
            axis(Duration::from_millis(400), 40),
            "0.0 s     0.1 s     0.2 s     0.3 s"
        );
        assert_eq!(axis(Duration::from_hours(1), 40), "0 s          1200 s       2400 s");
        assert_eq!(render(&[], 80, Paint::Plain).trim(), "0.0 s");
    }

    fn execution(name: &str, started: u64, stopped: u64, failure: Option<(&str, &str)>) -> Execution {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        Execution {
            arn: format!("arn:aws:states:us-east-1:000000000001:execution:orders:{name}"),
            name: name.into(),
            status: if failure.is_some() {
                ExecutionStatus::Failed
            } else {
                ExecutionStatus::Succeeded
            },
            error: failure.map(|(error, _)| error.into()),
            cause: failure.map(|(_, cause)| cause.into()),
            output: None,
            started: at(started),
            stopped: Some(at(stopped)),
        }
    }

    #[test]
    fn rows_count_from_the_first_start() {
        let cause = r#"{"errorType":"OverlapGuard.Overlapping","errorMessage":"overlaps nightly-10, started first"}"#;
        let rows = rows(&[
            execution("nightly-1", 5000, 5100, Some(("OverlapGuard.Overlapping", cause))),
            execution("nightly-2", 5050, 5150, Some(("States.Timeout", ""))),
            execution("nightly-10", 4900, 9000, None),
        ]);
        assert_eq!(
            rows,
            [
                row("nightly-1", 100, 200, refused("nightly-10")),
                row("nightly-2", 150, 250, Outcome::Other("failed: States.Timeout".into())),
                row("nightly-10", 0, 4100, Outcome::WentThrough),
            ]
        );
    }

    #[test]
    fn a_name_is_a_whole_word() {
        assert!(names("overlaps nightly-1.", "nightly-1"));
        assert!(names("execution:orders:nightly-1", "nightly-1"));
        assert!(!names("overlaps nightly-10", "nightly-1"));
        assert!(!names("overlaps the-nightly-1", "nightly-1"));
    }
}
