"""Step Functions as AWS runs it, where the emulator differs.

The wording of errors, and the order in which StartExecution checks its arguments, are AWS's own where that is known
from AWS's documentation or from published measurements.
"""

import contextvars
import copy
import json
import re
import threading
import time
from datetime import datetime
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid, now_iso
from ministack.services import stepfunctions as upstream

from . import iam, patching

MAX_INPUT_BYTES = 262_144
MAX_NAME_LENGTH = 80
MAX_ERROR_LENGTH = 256
MAX_CAUSE_LENGTH = 32_768
MAX_RESULTS = 1000
THREAD_PREFIX = "execution-"
STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
# White space, brackets, wildcards, special and control characters, as the API reference of StartExecution lists them.
ILLEGAL_IN_NAME = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\u0000-\u001f\u007f-\u009f\ufffe\uffff\ud800-\udfff]""")

Response = tuple[int, dict, bytes]


class ExecutionStopped(SystemExit):
    """Unwinds the thread of an execution that is over.

    A SystemExit, because the emulator's `except Exception` must not take it for the failure of a state, and because
    a thread that ends with it ends quietly.
    """


# The execution whose end the current thread has to notice: the outermost one, where executions are nested (.sync).
_execution: contextvars.ContextVar[dict | None] = contextvars.ContextVar("execution", default=None)
# The role of the state machine that the current thread runs.
_role_arn: contextvars.ContextVar[str] = contextvars.ContextVar("role_arn", default="")
# How far behind the answers of DescribeExecution and ListExecutions are in this request (a `stale` fault).
seconds_behind: contextvars.ContextVar[float] = contextvars.ContextVar("seconds_behind", default=0.0)

# Guards the status and the history of every execution.
_lock = threading.Lock()


def apply() -> None:
    patching.replace(upstream, "_start_execution", start_execution, "9923282fc76c")
    patching.replace(upstream, "_stop_execution", stop_execution, "44d2d84ccd5c")
    patching.replace(upstream, "_describe_execution", describe_execution, "c3ad294ad8b5")
    patching.replace(upstream, "_list_executions", list_executions, "741208b30077")
    patching.replace(upstream, "_delete_state_machine", delete_state_machine, "bcbc7c7e5bea")
    patching.replace(
        upstream, "_describe_state_machine_for_execution", describe_state_machine_for_execution, "a5ed57e041d7"
    )
    patching.replace(upstream, "_add_event", add_event, "b1db143ccd21")
    patching.replace(upstream, "_fail_execution", fail_execution, "e6da895fa0b7")
    patching.replace(upstream, "_scaled_sleep", scaled_sleep, "5ed19df2efa9")
    patching.replace(upstream, "_call_lambda", call_lambda, "25830369b126")
    patching.provide(
        upstream,
        _succeed_execution=succeed_execution,
        _wait_for_callback=wait_for_callback,
        _invoke_lambda_integration=invoke_lambda_integration,
        _redrive_status=redrive_status,
    )
    _patch_run()
    _patch_callbacks()
    _patch_lambda_integration()
    _patch_status_event()


# ---------------------------------------------------------------------------------------------------------------------
# Running and ending
# ---------------------------------------------------------------------------------------------------------------------


def _patch_run() -> None:
    # The definition is the one the execution began with: the emulator reads the machine's current one, fails the
    # execution if the machine is gone by then, and waits 0.15 s before it starts, which AWS has no equivalent of.
    # Success goes through one place with every other end, so that it cannot overwrite an abort.
    run = patching.substitute(
        upstream,
        "_run_execution",
        (
            '    time.sleep(0.15)\n\n    sm = _state_machines.get(execution["stateMachineArn"])\n',
            '    sm = execution.get("_machine") or _state_machines.get(execution["stateMachineArn"])\n',
        ),
        (
            """\
            output_json = json.dumps(current_input)
            execution["status"] = "SUCCEEDED"
            execution["output"] = output_json
            execution["stopDate"] = now_iso()
            _add_event(execution, "ExecutionSucceeded", {
                "executionSucceededEventDetails": {"output": output_json},
            })
            _emit_execution_status_event(execution)
