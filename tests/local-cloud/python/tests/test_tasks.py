"""Task states: limits of time, task tokens, and functions that wait for one."""

import base64
import json
import time

from .support import INVOKE_ANYTHING, CloudTest, eventually, task

CALLBACK = "arn:aws:states:::lambda:invoke.waitForTaskToken"
CLOSED = "Task Timed Out: 'Provided task does not exist anymore'"


def machine_of(state: dict, **fields) -> dict:
    """A state, and one that its Catch leads to if it has any."""
    done = {"Done": {"Type": "Pass", "End": True}} if "Catch" in state else {}
    return {"StartAt": "T", "States": {"T": state, **done}, **fields}


class Limits(CloudTest):
    def test_a_callback_times_out_by_its_attempt(self):
        caught = {"ErrorEquals": ["States.Timeout"], "Next": "Done"}
        retried = {"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 0, "MaxAttempts": 1}
        executions = {}
        for name, fields in (
            ("seconds", {"TimeoutSeconds": 1}),
            ("path", {"TimeoutSecondsPath": "$.limit"}),
            ("expression", {"QueryLanguage": "JSONata", "TimeoutSeconds": "{% $states.input.limit %}"}),
        ):
            state = self.callback(**fields, Retry=[retried], Catch=[caught])
            executions[name] = self.start(self.machine(machine_of(state), name), {"limit": 1})
        for name, execution in executions.items():
            with self.subTest(name):
                described = self.ended(execution)
                self.assertEqual({"Error": "States.Timeout", "Cause": ""}, json.loads(described["output"]))
                seconds = (described["stopDate"] - described["startDate"]).total_seconds()
                self.assertTrue(2 <= seconds < 4, seconds)

    def test_a_function_times_out(self):
        function = self.deploy()["outputs"]["WorkerArn"]
        machine = self.machine(task(function, TimeoutSeconds=1), "machine", INVOKE_ANYTHING)
        execution = self.start(machine, {"sleep": 3})
        described = self.ended(execution)
        self.assertEqual(("FAILED", "States.Timeout"), (described["status"], described["error"]))
        self.assertNotIn("cause", described)
        self.assertEqual("LambdaFunctionTimedOut", self.types(execution)[-2])

    def test_a_task_without_heartbeats_times_out(self):
        both = ({"HeartbeatSeconds": 1}, {"HeartbeatSecondsPath": "$.beat"})
        machines = [self.machine(machine_of(self.callback(**fields)), *fields) for fields in both]
        for execution in [self.start(machine, {"beat": 1}) for machine in machines]:
            with self.subTest(execution):
                described = self.ended(execution)
                self.assertEqual(("FAILED", "States.Timeout"), (described["status"], described["error"]))
                self.assertEqual("TaskTimedOut", self.types(execution)[-2])

    def test_a_missing_heartbeat_can_be_told_from_a_timeout(self):
        caught = [
            {"ErrorEquals": ["States.HeartbeatTimeout"], "ResultPath": "$.heartbeat", "Next": "Done"},
            {"ErrorEquals": ["States.Timeout"], "ResultPath": "$.timeout", "Next": "Done"},
        ]
        executions = {}
        for fields, expected in (
            ({"HeartbeatSeconds": 1, "TimeoutSeconds": 9}, "heartbeat"),
            ({"HeartbeatSeconds": 9, "TimeoutSeconds": 1}, "timeout"),
        ):
            executions[expected] = self.start(self.machine(machine_of(self.callback(**fields, Catch=caught)), expected))
        for expected, execution in executions.items():
            with self.subTest(expected):
                self.assertEqual([expected], list(json.loads(self.ended(execution)["output"])))

    def test_heartbeats_keep_a_task_waiting(self):
        execution = self.start(self.machine(machine_of(self.callback(HeartbeatSeconds=1))))
        token = self.sent()["token"]
        for _ in range(4):
            time.sleep(0.5)
            self.states.send_task_heartbeat(taskToken=token)
        self.states.send_task_success(taskToken=token, output="1")
        self.assertEqual("SUCCEEDED", self.ended(execution)["status"])

    def test_the_timeout_of_a_machine_ends_the_execution(self):
        executions = {}
        for state in (self.callback(), {"Type": "Wait", "Seconds": 60, "End": True}):
            definition = {"StartAt": "T", "States": {"T": state}, "TimeoutSeconds": 1}
            executions[state["Type"]] = self.start(self.machine(definition, state["Type"]))
        for kind, execution in executions.items():
            with self.subTest(kind):
                described = self.ended(execution)
                self.assertEqual("TIMED_OUT", described["status"])
                self.assertFalse(described.keys() & {"error", "cause", "output"})
                last = self.history(execution)[-1]
                self.assertEqual(("ExecutionTimedOut", 0), (last["type"], last["previousEventId"]))
                self.assertEqual({"error": "States.Timeout"}, last["executionTimedOutEventDetails"])
                eventually(lambda run=execution: len(self.status_events(run)) == 2, "the second status event")
                event = self.status_events(execution)[-1]
                self.assertEqual(("TIMED_OUT", "REDRIVABLE"), (event["status"], event["redriveStatus"]))
        self.assert_refused("TaskTimedOut", self.states.send_task_success, taskToken=self.sent()["token"], output="1")

    def test_retries_wait_up_to_their_maximum(self):
        retried = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 100, "MaxAttempts": 2}
        state = self.callback(Retry=[{**retried, "MaxDelaySeconds": 1}])
        execution = self.start(self.machine(machine_of(state)))
        for _ in range(3):
            self.states.send_task_failure(taskToken=self.sent()["token"], error="E")
        self.assertEqual("E", self.ended(execution)["error"])


