use super::*;

/// Built here, so that nobody's scanner takes the source for a leak.
fn task_token() -> String {
    let body =
        "GYZ83J8zGdl7Qgs8ce6YotnXrivuZegnBk22stlpw+s+XTHRHuK00ouUP/rihrqMlWPVVSOf57msrryj4IK38U54R/5+ig7tX4Leqd657Mryi";
    format!("AQCwAAAAKgAAAAMAAAAAAAAAA{body}=5tTf24YG344VeijchfL5SuTP+agqRNvWsbWTbfIr4QF4pw/7gMC/{body}")
}

#[test]
fn secrets_are_taken_out() {
    let token = task_token();
    let encoded = token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let akia = format!("AKIA{}", "IOSFODNN7EXAMPLE");
    let asia = format!("ASIA{}", "IOSFODNN7EXAMPLE");
    let jwt = format!(
        "eyJ{}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "hbGciOiJIUzI1NiJ9"
    );
    for (text, expected) in [
        // Task tokens, by their form alone: whole, cut off, encoded for a URL, escaped for JSON.
        (format!("callback for {token} failed"), "callback for [redacted] failed".to_owned()),
        (format!("callback for {} …", &token[..60]), "callback for [redacted] …".to_owned()),
        (format!("GET /done?t={encoded}&ok=1"), "GET /done?[redacted]&ok=1".to_owned()),
        (format!("GET /done/{encoded} 404"), "GET [redacted] 404".to_owned()),
        (format!("{{\\\"t\\\":\\\"{}\\\"}}", token.replace('=', "\\u003d")), "{\\\"t\\\":\\\"[redacted]\\\"}".to_owned()),
        (
            format!("The Parameters '{{\\\"taskToken.$\\\":\\\"{token}\\\",\\\"order\\\":{{\\\"id\\\":7}}}}' could not be used"),
            "The Parameters '{\\\"taskToken.$\\\":\\\"[redacted]\\\",\\\"order\\\":{\\\"id\\\":7}}' could not be used".to_owned(),
        ),
        // AWS keys.
        (format!("the key {akia} is unknown"), "the key [redacted] is unknown".to_owned()),
        (format!("AWS_ACCESS_KEY_ID={asia} AWS_REGION=eu-west-1"), "AWS_ACCESS_KEY_ID=[redacted] AWS_REGION=eu-west-1".to_owned()),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(), "aws_secret_access_key = [redacted]".into()),
        (r#"{"SecretAccessKey":"wJalr/K7\"x","Expiration":1}"#.into(), r#"{"SecretAccessKey":"[redacted]","Expiration":1}"#.into()),
        ("Secret Access Key: wJalrXUtnFEMI".into(), "Secret Access Key: [redacted]".into()),
        // By the name of the field.
        (r#"{"user":"bob","password": "hunter2" , "port":5432}"#.into(), r#"{"user":"bob","password": "[redacted]" , "port":5432}"#.into()),
        (r#"{"password":"ends with a \\","port":5432}"#.into(), r#"{"password":"[redacted]","port":5432}"#.into()),
        (r#"{"body":"{\"db_password\":\"a\\\"b\",\"port\":1}"}"#.into(), r#"{"body":"{\"db_password\":\"[redacted]\",\"port\":1}"}"#.into()),
        (r#"{"a":"{\"b\":\"{\\\"apiKey\\\":\\\"k1\\\",\\\"n\\\":2}\"}"}"#.into(), r#"{"a":"{\"b\":\"{\\\"apiKey\\\":\\\"[redacted]\\\",\\\"n\\\":2}\"}"}"#.into()),
        (r#"{"passwords":["a","b"],"n":2}"#.into(), r#"{"passwords":[redacted],"n":2}"#.into()),
        (r#"{"pin":1,"accessToken":123456}"#.into(), r#"{"pin":1,"accessToken":[redacted]}"#.into()),
        (r#"{"SecretString":"{\"username\":\"u\",\"password\":\"p\"}","Name":"db"}"#.into(), r#"{"SecretString":"[redacted]","Name":"db"}"#.into()),
        (r#"{"Name":"DB_PASSWORD","Value":"hunter2"},{"Name":"DB_HOST","Value":"db-1"}"#.into(), r#"{"Name":"DB_PASSWORD","Value":"[redacted]"},{"Name":"DB_HOST","Value":"db-1"}"#.into()),
        ("{'token': 'abc', 'n': 1}".into(), "{'token': '[redacted]', 'n': 1}".into()),
        ("Config{user=bob, password=hunter2, host=db}".into(), "Config{user=bob, password=[redacted], host=db}".into()),
        ("error:password=hunter2".into(), "error:password=[redacted]".into()),
        ("DB_PASSWORD_2=hunter2\nDB_HOST=db".into(), "DB_PASSWORD_2=[redacted]\nDB_HOST=db".into()),
        (":password => \"hunter2\"".into(), ":password => \"[redacted]\"".into()),
        (r#"cut off: {"password":"hunter"#.into(), r#"cut off: {"password":"[redacted]"#.into()),
        ("mysql --user bob --password hunter2 --host db".into(), "mysql --user bob --password [redacted] --host db".into()),
        (r#"["--api-key","k-1","--fast"]"#.into(), r#"["--api-key","[redacted]","--fast"]"#.into()),
        ("<db><password>hunter2</password></db>".into(), "<db><password>[redacted]</password></db>".into()),
        // Headers.
        ("Authorization: Basic dXNlcjpwYXNz\nHost: example.org".into(), "Authorization: [redacted]\nHost: example.org".into()),
        (r#"{"headers":{"authorization":"AWS4-HMAC-SHA256 Credential=x, Signature=y"}}"#.into(), r#"{"headers":{"authorization":"[redacted]"}}"#.into()),
        ("curl -H 'x-api-key: k1'".into(), "curl -H 'x-api-key: [redacted]'".into()),
        ("sent Bearer a1b2c3d4 to the gateway".into(), "sent Bearer [redacted] to the gateway".into()),
        (format!("the claim {jwt} has expired"), "the claim [redacted] has expired".to_owned()),
        // URLs.
        ("connect to postgres://app:s3cr3t@db.example.org:5432/orders failed".into(), "connect to postgres://app:[redacted]@db.example.org:5432/orders failed".into()),
        ("amqp://app:a/b@mq/vhost".into(), "amqp://app:[redacted]@mq/vhost".into()),
        ("redis://:p@ss@cache:6379".into(), "redis://:[redacted]@cache:6379".into()),
        (
            "https://b.s3.amazonaws.com/k.csv?X-Amz-Date=20260131T040012Z&X-Amz-Signature=ab12cd&X-Amz-Security-Token=IQoJb3&X-Amz-Expires=60".into(),
            "https://b.s3.amazonaws.com/k.csv?X-Amz-Date=20260131T040012Z&X-Amz-Signature=[redacted]&X-Amz-Security-Token=[redacted]&X-Amz-Expires=60".into(),
        ),
        ("https://hooks.slack.com/services/T0/B0/abc".into(), "https://hooks.slack.com/services/[redacted]".into()),
        // Keys.
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nthen".into(), "[redacted]\nthen".into()),
        (r#"{"k":"-----BEGIN PRIVATE KEY-----\nMIIE"#.into(), r#"{"k":"[redacted]"#.into()),
    ] {
        let safe = redact(&text);
        assert_eq!(safe, expected, "{text}");
        assert_eq!(redact(&safe), safe, "a second time");
    }
}

#[test]
fn what_leads_to_the_failure_stays() {
    let digest = "sha256:b042dec6c5477d7445a18338aeeca39cf50999a3c6df48a8c4e7dc4061ca7ebe";
    let sha512 = "b042dec6c5477d74".repeat(8);
    let key = "exports/Customer-Reports/year=2026/month=01/day=31/Region=EU-West/part-00000-0f3e8a52-93a1-4d5e-8b7a-1c2d3e4f5a6b-c000";
    let words = "TheQuickBrownFoxJumpsOverTheLazyDog".repeat(5);
    for text in [
        "arn:aws:states:eu-west-1:123456789012:execution:orders-nightly:2026-01-31T04-00-12_a1b2c3d4e5f6a7b8c9d0",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf is not there",
        r#"{"secret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"}"#,
        "arn:aws:lambda:eu-west-1:123456789012:function:rotate-token:PROD failed",
        "0f3e8a52-93a1-4d5e-8b7a-1c2d3e4f5a6b",
        digest,
        &format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@{digest}"),
        &sha512,
        key,
        &format!("s3://bucket/{key}.snappy.parquet"),
        &words,
        "Extended Request ID: wkVV9dhUl1oCbbJ8PWaZ0AeyqxGbJcbMN1TRgBkYTVRbwJqXhQfbXvBJr9q3mGDqcEXAMPLE1234=",
        "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:m:r",
        "http://host:8080/path?mail=a@b",
        "SyntaxError: Unexpected token < in JSON at position 0",
        "The security token included in the request is expired",
        "the bearer token was expired; use basic authentication",
        "The request signature we calculated does not match the signature you provided: check your key",
        "Unable to locate credentials: no provider found",
        r#"{"usage":{"max_tokens": 4096, "total_tokens":17}, "token": null, "hasPassword":false, "secrets":{"n":1}}"#,
        "PWD=/usr/src/app HOME=/root",
        r#"{"Name":"DB_HOST","Value":"db-1"}"#,
        r#"{"key":"reports/2026/01.csv","value":7}"#,
        "KeyError: 'customer'",
        "",
    ] {
        assert_eq!(redact(text), text);
    }
}

/// Nothing here may take time that grows faster than the text.
#[test]
fn a_quarter_of_a_megabyte_is_done_at_once() {
    const SIZE: usize = 256 * 1024;
    let began = started();
    for piece in [
        "a",
        "=",
        ":",
        "\\",
        "\"",
        "://a:",
        "@",
        "-",
        "password",
        "password=",
        "\"password\":\"",
        "\\\"token\\\":\\\"x\\\",",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "eyJhbGciOiJI.",
        "bearer ",
        "--password ",
        "<password>",
        "{\"name\":\"a\",\"value\":[",
        "é",
        "AKIAABCDEFGHIJKLMNOP ",
        "AAAAKgAAAA",
    ] {
        let text = piece.repeat(SIZE / piece.len());
        assert!(redact(&text).len() <= text.len() * 4);
    }
    assert!(
        began.elapsed() < std::time::Duration::from_mins(5),
        "{:?}",
        began.elapsed()
    );
}

#[allow(clippy::disallowed_methods, reason = "the test measures")]
fn started() -> std::time::Instant {
    std::time::Instant::now()
}
