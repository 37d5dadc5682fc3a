//! ARNs of Step Functions: parsed at the edge, good from then on.

use std::fmt;

use crate::quotas::{ARN_CHARS, NAME_CHARS};

/// Why a text is not the ARN that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found}; {wanted}")]
pub struct ArnError {
    found: String,
    wanted: &'static str,
}

const EXECUTION: &str =
    "an execution's ARN looks like arn:aws:states:REGION:ACCOUNT:execution:MACHINE:NAME, in ASL $$.Execution.Id";
const MACHINE: &str =
    "a state machine's ARN looks like arn:aws:states:REGION:ACCOUNT:stateMachine:NAME, in ASL $$.StateMachine.Id";

/// The ARN of a standard execution: `arn:aws:states:us-east-1:123456789012:execution:orders-nightly:run-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionArn {
    text: String,
    machine: StateMachineArn,
    /// Byte position in `text` at which the execution's name starts.
    name_at: usize,
}

impl ExecutionArn {
    /// Parses the ARN of a standard execution.
    ///
    /// Refused, each with its own words: EXPRESS executions, children of a Distributed Map, ARNs of state machines,
    /// versions and aliases, anything longer than 256 characters and names with characters that Step Functions forbids.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let arn = Self::parse_with_children(text)?;
        match arn.is_map_child() {
            false => Ok(arn),
            true => Err(ArnError {
                found: format!(
                    "{} is a child execution of a Distributed Map; call from the execution that started the Map",
                    quoted(text)
                ),
                wanted: EXECUTION,
            }),
        }
    }

    /// The same, where children of a Distributed Map are welcome: executions of their own, which can be described, but
    /// are listed with their Map Run alone.
    ///
    /// Source of their ARN, `…:execution:MACHINE/LABEL:NAME`: Step Functions developer guide, "Viewing a Distributed Map
    /// Run execution".
    pub fn parse_with_children(text: &str) -> Result<Self, ArnError> {
        let wrong = |found: String| ArnError {
            found,
            wanted: EXECUTION,
        };
        let parts = Parts::split(text).map_err(wrong)?;
        match (parts.kind, parts.rest.as_slice()) {
            ("execution", [machine, name]) => {
                let (machine, label) = machine.split_once('/').unwrap_or((machine, "-"));
                check_name("state machine", machine).map_err(wrong)?;
                check_name("map", label).map_err(wrong)?;
                check_name("execution", name).map_err(wrong)?;
                Ok(Self {
                    text: text.to_owned(),
                    machine: StateMachineArn {
                        text: format!("{}:stateMachine:{machine}", parts.head),
                        name_at: parts.head.len() + ":stateMachine:".len(),
                    },
                    name_at: text.len() - name.len(),
                })
            }
            ("express", _) => Err(wrong(format!(
                "{} is an EXPRESS execution, which Step Functions can neither list nor describe; use a STANDARD state machine",
                quoted(text)
            ))),
            ("stateMachine", [_]) => Err(wrong(format!("{} is a state machine", quoted(text)))),
            ("stateMachine", [_, qualifier]) => Err(wrong(format!(
                "{} is {} of a state machine",
                quoted(text),
                if is_version(qualifier) { "a version" } else { "an alias" }
            ))),
            _ => Err(wrong(format!("{} is not an execution's ARN", quoted(text)))),
        }
    }

    /// Whether it is a child of a Distributed Map.
    #[must_use]
    pub fn is_map_child(&self) -> bool {
        self.text.contains('/')
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The execution's name, the last part.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.name_at..]
    }

    /// The state machine that this is an execution of, without version or alias.
    #[must_use]
    pub fn machine(&self) -> &StateMachineArn {
        &self.machine
    }
}

impl fmt::Display for ExecutionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The ARN of a state machine, without version or alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateMachineArn {
    text: String,
    name_at: usize,
}

