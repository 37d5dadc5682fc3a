"""The processes of functions when many are called at once: how many start at a time, and how they are waited for."""

import os
import threading
import time
from collections import deque

from ministack.core import lambda_runtime

from . import patching

# Starts at a time, of all functions. A process that starts takes a core for longer than most calls do, so that a storm
# of calls is over sooner if some of them wait for one that is there. A function that is busy is not in the way: only
# starts are counted.
STARTS = max(4, 4 * (os.cpu_count() or 1))
# How often to look after a process that neither answers nor ends.
POLL_SECONDS = 1.0

# Warm processes that may sit idle, over all accounts and functions. A test run has its own functions in an account
# for each test, and the emulator keeps one process of each for ever. Set at the start of the cloud.
max_idle_workers = 64


def apply() -> None:
    patching.wrap(lambda_runtime, "acquire_worker", acquire_worker, "5017d144adb5")
    patching.wrap(lambda_runtime, "release_worker", release_worker, "25d5dd7d42b6")
    patching.wrap(lambda_runtime.ProvidedWorker, "__init__", initialize, "091e5737a657")
    patching.wrap(lambda_runtime.ProvidedWorker, "_pump_output", pump_output, "807f0f16ecfb")
    patching.provide(lambda_runtime, _poll_seconds=POLL_SECONDS)
    patching.substitute(
        lambda_runtime.ProvidedWorker,
        "_await_init",
        ("self._init_settled.wait(_PROVIDED_POLL)", "self._init_settled.wait(_poll_seconds)"),
    )
    patching.wrap(lambda_runtime.ProvidedWorker, "_spawn", spawn, None)


# ---------------------------------------------------------------------------------------------------------------------
# Waiting for a process
# ---------------------------------------------------------------------------------------------------------------------


class News(threading.Event):
    """An event whose waiters can be woken without it, to look whether the process still lives.

    The emulator looks twenty times a second, for each call: 200 calls at once are 4000 system calls a second.
    """

    def wait(self, timeout: float | None = None) -> bool:
        super().wait(timeout)
        return self.is_set()

    def nudge(self) -> None:
        with self._cond:
            self._cond.notify_all()


def initialize(original, worker, *args, **kwargs) -> None:
    original(worker, *args, **kwargs)
    worker._response_ready, worker._init_settled = News(), News()


def pump_output(original, worker, stream, log_queue) -> None:
    """Read the output of a process to its end, which comes with the end of the process."""
    original(worker, stream, log_queue)
    process = worker._proc
    if process is not None:
        try:
            process.wait(timeout=POLL_SECONDS)
        except Exception:
            return
    worker._init_settled.nudge()
    worker._response_ready.nudge()


# ---------------------------------------------------------------------------------------------------------------------
# Starting and keeping processes
# ---------------------------------------------------------------------------------------------------------------------

_gate = threading.Lock()
_starting: set = set()
# Processes that work for a function as it was before its update.
_retired: set = set()
# Who waits for a process of a function, or for a start: the longest first.
_waiting: deque[tuple[str, threading.Event]] = deque()


def acquire_worker(original, func_name: str, config: dict, code_zip: bytes, qualifier: str = "$LATEST", **options):
    """A free process of a function, or a new one, which waits while too many others start."""
    key = lambda_runtime._worker_key(func_name, config, qualifier)
    while True:
        turn = threading.Event()
        with _gate:
            if len(_starting) < STARTS or _has_free(key):
                worker, reason = original(func_name, config, code_zip, qualifier=qualifier, **options)
                if reason == "spawn" and isinstance(worker, lambda_runtime.ProvidedWorker):
                    worker._pool_key = key
                    _starting.add(worker)
                return worker, reason
            _waiting.append((key, turn))
        turn.wait()


def _has_free(key: str) -> bool:
    with lambda_runtime._lock:
        return any(not worker.in_use for worker in lambda_runtime._workers.get(key, ()))


def spawn(original, worker, *args, **kwargs) -> None:
    try:
        original(worker, *args, **kwargs)
    finally:
        _started(worker)


def _started(worker) -> None:
    """One start less: the one who waits longest may go."""
    with _gate:
        if worker in _starting:
            _starting.discard(worker)
            if _waiting:
                _waiting.popleft()[1].set()


def _hand_over(key: str | None) -> None:
    """A process is free: for the one who waits longest for one of that function."""
    with _gate:
        for place, (wanted, turn) in enumerate(_waiting):
            if wanted == key:
                del _waiting[place]
                turn.set()
                return


def retire(func_name: str, qualifier: str | None, account: str, region: str) -> None:
    """Use the processes of a function no more: the idle ones end, the others do when they are given back."""
    prefix = f"{account}:{region}:{func_name}:"
    with lambda_runtime._lock:
        keys = [
            key
            for key in lambda_runtime._workers
            if key.startswith(prefix) and (qualifier is None or key == prefix + qualifier)
        ]
        workers = [worker for key in keys for worker in lambda_runtime._workers.pop(key)]
        _retired.update(worker for worker in workers if worker.in_use)
    lambda_runtime.kill_workers([worker for worker in workers if not worker.in_use])


def release_worker(original, worker) -> None:
    """Give a process back, and keep at most max_idle_workers idle ones: end those that were idle longest."""
    original(worker)
    if worker is None:
        return
    _started(worker)
    _hand_over(getattr(worker, "_pool_key", None))
    with lambda_runtime._lock:
        retired = worker in _retired
        _retired.discard(worker)
    if retired:
        threading.Thread(target=lambda_runtime.kill_workers, args=([worker],), daemon=True, name="end-retired").start()
        return
    with lambda_runtime._lock:
        worker.last_used = time.time()
        idle = [(entry, pool) for pool in lambda_runtime._workers.values() for entry in pool if not entry.in_use]
        excess = len(idle) - max_idle_workers
        if excess <= 0:
            return
        idle.sort(key=lambda pair: pair[0].last_used)
        ended = []
        for entry, pool in idle[:excess]:
            pool.remove(entry)
            ended.append(entry)
    threading.Thread(target=lambda_runtime.kill_workers, args=(ended,), daemon=True, name="end-idle-workers").start()
