//! Status events: from any bytes to the words of an alert, without a panic, and with a subject that SNS takes.

#![no_main]

use failure_alert::alert::{Alert, Redrive};
use failure_alert::events::Change;
use failure_alert::mail::{self, Options};
use failure_alert::{chat, group, subject};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use signalbox::clock::Timestamp;
use signalbox::delivery::Delivery;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let event = match kind % 2 {
        0 => serde_json::from_slice(rest).unwrap_or(Value::Null),
        // A good one, with what people write in it.
        _ => {
            let text = String::from_utf8_lossy(rest);
            let (error, cause) = text.split_once('\n').unwrap_or((&text, ""));
            let status = ["FAILED", "TIMED_OUT", "ABORTED"][usize::from(kind / 2 % 3)];
            json!({"detail-type": "Step Functions Execution Status Change", "detail": {
                "executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:run-1",
                "status": status, "error": error, "cause": cause, "stopDate": 1_800_000_000_000_i64,
            }})
        }
    };
    let _ = Delivery::read_strictly(event.clone());
    let Ok(Some(Change::Failed { end, input })) = Change::read(&event, NOW) else { return };
    let pipeline = end.execution.machine().clone();
    let key = group::key(&pipeline, None, end.error.as_deref(), end.cause.as_deref());
    let alert = Alert {
        end,
        pipeline,
        failure: None,
        children: Vec::new(),
        past: None,
        locks: Vec::new(),
        redrive: Redrive::Unknown,
        input,
        missing: Vec::new(),
    };
    let subject = subject::subject(&alert);
    assert!(subject.len() < 100 && subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{subject:?}");
    mail::text(&alert, &Options::default());
    let chat = chat::custom(&alert, &Options::default(), &key);
    assert!(serde_json::from_str::<Value>(&chat).is_ok());
});
