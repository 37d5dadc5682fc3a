"""State machines: what definitions are refused for, what is kept of a machine, and how it is deleted."""

import json
import tempfile
from pathlib import Path

from .support import INVOKE_ANYTHING, PASS, WAIT, CloudError, CloudTest, eventually
from .test_redrive import chain, do, each, end, parallel

LOG_GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:/machines:*"
LOGGING = {"level": "ALL", "includeExecutionData": True}
LOGGING["destinations"] = [{"cloudWatchLogsLogGroup": {"logGroupArn": LOG_GROUP}}]


def passing(**fields) -> dict:
    return {"Type": "Pass", **({} if "Next" in fields else {"End": True}), **fields}


class Definitions(CloudTest):
    def found(self, definition: dict | str) -> list[tuple]:
        """The diagnostics, which CreateStateMachine tells of, too."""
        text = definition if isinstance(definition, str) else json.dumps(definition)
        answer = self.states.validate_state_machine_definition(definition=text)
        diagnostics = answer["diagnostics"]
        self.assertEqual("FAIL" if diagnostics else "OK", answer["result"])
        self.assertEqual({"ERROR"} if diagnostics else set(), {each["severity"] for each in diagnostics})
        role = {"roleArn": self.a_role()}
        if diagnostics:
            listed = (f"{each['code']}: {each['message']} at {each.get('location', 'null')}" for each in diagnostics)
            message = f"Invalid State Machine Definition: '{', '.join(listed)}'"
            create = self.states.create_state_machine
            self.assertEqual(
                message, self.assert_refused("InvalidDefinition", create, name="m", definition=text, **role)
            )
        else:
            made = self.states.create_state_machine(name="m", definition=text, **role)["stateMachineArn"]
            self.states.delete_state_machine(stateMachineArn=made)
        return [(each["code"], each["message"], each.get("location")) for each in diagnostics]

    def a_role(self) -> str:
        if not hasattr(self, "made_role"):
            self.made_role = self.role()
        return self.made_role

    def missing(self, target: str, location: str) -> tuple:
        return ("MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {target}", location)

    def unreachable(self, name: str, location: str) -> tuple:
        return ("MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', location)

    def test_transitions_lead_to_states_of_their_own_region(self):
        rule = {"Variable": "$.a", "IsPresent": True, "Next": "X"}
        caught = [{"ErrorEquals": ["States.ALL"], "Next": "Y"}]
        states = {
            "C": {"Type": "Choice", "Choices": [rule], "Default": "Z"},
            "T": do(Catch=caught),
            "P": parallel(chain(I=passing(Next="T"), J=passing())),
        }
        expected = [
            self.missing("N", "/StartAt"),
            self.missing("Z", "/States/C/Default"),
            self.missing("X", "/States/C/Choices[0]/Next"),
            self.missing("Y", "/States/T/Catch[0]/Next"),
            *(self.unreachable(name, f"/States/{name}") for name in states),
            self.missing("T", "/States/P/Branches[0]/States/I/Next"),
            self.unreachable("J", "/States/P/Branches[0]/States/J"),
        ]
        self.assertEqual(expected, self.found({"StartAt": "N", "States": states}))

    def test_every_state_can_be_reached(self):
        self.assertEqual([self.unreachable("C", "/States/C")], self.found(chain(A=passing(), C=passing())))
        within = each(chain(A=passing(), B=passing(Next="C"), C=passing(Next="B")))
        expected = [self.unreachable(name, f"/States/M/ItemProcessor/States/{name}") for name in "BC"]
        self.assertEqual(expected, self.found(chain(M=within)))
        rule = {"Variable": "$.a", "IsPresent": True, "Next": "B"}
        reached = chain(C={"Type": "Choice", "Choices": [rule], "Default": "A"}, A=passing(Next="T"), B=passing())
        reached["States"] |= {"T": do(Catch=[{"ErrorEquals": ["E"], "Next": "F"}]), "F": {"Type": "Fail"}}
        self.assertEqual([], self.found(reached))

    def test_there_is_an_end(self):
        """As measured: without one, only missing targets are told of besides."""
        no_end = ("MISSING_END_STATE", "Workflow has no terminal state", None)
        self.assertEqual([no_end], self.found(chain(A=passing(Next="B"), B=passing(Next="A"), C=passing(Next="A"))))
        self.assertEqual([self.missing("NOPE", "/States/A/Next"), no_end], self.found(chain(A=passing(Next="NOPE"))))

    def test_names_are_unique_and_short(self):
        long = "n" * 81
        fan = parallel(chain(A=passing()), chain(A=passing()))
        definition = chain(A=passing(Next="P"), P={**fan, "Next": long}, **{long: passing()})
        del definition["States"]["P"]["End"]
        limit = f"Invalid State name: State '{long}' exceeds the 80-character limit allowed by the service"
        expected = [
            ("INVALID_STATE_NAME", limit, f"/States/{long}"),
            ("DUPLICATE_STATE_NAME", "Duplicate State name: A", "/States/P/Branches[0]/States/A"),
            ("DUPLICATE_STATE_NAME", "Duplicate State name: A", "/States/P/Branches[1]/States/A"),
        ]
        self.assertEqual(expected, self.found(definition))
        self.assertEqual([], self.found(chain(**{"n" * 80: passing()})))

    def schema(self, definition: dict) -> list[tuple[str, str]]:
        found = self.found(definition)
        self.assertEqual({"SCHEMA_VALIDATION_FAILED"}, {code for code, _message, _location in found})
        return [(message, location) for _code, message, location in found]

    def test_fields_belong_to_a_language(self):
        jsonata = {"QueryLanguage": "JSONata"}
        wrong = "The QueryLanguage is set to '{}', but field '{}' is only supported for the '{}' QueryLanguage"
        no_output = wrong.format("JSONPath", "Output", "JSONata")
        inner = each(chain(P=passing(Output=1)), **jsonata)
        self.assertEqual([(no_output, "/States/M/ItemProcessor/States/P")], self.schema(chain(M=inner)))
        self.assertEqual([], self.found(chain(P=passing(Output=1, **jsonata))))
        no_result = wrong.format("JSONata", "Result", "JSONPath")
        self.assertEqual([(no_result, "/States/P")], self.schema({**chain(P=passing(Result=1)), **jsonata}))
        whole = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
        mixed = {**chain(P=passing(QueryLanguage="JSONPath")), **jsonata}
        self.assertEqual([(whole, "/States/P")], self.schema(mixed))
        processor = {**chain(P=passing()), **jsonata}
        no_language = [("Field 'QueryLanguage' is not supported", "/States/M/ItemProcessor")]
        self.assertEqual(no_language, self.schema(chain(M=each(processor))))

    def test_fields_belong_to_a_type(self):
        no_timeout = "Field 'TimeoutSeconds' is not supported"
        inner = chain(I=passing())
        for state in (each(inner, TimeoutSeconds=1), parallel(inner, TimeoutSeconds=1), passing(TimeoutSeconds=1)):
            self.assertEqual([(no_timeout, "/States/S")], self.schema(chain(S=state)))
        required = [("These fields are required: [Next or End]", "/States/S")]
        self.assertEqual(required, self.schema(chain(S={"Type": "Pass"})))
        both = [("There should only be one of the following fields: [End, Next]", "/States/S")]
        self.assertEqual(both, self.schema(chain(S={"Type": "Pass", "Next": "S", "End": True})))

    def test_templates_and_expressions(self):
        value = "The value for the field 'a.$' must be a valid JSONPath or a valid intrinsic function call"
        for template in ({"a.$": 1}, {"a.$": "text"}, {"a.$": "$.[bad"}):
            for name in ("Parameters", "Assign"):
                with self.subTest(template, name=name):
                    expected = [(value, f"/States/P/{name}/a.$")]
                    self.assertEqual(expected, self.schema(chain(P=passing(**{name: template}))))
        for template in ({"a.$": "$"}, {"a.$": "$$.Execution.Id"}, {"a.$": "$x.y"}, {"a.$": "States.UUID()"}):
            self.assertEqual([], self.found(chain(P=passing(Parameters=template))))
        # What is no template is taken as it is.
        self.assertEqual([], self.found(chain(P=passing(Result={"a.$": 1, "b": "{% ( %}"}))))
        nata = {**chain(P=passing(Output={"a": ["{% ( %}"]})), "QueryLanguage": "JSONata"}
        self.assertEqual(("INVALID_JSONATA_EXPRESSION", "/States/P/Output/a[0]"), self.found(nata)[0][::2])

    def test_inner_scopes_do_not_assign_outer_variables(self):
        caught = [{"ErrorEquals": ["E"], "Next": "F", "Assign": {"x": 1}}]
        inner = chain(T=do(Catch=caught), F=passing())
        fan = {**parallel(inner), "Next": "A", "Assign": {"fan": 1}}
        del fan["End"]
        definition = chain(P=fan, A=passing(Assign={"x.$": "$"}))
        cause = "Variable 'x' is assigned in an outer scope and cannot be assigned in an inner scope"
        expected = [(cause, "/States/P/Branches[0]/States/T/Catch[0]/Assign")]
        self.assertEqual(expected, self.schema(definition))
        definition["States"]["A"]["Assign"] = {"y": 1}
        self.assertEqual([], self.found(definition))
        # Of siblings, and of a Map around its Catch, they are not outer ones.
        siblings = parallel(chain(B=passing(Assign={"x": 1})), chain(C=passing(Assign={"x": 1})))
        self.assertEqual([], self.found(chain(P=siblings)))
        for name in ("states", "1a", "a-b", "a" * 81):
            with self.subTest(name):
                expected = [(f"Variable name '{name}' is not valid", "/States/P/Assign")]
                self.assertEqual(expected, self.schema(chain(P=passing(Assign={name: 1}))))

    def test_what_is_no_definition_at_all(self):
        for text in ("{", "[]", "1"):
            ((code, _message, location),) = self.found(text)
            self.assertEqual(("INVALID_JSON_DESCRIPTION", None), (code, location))
        required = ("SCHEMA_VALIDATION_FAILED", "These fields are required: [StartAt, States]", "/")
        self.assertEqual([required], self.found({}))
        for states in ([], {"A": 1}, {"A": {"Type": "Odd"}}):
            self.assertTrue(self.found({"StartAt": "A", "States": states}))

    def test_a_definition_has_a_mebibyte_at_most(self):
        role, limit = self.a_role(), 1_048_576
        text = json.dumps(PASS)
        create = self.states.create_state_machine
        create(name="m", definition=text + " " * (limit - len(text)), roleArn=role)
        text += " " * (limit + 1 - len(text))
        for call, fields in (
            (create, {"name": "n", "roleArn": role}),
            (self.states.validate_state_machine_definition, {}),
        ):
            message = self.assert_refused("ValidationException", call, definition=text, **fields)
            self.assertIn("length less than or equal to 1048576", message)

    def test_an_update_and_a_stack_are_checked_too(self):
        machine = self.machine(PASS)
        bad = json.dumps(chain(A=passing(), B=passing()))
        update = self.states.update_state_machine
        self.assert_refused("InvalidDefinition", update, stateMachineArn=machine, definition=bad)
        self.assertEqual(PASS, json.loads(self.states.describe_state_machine(stateMachineArn=machine)["definition"]))
        properties = {"RoleArn": self.a_role(), "DefinitionString": bad}
        resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
        with tempfile.TemporaryDirectory() as folder:
            template = Path(folder, "template.json")
            template.write_text(json.dumps({"Resources": {"Bad": resource}}))
            with self.assertRaisesRegex(CloudError, 'State "B" is not reachable. at /States/B'):
                self.deploy(template)


class Machines(CloudTest):
    def created(self, **fields) -> dict:
        given = {"name": "m", "definition": json.dumps(PASS), "roleArn": self.role_arn, **fields}
        return self.states.create_state_machine(**given)

    def setUp(self) -> None:
        super().setUp()
        self.role_arn = self.role("one")

    def described(self, machine: str) -> dict:
        return self.states.describe_state_machine(stateMachineArn=machine)

    def test_names(self):
        for name in ("a b", "a/b", "a*"):
            self.assert_refused("InvalidName", self.created, name=name)
        self.assertIn(
            "less than or equal to 80", self.assert_refused("ValidationException", self.created, name="a" * 81)
        )
        self.created(name="a" * 80)

    def test_the_same_machine_can_be_created_again(self):
        options = {"loggingConfiguration": LOGGING, "tracingConfiguration": {"enabled": True}, "type": "STANDARD"}
        first = self.created(**options, tags=[{"key": "a", "value": "1"}])
        again = self.created(**options, roleArn=self.role("two"), tags=[{"key": "b", "value": "2"}])
        self.assertEqual(first["stateMachineArn"], again["stateMachineArn"])
        self.assertEqual(first["creationDate"], again["creationDate"])
        # The role and the tags are ignored.
        self.assertEqual(self.role_arn, self.described(first["stateMachineArn"])["roleArn"])
        tags = self.states.list_tags_for_resource(resourceArn=first["stateMachineArn"])["tags"]
        self.assertEqual([{"key": "a", "value": "1"}], tags)
        for changed in (
            {"definition": json.dumps(WAIT)},
            {"type": "EXPRESS"},
            {"loggingConfiguration": {"level": "OFF"}},
            {"tracingConfiguration": {"enabled": False}},
        ):
            with self.subTest(changed):
                message = self.assert_refused("StateMachineAlreadyExists", self.created, **{**options, **changed})
                self.assertEqual(f"State Machine Already Exists: '{first['stateMachineArn']}'", message)

    def test_what_is_kept_of_a_machine(self):
        plain = self.described(self.created(name="plain")["stateMachineArn"])
        self.assertEqual({"enabled": False}, plain["tracingConfiguration"])
        self.assertEqual({"level": "OFF", "includeExecutionData": False}, plain["loggingConfiguration"])
        self.assertEqual({"type": "AWS_OWNED_KEY"}, plain["encryptionConfiguration"])
        self.assertEqual(("ACTIVE", "STANDARD"), (plain["status"], plain["type"]))
        key = "arn:aws:kms:us-east-1:000000000000:key/k"
        encryption = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key, "kmsDataKeyReusePeriodSeconds": 60}
        options = {"loggingConfiguration": LOGGING, "tracingConfiguration": {"enabled": True}}
        machine = self.created(**options, encryptionConfiguration=encryption)["stateMachineArn"]
        described = self.described(machine)
        for name, value in (*options.items(), ("encryptionConfiguration", encryption)):
            self.assertEqual(value, described[name])
        self.states.update_state_machine(stateMachineArn=machine, tracingConfiguration={"enabled": False})
        described = self.described(machine)
        self.assertEqual(
            ({"enabled": False}, LOGGING), (described["tracingConfiguration"], described["loggingConfiguration"])
        )

    def test_tags_come_and_go(self):
        machine = self.created()["stateMachineArn"]
        self.states.tag_resource(resourceArn=machine, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        self.states.tag_resource(resourceArn=machine, tags=[{"key": "a", "value": "3"}])
        self.states.untag_resource(resourceArn=machine, tagKeys=["b"])
        tags = self.states.list_tags_for_resource(resourceArn=machine)["tags"]
        self.assertEqual([{"key": "a", "value": "3"}], tags)

    def test_a_running_execution_keeps_its_definition_and_its_role(self):
        machine = self.created(definition=json.dumps(chain(A=end(Type="Wait", Seconds=1))))["stateMachineArn"]
        execution = self.start(machine)
        self.states.update_state_machine(
            stateMachineArn=machine, definition=json.dumps(chain(A=passing(Result=1))), roleArn=self.role("two")
        )
        seen = self.states.describe_state_machine_for_execution(executionArn=execution)
        self.assertEqual(
            (self.role_arn, "Wait"), (seen["roleArn"], json.loads(seen["definition"])["States"]["A"]["Type"])
        )
        self.assertEqual({}, self.output(execution))
        self.assertEqual(1, self.output(self.start(machine)))

    def test_a_machine_that_is_deleted_takes_its_executions_with_it(self):
        machine = self.created()["stateMachineArn"]
        execution = self.start(machine, name="n")
        self.ended(execution)
        self.states.delete_state_machine(stateMachineArn=machine)
        calls = (self.states.describe_execution, self.states.get_execution_history)
        for call in (*calls, self.states.describe_state_machine_for_execution, self.states.redrive_execution):
            self.assert_refused("ExecutionDoesNotExist", call, executionArn=execution)
        self.assert_refused("StateMachineDoesNotExist", self.described, machine)
        self.assert_refused("StateMachineDoesNotExist", self.states.list_executions, stateMachineArn=machine)
        self.assertEqual(machine, self.created()["stateMachineArn"])
        self.assertEqual([], self.states.list_executions(stateMachineArn=machine)["executions"])
        self.start(machine, name="n")

    def test_a_machine_is_there_while_an_execution_runs(self):
        definition = chain(A=do(Next="B"), B=do())
        self.stub({"state": "A", "hold": True}, machine="m")
        machine = self.created(definition=json.dumps(definition))["stateMachineArn"]
        execution = self.start(machine)
        self.held()
        self.states.delete_state_machine(stateMachineArn=machine)
        self.assertEqual("DELETING", self.described(machine)["status"])
        for call in (self.created, lambda: self.start(machine)):
            message = self.assert_refused("StateMachineDeleting", call)
            self.assertEqual(f"State Machine is being deleted: '{machine}'", message)
        update = self.states.update_state_machine
        self.assert_refused("StateMachineDeleting", update, stateMachineArn=machine, definition=json.dumps(PASS))
        self.assertEqual("RUNNING", self.states.describe_execution(executionArn=execution)["status"])
        self.release()

        def gone() -> bool:
            return not self.states.list_state_machines()["stateMachines"]

        eventually(gone, "the end of the machine")
        # At the next transition.
        self.assertEqual(["A"], [each["state"] for each in self.stubbed_calls()])
        self.assert_refused("ExecutionDoesNotExist", self.states.describe_execution, executionArn=execution)
        last = self.status_events(execution)[-1]
        self.assertEqual(("FAILED", "States.Runtime"), (last["status"], last["error"]))
        self.assertEqual("State machine m has been deleted.", last["cause"])

    def test_stopping_what_runs_ends_a_deletion(self):
        machine = self.created(definition=json.dumps(WAIT))["stateMachineArn"]
        execution = self.start(machine)
        self.states.delete_state_machine(stateMachineArn=machine)
        self.states.stop_execution(executionArn=execution)
        self.assert_refused("StateMachineDoesNotExist", self.described, machine)

    def test_the_machines_of_a_stack(self):
        outputs = self.deploy()["outputs"]
        described = self.described(outputs["FlowArn"])
        logs = f"arn:aws:logs:us-east-1:{self.account}:log-group:/fixture/fixture/worker:*"
        logging = {**LOGGING, "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": logs}}]}
        seen = (described["tracingConfiguration"], described["loggingConfiguration"])
        self.assertEqual(({"enabled": True}, logging), seen)
        self.deploy(Stage="prod")
        described = self.described(outputs["FlowArn"])
        self.assertEqual(seen, (described["tracingConfiguration"], described["loggingConfiguration"]))
        self.cloud.request("DELETE", "stacks", account=self.account, stack="fixture")
        self.assert_refused("StateMachineDoesNotExist", self.described, outputs["FlowArn"])


