"""Containers are processes: what they run, what they see, how they end, and where their output goes."""

import json
import os
import shutil
import signal
import time
import unittest

import boto3

from .ecs_support import FARGATE, LOGGED, EcsTest, alive, container
from .support import Cloud, eventually


class Programs(EcsTest):
    def output(self, *containers: dict, **fields) -> list[str]:
        task = self.run_to_the_end(*(each | {"logConfiguration": LOGGED} for each in containers), **fields)
        return self.lines(task, startFromHead=True)

    def test_a_command_of_the_definition_is_in_the_place_of_that_of_the_image(self):
        self.image("etl:1", entrypoint=["/bin/echo", "by"], command=["the image"])
        plain = {"name": "main", "image": "etl:1"}
        self.assertEqual(["by the image"], self.output(plain))
        self.assertEqual(["by the definition"], self.output(plain | {"command": ["the", "definition"]}))

    def test_a_command_of_the_call_is_in_the_place_of_that_of_the_definition(self):
        override = {"name": "main", "command": ["echo overridden"]}
        output = self.output(container("echo defined"), overrides={"containerOverrides": [override]})
        self.assertEqual(["overridden"], output)

    def test_an_entry_point_of_the_definition_voids_the_command_of_the_image(self):
        self.image("etl:1", entrypoint=["/bin/false"], command=["the image"])
        self.assertEqual([], self.output({"name": "main", "image": "etl:1", "entryPoint": ["/bin/true"]}))
        defined = {"name": "main", "image": "etl:1", "entryPoint": ["/bin/echo", "my"], "command": ["own"]}
        self.assertEqual(["my own"], self.output(defined))

    def test_the_environment_is_of_the_image_the_definition_and_the_call(self):
        environment = {"A": "image", "B": "image", "C": "image"}
        self.image("etl:1", entrypoint=["/bin/sh", "-c"], environment=environment)
        defined = container('echo "$A $B $C"') | {
            "environment": [{"name": "B", "value": "definition"}, {"name": "C", "value": "definition"}]
        }
        override = {"name": "main", "environment": [{"name": "C", "value": "call"}]}
        output = self.output(defined, overrides={"containerOverrides": [override]})
        self.assertEqual(["image definition call"], output)

    def test_nothing_of_the_host_is_in_the_environment(self):
        names = {line.partition("=")[0] for line in self.output(container("env"))}
        of_aws = {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"}
        self.assertEqual({"PATH", "HOME", "PWD", "TMPDIR", *of_aws}, names - {"SHLVL", "_", "OLDPWD"})

    def test_a_container_has_a_folder_of_its_own_which_is_removed_with_it(self):
        folder, content, temporary = self.output(container("pwd; ls -a | tr '\\n' ' '; echo; touch x; mktemp -d"))
        self.assertEqual(". ..", content.strip())
        self.assertEqual(folder, os.path.dirname(temporary))
        eventually(lambda: not os.path.exists(folder), "the removal of the folder")

    def test_the_exit_code_is_that_of_the_process(self):
        task = self.run_to_the_end(container("exit 3"))
        self.assertEqual(3, task["containers"][0]["exitCode"])
        self.assertEqual("EssentialContainerExited", task["stopCode"])
        self.assertEqual("Essential container in task exited", task["stoppedReason"])

    def test_the_exit_code_of_a_killed_process_is_docker_s(self):
        task = self.run_to_the_end(container("kill -TERM $$"))
        self.assertEqual(128 + signal.SIGTERM, task["containers"][0]["exitCode"])


class StartFailures(EcsTest):
    def assert_not_started(self, task: dict, *words: str) -> None:
        self.assertEqual("TaskFailedToStart", task["stopCode"])
        self.assertNotIn("startedAt", task)
        self.assertNotIn("exitCode", task["containers"][0])
        for word in words:
            self.assertIn(word, task["stoppedReason"])
        self.assertEqual(task["stoppedReason"], task["containers"][0]["reason"])

    def test_an_image_that_is_not_there_cannot_be_pulled(self):
        task = self.run_to_the_end({"name": "main", "image": "nope"})
        words = "failed to resolve ref docker.io/library/nope:latest:"
        self.assert_not_started(task, "CannotPullContainerError: ", words)
        self.assertNotIn("pullStartedAt", task)
        statuses = [detail["lastStatus"] for detail in self.events(task)]
        self.assertEqual(["PROVISIONING", "PENDING", "DEPROVISIONING", "STOPPED"], statuses)

    def test_images_are_those_of_the_account_and_can_be_forgotten(self):
        self.assertEqual(1, self.cloud.request("DELETE", "images", account=self.account)["removed"])
        self.assert_not_started(self.run_to_the_end(container("exit 0")), "CannotPullContainerError")

    def test_a_program_that_is_not_there_cannot_be_started(self):
        self.image("etl:1", entrypoint=["/nope/nope"])
        task = self.run_to_the_end(container("x"))
        self.assert_not_started(task, "CannotStartContainerError", "stat /nope/nope: no such file")

    def test_a_log_group_must_be_there_unless_it_may_be_made(self):
        options = {**LOGGED["options"], "awslogs-create-group": "false"}
        defined = container("echo x", logConfiguration={"logDriver": "awslogs", "options": options})
        self.assert_not_started(self.run_to_the_end(defined), "ResourceInitializationError", "log group does not exist")

    def test_the_others_end_with_a_container_that_does_not_start(self):
        nope = {"name": "nope", "image": "etl:1", "entryPoint": ["/nope"]}
        task = self.run_to_the_end(container("sleep 60"), nope)
        self.assertEqual("TaskFailedToStart", task["stopCode"])
        main, other = task["containers"]
        self.assertEqual(137, main["exitCode"])
        self.assertNotIn("exitCode", other)


class Several(EcsTest):
    def test_the_task_goes_on_when_a_container_ends_that_is_not_essential(self):
        task = self.run_task(self.define(container("sleep 60"), container("exit 4", "sidecar", essential=False)))
        ended = eventually(lambda: self.describe(task)["containers"][1].get("exitCode"), "the end of the sidecar")
        self.assertEqual(4, ended)
        described = self.describe(task)
        self.assertEqual("RUNNING", described["lastStatus"])
        self.assertNotIn("exitCode", described["containers"][0])
        # As AWS's documentation has it, a container that changes is a change of the task.
        last = self.events(task)[-1]
        self.assertEqual(("RUNNING", 4), (last["lastStatus"], last["containers"][1]["exitCode"]))

    def test_the_others_end_with_an_essential_container(self):
        sidecar = container('trap "exit 5" TERM; while :; do sleep 0.05; done', "sidecar", essential=False)
        task = self.run_to_the_end(container("sleep 0.3; exit 3"), sidecar)
        self.assertEqual([3, 5], [each["exitCode"] for each in task["containers"]])

    def test_a_task_ends_when_all_have_ended(self):
        task = self.run_to_the_end(
            container("exit 0", essential=True), container("sleep 0.2; exit 6", "b", essential=False)
        )
        self.assertEqual("EssentialContainerExited", task["stopCode"])


def deaf(**fields) -> dict:
    """A container that does not listen to SIGTERM, and says when it has stopped listening."""
    script = 'trap "" TERM; echo deaf; while :; do sleep 0.05; done'
    return container(script, logConfiguration=LOGGED, **fields)


class Ends(EcsTest):
    def test_a_container_that_does_not_listen_is_killed(self):
        self.settings(stopTimeoutSeconds=0.3)
        task = self.run_task(self.define(deaf()))
        self.when(task, "RUNNING")
        eventually(lambda: self.lines(task), "the trap")
        started = time.monotonic()
        self.ecs.stop_task(cluster="jobs", task=task["taskArn"])
        self.assertEqual(137, self.when(task, "STOPPED")["containers"][0]["exitCode"])
        self.assertGreaterEqual(time.monotonic() - started, 0.3)

    def test_a_stop_timeout_of_the_definition_counts_if_it_is_shorter(self):
        self.settings(stopTimeoutSeconds=60)
        task = self.run_task(self.define(deaf(stopTimeout=1)))
        self.when(task, "RUNNING")
        eventually(lambda: self.lines(task), "the trap")
        self.ecs.stop_task(cluster="jobs", task=task["taskArn"])
        self.assertEqual(137, self.when(task, "STOPPED")["containers"][0]["exitCode"])

    def test_what_a_container_has_started_ends_with_it(self):
        defined = container("sleep 60 & echo $!; exit 0", logConfiguration=LOGGED)
        (child,) = self.lines(self.run_to_the_end(defined))
        eventually(lambda: not alive(int(child)), "the end of the child")

    def test_what_a_container_has_started_ends_with_the_task(self):
        task = self.run_task(self.define(container("sleep 60 & echo $!; sleep 60", logConfiguration=LOGGED)))
        self.when(task, "RUNNING")
        (child,) = eventually(lambda: self.lines(task), "the output")
        self.ecs.stop_task(cluster="jobs", task=task["taskArn"])
        self.when(task, "STOPPED")
        eventually(lambda: not alive(int(child)), "the end of the child")

    def test_a_container_can_be_killed_from_outside(self):
        task = self.run_task(self.define(container("sleep 60")))
        self.when(task, "RUNNING")
        reason = "OutOfMemoryError: Container killed due to memory usage"
        self.kill(task, reason=reason)
        (main,) = self.when(task, "STOPPED")["containers"]
        self.assertEqual((137, reason), (main["exitCode"], main["reason"]))

    def test_the_processes_of_a_task_are_shown(self):
        task = self.run_task(self.define(container("sleep 60")))
        self.when(task, "RUNNING")
        pid = self.shown(task)["pids"]["main"]
        self.assertTrue(alive(pid))
        self.kill(task, signal=15)
        self.assertEqual(143, self.when(task, "STOPPED")["containers"][0]["exitCode"])
        self.assertEqual({}, self.shown(task)["pids"])
        self.assertFalse(alive(pid))


class TheEndOfTheCloud(unittest.TestCase):
    """Containers of a cloud that ends, one way or the other."""

    def setUp(self) -> None:
        self.own = Cloud()
        self.addCleanup(shutil.rmtree, self.own.state_dir, ignore_errors=True)
        self.addCleanup(lambda: self.own.process.poll() is not None or self.own.stop())
        account = "100000000000"
        self.own.request("POST", "images", {"account": account, "image": "etl:1", "entrypoint": ["/bin/sh", "-c"]})
        ecs = self.own.client("ecs", account)
        ecs.create_cluster(clusterName="jobs")
        pids = self.own.state_dir / "pids"
        ecs.register_task_definition(
            family="etl",
            containerDefinitions=[
                container(f'trap "" TERM; sleep 60 & echo $$ $! > {pids}; sleep 60; sleep 60', memory=64)
            ],
        )
        arns = [ecs.run_task(cluster="jobs", taskDefinition="etl")["tasks"][0]["taskArn"]]

        def runs() -> bool:
            return ecs.describe_tasks(cluster="jobs", tasks=arns)["tasks"][0]["lastStatus"] == "RUNNING"

        eventually(runs, "the task")
        written = eventually(lambda: pids.exists() and pids.read_text().split(), "the processes")
        self.pids = [int(pid) for pid in written]

    def test_containers_end_with_the_cloud(self):
        self.own.stop()
        eventually(lambda: not any(map(alive, self.pids)), "the end of the container")

    def test_containers_die_with_a_killed_cloud(self):
        self.own.process.kill()
        self.own.process.wait()
        self.own.process.stdin.close()
        self.own.process.stdout.close()
        eventually(lambda: not any(map(alive, self.pids)), "the end of the container")


class Logs(EcsTest):
    def test_output_is_in_the_log_line_by_line(self):
        before = int(time.time() * 1000)
        script = "echo one; echo two >&2; printf three"
        task = self.run_to_the_end(container(script, logConfiguration=LOGGED))
        events = self.logs.get_log_events(**self.stream(task), startFromHead=True)["events"]
        self.assertEqual(["one", "two", "three"], [event["message"] for event in events])
        for event in events:
            self.assertTrue(before <= event["timestamp"] <= event["ingestionTime"] <= time.time() * 1000)

    def test_the_newest_lines_come_first_unless_asked_otherwise(self):
        script = "for i in 1 2 3 4 5 6 7; do echo $i; done"
        task = self.run_to_the_end(container(script, logConfiguration=LOGGED))
        last = self.logs.get_log_events(**self.stream(task), limit=3)
        self.assertEqual(["5", "6", "7"], [event["message"] for event in last["events"]])
        earlier = self.lines(task, limit=3, nextToken=last["nextBackwardToken"])
        self.assertEqual(["2", "3", "4"], earlier)
        self.assertEqual(["1", "2"], self.lines(task, limit=2, startFromHead=True))
        again = self.logs.get_log_events(**self.stream(task), nextToken=last["nextForwardToken"])
        self.assertEqual(([], last["nextForwardToken"]), (again["events"], again["nextForwardToken"]))

    def test_output_can_be_found_in_its_group(self):
        task = self.run_to_the_end(
            container("echo lucky; echo other", logConfiguration=LOGGED),
            container("echo lucky too", "sidecar", logConfiguration=LOGGED, essential=False),
        )
        found = self.logs.filter_log_events(logGroupName="/etl", filterPattern="lucky")["events"]
        streams = {(event["message"], event["logStreamName"]) for event in found}
        self.assertIn(("lucky", self.stream(task)["logStreamName"]), streams)

    def test_output_can_be_late(self):
        self.settings(logDelaySeconds=0.5)
        task = self.run_to_the_end(container("echo late", logConfiguration=LOGGED))
        self.assertEqual([], self.lines(task))
        self.assertEqual(["late"], eventually(lambda: self.lines(task), "the output"))

    def test_lines_are_cut_where_cloudwatch_cuts_them(self):
        script = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end"
        lines = self.lines(self.run_to_the_end(container(script, logConfiguration=LOGGED)), startFromHead=True)
        self.assertEqual([262_118, 37_882, 3], [len(line) for line in lines])

    def test_much_output_is_no_obstacle(self):
        script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i + 1)); done"
        lines = self.lines(self.run_to_the_end(container(script, logConfiguration=LOGGED)), startFromHead=True)
        self.assertEqual([f"line {number}" for number in range(3000)], lines)


