//! Says what is going on, and how long it took.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::terminal::Paint;

/// What a step of the tests may take before a line about it is worth its place.
const WORTH_A_LINE: Duration = Duration::from_secs(3);

/// Where the lines of progress go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    screen: Arc<Mutex<Screen>>,
}

#[derive(Debug)]
struct Screen {
    kind: Kind,
    paint: Paint,
    /// The steps under way, by number; a terminal shows the newest in its last line.
    live: Vec<(usize, String)>,
    next: usize,
    drawn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A line for each step on standard output; a terminal shows the step under way as well.
    Steps { terminal: bool },
    /// Only what takes long, on standard error.
    SlowOnly,
}

impl Progress {
    /// One aligned line for each step, on standard output: for the demo and `cargo cloud`.
    #[must_use]
    pub fn steps() -> Self {
        Self::new(
            Kind::Steps {
                terminal: io::stdout().is_terminal(),
            },
            Paint::for_stdout(),
        )
    }

    /// Only what takes long, on standard error: for the tests.
    #[must_use]
    pub fn slow_only() -> Self {
        Self::new(Kind::SlowOnly, Paint::Plain)
    }

    fn new(kind: Kind, paint: Paint) -> Self {
        let screen = Screen {
            kind,
            paint,
            live: Vec::new(),
            next: 0,
            drawn: false,
        };
        Self {
            screen: Arc::new(Mutex::new(screen)),
        }
    }

    /// Begins a step: `label` says which, `doing` what is being done.
    #[must_use = "a step that is dropped at once says nothing"]
    pub fn step(&self, label: &'static str, doing: &str) -> Step {
        let number = self.with(|screen| {
            screen.next += 1;
            let number = screen.next;
            screen.live.push((number, format!("{label:<LABEL$}{doing} …")));
            screen.redraw();
            number
        });
        Step {
            progress: self.clone(),
            label,
            number,
            begun: Instant::now(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Screen) -> T) -> T {
        act(&mut self.screen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A step under way. Dropped without [`Step::done`], it leaves no line.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    label: &'static str,
    number: usize,
    begun: Instant,
}

impl Step {
    /// Shows what is being done now, where there is a terminal.
    pub fn now(&self, doing: &str) {
        self.progress.with(|screen| {
            if let Some((_, text)) = screen.live.iter_mut().find(|(number, _)| *number == self.number) {
                *text = format!("{:<LABEL$}{doing} …", self.label);
            }
            screen.redraw();
        });
    }

    /// Says at once, and for good, that this will take a while.
    pub fn announce(&self, what: &str) {
        self.now(what);
        self.progress.with(|screen| match screen.kind {
            Kind::Steps { terminal: true } => {}
            Kind::Steps { terminal: false } => screen.print(&format!("  {:<LABEL$}{what} …", self.label)),
            Kind::SlowOnly => screen.print(&format!("local cloud: {what} …")),
        });
    }

    /// Ends the step with the line that stays.
    pub fn done(self, result: &str) {
        let took = self.begun.elapsed();
        self.progress.with(|screen| {
            screen.live.retain(|(number, _)| *number != self.number);
            match screen.kind {
                Kind::Steps { .. } => {
                    let line = line(self.label, result, took, screen.paint);
                    screen.print(&line);
                }
                Kind::SlowOnly if took >= WORTH_A_LINE => {
                    screen.print(&format!("local cloud: {}: {result} ({})", self.label, seconds(took)));
                }
                Kind::SlowOnly => {}
            }
        });
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.progress.with(|screen| {
            screen.live.retain(|(number, _)| *number != self.number);
            screen.redraw();
        });
    }
}

/// Columns for the label.
const LABEL: usize = 15;
/// Columns for the text after it.
const TEXT: usize = 54;

impl Screen {
    fn print(&mut self, line: &str) {
        self.wipe();
        let _ = match self.kind {
            Kind::Steps { .. } => writeln!(io::stdout(), "{line}"),
            Kind::SlowOnly => writeln!(io::stderr(), "{line}"),
        };
        self.redraw();
    }

    fn redraw(&mut self) {
        if self.kind != (Kind::Steps { terminal: true }) {
            return;
        }
        self.wipe();
        if let Some((_, text)) = self.live.last() {
            // Cut to the terminal: a line that wraps could not be wiped.
            let text: String = text.chars().take(crate::terminal::width() - 3).collect();
            let _ = write!(io::stdout(), "  {}", self.paint.faint(&text));
            let _ = io::stdout().flush();
            self.drawn = true;
        }
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stdout(), "\r\x1b[2K");
            let _ = io::stdout().flush();
        }
    }
}

fn line(label: &str, result: &str, took: Duration, paint: Paint) -> String {
    let took = format!("{:>8}", seconds(took));
    format!(
        "  {}{result:<TEXT$}{}",
        paint.bold(&format!("{label:<LABEL$}")),
        paint.faint(&took)
    )
}

/// A duration as people read it.
#[must_use]
pub fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned() {
        assert_eq!(
            [
                line("functions", "1 built", Duration::from_millis(340), Paint::Plain),
                line(
                    "local cloud",
                    "http://127.0.0.1:40123",
                    Duration::from_secs(12),
                    Paint::Plain
                ),
            ],
            [
                "  functions      1 built                                                  0.3 s",
                "  local cloud    http://127.0.0.1:40123                                  12.0 s",
            ]
        );
    }
}
