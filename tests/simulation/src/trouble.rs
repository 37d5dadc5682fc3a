//! Calls that fail.

use signalbox::clock::{Clock, Timestamp};
use signalbox::simulation::World;

/// How often calls fail, and for how long they do.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    /// The chance of each call to fail, on each side of its effect.
    pub chance: f64,
    /// From then on no call fails.
    pub ends: Timestamp,
}

impl Trouble {
    /// No call fails.
    pub const NONE: Self = Self::always(0.0);

    /// Calls fail with this chance, for ever.
    #[must_use]
    pub const fn always(chance: f64) -> Self {
        Self {
            chance,
            ends: Timestamp::from_millis(i64::MAX),
        }
    }

    pub(crate) fn strikes(self, world: &World) -> bool {
        self.chance > 0.0 && world.now() < self.ends && world.chance(self.chance)
    }
}
