//! The request: as it is sent, and as it is understood.

use serde::Deserialize;
use signalbox::arn::ExecutionArn;
use signalbox::lock::admin::{Edge, Order};
use signalbox::lock::key::{HoldName, LockKey, Place};
use signalbox::lock::record::{Hold, SLOTS_MOST};
use signalbox::lock::store::Setting;
use signalbox::request::BadRequest;

/// Waiters, or locks, that a list has if it is not told.
const LISTED: u32 = 100;

/// Most that it may have: Lambda's answer has 6 MB.
const LISTED_MOST: u32 = 1_000;

/// Longest `by`, in characters.
const BY_CHARS: usize = 128;

/// Longest `reason`, in characters.
const REASON_CHARS: usize = 512;

/// What a person sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    action: Action,
    lock: Option<String>,
    execution_arn: Option<String>,
    hold: Option<String>,
    to: Option<To>,
    slots: Option<u32>,
    by: Option<String>,
    reason: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    List,
    ForceRelease,
    Remove,
    Move,
    Pause,
    Resume,
    SetSlots,
}

impl Action {
    /// As it is written in a request.
    const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::ForceRelease => "forceRelease",
            Self::Remove => "remove",
            Self::Move => "move",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::SetSlots => "setSlots",
        }
    }

    /// The fields that it takes, beside those that it must have.
    const fn takes(self) -> &'static [&'static str] {
        match self {
            Self::List => &["lock", "limit", "after"],
            Self::ForceRelease | Self::Remove => &["lock", "executionArn", "hold", "by", "reason"],
            Self::Move => &["lock", "executionArn", "hold", "to", "by", "reason"],
            Self::Pause | Self::Resume => &["lock", "by", "reason"],
            Self::SetSlots => &["lock", "slots", "by", "reason"],
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum To {
    Front,
    Back,
}

/// What is to be done.
#[derive(Debug)]
pub enum Ask {
    /// List the locks in use, in order of their names.
    ListAll {
        /// How many at most.
        limit: u32,
        /// The last one of the list before.
        after: Option<String>,
    },
    /// List one lock's holders and waiters.
    List {
        /// The lock.
        lock: LockKey,
        /// How many waiters at most.
        limit: u32,
        /// The last place of the list before.
        after: Option<Place>,
    },
    /// Change something.
    Change {
        /// What.
        change: Change,
        /// Who wants it, and why.
        order: Order,
    },
}

/// What is to be changed.
#[derive(Debug)]
pub enum Change {
    /// Take the slot from a run.
    ForceRelease(Hold),
    /// Take a run out of the queue.
    Remove(Hold),
    /// Move a run in the queue.
    Move(Hold, Edge),
    /// Slots, or pause.
    Configure(LockKey, Setting),
}

impl TryFrom<Request> for Ask {
    type Error = BadRequest;

    fn try_from(request: Request) -> Result<Self, BadRequest> {
        request.check_fields()?;
        let limit = match request.limit.unwrap_or(LISTED) {
            limit @ 1..=LISTED_MOST => limit,
            limit => {
                return Err(BadRequest::new(
                    "limit",
                    format!("is {limit}; it may be 1 to {LISTED_MOST}, and without it is {LISTED}"),
                ));
            }
        };
        let change = match request.action {
            Action::List => {
                return Ok(match request.lock {
                    None => Self::ListAll {
                        limit,
                        after: request.after,
                    },
                    Some(_) => Self::List {
                        lock: request.lock()?,
                        limit,
                        after: request.after.as_deref().map(place).transpose()?,
                    },
                });
            }
            Action::ForceRelease => Change::ForceRelease(request.hold()?),
            Action::Remove => Change::Remove(request.queued()?),
            Action::Move => {
                let to = request.to.ok_or_else(|| missing("to", "\"front\" or \"back\""))?;
                let edge = match to {
                    To::Front => Edge::Front,
                    To::Back => Edge::Back,
                };
                Change::Move(request.queued()?, edge)
            }
            Action::Pause => Change::Configure(request.configurable()?, Setting::Paused(true)),
            Action::Resume => Change::Configure(request.configurable()?, Setting::Paused(false)),
            Action::SetSlots => {
                let slots = request
                    .slots
                    .ok_or_else(|| missing("slots", &format!("1 to {SLOTS_MOST}")))?;
                if !(1..=SLOTS_MOST).contains(&slots) {
                    let problem =
                        format!("is {slots}; a lock has 1 to {SLOTS_MOST} slots, and one that is paused grants none");
                    return Err(BadRequest::new("slots", problem));
                }
                Change::Configure(request.configurable()?, Setting::Slots(slots))
            }
        };
        let order = request.order()?;
        Ok(Self::Change { change, order })
    }
}

impl Request {
    /// A field that the action does nothing with is a mistake.
    fn check_fields(&self) -> Result<(), BadRequest> {
        let given = [
            ("lock", self.lock.is_some()),
            ("executionArn", self.execution_arn.is_some()),
            ("hold", self.hold.is_some()),
            ("to", self.to.is_some()),
            ("slots", self.slots.is_some()),
            ("by", self.by.is_some()),
            ("reason", self.reason.is_some()),
            ("limit", self.limit.is_some()),
            ("after", self.after.is_some()),
        ];
        let takes = self.action.takes();
        match given
            .into_iter()
            .find(|(field, given)| *given && !takes.contains(field))
        {
            None => Ok(()),
            Some((field, _)) => Err(BadRequest::new(
                field,
                format!(
                    "has no meaning with the action \"{}\", which takes {}",
                    self.action.name(),
                    takes.join(", ")
                ),
            )),
        }
    }

    fn lock(&self) -> Result<LockKey, BadRequest> {
        let text = self.lock.as_deref().ok_or_else(|| missing("lock", "a lock's name"))?;
        LockKey::any(text).map_err(|error| BadRequest::new("lock", error.to_string()))
    }

    /// A lock with a queue: the guard's have none.
    fn configurable(&self) -> Result<LockKey, BadRequest> {
        let lock = self.lock()?;
        match lock.is_the_guards() {
            false => Ok(lock),
            true => Err(BadRequest::new(
                "lock",
                "is the overlap guard's, which has one slot and no queue; it takes only the actions \"list\" and \
                 \"forceRelease\"",
            )),
        }
    }

    fn hold(&self) -> Result<Hold, BadRequest> {
        let lock = self.lock()?;
        let arn = self
            .execution_arn
            .as_deref()
            .ok_or_else(|| missing("executionArn", "the ARN of the run"))?;
        let execution = ExecutionArn::parse_with_children(arn)
            .map_err(|error| BadRequest::new("executionArn", error.to_string()))?;
        let name = HoldName::parse(self.hold.as_deref().unwrap_or_default())
            .map_err(|error| BadRequest::new("hold", error.to_string()))?;
        Ok(Hold { execution, lock, name })
    }

    fn queued(&self) -> Result<Hold, BadRequest> {
        self.configurable()?;
        self.hold()
    }

    fn order(&self) -> Result<Order, BadRequest> {
        Ok(Order {
            by: said("by", self.by.as_deref(), BY_CHARS, "who does this")?,
            reason: said("reason", self.reason.as_deref(), REASON_CHARS, "why this is done")?,
            action: self.action.name(),
        })
    }
}

fn missing(field: &str, what: &str) -> BadRequest {
    BadRequest::new(field, format!("is missing; it is required: {what}"))
}

fn said(field: &str, text: Option<&str>, most: usize, what: &str) -> Result<String, BadRequest> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| missing(field, &format!("{what}; it is written to the audit trail")))?;
    match text.chars().count() {
        chars if chars > most => Err(BadRequest::new(
            field,
            format!("has {chars} characters; at most {most} are allowed"),
        )),
        _ => Ok(text.to_owned()),
    }
}

