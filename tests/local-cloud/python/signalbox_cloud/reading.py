"""Reading machines and executions: as they are, or as of a while ago."""

import base64
import contextvars
import json
import time
from datetime import datetime
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions as upstream

from . import executions, patching
from .lookup import Response, find_execution, find_machine, invalid, no_such_execution

MAX_RESULTS = 1000
HISTORY_PAGE = 100
STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")

# How far behind the answers are in this request (a `stale` fault).
seconds_behind: contextvars.ContextVar[float] = contextvars.ContextVar("seconds_behind", default=0.0)


def apply() -> None:
    patching.replace(upstream, "_describe_execution", describe_execution, "c3ad294ad8b5")
    patching.replace(upstream, "_list_executions", list_executions, "741208b30077")
    patching.replace(upstream, "_get_execution_history", get_execution_history, "e865bdd85d5d")
    patching.replace(
        upstream, "_describe_state_machine_for_execution", describe_state_machine_for_execution, "a5ed57e041d7"
    )
    patching.replace(upstream, "_list_state_machines", list_state_machines, "56e9ddcdcffd")
    # For DescribeStateMachineForExecution, whose updateDate is that of the machine as the execution found it.
    patching.substitute(
        upstream,
        "_update_state_machine",
        (
            '    ts = now_iso()\n    response = {"updateDate": ts}\n',
            '    ts = sm["updateDate"] = now_iso()\n    response = {"updateDate": ts}\n',
        ),
    )


# The executions of each machine, in the order of their start. Looking for them among those of all accounts takes long.
_of_machine: dict[str, list[dict]] = {}


def remember(execution: dict) -> None:
    """Let ListExecutions find a new execution."""
    _of_machine.setdefault(execution["stateMachineArn"], []).append(execution)


def forget(machine_arn: str) -> list[dict]:
    """Let ListExecutions find no execution of a machine any more; returns those that it found."""
    return _of_machine.pop(machine_arn, [])


def executions_of(machine_arn: str) -> list[dict]:
    return _of_machine.get(machine_arn, [])[:]


def describe_execution(data: dict) -> Response:
    """DescribeExecution in AWS's shape: no output unless it succeeded, redriveCount, the version or alias it runs."""
    execution, failure = find_execution(data)
    if failure:
        return failure
    seen = _as_seen(execution)
    if seen is None:
        return no_such_execution(execution["executionArn"])
    redrive, reason = executions.redrive_status(seen["status"])
    result = {
        **_summary(seen),
        "input": seen["input"],
        "inputDetails": seen["inputDetails"],
        "redriveStatus": redrive,
        "redriveStatusReason": reason,
        "error": seen.get("error"),
        "cause": seen.get("cause"),
    }
    if seen["status"] == "SUCCEEDED":
        result.update(output=seen["output"], outputDetails=seen["outputDetails"])
    return json_response({key: value for key, value in result.items() if value is not None})


def list_executions(data: dict) -> Response:
    """ListExecutions with AWS's refusals; a version or an alias lists its own runs, a machine lists all of them.

    The emulator answers an empty list for a machine that does not exist, and lists nothing for versions and aliases.
    """
    arn, map_run_arn = data.get("stateMachineArn"), data.get("mapRunArn")
    status, max_results = data.get("statusFilter"), data.get("maxResults") or MAX_RESULTS
    if max_results > MAX_RESULTS:
        limit = f"Member must have value less than or equal to {MAX_RESULTS}"
        return invalid(f"Value '{max_results}' at 'maxResults'", limit)
    if status is not None and status not in STATUSES:
        allowed = f"Member must satisfy enum value set: [{', '.join(sorted(STATUSES))}]"
        return invalid(f"Value '{status}' at 'statusFilter'", allowed)
    if (arn is None) == (map_run_arn is None):
        message = "Exactly one of 'stateMachineArn' and 'mapRunArn' must be specified"
        return error_response_json("ValidationException", message, 400)
    if arn is not None:
        machine, failure = find_machine(arn)
        if failure:
            return failure
        if machine["type"] == "EXPRESS":
            message = "This operation is not supported by this type of state machine"
            return error_response_json("StateMachineTypeNotSupported", message, 400)
        if status == "PENDING_REDRIVE":
            message = "The statusFilter PENDING_REDRIVE is only supported with mapRunArn"
            return error_response_json("ValidationException", message, 400)
    elif map_run_arn not in upstream._map_runs:
        return error_response_json("ResourceNotFound", f"Resource not found: '{map_run_arn}'", 400)
    cursor = upstream._decode_execution_token(data["nextToken"]) if data.get("nextToken") else None
    if data.get("nextToken") and cursor is None:
        return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)

    by = "mapRunArn" if arn is None else _kind_of_machine_arn(arn)
    found = [
        seen
        for execution in (executions_of(machine["stateMachineArn"]) if arn else upstream._executions.values())
        if execution.get(by) == (arn or map_run_arn)
        and not execution.get("sync")
        and (seen := _as_seen(execution)) is not None
        and status in (None, seen["status"])
    ]
    found.sort(key=upstream._execution_sort_key, reverse=True)
    if cursor is not None:
        found = [execution for execution in found if upstream._execution_sort_key(execution) < cursor]
    page = found[:max_results]
    result: dict[str, Any] = {"executions": [_summary(execution) for execution in page]}
    if len(found) > max_results:
        result["nextToken"] = upstream._encode_execution_token(page[-1])
    return json_response(result)


