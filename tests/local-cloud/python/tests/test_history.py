"""The history of executions, in the shape that was recorded on AWS, and the context object."""

import json

from .support import INVOKE_ANYTHING, CloudTest, eventually, task


def one(state: dict, **fields) -> dict:
    return {"StartAt": "S", "States": {"S": state}, **fields}


def end(**fields) -> dict:
    return {**fields, "End": True}


# From the failure of a task on that is in a branch of a Parallel state in an iteration of a Map: each event's distance
# from it, and that of the event which it follows. The whole is put together from recordings of the one and the other.
IN_A_PARALLEL_IN_A_MAP = [
    (1, 0, "TaskStateAborted"),
    (2, 0, "WaitStateAborted"),
    (3, 0, "ParallelStateFailed"),
    (4, 3, "MapIterationFailed"),
    (5, 3, "ParallelStateAborted"),
    (6, 3, "MapIterationAborted"),
    (7, 3, "TaskStateAborted"),
    (8, 3, "WaitStateAborted"),
    (9, 3, "ParallelStateAborted"),
    (10, 3, "MapStateFailed"),
]


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

    def nested_failure(self, outer: str, **fields) -> list[tuple[int, int, str]]:
        """The end of the history, from the failure on: a Parallel in a Map or the other way round, with a task that
        fails and another state that waits, both in the inner one."""
        waiting = end(Type="Wait", Seconds=60)
        parallel = end(Type="Parallel", Branches=[])
        items = end(Type="Map", ItemsPath="$")
        if outer == "Map":
            branches = {"Charge": self.callback(), "Rest": waiting}
            parallel["Branches"] = [{"StartAt": name, "States": {name: state}} for name, state in branches.items()]
            state = {**items, "ItemProcessor": {"StartAt": "Fan", "States": {"Fan": parallel}}, **fields}
        else:
            items["ItemProcessor"] = {"StartAt": "Charge", "States": {"Charge": self.callback()}}
            branches = {"Each": items, "Rest": waiting}
            parallel["Branches"] = [{"StartAt": name, "States": {name: state}} for name, state in branches.items()]
            state = {**parallel, **fields}
        handler = {"H": {"Type": "Fail", "Error": "Handled"}} if "Catch" in fields else {}
        machine = self.machine({"StartAt": "S", "States": {"S": state, **handler}})
        execution = self.start(machine, ["a", "b"])
        tokens = [self.sent()["token"] for _ in range(2)]
        self.all_entered(execution, {"Map": 2, "Parallel": 1}[outer], "Rest")
        self.states.send_task_failure(taskToken=tokens[0], error="E", cause="C")
        self.ended(execution)
        events = self.history(execution)
        failed = next(event for event in events if event["type"] == "TaskFailed")
        self.assertEqual(("E", "C"), tuple(failed["taskFailedEventDetails"][name] for name in ("error", "cause")))
        (iteration,) = (event for event in events if event["type"] == "MapIterationFailed")
        name = {"Map": "S", "Parallel": "Each"}[outer]
        self.assertEqual(name, iteration["mapIterationFailedEventDetails"]["name"])
        since = events[failed["id"] :]
        return [(e["id"] - failed["id"], e["previousEventId"] - failed["id"], e["type"]) for e in since]

    def all_entered(self, execution: str, times: int, name: str) -> None:
        def check():
            entered = (event.get("stateEnteredEventDetails", {}).get("name") for event in self.history(execution))
            return sum(each == name for each in entered) == times

        eventually(check, f"{name} entered {times} times")

    def test_a_failure_in_a_map_in_a_parallel(self):
        self.assertEqual(
            [
                (1, 0, "MapIterationFailed"),
                (2, 0, "TaskStateAborted"),
                (3, 0, "MapIterationAborted"),
                (4, 0, "TaskStateAborted"),
                (5, 0, "MapStateFailed"),
                (6, 5, "MapStateAborted"),
                (7, 5, "WaitStateAborted"),
                (8, 5, "ParallelStateFailed"),
                (9, 8, "ExecutionFailed"),
            ],
            self.nested_failure("Parallel"),
        )

    def test_a_failure_in_a_parallel_in_a_map(self):
        expected = [*IN_A_PARALLEL_IN_A_MAP, (11, 10, "ExecutionFailed")]
        self.assertEqual(expected, self.nested_failure("Map"))

    def test_a_failure_within_that_is_caught_outside(self):
        caught = [{"ErrorEquals": ["States.ALL"], "Next": "H"}]
        handled = [(11, 10, "MapStateExited"), (12, 11, "FailStateEntered"), (13, 12, "ExecutionFailed")]
        self.assertEqual([*IN_A_PARALLEL_IN_A_MAP, *handled], self.nested_failure("Map", Catch=caught))

    def test_a_failed_branch_ends_all_that_runs_in_its_siblings(self):
        """A Map in a Parallel, whose tasks are open, and a Parallel in a Map."""
        service = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sfn:listActivities"}
        for kind in ("Map", "Parallel"):
            with self.subTest(kind):
                inner = {"StartAt": "T", "States": {"T": {**service, "Next": "Z"}, "Z": end(Type="Pass")}}
                if kind == "Map":
                    within = end(Type="Map", ItemProcessor=inner)
                else:
                    within = end(Type="Parallel", Branches=[inner])
                within = {"StartAt": "I", "States": {"I": {**within, "Next": "After"}, "After": end(Type="Pass")}}
                del within["States"]["I"]["End"]
                fails = {"StartAt": "F", "States": {"F": end(**service)}}
                fan = end(Type="Parallel", Branches=[within, fails])
                self.stub({"state": "F", "hold": True, "fail": {"error": "E"}}, {"hold": True}, machine=kind)
                execution = self.start(self.machine(one(fan), kind), [1, 2, 3])
                tasks = 3 if kind == "Map" else 1
                self.held(tasks + 1)
                self.release(state="F")
                self.assertEqual("E", self.ended(execution)["error"])
                name = execution.rpartition(":")[2]

                def aborted(name=name) -> int:
                    return sum(each["outcome"] == "aborted" for each in self.stubbed_calls(execution=name))

                eventually(lambda: aborted() == tasks, "the end of the tasks")
                self.assertEqual(0, self.release())
                types = self.types(execution)
                self.assertEqual((tasks + 1, 0), (types.count("TaskStateAborted"), types.count("PassStateEntered")))
                self.assertEqual("ExecutionFailed", types[-1])

    def test_an_execution_that_is_ended_from_outside_follows_nothing(self):
        """As recorded: what is open has no event of its own."""
        branches = [{"StartAt": name, "States": {name: end(Type="Wait", Seconds=60)}} for name in "AB"]
        parallel = one(end(Type="Parallel", Branches=branches))
        entered = ["ParallelStateEntered", "ParallelStateStarted", "WaitStateEntered", "WaitStateEntered"]
        timed_out = self.start(self.machine({**parallel, "TimeoutSeconds": 1}, "timed-out"))
        stopped = self.start(self.machine(parallel, "stopped"))
        self.all_entered(stopped, 1, "B")
        self.all_entered(stopped, 1, "A")
        self.states.stop_execution(executionArn=stopped, error="E", cause="C")
        ends = {
            timed_out: ("TimedOut", {"error": "States.Timeout"}),
            stopped: ("Aborted", {"error": "E", "cause": "C"}),
        }
        for execution, (what, details) in ends.items():
            with self.subTest(what):
                self.ended(execution)
                self.assertEqual([*entered, f"Execution{what}"], self.types(execution)[1:])
                last = self.history(execution)[-1]
                self.assertEqual((0, details), (last["previousEventId"], last[f"execution{what}EventDetails"]))

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

    def test_an_expression_that_cannot_be_evaluated(self):
        jsonata = {"QueryLanguage": "JSONata"}
        bad = end(Type="Pass", Output="{% $missing %}")
        items = end(Type="Map", Items="{% 'text' %}", ItemProcessor={"StartAt": "I", "States": {"I": end(Type="Pass")}})
        wait = end(Type="Wait", Seconds="{% -1 %}")
        within = end(Type="Map", Items="{% [1] %}", ItemProcessor={"StartAt": "I", "States": {"I": bad}})
        for state, expected, name, entered in (
            (bad, ["2<0 PassStateEntered", "3<0 EvaluationFailed", "4<3 ExecutionFailed"], "S", 2),
            (wait, ["2<0 WaitStateEntered", "3<2 EvaluationFailed", "4<3 ExecutionFailed"], "S", 2),
            (
                items,
                ["2<0 MapStateEntered", "3<0 EvaluationFailed", "4<3 MapStateFailed", "5<4 ExecutionFailed"],
                "S",
                2,
            ),
            (
                within,
                [
                    "2<0 MapStateEntered",
                    "3<2 MapStateStarted",
                    "4<3 MapIterationStarted",
                    "5<4 PassStateEntered",
                    "6<4 EvaluationFailed",
                    "7<6 MapIterationFailed",
                    "8<6 MapStateFailed",
                    "9<8 ExecutionFailed",
                ],
                "I",
                5,
            ),
        ):
            with self.subTest(expected):
                execution = self.run_machine(one(state, **jsonata), name=f"m{len(expected)}{state['Type']}")
                self.assertEqual(expected, self.chain(execution)[1:])
                (event,) = (each for each in self.history(execution) if each["type"] == "EvaluationFailed")
                details = event["evaluationFailedEventDetails"]
                self.assertEqual((name, "States.QueryEvaluationError"), (details["state"], details["error"]))
                words = f"An error occurred while executing the state '{name}' (entered at the event id #{entered}). "
                self.assertEqual(1, details["cause"].count(words))
                self.assertEqual(details["cause"], self.states.describe_execution(executionArn=execution)["cause"])

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

    def test_without_data_an_event_keeps_its_error_and_its_cause(self):
        execution = self.start(self.machine(one(self.callback(TimeoutSeconds=60))))
        self.states.send_task_failure(taskToken=self.sent()["token"], error="E", cause="C")
        self.ended(execution)
        events = {event["type"]: event for event in self.history(execution, includeExecutionData=False)}
        scheduled = events["TaskScheduled"]["taskScheduledEventDetails"]
        self.assertEqual({"resourceType", "resource", "region", "timeoutInSeconds"}, scheduled.keys())
        self.assertFalse(events["ExecutionStarted"]["executionStartedEventDetails"].keys() & {"input"})
        self.assertFalse(events["TaskSubmitted"]["taskSubmittedEventDetails"].keys() & {"output"})
        for name in ("task", "execution"):
            failed = events[f"{name.title()}Failed"][f"{name}FailedEventDetails"]
            self.assertEqual(("E", "C"), (failed["error"], failed["cause"]))

    def test_pages_stay_what_they_were_while_the_history_grows(self):
        execution = self.start(self.machine(one(self.callback(TimeoutSeconds=60))))
        token = self.sent()["token"]
        eventually(lambda: "TaskSubmitted" in self.types(execution), "the submission")
        asked = [{"executionArn": execution, "maxResults": 3, "reverseOrder": each} for each in (True, False)]
        before = [self.states.get_execution_history(**each) for each in asked]
        self.states.send_task_success(taskToken=token, output="1")
        self.ended(execution)
        after = [
            self.states.get_execution_history(**each, nextToken=page["nextToken"])
            for each, page in zip(asked, before, strict=True)
        ]
        ids = [[event["id"] for event in page["events"]] for page in (*before, *after)]
        self.assertEqual([[5, 4, 3], [1, 2, 3], [2, 1], [4, 5]], ids)
        self.assertFalse(any("nextToken" in page for page in after))
        page = self.states.get_execution_history(executionArn=execution, maxResults=1000, reverseOrder=True)
        self.assertEqual([8, 7, 6, 5, 4, 3, 2, 1], [event["id"] for event in page["events"]])

    def test_a_history_has_25_000_events(self):
        """As measured: the last one is the failure, and the execution cannot be redriven any more."""
        rule = {"Variable": "$.i", "NumericEquals": 0, "Next": "A"}
        states = {"A": {"Type": "Choice", "Choices": [rule], "Default": "B"}, "B": {"Type": "Succeed"}}
        execution = self.start(self.machine({"StartAt": "A", "States": states}), {"i": 0})
        described = self.ended(execution, seconds=60)
        cause = "The execution reached the maximum number of history events (25000)."
        self.assertEqual(("States.Runtime", cause), (described["error"], described["cause"]))
        last = self.history(execution, reverseOrder=True, maxResults=2)
        expected = [(25_000, 24_999, "ExecutionFailed"), (24_999, 24_998, "ChoiceStateExited")]
        self.assertEqual(expected, [(event["id"], event["previousEventId"], event["type"]) for event in last])
        redrive = self.states.redrive_execution
        self.assertIn("limit", self.assert_refused("ExecutionNotRedrivable", redrive, executionArn=execution))

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
        parallel = end(Type="Parallel", Branches=branches, Output="{% $append($states.result, $exists($x)) %}")
        execution = self.start(self.machine(one(parallel, QueryLanguage="JSONata")))
        self.assertEqual('["A","B",false]', self.ended(execution)["output"])
