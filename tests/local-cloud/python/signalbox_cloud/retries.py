"""Retry and Catch, of Task, Parallel and Map states alike."""

import random
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions as upstream

from . import dataflow, tasks, usage
from .executions import Branch
from .task_events import ends_execution, explain


def with_retries(
    branch: Branch,
    state: dict,
    data: Any,
    context: dict,
    attempt: Callable[[], tuple[Any, str | None]],
    given_up: Callable[[], None] = lambda: None,
) -> tuple[Any, str | None]:
    """Make attempts under the state's Retry, and end in its Catch if none succeeds."""
    counts: dict[int, int] = {}
    while True:
        context["State"]["RetryCount"] = sum(counts.values())
        try:
            return attempt()
        except upstream._ExecutionError as failure:
            explain(branch, context["State"]["Name"], failure)
            if ends_execution(failure):
                raise
            delay = _retry_delay(state.get("Retry") or [], failure, counts)
            if delay is None:
                given_up()
                return _caught(branch, state, data, context, failure)
            upstream._scaled_sleep(delay)
            # AWS: "each retry will be charged as an additional state transition" (Step Functions pricing).
            usage.transition(branch.execution)


def _retry_delay(retriers: list[dict], failure: Exception, counts: dict[int, int]) -> float | None:
    """The seconds until the next attempt, or None for none. The first retrier that matches decides.

    AWS: the interval grows to MaxDelaySeconds (the emulator: to 60 s), and JitterStrategy FULL takes a random share.
    """
    for index, retrier in enumerate(retriers):
        if not tasks.matches(retrier.get("ErrorEquals", []), failure):
            continue
        count = counts.get(index, 0)
        if count >= retrier.get("MaxAttempts", 3):
            return None
        counts[index] = count + 1
        delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** count
        delay = min(delay, retrier.get("MaxDelaySeconds", delay))
        return random.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay
    return None


def _caught(branch: Branch, state: dict, data: Any, context: dict, failure: Exception) -> tuple[Any, str | None]:
    for catcher in state.get("Catch") or []:
        if tasks.matches(catcher.get("ErrorEquals", []), failure):
            return dataflow.output_of_error(branch, state, catcher, data, context, failure), catcher["Next"]
    raise failure
