//! The verdict on every recorded event of an ECS task.

use std::collections::{BTreeMap, BTreeSet};

use corpus::{files, load};
use ecs_settle::event::task_in;
use signalbox::ecs::plan::{Launch, OnExit, Overrides, Plan, ResultFrom};
use signalbox::ecs::verdict::{Expects, Verdict, verdict};
use signalbox::request::BadRequest;

/// File, main container, verdict where a result is expected, verdict where only the exit code counts. `X?`: it is `X`
/// unless its result is there.
///
/// The exit code 99 is mapped to the error `Mapped`.
const VERDICTS: &str = "
amazon-e-stopped-UserInitiated-exit0-1                    | Webapp                         | Ecs.Stopped?                | Ecs.Stopped
defang-activating-1c-1                                    | api_o4epidtq3j3b               | pending                     | pending
defang-activating-1c-2                                    | api_oig449jw6il2               | pending                     | pending
defang-deactivating-0c-1                                  | service1_etag1                 | pending                     | pending
defang-deactivating-ServiceSchedulerInitiated-1c-1        | api_f249u7ap07ef               | pending                     | pending
defang-deactivating-ServiceSchedulerInitiated-1c-2        | api_nqmtalp40r4g               | pending                     | pending
defang-deactivating-ServiceSchedulerInitiated-elb-1c-1    | web_oig449jw6il2               | pending                     | pending
defang-deactivating-ServiceSchedulerInitiated-elb-1c-2    | web_oig449jw6il2               | pending                     | pending
defang-deprovisioning-EssentialContainerExited-1c-1       | web_se3n0qmzhzpm               | Mapped                      | Mapped
defang-deprovisioning-EssentialContainerExited-1c-2       | web_se3n0qmzhzpm               | Mapped                      | Mapped
defang-deprovisioning-EssentialContainerExited-2c-1-1     | kaniko                         | Ecs.ExitCode.1              | Ecs.ExitCode.1
defang-deprovisioning-EssentialContainerExited-2c-1-2     | kaniko                         | finished                    | finished
defang-deprovisioning-EssentialContainerExited-2c-2       | kaniko                         | finished                    | finished
defang-deprovisioning-ServiceSchedulerInitiated-1c-1-1    | api_f249u7ap07ef               | Ecs.Interrupted?            | Ecs.Interrupted
defang-deprovisioning-ServiceSchedulerInitiated-1c-1-2    | web_f249u7ap07ef               | Ecs.Interrupted             | Ecs.Interrupted
defang-deprovisioning-ServiceSchedulerInitiated-1c-2-1    | api_nqmtalp40r4g               | Ecs.Interrupted?            | Ecs.Interrupted
defang-deprovisioning-ServiceSchedulerInitiated-1c-2-2    | web_8xidx5cetaqa               | Ecs.Interrupted             | Ecs.Interrupted
defang-deprovisioning-ServiceSchedulerInitiated-elb-1c-1  | web_oig449jw6il2               | Ecs.Interrupted             | Ecs.Interrupted
defang-deprovisioning-ServiceSchedulerInitiated-elb-1c-2  | web_oig449jw6il2               | Ecs.Interrupted             | Ecs.Interrupted
defang-pending-1c-1                                       | api_o4epidtq3j3b               | pending                     | pending
defang-pending-1c-2                                       | api_o4epidtq3j3b               | pending                     | pending
defang-pending-2c-1                                       | kaniko                         | pending                     | pending
defang-pending-2c-2                                       | kaniko                         | pending                     | pending
defang-provisioning-1c-1                                  | api_o4epidtq3j3b               | pending                     | pending
defang-provisioning-1c-2                                  | api_oig449jw6il2               | pending                     | pending
defang-provisioning-2c-1                                  | kaniko                         | pending                     | pending
defang-provisioning-2c-2                                  | kaniko                         | pending                     | pending
defang-running-1c-1                                       | api_o4epidtq3j3b               | pending                     | pending
defang-running-1c-2                                       | api_oig449jw6il2               | pending                     | pending
defang-running-2c-1                                       | kaniko                         | pending                     | pending
defang-running-2c-2                                       | kaniko                         | pending                     | pending
defang-stopped-EssentialContainerExited-exit0-0-1         | kaniko                         | finished                    | finished
defang-stopped-EssentialContainerExited-exit0-0-2         | kaniko                         | finished                    | finished
defang-stopped-EssentialContainerExited-exit0-0-3         | kaniko                         | finished                    | finished
defang-stopped-EssentialContainerExited-exit1-0-1         | kaniko                         | Ecs.ExitCode.1              | Ecs.ExitCode.1
defang-stopped-EssentialContainerExited-exit99-1          | web_se3n0qmzhzpm               | Mapped                      | Mapped
defang-stopped-EssentialContainerExited-exit99-2          | web_se3n0qmzhzpm               | Mapped                      | Mapped
defang-stopped-EssentialContainerExited-exit99-3          | web_se3n0qmzhzpm               | Mapped                      | Mapped
defang-stopped-ServiceSchedulerInitiated-elb-exit2-1      | web_oig449jw6il2               | Ecs.Interrupted             | Ecs.Interrupted
defang-stopped-ServiceSchedulerInitiated-elb-exit2-2      | web_oig449jw6il2               | Ecs.Interrupted             | Ecs.Interrupted
defang-stopped-ServiceSchedulerInitiated-elb-exit2-3      | web_oig449jw6il2               | Ecs.Interrupted             | Ecs.Interrupted
defang-stopped-ServiceSchedulerInitiated-exit0-1          | api_f249u7ap07ef               | Ecs.Interrupted?            | Ecs.Interrupted
defang-stopped-ServiceSchedulerInitiated-exit0-2          | api_nqmtalp40r4g               | Ecs.Interrupted?            | Ecs.Interrupted
defang-stopped-ServiceSchedulerInitiated-exit0-3          | api_oig449jw6il2               | Ecs.Interrupted?            | Ecs.Interrupted
defang-stopped-ServiceSchedulerInitiated-exit2-1          | web_f249u7ap07ef               | Ecs.Interrupted             | Ecs.Interrupted
defang-stopped-ServiceSchedulerInitiated-exit2-2          | web_8xidx5cetaqa               | Ecs.Interrupted             | Ecs.Interrupted
defang-stopping-ServiceSchedulerInitiated-1c-1            | api_f249u7ap07ef               | pending                     | pending
defang-stopping-ServiceSchedulerInitiated-1c-2            | api_nqmtalp40r4g               | pending                     | pending
defang-stopping-ServiceSchedulerInitiated-elb-1c-1        | web_oig449jw6il2               | pending                     | pending
defang-stopping-ServiceSchedulerInitiated-elb-1c-2        | web_oig449jw6il2               | pending                     | pending
derived-cannotpull-taskfailedtostart                      | task_definition_container_name | Ecs.StartFailed.Image       | Ecs.StartFailed.Image
derived-exit0                                             | task_definition_container_name | finished                    | finished
docs-fargate-running                                      | FargateApp                     | pending                     | pending
docs-spot-warning-snippet                                 | app                            | pending                     | pending
synthetic-cannotpull-container-reason                     | app                            | Ecs.StartFailed.Image       | Ecs.StartFailed.Image
synthetic-exit1-single                                    | app                            | Ecs.ExitCode.1              | Ecs.ExitCode.1
synthetic-exit137-oom                                     | app                            | Ecs.OutOfMemory             | Ecs.OutOfMemory
synthetic-exit137-sigkill-no-reason                       | app                            | Ecs.Stopped                 | Ecs.Stopped
synthetic-resource-initialization-error                   | app                            | Ecs.StartFailed.Resources   | Ecs.StartFailed.Resources
synthetic-sidecar-nonessential-exit1                      | app                            | finished                    | finished
synthetic-spot-interruption-running-warning               | app                            | pending                     | pending
synthetic-spot-interruption-stopped                       | app                            | Ecs.Interrupted             | Ecs.Interrupted
";

