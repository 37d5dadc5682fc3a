//! The plan: where a run goes on, in which way, and what to know of it. Pure: facts and a request in, a plan or a refusal
//! out.
//!
//! | module | holds |
//! |---|---|
//! | `facts` | what is known of the run, and what is asked |
//! | `aim` | which states are meant: what failed, or what was named |
//! | `regions` | where each region goes on, seen from there |
//! | `holds` | locks and claims that have to be taken again |
//! | `strategy` | a redrive or a clone, and why |
//! | `lists`, `restored`, `paths` | what is kept, what runs again, what may have run; which variables are restored; as paths |
//! | `transitions` | what it costs at least |
//! | `warnings`, `cloned`, `lost`, `told` | what to know before it is applied |
//! | `shape` | whether another definition fits what was done |
//! | `seen`, `written` | what was done and what is written, looked up |

mod aim;
mod cloned;
mod facts;
mod holds;
mod lists;
mod lost;
mod paths;
mod regions;
mod restored;
mod seen;
mod shape;
mod strategy;
mod told;
mod transitions;
mod warnings;
mod written;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use signalbox::history::Failed;

pub use facts::{Ask, Called, Facts, Fleets, From, Mode, Origin, Status, Waits};
pub use holds::Held;
pub use lists::Lists;
pub use strategy::Strategy;

use written::Written;

use crate::clone::{Built, Options, build};
use crate::cut::At;
use crate::refusal::Refusal;
use crate::warning::Warning;

/// How a run goes on.
#[derive(Debug, Clone)]
pub struct Plan {
    /// By a redrive, or by a clone.
    pub strategy: Strategy,
    /// Why in that way, and not in the other.
    pub why: String,
    /// What failed, if that is known.
    pub failed: Option<Failed>,
    /// Where the top level goes on.
    pub cut: At,
    /// What is kept, what runs again, what may have run.
    pub lists: Lists,
    /// The names of the variables that are restored, by the region that has them; `""` is the top level.
    pub variables: BTreeMap<String, Vec<String>>,
    /// What is taken again.
    pub holds: Vec<Held>,
    /// What to know before it is applied.
    pub warnings: Vec<Warning>,
    /// Fewest transitions that it costs.
    pub transitions: u64,
    /// The clone's definition, if it goes on by one.
    pub built: Option<Built>,
}

/// Plans how a run goes on.
pub fn plan(facts: &Facts<'_>, ask: &Ask) -> Result<Plan, Refusal> {
    facts.check(ask)?;
    let written = Written::of(facts.document);
    let aims = aim::aims(facts, ask)?;
    let mut cut = regions::Cutter::new(facts, ask, &aims, &written).top()?;
    let holds = holds::named(&cut);
    let (strategy, why) = strategy::choose(facts, ask, &aims, !holds.is_empty())?;
    if facts.differs {
        shape::check(facts.executed, facts.goes_on_with, &cut)?;
    }
    let built = match strategy {
        Strategy::Redrive => None,
        Strategy::Clone => {
            let options = Options {
                pin: ask.pin.then(|| facts.pinned()),
                fleet: facts.fleets.all(),
                most_bytes: facts.most_bytes,
            };
            let built = build(facts.document, &cut, &options)?;
            regions::run_whole(&mut cut, &built.run_whole, &mut Vec::new());
            Some(built)
        }
    };
    let mut warnings = warnings::of(facts, &written, &cut, strategy, built.as_ref());
    warnings.extend(built.iter().flat_map(|built| built.warnings.iter().cloned()));
    warnings.sort();
    warnings.dedup();
    Ok(Plan {
        strategy,
        why,
        failed: facts
            .past
            .failure
            .as_ref()
            .and_then(|failure| failure.places.first().cloned()),
        lists: lists::of(facts, &cut),
        variables: restored::variables(&cut),
        holds: holds::named(&cut),
        transitions: transitions::least(facts, &written, &cut, strategy),
        warnings,
        cut,
        built,
    })
}
