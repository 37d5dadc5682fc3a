"""What the history says of an attempt of a Task state."""

from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_region
from ministack.services import stepfunctions as upstream

from . import executions
from .executions import Branch, add_event

INTEGRATION = "arn:aws:states:::"
CALLBACK = ".waitForTaskToken"

Failure = upstream._ExecutionError


class TimedOut(Failure):
    """An attempt that took too long, or went without a heartbeat for too long.

    AWS: both are States.Timeout in the history and have no cause; a Retry or a Catch can tell a missing heartbeat by
    States.HeartbeatTimeout. What `Error` a caught heartbeat timeout has is not documented: States.Timeout here, as
    in the history.
    """

    def __init__(self, heartbeat: bool = False) -> None:
        super().__init__("States.Timeout", "")
        self.heartbeat = heartbeat


@dataclass
class Limits:
    """TimeoutSeconds and HeartbeatSeconds of an attempt, from its start. Real seconds, whatever Wait states take."""

    timeout: float | None = None
    heartbeat: float | None = None


def error_and_cause(failure: Exception) -> dict:
    """What the events say of a failure; AWS leaves out what is not given."""
    return {name: value for name, value in (("error", failure.error), ("cause", failure.cause)) if value}


def ends_execution(failure: Exception) -> bool:
    """Whether it is States.Runtime, and not what a task or a Fail state calls so.

    AWS: "States.Runtime errors aren't retriable, and will always cause the execution to fail. A Retry or Catch on
    States.ALL won't catch States.Runtime errors." As recorded, ExecutionFailed follows at once, also from within a
    Parallel or Map state.
    """
    return failure.error == "States.Runtime" and not hasattr(failure, "reported")


def explain(branch: Branch, name: str, failure: Exception) -> None:
    """Tell of the state that could not be run, or whose expression could not be evaluated: once, the innermost.

    As recorded: the cause tells of the state, also in what follows, and the event of a Pass or a Map state that came
    no further follows what its Entered event follows.
    """
    if hasattr(failure, "state") or not (ends_execution(failure) or failure.error == "States.QueryEvaluationError"):
        return
    failure.state = name
    entered = branch.entered_event
    failure.cause = (
        f"An error occurred while executing the state '{name}' (entered at the event id #{entered}). {failure.cause}"
    )
    if ends_execution(failure):
        return
    follows = branch.previous
    if branch.state_type in ("Pass", "Map") and follows == entered:
        follows = branch.execution["events"][entered - 1]["previousEventId"]
    details = {**error_and_cause(failure), "state": name}
    add_event(branch, "EvaluationFailed", {"evaluationFailedEventDetails": details}, follows=follows)


@dataclass
class Events:
    """The events of an attempt, which are of three families: of integrations, of functions, and of activities."""

    resource: str

    def add(self, branch: Branch, what: str, details: dict) -> None:
        name = f"{self.family[0].lower()}{self.family[1:]}{what}EventDetails"
        add_event(branch, f"{self.family}{what}", {name: details})

    def scheduled(self, branch: Branch, parameters: Any, limits: Limits) -> None:
        details = {"resource": self.resource, **executions.with_data("input", parameters)}
        self.add(branch, "Scheduled", details | self._seconds(limits))

    def started(self, branch: Branch) -> None:
        add_event(branch, f"{self.family}Started")

    def submitted(self, branch: Branch, result: Any) -> None:
        """Only a Task of an integration is submitted."""

    def succeeded(self, branch: Branch, result: Any) -> None:
        self.add(branch, "Succeeded", executions.with_data("output", result))

    def failed(self, branch: Branch, failure: Exception) -> None:
        self.add(branch, "Failed", error_and_cause(failure))

    def timed_out(self, branch: Branch, failure: Exception) -> None:
        self.add(branch, "TimedOut", error_and_cause(failure))

    @staticmethod
    def _seconds(limits: Limits) -> dict:
        named = (("timeoutInSeconds", limits.timeout), ("heartbeatInSeconds", limits.heartbeat))
        return {name: seconds for name, seconds in named if seconds is not None}


class FunctionEvents(Events):
    family = "LambdaFunction"


class ActivityEvents(Events):
    family = "Activity"


class IntegrationEvents(Events):
    family = "Task"

    @property
    def _what(self) -> dict:
        # arn:aws:states:::sqs:sendMessage.waitForTaskToken: `sqs` and `sendMessage.waitForTaskToken`.
        kind, _, action = self.resource.removeprefix(INTEGRATION).rpartition(":")
        return {"resourceType": kind, "resource": action}

    def scheduled(self, branch: Branch, parameters: Any, limits: Limits) -> None:
        details = {**self._what, "region": get_region(), "parameters": executions.compact(parameters)}
        self.add(branch, "Scheduled", details | self._seconds(limits))

    def started(self, branch: Branch) -> None:
        self.add(branch, "Started", self._what)

    def submitted(self, branch: Branch, result: Any) -> None:
        self.add(branch, "Submitted", self._what | executions.with_data("output", result))

    def succeeded(self, branch: Branch, result: Any) -> None:
        self.add(branch, "Succeeded", self._what | executions.with_data("output", result))

    def failed(self, branch: Branch, failure: Exception) -> None:
        self.add(branch, "Failed", self._what | error_and_cause(failure))

    def timed_out(self, branch: Branch, failure: Exception) -> None:
        self.add(branch, "TimedOut", self._what | error_and_cause(failure))


def events_of(resource: str) -> Events:
    if ":activity:" in resource:
        return ActivityEvents(resource)
    return IntegrationEvents(resource) if resource.startswith(INTEGRATION) else FunctionEvents(resource)
