//! Status events as they should not be: what can be announced is, and what cannot is refused with the field that is wrong.
//! Nothing panics.

use failure_alert::alert::{End, Status};
use failure_alert::events::Change;
use serde_json::{Map, Value, json};
use signalbox::clock::Timestamp;

const HOME: &str = "arn:aws:states:us-east-1:123456789012";
const RUN: &str = "arn:aws:states:us-east-1:123456789012:execution:orders-nightly:run-1";

/// When the events are read.
const NOW: Timestamp = Timestamp::from_millis(1_769_900_000_000);

/// When they say that the run ended.
const STOPPED: i64 = 1_769_832_264_871;

/// When EventBridge sent them, in whole seconds.
const SENT: i64 = 1_769_832_265_000;

/// Levels of nested JSON. What has more is refused by whoever reads the queue's message: it is no JSON to serde.
const DEEP: usize = 120;

/// An event in order, as the base of all others.
fn event() -> Value {
    json!({
        "version": "0",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "time": "2026-01-31T04:04:25Z",
        "detail": {
            "executionArn": RUN,
            "stateMachineArn": format!("{HOME}:stateMachine:orders-nightly"),
            "name": "run-1",
            "status": "FAILED",
            "startDate": 1_769_832_012_345_i64,
            "stopDate": STOPPED,
            "input": "{}",
            "inputDetails": {"included": true},
            "output": null,
            "error": "Card.Declined",
            "cause": "order 4711",
            "redriveCount": 1,
        },
    })
}

/// The event with another value in a field of its detail.
fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut event = event();
    event["detail"][field] = value.into();
    event
}

/// The event without this field.
fn without(field: &str) -> Value {
    let mut event = event();
    let fields = match field.split_once('.') {
        Some(("detail", inner)) => event["detail"].as_object_mut().map(|detail| (detail, inner)),
        _ => event.as_object_mut().map(|event| (event, field)),
    };
    let (fields, name) = fields.expect("an object");
    assert!(fields.remove(name).is_some(), "{field}");
    event
}

