"""Amazon ECS: its calls. Tasks are those of `ecs_tasks`, whose containers are local processes."""

import base64
import json

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import ecs as upstream

from . import ecs_requests, ecs_tasks, patching
from .ecs_requests import Refused, invalid
from .lookup import Response

MAX_DESCRIBED = 100


def apply() -> None:
    # The emulator runs containers in docker, or without docker none at all: a task is RUNNING for ever. It has no
    # events, no client tokens, and takes any cluster and any overrides.
    patching.replace(upstream, "_run_task", ecs_requests.run_task, "6e96d8f5a5b8")
    patching.replace(upstream, "_stop_task", stop_task, "06eb83088bbc")
    patching.replace(upstream, "_describe_tasks", describe_tasks, "c7057f1f0679")
    patching.replace(upstream, "_list_tasks", list_tasks, "4509b25d2bf8")
    patching.replace(upstream, "_describe_task_definition", describe_task_definition, "bd62cba4a625")
    patching.wrap(upstream, "_resolve_td_key", resolve_definition, "0cd4ac5c23ce")


def stop_task(data: dict) -> Response:
    """StopTask. AWS: a task that stops already is answered as it is."""
    try:
        task = ecs_tasks.find(data.get("task", ""), ecs_requests.cluster_name(data))
        if task is None or not task.visible():
            raise invalid("The referenced task was not found.")
        stopped = task.stop("UserInitiated", data.get("reason"))
        return json_response({"task": stopped | {"tags": upstream._tags.get(task.arn, [])}})
    except Refused as refusal:
        return refusal.response()


def describe_tasks(data: dict) -> Response:
    """DescribeTasks: those that run, and those that have stopped within the last hour."""
    try:
        cluster, references = ecs_requests.cluster_name(data), data.get("tasks") or []
        if not references:
            raise invalid("Tasks cannot be empty.")
        if len(references) > MAX_DESCRIBED:
            raise invalid(f"Tasks cannot have more than {MAX_DESCRIBED} elements.")
        tasks, failures = [], []
        for reference in references:
            task = ecs_tasks.find(reference, cluster)
            if task is not None and task.visible():
                tasks.append(_shown(task, "TAGS" in (data.get("include") or [])))
            else:
                arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:task/{cluster}/{reference}"
                failures.append({"arn": reference if reference.startswith("arn:") else arn, "reason": "MISSING"})
        return json_response({"tasks": tasks, "failures": failures})
    except Refused as refusal:
        return refusal.response()


def _shown(task: ecs_tasks.Task, with_tags: bool) -> dict:
    return task.described() | ({"tags": upstream._tags.get(task.arn, [])} if with_tags else {})


def list_tasks(data: dict) -> Response:
    """ListTasks. AWS: those that shall run, unless it is asked for those that shall not."""
    try:
        cluster = upstream._clusters[ecs_requests.cluster_name(data)]["clusterArn"]
        size = data.get("maxResults") or 100
        if not 1 <= size <= 100:
            raise invalid("maxResults must be between 1 and 100.")
        # AWS refuses so much, whatever its documentation says of the others.
        if data.get("startedBy") and any(data.get(name) for name in ("family", "launchType", "serviceName")):
            raise invalid("cannot specify startedBy with other arguments")
        wanted = {"clusterArn": cluster, "desiredStatus": data.get("desiredStatus") or "RUNNING"}
        wanted |= {name: data[name] for name in ("startedBy", "launchType") if data.get(name)}
        if data.get("serviceName"):
            wanted["group"] = f"service:{data['serviceName'].rpartition('/')[2]}"
        family = f"/{data['family']}:" if data.get("family") else ""
        arns = [
            arn
            for arn, record in upstream._tasks.items()
            if all(record.get(name) == value for name, value in wanted.items())
            and family in record["taskDefinitionArn"]
            and record["_task"].visible()
        ]
        start = _position(data.get("nextToken"))
        more = {"nextToken": _token(start + size)} if start + size < len(arns) else {}
        return json_response({"taskArns": arns[start : start + size], **more})
    except Refused as refusal:
        return refusal.response()


def _token(position: int) -> str:
    return base64.b64encode(json.dumps({"position": position}).encode()).decode()


def _position(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["position"])
    except (ValueError, KeyError, TypeError) as error:
        raise invalid("Invalid token.") from error


def describe_task_definition(data: dict) -> Response:
    """DescribeTaskDefinition. AWS: what was not given is not there, and tags are there if asked for."""
    definition = upstream._task_defs.get(upstream._resolve_td_key(data.get("taskDefinition", "")))
    if definition is None:
        return error_response_json("ClientException", "Unable to describe task definition.", 400)
    shown = {name: value for name, value in definition.items() if value not in (None, "")}
    tags = upstream._tags.get(definition["taskDefinitionArn"], []) if "TAGS" in (data.get("include") or []) else []
    return json_response({"taskDefinition": shown, "tags": tags})


def resolve_definition(original, reference: str) -> str | None:
    """The key of a task definition. AWS: a family alone is its newest revision that is ACTIVE; to the emulator, the
    newest."""
    key = original(reference)
    family = (reference or "").rpartition("/")[2]
    if not key or ":" in family:
        return key
    active = [each["revision"] for each in upstream._task_defs.values() if _is_active(each, family)]
    return f"{family}:{max(active)}" if active else None


def _is_active(definition: dict, family: str) -> bool:
    return definition["family"] == family and definition["status"] == "ACTIVE"
