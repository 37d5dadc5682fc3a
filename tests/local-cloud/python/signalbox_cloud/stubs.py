"""Stubbed tasks: Task states of a state machine that answer by themselves, whatever they call.

A stub is for a machine, by its name or ARN, and for the clones of it that are named `<name>--r-<hash>` (the name is cut
so that 80 characters are enough); `*` is for all machines of the account. No service is called and no permission asked
for. The history has the events that the Task would have, parameters and limits of time included. Of several stubs for
a machine the newest decides.

POST /_local/stubs answers `{"id": "s1"}`:

    {"account": "000000000001", "machine": "orders", "echo": true, "aliases": {"Charge once more": "Charge"},
     "outcomes": [{"state": "Charge", "whenInput": {"n": 3}, "times": 1, "fail": {"error": "E", "cause": "C"}}]}

A task that meets no outcome succeeds with `{"state": NAME, "n": HASH, "input": INPUT}`: the same for the same state and
effective input (after InputPath, Parameters or Arguments), on every run. `n` is an integer made of the input's hash;
without `echo` there is no `input`, for loops in which each output would have the one before in it. A task token within
the input stands there as `TASK-TOKEN`.

The first outcome that fits a call is what happens:

    state          the state's name (default: any)
    whenInput      its effective input, as JSON
    whenIteration  the index of the innermost Map iteration that it is in
    execution      the name of the execution
    call           only the n-th of the calls that the above fit, from 1, over all executions
    times          at most so many calls

and one of these, or none for the answer above:

    succeed        the result, any JSON
    fail           {"error": "E", "cause": "C"}, both may be left out; Retry and Catch see it
    timeOut        true: States.Timeout, at once
    real           true: no stub, the service is called

with any of these before it:

    delaySeconds   how long it takes; the Task's own limits of time count
    hold           true: waits until it is released, its limits of time are over, or its execution ends
    submitted      what TaskSubmitted has as output (default: the answer above), for .sync and .waitForTaskToken

The state of a clone may have another name. It goes by `aliases`; else, in a clone, by its own name, if an outcome or
the original has it; else by what stands before a last ` (...)`: `Charge (resumed 2)` is `Charge`.

GET /_local/stubs?account= answers `{"stubs": [{"id", "machine", ..., "outcomes": [{..., "hits": 1}]}]}`.
DELETE /_local/stubs?id= or ?account= answers `{"removed": 1}`. What is held goes on.
POST /_local/stubs/release `{"account", "id", "state", "execution"}`, of which only the account is required, lets the
held calls go on that are waiting now, and answers `{"released": 1}`.
GET /_local/stubs/calls?account= (and `&id=`, `&execution=`) answers `{"calls": [...]}`, in the order they began in:

    {"stub": "s1", "machine": "orders--r-0123456789ab", "execution": "run-1", "state": "Charge (resumed)",
     "original": "Charge", "iteration": 3, "retry": 0, "input": {...}, "outcome": "failed"}

`outcome` is `open` (delayed or held), `succeeded`, `failed`, `timedOut`, `aborted` (its execution or its branch has
ended before it) or `real`; `iteration` is null outside of Maps; `retry` is `$$.State.RetryCount`.
DELETE /_local/stubs/calls?account= forgets them.
"""

import hashlib
import itertools
import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import stepfunctions as upstream

from . import executions
from .executions import Branch, Stopped
from .stub_outcomes import BadStub, Outcome, canonical, checked
from .task_events import CALLBACK, Events, Limits, TimedOut

Failure = upstream._ExecutionError

# How `resume` names clones: the original's name, cut to 64 characters, this, and 12 hexadecimal digits.
CLONE = re.compile(r"(.+)--r-[0-9a-f]{12}", re.DOTALL)
MAX_ROOT_LENGTH = 64
COPY = re.compile(r"(.+) \([^()]*\)", re.DOTALL)
TOKEN = "TASK-TOKEN"


# Guards everything below.
_lock = threading.Lock()
_numbers = itertools.count(1)
_stubs: dict[str, "Stub"] = {}
_calls: list["StubbedCall"] = []


