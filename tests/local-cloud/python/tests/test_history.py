"""The history of executions, in the shape that was recorded on AWS, and the context object."""

import json

from .support import INVOKE_ANYTHING, CloudTest, task


def one(state: dict, **fields) -> dict:
    return {"StartAt": "S", "States": {"S": state}, **fields}


def end(**fields) -> dict:
    return {**fields, "End": True}


class History(CloudTest):
    def run_machine(self, definition: dict, data=None, name: str = "machine") -> str:
        execution = self.start(self.machine(definition, name, INVOKE_ANYTHING), data)
        self.ended(execution)
        return execution

    def chain(self, execution: str) -> list[str]:
        """`id<previousEventId type`, for each event."""
        return [f"{event['id']}<{event['previousEventId']} {event['type']}" for event in self.history(execution)]

    def test_states_follow_one_another(self):
        states = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}
        self.assertEqual(
            [
                "1<0 ExecutionStarted",
                "2<0 PassStateEntered",
                "3<2 PassStateExited",
                "4<3 SucceedStateEntered",
                "5<4 SucceedStateExited",
                "6<5 ExecutionSucceeded",
            ],
            self.chain(self.run_machine({"StartAt": "A", "States": states}, {"a": 1})),
        )

    def test_data_is_written_as_aws_does(self):
        execution = self.run_machine(one(end(Type="Pass")), {"a": [1, "é"]})
        entered = self.history(execution)[1]["stateEnteredEventDetails"]
        self.assertEqual({"name": "S", "input": '{"a":[1,"é"]}', "inputDetails": {"truncated": False}}, entered)
        self.assertEqual('{"a":[1,"é"]}', self.states.describe_execution(executionArn=execution)["output"])

    def test_branches_have_a_chain_each(self):
        branches = [{"StartAt": "A", "States": {"A": end(Type="Pass")}}]
        branches.append({"StartAt": "B", "States": {"B": end(Type="Wait", Seconds=1)}})
        self.assertEqual(
            ["2<0 ParallelStateEntered", "3<2 ParallelStateStarted"],
            (chain := self.chain(self.run_machine(one(end(Type="Parallel", Branches=branches)))))[1:3],
        )
        ids = {line.partition(" ")[2]: line.partition("<")[0] for line in chain}
        self.assertIn(f"{ids['PassStateEntered']}<3 PassStateEntered", chain)
        self.assertIn(f"{ids['WaitStateEntered']}<3 WaitStateEntered", chain)
        self.assertEqual(
            [
                f"7<{ids['WaitStateEntered']} WaitStateExited",
                "8<7 ParallelStateSucceeded",
                "9<7 ParallelStateExited",
                "10<9 ExecutionSucceeded",
            ],
            chain[6:],
        )

    def test_iterations_that_wait_for_their_turn_follow_the_one_that_made_room(self):
        processor = {"StartAt": "A", "States": {"A": end(Type="Pass")}}
        state = end(Type="Map", ItemProcessor=processor, MaxConcurrency=1)
        self.assertEqual(
            [
                "3<2 MapStateStarted",
                "4<3 MapIterationStarted",
                "5<4 PassStateEntered",
                "6<5 PassStateExited",
                "7<6 MapIterationSucceeded",
                "8<6 MapIterationStarted",
                "9<8 PassStateEntered",
                "10<9 PassStateExited",
                "11<10 MapIterationSucceeded",
                "12<11 MapStateSucceeded",
                "13<11 MapStateExited",
                "14<13 ExecutionSucceeded",
            ],
            self.chain(self.run_machine(one(state), [1, 2]))[2:],
        )

    def test_a_failed_branch_ends_its_siblings(self):
        """As recorded: each open state is aborted, and these events follow the failure."""
        failing = {"StartAt": "A", "States": {"A": self.callback()}}
        waiting = {"StartAt": "B", "States": {"B": end(Type="Wait", Seconds=60)}}
        parallel = end(Type="Parallel", Branches=[failing, waiting])
        execution = self.start(self.machine(one(parallel)))
        self.entered(execution, "B")
        self.states.send_task_failure(taskToken=self.sent()["token"], error="E")
        self.assertEqual("E", self.ended(execution)["error"])
        chain = self.chain(execution)
        failed = next(line for line in chain if "TaskFailed" in line).partition("<")[0]
        last = int(failed) + 3
        self.assertEqual(
            [
                f"{last - 2}<{failed} TaskStateAborted",
                f"{last - 1}<{failed} WaitStateAborted",
                f"{last}<{failed} ParallelStateFailed",
                f"{last + 1}<{last} ExecutionFailed",
            ],
            chain[int(failed) :],
        )

    def test_a_failed_iteration_ends_the_others(self):
        processor = {"StartAt": "A", "States": {"A": self.callback()}}
        execution = self.start(self.machine(one(end(Type="Map", ItemProcessor=processor))), [1, 2])
        tokens = [self.sent()["token"] for _ in range(2)]
        self.states.send_task_failure(taskToken=tokens[0], error="E")
        self.ended(execution)
        self.assert_refused("TaskTimedOut", self.states.send_task_success, taskToken=tokens[1], output="1")
        ends = [line.partition(" ")[2] for line in self.chain(execution)[-7:]]
        aborted = ["MapIterationFailed", "TaskStateAborted", "MapIterationAborted", "TaskStateAborted"]
        self.assertEqual(["TaskFailed", *aborted, "MapStateFailed", "ExecutionFailed"], ends)

    def test_a_retried_parallel_starts_again(self):
        branch = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E"}}}
        retried = {"ErrorEquals": ["E"], "IntervalSeconds": 0, "MaxAttempts": 1}
        self.assertEqual(
            [
                "3<2 ParallelStateStarted",
                "4<3 FailStateEntered",
                "5<4 ParallelStateStarted",
                "6<5 FailStateEntered",
                "7<6 ParallelStateFailed",
                "8<7 ExecutionFailed",
            ],
            self.chain(self.run_machine(one(end(Type="Parallel", Branches=[branch], Retry=[retried]))))[2:],
        )

    def test_a_fail_state_without_error_has_none(self):
        execution = self.run_machine(one({"Type": "Fail"}))
        self.assertEqual({}, self.history(execution)[-1]["executionFailedEventDetails"])
        self.assertFalse(self.states.describe_execution(executionArn=execution).keys() & {"error", "cause"})

    def test_a_callback_task(self):
        state = self.callback(TimeoutSeconds=60, HeartbeatSeconds=30)
        execution = self.start(self.machine(one(state)))
        token = self.sent()["token"]
        self.states.send_task_success(taskToken=token, output='{"a": 1}')
        self.ended(execution)
        self.assertEqual(
            [
                "2<0 TaskStateEntered",
                "3<2 TaskScheduled",
                "4<3 TaskStarted",
                "5<4 TaskSubmitted",
                "6<5 TaskSucceeded",
                "7<6 TaskStateExited",
                "8<7 ExecutionSucceeded",
            ],
            self.chain(execution)[1:],
        )
        events = {event["type"]: event for event in self.history(execution)}
        what = {"resourceType": "sqs", "resource": "sendMessage.waitForTaskToken"}
        scheduled = events["TaskScheduled"]["taskScheduledEventDetails"]
        parameters = json.loads(scheduled.pop("parameters"))
        self.assertEqual(token, parameters["MessageBody"]["token"])
        limits = {"timeoutInSeconds": 60, "heartbeatInSeconds": 30}
        self.assertEqual({**what, **limits, "region": "us-east-1"}, scheduled)
        self.assertEqual(what, events["TaskStarted"]["taskStartedEventDetails"])
        submitted = events["TaskSubmitted"]["taskSubmittedEventDetails"]
        self.assertIn("MessageId", json.loads(submitted["output"]))
        output = {"output": '{"a":1}', "outputDetails": {"truncated": False}}
        self.assertEqual({**what, **output}, events["TaskSucceeded"]["taskSucceededEventDetails"])

    def test_a_retried_task_is_scheduled_again(self):
        retried = {"ErrorEquals": ["E"], "IntervalSeconds": 0, "MaxAttempts": 1}
        execution = self.start(self.machine(one(self.callback(Retry=[retried], TimeoutSeconds=60))))
        for _ in range(2):
            self.states.send_task_failure(taskToken=self.sent()["token"], error="E", cause="C")
        self.ended(execution)
        attempt = ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskFailed"]
        self.assertEqual(["TaskStateEntered", *attempt, *attempt, "ExecutionFailed"], self.types(execution)[1:])
        failed = self.history(execution)[-2]["taskFailedEventDetails"]
        self.assertEqual(("sqs", "E", "C"), (failed["resourceType"], failed["error"], failed["cause"]))

    def test_a_function_by_its_arn(self):
        function = self.deploy()["outputs"]["WorkerArn"]
        execution = self.run_machine(task(function, TimeoutSeconds=9), {"silent": True})
        events = self.history(execution)
        family = ["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"]
        self.assertEqual(family, [event["type"] for event in events[2:5]])
        scheduled = events[2]["lambdaFunctionScheduledEventDetails"]
        seen = [scheduled[name] for name in ("resource", "input", "timeoutInSeconds")]
        self.assertEqual([function, '{"silent":true}', 9], seen)

    def test_an_activity(self):
        activity = self.states.create_activity(name="a")["activityArn"]
        execution = self.start(self.machine(task(activity, TimeoutSeconds=60)), {"a": 1})
        work = self.states.get_activity_task(activityArn=activity, workerName="w")
        self.assertEqual('{"a":1}', work["input"])
        self.states.send_task_heartbeat(taskToken=work["taskToken"])
        self.states.send_task_success(taskToken=work["taskToken"], output="5")
        self.assertEqual("5", self.ended(execution)["output"])
        expected = ["3<2 ActivityScheduled", "4<3 ActivityStarted", "5<4 ActivitySucceeded", "6<5 TaskStateExited"]
        self.assertEqual(expected, self.chain(execution)[2:6])
        self.assertEqual({"workerName": "w"}, self.history(execution)[3]["activityStartedEventDetails"])

    def test_assigned_variables_are_in_the_exited_event(self):
        execution = self.run_machine(one(end(Type="Pass", Assign={"x": {"a": 1}, "y": "b"}), QueryLanguage="JSONata"))
        exited = self.history(execution)[2]["stateExitedEventDetails"]
        self.assertEqual({"x": '{"a":1}', "y": '"b"'}, exited["assignedVariables"])
        hidden = self.history(execution, includeExecutionData=False)[2]["stateExitedEventDetails"]
        self.assertEqual("S", hidden["name"])
        self.assertFalse(hidden.keys() & {"assignedVariables", "output"})

    def test_pages(self):
        execution = self.run_machine(one(end(Type="Pass")))
        for backwards in (False, True):
            ids, more = [], {}
            while more is not None:
                page = self.states.get_execution_history(
                    executionArn=execution, maxResults=3, reverseOrder=backwards, **more
                )
                ids.append([event["id"] for event in page["events"]])
                more = {"nextToken": page["nextToken"]} if "nextToken" in page else None
            self.assertEqual([[4, 3, 2], [1]] if backwards else [[1, 2, 3], [4]], ids)
        get = self.states.get_execution_history
        self.assert_refused("InvalidToken", get, executionArn=execution, nextToken="x")
        self.assert_refused("ValidationException", get, executionArn=execution, maxResults=1001)
        self.assert_refused("InvalidArn", get, executionArn="x")


