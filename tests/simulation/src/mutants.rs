//! Ways to break the protocols, each of which the simulation notices.

pub mod command;
mod compiled;
mod ecs;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::lock::Scenario;

pub use ecs::ECS;

/// A way to break a protocol.
#[derive(Debug, Clone, Copy)]
pub struct Mutant<S> {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
    /// What is replaced: file, text, by what. Each text is there once.
    pub edits: &'static [(&'static str, &'static str, &'static str)],
    /// Which schedules are most likely to notice.
    pub scenario: S,
}

impl<S> Mutant<S> {
    /// The files that it changes of the workspace at `root`, as they are and as they become. An edit whose text is not
    /// there exactly once is an error: the code has changed, and the mutant is to be adapted to it.
    pub fn applied(&self, root: &Path) -> Result<BTreeMap<&'static str, (String, String)>, String> {
        let mut files = BTreeMap::new();
        for (file, find, replace) in self.edits {
            if !files.contains_key(file) {
                let text = fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
                files.insert(*file, (text.clone(), text));
            }
            let Some((_, text)) = files.get_mut(file) else { continue };
            let count = text.matches(find).count();
            if count != 1 {
                return Err(format!(
                    "mutant {}: its text is found {count} times in {file} instead of once; adapt it to the code:\n{find}",
                    self.name
                ));
            }
            *text = text.replacen(find, replace, 1);
        }
        Ok(files)
    }
}

const ACQUIRE: &str = "shared/src/lock/acquire.rs";
const DELIVER: &str = "shared/src/lock/deliver.rs";
const LOCK_RS: &str = "shared/src/lock.rs";
const PROMOTE: &str = "shared/src/lock/promote.rs";
const REDRIVE: &str = "shared/src/lock/redrive.rs";
const RELEASE: &str = "shared/src/lock/release.rs";
const RESERVE: &str = "shared/src/lock/reserve.rs";
const SETTLE: &str = "shared/src/lock/settle.rs";
const SWEEP: &str = "shared/src/lock/sweep.rs";
/// The conditions of the store, which the adapter to DynamoDB writes as expressions.
const TABLE: &str = "tests/simulation/src/table.rs";

