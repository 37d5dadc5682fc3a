"""The containers of a task: what they run, with what in their environment, and why they do not start."""

import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs as upstream
from ministack.services import sts

from . import ecs_logs, ecs_settings
from .ecs_processes import Process, ecs_clock

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# AWS: the time between SIGTERM and SIGKILL, if the container's definition has no `stopTimeout`.
STOP_TIMEOUT = 30
# Removes the files of containers, which takes longer than anything else that is done for them.
_sweeper = ThreadPoolExecutor(1, "container-files")


class StartFailed(Exception):
    """A container that does not start; the message is AWS's reason."""


def cannot_pull(image: str) -> str:
    """Why an image that is not there does not start, as recorded for one of Docker Hub."""
    name = ecs_settings.with_tag(image)
    first, slash, _rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    return (
        f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {name}: pull "
        "access denied, repository does not exist or may require authorization: server message: insufficient_scope: "
        "authorization failed"
    )


def cannot_start(program: str, error: OSError) -> str:
    what = "no such file or directory" if isinstance(error, FileNotFoundError) else "permission denied"
    where = f"stat {program}: {what}" if "/" in program else "executable file not found in $PATH"
    return (
        "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: failed "
        "to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "
        f'"{program}": {where}: unknown'
    )


class Container:
    """A container: its record in the task, and its process."""

    def __init__(self, definition: dict, override: dict, record: dict, essential: bool) -> None:
        self.definition, self.override, self.record, self.essential = definition, override, record, essential
        self.process: Process | None = None
        self.ended = False
        self._folder = ""

    def pull(self) -> ecs_settings.Image:
        image = ecs_settings.find_image(get_account_id(), self.definition["image"])
        if image is None:
            raise StartFailed(cannot_pull(self.definition["image"]))
        return image

    def start(self, task_arn: str, role_arn: str, ended: Callable[[int], None]) -> None:
        image = self.pull()
        arguments = self._arguments(image)
        if not arguments:
            raise StartFailed("CannotCreateContainerError: Error response from daemon: no command specified")
        try:
            output = ecs_logs.output_of(self.definition, task_arn.rpartition("/")[2])
            secrets = upstream._resolve_container_secrets(self.definition)
        except ecs_logs.NoLog as error:
            raise StartFailed(str(error)) from error
        except upstream._SecretResolutionError as error:
            raise StartFailed(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
                f"failed: {error}"
            ) from error
        self._folder = tempfile.mkdtemp(prefix="container-")
        environment = {
            "PATH": PATH,
            "HOME": self._folder,
            # In a container of docker, /tmp goes with the container.
            "TMPDIR": self._folder,
            **_for_aws(task_arn, role_arn),
            **image.environment,
            **_pairs(self.definition),
            **secrets,
            **_pairs(self.override),
        }
        try:
            self.process = Process(arguments, environment, self._folder, output, ended)
        except OSError as error:
            raise StartFailed(cannot_start(arguments[0], error)) from error

    def _arguments(self, image: ecs_settings.Image) -> list[str]:
        """As docker has it: another ENTRYPOINT makes the image's CMD void, another CMD leaves the ENTRYPOINT."""
        command = self.override.get("command") or self.definition.get("command")
        if self.definition.get("entryPoint"):
            return [*self.definition["entryPoint"], *(command or [])]
        return [*image.entrypoint, *(command or image.command)]

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left after a while."""
        process = self.process
        if process is None or not process.signal(signal.SIGTERM):
            return
        longest = ecs_settings.of_account(get_account_id()).stopTimeoutSeconds
        seconds = min(self.definition.get("stopTimeout", STOP_TIMEOUT), longest)
        ecs_clock.after(seconds, lambda: process.signal(signal.SIGKILL))

    def kill(self) -> None:
        if self.process is not None:
            self.process.signal(signal.SIGKILL)

    def clear(self) -> None:
        """Remove its files."""
        if self._folder:
            _sweeper.submit(shutil.rmtree, self._folder, ignore_errors=True)


def _pairs(definition: dict) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in definition.get("environment") or []}


def _for_aws(task_arn: str, role_arn: str) -> dict[str, str]:
    """What leads the AWS SDK in a container to the local cloud, as the role of its task if it has one.

    On AWS an SDK gets the role's credentials from an endpoint that a variable names.
    """
    environment = {
        "AWS_REGION": get_region(),
        "AWS_DEFAULT_REGION": get_region(),
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
    }
    if role_arn:
        environment |= _session(task_arn, role_arn)
    return environment


def _session(task_arn: str, role_arn: str) -> dict[str, str]:
    digest = hashlib.sha256(f"{task_arn}:{role_arn}".encode()).hexdigest()
    role, name = role_arn.rpartition("/")[2], task_arn.rpartition("/")[2]
    access_key = f"ASIA{digest[:16].upper()}"
    session = {
        "Arn": f"arn:aws:sts::{role_arn.split(':')[4]}:assumed-role/{role}/{name}",
        "UserId": f"{role}:{name}",
        "SecretAccessKey": hashlib.sha256(f"secret:{digest}".encode()).hexdigest(),
        "SessionToken": hashlib.sha256(f"token:{digest}".encode()).hexdigest(),
    }
    sts.register_session(access_key, session)
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }
