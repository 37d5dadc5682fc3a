"""RedriveExecution."""

import json
import time
from collections import Counter

from .support import INVOKE_ANYTHING, PASS, WAIT, CloudTest, eventually, task

SERVICE = "arn:aws:states:::aws-sdk:sfn:listActivities"
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


def end(**fields) -> dict:
    return {**fields, "End": True}


def do(**fields) -> dict:
    """A Task state."""
    return {"Type": "Task", "Resource": SERVICE, **({} if "Next" in fields else {"End": True}), **fields}


def chain(**states: dict) -> dict:
    """A sequence of states, of which the first is the first."""
    return {"StartAt": next(iter(states)), "States": states}


def parallel(*branches: dict, **fields) -> dict:
    return end(Type="Parallel", Branches=list(branches), **fields)


def each(processor: dict, **fields) -> dict:
    return end(Type="Map", ItemProcessor=processor, **fields)


class Parts(CloudTest):
    """What a redrive runs again of Parallel and Map states."""

    def run_and_redrive(self, definition: dict, data=None) -> tuple[str, int]:
        """Run a machine that fails, and redrive it; returns the execution and the length of its first history."""
        execution = self.start(self.machine(definition), data)
        self.assertEqual("FAILED", self.ended(execution)["status"])
        length = len(self.history(execution, maxResults=1000))
        self.states.redrive_execution(executionArn=execution)
        return execution, length

    def called(self) -> Counter:
        """How often each state was called, those of iterations each for itself."""
        calls = self.stubbed_calls()
        return Counter(c["state"] if c["iteration"] is None else (c["state"], c["iteration"]) for c in calls)

    def since(self, execution: str, length: int) -> list[str]:
        """The chain of what was added to a history."""
        events = self.history(execution, maxResults=1000)[length:]
        return [f"{event['id']}<{event['previousEventId']} {event['type']}" for event in events]

    def entered_event(self, execution: str, name: str) -> int:
        """The Entered event of a state that was entered once."""
        events = self.history(execution, maxResults=1000)
        (event,) = (e for e in events if e.get("stateEnteredEventDetails", {}).get("name") == name)
        return event["id"]

    def test_branches_that_failed_or_were_aborted_are_run_again(self):
        self.stub(
            {"state": "B", "times": 1, "delaySeconds": 0.3, "fail": {"error": "E"}},
            {"state": "C", "times": 1, "hold": True},
            {"state": "A", "succeed": "a"},
            {"state": "B", "succeed": "b"},
            {"state": "C", "succeed": "c"},
        )
        branches = [chain(**{name: do(Next=f"{name}2"), f"{name}2": end(Type="Pass")}) for name in "ABC"]
        execution, length = self.run_and_redrive(chain(P=parallel(*branches)))
        self.assertEqual(["a", "b", "c"], self.output(execution))
        self.assertEqual(Counter(A=1, B=2, C=2), self.called())
        added = self.since(execution, length)
        types = Counter(line.partition(" ")[2] for line in added)
        once = ("ExecutionRedriven", "ParallelStateSucceeded", "ParallelStateExited", "ExecutionSucceeded")
        twice = ("TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited")
        twice += ("PassStateEntered", "PassStateExited")
        self.assertEqual(Counter(once) + Counter(twice * 2), types)
        scheduled = {int(line.partition("<")[2].partition(" ")[0]) for line in added if "TaskScheduled" in line}
        self.assertEqual({self.entered_event(execution, name) for name in "BC"}, scheduled)

    def test_iterations_that_have_not_begun_begin(self):
        self.stub({"whenIteration": 1, "times": 1, "fail": {"error": "E"}})
        processor = chain(T=do(Parameters={"v.$": "$"}))
        state = each(processor, MaxConcurrency=1, ResultSelector={"all.$": "$[*].input.v"})
        execution, length = self.run_and_redrive(chain(M=state), ["a", "b", "c", "d"])
        self.assertEqual({"all": ["a", "b", "c", "d"]}, self.output(execution))
        self.assertEqual(Counter({("T", 0): 1, ("T", 1): 2, ("T", 2): 1, ("T", 3): 1}), self.called())
        indexes = {
            what: [
                event[f"mapIteration{what}EventDetails"]["index"]
                for event in self.history(execution)
                if event["type"] == f"MapIteration{what}"
            ]
            for what in ("Started", "Succeeded", "Failed")
        }
        self.assertEqual({"Started": [0, 1, 2, 3], "Succeeded": [0, 1, 2, 3], "Failed": [1]}, indexes)
        exited = length + 5
        expected = [
            f"{exited}<{exited - 1} TaskStateExited",
            f"{exited + 1}<{exited} MapIterationSucceeded",
            # The next one follows the one that made room for it.
            f"{exited + 2}<{exited} MapIterationStarted",
        ]
        self.assertEqual(expected, self.since(execution, length)[4:7])

    def test_states_within_go_on_with_their_variables_their_item_and_their_retries(self):
        retried = {"ErrorEquals": ["Again"], "IntervalSeconds": 0, "MaxAttempts": 1}
        given = {"mine.$": "$mine", "outer.$": "$outer", "index.$": "$$.Map.Item.Index", "item.$": "$$.Map.Item.Value"}
        given |= {"count.$": "$$.State.RetryCount", "redrives.$": "$$.Execution.RedriveCount", "input.$": "$"}
        processor = chain(
            First=do(Assign={"mine.$": "$.n"}, ResultSelector={"n.$": "$.n"}, Next="Second"),
            Second=do(Parameters=given, Retry=[retried]),
        )
        states = {
            "Outer": {"Type": "Pass", "Result": ["x", "y"], "Assign": {"outer": "o"}, "Next": "M"},
            "M": each(processor, ItemSelector={"n.$": "$$.Map.Item.Index"}),
        }
        self.stub({"state": "Second", "whenIteration": 1, "times": 3, "fail": {"error": "Again"}})
        execution, _length = self.run_and_redrive(chain(**states))
        outputs = [each["input"] for each in self.output(execution)]
        self.assertEqual([0, 1], [each["index"] for each in outputs])
        self.assertEqual(["x", "y"], [each["item"] for each in outputs])
        self.assertEqual(["o", "o"], [each["outer"] for each in outputs])
        self.assertEqual([each["input"]["n"] for each in outputs], [each["mine"] for each in outputs])
        calls = [each for each in self.stubbed_calls() if (each["state"], each["iteration"]) == ("Second", 1)]
        self.assertEqual([0, 1, 0, 1], [each["retry"] for each in calls])
        self.assertEqual((1, 1), (outputs[1]["redrives"], outputs[1]["count"]))
        self.assertEqual(2, self.called()["First", 0] + self.called()["First", 1])

    def test_containers_within_containers_are_run_in_part_too(self):
        """A Map in a Parallel in a Map, stopped from outside, and redriven twice."""
        inner = each(chain(Leaf=do(Parameters={"of.$": "$$.Map.Item.Value"})), ItemsPath="$.items")
        outer = each(chain(Fan=parallel(chain(Inner=inner), chain(Side=do()))), ItemsPath="$")
        leaf = {"state": "Leaf", "whenInput": {"of": "b"}}
        self.stub(
            {"state": "Leaf", "whenInput": {"of": "bad"}, "times": 1, "hold": True},
            {**leaf, "times": 1, "hold": True},
            {**leaf, "times": 1, "fail": {"error": "E"}},
            {"state": "Side", "succeed": 0},
            echo=False,
        )
        execution = self.start(self.machine(chain(M=outer)), [{"items": ["a", "b"]}, {"items": ["c", "bad"]}])
        self.held(2)
        eventually(lambda: self.called().total() == 6, "all calls")
        self.states.stop_execution(executionArn=execution)
        self.states.redrive_execution(executionArn=execution)
        self.assertEqual("E", self.ended(execution)["error"])
        self.states.redrive_execution(executionArn=execution)
        self.assertEqual([[2, 0], [2, 0]], [[len(one), side] for one, side in self.output(execution)])
        calls = Counter(json.dumps(c["input"].get("of")) for c in self.stubbed_calls() if c["state"] == "Leaf")
        self.assertEqual({'"a"': 1, '"b"': 3, '"c"': 1}, {key: calls[key] for key in ('"a"', '"b"', '"c"')})
        self.assertLessEqual(2, calls['"bad"'])
        self.assertEqual(2, self.called()["Side", 0] + self.called()["Side", 1])
        types = Counter(event["type"] for event in self.history(execution, maxResults=1000))
        for kind, times in (("ParallelState", 2), ("MapState", 3), ("MapIteration", 6)):
            self.assertEqual((times, times), (types[f"{kind}Started"], types[f"{kind}Succeeded"]), kind)
        self.assertEqual((2, 1), (types["ExecutionRedriven"], types["ExecutionFailed"]))

    def test_too_much_data_makes_it_run_as_a_whole(self):
        large = "x" * 140_000
        self.stub({"times": 4, "succeed": large}, {"succeed": "small"})
        branches = [chain(A=do()), chain(B=do())]
        execution, length = self.run_and_redrive(chain(P=parallel(*branches)))
        self.assertEqual("States.DataLimitExceeded", self.ended(execution)["error"])
        self.assertEqual(Counter(A=2, B=2), self.called())
        self.assertIn("ParallelStateStarted", self.since(execution, length)[1])
        self.states.redrive_execution(executionArn=execution)
        self.assertEqual(["small", "small"], self.output(execution))

    def test_what_has_ended_well_is_not_run_again_if_only_the_output_fails(self):
        self.stub({"succeed": 1})
        state = parallel(chain(A=do()), ResultPath="$.x")
        execution, length = self.run_and_redrive(chain(P=state), [1])
        self.assertEqual("States.ResultPathMatchFailure", self.ended(execution)["error"])
        self.assertEqual(Counter(A=1), self.called())
        added = [line.partition(" ")[2] for line in self.since(execution, length)]
        expected = ["ExecutionRedriven", "ParallelStateSucceeded", "ParallelStateFailed", "ExecutionFailed"]
        self.assertEqual(expected, added)

    def test_retry_and_catch_begin_anew(self):
        """A retry of the whole state is one of all its branches."""
        retried = {"ErrorEquals": ["E"], "IntervalSeconds": 0, "MaxAttempts": 1}
        caught = {"ErrorEquals": ["E"], "Next": "H"}
        states = {"P": parallel(chain(A=do()), chain(B=do()), Retry=[retried]), "H": end(Type="Pass")}
        fail = {"state": "B", "delaySeconds": 0.2, "fail": {"error": "E"}}
        self.stub({**fail, "times": 3}, {"succeed": 1})
        execution, length = self.run_and_redrive(chain(P=states["P"]))
        self.assertEqual([1, 1], self.output(execution))
        self.assertEqual(Counter(A=3, B=4), self.called())
        started = [line for line in self.since(execution, length) if "ParallelStateStarted" in line]
        self.assertEqual(1, len(started))
        self.cloud.request("DELETE", "stubs/calls", account=self.account)
        self.cloud.request("DELETE", "stubs", account=self.account)
        self.stub({**fail, "times": 1, "fail": {"error": "F"}}, fail, {"succeed": 1})
        states["P"]["Catch"] = [caught]
        del states["P"]["Retry"]
        machine = self.states.describe_execution(executionArn=execution)["stateMachineArn"]
        self.states.update_state_machine(stateMachineArn=machine, definition=json.dumps(chain(**states)))
        execution = self.start(machine)
        self.assertEqual("F", self.ended(execution)["error"])
        self.states.redrive_execution(executionArn=execution)
        self.assertEqual({"Error": "E", "Cause": None}, self.output(execution))

    def test_a_machine_that_timed_out_goes_on_in_all_its_branches(self):
        self.stub({"times": 2, "hold": True}, {"succeed": 1})
        execution = self.start(self.machine({**chain(P=parallel(chain(A=do()), chain(B=do()))), "TimeoutSeconds": 1}))
        self.assertEqual("TIMED_OUT", self.ended(execution)["status"])
        self.states.redrive_execution(executionArn=execution)
        self.assertEqual([1, 1], self.output(execution))
        self.assertEqual(Counter(A=2, B=2), self.called())