fn plan(container: &str, result: ResultFrom) -> Plan {
    Plan {
        cluster: "main".to_owned(),
        task_definition: "etl:7".to_owned(),
        container: container.to_owned(),
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
        on_exit: [(99, OnExit::Fail("Mapped".to_owned()))].into(),
        logs: None,
    }
}

/// As it stands in the table.
fn short(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pending => "pending".to_owned(),
        Verdict::Finished {
            exit_code: 0,
            result: Expects::Required,
        } => "finished".to_owned(),
        Verdict::Finished {
            exit_code: 0,
            result: Expects::Decides(failure),
        } => format!("{}?", failure.name),
        Verdict::Finished { exit_code, result } => format!("{exit_code} {result:?}"),
        Verdict::Failed(failure) => failure.name,
    }
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_event_of_a_task_has_its_verdict() {
    let mut judged = BTreeSet::new();
    for row in VERDICTS.trim().lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [name, container, with_result, without] = <[&str; 4]>::try_from(cells).expect("four cells");
        let file = format!("events/ecs/{name}.json");
        let task = task_in(&load(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        // A container that is named wrongly would be pending for ever.
        assert!(
            task.containers.is_empty() || task.container(container).is_some(),
            "{file}: no container {container}"
        );
        for (channel, expected) in [
            (ResultFrom::S3, with_result),
            (ResultFrom::Log, with_result),
            (ResultFrom::Token, without),
            (ResultFrom::None, without),
        ] {
            let found = short(verdict(&task, &plan(container, channel), None));
            assert_eq!(found, expected, "{file} {channel:?}");
        }
        assert!(judged.insert(file), "{name} stands there twice");
    }
    assert_eq!(judged, files(["events/ecs"]).into_iter().collect());
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn every_event_of_a_task_is_read_with_its_times_in_order() {
    for file in files(["events/ecs"]) {
        let event = load(&file);
        let task = task_in(&event).unwrap_or_else(|error| panic!("{file}: {error}"));
        let detail = &event["detail"];
        assert_eq!(detail["taskArn"], task.task_arn.as_str(), "{file}");
        let cluster = detail["clusterArn"]
            .as_str()
            .unwrap_or("arn:aws:ecs:us-west-2:123:cluster/cluster");
        assert_eq!(task.cluster_arn, cluster, "{file}");
        for (name, read) in [
            ("startedAt", task.started_at),
            ("stoppingAt", task.stopping_at),
            ("executionStoppedAt", task.execution_stopped_at),
            ("stoppedAt", task.stopped_at),
        ] {
            assert_eq!(detail[name].is_string(), read.is_some(), "{file}: {name}");
        }
        let codes = detail["containers"].as_array().map_or(&[][..], Vec::as_slice);
        for (container, sent) in task.containers.iter().zip(codes) {
            assert_eq!(sent["exitCode"].as_i64(), container.exit_code.map(i64::from), "{file}");
        }
        assert_eq!(task.containers.len(), codes.len(), "{file}");
        assert_eq!(task.ended_at().is_some(), task.stopping_at.is_some(), "{file}");
        assert!(
            task.stopped_at >= task.execution_stopped_at || task.stopped_at.is_none(),
            "{file}"
        );
    }
}

#[test]
#[cfg_attr(not(corpus), ignore = "SIGNALBOX_CORPUS is not set")]
fn what_is_no_event_of_a_task_is_refused_by_the_field() {
    for file in files(["events/sfn"]) {
        let refused = task_in(&load(&file))
            .as_ref()
            .map_err(BadRequest::path)
            .err()
            .map(str::to_owned);
        assert_eq!(refused.as_deref(), Some("detail.taskArn"), "{file}");
    }
}