class Tokens(CloudTest):
    def test_tokens_look_like_those_of_aws(self):
        self.start(self.machine(machine_of(self.callback())))
        token = self.sent()["token"]
        self.assertTrue(500 <= len(token) <= 700)
        self.assertRegex(token, r"^AAAAKgAAAAIAAAAA[A-Za-z0-9+/]+=*$")

    def test_each_attempt_has_a_token_of_its_own(self):
        for language in ("JSONPath", "JSONata"):
            with self.subTest(language):
                retried = {"ErrorEquals": ["Again"], "IntervalSeconds": 0}
                state = self.callback(QueryLanguage=language, Retry=[retried])
                execution = self.start(self.machine(machine_of(state), language))
                first = self.sent()["token"]
                self.states.send_task_failure(taskToken=first, error="Again")
                second = self.sent()["token"]
                self.assertNotEqual(first, second)
                self.assert_refused("TaskTimedOut", self.states.send_task_success, taskToken=first, output="1")
                self.states.send_task_success(taskToken=second, output="2")
                self.assertEqual("2", self.ended(execution)["output"])

    def test_a_closed_token_is_timed_out(self):
        stopped = self.start(self.machine(machine_of(self.callback()), "stopped"))
        tokens = [self.sent()["token"]]
        self.states.stop_execution(executionArn=stopped)
        late = self.start(self.machine(machine_of(self.callback(TimeoutSeconds=1)), "late"))
        tokens.append(self.sent()["token"])
        self.ended(late)
        for answer, arguments in (("send_task_success", {"output": "1"}), ("send_task_failure", {})):
            answered = self.start(self.machine(machine_of(self.callback()), answer))
            tokens.append(self.sent()["token"])
            getattr(self.states, answer)(taskToken=tokens[-1], **arguments)
            self.ended(answered)
        for token in tokens:
            for call, arguments in (
                (self.states.send_task_success, {"output": "1"}),
                (self.states.send_task_failure, {}),
                (self.states.send_task_heartbeat, {}),
            ):
                self.assertEqual(CLOSED, self.assert_refused("TaskTimedOut", call, taskToken=token, **arguments))

    def test_a_token_that_nobody_was_given(self):
        self.start(self.machine(machine_of(self.callback())))
        raw = base64.b64decode(self.sent()["token"])
        whole = base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()
        self.assert_refused("TaskDoesNotExist", self.states.send_task_success, taskToken=whole, output="1")
        for token in ("x", "garbage" * 80, whole[:-4], "A" * 600, "A" * 2049):
            with self.subTest(token[:10]):
                message = self.assert_refused("InvalidToken", self.states.send_task_heartbeat, taskToken=token)
                self.assertEqual("Invalid Token: 'Invalid token'", message)

    def test_a_token_is_good_in_its_own_account_alone(self):
        self.start(self.machine(machine_of(self.callback())))
        elsewhere = self.cloud.client("stepfunctions", str(int(self.account) + 500_000_000_000))
        token = self.sent()["token"]
        self.assert_refused("TaskDoesNotExist", elsewhere.send_task_success, taskToken=token, output="1")

    def test_an_output_must_be_json_of_256_kib(self):
        execution = self.start(self.machine(machine_of(self.callback())))
        token = self.sent()["token"]
        for output in ("", "{", json.dumps("é" * 131_072, ensure_ascii=False)):
            self.assert_refused("InvalidOutput", self.states.send_task_success, taskToken=token, output=output)
        fitting = json.dumps("é" * 131_071, ensure_ascii=False)
        self.states.send_task_success(taskToken=token, output=fitting)
        self.assertEqual(fitting, self.ended(execution)["output"])

    def test_error_and_cause_have_a_limit_and_can_be_left_out(self):
        caught = {"ErrorEquals": ["States.ALL"], "Next": "Done"}
        execution = self.start(self.machine(machine_of(self.callback(Catch=[caught]))))
        token = self.sent()["token"]
        for fields in ({"error": "e" * 257}, {"cause": "c" * 32_769}):
            self.assert_refused("ValidationException", self.states.send_task_failure, taskToken=token, **fields)
        self.states.send_task_failure(taskToken=token)
        self.assertEqual({"Error": None, "Cause": None}, json.loads(self.ended(execution)["output"]))


