"""Variables, paths and outputs: what a state makes of its input and its result."""

import json

from .support import CloudTest
from .test_redrive import chain, do, each, end, parallel

LANGUAGES = ("JSONPath", "JSONata")


def passing(**fields) -> dict:
    return {"Type": "Pass", **({} if "Next" in fields else {"End": True}), **fields}


class Dataflow(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.number = 0

    def run_machine(self, definition: dict, data=None) -> str:
        self.number += 1
        execution = self.start(self.machine(definition, f"m{self.number}"), data)
        self.ended(execution)
        return execution

    def result(self, definition: dict, data=None):
        return self.output(self.run_machine(definition, data))

    def assigned(self, execution: str) -> dict[str, dict]:
        """What each state has assigned, by its Exited event."""
        exits = (event.get("stateExitedEventDetails", {}) for event in self.history(execution, maxResults=1000))
        return {
            each["name"]: {name: json.loads(value) for name, value in each["assignedVariables"].items()}
            for each in exits
            if "assignedVariables" in each
        }

    def failure(self, definition: dict, data=None) -> tuple[str, str]:
        described = self.states.describe_execution(executionArn=self.run_machine(definition, data))
        self.assertEqual("FAILED", described["status"], described)
        return described.get("error"), described.get("cause", "")


class Assign(Dataflow):
    def test_a_jsonpath_task_assigns_from_its_result(self):
        """The result itself, whatever ResultSelector, ResultPath and OutputPath make of it."""
        self.stub({"succeed": {"a": {"b": [1, 2]}}}, machine="*")
        assign = {"x.$": "$.a.b[1]", "y": {"z.$": "$.a", "f.$": "States.Format('{}', $.a.b[0])"}, "n": None}
        state = do(Assign=assign, ResultSelector={"c.$": "$.a"}, ResultPath="$.r", OutputPath="$.r.c")
        execution = self.run_machine(chain(T=state))
        self.assertEqual({"b": [1, 2]}, self.output(execution))
        expected = {"x": 2, "y": {"z": {"b": [1, 2]}, "f": "1"}, "n": None}
        self.assertEqual({"T": expected}, self.assigned(execution))

    def test_a_jsonpath_pass_assigns_from_what_it_passes(self):
        for fields, x in (({"Result": {"a": 1}}, 1), ({"Parameters": {"a.$": "$.in"}}, 2), ({"InputPath": "$.sub"}, 3)):
            with self.subTest(fields):
                state = passing(Assign={"x.$": "$.a"}, ResultPath="$.r", **fields)
                execution = self.run_machine(chain(P=state), {"in": 2, "sub": {"a": 3}})
                self.assertEqual({"P": {"x": x}}, self.assigned(execution))
                self.assertEqual(2, self.output(execution)["in"])

    def test_wait_and_choice_assign_from_their_input(self):
        rules = [{"Variable": "$.n", "NumericEquals": 1, "Next": "W", "Assign": {"rule.$": "$.n"}}]
        states = {
            "C": {"Type": "Choice", "InputPath": "$.sub", "Choices": rules, "Default": "W"},
            "W": end(Type="Wait", Seconds=0, Assign={"waited.$": "$.n"}),
        }
        states["C"]["Assign"] = {"default.$": "$.n"}
        for n, assigned in ((1, {"rule": 1}), (2, {"default": 2})):
            with self.subTest(n):
                execution = self.run_machine(chain(**states), {"sub": {"n": n}})
                self.assertEqual({"C": assigned, "W": {"waited": n}}, self.assigned(execution))

    def test_parallel_and_map_assign_from_their_results(self):
        branches = [chain(**{name: passing(Result=name)}) for name in "AB"]
        items = chain(I=passing())
        path = {"Assign": {"x.$": "$[1]"}, "ResultSelector": {"one.$": "$[0]"}}
        nata = {"Assign": {"x": "{% $states.result[1] %}"}, "Output": {"one": "{% $states.result[0] %}"}}
        for language, fields in zip(LANGUAGES, (path, nata), strict=True):
            with self.subTest(language):
                fields["QueryLanguage"] = language
                execution = self.run_machine(chain(S=parallel(*branches, **fields)))
                self.assertEqual(({"one": "A"}, {"x": "B"}), (self.output(execution), self.assigned(execution)["S"]))
                execution = self.run_machine(chain(S=each(items, **fields)), ["A", "B"])
                self.assertEqual(({"one": "A"}, {"x": "B"}), (self.output(execution), self.assigned(execution)["S"]))

    def test_a_catcher_assigns_in_the_exited_event(self):
        self.stub({"fail": {"error": "E", "cause": "C"}}, machine="*")
        path = {"Assign": {"x.$": "$.Error"}, "ResultPath": "$.caught"}
        nata = {"Assign": {"x": "{% $states.errorOutput.Error %}"}, "Output": {"c": "{% $states.errorOutput.Cause %}"}}
        for language, fields, output in (
            ("JSONPath", path, {"in": 1, "caught": {"Error": "E", "Cause": "C"}}),
            ("JSONata", nata, {"c": "C"}),
        ):
            for kind in ("Task", "Parallel", "Map"):
                with self.subTest(language, kind=kind):
                    inner = chain(I=do())
                    state = {"Task": do(), "Parallel": parallel(inner), "Map": each(inner)}[kind]
                    caught = {"ErrorEquals": ["States.ALL"], "Next": "H", **fields}
                    del state["End"]
                    # Assign of the state itself is for its success.
                    state |= {"QueryLanguage": language, "Next": "H", "Catch": [caught], "Assign": {"never": 1}}
                    execution = self.run_machine(chain(S=state, H=end(Type="Pass")), {"in": 1})
                    self.assertEqual(output, self.output(execution))
                    self.assertEqual({"S": {"x": "E"}}, self.assigned(execution))

    def test_rules_and_catchers_in_jsonata_states_of_a_jsonpath_machine(self):
        rule = {"Condition": "{% $states.input.n = 1 %}", "Next": "P", "Assign": {"x": "{% 1 + 1 %}"}}
        choice = {"Type": "Choice", "QueryLanguage": "JSONata", "Default": "P", "Choices": [rule]}
        choice |= {"Assign": {"x": "{% 'default' %}"}, "Output": {"out": "{% $states.input.n %}"}}
        rule["Output"] = {"out": "rule"}
        for n, x, out in ((1, 2, "rule"), (5, "default", 5)):
            with self.subTest(n):
                execution = self.run_machine(chain(C=choice, P=passing()), {"n": n})
                self.assertEqual(({"x": x}, {"out": out}), (self.assigned(execution)["C"], self.output(execution)))

    def test_expressions_see_the_variables_of_the_entry(self):
        paths = {"x.$": "$y", "y.$": "$x"}
        for language, assign, output in (
            ("JSONPath", paths, {"OutputPath": "$x"}),
            ("JSONata", {"x": "{% $y %}", "y": "{% $x %}"}, {"Output": "{% $x %}"}),
        ):
            with self.subTest(language):
                swap = passing(QueryLanguage=language, Assign=assign, **output)
                execution = self.run_machine(chain(A=passing(Assign={"x": 3, "y": 6}, Next="B"), B=swap))
                self.assertEqual(3, self.output(execution))
                self.assertEqual({"x": 6, "y": 3}, self.assigned(execution)["B"])

    def test_inner_scopes_see_outer_variables_and_keep_their_own(self):
        inner = chain(I=passing(Assign={"own.$": "$outer"}, Next="J"), J=passing(Parameters={"o.$": "$own"}))
        states = {
            "First": passing(Assign={"outer": "o"}, Next="S"),
            "S": parallel(inner, chain(M=each(chain(K=passing(Parameters={"o.$": "$outer"}))))),
        }
        self.assertEqual([{"o": "o"}, [{"o": "o"}]], self.result(chain(**states), [1]))
        states["S"] = {**states["S"], "Next": "After"}
        del states["S"]["End"]
        states["After"] = passing(Parameters={"o.$": "$own"})
        error, cause = self.failure(chain(**states), [1])
        self.assertEqual("States.Runtime", error)
        self.assertIn("The JSONPath '$own' specified for the field 'o.$' could not be found", cause)

    def test_variables_have_limits(self):
        large = {"x.$": "$.x"}
        within, beyond = ("x" * size for size in (262_144 - 8, 262_144 - 7))
        self.stub({"state": "A", "succeed": {"x": within}}, {"succeed": {"x": beyond}}, machine="*")
        self.assertEqual({}, self.result(chain(A=do(Assign=large, OutputPath=None))))
        error, _cause = self.failure(chain(B=do(Assign={**large, "y": 1}, OutputPath=None)))
        self.assertEqual("States.DataLimitExceeded", error)


class References(Dataflow):
    def test_variables_can_be_used_wherever_a_path_can(self):
        first = passing(Assign={"v": {"items": [1, 2, 3], "n": 0, "s": "text", "two": 2}}, Next="S")
        seconds = "2020-01-01T00:00:00Z"
        rule = {"Variable": "$v.n", "NumericLessThanPath": "$v.two", "Next": "P"}
        for state, output in (
            (passing(InputPath="$v.s"), "text"),
            (passing(OutputPath="$v.items[0]"), 1),
            (passing(Parameters={"a.$": "$v.n", "b": [{"c.$": "$v['s']"}]}), {"a": 0, "b": [{"c": "text"}]}),
            (passing(Parameters={"a.$": "States.ArrayGetItem($v.items, $v.two)"}), {"a": 3}),
            (each(chain(I=passing()), ItemsPath="$v.items", MaxConcurrencyPath="$v.two"), [1, 2, 3]),
            (
                each(chain(I=passing()), ItemSelector={"s.$": "$v.s", "i.$": "$$.Map.Item.Value"}),
                [{"s": "text", "i": 7}],
            ),
            (end(Type="Wait", SecondsPath="$v.n", OutputPath="$v.n"), 0),
            (end(Type="Wait", TimestampPath="$v.at", OutputPath="$v.s"), "text"),
            ({"Type": "Succeed", "InputPath": "$v.s"}, "text"),
            ({"Type": "Choice", "Choices": [rule], "OutputPath": "$v.s"}, "text"),
        ):
            with self.subTest(state):
                first["Assign"]["v"]["at"] = seconds
                states = {"First": first, "S": state}
                if state["Type"] == "Choice":
                    states["P"] = passing()
                self.assertEqual(output, self.result(chain(**states), [7]))
        fail = {"Type": "Fail", "ErrorPath": "$v.s", "CausePath": "States.Format('{}', $v.two)"}
        self.assertEqual(("text", "2"), self.failure(chain(First=first, S=fail)))

    def test_paths_of_tasks(self):
        self.stub(machine="*")
        states = {
            "First": passing(Assign={"seconds": 7, "id": "i"}, Next="T"),
            "T": do(TimeoutSecondsPath="$seconds", HeartbeatSecondsPath="$seconds", Parameters={"i.$": "$id"}),
        }
        states["T"]["ResultSelector"] = {"of.$": "$.state", "id.$": "$id", "run.$": "$$.Execution.RedriveCount"}
        execution = self.run_machine(chain(**states))
        self.assertEqual({"of": "T", "id": "i", "run": 0}, self.output(execution))
        scheduled = next(event for event in self.history(execution) if event["type"] == "TaskScheduled")
        self.assertEqual(7, scheduled["taskScheduledEventDetails"]["timeoutInSeconds"])

    def test_a_path_that_leads_nowhere_fails_the_state(self):
        for fields, cause in (
            ({"Parameters": {"a.$": "$.no"}}, "The JSONPath '$.no' specified for the field 'a.$' could not be found"),
            ({"Parameters": {"a.$": "States.Array($.no)"}}, "The JsonPath argument for the field '$.no' could not be"),
            ({"InputPath": "$.no"}, "Invalid path '$.no'"),
            ({"OutputPath": "$no"}, "Invalid path '$no'"),
            ({"Assign": {"a.$": "$no"}}, "The JSONPath '$no' specified for the field 'a.$' could not be found"),
        ):
            with self.subTest(fields):
                error, found = self.failure(chain(P=passing(**fields)))
                self.assertEqual("States.Runtime", error)
                prefix = "An error occurred while executing the state 'P' (entered at the event id #2). "
                self.assertEqual(prefix + cause, found[: len(prefix + cause)])

    def test_paths_that_can_lead_to_many_lead_to_an_array(self):
        data = {"a": [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}, {"s": "z", "b": {"n": 3}}], "odd key": 1, "e": []}
        for path, expected in (
            ("$.a[*].s", ["x", "y", "z"]),
            ("$.a[1:].s", ["y", "z"]),
            ("$.a[-1].s", "z"),
            ("$.a[0,2].s", ["x", "z"]),
            ("$..n", [1, 2, 3]),
            ("$.a[?(@.n > 1)].s", ["y"]),
            ("$.a[?(@.s == 'x' || @.b)].s", ["x", "z"]),
            ("$.a[?(@.n >= 1 && @.s != 'x')].n", [2]),
            ("$.a[?(@.s==y)].n", [2]),
            ("$['odd key']", 1),
            ("$.a[9]", None),
            ("$.a[0]['n','s']", [1, "x"]),
            ("$.e[*]", []),
            ("$.e[?(@.x)]", []),
        ):
            with self.subTest(path):
                self.assertEqual({"v": expected}, self.result(chain(P=passing(Parameters={"v.$": path})), data))

    def test_what_is_null_is_present(self):
        rule = {"Variable": "$.a", "IsPresent": True, "Next": "Yes"}
        states = {"C": {"Type": "Choice", "Choices": [rule], "Default": "No"}, "Yes": passing(Result=1)}
        states["No"] = passing(Result=0)
        for data, output in (({"a": None}, 1), ({"b": 1}, 0)):
            self.assertEqual(output, self.result(chain(**states), data))
        rule["IsNull"] = rule.pop("IsPresent")
        self.assertEqual(1, self.result(chain(**states), {"a": None}))
        error, cause = self.failure(chain(**states), {"b": 1})
        self.assertEqual("States.Runtime", error)
        self.assertIn("Invalid path '$.a': The choice state's condition path references an invalid value.", cause)

    def test_comparisons(self):
        data = {"s": "abc", "n": 2, "b": False, "t": "2020-01-01T00:00:00Z", "other": {"s": "abd", "n": 1, "t": None}}
        for rule, expected in (
            ({"Variable": "$.s", "StringLessThanPath": "$.other.s"}, True),
            ({"Variable": "$.s", "StringMatches": "a*"}, True),
            ({"Variable": "$.s", "StringMatches": "a\\*"}, False),
            ({"Variable": "$.s", "StringEquals": "abc"}, True),
            ({"Variable": "$.n", "StringEquals": "2"}, False),
            ({"Variable": "$.n", "NumericGreaterThanEqualsPath": "$.other.n"}, True),
            ({"Variable": "$.s", "NumericEquals": 2}, False),
            ({"Variable": "$.b", "BooleanEquals": False}, True),
            ({"Variable": "$.n", "BooleanEquals": False}, False),
            ({"Variable": "$.b", "IsNumeric": True}, False),
            ({"Variable": "$.t", "TimestampLessThan": "2020-01-01T01:00:00+00:30"}, True),
            ({"Variable": "$.t", "TimestampEqualsPath": "$.other.t"}, False),
            ({"Not": {"Variable": "$.n", "IsString": True}}, True),
            ({"And": [{"Variable": "$.n", "IsNumeric": True}, {"Variable": "$.t", "IsTimestamp": True}]}, True),
            ({"Or": [{"Variable": "$.n", "IsNull": True}, {"Variable": "$.b", "IsBoolean": True}]}, True),
        ):
            with self.subTest(rule):
                states = {"C": {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"}}
                states |= {"Yes": passing(Result=True), "No": passing(Result=False)}
                self.assertEqual(expected, self.result(chain(**states), data))

    def test_a_result_needs_an_object_to_be_put_into(self):
        self.assertEqual({"a": {"b": 1}, "c": 2}, self.result(chain(P=passing(Result=1, ResultPath="$.a.b")), {"c": 2}))
        data = {"a": [1, 2]}
        self.assertEqual({"a": [9, 2]}, self.result(chain(P=passing(Result=9, ResultPath="$.a[0]")), data))
        for data in ([1], {"a": 1}):
            error, cause = self.failure(chain(P=passing(Result=1, ResultPath="$.a.b")), data)
            self.assertEqual("States.ResultPathMatchFailure", error)
            self.assertIn("$.a.b", cause)

    def test_format_writes_json(self):
        state = passing(Parameters={"v.$": "States.Format('{} {} {} {}', $.n, $.t, $.s, $.o)"})
        data = {"n": None, "t": True, "s": "x", "o": {"a": [1]}}
        self.assertEqual({"v": 'null true x {"a":[1]}'}, self.result(chain(P=state), data))

    def test_an_intrinsic_function_that_fails_can_be_caught(self):
        caught = {"ErrorEquals": ["States.IntrinsicFailure"], "Next": "P"}
        state = do(Parameters={"a.$": "States.StringToJson($.s)"}, Catch=[caught])
        self.assertEqual("States.IntrinsicFailure", self.result(chain(T=state, P=passing()), {"s": "{"})["Error"])


class Runtime(Dataflow):
    def test_a_runtime_error_ends_the_execution_at_once(self):
        """As recorded: nothing retries or catches it, and the states around it have no events of it."""
        anything = {"ErrorEquals": ["States.ALL", "States.Runtime"]}
        caught = {"Retry": [{**anything, "IntervalSeconds": 0}], "Catch": [{**anything, "Next": "H"}]}
        bad = do(Parameters={"a.$": "$.no"}, **caught)
        inner = chain(B=bad, H=passing())
        state = parallel(chain(M=each(inner)), Retry=[{**anything, "IntervalSeconds": 0}])
        execution = self.run_machine(chain(P=state), [1])
        expected = ["ParallelStateEntered", "ParallelStateStarted", "MapStateEntered", "MapStateStarted"]
        expected += ["MapIterationStarted", "TaskStateEntered", "ExecutionFailed"]
        self.assertEqual(expected, self.types(execution)[1:])
        self.assertEqual(7, self.history(execution)[-1]["previousEventId"])
        described = self.states.describe_execution(executionArn=execution)
        self.assertEqual("States.Runtime", described["error"])
        self.assertIn("the state 'B' (entered at the event id #7)", described["cause"])

    def test_what_a_task_or_a_fail_state_calls_so_is_as_any_other_error(self):
        self.stub({"fail": {"error": "States.Runtime", "cause": "C"}}, machine="*")
        caught = {"ErrorEquals": ["States.ALL"], "Next": "P"}
        expected = {"Error": "States.Runtime", "Cause": "C"}
        self.assertEqual(expected, self.result(chain(T=do(Catch=[caught]), P=passing())))
        fail = chain(F={"Type": "Fail", "Error": "States.Runtime", "Cause": "C"})
        self.assertEqual(expected, self.result(chain(S=parallel(fail, Catch=[caught]), P=passing())))

    def test_an_output_has_256_kib_at_most(self):
        sizes = {"A": 262_142, "B": 262_143}
        self.stub(*({"state": name, "succeed": "x" * size} for name, size in sizes.items()), machine="*")
        self.assertEqual(262_142, len(self.result(chain(A=do()))))
        execution = self.run_machine(chain(B=do()))
        failed = next(event for event in self.history(execution) if event["type"] == "TaskFailed")
        self.assertEqual("States.DataLimitExceeded", failed["taskFailedEventDetails"]["error"])
        execution = self.run_machine(chain(A=do(ResultPath="$.x")), {"y": 1})
        described = self.states.describe_execution(executionArn=execution)
        self.assertEqual("States.DataLimitExceeded", described["error"])
        cause = "The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit."
        self.assertEqual(cause, described["cause"])

    def test_an_activity_that_is_not_there(self):
        activity = f"arn:aws:states:us-east-1:{self.account}:activity:nobody"
        execution = self.run_machine(chain(T=do(Resource=activity)))
        self.assertEqual(["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"], self.types(execution))
        cause = self.states.describe_execution(executionArn=execution)["cause"]
        self.assertTrue(cause.endswith(f"The activity {activity} does not exist."), cause)
