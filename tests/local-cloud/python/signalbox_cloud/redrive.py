"""RedriveExecution: an execution goes on where it failed, timed out or was stopped."""

import time

from ministack.core.responses import error_response_json, json_response, now_iso
from ministack.services import stepfunctions as upstream

from . import executions, patching, usage
from .executions import Branch
from .lookup import Response, find_execution, is_doomed
from .stepfunctions import run_in_thread

# AWS: an execution with 24,999 events has no room for ExecutionRedriven and another.
MAX_EVENTS = 24_999
# AWS: "idempotent responses for the last 10 client tokens", each for 15 minutes.
CLIENT_TOKENS = 10
CLIENT_TOKEN_SECONDS = 900


def apply() -> None:
    # The emulator does not know the call.
    patching.provide(upstream, _redrive_execution=redrive_execution)
    patching.substitute(
        upstream,
        "handle_request",
        (
            '        "StopExecution": _stop_execution,\n',
            '        "StopExecution": _stop_execution,\n        "RedriveExecution": _redrive_execution,\n',
        ),
    )


def redrive_execution(data: dict) -> Response:
    """Continue an unsuccessful execution, with the input and the variables of the top-level state it ended in.

    AWS: the ARN, the definition and the history stay; the state is run again as if entered for the first time, with
    its retries counted from zero, and so is the machine's TimeoutSeconds. "For workflows that include an Inline Map or
    Parallel state, RedriveExecution API action reschedules and redrives only the iterations and branches that failed or
    aborted", and within these it is the same: see `containers`.
    """
    execution, failure = find_execution(data, ("execution", "express"))
    if failure:
        return failure
    token, run = data.get("clientToken"), executions.run_of(execution)
    with run.publishing:
        answered = run.redrives.get(token)
        if answered is not None and time.time() - answered[0] < CLIENT_TOKEN_SECONDS:
            return json_response({"redriveDate": answered[1]})
        if reason := _why_not(execution, run):
            return error_response_json("ExecutionNotRedrivable", f"Execution Not Redrivable: '{reason}'", 400)
        date, count = now_iso(), execution["redriveCount"] + 1
        run.branch = Branch(execution, track=run.branch.track)
        details = {"executionRedrivenEventDetails": {"redriveCount": count}}
        ended = {"stopDate": None, "output": None, "error": None, "cause": None}
        executions.change(
            execution,
            run.branch,
            ("ExecutionRedriven", details, 0),
            expected=False,
            **ended,
            status="RUNNING",
            redriveCount=count,
            redriveDate=date,
        )
        run.redrives[token or date] = (time.time(), date)
        for old in list(run.redrives)[:-CLIENT_TOKENS]:
            del run.redrives[old]
        usage.transition(execution)
        run_in_thread(execution)
    return json_response({"redriveDate": date})


def _why_not(execution: dict, run: executions.Run) -> str | None:
    if run.machine.get("type") == "EXPRESS":
        return "Execution is of an EXPRESS state machine and cannot be redriven"
    if is_doomed(execution["stateMachineArn"]):
        return "State machine is being deleted"
    if len(execution["events"]) >= MAX_EVENTS:
        return "Execution history event limit exceeded"
    return executions.redrive_status(execution["status"])[1]
