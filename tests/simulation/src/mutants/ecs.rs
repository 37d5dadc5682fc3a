//! Ways to break the ECS relay.

use super::Mutant;
use crate::ecs::Scenario;

const EARLIER: &str = "functions/ecs-launch/src/earlier.rs";
const LAUNCH: &str = "functions/ecs-launch/src/launch.rs";
const SETTLE: &str = "functions/ecs-settle/src/settle.rs";
const START: &str = "functions/ecs-launch/src/start.rs";
const STOPS: &str = "functions/ecs-settle/src/stops.rs";
const SWEEP: &str = "functions/ecs-settle/src/sweep.rs";
const KEY: &str = "shared/src/ecs/key.rs";
/// The conditions of the store, which the adapter to DynamoDB writes as expressions.
const TABLE: &str = "tests/simulation/src/ecs/table.rs";

/// Those of the relay.
pub const ECS: &[Mutant<Scenario>] = &[
    Mutant {
        name: "client-token-of-the-step",
        what: "all attempts of a step ask ECS with the same client token",
        edits: &[(
            KEY,
            "        hash(&[&self.name()])\n",
            "        hash(&[&self.run, &self.step])\n",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "record-after-run",
        what: "the task is started before its record is written",
        edits: &[(
            LAUNCH,
            "match self.records.put(&record).await? {",
            "self.cluster.run(&record.plan, &record.origin).await?;\n        match self.records.put(&record).await? {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "adoption-without-condition",
        what: "an attempt takes a task over although the record of it has changed",
        edits: &[
            (
                TABLE,
                "if !free || !same || conflict {",
                "if !free || conflict || (!same && now_is_gone()) {",
            ),
            (
                TABLE,
                "fn is_open(record: &Record) -> bool {",
                "fn now_is_gone() -> bool {\n    false\n}\n\nfn is_open(record: &Record) -> bool {",
            ),
        ],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "done-before-send",
        what: "the record is done before the state is told",
        edits: &[(
            SETTLE,
            "        let delivered = self.send(record, told).await?;\n",
            "        self.records.done(&record.key, true, task, self.clock.now()).await?;\n        \
             let delivered = self.send(record, told).await?;\n",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "stop-finds-nothing",
        what: "a task of which nothing was noted is not stopped",
        edits: &[(
            STOPS,
            "            None => Ok(self.cluster.find(&record.plan.cluster, &record.origin).await?),\n",
            "            None => Ok(None),\n",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "closed-does-not-stop",
        what: "a task for which nobody waits runs on",
        edits: &[(SWEEP, "                self.stop(record, Why::Unwanted).await?;\n", "")],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "later-attempt-unchecked",
        what: "a late attempt does not look whether there is a later one",
        edits: &[(
            EARLIER,
            "if !later.is_empty() && !self.is_awaited(&own.token).await? {",
            "if later.len() > 1_000 && !self.is_awaited(&own.token).await? {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "never-looked-again",
        what: "an attempt does not look at the others once its own record is written",
        edits: &[(
            START,
            "if !self.is_alone(record, deadline).await? {",
            "if record.request.is_empty() && !self.is_alone(record, deadline).await? {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "refusal-unclaimed",
        what: "a refusal is told although another invocation of the attempt has started the task",
        edits: &[(
            START,
            "if !self.records.refused(&record.key, self.clock.now()).await? {",
            "self.records.refused(&record.key, self.clock.now()).await?;\n        if record.request.is_empty() {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "unheard-for-ever",
        what: "whoever finds the token closed that another has answered a moment ago has the last word",
        edits: &[(
            TABLE,
            "is_open(record) || (delivered && record.stage == unheard)",
            "is_open(record) && record.stage != unheard",
        )],
        scenario: Scenario::NoSweep,
    },
    Mutant {
        name: "late-end-stops-redriven",
        what: "the late event of an end stops what a redrive has started since",
        edits: &[(
            STOPS,
            ".filter(|record| record.attempt().redrive <= end.redrive)",
            ".filter(|record| record.attempt().redrive < u32::MAX)",
        )],
        scenario: Scenario::Redrive,
    },
    Mutant {
        name: "earlier-not-ended",
        what: "a retry that asks for something else leaves the earlier task alone",
        edits: &[(
            EARLIER,
            "                self.end(record, deadline).await?;\n",
            "                tracing::debug!(%deadline);\n",
        )],
        scenario: Scenario::Changes,
    },
    Mutant {
        name: "earlier-not-waited-for",
        what: "a retry starts its task while the earlier one is being stopped",
        edits: &[(
            EARLIER,
            "            if has_ended {\n",
            "            if has_ended || told {\n",
        )],
        scenario: Scenario::Changes,
    },
    Mutant {
        name: "iteration-taken-over",
        what: "an iteration that says nothing of its item takes the task of another one over",
        edits: &[(
            EARLIER,
            "true if self.is_awaited(&record.token).await? => continue,",
            "true if record.request.is_empty() => continue,",
        )],
        scenario: Scenario::Maps,
    },
    Mutant {
        name: "iteration-ended",
        what: "an iteration that says nothing of its item stops the task of another one",
        edits: &[(
            EARLIER,
            "            if !self.is_awaited(&record.token).await? {\n                self.end",
            "            if !record.request.is_empty() {\n                self.end",
        )],
        scenario: Scenario::Maps,
    },
    Mutant {
        name: "token-taken-over",
        what: "a task is taken over whose container answers an earlier token",
        edits: &[(
            EARLIER,
            "|| earlier.plan.result == ResultFrom::Token {",
            "|| (earlier.plan.result == ResultFrom::Token && ask.hash.is_empty()) {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "result-of-the-attempt",
        what: "the result of a task that was taken over is looked for where this attempt's own would be",
        edits: &[(
            SETTLE,
            "self.results.get(&result_key(&record.origin))",
            "self.results.get(&result_key(&record.key))",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "never-relaunched",
        what: "a launch whose message got lost is not put into the queue again",
        edits: &[(
            SWEEP,
            "Sent::Accepted if is_due(record, now) => {",
            "Sent::Accepted if is_due(record, now) && record.request.is_empty() => {",
        )],
        scenario: Scenario::Storm,
    },
    Mutant {
        name: "never-lost",
        what: "a task that ECS has forgotten is waited for for ever",
        edits: &[(
            SWEEP,
            "now.since(since) >= LOST_AFTER)",
            "now.since(since) >= LOST_AFTER * 1_000)",
        )],
        scenario: Scenario::Outage,
    },
];
