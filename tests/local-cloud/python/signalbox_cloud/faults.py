"""Counting the calls that come over HTTP, and making them fail on demand."""

import asyncio
import itertools
import json
import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs, unquote_plus

from ministack.services import sts

from . import reading

KINDS = ("throttle", "error", "delay", "applyThenFail", "drop", "stale")
# Deliveries of EventBridge to the targets of rules are no calls, and have faults of their own.
DELIVERY = "EventBridge.Deliver"
DELIVERY_KINDS = ("drop", "double", "delay", "reorder")
CALLERS = ("functions", "harness")
STALE_APIS = ("States.ListExecutions", "States.DescribeExecution", "States.GetExecutionHistory")

# The names of services in the scope of a signature, and in the names of APIs here.
SERVICES = {
    "cloudformation": "CloudFormation",
    "dynamodb": "DynamoDB",
    "ecs": "ECS",
    "events": "Events",
    "iam": "IAM",
    "lambda": "Lambda",
    "logs": "Logs",
    "monitoring": "CloudWatch",
    "s3": "S3",
    "scheduler": "Scheduler",
    "ses": "SES",
    "sns": "SNS",
    "sqs": "SQS",
    "states": "States",
    "sts": "STS",
}
# A service's own way to say "slow down": status, code, message.
THROTTLES = {
    "DynamoDB": (
        400,
        "ThrottlingException",
        "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your "
        "table or index so please try again shortly.",
    ),
    "Lambda": (429, "TooManyRequestsException", "Rate Exceeded."),
    "S3": (503, "SlowDown", "Please reduce your request rate."),
    "CloudWatch": (400, "Throttling", "Rate exceeded"),
    "CloudFormation": (400, "Throttling", "Rate exceeded"),
    "IAM": (400, "Throttling", "Rate exceeded"),
    "STS": (400, "Throttling", "Rate exceeded"),
    "SNS": (400, "Throttling", "Rate exceeded"),
    "SES": (400, "Throttling", "Rate exceeded"),
}
# A service's own way to say that it failed, where it is another than most have.
INTERNAL_ERRORS = {"SNS": "InternalError"}
DEFAULT_THROTTLE = (400, "ThrottlingException", "Rate exceeded")
SIGNATURE = re.compile(rb"Credential=([^/]+)/[^/]*/[^/]*/([^/]+)/")
INVOKE_PATH = re.compile(r"/2015-03-31/functions/[^/]+/invocations")


class BadFault(Exception):
    """A fault that makes no sense; the message names the field."""


@dataclass
class Call:
    """A call to the emulated AWS, as far as counters and faults look at it."""

    account: str
    caller: str
    service: str
    operation: str
    json_protocol: bool

    @property
    def api(self) -> str:
        return f"{self.service}.{self.operation}"


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
        self.hits += 1
        return True


def _has(body: bytes, text: str) -> bool:
    """Whether a text is in the body of a call, also of one that is encoded as a form."""
    return text.encode() in body or text in unquote_plus(body.decode("utf-8", "replace"))


_numbers = itertools.count(1)
_faults: dict[str, Fault] = {}
_calls: dict[str, dict[str, dict]] = {}


def add(account: str, data: dict) -> str:
    """Add a fault; returns its id."""
    number = next(_numbers)
    fields = {"account", "api", "kind", "caller", "times", "rate", "seconds", "code", "status", "message"}
    if unknown := data.keys() - fields - {"afterEffect", "match", "table"}:
        raise BadFault(f"{min(unknown)}: there is no such field")
    api, kind = data.get("api"), data.get("kind")
    if not isinstance(api, str) or not (api == "*" or re.fullmatch(r"\w+\.(\w+|\*)", api)):
        raise BadFault(f"api: {api!r} is not like DynamoDB.PutItem, DynamoDB.* or *")
    kinds = DELIVERY_KINDS if api == DELIVERY else KINDS
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
        dice=random.Random(number),
    )
    _faults[fault.id] = fault
    return fault.id


def any_of_deliveries() -> bool:
    return any(fault.api == DELIVERY for fault in list(_faults.values()))


def delivery_delays(account: str, event: str) -> list[float]:
    """When to deliver an event: once and at once, or as the faults say that it meets."""
    call = Call(account, "", *DELIVERY.split("."), json_protocol=True)
    delays = [0.0]
    for fault in list(_faults.values()):
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
        {name: value for name, value in vars(fault).items() if name != "dice" and value is not None}
        for fault in _faults.values()
        if account in (None, fault.account)
    ]


def remove(fault_id: str | None, account: str | None) -> int:
    """Remove one fault, or all of an account; returns how many that were."""
    doomed = [f.id for f in _faults.values() if fault_id == f.id or (fault_id is None and account == f.account)]
    for each in doomed:
        del _faults[each]
    return len(doomed)


