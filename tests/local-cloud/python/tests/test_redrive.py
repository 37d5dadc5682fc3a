"""RedriveExecution."""

import json
import time

from .support import INVOKE_ANYTHING, PASS, WAIT, CloudTest, eventually, task

FAIL = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}}


class Redrive(CloudTest):
    def two_states(self, **fields) -> dict:
        first = {"Type": "Pass", "Result": {"from": "first"}, "Next": "T"}
        return {"StartAt": "First", "States": {"First": first, "T": self.callback(**fields)}}

    def redrive(self, execution: str, **options):
        return self.states.redrive_execution(executionArn=execution, **options)["redriveDate"]

    def failed(self, **fields) -> str:
        execution = self.start(self.machine(self.two_states(**fields)))
        self.states.send_task_failure(taskToken=self.sent()["token"], error="E", cause="C")
        self.ended(execution)
        return execution

    def test_a_redriven_execution_goes_on_where_it_failed(self):
        execution = self.failed()
        first = self.states.describe_execution(executionArn=execution)
        seen = tuple(first[k] for k in ("status", "redriveStatus", "redriveCount"))
        self.assertEqual(("FAILED", "REDRIVABLE", 0), seen)
        date = self.redrive(execution)
        running = self.states.describe_execution(executionArn=execution)
        self.assertEqual(("RUNNING", 1, date), tuple(running[k] for k in ("status", "redriveCount", "redriveDate")))
        self.assertEqual(first["startDate"], running["startDate"])
        self.assertFalse(running.keys() & {"stopDate", "error", "cause"})
        self.states.send_task_success(taskToken=self.sent()["token"], output='"again"')
        ended = self.ended(execution)
        self.assertEqual(("SUCCEEDED", '"again"', 1), tuple(ended[k] for k in ("status", "output", "redriveCount")))
        self.assertGreater(ended["stopDate"], date)
        (listed,) = self.states.list_executions(stateMachineArn=ended["stateMachineArn"])["executions"]
        self.assertEqual((1, date), (listed["redriveCount"], listed["redriveDate"]))

    def test_the_history_goes_on_from_the_state_that_was_entered(self):
        execution = self.failed()
        before = self.history(execution)
        self.redrive(execution)
        self.states.send_task_success(taskToken=self.sent()["token"], output="1")
        self.ended(execution)
        after = self.history(execution)
        self.assertEqual(before, after[: len(before)])
        redriven, scheduled = after[len(before) : len(before) + 2]
        self.assertEqual({"redriveCount": 1}, redriven["executionRedrivenEventDetails"])
        entered = next(e for e in before if e["type"] == "TaskStateEntered")
        self.assertEqual(("TaskScheduled", entered["id"]), (scheduled["type"], scheduled["previousEventId"]))
        self.assertEqual(1, [event["type"] for event in after].count("TaskStateEntered"))
        self.assertEqual("ExecutionSucceeded", after[-1]["type"])

    def test_retries_count_from_zero_and_the_visit_is_the_same(self):
        retried = {"ErrorEquals": ["E"], "IntervalSeconds": 0, "MaxAttempts": 1}
        execution = self.start(self.machine(self.two_states(Retry=[retried])))
        seen = []
        for _ in range(2):
            for _ in range(2):
                sent = self.sent()
                seen.append(sent["state"])
                self.states.send_task_failure(taskToken=sent["token"], error="E")
            self.ended(execution)
            if len(seen) < 4:
                self.redrive(execution)
        self.assertEqual([0, 1, 0, 1], [state["RetryCount"] for state in seen])
        self.assertEqual(1, len({state["EnteredTime"] for state in seen}))

    def test_the_status_events_carry_the_redrive(self):
        execution = self.failed()
        date = self.redrive(execution)
        self.states.stop_execution(executionArn=execution)
        eventually(lambda: len(self.status_events(execution)) == 4, "four status events")
        events = self.status_events(execution)
        expected = [("RUNNING", 0), ("FAILED", 0), ("RUNNING", 1), ("ABORTED", 1)]
        self.assertEqual(expected, [(event["status"], event["redriveCount"]) for event in events])
        dates = [event["redriveDate"] and event["redriveDate"] / 1000 for event in events]
        self.assertEqual([None, None, date.timestamp(), date.timestamp()], dates)
        self.assertEqual([None, None], [events[2]["stopDate"], events[2]["error"]])
        redrivable = ["NOT_REDRIVABLE", "REDRIVABLE"] * 2
        self.assertEqual(redrivable, [event["redriveStatus"] for event in events])
        self.assertEqual("Execution is RUNNING and cannot be redriven", events[2]["redriveStatusReason"])

    def test_an_aborted_and_a_timed_out_execution_go_on(self):
        for name, fields in (("aborted", {}), ("timed-out", {"TimeoutSeconds": 1})):
            with self.subTest(name):
                execution = self.start(self.machine({**self.two_states(), **fields}, name))
                old = self.sent()["token"]
                if name == "aborted":
                    self.states.stop_execution(executionArn=execution)
                self.ended(execution)
                self.redrive(execution)
                new = self.sent()["token"]
                self.assert_refused("TaskTimedOut", self.states.send_task_success, taskToken=old, output="1")
                self.states.send_task_success(taskToken=new, output="1")
                self.assertEqual("SUCCEEDED", self.ended(execution)["status"])

    def test_the_timeout_of_the_machine_counts_from_zero_again(self):
        execution = self.start(self.machine({**WAIT, "TimeoutSeconds": 1}))
        self.ended(execution)
        date = self.redrive(execution)
        ended = self.ended(execution)
        self.assertEqual("TIMED_OUT", ended["status"])
        self.assertGreaterEqual((ended["stopDate"] - date).total_seconds(), 0.99)

    def test_the_context_tells_of_redrives(self):
        for language in ("JSONPath", "JSONata"):
            with self.subTest(language):
                state = self.callback(QueryLanguage=language)
                if language == "JSONata":
                    state["Arguments"]["MessageBody"]["execution"] = "{% $states.context.Execution %}"
                else:
                    state["Parameters"]["MessageBody"]["execution.$"] = "$$.Execution"
                execution = self.start(self.machine({"StartAt": "T", "States": {"T": state}}, language))
                sent = self.sent()
                self.assertEqual(0, sent["execution"]["RedriveCount"])
                self.assertNotIn("RedriveTime", sent["execution"])
                self.states.send_task_failure(taskToken=sent["token"])
                self.ended(execution)
                date = self.redrive(execution)
                again = self.sent()["execution"]
                self.assertEqual(1, again["RedriveCount"])
                self.assertEqual(date.strftime("%Y-%m-%dT%H:%M:%S"), again["RedriveTime"][:19])
                self.assertEqual(sent["execution"]["StartTime"], again["StartTime"])

    def test_variables_are_those_of_the_state(self):
        first = {"Type": "Pass", "Assign": {"x": 1}, "Next": "T"}
        state = self.callback(QueryLanguage="JSONata", Output="{% $x %}")
        definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": first, "T": state}}
        execution = self.start(self.machine(definition))
        self.states.send_task_failure(taskToken=self.sent()["token"])
        self.ended(execution)
        self.redrive(execution)
        self.states.send_task_success(taskToken=self.sent()["token"], output="{}")
        self.assertEqual("1", self.ended(execution)["output"])

    def test_a_parallel_state_is_run_again_as_a_whole(self):
        branch = {"StartAt": "T", "States": {"T": self.callback()}}
        parallel = {"Type": "Parallel", "Branches": [branch], "End": True}
        execution = self.start(self.machine({"StartAt": "P", "States": {"P": parallel}}))
        self.states.send_task_failure(taskToken=self.sent()["token"])
        self.ended(execution)
        self.redrive(execution)
        self.states.send_task_success(taskToken=self.sent()["token"], output="1")
        self.assertEqual("[1]", self.ended(execution)["output"])

    def test_a_fail_state_fails_again(self):
        execution = self.start(self.machine(FAIL))
        self.ended(execution)
        self.redrive(execution)
        ended = self.ended(execution)
        self.assertEqual(("FAILED", "E", "C", 1), tuple(ended[k] for k in ("status", "error", "cause", "redriveCount")))
        expected = ["ExecutionStarted", "FailStateEntered", "ExecutionFailed", "ExecutionRedriven", "ExecutionFailed"]
        self.assertEqual(expected, self.types(execution))

    def test_the_definition_stays(self):
        machine = self.machine(FAIL)
        execution = self.start(machine)
        self.ended(execution)
        self.states.update_state_machine(stateMachineArn=machine, definition=json.dumps(PASS))
        self.redrive(execution)
        self.assertEqual("FAILED", self.ended(execution)["status"])

    def test_what_cannot_be_redriven_is_refused(self):
        running = self.start(self.machine(WAIT, "running"))
        succeeded = self.start(self.machine(PASS, "succeeded"))
        self.ended(succeeded)
        express = self.start(self.machine(FAIL, "express", type="EXPRESS"))
        for execution in (running, succeeded, express):
            self.assert_refused("ExecutionNotRedrivable", self.redrive, execution)
        nobody = f"arn:aws:states:us-east-1:{self.account}:execution:machine:nobody"
        self.assert_refused("ExecutionDoesNotExist", self.redrive, nobody)
        self.assert_refused("InvalidArn", self.redrive, "nobody")

    def test_the_same_client_token_redrives_once(self):
        execution = self.start(self.machine(FAIL))
        self.ended(execution)
        date = self.redrive(execution, clientToken="t")
        self.ended(execution)
        self.assertEqual(date, self.redrive(execution, clientToken="t"))
        self.assertEqual(1, self.states.describe_execution(executionArn=execution)["redriveCount"])
        self.redrive(execution, clientToken="u")
        self.assertEqual(2, self.states.describe_execution(executionArn=execution)["redriveCount"])

    def test_a_function_that_was_left_behind_changes_nothing(self):
        """The function of the first attempt ends while the redriven execution runs."""
        function = self.deploy()["outputs"]["WorkerArn"]
        definition = task(function)
        definition["States"]["T"] = {**definition["States"]["T"], "Next": "W"}
        del definition["States"]["T"]["End"]
        definition["States"]["W"] = {"Type": "Wait", "Seconds": 60, "End": True}
        execution = self.start(self.machine(definition, "machine", INVOKE_ANYTHING), {"sleep": 1})
        self.entered(execution, "T")
        self.states.stop_execution(executionArn=execution)
        self.redrive(execution)
        self.entered(execution, "W")
        time.sleep(0.3)
        types = self.types(execution)
        self.assertEqual((1, 1), (types.count("LambdaFunctionSucceeded"), types.count("WaitStateEntered")))
