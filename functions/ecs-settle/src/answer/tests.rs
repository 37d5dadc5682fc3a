use std::collections::BTreeMap;

use serde_json::json;
use signalbox::ecs::plan::{Launch, Overrides};

use super::*;

const TASK: &str = "arn:aws:ecs:eu-west-1:123456789012:task/main/0123";
const URL: &str = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/\
                   $252Fecs$252Fetl/log-events/etl$252Fapp$252F0123";

fn plan(result: ResultFrom) -> Plan {
    Plan {
        cluster: "main".to_owned(),
        task_definition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/etl:7".to_owned(),
        container: "app".to_owned(),
        launch: Launch::Cluster,
        network: None,
        overrides: Overrides::default(),
        platform_version: None,
        group: None,
        enable_execute_command: false,
        tags: BTreeMap::new(),
        result,
        result_key: (result == ResultFrom::S3).then(|| "results/a.json".to_owned()),
        upload: None,
        on_exit: BTreeMap::new(),
        logs: Some(LogStream {
            group: "/ecs/etl".to_owned(),
            prefix: "etl".to_owned(),
            container: "app".to_owned(),
            region: "eu-west-1".to_owned(),
        }),
    }
}

fn task() -> Task {
    let at = |millis: i64| Some(Timestamp::from_millis(1_769_832_012_000 + millis));
    Task {
        task_arn: TASK.to_owned(),
        started_at: at(345),
        execution_stopped_at: at(60_345),
        stopped_at: at(75_000),
        ..Task::default()
    }
}

fn failure() -> Failure {
    Failure {
        name: "Ecs.Interrupted".to_owned(),
        sentence: "It was interrupted.".to_owned(),
        advice: "Retry it.".to_owned(),
        exit_code: Some(0),
    }
}

fn value(json: &str) -> Found {
    Json::read(json.as_bytes()).map_or_else(Found::Invalid, Found::Value)
}

fn denied(why: &str) -> CallError {
    let mut error = CallError::malformed("s3:GetObject", format!("AccessDenied: {why}"));
    error.code = Some("AccessDenied".to_owned());
    error
}

fn told(result: ResultFrom, expects: Expects, found: Found) -> Result<String, Failure> {
    answer(&task(), &plan(result), "bucket", 0, expects, found)
}

