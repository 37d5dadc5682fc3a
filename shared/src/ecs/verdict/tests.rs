use std::collections::BTreeMap;

use super::*;
use crate::clock::Timestamp;
use crate::ecs::plan::{Launch, Overrides};

const STARTED: Option<Timestamp> = Some(Timestamp::from_millis(1_769_832_012_345));

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
        result_key: None,
        upload: None,
        on_exit: [
            (9, OnExit::Succeed),
            (75, OnExit::Fail("TryLater".to_owned())),
            (KILLED, OnExit::Succeed),
            (TERMINATED, OnExit::Succeed),
        ]
        .into(),
        logs: None,
    }
}

fn container(name: &str, exit_code: Option<i32>, reason: Option<&str>) -> Container {
    Container {
        name: name.to_owned(),
        last_status: "STOPPED".to_owned(),
        exit_code,
        reason: reason.map(str::to_owned),
    }
}

fn task(stop_code: Option<&str>, containers: &[Container]) -> Task {
    Task {
        task_arn: "arn:aws:ecs:eu-west-1:123456789012:task/main/0123".to_owned(),
        last_status: "STOPPED".to_owned(),
        stop_code: stop_code.map(str::to_owned),
        started_at: STARTED,
        containers: containers.to_vec(),
        ..Task::default()
    }
}

/// As it stands in the table.
fn short(verdict: &Verdict) -> String {
    let name = |failure: &Failure| failure.name.strip_prefix("Ecs.").unwrap_or(&failure.name).to_owned();
    match verdict {
        Verdict::Pending => "pending".to_owned(),
        Verdict::Finished { result, .. } => match result {
            Expects::Required => "finished".to_owned(),
            Expects::Optional => "optional".to_owned(),
            Expects::Decides(failure) => format!("{}?", name(failure)),
        },
        Verdict::Failed(failure) => name(failure),
    }
}

fn failure(verdict: Verdict) -> Failure {
    match verdict {
        Verdict::Failed(failure)
        | Verdict::Finished {
            result: Expects::Decides(failure),
            ..
        } => failure,
        other => panic!("{other:?}"),
    }
}

const MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
const PULL: &str = "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found";
const START: &str = "CannotStartContainerError: failed to get container status";

/// Every stop code by every shape of the containers. `X?`: it is `X` unless its result is there.
///
/// | column | the main container |
/// |---|---|
/// | 0 s3 | exited with 0, and was to leave a result; also from the log |
/// | 0 none | exited with 0, and was to leave none; also with the token |
/// | 3 | exited with 3 |
/// | 75 | exited with 75, which is mapped to the error `TryLater` |
/// | 9 | exited with 9, which is mapped to success |
/// | memory | exited with 137, killed for its memory; 137 is mapped to success |
/// | 143+1 | exited with 143, mapped to success, another one with 1 |
/// | 0+137 | exited with 0, another one with 137 |
/// | pull | has no exit code, its image cannot be pulled |
/// | start | has no exit code, it cannot be started |
/// | none | has no exit code |
/// | other | is not there, another one is |
/// | empty | is not there, nor is another |
const TABLE: &str = "
stop code                 | 0 s3                | 0 none            | 3                 | 75                | 9                 | memory      | 143+1             | 0+137               | pull              | start             | none              | other             | empty
-                         | finished            | finished          | ExitCode.3        | TryLater          | optional          | OutOfMemory | ExitCode.143      | finished            | StartFailed.Image | StartFailed.Other | NoExitCode        | NoExitCode        | NoExitCode
EssentialContainerExited  | finished            | finished          | ExitCode.3        | TryLater          | optional          | OutOfMemory | ExitCode.143      | finished            | StartFailed.Image | StartFailed.Other | NoExitCode        | NoExitCode        | NoExitCode
TaskFailedToStart         | StartFailed.Other?  | StartFailed.Other | StartFailed.Other | StartFailed.Other | StartFailed.Other | OutOfMemory | StartFailed.Other | StartFailed.Other?  | StartFailed.Image | StartFailed.Other | StartFailed.Other | StartFailed.Other | StartFailed.Other
UserInitiated             | Stopped?            | Stopped           | Stopped           | Stopped           | Stopped           | OutOfMemory | Stopped           | Stopped?            | StartFailed.Image | StartFailed.Other | Stopped           | Stopped           | Stopped
ServiceSchedulerInitiated | Interrupted?        | Interrupted       | Interrupted       | Interrupted       | Interrupted       | OutOfMemory | Interrupted       | Interrupted?        | StartFailed.Image | StartFailed.Other | Interrupted       | Interrupted       | Interrupted
SpotInterruption          | Interrupted?        | Interrupted       | Interrupted       | Interrupted       | Interrupted       | OutOfMemory | Interrupted       | Interrupted?        | StartFailed.Image | StartFailed.Other | Interrupted       | Interrupted       | Interrupted
TerminationNotice         | Interrupted?        | Interrupted       | Interrupted       | Interrupted       | Interrupted       | OutOfMemory | Interrupted       | Interrupted?        | StartFailed.Image | StartFailed.Other | Interrupted       | Interrupted       | Interrupted
InfrastructureHealth      | Interrupted?        | Interrupted       | Interrupted       | Interrupted       | Interrupted       | OutOfMemory | Interrupted       | Interrupted?        | StartFailed.Image | StartFailed.Other | Interrupted       | Interrupted       | Interrupted
CapacityReclaimed         | Interrupted?        | Interrupted       | Interrupted       | Interrupted       | Interrupted       | OutOfMemory | Interrupted       | Interrupted?        | StartFailed.Image | StartFailed.Other | Interrupted       | Interrupted       | Interrupted
SomethingNew              | Interrupted?        | Interrupted       | Interrupted       | Interrupted       | Interrupted       | OutOfMemory | Interrupted       | Interrupted?        | StartFailed.Image | StartFailed.Other | Interrupted       | Interrupted       | Interrupted
";

