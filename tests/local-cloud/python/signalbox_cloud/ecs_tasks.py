"""A task of ECS from its placement to its end, and the event of each change."""

import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ecs as upstream
from ministack.services import eventbridge

from . import ecs_settings, ecs_shapes, faults
from .ecs_containers import Container, StartFailed
from .ecs_processes import ecs_clock

logger = logging.getLogger("signalbox_cloud.ecs")

# AWS's reason for each stop code, if none is given.
REASONS = {
    "EssentialContainerExited": "Essential container in task exited",
    "UserInitiated": "Task stopped by user",
    "SpotInterruption": "Your Spot Task was interrupted.",
    "TerminationNotice": "Your Spot Task was interrupted.",
    "InfrastructureHealth": "The infrastructure that your task was running on has become unhealthy.",
}
# AWS: a stopped task can be described for an hour at least.
SECONDS_DESCRIBED = 3600


class Task:
    """A task. What changes it holds its lock, also while it tells of the change, so that events are in order."""

    def __init__(self, record: dict, containers: list[Container], subnets: list[str] | None, role_arn: str) -> None:
        """`subnets` are those of a task in the network mode `awsvpc`; None in another."""
        self.record, self.containers = record, containers
        self._account, self._region = get_account_id(), get_region()
        self._role_arn = role_arn
        self._interface = None if subnets is None else ecs_shapes.Interface(self._region, subnets)
        self._lock = threading.RLock()
        self._stopping = False
        # Set at the end, for whoever waits for it.
        self.stopped = threading.Event()
        record["_task"] = self

    @property
    def arn(self) -> str:
        return self.record["taskArn"]

    def pids(self) -> dict[str, int]:
        """The first process of each container that runs."""
        return {each.record["name"]: each.process.pid for each in self.containers if each.process and not each.ended}

    def visible(self) -> bool:
        return time.time() - self.record.get("stoppedAt", float("inf")) < SECONDS_DESCRIBED

    # -----------------------------------------------------------------------------------------------------------------
    # The way up
    # -----------------------------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """AWS: only a task that gets a network interface of its own is PROVISIONING first."""
        seconds = ecs_settings.of_account(self._account).startSeconds
        with self._lock:
            if self._interface is None:
                self._pend()
                self._after(seconds, self._queue)
            else:
                self.record["attachments"] = self._interface.shown("PRECREATED")
                self._tell()
                self._after(seconds / 2, self._leave_provisioning)

    def _leave_provisioning(self) -> None:
        if self._stopping:
            return
        self.record["attachments"] = self._interface.shown("ATTACHED")
        for container in self.containers:
            container.record["networkInterfaces"] = [
                {"attachmentId": self._interface.attachment, "privateIpv4Address": self._interface.address}
            ]
        self.record["version"] += 1
        self._pend()
        self._after(ecs_settings.of_account(self._account).startSeconds / 2, self._queue)

    def _pend(self) -> None:
        self.record["lastStatus"] = "PENDING"
        self._tell()
        # As recorded: it is connected by then, and the event does not say so.
        self.record.update(connectivity="CONNECTED", connectivityAt=time.time())

    def _queue(self) -> None:
        starter.put(self)

    def start(self) -> None:
        """Start the containers. Called by the starter."""
        with self._lock, request_scope(self._account, self._region):
            if self._stopping:
                return
            if fault := faults.start_failure(self._account, json.dumps(_without_task(self.record))):
                self._fail(fault.reason, fault.container_reason, fault.containers)
                return
            failing = None
            began = time.time()
            try:
                for failing in self.containers:
                    failing.pull()
                # As recorded: a task whose images cannot be pulled knows neither of these dates.
                self.record.update(pullStartedAt=began, pullStoppedAt=time.time())
                for failing in self.containers:
                    failing.record["imageDigest"] = ecs_shapes.digest_of(failing.record["image"])
                    failing.start(self.arn, self._role_arn, self._ender(failing))
                    failing.record["runtimeId"] = f"{self.arn.rpartition('/')[2]}-{uuid.uuid4().int % 10**10}"
                    failing.record["lastStatus"] = "RUNNING"
            except StartFailed as failure:
                failing.record["reason"] = str(failure)
                self._fail(str(failure))
                return
            self.record.update(lastStatus="RUNNING", startedAt=time.time())
            self._changed()

    def _fail(self, reason: str, container_reason: str | None = None, containers: bool = True) -> None:
        """The end of a task that does not start. AWS sometimes says nothing at all of its containers."""
        if container_reason is not None and self.containers:
            self.containers[0].record["reason"] = container_reason
        if not containers:
            self.record["containers"] = []
        self._stopping = True
        self.record.update(stopCode="TaskFailedToStart", stoppedReason=reason, desiredStatus="STOPPED")
        for container in self.containers:
            container.kill()
        self._deprovision_if_over()

    # -----------------------------------------------------------------------------------------------------------------
    # The way down
    # -----------------------------------------------------------------------------------------------------------------

    def stop(self, stop_code: str, reason: str | None = None) -> dict:
        """Stop the task, as StopTask does, or as AWS does of its own accord; returns it as it is then.

        AWS: the wish to stop it is a change by itself, with an event that still says RUNNING. That is the warning of
        an interruption on Fargate Spot. Nothing happens to a task that stops already.
        """
        with self._lock, request_scope(self._account, self._region):
            if self._stopping:
                return self.described()
            self._stopping = True
            self.record.update(
                desiredStatus="STOPPED",
                stopCode=stop_code,
                stoppedReason=reason or REASONS.get(stop_code, stop_code),
                stoppingAt=time.time(),
            )
            self._changed()
            for container in self.containers:
                container.stop()
            self._after(0, self._deprovision_if_over)
            return self.described()

    def kill(self, container_name: str, number: int, reason: str | None) -> bool:
        """Kill a container from outside, as the kernel does when memory is short."""
        with self._lock:
            for container in self.containers:
                if container.record["name"] == container_name and container.process and not container.ended:
                    if reason is not None:
                        container.record["reason"] = reason
                    return container.process.signal(number)
        return False

    def _ender(self, container: Container) -> Callable[[int], None]:
        return lambda code: self._after(0, lambda: self._container_ended(container, code))

    def _container_ended(self, container: Container, code: int) -> None:
        container.ended = True
        container.record.update(lastStatus="STOPPED", exitCode=code)
        if self._stopping:
            self._deprovision_if_over()
        elif container.essential or all(each.ended for each in self.containers):
            # As recorded: there is no event before that of the end of all containers.
            self._stopping = True
            stop_code = "EssentialContainerExited"
            self.record.update(stopCode=stop_code, stoppedReason=REASONS[stop_code], desiredStatus="STOPPED")
            for each in self.containers:
                each.stop()
            self._deprovision_if_over()
        else:
            self._changed()

    def _deprovision_if_over(self) -> None:
        if any(each.process and not each.ended for each in self.containers) or "executionStoppedAt" in self.record:
            return
        now = time.time()
        self.record["executionStoppedAt"] = now
        self.record.setdefault("stoppingAt", now)
        for container in self.containers:
            container.record["lastStatus"] = "STOPPED"
        if self._interface is None:
            self._end()
        else:
            self.record["lastStatus"] = "DEPROVISIONING"
            self._changed()
            self._after(ecs_settings.of_account(self._account).deprovisioningSeconds, self._end)

    def _end(self) -> None:
        if self._interface is not None:
            self.record["attachments"] = self._interface.shown("DELETED")
        self.record.update(lastStatus="STOPPED", stoppedAt=time.time())
        self._changed()
        self.stopped.set()
        for container in self.containers:
            container.clear()

    # -----------------------------------------------------------------------------------------------------------------
    # Changes
    # -----------------------------------------------------------------------------------------------------------------

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        def locked() -> None:
            with self._lock, request_scope(self._account, self._region):
                call()

        ecs_clock.after(seconds, locked)

    def _changed(self) -> None:
        self.record["version"] += 1
        self._tell()

    def _tell(self) -> None:
        """Tell EventBridge of a change."""
        detail = json.dumps(ecs_shapes.as_event(self.record))
        entry = {"Source": "aws.ecs", "DetailType": "ECS Task State Change", "Detail": detail, "Resources": [self.arn]}
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    def described(self) -> dict:
        with self._lock:
            return ecs_shapes.as_described(self.record)


def _without_task(record: dict) -> dict:
    return {name: value for name, value in record.items() if name != "_task"}


class Starter:
    """Starts tasks one after the other, in one thread: the others wait in PENDING, and functions can start between."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, task: Task) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="ecs-starter")
                self._thread.start()
        self._queue.put(task)

    def _serve(self) -> None:
        while True:
            task = self._queue.get()
            try:
                task.start()
            except Exception:
                logger.exception("%s did not start", task.arn)


starter = Starter()


def find(reference: str, cluster_name: str) -> Task | None:
    """A task by its ARN or its id, in a cluster."""
    arn = reference
    if not reference.startswith("arn:"):
        arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:task/{cluster_name}/{reference}"
    record = upstream._tasks.get(arn)
    if record is None or record["clusterArn"].rpartition("/")[2] != cluster_name:
        return None
    return record["_task"]


def of_account(account: str) -> list[Task]:
    """Every task that an account has had, oldest first."""
    return [record["_task"] for (owner, _region, _arn), record in upstream._tasks.all_items() if owner == account]
