//! What is stored: HEAD, WAIT and OWNER.

use std::collections::BTreeMap;

use super::key::{Fence, HoldName, LockKey, Nonce, Place, Ticket};
use crate::arn::ExecutionArn;
use crate::clock::Timestamp;
use crate::tasks::TaskToken;

/// Most slots of a lock. HEAD has all holders, and DynamoDB bills a write by the size of its item.
pub const SLOTS_MOST: u32 = 100;

/// HEAD: the lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Head {
    /// How many may hold it at once.
    pub slots: u32,
    /// Who holds it.
    pub holders: BTreeMap<Ticket, Holder>,
    /// The fence of each holder's grant.
    pub fences: BTreeMap<Ticket, Fence>,
    /// The fence of the last grant.
    pub fence: Fence,
    /// The number of the one who queued last: each who queues draws the next.
    pub arrivals: u64,
    /// Whether there may be waiters: newcomers queue then.
    pub contended: bool,
    /// Grows each time that [`contended`](Self::contended) is set.
    pub generation: u64,
    /// Whether an operator has paused grants.
    pub paused: bool,
    /// How long the last hold lasted, in milliseconds.
    pub last_hold_ms: Option<i64>,
    /// When it was changed last.
    pub changed: Timestamp,
}

impl Head {
    /// A lock that nobody ever held. Fences begin at the time, so that they never go back when an idle HEAD has expired; so do
    /// arrivals, in seconds: an acquisition may remember its place for longer than an idle HEAD lives, and nobody else may
    /// be given it.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            slots: 1,
            holders: BTreeMap::new(),
            fences: BTreeMap::new(),
            fence: Fence(now.as_millis()),
            arrivals: u64::try_from(now.as_secs()).unwrap_or(0),
            contended: false,
            generation: 0,
            paused: false,
            last_hold_ms: None,
            changed: now,
        }
    }

    /// Whether a slot is free.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.holders.len() < self.slots as usize
    }

    /// The holders, longest first.
    #[must_use]
    pub fn by_age(&self) -> Vec<(&Ticket, &Holder)> {
        let mut holders: Vec<_> = self.holders.iter().collect();
        holders.sort_by_key(|(ticket, holder)| (holder.since, *ticket));
        holders
    }
}

/// A hold on a lock: an execution, and which of its holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hold {
    /// The run.
    pub execution: ExecutionArn,
    /// The lock.
    pub lock: LockKey,
    /// Which of the run's holds on it.
    pub name: HoldName,
}

/// Who holds a slot. Every change is conditional on the whole entry as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The run.
    pub execution: ExecutionArn,
    /// Which of its holds.
    pub name: HoldName,
    /// How often the run had been redriven when it came to hold.
    pub redrive: u32,
    /// When the run entered the state that acquired, or was redriven last: an end from before is not the end of this hold.
    pub entered: Timestamp,
    /// When it was granted.
    pub since: Timestamp,
    /// Which invocation wrote this entry, and
    pub by: Nonce,
    /// when.
    pub at: Timestamp,
    /// Whether the run is known to have received the grant.
    pub confirmed: bool,
    /// Runs that hold together with it, with what the overlap guard notes of them; sorted.
    pub members: Vec<String>,
}

impl Holder {
    /// The hold that it stands for, on the lock in whose HEAD it is.
    #[must_use]
    pub fn hold(&self, lock: &LockKey) -> Hold {
        Hold {
            execution: self.execution.clone(),
            lock: lock.clone(),
            name: self.name.clone(),
        }
    }

    /// Whether it stands for `hold`, a hold on the lock in whose HEAD it is.
    #[must_use]
    pub fn is_of(&self, hold: &Hold) -> bool {
        self.execution == hold.execution && self.name == hold.name
    }
}

/// WAIT: a place in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Waiter {
    /// Who waits.
    pub hold: Hold,
    /// With which ticket.
    pub ticket: Ticket,
    /// Where in the queue.
    pub place: Place,
    /// Since when.
    pub since: Timestamp,
    /// When its patience ends.
    pub until: Option<Timestamp>,
    /// Which invocation put it there: a place that a retry has taken again is not the one that was seen before.
    pub by: Nonce,
}

/// Which attempt of the acquiring state. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    /// How often the run was redriven.
    pub redrive: u32,
    /// When the state was entered: the same for all retries of one visit.
    pub entered: Timestamp,
    /// Which retry of the visit.
    pub retry: u32,
}

/// OWNER: what a run wants of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The hold.
    pub hold: Hold,
    /// The ticket of this acquisition.
    pub ticket: Ticket,
    /// The latest attempt.
    pub attempt: Attempt,
    /// What it wants.
    pub wish: Wish,
    /// The latest attempt's token. None for a slot that is reserved without a task that waits for it.
    pub token: Option<TaskToken>,
    /// Its place in the queue, if it ever had to queue.
    pub place: Option<Place>,
    /// When it first asked.
    pub since: Timestamp,
}

impl Owner {
    /// The same, with another wish.
    #[must_use]
    pub fn wishing(&self, wish: Wish) -> Self {
        Self { wish, ..self.clone() }
    }

    /// The same, of a run that was redriven `redrive` times.
    #[must_use]
    pub fn redriven(&self, redrive: u32) -> Self {
        Self {
            attempt: Attempt {
                redrive,
                ..self.attempt
            },
            ..self.clone()
        }
    }
}

/// What a run wants of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// It waits, or holds: HEAD says which.
    Open,
    /// It has released, or has ended. Kept for a day: a late attempt must not open it again.
    Released,
    /// It failed while it held. Kept for as long as the run can be redriven.
    Lost,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Head;
    use crate::clock::Timestamp;
    use crate::lock::key::{Place, Priority};

    /// A run that went on without the lock remembers its place for a year, and gives it back when it ends: an idle HEAD is
    /// gone after 30 days, and nobody may wait in that place then.
    #[test]
    fn a_lock_that_was_forgotten_gives_no_place_twice() {
        let begun = Timestamp::from_millis(1_769_832_012_345);
        let anew = begun.after(Duration::from_hours(30 * 24));
        let first = |head: &Head, more: u64| Place::by_arrival(Priority::default(), head.arrivals + more);
        // Many for one lock: one in three seconds, day and night.
        assert!(first(&Head::new(begun), 800_000) < first(&Head::new(anew), 1));
    }
}
