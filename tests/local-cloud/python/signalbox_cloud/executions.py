"""What an execution is made of while it runs: its branches, its history, its status, and its end."""

import contextvars
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id, get_region, now_iso
from ministack.services import stepfunctions as upstream

from . import patching


class Stopped(SystemExit):
    """Unwinds a thread whose branch is over.

    A SystemExit, because the emulator's `except Exception` must not take it for the failure of a state, and because
    a thread that ends with it ends quietly.
    """


# AWS: "If your execution reaches the quota of 25,000 events, it fails".
MAX_EVENTS = 25_000

# Guards the status, the branches, the history and the progress of every execution.
lock = threading.RLock()


class Branch:
    """States that follow one another: an execution's top level, a branch of a Parallel state, an iteration of a Map.

    A branch that is over (its execution was stopped, or a sibling failed) enters no state, writes no history and
    waits for nothing any more, and neither do the branches within it.
    """

    def __init__(
        self, execution: dict, parent: "Branch | None" = None, previous: int = 0, track: "Track | None" = None
    ) -> None:
        self.execution, self.parent = execution, parent
        self.track = Track() if track is None else track
        # The id of the event that the next event of this branch points back to.
        self.previous = previous
        # The state that it is in: its type, its Entered event, and the names that it has assigned.
        self.state_type: str | None = None
        self.entered_event = 0
        self.assigned: set[str] = set()
        self.over = False
        self._waiting: set[threading.Event] = set()
        self._within: list[Branch] = []
        if parent is not None:
            with lock:
                self.over = parent.over
                parent._within.append(self)

    def wait(self, event: threading.Event, seconds: float | None = None) -> bool:
        """Whether the event came within so many seconds. The end of the branch cuts it short."""
        with lock:
            if self.over:
                raise Stopped
            self._waiting.add(event)
        try:
            came = event.wait(None if seconds is None else max(seconds, 0))
        finally:
            with lock:
                self._waiting.discard(event)
        if self.over:
            raise Stopped
        return came

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.wait(threading.Event(), seconds)

    def stop(self) -> None:
        """End the branch and all within it."""
        with lock:
            self.over = True
            for event in self._waiting:
                event.set()
            for branch in self._within:
                branch.stop()

    def leave(self, branch: "Branch") -> None:
        """Forget a branch within this one, which has ended."""
        with lock:
            self._within.remove(branch)

    def open_states(self) -> list[str]:
        """The types of the states that are open in it, innermost first."""
        types = [each for branch in self._within for each in branch.open_states()]
        return types + ([self.state_type] if self.state_type else [])


@dataclass
class Point:
    """Where a branch is, and where a redrive goes on: at a state, or at its end."""

    # None at the end.
    name: str | None
    # The input of the state; the output of the branch.
    data: Any
    variables: dict
    # The event that its Entered event follows.
    follows: int
    # When the state was entered, and by which event; None if it is yet to be entered.
    entered_time: str | None = None
    entered_event: int | None = None
    # The last attempt of a Parallel or Map state.
    attempt: "Attempt | None" = None


@dataclass
class Track:
    """How far a branch is. It outlives the thread that runs the branch, for a redrive. Changes with the history."""

    point: Point | None = None


@dataclass
class Job:
    """A branch of a Parallel state, or an iteration of a Map: its states, and what they are given."""

    states: dict
    start_at: str
    data: Any
    # `$$.Map` of an iteration.
    map_context: dict | None = None


@dataclass
class Attempt:
    """An attempt of a Parallel or Map state: its branches or iterations, and how far they are."""

    jobs: list[Job]
    limit: int
    started_event: int
    # The event that the end of the state follows: of the branch that has ended last.
    last_event: int
    # Those that have begun.
    tracks: dict[int, Track] = field(default_factory=dict)
    # Those that have ended well.
    results: dict[int, Any] = field(default_factory=dict)
    error: str | None = None


# The branch that the current thread runs.
current: contextvars.ContextVar[Branch | None] = contextvars.ContextVar("branch", default=None)


# ---------------------------------------------------------------------------------------------------------------------
# History
# ---------------------------------------------------------------------------------------------------------------------


