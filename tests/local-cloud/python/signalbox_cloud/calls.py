"""The calls that come over HTTP: who calls what, and how often."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_to_bytes

from ministack.services import sts

from . import s3

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
# Of a presigned URL it is in the query.
PRESIGNED = re.compile(rb"X-Amz-Credential=([^/&]+)/[^/&]*/[^/&]*/([^/&]+)/")
SIGNATURE = re.compile(rb"Credential=([^/]+)/[^/]*/[^/]*/([^/]+)/")
INVOKE_PATH = re.compile(r"/2015-03-31/functions/[^/]+/invocations")


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


_calls: dict[str, dict[str, dict]] = {}


def counts(account: str) -> dict[str, dict]:
    """How often each API was called: in total, and by whom."""
    return _calls.get(account, {})


def reset(account: str | None) -> None:
    if account is None:
        _calls.clear()
    else:
        _calls.pop(account, None)


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


def replay(body: bytes, receive: Callable) -> Callable:
    """A `receive` that gives the body once more, and then whatever else comes."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replayed() -> dict:
        return next(messages, None) or await receive()

    return replayed


async def identify(scope: dict, receive: Callable) -> tuple[Call | None, bytes | None, Callable]:
    """Who calls what. The body is read only where the operation's name is in it."""
    headers = dict(scope["headers"])
    signature = SIGNATURE.search(headers.get(b"authorization", b"")) or PRESIGNED.search(
        unquote_to_bytes(_query(scope))
    )
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
    elif service == "S3":
        query = parse_qs(_query(scope).decode(), keep_blank_values=True)
        operation = s3.operation(scope["method"], scope["path"], query, headers)
    elif headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        body = await read_body(receive)
        receive = replay(body, receive)
        operation = parse_qs(body.decode("utf-8", "replace")).get("Action", [scope["method"]])[0]
    elif INVOKE_PATH.fullmatch(scope["path"]):
        operation = "Invoke"
    else:
        operation = scope["method"].title()
    json_protocol = bool(target) or service == "Lambda" or "/operation/" in scope["path"]
    return Call(account, caller, service, operation, json_protocol), body, receive


def _query(scope: dict) -> bytes:
    return scope.get("query_string", b"")


def _caller(access_key: str) -> tuple[str, str]:
    """An access key of 12 digits is the root of that account; functions and containers have a session of their role."""
    if re.fullmatch(r"\d{12}", access_key):
        return access_key, "harness"
    session = sts._sessions.get(access_key) or {}
    parts = str(session.get("Arn", "")).split(":")
    return (parts[4] if len(parts) > 4 else ""), "functions"


def count(call: Call) -> None:
    counter = _calls.setdefault(call.account, {}).setdefault(call.api, {"count": 0, "harness": 0, "functions": 0})
    counter["count"] += 1
    counter[call.caller] += 1
