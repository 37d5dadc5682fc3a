"""Lambda functions as local processes: their environment, their lifetime, and the speed of calling them."""

import array
import ctypes
import fcntl
import hashlib
import os
import queue
import signal
import socket
import socketserver
import subprocess
import sys
import termios
import threading
import time
from contextvars import ContextVar

from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc

from . import lambda_pool, patching, usage

# Seconds to wait for the output of a call, if there is no end of it.
MAX_OUTPUT_WAIT = 0.25
PR_SET_PDEATHSIG = 1

_executing: ContextVar[bool] = ContextVar("executing", default=False)


def apply() -> None:
    _patch_environment()
    _patch_spawn()
    _patch_polling()
    _patch_output()
    patching.wrap(lambda_svc, "_provided_runtime_code_dir", code_dir, "85d4402ed282")
    patching.wrap(lambda_runtime, "invalidate_worker", invalidate_worker, "1be5d7f769f5")
    patching.wrap(lambda_svc, "_execute_function", execute_function, "3ceb16d6480a")


# ---------------------------------------------------------------------------------------------------------------------
# Environment
# ---------------------------------------------------------------------------------------------------------------------


def _patch_environment() -> None:
    # AWS: a function sees what Lambda sets and what its configuration says. The emulator hands down its own
    # environment, with the HOME, the PATH and whatever else the host has.
    patching.provide(lambda_svc, _base_environment=base_environment)
    patching.substitute(
        lambda_svc, "_provided_worker_env", ("proc_env = dict(os.environ)", "proc_env = _base_environment(config)")
    )


def base_environment(config: dict) -> dict[str, str]:
    """What every function has on AWS, beside what the emulator adds: name, version, memory, region, credentials."""
    name = config.get("FunctionName", "unknown")
    return {
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}",
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TZ": ":UTC",
    }


# ---------------------------------------------------------------------------------------------------------------------
# Processes
# ---------------------------------------------------------------------------------------------------------------------


class Spawner:
    """Starts the processes of functions, from one thread of its own, and ends them all.

    On Linux the kernel kills them when the cloud dies (PR_SET_PDEATHSIG), also if it dies of SIGKILL. The kernel
    counts the death of the *thread* that started them, and the emulator would start them from threads that end with
    an execution: hence a thread that lives as long as the process.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._processes: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
        threading.Thread(target=self._serve, daemon=True, name="spawner").start()

    def start(self, *args, **kwargs) -> subprocess.Popen:
        """`subprocess.Popen(*args, **kwargs)`, in the spawner's thread."""
        answer: queue.SimpleQueue = queue.SimpleQueue()
        self._requests.put((args, kwargs, answer))
        result = answer.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Kill every process that is left, and start no more."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                if process.poll() is None:
                    process.kill()
            for process in self._processes:
                process.wait()

    def _serve(self) -> None:
        while True:
            args, kwargs, answer = self._requests.get()
            with self._lock:
                try:
                    if self._closed:
                        raise RuntimeError("the local cloud is ending")
                    self._processes = {process for process in self._processes if process.returncode is None}
                    process = subprocess.Popen(*args, **kwargs, preexec_fn=self._tie_to_parent())
                    self._processes.add(process)
                    answer.put(process)
                except BaseException as error:
                    answer.put(error)

    def _tie_to_parent(self):
        if self._prctl is None:
            return None
        prctl, parent = self._prctl, os.getpid()

        def tie() -> None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        return tie


spawner = Spawner()


class RuntimeServer(socketserver.ThreadingTCPServer):
    """The Runtime API of one process: without Nagle's algorithm, and without a thread that wakes up all the time.

    Nagle's algorithm with delayed acknowledgements costs 40 ms a call, because the emulator writes the headers and
    the body of an answer one after the other. Waiting in accept() instead of polling ten times a second is what
    keeps a hundred idle processes from costing a core.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    _stopping = False

    def serve_forever(self, poll_interval: float = 0) -> None:
        while not self._stopping:
            try:
                request, client = self.socket.accept()
            except OSError:
                return
            if self._stopping:
                request.close()
                return
            self.process_request(request, client)

    def shutdown(self) -> None:
        self._stopping = True
        # Closing a socket does not wake accept() everywhere; a connection does.
        try:
            socket.create_connection(self.server_address, timeout=1).close()
        except OSError:
            pass

    def handle_error(self, request, client_address) -> None:
        """A process that was killed leaves broken connections, which is not news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _patch_spawn() -> None:
    patching.provide(lambda_runtime, _spawner=spawner, _RuntimeServer=RuntimeServer)
    patching.substitute(
        lambda_runtime.ProvidedWorker,
        "_spawn",
        ("self._proc = subprocess.Popen(", "self._proc = _spawner.start("),
        ("self._server = _QuietThreadingServer(", "self._server = _RuntimeServer("),
    )


