//! What is run again as a whole if the clone would be too large, or its run too long.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;
use signalbox::asl::Definition;

use super::copy::Renamed;
use super::region::{Builder, Scope};
use super::{CloneError, Fields, sent_bytes};
use crate::cut::{At, Region, Run};
use crate::warning::Warning;

/// Where a Map stands that goes on: the branches and iterations around it, outermost first. There is one state in each at
/// which it goes on.
pub(super) type Path = Vec<u32>;

/// A Map of which some is kept.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) path: Path,
    /// How many bytes of a request the outputs take that it keeps itself.
    pub(super) kept: usize,
    /// How many bytes of a request fewer the definition would take if it ran again as a whole, without what Maps in it would
    /// save.
    pub(super) own: usize,
}

/// Why a Map runs again as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The definition would be too large.
    Bytes,
    /// The clone's history would be too long.
    Events,
}

/// A definition that fits, and what else is known of it.
pub(super) struct Draft {
    pub(super) definition: Value,
    pub(super) text: String,
    pub(super) copies: BTreeMap<String, String>,
    pub(super) maps_run_whole: BTreeSet<String>,
    pub(super) run_whole: BTreeSet<Path>,
    pub(super) warnings: BTreeSet<Warning>,
}

/// Events of an iteration that gives what is kept: it starts, the Choice and the Pass are entered and left, it ends.
const EVENTS_OF_KEPT: usize = 6;

/// Most events that iterations may cost which only give what is kept: a history takes 25,000, and the run is to go on.
///
/// Source: Step Functions service quotas, "Maximum execution history size" (25,000 events).
const EVENTS_MOST: usize = 20_000;

/// How far off, in bytes, a guess may be of what a Map saves: within this it is built to see.
const ABOUT_BYTES: usize = 4_096;

impl Why {
    /// For people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Bytes => {
                "It runs again as a whole, with the iterations that had finished: with their outputs the clone's \
                 definition would be larger than Step Functions takes."
            }
            Self::Events => {
                "It runs again as a whole, with the iterations that had finished: to give all their outputs would use up \
                 the clone's history, which takes 25,000 events."
            }
        }
    }
}

/// Builds the clone so that it fits: of the Maps of which some is kept, the one whose outputs take the most room runs again
/// as a whole, then the next.
pub(super) fn fit(definition: &Value, parsed: &Definition, top: &At, most_bytes: usize) -> Result<Draft, CloneError> {
    let mut whole = too_long(top);
    loop {
        let (draft, mut partial) = draft(definition, parsed, top, &whole)?;
        let bytes = sent_bytes(&draft.text);
        if bytes <= most_bytes {
            return Ok(draft);
        }
        if partial.is_empty() {
            return Err(CloneError::TooLarge {
                bytes,
                most: most_bytes,
            });
        }
        // By what is kept first: a Map with many Maps in it is large, but that they run again may do.
        partial.sort_by(|a, b| (b.kept, b.own, &a.path).cmp(&(a.kept, a.own, &b.path)));
        let mut over = bytes - most_bytes;
        for map in &partial {
            if !is_within(&whole, &map.path) {
                let inner = partial.iter().filter(|inner| inner.path.starts_with(&map.path));
                let saved = inner
                    .filter(|inner| !is_within(&whole, &inner.path))
                    .map(|inner| inner.own);
                over = over.saturating_sub(saved.sum());
                whole.insert(map.path.clone(), Why::Bytes);
            }
            if over <= ABOUT_BYTES {
                break;
            }
        }
    }
}

/// Whether a Map is one of those that run as a whole, or stands in one.
fn is_within(whole: &BTreeMap<Path, Why>, path: &[u32]) -> bool {
    (0..=path.len()).any(|end| whole.contains_key(&path[..end]))
}

fn draft(
    definition: &Value,
    parsed: &Definition,
    top: &At,
    whole: &BTreeMap<Path, Why>,
) -> Result<(Draft, Vec<Partial>), CloneError> {
    let mut builder = Builder::new(parsed, whole);
    let renamed = Renamed::new();
    let scope = Scope {
        path: Path::new(),
        container: None,
        renamed: &renamed,
        shared: false,
        language: parsed.language(),
    };
    let region = definition.as_object().cloned().unwrap_or_default();
    let region = builder.going_on(region, top, &scope)?;
    // Of a copy only what can be reached is there.
    let mut present = HashSet::new();
    names(&region, &mut present);
    builder.copies.retain(|name, _| present.contains(name.as_str()));
    let definition = Value::Object(region);
    let draft = Draft {
        text: definition.to_string(),
        definition,
        copies: builder.copies,
        maps_run_whole: builder.maps_run_whole,
        run_whole: builder.run_whole,
        warnings: builder.warnings,
    };
    Ok((draft, builder.partial))
}

fn names(region: &Fields, present: &mut HashSet<String>) {
    for (name, state) in super::copy::states(region) {
        present.insert(name.clone());
        super::copy::regions(state).for_each(|inner| names(inner, present));
    }
}

/// The Maps that run again as a whole because the iterations that are kept would use up the clone's history.
fn too_long(top: &At) -> BTreeMap<Path, Why> {
    let mut kept = Vec::new();
    count(top, &mut Path::new(), &mut kept);
    kept.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
    let mut events: usize = kept.iter().map(|(_, kept)| kept * EVENTS_OF_KEPT).sum();
    let mut whole = BTreeMap::new();
    for (path, kept) in kept {
        if events <= EVENTS_MOST {
            break;
        }
        events -= kept * EVENTS_OF_KEPT;
        whole.insert(path, Why::Events);
    }
    whole
}

/// How many iterations of each Map only give what is kept.
fn count(at: &At, path: &mut Path, kept: &mut Vec<(Path, usize)>) {
    let regions: Vec<(u32, &Region)> = match &at.run {
        Run::Parallel(branches) => (0..).zip(branches).collect(),
        Run::Map(iterations) => {
            let done = |region: &&Region| matches!(region, Region::Done { .. });
            kept.push((path.clone(), iterations.values().filter(done).count()));
            iterations.iter().map(|(index, region)| (*index, region)).collect()
        }
        _ => return,
    };
    for (number, region) in regions {
        if let Region::At(at) = region {
            path.push(number);
            count(at, path, kept);
            path.pop();
        }
    }
}
