"""The processes of containers: their start, their output, their end, and that nothing of them is left."""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import threading
from collections.abc import Callable

from .clock import Clock
from .lambda_service import spawner

# Ends the groups of processes that it was told of when the cloud has died, however that came about: the kernel ends
# with a cloud that is killed the first process of a container alone.
GUARD = """
groups=
while read -r sign group; do
    case $sign in
        +) groups="$groups $group" ;;
        -) kept=; for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done; groups=$kept ;;
    esac
done
for each in $groups; do kill -9 "-$each" 2>/dev/null; done
"""
# Seconds to wait for the end of the output once a process is gone. Longer than the kernel needs, unless a process has
# left the group with the pipe in its hands.
MAX_OUTPUT_WAIT = 0.5
MAX_FILES = 8192

# What has to be done with tasks at a later time, by one thread: a clock of their own, because many tasks at once must
# not keep the executions of state machines waiting.
ecs_clock = Clock()


class Watcher:
    """One thread that waits for the output and for the end of all containers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_up, self._woken = os.pipe()[::-1]
        self._changes: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, descriptor: int, call: Callable[[], None]) -> None:
        """Make the call whenever there is something to read."""
        self._change(lambda: self._selector.register(descriptor, selectors.EVENT_READ, call))

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no more, and close it. Only for calls by the watcher itself."""
        self._selector.unregister(descriptor)
        os.close(descriptor)

    def _change(self, change: Callable[[], None]) -> None:
        with self._lock:
            self._changes.append(change)
            if self._thread is None:
                self._selector.register(self._woken, selectors.EVENT_READ, self._make_changes)
                self._thread = threading.Thread(target=self._serve, daemon=True, name="containers")
                self._thread.start()
        os.write(self._wake_up, b"!")

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        ecs_clock.after(seconds, lambda: self._change(call))

    def _make_changes(self) -> None:
        os.read(self._woken, 4096)
        with self._lock:
            changes, self._changes = self._changes, []
        for change in changes:
            change()

    def _serve(self) -> None:
        while True:
            for key, _events in self._selector.select():
                # What came before in the same round may have closed it.
                if key.fd in self._selector.get_map():
                    key.data()


watcher = Watcher()


class Process:
    """The first process of a container, with all that it starts in its group.

    As in docker, the others end with the first; `ended` is called then, with the exit code that docker gives it.
    """

    def __init__(
        self,
        arguments: list[str],
        environment: dict[str, str],
        folder: str,
        output: Callable[[bytes], None] | None,
        ended: Callable[[int], None],
    ) -> None:
        """Start it. `output` gets what it writes, as it comes, and nothing at the end; without, nobody reads it."""
        _guard.start()
        self._output, self._ended = output, ended
        self._over = False
        self._lock = threading.Lock()
        self._pipe = -1
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        writing = -1
        if output is not None:
            self._pipe, writing = os.pipe()
            os.set_blocking(self._pipe, False)
            streams |= {"stdout": writing, "stderr": writing}
        try:
            self._process = spawner.start(arguments, env=environment, cwd=folder, start_new_session=True, **streams)
        except BaseException:
            if output is not None:
                os.close(self._pipe)
            raise
        finally:
            if output is not None:
                os.close(writing)
        self.pid = self._process.pid
        _guard.watch(self.pid)
        _live.add(self)
        if output is not None:
            watcher.watch(self._pipe, self._read)
        self._notice = _notice_of_end(self._process)
        watcher.watch(self._notice, self._gone)

    def signal(self, number: int) -> bool:
        """Send a signal to all of its processes; whether there was one left to get it."""
        with self._lock:
            if self._over:
                return False
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            return True

    def _read(self) -> None:
        try:
            piece = os.read(self._pipe, 65536)
        except BlockingIOError:
            return
        self._output(piece)
        if not piece:
            self._close_pipe()
            if self._over:
                self._finish()

    def _close_pipe(self) -> None:
        watcher.forget(self._pipe)
        self._pipe = -1

    def _gone(self) -> None:
        watcher.forget(self._notice)
        with self._lock:
            # As in docker, what the first process has started ends with it. It is a zombie until it is waited for,
            # so that its number cannot have gone to another group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._over = True
            code = self._process.wait()
        self._code = code if code >= 0 else 128 - code
        if self._pipe < 0:
            self._finish()
        else:
            watcher.later(MAX_OUTPUT_WAIT, self._give_up_output)

    def _give_up_output(self) -> None:
        if self._pipe >= 0:
            self._output(b"")
            self._close_pipe()
            self._finish()

    def _finish(self) -> None:
        _live.discard(self)
        _guard.forget(self.pid)
        self._ended(self._code)


def _notice_of_end(process: subprocess.Popen) -> int:
    """A descriptor that can be read once a process has ended."""
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(process.pid)
    reading, writing = os.pipe()

    def wait() -> None:
        process.wait()
        os.close(writing)

    threading.Thread(target=wait, daemon=True, name="container-wait").start()
    return reading


def _allow_many_files() -> None:
    """Each container takes two descriptors, and many systems give a process 1024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Guard:
    """The process that outlives the cloud for as long as it takes to end the containers."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            if self._process is None:
                _allow_many_files()
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", GUARD],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )

    def watch(self, group: int) -> None:
        with self._lock:
            self._tell(f"+ {group}\n")

    def forget(self, group: int) -> None:
        with self._lock:
            self._tell(f"- {group}\n")

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), line.encode())

    def close(self) -> None:
        """Let it end what is left."""
        with self._lock:
            if self._process is not None:
                self._process.stdin.close()
                self._process.wait()


_live: set[Process] = set()
_guard = Guard()


def close() -> None:
    """End every process of every container."""
    for process in list(_live):
        process.signal(signal.SIGKILL)
    _guard.close()
