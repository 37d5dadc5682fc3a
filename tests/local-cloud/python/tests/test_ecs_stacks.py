"""ECS in a stack, and what the role of a function may do with it."""

import json

from .ecs_support import NETWORK, TEMPLATE, StackTest
from .support import eventually


class Stacks(StackTest):
    def test_a_task_definition_is_what_the_template_says(self):
        described = self.ecs.describe_task_definition(taskDefinition=self.outputs["TaskDefinition"], include=["TAGS"])
        definition = described["taskDefinition"]
        main, sidecar = definition["containerDefinitions"]
        self.assertEqual([{"name": "GREETING", "value": "hello"}], main["environment"])
        self.assertEqual({"Team": "data"}, main["dockerLabels"])
        self.assertEqual([{"containerName": "sidecar", "condition": "START"}], main["dependsOn"])
        self.assertEqual("etl", main["logConfiguration"]["options"]["awslogs-stream-prefix"])
        self.assertEqual((5, True, False), (main["stopTimeout"], main["essential"], sidecar["essential"]))
        self.assertEqual({"sizeInGiB": 30}, definition["ephemeralStorage"])
        self.assertEqual("ARM64", definition["runtimePlatform"]["cpuArchitecture"])
        self.assertEqual(("256", "512"), (definition["cpu"], definition["memory"]))
        tags = {each["key"]: each["value"] for each in described["tags"]}
        self.assertEqual({"signalbox:cluster": self.outputs["ClusterName"], "tag": "one"}, tags)

    def test_an_update_registers_a_revision(self):
        first = self.outputs["TaskDefinition"]
        second = self.deploy(TEMPLATE, Command="exit 4")["outputs"]["TaskDefinition"]
        self.assertEqual((f"{first[:-1]}1", f"{first[:-1]}2"), (first, second))
        statuses = [
            self.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"] for arn in (first, second)
        ]
        self.assertEqual(["INACTIVE", "ACTIVE"], statuses)
        self.deploy(TEMPLATE, Command="exit 4", Tag="two")
        described = self.ecs.describe_task_definition(taskDefinition=second, include=["TAGS"])
        self.assertIn({"key": "tag", "value": "two"}, described["tags"])

    def test_a_task_of_a_stack_runs(self):
        arguments = {"launchType": "FARGATE", "networkConfiguration": NETWORK}
        cluster, definition = self.outputs["ClusterName"], self.outputs["TaskDefinition"]
        answer = self.ecs.run_task(cluster=cluster, taskDefinition=definition, **arguments)
        arns = [answer["tasks"][0]["taskArn"]]

        def stopped():
            (task,) = self.ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
            return task if task["lastStatus"] == "STOPPED" else None

        self.assertEqual(0, eventually(stopped, "the end")["containers"][0]["exitCode"])

    def test_a_bucket_is_what_the_template_says(self):
        s3, bucket = self.client("s3"), self.outputs["BucketName"]
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        self.assertTrue(all(block.values()))
        (rule,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        self.assertEqual("BucketOwnerEnforced", rule["ObjectOwnership"])
        self.assertTrue(s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"])
        self.assertEqual(f"arn:aws:s3:::{bucket}", self.outputs["BucketArn"])
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        self.assertEqual("Deny", policy["Statement"][0]["Effect"])


class Permissions(StackTest):
    def setUp(self) -> None:
        super().setUp()
        self.run_arguments = {
            "cluster": self.outputs["ClusterName"],
            "taskDefinition": self.outputs["TaskDefinition"],
            "launchType": "FARGATE",
            "networkConfiguration": NETWORK,
        }

    def task_arn(self) -> str:
        return self.call("ecs", "run_task", **self.run_arguments)["answer"]["tasks"][0]["taskArn"]

    def calls(self) -> dict[str, tuple[str, dict]]:
        cluster, arn = {"cluster": self.outputs["ClusterName"]}, self.task_arn()
        tags = [{"key": "a", "value": "b"}]
        return {
            "ecs:RunTask": ("run_task", self.run_arguments),
            "ecs:StopTask": ("stop_task", {**cluster, "task": arn}),
            "ecs:DescribeTasks": ("describe_tasks", {**cluster, "tasks": [arn]}),
            "ecs:ListTasks": ("list_tasks", cluster),
            "ecs:DescribeTaskDefinition": ("describe_task_definition", {"taskDefinition": "fixture-etl"}),
            "ecs:TagResource": ("run_task", {**self.run_arguments, "tags": tags}),
        }

    def test_each_call_needs_its_action(self):
        for action, (operation, arguments) in self.calls().items():
            with self.subTest(action):
                self.assertIn("answer", self.call("ecs", operation, **arguments))
        calls = self.calls()
        for action in reversed(calls):
            with self.subTest(action):
                self.change_policy(lambda statement, action=action: _without(statement, action))
                answer = self.call("ecs", calls[action][0], **calls[action][1])
                self.assertEqual("AccessDeniedException", answer.get("error"), answer)
                self.assertIn(f"is not authorized to perform: {action} on resource: ", answer["message"])

    def test_each_call_needs_its_cluster(self):
        calls = self.calls()
        del calls["ecs:DescribeTaskDefinition"], calls["ecs:TagResource"]
        self.change_policy(_with_condition("ArnEquals", "ecs:cluster", f"{self.outputs['ClusterArn']}x"))
        for action, (operation, arguments) in calls.items():
            with self.subTest(action):
                answer = self.call("ecs", operation, **arguments)
                self.assertEqual("AccessDeniedException", answer.get("error"), answer)

    def test_a_task_is_run_by_its_definition(self):
        self.change_policy(_with_resource("ecs:RunTask", self.outputs["TaskDefinition"]))
        self.assertIn("answer", self.call("ecs", "run_task", **self.run_arguments))
        # AWS looks at the revision that a family stands for.
        self.assertIn("answer", self.call("ecs", "run_task", **{**self.run_arguments, "taskDefinition": "fixture-etl"}))
        self.deploy(TEMPLATE, Command="exit 1")
        answer = self.call("ecs", "run_task", **{**self.run_arguments, "taskDefinition": "fixture-etl"})
        self.assertIn("ecs:RunTask on resource: ", answer["message"])
        self.assertIn(":task-definition/fixture-etl:2 because", answer["message"])

    def test_each_task_that_is_described_counts(self):
        mine, other = self.task_arn(), self.task_arn()
        self.change_policy(_with_resource("ecs:DescribeTasks", mine))
        arguments = {"cluster": self.outputs["ClusterName"]}
        self.assertIn("answer", self.call("ecs", "describe_tasks", **arguments, tasks=[mine]))
        answer = self.call("ecs", "describe_tasks", **arguments, tasks=[mine, other])
        self.assertIn(f"ecs:DescribeTasks on resource: {other} ", answer["message"])

    def test_the_roles_of_a_task_must_be_passed(self):
        for name in ("ExecutionRoleArn", "TaskRoleArn"):
            role = self.outputs[name]
            self.change_policy(lambda statement, role=role: _without_resource(statement, role))
            answer = self.call("ecs", "run_task", **self.run_arguments)
            self.assertEqual("AccessDeniedException", answer.get("error"), answer)
            words = f"is not authorized to perform: iam:PassRole on resource: {role} because no identity-based policy"
            self.assertIn(words, answer["message"])

    def test_the_roles_must_be_passed_to_ecs(self):
        self.change_policy(_with_condition("StringEquals", "iam:PassedToService", "lambda.amazonaws.com"))
        self.assertIn("iam:PassRole", self.call("ecs", "run_task", **self.run_arguments)["message"])

    def test_the_roles_of_the_call_must_be_passed_too(self):
        other = self.role("other")
        answer = self.call("ecs", "run_task", **self.run_arguments, overrides={"taskRoleArn": other})
        self.assertIn(f"iam:PassRole on resource: {other} ", answer["message"])

    def test_tags_are_for_tasks_that_are_run_here_alone(self):
        self.change_policy(_with_condition("StringEquals", "ecs:CreateAction", "CreateService"))
        for fields in ({"tags": [{"key": "a", "value": "b"}]}, {"propagateTags": "TASK_DEFINITION"}):
            answer = self.call("ecs", "run_task", **self.run_arguments, **fields)
            self.assertIn("ecs:TagResource", answer["message"])
        self.assertIn("answer", self.call("ecs", "run_task", **self.run_arguments))

    def test_events_of_a_log_are_read_by_stream(self):
        arguments = {"logGroupName": self.outputs["LogGroup"]}
        answer = self.call("logs", "get_log_events", **arguments, logStreamName="etl/main/x")
        self.assertEqual("ResourceNotFoundException", answer["error"])
        answer = self.call("logs", "get_log_events", **arguments, logStreamName="other")
        self.assertEqual("AccessDeniedException", answer["error"])
        self.assertIn(f":log-group:{self.outputs['LogGroup']}:log-stream:other ", answer["message"])

    def test_a_queue_takes_messages_of_the_role(self):
        arguments = {"QueueUrl": self.outputs["QueueUrl"], "MessageBody": "x"}
        self.assertIn("answer", self.call("sqs", "send_message", **arguments))
        self.change_policy(lambda statement: _without(statement, "sqs:SendMessage"))
        self.assertIn("AccessDenied", self.call("sqs", "send_message", **arguments)["error"])


def _actions(statement: dict) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def _without(statement: dict, action: str) -> bool:
    statement["Action"] = [each for each in _actions(statement) if each != action]
    return bool(statement["Action"])


def _without_resource(statement: dict, resource: str) -> bool:
    resources = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
    statement["Resource"] = [each for each in resources if each != resource]
    return bool(statement["Resource"])


def _with_resource(action: str, resource: str):
    def change(statement: dict) -> None:
        if action in _actions(statement):
            statement["Resource"] = resource

    return change


def _with_condition(operator: str, key: str, value: str):
    def change(statement: dict) -> None:
        if key in statement.get("Condition", {}).get(operator, {}):
            statement["Condition"][operator][key] = value

    return change
