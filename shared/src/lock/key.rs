//! Names in the lock protocol: parsed at the edge, good from then on.

use std::fmt;

use crate::arn::StateMachineArn;
use crate::clock::Clock;

/// Longest name of a lock, in characters.
pub const LOCK_CHARS: usize = 256;

/// Longest name of a hold, in characters.
pub const HOLD_CHARS: usize = 64;

/// What the locks of the overlap guard begin with.
const OVERLAP: &str = "overlap:";

/// Why a text is not the name that was asked for: to be put behind the field's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// The name of a lock: 1 to 256 printable ASCII characters, chosen at run time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockKey(String);

impl LockKey {
    /// Parses a lock's name as a pipeline or a person gives it.
    ///
    /// `overlap:` is the guard's own: nobody else acquires such a lock.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.starts_with(OVERLAP) {
            return Err(NameError(format!(
                "begins with \"{OVERLAP}\", which is the overlap guard's own; choose another name"
            )));
        }
        Self::any(text)
    }

    /// Parses any lock's name, the guard's included: for looking, not for acquiring.
    pub fn any(text: &str) -> Result<Self, NameError> {
        check(text, LOCK_CHARS)?;
        if text.is_empty() {
            return Err(NameError("is empty; a lock's name has 1 to 256 characters".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The lock that keeps the runs of one pipeline apart.
    #[must_use]
    pub fn of_pipeline(machine: &StateMachineArn) -> Self {
        Self(format!("{OVERLAP}{machine}"))
    }

    /// Whether it is the overlap guard's: nobody waits for it, and the guard itself takes it from runs that have ended.
    #[must_use]
    pub fn is_the_guards(&self) -> bool {
        self.0.starts_with(OVERLAP)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of a run's holds on a lock: one run may hold several slots of it, under different names. Up to 64 printable
/// ASCII characters without `#`; empty where a run needs only one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HoldName(String);

impl HoldName {
    /// Parses a hold's name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, HOLD_CHARS)?;
        if text.contains('#') {
            return Err(NameError(format!("{text:?} has a #; a hold's name has none")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the unnamed one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check(text: &str, most: usize) -> Result<(), NameError> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii() || c.is_ascii_control()) {
        return Err(NameError(format!(
            "{text:?} has the character {odd:?}; printable ASCII is allowed"
        )));
    }
    if text.len() > most {
        return Err(NameError(format!(
            "has {} characters; at most {most} are allowed",
            text.len()
        )));
    }
    Ok(())
}

/// Names one acquisition. A run that releases and acquires again has another, so that a late release of the first cannot
/// free the second.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(String);

impl Ticket {
    /// A ticket that nobody else has.
    pub fn draw(clock: &impl Clock) -> Self {
        Self(format!("t{:016x}", clock.nonce()))
    }

    /// A ticket as it was stored, or a fixed one.
    #[must_use]
    pub fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names one invocation in what it writes. Not Lambda's request id, which a repeated asynchronous invocation shares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nonce(String);

impl Nonce {
    /// A nonce that nobody else has.
    pub fn draw(clock: &impl Clock) -> Self {
        Self(format!("{:016x}", clock.nonce()))
    }

    /// A nonce as it was stored.
    #[must_use]
    pub fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Grows with every grant of a lock: a resource that remembers the highest one it saw can refuse a holder from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Fence(pub i64);

/// How a waiter is ranked before its arrival counts: 0 (last) to 9 (first), 5 if nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// Parses a priority.
    pub fn new(number: u8) -> Result<Self, NameError> {
        if number > 9 {
            return Err(NameError(format!("is {number}; a priority is 0 (last) to 9 (first)")));
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

/// A place in the queue. Places are compared as text, as DynamoDB compares sort keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(String);

/// More than ever arrive: twelve digits.
const ARRIVALS: u64 = 999_999_999_999;

impl Place {
    /// What the sort key of every place begins with.
    pub const PREFIX: &str = "WAIT#";

    /// By priority, then by arrival.
    #[must_use]
    pub fn by_arrival(priority: Priority, arrival: u64) -> Self {
        Self::ranked(19 - priority.0, arrival)
    }

    /// Before all priorities, in order of arrival: for a run whose holder is stopped for it.
    #[must_use]
    pub fn ahead(arrival: u64) -> Self {
        Self::ranked(5, arrival)
    }

    /// Before everybody who waits now, others that were put to the front among them.
    #[must_use]
    pub fn at_front(arrival: u64) -> Self {
        Self::ranked(0, ARRIVALS.saturating_sub(arrival))
    }

    /// Behind everybody who waits now.
    #[must_use]
    pub fn at_back(arrival: u64) -> Self {
        Self::ranked(99, arrival)
    }

    fn ranked(rank: u8, number: u64) -> Self {
        Self(format!("{}{rank:02}#{number:012}", Self::PREFIX))
    }

    /// A place as it was stored.
    #[must_use]
    pub fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Which arrival it was drawn with; places at the front count down.
    #[must_use]
    pub fn number(&self) -> u64 {
        let number = self.0.rsplit('#').next().and_then(|number| number.parse().ok());
        number.unwrap_or(ARRIVALS)
    }

    /// Whether it is by priority and arrival.
    #[must_use]
    pub fn is_by_arrival(&self) -> bool {
        self.0
            .strip_prefix(Self::PREFIX)
            .is_some_and(|rest| rest.starts_with('1'))
    }

    /// Its sort key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_say_what_is_wrong() {
        for (text, says) in [
            ("", "is empty; a lock's name has 1 to 256 characters"),
            ("wärehouse", "has the character 'ä'; printable ASCII is allowed"),
            ("a\nb", "has the character '\\n'"),
            ("overlap:x", "is the overlap guard's own"),
            (&"x".repeat(257), "has 257 characters; at most 256 are allowed"),
        ] {
            let error = LockKey::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        assert_eq!(
            LockKey::parse("warehouse #1 / eu").unwrap().as_str(),
            "warehouse #1 / eu"
        );
        assert!(HoldName::parse("").unwrap().is_empty());
        assert!(HoldName::parse("a#b").unwrap_err().to_string().contains("has a #"));
        assert!(HoldName::parse(&"x".repeat(65)).is_err());
        assert!(Priority::new(10).unwrap_err().to_string().starts_with("is 10; "));
    }

    #[test]
    fn places_sort_by_priority_then_by_arrival() {
        let place = |priority, arrival| Place::by_arrival(Priority::new(priority).unwrap(), arrival);
        let order = [
            Place::at_front(8),
            Place::at_front(7),
            Place::ahead(8),
            Place::ahead(9),
            place(9, 100_000),
            place(5, 9),
            place(5, 10),
            place(5, 100_000),
            place(0, 1),
            Place::at_back(3),
            Place::at_back(4),
        ];
        assert!(order.is_sorted(), "{order:?}");
    }
}
