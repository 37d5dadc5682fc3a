"""What the calls of Step Functions have in common: finding what an ARN names, and AWS's refusals."""

import copy

from ministack.core.responses import error_response_json
from ministack.services import stepfunctions as upstream

Response = tuple[int, dict, bytes]


def find_machine(arn: str) -> tuple[dict, Response | None]:
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


def is_doomed(arn: str) -> bool:
    """Whether a machine is being deleted."""
    machine = upstream._state_machines.get(arn)
    return machine is not None and machine["status"] == "DELETING"


def deleting(arn: str | None) -> Response | None:
    """The refusal of what cannot be done to a machine that is being deleted."""
    if arn is not None and is_doomed(arn):
        return error_response_json("StateMachineDeleting", f"State Machine is being deleted: '{arn}'", 400)
    return None


def find_execution(data: dict, kinds: tuple[str, ...] = ("execution",)) -> tuple[dict, Response | None]:
    arn = data.get("executionArn")
    if arn is None:
        return {}, invalid("Value null at 'executionArn'", "Member must not be null")
    # An express execution is known to CloudWatch Logs alone: its ARN is not one that these calls take.
    if failure := _arn_failure(arn, kinds):
        return {}, failure
    execution = upstream._executions.get(arn)
    return (execution, None) if execution is not None else ({}, no_such_execution(arn))


def no_such_execution(arn: str) -> Response:
    return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)


def _arn_failure(arn: str, kinds: tuple[str, ...]) -> Response | None:
    parts = arn.split(":")
    if len(parts) < 7 or parts[0] != "arn" or parts[2] != "states":
        return error_response_json("InvalidArn", f"Invalid Arn: 'Invalid ARN prefix: {arn}'", 400)
    if parts[5] not in kinds:
        message = f"Invalid Arn: 'Resource type not valid in this context: {parts[5]}'"
        return error_response_json("InvalidArn", message, 400)
    return None


def invalid(value: str, constraint: str) -> Response:
    message = f"1 validation error detected: {value} failed to satisfy constraint: {constraint}"
    return error_response_json("ValidationException", message, 400)
