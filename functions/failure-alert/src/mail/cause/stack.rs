//! Stack traces of Lambda's runtimes.

use serde_json::Value;

/// How many frames are shown.
const FRAMES: usize = 3;

/// The frames of a stack that tell most: the innermost ones in one's own code.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Their lines.
    pub(crate) lines: Vec<String>,
    /// How many frames were left out.
    pub(crate) left_out: usize,
}

impl Stack {
    /// The stack in the cause of a Lambda function.
    pub(crate) fn of(frames: &[Value]) -> Self {
        let mut frames: Vec<String> = frames.iter().filter_map(frame).collect();
        // Node begins with the error itself.
        if let Some(first) = frames.iter().position(|frame| frame.starts_with("at ")) {
            frames.drain(..first);
        }
        let all = frames.len();
        // Python has the innermost call last.
        if frames.iter().any(|frame| frame.starts_with("File \"")) {
            frames.reverse();
        }
        if frames.iter().any(|frame| !is_foreign(frame)) {
            frames.retain(|frame| !is_foreign(frame));
        }
        frames.truncate(FRAMES);
        Self {
            left_out: all - frames.len(),
            lines: frames
                .iter()
                .flat_map(|frame| frame.lines().map(str::to_owned))
                .collect(),
        }
    }
}

/// A text; or, in old Pythons, `[file, line, function, code]`.
fn frame(frame: &Value) -> Option<String> {
    match frame {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Array(parts) => match parts.as_slice() {
            [file, line, function, ..] => Some(format!(
                "File \"{}\", line {line}, in {}",
                file.as_str()?,
                function.as_str()?
            )),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is the runtime's own.
fn is_foreign(frame: &str) -> bool {
    [
        "/var/runtime/",
        "/var/lang/",
        "node:internal",
        "<frozen ",
        "lambdainternal",
    ]
    .iter()
    .any(|foreign| frame.contains(foreign))
}
