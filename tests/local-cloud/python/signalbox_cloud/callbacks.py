"""Task tokens: who waits for which, and SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat."""

import base64
import contextvars
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, json_response
from ministack.services import stepfunctions as upstream

from . import patching
from .executions import Branch, Stopped, add_event
from .lookup import Response
from .task_events import Failure, TimedOut

MAX_TOKEN_LENGTH = 2048
MAX_OUTPUT_BYTES = 262_144
MAX_ERROR_LENGTH = 256
MAX_CAUSE_LENGTH = 32_768

# AWS's tokens are opaque; those that were published begin like this, and have 500 to 700 characters of Base64.
HEADER = bytes.fromhex("0000002a00000002000000000000000100")
TOKEN_BYTES = 450
_KEY = secrets.token_bytes(32)


def apply() -> None:
    patching.replace(upstream, "_send_task_success", send_task_success, "12eff48bce57")
    patching.replace(upstream, "_send_task_failure", send_task_failure, "c2a489b4ed33")
    patching.replace(upstream, "_send_task_heartbeat", send_task_heartbeat, "56879a4655d1")
    patching.wrap(upstream, "_get_activity_task", get_activity_task, "706809887c94")


# ---------------------------------------------------------------------------------------------------------------------
# Tokens
# ---------------------------------------------------------------------------------------------------------------------


def new_token() -> str:
    """A token that nobody can guess, signed, so that one of long ago needs no record to be known again."""
    body = HEADER + secrets.token_bytes(TOKEN_BYTES - len(HEADER) - hashlib.sha256().digest_size)
    return base64.b64encode(body + _signature(body)).decode()


def _signature(body: bytes) -> bytes:
    # AWS: a token is good in its own account only.
    return hmac.digest(_KEY, get_account_id().encode() + body, "sha256")