""",
            "            _succeed_execution(execution, json.dumps(current_input))\n",
        ),
    )

    def run_execution(execution_arn: str) -> None:
        """Run with the context that stopping and authorization need."""
        execution = upstream._executions.get(execution_arn)
        if execution is None:
            return
        machine = execution.get("_machine") or upstream._state_machines.get(execution["stateMachineArn"]) or {}
        role_token = _role_arn.set(machine.get("roleArn", ""))
        nested = _execution.get() is not None
        execution_token = None if nested else _execution.set(execution)
        try:
            run(execution_arn)
        except ExecutionStopped:
            if nested:
                _end(execution, "ABORTED", "ExecutionAborted", {"executionAbortedEventDetails": {}})
                raise
        finally:
            _role_arn.reset(role_token)
            if execution_token is not None:
                _execution.reset(execution_token)

    upstream._run_execution = run_execution


def _end(execution: dict, status: str, event_type: str, details: dict, **fields: Any) -> bool:
    """End a running execution: the one place that does.

    AWS: an execution ends once. In the emulator a task that fails or times out after StopExecution turns ABORTED
    into FAILED and sends a second status event.
    """
    with _lock:
        if execution["status"] != "RUNNING":
            return False
        execution.update(fields, status=status, stopDate=now_iso())
        _append_event(execution, event_type, details)
    if "_ended" in execution:
        execution["_ended"].set()
        for token, answered in list(execution["_waiting"].items()):
            upstream._task_tokens.pop(token, None)
            answered.set()
    upstream._emit_execution_status_event(execution)
    return True


def succeed_execution(execution: dict, output: str) -> None:
    details = {"executionSucceededEventDetails": {"output": output}}
    _end(execution, "SUCCEEDED", "ExecutionSucceeded", details, output=output)


def fail_execution(execution: dict, error: str, cause: str) -> None:
    details = {"executionFailedEventDetails": {"error": error, "cause": cause}}
    # A nested .sync execution's failure is read from its output, which DescribeExecution does not show.
    output = json.dumps({"Error": error, "Cause": cause})
    _end(execution, "FAILED", "ExecutionFailed", details, error=error, cause=cause, output=output)


def stop_execution(data: dict) -> Response:
    """StopExecution: the abort stays, and carries error and cause."""
    for field, limit in (("error", MAX_ERROR_LENGTH), ("cause", MAX_CAUSE_LENGTH)):
        if len(data.get(field) or "") > limit:
            return _invalid(f"Value at '{field}'", f"Member must have length less than or equal to {limit}")
    execution, failure = _find_execution(data)
    if failure:
        return failure
    error, cause = data.get("error"), data.get("cause")
    details = {"executionAbortedEventDetails": {k: v for k, v in (("error", error), ("cause", cause)) if v is not None}}
    # The API reference lists no error for an execution that has ended: it stays as it is.
    _end(execution, "ABORTED", "ExecutionAborted", details, error=error, cause=cause)
    return json_response({"stopDate": execution["stopDate"]})


def add_event(execution: dict, event_type: str, details: dict | None = None) -> dict:
    """Add to the history of an execution that is running; unwind the thread of one that is over.

    AWS: nothing follows the event that ends an execution, and no further state is entered. Every state and every
    task begins with an event, so this is where the threads of a stopped execution find out.
    """
    outermost = _execution.get()
    with _lock:
        if execution.get("status", "RUNNING") != "RUNNING" or (outermost and outermost["status"] != "RUNNING"):
            raise ExecutionStopped
        return _append_event(execution, event_type, details)


def _append_event(execution: dict, event_type: str, details: dict | None) -> dict:
    # Under the lock: the branches of a Parallel state number their events at the same time.
    event = {"id": len(execution["events"]) + 1, "type": event_type, "timestamp": now_iso(), **(details or {})}
    execution["events"].append(event)
    return event


def scaled_sleep(seconds: float) -> None:
    """Wait states and retries, which the end of their execution cuts short."""
    seconds *= upstream._SFN_WAIT_SCALE
    if seconds <= 0:
        return
    ended = (_execution.get() or {}).get("_ended")
    if ended is None:
        time.sleep(seconds)
    elif ended.wait(seconds):
        raise ExecutionStopped


def _patch_callbacks() -> None:
    # A state that waits for its token or for an activity's worker notices that its execution is over.
    for function in ("_invoke_with_callback", "_invoke_activity"):
        patching.substitute(
            upstream,
            function,
            ("if not evt.wait(timeout=timeout):", "if not _wait_for_callback(token, evt, timeout):"),
        )


def wait_for_callback(token: str, answered: threading.Event, timeout: float) -> bool:
    execution = _execution.get()
    if execution is None or "_ended" not in execution:
        return answered.wait(timeout)
    execution["_waiting"][token] = answered
    try:
        in_time = not execution["_ended"].is_set() and answered.wait(timeout)
    finally:
        execution["_waiting"].pop(token, None)
    if execution["_ended"].is_set():
        upstream._task_tokens.pop(token, None)
        raise ExecutionStopped
    return in_time


def _patch_status_event() -> None:
    # AWS: the event of an abort carries the error and the cause that StopExecution was given, an execution that
    # failed, was aborted or timed out can be redriven, and a run of a version or an alias names it.
    patching.substitute(
        upstream,
        "_emit_execution_status_event",
        (
            "    redrivable = failed  # TIMED_OUT is never set locally; FAILED is the one\n",
            "    redrive, redrive_reason = _redrive_status(status)\n",
        ),
        ('    failed = status == "FAILED"\n', '    failed = status in ("FAILED", "ABORTED", "TIMED_OUT")\n'),
        (
            """\
        "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
        "redriveStatusReason": (
            f"Execution is {status} and is redrivable" if redrivable
            else f"Execution is {status} and cannot be redriven"
        ),