def _patch_polling() -> None:
    patching.substitute(
        lambda_runtime.ProvidedWorker,
        "_build_handler_class",
        # See RuntimeServer: the same for the thread that waits for the next event. A process that ends does not
        # depend on it, its connection is closed with it.
        ("timeout=0.1)", "timeout=5)"),
        ('protocol_version = "HTTP/1.1"\n', 'protocol_version = "HTTP/1.1"\n        disable_nagle_algorithm = True\n'),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Speed
# ---------------------------------------------------------------------------------------------------------------------


def _patch_output() -> None:
    # The emulator waits 50 ms for a first line of output after each call of a function that writes none.
    patching.provide(lambda_runtime, _collect_output=collect_output)
    patching.substitute(
        lambda_runtime.ProvidedWorker,
        "invoke",
        ("self._drain_stderr_bounded()", "_collect_output(self)"),
        # See lambda_pool.News.
        ("min(_PROVIDED_POLL, max(0.0,", "min(_poll_seconds, max(0.0,"),
    )


def collect_output(worker) -> str:
    """The lines a process has written before it answered: those in the queue, and those still in its pipe."""
    process, lines = worker._proc, []
    deadline = time.monotonic() + MAX_OUTPUT_WAIT
    while time.monotonic() < deadline:
        written = _bytes_in_pipe(process)
        time.sleep(0.001)
        before = len(lines)
        while not worker._stderr_queue.empty():
            lines.append(worker._stderr_queue.get_nowait())
        if not written and len(lines) == before:
            break
    return "\n".join(lines)


def _bytes_in_pipe(process: subprocess.Popen | None) -> int:
    if process is None or process.stdout.closed:
        return 0
    count = array.array("i", [0])
    try:
        fcntl.ioctl(process.stdout.fileno(), termios.FIONREAD, count)
    except (OSError, ValueError):
        return 0  # Closed since, with the end of the process.
    return count[0]


_code_dirs: dict[int, tuple[bytes, str]] = {}


def code_dir(original, code_zip: bytes) -> str:
    """The folder of a package, which the emulator finds by hashing the whole package at every cold start."""
    known = _code_dirs.get(id(code_zip))
    if known is not None and known[0] is code_zip and os.path.isdir(known[1]):
        return known[1]
    folder = original(code_zip)
    _code_dirs[id(code_zip)] = (code_zip, folder)
    return folder


_code_hashes: dict[int, tuple[bytes, "hashlib._Hash"]] = {}


def code_sha256(code_zip: bytes):
    """`hashlib.sha256`, remembered for the package: one package serves the functions of every account."""
    known = _code_hashes.get(id(code_zip))
    if known is None or known[0] is not code_zip:
        known = _code_hashes[id(code_zip)] = (code_zip, hashlib.sha256(code_zip))
    return known[1]


def invalidate_worker(original, func_name: str, qualifier=None, account=None, region=None) -> None:
    """End the processes of a function in its own account: creating one elsewhere is no reason to end its namesakes.

    AWS: a call that runs when its function is updated or deleted ends with the code that it began with. The emulator
    ends it with Runtime.ExitError.
    """
    account, region = account or get_account_id(), region or get_region()
    if _executing.get():
        # The process has failed, and nobody gives it back.
        original(func_name, qualifier, account, region)
    else:
        lambda_pool.retire(func_name, qualifier, account, region)


def execute_function(original, func: dict, event: dict) -> dict:
    """Run a function, and count it: AWS bills an invocation whoever makes it, and not one that was throttled."""
    token = _executing.set(True)
    try:
        result = original(func, event)
    finally:
        _executing.reset(token)
    config = func.get("config") or func
    # Called for another account, the emulator's function calls itself in that account.
    if not result.get("throttle") and not lambda_svc._function_config_scope_mismatch(config):
        usage.invocation(get_account_id(), config.get("FunctionName", "unknown"))
    return result
