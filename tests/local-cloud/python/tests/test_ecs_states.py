"""State machines that run tasks of ECS."""

import json
import time

from .ecs_support import EcsTest, container
from .support import eventually, task

PARAMETERS = {
    "Cluster": "jobs",
    "TaskDefinition": "etl",
    "LaunchType": "FARGATE",
    "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"]}},
}


class RunTask(EcsTest):
    def run_state(self, pattern: str, parameters: dict | None = None, **fields) -> str:
        given = {**PARAMETERS, **(parameters or {})}
        return self.start(self.machine(task(f"arn:aws:states:::ecs:runTask{pattern}", Parameters=given, **fields)))

    def tasks(self) -> list[dict]:
        return self.cloud.request("GET", "ecs", account=self.account)["tasks"]

    def running(self) -> dict:
        def check() -> dict | None:
            return next((each for each in self.tasks() if each["lastStatus"] == "RUNNING"), None)

        return eventually(check, "a running task")

    def test_the_answer_of_run_task_is_the_result(self):
        self.define(container("sleep 60"))
        described = self.ended(self.run_state(""))
        result = json.loads(described["output"])
        self.assertEqual({"Failures", "SdkHttpMetadata", "SdkResponseMetadata", "Tasks"}, set(result))
        (started,) = result["Tasks"]
        self.assertEqual(("PROVISIONING", "RUNNING"), (started["LastStatus"], started["DesiredStatus"]))
        self.assertEqual("AWS Step Functions", started["StartedBy"])
        self.stop({"taskArn": started["TaskArn"]}, stopCode="UserInitiated")

    def test_a_task_that_is_waited_for_is_the_result(self):
        self.define(container("sleep 0.2"))
        execution = self.run_state(".sync")
        result = json.loads(self.ended(execution)["output"])
        self.assertEqual(("STOPPED", 0), (result["LastStatus"], result["Containers"][0]["ExitCode"]))
        self.assertEqual(("eni", "DELETED"), (result["Attachments"][0]["Type"], result["Attachments"][0]["Status"]))
        self.assertIsInstance(result["StoppedAt"], int)
        # As recorded.
        names = (
            "Attachments Attributes AvailabilityZone ClusterArn Connectivity ConnectivityAt Containers Cpu CreatedAt "
            "DesiredStatus EnableExecuteCommand EphemeralStorage ExecutionStoppedAt Group InferenceAccelerators "
            "LastStatus LaunchType Memory Overrides PlatformVersion PullStartedAt PullStoppedAt StartedAt StartedBy "
            "StopCode StoppedAt StoppedReason StoppingAt Tags TaskArn TaskDefinitionArn Version"
        )
        self.assertEqual(names.split(), list(result))
        names = (
            "ContainerArn Cpu ExitCode GpuIds Image ImageDigest LastStatus ManagedAgents Name NetworkBindings "
            "NetworkInterfaces RuntimeId TaskArn"
        )
        self.assertEqual(names.split(), list(result["Containers"][0]))
        types = self.types(execution)[2:6]
        self.assertEqual(["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"], types)

    def test_the_end_of_a_task_is_noticed_at_once(self):
        self.settings(deprovisioningSeconds=0)
        self.define(container("exit 0"))
        machine = self.machine(task("arn:aws:states:::ecs:runTask.sync", Parameters=PARAMETERS))
        waits = []
        for _ in range(3):
            execution = self.start(machine)
            stopped = json.loads(self.ended(execution)["output"])["StoppedAt"] / 1000
            exited = next(event for event in self.history(execution) if event["type"] == "TaskStateExited")
            waits.append(exited["timestamp"].timestamp() - stopped)
        self.assertLess(min(waits), 0.1)

    def test_it_waits_for_the_end_of_the_deprovisioning(self):
        self.settings(deprovisioningSeconds=0.5)
        self.define(container("exit 0"))
        started = time.monotonic()
        self.ended(self.run_state(".sync"))
        self.assertGreaterEqual(time.monotonic() - started, 0.5)

    def test_a_container_that_fails_fails_the_state_also_if_it_is_not_essential(self):
        sidecar = container("exit 7", "sidecar", essential=False)
        for number, containers in enumerate(([container("exit 3")], [container("sleep 0.3"), sidecar])):
            self.define(*containers)
            state = task("arn:aws:states:::ecs:runTask.sync", Parameters=PARAMETERS)
            described = self.ended(self.start(self.machine(state, f"m{number}")))
            self.assertEqual("States.TaskFailed", described["error"])
            cause = json.loads(described["cause"])
            self.assertEqual([3] if number == 0 else [0, 7], [each["ExitCode"] for each in cause["Containers"]])

    def test_a_task_that_does_not_start_fails_the_state(self):
        self.define({"name": "main", "image": "nope"})
        described = self.ended(self.run_state(".sync"))
        self.assertEqual("States.TaskFailed", described["error"])
        self.assertEqual("TaskFailedToStart", json.loads(described["cause"])["StopCode"])

    def test_a_refused_call_fails_the_state_with_its_error(self):
        for number, pattern in enumerate(("", ".sync")):
            state = task(f"arn:aws:states:::ecs:runTask{pattern}", Parameters={**PARAMETERS, "Cluster": "nope"})
            described = self.ended(self.start(self.machine(state, f"m{number}")))
            self.assertEqual("ECS.ClusterNotFoundException", described["error"])
            self.assertIn("Cluster not found. (Service: AmazonECS; Status Code: 400;", described["cause"])

    def test_an_abort_stops_the_task(self):
        self.define(container("sleep 60"))
        execution = self.run_state(".sync")
        started = self.running()
        self.states.stop_execution(executionArn=execution)
        self.assertEqual("UserInitiated", self.when(started, "STOPPED")["stopCode"])

    def test_a_timeout_stops_the_task(self):
        self.define(container("sleep 60"))
        execution = self.run_state(".sync", TimeoutSeconds=1)
        started = self.running()
        described = self.ended(execution)
        self.assertEqual("States.Timeout", described["error"])
        self.assertIn("TaskTimedOut", self.types(execution))
        self.assertEqual("UserInitiated", self.when(started, "STOPPED")["stopCode"])

    def test_a_task_with_a_token_is_not_watched(self):
        self.define(container("exit 9"))
        environment = [{"Name": "TOKEN", "Value.$": "$$.Task.Token"}]
        overrides = {"ContainerOverrides": [{"Name": "main", "Environment": environment}]}
        execution = self.run_state(".waitForTaskToken", {"Overrides": overrides})
        started = eventually(self.tasks, "the task")[0]
        self.when(started, "STOPPED")
        self.assertEqual("RUNNING", self.states.describe_execution(executionArn=execution)["status"])
        token = started["overrides"]["containerOverrides"][0]["environment"][0]["value"]
        self.states.send_task_success(taskToken=token, output='"done"')
        self.assertEqual('"done"', self.ended(execution)["output"])
