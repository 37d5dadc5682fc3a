//! The adapter to CloudWatch Logs: what it asks for, and what it makes of every answer.

#[path = "../../../shared/tests/wire/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "other adapters need more of it")]
mod wire;

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use ecs_settle::logs::{CloudWatchLogs, LOOKED_BACK, Logs};
use serde_json::{Value, json};
use signalbox::aws::CallError;
use signalbox::ecs::plan::LogStream;

use wire::{Answer, TOLD, Wire, denied, error, ok};

const TASK: &str = "arn:aws:ecs:us-east-1:123456789012:task/main/0123";

fn stream() -> LogStream {
    LogStream {
        group: "/ecs/etl".to_owned(),
        prefix: "etl".to_owned(),
        container: "app".to_owned(),
        // That of the clients of tests.
        region: "us-east-1".to_owned(),
    }
}

/// A page with these messages, the latest last, and the token of the page before it.
fn page(messages: &[&str], back: &str) -> Answer {
    let events: Vec<Value> = messages
        .iter()
        .map(|message| json!({"timestamp": 1, "message": message}))
        .collect();
    ok(&json!({"events": events, "nextBackwardToken": back, "nextForwardToken": "f/1"}))
}

fn logs(answers: Vec<Answer>) -> (CloudWatchLogs, Wire) {
    let wire = Wire::with(answers);
    let client = wire::client!(aws_sdk_cloudwatchlogs, wire);
    (CloudWatchLogs { client }, wire)
}

async fn result(answers: Vec<Answer>) -> (Result<Option<String>, CallError>, Wire) {
    let (logs, wire) = logs(answers);
    (logs.result(&stream(), TASK).await, wire)
}

async fn last(most: usize, answers: Vec<Answer>) -> (Result<Vec<String>, CallError>, Wire) {
    let (logs, wire) = logs(answers);
    (logs.last_lines(&stream(), TASK, most).await, wire)
}

#[tokio::test]
async fn the_stream_is_read_back_from_its_end() {
    let (found, wire) = result(vec![page(&["c"], "b/1"), page(&["::result 1", "b"], "b/2")]).await;
    assert_eq!(found, Ok(Some("1".to_owned())));
    let asked = |token: Option<&str>, limit: i32| {
        let mut body = json!({
            "logGroupName": "/ecs/etl", "logStreamName": "etl/app/0123", "startFromHead": false, "limit": limit,
        });
        if let Some(token) = token {
            body["nextToken"] = json!(token);
        }
        ("Logs_20140328.GetLogEvents".to_owned(), body)
    };
    assert_eq!(wire.sent(), [asked(None, 100), asked(Some("b/1"), 10_000)]);
}

/// The last line that begins with the marker.
#[tokio::test]
async fn a_result_is_the_last_line_with_the_marker() {
    for (messages, expected) in [
        (&["::result 1", "::result {\"a\": 2}", "done"][..], Some("{\"a\": 2}")),
        (&["x ::result 1", " ::result 2", "::RESULT 3", "::result"], None),
        // Several lines in one event; the end of a line as Windows writes it.
        (&["::result 1\nmore", "a\n::result 2\r\n::result 3\r\nb"], Some("3")),
        (&["::result "], Some("")),
        (&[], None),
    ] {
        let (found, _) = result(vec![page(messages, "b/1"), page(&[], "b/1")]).await;
        assert_eq!(found, Ok(expected.map(str::to_owned)), "{messages:?}");
    }
}

#[tokio::test]
async fn an_empty_page_is_not_the_end_and_the_same_token_is() {
    let (found, wire) = result(vec![page(&[], "b/1"), page(&[], "b/2"), page(&["::result 1"], "b/3")]).await;
    assert_eq!((found, wire.attempts()), (Ok(Some("1".to_owned())), 3));

    let (found, wire) = result(vec![page(&["a"], "b/1"), page(&["b"], "b/2"), page(&[], "b/2")]).await;
    assert_eq!((found, wire.attempts()), (Ok(None), 3));

    let none = ok(&json!({"events": []}));
    let (found, wire) = result(vec![none]).await;
    assert_eq!((found, wire.attempts()), (Ok(None), 1));
}

