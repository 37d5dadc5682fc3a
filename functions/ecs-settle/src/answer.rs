//! What a state is told: its output if the task succeeded, the cause of its failure if it did not.

use serde::Serialize;
use serde_json::Value;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::console::log_stream_url;
use signalbox::ecs::plan::{LOG_MARKER, LogStream, Plan, ResultFrom};
use signalbox::ecs::task::Task;
use signalbox::ecs::verdict::{Expects, Failure, who};
use signalbox::quotas::CAUSE_CHARS;

use crate::logs::LOOKED_BACK;

/// Longest output of a state, in bytes of UTF-8.
///
/// Source: Step Functions service quotas, "Maximum input or output size for a task, state, or execution" (256 KiB).
pub const OUTPUT_BYTES: usize = 262_144;

/// Lines of a container's log that a cause quotes.
pub const LINES: usize = 10;

/// Longest text of a failed call that a cause quotes, in bytes: services name the caller, the action and the resource.
const CALL_BYTES: usize = 2_000;

/// What was found of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This.
    Value(Json),
    /// It lies in S3, and is too long for the output of a state, whatever it is.
    TooLarge {
        /// How long it is.
        bytes: u64,
    },
    /// There is none.
    Missing,
    /// What is there is no JSON, and why not.
    Invalid(String),
    /// Whether there is one cannot be read: the call that failed.
    Unreadable(CallError),
    /// None was looked for: only the exit code counts.
    Nothing,
}

/// JSON as the container wrote it, apart from white space: numbers keep their digits and fields their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json {
    text: String,
    bytes: u64,
}

/// Characters of what is no JSON that are shown.
const SHOWN_CHARS: usize = 60;

impl Json {
    /// Reads JSON; an error says what is there instead.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let known = match bytes {
            [0xEF, 0xBB, 0xBF, ..] => "it begins with a byte order mark (BOM), which JSON has not",
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "it is UTF-16; JSON is UTF-8",
            [0x1F, 0x8B, ..] => "it is compressed (gzip)",
            _ if bytes.trim_ascii().is_empty() => "it is empty",
            _ => "",
        };
        if !known.is_empty() {
            return Err(known.to_owned());
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            format!(
                "it is not UTF-8: byte {} is none of a character's",
                error.valid_up_to() + 1
            )
        })?;
        if text.trim_start().starts_with('<') {
            return Err(format!("it is HTML or XML; it begins with {}", beginning(text)));
        }
        let read: Result<Value, _> = serde_json::from_str(text);
        match read {
            Ok(_) => Ok(Self {
                text: compact(text),
                bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            }),
            Err(error) => {
                let said = error.to_string();
                let place = format!(" at line {} column {}", error.line(), error.column());
                let said = said.strip_suffix(&place).unwrap_or(&said);
                Err(format!(
                    "{said} in line {}, column {}; it begins with {}",
                    error.line(),
                    error.column(),
                    beginning(text)
                ))
            }
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn beginning(text: &str) -> String {
    let text = text.trim_start();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{:?}…", &text[..at]),
        None => format!("{text:?}"),
    }
}

/// Good JSON without the white space between its parts.
fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_text = c == '"';
        }
        text.push(c);
    }
    text
}

/// The output of a state, apart from its result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    exit_code: i32,
    task_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<Logs<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_ref: Option<ResultRef<'a>>,
}

#[derive(Debug, Serialize)]
struct Logs<'a> {
    group: &'a str,
    stream: String,
    url: String,
}

#[derive(Debug, Serialize)]
struct ResultRef<'a> {
    bucket: &'a str,
    key: &'a str,
    uri: String,
    bytes: u64,
}

/// The output of the state whose task exited with `exit_code`, or how it failed all the same.
///
/// An output has its quota: a result in S3 that does not fit stays there, `result` is `null`, and `resultRef` says where.
pub fn answer(
    task: &Task,
    plan: &Plan,
    bucket: &str,
    exit_code: i32,
    expects: Expects,
    found: Found,
) -> Result<String, Failure> {
    let of = Answer {
        task,
        plan,
        bucket,
        exit_code,
    };
    match (found, expects) {
        (Found::Value(json), _) => of.with(&json),
        (Found::TooLarge { bytes }, _) => Ok(of.beside(bytes)),
        (Found::Nothing, _) if plan.result == ResultFrom::None => Ok(of.without()),
        (Found::Missing | Found::Nothing, Expects::Optional) => Ok(of.without()),
        (Found::Missing | Found::Nothing, Expects::Required) => Err(of.missing()),
        (Found::Missing | Found::Nothing, Expects::Decides(failure)) => Err(failure),
        (Found::Invalid(why), Expects::Required | Expects::Optional) => Err(of.invalid(&why)),
        (Found::Invalid(why), Expects::Decides(failure)) => {
            let sentence = format!("{} What it left is no JSON: {why}.", failure.sentence);
            Err(Failure { sentence, ..failure })
        }
        (Found::Unreadable(error), Expects::Required | Expects::Optional) => Err(of.unreadable(&error)),
        // Nothing proves that it had finished.
        (Found::Unreadable(error), Expects::Decides(failure)) => {
            let sentence = format!("{} Its result cannot be read: {}.", failure.sentence, said(&error));
            Err(Failure { sentence, ..failure })
        }
    }
}

