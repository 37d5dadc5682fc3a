//! Every schedule there is, instead of random ones.
//!
//! A schedule is a list of choices. Each run repeats the choices of the one before up to the last that has another way to
//! go, and takes that. Two schedules that come to the same state (the same stored things, and tasks that have seen the
//! same) have the same future: it is run once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use super::{Slot, World};
use crate::clock::Timestamp;

/// What was explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explored {
    /// Schedules that were run, most of them from where they differ from the one before to where they come to a state
    /// that was known.
    pub schedules: u64,
    /// States that were found.
    pub states: usize,
}

/// One schedule as far as it is decided, and what is known of all of them.
pub(super) struct Script {
    path: Vec<Choice>,
    at: usize,
    /// How many tasks may still crash.
    crashes: u32,
    known: Rc<RefCell<HashSet<u64>>>,
    look: Option<Box<dyn Fn() -> u64>>,
    pruned: bool,
}

#[derive(Clone, Copy)]
struct Choice {
    taken: usize,
    of: usize,
}

impl Script {
    pub(super) fn choose(&mut self, of: usize) -> usize {
        let at = self.at;
        self.at += 1;
        if let Some(choice) = self.path.get(at) {
            assert_eq!(choice.of, of, "a schedule is not repeatable");
            return choice.taken;
        }
        self.path.push(Choice { taken: 0, of });
        0
    }

    pub(super) fn crashes(&mut self) -> bool {
        if self.crashes == 0 || self.choose(2) == 0 {
            return false;
        }
        self.crashes -= 1;
        true
    }

    /// Whether this state was met before, and its future is known.
    pub(super) fn is_known(&mut self, now: Timestamp, tasks: &[Slot]) -> bool {
        if self.at < self.path.len() {
            return false;
        }
        let mut of_tasks: Vec<(u64, u64, u64, i64)> = tasks
            .iter()
            .map(|Slot { identity, wake, .. }| (identity.name, identity.steps, identity.seen, wake.as_millis()))
            .collect();
        of_tasks.sort_unstable();
        let stored = self.look.as_ref().map_or(0, |look| look());
        let state = digest(&(now.as_millis(), self.crashes, of_tasks, stored));
        self.pruned = !self.known.borrow_mut().insert(state);
        self.pruned
    }
}

/// Runs every schedule of a small world, in which up to `crashes` tasks crash at any point.
///
/// `build` spawns the tasks, and answers how to look at everything that is stored, and what must be true at the end. An
/// error says what was broken.
///
/// # Panics
///
/// If `build` makes another world of the same choices: then a schedule cannot be run again.
pub fn explore<L, E>(
    start: Timestamp,
    crashes: u32,
    most_states: usize,
    mut build: impl FnMut(&World) -> (L, E),
) -> Result<Explored, String>
where
    L: Fn() -> u64 + 'static,
    E: FnOnce(bool) -> Result<(), String>,
{
    let known = Rc::new(RefCell::new(HashSet::new()));
    let mut path = Vec::new();
    let mut schedules = 0;
    loop {
        let script = Script {
            path: std::mem::take(&mut path),
            at: 0,
            crashes,
            known: Rc::clone(&known),
            look: None,
            pruned: false,
        };
        let world = World::of(0, Some(script), start, Duration::ZERO);
        let (look, end) = build(&world);
        let script = world.0.script.as_ref().expect("a script");
        script.borrow_mut().look = Some(Box::new(look));
        let ended = world.run(100_000);
        schedules += 1;
        // What it looks at holds the world, which holds the script.
        let look = script.borrow_mut().look.take();
        drop(look);
        let pruned = script.borrow().pruned;
        end(pruned)?;
        if !pruned && !ended {
            return Err("it never ends".to_owned());
        }
        let states = known.borrow().len();
        if states > most_states {
            return Err(format!("there are more than {most_states} states"));
        }
        path = std::mem::take(&mut script.borrow_mut().path);
        while let Some(last) = path.pop() {
            if last.taken + 1 < last.of {
                path.push(Choice {
                    taken: last.taken + 1,
                    ..last
                });
                break;
            }
        }
        if path.is_empty() {
            return Ok(Explored { schedules, states });
        }
    }
}

pub(super) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn mix(one: u64, other: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (one, other).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Two tasks that read a number, and then write it increased.
    fn increments(crashes: u32, atomic: bool) -> Result<Explored, String> {
        explore(Timestamp::from_millis(0), crashes, 10_000, |world| {
            let number = Rc::new(Cell::new(0));
            for _ in 0..2 {
                let (inner, number) = (world.clone(), Rc::clone(&number));
                world.spawn_crashing(1.0, async move {
                    inner.step().await;
                    let seen = number.get();
                    inner.observe(&seen);
                    if !atomic {
                        inner.step().await;
                    }
                    number.set(seen + 1);
                    inner.step().await;
                });
            }
            let end = Rc::clone(&number);
            let look = move || u64::try_from(number.get()).expect("positive");
            let check = move |pruned: bool| match pruned || end.get() == 2 {
                true => Ok(()),
                false => Err(format!("it is {}", end.get())),
            };
            (look, check)
        })
    }

    #[test]
    fn a_lost_update_is_found_and_its_absence_is_proved() {
        assert_eq!(increments(0, false), Err("it is 1".to_owned()));
        let explored = increments(0, true).expect("it is atomic");
        assert!(explored.schedules >= 2 && explored.states > 4, "{explored:?}");
    }

    #[test]
    fn a_crash_is_tried_at_every_point() {
        assert_eq!(increments(1, true), Err("it is 1".to_owned()));
    }
}