fn place(text: &str) -> Result<Place, BadRequest> {
    match text.starts_with(Place::PREFIX) {
        true => Ok(Place::of(text)),
        false => Err(BadRequest::new(
            "after",
            format!("is {text:?}; it must be the \"next\" of the list before"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signalbox::request::parse;

    use super::*;

    const RUN: &str = "arn:aws:states:us-east-1:123456789012:execution:orders:run-1";

    fn ask(payload: Value) -> Result<Ask, String> {
        parse::<Request>(payload)
            .and_then(Ask::try_from)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_action_is_understood() {
        let signed = |mut payload: Value| {
            payload["by"] = json!("ana");
            payload["reason"] = json!("it hangs");
            ask(payload)
        };
        assert!(matches!(
            ask(json!({"action": "list"})),
            Ok(Ask::ListAll {
                limit: LISTED,
                after: None
            })
        ));
        assert!(matches!(
            ask(json!({"action": "list", "lock": "w", "limit": 7, "after": "WAIT#14#000000000001"})),
            Ok(Ask::List {
                limit: 7,
                after: Some(_),
                ..
            })
        ));
        for (payload, expected) in [
            (
                json!({"action": "forceRelease", "lock": "w", "executionArn": RUN, "hold": "3"}),
                "ForceRelease",
            ),
            (
                json!({"action": "forceRelease", "lock": "overlap:m", "executionArn": RUN}),
                "ForceRelease",
            ),
            (json!({"action": "remove", "lock": "w", "executionArn": RUN}), "Remove"),
            (
                json!({"action": "move", "lock": "w", "executionArn": RUN, "to": "back"}),
                "Move",
            ),
            (json!({"action": "pause", "lock": "w"}), "Paused(true)"),
            (json!({"action": "resume", "lock": "w"}), "Paused(false)"),
            (json!({"action": "setSlots", "lock": "w", "slots": 3}), "Slots(3)"),
        ] {
            let understood = signed(payload.clone());
            assert!(
                format!("{understood:?}").contains(expected),
                "{payload}: {understood:?}"
            );
        }
    }

    #[test]
    fn every_refusal_names_its_field() {
        let signed = json!({"by": "ana", "reason": "it hangs"});
        for (payload, says) in [
            (json!({}), "action: is missing; it is required"),
            (
                json!({"action": "break"}),
                "action: unknown variant `break`, expected one of `list`",
            ),
            (json!({"action": "list", "lock": ""}), "lock: is empty"),
            (
                json!({"action": "list", "limit": 0}),
                "limit: is 0; it may be 1 to 1000",
            ),
            (
                json!({"action": "list", "lock": "w", "after": "x"}),
                "after: is \"x\"; it must be the \"next\"",
            ),
            (
                json!({"action": "list", "slots": 2}),
                "slots: has no meaning with the action \"list\", which takes lock, limit, after",
            ),
            (json!({"action": "pause"}), "lock: is missing; it is required"),
            (
                json!({"action": "pause", "lock": "overlap:m"}),
                "lock: is the overlap guard's",
            ),
            (
                json!({"action": "remove", "lock": "overlap:m", "executionArn": RUN}),
                "lock: is the overlap guard's",
            ),
            (
                json!({"action": "forceRelease", "lock": "w"}),
                "executionArn: is missing; it is required",
            ),
            (
                json!({"action": "forceRelease", "lock": "w", "executionArn": "x"}),
                "executionArn: \"x\" is not an ARN",
            ),
            (
                json!({"action": "forceRelease", "lock": "w", "executionArn": RUN, "hold": "#"}),
                "hold: \"#\" has a #",
            ),
            (
                json!({"action": "forceRelease", "lock": "w", "executionArn": RUN, "to": "front"}),
                "to: has no meaning",
            ),
            (
                json!({"action": "move", "lock": "w", "executionArn": RUN}),
                "to: is missing; it is required: \"front\" or \"back\"",
            ),
            (
                json!({"action": "move", "lock": "w", "executionArn": RUN, "to": "top"}),
                "to: unknown variant `top`",
            ),
            (
                json!({"action": "setSlots", "lock": "w"}),
                "slots: is missing; it is required: 1 to 100",
            ),
            (
                json!({"action": "setSlots", "lock": "w", "slots": 0}),
                "slots: is 0; a lock has 1 to 100 slots",
            ),
            (
                json!({"action": "setSlots", "lock": "w", "slots": 101}),
                "slots: is 101",
            ),
            (json!({"action": "list", "force": true}), "force: unknown field"),
        ] {
            let mut payload = payload;
            if payload["action"] != "list" && payload.get("action").is_some() && payload["action"] != "break" {
                payload
                    .as_object_mut()
                    .unwrap()
                    .extend(signed.as_object().unwrap().clone());
            }
            let error = ask(payload.clone()).unwrap_err();
            assert!(error.starts_with(says), "{payload}: {error}\n  should say: {says}");
        }
        for (by, reason, says) in [
            (
                json!(null),
                json!("why"),
                "by: is missing; it is required: who does this",
            ),
            (json!("  "), json!("why"), "by: is missing"),
            (json!("ana"), json!(null), "reason: is missing; it is required: why"),
            (
                json!("x".repeat(129)),
                json!("why"),
                "by: has 129 characters; at most 128",
            ),
            (json!("ana"), json!("x".repeat(513)), "reason: has 513 characters"),
        ] {
            let error = ask(json!({"action": "pause", "lock": "w", "by": by, "reason": reason})).unwrap_err();
            assert!(error.starts_with(says), "{error}\n  should say: {says}");
        }
    }
}