def calls(account: str) -> dict[str, dict]:
    """How often each API was called: in total, and by whom."""
    return _calls.get(account, {})


def reset_calls(account: str | None) -> None:
    if account is None:
        _calls.clear()
    else:
        _calls.pop(account, None)


class Middleware:
    """Between the web server and the emulator. Calls within the emulator (a task that invokes a function) do not
    come by here."""

    def __init__(self, application: Callable) -> None:
        self._application = application

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        call, body, receive = await _identify(scope, receive)
        if call is None:
            await self._application(scope, receive, send)
            return
        _count(call)
        if not _faults:
            await self._application(scope, receive, send)
            return
        if body is None:
            body = await read_body(receive)
            receive = _replay(body, receive)
        for fault in list(_faults.values()):
            if not fault.takes(call, body):
                continue
            if fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "stale":
                reading.seconds_behind.set(fault.seconds)
            else:
                await self._strike(fault, call, scope, receive, send)
                return
        await self._application(scope, receive, send)

    async def _strike(self, fault: Fault, call: Call, scope: dict, receive: Callable, send: Callable) -> None:
        if fault.kind == "applyThenFail" or (fault.kind == "drop" and fault.after_effect):
            await self._application(scope, receive, _discard)
        if fault.kind == "drop":
            _connection_of(send).abort()
            return
        if fault.kind == "throttle":
            status, code, message = THROTTLES.get(call.service, DEFAULT_THROTTLE)
        elif fault.kind == "error":
            status, code, message = 400, fault.code, ""
        else:
            status, code = 500, INTERNAL_ERRORS.get(call.service, "InternalServerError")
            message = "Internal server error"
        await _answer_error(
            send, call, fault.status or status, fault.code or code, message if fault.message is None else fault.message
        )


async def read_body(receive: Callable) -> bytes:
    """The whole body of a request."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _replay(body: bytes, receive: Callable) -> Callable:
    """A `receive` that gives the body once more, and then whatever else comes."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> dict:
        return next(messages, None) or await receive()

    return replay


async def _identify(scope: dict, receive: Callable) -> tuple[Call | None, bytes | None, Callable]:
    """Who calls what. The body is read only where the operation's name is in it."""
    headers = dict(scope["headers"])
    signature = SIGNATURE.search(headers.get(b"authorization", b""))
    if signature is None:
        return None, None, receive
    account, caller = _caller(signature[1].decode())
    scope_name = signature[2].decode()
    service = SERVICES.get(scope_name, scope_name.title())
    body = None
    target = headers.get(b"x-amz-target", b"").decode()
    if target:
        operation = target.rpartition(".")[2]
    elif "/operation/" in scope["path"]:
        operation = scope["path"].rpartition("/")[2]
    elif headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        body = await read_body(receive)
        receive = _replay(body, receive)
        operation = parse_qs(body.decode("utf-8", "replace")).get("Action", [scope["method"]])[0]
    elif INVOKE_PATH.fullmatch(scope["path"]):
        operation = "Invoke"
    else:
        operation = scope["method"].title()
    json_protocol = bool(target) or service == "Lambda" or "/operation/" in scope["path"]
    return Call(account, caller, service, operation, json_protocol), body, receive


def _caller(access_key: str) -> tuple[str, str]:
    """An access key of 12 digits is the root of that account; a function has a session of its role."""
    if re.fullmatch(r"\d{12}", access_key):
        return access_key, "harness"
    session = sts._sessions.get(access_key) or {}
    parts = str(session.get("Arn", "")).split(":")
    return (parts[4] if len(parts) > 4 else ""), "functions"


def _count(call: Call) -> None:
    counter = _calls.setdefault(call.account, {}).setdefault(call.api, {"count": 0, "harness": 0, "functions": 0})
    counter["count"] += 1
    counter[call.caller] += 1


async def _discard(message: dict) -> None:
    """A `send` for the answer that the caller does not get."""


def _connection_of(send: Callable) -> asyncio.Transport:
    """The connection behind hypercorn's `send`: its stream, the protocol below that, the server below that."""
    stream = send.__self__
    protocol = stream.send.__self__
    server = protocol.send.__self__
    return server.writer.transport


async def _answer_error(send: Callable, call: Call, status: int, code: str, message: str) -> None:
    request_id = str(uuid.uuid4())
    headers = [(b"x-amzn-requestid", request_id.encode())]
    if call.json_protocol:
        content_type = b"application/json" if call.service == "Lambda" else b"application/x-amz-json-1.0"
        body = json.dumps({"__type": code, "message": message}).encode()
        headers.append((b"x-amzn-errortype", code.encode()))
    else:
        content_type = b"text/xml"
        fault = "Sender" if status < 500 else "Receiver"
        body = (
            f"<ErrorResponse><Error><Type>{fault}</Type><Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        ).encode()
    headers += [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
