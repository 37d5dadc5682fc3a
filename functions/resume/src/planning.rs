//! From a request to a plan: what is to be known is asked of Step Functions, all else is pure.

use serde_json::{Value, json};
use signalbox::asl::Definition;
use signalbox::clock::Clock;
use signalbox::executions::Executions;
use signalbox::pipeline::Clones;

use crate::clone::CLONE_BYTES;
use crate::error::Error;
use crate::hash::{execution_name, hash, short};
use crate::lineage::Lineage;
use crate::machines::{Described, Machines, Ran};
use crate::plan::{Facts, Mode, Origin, Plan, Status, Strategy, plan};
use crate::refusal::Refusal;
use crate::request::{Asked, DefinitionAsked};
use crate::{Reserves, Resumes};

/// A plan, with the names that follow from it.
#[derive(Debug, Clone)]
pub struct Planned<S> {
    /// The plan.
    pub plan: Plan,
    /// The run as it was found.
    pub origin: Described,
    /// What it ran.
    pub ran: Ran<S>,
    /// The definition to go on with, JSON.
    pub document: Value,
    /// The hash of the plan: of the run as it stands, and of all that would be done.
    pub plan_hash: String,
    /// The name of the clone, if there is to be one.
    pub clone_name: Option<String>,
    /// The name of the run that goes on.
    pub execution_name: String,
}

/// How often the run is looked at again, if it changes while it is looked at.
const LOOKS: usize = 3;

impl<M, L, K, E, V, C> Resumes<M, L, K, E, V, C>
where
    M: Machines,
    L: Lineage,
    K: Clones,
    E: Executions,
    V: Reserves,
    C: Clock,
{
    /// Plans what is asked. `mode`: instead of what is asked.
    pub async fn plan(&self, asked: &Asked, mode: Option<Mode>) -> Result<Planned<M::Setup>, Error> {
        let execution = &asked.execution;
        let not_found = || Error::NotFound(execution.clone());
        for _ in 0..LOOKS {
            let origin = self.machines.describe(execution).await?.ok_or_else(not_found)?;
            if origin.status == Status::Running {
                return Err(Refusal::StillRunning(execution.to_string()).into());
            }
            let ran = self.machines.ran(execution).await?.ok_or_else(not_found)?;
            let executed = parse(&ran.definition)?;
            let keep = asked.ask.from.as_ref().map(|from| from.state.as_str());
            let past = self.machines.past(execution, &executed, keep).await?;
            // It was redriven while it was looked at, or the history is not complete yet.
            let now = self.machines.describe(execution).await?.ok_or_else(not_found)?;
            if now != origin || (past.failure.is_none() && origin.status != Status::Succeeded) {
                continue;
            }
            return self.planned(asked, mode, origin, ran, &executed, &past).await;
        }
        Err(Error::Unavailable(
            "the run changed while it was looked at, or its history is not complete yet; try again".to_owned(),
        ))
    }

    async fn planned(
        &self,
        asked: &Asked,
        mode: Option<Mode>,
        origin: Described,
        ran: Ran<M::Setup>,
        executed: &Definition,
        past: &crate::past::Past,
    ) -> Result<Planned<M::Setup>, Error> {
        let document: Value = match &asked.definition {
            DefinitionAsked::Executed => json_of(&ran.definition)?,
            DefinitionAsked::Given(given) => given.clone(),
            DefinitionAsked::Latest => {
                let present = self.machines.present(asked.execution.machine()).await?;
                let present = present.ok_or_else(|| {
                    Refusal::BadDefinition(format!(
                        "there is no state machine {} any more; go on with the definition that ran",
                        asked.execution.machine()
                    ))
                })?;
                json_of(&present.definition)?
            }
        };
        let differs = asked.definition != DefinitionAsked::Executed && document != json_of(&ran.definition)?;
        let goes_on_with = match differs {
            true => parse(&document.to_string())?,
            false => executed.clone(),
        };
        let facts = Facts {
            origin: &Origin {
                execution: asked.execution.clone(),
                status: origin.status,
                express: false,
                started: origin.started.clone(),
                stopped: origin.stopped,
                not_redrivable: origin.not_redrivable.clone(),
                has_kms_key: ran.has_kms_key,
            },
            executed,
            goes_on_with: &goes_on_with,
            document: &document,
            differs,
            past,
            fleets: &self.settings.fleets,
            now: self.clock.now(),
            most_bytes: CLONE_BYTES,
        };
        let mut ask = asked.ask.clone();
        ask.mode = mode.unwrap_or(ask.mode);
        let plan = plan(&facts, &ask)?;
        let text = plan.built.as_ref().map(|built| built.text.as_str()).unwrap_or_default();
        let plan_hash = hash(&[
            asked.execution.as_str(),
            &origin.redrives.to_string(),
            &past.last_event.to_string(),
            plan.strategy.name(),
            text,
            &ran.role,
            &format!("{:?}", ran.setup),
        ]);
        let clone_name = (plan.strategy == Strategy::Clone).then(|| {
            let own = hash(&[text, &ran.role, &format!("{:?}", ran.setup)]);
            signalbox::pipeline::clone_name(asked.execution.machine().name(), short(&own))
        });
        let execution_name = match plan.strategy {
            Strategy::Clone => execution_name(&asked.execution, &plan_hash),
            Strategy::Redrive => asked.execution.name().to_owned(),
        };
        Ok(Planned {
            plan,
            origin,
            ran,
            document,
            plan_hash,
            clone_name,
            execution_name,
        })
    }
}

impl Asked {
    /// What is asked, without what says only who, why, and that it is to be done.
    #[must_use]
    pub fn hash(&self) -> String {
        let ask = &self.ask;
        let definition = match &self.definition {
            DefinitionAsked::Executed => json!("executed"),
            DefinitionAsked::Latest => json!("latest"),
            DefinitionAsked::Given(given) => given.clone(),
        };
        let asked = json!({
            "from": ask.from.as_ref().map(|from| json!([from.state, from.iterations])),
            "input": ask.input.as_ref().map(|input| [input]),
            "variables": ask.variables,
            "skipWithOutput": ask.skip_with_output.as_ref().map(|output| [output]),
            "mode": format!("{:?}", ask.mode),
            "waits": format!("{:?}", ask.waits),
            "pin": ask.pin,
            "definition": definition,
        });
        hash(&[self.execution.as_str(), &asked.to_string()])
    }
}

fn parse(text: &str) -> Result<Definition, Error> {
    Definition::parse(text).map_err(|error| Refusal::BadDefinition(error.to_string()).into())
}

fn json_of(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|error| Refusal::BadDefinition(error.to_string()).into())
}
