//! What is to be reached.

use super::Sheet;

/// Something to reach, and whether it was.
#[derive(Debug, Clone)]
pub struct Target {
    what: String,
    limit: String,
    measured: String,
    /// Whether it was reached.
    pub met: bool,
}

impl Target {
    /// A target.
    pub fn new(what: impl Into<String>, limit: impl Into<String>, measured: impl Into<String>, met: bool) -> Self {
        Self {
            what: what.into(),
            limit: limit.into(),
            measured: measured.into(),
            met,
        }
    }

    /// A table of them.
    #[must_use]
    pub fn sheet(targets: &[Self]) -> Sheet {
        let mut sheet = Sheet::new("The lock's targets", ["", "limit", "measured", ""]);
        for target in targets {
            let verdict = if target.met { "met" } else { "MISSED" };
            sheet.row(
                &target.what,
                [target.limit.clone(), target.measured.clone(), verdict.to_owned()],
            );
        }
        sheet
    }
}
