"""Change sets: what is a change, and what becomes of one that cannot be made."""

import re
from xml.sax.saxutils import unescape

from ministack.core.responses import get_account_id, new_uuid, now_iso
from ministack.services import cloudformation as upstream
from ministack.services.cloudformation import changesets, engine, helpers, stacks

from . import cloudformation, patching

# What AWS finds out about a template only after its transform, when the request has long been answered.
FOUND_LATER = ("Template format error:", "Template error:", "Transform ", "Requires capabilities")


def apply() -> None:
    patching.substitute(
        changesets,
        "_resolve_props_for_diff",
        # AWS: a resource whose condition is false is not there. The emulator lists it, and does not see it come or go.
        (
            '    for lid, res in template.get("Resources", {}).items():\n',
            '    for lid, res in template.get("Resources", {}).items():\n'
            "        if not conditions.get(res.get('Condition'), True):\n"
            "            continue\n",
        ),
        # The emulator resolves every GetAtt to nothing, so that another one is no change.
        (
            "                {}, params, conditions, mappings, stack_name, stack_id)",
            "                _Placeholders(template), params, conditions, mappings, stack_name, stack_id)",
        ),
    )
    patching.provide(
        changesets,
        _Placeholders=Placeholders,
        _fails_later=fails_later,
        _fail_change_set=fail_change_set,
        _capabilities_found_later=capabilities_found_later,
        _changes_more_than_resources=changes_more_than_resources,
        _shown_value=shown_value,
        _refuse_execution=refuse_execution,
    )
    patching.substitute(
        changesets,
        "_create_change_set",
        (
            "    def _rejected(reason):\n",
            "    def _rejected(reason):\n"
            "        if _fails_later(reason, template_body):\n"
            "            return _fail_change_set(reason, params, stack, template_body)\n",
        ),
        # AWS: a stack in review stays what it is, with its id and its other change sets.
        (
            "        # Create a placeholder stack in REVIEW_IN_PROGRESS\n        stack_id = (\n",
            "        review = stack if stack and stack.get('StackStatus') == 'REVIEW_IN_PROGRESS' else None\n"
            "        stack_id = review['StackId'] if review else (\n",
        ),
        (
            "        _stack_events[stack_id] = []\n        _add_event(",
            "        if not review:\n            _stack_events[stack_id] = []\n            _add_event(",
        ),
        (
            "            _stacks.pop(stack_name, None)\n            _stack_events.pop(stack_id, None)\n",
            "            if review:\n"
            "                _stacks[stack_name] = review\n"
            "            else:\n"
            "                _stacks.pop(stack_name, None)\n"
            "                _stack_events.pop(stack_id, None)\n",
        ),
        (
            "        return _rejected(caps_error)\n",
            "        sent_error = _check_capabilities(sent, sent, params, macros=False)\n"
            "        return _rejected(sent_error or _capabilities_found_later(caps_error))\n",
        ),
        # AWS: an update without a template has to say that it means the one that is there.
        (
            '            template_body = stack.get("_template_body", "{}")\n',
            '            if _p(params, "UsePreviousTemplate").lower() != "true":\n'
            '                return _error("ValidationError", '
            '"Either Template URL or Template Body must be specified.")\n'
            '            template_body = stack.get("_template_body", "{}")\n',
        ),
        # AWS: outputs alone can change, with a change set that lists nothing.
        (
            "    elif changes:\n",
            "    elif changes or (cs_type == 'UPDATE' and _changes_more_than_resources("
            "old_template, template, old_params, param_values)):\n",
        ),
        (
            '            {"ParameterKey": k, "ParameterValue": v["Value"]}\n',
            '            {"ParameterKey": k, "ParameterValue": v["Value"], "NoEcho": v["NoEcho"]}\n',
        ),
    )
    patching.substitute(
        changesets,
        "_describe_change_set",
        # AWS: NoEcho holds here too.
        ("{_esc(str(p['ParameterValue']))}", "{_esc(_shown_value(p))}"),
    )
    patching.substitute(
        changesets,
        "_execute_change_set",
        # AWS: a stack that is at work, or cannot be updated, does not begin another operation.
        (
            '    cs["ExecutionStatus"] = "EXECUTE_IN_PROGRESS"\n',
            '    if refusal := _refuse_execution(cs, _stacks.get(cs["StackName"])):\n'
            '        return _error("ValidationError", refusal)\n'
            '    cs["ExecutionStatus"] = "EXECUTE_IN_PROGRESS"\n',
        ),
        (
            'f"{status_prefix}_IN_PROGRESS",\n                   physical_id=stack_id)',
            'f"{status_prefix}_IN_PROGRESS", "User Initiated",\n                   physical_id=stack_id)',
        ),
    )