class Permissions(CloudTest):
    """What a function needs for a clone: see `calls` for the actions and what they are on."""

    def setUp(self) -> None:
        super().setUp()
        deployed = self.deploy()
        self.function, self.function_role = deployed["outputs"]["WorkerArn"], deployed["resources"]["WorkerRole"]
        self.passed = self.role("passed", INVOKE_ANYTHING)
        self.existing = self.machine(chain(F={"Type": "Fail", "Error": "E"}), "existing")
        self.execution = self.start(self.existing, name="e")
        self.ended(self.execution)
        self.prefix = f"arn:aws:states:us-east-1:{self.account}"

    def call(self, operation: str, **arguments) -> dict:
        event = {"aws": {"service": "stepfunctions", "operation": operation, "arguments": arguments}}
        answer = self.client("lambda").invoke(FunctionName=self.function, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def allow(self, *allowed: tuple) -> None:
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition or {}}
            for action, resource, condition in allowed
        ]
        iam = self.client("iam")
        for name in iam.list_role_policies(RoleName=self.function_role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=self.function_role, PolicyName=name)
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=self.function_role, PolicyName="p", PolicyDocument=policy)

    def test_each_call_needs_its_actions_on_its_resources(self):
        machine = f"{self.prefix}:stateMachine:made"
        definition = json.dumps(PASS)
        to_states = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
        passing_role = ("iam:PassRole", self.passed, to_states)
        create = {"name": "made", "definition": definition, "roleArn": self.passed}
        tags = [{"key": "a", "value": "1"}]
        existing = {"stateMachineArn": self.existing}
        for operation, arguments, needed in (
            (
                "redrive_execution",
                {"executionArn": self.execution},
                [("states:RedriveExecution", self.execution, None)],
            ),
            (
                "validate_state_machine_definition",
                {"definition": definition},
                [("states:ValidateStateMachineDefinition", "*", None)],
            ),
            ("create_state_machine", create, [("states:CreateStateMachine", machine, None), passing_role]),
            (
                "create_state_machine",
                {**create, "tags": tags},
                [("states:CreateStateMachine", machine, None), passing_role, ("states:TagResource", machine, None)],
            ),
            ("describe_state_machine", existing, [("states:DescribeStateMachine", self.existing, None)]),
            (
                "update_state_machine",
                {**existing, "roleArn": self.passed},
                [("states:UpdateStateMachine", self.existing, None), passing_role],
            ),
            (
                "tag_resource",
                {"resourceArn": self.existing, "tags": tags},
                [("states:TagResource", self.existing, None)],
            ),
            (
                "list_tags_for_resource",
                {"resourceArn": self.existing},
                [("states:ListTagsForResource", self.existing, None)],
            ),
            ("delete_state_machine", {"stateMachineArn": machine}, [("states:DeleteStateMachine", machine, None)]),
        ):
            with self.subTest(operation):
                for left_out in needed:
                    self.allow(*(each for each in needed if each is not left_out))
                    answer = self.call(operation, **arguments)
                    self.assertEqual("AccessDeniedException", answer.get("error"), answer)
                    self.assertIn(left_out[0], answer["message"])
                    if left_out[1] != "*":
                        other = (left_out[0], left_out[1] + "-not", left_out[2])
                        self.allow(*(each for each in needed if each is not left_out), other)
                        self.assertEqual("AccessDeniedException", self.call(operation, **arguments).get("error"))
                self.allow(*needed)
                answer = self.call(operation, **arguments)
                self.assertIn("answer", answer)

    def test_a_role_is_passed_to_step_functions_alone(self):
        elsewhere = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
        self.allow(("states:*", "*", None), ("iam:PassRole", self.passed, elsewhere))
        answer = self.call("create_state_machine", name="m", definition=json.dumps(PASS), roleArn=self.passed)
        self.assertEqual("AccessDeniedException", answer.get("error"), answer)
        self.assertIn(f"iam:PassRole on resource: {self.passed}", answer["message"])


