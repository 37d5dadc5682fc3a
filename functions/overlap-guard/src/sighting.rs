//! What a listed run means to the run that has the claim: a pure function.

use std::time::Duration;

use signalbox::clock::Timestamp;

use crate::store::{Record, Ruling};
use signalbox::executions::Execution;

/// A run without a record that has run for so long is not about to ask: there is no use in waiting for its record.
const ABOUT_TO_ASK: Duration = Duration::from_mins(1);

/// What a listed run means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// Nothing: the claim speaks for it, or it is newer and will find the claim taken.
    Harmless,
    /// It may be about to ask: its record is worth waiting for. Without one it is suspect.
    Unclear,
    /// It is in the way, if it really runs: lists lag behind.
    Suspect,
}

/// What `listed` means to `me`, who has the claim, at `now`.
///
/// A run with a record contends for the claim like everybody else, so it is never refused for being seen: a newer
/// claimant and an older run would refuse each other, and both would end. One that was let through is different: it was
/// redriven past the guard, and goes on without the claim that it once had.
#[must_use]
pub fn sighting(listed: &Execution, record: Option<&Record>, me: &Execution, now: Timestamp) -> Sighting {
    let Some(record) = record else {
        return match listed.is_older_than(me) {
            false => Sighting::Harmless,
            true if now.since(listed.since) > ABOUT_TO_ASK => Sighting::Suspect,
            true => Sighting::Unclear,
        };
    };
    match record.verdict.as_ref().map(|verdict| verdict.ruling) {
        None | Some(Ruling::Refuse) => Sighting::Harmless,
        Some(Ruling::Proceed) => Sighting::Suspect,
    }
}

#[cfg(test)]
mod tests {
    use signalbox::arn::ExecutionArn;

    use super::*;
    use crate::store::{Question, Verdict};
    use signalbox::executions::Status;

    fn run(name: &str, since: i64) -> Execution {
        Execution {
            arn: ExecutionArn::parse(&format!("arn:aws:states:us-east-1:123456789012:execution:m:{name}")).unwrap(),
            since: Timestamp::from_millis(since),
            redrive: 0,
            status: Status::Running,
            aborted_with: None,
        }
    }

    #[allow(clippy::unnecessary_wraps, reason = "as the function takes it")]
    fn record(ruling: Option<Ruling>) -> Option<Record> {
        Some(Record {
            question: Question {
                redrive: 0,
                entered: Timestamp::from_millis(0),
            },
            verdict: ruling.map(|ruling| Verdict {
                ruling,
                overlapping: vec![],
            }),
        })
    }

    #[test]
    fn the_table_of_sightings() {
        use Ruling::{Proceed, Refuse};
        use Sighting::{Harmless, Suspect, Unclear};
        let me = run("me", 100_000);
        let now = Timestamp::from_millis(101_000);
        for (what, since, record, expected) in [
            ("older, never asked, just started", 99_000, None, Unclear),
            ("older, never asked, runs for long", 1_000, None, Suspect),
            ("newer, never asked", 100_500, None, Harmless),
            ("contends", 99_000, record(None), Harmless),
            (
                "was refused, and lives on in a Catch",
                99_000,
                record(Some(Refuse)),
                Harmless,
            ),
            (
                "was let through, and has no claim",
                99_000,
                record(Some(Proceed)),
                Suspect,
            ),
            (
                "the same, redriven after I started",
                100_500,
                record(Some(Proceed)),
                Suspect,
            ),
        ] {
            assert_eq!(
                sighting(&run("other", since), record.as_ref(), &me, now),
                expected,
                "{what}"
            );
        }
    }
}