def compact(value: Any) -> str:
    """JSON as AWS writes it: without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def with_data(name: str, value: Any) -> dict:
    """The data of an event, `input` or `output`. AWS never truncates it in what the API answers."""
    return {name: compact(value), f"{name}Details": {"truncated": False}}


def add_event(
    branch: Branch, event_type: str, details: dict | None = None, follows: int | None = None, advances: bool = True
) -> int:
    """Add to the history of a branch; unwind its thread if it is over.

    AWS: nothing follows the event that ends an execution, and no further state is entered. Every state and every
    task begins with an event, so this is where the threads of a stopped execution find out.

    An event points back to the one before it in its branch, or to `follows`. Not all are pointed back to in turn
    (`advances`): an iteration's end, for one, is not.
    """
    with lock:
        if branch.over or branch.execution["status"] != "RUNNING":
            raise Stopped
        if len(branch.execution["events"]) >= MAX_EVENTS - 1:
            # The last one is that of the failure.
            raise upstream._ExecutionError(
                "States.Runtime", f"The execution reached the maximum number of history events ({MAX_EVENTS})."
            )
        event_id = _append(branch.execution, event_type, details, branch.previous if follows is None else follows)
        if advances:
            branch.previous = event_id
        return event_id


def enter(branch: Branch, state_type: str, data: Any) -> None:
    """Enter the state at which the branch is."""
    point = branch.track.point
    with lock:
        details = {"name": point.name, **with_data("input", data)}
        event = add_event(branch, f"{state_type}StateEntered", {"stateEnteredEventDetails": details})
        point.entered_time, point.entered_event = branch.execution["events"][event - 1]["timestamp"], event
        at(branch, state_type)


def at(branch: Branch, state_type: str) -> None:
    """Be in the state at which the branch is, which was entered now or in a run before."""
    branch.previous = branch.entered_event = branch.track.point.entered_event
    branch.state_type, branch.assigned = state_type, set()


def leave(branch: Branch, output: Any, variables: dict, following: str | None) -> None:
    """Leave the state at which the branch is, for the next one or the end."""
    with lock:
        details = {"name": branch.track.point.name, **with_data("output", output)}
        if branch.assigned:
            assigned = {each: compact(variables[each]) for each in sorted(branch.assigned)}
            details |= {"assignedVariables": assigned, "assignedVariablesDetails": {"truncated": False}}
        event = add_event(branch, f"{branch.state_type}StateExited", {"stateExitedEventDetails": details})
        branch.track.point = Point(following, output, variables, event)
        branch.state_type = None


def _append(execution: dict, event_type: str, details: dict | None, previous: int) -> int:
    events = execution["events"]
    event_id = len(events) + 1
    header = {"timestamp": now_iso(), "type": event_type, "id": event_id, "previousEventId": previous}
    events.append({**header, **(details or {})})
    return event_id


# ---------------------------------------------------------------------------------------------------------------------
# Status
# ---------------------------------------------------------------------------------------------------------------------

# What of an execution changes when it ends or is redriven.
CHANGING = ("status", "stopDate", "output", "error", "cause", "redriveCount", "redriveDate")


@dataclass
class Run:
    """What the emulator does not keep of an execution."""

    # The definition and the role it has, whatever becomes of the machine.
    machine: dict
    branch: Branch
    # Each status it has had, and since when: for answers as of a while ago.
    statuses: list[tuple[float, dict]] = field(default_factory=list)
    # Status events in the order of the changes, also if a redrive comes right after the end.
    publishing: threading.RLock = field(default_factory=threading.RLock)
    # The client tokens of its redrives, and what they were answered.
    redrives: dict[str, str] = field(default_factory=dict)


def machine_arn(name: str) -> str:
    return f"arn:aws:states:{get_region()}:{get_account_id()}:stateMachine:{name}"


def run_of(execution: dict) -> Run:
    return execution["_run"]


def begin(execution: dict, machine: dict, parent: Branch | None = None) -> Run:
    """Give a new execution what it needs to run."""
    run = execution["_run"] = Run(machine, Branch(execution, parent))
    execution.setdefault("redriveCount", 0)
    for event in execution["events"]:
        event.setdefault("previousEventId", 0)
    _remember_status(execution)
    return run


# What is called with the machine of an execution that has ended.
after_end: list[Callable[[str], None]] = []


def change(execution: dict, branch: Branch, event: tuple[str, dict, int], expected: bool = True, **fields: Any) -> bool:
    """Change the status of an execution, if it is running as expected (or not), and tell EventBridge.

    The one place that does. AWS: an execution ends once, and has one status event for each status. `branch` is the
    top level that the change is for: one that was left behind by a redrive cannot end what runs since.
    """
    run = run_of(execution)
    with run.publishing:
        with lock:
            if (execution["status"] == "RUNNING") != expected or run.branch is not branch:
                return False
            execution.update(fields)
            _append(execution, *event)
            _remember_status(execution)
            if execution["status"] != "RUNNING":
                branch.stop()
        upstream._emit_execution_status_event(execution)
    if not expected:
        return True
    for call in after_end:
        call(execution["stateMachineArn"])
    return True


def end(branch: Branch, status: str, event_type: str, details: dict, follows: int = 0, **fields: Any) -> bool:
    event = (event_type, details, follows)
    return change(branch.execution, branch, event, **fields, status=status, stopDate=now_iso())


def _remember_status(execution: dict) -> None:
    seen = {name: execution.get(name) for name in CHANGING}
    run_of(execution).statuses.append((time.time(), seen))


def as_of(execution: dict, moment: float) -> dict | None:
    """The execution as it was at a time; None if it had not begun."""
    known = [seen for since, seen in run_of(execution).statuses if since <= moment]
    return {**execution, **known[-1]} if known else None


def redrive_status(status: str) -> tuple[str, str | None]:
    if status in ("RUNNING", "SUCCEEDED"):
        return "NOT_REDRIVABLE", f"Execution is {status} and cannot be redriven"
    return "REDRIVABLE", None


# AWS: "If the combined escaped input and escaped output sent using EventBridge exceeds 248 KiB, then the input will be
# excluded. Similarly, if the escaped output exceeds 248 KiB, then the output will be excluded."
MAX_EVENT_DATA = 248 * 1024


def leave_out_data(detail: dict) -> None:
    """Take out of the detail of a status event what is too long for it."""
    given, made = (len(json.dumps(detail[name] or "", ensure_ascii=False).encode()) - 2 for name in ("input", "output"))
    for name, size in (("input", given + made), ("output", made)):
        if detail[name] is not None and size > MAX_EVENT_DATA:
            detail[name], detail[f"{name}Details"] = None, {"included": False}


def apply() -> None:
    # The emulator measures input and output each for itself, unescaped, and in characters.
    patching.provide(upstream, _leave_out_data=leave_out_data)
    # AWS: the event of an abort carries the error and the cause that StopExecution was given, an execution that
    # failed, was aborted or timed out can be redriven, a redriven one says so, and a run of a version or an alias
    # names it.
    patching.provide(upstream, _redrive_status=redrive_status)
    patching.substitute(
        upstream,
        "_emit_execution_status_event",
        (
            "    redrivable = failed  # TIMED_OUT is never set locally; FAILED is the one\n",
            "    redrive, redrive_reason = _redrive_status(status)\n",
        ),
        ('    failed = status == "FAILED"\n', '    failed = status in ("FAILED", "ABORTED", "TIMED_OUT")\n'),
        (
            """\
        "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
        "redriveStatusReason": (
            f"Execution is {status} and is redrivable" if redrivable
            else f"Execution is {status} and cannot be redriven"
        ),
""",
            '        "redriveStatus": redrive,\n        "redriveStatusReason": redrive_reason,\n',
        ),
        (
            """\
    if detail["input"] is not None and len(detail["input"]) > _STATUS_EVENT_PAYLOAD_CAP:
        detail["input"] = None
        detail["inputDetails"] = {"included": False}
    if detail["output"] is not None and len(detail["output"]) > _STATUS_EVENT_PAYLOAD_CAP:
        detail["output"] = None
        detail["outputDetails"] = {"included": False}
""",
            "    _leave_out_data(detail)\n",
        ),
        ('"redriveCount": 0,', '"redriveCount": execution.get("redriveCount", 0),'),
        ('"redriveDate": None,', '"redriveDate": _iso_to_epoch_ms(execution.get("redriveDate")),'),
        ('"stateMachineVersionArn": None,', '"stateMachineVersionArn": execution.get("stateMachineVersionArn"),'),
        ('"stateMachineAliasArn": None,', '"stateMachineAliasArn": execution.get("stateMachineAliasArn"),'),
    )
