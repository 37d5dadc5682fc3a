//! What a clone does, held against the cut it was built from. It shares nothing with the builder but the types: it goes
//! through the clone's definition from its start as Step Functions would, as far as the injected states lead, and says
//! whatever is not as the cut has it.
//!
//! | module | holds |
//! |---|---|
//! | `rules` | what AWS asks of any definition: names, targets, nothing that cannot be reached |
//! | `walk` | a region, state by state |
//! | `entry` | how a region comes to where it goes on, and what it does there |
//! | `injected` | what injected states do |
//! | `iterations` | a Map of which some is kept |
//! | `holds` | states that take something again |

mod entry;
mod holds;
mod injected;
mod iterations;
mod rules;
mod walk;

use std::collections::HashSet;

use serde_json::Value;

use crate::cut::At;

type Fields = serde_json::Map<String, Value>;

/// Everything in which a clone's definition differs from what the cut asks for; nothing if it is right. `original` is the
/// definition that it was built from, `top` where its top level goes on. Of a Map that had to run again as a whole `top` has
/// to say so: [`Run::Whole`](crate::cut::Run::Whole).
#[must_use]
pub fn check(original: &Value, clone: &Value, top: &At) -> Vec<String> {
    let mut check = Check {
        jsonata: original.get("QueryLanguage").and_then(Value::as_str) == Some("JSONata"),
        originals: HashSet::new(),
        problems: Vec::new(),
    };
    let (Some(original), Some(clone)) = (original.as_object(), clone.as_object()) else {
        return vec!["a definition is no object".to_owned()];
    };
    rules::names(original, &mut check.originals);
    rules::hold(clone, &check.originals, &mut check.problems);
    let place = walk::Place {
        exact: true,
        jsonata: check.jsonata,
        name: "the top level".to_owned(),
    };
    walk::going_on(&mut check, &place, original, clone, top);
    check.problems
}

/// What is known of the whole.
struct Check {
    /// Whether the top level is written in `JSONata`.
    jsonata: bool,
    /// The names of all states of the original.
    originals: HashSet<String>,
    problems: Vec<String>,
}

impl Check {
    fn say(&mut self, place: &walk::Place, problem: impl AsRef<str>) {
        self.problems.push(format!("{}: {}", place.name, problem.as_ref()));
    }
}

/// The same to the last character: as numbers 0.0 and -0.0 would be equal.
fn same(one: &Value, other: &Value) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    one == other
}

fn text<'v>(fields: &'v Fields, field: &str) -> Option<&'v str> {
    fields.get(field).and_then(Value::as_str)
}

fn object<'v>(fields: &'v Fields, field: &str) -> Option<&'v Fields> {
    fields.get(field).and_then(Value::as_object)
}

#[cfg(test)]
mod tests;