struct Answer<'a> {
    task: &'a Task,
    plan: &'a Plan,
    bucket: &'a str,
    exit_code: i32,
}

impl<'a> Answer<'a> {
    fn with(&self, json: &Json) -> Result<String, Failure> {
        let output = self.output(json.as_str(), None);
        match (output.len() <= OUTPUT_BYTES, self.plan.result) {
            (true, _) => Ok(output),
            (false, ResultFrom::S3) => Ok(self.beside(json.bytes)),
            (false, _) => Err(self.failure(
                "Ecs.ResultInvalid",
                &format!(
                    "left a result of {} bytes, with which the output is longer than the {OUTPUT_BYTES} that a state's may \
                     be",
                    json.bytes
                ),
                "Ask for the result from s3: what is too long is then told by its place.",
            )),
        }
    }

    fn without(&self) -> String {
        self.output("null", None)
    }

    /// Its result stays where it is.
    fn beside(&self, bytes: u64) -> String {
        let place = self.plan.result_key.as_deref().map(|key| ResultRef {
            bucket: self.bucket,
            key,
            uri: self.uri(),
            bytes,
        });
        self.output("null", place)
    }

    fn output(&self, result: &str, result_ref: Option<ResultRef<'a>>) -> String {
        let (started, ended) = (self.task.started_at, self.task.ended_at());
        let duration = |(from, to): (Timestamp, Timestamp)| u64::try_from(to.since(from).as_millis()).ok();
        let told = Told {
            exit_code: self.exit_code,
            task_arn: &self.task.task_arn,
            started_at: started.map(|at| at.to_string()),
            stopped_at: ended.map(|at| at.to_string()),
            duration_ms: started.zip(ended).and_then(duration),
            logs: self.plan.logs.as_ref().map(|at| Logs {
                group: &at.group,
                stream: at.stream(&self.task.task_arn),
                url: log_url(at, &self.task.task_arn),
            }),
            result_ref,
        };
        let told = serde_json::to_string(&told).unwrap_or_else(|_| "{}".to_owned());
        // It has a field at least: what is behind its brace goes on.
        format!("{{\"result\":{result},{}", &told[1..])
    }

    fn uri(&self) -> String {
        let key = self.plan.result_key.as_deref().unwrap_or_default();
        format!("s3://{}/{key}", self.bucket)
    }

    fn missing(&self) -> Failure {
        let (what, advice) = match self.plan.result {
            ResultFrom::Log => (
                format!(
                    "left no result: none of the last {LOOKED_BACK} lines of its log stream begins with {LOG_MARKER:?}"
                ),
                "Print the result in one line and flush the output before the container exits; a log driver that does not \
                 block may lose lines, S3 loses none.",
            ),
            ResultFrom::Token => (
                "did not answer its task token".to_owned(),
                "Call SendTaskSuccess before the container exits; or ask for no token, and the exit code decides.",
            ),
            ResultFrom::S3 | ResultFrom::None => (
                format!("left no result: there is no object {}", self.uri()),
                "Write JSON to RESULT_URI, or PUT it to RESULT_URL, before the container exits; or ask for no result, and \
                 the exit code decides.",
            ),
        };
        self.failure("Ecs.ResultMissing", &what, advice)
    }

    fn invalid(&self, why: &str) -> Failure {
        let place = match self.plan.result {
            ResultFrom::S3 => format!(" ({})", self.uri()),
            _ => String::new(),
        };
        self.failure(
            "Ecs.ResultInvalid",
            &format!("left a result that is no JSON: {why}{place}"),
            "Let it write one JSON value in UTF-8, and nothing else.",
        )
    }

    fn unreadable(&self, error: &CallError) -> Failure {
        let (place, advice) = match self.plan.result {
            ResultFrom::Log => (
                String::new(),
                "The role of ecs-settle needs logs:GetLogEvents on the log group, which has to be in its own account; or \
                 ask for the result from s3. The work is done: resume can give the run what stands in the log.",
            ),
            _ => (
                format!(" ({})", self.uri()),
                "The role of ecs-settle needs s3:GetObject on results/* of the bucket, s3:ListBucket on the bucket, \
                 and kms:Decrypt on the bucket's key, if it has one of its own. The work is done: resume can give the \
                 run what lies there.",
            ),
        };
        self.failure(
            "Ecs.ResultUnreadable",
            &format!("its result cannot be read: {}{place}", said(error)),
            advice,
        )
    }

