"""Parallel and Map states: what their branches and iterations are given, and what becomes of their results."""

import re
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions as upstream

from . import dataflow, executions, paths
from .executions import Attempt, Branch, Job, add_event
from .retries import with_retries
from .task_events import Failure
from .together import Together

# AWS: an inline Map without MaxConcurrency, or with 0, runs up to 40 iterations at a time.
MAP_CONCURRENCY = 40

Walk = Callable[[Branch, dict, str, Any, dict], Any]


def do_parallel(walk: Walk, branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    def prepare() -> tuple[None, list[Job], int]:
        given = dataflow.arguments(state, data, context)
        jobs = [Job(each["States"], each["StartAt"], given) for each in state.get("Branches", [])]
        return None, jobs, len(jobs)

    return _run(walk, branch, state, data, context, prepare)


def do_map(walk: Walk, branch: Branch, state: dict, data: Any, context: dict) -> tuple[Any, str | None]:
    processor = state.get("ItemProcessor") or state.get("Iterator") or {}

    def distributed() -> tuple[Any, str | None]:
        effective = data if dataflow.is_jsonata(state, context) else dataflow.effective_input(state, data, context)
        return upstream._run_distributed_map(state, data, effective, processor, branch.execution, context)

    def prepare() -> tuple[dict, list[Job], int]:
        effective = data if dataflow.is_jsonata(state, context) else dataflow.effective_input(state, data, context)
        items, limit = _items_of(state, data, effective, context)
        jobs = []
        for index, item in enumerate(items):
            within = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
            selector = state.get("ItemSelector") or state.get("Parameters")
            if selector and dataflow.is_jsonata(state, context):
                item = upstream._apply_jsonata_template(selector, data, within)
            elif selector:
                item = paths.template(selector, effective, within)
            jobs.append(Job(processor["States"], processor["StartAt"], item, within["Map"]))
        return {"mapStateStartedEventDetails": {"length": len(items)}}, jobs, limit

    if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
        return with_retries(branch, state, data, context, distributed, lambda: _given_up(branch))
    return _run(walk, branch, state, data, context, prepare)


def _run(
    walk: Walk,
    branch: Branch,
    state: dict,
    data: Any,
    context: dict,
    prepare: Callable[[], tuple[dict | None, list[Job], int]],
) -> tuple[Any, str | None]:
    """Make attempts. On a redrive, the first one goes on with what is left of the last one.

    AWS: "redrives only those branches that failed or aborted. If the state failed because of a
    States.DataLimitExceeded error, the Parallel state is rerun, including the branches that were successful", and so
    an inline Map. That a retry by the state's own Retry is a whole one again is what the first run does.
    """
    point, kind = branch.track.point, state["Type"]
    left = point.attempt
    if left is not None and left.error == "States.DataLimitExceeded":
        left = None

    def attempt() -> tuple[Any, str | None]:
        nonlocal left
        current, left = left, None
        if current is None:
            details, jobs, limit = prepare()
            with executions.lock:
                started = add_event(branch, f"{kind}StateStarted", details)
                current = point.attempt = Attempt(jobs, limit, started, started)
        current.error = None
        try:
            results = Together(walk, branch, current, context, point.name if kind == "Map" else None).run()
            add_event(branch, f"{kind}StateSucceeded", advances=False)
            return dataflow.output_of_result(branch, state, data, context, results), upstream._next_or_end(state)
        except Failure as failure:
            current.error = failure.error
            raise

    return with_retries(branch, state, data, context, attempt, lambda: _given_up(branch))


def _given_up(branch: Branch) -> None:
    # A state whose arguments or items could not be found out has not started, and has no such event.
    if branch.previous != branch.entered_event:
        add_event(branch, f"{branch.state_type}StateFailed")


def _items_of(state: dict, data: Any, effective: Any, context: dict) -> tuple[list, int]:
    limit = state.get("MaxConcurrency", 0)
    if dataflow.is_jsonata(state, context):
        items = upstream._jsonata_state_field(state, "Items", "array", data, context) if "Items" in state else effective
        if "MaxConcurrency" in state:
            limit = upstream._jsonata_state_field(state, "MaxConcurrency", "number", data, context)
    else:
        items = paths.resolve(state.get("ItemsPath", "$"), effective, context)
        if "MaxConcurrencyPath" in state:
            limit = paths.resolve(state["MaxConcurrencyPath"], effective, context)
            shown = limit if isinstance(limit, str) else executions.compact(limit)
            # As recorded: a text of digits will do.
            if not re.fullmatch(r"\d+", shown):
                cause = f'refers to value "{shown}" which is not a valid integer: {state["MaxConcurrencyPath"]}'
                raise Failure("States.Runtime", f"The MaxConcurrencyPath field {cause}")
    return (items if isinstance(items, list) else [items]), int(limit) or MAP_CONCURRENCY
