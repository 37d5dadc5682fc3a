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

from ministack.core.responses import now_iso
from ministack.services import stepfunctions as upstream

from . import executions, patching, tasks, usage
from .clock import clock
from .executions import Branch, Point, Run, Stopped, add_event
from .retries import with_retries
from .task_events import error_and_cause, evaluation_failed
from .tasks import Failure
from .together import Together

# AWS: an inline Map without MaxConcurrency, or with 0, runs up to 40 iterations at a time.
MAP_CONCURRENCY = 40

logger = logging.getLogger("signalbox_cloud.interpreter")


def apply() -> None:
    patching.replace(upstream, "_run_execution", run_execution, "996dff84e0e0")
    patching.replace(upstream, "_run_sub_machine", run_sub_machine, "f8d844168b14")
    patching.replace(upstream, "_scaled_sleep", scaled_sleep, "5ed19df2efa9")
    patching.wrap(upstream, "_apply_state_assign", apply_state_assign, "f9cc15f006a0")


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
        # StartSyncExecution and startExecution.sync, which the emulator runs in the thread of the caller.
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
    states = definition["States"]
    if run.point is None:
        run.point = Point(definition["StartAt"], json.loads(execution["input"]), {})
    point = run.point
    context = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "variables": dict(point.variables),
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
    while True:
        output, following = visit(branch, states, point.name, point.data, context, point)
        if following is None:
            return output
        point = run.point = Point(following, output, dict(context["variables"]))


def time_out(branch: Branch) -> None:
    """The machine's TimeoutSeconds are over.

    As measured on AWS (published at github.com/floci-io/floci): the execution itself has no error and no cause, the
    last event has States.Timeout, and follows nothing.
    """
    details = {"executionTimedOutEventDetails": {"error": "States.Timeout"}}
    executions.end(branch, "TIMED_OUT", "ExecutionTimedOut", details)


def fail(branch: Branch, failure: Exception) -> None:
    details = error_and_cause(failure)
    # A nested .sync execution's failure is read from its output, which DescribeExecution does not show.
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


def visit(
    branch: Branch, states: dict, name: str, data: Any, context: dict, point: Point | None = None
) -> tuple[Any, str | None]:
    """Enter a state, do what it does, leave it; returns its output and the next state.

    A state that is redriven was entered already: what it does again follows its first Entered event, and its input
    and EnteredTime are those of then.
    """
    state = states.get(name)
    if state is None:
        raise Failure("States.Runtime", f"State '{name}' not found in definition")
    kind = state.get("Type")
    if kind not in KINDS:
        raise Failure("States.Runtime", f"Unknown state type: {kind}")
    if point is not None and point.entered_event is not None:
        entered_time = point.entered_time
        branch.previous = branch.entered_event = point.entered_event
        branch.state_type, branch.assigned = kind, set()
    else:
        entered_time = now_iso()
        executions.enter(branch, kind, name, data)
        usage.transition(branch.execution)
        if point is not None:
            point.entered_time, point.entered_event = entered_time, branch.entered_event
    context["State"] = {"Name": name, "EnteredTime": entered_time, "RetryCount": 0}
    try:
        output, following = KINDS[kind](branch, state, data, context)
    except upstream._ExecutionError as failure:
        evaluation_failed(branch, name, failure)
        raise
    executions.leave(branch, name, output, context["variables"])
    return output, following


def walk(branch: Branch, states: dict, start_at: str, data: Any, context: dict) -> Any:
    name: str | None = start_at
    while name is not None:
        data, name = visit(branch, states, name, data, context)
    return data


def _is_jsonata(state: dict, context: dict) -> bool:
    return upstream._state_query_language(state, context) == "JSONata"


