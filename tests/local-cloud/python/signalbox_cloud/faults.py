"""What makes calls, deliveries and tasks fail on demand."""

import itertools
import random
import re
import time
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from .calls import Call

KINDS = ("throttle", "error", "delay", "applyThenFail", "drop", "stale", "rateLimit", "taskFailures")
# Deliveries of EventBridge to the targets of rules are no calls, and have faults of their own.
DELIVERY = "EventBridge.Deliver"
DELIVERY_KINDS = ("drop", "double", "delay", "reorder")
# So are the starts of the tasks of ECS, which come after the call that asks for them.
START = "ECS.Start"
START_KINDS = ("fail",)
RUN_TASK = "ECS.RunTask"
CALLERS = ("functions", "harness")
STALE_APIS = ("States.ListExecutions", "States.DescribeExecution", "States.GetExecutionHistory")


class BadFault(Exception):
    """A fault that makes no sense; the message names the field."""


@dataclass
class Bucket:
    """What AWS limits rates with: a bucket of tokens that fills steadily. A call that is throttled takes none."""

    per_second: float
    burst: float
    tokens: float = 0
    filled: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self) -> bool:
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled) * self.per_second)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Fault:
    id: str
    account: str
    api: str
    kind: str
    caller: str | None
    times: int | None
    rate: float
    seconds: float
    code: str | None
    status: int | None
    message: str | None
    after_effect: bool
    match: list[str]
    # Of ECS: why a task does not start, or is not placed.
    reason: str | None = None
    container_reason: str | None = None
    containers: bool = True
    detail: str | None = None
    arn: str | None = None
    bucket: "Bucket | None" = None
    hits: int = 0
    # Seeded with the fault's number: the same requests in the same order meet the same fate in every run.
    dice: random.Random = field(default_factory=random.Random, repr=False)

    def takes(self, call: Call, body: bytes) -> bool:
        """Whether this call is one to strike, and if so count it."""
        service, _, operation = self.api.partition(".")
        if self.account != call.account or self.caller not in (None, call.caller):
            return False
        if self.api != "*" and (service != call.service or operation not in ("*", call.operation)):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        if any(not _has(body, text) for text in self.match) or self.dice.random() >= self.rate:
            return False
        if self.bucket is not None and self.bucket.take():
            return False
        self.hits += 1
        return True


def _has(body: bytes, text: str) -> bool:
    """Whether a text is in the body of a call, also of one that is encoded as a form."""
    return text.encode() in body or text in unquote_plus(body.decode("utf-8", "replace"))


_numbers = itertools.count(1)
_faults: dict[str, Fault] = {}


def add(account: str, data: dict) -> str:
    """Add a fault; returns its id."""
    number = next(_numbers)
    fields = {"account", "api", "kind", "caller", "times", "rate", "seconds", "code", "status", "message"}
    of_ecs = {"reason", "containerReason", "containers", "detail", "arn"}
    if unknown := data.keys() - fields - of_ecs - {"afterEffect", "match", "table", "perSecond", "burst"}:
        raise BadFault(f"{min(unknown)}: there is no such field")
    api, kind = data.get("api"), data.get("kind")
    if not isinstance(api, str) or not (api == "*" or re.fullmatch(r"\w+\.(\w+|\*)", api)):
        raise BadFault(f"api: {api!r} is not like DynamoDB.PutItem, DynamoDB.* or *")
    kinds = {DELIVERY: DELIVERY_KINDS, START: START_KINDS}.get(api, KINDS)
    if kind not in kinds:
        raise BadFault(f"kind: {kind!r} is not one of {', '.join(kinds)}")
    if data.get("caller") not in (None, *CALLERS):
        raise BadFault(f"caller: {data['caller']!r} is not one of {', '.join(CALLERS)}")
    if kind == "error" and not data.get("code"):
        raise BadFault("code: an error needs one")
    if kind in ("delay", "stale", "reorder") and not isinstance(data.get("seconds"), (int, float)):
        raise BadFault(f"seconds: a {kind} needs a number")
    if kind == "stale" and api not in STALE_APIS:
        raise BadFault(f"api: {api!r} cannot be stale, only {' and '.join(STALE_APIS)}")
    if kind == "taskFailures" and api != RUN_TASK:
        raise BadFault(f"api: {api!r} has no failures, only {RUN_TASK}")
    if kind in ("fail", "taskFailures") and not isinstance(data.get("reason"), str):
        raise BadFault(f"reason: a {kind} needs one")
    rate = data.get("rate", 1)
    if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise BadFault("rate: must be a number from 0 to 1")
    times = data.get("times")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise BadFault("times: must be a positive integer")
    fault = Fault(
        id=f"f{number}",
        account=account,
        api=api,
        kind=kind,
        caller=data.get("caller"),
        times=times,
        rate=rate,
        seconds=data.get("seconds", 0),
        code=data.get("code"),
        status=data.get("status"),
        message=data.get("message"),
        after_effect=bool(data.get("afterEffect", False)),
        match=[data[name] for name in ("match", "table") if data.get(name)],
        reason=data.get("reason"),
        container_reason=data.get("containerReason"),
        containers=data.get("containers") is not False,
        detail=data.get("detail"),
        arn=data.get("arn"),
        bucket=_bucket(data) if kind == "rateLimit" else None,
        dice=random.Random(number),
    )
    _faults[fault.id] = fault
    return fault.id


def _bucket(data: dict) -> Bucket:
    per_second = data.get("perSecond")
    burst = data.get("burst", per_second)
    for name, value in (("perSecond", per_second), ("burst", burst)):
        if not isinstance(value, (int, float)) or value < 0:
            raise BadFault(f"{name}: a rateLimit needs a number")
    return Bucket(per_second, burst)


def start_failure(account: str, task: str) -> Fault | None:
    """The fault that a task of ECS meets where its containers would start."""
    call = Call(account, "", *START.split("."), json_protocol=True)
    faults = (fault for fault in everything() if fault.api == START)
    return next((fault for fault in faults if fault.takes(call, task.encode())), None)


def everything() -> list[Fault]:
    """All faults, in the order in which they were added."""
    return list(_faults.values())


def any_of_deliveries() -> bool:
    return any(fault.api == DELIVERY for fault in everything())


def delivery_delays(account: str, event: str) -> list[float]:
    """When to deliver an event: once and at once, or as the faults say that it meets."""
    call = Call(account, "", *DELIVERY.split("."), json_protocol=True)
    delays = [0.0]
    for fault in everything():
        if fault.api != DELIVERY or not fault.takes(call, event.encode()):
            continue
        if fault.kind == "drop":
            return []
        if fault.kind == "double":
            delays = delays * 2
        elif fault.kind == "delay":
            delays = [delay + fault.seconds for delay in delays]
        else:
            delays = [delay + fault.dice.uniform(0, fault.seconds) for delay in delays]
    return delays


def listing(account: str | None) -> list[dict]:
    return [
        {name: value for name, value in vars(fault).items() if name not in ("dice", "bucket") and value is not None}
        for fault in _faults.values()
        if account in (None, fault.account)
    ]


def remove(fault_id: str | None, account: str | None) -> int:
    """Remove one fault, or all of an account; returns how many that were."""
    doomed = [f.id for f in _faults.values() if fault_id == f.id or (fault_id is None and account == f.account)]
    for each in doomed:
        del _faults[each]
    return len(doomed)