#[test]
fn each_stop_code_and_each_shape_has_its_verdict() {
    let app = |exit_code, reason| container("app", exit_code, reason);
    let side = |exit_code| container("side", exit_code, None);
    let shapes: [(&str, &[ResultFrom], Vec<Container>); 13] = [
        ("0 s3", &[ResultFrom::S3, ResultFrom::Log], vec![app(Some(0), None)]),
        (
            "0 none",
            &[ResultFrom::None, ResultFrom::Token],
            vec![side(Some(0)), app(Some(0), None)],
        ),
        ("3", &ALL, vec![app(Some(3), None), side(Some(0))]),
        ("75", &ALL, vec![app(Some(75), None)]),
        ("9", &ALL, vec![app(Some(9), None), side(Some(1))]),
        ("memory", &ALL, vec![app(Some(KILLED), Some(MEMORY)), side(Some(0))]),
        ("143+1", &ALL, vec![side(Some(1)), app(Some(TERMINATED), None)]),
        ("0+137", &[ResultFrom::S3], vec![side(Some(KILLED)), app(Some(0), None)]),
        ("pull", &ALL, vec![side(None), app(None, Some(PULL))]),
        ("start", &ALL, vec![app(None, Some(START)), side(Some(0))]),
        ("none", &ALL, vec![app(None, None)]),
        ("other", &ALL, vec![side(Some(0))]),
        ("empty", &ALL, vec![]),
    ];
    let cells = |row: &str| -> Vec<String> { row.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut rows = TABLE.trim().lines().map(cells);
    let columns = rows.next().unwrap();
    assert_eq!(columns[1..], shapes.each_ref().map(|(name, ..)| (*name).to_owned()));
    let mut seen = 0;
    for row in rows {
        let stop_code = Some(row[0].as_str()).filter(|code| *code != "-");
        for ((name, channels, containers), expected) in shapes.iter().zip(&row[1..]) {
            for channel in *channels {
                let found = verdict(&task(stop_code, containers), &plan(*channel), None);
                assert_eq!(&short(&found), expected, "{stop_code:?} × {name} {channel:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 10 * (2 + 2 + 1 + 10 * 4));
}

const ALL: [ResultFrom; 4] = [ResultFrom::S3, ResultFrom::Log, ResultFrom::Token, ResultFrom::None];

/// It is settled as soon as the exit code cannot change, and not before.
#[test]
fn each_status_is_waited_for_or_settled() {
    let table = "
status         | exit code | exit code, stop code | stop code | neither
PROVISIONING   | wait      | wait                 | wait      | wait
PENDING        | wait      | wait                 | wait      | wait
ACTIVATING     | wait      | wait                 | wait      | wait
RUNNING        | wait      | wait                 | wait      | wait
DEACTIVATING   | wait      | settle               | wait      | wait
STOPPING       | wait      | settle               | wait      | wait
DEPROVISIONING | settle    | settle               | wait      | wait
STOPPED        | settle    | settle               | settle    | settle
DELETED        | settle    | settle               | settle    | settle
SOMETHING_NEW  | wait      | wait                 | wait      | wait
               | wait      | wait                 | wait      | wait
";
    let mut rows = 0;
    for row in table.trim_matches('\n').lines().skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for ((exit_code, stop_code), expected) in [
            (Some(0), None),
            (Some(0), Some("EssentialContainerExited")),
            (None, Some("SpotInterruption")),
            (None, None),
        ]
        .into_iter()
        .zip(&cells[1..])
        {
            let mut task = task(stop_code, &[container("app", exit_code, None)]);
            cells[0].clone_into(&mut task.last_status);
            for stop in [None, Some(Why::TimedOut)] {
                let settled = verdict(&task, &plan(ResultFrom::S3), stop) != Verdict::Pending;
                assert_eq!(settled, *expected == "settle", "{row} {stop:?}");
            }
        }
        rows += 1;
    }
    assert_eq!(rows, 11);
}

/// Of a container that is not the main one, the exit code says nothing.
#[test]
fn the_exit_code_of_another_container_settles_nothing() {
    let mut task = task(Some("EssentialContainerExited"), &[container("side", Some(1), None)]);
    "DEPROVISIONING".clone_into(&mut task.last_status);
    task.containers.push(container("app", None, None));
    assert_eq!(verdict(&task, &plan(ResultFrom::S3), None), Verdict::Pending);
}

#[test]
fn what_signalbox_stopped_says_why_whatever_it_exited_with() {
    for containers in [
        vec![container("app", Some(0), None)],
        vec![container("app", Some(KILLED), Some(MEMORY))],
        vec![container("app", Some(75), None)],
        vec![container("app", None, None)],
        vec![],
    ] {
        for stop_code in [
            Some("UserInitiated"),
            Some("EssentialContainerExited"),
            Some("TaskFailedToStart"),
            None,
        ] {
            for (why, name, says) in [
                (Why::TimedOut, "Ecs.TimedOut", "timeoutSeconds were over"),
                (
                    Why::NotStarted,
                    "Ecs.StartFailed.Other",
                    "ECS refused to start the task",
                ),
                (Why::Unwanted, "Ecs.Stopped", "does not wait for it any more"),
                (
                    Why::ExecutionEnded,
                    "Ecs.Stopped",
                    "the execution that started it has ended",
                ),
                (
                    Why::Replaced,
                    "Ecs.Stopped",
                    "a later attempt of the state asks for something else",
                ),
            ] {
                let failure = failure(verdict(&task(stop_code, &containers), &plan(ResultFrom::S3), Some(why)));
                assert_eq!(failure.name, name);
                assert!(failure.sentence.contains(says), "{}", failure.sentence);
                let code = containers.first().and_then(|container| container.exit_code);
                assert_eq!(failure.exit_code, code);
            }
        }
    }
}

/// Whole sentences: who, what, why.
#[test]
fn a_failure_names_container_task_definition_exit_code_and_reason() {
    let told = |stop_code, reason: Option<&str>, containers: &[Container], stop| {
        let mut task = task(stop_code, containers);
        task.stopped_reason = reason.map(str::to_owned);
        failure(verdict(&task, &plan(ResultFrom::None), stop)).sentence
    };
    let essential = Some("EssentialContainerExited");
    let bland = Some("Essential container in task exited");
    let app = |exit_code, reason| container("app", exit_code, reason);
    for (sentence, expected) in [
        (
            told(essential, bland, &[app(Some(3), None)], None),
            "The container app of etl:7 exited with 3.",
        ),
        (
            told(essential, bland, &[app(Some(1), Some("who knows."))], None),
            "The container app of etl:7 exited with 1: who knows.",
        ),
        (
            told(
                essential,
                bland,
                &[app(Some(KILLED), None), container("side", Some(1), Some("bad"))],
                None,
            ),
            "The container app of etl:7 exited with 137. The container side exited with 1: bad: if it is an essential one \
             and ended first, ECS then stopped this one.",
        ),
        (
            told(essential, bland, &[app(Some(KILLED), Some(MEMORY))], None),
            "The container app of etl:7 was killed because it ran out of memory (exit code 137): OutOfMemoryError: \
             Container killed due to memory usage.",
        ),
        (
            told(
                Some("SpotInterruption"),
                Some("Your Spot Task was interrupted."),
                &[app(Some(KILLED), None)],
                None,
            ),
            "The task was ended from outside (SpotInterruption: Your Spot Task was interrupted): the container app of etl:7 \
             exited with 137.",
        ),
        (
            told(
                Some("UserInitiated"),
                Some("no longer needed"),
                &[app(None, None)],
                None,
            ),
            "Somebody stopped the task (UserInitiated: no longer needed): the container app of etl:7 has no exit code.",
        ),
        (
            told(
                Some("TaskFailedToStart"),
                Some("Task failed to start"),
                &[app(None, Some(PULL))],
                None,
            ),
            "A task of etl:7 was not started: CannotPullContainerError: pull image manifest has been retried 5 time(s): not \
             found.",
        ),
        (
            told(
                essential,
                bland,
                &[app(None, None), container("side", Some(0), None)],
                None,
            ),
            "The task ended, and ECS gives no exit code of the container app of etl:7: Essential container in task exited; \
             its containers: app (no exit code), side (exit code 0).",
        ),
        (
            told(essential, bland, &[container("side", None, Some("gone"))], None),
            "The task ended, and ECS knows no container app of etl:7: Essential container in task exited; there are: side \
             (no exit code: gone).",
        ),
        (
            told(Some("UserInitiated"), None, &[app(Some(0), None)], Some(Why::TimedOut)),
            "The task was stopped because its timeoutSeconds were over: the container app of etl:7 exited with 0.",
        ),
    ] {
        assert_eq!(sentence, expected);
    }
}

#[test]
fn a_start_that_failed_is_told_by_the_best_reason_there_is() {
    let side = "CannotCreateVolumeError: it is full";
    let network = "Timeout waiting for network interface provisioning to complete.";
    let bland = "Task failed to start";
    for (of_main, of_side, of_task, name, says) in [
        (Some(PULL), Some(side), network, "Ecs.StartFailed.Image", PULL),
        (
            None,
            Some(side),
            bland,
            "Ecs.StartFailed.Resources",
            "because of its container side: CannotCreate",
        ),
        (
            Some(" "),
            Some(side),
            bland,
            "Ecs.StartFailed.Resources",
            "because of its container side: CannotCreate",
        ),
        (
            None,
            None,
            network,
            "Ecs.StartFailed.Network",
            "Timeout waiting for network",
        ),
        (
            None,
            None,
            "RESOURCE:MEMORY",
            "Ecs.StartFailed.Capacity",
            "RESOURCE:MEMORY",
        ),
        (None, None, bland, "Ecs.StartFailed.Other", bland),
    ] {
        let containers = [container("side", None, of_side), container("app", None, of_main)];
        let mut task = task(Some("TaskFailedToStart"), &containers);
        (task.stopped_reason, task.started_at) = (Some(of_task.to_owned()), None);
        let failure = failure(verdict(&task, &plan(ResultFrom::S3), None));
        assert_eq!(failure.name, name);
        assert!(failure.sentence.contains(says), "{}", failure.sentence);
        assert_eq!(failure.exit_code, None);
    }
}

/// A reason without an exit code tells of a start that failed only if nothing had been started.
#[test]
fn a_container_that_ran_and_has_no_exit_code_is_no_start_that_failed() {
    let lost = [container(
        "app",
        None,
        Some("ContainerRuntimeTimeoutError: it does not answer"),
    )];
    let mut task = task(Some("EssentialContainerExited"), &lost);
    let found = verdict(&task, &plan(ResultFrom::S3), None);
    assert_eq!(short(&found), "NoExitCode");
    assert!(
        failure(found)
            .sentence
            .contains("ContainerRuntimeTimeoutError: it does not answer")
    );
    task.started_at = None;
    assert_eq!(short(&verdict(&task, &plan(ResultFrom::S3), None)), "StartFailed.Other");
}

#[test]
fn memory_counts_before_what_exit_codes_are_mapped_to_only_where_it_was_killed() {
    for (stop_code, exit_code, expected) in [
        (None, Some(KILLED), "OutOfMemory"),
        (Some("SpotInterruption"), Some(KILLED), "OutOfMemory"),
        (None, None, "OutOfMemory"),
        (None, Some(1), "OutOfMemory"),
        (None, Some(75), "TryLater"),
        (None, Some(9), "optional"),
        (None, Some(0), "finished"),
        (Some("SpotInterruption"), Some(1), "Interrupted"),
    ] {
        let task = task(stop_code, &[container("app", exit_code, Some(MEMORY))]);
        assert_eq!(
            short(&verdict(&task, &plan(ResultFrom::S3), None)),
            expected,
            "{exit_code:?}"
        );
    }
}

/// Whoever was stopped along with another did not choose its exit code: neither name nor success is made of it.
#[test]
fn a_container_that_another_took_along_is_told_with_it() {
    for (code, side, reason, expected, names_side) in [
        (TERMINATED, Some(1), None, "ExitCode.143", true),
        (KILLED, Some(2), None, "ExitCode.137", true),
        (KILLED, Some(KILLED), Some(MEMORY), "ExitCode.137", true),
        // Nothing says that it was not its own doing.
        (KILLED, Some(KILLED), None, "optional", false),
        (KILLED, Some(0), None, "optional", false),
        (KILLED, None, None, "optional", false),
        (TERMINATED, Some(0), None, "optional", false),
        (3, Some(1), None, "ExitCode.3", false),
    ] {
        let containers = [container("side", side, reason), container("app", Some(code), None)];
        let found = verdict(&task(None, &containers), &plan(ResultFrom::S3), None);
        assert_eq!(short(&found), expected, "{code} {side:?}");
        if let Verdict::Failed(failure) = found {
            let said = failure
                .sentence
                .contains(&format!("The container side exited with {}", side.unwrap()));
            assert_eq!(said, names_side, "{}", failure.sentence);
        }
    }
    // Unmapped: one that ended well may still have been first.
    let mut unmapped = plan(ResultFrom::S3);
    unmapped.on_exit.clear();
    for (code, names_side) in [(TERMINATED, true), (KILLED, false)] {
        let containers = [container("side", Some(0), None), container("app", Some(code), None)];
        let failure = failure(verdict(&task(None, &containers), &unmapped, None));
        assert_eq!(failure.name, format!("Ecs.ExitCode.{code}"));
        assert_eq!(
            failure.sentence.contains("side exited with 0"),
            names_side,
            "{}",
            failure.sentence
        );
    }
}

#[test]
fn a_host_that_went_away_is_an_interruption_whatever_the_stop_code() {
    for stop_code in [None, Some("EssentialContainerExited"), Some("UserInitiated")] {
        let mut task = task(stop_code, &[container("app", None, None)]);
        task.stopped_reason = Some("Host EC2 (instance i-0123) terminated.".to_owned());
        assert_eq!(short(&verdict(&task, &plan(ResultFrom::S3), None)), "Interrupted");
    }
}

#[test]
fn the_exit_codes_that_everybody_meets_have_an_advice_of_their_own() {
    let mut plan = plan(ResultFrom::None);
    plan.on_exit.clear();
    let advice = |code| {
        let task = task(None, &[container("app", Some(code), None)]);
        failure(verdict(&task, &plan, None)).advice
    };
    for (code, says) in [
        (126, "cannot be executed"),
        (127, "was not found"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
        (143, "SIGTERM"),
        (1, "See its log"),
        (-1, "See its log"),
    ] {
        assert!(advice(code).contains(says), "{code}: {}", advice(code));
    }
}

#[test]
fn a_reason_without_end_is_cut() {
    let endless = "é".repeat(REASON_CHARS + 1);
    let task = task(None, &[container("app", Some(1), Some(&endless))]);
    let failure = failure(verdict(&task, &plan(ResultFrom::S3), None));
    assert!(failure.sentence.ends_with("é…."));
    assert!(failure.sentence.chars().count() < REASON_CHARS + 100);
    assert_eq!(failure.to_string(), format!("{} {}", failure.sentence, failure.advice));
}
