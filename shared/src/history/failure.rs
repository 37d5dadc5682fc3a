//! Where an execution failed, in words.

use std::fmt;

use crate::clock::Timestamp;

pub use crate::asl::Kind;

/// How an execution ended, if it did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// `FAILED`.
    Failed,
    /// `TIMED_OUT`.
    TimedOut,
    /// `ABORTED`: somebody stopped it.
    Aborted,
}

/// Why an execution did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How it ended.
    pub ended: Ended,
    /// The error that it ended with.
    pub error: Option<String>,
    /// The cause that it ended with.
    pub cause: Option<String>,
    /// Where. One state for `FAILED`; every open state, innermost ones only, for `TIMED_OUT` and `ABORTED`. Empty if the
    /// history does not tell.
    pub places: Vec<Failed>,
}

/// A state that failed, or was open when its execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Where it stands, outermost first; the last step is the state itself.
    pub path: Vec<Step>,
    /// The event of its entry; none if the history was read from later on.
    pub entered_event: Option<i64>,
    /// When it was entered.
    pub entered: Option<Timestamp>,
    /// Its own error, where it has one.
    pub error: Option<String>,
    /// Its own cause.
    pub cause: Option<String>,
    /// How often it was tried; 0 for what is not tried, a Pass state say.
    pub attempts: u32,
    /// How often it might have been tried with this error, if the definition is known: one more than its Retry allows.
    pub attempts_most: Option<u32>,
    /// If its failure was caught: by whom, and where that led.
    pub handled: Option<Handled>,
}

/// What a Catch made of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The state that the Catch led to.
    pub by: String,
    /// The state in which the execution ended: a Fail, say, or the handler itself if that failed.
    pub ended_at: String,
    /// The event of that state's entry.
    pub ended_event: Option<i64>,
}

/// A step on the way to a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What kind of state.
    pub kind: Kind,
    /// Its name.
    pub state: String,
    /// If the way goes on inside: which iteration of a Map, or which branch of a Parallel, from 0.
    pub index: Option<u32>,
}

impl fmt::Display for Failed {
    /// `Map "Orders"[3] / Parallel "Fan"#1 / Task "Charge" (attempt 4 of 4)`, on one line whatever the names hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.path.iter().enumerate() {
            if number > 0 {
                f.write_str(" / ")?;
            }
            write!(f, "{step}")?;
        }
        match (self.attempts, self.attempts_most) {
            (0, _) | (1, Some(1)) => Ok(()),
            (attempts, Some(most)) => write!(f, " (attempt {attempts} of {most})"),
            (attempts, None) => write!(f, " (attempt {attempts})"),
        }
    }
}

impl fmt::Display for Step {
    /// `Map "Orders"[3]`, `Parallel "Fan"#1`, `Task "Charge"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Debug escapes quotes, control characters and what would break or turn the line.
        write!(f, "{} {:?}", self.kind, self.state)?;
        match self.index {
            Some(index) if self.kind == Kind::Map => write!(f, "[{index}]"),
            Some(index) => write!(f, "#{index}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &[(Kind, &str, Option<u32>)], attempts: u32, attempts_most: Option<u32>) -> String {
        let step = |(kind, state, index): &(Kind, &str, Option<u32>)| Step {
            kind: *kind,
            state: (*state).to_owned(),
            index: *index,
        };
        let failed = Failed {
            path: path.iter().map(step).collect(),
            entered_event: None,
            entered: None,
            error: None,
            cause: None,
            attempts,
            attempts_most,
            handled: None,
        };
        failed.to_string()
    }

    #[test]
    fn a_path_names_iterations_branches_and_attempts() {
        let deep = [
            (Kind::Map, "Orders", Some(3)),
            (Kind::Parallel, "Fan", Some(1)),
            (Kind::Task, "Charge", None),
        ];
        let expected = r##"Map "Orders"[3] / Parallel "Fan"#1 / Task "Charge" (attempt 4 of 4)"##;
        assert_eq!(shown(&deep, 4, Some(4)), expected);
    }

    #[test]
    fn attempts_are_named_where_they_tell_something() {
        let task = [(Kind::Task, "T", None)];
        for (attempts, most, expected) in [
            (0, None, r#"Task "T""#),
            (0, Some(4), r#"Task "T""#),
            (1, Some(1), r#"Task "T""#),
            (1, Some(4), r#"Task "T" (attempt 1 of 4)"#),
            (2, None, r#"Task "T" (attempt 2)"#),
        ] {
            assert_eq!(shown(&task, attempts, most), expected);
        }
    }

    #[test]
    fn a_path_is_one_line_whatever_the_names_hold() {
        let odd = [(Kind::Wait, "a\nb\"c\u{2028}\u{1b}é\u{202e}", None)];
        assert_eq!(shown(&odd, 0, None), r#"Wait "a\nb\"c\u{2028}\u{1b}é\u{202e}""#);
    }
}