/// Arrays in arrays, nearly as deep as JSON is read at all.
fn deep() -> Value {
    let text = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn what_is_no_end_of_an_execution_is_refused_with_its_field() {
    let (status, arn) = ("detail.status", "detail.executionArn");
    let with_detail = |detail: Value| {
        let mut event = event();
        event["detail"] = detail;
        event
    };
    let with_arn = |arn: &str| with("executionArn", arn);
    let long = "x".repeat(100_000);
    for (what, event, field, says) in [
        ("no detail", without("detail"), status, "is missing"),
        ("detail null", with_detail(Value::Null), status, "is missing"),
        (
            "detail an array",
            with_detail(json!([event()["detail"]])),
            status,
            "is missing",
        ),
        (
            "detail a text",
            with_detail(event()["detail"].to_string().into()),
            status,
            "is missing",
        ),
        ("an event that is null", Value::Null, status, "is missing"),
        ("an event that is a text", json!("FAILED"), status, "is missing"),
        ("an event that is a number", json!(7), status, "is missing"),
        ("an event that is an array", json!([event()]), status, "is missing"),
        ("deep JSON", deep(), status, "is missing"),
        ("no status", without("detail.status"), status, "is missing"),
        ("a new status", with("status", "PAUSED"), status, "is \"PAUSED\""),
        (
            "status in lower case",
            with("status", "failed"),
            status,
            "is \"failed\"",
        ),
        ("status empty", with("status", ""), status, "is \"\""),
        ("status a number", with("status", 7), status, "is no text"),
        ("status deep", with("status", deep()), status, "is no text"),
        (
            "status without end",
            with("status", long.as_str()),
            status,
            "begins with \"xxx",
        ),
        (
            "status with a line break",
            with("status", "FAILED\nFAILED"),
            status,
            "is \"FAILED\\nFAILED\"",
        ),
        ("no ARN", without("detail.executionArn"), arn, "is not an ARN"),
        ("ARN null", with("executionArn", Value::Null), arn, "is not an ARN"),
        ("ARN an object", with("executionArn", Map::new()), arn, "is not an ARN"),
        ("ARN without end", with_arn(&long), arn, "…"),
        (
            "an express execution",
            with_arn(&format!("{HOME}:express:orders:run-1:0f6a")),
            arn,
            "is an EXPRESS execution",
        ),
        (
            "ARN cut off",
            with_arn(&format!("{HOME}:execution:orders-nightly")),
            arn,
            "is not an execution's ARN",
        ),
        (
            "ARN cut off in the name",
            with_arn(&format!("{HOME}:execution:orders-nightly:")),
            arn,
            "has 0 characters",
        ),
        (
            "a state machine",
            with_arn(&format!("{HOME}:stateMachine:orders-nightly")),
            arn,
            "is a state machine",
        ),
        (
            "another service",
            with_arn("arn:aws:ecs:us-east-1:123456789012:task/t"),
            arn,
            "is an ARN of ecs",
        ),
    ] {
        let error = Change::read(&event, NOW).expect_err(what);
        assert_eq!(error.path(), field, "{what}: {error}");
        let error = error.to_string();
        assert!(error.contains(says), "{what}: {error}");
        assert!(error.len() < 500, "{what}: {} bytes", error.len());
    }
}

/// Reads an event of a failure: its end, and its input.
fn announced(what: &str, event: &Value) -> (End, Option<String>) {
    match Change::read(event, NOW) {
        Ok(Some(Change::Failed { end, input })) => {
            assert_eq!((end.execution.as_str(), end.status), (RUN, Status::Failed), "{what}");
            (end, input)
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn an_end_without_a_time_that_can_be_right_is_announced() {
    let of = |date: Value| with("stopDate", date);
    let mut never = of(json!("yesterday"));
    never["time"] = "today".into();
    for (what, event, stopped) in [
        ("in order", event(), STOPPED),
        ("a text", of(json!("2026-01-31T04:04:24Z")), SENT),
        ("a fraction", of(json!(1_769_832_264.871)), SENT),
        ("negative", of(json!(-1)), SENT),
        ("zero", of(json!(0)), SENT),
        ("the least", of(json!(i64::MIN)), SENT),
        ("the most", of(json!(i64::MAX)), SENT),
        ("beyond that", of(json!(u64::MAX)), SENT),
        ("in 2100", of(json!(4_102_444_800_000_i64)), SENT),
        ("missing", without("detail.stopDate"), SENT),
        ("no time at all", never, NOW.as_millis()),
    ] {
        let (end, _) = announced(what, &event);
        assert_eq!(end.stopped.as_millis(), stopped, "{what}");
    }
    for date in [json!(-5), json!("today"), json!(i64::MAX), Value::Null] {
        let (end, _) = announced("startDate", &with("startDate", date.clone()));
        assert_eq!(end.started, None, "{date}");
    }
}

/// The sweep, which asks Step Functions, announces it if that one was announced already.
#[test]
fn a_count_of_redrives_that_is_none_is_that_of_the_first_end() {
    for (count, read) in [
        (json!(1), 1),
        (json!(u32::MAX), u32::MAX),
        (json!(u64::MAX), 0),
        (json!(-1), 0),
        (json!(1.5), 0),
        (json!("1"), 0),
        (json!([1]), 0),
        (Value::Null, 0),
    ] {
        let (end, _) = announced("redriveCount", &with("redriveCount", count.clone()));
        assert_eq!(end.redrive, read, "{count}");
    }
}

#[test]
fn what_is_no_text_is_missing() {
    for value in [json!(7), json!(""), json!({"a": null}), Value::Null, deep()] {
        for field in ["error", "cause", "input"] {
            let (end, input) = announced(field, &with(field, value.clone()));
            let texts = [("error", end.error), ("cause", end.cause), ("input", input)];
            let missing = texts.into_iter().filter(|(_, text)| text.is_none());
            assert!(missing.map(|(name, _)| name).eq([field]), "{field}: {value}");
        }
    }
}

#[test]
fn an_event_with_little_in_it_is_announced() {
    let mut bare = event();
    bare["detail"] = json!({"executionArn": RUN, "status": "FAILED"});
    let mut nulls = event();
    for (name, value) in nulls["detail"].as_object_mut().expect("an object") {
        if !["executionArn", "status"].contains(&name.as_str()) {
            *value = Value::Null;
        }
    }
    for (what, event) in [("nothing else", bare), ("nothing but nulls", nulls)] {
        let (end, input) = announced(what, &event);
        assert_eq!(
            (end.stopped.as_millis(), end.started, end.redrive),
            (SENT, None, 0),
            "{what}"
        );
        assert_eq!((end.error, end.cause, input), (None, None, None), "{what}");
    }
}

#[test]
fn what_is_not_needed_is_not_looked_at() {
    let base = announced("in order", &event());
    for (what, event) in [
        ("of another kind", without("detail-type")),
        ("from elsewhere", without("source")),
        ("no machine", without("detail.stateMachineArn")),
        ("name a number", with("name", 7)),
        ("nested nulls", with("outputDetails", json!({"included": null}))),
        (
            "deep JSON",
            with("inputDetails", json!({"included": null, "more": deep()})),
        ),
    ] {
        assert_eq!(announced(what, &event), base, "{what}");
    }
}

#[test]
fn every_status_of_step_functions_is_known() {
    let of = |status| Change::read(&with("status", status), NOW).expect(status);
    for status in [Status::Failed, Status::TimedOut, Status::Aborted] {
        let Some(Change::Failed { end, .. }) = of(status.name()) else {
            panic!("{status:?}");
        };
        assert_eq!(end.status, status);
    }
    let Some(Change::Succeeded(success)) = of("SUCCEEDED") else {
        panic!("SUCCEEDED");
    };
    assert_eq!((success.execution.as_str(), success.redrive), (RUN, 1));
    assert_eq!(success.stopped.as_millis(), STOPPED);
    for status in ["RUNNING", "PENDING_REDRIVE"] {
        assert_eq!(of(status), None, "{status}");
    }
}

/// They have ARNs of their own, and are no mistake.
#[test]
fn a_child_of_a_distributed_map_is_an_end_too() {
    let child = format!("{HOME}:execution:orders-nightly/each-order:0f3e");
    let read = Change::read(&with("executionArn", child.as_str()), NOW).expect("a good event");
    assert!(matches!(read, Some(Change::Failed { end, .. }) if end.execution.is_map_child()));
}
