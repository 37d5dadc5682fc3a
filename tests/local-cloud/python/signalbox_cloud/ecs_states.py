"""Tasks of state machines that run a task of ECS."""

import email.utils
import json
import time
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import stepfunctions as upstream

from . import ecs_requests, ecs_shapes, ecs_tasks, executions, patching
from .executions import Branch
from .task_events import INTEGRATION, Events, Failure, Limits, TimedOut

RUN_TASK = f"{INTEGRATION}ecs:runTask"
RUN_TASK_SYNC = f"{RUN_TASK}.sync"
# AWS: whom a task is started by, if the state does not say.
STARTED_BY = "AWS Step Functions"
MAX_CAUSE_LENGTH = 32_768


def apply() -> None:
    # The emulator answers in camelCase, makes ECS.RunTaskFailed of every error, and asks once a second, in a thread
    # that neither an abort nor a timeout ends.
    patching.replace(upstream, "_invoke_ecs_run_task", run_task, "4b91ef4bd019")


def run_task(resource: str, parameters: Any) -> dict:
    """`ecs:runTask`, which has its answer from RunTask.

    AWS: failures are part of the answer, but fail a task with a token.
    """
    return _answered(_start(parameters)[0])


def run_to_the_end(branch: Branch, parameters: Any, limits: Limits, started: float, events: Events) -> dict:
    """`ecs:runTask.sync`, which has the task as its result.

    AWS: it fails if a container has another exit code than 0, also one that is not essential, and with the task as the
    cause. A task whose state is over, by a timeout or with its execution, is stopped.
    """
    answer, tasks = _start(parameters)
    events.submitted(branch, _answered(answer))
    try:
        for task in tasks:
            left = None if limits.timeout is None else started + limits.timeout - time.monotonic()
            if not branch.wait(task.stopped, left):
                raise TimedOut
    except BaseException:
        for task in tasks:
            task.stop("UserInitiated")
        raise
    for task in tasks:
        if not _succeeded(task.record):
            shown = executions.compact(ecs_shapes.as_parameters(task.record))
            raise Failure("States.TaskFailed", shown[:MAX_CAUSE_LENGTH])
    return ecs_shapes.as_parameters(tasks[0].record)


def _succeeded(record: dict) -> bool:
    codes = [container.get("exitCode") for container in record["containers"]]
    return record["stopCode"] == "EssentialContainerExited" and all(code == 0 for code in codes)


def _start(parameters: Any) -> tuple[dict, list[ecs_tasks.Task]]:
    request = {"startedBy": STARTED_BY, **upstream._pascal_to_camel(parameters)}
    status, _headers, body = ecs_requests.run_task(request, checked=request["startedBy"] != STARTED_BY)
    answer = json.loads(body)
    if status >= 400:
        code, request_id = answer["__type"], new_uuid()
        details = f"Service: AmazonECS; Status Code: {status}; Error Code: {code}; Request ID: {request_id}"
        raise Failure(f"ECS.{code}", f"{answer['message']} ({details}; Proxy: null)")
    cluster = ecs_requests.cluster_name(request)
    return answer, [ecs_tasks.find(task["taskArn"], cluster) for task in answer["tasks"]]


def _answered(answer: dict) -> dict:
    """The answer of RunTask as Step Functions has it, with what it says of the call."""
    request_id = new_uuid()
    headers = {
        "Content-Length": str(len(json.dumps(answer))),
        "Content-Type": "application/x-amz-json-1.1",
        "Date": email.utils.formatdate(usegmt=True),
        "x-amzn-RequestId": request_id,
    }
    return {
        "Failures": [],
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": request_id},
        "Tasks": [ecs_shapes.as_answered(task) for task in answer["tasks"]],
    }
