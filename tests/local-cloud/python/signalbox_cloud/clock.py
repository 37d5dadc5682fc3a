"""Calls at a later time, from one thread for all of them."""

import contextvars
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("signalbox_cloud.clock")


class Clock:
    """Makes calls when they are due. `threading.Timer` has a thread for each call, which is one for each execution."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, contextvars.Context, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Make the call after so many seconds, in the caller's context (its account and region)."""
        entry = (time.monotonic() + seconds, next(self._numbers), contextvars.copy_context(), call)
        with self._changed:
            heapq.heappush(self._due, entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="clock")
                self._thread.start()
            if self._due[0] is entry:
                self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._due:
                    self._changed.wait()
                left = self._due[0][0] - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                _at, _number, context, call = heapq.heappop(self._due)
            try:
                context.run(call)
            except Exception:
                logger.exception("a call that was due has failed")


clock = Clock()