#[tokio::test]
async fn one_look_has_an_end() {
    let lines = vec!["x"; 5_000];
    let marked = |at: usize| {
        let mut lines = lines.clone();
        lines[at] = "::result 1";
        lines
    };
    // The 10,000th line from the end is looked at, the one before it is not.
    assert_eq!(LOOKED_BACK, 10_000);
    for (at, expected) in [(0, Ok(Some("1".to_owned()))), (4_999, Ok(Some("1".to_owned())))] {
        let pages = vec![page(&lines, "b/1"), page(&marked(at), "b/2")];
        assert_eq!(result(pages).await.0, expected);
    }
    let pages = vec![page(&lines, "b/1"), page(&lines, "b/2"), page(&["::result 1"], "b/3")];
    let (found, wire) = result(pages).await;
    assert_eq!((found, wire.attempts()), (Ok(None), 2));

    // Nor do empty pages go on for ever.
    let pages = (0..99).map(|number| page(&[], &format!("b/{number}"))).collect();
    let (found, wire) = result(pages).await;
    assert_eq!((found, wire.attempts()), (Ok(None), 40));
}

#[tokio::test]
async fn the_last_lines_are_in_their_order() {
    let pages = || {
        vec![
            page(&["c\nd", "e", " "], "b/1"),
            page(&["a", "b"], "b/2"),
            page(&[], "b/2"),
        ]
    };
    for (most, expected, attempts) in [
        (1, &["e"][..], 1),
        (2, &["d", "e"], 1),
        (3, &["c", "d", "e"], 1),
        (4, &["b", "c", "d", "e"], 2),
        (9, &["a", "b", "c", "d", "e"], 3),
    ] {
        let (found, wire) = last(most, pages()).await;
        assert_eq!(
            found,
            Ok(expected.iter().map(|line| (*line).to_owned()).collect()),
            "{most}"
        );
        assert_eq!(wire.attempts(), attempts, "{most}");
        assert_eq!(wire.sent()[0].1["limit"], json!(most));
    }
}

/// The group, or the stream: it has none until the container's first line arrives.
#[tokio::test]
async fn a_stream_that_is_not_there_has_no_lines() {
    let missing = || vec![error("ResourceNotFoundException")];
    assert_eq!(result(missing()).await.0, Ok(None));
    assert_eq!(last(10, missing()).await.0, Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_is_an_error() {
    for code in ["InvalidParameterException", "SomethingNew"] {
        let (found, wire) = result(vec![error(code)]).await;
        let failed = found.unwrap_err();
        assert_eq!(failed.to_string(), format!("logs:GetLogEvents failed: {code}: {TOLD}"));
        assert_eq!(wire.attempts(), 1);
    }
    assert!(result(vec![denied()]).await.0.unwrap_err().is_access_denied());
    assert!(last(10, vec![denied()]).await.0.unwrap_err().is_access_denied());
    let throttled = vec![error("ThrottlingException"); 4];
    assert!(result(throttled).await.0.unwrap_err().is_throttling());
    // A page that fails later is an error too, and no end.
    let (found, _) = last(10, vec![page(&["a"], "b/1"), error("InvalidParameterException")]).await;
    assert_eq!(found.unwrap_err().code.as_deref(), Some("InvalidParameterException"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_lost_is_made_again() {
    let (found, wire) = result(vec![Answer::Lost, Answer::Silence, page(&["::result 1"], "b/1")]).await;
    assert_eq!((found, wire.attempts()), (Ok(Some("1".to_owned())), 3));
}

/// Answers with an empty page, and remembers where it was asked.
#[derive(Debug, Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Asked {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.lock().expect("no test panicked").push(request.uri().to_owned());
        let body = SdkBody::from(r#"{"events": []}"#);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().expect("an HTTP status"), body)))
    }
}

/// The log driver writes where its `awslogs-region` says.
#[tokio::test]
async fn a_stream_of_another_region_is_read_there() {
    for (region, host) in [
        ("us-east-1", "us-east-1"),
        ("eu-west-1", "eu-west-1"),
        ("", "us-east-1"),
    ] {
        let asked = Asked::default();
        let connector = SharedHttpConnector::new(asked.clone());
        let config = aws_sdk_cloudwatchlogs::Config::builder()
            .with_test_defaults_v2()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        let logs = CloudWatchLogs {
            client: aws_sdk_cloudwatchlogs::Client::from_conf(config),
        };
        let at = LogStream {
            region: region.to_owned(),
            ..stream()
        };
        assert_eq!(logs.result(&at, TASK).await, Ok(None));
        let asked = asked.0.lock().unwrap().clone();
        assert_eq!(asked, [format!("https://logs.{host}.amazonaws.com/")]);
    }
}
