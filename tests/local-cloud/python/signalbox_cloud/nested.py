"""Tasks of state machines that run an execution of another one, and wait for its end."""

import json
import threading
import time
from typing import Any

from ministack.services import stepfunctions as upstream

from . import executions, patching, stepfunctions
from .executions import Branch
from .task_events import INTEGRATION, Events, Failure, Limits, TimedOut

START_SYNC = f"{INTEGRATION}states:startExecution.sync"
MAX_CAUSE_LENGTH = 32_768
# How long after its end a nested execution is found to have ended.
LOOKS_EVERY = 0.03
PARTS = (
    "executionArn",
    "stateMachineArn",
    "name",
    "status",
    "startDate",
    "stopDate",
    "input",
    "output",
    "error",
    "cause",
)


def apply() -> None:
    patching.wrap(upstream, "_invoke_nested_start_execution", start, "fc2b83eed27a")


def start(original, resource: str, parameters: Any) -> dict:
    """`states:startExecution`. AWS: what it refuses is StepFunctions.ExecutionAlreadyExistsException, for one."""
    try:
        return original(resource, parameters)
    except Failure as failure:
        raise Failure(f"StepFunctions.{failure.error.removesuffix('Exception')}Exception", failure.cause) from None


def run_to_the_end(
    branch: Branch, resource: str, parameters: Any, limits: Limits, started: float, events: Events
) -> dict:
    """`states:startExecution.sync` and `.sync:2`, which have the nested execution as their result.

    The emulator runs it in the thread of its parent, tells neither its ARN nor its end, and lists it nowhere. AWS: it
    is an execution like any other. TaskSubmitted has its ARN; if it does not succeed the error is States.TaskFailed,
    and the cause what DescribeExecution tells of it (as recorded). One whose state is over, by a timeout or with its
    execution, is stopped. Only `.sync:2` has the output as JSON, and not as text.
    """
    answer = upstream._invoke_nested_start_execution(resource, parameters)
    nested = upstream._executions[answer["ExecutionArn"]]
    try:
        events.submitted(branch, answer)
        while nested["status"] == "RUNNING":
            left = LOOKS_EVERY if limits.timeout is None else started + limits.timeout - time.monotonic()
            if left <= 0:
                raise TimedOut
            branch.wait(threading.Event(), min(left, LOOKS_EVERY))
    except BaseException:
        stepfunctions.stop_execution({"executionArn": nested["executionArn"]})
        raise
    succeeded = nested["status"] == "SUCCEEDED"
    known = {name: nested[name] for name in PARTS if nested.get(name) is not None and (succeeded or name != "output")}
    known |= {name: upstream._iso_to_epoch_ms(known[name]) for name in ("startDate", "stopDate")}
    shown = {name[0].upper() + name[1:]: value for name, value in sorted(known.items())}
    shown["InputDetails"] = {"Included": True}
    if not succeeded:
        raise Failure("States.TaskFailed", executions.compact(dict(sorted(shown.items())))[:MAX_CAUSE_LENGTH])
    shown["OutputDetails"] = {"Included": True}
    if resource.endswith(":2"):
        shown |= {name: json.loads(shown[name]) for name in ("Input", "Output")}
    return shown
