"""Stubbed tasks: Task states that answer by themselves."""

import json
import time

from .support import CloudError, CloudTest, eventually, task

NOWHERE = "arn:aws:lambda:us-east-1:000000000000:function:nowhere"
LAMBDA = "arn:aws:states:::lambda:invoke"
START = "arn:aws:states:::states:startExecution"
RESOURCES = (
    NOWHERE,
    LAMBDA,
    f"{LAMBDA}.waitForTaskToken",
    f"{START}.sync:2",
    "arn:aws:states:::aws-sdk:s3:getObject",
    "arn:aws:states:::glue:startJobRun.sync",
    "arn:aws:states:us-east-1:000000000000:activity:nobody",
)


class Stubs(CloudTest):
    def test_every_resource_answers(self):
        self.stub(machine="*")
        for number, resource in enumerate(RESOURCES):
            with self.subTest(resource):
                machine = self.machine(task(resource, Parameters={"a.$": "$.a"}), f"m{number}")
                outputs = [self.output(self.start(machine, {"a": 1, "b": each})) for each in (1, 2)]
                self.assertEqual(outputs[0], outputs[1])
                self.assertEqual(("T", {"a": 1}), (outputs[0]["state"], outputs[0]["input"]))
                self.assertNotEqual(outputs[0]["n"], self.output(self.start(machine, {"a": 2}))["n"])

    def test_the_history_has_the_events_of_the_task(self):
        self.stub({"submitted": {"Id": 7}})
        execution = self.start(self.machine(task(f"{START}.sync", Parameters={"a": 1}, TimeoutSeconds=9)))
        self.ended(execution)
        events = {event["type"]: event for event in self.history(execution)}
        expected = ["TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]
        self.assertEqual(expected, list(events)[1:6])
        self.assertEqual('{"Id":7}', events["TaskSubmitted"]["taskSubmittedEventDetails"]["output"])
        scheduled = events["TaskScheduled"]["taskScheduledEventDetails"]
        self.assertEqual(('{"a":1}', 9), (scheduled["parameters"], scheduled["timeoutInSeconds"]))

    def test_a_token_does_not_change_the_answer(self):
        self.stub(machine="*")
        state = {"token.$": "$$.Task.Token", "text.$": "States.Format('<{}>', $$.Task.Token)"}
        for name, resource in (("callback", f"{LAMBDA}.waitForTaskToken"), ("sync", f"{START}.sync:2")):
            with self.subTest(name):
                machine = self.machine(task(resource, Parameters={"Payload": state}), name)
                output = self.output(self.start(machine))
                self.assertEqual({"token": "TASK-TOKEN", "text": "<TASK-TOKEN>"}, output["input"]["Payload"])
                self.assertEqual(output, self.output(self.start(machine)))

    def test_outcomes_are_for_states_inputs_and_calls(self):
        retried = {"ErrorEquals": ["Again"], "IntervalSeconds": 0}
        states = {"A": {"Type": "Task", "Resource": NOWHERE, "Retry": [retried], "Next": "B"}}
        states["B"] = {"Type": "Task", "Resource": NOWHERE, "End": True}
        machine = self.machine({"StartAt": "A", "States": states})
        self.stub(
            {"state": "A", "whenInput": {"n": 1}, "call": 2, "succeed": {"n": "second"}},
            {"state": "A", "times": 1, "fail": {"error": "Again", "cause": "C"}},
            {"state": "B", "whenInput": {"n": "second"}, "succeed": [1]},
            {"state": "B", "execution": "other", "fail": {"error": "Other"}},
            echo=False,
        )
        first = self.start(machine, {"n": 1}, name="first")
        self.assertEqual([1], self.output(first))
        self.assertEqual("Other", self.ended(self.start(machine, {"n": 2}, name="other"))["error"])
        failed = next(event for event in self.history(first) if event["type"] == "LambdaFunctionFailed")
        self.assertEqual({"error": "Again", "cause": "C"}, failed["lambdaFunctionFailedEventDetails"])
        seen = [(each["state"], each["retry"], each["outcome"]) for each in self.stubbed_calls(execution="first")]
        self.assertEqual([("A", 0, "failed"), ("A", 1, "succeeded"), ("B", 0, "succeeded")], seen)
        self.assertEqual([{"n": 1}, {"n": 1}, {"n": "second"}], [each["input"] for each in self.stubbed_calls()[:3]])
        self.assertEqual(5, len(self.stubbed_calls()))
        (stub,) = self.cloud.request("GET", "stubs", account=self.account)["stubs"]
        self.assertEqual([1, 1, 1, 1], [outcome["hits"] for outcome in stub["outcomes"]])
        self.cloud.request("DELETE", "stubs/calls", account=self.account)
        self.assertEqual([], self.stubbed_calls())

    def test_an_iteration_has_an_outcome_of_its_own(self):
        processor = {"StartAt": "T", "States": task(NOWHERE)["States"]}
        items = {"Type": "Map", "ItemProcessor": processor, "MaxConcurrency": 1, "End": True}
        self.stub({"whenIteration": 0, "succeed": "first"}, {"whenIteration": 2, "fail": {}})
        execution = self.start(self.machine({"StartAt": "M", "States": {"M": items}}), ["a", "a", "a"])
        self.assertEqual("FAILED", self.ended(execution)["status"])
        self.assertEqual([0, 1, 2], [each["iteration"] for each in self.stubbed_calls()])
        self.assertEqual(["succeeded", "succeeded", "failed"], [each["outcome"] for each in self.stubbed_calls()])

    def test_a_task_times_out(self):
        self.stub({"times": 1, "timeOut": True}, {"times": 1, "hold": True}, {"delaySeconds": 0.1, "succeed": 1})
        retried = {"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 0}
        machine = self.machine(task(LAMBDA, Retry=[retried], TimeoutSeconds=1))
        started = time.monotonic()
        execution = self.start(machine)
        self.assertEqual(1, self.output(execution))
        self.assertGreater(time.monotonic() - started, 1.1)
        self.assertEqual(2, self.types(execution).count("TaskTimedOut"))
        self.assertEqual(["timedOut", "timedOut", "succeeded"], [each["outcome"] for each in self.stubbed_calls()])

    def test_a_held_task_waits_until_it_is_released(self):
        self.stub({"state": "T", "hold": True, "succeed": 1})
        machine = self.machine(task(LAMBDA))
        executions = [self.start(machine, name=name) for name in "ab"]
        self.held(2)
        self.assertEqual(0, self.release(state="other"))
        self.assertEqual(1, self.release(execution="b", state="T"))
        self.assertEqual(1, self.output(executions[1]))
        self.assertEqual(["open", "succeeded"], [each["outcome"] for each in self.stubbed_calls()])
        self.cloud.request("DELETE", "stubs", account=self.account)
        self.assertEqual(1, self.output(executions[0]))

    def test_a_held_task_can_be_aborted(self):
        self.stub({"hold": True, "fail": {"error": "E"}})
        execution = self.start(self.machine(task(LAMBDA)))
        self.held()
        self.states.stop_execution(executionArn=execution)
        eventually(lambda: self.stubbed_calls()[0]["outcome"] == "aborted", "the end of the call")
        self.assertEqual("ABORTED", self.ended(execution)["status"])
        self.assertEqual(0, self.release())

    def test_clones_have_the_stub_of_their_original(self):
        long = "m" * 80
        states = {"A (b)": {"Type": "Task", "Resource": NOWHERE, "End": True}}
        self.machine({"StartAt": "A (b)", "States": states}, "short")
        role = self.role("clone")
        for original, clone, state, name in (
            ("short", "short--r-0123456789ab", "A (b)", "A (b)"),
            ("short", "short--r-0123456789ab", "Charge (resumed)", "Charge"),
            ("short", "short--r-0123456789ab", "Charge (resumed 2)", "Charge"),
            ("short", "short--r-0123456789ab", "Renamed", "Original"),
            (long, f"{'m' * 64}--r-0123456789ab", "Charge (again)", "Charge"),
            (f"{'m' * 64}--r-ffffffffffff", f"{'m' * 64}--r-0123456789ac", "Charge", "Charge"),
            ("plain", "plain", "Charge (EU)", "Charge (EU)"),
        ):
            with self.subTest(clone=clone, state=state):
                self.cloud.request("DELETE", "stubs", account=self.account)
                self.stub({"state": name, "succeed": 1}, machine=original, aliases={"Renamed": "Original"})
                definition = {"StartAt": state, "States": {state: {"Type": "Task", "Resource": NOWHERE, "End": True}}}
                created = self.states.create_state_machine(name=clone, definition=json.dumps(definition), roleArn=role)
                self.assertEqual(1, self.output(self.start(created["stateMachineArn"])))
                call = self.stubbed_calls()[-1]
                self.assertEqual((clone, state, name), (call["machine"], call["state"], call["original"]))
                self.states.delete_state_machine(stateMachineArn=created["stateMachineArn"])

    def test_other_machines_have_none(self):
        self.stub(machine="short")
        for name in ("shorter", "short--r-", "short--r-0123456789AB", "other--r-0123456789ab"):
            with self.subTest(name):
                self.assertEqual("FAILED", self.ended(self.start(self.machine(task(NOWHERE), name)))["status"])
        self.assertEqual([], self.stubbed_calls())

    def test_a_real_task_calls_its_service(self):
        self.stub({"state": "T", "real": True})
        described = self.ended(self.start(self.machine(task(LAMBDA, Parameters={"FunctionName": "x"}))))
        self.assertEqual("Lambda.AWSLambdaException", described["error"])
        self.assertEqual(["real"], [each["outcome"] for each in self.stubbed_calls()])

    def test_a_stub_that_makes_no_sense_is_refused(self):
        for outcomes, message in (
            ([{"stat": "A"}], "stat: there is no such field"),
            ([{"succeed": 1, "fail": {}}], "fail and succeed exclude one another"),
            ([{"times": 0}], "times: must be a number that counts"),
            ([{"hold": "yes"}], "hold: must be true"),
            ([{"fail": "E"}], "fail: must be an object"),
            ([{"delaySeconds": "1"}], "delaySeconds: must be a number"),
            ("E", "outcomes: must be an array"),
        ):
            with self.subTest(message), self.assertRaisesRegex(CloudError, message):
                self.cloud.request("POST", "stubs", {"account": self.account, "machine": "m", "outcomes": outcomes})
        with self.assertRaisesRegex(CloudError, "machine: a name"):
            self.cloud.request("POST", "stubs", {"account": self.account})
