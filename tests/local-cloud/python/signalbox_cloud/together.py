"""States that run at the same time: the branches of a Parallel state, the iterations of a Map."""

import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions as upstream

from . import executions
from .executions import Attempt, Branch, Job, Point, add_event
from .task_events import Failure, ends_execution

logger = logging.getLogger("signalbox_cloud.together")


class Together:
    """The branches of one attempt of a Parallel state, or the iterations of a Map: those that have not ended yet.

    AWS: the first failure ends all of them, in the emulator the others run on. The events of that are as recorded:
    each state that was open is aborted, the failed one too, and all of these events follow the failure.
    """

    def __init__(
        self, walk: Callable[..., Any], parent: Branch, attempt: Attempt, context: dict, map_name: str | None = None
    ) -> None:
        self._walk, self._parent, self._attempt = walk, parent, attempt
        self._context, self._map_name = context, map_name
        self._branches: dict[int, Branch] = {}
        waiting = [index for index in range(len(attempt.jobs)) if index not in attempt.results]
        self._left, self._threads = len(waiting), min(attempt.limit, len(waiting))
        self._waiting = iter(waiting)
        self._failure: tuple[int, Exception] | None = None
        self._over = threading.Event()

    def run(self) -> list:
        first = [next(self._waiting) for _ in range(self._threads)]
        for index in first:
            self._begin(index, self._attempt.started_event)
        for index in first:
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(self._serve, index), daemon=True)
            thread.name = threading.current_thread().name
            thread.start()
        if self._left:
            self._parent.wait(self._over)
        if self._failure is not None:
            self._write_failure(*self._failure)
            raise self._failure[1]
        self._parent.previous = self._attempt.last_event
        for each in self._branches.values():
            self._parent.leave(each)
        return [self._attempt.results[index] for index in range(len(self._attempt.jobs))]

    def _serve(self, index: int | None) -> None:
        """Run a job, and then others while there are any."""
        while index is not None:
            branch, job = self._branches[index], self._attempt.jobs[index]
            executions.current.set(branch)
            try:
                result = self._walk(branch, job.states, job.start_at, job.data, self._context_of(job))
                last_state = branch.previous
                self._succeed(index, branch, result)
            except upstream._ExecutionError as failure:
                self._fail(index, failure)
                return
            except Exception as error:
                logger.exception("unexpected error in a branch of %s", branch.execution["executionArn"])
                self._fail(index, Failure("States.Runtime", str(error)))
                return
            index = next(self._waiting, None)
            if index is not None:
                # AWS: an iteration that waited for its turn follows the one that made room for it.
                self._begin(index, last_state)

    def _context_of(self, job: Job) -> dict:
        """The context of a branch or an iteration: its own State, and variables that the others do not see."""
        within = {name: value for name, value in self._context.items() if name != "Task"}
        return within if job.map_context is None else {**within, "Map": job.map_context}

    def _begin(self, index: int, previous: int) -> None:
        with executions.lock:
            track = self._attempt.tracks.get(index)
            branch = self._branches[index] = Branch(self._parent.execution, self._parent, previous, track)
            if track is None:
                if self._map_name is not None:
                    self._iteration_event(branch, "Started", index)
                job = self._attempt.jobs[index]
                branch.track.point = Point(job.start_at, job.data, self._context["variables"], branch.previous)
                self._attempt.tracks[index] = branch.track

    def _succeed(self, index: int, branch: Branch, result: Any) -> None:
        with executions.lock:
            if self._map_name is not None:
                self._iteration_event(branch, "Succeeded", index)
            elif branch.over:
                raise executions.Stopped
            self._attempt.results[index], self._attempt.last_event = result, branch.previous
            self._left -= 1
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
            if ends_execution(failure):
                order = []
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
