//! Paths such as `Map "Orders"[0-2,5] / Task "Charge"`.

use std::collections::HashMap;
use std::hash::Hash;

use signalbox::asl::Kind;
use signalbox::history::Step;

/// The same of several iterations of a Map.
#[derive(Debug)]
pub(super) struct Alike<T = String> {
    /// In the order in which they came first.
    pub(super) all: Vec<(T, Vec<u32>)>,
    places: HashMap<T, usize>,
}

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Alike<T> {
    pub(super) fn add(&mut self, one: T, index: u32) {
        if let Some(place) = self.places.get(&one) {
            self.all[*place].1.push(index);
        } else {
            self.places.insert(one.clone(), self.all.len());
            self.all.push((one, vec![index]));
        }
    }
}

impl Alike {
    /// The paths, as they are seen from where the Map stands.
    pub(super) fn paths(self, map: &str) -> Vec<String> {
        let paths = self.all.into_iter();
        paths
            .map(|(path, indexes)| format!("{map}[{}] / {path}", ranges(indexes.into_iter())))
            .collect()
    }
}

/// A step of a path.
pub(super) fn step(kind: Kind, state: &str, index: Option<u32>) -> String {
    let step = Step {
        kind,
        state: state.to_owned(),
        index,
    };
    step.to_string()
}

/// Numbers that rise, in short: `0-2,5`.
pub(super) fn ranges(numbers: impl Iterator<Item = u32>) -> String {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let spans = spans.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    spans.collect::<Vec<_>>().join(",")
}