""",
            '        "redriveStatus": redrive,\n        "redriveStatusReason": redrive_reason,\n',
        ),
        ('"stateMachineVersionArn": None,', '"stateMachineVersionArn": execution.get("stateMachineVersionArn"),'),
        ('"stateMachineAliasArn": None,', '"stateMachineAliasArn": execution.get("stateMachineAliasArn"),'),
    )


def redrive_status(status: str) -> tuple[str, str | None]:
    if status in ("RUNNING", "SUCCEEDED"):
        return "NOT_REDRIVABLE", f"Execution is {status} and cannot be redriven"
    return "REDRIVABLE", None


# ---------------------------------------------------------------------------------------------------------------------
# StartExecution
# ---------------------------------------------------------------------------------------------------------------------


def start_execution(data: dict) -> Response:
    """StartExecution with AWS's checks, in AWS's order, and with its idempotency.

    The emulator takes any name and any input, and refuses the repetition of a name even while AWS answers it: the
    same name with the same input, as long as the execution runs, is the same execution.
    """
    name, input_text = data.get("name"), data.get("input", "{}")
    if data.get("stateMachineArn") is None:
        return _invalid("Value null at 'stateMachineArn'", "Member must not be null")
    if name is not None and len(name) > MAX_NAME_LENGTH:
        return _invalid(f"Value '{name}' at 'name'", f"Member must have length less than or equal to {MAX_NAME_LENGTH}")
    if len(input_text.encode("utf-8", "surrogatepass")) > MAX_INPUT_BYTES:
        limit = f"Member must have size less than or equal to {MAX_INPUT_BYTES} bytes in UTF-8 encoding"
        return _invalid("Value at 'input'", limit)
    machine, failure = _find_machine(data["stateMachineArn"])
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
    upstream._executions[arn] = execution
    upstream._emit_execution_status_event(execution)
    context = contextvars.copy_context()
    context.run(_execution.set, None)
    run = threading.Thread(target=context.run, args=(upstream._run_execution, arn), daemon=True)
    run.name = f"{THREAD_PREFIX}{name}"
    run.start()
    return json_response({"executionArn": arn, "startDate": execution["startDate"]})


def running_threads() -> int:
    """How many executions have a thread: those that run, and those that have not noticed yet that they are over."""
    return sum(thread.name.startswith(THREAD_PREFIX) for thread in threading.enumerate())


def _find_machine(arn: str) -> tuple[dict, Response | None]:
    """What an execution of a machine, a version or an alias runs, as it is now."""
    base_arn = upstream._resolve_state_machine_arn(arn)
    machine = upstream._state_machines.get(base_arn) if base_arn else None
    if machine is None:
        if failure := _arn_failure(arn, ("stateMachine",)):
            return {}, failure
        return {}, error_response_json("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'", 400)
    version_arn = upstream._execution_version_arn(arn)
    found = {**machine, **upstream._state_machine_versions.get(version_arn, {}), "stateMachineArn": base_arn}
    found["stateMachineVersionArn"] = version_arn
    found["stateMachineAliasArn"] = arn if arn in upstream._state_machine_aliases else None
    return copy.deepcopy(found), None


def _new_execution(arn: str, name: str, input_text: str, machine: dict) -> dict:
    start_date = now_iso()
    started = {"input": input_text, "roleArn": machine["roleArn"]}
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
        "events": [],
        # The definition and the role it keeps, whatever becomes of the machine.
        "_machine": machine,
        # Set when it is over, however it ended.
        "_ended": threading.Event(),
        # Task tokens that its states wait for.
        "_waiting": {},
    }
    for field in ("stateMachineVersionArn", "stateMachineAliasArn"):
        if machine[field]:
            execution[field] = started[field] = machine[field]
    _append_event(execution, "ExecutionStarted", {"executionStartedEventDetails": started})
    execution["events"][0]["timestamp"] = start_date
    return execution


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def describe_execution(data: dict) -> Response:
    """DescribeExecution in AWS's shape: no output unless it succeeded, redriveCount, the version or alias it runs."""
    execution, failure = _find_execution(data)
    if failure:
        return failure
    seen = _as_seen(execution)
    if seen is None:
        return _no_such_execution(execution["executionArn"])
    redrive, reason = redrive_status(seen["status"])
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
        return _invalid(f"Value '{max_results}' at 'maxResults'", limit)
    if status is not None and status not in STATUSES:
        allowed = f"Member must satisfy enum value set: [{', '.join(sorted(STATUSES))}]"
        return _invalid(f"Value '{status}' at 'statusFilter'", allowed)
    if (arn is None) == (map_run_arn is None):
        message = "Exactly one of 'stateMachineArn' and 'mapRunArn' must be specified"
        return error_response_json("ValidationException", message, 400)
    if arn is not None:
        machine, failure = _find_machine(arn)
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
        for execution in upstream._executions.values()
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
    fields += ("stateMachineVersionArn", "stateMachineAliasArn")
    return {field: execution[field] for field in fields if execution.get(field) is not None} | {"redriveCount": 0}


