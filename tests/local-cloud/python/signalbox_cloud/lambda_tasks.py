"""Tasks that invoke a function, as the role of the state machine."""

import json
from typing import Any

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import stepfunctions as upstream

from . import executions, iam, patching

Failure = upstream._ExecutionError


def apply() -> None:
    patching.replace(upstream, "_call_lambda", call_lambda, "25830369b126")
    patching.provide(upstream, _invoke_lambda_integration=invoke_lambda_integration)
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
    if denied := iam.denial(_role_arn(), "lambda:InvokeFunction", "lambda", reference):
        cause = f"{denied} (Service: Lambda, Status Code: 403, Request ID: {new_uuid()})"
        raise Failure("Lambda.AWSLambdaException", cause)
    record, config, _name = lambda_svc._get_func_record_for_ref(reference)
    if not record or not config:
        cause = f"Function not found: {reference} (Service: Lambda, Status Code: 404, Request ID: {new_uuid()})"
        raise Failure("Lambda.ResourceNotFoundException", cause)
    result = lambda_svc._execute_function_with_config_scope(
        lambda_svc._execution_record_for_config(record, config), event
    )
    body = result.get("body")
    if result.get("throttle"):
        cause = f"{body['message']} (Service: Lambda, Status Code: 429, Request ID: {new_uuid()})"
        raise Failure("Lambda.TooManyRequestsException", cause)
    if result.get("error"):
        error = body.get("errorType", "Lambda.Unknown") if isinstance(body, dict) else "Lambda.Unknown"
        raise Failure(error, json.dumps(body))
    if isinstance(body, (str, bytes)):
        try:
            return json.loads(body)
        except ValueError:
            return body
    return body


def _role_arn() -> str:
    """The role of the state machine that the current thread runs."""
    branch = executions.current.get()
    while branch is not None:
        if "_run" in branch.execution:
            return executions.run_of(branch.execution).machine.get("roleArn", "")
        branch = branch.parent
    return ""
