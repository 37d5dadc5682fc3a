//! Clones that are deleted: their histories, and the bucket that these go into.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use resume::sweep::{Archive, Machines};
use serde_json::{Value, json};
use signalbox::clock::Timestamp;

use crate::wire::{Wire, client, error, ok};
use crate::{execution, machine};

const CLONE: &str = "orders--r-0123456789ab";

/// S3's end of the wire: what was put there.
#[derive(Debug, Clone)]
struct Bucket {
    status: u16,
    put: Arc<Mutex<Vec<(String, String)>>>,
}

impl HttpConnector for Bucket {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let path = request.uri().split('?').next().unwrap_or_default();
        let key = path.splitn(4, '/').nth(3).unwrap_or_default();
        let body = String::from_utf8(request.body().bytes().expect("a body").to_vec()).expect("text");
        self.put
            .lock()
            .expect("no test panicked")
            .push((format!("{} {key}", request.method()), body));
        let status = self.status.try_into().expect("an HTTP status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::empty())))
    }
}

fn archive(wire: &Wire, status: u16) -> (Archive, Bucket) {
    let bucket = Bucket {
        status,
        put: Arc::default(),
    };
    let connector = SharedHttpConnector::new(bucket.clone());
    let config = aws_sdk_s3::Config::builder()
        .with_test_defaults_v2()
        .force_path_style(false)
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let s3 = aws_sdk_s3::Client::from_conf(config);
    (
        Archive::new(client!(aws_sdk_sfn, wire), s3, "histories".to_owned()),
        bucket,
    )
}

fn put(bucket: &Bucket) -> Vec<(String, String)> {
    bucket.put.lock().expect("no test panicked").clone()
}

#[tokio::test]
async fn a_history_is_archived_as_it_was_answered_page_by_page() {
    // What this version's SDK knows nothing of is kept, too.
    let event =
        |id: u32| json!({"id": id, "type": "SomethingNew", "timestamp": 1_769_832_000.123, "detailsOfIt": {"x": -0.0}});
    let described = json!({"executionArn": execution(&format!("{CLONE}:run-1")).as_str(), "stateMachineArn": machine(CLONE).as_str(),
        "status": "FAILED", "startDate": 1, "somethingNew": [1]});
    let wire = Wire::with([
        ok(&json!({"events": [event(1), event(2)], "nextToken": "more"})),
        ok(&json!({"events": [event(3)]})),
        ok(&described),
    ]);
    let (archive, bucket) = archive(&wire, 200);
    archive
        .archive_run(&execution(&format!("{CLONE}:run-1")))
        .await
        .unwrap();
    let found = put(&bucket);
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    let folder = format!("PUT {CLONE}/run-1");
    assert_eq!(
        keys,
        [
            format!("{folder}/events-000.jsonl"),
            format!("{folder}/events-001.jsonl"),
            format!("{folder}/execution.json")
        ]
    );
    let lines = |text: &str| {
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect::<Vec<Value>>()
    };
    assert_eq!(lines(&found[0].1), [event(1), event(2)]);
    assert!(found[0].1.contains("\"x\":-0.0") && found[0].1.ends_with('\n'));
    assert_eq!(lines(&found[1].1), [event(3)]);
    assert_eq!(lines(&found[2].1), [described]);
    let sent = wire.sent();
    assert_eq!(sent[0].1["includeExecutionData"], true);
    assert_eq!(sent[1].1["nextToken"], "more");
}

#[tokio::test]
async fn the_machine_is_archived_too() {
    let described = json!({"stateMachineArn": machine(CLONE).as_str(), "name": CLONE, "definition": "{}", "roleArn": "r",
        "type": "STANDARD", "creationDate": 1});
    let (archive, bucket) = archive(&Wire::with([ok(&described)]), 200);
    archive.archive(&machine(CLONE)).await.unwrap();
    let [(key, body)] = <[_; 1]>::try_from(put(&bucket)).expect("one object");
    assert_eq!(key, format!("PUT {CLONE}/state-machine.json"));
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), described);
}

#[tokio::test]
async fn what_is_not_archived_is_an_error() {
    let run = execution(&format!("{CLONE}:run-1"));
    let (denied, _) = archive(&Wire::with([error("KmsAccessDeniedException")]), 200);
    assert_eq!(
        denied.archive_run(&run).await.unwrap_err().api,
        "states:GetExecutionHistory"
    );
    let (full, _) = archive(&Wire::with([ok(&json!({"events": []}))]), 403);
    assert_eq!(full.archive_run(&run).await.unwrap_err().api, "s3:PutObject");
}

#[tokio::test]
async fn the_runs_of_a_clone_are_listed_with_their_latest_change() {
    let run = |name: &str, status: &str, more: Value| {
        let mut run = json!({"executionArn": execution(&format!("{CLONE}:{name}")).as_str(), "stateMachineArn": machine(CLONE).as_str(),
            "name": name, "status": status, "startDate": 10});
        for (name, value) in more.as_object().expect("an object") {
            run[name] = value.clone();
        }
        run
    };
    let pages = [
        ok(
            &json!({"executions": [run("a", "RUNNING", json!({})), run("b", "FAILED", json!({"stopDate": 20}))], "nextToken": "more"}),
        ),
        ok(&json!({"executions": [
            run("c", "PENDING_REDRIVE", json!({"stopDate": 20})),
            run("d", "SUCCEEDED", json!({"redriveDate": 30, "stopDate": 25})),
            run("e", "SOMETHING_NEW", json!({})),
        ]})),
    ];
    let wire = Wire::with(pages);
    let (archive, _) = archive(&wire, 200);
    let runs = archive.runs(&machine(CLONE)).await.unwrap().unwrap();
    let found: Vec<_> = runs
        .iter()
        .map(|run| (run.execution.name(), run.runs, run.latest.as_secs()))
        .collect();
    assert_eq!(
        found,
        [
            ("a", true, 10),
            ("b", false, 20),
            ("c", true, 20),
            ("d", false, 30),
            ("e", true, 10)
        ]
    );
    assert_eq!(runs[0].started, Timestamp::from_millis(10_000));
    assert_eq!(
        wire.sent()[0].1,
        json!({"stateMachineArn": machine(CLONE).as_str(), "maxResults": 1000})
    );
}

#[tokio::test]
async fn a_clone_that_is_not_there_has_no_runs_and_is_deleted_all_the_same() {
    let (gone, _) = archive(&Wire::with([error("StateMachineDoesNotExist")]), 200);
    assert_eq!(gone.runs(&machine(CLONE)).await, Ok(None));
    let wire = Wire::with([ok(&json!({}))]);
    let (there, _) = archive(&wire, 200);
    there.delete(&machine(CLONE)).await.unwrap();
    assert_eq!(
        wire.only(),
        (
            "AWSStepFunctions.DeleteStateMachine".to_owned(),
            json!({"stateMachineArn": machine(CLONE).as_str()})
        )
    );
    let (denied, _) = archive(&Wire::with([crate::wire::denied()]), 200);
    assert!(denied.delete(&machine(CLONE)).await.unwrap_err().is_access_denied());
}