def _refusal(token: str | None) -> Response | None:
    """Why nobody can wait for this token.

    AWS documents InvalidToken ("The provided token is not valid"), TaskDoesNotExist ("The activity does not exist")
    and TaskTimedOut ("The task token has either expired or the task associated with the token has already been
    closed"). Seen on AWS is TaskTimedOut, for tokens that were used before, whose task timed out, or whose execution
    is over. That a whole token of nobody's is TaskDoesNotExist, and that one beyond 2048 characters is InvalidToken,
    is what their names say, not something measured.
    """
    try:
        if token is None or not 1 <= len(token) <= MAX_TOKEN_LENGTH:
            raise ValueError
        raw = base64.b64decode(token, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != TOKEN_BYTES or not raw.startswith(HEADER):
        return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
    size = hashlib.sha256().digest_size
    if not hmac.compare_digest(raw[-size:], _signature(raw[:-size])):
        return error_response_json("TaskDoesNotExist", "Task Does Not Exist: 'Provided task does not exist'", 400)
    return None


def _closed() -> Response:
    return error_response_json("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", 400)


# ---------------------------------------------------------------------------------------------------------------------
# Who waits
# ---------------------------------------------------------------------------------------------------------------------


class Call:
    """A call in a thread of its own, or in this one, whose outcome is kept."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._result: Any = None
        self._failure: BaseException | None = None
        self.done = threading.Event()
        self.done_callback: Callable[[Call], None] = lambda call: None

    def start(self) -> None:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self.run,), daemon=True, name="task-call").start()

    def run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as failure:
            self._failure = failure
        self.done.set()
        self.done_callback(self)

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def result(self) -> Any:
        if self._failure is not None:
            raise self._failure
        return self._result


_open: dict[str, "Task"] = {}


class Task:
    """A task that waits for its token to come back. The first outcome counts, and closes the token.

    Outcomes are an answer, a failed submission, or a limit of time; the end of its branch closes it, too.
    """

    def __init__(
        self, token: str, branch: Branch, started: float, timeout: float | None, heartbeat: float | None
    ) -> None:
        self.token, self._branch = token, branch
        self._deadline = float("inf") if timeout is None else started + timeout
        self._heartbeat = float("inf") if heartbeat is None else heartbeat
        self._last_beat = started
        self._submission: Call | None = None
        self._outcome: Callable[[], Any] | None = None
        self._lock = threading.Lock()
        self._news = threading.Event()

    def __enter__(self) -> None:
        _open[self.token] = self

    def __exit__(self, *_exception: object) -> None:
        _open.pop(self.token, None)

    def taken(self, worker: str | None) -> None:
        """A worker of an activity has got the task."""
        details = {"activityStartedEventDetails": {"workerName": worker} if worker else {}}
        add_event(self._branch, "ActivityStarted", details)

    def close(self, outcome: Callable[[], Any]) -> bool:
        """End the task with an outcome, unless it has one or its branch is over."""
        with self._lock:
            if self._outcome is not None or self._branch.over:
                return False
            self._outcome = outcome
        self._news.set()
        return True

    def beat(self) -> bool:
        with self._lock:
            if self._outcome is not None or self._branch.over:
                return False
            self._last_beat = time.monotonic()
        return True

    def submitted(self, call: Call) -> None:
        if call.failed:
            self.close(call.result)
        else:
            self._submission = call
            self._news.set()

    def wait_for_submission(self) -> Call | None:
        """The call that has submitted the task; None if the task was decided before it returned."""
        while self._submission is None and self._outcome is None:
            self._wait()
        return self._submission

    def wait_for_answer(self) -> Any:
        while self._outcome is None:
            self._wait()
        return self._outcome()

    def _wait(self) -> None:
        """Wait for news, until the next limit of time. A heartbeat is no news: it moves the limit."""
        due = min(self._deadline, self._last_beat + self._heartbeat)
        came = self._branch.wait(self._news, None if due == float("inf") else due - time.monotonic())
        self._news.clear()
        if came:
            return
        now = time.monotonic()
        with self._lock:
            if self._outcome is None and now >= self._deadline:
                self._outcome = _raise(TimedOut())
            elif self._outcome is None and now >= self._last_beat + self._heartbeat:
                self._outcome = _raise(TimedOut(heartbeat=True))


def _raise(failure: Exception) -> Callable[[], Any]:
    def outcome() -> Any:
        raise failure

    return outcome


# ---------------------------------------------------------------------------------------------------------------------
# The calls
# ---------------------------------------------------------------------------------------------------------------------


def send_task_success(data: dict) -> Response:
    """SendTaskSuccess. Of two, the first counts; AWS takes JSON of up to 256 KiB, and says InvalidOutput otherwise."""
    token, text = data.get("taskToken"), data.get("output")
    if failure := _refusal(token):
        return failure
    try:
        if text is None or len(text.encode("utf-8", "surrogatepass")) > MAX_OUTPUT_BYTES:
            raise ValueError(f"The output is missing, or has more than {MAX_OUTPUT_BYTES} bytes")
        output = json.loads(text)
    except ValueError as error:
        return error_response_json("InvalidOutput", f"Invalid Output: '{error}'", 400)
    return _decide(token, lambda: output)


def send_task_failure(data: dict) -> Response:
    """SendTaskFailure. AWS: a failure without error and cause has null for both where it is caught."""
    for field, limit in (("error", MAX_ERROR_LENGTH), ("cause", MAX_CAUSE_LENGTH)):
        if len(data.get(field) or "") > limit:
            constraint = f"Member must have length less than or equal to {limit}"
            message = f"1 validation error detected: Value at '{field}' failed to satisfy constraint: {constraint}"
            return error_response_json("ValidationException", message, 400)
    if failure := _refusal(data.get("taskToken")):
        return failure
    return _decide(data["taskToken"], _raise(Failure(data.get("error"), data.get("cause"))))


def send_task_heartbeat(data: dict) -> Response:
    if failure := _refusal(data.get("taskToken")):
        return failure
    task = _open.get(data["taskToken"])
    return json_response({}) if task is not None and task.beat() else _closed()


async def get_activity_task(original, data: dict) -> Response:
    """GetActivityTask, which the history of the execution tells of."""
    response = await original(data)
    task = _open.get(json.loads(response[2]).get("taskToken", ""))
    if task is not None:
        try:
            task.taken(data.get("workerName"))
        except Stopped:
            pass  # It has ended since, which the worker is told when it answers.
    return response


def _decide(token: str, outcome: Callable[[], Any]) -> Response:
    task = _open.get(token)
    return json_response({}) if task is not None and task.close(outcome) else _closed()
