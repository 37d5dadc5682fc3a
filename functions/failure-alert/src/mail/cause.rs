//! What a cause tells: unwrapped from JSON in JSON, without secrets.
//!
//! Lambda, ECS, nested executions and `Returned payload: {…}` are known by their fields; of everything else that is
//! JSON the field is taken that tells most by its name.

mod stack;

use serde_json::{Map, Value};

use super::words::clean;
use crate::redact::redact;

pub(crate) use stack::Stack;

/// How deep JSON is looked into: texts in JSON in texts.
const DEPTH: usize = 6;

/// What a cause tells.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The names of the errors, outermost first: that of Step Functions, those of the cause.
    pub(crate) errors: Vec<String>,
    /// What happened.
    pub(crate) message: String,
    /// What else helps to find out more: a job, a log.
    pub(crate) facts: Vec<String>,
    /// Where in the code.
    pub(crate) stack: Stack,
}

/// What an error and its cause tell.
pub(crate) fn tell(error: Option<&str>, cause: Option<&str>) -> Told {
    let mut told = cause.map(|cause| of_text(cause, DEPTH)).unwrap_or_default();
    told.errors.splice(0..0, error.map(str::to_owned));
    told.errors = told
        .errors
        .iter()
        .map(|error| safe(error))
        .filter(|e| !e.is_empty())
        .collect();
    told.errors.dedup();
    told.message = safe(&told.message);
    told.facts = told.facts.iter().map(|fact| safe(fact)).collect();
    told.stack.lines = safe(&told.stack.lines.join("\n")).lines().map(str::to_owned).collect();
    told
}

impl Told {
    /// The errors and the message in one: `States.TaskFailed: PaymentError: answered 503`.
    pub(crate) fn sentence(&self) -> String {
        let mut sentence = String::new();
        for error in &self.errors {
            if !self.message.starts_with(error.as_str()) {
                sentence.push_str(error);
                sentence.push_str(": ");
            }
        }
        sentence.push_str(&self.message);
        sentence.trim_end().trim_end_matches(':').to_owned()
    }
}

fn safe(text: &str) -> String {
    redact(clean(text).trim())
}

fn of_text(text: &str, depth: usize) -> Told {
    let text = text.trim();
    let payload = text.split_once("Returned payload: ").map(|(_, payload)| payload.trim());
    let json = payload.unwrap_or(text);
    let value = match json.as_bytes().first() {
        Some(b'{' | b'[' | b'"') if depth > 0 => serde_json::from_str::<Value>(json).ok(),
        _ => None,
    };
    match value {
        Some(value) => of_value(&value, depth - 1),
        None => Told {
            message: text.to_owned(),
            ..Told::default()
        },
    }
}

fn of_value(value: &Value, depth: usize) -> Told {
    match value {
        Value::String(text) => of_text(text, depth),
        Value::Object(fields) => nested_execution(fields, depth)
            .or_else(|| lambda(fields, depth))
            .or_else(|| containers(fields))
            .or_else(|| anything(value, depth))
            .unwrap_or_else(|| as_it_is(value)),
        _ => anything(value, depth).unwrap_or_else(|| as_it_is(value)),
    }
}

fn as_it_is(value: &Value) -> Told {
    Told {
        message: match value {
            Value::Null => String::new(),
            Value::Object(fields) if fields.is_empty() => String::new(),
            value => value.to_string(),
        },
        ..Told::default()
    }
}

fn text<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    fields.get(name)?.as_str().filter(|text| !text.trim().is_empty())
}

/// `DescribeExecution` of a nested execution, as `startExecution.sync` has it.
fn nested_execution(fields: &Map<String, Value>, depth: usize) -> Option<Told> {
    text(fields, "ExecutionArn")?;
    let status = text(fields, "Status")?;
    let mut told = match fields.get("Cause") {
        Some(cause) => of_value(cause, depth.saturating_sub(1)),
        None => Told::default(),
    };
    let error = text(fields, "Error").map(str::to_owned);
    let error = error.or_else(|| (told == Told::default()).then(|| format!("the nested execution {status}")));
    told.errors.splice(0..0, error);
    Some(told)
}

/// `{"errorMessage": …, "errorType": …, "stackTrace" or "trace": […]}`, and Java's `cause` in it.
fn lambda(fields: &Map<String, Value>, depth: usize) -> Option<Told> {
    let kind = text(fields, "errorType");
    let message = fields.get("errorMessage").filter(|message| !message.is_null());
    if kind.is_none() && message.is_none() {
        return None;
    }
    let frames = fields.get("stackTrace").or_else(|| fields.get("trace"));
    let mut told = match message {
        Some(message) => of_value(message, depth.saturating_sub(1)),
        None => Told::default(),
    };
    told.errors.splice(0..0, kind.map(str::to_owned));
    if let Some(frames) = frames.and_then(Value::as_array).filter(|frames| !frames.is_empty()) {
        told.stack = Stack::of(frames);
    }
    // Java tells what it was wrapped in first.
    if let Some(Value::Object(inner)) = fields.get("cause")
        && depth > 0
        && let Some(inner) = lambda(inner, depth - 1)
    {
        told.message = format!("{}\nCaused by {}", told.message, inner.sentence());
        if !inner.stack.lines.is_empty() {
            told.stack = inner.stack;
        }
    }
    Some(told)
}

