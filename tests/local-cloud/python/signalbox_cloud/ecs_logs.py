"""The log driver `awslogs`: the output of a container in CloudWatch Logs, line by line."""

import time

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch_logs
from ministack.services import ecs as upstream

from . import ecs_settings
from .ecs_processes import ecs_clock

# AWS: an event of CloudWatch Logs has 256 KiB, of which 26 bytes are its own.
MAX_LINE_BYTES = 256 * 1024 - 26


class NoLog(Exception):
    """There is no group to write to; the message is AWS's."""


class Output:
    """What a container writes, cut into lines, on its way to a log stream."""

    def __init__(self, group: str, stream: str, region: str) -> None:
        self._group, self._stream = group, stream
        self._account, self._region = get_account_id(), region
        self._rest = b""

    def __call__(self, piece: bytes) -> None:
        """Take what the container has written, or nothing at the end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        # As much of an unfinished line as makes events by itself, or at the end all of it.
        ready = len(self._rest) // MAX_LINE_BYTES * MAX_LINE_BYTES if piece else len(self._rest)
        lines.append(self._rest[:ready])
        self._rest = self._rest[ready:]
        now = int(time.time() * 1000)
        # AWS: a line without anything in it is no event.
        starts = ((line, start) for line in lines for start in range(0, len(line), MAX_LINE_BYTES))
        parts = [line[start : start + MAX_LINE_BYTES] for line, start in starts]
        events = [{"timestamp": now, "message": part.decode("utf-8", "replace").rstrip("\r")} for part in parts]
        if events:
            delay = ecs_settings.of_account(self._account).logDelaySeconds
            if delay:
                ecs_clock.after(delay, lambda: self._put(events))
            else:
                self._put(events)

    def _put(self, events: list[dict]) -> None:
        with request_scope(self._account, self._region):
            cloudwatch_logs._put_log_events(
                {"logGroupName": self._group, "logStreamName": self._stream, "logEvents": events}
            )


def output_of(definition: dict, task_id: str) -> Output | None:
    """The way of a container's output, with its stream made; None if it has another log driver, or none.

    AWS: a task whose log group is missing, and which may not make it, does not start.
    """
    config = upstream._awslogs_config(definition, task_id, task_id)
    if config is None:
        return None
    region = config["region"] or get_region()
    with request_scope(get_account_id(), region):
        if not upstream._ensure_awslogs_stream(config):
            raise NoLog(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
                "failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not "
                "exist. : exit status 1"
            )
    return Output(config["group"], config["stream"], region)
