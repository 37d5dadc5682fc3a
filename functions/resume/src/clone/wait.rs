//! What becomes of a Wait that was open.

use serde_json::{Value, json};

use super::{CloneError, Fields};
use crate::cut::Waiting;

/// How long a Wait waits: one of these.
const TIMES: [&str; 4] = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];

/// The Wait that waits until a certain time, or a Pass that makes of its input what the Wait would have made of it.
pub(super) fn waiting(state: &Fields, waiting: &Waiting, name: &str) -> Result<Fields, CloneError> {
    super::region::expect(state, "Wait", name)?;
    let mut changed = state.clone();
    changed.retain(|field, _| !TIMES.contains(&field.as_str()));
    match waiting {
        Waiting::Until(time) => changed.insert("Timestamp".to_owned(), Value::String(time.clone())),
        Waiting::Over => changed.insert("Type".to_owned(), json!("Pass")),
    };
    Ok(changed)
}