/// Those of the lock.
pub const LOCK: &[Mutant<Scenario>] = &[
    Mutant {
        name: "closed-frees-without-by",
        what: "a closed token frees the slot whoever has the grant by now",
        edits: &[(DELIVER, "FreeIf::By(&self.me)", "FreeIf::Any")],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "closed-frees-after-take-over",
        what: "a closed token after a take-over frees the slot, while the run may be working in it",
        edits: &[(
            ACQUIRE,
            "            Sent::Closed | Sent::Unknown(_) => Acquired::Unsettled,\n        }))",
            "            Sent::Closed => {\n                self.give_back(owner, FreeIf::By(&self.me)).await?;\n                \
             Acquired::Gone\n            }\n            Sent::Unknown(_) => Acquired::Unsettled,\n        }))",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "take-over-without-condition",
        what: "a take-over goes on although the grant was freed meanwhile",
        edits: &[(
            ACQUIRE,
            "        {\n            return Ok(None);\n        }\n        let Some(token) = &owner.token else {",
            "        {}\n        let Some(token) = &owner.token else {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "older-attempt-overwrites",
        what: "a late older attempt puts its dead token in the place of the newer one's",
        edits: &[(
            ACQUIRE,
            "        if found.attempt >= attempt {\n            return Ok(Relation::Sibling);",
            "        if found.attempt >= attempt {\n            return Ok(Relation::Retries);",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "newcomers-pass",
        what: "a newcomer takes a free slot although others wait",
        edits: &[(
            ACQUIRE,
            "self.try_grant(owner, Gate::Newcomer)",
            "self.try_grant(owner, Gate::Regain)",
        )],
        scenario: Scenario::NoSweep,
    },
    Mutant {
        name: "occupancy-unchecked",
        what: "a grant does not look whether a slot is free",
        edits: &[(
            TABLE,
            "let met = head.has_room() && !head.paused",
            "let met = !head.paused",
        )],
        scenario: Scenario::NoSweep,
    },
    Mutant {
        name: "no-hand-over",
        what: "a release does not hand over (without sweeps)",
        edits: &[(
            RELEASE,
            "            && head.contended\n",
            "            && false\n            && head.contended\n",
        )],
        scenario: Scenario::NoSweep,
    },
    Mutant {
        name: "contended-before-wait",
        what: "the lock says that there are waiters before the waiter is in the queue (without sweeps)",
        edits: &[
            (
                ACQUIRE,
                "        store.enqueue(&waiter).await?;\n",
                "        store.contend(lock, self.now()).await?;\n",
            ),
            (
                ACQUIRE,
                "        // Only now: set earlier, a promoter that sees an empty queue clears it, and nobody wakes this waiter.\n        \
                 store.contend(lock, self.now()).await?;\n",
                "        store.enqueue(&waiter).await?;\n",
            ),
        ],
        scenario: Scenario::NoSweep,
    },
    Mutant {
        name: "one-fresh-look",
        what: "an end is believed at first sight",
        edits: &[(
            LOCK_RS,
            "pub const END_SETTLES: Duration = Duration::from_secs(10);",
            "pub const END_SETTLES: Duration = Duration::from_secs(0);",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "late-end-frees-redriven",
        what: "the late event of a failure frees the hold of the run that was redriven since",
        edits: &[
            (
                RELEASE,
                "owner.attempt.redrive > end.redrive || end.stopped",
                "end.stopped",
            ),
            (
                RELEASE,
                "held.redrive > end.redrive || too_young(held)",
                "too_young(held)",
            ),
            (
                TABLE,
                "held.redrive <= redrive && held.entered <= stopped",
                "held.redrive <= redrive.max(9) && stopped == stopped",
            ),
        ],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "calm-without-generation",
        what: "a promoter clears `contended` although somebody has queued since it looked",
        edits: &[(
            TABLE,
            "Some(head) if head.generation == generation => {",
            "Some(head) if generation < u64::MAX => {",
        )],
        scenario: Scenario::NoSweep,
    },
    Mutant {
        name: "closed-token-not-read-again",
        what: "whoever finds a closed token does not look whether a retry has a token of its own",
        edits: &[(
            DELIVER,
            "&& now.token != owner.token => {",
            "&& now.token != owner.token && false => {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "left-over-place-granted",
        what: "a place in the queue is granted although its run has released",
        edits: &[(
            PROMOTE,
            "owner.ticket == waiter.ticket && owner.wish == Wish::Open",
            "owner.ticket == waiter.ticket || owner.wish == Wish::Open",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "place-judged-by-an-older-look",
        what: "a place is taken for left over by a look at HEAD from before it was taken again",
        edits: &[(
            PROMOTE,
            "                if known\n                    .as_ref()\n                    .is_some_and(|now| now.holders.contains_key(&waiter.ticket))\n",
            "                if known.is_some()\n",
        )],
        scenario: Scenario::Branches,
    },
    Mutant {
        name: "refused-is-released",
        what: "a run that is refused counts as released, although another invocation of its attempt may be granted the lock",
        edits: &[
            (
                ACQUIRE,
                "        if let Some(full) = full {",
                "        store_released(self, owner).await?;\n        if let Some(full) = full {",
            ),
            (
                ACQUIRE,
                "/// What an attempt is to the one that is recorded.\n",
                "async fn store_released<S: Store, T, E, C: Clock>(session: &Session<'_, S, T, E, C>, owner: &Owner) -> Result<(), Error> {\n    \
             session.locks.store.reown(owner, &owner.wishing(Wish::Released), session.now()).await?;\n    Ok(())\n}\n\n\
             /// What an attempt is to the one that is recorded.\n",
            ),
        ],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "leftover-of-a-later-attempt",
        what: "an attempt that goes on frees the hold of the one after it",
        edits: &[(
            ACQUIRE,
            "        if now.is_none_or(|now| now.ticket != owner.ticket) {",
            "        if now.is_none() {",
        )],
        scenario: Scenario::Branches,
    },
    Mutant {
        name: "settle-frees-on-closed",
        what: "the sweep frees a slot because its token is closed",
        edits: &[(
            SETTLE,
            "Sent::Closed => self.locks.tasks.outcome(&owner.hold.execution, token).await?,",
            "Sent::Closed => Outcome::Failed,",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "settle-never",
        what: "nobody finds out about grants whose delivery got lost",
        edits: &[(
            SWEEP,
            "} else if !holder.confirmed && settled",
            "} else if !holder.confirmed && settled && false",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "lost-not-kept",
        what: "a run that fails while it holds is not remembered",
        edits: &[(
            RELEASE,
            "let lost = owner.wish == Wish::Lost || (owner.wish == Wish::Open && held.is_some() && end.redrivable);",
            "let lost = owner.wish == Wish::Lost && held.is_some() && end.redrivable;",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "redriven-not-kept",
        what: "a run that was redriven before its end was heard of is not marked",
        edits: &[(
            REDRIVE,
            "match held.filter(is_older) {",
            "match held.filter(|held| held.redrive > redrive) {",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "reserved-for-no-redrive",
        what: "what is reserved is freed by the end that was before",
        edits: &[(
            RESERVE,
            "redrive.max(seen.redrive), self.now()",
            "seen.redrive, self.now()",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "reserved-in-the-wrong-order",
        what: "it is noted that a run is redriven before the holder's entry says so",
        edits: &[(
            RESERVE,
            "let raised = self.raise(&owner, seen, redrive.max(seen.redrive), self.now()).await?;",
            "let recorded = self.record_redrive(&owner, redrive).await?;\n                    let raised = recorded && \
             self.raise(&owner, seen, redrive.max(seen.redrive), self.now()).await?;",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "reserved-for-ever",
        what: "what was reserved for a redrive that never came is not taken back",
        edits: &[(
            SWEEP,
            "match end.redrive < holder.redrive && settled {",
            "match settled && false {",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "reserved-for-a-moment",
        what: "what is reserved is taken back before the redrive may have come",
        edits: &[(
            SWEEP,
            "match end.redrive < holder.redrive && settled {",
            "match end.redrive < holder.redrive {",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "reserved-while-it-is-lost",
        what: "a hold that is lost between two looks counts as one that the run does not have",
        edits: &[(
            RESERVE,
            "if self.locks.store.owner(hold).await?.as_ref() == Some(&owner) {",
            "if self.has_time(MARGIN) {",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "redriven-by-another",
        what: "what is reserved does not become the redriven run's own",
        edits: &[(
            REDRIVE,
            "(held.redrive, held.entered) < (redrive, since);",
            "(held.redrive, since) < (redrive, since);",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "redriven-not-swept",
        what: "a redriven run whose event got lost is not looked for",
        edits: &[(
            SWEEP,
            "if let Err(error) = self.sweep_lost(&mut swept).await {",
            "if let Err(error) = Ok::<(), Error>(()) {",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "release-frees-a-later-hold",
        what: "a late release frees what its run has acquired since",
        edits: &[(
            TABLE,
            "            if entered.is_some_and(|entered| owner.attempt.entered > entered) {\n                return None;\n            }\n",
            "",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "sibling-taken-for-a-retry",
        what: "a branch takes the hold of another one that entered in the same millisecond",
        edits: &[(
            ACQUIRE,
            "            Sent::Accepted => return Ok(Relation::Sibling),",
            "            Sent::Accepted if !retries => return Ok(Relation::Sibling),\n            Sent::Accepted => {}",
        )],
        scenario: Scenario::Branches,
    },
];