def describe_state_machine_for_execution(data: dict) -> Response:
    """The machine as it was when the execution began, even if it was updated or deleted since."""
    execution, failure = _find_execution(data)
    if failure:
        return failure
    machine = execution.get("_machine") or upstream._state_machines.get(execution["stateMachineArn"])
    if machine is None:
        arn = execution["stateMachineArn"]
        return error_response_json("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'", 400)
    fields = ("stateMachineArn", "name", "definition", "roleArn", "loggingConfiguration", "revisionId")
    result = {field: machine[field] for field in fields if field in machine}
    encryption = execution.get("encryptionConfiguration") or upstream._default_encryption()
    return json_response({**result, "updateDate": machine["creationDate"], "encryptionConfiguration": encryption})


def delete_state_machine(data: dict) -> Response:
    """DeleteStateMachine, which leaves the executions: the emulator forgets them at once, running or not.

    AWS: the versions and the aliases go with the machine, and a machine that is gone already is no error.
    """
    arn = data.get("stateMachineArn")
    upstream._state_machines.pop(arn, None)
    upstream._tags.pop(arn, None)
    for store in (upstream._state_machine_versions, upstream._state_machine_aliases):
        for qualified in [key for key in store if key.startswith(f"{arn}:")]:
            store.pop(qualified)
    return json_response({})


def _find_execution(data: dict) -> tuple[dict, Response | None]:
    arn = data.get("executionArn")
    if arn is None:
        return {}, _invalid("Value null at 'executionArn'", "Member must not be null")
    # An express execution is known to CloudWatch Logs alone: its ARN is not one that these calls take.
    if failure := _arn_failure(arn, ("execution",)):
        return {}, failure
    execution = upstream._executions.get(arn)
    return (execution, None) if execution is not None else ({}, _no_such_execution(arn))


def _no_such_execution(arn: str) -> Response:
    return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)


