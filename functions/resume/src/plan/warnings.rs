//! What to know before a plan is applied. What concerns the clone's definition alone is told by whoever builds it.

use serde_json::Value;
use signalbox::asl::Kind;

use super::facts::Facts;
use super::regions::find_state;
use super::strategy::Strategy;
use crate::cut::{At, Region, Run};
use crate::past::{Inside, Scope, Visit};
use crate::warning::{Code, Warning};

/// What a Map's items may be worked out from that is another the next time.
const UNSTEADY: [&str; 7] = [
    "$$.",
    "$states.context",
    "$random",
    "$now",
    "$millis",
    "$uuid",
    "States.UUID",
];

/// Makes the warnings.
pub(super) fn of(facts: &Facts<'_>, cut: &At, strategy: Strategy) -> Vec<Warning> {
    let mut found = Found {
        facts,
        strategy,
        warnings: Vec::new(),
    };
    if strategy == Strategy::Clone {
        found.of_a_clone();
    }
    found.at(cut, Some(&facts.past.top));
    found.warnings
}

struct Found<'f> {
    facts: &'f Facts<'f>,
    strategy: Strategy,
    warnings: Vec<Warning>,
}

impl Found<'_> {
    fn warn(&mut self, code: Code, state: Option<&str>, text: impl Into<String>) {
        self.warnings.push(Warning {
            code,
            state: state.map(str::to_owned),
            text: text.into(),
        });
    }

    fn of_a_clone(&mut self) {
        self.warn(
            Code::TrustPolicy,
            None,
            "If the role's trust policy names the state machine by aws:SourceArn, the clone cannot assume it: allow the clone's name too.",
        );
        self.warn(
            Code::OthersDoNotSee,
            None,
            "Rules, alarms and dashboards that name the state machine do not see the clone's run; those that match the beginning of its name do.",
        );
        self.warn(
            Code::DataInDefinition,
            None,
            "Data of the run stands in the clone's definition: whoever may call states:DescribeStateMachine on it can read it.",
        );
        if self.facts.origin.has_kms_key {
            self.warn(
                Code::KmsEncryptionContext,
                None,
                "If the KMS key's policy names the state machine in its encryption context, the clone cannot use the key: allow the clone's name too.",
            );
        }
        let distributed = self.facts.goes_on_with.states().find(|state| state.distributed);
        if let Some(map) = distributed {
            let name = map.name.clone();
            self.warn(
                Code::DistributedMapRole,
                Some(&name),
                "The role may be allowed to start child executions of the original state machine alone: allow states:StartExecution on the clone's name too.",
            );
        }
        if self.facts.differs {
            self.warn(
                Code::DefinitionDiffers,
                None,
                "It goes on with another definition than the one that ran: states are found by their names.",
            );
        }
    }

    fn at(&mut self, at: &At, scope: Option<&Scope>) {
        let visit = scope.and_then(|scope| scope.visits.get(&at.state));
        let regions = visit.map(|visit| &visit.inside);
        match &at.run {
            Run::Parallel(branches) => {
                let within = match regions {
                    Some(Inside::Parallel(within)) => Some(within),
                    _ => None,
                };
                for (index, region) in (0..).zip(branches) {
                    if let Region::At(at) = region {
                        self.at(at, within.and_then(|within| within.get(&index)));
                    }
                }
            }
            Run::Map(iterations) => {
                let within = match regions {
                    Some(Inside::Map { iterations, .. }) => Some(iterations),
                    _ => None,
                };
                self.items(&at.state);
                for (index, region) in iterations {
                    if let Region::At(at) = region {
                        self.at(at, within.and_then(|within| within.get(index)));
                    }
                }
            }
            Run::Skipped { .. } | Run::Waiting(_) => {
                if let Some(visit) = visit {
                    self.token(&at.state, visit);
                }
            }
            Run::Whole => {
                if let Some(visit) = visit {
                    self.again(&at.state, visit);
                }
                self.distributed(&at.state);
            }
        }
    }

    /// A state that was open, or had failed, runs again.
    fn again(&mut self, state: &str, visit: &Visit) {
        if visit.kind == Kind::Wait && visit.is_open() {
            self.warn(
                Code::WaitsInFull,
                Some(state),
                "It waits its whole time again; waits: remaining or skip shortens that, by a clone.",
            );
        }
        let Some(task) = visit.task.as_ref().filter(|_| visit.is_open()) else {
            return;
        };
        let resource = task.resource.as_deref().unwrap_or_default();
        if resource.contains("states:startExecution.sync") {
            self.warn(
                Code::NestedStartsAgain,
                Some(state),
                "It starts its nested execution anew, from the beginning.",
            );
        } else if let Some(job) = task.submitted.as_ref().filter(|_| resource.contains(".sync")) {
            self.warn(
                Code::JobMayRun,
                Some(state),
                format!(
                    "The job that it has started may still be running: look before it starts another. {}",
                    ids(job)
                ),
            );
        }
        if task.started || task.submitted.is_some() {
            self.warn(
                Code::MayHaveRun,
                Some(state),
                "It was under way, or had failed: what it had done by then is done again.",
            );
        }
        self.token(state, visit);
    }

    fn token(&mut self, state: &str, visit: &Visit) {
        let task = visit.task.as_ref().filter(|_| visit.is_open());
        let resource = task.and_then(|task| task.resource.as_deref());
        if resource.is_some_and(|resource| resource.contains("waitForTaskToken") || resource.contains(":activity:")) {
            self.warn(
                Code::DeadToken,
                Some(state),
                "Its task token is dead: whoever has it, and answers, is not heard.",
            );
        }
    }

    fn items(&mut self, map: &str) {
        let written = find_state(self.facts.document, map);
        let mut items = ["Items", "ItemsPath", "InputPath", "ItemSelector", "Parameters"].into_iter();
        let unsteady = items.any(|field| {
            let text = written
                .and_then(|map| map.get(field))
                .map(Value::to_string)
                .unwrap_or_default();
            // The selector may well ask for the item.
            let text = text
                .replace("$$.Map.", "")
                .replace("$states.context.Map", "")
                .replace("$$.Execution.Input", "");
            UNSTEADY.iter().any(|asks| text.contains(asks))
        });
        if unsteady && self.strategy == Strategy::Clone {
            self.warn(
                Code::ItemsMayDiffer,
                Some(map),
                "Its items are worked out again from what may be another this time: what is kept is kept by the item's place.",
            );
        }
    }

    fn distributed(&mut self, state: &str) {
        let is = self
            .facts
            .goes_on_with
            .state(state)
            .is_some_and(|state| state.distributed);
        if is && self.strategy == Strategy::Clone {
            self.warn(
                Code::DistributedMapRunsAgain,
                Some(state),
                "It begins again as a whole: its children are executions of their own, of which only a redrive keeps those that succeeded.",
            );
        }
    }
}

/// What names a job in the answer that took it, cut short.
fn ids(answer: &str) -> String {
    const MOST: usize = 300;
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let named = answer.as_object().into_iter().flatten();
    let named = named.filter(|(field, _)| {
        let field = field.to_ascii_lowercase();
        field.ends_with("id") || field.ends_with("arn") || field.ends_with("name")
    });
    let mut text = named
        .map(|(field, value)| format!("{field}: {value}"))
        .collect::<Vec<_>>()
        .join(", ");
    if let Some((cut, _)) = text.char_indices().nth(MOST) {
        text.truncate(cut);
        text.push('…');
    }
    text
}