@dataclass
class Stub:
    id: str
    account: str
    machine: str
    echo: bool
    aliases: dict[str, str]
    outcomes: list[Outcome]

    def is_for(self, account: str, machine: str) -> bool:
        if self.account != account:
            return False
        if self.machine in ("*", machine):
            return True
        clone = CLONE.fullmatch(machine)
        return clone is not None and clone[1] == _root(self.machine)[:MAX_ROOT_LENGTH]

    def original(self, machine: str, state: str) -> str:
        """The state that this one is a copy of, or its own name."""
        clone, copy = CLONE.fullmatch(machine), COPY.fullmatch(state)
        if state in self.aliases or clone is None or copy is None:
            return self.aliases.get(state, state)
        known = {outcome.given.get("state") for outcome in self.outcomes}
        known |= _names_of(clone[1] if self.machine == "*" else self.machine)
        return state if state in known else copy[1]

    def shown(self) -> dict:
        fields = {name: getattr(self, name) for name in ("id", "account", "machine", "echo", "aliases")}
        return fields | {"outcomes": [{**outcome.given, "hits": outcome.hits} for outcome in self.outcomes]}


@dataclass
class StubbedCall:
    stub: Stub
    machine: str
    execution: str
    state: str
    original: str
    iteration: int | None
    retry: int
    input: Any
    outcome: str = "open"
    held: threading.Event | None = None
    decided: dict = field(default_factory=dict)

    def shown(self) -> dict:
        names = ("machine", "execution", "state", "original", "iteration", "retry", "input", "outcome")
        return {"stub": self.stub.id, **{name: getattr(self, name) for name in names}}

    @property
    def is_real(self) -> bool:
        return "real" in self.decided

    def run(self, branch: Branch, resource: str, limits: Limits, started: float, events: Events) -> Any:
        """What the task comes to: its result, or its failure."""
        try:
            if resource.endswith((".sync", ".sync:2", CALLBACK)):
                events.submitted(branch, self.decided.get("submitted", self._answer()))
            if "delaySeconds" in self.decided:
                _wait(branch, threading.Event(), limits, started, self.decided["delaySeconds"])
            if self.held is not None:
                _wait(branch, self.held, limits, started)
            result = self._result()
        except TimedOut:
            self.outcome = "timedOut"
            raise
        except Failure:
            self.outcome = "failed"
            raise
        except Stopped:
            self.outcome = "aborted"
            raise
        self.outcome = "succeeded"
        return result

    def _result(self) -> Any:
        if "fail" in self.decided:
            raise Failure(self.decided["fail"].get("error"), self.decided["fail"].get("cause"))
        if self.decided.get("timeOut"):
            raise TimedOut
        return self.decided.get("succeed", self._answer())

    def _answer(self) -> dict:
        digest = hashlib.sha256(canonical(self.input).encode("utf-8", "surrogatepass")).hexdigest()
        answer = {"state": self.original, "n": int(digest[:8], 16)}
        return {**answer, "input": self.input} if self.stub.echo else answer


def _wait(branch: Branch, event: threading.Event, limits: Limits, started: float, seconds: float | None = None) -> None:
    """Wait for the event or so many seconds, within the limits of the attempt."""
    over = {False: limits.timeout, True: limits.heartbeat}
    left = [(started + limit - time.monotonic(), heartbeat) for heartbeat, limit in over.items() if limit is not None]
    first = min(left, default=None)
    if first is None or (seconds is not None and seconds <= first[0]):
        branch.wait(event, seconds)
    elif not branch.wait(event, first[0]):
        raise TimedOut(heartbeat=first[1])


def stub_of(context: dict) -> Stub | None:
    """The stub of the machine that is running."""
    account, machine = get_account_id(), context["StateMachine"]["Name"]
    return next((each for each in reversed(list(_stubs.values())) if each.is_for(account, machine)), None)


def call(context: dict, parameters: Any, token: str | None) -> StubbedCall | None:
    """The call that a Task state makes of its stub; None if it has none."""
    stub = stub_of(context)
    if stub is None:
        return None
    machine, state = context["StateMachine"]["Name"], context["State"]
    made = StubbedCall(
        stub=stub,
        machine=machine,
        execution=context["Execution"]["Name"],
        state=state["Name"],
        original=stub.original(machine, state["Name"]),
        iteration=context.get("Map", {}).get("Item", {}).get("Index"),
        retry=state["RetryCount"],
        input=_without_token(parameters, token),
    )
    with _lock:
        outcome = next((each for each in stub.outcomes if each.takes(made)), None)
        made.decided = outcome.given if outcome is not None else {}
        if made.decided.get("hold"):
            made.held = threading.Event()
        if made.is_real:
            made.outcome = "real"
        _calls.append(made)
    return made