def _arn_failure(arn: str, kinds: tuple[str, ...]) -> Response | None:
    parts = arn.split(":")
    if len(parts) < 7 or parts[0] != "arn" or parts[2] != "states":
        return error_response_json("InvalidArn", f"Invalid Arn: 'Invalid ARN prefix: {arn}'", 400)
    if parts[5] not in kinds:
        message = f"Invalid Arn: 'Resource type not valid in this context: {parts[5]}'"
        return error_response_json("InvalidArn", message, 400)
    return None


def _invalid(value: str, constraint: str) -> Response:
    message = f"1 validation error detected: {value} failed to satisfy constraint: {constraint}"
    return error_response_json("ValidationException", message, 400)


def _as_seen(execution: dict) -> dict | None:
    """The execution as a `stale` answer shows it: None if it had not begun, running if it had not ended."""
    behind = seconds_behind.get()
    if not behind:
        return execution
    moment = time.time() - behind
    if _epoch(execution["startDate"]) > moment:
        return None
    if execution["stopDate"] is None or _epoch(execution["stopDate"]) <= moment:
        return execution
    return {**execution, "status": "RUNNING", "stopDate": None, "output": None, "error": None, "cause": None}


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


# ---------------------------------------------------------------------------------------------------------------------
# Lambda tasks
# ---------------------------------------------------------------------------------------------------------------------


def _patch_lambda_integration() -> None:
    # AWS: lambda:invoke takes a Qualifier beside the FunctionName, sends an empty event if there is no Payload (the
    # emulator sends the parameters), and says which version ran.
    patching.substitute(
        upstream,
        "_invoke_resource",
        (
            """\
        func_ref = input_data.get("FunctionName", "")
        payload = input_data.get("Payload", input_data)
        func_ref = _resolve_lambda_function_ref(func_ref, optimized=True)
        result = _call_lambda(func_ref, payload)
        return {"StatusCode": 200, "Payload": result}
""",
            "        return _invoke_lambda_integration(input_data)\n",
        ),
    )


def invoke_lambda_integration(parameters: dict) -> dict:
    reference = upstream._resolve_lambda_function_ref(parameters.get("FunctionName", ""), optimized=True)
    if parameters.get("Qualifier"):
        reference = f"{reference}:{parameters['Qualifier']}"
    payload = call_lambda(reference, parameters.get("Payload", {}))
    from ministack.services import lambda_svc

    _record, config, _name = lambda_svc._get_func_record_for_ref(reference)
    version = (config or {}).get("Version", "$LATEST")
    return {"ExecutedVersion": version, "Payload": payload, "StatusCode": 200}


def call_lambda(reference: str, event: Any) -> Any:
    """Invoke a function as the state machine's role.

    AWS: the role must allow lambda:InvokeFunction on the function; the emulator calls it in its own process and asks
    nobody. A failing function fails the task with its own errorType as the error, and with the JSON of errorType,
    errorMessage (and stackTrace) as the cause; a throttled one with Lambda.TooManyRequestsException.
    """
    from ministack.services import lambda_svc

    if not (isinstance(reference, str) and reference.startswith("arn:")):
        reference = f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{reference}"
    role_arn = _role_arn.get()
    if denied := iam.denial(role_arn, "lambda:InvokeFunction", "lambda", reference):
        cause = f"{denied} (Service: Lambda, Status Code: 403, Request ID: {new_uuid()})"
        raise upstream._ExecutionError("Lambda.AWSLambdaException", cause)
    record, config, _name = lambda_svc._get_func_record_for_ref(reference)
    if not record or not config:
        cause = f"Function not found: {reference} (Service: Lambda, Status Code: 404, Request ID: {new_uuid()})"
        raise upstream._ExecutionError("Lambda.ResourceNotFoundException", cause)
    result = lambda_svc._execute_function_with_config_scope(
        lambda_svc._execution_record_for_config(record, config), event
    )
    body = result.get("body")
    if result.get("throttle"):
        cause = f"{body['message']} (Service: Lambda, Status Code: 429, Request ID: {new_uuid()})"
        raise upstream._ExecutionError("Lambda.TooManyRequestsException", cause)
    if result.get("error"):
        error = body.get("errorType", "Lambda.Unknown") if isinstance(body, dict) else "Lambda.Unknown"
        raise upstream._ExecutionError(error, json.dumps(body))
    if isinstance(body, (str, bytes)):
        try:
            return json.loads(body)
        except ValueError:
            return body
    return body