#[test]
fn the_output_is_what_the_documentation_says() {
    let output = told(ResultFrom::S3, Expects::Required, value(r#"{"rows": 3}"#)).unwrap();
    let expected = json!({
        "result": {"rows": 3},
        "exitCode": 0,
        "taskArn": TASK,
        "startedAt": "2026-01-31T04:00:12.345Z",
        "stoppedAt": "2026-01-31T04:01:12.345Z",
        "durationMs": 60_000,
        "logs": {"group": "/ecs/etl", "stream": "etl/app/0123", "url": URL},
    });
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap(), expected);
}

#[test]
fn what_is_not_known_is_left_out() {
    let (mut plan, bare) = (
        plan(ResultFrom::None),
        Task {
            task_arn: TASK.to_owned(),
            ..Task::default()
        },
    );
    plan.logs = None;
    let output = answer(&bare, &plan, "bucket", 7, Expects::Optional, Found::Nothing).unwrap();
    assert_eq!(output, format!(r#"{{"result":null,"exitCode":7,"taskArn":"{TASK}"}}"#));
}

/// Numbers that no machine has room for, the order of fields, and whatever is in texts.
#[test]
fn a_result_is_handed_over_as_it_was_written_without_white_space() {
    for (written, handed_over) in [
        ("12345678901234567890123456789", "12345678901234567890123456789"),
        ("1.10", "1.10"),
        (" {\n\t\"b\" : 1 ,\r\n \"a\" : [ 1, 2 ] }\n", r#"{"b":1,"a":[1,2]}"#),
        (r#" "a \" b \\" "#, r#""a \" b \\""#),
        (
            r#"{"a \\": " }{ ", "\\\"": "ü \u00fc"}"#,
            r#"{"a \\":" }{ ","\\\"":"ü \u00fc"}"#,
        ),
        ("null", "null"),
    ] {
        let output = told(ResultFrom::Log, Expects::Required, value(written)).unwrap();
        let start = format!(r#"{{"result":{handed_over},"exitCode":0,"#);
        assert!(output.starts_with(&start), "{output}");
    }
}

/// What of what was found, where what was expected: the output's result, or the error.
#[test]
fn each_finding_has_its_answer() {
    let table = "
channel | found      | required             | optional             | decides
s3      | value      | 1                    | 1                    | 1
s3      | large      | ref                  | ref                  | ref
s3      | missing    | Ecs.ResultMissing    | null                 | Ecs.Interrupted
s3      | invalid    | Ecs.ResultInvalid    | Ecs.ResultInvalid    | Ecs.Interrupted
s3      | unreadable | Ecs.ResultUnreadable | Ecs.ResultUnreadable | Ecs.Interrupted
s3      | nothing    | Ecs.ResultMissing    | null                 | Ecs.Interrupted
log     | value      | 1                    | 1                    | 1
log     | missing    | Ecs.ResultMissing    | null                 | Ecs.Interrupted
log     | invalid    | Ecs.ResultInvalid    | Ecs.ResultInvalid    | Ecs.Interrupted
log     | unreadable | Ecs.ResultUnreadable | Ecs.ResultUnreadable | Ecs.Interrupted
token   | missing    | Ecs.ResultMissing    | null                 | Ecs.Interrupted
none    | nothing    | null                 | null                 | null
";
    for row in table.trim().lines().skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let channel = match cells[0] {
            "s3" => ResultFrom::S3,
            "log" => ResultFrom::Log,
            "token" => ResultFrom::Token,
            _ => ResultFrom::None,
        };
        let found = || match cells[1] {
            "value" => value("1"),
            "large" => Found::TooLarge { bytes: 300_000 },
            "missing" => Found::Missing,
            "invalid" => value("{"),
            "unreadable" => Found::Unreadable(denied("not authorized")),
            _ => Found::Nothing,
        };
        let expects = [Expects::Required, Expects::Optional, Expects::Decides(failure())];
        for (expects, expected) in expects.into_iter().zip(&cells[2..]) {
            let answered = match told(channel, expects.clone(), found()) {
                Ok(output) => {
                    let output: Value = serde_json::from_str(&output).unwrap();
                    match &output["resultRef"] {
                        Value::Null => output["result"].to_string(),
                        place => {
                            assert_eq!(output["result"], Value::Null);
                            let uri = "s3://bucket/results/a.json";
                            let expected =
                                json!({"bucket": "bucket", "key": "results/a.json", "uri": uri, "bytes": 300_000});
                            assert_eq!(*place, expected);
                            "ref".to_owned()
                        }
                    }
                }
                Err(failure) => failure.name,
            };
            assert_eq!(answered, *expected, "{row} {expects:?}");
        }
    }
}

#[test]
fn a_failure_says_what_was_looked_for_and_what_was_found() {
    for (channel, found, sentence) in [
        (
            ResultFrom::S3,
            Found::Missing,
            "The container app of etl:7 exited with 0 and left no result: there is no object s3://bucket/results/a.json.",
        ),
        (
            ResultFrom::Log,
            Found::Missing,
            "The container app of etl:7 exited with 0 and left no result: none of the last 10000 lines of its log stream \
             begins with \"::result \".",
        ),
        (
            ResultFrom::Token,
            Found::Missing,
            "The container app of etl:7 exited with 0 and did not answer its task token.",
        ),
        (
            ResultFrom::S3,
            value(""),
            "The container app of etl:7 exited with 0 and left a result that is no JSON: it is empty \
             (s3://bucket/results/a.json).",
        ),
        (
            ResultFrom::S3,
            Found::Unreadable(denied("not authorized.")),
            "The container app of etl:7 exited with 0 and its result cannot be read: s3:GetObject failed: AccessDenied: \
             not authorized (s3://bucket/results/a.json).",
        ),
    ] {
        let failure = told(channel, Expects::Required, found).unwrap_err();
        assert_eq!((failure.sentence.as_str(), failure.exit_code), (sentence, Some(0)));
        assert!(failure.advice.ends_with('.'), "{}", failure.advice);
    }
    let doubtful = told(ResultFrom::S3, Expects::Decides(failure()), value("[")).unwrap_err();
    assert!(
        doubtful
            .sentence
            .starts_with("It was interrupted. What it left is no JSON: EOF"),
        "{doubtful}"
    );
}

#[test]
fn what_cannot_be_read_is_told_with_what_is_needed() {
    for (channel, needs) in [
        (ResultFrom::S3, "s3:GetObject on results/*"),
        (ResultFrom::Log, "logs:GetLogEvents on the log group"),
    ] {
        // However much a service has to say.
        let found = Found::Unreadable(denied(&"x".repeat(100_000)));
        let failure = told(channel, Expects::Required, found).unwrap_err();
        assert!(failure.advice.contains(needs), "{}", failure.advice);
        assert!(failure.sentence.contains("AccessDenied: xxx"), "{}", failure.sentence);
        let cause = cause(&failure, &task(), &plan(channel), &[]);
        assert!(cause.contains(&failure.advice) && cause.contains(URL), "{cause}");
    }
    let found = Found::Unreadable(denied("not authorized"));
    let doubtful = told(ResultFrom::S3, Expects::Decides(failure()), found).unwrap_err();
    let sentence = "It was interrupted. Its result cannot be read: s3:GetObject failed: AccessDenied: not authorized.";
    assert_eq!(
        (doubtful.sentence.as_str(), doubtful.advice.as_str()),
        (sentence, "Retry it.")
    );
}

#[test]
fn what_is_no_json_is_told_by_what_it_is() {
    for (bytes, says) in [
        (&b""[..], "it is empty"),
        (b" \n", "it is empty"),
        (
            b"\xEF\xBB\xBF{}",
            "it begins with a byte order mark (BOM), which JSON has not",
        ),
        (b"\xFF\xFE{\0", "it is UTF-16; JSON is UTF-8"),
        (b"\xFE\xFF\0{", "it is UTF-16; JSON is UTF-8"),
        (b"\x1F\x8B\x08", "it is compressed (gzip)"),
        (b"{\"a\": \"\xE9\"}", "it is not UTF-8: byte 8 is none of a character's"),
        (b"\n<html><body>", "it is HTML or XML; it begins with \"<html><body>\""),
        (b"done", "expected value in line 1, column 1; it begins with \"done\""),
        (
            b"{\"a\": 1,\n \"b\": }",
            "expected value in line 2, column 7; it begins with \"{\\\"a\\\": 1,\\n \\\"b\\\": }\"",
        ),
        (
            b"{}\n{}",
            "trailing characters in line 2, column 1; it begins with \"{}\\n{}\"",
        ),
        (
            b"{\"a\"",
            "EOF while parsing an object in line 1, column 4; it begins with \"{\\\"a\\\"\"",
        ),
        (b"NaN", "expected value in line 1, column 1; it begins with \"NaN\""),
        (
            b"\"\\ud800\"",
            "unexpected end of hex escape in line 1, column 8; it begins with \"\\\"\\\\ud800\\\"\"",
        ),
    ] {
        assert_eq!(Json::read(bytes).unwrap_err(), says);
    }
    let long = Json::read("é".repeat(SHOWN_CHARS + 1).as_bytes()).unwrap_err();
    assert!(long.ends_with(&format!("\"{}\"…", "é".repeat(SHOWN_CHARS))), "{long}");
}

/// The quota is of the whole output, in bytes.
#[test]
fn a_result_that_does_not_fit_stays_in_s3_and_fails_from_the_log() {
    let empty = told(ResultFrom::S3, Expects::Required, value("\"\"")).unwrap().len();
    let of = |length: usize| {
        let text = "é".repeat(length / 2) + if length % 2 == 1 { "x" } else { "" };
        format!("  {}", json!(text))
    };
    let fits = told(ResultFrom::S3, Expects::Required, value(&of(OUTPUT_BYTES - empty))).unwrap();
    assert_eq!(fits.len(), OUTPUT_BYTES);

    let written = of(OUTPUT_BYTES - empty + 1);
    let output = told(ResultFrom::S3, Expects::Required, value(&written)).unwrap();
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(output["result"], Value::Null);
    assert_eq!(output["resultRef"]["bytes"], json!(written.len()));

    let failure = told(ResultFrom::Log, Expects::Required, value(&written)).unwrap_err();
    assert_eq!(failure.name, "Ecs.ResultInvalid");
    assert!(
        failure.sentence.contains(&format!("{} bytes", written.len())),
        "{failure}"
    );
}

fn lines(count: usize, line: &str) -> Vec<String> {
    (0..count).map(|number| format!("{number} {line}")).collect()
}

#[test]
fn a_cause_is_what_happened_what_to_do_the_last_lines_and_where_the_others_are() {
    let log = ["", "  one", "\u{1b}[31mtwo\u{1b}[0m\r\n", " \t ", "three"].map(str::to_owned);
    assert_eq!(
        cause(&failure(), &task(), &plan(ResultFrom::S3), &log),
        format!("It was interrupted. Retry it.\n\nIts last lines:\n  one\ntwo\nthree\n\nIts log: {URL}")
    );
    let text = cause(&failure(), &task(), &plan(ResultFrom::S3), &lines(12, "x"));
    assert!(
        text.contains("Its last lines:\n2 x\n") && text.contains("\n11 x\n"),
        "{text}"
    );

    let mut plan = plan(ResultFrom::S3);
    assert_eq!(
        cause(&failure(), &task(), &plan, &[]),
        format!("It was interrupted. Retry it.\n\nIts log: {URL}")
    );
    // It was never started.
    assert_eq!(
        cause(&failure(), &Task::default(), &plan, &[]),
        "It was interrupted. Retry it."
    );
    plan.logs = None;
    assert_eq!(cause(&failure(), &task(), &plan, &[]), "It was interrupted. Retry it.");
}

#[test]
fn long_lines_are_cut_in_their_middle_and_short_ones_are_not() {
    let mut log = lines(8, "short");
    log.push(format!("begin {} end", "é".repeat(CAUSE_CHARS)));
    log.push(format!("head {} tail", "x".repeat(CAUSE_CHARS)));
    let text = cause(&failure(), &task(), &plan(ResultFrom::S3), &log);
    assert!(
        text.len() <= CAUSE_CHARS && text.len() > CAUSE_CHARS - 20,
        "{}",
        text.len()
    );
    for part in [
        "It was interrupted. Retry it.\n",
        "\n0 short\n",
        "\n7 short\n",
        "\nbegin éé",
        "éé … éé",
        "éé end\n",
        "\nhead xx",
        "xx … xx",
        "xx tail\n",
        URL,
    ] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn whatever_there_is_a_cause_has_its_length() {
    for sentence in [1, 1_000, 20_000, CAUSE_CHARS - 500, CAUSE_CHARS, CAUSE_CHARS * 2] {
        for unit in ["x", "é", "支", "🦀"] {
            for length in [0, 1, 100, 10_000, 40_000] {
                let mut failure = failure();
                failure.sentence = unit.repeat(sentence / unit.len());
                let log = lines(11, &unit.repeat(length / unit.len()));
                let text = cause(&failure, &task(), &plan(ResultFrom::S3), &log);
                assert!(text.len() <= CAUSE_CHARS, "{}", text.len());
                assert!(text.ends_with(URL));
                let whole = text.starts_with(&failure.to_string());
                assert_eq!(whole, sentence < CAUSE_CHARS - 300, "{sentence} {unit} {length}");
            }
        }
    }
}

#[test]
fn a_line_is_what_a_terminal_would_show_of_it() {
    for (line, shown) in [
        ("plain", "plain"),
        ("\u{1b}[1;31mred\u{1b}[0m and \u{1b}[Kcleared", "red and cleared"),
        ("\u{9b}31mred", "red"),
        ("\u{1b}]0;title\u{7}after", "after"),
        ("\u{1b}]8;;https://a.example\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
        ("\u{1b}(Bcharset", "charset"),
        ("\u{1b}7saved\u{1b}8", "saved"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("100 %\r", "100 %"),
        ("a\tb", "a b"),
        ("bell\u{7} null\0 delete\u{7f}", "bell null delete"),
        ("cut \u{1b}[3", "cut"),
        ("cut \u{1b}", "cut"),
        ("cut \u{1b}]0;tit", "cut"),
        ("  indented  ", "  indented"),
        ("ünïcödé 🦀", "ünïcödé 🦀"),
        ("\r\n", ""),
    ] {
        assert_eq!(clean(line), shown, "{line:?}");
    }
}
