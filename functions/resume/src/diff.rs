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
        Some((end, _)) => format!(
            "{}... and {} more characters",
            &line[..end],
            line[end..].chars().count()
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let original =
            json!({"StartAt": "A", "States": {"A": {"Next": "B", "Type": "Pass"}, "B": {"Type": "Succeed"}}});
        let mut clone = original.clone();
        clone["StartAt"] = json!("B");
        clone["States"].as_object_mut().unwrap().remove("A");
        let shown = "--- original\n+++ clone\n@@ -1,10 +1,6 @@\n {\n-  \"StartAt\": \"A\",\n+  \"StartAt\": \"B\",\n   \"States\": {\n\
                     -    \"A\": {\n-      \"Next\": \"B\",\n-      \"Type\": \"Pass\"\n-    },\n     \"B\": {\n       \"Type\": \"Succeed\"\n     }\n";
        assert_eq!(unified(&original, &clone, 10_000), shown);
        assert_eq!(unified(&original, &original, 10_000), "");
    }

    #[test]
    fn what_is_cut_is_said() {
        let (original, clone) = (json!({"a": 1}), json!({"a": "\u{e9}".repeat(1_000), "b": 2}));
        let shown = unified(&original, &clone, 10_000);
        let cut = shown.lines().find(|line| line.contains("more characters")).unwrap();
        assert_eq!(
            cut,
            format!("+  \"a\": \"{}... and 811 more characters", "\u{e9}".repeat(191))
        );
        let most = shown.len();
        assert_eq!(unified(&original, &clone, most), shown);
        let shown = unified(&original, &clone, most - 1);
        assert!(shown.ends_with("... and 1 more lines.\n"), "{shown}");
        assert!(unified(&original, &clone, 30).ends_with("... and 6 more lines.\n"));
    }

    #[test]
    fn what_would_take_too_long_is_not_compared() {
        let list = |lines: usize| json!((0..lines).collect::<Vec<_>>());
        assert_eq!(
            unified(&list(20_000), &list(20_001), 100),
            "The definitions have 40005 lines, too many to compare them here.\n"
        );
    }
}