def _without_token(value: Any, token: str | None) -> Any:
    if token is None:
        return value
    if isinstance(value, str):
        return value.replace(token, TOKEN)
    if isinstance(value, dict):
        return {name: _without_token(each, token) for name, each in value.items()}
    return [_without_token(each, token) for each in value] if isinstance(value, list) else value


def _root(machine: str) -> str:
    clone = CLONE.fullmatch(machine)
    return machine if clone is None else clone[1]


# The names of the states of definitions that were looked at: each call asks for them.
_names: dict[str, set[str]] = {}


def _names_of(machine_name: str) -> set[str]:
    machine = upstream._state_machines.get(executions.machine_arn(machine_name))
    if machine is None:
        return set()
    text = machine["definition"]
    if text not in _names:
        _names[text] = set(_names_in(json.loads(text)))
    return _names[text]


def _names_in(scope: dict):
    for name, state in scope.get("States", {}).items():
        yield name
        for within in (*state.get("Branches", []), state.get("ItemProcessor"), state.get("Iterator")):
            yield from _names_in(within or {})


# ---------------------------------------------------------------------------------------------------------------------
# What the control endpoints do
# ---------------------------------------------------------------------------------------------------------------------


def add(account: str, data: dict) -> str:
    """Add a stub; returns its id."""
    if unknown := data.keys() - {"account", "machine", "echo", "aliases", "outcomes"}:
        raise BadStub(f"{min(unknown)}: there is no such field")
    machine = data.get("machine")
    if not isinstance(machine, str) or not machine:
        raise BadStub("machine: a name, an ARN or * is required")
    if machine.startswith("arn:"):
        machine = machine.split(":")[6]
    aliases = data.get("aliases", {})
    if not isinstance(aliases, dict) or not all(isinstance(each, str) for each in aliases.values()):
        raise BadStub("aliases: must be an object of strings")
    outcomes = data.get("outcomes", [])
    if not isinstance(outcomes, list):
        raise BadStub("outcomes: must be an array")
    stub = Stub(
        id=f"s{next(_numbers)}",
        account=account,
        machine=machine,
        echo=data.get("echo") is not False,
        aliases=aliases,
        outcomes=[Outcome(checked(each)) for each in outcomes],
    )
    with _lock:
        _stubs[stub.id] = stub
    return stub.id


def listing(account: str) -> list[dict]:
    with _lock:
        return [stub.shown() for stub in _stubs.values() if stub.account == account]


def remove(stub_id: str | None, account: str | None) -> int:
    """Remove one stub, or all of an account; returns how many that were. What they hold goes on."""
    with _lock:
        doomed = [s for s in _stubs.values() if stub_id == s.id or (stub_id is None and account == s.account)]
        for stub in doomed:
            del _stubs[stub.id]
            _release(call for call in _calls if call.stub is stub)
    return len(doomed)


def release(account: str, data: dict) -> int:
    """Let held calls go on; returns how many were waiting."""
    if unknown := data.keys() - {"account", "id", "state", "execution"}:
        raise BadStub(f"{min(unknown)}: there is no such field")
    with _lock:
        return _release(
            call
            for call in _calls
            if call.stub.account == account
            and data.get("id") in (None, call.stub.id)
            and data.get("state") in (None, call.state, call.original)
            and data.get("execution") in (None, call.execution)
        )


def _release(calls) -> int:
    waiting = [call for call in calls if call.held is not None and call.outcome == "open" and not call.held.is_set()]
    for call in waiting:
        call.held.set()
    return len(waiting)


def calls(account: str, stub_id: str | None, execution: str | None) -> list[dict]:
    with _lock:
        return [
            call.shown()
            for call in _calls
            if call.stub.account == account and stub_id in (None, call.stub.id) and execution in (None, call.execution)
        ]


def reset_calls(account: str) -> None:
    with _lock:
        _calls[:] = [call for call in _calls if call.stub.account != account]