impl StateMachineArn {
    /// Parses the ARN of a state machine. A version's or an alias's ARN becomes the machine's: `ListExecutions` with one
    /// of those lists only the executions started through it (API reference, `ListExecutions`, `stateMachineArn`).
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let wrong = |found: String| ArnError { found, wanted: MACHINE };
        let parts = Parts::split(text).map_err(wrong)?;
        match (parts.kind, parts.rest.as_slice()) {
            ("stateMachine", [name] | [name, _]) => {
                check_name("state machine", name).map_err(wrong)?;
                Ok(Self {
                    text: format!("{}:stateMachine:{name}", parts.head),
                    name_at: parts.head.len() + ":stateMachine:".len(),
                })
            }
            ("execution" | "express", _) => Err(wrong(format!("{} is an execution", quoted(text)))),
            _ => Err(wrong(format!("{} is not a state machine's ARN", quoted(text)))),
        }
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The state machine's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.name_at..]
    }

    /// The part before the resource: `arn:PARTITION:states:REGION:ACCOUNT`. Two ARNs with the same one share an account
    /// and a Region.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.text[..self.name_at - ":stateMachine:".len()]
    }

    /// The AWS partition: `aws`, `aws-cn`, `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.text.split(':').nth(1).unwrap_or_default()
    }

    /// The Region: `us-east-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        self.text.split(':').nth(3).unwrap_or_default()
    }
}

impl fmt::Display for StateMachineArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

struct Parts<'a> {
    /// `arn:aws:states:us-east-1:123456789012`
    head: &'a str,
    kind: &'a str,
    rest: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, String> {
        let chars = text.chars().count();
        if chars > ARN_CHARS {
            return Err(format!(
                "{} has {chars} characters, an ARN has at most {ARN_CHARS}",
                quoted(text)
            ));
        }
        let parts: Vec<&str> = text.split(':').collect();
        let [arn, partition, service, region, account, kind, rest @ ..] = parts.as_slice() else {
            return Err(format!("{} is not an ARN", quoted(text)));
        };
        if *arn != "arn" || !partition.starts_with("aws") {
            return Err(format!("{} is not an ARN", quoted(text)));
        }
        if *service != "states" {
            return Err(format!("{} is an ARN of {service}, not of states", quoted(text)));
        }
        if region.is_empty() || account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("{} lacks its Region or its 12-digit account", quoted(text)));
        }
        let head = text.len() - rest.iter().map(|part| part.len() + 1).sum::<usize>() - kind.len() - 1;
        Ok(Self {
            head: &text[..head],
            kind,
            rest: rest.to_vec(),
        })
    }
}

/// What Step Functions forbids in a name: API reference, `StartExecution`, `name`.
fn check_name(what: &str, name: &str) -> Result<(), String> {
    let chars = name.chars().count();
    if chars == 0 || chars > NAME_CHARS {
        return Err(format!(
            "its {what} name has {chars} characters, a name has 1 to {NAME_CHARS}"
        ));
    }
    let forbidden = |c: &char| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(*c);
    match name.chars().find(forbidden) {
        Some(c) => Err(format!("its {what} name has the forbidden character {c:?}")),
        None => Ok(()),
    }
}

fn is_version(qualifier: &str) -> bool {
    !qualifier.is_empty() && qualifier.bytes().all(|b| b.is_ascii_digit())
}

