"""Making, changing, describing and deleting state machines as AWS does, where the emulator differs."""

import json
from typing import Any

from ministack import app as emulator
from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions as upstream
from ministack.services.cloudformation import provisioners

from . import definitions, executions, patching, reading
from .lookup import Response, deleting, invalid, is_doomed
from .stepfunctions import ILLEGAL_IN_NAME, MAX_NAME_LENGTH

# For whom the role of a state machine is passed.
PASSED_TO = "states.amazonaws.com"
NO_TRACING = {"enabled": False}


def apply() -> None:
    # The emulator checks the syntax of JSONata alone, also in what is no expression, such as the Result of a Pass.
    patching.replace(upstream, "_validate_definition_jsonata", definitions.refusal, "a5ec092b2c8d")
    patching.replace(upstream, "_validate_state_machine_definition", validate_state_machine_definition, "91730eff8585")
    # AWS: tracing is kept, and is part of what makes a repeated CreateStateMachine the same.
    patching.substitute(
        upstream,
        "_create_state_machine",
        (
            '                == existing["loggingConfiguration"]\n',
            """\
                == existing["loggingConfiguration"]
                and (data.get("tracingConfiguration") or {"enabled": False})
                == existing.get("tracingConfiguration", {"enabled": False})
""",
        ),
        ('f"State machine {name} already exists"', "f\"State Machine Already Exists: '{arn}'\""),
        (
            '        "type": data.get("type", "STANDARD"),\n        "creationDate": ts,\n',
            """\
        "type": data.get("type", "STANDARD"),
        "tracingConfiguration": data.get("tracingConfiguration") or {"enabled": False},
        "creationDate": ts,
""",
        ),
    )
    patching.wrap(upstream, "_create_state_machine", create_state_machine, None)
    patching.wrap(upstream, "_update_state_machine", update_state_machine, None)
    patching.wrap(upstream, "_describe_state_machine", describe_state_machine, "12f03d98a47a")
    patching.wrap(upstream, "_publish_state_machine_version", of_no_doomed_machine, "edffabae54d4")
    patching.replace(upstream, "_delete_state_machine", delete_state_machine, "bcbc7c7e5bea")
    executions.after_end.append(finish_deletion)
    patching.wrap(upstream, "handle_request", handle_request, None)
    patching.wrap(provisioners, "_sfn_state_machine_create", create_in_stack, "d2ffde42cb0e")
    patching.wrap(provisioners, "_sfn_state_machine_update", update_in_stack, "e6b56ee6ad59")
    # The emulator forgets the machine alone, and its executions run on.
    patching.replace(provisioners, "_sfn_state_machine_delete", delete_in_stack, "dd5b1b769690")


# ---------------------------------------------------------------------------------------------------------------------
# The calls
# ---------------------------------------------------------------------------------------------------------------------


def create_state_machine(original, data: dict) -> Response:
    """CreateStateMachine, with AWS's checks of the name and the definition.

    AWS: "CreateStateMachine is an idempotent API", by "the state machine name, definition, type, LoggingConfiguration,
    TracingConfiguration, and EncryptionConfiguration"; another roleArn and other tags are ignored.
    """
    name, text = data.get("name"), data.get("definition")
    for field in ("name", "definition", "roleArn"):
        if data.get(field) is None:
            return invalid(f"Value null at '{field}'", "Member must not be null")
    if len(name) > MAX_NAME_LENGTH:
        return invalid(f"Value '{name}' at 'name'", f"Member must have length less than or equal to {MAX_NAME_LENGTH}")
    if failure := _too_long(text):
        return failure
    if not name or ILLEGAL_IN_NAME.search(name):
        return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    return deleting(executions.machine_arn(name)) or original(data)


def update_state_machine(original, data: dict) -> Response:
    """UpdateStateMachine. Running executions have their own copy of what they run."""
    arn = data.get("stateMachineArn")
    if failure := _too_long(data.get("definition")) or deleting(arn):
        return failure
    response = original(data)
    if response[0] == 200 and data.get("tracingConfiguration"):
        upstream._state_machines[arn]["tracingConfiguration"] = data["tracingConfiguration"]
    return response


def describe_state_machine(original, data: dict) -> Response:
    response = original(data)
    if response[0] != 200:
        return response
    return json_response({"tracingConfiguration": NO_TRACING, **json.loads(response[2])})


def of_no_doomed_machine(original, data: dict) -> Response:
    return deleting(data.get("stateMachineArn")) or original(data)


def validate_state_machine_definition(data: dict) -> Response:
    """ValidateStateMachineDefinition: an answer, whatever the definition is."""
    if data.get("definition") is None:
        return invalid("Value null at 'definition'", "Member must not be null")
    if failure := _too_long(data["definition"]):
        return failure
    limit = data.get("maxResults") or 100
    found = definitions.diagnostics(data["definition"])
    result = {"result": "FAIL" if found else "OK", "diagnostics": found[:limit], "truncated": len(found) > limit}
    return json_response(result)


