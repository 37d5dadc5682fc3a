//! The variables that are restored.

use std::collections::BTreeMap;

use signalbox::asl::Kind;

use super::paths::{Alike, ranges, step};
use crate::cut::{At, Region, Run};

/// The names of the variables that are restored, by region: `""` is the top level.
pub(super) fn variables(cut: &At) -> BTreeMap<String, Vec<String>> {
    named(cut).into_iter().collect()
}

/// The regions that have variables, as ways from here, with the variables' names.
fn named(at: &At) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    if !at.variables.is_empty() {
        found.push((String::new(), at.variables.keys().cloned().collect()));
    }
    let join = |own: &str, inner: String| match inner.is_empty() {
        true => own.to_owned(),
        false => format!("{own} / {inner}"),
    };
    match &at.run {
        Run::Parallel(branches) => {
            for (index, region) in (0..).zip(branches) {
                if let Region::At(inner) = region {
                    let own = step(Kind::Parallel, &at.state, Some(index));
                    found.extend(named(inner).into_iter().map(|(way, names)| (join(&own, way), names)));
                }
            }
        }
        Run::Map(iterations) => {
            let mut alike = Alike::default();
            for (index, region) in iterations {
                if let Region::At(inner) = region {
                    for found in named(inner) {
                        alike.add(found, *index);
                    }
                }
            }
            let map = step(Kind::Map, &at.state, None);
            found.extend(alike.all.into_iter().map(|((way, names), indexes)| {
                let own = format!("{map}[{}]", ranges(indexes.into_iter()));
                (join(&own, way), names)
            }));
        }
        Run::Whole | Run::Skipped { .. } | Run::Waiting(_) => {}
    }
    found
}
