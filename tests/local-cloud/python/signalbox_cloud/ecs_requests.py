"""RunTask: what AWS refuses, and what it makes of the rest."""

import json
import re
import threading
import time
import uuid

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import ecs as upstream
from ministack.services import iam

from . import ecs_shapes
from .ecs_containers import Container
from .ecs_tasks import Task
from .lookup import Response

MAX_TASKS = 10
MAX_OVERRIDES = 8192
MAX_STARTED_BY = 128
MAX_CLIENT_TOKEN = 64
# AWS: a client token is remembered for a day.
SECONDS_TOKENS_LIVE = 24 * 3600


class Refused(Exception):
    """A call that AWS refuses."""

    def __init__(self, code: str, message: str, **fields) -> None:
        super().__init__(message)
        self.code, self.fields = code, fields

    def response(self) -> Response:
        return error_response_json(self.code, str(self), 400, self.fields or None)


def invalid(message: str) -> Refused:
    return Refused("InvalidParameterException", message)


def cluster_name(data: dict) -> str:
    """The name of the cluster that a call names."""
    name = upstream._resolve_cluster_name(data.get("cluster") or "default")
    if name is None or upstream._clusters.get(name, {}).get("status") != "ACTIVE":
        raise Refused("ClusterNotFoundException", "Cluster not found.")
    return name


# ---------------------------------------------------------------------------------------------------------------------
# Tokens
# ---------------------------------------------------------------------------------------------------------------------

# By account, region, cluster and token: when, with what request, and the tasks.
_tokens: dict[tuple, tuple[float, str, list[Task]]] = {}
_token_lock = threading.Lock()


def run_task(data: dict, checked: bool = True) -> Response:
    """RunTask.

    AWS: the same client token with the same parameters is the same call, whose tasks are answered as they are by now,
    also if they are over; with others it is a conflict. A token is one of its cluster. Not `checked` is the name that
    Step Functions starts tasks by, which has spaces in it.
    """
    try:
        token = data.get("clientToken")
        if token is None:
            return _answer(_place(data, checked))
        if not re.fullmatch(rf"[!-~]{{1,{MAX_CLIENT_TOKEN}}}", token):
            raise invalid(f"clientToken must be between 1 and {MAX_CLIENT_TOKEN} ASCII characters.")
        key = (get_account_id(), get_region(), cluster_name(data), token)
        request = json.dumps({**data, "cluster": key[2]}, sort_keys=True)
        with _token_lock:
            at, known_request, tasks = _tokens.get(key, (float("-inf"), "", []))
            if time.time() - at >= SECONDS_TOKENS_LIVE:
                tasks = _place(data, checked)
                _tokens[key] = (time.time(), request, tasks)
            elif known_request != request:
                message = "The provided clientToken is already in use with a different RunTask request."
                raise Refused("ConflictException", message, resourceIds=[task.arn for task in tasks])
        return _answer(tasks)
    except Refused as refusal:
        return refusal.response()


def _answer(tasks: list[Task]) -> Response:
    described = [task.described() | {"tags": upstream._tags.get(task.arn, [])} for task in tasks]
    return json_response({"tasks": described, "failures": []})


# ---------------------------------------------------------------------------------------------------------------------
# Placement
# ---------------------------------------------------------------------------------------------------------------------


def _place(data: dict, checked: bool) -> list[Task]:
    cluster = upstream._clusters[cluster_name(data)]
    definition = _definition(data)
    overrides = data.get("overrides") or {}
    _check(data, definition, overrides)
    if checked:
        _check_started_by(data)
    launch_type, provider = _capacity(data, cluster, definition)
    subnets = _subnets(data, definition, launch_type)
    tags = _tags(data, definition, cluster)
    tasks = []
    for _ in range(data.get("count", 1)):
        record = _record(data, cluster, definition, launch_type, provider)
        containers = _containers(record, definition, overrides)
        task = Task(record, containers, subnets, role_arn(definition, overrides))
        upstream._tasks[task.arn] = record
        if tags:
            upstream._tags[task.arn] = list(tags)
        tasks.append(task)
    for task in tasks:
        task.launch()
    return tasks


def _definition(data: dict) -> dict:
    definition = upstream._task_defs.get(upstream._resolve_td_key(data.get("taskDefinition", "")))
    if definition is None:
        raise Refused("ClientException", "TaskDefinition not found.")
    if definition["status"] != "ACTIVE":
        raise invalid("TaskDefinition is inactive")
    return definition


def _check(data: dict, definition: dict, overrides: dict) -> None:
    count = data.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= MAX_TASKS:
        raise invalid(f"count must be between 1 and {MAX_TASKS}.")
    if data.get("enableExecuteCommand") and not role_arn(definition, overrides):
        raise invalid(
            "The execute command failed because a valid task role is not being used. Specify a valid task role in your "
            "task definition or as a task override and try again."
        )
    # AWS counts the characters of the JSON, its braces and quotes included.
    if len(json.dumps(overrides, separators=(",", ":"), ensure_ascii=False)) > MAX_OVERRIDES:
        raise invalid(f"Container Overrides length must be at most {MAX_OVERRIDES}")
    names = {each["name"] for each in definition["containerDefinitions"]}
    for override in overrides.get("containerOverrides") or []:
        if (name := override.get("name")) not in names:
            raise invalid(f"Override for container named {name} is not a container in the TaskDefinition.")

    for name in ("taskRoleArn", "executionRoleArn"):
        if role := overrides.get(name) or definition.get(name):
            _check_trust(role)


