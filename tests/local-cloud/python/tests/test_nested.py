"""Task states that run an execution of another machine, and wait for its end."""

import json

from .support import PASS, WAIT, CloudTest, eventually, task

START_SYNC = "arn:aws:states:::states:startExecution.sync"
FAILS = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}}


class Nested(CloudTest):
    def parent(self, child: dict, version: str = "", **fields) -> tuple[str, str]:
        """A run of a machine that runs this one, and the ARN of the nested one."""
        nested = self.machine(child, f"nested{version[1:]}")
        parameters = {"StateMachineArn": nested, "Input": {"a": 1}, "Name": "n"}
        machine = self.machine(task(START_SYNC + version, Parameters=parameters, **fields), f"parent{version[1:]}")
        return self.start(machine), f"{nested.replace('stateMachine', 'execution')}:n"

    def is_stopped(self, nested: str) -> None:
        def status() -> str:
            return self.states.describe_execution(executionArn=nested)["status"]

        eventually(lambda: status() == "ABORTED", "the end of the nested execution")

    def test_it_is_an_execution_like_any_other_and_has_its_output(self):
        for version, output in (("", '{"a":1}'), (":2", {"a": 1})):
            with self.subTest(version or ".sync"):
                execution, nested = self.parent(PASS, version)
                result = json.loads(self.ended(execution)["output"])
                known = (result["ExecutionArn"], json.dumps(result["Output"]), result["Status"])
                self.assertEqual((nested, json.dumps(output), "SUCCEEDED"), known)
                events = {event["type"]: event for event in self.history(execution)}
                submitted = json.loads(events["TaskSubmitted"]["taskSubmittedEventDetails"]["output"])
                self.assertEqual(nested, submitted["ExecutionArn"])
                listed = self.states.list_executions(stateMachineArn=result["StateMachineArn"])["executions"]
                self.assertEqual([nested], [each["executionArn"] for each in listed])

    def test_its_failure_is_the_cause(self):
        execution, nested = self.parent(FAILS)
        ended = self.ended(execution)
        cause = json.loads(ended["cause"])
        self.assertEqual(("States.TaskFailed", "FAILED"), (ended["error"], cause["Status"]))
        self.assertEqual([nested, "E", "C"], [cause[name] for name in ("ExecutionArn", "Error", "Cause")])

    def test_a_name_that_is_taken_fails_the_task(self):
        execution, nested = self.parent(WAIT)
        eventually(lambda: "TaskSubmitted" in self.types(execution), "the start of the nested execution")
        parameters = {"StateMachineArn": nested.rpartition(":")[0].replace("execution", "stateMachine"), "Name": "n"}
        for resource in (START_SYNC, START_SYNC.removesuffix(".sync")):
            with self.subTest(resource):
                machine = self.machine(task(resource, Parameters=parameters), resource.rpartition(":")[2])
                error = self.ended(self.start(machine))["error"]
                self.assertEqual("StepFunctions.ExecutionAlreadyExistsException", error)

    def test_it_is_stopped_with_its_parent(self):
        execution, nested = self.parent(WAIT)
        self.entered(execution, "T")
        eventually(lambda: "TaskSubmitted" in self.types(execution), "the start of the nested execution")
        self.states.stop_execution(executionArn=execution)
        self.is_stopped(nested)

    def test_it_is_stopped_when_it_takes_too_long(self):
        execution, nested = self.parent(WAIT, TimeoutSeconds=1)
        self.assertEqual("States.Timeout", self.ended(execution)["error"])
        self.is_stopped(nested)
