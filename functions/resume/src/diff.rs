//! What a clone changes, line by line, for people.

use serde_json::Value;
use similar::TextDiff;

/// Lines around a change.
const CONTEXT: usize = 3;

/// Longest line that is shown, in characters: data stands in one.
const LINE_CHARS: usize = 200;

/// Most lines that are compared: what is left out of a definition, and what is put in, are searched for together, and the
/// time for that grows with both.
const LINES_MOST: usize = 40_000;

/// The differences of two definitions, pretty-printed with sorted keys, as a unified diff: `original` with `-`, `clone` with
/// `+`. Of at most so many bytes; what is left out, and what is cut, is said.
#[must_use]
pub fn unified(original: &Value, clone: &Value, most_bytes: usize) -> String {
    let (original, clone) = (format!("{original:#}\n"), format!("{clone:#}\n"));
    let lines = original.lines().count() + clone.lines().count();
    if lines > LINES_MOST {
        return format!("The definitions have {lines} lines, too many to compare them here.\n");
    }
    let diff = TextDiff::from_lines(&original, &clone);
    let mut unified = diff.unified_diff();
    let unified = unified.context_radius(CONTEXT).header("original", "clone").to_string();
    let mut shown = String::new();
    let mut lines = unified.lines();
    while let Some(line) = lines.next() {
        let line = short(line);
        if shown.len() + line.len() + 1 > most_bytes {
            let left_out = 1 + lines.count();
            shown += "... and ";
            shown += &left_out.to_string();
            shown += " more lines.\n";
            return shown;
        }
        shown.push_str(&line);
        shown.push('\n');
    }
    shown
}

fn short(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}... and {} more characters", &line[..end], line[end..].chars().count()),
    }
}