def _kind_of_machine_arn(arn: str) -> str:
    if arn in upstream._state_machine_aliases:
        return "stateMachineAliasArn"
    return "stateMachineVersionArn" if arn in upstream._state_machine_versions else "stateMachineArn"


def _summary(execution: dict) -> dict:
    """What ListExecutions and DescribeExecution both show. Both have had redriveCount since redriving exists."""
    fields = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "mapRunArn")
    fields += ("stateMachineVersionArn", "stateMachineAliasArn", "redriveCount", "redriveDate")
    return {"redriveCount": 0} | {field: execution[field] for field in fields if execution.get(field) is not None}


def describe_state_machine_for_execution(data: dict) -> Response:
    """The machine as it was when the execution began, even if it was updated or deleted since."""
    execution, failure = find_execution(data)
    if failure:
        return failure
    if "_run" in execution:
        machine = executions.run_of(execution).machine
    else:
        machine = upstream._state_machines.get(execution["stateMachineArn"])
    if machine is None:
        arn = execution["stateMachineArn"]
        return error_response_json("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'", 400)
    fields = ("stateMachineArn", "name", "definition", "roleArn", "loggingConfiguration", "revisionId")
    result = {field: machine[field] for field in fields if field in machine}
    encryption = execution.get("encryptionConfiguration") or upstream._default_encryption()
    updated = machine.get("updateDate", machine["creationDate"])
    return json_response({**result, "updateDate": updated, "encryptionConfiguration": encryption})


def list_state_machines(data: dict) -> Response:
    """ListStateMachines with AWS's refusals.

    The emulator begins anew at a token that is none, and for ever if maxResults is 0. Its token is a number: a machine
    that is deleted between two pages takes another one with it.
    """
    max_results = data.get("maxResults") or MAX_RESULTS
    if not 0 < max_results <= MAX_RESULTS:
        bound = "greater than or equal to 0" if max_results < 0 else f"less than or equal to {MAX_RESULTS}"
        return invalid(f"Value '{max_results}' at 'maxResults'", f"Member must have value {bound}")
    fields = ("stateMachineArn", "name", "type", "creationDate")
    machines = [{field: machine[field] for field in fields} for machine in upstream._state_machines.values()]
    machines.sort(key=_machine_sort_key)
    if data.get("nextToken"):
        try:
            cursor = tuple(json.loads(base64.b64decode(data["nextToken"], validate=True)))
            machines = [machine for machine in machines if _machine_sort_key(machine) > cursor]
        except (ValueError, TypeError):
            return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
    page = machines[:max_results]
    result: dict[str, Any] = {"stateMachines": page}
    if len(machines) > max_results:
        result["nextToken"] = base64.b64encode(json.dumps(_machine_sort_key(page[-1])).encode()).decode()
    return json_response(result)


def _machine_sort_key(machine: dict) -> tuple[str, str]:
    return machine["creationDate"], machine["stateMachineArn"]


def get_execution_history(data: dict) -> Response:
    """GetExecutionHistory, of which a page stays what it was when the first one was read.

    Without its data, an event has neither input nor output, no parameters, and no assigned variables; error and cause
    are no data.
    """
    execution, failure = find_execution(data)
    if failure:
        return failure
    limit = data.get("maxResults") or HISTORY_PAGE
    if not 0 < limit <= MAX_RESULTS:
        bound = "greater than or equal to 0" if limit < 0 else f"less than or equal to {MAX_RESULTS}"
        return invalid(f"Value '{limit}' at 'maxResults'", f"Member must have value {bound}")
    backwards, with_data = data.get("reverseOrder", False), data.get("includeExecutionData", True)
    kind = [execution["executionArn"], limit, backwards, with_data]
    start, events = 0, _events_as_seen(execution)
    if data.get("nextToken"):
        try:
            *asked, start, count = json.loads(base64.b64decode(data["nextToken"], validate=True))
        except ValueError:
            asked = None
        if asked != kind:
            return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
        events = execution["events"][:count]
    count = len(events)
    page = (events[::-1] if backwards else events)[start : start + limit]
    result: dict[str, Any] = {"events": page if with_data else [_without_data(event) for event in page]}
    if start + limit < count:
        result["nextToken"] = base64.b64encode(json.dumps([*kind, start + limit, count]).encode()).decode()
    return json_response(result)


def _events_as_seen(execution: dict) -> list[dict]:
    moment = time.time() - seconds_behind.get()
    if seconds_behind.get():
        return [event for event in execution["events"] if _epoch(event["timestamp"]) <= moment]
    return execution["events"][:]


def _without_data(event: dict) -> dict:
    hidden = ("input", "output", "parameters", "assignedVariables", "assignedVariablesDetails")
    return {
        name: {key: each for key, each in value.items() if key not in hidden} if isinstance(value, dict) else value
        for name, value in event.items()
    }


def _as_seen(execution: dict) -> dict | None:
    """The execution as a `stale` answer shows it: None if it had not begun, with the status it had then."""
    behind = seconds_behind.get()
    if not behind or "_run" not in execution:
        return execution
    return executions.as_of(execution, time.time() - behind)


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
