"""Step Functions where the emulator is patched: each test fails without its patch."""

import json
import time

from .support import INVOKE_ANYTHING, PASS, WAIT, CloudTest, eventually, task


class Ending(CloudTest):
    def test_an_abort_stays_when_the_task_fails_later(self):
        """The function fails one second after the stop: no FAILED, no further event of either kind."""
        function = self.deploy()["outputs"]["WorkerArn"]
        machine = self.machine(task(function), "machine", INVOKE_ANYTHING)
        execution = self.start(machine, {"sleep": 1, "error": "Too.Late"})
        self.entered(execution, "T")
        self.states.stop_execution(executionArn=execution, error="Operator", cause="not now")
        logs = self.client("logs")

        def function_is_done():
            events = logs.filter_log_events(logGroupName="/fixture/fixture/worker")["events"]
            return any("REPORT" in event["message"] for event in events)

        eventually(function_is_done, "the end of the function")
        described = self.states.describe_execution(executionArn=execution)
        self.assertEqual("ABORTED", described["status"])
        self.assertEqual(("Operator", "not now"), (described["error"], described["cause"]))
        history = self.states.get_execution_history(executionArn=execution)["events"]
        self.assertEqual("ExecutionAborted", history[-1]["type"])
        self.assertEqual(["RUNNING", "ABORTED"], [detail["status"] for detail in self.status_events(execution)])

    def test_the_status_event_of_an_abort_carries_error_and_cause(self):
        execution = self.start(self.machine(WAIT))
        self.states.stop_execution(executionArn=execution, error="Operator", cause="not now")
        event = self.status_events(execution)[-1]
        self.assertEqual(("ABORTED", "Operator", "not now"), (event["status"], event["error"], event["cause"]))
        self.assertEqual("REDRIVABLE", event["redriveStatus"])

    def test_no_state_is_entered_after_an_abort(self):
        definition = {
            "StartAt": "W",
            "States": {"W": {"Type": "Wait", "Seconds": 1, "Next": "P"}, "P": {"Type": "Pass", "End": True}},
        }
        execution = self.start(self.machine(definition))
        self.entered(execution, "W")
        self.states.stop_execution(executionArn=execution)
        # Past the time at which the Wait state would have ended.
        until = time.monotonic() + 1.3
        eventually(lambda: time.monotonic() > until, "the time of the Wait state")
        events = self.states.get_execution_history(executionArn=execution)["events"]
        self.assertEqual(["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"], [e["type"] for e in events])

    def test_a_waiting_task_loses_its_token_when_the_execution_is_aborted(self):
        queue = self.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
        message = {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}}
        execution = self.start(
            self.machine(task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", Parameters=message))
        )
        messages = self.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        self.states.stop_execution(executionArn=execution)
        token = json.loads(messages[0]["Body"])["token"]
        self.assert_refused("TaskTimedOut", self.states.send_task_success, taskToken=token, output="{}")

    def test_stopping_twice_answers_the_same(self):
        execution = self.start(self.machine(WAIT))
        first = self.states.stop_execution(executionArn=execution, cause="first")["stopDate"]
        self.assertEqual(first, self.states.stop_execution(executionArn=execution, cause="second")["stopDate"])
        self.assertEqual("first", self.states.describe_execution(executionArn=execution)["cause"])

    def test_the_last_event_says_how_an_execution_ended(self):
        fail = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}}
        for definition, status in ((PASS, "SUCCEEDED"), (fail, "FAILED")):
            with self.subTest(status):
                execution = self.start(self.machine(definition, status))
                eventually(lambda run=execution: len(self.status_events(run)) == 2, "the second status event")
                self.assertEqual(["RUNNING", status], [event["status"] for event in self.status_events(execution)])
                history = self.states.get_execution_history(executionArn=execution)["events"]
                self.assertEqual(f"Execution{status.title()}", history[-1]["type"])

    def test_the_threads_of_waiting_executions_end_with_them(self):
        def threads() -> int:
            return self.cloud.request("GET", "health")["executionThreads"]

        before = threads()
        queue = self.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
        message = {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}}
        callback = task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", Parameters=message)
        machines = (self.machine(WAIT, "waits"), self.machine(callback, "calls-back"))
        executions = [self.start(machine) for machine in machines * 5]
        self.entered(executions[-1], "T")
        self.assertGreaterEqual(threads(), len(executions))
        for execution in executions:
            self.states.stop_execution(executionArn=execution)
        eventually(lambda: threads() <= before, "the end of the threads")