def _too_long(definition: str | None) -> Response | None:
    # Measured in characters here; whether AWS counts them or bytes is not documented.
    if definition is None or len(definition) <= definitions.MAX_DEFINITION_LENGTH:
        return None
    limit = f"Member must have length less than or equal to {definitions.MAX_DEFINITION_LENGTH}"
    return invalid("Value at 'definition'", limit)


# ---------------------------------------------------------------------------------------------------------------------
# Deletion
# ---------------------------------------------------------------------------------------------------------------------


def delete_state_machine(data: dict) -> Response:
    """DeleteStateMachine.

    AWS: "It sets the state machine's status to DELETING and begins the deletion process. A state machine is deleted
    only when all its executions are completed. On the next state transition, the state machine's executions are
    terminated." Its versions and aliases go with it, and its executions and their histories, too. A machine that is
    gone already is no error. Here it goes at once if nothing runs, on AWS within a minute.
    """
    arn = data.get("stateMachineArn")
    if arn is None:
        return invalid("Value null at 'stateMachineArn'", "Member must not be null")
    machine = upstream._state_machines.get(arn)
    if machine is not None:
        with executions.lock:
            machine["status"] = "DELETING"
        for store in (upstream._state_machine_versions, upstream._state_machine_aliases):
            for qualified in [key for key in store if key.startswith(f"{arn}:")]:
                store.pop(qualified)
        finish_deletion(arn)
    return json_response({})


def finish_deletion(arn: str) -> None:
    """Forget a machine that is to be deleted, and its executions, if none of them runs any more."""
    with executions.lock:
        if not is_doomed(arn):
            return
        if any(execution["status"] == "RUNNING" for execution in reading.executions_of(arn)):
            return
        upstream._state_machines.pop(arn, None)
        upstream._tags.pop(arn, None)
        of_map_runs = f"{arn.replace(':stateMachine:', ':execution:')}/"
        gone = [execution["executionArn"] for execution in reading.forget(arn)]
        gone += [each for each in upstream._executions if each.startswith(of_map_runs)]
        for each in gone:
            upstream._executions.pop(each, None)


# ---------------------------------------------------------------------------------------------------------------------
# Authorization
# ---------------------------------------------------------------------------------------------------------------------


async def handle_request(original, method: str, path: str, headers: dict, body: bytes, query_params: dict):
    """Check what a call needs beside its own action, and serve it.

    AWS: whoever gives a machine its role passes it, and whoever creates it with tags tags it.
    """
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        data = {}
    for needed, resource, keys in _further_checks(action, data if isinstance(data, dict) else {}):
        refusal = emulator._enforce_data_plane(
            "states", needed, headers, query_params, "", resource, keys, named_resource=resource
        )
        if refusal:
            return refusal
    return await original(method, path, headers, body, query_params)


def _further_checks(action: str, data: dict) -> list[tuple[str, str, dict]]:
    """Actions, resources and condition keys."""
    if action not in ("CreateStateMachine", "UpdateStateMachine"):
        return []
    checks = []
    if isinstance(data.get("roleArn"), str):
        checks.append(("iam:PassRole", data["roleArn"], {"iam:PassedToService": PASSED_TO}))
    if action == "CreateStateMachine" and data.get("tags"):
        tags = {each["key"]: each.get("value", "") for each in data["tags"]}
        keys: dict[str, Any] = {f"aws:RequestTag/{key}".lower(): value for key, value in tags.items()}
        keys["aws:TagKeys"] = list(tags)
        checks.append(("states:TagResource", executions.machine_arn(data.get("name", "")), keys))
    return checks


# ---------------------------------------------------------------------------------------------------------------------
# Stacks
# ---------------------------------------------------------------------------------------------------------------------


def create_in_stack(original, logical_id: str, props: dict, stack_name: str):
    """The emulator checks no definition of a stack, keeps its tracing not at all, and its logging as it is spelled."""
    _refuse(props)
    made = original(logical_id, props, stack_name)
    machine = upstream._state_machines[made[0]]
    machine["loggingConfiguration"] = _as_in_the_api(machine["loggingConfiguration"])
    machine["tracingConfiguration"] = _as_in_the_api(props.get("TracingConfiguration") or NO_TRACING)
    return made


def update_in_stack(original, physical_id: str, old_props: dict, new_props: dict, *rest, **named):
    _refuse(new_props)
    made = original(physical_id, old_props, new_props, *rest, **named)
    machine = upstream._state_machines[made[0]]
    machine["loggingConfiguration"] = _as_in_the_api(machine["loggingConfiguration"])
    machine["tracingConfiguration"] = _as_in_the_api(new_props.get("TracingConfiguration") or NO_TRACING)
    return made


def delete_in_stack(physical_id: str, props: dict) -> None:
    delete_state_machine({"stateMachineArn": physical_id})


def _refuse(props: dict) -> None:
    if refusal := definitions.refusal(provisioners._sfn_definition(props)):
        raise ValueError(refusal)


def _as_in_the_api(value: Any) -> Any:
    """What a template says in PascalCase, and with booleans that can be strings."""
    if isinstance(value, dict):
        return {f"{name[0].lower()}{name[1:]}": _as_in_the_api(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_in_the_api(each) for each in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
