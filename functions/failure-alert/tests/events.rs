//! Status events as they should not be: what can be announced is, and what cannot is refused with the field that is wrong.
//! Nothing panics.

use failure_alert::alert::Status;
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

/// What is read of an event, in the order of the columns below.
type Read = (
    i64,
    Option<i64>,
    u32,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
);

#[test]
fn what_can_be_announced_is() {
    const BEGAN: Option<i64> = Some(1_769_832_012_345);
    const ERROR: Option<&str> = Some("Card.Declined");
    const CAUSE: Option<&str> = Some("order 4711");
    const INPUT: Option<&str> = Some("{}");
    let stopping = |at: i64, redrive: u32| (at, BEGAN, redrive, ERROR, CAUSE, INPUT);
    let mut unsent = with("stopDate", "yesterday");
    unsent["time"] = "today".into();
    let mut bare = without("detail.name");
    bare["detail"] = json!({"executionArn": RUN, "status": "FAILED"});
    let mut nulls = event();
    for (name, value) in nulls["detail"].as_object_mut().expect("an object") {
        if !["executionArn", "status"].contains(&name.as_str()) {
            *value = Value::Null;
        }
    }
    let beside = with("inputDetails", json!({"included": null, "more": {"more": deep()}}));
    let cases: Vec<(&str, Value, Read)> = vec![
        ("in order", event(), stopping(STOPPED, 1)),
        ("of another kind", without("detail-type"), stopping(STOPPED, 1)),
        ("from elsewhere", without("source"), stopping(STOPPED, 1)),
        (
            "stopDate a text",
            with("stopDate", "2026-01-31T04:04:24Z"),
            stopping(SENT, 1),
        ),
        (
            "stopDate a fraction",
            with("stopDate", 1_769_832_264.871),
            stopping(SENT, 1),
        ),
        ("stopDate negative", with("stopDate", -1), stopping(SENT, 1)),
        ("stopDate zero", with("stopDate", 0), stopping(SENT, 1)),
        ("stopDate the least", with("stopDate", i64::MIN), stopping(SENT, 1)),
        ("stopDate the most", with("stopDate", i64::MAX), stopping(SENT, 1)),
        ("stopDate beyond that", with("stopDate", u64::MAX), stopping(SENT, 1)),
        (
            "stopDate in 2100",
            with("stopDate", 4_102_444_800_000_i64),
            stopping(SENT, 1),
        ),
        ("no stopDate", without("detail.stopDate"), stopping(SENT, 1)),
        ("no time at all", unsent, stopping(NOW.as_millis(), 1)),
        ("redriveCount a text", with("redriveCount", "1"), stopping(STOPPED, 0)),
        (
            "redriveCount huge",
            with("redriveCount", u64::MAX),
            stopping(STOPPED, 0),
        ),
        (
            "redriveCount the most",
            with("redriveCount", u32::MAX),
            stopping(STOPPED, u32::MAX),
        ),
        ("redriveCount negative", with("redriveCount", -1), stopping(STOPPED, 0)),
        (
            "redriveCount a fraction",
            with("redriveCount", 1.5),
            stopping(STOPPED, 0),
        ),
        (
            "redriveCount null",
            with("redriveCount", Value::Null),
            stopping(STOPPED, 0),
        ),
        (
            "error a number",
            with("error", 7),
            (STOPPED, BEGAN, 1, None, CAUSE, INPUT),
        ),
        (
            "error empty",
            with("error", ""),
            (STOPPED, BEGAN, 1, None, CAUSE, INPUT),
        ),
        (
            "cause an object",
            with("cause", json!({"a": null})),
            (STOPPED, BEGAN, 1, ERROR, None, INPUT),
        ),
        (
            "cause deep",
            with("cause", deep()),
            (STOPPED, BEGAN, 1, ERROR, None, INPUT),
        ),
        (
            "input an object",
            with("input", Map::new()),
            (STOPPED, BEGAN, 1, ERROR, CAUSE, None),
        ),
        (
            "startDate negative",
            with("startDate", -5),
            (STOPPED, None, 1, ERROR, CAUSE, INPUT),
        ),
        (
            "startDate a text",
            with("startDate", "today"),
            (STOPPED, None, 1, ERROR, CAUSE, INPUT),
        ),
        ("name a number", with("name", 7), stopping(STOPPED, 1)),
        (
            "nested nulls",
            with("outputDetails", json!({"included": null})),
            stopping(STOPPED, 1),
        ),
        ("deep JSON beside it", beside, stopping(STOPPED, 1)),
        ("nothing but nulls", nulls, (SENT, None, 0, None, None, None)),
        ("no more than that", bare, (SENT, None, 0, None, None, None)),
    ];
    for (what, event, (stopped, started, redrive, error, cause, shown)) in cases {
        let read = Change::read(&event, NOW).unwrap_or_else(|error| panic!("{what}: {error}"));
        let Some(Change::Failed { end, input }) = read else {
            panic!("{what}: {read:?}");
        };
        assert_eq!((end.execution.as_str(), end.status), (RUN, Status::Failed), "{what}");
        assert_eq!(end.stopped.as_millis(), stopped, "{what}");
        assert_eq!(end.started.map(Timestamp::as_millis), started, "{what}");
        assert_eq!(end.redrive, redrive, "{what}");
        assert_eq!((end.error.as_deref(), end.cause.as_deref()), (error, cause), "{what}");
        assert_eq!(input.as_deref(), shown, "{what}");
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
