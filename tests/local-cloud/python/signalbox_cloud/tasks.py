"""One attempt of a Task state: its parameters, its limits of time, its events, and the call it makes."""

import json
import time
from typing import Any

from ministack.services import stepfunctions as upstream

from . import callbacks, dataflow, ecs_states, executions, nested, paths, stubs
from .executions import Branch
from .task_events import CALLBACK, INTEGRATION, Events, Failure, Limits, TimedOut, events_of


def matches(error_equals: list[str], failure: Exception) -> bool:
    if getattr(failure, "heartbeat", False) and "States.HeartbeatTimeout" in error_equals:
        return True
    return upstream._error_matches(error_equals, failure.error)


def attempt(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    resource = state.get("Resource", "")
    if ":activity:" in resource and resource not in upstream._activities and stubs.stub_of(context) is None:
        raise Failure("States.Runtime", f"The activity {resource} does not exist.")
    token = None
    if CALLBACK in resource or ".sync" in resource:
        # AWS: each attempt has a token of its own. As recorded, the context of a `.sync` task has one, too.
        token = callbacks.new_token()
        context["Task"] = {"Token": token}
    try:
        parameters = dataflow.arguments(state, data, context)
        limits = _limits(state, data, context)
        stub = stubs.call(context, parameters, token)
        result = _perform(branch, resource, parameters, limits, token, stub)
        return dataflow.output_of_result(branch, state, data, context, result), upstream._next_or_end(state)
    finally:
        context.pop("Task", None)


def _limits(state: dict, data: Any, context: dict) -> Limits:
    return Limits(*(_seconds(state, field, data, context) for field in ("TimeoutSeconds", "HeartbeatSeconds")))


def _seconds(state: dict, field: str, data: Any, context: dict) -> float | None:
    if field in state and dataflow.is_jsonata(state, context):
        value = upstream._jsonata_state_field(state, field, "number", data, context)
    elif f"{field}Path" in state:
        path = state[f"{field}Path"]
        value = paths.resolve(path, dataflow.effective_input(state, data, context), context)
        if not upstream._is_num(value) or value <= 0:
            cause = f"The {field}Path parameter does not reference a positive integer: {path} == {json.dumps(value)}"
            raise Failure("States.Runtime", cause)
    else:
        value = state.get(field)
    if value is not None and (not upstream._is_num(value) or value <= 0):
        raise Failure("States.Runtime", f"{field} must be a positive integer, but was {json.dumps(value)}")
    return value


def _perform(
    branch: Branch,
    resource: str,
    parameters: Any,
    limits: Limits,
    token: str | None,
    stub: stubs.StubbedCall | None,
) -> Any:
    events = events_of(resource)
    events.scheduled(branch, parameters, limits)
    started = time.monotonic()
    stubbed = stub is not None and not stub.is_real
    if stubbed or ":activity:" not in resource:
        events.started(branch)
    try:
        if stubbed:
            result = stub.run(branch, resource, limits, started, events)
        elif CALLBACK in resource:
            result = _call_back(branch, resource, parameters, limits, token, started, events)
        elif ":activity:" in resource:
            result = _wait_for_worker(branch, resource, parameters, limits, started, events)
        elif resource == ecs_states.RUN_TASK_SYNC:
            result = ecs_states.run_to_the_end(branch, parameters, limits, started, events)
        elif resource.startswith(nested.START_SYNC):
            result = nested.run_to_the_end(branch, resource, parameters, limits, started, events)
        elif limits.timeout is not None:
            result = _within(branch, limits.timeout, resource, parameters)
        else:
            result = upstream._invoke_resource(resource, parameters)
        if dataflow.is_too_large(result):
            raise dataflow.too_large(resource)
    except TimedOut as failure:
        events.timed_out(branch, failure)
        raise
    except Failure as failure:
        failure.reported = True
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
    task = callbacks.Task(callbacks.new_token(), branch, started, limits.timeout, limits.heartbeat)
    with task:
        entry = {"taskToken": task.token, "input": executions.compact(parameters)}
        upstream._activity_tasks[activity].append(entry)
        try:
            return task.wait_for_answer()
        finally:
            if entry in upstream._activity_tasks.get(activity, []):
                upstream._activity_tasks[activity].remove(entry)
