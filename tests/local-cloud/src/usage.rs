//! What AWS would bill for: state transitions, DynamoDB's units, invocations of functions.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The usage of an account since its start or its last reset, whoever caused it. What was never used is not in the maps.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// By the name of the state machine: states entered, retries, redrives.
    pub transitions: BTreeMap<String, u64>,
    /// By the name of the table, its indexes included.
    pub dynamodb: BTreeMap<String, TableUsage>,
    /// By the name of the function: invocations that were not throttled.
    pub lambda: BTreeMap<String, u64>,
}

/// The usage of a table and its indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TableUsage {
    /// Write request units, those of writes whose condition failed among them.
    pub write_units: f64,
    /// Read request units: half of one for 4 KB that are read eventually consistent.
    pub read_units: f64,
    /// Items written, or refused by their condition.
    pub writes: u64,
    /// Items got, and pages queried or scanned.
    pub reads: u64,
}

impl Usage {
    /// The state transitions of all machines.
    #[must_use]
    pub fn all_transitions(&self) -> u64 {
        self.transitions.values().sum()
    }

    /// The invocations of all functions.
    #[must_use]
    pub fn all_invocations(&self) -> u64 {
        self.lambda.values().sum()
    }

    /// The units and calls of all tables.
    #[must_use]
    pub fn all_tables(&self) -> TableUsage {
        let mut all = TableUsage::default();
        for table in self.dynamodb.values() {
            all.write_units += table.write_units;
            all.read_units += table.read_units;
            all.writes += table.writes;
            all.reads += table.reads;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn usage_is_read_as_the_local_cloud_writes_it() {
        let usage: Usage = serde_json::from_value(json!({
            "transitions": {"orders": 8, "refunds": 2},
            "dynamodb": {
                "locks": {"writeUnits": 3, "readUnits": 1.5, "writes": 3, "reads": 2},
                "others": {"writeUnits": 1, "readUnits": 0, "writes": 1, "reads": 0},
            },
            "lambda": {"acquire": 2, "release": 1},
        }))
        .unwrap();
        assert_eq!(usage.transitions["orders"], 8);
        assert_eq!(usage.all_transitions(), 10);
        assert_eq!(usage.all_invocations(), 3);
        let all = TableUsage {
            write_units: 4.0,
            read_units: 1.5,
            writes: 4,
            reads: 2,
        };
        assert_eq!(usage.all_tables(), all);
    }

    #[test]
    fn what_is_missing_is_nothing_and_what_is_new_is_ignored() {
        assert_eq!(serde_json::from_value::<Usage>(json!({})).unwrap(), Usage::default());
        let usage: Usage = serde_json::from_value(json!({"dynamodb": {"t": {"writes": 1}}, "sqs": {"q": 1}})).unwrap();
        assert_eq!(usage.dynamodb["t"].writes, 1);
        assert_eq!(usage.all_tables().write_units.to_bits(), 0.0_f64.to_bits());
    }
}
