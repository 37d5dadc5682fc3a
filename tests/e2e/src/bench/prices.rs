//! What AWS charges, in dollars: us-east-1, standard workflows, on-demand tables, arm64 functions, without free tiers.
//!
//! As they have been since November 2024: aws.amazon.com/step-functions/pricing, /dynamodb/pricing/on-demand, /lambda/pricing.

use local_cloud::Usage;

/// A state transition.
pub const TRANSITION: f64 = 0.025 / 1_000.0;

/// A write request unit.
pub const WRITE_UNIT: f64 = 0.625 / 1_000_000.0;

/// A read request unit.
pub const READ_UNIT: f64 = 0.125 / 1_000_000.0;

/// An invocation of a function.
pub const INVOCATION: f64 = 0.20 / 1_000_000.0;

/// A second of a function with 1 GB.
pub const GB_SECOND: f64 = 0.000_013_333_4;

/// The functions' memory in `template.yaml`.
pub const FUNCTION_GB: f64 = 0.25;

/// What an invocation is taken to last: the emulator's times say nothing about Lambda's.
pub const FUNCTION_SECONDS: f64 = 0.1;

/// What something costs.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub fn dollars(usage: &Usage) -> f64 {
    let tables = usage.all_tables();
    let invocation = INVOCATION + GB_SECOND * FUNCTION_GB * FUNCTION_SECONDS;
    usage.all_transitions() as f64 * TRANSITION
        + tables.write_units * WRITE_UNIT
        + tables.read_units * READ_UNIT
        + usage.all_invocations() as f64 * invocation
}

#[cfg(test)]
mod tests {
    use super::*;
    use local_cloud::usage::TableUsage;

    #[test]
    fn everything_is_charged_for() {
        let table = TableUsage {
            write_units: 4.0,
            read_units: 1.0,
            ..TableUsage::default()
        };
        let usage = Usage {
            transitions: [("pipeline".to_owned(), 1_000)].into(),
            dynamodb: [("table".to_owned(), table)].into(),
            lambda: [("function".to_owned(), 2)].into(),
        };
        let micros = dollars(&usage) * 1e6;
        assert!(
            (micros - (25_000.0 + 2.5 + 0.125 + 0.4 + 0.666_67)).abs() < 1e-3,
            "{micros}"
        );
    }
}
