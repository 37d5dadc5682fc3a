//! A case for each class of failure.

mod later;
mod stopped;

use std::time::Duration;

use failure_alert::alert::{Alert, Child, End, Lock, Past, Redrive, Status};
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::history::{Ended, Failed, Failure, Handled, Kind, Step};
use signalbox::lock::key::LockKey;

pub(crate) use later::{recoveries, summaries};

/// What is in the cases, and in no message.
pub(crate) const SECRETS: [&str; 3] = ["hunter2", "AQCwAAAAKgAAAA", "wJalrXUtnFEMI"];

const RUN: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders-nightly:nightly-2026-01-31";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn run(text: &str) -> ExecutionArn {
    ExecutionArn::parse(text).expect("an ARN")
}

/// The lock of the cases.
fn warehouse(held: bool, waiting: u32) -> Lock {
    Lock {
        lock: LockKey::parse("warehouse").expect("a lock"),
        held,
        waiting,
    }
}

fn step(kind: Kind, state: &str, index: Option<u32>) -> Step {
    Step {
        kind,
        state: state.to_owned(),
        index,
    }
}

fn place(path: Vec<Step>, error: Option<&str>, cause: Option<&str>) -> Failed {
    Failed {
        path,
        entered_event: Some(7),
        entered: Some(at("2026-01-31T04:02:12Z")),
        error: error.map(str::to_owned),
        cause: cause.map(str::to_owned),
        attempts: 1,
        attempts_most: Some(1),
        handled: None,
    }
}

fn task(state: &str, error: Option<&str>, cause: Option<&str>) -> Failed {
    place(vec![step(Kind::Task, state, None)], error, cause)
}

/// A run that failed at that place, with its error and cause.
fn failed(place: Failed) -> Alert {
    let (error, cause) = (place.error.clone(), place.cause.clone());
    Alert {
        end: End {
            execution: run(RUN),
            status: Status::Failed,
            redrive: 0,
            started: Some(at("2026-01-31T04:00:12.345Z")),
            stopped: at("2026-01-31T04:04:24.345Z"),
            error: error.clone(),
            cause: cause.clone(),
        },
        pipeline: run(RUN).machine().clone(),
        failure: Some(Failure {
            ended: Ended::Failed,
            error,
            cause,
            places: vec![place],
        }),
        children: Vec::new(),
        past: Some(Past {
            in_a_row: 1,
            or_more: false,
            last_success: Some(at("2026-01-30T04:12:40Z")),
            usual: Some(Duration::from_secs(723)),
        }),
        locks: Vec::new(),
        redrive: Redrive::Until(at("2026-02-14T04:04:24Z")),
        input: None,
        missing: Vec::new(),
    }
}

/// The cases, each with its name.
pub(crate) fn alerts() -> Vec<(&'static str, Alert)> {
    vec![
        ("lambda-with-retries", lambda_with_retries()),
        ("branch-in-a-map", branch_in_a_map()),
        ("caught", caught()),
        ("fail-state", fail_state()),
        ("timeout-of-a-task", timeout_of_a_task()),
        ("timed-out", stopped::timed_out()),
        ("aborted-by-a-person", stopped::aborted_by_a_person()),
        ("aborted-for-a-newer-run", stopped::aborted_for_a_newer_run()),
        ("lock-lost-on-redrive", stopped::lock_lost_on_redrive()),
        ("ecs-out-of-memory", ecs_out_of_memory()),
        ("glue", glue()),
        ("nested", nested()),
        ("runtime", runtime()),
        ("basic", basic()),
        ("nothing-known", nothing_known()),
        ("hostile", hostile()),
        ("redriven", redriven()),
        ("resumed", resumed()),
        ("resumed-and-stopped", stopped::resumed_and_stopped()),
        ("nested-deeper", nested_deeper()),
        ("nested-out-of-reach", nested_out_of_reach()),
    ]
}

