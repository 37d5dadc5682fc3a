//! Tables for each rule, and random definitions held against the checker.

use super::*;

pub(crate) mod random;

fn options() -> Options {
    Options {
        pin: None,
        fleet: Fleet::default(),
        most_bytes: DEFINITION_BYTES,
    }
}
