"""What CloudFormation tells of an operation on a stack: which resources it touches, and what each step is called."""

from ministack.services.cloudformation import stacks

from . import patching

# A nested stack is looked into whether it changed or not.
ALWAYS_UPDATED = ("AWS::CloudFormation::Stack",)

INITIATED = "Resource creation Initiated"


def apply() -> None:
    patching.provide(stacks, _is_untouched=is_untouched)
    patching.substitute(
        stacks,
        "_deploy_stack_async",
        # AWS: an update creates what is new and updates what has changed. The emulator calls it all an update, and
        # tells of resources that it leaves alone.
        (
            '        name_seed = ""\n\n        try:\n',
            """\
        name_seed = ""
        exists = bool(is_update and previous_stack and logical_id in previous_stack.get("_resources", {}))
        step, replaced = "UPDATE" if exists else "CREATE", False

        try:
""",
        ),
        (
            """\
            if logical_id not in imports:
                _add_event(stack_id, stack_name, logical_id, resource_type,
                           f"{status_prefix}_IN_PROGRESS")
""",
            """\
            if logical_id not in imports and not exists:
                _add_event(stack_id, stack_name, logical_id, resource_type, "CREATE_IN_PROGRESS")
""",
        ),
        (
            """\
                pending_deletes = []
                deferred_token""",
            """\
                if _is_untouched(prev_resource, previous_stack, logical_id, res_def, old_tagged, new_tagged):
                    _RETAIN_REPLACED.reset(token)
                    continue
                pending_deletes = []
                deferred_token""",
        ),
        (
            """\
                elif not refused:
                    update_attempt =""",
            """\
                else:
                    _add_event(stack_id, stack_name, logical_id, resource_type,
                               "UPDATE_IN_PROGRESS", physical_id=old_pid)
                if not refused and not _replacing_change(resource_type, old_tagged, new_tagged):
                    update_attempt =""",
        ),
        (
            """\
                    replaced_resources.append(
""",
            """\
                    replaced = True
                    replaced_resources.append(
""",
        ),
        (
            '"IMPORT_FAILED" if logical_id in imports else f"{status_prefix}_FAILED"',
            '"IMPORT_FAILED" if logical_id in imports else f"{step}_FAILED"',
        ),
        (
            'else f"{status_prefix}_COMPLETE"),\n            "LogicalResourceId"',
            'else f"{step}_COMPLETE"),\n            "LogicalResourceId"',
        ),
        (
            """\
        if logical_id not in imports:
            _add_event(stack_id, stack_name, logical_id, resource_type,
                       f"{status_prefix}_COMPLETE", physical_id=physical_id)
""",
            f"""\
        if logical_id not in imports:
            if replaced or step == "CREATE":
                _add_event(stack_id, stack_name, logical_id, resource_type,
                           f"{{step}}_IN_PROGRESS", "{INITIATED}", physical_id)
            _add_event(stack_id, stack_name, logical_id, resource_type,
                       f"{{step}}_COMPLETE", physical_id=physical_id)
""",
        ),
        # AWS: what is no longer needed goes when the update has worked, in a phase of its own, with events.
        (
            "    # Replacement cleanup (update case): delete each replaced resource's\n",
            """\
    if not failed and is_update:
        stack["StackStatus"] = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        _add_event(stack_id, stack_name, stack_name, "AWS::CloudFormation::Stack",
                   "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", physical_id=stack_id)
    # Replacement cleanup (update case): delete each replaced resource's
""",
        ),
        (
            """\
                if new_pid == old_pid:
                    continue
""",
            """\
                if new_pid == old_pid:
                    continue
                _add_event(stack_id, stack_name, logical_id, rtype, "DELETE_IN_PROGRESS", physical_id=old_pid)
""",
        ),
        (
            """\
                    _delete_resource(rtype, old_pid, old_props, stack_name, logical_id)
""",
            """\
                    _delete_resource(rtype, old_pid, old_props, stack_name, logical_id)
                _add_event(stack_id, stack_name, logical_id, rtype, "DELETE_COMPLETE", physical_id=old_pid)
""",
        ),
        (
            """\
            try:
                if policy == "Snapshot":
                    _snapshot_resource(rtype, pid, old_props)
""",
            """\
            _add_event(stack_id, stack_name, logical_id, rtype, "DELETE_IN_PROGRESS", physical_id=pid)
            try:
                if policy == "Snapshot":
                    _snapshot_resource(rtype, pid, old_props)
""",
        ),
        (
            """\
                    _delete_resource(rtype, pid, old_props, stack_name, logical_id)
""",
            """\
                    _delete_resource(rtype, pid, old_props, stack_name, logical_id)
                _add_event(stack_id, stack_name, logical_id, rtype, "DELETE_COMPLETE", physical_id=pid)
""",
        ),
        (
            '    stack["_template"] = template\n    stack["_resolved_params"] = param_values\n    _exports',
            """\
    stack["_template"] = template
    stack["_resolved_params"] = param_values
    stack["Description"] = template.get("Description", "")
    stack["StackStatusReason"] = ""
    _exports""",
        ),
    )
    patching.substitute(
        stacks,
        "_roll_back_operation",
        # AWS: the reason names the resource.
        (
            '        rollback_reason = "Rollback requested"\n',
            """\
        rollback_reason = "Rollback requested by user."
        if failed_logical_id:
            rollback_reason = (f"The following resource(s) failed to create: [{failed_logical_id}]. "
                               + rollback_reason)
""",
        ),
        ('"" if is_update and previous_stack else "Rollback complete"', '""'),
    )


def is_untouched(record: dict, previous: dict, logical_id: str, definition: dict, old: dict, new: dict) -> bool:
    """Whether an update leaves a resource alone: its properties, tags of the stack included, and its attributes are
    what they were."""
    if old != new or record.get("ResourceStatus", "").endswith("_FAILED"):
        return False
    if definition.get("Type") in ALWAYS_UPDATED:
        return False
    before = (previous.get("_template") or {}).get("Resources", {}).get(logical_id, {})
    return all(before.get(attribute) == definition.get(attribute) for attribute in stacks._DIFFED_ATTRIBUTES)
