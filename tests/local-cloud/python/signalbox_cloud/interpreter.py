"""Walking the states of an execution: one after the other, and those within Parallel and Map states.

Takes the place of the emulator's walk, whose history has nothing from within Parallel and Map states and no
`previousEventId`, whose branches share one context, and which runs on after an execution has ended. What a state does
with its input and output, and what a JSONata expression or a path means, stays the emulator's.
"""

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions as upstream

from . import choices, containers, dataflow, executions, patching, paths, tasks, usage
from .clock import clock
from .executions import Branch, Point, Run, Stopped
from .lookup import is_doomed
from .retries import with_retries
from .task_events import Failure, error_and_cause, explain

logger = logging.getLogger("signalbox_cloud.interpreter")


def apply() -> None:
    patching.replace(upstream, "_run_execution", run_execution, "996dff84e0e0")
    patching.replace(upstream, "_run_sub_machine", run_sub_machine, "f8d844168b14")
    patching.replace(upstream, "_scaled_sleep", scaled_sleep, "5ed19df2efa9")


# ---------------------------------------------------------------------------------------------------------------------
# An execution
# ---------------------------------------------------------------------------------------------------------------------


def run_execution(execution_arn: str) -> None:
    """Run an execution to its end: from the start, or from the point at which it is redriven."""
    execution = upstream._executions.get(execution_arn)
    if execution is None:
        return
    nested_in = executions.current.get()
    if "_run" not in execution:
        # StartSyncExecution, which the emulator runs in the thread of the caller.
        machine = upstream._state_machines.get(execution["stateMachineArn"]) or {}
        executions.begin(execution, machine, nested_in)
    run = executions.run_of(execution)
    token = executions.current.set(run.branch)
    try:
        _run(execution, run, run.branch)
    except Stopped:
        if nested_in is not None and nested_in.over:
            executions.end(run.branch, "ABORTED", "ExecutionAborted", {"executionAbortedEventDetails": {}})
            raise
    finally:
        executions.current.reset(token)
        if nested_in is not None:
            nested_in.leave(run.branch)


def _run(execution: dict, run: Run, branch: Branch) -> None:
    try:
        definition = json.loads(run.machine["definition"])
        limit = definition.get("TimeoutSeconds")
        if limit is not None:
            # AWS: counts from the start, and from zero again when the execution is redriven.
            clock.after(limit, lambda: time_out(branch))
        output = _walk_top_level(execution, run, branch, definition)
    except upstream._ExecutionError as failure:
        fail(branch, failure)
    except Exception as error:
        logger.exception("unexpected error in execution %s", execution["executionArn"])
        fail(branch, Failure("States.Runtime", str(error)))
    else:
        output = executions.compact(output)
        details = {"output": output, "outputDetails": {"truncated": False}}
        executions.end(
            branch,
            "SUCCEEDED",
            "ExecutionSucceeded",
            {"executionSucceededEventDetails": details},
            branch.previous,
            output=output,
        )


def _walk_top_level(execution: dict, run: Run, branch: Branch, definition: dict) -> Any:
    context = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "variables": {},
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "StartTime": execution["startDate"],
            "Name": execution["name"],
            "RoleArn": run.machine.get("roleArn"),
            # AWS: 0 if it was not redriven; the time is there only if it was.
            "RedriveCount": execution["redriveCount"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": run.machine.get("name")},
    }
    if execution["redriveCount"]:
        context["Execution"]["RedriveTime"] = execution["redriveDate"]
    return walk(branch, definition["States"], definition["StartAt"], json.loads(execution["input"]), context)


def time_out(branch: Branch) -> None:
    """The machine's TimeoutSeconds are over.

    As measured on AWS (published at github.com/floci-io/floci): the execution itself has no error and no cause, the
    last event has States.Timeout, and follows nothing.
    """
    details = {"executionTimedOutEventDetails": {"error": "States.Timeout"}}
    executions.end(branch, "TIMED_OUT", "ExecutionTimedOut", details)


def fail(branch: Branch, failure: Exception) -> None:
    details = error_and_cause(failure)
    # StartSyncExecution answers with it; DescribeExecution does not show it.
    output = json.dumps({"Error": failure.error, "Cause": failure.cause})
    executions.end(
        branch,
        "FAILED",
        "ExecutionFailed",
        {"executionFailedEventDetails": details},
        branch.previous,
        error=details.get("error"),
        cause=details.get("cause"),
        output=output,
    )


# ---------------------------------------------------------------------------------------------------------------------
# A state
# ---------------------------------------------------------------------------------------------------------------------


def walk(branch: Branch, states: dict, start_at: str, data: Any, context: dict) -> Any:
    """Run one state after the other, from the first or from where the branch was when it was redriven."""
    track = branch.track
    if track.point is None:
        track.point = Point(start_at, data, context["variables"], branch.previous)
    context["variables"], branch.previous = track.point.variables, track.point.follows
    while track.point.name is not None:
        visit(branch, states, context)
    return track.point.data