/// A stopped task of ECS.
fn containers(fields: &Map<String, Value>) -> Option<Told> {
    let containers = fields.get("Containers")?.as_array()?;
    let stopped = text(fields, "StoppedReason").or_else(|| text(fields, "StopCode"));
    let mut lines: Vec<String> = containers
        .iter()
        .filter_map(|container| {
            let container = container.as_object()?;
            let exit = container.get("ExitCode").and_then(Value::as_i64);
            let reason = text(container, "Reason");
            if exit.unwrap_or(0) == 0 && reason.is_none() {
                return None;
            }
            let name = text(container, "Name").unwrap_or("?");
            let exit = exit.map_or_else(|| "never started".to_owned(), |code| exit_code(code, reason.is_some()));
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            Some(format!("Container {name:?} {exit}{reason}"))
        })
        .collect();
    lines.extend(stopped.map(str::to_owned));
    if lines.is_empty() {
        return None;
    }
    let facts = [("task", "TaskArn"), ("task definition", "TaskDefinitionArn")];
    let fact = |(label, name): (&str, &str)| {
        // Behind "arn:…:task/": the cluster and the task's id.
        let (_, short) = text(fields, name)?.split_once('/')?;
        Some(format!("{label} {short}"))
    };
    Some(Told {
        message: lines.join("\n"),
        facts: facts.into_iter().filter_map(fact).collect(),
        ..Told::default()
    })
}

fn exit_code(code: i64, explained: bool) -> String {
    let meaning = match code {
        137 if !explained => " (killed, often for lack of memory)",
        139 => " (segmentation fault)",
        143 => " (told to stop)",
        _ => "",
    };
    format!("ended with exit code {code}{meaning}")
}

/// Fields that tell, the most telling first, in lower case.
const TELLING: [&str; 16] = [
    "errormessage",
    "failurereason",
    "statechangereason",
    "statusreason",
    "stoppedreason",
    "statusmessage",
    "message",
    "msg",
    "reason",
    "cause",
    "detail",
    "details",
    "error_description",
    "description",
    "error",
    "title",
];

/// The error's name beside such a field.
const NAMES: [&str; 5] = ["errortype", "errorcode", "error", "code", "statuscode"];

/// What leads further.
const FACTS: [(&str, &str); 9] = [
    ("deeplink", "log"),
    ("logstreamname", "log stream"),
    ("logfile", "log"),
    ("jobname", "job"),
    ("jobrunid", "job run"),
    ("jobid", "job id"),
    ("projectname", "project"),
    ("queryexecutionid", "query"),
    ("taskarn", "task"),
];

/// Not what happened, but what was asked for, and how it was transported.
const PASSED_OVER: [&str; 8] = [
    "sdkhttpmetadata",
    "sdkresponsemetadata",
    "responsemetadata",
    "input",
    "overrides",
    "environment",
    "source",
    "arguments",
];

/// Glue, Batch, `CodeBuild`, Athena, an HTTP API, whatever: breadth first, the best name wins.
fn anything(value: &Value, depth: usize) -> Option<Told> {
    let mut objects: Vec<&Map<String, Value>> = Vec::new();
    let mut level = vec![value];
    for _ in 0..=DEPTH {
        let mut next = Vec::new();
        for value in level {
            match value {
                Value::Object(fields) => {
                    objects.push(fields);
                    let inside = |(name, _): &(&String, &Value)| !PASSED_OVER.contains(&lower(name).as_str());
                    next.extend(fields.iter().filter(inside).map(|(_, value)| value));
                }
                Value::Array(values) => next.extend(values),
                _ => {}
            }
        }
        level = next;
    }
    let found = |wanted: &str| {
        let pairs = objects
            .iter()
            .flat_map(|fields| fields.iter().map(move |(name, value)| (*fields, name, value)));
        pairs
            .filter(|(_, name, _)| lower(name) == wanted)
            .find_map(|(fields, _, value)| Some((fields, value.as_str().filter(|text| !text.trim().is_empty())?)))
    };
    let (beside, message) = TELLING.iter().find_map(|wanted| found(wanted))?;
    let mut told = of_text(message, depth);
    let name = NAMES.iter().find_map(|wanted| {
        let (_, value) = beside.iter().find(|(name, _)| lower(name) == *wanted)?;
        value
            .as_str()
            .filter(|name| !name.trim().is_empty() && *name != message)
    });
    told.errors.splice(0..0, name.map(str::to_owned));
    let exit = objects.iter().find_map(|fields| {
        let (_, code) = fields.iter().find(|(name, _)| lower(name) == "exitcode")?;
        code.as_i64().filter(|code| *code != 0)
    });
    if let Some(code) = exit {
        told.message = format!("{}\nIt {}", told.message, exit_code(code, false));
    }
    for (wanted, label) in FACTS {
        told.facts
            .extend(found(wanted).map(|(_, value)| format!("{label} {value}")));
    }
    Some(told)
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
