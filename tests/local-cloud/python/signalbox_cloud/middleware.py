"""What is between the web server and the emulator: every call is counted, and meets its faults."""

import asyncio
import json
import uuid
from collections.abc import Callable
from html import escape

from . import calls, faults, reading
from .calls import Call
from .faults import Fault

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
INTERNAL_ERRORS = {"ECS": "ServerException", "S3": "InternalError", "SNS": "InternalError"}
DEFAULT_THROTTLE = (400, "ThrottlingException", "Rate exceeded")


class Middleware:
    """Between the web server and the emulator. Calls within the emulator (a task that invokes a function) do not
    come by here."""

    def __init__(self, application: Callable) -> None:
        self._application = application

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        call, body, receive = await calls.identify(scope, receive)
        if call is None:
            await self._application(scope, receive, send)
            return
        calls.count(call)
        if not faults.everything():
            await self._application(scope, receive, send)
            return
        if body is None:
            body = await calls.read_body(receive)
            receive = calls.replay(body, receive)
        # What a call of S3 is about is in its path.
        text = body + b"\n" + scope["path"].encode() if call.service == "S3" else body
        for fault in faults.everything():
            if not fault.takes(call, text):
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
        if fault.kind == "taskFailures":
            failure = {"arn": fault.arn, "reason": fault.reason, "detail": fault.detail}
            failure = {name: value for name, value in failure.items() if value is not None}
            body = json.dumps({"tasks": [], "failures": [failure]}).encode()
            await _answer(send, 200, b"application/x-amz-json-1.1", body)
            return
        if fault.kind in ("throttle", "rateLimit"):
            status, code, message = THROTTLES.get(call.service, DEFAULT_THROTTLE)
        elif fault.kind == "error":
            status, code, message = 400, fault.code, ""
        else:
            status, code = 500, INTERNAL_ERRORS.get(call.service, "InternalServerError")
            message = "Internal server error"
        await _answer_error(
            send, call, fault.status or status, fault.code or code, message if fault.message is None else fault.message
        )


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
        body = _error_in_xml(call.service, status, code, message, request_id).encode()
    await _answer(send, status, content_type, body, headers)


def _error_in_xml(service: str, status: int, code: str, message: str, request_id: str) -> str:
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "S3":
        return f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    fault = "Sender" if status < 500 else "Receiver"
    return (
        f"<ErrorResponse><Error><Type>{fault}</Type>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )


async def _answer(send: Callable, status: int, content_type: bytes, body: bytes, headers: list | None = None) -> None:
    headers = [*(headers or []), (b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