class Starting(CloudTest):
    def test_the_same_name_and_input_is_the_same_execution_while_it_runs(self):
        machine = self.machine(WAIT)
        arguments = {"stateMachineArn": machine, "name": "n", "input": '{"a": 1}'}
        first, again = self.states.start_execution(**arguments), self.states.start_execution(**arguments)
        self.assertEqual((first["executionArn"], first["startDate"]), (again["executionArn"], again["startDate"]))
        self.assert_refused("ExecutionAlreadyExists", self.states.start_execution, **arguments | {"input": "{}"})

    def test_a_name_is_taken_when_its_execution_is_over(self):
        machine = self.machine(PASS)
        self.ended(self.start(machine, name="n"))
        self.assert_refused("ExecutionAlreadyExists", self.start, machine, name="n")

    def test_bad_names_are_refused(self):
        machine = self.machine(WAIT)
        for name in ("a b", "a/b", "a:b", "a*", "a<b>", "a\nb", 'a"b', "a#b", "a\x7fb"):
            with self.subTest(name=name):
                self.assertEqual(
                    f"Invalid Name: '{name}'", self.assert_refused("InvalidName", self.start, machine, name=name)
                )
        self.assertIn(
            "length less than or equal to 80",
            self.assert_refused("ValidationException", self.start, machine, name="a" * 81),
        )
        self.start(machine, name="a" * 80)

    def test_input_that_is_not_json_is_refused(self):
        machine = self.machine(WAIT)
        self.assert_refused("InvalidExecutionInput", self.states.start_execution, stateMachineArn=machine, input="{")

    def test_input_beyond_256_kib_is_refused(self):
        machine = self.machine(WAIT)
        limit = 262_144
        text = json.dumps("é" * ((limit - 2) // 2), ensure_ascii=False)
        self.states.start_execution(stateMachineArn=machine, input=text)
        message = self.assert_refused(
            "ValidationException", self.states.start_execution, stateMachineArn=machine, input=text + " "
        )
        self.assertIn("262144 bytes in UTF-8 encoding", message)

    def test_an_unknown_machine_is_refused(self):
        arn = f"arn:aws:states:us-east-1:{self.account}:stateMachine:nobody"
        self.assert_refused("StateMachineDoesNotExist", self.start, arn)
        self.assert_refused("InvalidArn", self.start, "nobody")

    def test_an_execution_starts_at_once(self):
        machine = self.machine(PASS)
        runs = [self.ended(self.start(machine)) for _ in range(5)]
        self.assertLess(min((run["stopDate"] - run["startDate"]).total_seconds() for run in runs), 0.1)

    def test_express_names_can_be_used_again(self):
        machine = self.machine(WAIT, "machine", type="EXPRESS")
        first, second = self.start(machine, name="n"), self.start(machine, name="n")
        self.assertNotEqual(first, second)
        self.assertIn(":express:machine:n:", first)


class Definition(CloudTest):
    def test_an_execution_keeps_the_definition_it_began_with(self):
        machine = self.machine(WAIT)
        execution = self.start(machine)
        self.states.update_state_machine(stateMachineArn=machine, definition=json.dumps(PASS))
        described = self.states.describe_state_machine_for_execution(executionArn=execution)
        self.assertEqual(WAIT, json.loads(described["definition"]))
        updated = self.states.describe_state_machine_for_execution(executionArn=self.start(machine))
        self.assertEqual(PASS, json.loads(updated["definition"]))
        self.assertLess(described["updateDate"], updated["updateDate"])

    def test_versions_go_with_their_machine(self):
        machine = self.machine(PASS)
        version = self.states.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
        self.states.delete_state_machine(stateMachineArn=machine)
        self.states.delete_state_machine(stateMachineArn=machine)
        self.assert_refused("StateMachineDoesNotExist", self.start, version)

    def test_a_version_runs_its_own_definition(self):
        machine = self.machine(WAIT)
        version = self.states.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
        self.states.update_state_machine(stateMachineArn=machine, definition=json.dumps(PASS))
        routing = [{"stateMachineVersionArn": version, "weight": 100}]
        alias = self.states.create_state_machine_alias(name="live", routingConfiguration=routing)
        alias = alias["stateMachineAliasArn"]
        for arn, expected in ((version, (version, None)), (alias, (version, alias))):
            execution = self.start(arn)
            self.entered(execution, "W")
            described = self.states.describe_execution(executionArn=execution)
            event = self.status_events(execution)[0]
            for seen in (described, event):
                self.assertEqual(expected, (seen["stateMachineVersionArn"], seen.get("stateMachineAliasArn")))


class Reading(CloudTest):
    def listed(self, arn: str, **options) -> list[str]:
        executions = self.states.list_executions(stateMachineArn=arn, **options)["executions"]
        return [execution["name"] for execution in executions]

    def test_listing_an_unknown_machine_is_refused(self):
        arn = f"arn:aws:states:us-east-1:{self.account}:stateMachine:nobody"
        self.assert_refused("StateMachineDoesNotExist", self.states.list_executions, stateMachineArn=arn)

    def test_listing_an_express_machine_is_refused(self):
        machine = self.machine(PASS, type="EXPRESS")
        self.assert_refused("StateMachineTypeNotSupported", self.states.list_executions, stateMachineArn=machine)

    def test_listing_by_pending_redrive_is_for_map_runs(self):
        machine = self.machine(PASS)
        arguments = {"stateMachineArn": machine, "statusFilter": "PENDING_REDRIVE"}
        self.assert_refused("ValidationException", self.states.list_executions, **arguments)

    def test_a_version_and_an_alias_list_their_own_runs(self):
        machine = self.machine(WAIT)
        version = self.states.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
        routing = [{"stateMachineVersionArn": version, "weight": 100}]
        alias = self.states.create_state_machine_alias(name="live", routingConfiguration=routing)
        alias = alias["stateMachineAliasArn"]
        for arn, name in ((machine, "plain"), (version, "version"), (alias, "alias")):
            self.start(arn, name=name)
        self.assertEqual(["alias"], self.listed(alias))
        self.assertEqual({"version", "alias"}, set(self.listed(version)))
        self.assertEqual({"plain", "version", "alias"}, set(self.listed(machine)))

    def test_pages_hold_every_execution_once(self):
        machine = self.machine(WAIT)
        names = {f"n{number}" for number in range(7)}
        for name in names:
            self.start(machine, name=name)
        pages, token = [], {}
        while token is not None:
            page = self.states.list_executions(stateMachineArn=machine, maxResults=3, **token)
            pages.append([execution["name"] for execution in page["executions"]])
            token = {"nextToken": page["nextToken"]} if "nextToken" in page else None
        self.assertEqual([3, 3, 1], [len(page) for page in pages])
        self.assertEqual(names, set(sum(pages, [])))
        self.assert_refused("InvalidToken", self.states.list_executions, stateMachineArn=machine, nextToken="nonsense")

    def test_executions_of_a_status_come_newest_first_in_pages(self):
        fail = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}
        machine = self.machine(fail)
        failed = []
        for _ in range(5):
            failed.insert(0, self.start(machine))
            self.ended(failed[0])
        self.states.update_state_machine(stateMachineArn=machine, definition=json.dumps({**WAIT, "TimeoutSeconds": 1}))
        timed_out, stopped = self.start(machine), self.start(machine)
        self.states.stop_execution(executionArn=stopped)
        self.ended(timed_out)
        expected = {"FAILED": failed, "TIMED_OUT": [timed_out], "ABORTED": [stopped], "SUCCEEDED": [], "RUNNING": []}
        for status, executions in expected.items():
            pages, more = [], {}
            while more is not None:
                page = self.states.list_executions(stateMachineArn=machine, statusFilter=status, maxResults=2, **more)
                pages.append([each["executionArn"] for each in page["executions"]])
                more = {"nextToken": page["nextToken"]} if "nextToken" in page else None
            self.assertEqual([executions[at : at + 2] for at in range(0, len(executions) or 1, 2)], pages, status)

    def test_machines_come_in_pages(self):
        machines = [self.machine(PASS, f"m{number}") for number in range(5)]
        first = self.states.list_state_machines(maxResults=2)
        self.states.delete_state_machine(stateMachineArn=machines[0])
        rest = self.states.list_state_machines(maxResults=3, nextToken=first["nextToken"])
        seen = [machine["stateMachineArn"] for page in (first, rest) for machine in page["stateMachines"]]
        self.assertEqual(machines, seen)
        self.assertNotIn("nextToken", rest)
        listed = self.states.list_state_machines(maxResults=0)
        self.assertEqual(4, len(listed["stateMachines"]))
        self.assertNotIn("nextToken", listed)
        for token in ("2", "bm8="):
            self.assert_refused("InvalidToken", self.states.list_state_machines, nextToken=token)
        self.assert_refused("ValidationException", self.states.list_state_machines, maxResults=1001)

    def test_executions_have_a_redrive_count_and_milliseconds(self):
        machine = self.machine(WAIT)
        starts = [self.start(machine) for _ in range(5)]
        listed = self.states.list_executions(stateMachineArn=machine)["executions"]
        described = [self.states.describe_execution(executionArn=execution) for execution in starts]
        for execution in listed + described:
            self.assertEqual(0, execution["redriveCount"])
            self.assertNotIn("stopDate", execution)
        self.assertTrue(any(execution["startDate"].microsecond for execution in listed))
        self.assertEqual({e["startDate"] for e in listed}, {e["startDate"] for e in described})

    def test_a_failed_execution_has_no_output(self):
        execution = self.start(self.machine({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}))
        described = self.ended(execution)
        self.assertEqual(("FAILED", "E"), (described["status"], described["error"]))
        self.assertNotIn("output", described)

    def test_describing_what_is_not_an_execution_of_a_standard_machine_is_refused(self):
        express = self.start(self.machine(WAIT, type="EXPRESS"))
        message = self.assert_refused("InvalidArn", self.states.describe_execution, executionArn=express)
        self.assertIn("Resource type not valid in this context: express", message)
        nobody = f"arn:aws:states:us-east-1:{self.account}:execution:machine:nobody"
        self.assert_refused("ExecutionDoesNotExist", self.states.describe_execution, executionArn=nobody)


class LambdaTasks(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.function = self.deploy()["outputs"]["WorkerArn"]

    def run_task(self, definition: dict, data: dict) -> dict:
        return self.ended(self.start(self.machine(definition, "machine", INVOKE_ANYTHING), data))

    def test_a_custom_error_name_reaches_retry_and_catch(self):
        caught = {"ErrorEquals": ["OverlapGuard.Overlapping"], "ResultPath": "$.caught", "Next": "C"}
        retried = {"ErrorEquals": ["OverlapGuard.Overlapping"], "IntervalSeconds": 0, "MaxAttempts": 2}
        by_payload = {"FunctionName": self.function, "Payload.$": "$"}
        for kind, resource, failed, fields in (
            ("integration", "arn:aws:states:::lambda:invoke", "TaskFailed", {"Parameters": by_payload}),
            ("plain ARN", self.function, "LambdaFunctionFailed", {}),
        ):
            with self.subTest(kind):
                definition = task(resource, Retry=[retried], Catch=[caught], **fields)
                definition["States"]["C"] = {"Type": "Pass", "End": True}
                machine = self.machine(definition, kind.replace(" ", "-"), INVOKE_ANYTHING)
                execution = self.start(machine, {"error": "OverlapGuard.Overlapping"})
                output = json.loads(self.ended(execution)["output"])
                self.assertEqual("OverlapGuard.Overlapping", output["caught"]["Error"])
                cause = json.loads(output["caught"]["Cause"])
                self.assertEqual("OverlapGuard.Overlapping happened", cause["errorMessage"])
                self.assertEqual("OverlapGuard.Overlapping", cause["errorType"])
                history = self.states.get_execution_history(executionArn=execution)["events"]
                self.assertEqual(3, sum(event["type"] == failed for event in history))

    def test_a_custom_error_name_reaches_catch_in_jsonata(self):
        definition = task(
            "arn:aws:states:::lambda:invoke",
            Arguments={"FunctionName": self.function, "Payload": "{% $states.input %}"},
            Catch=[{"ErrorEquals": ["My.Error"], "Output": "{% $states.errorOutput.Error %}", "Next": "C"}],
        )
        definition["States"]["C"] = {"Type": "Pass", "End": True}
        described = self.run_task({"QueryLanguage": "JSONata", **definition}, {"error": "My.Error"})
        self.assertEqual('"My.Error"', described["output"])

    def test_a_function_can_be_named_with_a_qualifier(self):
        functions = self.client("lambda")
        name = self.function.rpartition(":")[2]
        version = functions.publish_version(FunctionName=name)["Version"]
        functions.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
        for number, parameters in enumerate(
            (
                {"FunctionName": name},
                {"FunctionName": f"{name}:live"},
                {"FunctionName": f"{self.function}:live"},
                {"FunctionName": self.function, "Qualifier": "live"},
            )
        ):
            with self.subTest(parameters):
                machine = self.machine(
                    task("arn:aws:states:::lambda:invoke", Parameters=parameters), f"m{number}", INVOKE_ANYTHING
                )
                output = json.loads(self.ended(self.start(machine))["output"])
                self.assertEqual("$LATEST" if number == 0 else version, output["ExecutedVersion"])
                self.assertEqual({}, output["Payload"]["event"])

    def test_the_role_of_the_machine_must_allow_the_call(self):
        outputs = self.deploy()["outputs"]
        plain = self.machine(task(self.function), "plain")
        elsewhere = {**INVOKE_ANYTHING, "Resource": f"{self.function}-not"}
        narrow = self.machine(task(self.function), "narrow", elsewhere)
        for machine in (outputs["OutcastArn"], plain, narrow):
            described = self.ended(self.start(machine))
            self.assertEqual("Lambda.AWSLambdaException", described.get("error"))
            denied = f"not authorized to perform: lambda:InvokeFunction on resource: {self.function}"
            self.assertIn(denied, described["cause"])
        self.assertEqual("SUCCEEDED", self.ended(self.start(outputs["FlowArn"]))["status"])

    def test_a_function_that_does_not_exist_fails_the_task(self):
        described = self.run_task(task(f"{self.function}-not"), {})
        self.assertEqual("Lambda.ResourceNotFoundException", described["error"])

    def test_a_throttled_function_fails_the_task_with_its_own_error(self):
        self.client("lambda").put_function_concurrency(FunctionName=self.function, ReservedConcurrentExecutions=0)
        self.assertEqual("Lambda.TooManyRequestsException", self.run_task(task(self.function), {})["error"])
