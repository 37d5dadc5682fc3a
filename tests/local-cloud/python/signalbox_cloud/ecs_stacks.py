"""Task definitions in stacks."""

import json
from typing import Any

from ministack.services import ecs as upstream
from ministack.services.cloudformation import provisioners

from . import patching

# Names within these are the template's own.
MAPS = ("DockerLabels", "DriverOpts", "Labels", "Options")
# What a parameter of a template gives as a string.
BOOLEANS = ("disableNetworking", "essential", "interactive", "privileged", "pseudoTerminal", "readonlyRootFilesystem")
INTEGERS = ("cpu", "memory", "memoryReservation", "startTimeout", "stopTimeout")


def apply() -> None:
    # The emulator keeps parts of the containers in PascalCase, and drops the runtime platform and the storage.
    patching.replace(provisioners, "_ecs_task_def_create", create_definition, "a5b3d83f890c")


def create_definition(logical_id: str, properties: dict, stack_name: str) -> tuple[str, dict]:
    """Register a task definition as RegisterTaskDefinition does. Its ARN is what `Ref` gives."""
    request = _in_camel_case(properties)
    request.setdefault("family", f"{stack_name}-{logical_id}")
    for definition in request.get("containerDefinitions") or []:
        _convert(definition)
    status, _headers, body = upstream._register_task_definition(request)
    answer = json.loads(body)
    if status >= 400:
        raise ValueError(answer["message"])
    arn = answer["taskDefinition"]["taskDefinitionArn"]
    return arn, {"TaskDefinitionArn": arn}


def _convert(definition: dict) -> None:
    for name in BOOLEANS:
        if isinstance(definition.get(name), str):
            definition[name] = definition[name].lower() == "true"
    for name in INTEGERS:
        if isinstance(definition.get(name), str):
            definition[name] = int(definition[name])


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name[:1].lower() + name[1:]: each if name in MAPS else _in_camel_case(each) for name, each in value.items()
        }
    return [_in_camel_case(each) for each in value] if isinstance(value, list) else value
