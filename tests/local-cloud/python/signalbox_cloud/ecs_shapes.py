"""What a task looks like: as it is kept, in what the API answers, and in its events."""

import copy
import hashlib
import random
import time
import uuid
from datetime import datetime, timezone
from typing import Any

DATES = frozenset(
    {
        "connectivityAt",
        "createdAt",
        "executionStoppedAt",
        "pullStartedAt",
        "pullStoppedAt",
        "startedAt",
        "stoppedAt",
        "stoppingAt",
        "updatedAt",
    }
)
# What the events have of a container and of a task, in their order; as recorded.
CONTAINER_IN_EVENTS = (
    "containerArn",
    "exitCode",
    "lastStatus",
    "name",
    "image",
    "imageDigest",
    "runtimeId",
    "reason",
    "taskArn",
    "networkInterfaces",
    "cpu",
    "memory",
    "memoryReservation",
)
TASK_IN_EVENTS = (
    "attachments",
    "attributes",
    "availabilityZone",
    "capacityProviderName",
    "clusterArn",
    "connectivity",
    "connectivityAt",
    "containerInstanceArn",
    "containers",
    "cpu",
    "createdAt",
    "desiredStatus",
    "enableExecuteCommand",
    "ephemeralStorage",
    "executionStoppedAt",
    "group",
    "launchType",
    "lastStatus",
    "memory",
    "overrides",
    "platformVersion",
    "pullStartedAt",
    "pullStoppedAt",
    "startedAt",
    "startedBy",
    "stoppingAt",
    "stoppedAt",
    "stoppedReason",
    "stopCode",
    "taskArn",
    "taskDefinitionArn",
    "updatedAt",
    "version",
)


def new_container(task_arn: str, definition: dict) -> dict:
    container_arn = f"{task_arn.replace(':task/', ':container/')}/{uuid.uuid4()}"
    record = {
        "containerArn": container_arn,
        "taskArn": task_arn,
        "name": definition["name"],
        "image": definition["image"],
        "lastStatus": "PENDING",
        "networkBindings": [],
        "networkInterfaces": [],
        "healthStatus": "UNKNOWN",
        "managedAgents": [],
        "cpu": str(definition.get("cpu", 0)),
    }
    for name in ("memory", "memoryReservation"):
        if definition.get(name):
            record[name] = str(definition[name])
    return record


def digest_of(image: str) -> str:
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


class Interface:
    """The elastic network interface of a task in the network mode `awsvpc`."""

    def __init__(self, region: str, subnets: list[str]) -> None:
        self.attachment = str(uuid.uuid4())
        self.address = f"10.0.{random.randrange(256)}.{random.randrange(4, 255)}"
        subnet = subnets[0] if subnets else "subnet-00000000"
        domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
        self._details = {
            "subnetId": subnet,
            "networkInterfaceId": f"eni-{random.getrandbits(68):017x}",
            "macAddress": ":".join(f"{byte:02x}" for byte in (2, *random.randbytes(5))),
            "privateDnsName": f"ip-{self.address.replace('.', '-')}.{domain}",
            "privateIPv4Address": self.address,
        }

    def shown(self, status: str) -> list[dict]:
        """The attachment in a status. The interface itself is known once it is attached."""
        known = {"subnetId": self._details["subnetId"]} if status == "PRECREATED" else self._details
        details = [{"name": name, "value": value} for name, value in known.items()]
        return [{"id": self.attachment, "type": "eni", "status": status, "details": details}]


def as_described(record: dict) -> dict:
    """A task as DescribeTasks has it: dates in seconds, the interface by its long name, no tags."""
    task = {name: copy.deepcopy(value) for name, value in record.items() if not name.startswith("_")}
    for attachment in task["attachments"]:
        attachment["type"] = "ElasticNetworkInterface"
    return task | {"tags": []}


def as_event(record: dict) -> dict:
    """A task as the detail of an event has it: dates as text, no tags, and when it changed."""
    known = {**record, "updatedAt": time.time()}
    detail = {name: copy.deepcopy(known[name]) for name in TASK_IN_EVENTS if name in known}
    detail["containers"] = [
        {name: container[name] for name in CONTAINER_IN_EVENTS if name in container}
        for container in detail["containers"]
    ]
    detail["overrides"] = {"containerOverrides": detail["overrides"]["containerOverrides"]} | {
        name: value for name, value in detail["overrides"].items() if not name.endswith("Overrides")
    }
    return {name: _as_text(value) if name in DATES else value for name, value in detail.items()}


def as_parameters(record: dict) -> dict:
    """A task as the result of a state that has waited for it, as recorded."""
    task = as_described(record)
    task["attachments"] = copy.deepcopy(record["attachments"])
    task.pop("platformFamily", None)
    return as_answered(task)


def as_answered(task: dict) -> dict:
    """A described task as Step Functions has it: names with capitals, dates in milliseconds, lists if only empty."""
    task = {name: round(value * 1000) if name in DATES else value for name, value in task.items()}
    containers = [{**container, "gpuIds": []} for container in task["containers"]]
    for each in (task, *containers):
        each.pop("healthStatus", None)
    given = task["overrides"]["containerOverrides"]
    empty = {"command": [], "environment": [], "environmentFiles": [], "resourceRequirements": []}
    overrides = {**task["overrides"], "containerOverrides": [{**empty, **override} for override in given]}
    return _in_capitals({**task, "containers": containers, "overrides": overrides, "inferenceAccelerators": []})


def _in_capitals(value: Any) -> Any:
    """With PascalCase for camelCase, keys in their order."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _in_capitals(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_in_capitals(each) for each in value]
    return value


def _as_text(seconds: float) -> str:
    """2024-08-08T23:12:07.66Z: without the zeros that would end the milliseconds."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    fraction = f".{moment.microsecond // 1000:03d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
