//! What a caller asks: read strictly, and good once it is an [`Asked`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::quotas::{NAME_CHARS, PAYLOAD_BYTES};
use signalbox::request::BadRequest;

use crate::clone::DEFINITION_BYTES;
use crate::plan::{Ask, From, Mode, Waits};

/// Longest `reason` and `by`, in characters.
pub const WORDS_CHARS: usize = 500;

/// The request as JSON. Unknown fields are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    execution_arn: String,
    #[serde(default)]
    from: Option<FromRequest>,
    #[serde(default, deserialize_with = "given")]
    input: Option<Value>,
    #[serde(default)]
    variables: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "given")]
    skip_with_output: Option<Value>,
    #[serde(default)]
    definition: Option<Value>,
    #[serde(default)]
    mode: ModeRequest,
    #[serde(default)]
    waits: WaitsRequest,
    #[serde(default)]
    pin: bool,
    #[serde(default)]
    apply: bool,
    #[serde(default)]
    plan_hash: Option<String>,
    #[serde(default)]
    allow_overlap: bool,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    by: Option<String>,
}

/// A state's name, or the state with the iterations of the Maps around it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum FromRequest {
    Name(String),
    State(StateRequest),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StateRequest {
    state: String,
    #[serde(default)]
    iterations: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ModeRequest {
    #[default]
    Auto,
    Redrive,
    Clone,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WaitsRequest {
    #[default]
    Full,
    Remaining,
    Skip,
}

/// A value that is given, also if it is null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A request whose every value is good.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The run that is to go on.
    pub execution: ExecutionArn,
    /// Where, and with what.
    pub ask: Ask,
    /// By which definition.
    pub definition: DefinitionAsked,
    /// Whether it is to go on, or only to be planned.
    pub apply: bool,
    /// The plan that was looked at: another one is not applied.
    pub plan_hash: Option<String>,
    /// Whether another run of the pipeline may be running.
    pub allow_overlap: bool,
    /// Why, for whoever looks later.
    pub reason: Option<String>,
    /// Who, for whoever looks later.
    pub by: Option<String>,
}

/// The definition to go on with.
#[derive(Debug, Clone, PartialEq)]
pub enum DefinitionAsked {
    /// The one that ran.
    Executed,
    /// The state machine's present one.
    Latest,
    /// This one.
    Given(Value),
}

impl TryFrom<Request> for Asked {
    type Error = BadRequest;

    fn try_from(request: Request) -> Result<Self, BadRequest> {
        let execution = ExecutionArn::parse(&request.execution_arn)
            .map_err(|error| BadRequest::new("executionArn", error.to_string()))?;
        let definition = match request.definition {
            None => DefinitionAsked::Executed,
            Some(Value::String(text)) => match text.as_str() {
                "executed" => DefinitionAsked::Executed,
                "latest" => DefinitionAsked::Latest,
                _ => {
                    return Err(BadRequest::new(
                        "definition",
                        format!("is {text:?}; it must be \"executed\", \"latest\" or a definition, as an object"),
                    ));
                }
            },
            Some(given @ Value::Object(_)) => {
                let bytes = given.to_string().len();
                if bytes > DEFINITION_BYTES {
                    return Err(BadRequest::new(
                        "definition",
                        format!("has {bytes} bytes, a definition has at most {DEFINITION_BYTES}"),
                    ));
                }
                DefinitionAsked::Given(given)
            }
            Some(_) => {
                return Err(BadRequest::new(
                    "definition",
                    "must be \"executed\", \"latest\" or a definition, as an object",
                ));
            }
        };
        let from = request.from.map(|from| match from {
            FromRequest::Name(state) => From {
                state,
                iterations: BTreeMap::new(),
            },
            FromRequest::State(from) => From {
                state: from.state,
                iterations: from.iterations,
            },
        });
        if let Some(from) = &from {
            state_name("from", &from.state)?;
        }
        payload("input", request.input.as_ref())?;
        payload("skipWithOutput", request.skip_with_output.as_ref())?;
        for (name, value) in &request.variables {
            payload(&format!("variables.{name}"), Some(value))?;
        }
        for (field, words) in [("reason", &request.reason), ("by", &request.by)] {
            let chars = words.as_deref().unwrap_or_default().chars().count();
            if chars > WORDS_CHARS {
                return Err(BadRequest::new(
                    field,
                    format!("has {chars} characters; it may have {WORDS_CHARS}"),
                ));
            }
        }
        if request.plan_hash.is_some() && !request.apply {
            return Err(BadRequest::new(
                "planHash",
                "says which plan is to be applied; it goes with \"apply\": true",
            ));
        }
        Ok(Self {
            execution,
            ask: Ask {
                from,
                input: request.input,
                variables: request.variables,
                skip_with_output: request.skip_with_output,
                mode: match request.mode {
                    ModeRequest::Auto => Mode::Auto,
                    ModeRequest::Redrive => Mode::Redrive,
                    ModeRequest::Clone => Mode::Clone,
                },
                waits: match request.waits {
                    WaitsRequest::Full => Waits::Full,
                    WaitsRequest::Remaining => Waits::Remaining,
                    WaitsRequest::Skip => Waits::Skip,
                },
                pin: request.pin,
            },
            definition,
            apply: request.apply,
            plan_hash: request.plan_hash,
            allow_overlap: request.allow_overlap,
            reason: request.reason,
            by: request.by,
        })
    }
}

fn state_name(field: &str, name: &str) -> Result<(), BadRequest> {
    match name.chars().count() {
        1..=NAME_CHARS => Ok(()),
        chars => Err(BadRequest::new(
            field,
            format!("has {chars} characters; a state's name has 1 to {NAME_CHARS}"),
        )),
    }
}

fn payload(field: &str, value: Option<&Value>) -> Result<(), BadRequest> {
    let bytes = value.map(|value| value.to_string().len()).unwrap_or_default();
    match bytes <= PAYLOAD_BYTES {
        true => Ok(()),
        false => Err(BadRequest::new(
            field,
            format!("has {bytes} bytes; Step Functions takes at most {PAYLOAD_BYTES}"),
        )),
    }
}
