//! Names for the states that a clone has and its original does not.

use std::collections::{HashMap, HashSet};

use signalbox::asl::Definition;
use signalbox::quotas::NAME_CHARS;

/// What an injected or copied state is for: it stands in its name, behind the state's that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum For {
    /// Restores variables.
    Variables,
    /// Gives the state its input.
    Input,
    /// Gives the output of a state that is skipped.
    Output,
    /// Gives the output of a branch or an iteration that has ended.
    Kept,
    /// Finds out which iteration of a Map it is.
    Which,
    /// Gives an iteration its item.
    Item,
    /// Takes again what the state took.
    Again,
    /// Is the state itself, of which some is kept, or a state in it.
    Resumed,
}

impl For {
    const ALL: [Self; 8] = [
        Self::Variables,
        Self::Input,
        Self::Output,
        Self::Kept,
        Self::Which,
        Self::Item,
        Self::Again,
        Self::Resumed,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Variables => "variables",
            Self::Input => "input",
            Self::Output => "output",
            Self::Kept => "kept",
            Self::Which => "which",
            Self::Item => "item",
            Self::Again => "again",
            Self::Resumed => "resumed",
        }
    }
}

/// The names that are taken. State names are unique over the whole definition, and those of states that are left out are
/// not used again: who reads a history of the clone is not to mistake one for the other.
#[derive(Debug)]
pub(super) struct Names {
    taken: HashSet<String>,
    last: HashMap<(String, For), u32>,
}

impl Names {
    pub(super) fn of(definition: &Definition) -> Self {
        Self {
            taken: definition.states().map(|state| state.name.clone()).collect(),
            last: HashMap::new(),
        }
    }

    /// A name that nobody has: `Charge (input)`, `Charge (input 2)`, and so on; the state's own name is cut where it is too
    /// long. For a state whose name is such a one, that of an earlier clone, it is made from what stands before.
    pub(super) fn free(&mut self, state: &str, is_for: For) -> String {
        let root = root(state);
        let last = self.last.entry((root.to_owned(), is_for)).or_default();
        loop {
            *last += 1;
            let label = is_for.label();
            let suffix = match *last {
                1 => format!(" ({label})"),
                number => format!(" ({label} {number})"),
            };
            let name = format!("{}{suffix}", cut(root, NAME_CHARS - suffix.len()));
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The name without what an earlier clone has put behind it.
fn root(name: &str) -> &str {
    let split = name.strip_suffix(')').and_then(|name| name.rsplit_once(" ("));
    let Some((root, label)) = split.filter(|(root, _)| !root.is_empty()) else {
        return name;
    };
    let label = label.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
    match For::ALL.iter().any(|known| known.label() == label) {
        true => root,
        false => name,
    }
}

/// The longest beginning of at most so many characters. They are counted as UTF-16, which is never less than what AWS may
/// count.
fn cut(name: &str, most: usize) -> &str {
    let mut units = 0;
    let end = name.char_indices().find_map(|(at, c)| {
        units += c.len_utf16();
        (units > most).then_some(at)
    });
    &name[..end.unwrap_or(name.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(taken: &[&str]) -> Names {
        Names {
            taken: taken.iter().map(|name| (*name).to_owned()).collect(),
            last: HashMap::new(),
        }
    }

    #[test]
    fn a_name_says_what_the_state_is_for_and_is_free() {
        let mut names = names(&["Charge", "Charge (input)", "Charge (input 3)"]);
        let mut free = |state: &str, is_for| names.free(state, is_for);
        assert_eq!(free("Charge", For::Input), "Charge (input 2)");
        assert_eq!(free("Charge", For::Input), "Charge (input 4)");
        assert_eq!(free("Charge", For::Variables), "Charge (variables)");
        assert_eq!(free("Other", For::Input), "Other (input)");
    }

    #[test]
    fn generations_do_not_pile_up_in_a_name() {
        let mut names = names(&[
            "Both (resumed)",
            "Both (resumed 2)",
            "Order (paid 2)",
            "(kept)",
            "Both (2)",
        ]);
        let mut free = |state: &str, is_for| names.free(state, is_for);
        assert_eq!(free("Both (resumed)", For::Resumed), "Both (resumed 3)");
        assert_eq!(free("Both (resumed 2)", For::Input), "Both (input)");
        assert_eq!(free("Order (paid 2)", For::Input), "Order (paid 2) (input)");
        assert_eq!(free("Both (2)", For::Input), "Both (2) (input)");
        assert_eq!(free("(kept)", For::Kept), "(kept) (kept)");
        assert_eq!(free(" (kept)", For::Kept), " (kept) (kept)");
    }

    #[test]
    fn a_name_has_at_most_80_characters() {
        let long = "L".repeat(80);
        let mut names = names(&[&long]);
        for number in 1..=12 {
            let name = names.free(&long, For::Variables);
            assert_eq!(name.len(), 80, "{number}");
        }
        let wide = "\u{1f4e6}".repeat(60);
        let name = names.free(&wide, For::Kept);
        assert_eq!(name, format!("{} (kept)", "\u{1f4e6}".repeat(36)));
        assert!(name.encode_utf16().count() <= 80);
    }

    #[test]
    fn names_that_are_cut_alike_differ() {
        let mut names = names(&[]);
        let (one, other) = (format!("{}A", "L".repeat(79)), format!("{}B", "L".repeat(79)));
        assert_ne!(names.free(&one, For::Kept), names.free(&other, For::Kept));
    }
}
