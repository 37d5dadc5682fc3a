use super::*;

fn machine(name: &str) -> StateMachineArn {
    StateMachineArn::parse(&format!("arn:aws:states:eu-west-1:123456789012:stateMachine:{name}")).unwrap()
}

#[test]
fn what_differs_by_ids_alone_is_one_kind() {
    for (error, one, other) in [
        ("E", "order 4711 is unknown", "order 4712 is unknown"),
        ("E", "order-4711 is unknown", "order-99 is unknown"),
        ("E", "order4711 is unknown", "order99 is unknown"),
        ("E", "job a8f3k2x9 failed", "job 77bq0z1c failed"),
        ("E", "took 312 ms", "took 4 ms"),
        ("E", "took 312ms", "took 4ms"),
        (
            "E",
            "no item 0f3e8a52-93a1-4d5e-8b7a-1c2d3e4f5a6b",
            "no item 11111111-93A1-4d5e-8b7a-1c2d3e4f5a6b",
        ),
        ("E", "at 2026-01-31T04:00:12.345Z it broke", "at 2025-12-01 it broke"),
        ("E", "at 2026-01-31 04:00:12 UTC", "at 2026-02-28T23:59:00+01:00"),
        (
            "E",
            "connect to 10.0.3.17:5432 refused",
            "connect to 10.0.4.2:5432 refused",
        ),
        (
            "E",
            "no access to arn:aws:s3:::bucket/a/1",
            "no access to arn:aws:s3:::bucket/b/c/d",
        ),
        ("E", "cannot read s3://in/2026/01/a.csv", "cannot read s3://in/b.csv"),
        (
            "E",
            "GET https://api.example.org/orders/ab failed",
            "GET https://api.example.org/users/x?y=z failed",
        ),
        ("E", "object at 0x7f3a2b failed", "object at 0x55d001 failed"),
        ("E", "java.lang.Object@1a2b3c", "java.lang.Object@99aabb"),
        ("E", "a  b", "a b"),
        (
            "S3.NoSuchKeyException",
            "No key (Service: S3, Status Code: 404, Request ID: 6ZQ9K2V0X1Y3)",
            "No key (Service: S3, Status Code: 404, Request ID: A1B2C3D4E5F6)",
        ),
        (
            "E",
            r#"{"errorType":"E","errorMessage":"order 1","stackTrace":["at a:1"]}"#,
            r#"{"errorMessage":"order 2","errorType":"E","stackTrace":["at b:2"]}"#,
        ),
        ("E", "first line\nsecond", "first line\nother"),
        (
            "States.Runtime",
            "An error occurred while executing the state 'A' (entered at the event id #12). No.",
            "An error occurred while executing the state 'A' (entered at the event id #7). No.",
        ),
        (
            "States.TaskFailed",
            r#"{"Containers":[{"Name":"app","ExitCode":137}],"TaskArn":"arn:aws:ecs:eu-west-1:1:task/a"}"#,
            r#"{"Containers":[{"Name":"app","ExitCode":137}],"TaskArn":"arn:aws:ecs:eu-west-1:1:task/b"}"#,
        ),
    ] {
        let of = |cause| key(&machine("m"), Some("S"), Some(error), Some(cause));
        let (one_line, other_line) = (normalise(Some(error), Some(one)), normalise(Some(error), Some(other)));
        assert_eq!(one_line, other_line, "{one}\n{other}");
        assert_eq!(of(one), of(other));
    }
    assert_eq!(
        normalise(Some("Order4711Failed"), None),
        normalise(Some("Order4712Failed"), None)
    );
}

#[test]
fn what_differs_in_kind_is_not() {
    let failure = |error: &'static str, cause: &'static str| (Some(error), Some(cause));
    for (one, other) in [
        (failure("E", "x"), failure("F", "x")),
        (failure("E", "x"), (None, Some("x"))),
        (failure("E", ""), (None, None)),
        (failure("E", "KeyError: 'customer'"), failure("E", "KeyError: 'amount'")),
        (
            failure("States.Http.StatusCode.404", ""),
            failure("States.Http.StatusCode.503", ""),
        ),
        (failure("E", "status code: 404"), failure("E", "status code: 503")),
        (failure("E", "answered 404"), failure("E", "answered 503")),
        (
            failure("E", r#"{"Containers":[{"Name":"app","ExitCode":137}]}"#),
            failure("E", r#"{"Containers":[{"Name":"app","ExitCode":1}]}"#),
        ),
        (
            failure("E", "GET https://api.example.org/a failed"),
            failure("E", "GET https://pay.example.org/a failed"),
        ),
        (
            failure("States.TaskFailed", r#"{"errorType":"A","errorMessage":"x"}"#),
            failure("States.TaskFailed", r#"{"errorType":"B","errorMessage":"x"}"#),
        ),
        (
            failure("E", "no access to arn:aws:s3:::b"),
            failure("E", "no access to arn:aws:sqs:eu-west-1:1:b"),
        ),
    ] {
        assert_ne!(
            normalise(one.0, one.1),
            normalise(other.0, other.1),
            "{one:?} {other:?}"
        );
    }
    let of = |name, state| key(&machine(name), state, Some("E"), Some("x"));
    let keys = [
        of("m", Some("S")),
        of("m", Some("T")),
        of("m", None),
        of("n", Some("S")),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[at + 1..].contains(key), "{keys:?}");
    }
}

#[test]
fn a_key_is_the_same_in_every_version() {
    let mut hash = Fnv::default();
    assert_eq!(
        hash.digits(),
        "6c62272e07bb014262b821756295c58d",
        "the published value of nothing"
    );
    hash.bytes(b"a");
    assert_eq!(
        hash.digits(),
        "d228cb696f1a8caf78912b704e4a8964",
        "the published value of \"a\""
    );
    assert_eq!(
        normalise(
            Some("PaymentError"),
            Some(r#"{"errorType":"PaymentError","errorMessage":"order 4711: answered 503"}"#)
        ),
        "PaymentError: order #: answered 503"
    );
    // Open groups are found by it: a change splits every group that is open.
    assert_eq!(
        key(
            &machine("orders-nightly"),
            Some("Charge"),
            Some("PaymentError"),
            Some("order 4711")
        ),
        "7eb2467c3df7f2df4374fb06cb579188"
    );
}

#[test]
fn secrets_are_not_part_of_it() {
    let text = normalise(Some("E"), Some("postgres://app:hunter@db/x refused, password=hunter"));
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn long_causes_are_cut() {
    let long = "word ".repeat(10_000);
    assert!(normalise(Some("E"), Some(&long)).len() < 500);
}
