"""CloudFormation's API: what it refuses that the emulator takes, and what is not there and has to say so."""

import json
import re
from urllib.parse import parse_qs

from ministack.services import cloudformation as upstream
from ministack.services.cloudformation import engine, handlers, helpers

from . import patching

# What the emulator does something with. A parameter that is not here would be taken and forgotten.
STACK = {"StackName", "TemplateBody", "TemplateURL", "Parameters", "Capabilities", "Tags"}
FAILURE = {"DisableRollback", "RetainExceptOnCreate", "DisableValidation", "ClientRequestToken"}
PARAMETERS = {
    "CreateStack": STACK | FAILURE | {"OnFailure", "EnableTerminationProtection"},
    "UpdateStack": STACK | FAILURE | {"UsePreviousTemplate"},
    "DeleteStack": {"StackName", "RetainResources", "ClientRequestToken", "DeletionMode"},
    "CreateChangeSet": STACK
    | {
        "ChangeSetName",
        "ChangeSetType",
        "Description",
        "UsePreviousTemplate",
        "OnStackFailure",
        "ResourcesToImport",
        "ImportExistingResources",
        "DisableValidation",
    },
    "DescribeChangeSet": {"ChangeSetName", "StackName", "NextToken"},
    "ExecuteChangeSet": {"ChangeSetName", "StackName", *FAILURE} - {"DisableValidation"},
    "ContinueUpdateRollback": {"StackName", "ResourcesToSkip", "ClientRequestToken"},
    "RollbackStack": {"StackName", "ClientRequestToken", "RetainExceptOnCreate"},
}
# A policy would be kept, and protect nothing.
MISSING = ("SetStackPolicy",)
# What names a stack that is deleted by its id alone.
READS = ("DescribeStackEvents", "DescribeStackResource", "DescribeStackResources", "GetTemplate", "ListStackResources")
UPDATABLE = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
)
ENVELOPE = ("Action", "Version")
EMPTY = re.compile(rb"<(ResourceStatusReason|StackStatusReason|StatusReason|Description)></\1>")


def apply() -> None:
    patching.wrap(upstream, "handle_request", handle_request, "af2b98f8e97b")
    patching.substitute(
        engine,
        "_resolve_parameters",
        # AWS: the words of a value that is not allowed, or what the template says instead of them.
        (
            """\
            raise ValueError(
                f"Parameter '{name}' value '{value}' is not in AllowedValues: {allowed}"
            )
""",
            """\
            raise _constraint_error(name, defn, "must be one of AllowedValues")
""",
        ),
    )
    patching.wrap(engine, "_resolve_parameters", resolve_parameters, None)
    patching.wrap(engine, "validate_template_support", validate_template, "7c997894cac1")


async def handle_request(original, method: str, path: str, headers: dict, body: bytes, query_params: dict) -> tuple:
    request = _request(headers, body, query_params)
    refusal = _refusal(request)
    if refusal is not None:
        return helpers._error("ValidationError", refusal)
    status, answer_headers, answer = await original(method, path, headers, body, query_params)
    # AWS: what there is nothing to say about is not there.
    return status, answer_headers, EMPTY.sub(b"", answer)


def _request(headers: dict, body: bytes, query_params: dict) -> dict[str, str]:
    """The fields of a request, and of its lists and structures those that are not empty, by their full names."""
    target = headers.get("x-amz-target", "")
    if target:
        fields = json.loads(body or b"{}")
        return {"Action": target.rpartition(".")[2], **{name: value for name, value in fields.items() if value}}
    fields = {**query_params, **parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)}
    return {name: values[-1] for name, values in fields.items() if values and values[-1]}


def _refusal(request: dict) -> str | None:
    """Why a request is refused before the emulator sees it."""
    action = request.get("Action", "")
    if action in MISSING:
        return f"{action}: the local cloud does not have it"
    if action in PARAMETERS:
        unknown = sorted({name.partition(".")[0] for name in request} - PARAMETERS[action] - {*ENVELOPE})
        if unknown:
            return f"{unknown[0]}: the local cloud does not have it for {action}"
    name = request.get("StackName", "")
    stack = handlers._resolve_stack(name) if name else None
    if stack is None:
        return None
    status, gone = stack["StackStatus"], stack["StackStatus"] == "DELETE_COMPLETE"
    if gone and name == stack["StackName"] and action in READS:
        return f"Stack [{name}] does not exist"
    if action == "CreateStack" and status == "ROLLBACK_COMPLETE":
        # AWS: what is left of a failed creation has to be deleted before its name is free.
        return f"Stack [{name}] already exists"
    if action == "CreateChangeSet" and request.get("ChangeSetType") == "CREATE":
        if not gone and status != "REVIEW_IN_PROGRESS":
            change_set = request.get("ChangeSetName", "")
            return f"Stack [{name}] already exists and cannot be created again with the changeSet [{change_set}]."
        return None
    if action in ("UpdateStack", "CreateChangeSet") and not gone and request.get("ChangeSetType") != "IMPORT":
        return not_updatable(stack)
    if action == "DeleteStack" and status.startswith("UPDATE_") and status.endswith("_IN_PROGRESS"):
        return f"Stack [{stack['StackId']}] cannot be deleted while in status {status}"
    return None


def not_updatable(stack: dict) -> str | None:
    """Why a stack takes no update, in the words of AWS."""
    if stack["StackStatus"] in UPDATABLE:
        return None
    return f"Stack:{stack['StackId']} is in {stack['StackStatus']} state and can not be updated."


def resolve_parameters(original, template: dict, provided: list[dict], previous: dict | None = None) -> dict:
    """AWS names all parameters that are missing, and refuses those that the template does not have."""
    definitions = template.get("Parameters") or {}
    given = {parameter["Key"] for parameter in provided}
    unknown = sorted(given - definitions.keys())
    if unknown:
        raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = sorted(
        name for name, definition in definitions.items() if name not in given and "Default" not in definition
    )
    if missing:
        raise ValueError(f"Parameters: [{', '.join(missing)}] must have values")
    return original(template, provided, previous)


def validate_template(original, template: dict, conditions: dict, params: dict | None = None) -> None:
    """What a template asks for that nobody would do, and what AWS does not read: the emulator reads past it."""
    empty = _empty_value(template.get("Resources"), "/Resources")
    if empty:
        raise ValueError(f"Template format error: [{empty}] 'null' values are not allowed in templates")
    original(template, conditions, params=params)
    if template.get("Hooks"):
        raise ValueError("Template error: Hooks: the local cloud does not have them")
    for logical_id, resource in (template.get("Resources") or {}).items():
        if not isinstance(resource, dict):
            continue
        if "UpdatePolicy" in resource:
            raise ValueError(f"Template error: {logical_id}: UpdatePolicy: the local cloud does not have it")
        if "CreationPolicy" in resource and resource.get("Type") != "AWS::CloudFormation::WaitCondition":
            raise ValueError(
                f"Template error: {logical_id}: CreationPolicy: the local cloud has it for "
                "AWS::CloudFormation::WaitCondition alone"
            )


def _empty_value(value, path: str) -> str | None:
    """Where there is no value in a part of a template."""
    if value is None:
        return path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for name, member in members if (found := _empty_value(member, f"{path}/{name}"))), None)