def visit(branch: Branch, states: dict, context: dict) -> None:
    """Enter a state, do what it does, leave it.

    A state that is redriven was entered already: what it does again follows its first Entered event, and its input
    and EnteredTime are those of then.
    """
    point = branch.track.point
    state = states.get(point.name)
    if state is None:
        raise Failure("States.Runtime", f"State '{point.name}' not found in definition")
    kind = state.get("Type")
    if kind not in KINDS:
        raise Failure("States.Runtime", f"Unknown state type: {kind}")
    if point.entered_event is not None:
        executions.at(branch, kind)
    elif is_doomed(branch.execution["stateMachineArn"]):
        # As shown at repost.aws/knowledge-center/step-functions-stuck-deleting-status.
        failure = Failure("States.Runtime", f"State machine {context['StateMachine']['Name']} has been deleted.")
        failure.state = None
        raise failure
    else:
        executions.enter(branch, kind, point.data)
        usage.transition(branch.execution)
    context["State"] = {"Name": point.name, "EnteredTime": point.entered_time, "RetryCount": 0}
    try:
        output, following = KINDS[kind](branch, state, point.data, context)
        if dataflow.is_too_large(output):
            raise dataflow.too_large(point.name)
    except upstream._ExecutionError as failure:
        explain(branch, point.name, failure)
        raise
    executions.leave(branch, output, context["variables"], following)


def do_pass(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    return dataflow.output_of_pass(branch, state, data, context), upstream._next_or_end(state)


def do_task(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    return with_retries(branch, state, data, context, lambda: tasks.attempt(branch, state, data, context))


def do_choice(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    if dataflow.is_jsonata(state, context):
        given, applies = data, upstream._evaluate_jsonata_choice_rule
    else:
        given, applies = dataflow.effective_input(state, data, context), choices.holds
    rule = next((each for each in state.get("Choices", []) if applies(each, given, context)), None)
    following = state.get("Default") if rule is None else rule["Next"]
    if following is None:
        raise Failure("States.NoChoiceMatched", "No choice rule matched and no Default")
    return dataflow.output_of_input(branch, state, data, context, rule), following


def do_wait(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    seconds, until = _wait_of(state, data, context)
    if until is None:
        upstream._scaled_sleep(seconds)
    else:
        upstream._sleep_until(until)
    return dataflow.output_of_input(branch, state, data, context), upstream._next_or_end(state)


def _wait_of(state: dict, data: Any, context: dict) -> tuple[float, str | None]:
    """For how many seconds a Wait state waits, or until when."""
    if dataflow.is_jsonata(state, context):
        if "Seconds" in state:
            return upstream._jsonata_wait_seconds(state, data, context), None
        return 0, upstream._jsonata_wait_timestamp(state, data, context)
    if "Seconds" in state:
        return state["Seconds"], None
    if "Timestamp" in state:
        return 0, state["Timestamp"]
    field = "SecondsPath" if "SecondsPath" in state else "TimestampPath"
    try:
        value = paths.find(state.get(field, ""), dataflow.effective_input(state, data, context), context)
    except (paths.Missing, ValueError):
        # As recorded.
        cause = f"The {field} parameter does not reference an input value: {state.get(field)}"
        raise Failure("States.Runtime", cause) from None
    if field == "SecondsPath" and upstream._is_num(value) and value >= 0:
        return value, None
    if field == "TimestampPath" and upstream._parse_ts(value) is not None:
        return 0, value
    expected = "an integer" if field == "SecondsPath" else "an ISO-8601 extended offset date-time format string"
    cause = f"The {field} parameter does not reference {expected}: {state[field]} == {json.dumps(value)}"
    raise Failure("States.Runtime", cause)


def do_succeed(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    return dataflow.output_of_input(branch, state, data, context), None


def do_fail(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    # AWS: without Error and Cause the failure has none (the emulator makes up States.Fail).
    error, cause = (upstream._fail_state_field(state, field, None, data, context) for field in ("Error", "Cause"))
    # A Fail state that fails a branch has no Aborted event, as an open Task has.
    branch.state_type = None
    failure = Failure(error, cause)
    failure.reported = True
    raise failure


def scaled_sleep(seconds: float) -> None:
    """Wait states and retries, which the end of their execution cuts short."""
    branch = executions.current.get()
    if branch is None:
        # TestState runs a state without an execution.
        threading.Event().wait(seconds * upstream._SFN_WAIT_SCALE)
    else:
        branch.sleep(seconds * upstream._SFN_WAIT_SCALE)


def run_sub_machine(states: dict, start_at: str, input_data: Any, execution: dict, ctx: dict) -> Any:
    """The states of an item of a distributed Map, in a child execution that the emulator has made."""
    execution.setdefault("redriveCount", 0)
    parent = executions.current.get()
    branch = Branch(execution, parent)
    token = executions.current.set(branch)
    try:
        # AWS: an item sees no variables of the states around it.
        return walk(branch, states, start_at, input_data, {**ctx, "variables": {}})
    finally:
        executions.current.reset(token)
        if parent is not None:
            parent.leave(branch)


KINDS: dict[str, Callable[[Branch, dict, Any, dict], tuple[Any, str | None]]] = {
    "Pass": do_pass,
    "Task": do_task,
    "Choice": do_choice,
    "Wait": do_wait,
    "Succeed": do_succeed,
    "Fail": do_fail,
    "Parallel": lambda *state: containers.do_parallel(walk, *state),
    "Map": lambda *state: containers.do_map(walk, *state),
}