    fn failure(&self, name: &str, what: &str, advice: &str) -> Failure {
        let (who, code) = (who(self.plan), self.exit_code);
        Failure {
            name: name.to_owned(),
            sentence: format!("{who} exited with {code} and {what}."),
            advice: advice.to_owned(),
            exit_code: Some(code),
        }
    }
}

/// A failed call within a sentence.
fn said(error: &CallError) -> String {
    shortened(error.to_string().trim_end_matches('.'), CALL_BYTES)
}

fn log_url(at: &LogStream, task: &str) -> String {
    let partition = task.split(':').nth(1).unwrap_or("aws");
    log_stream_url(partition, &at.region, &at.group, &at.stream(task))
}

/// The cause of a state's failure: what happened, what to do, the last of `lines`, and where the others are. At most
/// [`CAUSE_CHARS`] bytes, for which lines are cut in their middle.
#[must_use]
pub fn cause(failure: &Failure, task: &Task, plan: &Plan, lines: &[String]) -> String {
    const HEADING: &str = "\n\nIts last lines:";
    let link = match &plan.logs {
        Some(at) if !task.task_arn.is_empty() => format!("\n\nIts log: {}", log_url(at, &task.task_arn)),
        _ => String::new(),
    };
    let room = CAUSE_CHARS - link.len().min(CAUSE_CHARS);
    let mut text = failure.to_string();
    if text.len() > room {
        const CUT: &str = "… (cut)";
        text.truncate(text.floor_char_boundary(room.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
    let lines: Vec<String> = lines
        .iter()
        .map(|line| clean(line))
        .filter(|line| !line.is_empty())
        .collect();
    let lines = &lines[lines.len().saturating_sub(LINES)..];
    let room = room.saturating_sub(text.len() + HEADING.len() + lines.len());
    // Less than this of each tells nothing.
    if !lines.is_empty() && room >= lines.len() * 20 {
        let most = share(lines.iter().map(String::len).collect(), room);
        text.push_str(HEADING);
        for line in lines {
            text.push('\n');
            text.push_str(&shortened(line, most));
        }
    }
    text + &link
}

/// How long each may be so that all of these lengths come to `room` at most: who needs less leaves it to the others.
fn share(mut lengths: Vec<usize>, mut room: usize) -> usize {
    lengths.sort_unstable();
    let mut left = lengths.len();
    for length in lengths {
        if length > room / left {
            return room / left;
        }
        room -= length;
        left -= 1;
    }
    usize::MAX
}

/// The text, of so many bytes at most, with `…` in its middle.
fn shortened(text: &str, most: usize) -> String {
    const GAP: &str = " … ";
    if text.len() <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(GAP.len());
    let head = text.floor_char_boundary(kept - kept / 2);
    let tail = text.ceil_char_boundary(text.len() - kept / 2);
    format!("{}{GAP}{}", &text[..head], &text[tail..])
}

/// A line as it stands on a terminal: without colours and other control characters; of what a progress bar overwrote, the
/// last.
fn clean(line: &str) -> String {
    let plain = without_escapes(line);
    let last = plain
        .rsplit('\r')
        .find(|part| !part.trim().is_empty())
        .unwrap_or_default();
    let spaced = last.chars().map(|c| match c {
        '\t' | '\n' | '\u{2028}' | '\u{2029}' => ' ',
        other => other,
    });
    let kept: String = spaced.filter(|c| !c.is_control()).collect();
    kept.trim_end().to_owned()
}

/// Without the escape sequences of terminals.
///
/// Source: ECMA-48: `ESC [`, parameters, a final byte from `@` to `~`; `ESC ]` and its like, up to `BEL` or `ESC \`.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let kind = match c {
            '\u{1b}' => chars.next(),
            '\u{9b}' => Some('['),
            other => {
                text.push(other);
                continue;
            }
        };
        match kind {
            Some('[') => {
                while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
                chars.next_if(|c| ('@'..='~').contains(c));
            }
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while chars.next_if(|c| *c != '\u{7}' && *c != '\u{1b}').is_some() {}
                if chars.next() == Some('\u{1b}') {
                    chars.next_if_eq(&'\\');
                }
            }
            // The character set: one more.
            Some('(' | ')' | '#' | ' ') => {
                chars.next();
            }
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests;