def do_pass(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    return upstream._execute_pass(state, data, context)


def do_choice(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    return upstream._execute_choice(state, data, context)


def do_wait(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    return upstream._execute_wait(state, data, context)


def do_succeed(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    if _is_jsonata(state, context):
        return upstream._apply_jsonata_output(state, data, context, default=data), None
    return upstream._apply_output_path(state, upstream._apply_input_path(state, data, context), context), None


def do_fail(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    # AWS: without Error and Cause the failure has none (the emulator makes up States.Fail).
    error, cause = (upstream._fail_state_field(state, field, None, data, context) for field in ("Error", "Cause"))
    # A Fail state that fails a branch has no Aborted event, as an open Task has.
    branch.state_type = None
    raise Failure(error, cause)


def scaled_sleep(seconds: float) -> None:
    """Wait states and retries, which the end of their execution cuts short."""
    branch = executions.current.get()
    if branch is None:
        # TestState runs a state without an execution.
        threading.Event().wait(seconds * upstream._SFN_WAIT_SCALE)
    else:
        branch.sleep(seconds * upstream._SFN_WAIT_SCALE)


def apply_state_assign(original, state_def, raw_input, ctx, result=None, error_output=None) -> None:
    """Assign, with the names kept for the Exited event."""
    original(state_def, raw_input, ctx, result=result, error_output=error_output)
    branch = executions.current.get()
    if branch is not None and _is_jsonata(state_def, ctx) and isinstance(state_def.get("Assign"), dict):
        branch.assigned |= state_def["Assign"].keys()


# ---------------------------------------------------------------------------------------------------------------------
# Parallel and Map
# ---------------------------------------------------------------------------------------------------------------------


def do_parallel(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    def attempt() -> tuple[Any, str | None]:
        if _is_jsonata(state, context):
            effective = upstream._apply_jsonata_arguments(state, data, context)
        else:
            effective = upstream._apply_parameters(state, upstream._apply_input_path(state, data, context), context)
        add_event(branch, "ParallelStateStarted")
        jobs = [
            (each["States"], each["StartAt"], effective, _context_within(context)) for each in state.get("Branches", [])
        ]
        results = Together(walk, branch, jobs, len(jobs)).run()
        add_event(branch, "ParallelStateSucceeded", advances=False)
        return _output_of_all(state, data, context, results)

    return with_retries(branch, state, data, context, attempt, lambda: _given_up(branch, "Parallel"))


def do_map(branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    processor = state.get("ItemProcessor") or state.get("Iterator") or {}

    def attempt() -> tuple[Any, str | None]:
        effective = upstream._apply_input_path(state, data, context)
        if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
            return upstream._run_distributed_map(state, data, effective, processor, branch.execution, context)
        items, limit = _items_of(state, data, effective, context)
        add_event(branch, "MapStateStarted", {"mapStateStartedEventDetails": {"length": len(items)}})
        jobs = []
        for index, item in enumerate(items):
            within = _context_within(context)
            within["Map"] = {"Item": {"Index": index, "Value": item}}
            selector = state.get("ItemSelector") or state.get("Parameters")
            if selector and _is_jsonata(state, context):
                item = upstream._apply_jsonata_template(selector, data, within)
            elif selector:
                item = upstream._resolve_params_obj(selector, effective, within)
            jobs.append((processor["States"], processor["StartAt"], item, within))
        results = Together(walk, branch, jobs, limit, context["State"]["Name"]).run()
        add_event(branch, "MapStateSucceeded", advances=False)
        return _output_of_all(state, data, context, results)

    return with_retries(branch, state, data, context, attempt, lambda: _given_up(branch, "Map"))


def _given_up(branch: Branch, kind: str) -> None:
    # A state whose arguments or items could not be found out has not started, and has no such event.
    if branch.previous != branch.entered_event:
        add_event(branch, f"{kind}StateFailed")


def _items_of(state: dict, data: Any, effective: Any, context: dict) -> tuple[list, int]:
    limit = state.get("MaxConcurrency", 0)
    if _is_jsonata(state, context):
        items = upstream._jsonata_state_field(state, "Items", "array", data, context) if "Items" in state else effective
        if "MaxConcurrency" in state:
            limit = upstream._jsonata_state_field(state, "MaxConcurrency", "number", data, context)
    else:
        items = upstream._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, context)
        if "MaxConcurrencyPath" in state:
            limit = upstream._resolve_path_or_ctx(state["MaxConcurrencyPath"], effective, context)
    return (items if isinstance(items, list) else [items]), int(limit) or MAP_CONCURRENCY


def _context_within(context: dict) -> dict:
    """The context of a branch or an iteration: its own State, and variables that the others do not see."""
    within = {name: value for name, value in context.items() if name != "Task"}
    return {**within, "State": dict(context["State"]), "variables": dict(context["variables"])}


def _output_of_all(state: dict, data: Any, context: dict, results: list) -> tuple[Any, str | None]:
    if _is_jsonata(state, context):
        output = upstream._apply_jsonata_output(state, data, context, result=results, default=results)
        upstream._apply_state_assign(state, data, context, result=results)
    else:
        result = upstream._apply_result_selector(state, results)
        output = upstream._apply_output_path(state, upstream._apply_result_path(state, data, result), context)
    return output, upstream._next_or_end(state)


def run_sub_machine(states: dict, start_at: str, input_data: Any, execution: dict, ctx: dict) -> Any:
    """The states of an item of a distributed Map, in a child execution that the emulator has made."""
    execution.setdefault("redriveCount", 0)
    parent = executions.current.get()
    branch = Branch(execution, parent)
    token = executions.current.set(branch)
    try:
        return walk(branch, states, start_at, input_data, ctx)
    finally:
        executions.current.reset(token)
        if parent is not None:
            parent.leave(branch)


KINDS: dict[str, Callable[[Branch, dict, Any, dict], tuple[Any, str | None]]] = {
    "Pass": do_pass,
    "Task": lambda branch, state, data, context: with_retries(
        branch, state, data, context, lambda: tasks.attempt(branch, state, data, context)
    ),
    "Choice": do_choice,
    "Wait": do_wait,
    "Succeed": do_succeed,
    "Fail": do_fail,
    "Parallel": do_parallel,
    "Map": do_map,
}