class Context(CloudTest):
    def seen(self, language: str, inside: str, name: str) -> list:
        """The contexts that two callback states in there have, the second of them in its second attempt."""
        retried = {"ErrorEquals": ["Again"], "IntervalSeconds": 0}
        state = self.callback(QueryLanguage=language, Retry=[retried], ResultPath=None)
        if language == "JSONata":
            state["Arguments"]["MessageBody"]["context"] = "{% $states.context %}"
            del state["ResultPath"]
        else:
            state["Parameters"]["MessageBody"]["context.$"] = "$$"
        if inside == "Parallel":
            branches = [{"StartAt": each, "States": {each: state}} for each in "AB"]
            outer = end(Type="Parallel", Branches=branches)
        else:
            outer = end(Type="Map", ItemProcessor={"StartAt": "A", "States": {"A": state}})
        execution = self.start(self.machine(one(outer), name), ["x", "y"])
        sent = sorted((self.sent() for _ in range(2)), key=lambda each: json.dumps(each["context"].get("Map")))
        self.states.send_task_failure(taskToken=sent[1]["token"], error="Again")
        again = self.sent()
        for token in (sent[0]["token"], again["token"]):
            self.states.send_task_success(taskToken=token, output="1")
        self.assertEqual("SUCCEEDED", self.ended(execution)["status"])
        for each in (*sent, again):
            context = each["context"]
            self.assertEqual(each["token"], context["Task"]["Token"])
            self.assertEqual(execution, context["Execution"]["Id"])
            names = {"Id", "Input", "Name", "RoleArn", "StartTime", "RedriveCount"}
            self.assertEqual(names, context["Execution"].keys())
        return [each["context"] for each in (*sent, again)]

    def test_a_state_in_a_branch_knows_itself(self):
        for language in ("JSONPath", "JSONata"):
            with self.subTest(language):
                first, second, again = self.seen(language, "Parallel", language)
                self.assertEqual({"A", "B"}, {first["State"]["Name"], second["State"]["Name"]})
                self.check(second, again)

    def test_a_state_in_an_iteration_knows_itself_and_its_item(self):
        for language in ("JSONPath", "JSONata"):
            with self.subTest(language):
                first, second, again = self.seen(language, "Map", language)
                items = [{"Index": 0, "Value": "x"}, {"Index": 1, "Value": "y"}, {"Index": 1, "Value": "y"}]
                self.assertEqual(items, [each["Map"]["Item"] for each in (first, second, again)])
                self.check(second, again)

    def check(self, second: dict, again: dict) -> None:
        self.assertEqual([0, 1], [each["State"]["RetryCount"] for each in (second, again)])
        self.assertEqual(*(each["State"]["EnteredTime"] for each in (second, again)))
        self.assertNotEqual(second["Task"], again["Task"])

    def test_branches_do_not_see_the_variables_of_one_another(self):
        branches = [
            {
                "StartAt": name,
                "States": {name: {"Type": "Pass", "Assign": {"x": name}, "Next": f"{name}2"}, f"{name}2": last},
            }
            for name, last in (
                ("A", end(Type="Wait", Seconds=1, Output="{% $x %}")),
                ("B", end(Type="Pass", Output="{% $x %}")),
            )
        ]
        parallel = end(Type="Parallel", Branches=branches, Output="{% $append($states.result, $x) %}")
        first = {"Type": "Pass", "Assign": {"x": "outside"}, "Next": "S"}
        definition = {"QueryLanguage": "JSONata", "StartAt": "First", "States": {"First": first, "S": parallel}}
        execution = self.start(self.machine(definition))
        self.assertEqual('["A","B","outside"]', self.ended(execution)["output"])
