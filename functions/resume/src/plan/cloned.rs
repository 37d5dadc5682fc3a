//! What is warned of because a plan is a clone.

use serde_json::Value;

use super::facts::Facts;
use super::told::Told;
use super::written::regions_of;
use crate::clone::Built;
use crate::cut::{At, Region, Run};
use crate::warning::Code;

pub(super) fn warn(facts: &Facts<'_>, cut: &At, built: &Built, told: &mut Told) {
    told.say(
        Code::TrustPolicy,
        None,
        "If the role's trust policy names the state machine by aws:SourceArn, the clone cannot assume it: allow the clone's name too.",
    );
    told.say(
        Code::OthersDoNotSee,
        None,
        "Rules, alarms and dashboards that name the state machine do not see the clone's run; those that match the beginning of its name do.",
    );
    if has_data(cut) {
        told.say(
            Code::DataInDefinition,
            None,
            "Data of the run stands in the clone's definition: whoever may call states:DescribeStateMachine on it can read it.",
        );
    }
    if facts.origin.has_kms_key {
        told.say(
            Code::KmsEncryptionContext,
            None,
            "If the KMS key's policy names the state machine in its encryption context, the clone cannot use the key: allow the clone's name too.",
        );
    }
    if let Some(map) = distributed_map(&built.definition) {
        told.say(
            Code::DistributedMapRole,
            Some(built.copies.get(map).map_or(map, String::as_str)),
            "The role may be allowed to start child executions of the original state machine alone: allow states:StartExecution on the clone's name too.",
        );
    }
    if facts.differs {
        told.say(
            Code::DefinitionDiffers,
            None,
            "It goes on with another definition than the one that ran: states are found by their names.",
        );
    }
}

/// Whether anything of the run stands in the clone: an empty object tells nothing.
fn has_data(at: &At) -> bool {
    let tells =
        |value: &Value| !matches!(value, Value::Null) && value.as_object().is_none_or(|fields| !fields.is_empty());
    let inner = |region: &Region| match region {
        Region::Fresh => false,
        Region::Done { output } => tells(output),
        Region::At(at) => has_data(at),
    };
    let inside = match &at.run {
        Run::Parallel(branches) => branches.iter().any(inner),
        Run::Map(iterations) => iterations.values().any(inner),
        Run::Skipped { output } => tells(output),
        Run::Whole | Run::Waiting(_) => false,
    };
    inside || tells(&at.input) || !at.variables.is_empty() || !at.holds.is_empty()
}

/// A Distributed Map in a definition.
fn distributed_map(region: &Value) -> Option<&str> {
    let states = region.get("States")?.as_object()?;
    states.iter().find_map(|(name, state)| {
        let mut regions = regions_of(state);
        regions.find_map(|region| {
            let mode = region.get("ProcessorConfig").and_then(|config| config.get("Mode"));
            match mode.and_then(Value::as_str) {
                Some("DISTRIBUTED") => Some(name.as_str()),
                _ => distributed_map(region),
            }
        })
    })
}
