"""Start, readiness, lifetime and end of the local cloud's process."""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

HOST = "127.0.0.1"
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")

logger = logging.getLogger("signalbox_cloud")


def run(state_dir: Path, port: int, log_level: str, idle_workers: int, schedules: bool) -> int:
    """Serve until stdin ends or SIGTERM comes. Returns only if the start failed: the end is `os._exit`."""
    started = time.monotonic()
    state_dir = state_dir.resolve()
    temporary = state_dir / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)

    # Ctrl-C goes to the whole foreground group of a terminal; the end of stdin is what ends the cloud.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        return _refuse(f"cannot listen on {HOST}:{port}: {error.strerror}")
    listener.listen(1024)
    port = listener.getsockname()[1]

    announce = _redirect_output(state_dir / "cloud.log")
    _prepare_environment(port, temporary, log_level)
    try:
        from .patching import UpstreamChanged, check_version

        check_version()
        from . import cloud
    except ImportError as error:
        return _refuse(f"{error}: install requirements.txt", announce)
    except UpstreamChanged as error:
        return _refuse(str(error), announce)
    try:
        application = cloud.assemble(idle_workers, schedules)
    except UpstreamChanged as error:
        return _refuse(str(error), announce)

    exit_code = 1
    try:
        asyncio.run(_serve(application, listener, announce, started))
        exit_code = 0
    except BaseException:
        logger.exception("the local cloud failed")
    finally:
        cloud.stop()
        shutil.rmtree(temporary, ignore_errors=True)
        logging.shutdown()
        # Not sys.exit: executions and invocations have threads that nobody should wait for any more.
        os._exit(exit_code)


def _prepare_environment(port: int, temporary: Path, log_level: str) -> None:
    """The process environment that ministack reads at import. Whatever else was set is not for the cloud."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(
        {
            "TMPDIR": str(temporary),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": HOST,
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "AWS_SECRET_ACCESS_KEY": "test",
            # ministack's SAM transform sets it and takes it away again, in several threads at once: a template that is
            # translated in between finds no Region.
            "AWS_DEFAULT_REGION": "us-east-1",
            "AUTH": "true",
            "LOG_LEVEL": log_level,
            # Listeners beside the HTTP port, on fixed ports: two clouds could not run at the same time.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{temporary}/no-docker.sock",
            # AWS's default. Left alone, ministack derives a smaller number from the memory of the machine.
            "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
            # Each synchronous Invoke over HTTP holds one of these threads.
            "MINISTACK_WORKER_THREADS": "512",
            "LAMBDA_WARM_TTL_SECONDS": "60",
        }
    )


def _redirect_output(log: Path) -> int:
    """Send stdout and stderr to the log file; returns the old stdout, for the one line that goes there."""
    announce = os.dup(1)
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    return announce


def _say(announce: int, message: dict) -> None:
    os.write(announce, json.dumps(message).encode() + b"\n")
    os.close(announce)


def _refuse(reason: str, announce: int | None = None) -> int:
    """Report a failed start: one line of JSON, as for success, so that a harness can show it."""
    _say(os.dup(1) if announce is None else announce, {"ready": False, "error": reason})
    return 1


async def _serve(application, listener: socket.socket, announce: int, started: float) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    threading.Thread(target=_watch_stdin, args=(loop, ending), daemon=True, name="stdin").start()

    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.keep_alive_max_requests = sys.maxsize
    config.graceful_timeout = 0.1
    config.loglevel = "WARNING"

    serving = asyncio.create_task(serve(application, config, shutdown_trigger=ending.wait))
    await asyncio.wait({serving, asyncio.create_task(application.started.wait())}, return_when="FIRST_COMPLETED")
    if not serving.done():
        seconds = round(time.monotonic() - started, 3)
        _say(announce, {"ready": True, "port": port, "endpoint": f"http://{HOST}:{port}", "seconds": seconds})
        application.after_start()
    await serving


def _watch_stdin(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    """The cloud lives as long as whoever started it: a dead parent closes the pipe, however it died."""
    try:
        while os.read(0, 4096):
            pass
    except OSError as error:
        logger.warning("stdin cannot be read (%s): ending", error)
    loop.call_soon_threadsafe(ending.set)
