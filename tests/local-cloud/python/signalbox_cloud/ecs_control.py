"""The endpoints of the local cloud for ECS, under `/_local/`."""

import signal

from ministack.core.responses import request_scope
from ministack.services import ecs as upstream

from . import ecs_settings, ecs_tasks
from .deploy import REGION
from .ecs_settings import BadSetting


def show(account: str) -> dict:
    """The settings of an account, and every task that it has had."""
    with request_scope(account, REGION):
        return {**ecs_settings.shown(account), "tasks": [_shown(task) for task in ecs_tasks.of_account(account)]}


def _shown(task: ecs_tasks.Task) -> dict:
    return task.described() | {"tags": upstream._tags.get(task.arn, []), "pids": task.pids()}


def stop(account: str, data: dict) -> None:
    """Stop a task as AWS does of its own accord."""
    stop_code = data.get("stopCode")
    if not isinstance(stop_code, str) or not stop_code:
        raise BadSetting("stopCode: a string is required")
    _find(account, data).stop(stop_code, data.get("reason"))


def kill(account: str, data: dict) -> None:
    """Kill a container of a task from outside."""
    number = data.get("signal", int(signal.SIGKILL))
    if number not in {each.value for each in signal.Signals}:
        raise BadSetting(f"signal: {number!r} is not the number of one")
    if not _find(account, data).kill(data.get("container", ""), number, data.get("reason")):
        raise BadSetting(f"container: {data.get('container')!r} does not run in this task")


def _find(account: str, data: dict) -> ecs_tasks.Task:
    """A task by its ARN or its id."""
    reference = str(data.get("task", ""))
    for task in ecs_tasks.of_account(account):
        if reference in (task.arn, task.arn.rpartition("/")[2]):
            return task
    raise BadSetting(f"task: there is no task {reference!r}")
