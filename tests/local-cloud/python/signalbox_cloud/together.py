"""States that run at the same time: the branches of a Parallel state, the iterations of a Map."""

import contextvars
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions as upstream

from . import executions
from .executions import Branch, add_event
from .tasks import Failure

logger = logging.getLogger("signalbox_cloud.together")


class Together:
    """The branches of one attempt of a Parallel state, or the iterations of a Map.

    AWS: the first failure ends all of them, in the emulator the others run on. The events of that are as recorded:
    each state that was open is aborted, the failed one too, and all of these events follow the failure.
    """

    def __init__(
        self, walk: Callable[..., Any], parent: Branch, jobs: list[tuple], limit: int, map_name: str | None = None
    ) -> None:
        self._walk, self._parent, self._jobs, self._map_name = walk, parent, jobs, map_name
        self._started = parent.previous
        self._branches: dict[int, Branch] = {}
        self._results: list[Any] = [None] * len(jobs)
        self._threads = min(limit, len(jobs))
        self._next = itertools.count(self._threads)
        self._left = len(jobs)
        self._failure: tuple[int, Exception] | None = None
        self._last: Branch | None = None
        self._over = threading.Event()

    def run(self) -> list:
        for index in range(self._threads):
            self._begin(index, self._started)
        for index in range(self._threads):
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(self._serve, index), daemon=True)
            thread.name = threading.current_thread().name
            thread.start()
        if self._jobs:
            self._parent.wait(self._over)
        if self._failure is not None:
            self._write_failure(*self._failure)
            raise self._failure[1]
        if self._last is not None:
            self._parent.previous = self._last.previous
        for each in self._branches.values():
            self._parent.leave(each)
        return self._results

    def _serve(self, index: int) -> None:
        """Run a job, and then others while there are any."""
        while True:
            branch = self._branches[index]
            executions.current.set(branch)
            states, start_at, data, context = self._jobs[index]
            try:
                self._results[index] = self._walk(branch, states, start_at, data, context)
                last_state = branch.previous
                self._succeed(index, branch)
            except upstream._ExecutionError as failure:
                self._fail(index, failure)
                return
            except Exception as error:
                logger.exception("unexpected error in a branch of %s", branch.execution["executionArn"])
                self._fail(index, Failure("States.Runtime", str(error)))
                return
            # AWS: an iteration that waited for its turn follows the one that made room for it.
            index, freed_by = next(self._next), last_state
            if index >= len(self._jobs):
                return
            self._begin(index, freed_by)

    def _begin(self, index: int, previous: int) -> None:
        branch = self._branches[index] = Branch(self._parent.execution, self._parent, previous)
        if self._map_name is not None:
            self._iteration_event(branch, "Started", index)

    def _succeed(self, index: int, branch: Branch) -> None:
        with executions.lock:
            if self._map_name is not None:
                self._iteration_event(branch, "Succeeded", index)
            self._left -= 1
            self._last = branch
            if not self._left:
                self._over.set()

    def _fail(self, index: int, failure: Exception) -> None:
        with executions.lock:
            if self._failure is None and not self._parent.over:
                self._failure = (index, failure)
                for branch in self._branches.values():
                    branch.stop()
                self._over.set()

    def _write_failure(self, failed: int, failure: Exception) -> None:
        with executions.lock:
            cause = self._branches[failed].previous
            order = [failed] + sorted(self._branches.keys() - {failed})
            for index in order if self._map_name is not None else sorted(order):
                branch = self._branches[index]
                open_states = branch.open_states()
                if self._map_name is not None and (index == failed or open_states):
                    end = "Failed" if index == failed else "Aborted"
                    self._iteration_event(self._parent, end, index, follows=cause, advances=False)
                for state_type in open_states:
                    # The other types of states are never open for long, and have no such event.
                    if state_type in ("Task", "Wait", "Parallel", "Map"):
                        add_event(self._parent, f"{state_type}StateAborted", follows=cause, advances=False)
                self._parent.leave(branch)
            self._parent.previous = cause

    def _iteration_event(self, branch: Branch, what: str, index: int, **options: Any) -> None:
        details = {f"mapIteration{what}EventDetails": {"name": self._map_name, "index": index}}
        add_event(branch, f"MapIteration{what}", details, **options)