class Functions(CloudTest):
    """lambda:invoke.waitForTaskToken."""

    def setUp(self) -> None:
        super().setUp()
        self.function = self.deploy()["outputs"]["WorkerArn"]

    def run_function(self, payload: dict, name: str = "machine", **fields) -> str:
        """Start an execution whose function gets the token where the payload says TOKEN."""
        jsonata = fields.get("QueryLanguage") == "JSONata"

        def fill(value):
            if not isinstance(value, dict):
                return value
            filled = {}
            for key, each in value.items():
                if each != "TOKEN":
                    filled[key] = fill(each)
                elif jsonata:
                    filled[key] = "{% $states.context.Task.Token %}"
                else:
                    filled[f"{key}.$"] = "$$.Task.Token"
            return filled

        arguments = {"FunctionName": self.function, "Payload": fill(payload)}
        definition = task(CALLBACK, **{"Arguments" if jsonata else "Parameters": arguments}, **fields)
        if "Catch" in fields:
            definition["States"]["Done"] = {"Type": "Pass", "End": True}
        return self.start(self.machine(definition, name, INVOKE_ANYTHING))

    def answer(self, then: dict | None = None) -> dict:
        arguments = {"taskToken": "TOKEN", "output": '"answered"'}
        call = {"service": "stepfunctions", "operation": "send_task_success", "arguments": arguments}
        return {"aws": call} | ({"then": then} if then else {})

    def test_a_function_that_fails_fails_its_task(self):
        retried = {"ErrorEquals": ["My.Error"], "IntervalSeconds": 0, "MaxAttempts": 1}
        for language in ("JSONPath", "JSONata"):
            with self.subTest(language):
                execution = self.run_function({"error": "My.Error"}, language, QueryLanguage=language, Retry=[retried])
                described = self.ended(execution)
                self.assertEqual(("FAILED", "My.Error"), (described["status"], described["error"]))
                self.assertEqual("My.Error happened", json.loads(described["cause"])["errorMessage"])
                self.assertEqual(2, self.types(execution).count("TaskFailed"))

    def test_a_function_that_fails_can_be_caught(self):
        caught = {"ErrorEquals": ["My.Error"], "ResultPath": "$.caught", "Next": "Done"}
        output = json.loads(self.ended(self.run_function({"error": "My.Error"}, Catch=[caught]))["output"])
        self.assertEqual("My.Error", output["caught"]["Error"])

    def test_an_answer_before_the_function_returns_decides(self):
        for then in ({"sleep": 4}, {"sleep": 4, "error": "Too.Late"}):
            with self.subTest(then):
                execution = self.run_function(self.answer(then), f"m{len(then)}")
                described = self.ended(execution)
                self.assertEqual(("SUCCEEDED", '"answered"'), (described["status"], described.get("output")))
                self.assertLess((described["stopDate"] - described["startDate"]).total_seconds(), 3.9)

    def test_what_the_function_returns_is_of_no_account(self):
        execution = self.run_function({"token": "TOKEN"})

        def submitted():
            return [event for event in self.history(execution) if event["type"] == "TaskSubmitted"]

        (event,) = eventually(submitted, "TaskSubmitted")
        output = json.loads(event["taskSubmittedEventDetails"]["output"])
        self.states.send_task_success(taskToken=output["Payload"]["event"]["token"], output='"x"')
        self.assertEqual('"x"', self.ended(execution)["output"])

    def test_the_timeout_counts_from_the_start_of_the_attempt(self):
        execution = self.run_function({"sleep": 3}, TimeoutSeconds=1)
        described = self.ended(execution)
        self.assertEqual("States.Timeout", described["error"])
        self.assertLess((described["stopDate"] - described["startDate"]).total_seconds(), 2.5)

    def test_a_continuation_comes_at_once(self):
        state = self.callback()
        machine = self.machine(machine_of(state))
        fastest = 1.0
        for _ in range(5):
            execution = self.start(machine)
            token = self.sent()["token"]
            started = time.monotonic()
            self.states.send_task_success(taskToken=token, output="1")
            while self.states.describe_execution(executionArn=execution)["status"] == "RUNNING":
                pass
            fastest = min(fastest, time.monotonic() - started)
        self.assertLess(fastest, 0.05)
