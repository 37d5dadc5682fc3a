"""The permissions of a function's role decide what it can do."""

import json

from .support import WAIT, CloudTest


class FunctionRole(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        deployed = self.deploy()
        self.role_name = deployed["resources"]["WorkerRole"]
        self.function = deployed["outputs"]["WorkerArn"]
        self.table = deployed["outputs"]["TableName"]
        self.machine_arn = deployed["outputs"]["FlowArn"]
        self.execution = self.start(self.machine(WAIT, "waiting"))
        self.iam = self.client("iam")

    def call(self, service: str, operation: str, **arguments) -> dict:
        """What the function gets when it makes this call."""
        event = {"aws": {"service": service, "operation": operation, "arguments": arguments}}
        answer = self.client("lambda").invoke(FunctionName=self.function, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def calls(self) -> dict[str, tuple]:
        """A call for each action that the template's policy allows."""
        key, item = {"pk": {"S": "a"}}, {"pk": {"S": "a"}, "n": {"N": "1"}}
        update = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
        query = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
        transact = [{"Put": {"TableName": self.table, "Item": item}}]
        return {
            "dynamodb:PutItem": ("dynamodb", "put_item", {"TableName": self.table, "Item": item}),
            "dynamodb:GetItem": ("dynamodb", "get_item", {"TableName": self.table, "Key": key}),
            "dynamodb:UpdateItem": ("dynamodb", "update_item", {"TableName": self.table, "Key": key, **update}),
            "dynamodb:DeleteItem": ("dynamodb", "delete_item", {"TableName": self.table, "Key": key}),
            "dynamodb:BatchGetItem": ("dynamodb", "batch_get_item", {"RequestItems": {self.table: {"Keys": [key]}}}),
            "dynamodb:Query": ("dynamodb", "query", {"TableName": self.table, **query}),
            "dynamodb:ConditionCheckItem": (
                "dynamodb",
                "transact_write_items",
                {"TransactItems": [self.condition_check()]},
            ),
            # A transaction is authorized as the writes it consists of.
            "dynamodb:PutItem in a transaction": ("dynamodb", "transact_write_items", {"TransactItems": transact}),
            "states:ListExecutions": ("stepfunctions", "list_executions", {"stateMachineArn": self.machine_arn}),
            "states:DescribeExecution": ("stepfunctions", "describe_execution", {"executionArn": self.execution}),
            "states:StopExecution": ("stepfunctions", "stop_execution", {"executionArn": self.execution}),
            "states:GetExecutionHistory": (
                "stepfunctions",
                "get_execution_history",
                {"executionArn": self.execution, "maxResults": 1000, "reverseOrder": True},
            ),
            "states:DescribeStateMachineForExecution": (
                "stepfunctions",
                "describe_state_machine_for_execution",
                {"executionArn": self.execution},
            ),
            "states:ListStateMachines": ("stepfunctions", "list_state_machines", {}),
        }

    def condition_check(self) -> dict:
        check = {"TableName": self.table, "Key": {"pk": {"S": "b"}}}
        return {"ConditionCheck": {**check, "ConditionExpression": "attribute_not_exists(pk)"}}

    def policy(self) -> tuple[str, dict]:
        name = self.iam.list_role_policies(RoleName=self.role_name)["PolicyNames"][0]
        return name, self.iam.get_role_policy(RoleName=self.role_name, PolicyName=name)["PolicyDocument"]

    def test_each_call_needs_its_action(self):
        name, document = self.policy()
        for action, (service, operation, arguments) in self.calls().items():
            with self.subTest(action):
                self.assertIn("answer", self.call(service, operation, **arguments))
                reduced = json.loads(json.dumps(document))
                for statement in reduced["Statement"]:
                    if statement["Action"] == [action.split()[0]]:
                        statement["Effect"] = "Deny"
                    else:
                        statement["Action"] = [each for each in statement["Action"] if each != action.split()[0]]
                put = {"RoleName": self.role_name, "PolicyName": name}
                self.iam.put_role_policy(**put, PolicyDocument=json.dumps(reduced))
                answer = self.call(service, operation, **arguments)
                self.iam.put_role_policy(**put, PolicyDocument=json.dumps(document))
                self.assertEqual("AccessDeniedException", answer.get("error"), answer)

    def test_each_call_needs_its_resource(self):
        name, document = self.policy()
        for statement in document["Statement"]:
            statement["Resource"] = statement["Resource"].replace(self.table, "other")
            statement["Resource"] = statement["Resource"].replace("stateMachine:*", "stateMachine:other")
            statement["Resource"] = statement["Resource"].replace("execution:*:*", "execution:other:*")
        self.iam.put_role_policy(RoleName=self.role_name, PolicyName=name, PolicyDocument=json.dumps(document))
        for action, (service, operation, arguments) in self.calls().items():
            with self.subTest(action):
                answer = self.call(service, operation, **arguments)
                self.assertEqual("AccessDeniedException", answer.get("error"), answer)

    def test_machines_are_told_apart_by_the_prefix_of_their_name(self):
        name, document = self.policy()
        for statement in document["Statement"]:
            statement["Resource"] = statement["Resource"].replace("stateMachine:*", "stateMachine:waiting*")
            statement["Resource"] = statement["Resource"].replace("execution:*:*", "execution:waiting*:*")
        self.iam.put_role_policy(RoleName=self.role_name, PolicyName=name, PolicyDocument=json.dumps(document))
        waiting = self.states.describe_execution(executionArn=self.execution)["stateMachineArn"]
        other = self.start(self.machine(WAIT, "other"))
        reads = {"get_execution_history", "describe_execution", "describe_state_machine_for_execution"}
        calls = [(each, "executionArn", self.execution, other) for each in sorted(reads)]
        calls.append(("list_executions", "stateMachineArn", waiting, self.machine_arn))
        for operation, field, allowed, refused in calls:
            with self.subTest(operation):
                self.assertIn("answer", self.call("stepfunctions", operation, **{field: allowed}))
                answer = self.call("stepfunctions", operation, **{field: refused})
                self.assertEqual("AccessDeniedException", answer.get("error"), answer)
                self.assertIn(f" on resource: {refused} because no identity-based policy", answer["message"])
        # It is a call on all of them.
        answer = self.call("stepfunctions", "list_state_machines")
        self.assertIn("stateMachine:* because no identity-based policy", answer["message"])

    def test_the_root_may_do_everything_in_its_account_alone(self):
        self.assertEqual([self.table], self.client("dynamodb").list_tables()["TableNames"])
        self.assertEqual([], self.cloud.client("dynamodb", "999999999999").list_tables()["TableNames"])