class Placeholders(dict):
    """Resources that are not there yet, as far as two templates are compared: each reference is its own name."""

    def __init__(self, template: dict) -> None:
        super().__init__(
            (name, {"PhysicalResourceId": f"${{{name}}}", "Attributes": _Attributes(name)})
            for name in template.get("Resources") or {}
        )


class _Attributes(dict):
    def __init__(self, resource: str) -> None:
        super().__init__()
        self._resource = resource

    def __contains__(self, attribute: object) -> bool:
        return True

    def __getitem__(self, attribute: str) -> str:
        return f"${{{self._resource}.{attribute}}}"

    def get(self, attribute: str, default=None) -> str:
        return self[attribute]


def changes_more_than_resources(old: dict, new: dict, old_parameters: dict, new_parameters: dict) -> bool:
    """Whether there is something to update although every resource stays as it is."""
    before = {name: parameter.get("Value") for name, parameter in old_parameters.items()}
    after = {name: parameter.get("Value") for name, parameter in new_parameters.items()}
    return before != after or (old.get("Outputs") or {}) != (new.get("Outputs") or {})


def shown_value(parameter: dict) -> str:
    return "****" if parameter.get("NoEcho") else str(parameter["ParameterValue"])


def refuse_execution(change_set: dict, stack: dict | None) -> str | None:
    """Why a change set cannot be executed now."""
    if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        return None
    return cloudformation.not_updatable(stack)


# ---------------------------------------------------------------------------------------------------------------------
# Failures
# ---------------------------------------------------------------------------------------------------------------------


def capabilities_found_later(refusal: tuple) -> str:
    """The reason in a refusal that is about what the transform has made."""
    return unescape(re.search(rb"<Message>(.*?)</Message>", refusal[2], re.DOTALL)[1].decode())


def fails_later(reason: str | tuple, template_body: str) -> bool:
    """Whether AWS would have answered the request before it knew.

    A template with a transform is translated when CreateChangeSet has been answered: what is wrong with it fails the
    change set. The emulator refuses the request, so that the caller sees another error than with AWS.
    """
    if not isinstance(reason, str) or not reason.startswith(FOUND_LATER):
        return False
    try:
        return bool(engine.declared_transforms(engine._parse_template(template_body)))
    except Exception:
        return False


def fail_change_set(reason: str, request: dict, stack: dict, template_body: str) -> tuple:
    """A change set that is FAILED, for this reason. A stack that is to be created stays in review, as with AWS."""
    name = helpers._p(request, "ChangeSetName")
    region = stacks._stack_region(stack, stack["StackId"])
    change_set_id = f"arn:aws:cloudformation:{region}:{get_account_id()}:changeSet/{name}/{new_uuid()}"
    upstream._change_sets[change_set_id] = {
        "ChangeSetId": change_set_id,
        "ChangeSetName": name,
        "StackId": stack["StackId"],
        "StackName": stack["StackName"],
        "Status": "FAILED",
        "ExecutionStatus": "UNAVAILABLE",
        "StatusReason": reason,
        "CreationTime": now_iso(),
        "Description": helpers._p(request, "Description"),
        "ChangeSetType": helpers._p(request, "ChangeSetType", "UPDATE"),
        "Changes": [],
        "Parameters": [],
        "Tags": helpers._extract_members(request, "Tags"),
        "Capabilities": helpers._extract_string_members(request, "Capabilities"),
        "OnStackFailure": helpers._p(request, "OnStackFailure"),
        "_template": engine._parse_template(template_body),
        "_template_body": template_body,
        "_resolved_params": {},
    }
    return helpers._xml(
        200,
        "CreateChangeSetResponse",
        f"<CreateChangeSetResult><Id>{change_set_id}</Id><StackId>{stack['StackId']}</StackId></CreateChangeSetResult>",
    )
