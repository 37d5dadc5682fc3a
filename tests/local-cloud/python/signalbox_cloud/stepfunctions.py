"""Starting and stopping executions as AWS does, where the emulator differs.

The wording of errors, and the order in which StartExecution checks its arguments, are AWS's own where that is known
from AWS's documentation or from published measurements.
"""

import contextvars
import json
import re
import threading

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid, now_iso
from ministack.services import stepfunctions as upstream

from . import executions, patching, reading
from .lookup import Response, deleting, find_execution, find_machine, invalid

MAX_INPUT_BYTES = 262_144
MAX_NAME_LENGTH = 80
MAX_ERROR_LENGTH = 256
MAX_CAUSE_LENGTH = 32_768
THREAD_PREFIX = "execution-"
# White space, brackets, wildcards, special and control characters, as the API reference of StartExecution lists them.
ILLEGAL_IN_NAME = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\u0000-\u001f\u007f-\u009f\ufffe\uffff\ud800-\udfff]""")


def apply() -> None:
    patching.replace(upstream, "_start_execution", start_execution, "9923282fc76c")
    patching.replace(upstream, "_stop_execution", stop_execution, "44d2d84ccd5c")


def start_execution(data: dict) -> Response:
    """StartExecution with AWS's checks, in AWS's order, and with its idempotency.

    The emulator takes any name and any input, and refuses the repetition of a name even while AWS answers it: the
    same name with the same input, as long as the execution runs, is the same execution.
    """
    name, input_text = data.get("name"), data.get("input", "{}")
    if data.get("stateMachineArn") is None:
        return invalid("Value null at 'stateMachineArn'", "Member must not be null")
    if name is not None and len(name) > MAX_NAME_LENGTH:
        return invalid(f"Value '{name}' at 'name'", f"Member must have length less than or equal to {MAX_NAME_LENGTH}")
    if len(input_text.encode("utf-8", "surrogatepass")) > MAX_INPUT_BYTES:
        limit = f"Member must have size less than or equal to {MAX_INPUT_BYTES} bytes in UTF-8 encoding"
        return invalid("Value at 'input'", limit)
    machine, failure = find_machine(data["stateMachineArn"])
    if failure:
        return failure
    if name is not None and (not name or ILLEGAL_IN_NAME.search(name)):
        return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    try:
        json.loads(input_text)
    except ValueError as error:
        message = f"Invalid State Machine Execution Input: '{error}'"
        return error_response_json("InvalidExecutionInput", message, 400)

    name = name or new_uuid()
    express = machine["type"] == "EXPRESS"
    kind, suffix = ("express", f":{new_uuid()}") if express else ("execution", "")
    arn = f"arn:aws:states:{get_region()}:{get_account_id()}:{kind}:{machine['name']}:{name}{suffix}"
    existing = upstream._executions.get(arn)
    if existing is not None:
        if existing["status"] == "RUNNING" and existing["input"] == input_text:
            return json_response({"executionArn": arn, "startDate": existing["startDate"]})
        return error_response_json("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'", 400)

    execution = _new_execution(arn, name, input_text, machine)
    if express:
        # As for StartSyncExecution: an express execution emits no status events.
        execution["sync"] = True
    run = executions.begin(execution, machine)
    with run.publishing:
        with executions.lock:
            if failure := deleting(machine["stateMachineArn"]):
                return failure
            upstream._executions[arn] = execution
            reading.remember(execution)
        upstream._emit_execution_status_event(execution)
    run_in_thread(execution)
    return json_response({"executionArn": arn, "startDate": execution["startDate"]})


def run_in_thread(execution: dict) -> None:
    """Run an execution, or go on with it. It waits in its thread, which costs no time of the processor."""
    context = contextvars.copy_context()
    # An execution that another one starts (without .sync) is no part of it.
    context.run(executions.current.set, None)
    arguments = (upstream._run_execution, execution["executionArn"])
    thread = threading.Thread(target=context.run, args=arguments, daemon=True)
    thread.name = f"{THREAD_PREFIX}{execution['name']}"
    thread.start()


def running_threads() -> int:
    """How many executions have a thread: those that run, and those that have not noticed yet that they are over."""
    return sum(thread.name.startswith(THREAD_PREFIX) for thread in threading.enumerate())


def _new_execution(arn: str, name: str, input_text: str, machine: dict) -> dict:
    start_date = now_iso()
    started = {"input": input_text, "inputDetails": {"truncated": False}, "roleArn": machine["roleArn"]}
    execution = {
        "executionArn": arn,
        "stateMachineArn": machine["stateMachineArn"],
        "name": name,
        "status": "RUNNING",
        "startDate": start_date,
        "stopDate": None,
        "input": input_text,
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": {"included": True},
        "testCase": "",
        "mockAttempts": {},
        "encryptionConfiguration": machine.get("encryptionConfiguration") or upstream._default_encryption(),
        "redriveCount": 0,
    }
    for field in ("stateMachineVersionArn", "stateMachineAliasArn"):
        if machine[field]:
            execution[field] = started[field] = machine[field]
    event = {"timestamp": start_date, "type": "ExecutionStarted", "id": 1, "previousEventId": 0}
    execution["events"] = [event | {"executionStartedEventDetails": started}]
    return execution


def stop_execution(data: dict) -> Response:
    """StopExecution: the abort stays, and carries error and cause."""
    for field, limit in (("error", MAX_ERROR_LENGTH), ("cause", MAX_CAUSE_LENGTH)):
        if len(data.get(field) or "") > limit:
            return invalid(f"Value at '{field}'", f"Member must have length less than or equal to {limit}")
    execution, failure = find_execution(data)
    if failure:
        return failure
    error, cause = data.get("error"), data.get("cause")
    details = {"executionAbortedEventDetails": {k: v for k, v in (("error", error), ("cause", cause)) if v is not None}}
    # The API reference lists no error for an execution that has ended: it stays as it is.
    branch = executions.run_of(execution).branch
    executions.end(branch, "ABORTED", "ExecutionAborted", details, error=error, cause=cause)
    return json_response({"stopDate": execution["stopDate"]})
