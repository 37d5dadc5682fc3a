"""What the tests of ECS have in common."""

import json
import os
from pathlib import Path

from .support import FIXTURE, CloudTest, eventually

TEMPLATE = FIXTURE / "ecs.yaml"
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1", "subnet-2"]}}
FARGATE = {"launchType": "FARGATE", "networkConfiguration": NETWORK}
LOGGED = {
    "logDriver": "awslogs",
    "options": {
        "awslogs-group": "/etl",
        "awslogs-region": "us-east-1",
        "awslogs-stream-prefix": "x",
        "awslogs-create-group": "true",
    },
}


def container(command: str, name: str = "main", **fields) -> dict:
    """A container that runs a command of the shell."""
    return {"name": name, "image": "etl:1", "command": [command], **fields}


def alive(pid: int) -> bool:
    """Whether a process is there, and not only what is left of it where nobody waits for orphans."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


class EcsTest(CloudTest):
    """A test with a cluster, and with an image that is a shell."""

    def setUp(self) -> None:
        super().setUp()
        self.ecs = self.client("ecs")
        self.logs = self.client("logs")
        self.cluster = self.ecs.create_cluster(clusterName="jobs")["cluster"]["clusterArn"]
        self.image("etl:1", entrypoint=["/bin/sh", "-c"])

    def image(self, name: str, **fields) -> None:
        self.cloud.request("POST", "images", {"account": self.account, "image": name, **fields})

    def settings(self, **fields) -> dict:
        return self.cloud.request("POST", "ecs", {"account": self.account, **fields})

    def define(self, *containers: dict, family: str = "etl", **fields) -> str:
        fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
        registered = self.ecs.register_task_definition(
            family=family, containerDefinitions=list(containers), **{**fargate, **fields}
        )
        return registered["taskDefinition"]["taskDefinitionArn"]

    def run_task(self, definition: str = "etl", **fields) -> dict:
        answer = self.ecs.run_task(**{"cluster": "jobs", "taskDefinition": definition, **FARGATE, **fields})
        self.assertEqual([], answer["failures"])
        return answer["tasks"][0]

    def describe(self, task: dict, **fields) -> dict:
        (described,) = self.ecs.describe_tasks(cluster="jobs", tasks=[task["taskArn"]], **fields)["tasks"]
        return described

    def when(self, task: dict, status: str) -> dict:
        def check():
            described = self.describe(task)
            return described if described["lastStatus"] == status else None

        return eventually(check, f"{status} of the task")

    def run_to_the_end(self, *containers: dict, definition: dict | None = None, **fields) -> dict:
        """Define a task, run it, and describe it once it has stopped."""
        return self.when(self.run_task(self.define(*containers, **(definition or {})), **fields), "STOPPED")

    def events(self, task: dict | None = None) -> list[dict]:
        """The details of the events of a task, or of all, in order."""
        events = self.cloud.request("GET", "events", account=self.account)["events"]
        details = [each["detail"] for each in events if each["source"] == "aws.ecs"]
        return [detail for detail in details if task is None or detail["taskArn"] == task["taskArn"]]

    def shown(self, task: dict) -> dict:
        """The task as the local cloud shows it."""
        tasks = self.cloud.request("GET", "ecs", account=self.account)["tasks"]
        return next(each for each in tasks if each["taskArn"] == task["taskArn"])

    def stop(self, task: dict, **fields) -> None:
        self.cloud.request("POST", "ecs/stop", {"account": self.account, "task": task["taskArn"], **fields})

    def kill(self, task: dict, name: str = "main", **fields) -> None:
        data = {"account": self.account, "task": task["taskArn"], "container": name, **fields}
        self.cloud.request("POST", "ecs/kill", data)

    def stream(self, task: dict, name: str = "main") -> dict:
        return {"logGroupName": "/etl", "logStreamName": f"x/{name}/{task['taskArn'].rpartition('/')[2]}"}

    def lines(self, task: dict, name: str = "main", **options) -> list[str]:
        events = self.logs.get_log_events(**self.stream(task, name), **options)["events"]
        return [event["message"] for event in events]


class StackTest(EcsTest):
    """A test with a stack: a cluster, a task definition, a bucket, and a function that works with them."""

    def setUp(self) -> None:
        super().setUp()
        self.deployed = self.deploy(TEMPLATE)
        self.outputs = self.deployed["outputs"]
        self.iam = self.client("iam")
        self.role_name = self.deployed["resources"]["WorkerRole"]

    def call(self, service: str, operation: str, **arguments) -> dict:
        """What the function gets when it makes this call."""
        return self.invoke({"aws": {"service": service, "operation": operation, "arguments": arguments}})

    def invoke(self, event: dict):
        answer = self.client("lambda").invoke(
            FunctionName=self.outputs["WorkerArn"], Payload=json.dumps(event).encode()
        )
        return json.loads(answer["Payload"].read())

    def change_policy(self, change) -> None:
        name = self.iam.list_role_policies(RoleName=self.role_name)["PolicyNames"][0]
        document = self.iam.get_role_policy(RoleName=self.role_name, PolicyName=name)["PolicyDocument"]
        document["Statement"] = [each for each in document["Statement"] if change(each) is not False]
        self.iam.put_role_policy(RoleName=self.role_name, PolicyName=name, PolicyDocument=json.dumps(document))
