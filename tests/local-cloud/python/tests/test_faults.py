"""Faults, counters and events through `/_local/`."""

import json
import time

import botocore.exceptions

from .support import WAIT, CloudError, CloudTest, eventually


class Faults(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.outputs = self.deploy()["outputs"]
        self.table = self.outputs["TableName"]
        self.dynamodb = self.client("dynamodb")

    def put(self, key: str) -> None:
        self.dynamodb.put_item(TableName=self.table, Item={"pk": {"S": key}})

    def has(self, key: str) -> bool:
        return "Item" in self.dynamodb.get_item(TableName=self.table, Key={"pk": {"S": key}})

    def function_puts(self) -> dict:
        arguments = {"TableName": self.table, "Item": {"pk": {"S": "by function"}}}
        event = {"aws": {"service": "dynamodb", "operation": "put_item", "arguments": arguments}}
        answer = self.client("lambda").invoke(
            FunctionName=self.outputs["WorkerArn"], Payload=json.dumps(event).encode()
        )
        return json.loads(answer["Payload"].read())

    def hits(self, fault: str) -> int:
        faults = self.cloud.request("GET", "faults", account=self.account)["faults"]
        return next(each["hits"] for each in faults if each["id"] == fault)

    def test_throttling_has_the_service_s_own_shape(self):
        machine = self.outputs["FlowArn"]
        self.fault("DynamoDB.*", "throttle", times=1)
        self.assert_refused("ThrottlingException", self.put, "a")
        self.fault("DynamoDB.PutItem", "throttle", times=1, code="ProvisionedThroughputExceededException")
        self.assert_refused("ProvisionedThroughputExceededException", self.put, "a")
        self.fault("States.ListExecutions", "throttle", times=1)
        self.assert_refused("ThrottlingException", self.states.list_executions, stateMachineArn=machine)
        execution = self.start(self.machine(WAIT))
        self.fault("States.GetExecutionHistory", "throttle", times=1)
        self.assert_refused("ThrottlingException", self.history, execution)
        self.assertTrue(self.history(execution))
        self.fault("SNS.*", "throttle", times=1)
        self.assert_refused("Throttling", self.client("sns").list_topics)
        self.fault("Lambda.Invoke", "throttle", times=1)
        self.assert_refused("TooManyRequestsException", self.client("lambda").invoke, FunctionName="x")
        self.put("a")

    def test_an_sdk_retries_a_throttled_call(self):
        fault = self.fault("DynamoDB.PutItem", "throttle", times=2)
        self.client("dynamodb", attempts=3).put_item(TableName=self.table, Item={"pk": {"S": "a"}})
        self.assertEqual(2, self.hits(fault))

    def test_an_error_is_the_one_that_was_asked_for(self):
        self.fault("DynamoDB.PutItem", "error", code="LimitExceededException", status=400, message="enough")
        self.assertEqual("enough", self.assert_refused("LimitExceededException", self.put, "a"))
        self.assertFalse(self.has("a"))

    def test_a_delay_comes_before_the_effect(self):
        self.fault("DynamoDB.PutItem", "delay", seconds=0.3)
        started = time.monotonic()
        self.put("a")
        self.assertGreaterEqual(time.monotonic() - started, 0.3)
        self.assertTrue(self.has("a"))

    def test_apply_then_fail_takes_effect(self):
        self.fault("DynamoDB.PutItem", "applyThenFail", times=1)
        self.assert_refused("InternalServerError", self.put, "a")
        self.assertTrue(self.has("a"))

    def test_a_dropped_call_has_no_answer(self):
        for after_effect in (False, True):
            with self.subTest(after_effect=after_effect):
                self.fault("DynamoDB.PutItem", "drop", times=1, afterEffect=after_effect)
                with self.assertRaises(botocore.exceptions.ConnectionClosedError):
                    self.put(str(after_effect))
                self.assertEqual(after_effect, self.has(str(after_effect)))
        self.assertTrue(self.cloud.request("GET", "health")["ready"])

    def test_faults_hit_functions_as_well_and_can_spare_the_harness(self):
        self.assertIn("answer", self.function_puts())
        self.fault("DynamoDB.PutItem", "throttle", caller="functions")
        self.assertEqual("ThrottlingException", self.function_puts()["error"])
        self.put("a")
        self.cloud.request("DELETE", "faults", account=self.account)
        self.fault("DynamoDB.PutItem", "error", code="Nope")
        self.assertEqual("Nope", self.function_puts()["error"])
        self.assert_refused("Nope", self.put, "a")

    def test_a_dropped_call_of_a_function_is_a_connection_error(self):
        self.fault("DynamoDB.PutItem", "drop")
        self.assertEqual("ConnectionClosedError", self.function_puts()["error"])

    def test_a_fault_strikes_its_account_and_its_text_alone(self):
        self.cloud.fault("999999999998", "*", "throttle")
        self.fault("DynamoDB.PutItem", "throttle", match='"unlucky"')
        self.fault("DynamoDB.PutItem", "throttle", table="other-table")
        self.put("lucky")
        self.assert_refused("ThrottlingException", self.put, "unlucky")

    def test_a_rate_strikes_some_calls(self):
        fault = self.fault("DynamoDB.PutItem", "throttle", rate=0.5)
        for number in range(60):
            try:
                self.put(str(number))
            except botocore.exceptions.ClientError:
                pass
        self.assertTrue(10 < self.hits(fault) < 50)

    def test_faults_can_be_removed(self):
        fault = self.fault("*", "error", code="Nope")
        self.assert_refused("Nope", self.put, "a")
        self.assertEqual(1, self.cloud.request("DELETE", "faults", id=fault)["removed"])
        self.put("a")

    def test_nonsense_is_refused(self):
        for fields, words in (
            ({"api": "Nonsense", "kind": "throttle"}, "api"),
            ({"api": "*", "kind": "flood"}, "kind: 'flood' is not one of"),
            ({"api": "*", "kind": "delay"}, "seconds"),
            ({"api": "*", "kind": "throttle", "tims": 3}, "tims: there is no such field"),
            ({"api": "DynamoDB.GetItem", "kind": "stale", "seconds": 1}, "cannot be stale"),
            ({"api": "*", "kind": "error"}, "code"),
            ({"api": "*", "kind": "throttle", "rate": 2}, "rate"),
        ):
            with self.subTest(fields), self.assertRaisesRegex(CloudError, words):
                self.cloud.request("POST", "faults", {"account": self.account, **fields})


class Stale(CloudTest):
    def test_an_execution_that_has_just_begun_is_not_seen(self):
        machine = self.machine(WAIT)
        faults = [self.fault(f"States.{api}", "stale", seconds=2) for api in ("ListExecutions", "DescribeExecution")]
        execution = self.start(machine)
        self.assertEqual([], self.states.list_executions(stateMachineArn=machine)["executions"])
        self.assert_refused("ExecutionDoesNotExist", self.states.describe_execution, executionArn=execution)
        eventually(lambda: self.states.list_executions(stateMachineArn=machine)["executions"], "the execution listed")
        self.assertEqual("RUNNING", self.states.describe_execution(executionArn=execution)["status"])
        for fault in faults:
            self.cloud.request("DELETE", "faults", id=fault)

    def test_an_execution_that_has_just_ended_is_seen_running(self):
        machine = self.machine(WAIT)
        execution = self.start(machine)
        started = self.states.describe_execution(executionArn=execution)["startDate"]
        eventually(lambda: time.time() - started.timestamp() > 1.5, "a second and a half of running")
        self.fault("States.ListExecutions", "stale", seconds=1.4)
        self.fault("States.DescribeExecution", "stale", seconds=1.4)
        self.states.stop_execution(executionArn=execution, cause="c")
        seen = self.states.describe_execution(executionArn=execution)
        self.assertEqual("RUNNING", seen["status"])
        self.assertNotIn("stopDate", seen)
        self.assertNotIn("cause", seen)
        listed = self.states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        self.assertEqual(1, len(listed))

        def aborted():
            return self.states.list_executions(stateMachineArn=machine, statusFilter="ABORTED")["executions"]

        eventually(aborted, "the abort listed")

    def test_an_execution_that_was_redriven_is_seen_as_it_was(self):
        """Aborted after 1 s, redriven after 2.2 s, and seen as of 1.5 s ago."""
        machine = self.machine(WAIT)
        execution = self.start(machine)
        started = self.states.describe_execution(executionArn=execution)["startDate"].timestamp()

        def wait_until(seconds: float) -> None:
            eventually(lambda: time.time() - started >= seconds, f"{seconds} s of running")

        wait_until(1)
        self.states.stop_execution(executionArn=execution, cause="c")
        wait_until(2.2)
        self.states.redrive_execution(executionArn=execution)
        for api in ("DescribeExecution", "ListExecutions", "GetExecutionHistory"):
            self.fault(f"States.{api}", "stale", seconds=1.5)
        expected = ((2.3, "RUNNING", 0, 2), (3.1, "ABORTED", 0, 3), (4.2, "RUNNING", 1, 4))
        for moment, status, redrives, events in expected:
            with self.subTest(moment):
                wait_until(moment)
                seen = self.states.describe_execution(executionArn=execution)
                (listed,) = self.states.list_executions(stateMachineArn=machine, statusFilter=status)["executions"]
                for each in (seen, listed):
                    self.assertEqual((status, redrives), (each["status"], each["redriveCount"]))
                    self.assertEqual(status == "ABORTED", "stopDate" in each)
                self.assertEqual("c" if status == "ABORTED" else None, seen.get("cause"))
                self.assertEqual(events, len(self.history(execution)))


class CountersAndEvents(CloudTest):
    def test_calls_are_counted_by_api_and_caller(self):
        outputs = self.deploy()["outputs"]
        dynamodb = self.client("dynamodb")
        for _ in range(3):
            dynamodb.put_item(TableName=outputs["TableName"], Item={"pk": {"S": "a"}})
        arguments = {"TableName": outputs["TableName"], "Item": {"pk": {"S": "b"}}}
        event = {"aws": {"service": "dynamodb", "operation": "put_item", "arguments": arguments}}
        self.client("lambda").invoke(FunctionName=outputs["WorkerArn"], Payload=json.dumps(event).encode())
        self.client("sns").list_topics()
        calls = self.cloud.request("GET", "calls", account=self.account)
        self.assertEqual({"count": 4, "harness": 3, "functions": 1}, calls["DynamoDB.PutItem"])
        self.assertEqual(1, calls["SNS.ListTopics"]["count"])
        self.assertEqual(1, calls["Lambda.Invoke"]["count"])
        self.cloud.request("DELETE", "calls", account=self.account)
        self.assertEqual({}, self.cloud.request("GET", "calls", account=self.account))

    def test_events_on_the_default_bus_can_be_read(self):
        entry = {"Source": "my.test", "DetailType": "Something", "Detail": '{"a": 1}'}
        self.client("events").put_events(Entries=[entry])
        (event,) = self.cloud.request("GET", "events", account=self.account)["events"]
        self.assertEqual(("my.test", "Something", {"a": 1}), (event["source"], event["detail-type"], event["detail"]))

    def test_unknown_endpoints_say_so(self):
        with self.assertRaisesRegex(CloudError, "there is no endpoint /_local/nothing"):
            self.cloud.request("GET", "nothing")
        with self.assertRaisesRegex(CloudError, "takes POST, not GET"):
            self.cloud.request("GET", "deploy")