/// The cases in which it matters that there are no clones.
pub(crate) fn without_clones() -> Vec<(&'static str, Alert)> {
    vec![
        ("no-clones", lambda_with_retries()),
        ("no-clones-caught", caught()),
        ("no-clones-fail-state", fail_state()),
        ("no-clones-runtime", runtime()),
        ("no-clones-and-no-redrive", nothing_known()),
    ]
}

/// The cases in which it matters that there is no `resume`.
pub(crate) fn without_resume() -> Vec<(&'static str, Alert)> {
    vec![
        ("redrive", branch_in_a_map()),
        ("redrive-nested", nested()),
        ("redrive-caught", caught()),
        ("redrive-fail-state", fail_state()),
        ("redrive-runtime", runtime()),
        ("redrive-timed-out", stopped::timed_out()),
        ("redrive-aborted", stopped::aborted_by_a_person()),
        ("redrive-lock-lost", stopped::lock_lost_on_redrive()),
        ("redrive-impossible", nothing_known()),
    ]
}

fn lambda_with_retries() -> Alert {
    let mut place = task(
        "Charge",
        Some("PaymentError"),
        Some(
            r#"{"errorType":"PaymentError","errorMessage":"the card processor answered 503 for order 4711","trace":["PaymentError: the card processor answered 503 for order 4711","    at charge (/var/task/index.js:41:11)","    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)","    at async handler (/var/task/index.js:12:3)","    at async Runtime.handleOnceNonStreaming (file:///var/runtime/index.mjs:1173:29)"]}"#,
        ),
    );
    (place.attempts, place.attempts_most) = (4, Some(4));
    let mut alert = failed(place);
    alert.past.as_mut().expect("a past").in_a_row = 3;
    alert.locks = vec![warehouse(true, 2)];
    alert.input =
        Some(r#"{"date":"2026-01-31","db":"postgres://app:hunter2@db.example.org/orders","dryRun":false}"#.to_owned());
    alert
}

fn branch_in_a_map() -> Alert {
    let path = vec![
        step(Kind::Map, "Orders", Some(3)),
        step(Kind::Parallel, "Fan out", Some(1)),
        step(Kind::Task, "Reserve stock", None),
    ];
    let cause = "Unable to execute HTTP request: stock.example.org: Name or service not known";
    let mut place = place(path, Some("SQS.SdkClientException"), Some(cause));
    (place.attempts, place.attempts_most) = (2, Some(6));
    let mut alert = failed(place);
    alert.locks = vec![
        warehouse(false, 1),
        Lock {
            lock: LockKey::of_pipeline(alert.end.execution.machine()),
            held: true,
            waiting: 0,
        },
    ];
    alert
}

fn caught() -> Alert {
    let mut place = task(
        "Load",
        Some("DataError"),
        Some(
            r#"{"errorMessage":"column amount is not a number: \"12,50\" (row 7 of s3://orders-in/2026/01/31.csv)","errorType":"DataError","requestId":"0f3e8a52-93a1-4d5e-8b7a-1c2d3e4f5a6b","stackTrace":["  File \"/var/task/app.py\", line 12, in handler\n    load(event)\n","  File \"/var/task/app.py\", line 31, in load\n    row = parse(line)\n","  File \"/var/task/rows.py\", line 8, in parse\n    raise DataError(message)\n"]}"#,
        ),
    );
    place.handled = Some(Handled {
        by: "Tell the team".to_owned(),
        ended_at: "Give up".to_owned(),
        ended_event: Some(19),
    });
    let mut alert = failed(place);
    let (error, cause) = (
        Some("OrdersFailed".to_owned()),
        Some("The orders of the day could not be loaded.".to_owned()),
    );
    (alert.end.error, alert.end.cause) = (error.clone(), cause.clone());
    let failure = alert.failure.as_mut().expect("a failure");
    (failure.error, failure.cause) = (error, cause);
    alert
}

fn fail_state() -> Alert {
    let path = vec![step(Kind::Fail, "No orders", None)];
    let mut place = place(path, Some("NoOrders"), Some("There are no orders for 2026-01-31."));
    (place.attempts, place.attempts_most) = (0, None);
    failed(place)
}

fn timeout_of_a_task() -> Alert {
    let mut alert = failed(task("Wait for the bank", Some("States.Timeout"), None));
    alert.past = Some(Past {
        in_a_row: 100,
        or_more: true,
        last_success: None,
        usual: None,
    });
    alert
}

fn ecs_out_of_memory() -> Alert {
    failed(task(
        "Render invoices",
        Some("States.TaskFailed"),
        Some(
            r#"{"Attachments":[],"AvailabilityZone":"eu-west-1b","ClusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/jobs","Containers":[{"ContainerArn":"arn:aws:ecs:eu-west-1:123456789012:container/jobs/1","ExitCode":137,"Image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/invoices@sha256:b042dec6c5477d7445a18338aeeca39cf50999a3c6df48a8c4e7dc4061ca7ebe","LastStatus":"STOPPED","Name":"invoices","Reason":"OutOfMemoryError: Container killed due to memory usage"},{"ExitCode":0,"LastStatus":"STOPPED","Name":"log-router"}],"DesiredStatus":"STOPPED","LastStatus":"STOPPED","LaunchType":"FARGATE","Overrides":{"ContainerOverrides":[{"Environment":[{"Name":"TASK_TOKEN","Value":"AQCwAAAAKgAAAAMAAAAAAAAAA"},{"Name":"DB_PASSWORD","Value":"hunter2"}],"Name":"invoices"}]},"StopCode":"EssentialContainerExited","StoppedReason":"Essential container in task exited","TaskArn":"arn:aws:ecs:eu-west-1:123456789012:task/jobs/d446d306d6a145f79cb4e3f669ac39ef","TaskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/invoices:42"}"#,
        ),
    ))
}

fn glue() -> Alert {
    failed(task(
        "Aggregate",
        Some("States.TaskFailed"),
        Some(
            r#"{"AllocatedCapacity":10,"Arguments":{"--password":"hunter2"},"Attempt":0,"CompletedOn":1769832264345,"ErrorMessage":"AnalysisException: Table or view not found: orders_raw","ExecutionTime":61,"GlueVersion":"4.0","Id":"jr_0f3e8a5293a14d5e","JobName":"aggregate-orders","JobRunState":"FAILED","LogGroupName":"/aws-glue/jobs","StartedOn":1769832132345,"Timeout":2880}"#,
        ),
    ))
}

/// Public for the test of the greatest one.
pub(crate) fn nested() -> Alert {
    let inner = "arn:aws:states:eu-west-1:123456789012:execution:orders-charge:0f3e8a52-93a1-4d5e-8b7a-1c2d3e4f5a6b";
    let mut alert = failed(task(
        "Charge all",
        Some("States.TaskFailed"),
        Some(&format!(
            r#"{{"Cause":"{{\"errorType\":\"PaymentError\",\"errorMessage\":\"no such card\"}}","Error":"PaymentError","ExecutionArn":"{inner}","Input":"{{}}","Name":"0f3e8a52","StateMachineArn":"arn:aws:states:eu-west-1:123456789012:stateMachine:orders-charge","Status":"FAILED"}}"#
        )),
    ));
    let mut place = place(
        vec![step(Kind::Map, "Cards", Some(0)), step(Kind::Task, "Pay", None)],
        Some("PaymentError"),
        Some(
            r#"{"errorType":"PaymentError","errorMessage":"no such card","trace":["PaymentError: no such card","    at pay (/var/task/pay.js:7:9)"]}"#,
        ),
    );
    (place.attempts, place.attempts_most) = (2, Some(2));
    alert.children = vec![Child {
        execution: run(inner),
        failure: Some(Failure {
            ended: Ended::Failed,
            error: place.error.clone(),
            cause: place.cause.clone(),
            places: vec![place],
        }),
    }];
    alert
}

fn runtime() -> Alert {
    failed(task(
        "Charge",
        Some("States.Runtime"),
        Some(
            r#"An error occurred while executing the state 'Charge' (entered at the event id #7). The JSONPath '$.order.card' specified for the field 'card.$' could not be found in the input '{"order":{"id":4711},"taskToken":"AQCwAAAAKgAAAAMAAAAAAAAAAZ83J8zGdl7Qgs8ce6YotnXrivuZegnBk22stlpw","aws_secret_access_key":"wJalrXUtnFEMI"}'"#,
        ),
    ))
}

/// All that there is if nothing but the event can be had.
fn basic() -> Alert {
    let mut alert = failed(task("A", Some("PaymentError"), Some("no such card")));
    alert.failure = None;
    alert.past = None;
    alert.redrive = Redrive::Unknown;
    alert.missing = vec![
        "the history: ThrottlingException: Rate exceeded".to_owned(),
        "how the pipeline fared before: ThrottlingException: Rate exceeded".to_owned(),
        "the locks: the table could not be read: dispatch failure: timeout: error trying to connect: deadline has elapsed".to_owned(),
    ];
    alert
}

fn nothing_known() -> Alert {
    let mut alert = failed(task("Charge", None, None));
    alert.end.started = None;
    alert.redrive = Redrive::Not("Execution is a child of a Map Run and cannot be redriven on its own.".to_owned());
    alert.past = Some(Past {
        in_a_row: 1,
        or_more: false,
        last_success: None,
        usual: None,
    });
    alert
}

fn hostile() -> Alert {
    let machine = format!("orders-{}-prod", "n".repeat(68));
    let name = format!("it's-{}-(1)", "ü".repeat(71));
    let state = "Prüfe \"Karte\"\n`*_<!channel>_*` & 支払い @here [x](https://example.org) and then some more";
    let mut place = place(
        vec![
            step(Kind::Map, "Böse\u{202e}Namen", Some(12)),
            step(Kind::Task, state, None),
        ],
        Some("Fehler: ```<!here>"),
        Some("line one\r\n\u{7}\u{202e}line ``` two\n<https://example.org|click> *bold* password=hunter2"),
    );
    (place.attempts, place.attempts_most) = (3, None);
    let mut alert = failed(place);
    alert.end.execution = run(&format!(
        "arn:aws:states:eu-west-1:123456789012:execution:{machine}:{name}"
    ));
    alert.pipeline = alert.end.execution.machine().clone();
    alert
}

/// The run of a clone.
fn resumed() -> Alert {
    let mut alert = lambda_with_retries();
    let arn = RUN.replace("orders-nightly:", "orders-nightly--r-60303ae22b99:") + "-r-1b4f0e985197";
    alert.end.execution = run(&arn);
    alert.input = None;
    alert
}

/// A nested execution's own nested one has failed.
fn nested_deeper() -> Alert {
    let mut alert = nested();
    let mut deeper = alert.children[0].clone();
    deeper.execution = run(RUN.replace("orders-nightly", "orders-bank").as_str());
    alert.children.push(deeper);
    alert
}

/// The nested execution's state machine is not the fleet's.
fn nested_out_of_reach() -> Alert {
    let mut alert = nested();
    alert.children[0].execution = run(&RUN.replace("orders-nightly", "bank"));
    let path = &mut alert.failure.as_mut().expect("a failure").places[0].path;
    path.insert(0, step(Kind::Map, "Shops", Some(2)));
    alert
}

fn redriven() -> Alert {
    let mut alert = lambda_with_retries();
    alert.end.redrive = 2;
    alert.end.stopped = at("2026-02-01T09:15:00Z");
    alert.locks.clear();
    alert.input = None;
    alert
}