def _check_trust(role: str) -> None:
    """AWS: ECS must be able to assume the roles of a task."""
    known = iam._roles.get(role.rpartition("/")[2])
    document = json.dumps((known or {}).get("AssumeRolePolicyDocument", ""))
    if "ecs-tasks.amazonaws.com" not in document:
        raise Refused(
            "ClientException",
            f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role "
            "being passed has the proper trust relationship and permissions and that your IAM user has permissions to "
            "pass this role.",
        )


def _check_started_by(data: dict) -> None:
    started_by = data.get("startedBy") or ""
    if len(started_by) > MAX_STARTED_BY:
        raise invalid(f"startedBy longer than {MAX_STARTED_BY}.")
    if not re.fullmatch(r"[A-Za-z0-9/_-]*", started_by):
        raise invalid("startedBy contains invalid characters.")


def role_arn(definition: dict, overrides: dict) -> str:
    return overrides.get("taskRoleArn") or definition.get("taskRoleArn") or ""


def _capacity(data: dict, cluster: dict, definition: dict) -> tuple[str, str | None]:
    launch_type, strategy, failure = upstream._launch_choice(data, cluster)
    if failure:
        raise invalid(json.loads(failure[2])["message"])
    known = cluster.get("capacityProviders") or []
    if any(each.get("capacityProvider") not in known for each in strategy or []):
        raise invalid(
            "The specified capacity provider strategy cannot contain a capacity provider that is not associated with "
            "the cluster. Associate the capacity provider with the cluster and try again."
        )
    launch_type, provider = upstream._task_capacity(launch_type, strategy)
    if launch_type == "FARGATE" and "FARGATE" not in definition.get("requiresCompatibilities", ["EC2"]):
        raise invalid("Task definition does not support launch_type FARGATE.")
    return launch_type, provider


def _subnets(data: dict, definition: dict, launch_type: str) -> list[str] | None:
    """The subnets of a task that gets a network interface of its own; None if it gets none."""
    configuration = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if definition.get("networkMode") != "awsvpc" and launch_type != "FARGATE":
        if configuration:
            raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")
        return None
    if not configuration:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if not configuration.get("subnets"):
        raise invalid("subnets can not be empty.")
    return configuration["subnets"]


def _tags(data: dict, definition: dict, cluster: dict) -> list[dict]:
    """AWS: a tag of the call wins over the one of that key that comes from the task definition."""
    tags: dict[str, str] = {}
    if data.get("enableECSManagedTags"):
        tags["aws:ecs:clusterName"] = cluster["clusterName"]
    if data.get("propagateTags") == "TASK_DEFINITION":
        tags |= {each["key"]: each["value"] for each in upstream._tags.get(definition["taskDefinitionArn"], [])}
    tags |= {each["key"]: each.get("value", "") for each in data.get("tags") or []}
    return [{"key": key, "value": value} for key, value in tags.items()]


def _record(data: dict, cluster: dict, definition: dict, launch_type: str, provider: str | None) -> dict:
    region, account, name = get_region(), get_account_id(), cluster["clusterName"]
    task_id = uuid.uuid4().hex
    overrides = data.get("overrides") or {}
    record = {
        "attachments": [],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "availabilityZone": f"{region}a",
        "clusterArn": cluster["clusterArn"],
        "containers": [],
        "cpu": str(overrides.get("cpu") or definition.get("cpu") or "0"),
        "createdAt": time.time(),
        "desiredStatus": "RUNNING",
        "enableExecuteCommand": bool(data.get("enableExecuteCommand", False)),
        "group": data.get("group") or f"family:{definition['family']}",
        "healthStatus": "UNKNOWN",
        "launchType": launch_type,
        "lastStatus": "PROVISIONING",
        "memory": str(overrides.get("memory") or definition.get("memory") or "0"),
        "overrides": {
            **overrides,
            "containerOverrides": _override_each(definition, overrides),
            "inferenceAcceleratorOverrides": [],
        },
        "taskArn": f"arn:aws:ecs:{region}:{account}:task/{name}/{task_id}",
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "version": 1,
    }
    if provider:
        record["capacityProviderName"] = provider
    if data.get("startedBy"):
        record["startedBy"] = data["startedBy"]
    if launch_type == "FARGATE":
        wanted = data.get("platformVersion") or "LATEST"
        record["platformVersion"] = "1.4.0" if wanted == "LATEST" else wanted
        record["platformFamily"] = "Linux"
        record["ephemeralStorage"] = (
            overrides.get("ephemeralStorage") or definition.get("ephemeralStorage") or {"sizeInGiB": 20}
        )
    else:
        # Nobody registers instances here: there is always one with room.
        record["containerInstanceArn"] = f"arn:aws:ecs:{region}:{account}:container-instance/{name}/{uuid.uuid4().hex}"
    return record


def _override_each(definition: dict, overrides: dict) -> list[dict]:
    """As recorded: every container has an entry, if only by its name."""
    given = {each["name"]: each for each in overrides.get("containerOverrides") or []}
    return [given.get(each["name"], {"name": each["name"]}) for each in definition["containerDefinitions"]]


def _containers(record: dict, definition: dict, overrides: dict) -> list[Container]:
    given = {each["name"]: each for each in overrides.get("containerOverrides") or []}
    containers = []
    for each in definition["containerDefinitions"]:
        container_record = ecs_shapes.new_container(record["taskArn"], each)
        record["containers"].append(container_record)
        essential = each.get("essential", True)
        containers.append(Container(each, given.get(each["name"], {}), container_record, essential))
    return containers