class Faults(CloudTest):
    def test_calls_that_make_and_delete_machines_meet_faults(self):
        role, definition = self.role(), json.dumps(chain(F={"Type": "Fail"}))
        create = {"name": "m", "definition": definition, "roleArn": role}
        self.fault("States.CreateStateMachine", "throttle", times=1)
        self.assert_refused("ThrottlingException", self.states.create_state_machine, **create)
        self.fault("States.CreateStateMachine", "applyThenFail", times=1)
        self.assert_refused("InternalServerError", self.states.create_state_machine, **create)
        (machine,) = self.states.list_state_machines()["stateMachines"]
        made = self.states.create_state_machine(**create)
        self.assertEqual(machine["creationDate"], made["creationDate"])
        execution = self.start(machine["stateMachineArn"])
        self.ended(execution)
        self.fault("States.RedriveExecution", "applyThenFail", times=1)
        self.assert_refused("InternalServerError", self.states.redrive_execution, executionArn=execution)
        self.ended(execution)
        self.assertEqual(1, self.states.describe_execution(executionArn=execution)["redriveCount"])
        self.fault("States.DescribeStateMachineForExecution", "error", code="KmsThrottlingException", times=1)
        call = self.states.describe_state_machine_for_execution
        self.assert_refused("KmsThrottlingException", call, executionArn=execution)
        self.fault("States.DeleteStateMachine", "error", code="ValidationException", times=1)
        delete = self.states.delete_state_machine
        self.assert_refused("ValidationException", delete, stateMachineArn=machine["stateMachineArn"])
        self.assertEqual(1, len(self.states.list_state_machines()["stateMachines"]))
        self.fault("States.DeleteStateMachine", "applyThenFail", times=1)
        self.assert_refused("InternalServerError", delete, stateMachineArn=machine["stateMachineArn"])
        self.assertEqual([], self.states.list_state_machines()["stateMachines"])
        counts = self.cloud.request("GET", "calls", account=self.account)
        self.assertEqual(3, counts["States.CreateStateMachine"]["count"])
