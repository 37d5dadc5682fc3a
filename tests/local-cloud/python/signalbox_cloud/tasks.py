"""One attempt of a Task state: its parameters, its limits of time, its events, and the call it makes."""

import json
import time
from typing import Any

from ministack.services import stepfunctions as upstream

from . import callbacks, ecs_states, executions
from .executions import Branch
from .task_events import INTEGRATION, Events, Limits, events_of

CALLBACK = ".waitForTaskToken"

Failure = upstream._ExecutionError


class TimedOut(Failure):
    """An attempt that took too long, or went without a heartbeat for too long.

    AWS: both are States.Timeout in the history and have no cause; a Retry or a Catch can tell a missing heartbeat by
    States.HeartbeatTimeout. What `Error` a caught heartbeat timeout has is not documented: States.Timeout here, as
    in the history.
    """

    def __init__(self, heartbeat: bool = False) -> None:
        super().__init__("States.Timeout", "")
        self.heartbeat = heartbeat


def matches(error_equals: list[str], failure: Exception) -> bool:
    if getattr(failure, "heartbeat", False) and "States.HeartbeatTimeout" in error_equals:
        return True
    return upstream._error_matches(error_equals, failure.error)


def attempt(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    resource = state.get("Resource", "")
    jsonata = upstream._state_query_language(state, context) == "JSONata"
    token = None
    if CALLBACK in resource:
        # AWS: each attempt has a token of its own.
        token = callbacks.new_token()
        context["Task"] = {"Token": token}
    try:
        if jsonata:
            parameters = upstream._apply_jsonata_arguments(state, data, context)
        else:
            effective = upstream._apply_input_path(state, data, context)
            parameters = upstream._apply_parameters(state, effective, context)
        limits = _limits(state, data, context, jsonata)
        result = _perform(branch, resource, parameters, limits, token)
        if jsonata:
            output = upstream._apply_jsonata_output(state, data, context, result=result, default=result)
            upstream._apply_state_assign(state, data, context, result=result)
        else:
            result = upstream._apply_result_selector(state, result)
            output = upstream._apply_output_path(state, upstream._apply_result_path(state, data, result), context)
        return output, upstream._next_or_end(state)
    finally:
        context.pop("Task", None)


def _limits(state: dict, data: Any, context: dict, jsonata: bool) -> Limits:
    return Limits(*(_seconds(state, field, data, context, jsonata) for field in ("TimeoutSeconds", "HeartbeatSeconds")))


def _seconds(state: dict, field: str, data: Any, context: dict, jsonata: bool) -> float | None:
    if jsonata and field in state:
        value = upstream._jsonata_state_field(state, field, "number", data, context)
    elif f"{field}Path" in state:
        path = state[f"{field}Path"]
        value = upstream._resolve_path_or_ctx(path, upstream._apply_input_path(state, data, context), context)
        if not upstream._is_num(value) or value <= 0:
            cause = f"The {field}Path parameter does not reference a positive integer: {path} == {json.dumps(value)}"
            raise Failure("States.Runtime", cause)
    else:
        value = state.get(field)
    if value is not None and (not upstream._is_num(value) or value <= 0):
        raise Failure("States.Runtime", f"{field} must be a positive integer, but was {json.dumps(value)}")
    return value


def _perform(branch: Branch, resource: str, parameters: Any, limits: Limits, token: str | None) -> Any:
    events = events_of(resource)
    events.scheduled(branch, parameters, limits)
    started = time.monotonic()
    if ":activity:" not in resource:
        events.started(branch)
    try:
        if token is not None:
            result = _call_back(branch, resource, parameters, limits, token, started, events)
        elif ":activity:" in resource:
            result = _wait_for_worker(branch, resource, parameters, limits, started, events)
        elif resource == ecs_states.RUN_TASK_SYNC:
            result = ecs_states.run_to_the_end(branch, parameters, limits, started, events)
        elif limits.timeout is not None:
            result = _within(branch, limits.timeout, resource, parameters)
        else:
            result = upstream._invoke_resource(resource, parameters)
    except TimedOut as failure:
        events.timed_out(branch, failure)
        raise
    except Failure as failure:
        events.failed(branch, failure)
        raise
    events.succeeded(branch, result)
    return result


def _within(branch: Branch, seconds: float, resource: str, parameters: Any) -> Any:
    """Make a call in a thread of its own, and leave it behind when it takes too long or the branch is over."""
    call = callbacks.Call(lambda: upstream._invoke_resource(resource, parameters))
    call.start()
    if not branch.wait(call.done, seconds):
        raise TimedOut
    return call.result()


def _call_back(
    branch: Branch, resource: str, parameters: Any, limits: Limits, token: str, started: float, events: Events
) -> Any:
    """Hand out the token, and wait for what comes back with it.

    AWS: a function that fails while it is invoked fails the state (the emulator waits for the token then, for ever);
    what it returns is of no account. An answer with the token may come before the function returns, and then decides.
    """
    task = callbacks.Task(token, branch, started, limits.timeout, limits.heartbeat)
    call = callbacks.Call(lambda: upstream._invoke_resource(resource.replace(CALLBACK, ""), parameters))
    call.done_callback = task.submitted
    with task:
        if resource.startswith(f"{INTEGRATION}lambda:"):
            call.start()
        else:
            call.run()
        submission = task.wait_for_submission()
        if submission is not None:
            events.submitted(branch, submission.result())
        return task.wait_for_answer()


def _wait_for_worker(
    branch: Branch, activity: str, parameters: Any, limits: Limits, started: float, events: Events
) -> Any:
    """Put a task before the workers of an activity, and wait for what comes back with its token."""
    if activity not in upstream._activities:
        raise Failure("ActivityDoesNotExist", f"Activity Does Not Exist: '{activity}'")
    task = callbacks.Task(callbacks.new_token(), branch, started, limits.timeout, limits.heartbeat)
    with task:
        entry = {"taskToken": task.token, "input": executions.compact(parameters)}
        upstream._activity_tasks[activity].append(entry)
        try:
            return task.wait_for_answer()
        finally:
            if entry in upstream._activity_tasks.get(activity, []):
                upstream._activity_tasks[activity].remove(entry)