class Roles(EcsTest):
    def test_a_container_has_a_session_of_the_role_of_its_task(self):
        trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = self.client("iam").create_role(
            RoleName="task", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )["Role"]["Arn"]
        names = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN"
        script = " ".join(f"; echo ${name}" for name in names.split())[2:]
        definition = self.define(container(script, logConfiguration=LOGGED), taskRoleArn=role)
        task = self.when(self.run_task(definition), "STOPPED")
        key, secret, token = self.lines(task, startFromHead=True)
        session = boto3.client(
            "sts",
            endpoint_url=self.cloud.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )
        task_id = task["taskArn"].rpartition("/")[2]
        expected = f"arn:aws:sts::{self.account}:assumed-role/task/{task_id}"
        self.assertEqual(expected, session.get_caller_identity()["Arn"])


class Many(EcsTest):
    def test_hundreds_of_tasks_run_at_once(self):
        definition = self.define(container("sleep 0.5; exit 0"))
        started = time.monotonic()
        for _ in range(20):
            answer = self.ecs.run_task(cluster="jobs", taskDefinition=definition, count=10, **FARGATE)
            self.assertEqual(10, len(answer["tasks"]))
        self.assertLess(time.monotonic() - started, 10)

        def all_stopped() -> bool:
            tasks = self.cloud.request("GET", "ecs", account=self.account)["tasks"]
            return len(tasks) == 200 and all(task["lastStatus"] == "STOPPED" for task in tasks)

        eventually(all_stopped, "the end of all", 60)
