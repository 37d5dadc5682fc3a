"""Authorization of ECS: on what its calls are, under which conditions, and the roles that a task is given.

As the Service Authorization Reference has it for Amazon ECS.
"""

import json

from ministack import app as emulator
from ministack.core import iam_actions
from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs as upstream

from . import patching

# The calls that are on tasks, on all container instances of a cluster, and on nothing that a policy could name.
ON_TASKS = {"StopTask": "task", "DescribeTasks": "tasks"}
ON_INSTANCES = ("ListTasks",)
ON_ANYTHING = ("DescribeTaskDefinition", "DeregisterTaskDefinition", "ListTaskDefinitions", "ListClusters")
ON_DEFINITIONS = ("RunTask",)
# For whom a role of a task is passed.
PASSED_TO = "ecs-tasks.amazonaws.com"


def apply() -> None:
    # The emulator takes every call that names a cluster for one on it.
    patching.wrap(iam_actions, "extract_resource_arn", resource_arn, None)
    patching.wrap(iam_actions, "request_tag_context", condition_keys, "d46adb816e02")
    patching.wrap(upstream, "handle_request", handle_request, "91089e4bd0fb")


def resource_arn(original, service: str, method: str, path: str, headers: dict, body: bytes, *rest) -> str:
    """On what a call is, as far as that is one thing."""
    action = _action(headers)
    if service == "ecs" and (resources := _resources(action, _data(body))):
        return resources[0]
    return original(service, method, path, headers, body, *rest)


def condition_keys(original, service: str, iam_action: str, body: bytes, params: dict) -> dict:
    """AWS: calls on tasks, task definitions and container instances have their cluster as a condition."""
    keys = original(service, iam_action, body, params)
    action = iam_action.partition(":")[2]
    if service == "ecs" and (action in ON_TASKS or action in ON_INSTANCES or action in ON_DEFINITIONS):
        keys["ecs:cluster"] = _cluster_arn(_data(body))
    return keys


async def handle_request(original, method: str, path: str, headers: dict, body: bytes, query_params: dict):
    """Check what a call needs beside its own action, and serve it."""
    data = _data(body)
    for action, resource, keys in _further_checks(_action(headers), data):
        refusal = emulator._enforce_data_plane(
            "ecs", action, headers, query_params, "", resource, keys, named_resource=resource
        )
        if refusal:
            return refusal
    return await original(method, path, headers, body, query_params)


def _further_checks(action: str, data: dict) -> list[tuple[str, str, dict]]:
    """Actions, resources and condition keys."""
    cluster = {"ecs:cluster": _cluster_arn(data)}
    if action in ON_TASKS:
        return [(f"ecs:{action}", resource, cluster) for resource in _resources(action, data)[1:]]
    if action not in ON_DEFINITIONS:
        return []
    definition = upstream._task_defs.get(upstream._resolve_td_key(data.get("taskDefinition", ""))) or {}
    overrides = data.get("overrides") or {}
    checks = []
    # AWS: whoever runs a task passes it its roles, and tags what it makes.
    for name in ("taskRoleArn", "executionRoleArn"):
        if role := overrides.get(name) or definition.get(name):
            checks.append(("iam:PassRole", role, {"iam:PassedToService": PASSED_TO}))
    propagated = data.get("propagateTags") == "TASK_DEFINITION" and upstream._tags.get(
        definition.get("taskDefinitionArn", "")
    )
    if data.get("tags") or propagated or data.get("enableECSManagedTags"):
        tags = {each["key"]: each.get("value", "") for each in data.get("tags") or []}
        keys = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        keys |= {**cluster, "ecs:CreateAction": action, "aws:TagKeys": list(tags)}
        checks.append(("ecs:TagResource", f"{_prefix()}:task/{_cluster(data)}/*", keys))
    return checks


def _resources(action: str, data: dict) -> list[str]:
    if action in ON_TASKS:
        references = data.get(ON_TASKS[action]) or []
        references = [references] if isinstance(references, str) else references
        prefix = f"{_prefix()}:task/{_cluster(data)}"
        return [each if each.startswith("arn:") else f"{prefix}/{each}" for each in references]
    if action in ON_INSTANCES:
        return [f"{_prefix()}:container-instance/{_cluster(data)}/*"]
    if action in ON_DEFINITIONS:
        reference = data.get("taskDefinition", "")
        key = upstream._resolve_td_key(reference) or reference
        return [key if key.startswith("arn:") else f"{_prefix()}:task-definition/{key}"]
    return ["*"] if action in ON_ANYTHING else []


def _action(headers: dict) -> str:
    return headers.get("x-amz-target", "").rpartition(".")[2]


def _data(body: bytes) -> dict:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _cluster(data: dict) -> str:
    return (data.get("cluster") or "default").rpartition("/")[2]


def _cluster_arn(data: dict) -> str:
    return f"{_prefix()}:cluster/{_cluster(data)}"


def _prefix() -> str:
    return f"arn:aws:ecs:{get_region()}:{get_account_id()}"