/// The text in quotes, cut where a message would drown in it.
fn quoted(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("\"{}…\"", &text[..cut]),
        None => format!("\"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "arn:aws-us-gov:states:us-gov-west-1:123456789012:execution:orders-nightly:run-1";

    #[test]
    fn a_child_of_a_distributed_map_is_an_execution_of_its_own() {
        let text = "arn:aws:states:us-east-1:123456789012:execution:orders/each-file:0f3e";
        let child = ExecutionArn::parse_with_children(text).unwrap();
        assert_eq!(
            (child.as_str(), child.name(), child.machine().name()),
            (text, "0f3e", "orders")
        );
        assert!(child.is_map_child());
        assert!(ExecutionArn::parse(text).is_err());
        assert!(ExecutionArn::parse_with_children(&text.replace("each-file", "")).is_err());
    }

    #[test]
    fn an_execution_knows_its_name_and_its_machine() {
        let arn = ExecutionArn::parse(RUN).unwrap();
        assert_eq!(arn.as_str(), RUN);
        assert_eq!(arn.name(), "run-1");
        assert_eq!(
            arn.machine().as_str(),
            "arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:orders-nightly"
        );
        assert_eq!(arn.machine().name(), "orders-nightly");
        assert_eq!(arn.machine().partition(), "aws-us-gov");
        assert_eq!(arn.machine().region(), "us-gov-west-1");
        assert_eq!(arn.machine().home(), "arn:aws-us-gov:states:us-gov-west-1:123456789012");
    }

    #[test]
    fn versions_and_aliases_become_their_machine() {
        let plain = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
        for text in [plain.to_owned(), format!("{plain}:7"), format!("{plain}:PROD")] {
            let machine = StateMachineArn::parse(&text).unwrap();
            assert_eq!(machine.as_str(), plain);
            assert_eq!(
                machine,
                *ExecutionArn::parse(&format!("{}x", plain.replace("stateMachine:m", "execution:m:")))
                    .unwrap()
                    .machine()
            );
        }
    }

    #[test]
    fn what_is_no_execution_says_what_it_is() {
        let home = "arn:aws:states:us-east-1:123456789012";
        let long = "x".repeat(300);
        for (text, says) in [
            (format!("{home}:express:m:r:0f6a"), "is an EXPRESS execution"),
            (
                format!("{home}:execution:m/label:0f6a"),
                "child execution of a Distributed Map",
            ),
            (format!("{home}:stateMachine:m"), "is a state machine"),
            (format!("{home}:stateMachine:m:3"), "is a version of a state machine"),
            (format!("{home}:stateMachine:m:PROD"), "is an alias of a state machine"),
            (format!("{home}:activity:m"), "is not an execution's ARN"),
            (format!("{home}:execution:m"), "is not an execution's ARN"),
            (
                format!("{home}:execution:m:{long}"),
                "characters, an ARN has at most 256",
            ),
            (
                format!("{home}:execution:m:{}", &long[..81]),
                "its execution name has 81 characters",
            ),
            (
                format!("{home}:execution:{}:r", &long[..81]),
                "its state machine name has 81 characters",
            ),
            (format!("{home}:execution:m:a b"), "forbidden character ' '"),
            (
                format!("{home}:execution::r"),
                "its state machine name has 0 characters",
            ),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:f".into(),
                "is an ARN of lambda",
            ),
            ("arn:aws:states::123456789012:execution:m:r".into(), "lacks its Region"),
            (
                "arn:aws:states:us-east-1:1234:execution:m:r".into(),
                "lacks its Region or its 12-digit account",
            ),
            ("orders-nightly".into(), "is not an ARN"),
            (String::new(), "is not an ARN"),
        ] {
            let error = ExecutionArn::parse(&text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(error.contains("$$.Execution.Id"), "{error}");
        }
    }

    #[test]
    fn what_is_no_machine_says_what_it_is() {
        for (text, says) in [
            (RUN, "is an execution"),
            (
                "arn:aws:states:us-east-1:123456789012:activity:a",
                "is not a state machine's ARN",
            ),
            (
                "arn:aws:states:us-east-1:123456789012:stateMachine:m:1:2",
                "is not a state machine's ARN",
            ),
            (
                "arn:aws:states:us-east-1:123456789012:stateMachine:",
                "has 0 characters",
            ),
        ] {
            let error = StateMachineArn::parse(text).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("$$.StateMachine.Id"), "{error}");
        }
    }

    #[test]
    fn names_in_any_script_are_cut_at_a_character() {
        let name = "é".repeat(80);
        let text = format!("arn:aws:states:us-east-1:123456789012:execution:m:{name}");
        assert_eq!(ExecutionArn::parse(&text).unwrap().name(), name);
        let long = ExecutionArn::parse(&"é".repeat(300)).unwrap_err().to_string();
        assert!(long.contains('…'), "{long}");
    }
}
