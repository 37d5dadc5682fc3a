//! What becomes of a Parallel of which some is kept.

use serde_json::{Value, json};

use super::region::{Builder, Scope, expect, language_of};
use super::{CloneError, Fields};
use crate::cut::Region;

/// The branches of a Parallel that the run went through with so many.
pub(super) fn branches<'s>(state: &'s Fields, plan: &[Region], name: &str) -> Result<&'s [Value], CloneError> {
    expect(state, "Parallel", name)?;
    let branches = state.get("Branches").and_then(Value::as_array);
    let branches = branches.map_or(&[][..], Vec::as_slice);
    if branches.len() != plan.len() {
        return Err(CloneError::ShapeChanged {
            state: name.to_owned(),
            wrong: format!("has {} branches, where the run had {}", branches.len(), plan.len()),
        });
    }
    Ok(branches)
}

impl Builder<'_> {
    /// The Parallel with each branch as the plan has it.
    pub(super) fn parallel(
        &mut self,
        state: &Fields,
        branches: &[Value],
        plan: &[Region],
        name: &str,
        scope: &Scope,
        copy: bool,
    ) -> Result<Fields, CloneError> {
        let mut built = Vec::with_capacity(branches.len());
        for (number, (branch, plan)) in (0..).zip(branches.iter().zip(plan)) {
            let branch = branch.as_object().cloned().unwrap_or_default();
            let mut inner = Scope {
                path: scope.path.iter().copied().chain([number]).collect(),
                container: Some(name),
                renamed: scope.renamed,
                shared: false,
                language: language_of(&branch, scope.language),
            };
            let renamed;
            let branch = match (plan, copy) {
                (Region::Done { output }, _) => self.ended(branch, output, name, &inner)?,
                (Region::Fresh, false) => branch,
                (Region::Fresh, true) => self.copy_of(&branch).0,
                (Region::At(at), false) => self.going_on(branch, at, &inner)?,
                (Region::At(at), true) => {
                    let (branch, names) = self.copy_of(&branch);
                    renamed = names;
                    inner.renamed = &renamed;
                    self.going_on(branch, at, &inner)?
                }
            };
            built.push(Value::Object(branch));
        }
        let mut state = state.clone();
        state.insert("Branches".to_owned(), json!(built));
        Ok(state)
    }
}
